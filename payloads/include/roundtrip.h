/* SPDX-License-Identifier: GPL-2.0 */
/* A message to another process on the same CPU and its answer; both ends check every byte they get. */
#ifndef ROUNDTRIP_H
#define ROUNDTRIP_H

#include <exchange.h>

/* What both ends expect of message number `sequence`: its number first and last, a pattern between. */
static inline void stamp(struct end *end)
{
	end->sequence++;
	memcpy(end->want, &end->sequence, sizeof(end->sequence));
	memcpy(end->want + end->size - sizeof(end->sequence), &end->sequence, sizeof(end->sequence));
}

static inline bool round_trip(void *context)
{
	struct end *end = context;

	stamp(end);
	return transport->send(end) && transport->receive(end) && !memcmp(end->want, end->got, end->size);
}

/* A wrong byte or a closed connection ends it. */
static inline void answer(void *context)
{
	struct end *end = context;

	for (;;) {
		stamp(end);
		if (!transport->receive(end) || memcmp(end->want, end->got, end->size) || !transport->send(end))
			return;
	}
}

/* Fewer operations where each is longer. The warm-up lasts some ticks and carries TCP past 64 KiB, where its path changes. */
static const struct pace round_trip_paces[] = {
	{ 64, 128, 1200, 500 }, { 4096, 8192, 300, 200 }, { 16384, 32768, 100, 100 },
};

static const struct exchange round_trips = { round_trip, answer, round_trip_paces, 3 };

#endif
