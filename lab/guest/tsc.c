// SPDX-License-Identifier: GPL-2.0
/* How fast the time-stamp counter of this CPU runs, by CLOCK_MONOTONIC_RAW; loaded by tsc.py. */
#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES 32
#define APART_NS 50000000	/* a microsecond of doubt is 20 parts in a million of it */

struct stamp { uint64_t ticks, ns; };

__attribute__((visibility("default"))) unsigned int tsc_khz(void);

/* Both clocks at one moment: of some tries the one whose two counter reads lie closest together. */
static struct stamp read_both(void)
{
	struct stamp best = { 0 };
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct timespec t;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before >= closest)
			continue;
		closest = after - before;
		best.ticks = before + closest / 2;
		best.ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	}
	return best;
}

unsigned int tsc_khz(void)
{
	struct stamp first = read_both(), last;

	do
		last = read_both();
	while (last.ns - first.ns < APART_NS);
	return (last.ticks - first.ticks) * 1000000 / (last.ns - first.ns);
}
