// SPDX-License-Identifier: GPL-2.0
/*
 * Description: what agents do today for want of a branch(): a view of a workspace of 10 to 10,000 small files is created, ten
 * files are changed in it, and it is kept (commit) or dropped (abort); by copying, by overlayfs, by git, on tmpfs; by reflinks on
 * btrfs in memory. So nothing waits for a device. Every view is looked at after it was made, the workspace after each commit and abort.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>

#include <holes.h>
#include <tree.h>

#include "branchpath.h"

#define REST_MS 16
#define STUCK_S 280
#define NAME 48

/* Half of the views are committed, the others aborted. */
static const struct { int files, views, warmup; } sizes[] = { { 10, 8, 2 }, { 100, 8, 2 }, { 1000, 8, 2 }, { 10000, 4, 0 } };
#define SIZES (int)(sizeof(sizes) / sizeof(*sizes))

static const struct way *const ways[] = { &copying, &overlaying, &reflinking, &worktree, &stashing };
#define WAYS (int)(sizeof(ways) / sizeof(*ways))

/* One way with one size, and where it is: how many operations of the present section have ended, all of which were right. */
static struct run {
	const struct way *way;
	int files, views, warmup, generation;
	int done;
	bool good;
} run;

/* Every view of every way makes a change that no other makes. */
static int version_of(int view)
{
	return run.generation * MAX_VIEWS + view + 1;
}

/* A stash is a stack. */
static int next_view(void)
{
	return run.way->in_place ? run.views - 1 - run.done : run.done;
}

static bool rest(void)
{
	if (run.way->enter)
		sync();			/* what the last operation wrote is on the device, and nothing of it is in the next one */
	lab_rest(REST_MS);
	return run.good;
}

/* Before a view is created; in place the change is there already. */
static bool before_create(void *unused)
{
	(void)unused;
	lab_forget();
	if (run.way->in_place)
		run.good &= tree_change(BASE, run.files, version_of(run.done));
	return rest();
}

static bool create(void *unused)
{
	(void)unused;
	return run.way->create(run.done++);
}

/* All views are there, and none has a change. */
static bool created(void)
{
	bool good = true;

	for (int view = 0; view < run.views; view++) {
		const char *place = run.way->in_place ? BASE : view_name("view", view);

		good &= tree_is(place, run.files, version_of(view), false) && (view || tree_whole(place, run.files));
	}
	return good;
}

static bool before_change(void *unused)
{
	(void)unused;
	lab_forget();
	return rest();
}

static bool change(void *unused)
{
	int view = run.done++;

	(void)unused;
	return tree_change(view_name("view", view), run.files, version_of(view));
}

/* Each view has its own change, and the workspace has none. */
static bool changed(void)
{
	bool good = true;

	for (int view = 0; view < run.views; view++)
		good &= tree_is(view_name("view", view), run.files, version_of(view), true) &&
			tree_is(BASE, run.files, version_of(view), false);
	return good;
}

/* The last view that ended is gone, and what it changed is in the workspace or is not. */
static bool ended(bool kept)
{
	int view;

	run.done--;
	view = next_view();
	run.done++;
	return tree_is(BASE, run.files, version_of(view), kept) &&
	       (run.way->in_place || access(view_name("view", view), F_OK)) &&
	       (!run.way->in_place || !kept || run.way->clean());
}

static bool before_commit(void *unused)
{
	(void)unused;
	lab_forget();
	run.good &= !run.done || ended(true);
	return rest();
}

static bool commit(void *unused)
{
	bool good = run.way->commit(next_view());

	(void)unused;
	run.done++;
	return good;
}

static bool before_abort(void *unused)
{
	(void)unused;
	lab_forget();
	run.good &= run.done == run.views / 2 || ended(false);
	return rest();
}

static bool abandon(void *unused)
{
	bool good = run.way->abort(next_view());

	(void)unused;
	run.done++;
	return good;
}

static bool measured(const char *phase, lab_op op, lab_op between, int operations)
{
	int warmup = run.warmup * operations / run.views;
	char name[NAME];

	snprintf(name, sizeof(name), "%s.%s.%d", run.way->name, phase, run.files);
	return !lab_measure_apart(name, op, between, NULL, warmup, operations - warmup) && run.good;
}

static bool right(const char *what, bool good)
{
	if (!good)
		lab_note("%s with %d files: not right after %s", run.way->name, run.files, what);
	return good;
}

static bool phases(void)
{
	int half = run.views / 2;

	for (int view = 0; view < run.views; view++)
		if (!tree_expect(BASE, version_of(view)))
			return right("making files", false);
	if (run.way->begin && !run.way->begin(run.files))
		return right("beginning", false);
	if (!measured("create", create, before_create, run.views) || !right("create", created()))
		return false;
	run.done = 0;
	if (!run.way->in_place && (!measured("change", change, before_change, run.views) || !right("change", changed())))
		return false;
	run.done = 0;
	if (!measured("commit", commit, before_commit, half) || !right("commit", ended(true)))
		return false;
	return measured("abort", abandon, before_abort, half) && right("abort", ended(false));
}

/* All sizes of one way, each in the directory of its workspace. */
static bool sizes_of(int way)
{
	bool good = true;
	char name[16];

	for (int size = 0; good && size < SIZES; size++) {
		run = (struct run){ ways[way], sizes[size].files, sizes[size].views, sizes[size].warmup, way, 0, true };
		snprintf(name, sizeof(name), "%d", run.files);
		fflush(stdout);
		alarm(STUCK_S);
		good = !chdir(name) && phases() && !chdir("..");
		alarm(0);
	}
	return good;
}

static bool make_workspaces(void)
{
	char name[16];
	bool good = true;

	for (int size = 0; good && size < SIZES; size++) {
		snprintf(name, sizeof(name), "%d", sizes[size].files);
		good = !mkdir(name, 0755) && !chdir(name) && tree_make(BASE, sizes[size].files) && !chdir("..");
	}
	return good;
}

static void enter_space(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		lab_bail("no mount namespace: %m");
	/* Whether a read takes down a time goes by ticks. */
	if ((mkdir("space", 0755) && errno != EEXIST) || mount("space", "space", "tmpfs", MS_NOATIME, "size=80%,mode=755") ||
	    chdir("space"))
		lab_bail("no tmpfs: %m");
	if (!make_workspaces())
		lab_bail("no workspaces: %m");
}

/* Where it takes place, and all of it there. */
static bool placed(int way)
{
	const struct way *one = ways[way];

	if (!one->enter)
		return sizes_of(way);
	if (!one->enter() || !make_workspaces()) {
		lab_note("%s: no place for it: %m", one->name);
		return false;
	}
	return sizes_of(way) && one->leave();
}

int main(int argc, char **argv)
{
	lab_hold(argc, argv);
	lab_plan(WAYS);
	lab_keep_pages();
	lab_fill_holes();
	lab_settle();
	enter_space();
	lab_calibrate();
	for (int way = 0; way < WAYS; way++) {
		const char *lack = ways[way]->lacks ? ways[way]->lacks() : NULL;

		if (lack)
			lab_skip(ways[way]->name, "%s", lack);
		else
			lab_result(placed(way), ways[way]->name);
	}
	return lab_exit();
}
