/* SPDX-License-Identifier: GPL-2.0 */
/* TCP sockets that opted in to byte rings: SO_AGENT_LOCAL, which the series agent-local brings. */
#ifndef AGENT_H
#define AGENT_H

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <transports.h>

#define SO_AGENT_LOCAL 0x7a01
#define CGROUP "/sys/fs/cgroup/lab-payload"

/* Of <linux/agent_local.h>. */
struct agent_local_info {
	uint32_t flags, ring_bytes, tx_state, rx_state, tx_reason, rx_reason;
	uint64_t domain, tx_bytes, tx_msgs, rx_bytes, rx_msgs, tx_full, tx_wake, rx_wake, downgrades, tcp_bytes;
};

/* What a socket says of its rings; false: this kernel has none. */
static inline bool agent_info(int fd, struct agent_local_info *info)
{
	socklen_t length = sizeof(*info);

	return !getsockopt(fd, SOL_SOCKET, SO_AGENT_LOCAL, info, &length);
}

static inline const char *lacks_agent(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct agent_local_info info;
	bool there = agent_info(fd, &info);

	close(fd);
	return there ? NULL : "the kernel has no SO_AGENT_LOCAL, which is in the series agent-local";
}

/* Both ends have to belong to a cgroup that is not the root of the hierarchy. */
static inline bool enter_cgroup(void)
{
	bool entered;
	int fd;

	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		return false;
	fd = open(CGROUP "/cgroup.procs", O_WRONLY);
	if (fd < 0 && !mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		return enter_cgroup();
	entered = fd >= 0 && write(fd, "0", 1) == 1;
	close(fd);
	return entered;
}

static inline bool opt_in(int fd)
{
	int on = 1;

	return !setsockopt(fd, SOL_SOCKET, SO_AGENT_LOCAL, &on, sizeof(on));
}

static inline bool connect_agent(struct end *a, struct end *b)
{
	return enter_cgroup() && connect_tcp(a, b) && opt_in(a->in) && opt_in(b->in);
}

/* A row of a payload's table. */
#define AGENT_TRANSPORT { "tcp-agent", connect_agent, send_bytes, receive_bytes, false, lacks_agent }

#endif
