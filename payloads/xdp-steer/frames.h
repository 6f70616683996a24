/* SPDX-License-Identifier: GPL-2.0 */
/* Crafted frames, and where each of them ended. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "steer.h"
#include "world.h"
#include "xsk.h"

#define LARGEST_FRAME	(MTU + 64)
#define AGENT_PORT	40001		/* of cgroup one, registered */
#define STRANGER_PORT	40009		/* bound by a cgroup that is no agent */

enum end { AT_RING, AT_SOCKET, AT_STACK };	/* the stack saw it, but no socket got it */

/* In what a frame differs from a good datagram to the agent; 0 everywhere: in nothing. */
struct shape {
	const char *name;
	int tags;			/* 802.1Q */
	bool arp, v6, extension;	/* extension: hop-by-hop options between IPv6 and UDP */
	uint8_t version, ihl, protocol;
	uint16_t fragment;		/* flags and offset */
	int udp_more, total_more;	/* added to the length that would be right */
	uint16_t udp_length;		/* in its place */
	uint16_t pad;			/* bytes behind the datagram */
	uint16_t data;			/* bytes of it */
	uint16_t port;
	const char *to;
	uint16_t from;			/* the peer's port */
	enum reason reason;
	enum end end;
	bool tricks;			/* steer_careless() delivers it to the wrong place */
};

/* A frame with `mark` in its data; its length. */
size_t frame_build(const struct shape *shape, uint64_t mark, uint8_t *frame);
bool frame_send(const struct world *world, const uint8_t *frame, size_t length);

/* Everywhere a frame may show up. */
struct watch {
	struct xsk *ring;		/* NULL: none */
	int tap;			/* what passes XDP */
	int sockets[8];			/* -1 where none is */
};

struct seen {
	int ring, sockets[8], stack;	/* copies with the mark */
	int strays;			/* others in the ring */
};

int tap_open(const struct world *world);

/* Waits until the program has counted `frames` more than `before`; false if it does not. */
bool counted(uint64_t before, uint64_t frames);
struct seen look(const struct watch *watch, uint64_t mark);

/* Send one such frame and look where it is. */
struct seen throw_frame(const struct world *world, const struct watch *watch, const struct shape *shape);

/* The reason that was counted for the last thrown frame, -1 if not exactly one was. */
int last_reason(void);

int frames_cases(void);
void frames_run(void);

#endif
