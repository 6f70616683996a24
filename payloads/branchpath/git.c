// SPDX-License-Identifier: GPL-2.0
/* Views by git: a worktree each, or changes put aside (stash). git runs as a user runs it, by name and with its defaults. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "branchpath.h"

/* Identity and dates are given, so that the same change is the same commit in every boot. */
static char *const environment[] = {
	"PATH=/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=lab", "GIT_AUTHOR_EMAIL=lab@lab",
	"GIT_COMMITTER_NAME=lab", "GIT_COMMITTER_EMAIL=lab@lab", "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z",
	"GIT_COMMITTER_DATE=2026-01-01T00:00:00Z", NULL,
};

static const char *git_lacks(void)
{
	return access("/usr/bin/git", X_OK) ? "this image has no git; --image debian has" : NULL;
}

/* git -C <directory> and up to seven words more, quiet; whether it succeeded. */
static bool git(const char *directory, const char *const words[])
{
	const char *argv[12] = { "git", "-C", directory };
	posix_spawn_file_actions_t quiet;
	int status = -1, n = 3;
	pid_t pid;

	while (*words)
		argv[n++] = *words++;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	if (!posix_spawn(&pid, "/usr/bin/git", &quiet, NULL, (char *const *)argv, environment))
		waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&quiet);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

#define GIT(directory, ...) git(directory, (const char *const[]){ __VA_ARGS__, NULL })

static bool begin(int files)
{
	(void)files;
	return GIT(BASE, "init", "-q") && GIT(BASE, "config", "gc.auto", "0") && GIT(BASE, "add", "-A") &&
	       GIT(BASE, "commit", "-q", "-m", "base");
}

static bool worktree_create(int view)
{
	char place[64];

	snprintf(place, sizeof(place), "../%s", view_name("view", view));
	return GIT(BASE, "worktree", "add", "-q", "--detach", place);
}

static bool worktree_abort(int view)
{
	char place[64];

	snprintf(place, sizeof(place), "../%s", view_name("view", view));
	return GIT(BASE, "worktree", "remove", "--force", place);
}

static bool worktree_commit(int view)
{
	const char *name = view_name("view", view);
	char head[64];

	snprintf(head, sizeof(head), "worktrees/%s/HEAD", name);
	return GIT(name, "add", "-A") && GIT(name, "commit", "-q", "-m", "change") && GIT(BASE, "reset", "-q", "--hard", head) &&
	       worktree_abort(view);
}

const struct way worktree = {
	.name = "worktree", .lacks = git_lacks, .begin = begin, .create = worktree_create, .commit = worktree_commit,
	.abort = worktree_abort,
};

static bool stash_create(int view)
{
	(void)view;
	return GIT(BASE, "stash", "push", "-q", "-u");
}

static bool stash_commit(int view)
{
	(void)view;
	return GIT(BASE, "stash", "pop", "-q");
}

static bool stash_abort(int view)
{
	(void)view;
	return GIT(BASE, "stash", "drop", "-q");
}

static bool stash_clean(void)
{
	return GIT(BASE, "reset", "-q", "--hard") && GIT(BASE, "clean", "-q", "-f", "-d");
}

const struct way stashing = {
	.name = "stash", .lacks = git_lacks, .begin = begin, .create = stash_create, .commit = stash_commit, .abort = stash_abort,
	.in_place = true, .clean = stash_clean,
};
