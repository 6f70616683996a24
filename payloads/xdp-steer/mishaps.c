// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

/* Tried once, or once with each of the steering programs that must pass it. */
static const struct mishap {
	const char *name;
	bool (*plain)(void);
	bool (*by)(const char *program);
	bool not_registered;	/* by registration alone it would fail */
} mishaps[] = {
	{ .name = "control: by port alone, another cgroup's frame is captured", .plain = captured_by_port },
	{ .name = "a frame for another cgroup's port is not redirected", .by = not_captured },
	{ .name = "control: by registration alone, a stale entry captures", .plain = stale_entry_captures },
	{ .name = "a stale entry is caught", .by = stale_entry_is_caught, .not_registered = true },
	{ .name = "another cgroup binds the port next", .by = rebound },
	{ .name = "a second socket on the port", .plain = shared_port },
	{ .name = "a socket bound to every address", .plain = wildcard },
	{ .name = "bind(0) stays out of the agents' ports", .plain = reserved_ports },
	{ .name = "queue without an AF_XDP socket", .plain = queue_without_socket },
	{ .name = "socket of another queue in the slot", .plain = wrong_queue_in_slot },
	{ .name = "unbound socket in the slot", .plain = unbound_socket_in_slot },
	{ .name = "fill ring empty", .plain = fill_ring_empty },
	{ .name = "RX ring full", .plain = rx_ring_full },
	{ .name = "agent stopped by a signal", .plain = agent_stopped },
	{ .name = "agent killed", .plain = agent_dies },
	{ .name = "garbage in the fill ring", .plain = garbage_in_fill_ring },
	{ .name = "garbage in the TX ring", .plain = garbage_in_tx_ring },
	{ .name = "memory unmapped while bound", .plain = memory_unmapped },
	{ .name = "second agent on the same queue", .plain = second_agent_on_queue },
	{ .name = "TX ring after bind", .plain = tx_ring_after_bind },
	{ .name = "zero copy forced", .plain = zero_copy },
	{ .name = "recv() on an AF_XDP socket", .plain = receive_from_ring },
	{ .name = "AF_XDP without CAP_NET_RAW", .plain = without_net_raw },
	{ .name = "memory beyond RLIMIT_MEMLOCK", .plain = beyond_memlock },
	{ .name = "program detached and attached", .plain = detached },
	{ .name = "MTU 9000", .plain = large_mtu },
	{ .name = "fewer channels", .plain = fewer_channels },
	{ .name = "link down and up", .plain = link_down_and_up },
};

static const char *const ways[] = { "registered", "cgroup", "cast" };

int mishaps_cases(void)
{
	int cases = 0;

	for (int i = 0; i < COUNT(mishaps); i++)
		cases += mishaps[i].plain ? 1 : COUNT(ways) - mishaps[i].not_registered;
	return cases;
}

static void try_way(const struct mishap *mishap, const char *way)
{
	char name[120], program[40];

	snprintf(name, sizeof(name), "mishap, by %s: %s", way, mishap->name);
	snprintf(program, sizeof(program), "steer_%s", way);
	if (steer_refusal(program))
		say_skip(name, steer_refusal(program));
	else
		say_result(mishap->by(program), name);
}

void mishaps_run(void)
{
	char name[120];

	stage_begin();
	for (int i = 0; i < COUNT(mishaps); i++) {
		snprintf(name, sizeof(name), "mishap, %s", mishaps[i].name);
		if (mishaps[i].plain)
			say_result(mishaps[i].plain(), name);
		for (int way = mishaps[i].not_registered; !mishaps[i].plain && way < COUNT(ways); way++)
			try_way(&mishaps[i], ways[way]);
	}
	stage_end();
}
