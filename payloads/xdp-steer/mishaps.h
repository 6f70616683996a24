/* SPDX-License-Identifier: GPL-2.0 */
/* What agents, their peers and brokers do wrong, and what then must not happen: each true when it did not. */
#ifndef MISHAPS_H
#define MISHAPS_H

#include <stdbool.h>

int mishaps_cases(void);
void mishaps_run(void);

bool captured_by_port(void);
bool not_captured(const char *program);
bool stale_entry_captures(void);
bool stale_entry_is_caught(const char *program);
bool rebound(const char *program);
bool shared_port(void);
bool wildcard(void);
bool reserved_ports(void);
bool queue_without_socket(void);
bool wrong_queue_in_slot(void);
bool unbound_socket_in_slot(void);
bool fill_ring_empty(void);
bool rx_ring_full(void);
bool agent_stopped(void);
bool agent_dies(void);
bool garbage_in_fill_ring(void);
bool garbage_in_tx_ring(void);
bool memory_unmapped(void);
bool second_agent_on_queue(void);
bool tx_ring_after_bind(void);
bool zero_copy(void);
bool receive_from_ring(void);
bool without_net_raw(void);
bool beyond_memlock(void);
bool detached(void);
bool large_mtu(void);
bool fewer_channels(void);
bool link_down_and_up(void);

#endif
