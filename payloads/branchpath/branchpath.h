/* SPDX-License-Identifier: GPL-2.0 */
/* Ways to try a change of a workspace apart from it, and then to keep or to drop it. */
#ifndef BRANCHPATH_H
#define BRANCHPATH_H

#include <stdbool.h>
#include <stddef.h>

#define BASE "base"
#define MAX_VIEWS 8

/*
 * One way; its functions work on view number `view`, for which view_name() has a place. Whether the view is the workspace itself
 * (git stash) or apart from it, commit leaves the change in the workspace and nothing else, abort nothing at all.
 */
struct way {
	const char *name;
	const char *(*lacks)(void);		/* what this guest has not got for it, or NULL */
	bool (*enter)(void), (*leave)(void);	/* a place of its own, with workspaces of its own; else the tmpfs of the others */
	bool (*begin)(int files);		/* with a fresh workspace */
	bool (*create)(int view);
	bool (*commit)(int view);
	bool (*abort)(int view);
	bool in_place;				/* the change comes before create, which puts it aside */
	bool (*clean)(void);			/* in place: the workspace without changes, between two of them */
};

extern const struct way copying, reflinking, overlaying, worktree, stashing;

/* disk.c: a file system whose files can share extents. */
const char *disk_lacks(void);
bool disk_enter(void);
bool disk_leave(void);

/* `view-3`, by turns in one of a few places. */
const char *view_name(const char *prefix, int view);

#endif
