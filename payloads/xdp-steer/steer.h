/* SPDX-License-Identifier: GPL-2.0 */
/* What the steering programs (steer.bpf.c) and the program that loads them agree on. */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

/* Agents' ports: out of reach of bind(0) by net.ipv4.ip_local_reserved_ports. */
#define PORT_FIRST	40000
#define PORT_LAST	49999

#define MAX_QUEUES	2	/* XSKMAP index: slot * MAX_QUEUES + queue; a socket receives from the one it is bound to */
#define MAX_SLOTS	4
#define MAX_UDP		3400	/* UDP header and data: what fits one chunk of an agent's memory */

/* How a frame left the program; every exit is counted, per CPU. All but REDIRECT are XDP_PASS. */
enum reason {
	SHORT,		/* it ends inside a header */
	NOT_IP,
	VERSION,	/* IP of another version than the frame says, or with options */
	FRAGMENT,
	NOT_UDP,
	LENGTH,		/* the ends by frame, IP and UDP are not the same */
	JUMBO,
	RANGE,
	UNKNOWN,	/* nobody registered address and port */
	EMPTY,		/* its agent has no AF_XDP socket on this queue */
	NO_SOCKET,	/* no UDP socket is bound there */
	FOREIGN,	/* the UDP socket there is another cgroup's */
	REDIRECT,
	REASONS,
};

struct port_key {
	__be32 address[4];	/* IPv4: the first */
	__be16 port;
	__u16 family;		/* 4 or 6 */
};

struct port_value {
	__u64 cgroup;
	__u64 cookie;		/* of the UDP socket */
	__u32 slot;
	__u32 pad;
};

/* Failed redirects, as the tracepoint xdp_redirect_err tells. */
struct redirect_errors {
	__u64 count;
	__s64 last;
};

#endif
