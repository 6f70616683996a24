// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <unistd.h>

#include "loader.h"
#include "say.h"
#include "stage.h"

struct world world;
struct xsk one, two;
struct watch watch_one, watch_two;	/* the same tap and sockets, another ring */

/* The peer's port from which frames to that port reach each queue. */
static struct { uint16_t port, from[2]; } flows[] = {
	{ .port = AGENT_PORT }, { .port = TWOS_PORT }, { .port = MISHAP_PORT },
};

/* The steering program, attached for one case. */
int attached(const char *program)
{
	int link = steer_attach(&world, steer_program(program));

	MUST(link >= 0);
	return link;
}

struct port_key key_of(uint16_t port)
{
	return (struct port_key){ .address = { inet_addr(AGENTS) }, .port = htons(port), .family = 4 };
}

bool open_ring(struct xsk *xsk, const struct xsk_want *want, uint32_t queue, uint32_t filled)
{
	bool good;

	enter(world.agents);
	good = xsk_open(xsk, want);
	if (good) {
		xsk_fill(xsk, filled);
		good = xsk_bind_next(xsk, world.device, queue, want->flags);
	}
	enter(world.home);
	return good;
}

void replace_one(struct xsk *ring, const struct xsk_want *want, uint32_t filled)
{
	xsk_close(&one);
	MUST(open_ring(ring, want, 0, filled));
	steer_slot(0, 0, ring->fd);
}

void restore_one(struct xsk *ring)
{
	if (ring)
		xsk_close(ring);
	MUST(open_ring(&one, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0, FILL));
	steer_slot(0, 0, one.fd);
}

/* The device chooses the queue by a hash of addresses and ports. */
static uint16_t find_flow(uint16_t port, uint32_t queue)
{
	for (uint16_t from = 1000; from < 1200; from++) {
		struct shape shape = { .from = from, .port = port };
		uint8_t frame[LARGEST_FRAME];

		MUST(frame_send(&world, frame, frame_build(&shape, 0, frame)));
		if (steer_last_queue() == queue)
			return from;
	}
	say_void("no flow for the queue");
}

static void find_flows(void)
{
	int link = attached("where");

	for (int i = 0; i < COUNT(flows); i++)
		for (int queue = 0; queue < 2; queue++)
			flows[i].from[queue] = find_flow(flows[i].port, queue);
	close(link);
}

struct shape frame_for(uint16_t port, uint32_t queue)
{
	struct shape shape = { .name = "frame", .port = port };

	for (int i = 0; i < COUNT(flows); i++)
		if (flows[i].port == port)
			shape.from = flows[i].from[queue];
	return shape;
}

/* One frame for `port` that arrives on `queue`; where it ended. */
struct seen to(const struct watch *watch, uint16_t port, uint32_t queue)
{
	struct shape shape = frame_for(port, queue);

	return throw_frame(&world, watch, &shape);
}

bool only_ring(struct seen seen)
{
	return WANT(seen.ring == 1) && WANT(!seen.stack) && WANT(!seen.strays) && WANT(!seen.sockets[0] && !seen.sockets[1]);
}

/* `socket`: which of those that are watched; -1: none, the stack drops it. */
bool only_stack(struct seen seen, int socket)
{
	bool good = WANT(!seen.ring) && WANT(!seen.strays) && WANT(seen.stack == 1);

	for (int i = 0; i < COUNT(seen.sockets); i++)
		good = good && WANT(seen.sockets[i] == (i == socket));
	return good;
}

bool nowhere(struct seen seen)
{
	return WANT(!seen.ring) && WANT(!seen.strays) && WANT(!seen.stack);
}

bool others_unaffected(void)
{
	return only_ring(to(&watch_two, TWOS_PORT, 1));
}

void stage_begin(void)
{
	world_make(&world, 2);
	MUST(open_ring(&one, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0, FILL));
	MUST(open_ring(&two, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 1, FILL));
	steer_slot(0, 0, one.fd);
	steer_slot(1, 1, two.fd);
	watch_one = (struct watch){
		.ring = &one,
		.tap = tap_open(&world),
		.sockets = {
			agent_udp(&world, "one", AGENTS, AGENT_PORT), agent_udp(&world, "two", AGENTS, TWOS_PORT),
			-1, -1, -1, -1, -1, -1,
		},
	};
	watch_two = watch_one;
	watch_two.ring = &two;
	find_flows();
}

void stage_end(void)
{
	xsk_close(&one);
	xsk_close(&two);
	close(watch_one.sockets[0]);
	close(watch_one.sockets[1]);
	close(watch_one.tap);
}
