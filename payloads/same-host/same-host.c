// SPDX-License-Identifier: GPL-2.0
/*
 * Description: pingpong's exchange over everything two processes of one host can use instead of TCP without another program
 * than the kernel: pingpong's own transports, io_uring over two of them, TCP sockets that a BPF program joins, SMC, and
 * TCP sockets that opted in to byte rings.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <roundtrip.h>

#include "ways.h"

static const struct transport transports[] = {
	PLAIN_TRANSPORTS,
	{ "uring-unix", connect_uring_unix, queue_send, receive_uring, false, NULL },
	{ "uring-tcp", connect_uring_tcp, queue_send, receive_uring, true, NULL },
	{ "sockmap", connect_sockmap, send_bytes, receive_bytes, false, NULL },
	{ "smc", connect_smc, send_bytes, receive_bytes, false, lacks_smc },
	AGENT_TRANSPORT,
};

int main(void)
{
	return exchange(&round_trips, transports, sizeof(transports) / sizeof(*transports));
}
