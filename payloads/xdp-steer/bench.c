// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "loader.h"
#include "say.h"
#include "sha256.h"
#include "world.h"
#include "xsk.h"

#define PORT		40001
#define OTHER_PORT	39001		/* out of the agents' range */
#define HEADERS		42		/* Ethernet, IPv4, UDP */
#define WARMUP		300
#define LAPS		500		/* even: of two kinds of laps in turn, the lower median is the shorter */
#define OPERATIONS	(WARMUP + LAPS)
#define RING		1024
#define LARGEST		1400

/* A way of a datagram from the peer to the agent. */
static const struct path {
	const char *name, *program;
	uint16_t port;
	enum { BY_SOCKET, BY_RING, NOT_AT_ALL } arrives;
} paths[] = {
	{ "stack", NULL, PORT, BY_SOCKET },
	{ "pass", "steer_registered", OTHER_PORT, BY_SOCKET },
	{ "drop", "drop", PORT, NOT_AT_ALL },
	{ "afxdp", "steer_port", PORT, BY_RING },
	{ "afxdp.registered", "steer_registered", PORT, BY_RING },
	{ "afxdp.cgroup", "steer_cgroup", PORT, BY_RING },
	{ "afxdp.cast", "steer_cast", PORT, BY_RING },
};

static const size_t sizes[] = { 64, LARGEST };

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

