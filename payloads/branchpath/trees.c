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

const struct way reflinking = {
	.name = "reflink", .lacks = disk_lacks, .enter = disk_enter, .leave = disk_leave, .create = reflink_create, .commit = copy_commit,
	.abort = copy_abort,
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
