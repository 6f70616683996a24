// SPDX-License-Identifier: GPL-2.0
/* http-server.py, asked by http-client.py, which keeps its connections and is told how many requests to make. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "servers.h"

#define HTTP_PORT "7102"

static pid_t server = -1, client = -1;
static int orders = -1, reports = -1;
static long done;

static bool start_client(const struct row *row)
{
	const char *const argv[] = { "python3", "-sS", "http-client.py", row->way->local ? SOCKET : HTTP_PORT, row->clients, NULL };
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	client = start(row->way, argv, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	orders = in[1];
	reports = out[0];
	done = 0;
	return client > 0;
}

static bool start_http(const struct row *row)
{
	const char *const argv[] = { "python3", "-sS", "http-server.py", row->way->local ? SOCKET : HTTP_PORT, NULL };
	int fd;

	server = start(row->way, argv, -1, -1);
	fd = server < 0 ? -1 : reach(row);
	return fd >= 0 && !close(fd) && start_client(row);
}

static bool ask_http(const struct row *row, int requests)
{
	char said[16];
	ssize_t n;

	(void)row;
	if (dprintf(orders, "%d\n", requests) < 0)
		return false;
	n = read(reports, said, sizeof(said));
	if (n != 5 || memcmp(said, "done\n", 5))
		return false;
	done += requests;
	return true;
}

/* The client compares all it gets and ends when something is wrong. */
static long asked(const struct row *row)
{
	(void)row;
	return done;
}

static void stop_http(void)
{
	end(&client);
	end(&server);
	close(orders);
	close(reports);
	orders = reports = -1;
}

const struct program http = {
	.name = "http", .port = HTTP_PORT, .needs = { "/usr/bin/python3", "/usr/bin/python3" },
	.clients = { "10" }, .requests = 50, .bytes = 1100,
	.start = start_http, .ask = ask_http, .answered = asked, .stop = stop_http,
};
