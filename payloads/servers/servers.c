// SPDX-License-Identifier: GPL-2.0
/*
 * Description: requests to servers that nobody changed, redis-server by redis-benchmark and an asyncio HTTP server by an asyncio
 * client, over TCP, over TCP with the kernel tree's tools/agent-net preloaded into both, and over AF_UNIX. All of them run in
 * one cgroup. What is counted is both programs, from a client that waits to one that has all its answers.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <exchange.h>
#include <sys/un.h>

#include "servers.h"

#define WARMUP 1
#define LAPS 3
#define REACH_S 60

#define WAYS 3
#define ROWS 9

static const struct way ways[WAYS] = { { "tcp", true, false, false }, { "preload", false, true, false }, { "unix", false, false, true } };
static const struct program *const programs[] = { &redis, &http };

static struct row now;			/* the one under test */
static int requests;			/* of one operation of it */

pid_t start(const struct way *way, const char *const argv[], int in, int out)
{
	char preload[4096] = "LD_PRELOAD=", *environment[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LANG=C", "PYTHONHASHSEED=0", way->preload ? preload : NULL, NULL,
	};
	pid_t pid;

	if (!getcwd(preload + strlen(preload), sizeof(preload) - 64))
		return -1;
	strcat(preload, "/" PRELOAD);
	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(in < 0 ? open("/dev/null", O_RDONLY) : in, 0) < 0 || dup2(out < 0 ? open("/dev/null", O_WRONLY) : out, 1) < 0)
		_exit(126);
	lab_join();
	execvpe(argv[0], (char *const *)argv, environment);
	_exit(127);
}

bool ended_well(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

void end(pid_t *pid)
{
	if (*pid > 0)
		stop_peer(*pid);
	*pid = -1;
}

int reach(const struct row *row)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(atoi(row->program->port)),
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(row->way->local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	for (double until = now_s() + REACH_S; fd >= 0 && now_s() < until; usleep(10000)) {
		if (row->way->local ? !connect(fd, (void *)&un, sizeof(un)) : !connect(fd, (void *)&in, sizeof(in)))
			return fd;
	}
	close(fd);
	return -1;
}

static const char *lacks(void)
{
	for (int i = 0; i < 2; i++)
		if (access(now.program->needs[i], X_OK))
			return "this image has no such program; --image debian has";
	if (now.way->preload && access(PRELOAD, R_OK))
		return "this kernel's tree has no tools/agent-net, which is in the series agent-local";
	return now.way->preload ? lacks_agent() : NULL;
}

static bool op(void *context)
{
	return now.program->ask(&now, requests) && !context;
}

/* So many requests an operation, and what `lo` carried for them. */
static bool section(const char *name, int count, uint64_t *bytes)
{
	long before = now.program->answered(&now);
	bool good;

	requests = count;
	alarm(STUCK_S);
	good = before >= 0;
	*bytes = loopback_bytes();
	good &= !lab_measure(name, op, NULL, WARMUP, LAPS);
	*bytes = loopback_bytes() - *bytes;
	alarm(0);
	if (good && now.program->answered(&now) - before != (WARMUP + LAPS) * count) {
		lab_note("%s: %d requests, and the server counts %ld", name, (WARMUP + LAPS) * count, now.program->answered(&now) - before);
		good = false;
	}
	return good;
}

/* A client's start, which costs the same for few requests, is a section of its own, with a server of its own. */
static bool run_section(const char *name, int count, uint64_t *bytes)
{
	bool good = now.program->start(&now) && section(name, count, bytes);

	now.program->stop();
	unlink(SOCKET);
	return good;
}

static bool measured(const char *name)
{
	const struct program *program = now.program;
	uint64_t few = 0, all = 0;
	char begin[64];
	bool good = true;

	snprintf(begin, sizeof(begin), "start.%s", name);
	if (program->few)
		good = run_section(begin, program->few, &few);
	good &= run_section(name, program->few + program->requests, &all);
	all = all > few ? all - few : 0;
	return good && went_there(name, now.way->loopback, all, (uint64_t)(WARMUP + LAPS) * program->requests * program->bytes);
}

int main(void)
{
	char name[40];

	begin_rows(ROWS);
	take_turns();
	munlockall();			/* the children are programs of their own */
	if (!loopback_up() || !enter_cgroup())
		lab_bail("no loopback device or no cgroup: %m");
	for (int p = 0; p < 2; p++) {
		for (const char *const *clients = programs[p]->clients; *clients; clients++) {
			for (int w = 0; w < WAYS; w++) {
				now = (struct row){ programs[p], &ways[w], *clients };
				snprintf(name, sizeof(name), "%s.%s.%s", programs[p]->name, ways[w].name, *clients);
				row(name, lacks, measured);
			}
		}
	}
	return lab_exit();
}
