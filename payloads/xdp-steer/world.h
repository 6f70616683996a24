/* SPDX-License-Identifier: GPL-2.0 */
/* Two network namespaces joined by a veth pair: agents' sockets and XDP in one, whoever sends to them in the other. */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define AGENTS		"10.77.0.1"
#define PEER		"10.77.0.2"
#define FOREIGN_ADDRESS	"10.77.0.9"
#define AGENTS_V6	"fd00::1"	/* in frames only: the lab's kernel has no IPv6 */
#define PEER_V6		"fd00::2"
#define AGENTS_DEVICE	"steer0"
#define PEER_DEVICE	"peer0"
#define MTU		3500	/* the largest for XDP without fragments is about 3,506 */

extern const uint8_t agents_mac[6], peer_mac[6];

struct world {
	int home, agents, peer;		/* the namespaces; home is where the program began */
	unsigned int device, peer_device;
	int inject;			/* AF_PACKET in the peer's namespace */
};

void world_make(struct world *world, int queues);
void enter(int namespace);

/* A line into a file of the namespace's /proc/sys/net/ipv4. */
void world_sysctl(const struct world *world, const char *name, const char *value);

/* Cgroups below one of ours: a name, or NULL for the root. */
void cgroups_make(void);
uint64_t cgroup_id(const char *name);
int cgroup_fd(void);
void cgroup_join(const char *name);

/* A UDP socket made and bound by a task of that cgroup in the agents' namespace; a task of the root has it afterwards. */
int agent_udp(const struct world *world, const char *cgroup, const char *address, uint16_t port);

/* A UDP socket of the peer, connected to the agents' address and that port. */
int peer_udp(const struct world *world, uint16_t port);

#endif
