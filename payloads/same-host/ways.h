/* SPDX-License-Identifier: GPL-2.0 */
/* Transports beyond those of any kernel; what they share with pingpong's is in <transports.h>. */
#ifndef WAYS_H
#define WAYS_H

#include <transports.h>
#include <uring.h>

#include "join.h"
#include "smc.h"

static struct uring urings[2];		/* of both ends */
static char outgoing[MAX_SIZE];		/* of each process: what is queued must not change any more */

static inline bool connect_urings(struct end *b)
{
	b->mine = 1;			/* an end knows its ring by this */
	for (int i = 0; i < 2; i++) {
		if (urings[i].sqes)
			uring_close(&urings[i]);
		if (!uring_open(&urings[i], 0, NULL, 0))
			return false;
	}
	return true;
}

static inline bool connect_uring_unix(struct end *a, struct end *b)
{
	return connect_stream(a, b) && connect_urings(b);
}

static inline bool connect_uring_tcp(struct end *a, struct end *b)
{
	return connect_tcp(a, b) && connect_urings(b);
}

static inline void queue_message(struct end *end, int op, void *buffer, int flags)
{
	uring_put(&urings[end->mine], &(struct io_uring_sqe){
		.opcode = op, .fd = end->in, .addr = (uintptr_t)buffer, .len = end->size, .msg_flags = flags, .user_data = op,
	});
}

/* It goes out together with the receive that comes next: one system call for both. */
static inline bool queue_send(struct end *end)
{
	memcpy(outgoing, end->want, end->size);
	queue_message(end, IORING_OP_SEND, outgoing, MSG_WAITALL);
	return true;
}

static inline bool receive_uring(struct end *end)
{
	struct uring *uring = &urings[end->mine];
	unsigned int due;
	bool good = true;

	queue_message(end, IORING_OP_RECV, end->got, MSG_WAITALL);
	due = *uring->sq_tail - *uring->sq_head;
	if (!uring_enter(uring, due, due))
		return false;
	while (due--)
		good &= uring_wait(uring) == (int)end->size;
	return good;
}

#endif
