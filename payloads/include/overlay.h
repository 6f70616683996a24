/* SPDX-License-Identifier: GPL-2.0 */
/* A view of a directory by overlayfs, mounted with fsopen() and fsmount(); what was changed in it, put into the directory. */
#ifndef OVERLAY_H
#define OVERLAY_H

#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <tree.h>

static inline bool overlay_say(int context, const char *key, const char *value)
{
	return !fsconfig(context, FSCONFIG_SET_STRING, key, value, 0);
}

/* `upper` and `work` are new, `view` is there. */
static inline bool overlay_mount(const char *lower, const char *upper, const char *work, const char *view)
{
	int context, mount = -1;
	bool good;

	if (mkdir(upper, 0755) || mkdir(work, 0755))
		return false;
	context = fsopen("overlay", FSOPEN_CLOEXEC);
	good = context >= 0 && overlay_say(context, "lowerdir", lower) && overlay_say(context, "upperdir", upper) &&
	       overlay_say(context, "workdir", work) && !fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (good)
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	good = good && mount >= 0 && !move_mount(mount, "", AT_FDCWD, view, MOVE_MOUNT_F_EMPTY_PATH);
	if (mount >= 0)
		close(mount);
	return context >= 0 && !close(context) && good;
}

/* What the directory `name` of an upper layer holds, moved into the same one of the lower; whiteouts remove. */
static inline bool overlay_apply(int upper_at, int lower_at, const char *name)
{
	DIR *upper = tree_open(upper_at, name), *lower = tree_open(lower_at, name);
	const struct dirent *entry;
	bool good = upper && lower;
	struct stat stat;

	while (good && (entry = tree_next(upper))) {
		const char *one = entry->d_name;

		if (entry->d_type == DT_CHR)
			good = !fstatat(dirfd(upper), one, &stat, AT_SYMLINK_NOFOLLOW) && stat.st_rdev == makedev(0, 0) &&
			       !unlinkat(dirfd(lower), one, 0);
		else if (entry->d_type == DT_DIR && !faccessat(dirfd(lower), one, F_OK, 0))
			good = overlay_apply(dirfd(upper), dirfd(lower), one);
		else
			good = !renameat(dirfd(upper), one, dirfd(lower), one);
	}
	return upper && !closedir(upper) && lower && !closedir(lower) && good;
}

#endif
