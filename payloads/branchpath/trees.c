// SPDX-License-Identifier: GPL-2.0
/* Views by copying: every byte (cp -r), only the extents (reflink), or nothing before it changes (overlayfs). */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <overlay.h>

#include "branchpath.h"

const char *view_name(const char *prefix, int view)
{
	static char names[4][32];
	static int turn;
	char *name = names[turn++ % 4];

	snprintf(name, sizeof(names[0]), "%s-%d", prefix, view);
	return name;
}

static bool copy_create(int view)
{
	return tree_copy(AT_FDCWD, BASE, AT_FDCWD, view_name("view", view), tree_fill_copy);
}

static bool copy_abort(int view)
{
	return tree_remove(AT_FDCWD, view_name("view", view));
}

static bool copy_commit(int view)
{
	return !renameat2(AT_FDCWD, view_name("view", view), AT_FDCWD, BASE, RENAME_EXCHANGE) && copy_abort(view);
}

const struct way copying = { .name = "copy", .create = copy_create, .commit = copy_commit, .abort = copy_abort };

static bool fill_reflink(int from, int to)
{
	return !ioctl(to, FICLONE, from);
}

static bool reflink_create(int view)
{
	return tree_copy(AT_FDCWD, BASE, AT_FDCWD, view_name("view", view), fill_reflink);
}

static bool kernel_has(const char *file_system)
{
	FILE *all = fopen("/proc/filesystems", "r");
	char line[64];
	bool there = false;

	while (all && fgets(line, sizeof(line), all))
		there |= strstr(line, file_system) != NULL;
	return all && !fclose(all) && there;
}

/* Whether a file can share another's extents where we are. */
static bool shares_extents(void)
{
	int from = open("from", O_CREAT | O_RDWR | O_CLOEXEC, 0600), to = open("to", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	bool there = write(from, "x", 1) == 1 && fill_reflink(from, to);

	close(from);
	close(to);
	unlink("from");
	unlink("to");
	return there;
}

static const char *reflink_lacks(void)
{
	if (shares_extents())
		return NULL;
	if (!kernel_has("\tbtrfs\n") && !kernel_has("\txfs\n"))
		return "the kernel has neither btrfs nor xfs: kconfig full has";
	return "the workspace is on tmpfs, whose files share no extents";
}

const struct way reflinking = {
	.name = "reflink", .lacks = reflink_lacks, .create = reflink_create, .commit = copy_commit, .abort = copy_abort,
};

static bool overlay_create(int view)
{
	const char *name = view_name("view", view);

	return !mkdir(name, 0755) && overlay_mount(BASE, view_name("upper", view), view_name("work", view), name);
}

static bool overlay_abort(int view)
{
	const char *name = view_name("view", view);

	return !umount2(name, 0) && !rmdir(name) && tree_remove(AT_FDCWD, view_name("upper", view)) &&
	       tree_remove(AT_FDCWD, view_name("work", view));
}

static bool overlay_commit(int view)
{
	const char *name = view_name("view", view), *upper = view_name("upper", view);
	int at = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC), base = open(BASE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = !umount2(name, 0) && !rmdir(name) && overlay_apply(at, base, ".");

	return !close(at) && !close(base) && tree_remove(AT_FDCWD, upper) && tree_remove(AT_FDCWD, view_name("work", view)) && good;
}

const struct way overlaying = { .name = "overlay", .create = overlay_create, .commit = overlay_commit, .abort = overlay_abort };
