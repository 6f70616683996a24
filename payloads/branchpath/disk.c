// SPDX-License-Identifier: GPL-2.0
/* A btrfs, whose files can share extents, on a block device in memory (null_blk) that completes a request before it returns. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "branchpath.h"

#define CONFIG "/sys/kernel/config"
#define NAME "branchpath"
#define DEVICE "/dev/" NAME
#define ITEM CONFIG "/nullb/" NAME
#define MKFS "/usr/sbin/mkfs.btrfs"
#define PLACE "disk"
/* A file of one sector has an extent to share; nothing is committed by time. */
#define OPTIONS "max_inline=0,commit=300"

static bool kernel_has(const char *file_system)
{
	FILE *all = fopen("/proc/filesystems", "r");
	char line[64];
	bool there = false;

	while (all && fgets(line, sizeof(line), all))
		there |= !strcmp(line + strcspn(line, "\t"), file_system);
	return all && !fclose(all) && there;
}

const char *disk_lacks(void)
{
	if (!kernel_has("\tbtrfs\n") || !kernel_has("\tconfigfs\n") || access("/sys/module/null_blk", F_OK))
		return "the kernel has no btrfs, no null_blk or no configfs: kconfig full has";
	return access(MKFS, X_OK) ? "this image has no mkfs.btrfs; --image debian has" : NULL;
}

static bool set(const char *key, const char *value)
{
	char path[96];
	int fd;
	bool good;

	snprintf(path, sizeof(path), ITEM "/%s", key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	return fd >= 0 && !close(fd) && good;
}

static bool make_device(void)
{
	if (mount("none", CONFIG, "configfs", 0, NULL) && errno != EBUSY)
		return false;
	return !mkdir(ITEM, 0755) && set("size", "2048") && set("memory_backed", "1") && set("irqmode", "0") && set("blocksize", "4096") &&
	       set("power", "1");
}

static bool make_file_system(void)
{
	char *const argv[] = { "mkfs.btrfs", "-q", "-m", "single", DEVICE, NULL }, *const environment[] = { NULL };
	int status = -1;
	pid_t pid;

	return !posix_spawn(&pid, MKFS, NULL, NULL, argv, environment) && waitpid(pid, &status, 0) == pid && !status;
}

bool disk_enter(void)
{
	return make_device() && make_file_system() && !mkdir(PLACE, 0755) && !mount(DEVICE, PLACE, "btrfs", 0, OPTIONS) && !chdir(PLACE);
}

bool disk_leave(void)
{
	return !chdir("..") && !umount2(PLACE, 0) && !rmdir(PLACE) && !rmdir(ITEM);
}
