/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where mishaps happen: agents one and two live in cgroups of these names, with slots 0 and 1. The device has two queues; one's
 * AF_XDP socket is bound to the first, two's to the second.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "frames.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))
#define TWOS_PORT	40002
#define MISHAP_PORT	40100		/* of the case that runs */
#define FILL		64

extern struct world world;
extern struct xsk one, two;
extern struct watch watch_one, watch_two;	/* the same tap and sockets, another ring; the first two sockets are the agents' */

void stage_begin(void);
void stage_end(void);

/* The steering program, attached for one case. */
int attached(const char *program);
struct port_key key_of(uint16_t port);
bool open_ring(struct xsk *xsk, const struct xsk_want *want, uint32_t queue, uint32_t filled);

/* One's place on the first queue for a ring that only this case has, and back; NULL: nothing took it but one itself let go. */
void replace_one(struct xsk *ring, const struct xsk_want *want, uint32_t filled);
void restore_one(struct xsk *ring);

/* A frame that will arrive on that queue; one such frame, and where it ended. */
struct shape frame_for(uint16_t port, uint32_t queue);
struct seen to(const struct watch *watch, uint16_t port, uint32_t queue);

bool only_ring(struct seen seen);
bool only_stack(struct seen seen, int socket);
bool nowhere(struct seen seen);

/* Agent two still gets what is its own. */
bool others_unaffected(void);

#endif
