// SPDX-License-Identifier: GPL-2.0
/* Running a tool as agent frameworks do: posix_spawn() with its output in a pipe, then wait. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent-loop.h"

#define TOOL "/proc/self/fd/9"		/* TOOL_FD */

static bool start_tool(const char *workspace, int out, pid_t *pid)
{
	char *const argv[] = { "tool", NULL }, *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	bool good;

	posix_spawn_file_actions_init(&actions);
	good = !posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) &&
	       !posix_spawn_file_actions_adddup2(&actions, out, 1) && !posix_spawn_file_actions_addchdir_np(&actions, workspace) &&
	       !posix_spawn(pid, TOOL, &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	return good;
}

bool run_tool(const char *workspace, int version)
{
	char said[256], expected[256];
	int out[2], status = -1;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		return false;
	if (!start_tool(workspace, out[1], &pid))
		return false;
	close(out[1]);
	while ((n = read(out[0], said + used, sizeof(said) - 1 - used)) > 0)
		used += n;
	said[used] = 0;
	close(out[0]);
	snprintf(expected, sizeof(expected), SAID, version);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status) && !strcmp(said, expected);
}
