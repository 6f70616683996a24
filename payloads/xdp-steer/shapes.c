// SPDX-License-Identifier: GPL-2.0
/* The frames of the design's list, each with its verdict, thrown at each way of steering. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "loader.h"
#include "say.h"

#define DONT_FRAGMENT	0x4000
#define MORE_FRAGMENTS	0x2000
#define UDP_DATA(length) ((length) - 8)

static const struct shape shapes[] = {
	{ .name = "no VLAN tag", .reason = REDIRECT, .end = AT_RING },
	{ .name = "1 VLAN tag", .tags = 1, .reason = REDIRECT, .end = AT_RING, .tricks = true },
	{ .name = "2 VLAN tags", .tags = 2, .reason = REDIRECT, .end = AT_RING, .tricks = true },
	{ .name = "3 VLAN tags", .tags = 3, .reason = NOT_IP, .end = AT_STACK },
	{ .name = "ARP", .arp = true, .reason = NOT_IP, .end = AT_STACK, .tricks = true },
	{ .name = "ihl 4", .ihl = 4, .reason = VERSION, .end = AT_STACK },
	{ .name = "ihl 6 (options)", .ihl = 6, .reason = VERSION, .end = AT_SOCKET, .tricks = true },
	{ .name = "version 5", .version = 5, .reason = VERSION, .end = AT_STACK, .tricks = true },
	{ .name = "don't fragment", .fragment = DONT_FRAGMENT, .reason = REDIRECT, .end = AT_RING },
	{ .name = "first fragment", .fragment = MORE_FRAGMENTS, .reason = FRAGMENT, .end = AT_STACK, .tricks = true },
	{ .name = "later fragment", .fragment = 185, .reason = FRAGMENT, .end = AT_STACK, .tricks = true },
	{ .name = "UDP length 7", .udp_length = 7, .reason = LENGTH, .end = AT_STACK, .tricks = true },
	{ .name = "UDP length beyond the frame", .udp_more = 1, .reason = LENGTH, .end = AT_STACK, .tricks = true },
	{ .name = "UDP length short of the packet", .udp_more = -1, .reason = LENGTH, .end = AT_SOCKET, .tricks = true },
	{ .name = "packet length beyond the frame", .total_more = 1, .reason = LENGTH, .end = AT_STACK, .tricks = true },
	{ .name = "padding behind the packet", .pad = 18, .reason = LENGTH, .end = AT_SOCKET, .tricks = true },
	{ .name = "padding that only the packet counts", .pad = 18, .total_more = 18,
	  .reason = LENGTH, .end = AT_SOCKET, .tricks = true },
	{ .name = "padding that all lengths count", .pad = 18, .total_more = 18, .udp_more = 18,
	  .reason = REDIRECT, .end = AT_RING },
	{ .name = "port 39999", .port = 39999, .reason = RANGE, .end = AT_SOCKET },
	{ .name = "port 50000", .port = 50000, .reason = RANGE, .end = AT_SOCKET },
	{ .name = "port nobody registered", .port = STRANGER_PORT, .reason = UNKNOWN, .end = AT_SOCKET, .tricks = true },
	{ .name = "foreign address", .to = FOREIGN_ADDRESS, .reason = UNKNOWN, .end = AT_STACK, .tricks = true },
	{ .name = "ICMP", .protocol = IPPROTO_ICMP, .reason = NOT_UDP, .end = AT_STACK },
	{ .name = "TCP", .protocol = IPPROTO_TCP, .reason = NOT_UDP, .end = AT_STACK },
	{ .name = "UDP length 3400", .data = UDP_DATA(3400), .reason = REDIRECT, .end = AT_RING },
	{ .name = "UDP length 3401", .data = UDP_DATA(3401), .reason = JUMBO, .end = AT_SOCKET, .tricks = true },
	{ .name = "IPv6", .v6 = true, .reason = REDIRECT, .end = AT_RING, .tricks = true },
	{ .name = "IPv6 that says version 4", .v6 = true, .version = 4, .reason = VERSION, .end = AT_STACK },
	{ .name = "IPv6 extension header", .v6 = true, .extension = true, .reason = NOT_UDP, .end = AT_STACK },
	{ .name = "IPv6 length beyond the frame", .v6 = true, .total_more = 1, .reason = LENGTH, .end = AT_STACK },
};

/* 19 bytes of data end a plain frame at byte 61. */
static const struct shape cuts[] = {
	{ .name = "cut at every byte", .data = 19 },
	{ .name = "2 VLAN tags, cut at every byte", .tags = 2, .data = 19 },
	{ .name = "IPv6, cut at every byte", .v6 = true, .data = 19 },
};

