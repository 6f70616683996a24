// SPDX-License-Identifier: GPL-2.0
/*
 * Description: one turn of an agent, by phase: it asks a model and gets tokens, runs a tool, reads what is there, talks to another
 * agent, tries three variants of its workspace with a tool in each, and keeps one. Model and agent are processes behind
 * TCP, tools are spawned, the workspace is a tmpfs of a hundred files. Everything that comes back is checked.
 */
#define _GNU_SOURCE
#include <sys/mount.h>

#include <holes.h>
#include <tree.h>

#include "agent-loop.h"

#define WARMUP 4
#define LAPS 12
#define REST_MS 60			/* longer than TCP delays an acknowledgement */
#define STUCK_S 120
#define SPACE "space"

/* One agent, and which turn it is in; `version` is what its workspace says. */
static struct agent {
	unsigned long turn;
	int version;
} agent;

static bool plan(void)
{
	return ask_model(agent.turn);
}

static bool spawn(void)
{
	return run_tool("base", agent.version);
}

/* What the tool left, and every file of the directory that it is about. */
static bool results(void)
{
	char text[RESULT_BYTES + 1];
	const struct dirent *entry;
	struct stat stat;
	int files = 0;
	DIR *directory;
	int fd = open("base/" RESULT, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &stat) || read(fd, text, sizeof(text)) != stat.st_size || stat.st_size != RESULT_BYTES || close(fd))
		return false;
	directory = tree_open(AT_FDCWD, "base/d0000");
	while (directory && (entry = tree_next(directory))) {
		fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
		files += fd >= 0 && read(fd, text, sizeof(text)) == TREE_BYTES && !close(fd);
	}
	return directory && !closedir(directory) && files >= FILES;
}

static bool message(void)
{
	return talk(agent.turn);
}

static const char *variant(int i)
{
	static const char *const names[] = { "variant-0", "variant-1", "variant-2" };

	return names[i];
}

/* A copy of the workspace for each idea, changed and tested. */
static bool try_variants(void)
{
	bool good = true;

	for (int i = 0; i < VARIANTS; i++) {
		int version = agent.version + 1 + i;

		good &= tree_copy(AT_FDCWD, "base", AT_FDCWD, variant(i), tree_fill_copy) && tree_change(variant(i), FILES, version) &&
			run_tool(variant(i), version);
	}
	return good;
}

/* The last one becomes the workspace, the others and the old one go. */
static bool keep_one(void)
{
	const int kept = VARIANTS - 1;
	bool good = !renameat2(AT_FDCWD, variant(kept), AT_FDCWD, "base", RENAME_EXCHANGE);

	for (int i = 0; i < VARIANTS; i++)
		good &= tree_remove(AT_FDCWD, variant(i));
	agent.version += VARIANTS;
	return good;
}

static bool explore(void)
{
	return try_variants() && keep_one();
}

static bool turn(void)
{
	return plan() && spawn() && results() && message() && explore();
}

static const struct phase { const char *name; bool (*run)(void); } phases[] = {
	{ "plan", plan }, { "spawn", spawn }, { "read", results }, { "message", message }, { "explore", explore }, { "turn", turn },
};
#define PHASES (int)(sizeof(phases) / sizeof(*phases))

static bool one(void *phase)
{
	return ((const struct phase *)phase)->run();
}

/* A new turn, with files that the variants can remove, and none that earlier turns made. */
static bool between(void *unused)
{
	char name[64];
	bool good = true;

	(void)unused;
	lab_forget();
	agent.turn++;
	for (int i = 1; i <= VARIANTS; i++) {
		good &= tree_expect("base", agent.version + i);
		snprintf(name, sizeof(name), "base/d0000/new-%d", agent.version + 1 - i);
		unlink(name);
		snprintf(name, sizeof(name), "base/d0000/old-%d", agent.version + 1 - i);
		unlink(name);
	}
	lab_rest_by_tick(REST_MS);
	return good;
}

static bool measured(const struct phase *phase)
{
	bool good = start_others();

	alarm(STUCK_S);
	good = good && !lab_measure_apart(phase->name, one, between, (void *)phase, WARMUP, LAPS);
	alarm(0);
	stop_others();
	return good && (agent.version ? tree_is("base", FILES, agent.version, true) : tree_whole("base", FILES));
}

static void enter_workspace(void)
{
	int tool = open("tool", O_PATH | O_CLOEXEC);

	if (tool < 0 || dup3(tool, TOOL_FD, O_CLOEXEC) != TOOL_FD)
		lab_bail("no tool: %m");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		lab_bail("no mount namespace: %m");
	/* Whether a read takes down a time goes by ticks. */
	if ((mkdir(SPACE, 0755) && errno != EEXIST) || mount(SPACE, SPACE, "tmpfs", MS_NOATIME, "mode=755") || chdir(SPACE))
		lab_bail("no tmpfs: %m");
	if (!tree_make("base", FILES) || !run_tool("base", 0))
		lab_bail("no workspace: %m");
}

int main(int argc, char **argv)
{
	lab_hold(argc, argv);
	lab_plan(PHASES);
	lab_keep_pages();
	lab_fill_holes();
	lab_settle();
	munlockall();
	enter_workspace();
	lab_calibrate();
	for (int i = 0; i < PHASES; i++)
		lab_result(measured(&phases[i]), phases[i].name);
	return lab_exit();
}
