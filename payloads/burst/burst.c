// SPDX-License-Identifier: GPL-2.0
/*
 * Description: 16 requests to another process on the same CPU, one write each, and then their 16 answers. Both ends take what
 * is there with each read, as programs with many requests under way do. All 16 fit into any buffer on the way: who writes
 * does not wait for whom it does not read.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <exchange.h>

#define FLIGHT 16
#define LARGEST 1024

static char want[FLIGHT * LARGEST], got[FLIGHT * LARGEST];	/* of each process its own */

static bool burst(void *context)
{
	struct end *end = context;
	size_t all = FLIGHT * end->size;

	for (size_t done = 0; done < all; done += end->size) {
		end->sequence++;
		memcpy(want + done, &end->sequence, sizeof(end->sequence));
		if (write(end->out, want + done, end->size) != (ssize_t)end->size)
			return false;
	}
	for (size_t done = 0; done < all;) {
		ssize_t n = read(end->in, got + done, all - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return !memcmp(got, want, all);
}

/* Answers repeat what was asked: each request that is whole, one write each. */
static void serve(void *context)
{
	struct end *end = context;
	size_t held = 0, done;

	for (;;) {
		ssize_t n = read(end->in, got + held, sizeof(got) - held);

		if (n <= 0)
			return;
		held += n;
		for (done = 0; held - done >= end->size; done += end->size)
			if (write(end->out, got + done, end->size) != (ssize_t)end->size)
				return;
		held -= done;
		memmove(got, got + done, held);
	}
}

static const struct transport transports[] = { STREAM_TRANSPORTS, AGENT_TRANSPORT };
static const struct pace paces[] = {
	{ 64, 2 * FLIGHT * 64, 200, 200 }, { LARGEST, 2 * FLIGHT * LARGEST, 100, 200 },
};
static const struct exchange bursts = { burst, serve, paces, sizeof(paces) / sizeof(*paces) };

int main(void)
{
	return exchange(&bursts, transports, sizeof(transports) / sizeof(*transports));
}
