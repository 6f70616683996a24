/* SPDX-License-Identifier: GPL-2.0 */
/* Servers that nobody changed, and what asks them. */
#ifndef SERVERS_H
#define SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

#define PRELOAD "agent_net.so"		/* of the tree's tools/agent-net, where it has that */
#define SOCKET "/tmp/lab-servers.sock"

/* How a client comes to its server. */
struct way { const char *name; bool loopback, preload, local; };

/* A server with its client, the way between them, so many connections. */
struct row { const struct program *program; const struct way *way; const char *clients; };

struct program {
	const char *name, *port;
	const char *clients[3];		/* connections of each row */
	const char *needs[2];		/* paths of the image */
	int few;			/* an operation is a run of the client: a row is net of one with so few requests. 0: it stays */
	int requests;			/* and of so many more */
	int bytes;			/* of one and its answer, at least */
	bool (*start)(const struct row *row);
	bool (*ask)(const struct row *row, int requests);
	long (*answered)(const struct row *row);	/* requests so far, as the server or the client counts them; -1: unknown */
	void (*stop)(void);
};

extern const struct program redis, http;

/* Start argv as part of the operation, preloaded if the way says so; in and out: descriptors, or -1 for /dev/null. */
pid_t start(const struct way *way, const char *const argv[], int in, int out);
bool ended_well(pid_t pid);
void end(pid_t *pid);
/* A connection of our own, as soon as there is one to be had; -1: there is none. */
int reach(const struct row *row);

#endif
