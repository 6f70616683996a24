// SPDX-License-Identifier: GPL-2.0
/*
 * Description: 64 or 256 KiB one way to another process on the same CPU, in writes of one size; the reader takes up to 64 KiB
 * at a time, compares all of it and answers with eight bytes, so that each operation begins with nothing on the way.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <exchange.h>

#define STREAM (256 << 10)
#define SHORT (64 << 10)		/* of writes so small that more of them would take longer than a tick */
#define READ (64 << 10)

static char want[STREAM], got[STREAM];	/* of each process its own */

static void next_stream(struct end *end)
{
	end->sequence++;
	for (size_t at = 0; at < pace->bytes; at += 4096)
		memcpy(want + at, &end->sequence, sizeof(end->sequence));
}

static bool stream(void *context)
{
	struct end *end = context;
	uint64_t said = 0;

	next_stream(end);
	for (size_t done = 0; done < pace->bytes; done += end->size)
		if (write(end->out, want + done, end->size) != (ssize_t)end->size)
			return false;
	return read(end->in, &said, sizeof(said)) == sizeof(said) && said == end->sequence;
}

static void take(void *context)
{
	struct end *end = context;

	for (;;) {
		next_stream(end);
		for (size_t done = 0; done < pace->bytes;) {
			size_t left = pace->bytes - done;
			ssize_t n = read(end->in, got + done, left < READ ? left : READ);

			if (n <= 0)
				return;
			done += n;
		}
		if (memcmp(got, want, pace->bytes) || write(end->out, &end->sequence, sizeof(end->sequence)) < 0)
			return;
	}
}

static const struct transport transports[] = { STREAM_TRANSPORTS, AGENT_TRANSPORT };
static const struct pace paces[] = { { 512, SHORT, 24, 48 }, { 4096, STREAM, 16, 48 }, { 65536, STREAM, 16, 48 } };
static const struct exchange streams = { stream, take, paces, sizeof(paces) / sizeof(*paces) };

int main(void)
{
	return exchange(&streams, transports, sizeof(transports) / sizeof(*transports));
}
