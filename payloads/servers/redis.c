// SPDX-License-Identifier: GPL-2.0
/* redis-server as Debian has it, asked by redis-benchmark: SET of 64 B, a run of it an operation. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "servers.h"

#define REDIS_PORT "7101"
#define SETS "cmdstat_set:calls="

static pid_t server = -1;

static bool start_redis(const struct row *row)
{
	const char *const argv[] = {
		"redis-server", "--port", REDIS_PORT, "--bind", "127.0.0.1", "--unixsocket", SOCKET, "--save", "", "--appendonly", "no",
		"--dir", "/tmp", "--loglevel", "warning", NULL,
	};
	int fd;

	server = start(row->way, argv, -1, -1);
	fd = server < 0 ? -1 : reach(row);
	return fd >= 0 && !close(fd);
}

static bool ask_redis(const struct row *row, int requests)
{
	char count[16];
	const char *argv[16] = { "redis-benchmark", "-t", "set", "-d", "64", "-q", "-c", row->clients, "-n", count };
	int n = 10;

	snprintf(count, sizeof(count), "%d", requests);
	argv[n++] = row->way->local ? "-s" : "-p";
	argv[n++] = row->way->local ? SOCKET : REDIS_PORT;
	return ended_well(start(row->way, argv, -1, -1));
}

/* The server's own count of the command. */
static long sets(const struct row *row)
{
	static const char ask[] = "INFO commandstats\r\n";
	int fd = reach(row);
	size_t got = 0;
	char said[8192], *at;
	long calls = -1;
	ssize_t n;

	if (fd >= 0 && write(fd, ask, strlen(ask)) == (ssize_t)strlen(ask)) {
		do {		/* a bulk string: its length, the text, an empty line at its end */
			n = read(fd, said + got, sizeof(said) - 1 - got);
			got += n > 0 ? n : 0;
			said[got] = 0;
		} while (n > 0 && !(got > 4 && !strcmp(said + got - 4, "\r\n\r\n")));
		at = strstr(said, SETS);
		calls = at ? atol(at + strlen(SETS)) : strstr(said, "# Commandstats") ? 0 : -1;
	}
	close(fd);
	return calls;
}

static void stop_redis(void)
{
	end(&server);
}

const struct program redis = {
	.name = "redis", .port = REDIS_PORT, .needs = { "/usr/bin/redis-server", "/usr/bin/redis-benchmark" },
	.clients = { "1", "50" }, .few = 100, .requests = 500, .bytes = 100,
	.start = start_redis, .ask = ask_redis, .answered = sets, .stop = stop_redis,
};