/* One run: both ends of a path. Everything received is kept, so that hashing it costs the operation nothing. */
struct run {
	size_t size;
	int from, to;
	struct xsk *ring;
	uint64_t sent;
	uint8_t messages[OPERATIONS][LARGEST];
	uint8_t received[OPERATIONS][LARGEST];		/* by the socket */
	const uint8_t *payloads[OPERATIONS];		/* where each is: here or in the agent's memory */
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Each message is its number, and then bytes that no other has. */
static void write_messages(struct run *run)
{
	uint64_t state = 0x5eed + run->size;

	for (uint64_t n = 0; n < OPERATIONS; n++) {
		for (size_t at = 0; at < run->size; at += 8) {
			uint64_t word = at ? random_next(&state) : n;

			memcpy(run->messages[n] + at, &word, 8);
		}
	}
}

/* Sent, arrived, of the right size, next in the sequence. */
static bool by_socket(void *context)
{
	struct run *run = context;
	uint64_t n = run->sent++, number;
	uint8_t *into = run->received[n];

	if (send(run->from, run->messages[n], run->size, 0) != (ssize_t)run->size)
		return false;
	if (recv(run->to, into, LARGEST, MSG_DONTWAIT) != (ssize_t)run->size)
		return false;
	run->payloads[n] = into;
	memcpy(&number, into, sizeof(number));
	return number == n;
}

static bool by_ring(void *context)
{
	struct run *run = context;
	uint64_t n = run->sent++, number;
	const uint8_t *frame;
	uint32_t length;

	if (send(run->from, run->messages[n], run->size, 0) != (ssize_t)run->size)
		return false;
	frame = xsk_receive(run->ring, &length);
	if (!frame || length != HEADERS + run->size)
		return false;
	run->payloads[n] = frame + HEADERS;
	memcpy(&number, frame + HEADERS, sizeof(number));
	return number == n;
}

static bool not_at_all(void *context)
{
	struct run *run = context;
	uint64_t n = run->sent++;

	return send(run->from, run->messages[n], run->size, 0) == (ssize_t)run->size;
}

/* Whether what arrived, in the order in which it did, is what was sent. */
static bool same_stream(const struct run *run, const char *name)
{
	char sent[65], arrived[65];
	struct sha256 hash;

	sha256_begin(&hash);
	for (int n = 0; n < OPERATIONS; n++)
		sha256_add(&hash, run->messages[n], run->size);
	sha256_end(&hash, sent);
	sha256_begin(&hash);
	for (int n = 0; n < OPERATIONS; n++)
		if (run->payloads[n])
			sha256_add(&hash, run->payloads[n], run->size);
	sha256_end(&hash, arrived);
	say("%s: SHA-256 of %d datagrams sent %.16s, received %.16s", name, OPERATIONS, sent, arrived);
	return !strcmp(sent, arrived);
}

/* One wrong bit in the middle of the stream is noticed. */
static bool notices(struct run *run)
{
	uint8_t *bit = &run->messages[OPERATIONS / 2][run->size / 2];
	bool noticed;

	*bit ^= 1;
	noticed = !same_stream(run, "control");
	*bit ^= 1;
	return noticed;
}

/* Nothing else may have been counted than what the path is for. */
static bool as_counted(const struct path *path, uint64_t before[REASONS])
{
	bool good = true;

	for (int reason = 0; reason < REASONS; reason++) {
		uint64_t want = 0, got = steer_counted(reason) - before[reason];

		if (path->arrives == BY_RING && reason == REDIRECT)
			want = OPERATIONS;
		if (path->program && path->arrives == BY_SOCKET && reason == RANGE)
			want = OPERATIONS;
		if (got != want)
			say("%s: reason %d was counted %lu times, not %lu", path->name, reason, got, want);
		good &= got == want;
	}
	return good;
}

static bool measure(struct run *run, const struct path *path, const char *name)
{
	bool (*ops[])(void *) = { [BY_SOCKET] = by_socket, [BY_RING] = by_ring, [NOT_AT_ALL] = not_at_all };
	uint64_t before[REASONS];
	bool good;

	for (int reason = 0; reason < REASONS; reason++)
		before[reason] = steer_counted(reason);
	run->sent = 0;
	memset(run->payloads, 0, sizeof(run->payloads));
	good = !say_measure(name, ops[path->arrives], run, WARMUP, LAPS);
	good &= as_counted(path, before);
	if (path->arrives != NOT_AT_ALL)
		good &= same_stream(run, name);
	return good;
}

/* The agent is cgroup one, with slot 0. Its socket is bound in every case: it owns the port. */
static void run_path(const struct world *world, struct run *run, const struct path *path, const char *name)
{
	struct xsk ring;
	int link = -1;

	run->to = agent_udp(world, "one", AGENTS, path->port);
	run->from = peer_udp(world, path->port);
	if (path->arrives == BY_RING) {
		enter(world->agents);
		MUST(xsk_open(&ring, &(struct xsk_want){ .chunks = 2 * RING, .ring = RING }));
		xsk_fill(&ring, RING);
		MUST(xsk_bind_next(&ring, world->device, 0, 0));
		enter(world->home);
		steer_slot(0, 0, ring.fd);
		run->ring = &ring;
	}
	if (path->program) {
		link = steer_attach(world, steer_program(path->program));
		MUST(link >= 0);
	}
	write_messages(run);
	say_result(measure(run, path, name), name);
	if (path->arrives == BY_RING)
		xsk_close(&ring);
	if (link >= 0)
		close(link);
	close(run->from);
	close(run->to);
}

int bench_cases(void)
{
	return COUNT(paths) * COUNT(sizes) + 1;
}

void bench_run(void)
{
	struct run *run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct world world;
	char name[40];

	MUST(run != MAP_FAILED);
	world_make(&world, 1);
	for (int p = 0; p < COUNT(paths); p++) {
		for (int s = 0; s < COUNT(sizes); s++) {
			const char *refusal = paths[p].program ? steer_refusal(paths[p].program) : NULL;

			run->size = sizes[s];
			snprintf(name, sizeof(name), "%s.%zu", paths[p].name, sizes[s]);
			if (refusal)
				say_skip(name, refusal);
			else
				run_path(&world, run, &paths[p], name);
		}
		if (!p)
			say_result(notices(run), "control: one wrong bit is noticed");
	}
	munmap(run, sizeof(*run));
}
