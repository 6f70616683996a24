/* SPDX-License-Identifier: GPL-2.0 */
/* A workspace: small files in directories of a hundred; how it is copied, changed, looked at and removed. Paths are relative. */
#ifndef TREE_H
#define TREE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <lab.h>

#define TREE_DIRECTORY 100
#define TREE_BYTES 512
#define TREE_CHANGED 8			/* files that a change rewrites; it makes one more and removes one */

/* What file number `file` says in version `version`; `text` has room for TREE_BYTES. */
static inline void tree_text(char *text, int file, int version)
{
	memset(text, 'a' + file % 26, TREE_BYTES);
	snprintf(text, TREE_BYTES, "file %d version %d\n", file, version);
}

static inline void tree_name(char *name, size_t size, const char *root, int file)
{
	snprintf(name, size, "%s/d%04d/f%06d", root, file / TREE_DIRECTORY, file);
}

static inline bool tree_write(const char *name, int file, int version)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	char text[TREE_BYTES];
	bool good;

	tree_text(text, file, version);
	good = fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text);
	return fd >= 0 && !close(fd) && good;
}

static inline bool tree_says(const char *name, int file, int version)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char text[TREE_BYTES], found[TREE_BYTES + 1];
	bool good;

	tree_text(text, file, version);
	good = fd >= 0 && read(fd, found, sizeof(found)) == sizeof(text) && !memcmp(text, found, sizeof(text));
	return fd >= 0 && !close(fd) && good;
}

/* `files` of version 0. */
static inline bool tree_make(const char *root, int files)
{
	char name[256];
	bool good = !mkdir(root, 0755);

	for (int file = 0; good && file < files; file++) {
		if (file % TREE_DIRECTORY == 0) {
			snprintf(name, sizeof(name), "%s/d%04d", root, file / TREE_DIRECTORY);
			good &= !mkdir(name, 0755);
		}
		tree_name(name, sizeof(name), root, file);
		good &= tree_write(name, file, 0);
	}
	return good;
}

/* The entry's name without `.` and `..`; NULL: no more. */
static inline const struct dirent *tree_next(DIR *directory)
{
	const struct dirent *entry;

	while ((entry = readdir(directory)) && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")))
		;
	return entry;
}

static inline DIR *tree_open(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

/* How the bytes of one open file get into another. */
typedef bool (*tree_fill)(int from, int to);

static inline bool tree_fill_copy(int from, int to)
{
	static char bytes[1 << 17];	/* what cp takes at a time */
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, n) != n)
			return false;
	return !n;
}

static inline bool tree_copy_file(int from_at, int to_at, const char *name, tree_fill fill)
{
	int from = openat(from_at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to;
	struct stat stat;
	bool good;

	if (from < 0 || fstat(from, &stat))
		return false;
	to = openat(to_at, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, stat.st_mode & 07777);
	good = to >= 0 && fill(from, to);
	return !close(from) && to >= 0 && !close(to) && good;
}

/* As cp -r does it: `name` in the directory `to_at` is new. Files and directories only. */
static inline bool tree_copy(int from_at, const char *from, int to_at, const char *name, tree_fill fill)
{
	DIR *source = tree_open(from_at, from), *target = NULL;
	const struct dirent *entry;
	bool good = source && !mkdirat(to_at, name, 0755) && (target = tree_open(to_at, name));

	while (good && (entry = tree_next(source))) {
		if (entry->d_type == DT_DIR)
			good = tree_copy(dirfd(source), entry->d_name, dirfd(target), entry->d_name, fill);
		else
			good = tree_copy_file(dirfd(source), dirfd(target), entry->d_name, fill);
	}
	return source && !closedir(source) && target && !closedir(target) && good;
}

/* As rm -r does it. */
static inline bool tree_remove(int at, const char *name)
{
	DIR *directory = tree_open(at, name);
	const struct dirent *entry;
	bool good = directory;

	while (good && (entry = tree_next(directory)))
		good = entry->d_type == DT_DIR ? tree_remove(dirfd(directory), entry->d_name)
					       : !unlinkat(dirfd(directory), entry->d_name, 0);
	return directory && !closedir(directory) && !unlinkat(at, name, AT_REMOVEDIR) && good;
}

static inline void tree_changed_name(char *name, size_t size, const char *root, int files, int i, int *file)
{
	*file = (int)((long)i * files / TREE_CHANGED);
	tree_name(name, size, root, *file);
}

/* What change number `version`, above 0, needs: a file that it can remove. */
static inline bool tree_expect(const char *root, int version)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/d0000/old-%d", root, version);
	return tree_write(name, version, 0);
}

static inline bool tree_change(const char *root, int files, int version)
{
	char name[256];
	bool good = true;
	int file;

	for (int i = 0; i < TREE_CHANGED; i++) {
		tree_changed_name(name, sizeof(name), root, files, i, &file);
		good &= tree_write(name, file, version);
	}
	snprintf(name, sizeof(name), "%s/d0000/new-%d", root, version);
	good &= tree_write(name, version, version);
	snprintf(name, sizeof(name), "%s/d0000/old-%d", root, version);
	return !unlink(name) && good;
}

/* Whether exactly change number `version` shows in the files that changes rewrite, and in those it made and removed. */
static inline bool tree_is(const char *root, int files, int version, bool changed)
{
	char name[256];
	bool good = true;
	int file;

	for (int i = 0; i < TREE_CHANGED; i++) {
		tree_changed_name(name, sizeof(name), root, files, i, &file);
		good &= tree_says(name, file, version) == changed;
	}
	snprintf(name, sizeof(name), "%s/d0000/new-%d", root, version);
	good &= tree_says(name, version, version) == changed;
	snprintf(name, sizeof(name), "%s/d0000/old-%d", root, version);
	return good && (access(name, F_OK) != 0) == changed;
}

/* Every file of version 0, but for those that changes rewrite. */
static inline bool tree_whole(const char *root, int files)
{
	char name[256];
	int wrong = 0;

	for (int file = 0; file < files; file++) {
		tree_name(name, sizeof(name), root, file);
		wrong += !tree_says(name, file, 0);
	}
	return wrong <= TREE_CHANGED;
}

#endif