static const struct way {
	const char *name, *program;
	bool asks;		/* for the UDP socket; there is none for IPv6 */
} ways[] = {
	{ "registered", "steer_registered", false },
	{ "cgroup", "steer_cgroup", true },
	{ "cast", "steer_cast", true },
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

struct stage {
	struct world world;
	struct xsk ring;
	struct watch watch;
};

static bool ended(const struct seen *seen, enum end end)
{
	int sockets = 0;

	for (int i = 0; i < COUNT(seen->sockets); i++)
		sockets += seen->sockets[i];
	return seen->ring == (end == AT_RING) && seen->stack == (end != AT_RING) && sockets == (end == AT_SOCKET) &&
	       !seen->strays;
}

static bool try_shape(const struct stage *stage, const struct way *way, const struct shape *shape)
{
	bool no_socket = way->asks && shape->v6 && shape->reason == REDIRECT;
	int want = no_socket ? NO_SOCKET : shape->reason, got;
	struct seen seen = throw_frame(&stage->world, &stage->watch, shape);

	got = last_reason();
	if (got != want)
		say("counted as %d, not as %d", got, want);
	if (ended(&seen, no_socket ? AT_STACK : shape->end))
		return got == want;
	say("%d copies in the ring, %d seen by the stack, %d other frames in the ring", seen.ring, seen.stack, seen.strays);
	return false;
}

/* The frames are worth their name: a program that does not look gets exactly those wrong that it can. */
static bool careless_is_caught(const struct stage *stage)
{
	int link = steer_attach(&stage->world, steer_program("steer_careless"));
	bool good = true;

	MUST(link >= 0);
	for (int i = 0; i < COUNT(shapes); i++) {
		struct seen seen = throw_frame(&stage->world, &stage->watch, &shapes[i]);

		if (ended(&seen, shapes[i].end) != shapes[i].tricks)
			continue;
		say("%s: delivered %s", shapes[i].name, shapes[i].tricks ? "right" : "wrong");
		good = false;
	}
	close(link);
	return good;
}

/* Frames of fewer bytes than an Ethernet header has are refused at every door: nothing can bring one before the program. */
static bool too_short(const struct stage *stage, int program, const uint8_t *frame, size_t length)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = length, .repeat = 1);
	bool sent = frame_send(&stage->world, frame, length), good = WANT(!sent && errno == EINVAL);

	return good && WANT(bpf_prog_test_run_opts(program, &run) && errno == EINVAL);
}

static bool cut_off(const struct stage *stage, int program, const uint8_t *frame, size_t length)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = length, .repeat = 1);
	uint64_t all = steer_counted_all(), redirected = steer_counted(REDIRECT);
	struct seen seen;

	if (!WANT(!bpf_prog_test_run_opts(program, &run) && run.retval == 2 /* XDP_PASS */))
		return false;
	if (!WANT(frame_send(&stage->world, frame, length)) || !WANT(counted(all, 2)))
		return false;
	seen = look(&stage->watch, 0);
	return WANT(!seen.ring && !seen.strays) && WANT(steer_counted(REDIRECT) == redirected) &&
	       WANT(steer_counted_all() == all + 2);
}

static bool try_cuts(const struct stage *stage, int program, const struct shape *shape)
{
	uint8_t frame[LARGEST_FRAME];
	size_t whole = frame_build(shape, 0x637574, frame);
	bool good = true;

	for (size_t length = 0; good && length < whole; length++) {
		good = length < ETH_HLEN ? too_short(stage, program, frame, length) : cut_off(stage, program, frame, length);
		if (!good)
			say("cut to %zu of %zu bytes", length, whole);
	}
	return good;
}

static void try_way(const struct stage *stage, const struct way *way)
{
	const char *refusal = steer_refusal(way->program);
	int link = refusal ? -1 : steer_attach(&stage->world, steer_program(way->program));
	char name[80];

	MUST(refusal || link >= 0);
	for (int i = 0; i < COUNT(shapes) + COUNT(cuts); i++) {
		const struct shape *shape = i < COUNT(shapes) ? &shapes[i] : &cuts[i - COUNT(shapes)];

		snprintf(name, sizeof(name), "frame, by %s: %s", way->name, shape->name);
		if (refusal)
			say_skip(name, refusal);
		else if (i < COUNT(shapes))
			say_result(try_shape(stage, way, shape), name);
		else
			say_result(try_cuts(stage, steer_program(way->program), shape), name);
	}
	if (link >= 0)
		close(link);
}

int frames_cases(void)
{
	return 1 + COUNT(ways) * (COUNT(shapes) + COUNT(cuts));
}

void frames_run(void)
{
	struct port_key six = { .port = htons(AGENT_PORT), .family = 6 };
	struct port_value value = { .cgroup = cgroup_id("one") };
	struct stage stage = { .watch = { .sockets = { -1, -1, -1, -1, -1, -1, -1, -1 } } };

	world_make(&stage.world, 1);
	enter(stage.world.agents);
	MUST(xsk_open(&stage.ring, &(struct xsk_want){ .chunks = 128, .ring = 64 }));
	xsk_fill(&stage.ring, 64);
	MUST(xsk_bind(&stage.ring, stage.world.device, 0, 0));
	enter(stage.world.home);
	stage.watch.ring = &stage.ring;
	stage.watch.tap = tap_open(&stage.world);
	stage.watch.sockets[0] = agent_udp(&stage.world, "one", AGENTS, AGENT_PORT);
	stage.watch.sockets[1] = agent_udp(&stage.world, "one", AGENTS, 39999);
	stage.watch.sockets[2] = agent_udp(&stage.world, "one", AGENTS, 50000);
	stage.watch.sockets[3] = agent_udp(&stage.world, "stranger", AGENTS, STRANGER_PORT);
	steer_slot(0, 0, stage.ring.fd);
	inet_pton(AF_INET6, AGENTS_V6, six.address);
	steer_put(&six, &value);
	say_result(careless_is_caught(&stage), "frame, control: a program that does not look is caught");
	for (int i = 0; i < COUNT(ways); i++)
		try_way(&stage, &ways[i]);
	steer_remove(&six);
	for (int i = 0; i < 4; i++)
		close(stage.watch.sockets[i]);
	close(stage.watch.tap);
	xsk_close(&stage.ring);
}
