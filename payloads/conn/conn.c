// SPDX-License-Identifier: GPL-2.0
/*
 * Description: a connection to a server on the same CPU: socket(), connect(), 64 B there and back, close(). The server is
 * another process that accepts, answers and closes when it reads the end.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <exchange.h>
#include <stddef.h>
#include <sys/un.h>

#define SIZE 64
#define WARMUP 100
#define LAPS 300

/* Kinds of sockets. lacks: what this kernel has not got for it, or NULL. */
static const struct way { const char *name; int family, type; const char *(*lacks)(void); } ways[] = {
	{ "unix-stream", AF_UNIX, SOCK_STREAM, NULL },
	{ "unix-seqpacket", AF_UNIX, SOCK_SEQPACKET, NULL },
	{ "tcp", AF_INET, SOCK_STREAM, NULL },
	{ "tcp-agent", AF_INET, SOCK_STREAM, lacks_agent },
};
#define WAYS (int)(sizeof(ways) / sizeof(*ways))

static const struct way *way;		/* the one under test */
static int listener;
static union { struct sockaddr any; struct sockaddr_in in; struct sockaddr_un un; } address;
static socklen_t length;
static uint64_t sequence;

static int new_socket(void)
{
	int fd = socket(way->family, way->type, 0);

	return way->lacks && !opt_in(fd) ? -1 : fd;
}

/* An abstract name in AF_UNIX, a free port in AF_INET. */
static bool start_listening(void)
{
	memset(&address, 0, sizeof(address));
	length = sizeof(address.in);
	if (way->family == AF_INET) {
		address.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	} else {
		address.un.sun_family = AF_UNIX;
		length = offsetof(struct sockaddr_un, sun_path) + 1 + snprintf(address.un.sun_path + 1, 64, "conn-%s", way->name);
	}
	if (!loopback_up() || (way->lacks && !enter_cgroup()))
		return false;
	listener = new_socket();
	return listener >= 0 && !bind(listener, &address.any, length) && !listen(listener, 16) &&
	       !getsockname(listener, &address.any, &length);
}

static void serve(void *context)
{
	char message[SIZE];
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (read(fd, message, SIZE) != SIZE || write(fd, message, SIZE) != SIZE || read(fd, message, SIZE) || close(fd))
			return;
	}
	(void)context;
}

/* A connection that was used: its socket, or -1. */
static int used(void)
{
	char want[SIZE] = "asked", got[SIZE];
	int fd = new_socket();

	memcpy(want + SIZE - sizeof(sequence), &sequence, sizeof(sequence));
	sequence++;
	if (connect(fd, &address.any, length) || write(fd, want, SIZE) != SIZE || read(fd, got, SIZE) != SIZE)
		return -1;
	return memcmp(want, got, SIZE) ? -1 : fd;
}

static bool one(void *context)
{
	return !close(used()) && !context;
}

/* Which way the bytes of a connection go; a server that has not accepted yet cannot be reached by its ring. */
static bool by_ring(void)
{
	struct agent_local_info info = { 0 };
	int fd = used();
	bool there = agent_info(fd, &info) && info.rx_bytes == SIZE;

	close(fd);
	lab_note("%s: of %d B there and %d B back, %llu and %llu went by ring", way->name, SIZE, SIZE,
		 (unsigned long long)info.tx_bytes, (unsigned long long)info.rx_bytes);
	return there;
}

static bool measured(const char *name)
{
	pid_t server;
	bool good;

	if (!start_listening()) {
		lab_note("%s: cannot listen: %m", name);
		return false;
	}
	server = start_peer(serve, NULL);
	close(listener);
	alarm(STUCK_S);
	good = !lab_measure_apart(name, one, lab_even, NULL, WARMUP, LAPS) && (!way->lacks || by_ring());
	alarm(0);
	stop_peer(server);
	return good;
}

int main(void)
{
	begin_rows(WAYS);
	for (way = ways; way < ways + WAYS; way++)
		row(way->name, way->lacks, measured);
	return lab_exit();
}
