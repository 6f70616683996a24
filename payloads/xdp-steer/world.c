// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"
#include "world.h"

#define CGROUPS	"/sys/fs/cgroup"
#define OURS	"xdp-steer"

const uint8_t agents_mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	char attributes[512];
};

static struct rtattr *put(struct request *request, int type, const void *data, size_t size)
{
	struct rtattr *attribute = (void *)request + NLMSG_ALIGN(request->head.nlmsg_len);

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attribute), data, size);
	request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
	return attribute;
}

static void end(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (void *)request + request->head.nlmsg_len - (void *)nest;
}

static void put_device(struct request *request, const char *name, const uint8_t *mac, uint32_t queues)
{
	put(request, IFLA_IFNAME, name, strlen(name) + 1);
	put(request, IFLA_ADDRESS, mac, 6);
	put(request, IFLA_NUM_TX_QUEUES, &queues, sizeof(queues));
	put(request, IFLA_NUM_RX_QUEUES, &queues, sizeof(queues));
}

/* In the current namespace, with the other end in `peer`. */
static bool make_veth(int peer, uint32_t queues)
{
	struct request request = {
		.head = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
		},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct { struct nlmsghdr head; struct nlmsgerr error; char rest[1024]; } answer;
	struct rtattr *info, *data, *other;
	ssize_t got = -1;

	put_device(&request, AGENTS_DEVICE, agents_mac, queues);
	info = put(&request, IFLA_LINKINFO, NULL, 0);
	put(&request, IFLA_INFO_KIND, "veth", 4);
	data = put(&request, IFLA_INFO_DATA, NULL, 0);
	other = put(&request, VETH_INFO_PEER, &(struct ifinfomsg){ 0 }, sizeof(struct ifinfomsg));
	put_device(&request, PEER_DEVICE, peer_mac, queues);
	put(&request, IFLA_NET_NS_FD, &peer, sizeof(peer));
	end(&request, other);
	end(&request, data);
	end(&request, info);
	if (send(fd, &request, request.head.nlmsg_len, 0) > 0)
		got = recv(fd, &answer, sizeof(answer), 0);
	close(fd);
	if (got < (ssize_t)NLMSG_LENGTH(sizeof(answer.error)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return false;
	errno = -answer.error.error;
	return !answer.error.error;
}

static void address_of(struct sockaddr *where, const char *text)
{
	struct sockaddr_in *address = (void *)where;

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = inet_addr(text);
}

static void up(int fd, const char *device)
{
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, device);
	MUST(!ioctl(fd, SIOCGIFFLAGS, &request));
	request.ifr_flags |= IFF_UP;
	MUST(!ioctl(fd, SIOCSIFFLAGS, &request));
}

/* Address, MTU and the neighbour for good, so that nothing depends on when ARP spoke last. */
static void configure(const char *device, const char *address, const char *neighbour, const uint8_t *mac)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct arpreq arp = { .arp_flags = ATF_PERM | ATF_COM };
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, device);
	request.ifr_mtu = MTU;
	MUST(!ioctl(fd, SIOCSIFMTU, &request));
	address_of(&request.ifr_addr, address);
	MUST(!ioctl(fd, SIOCSIFADDR, &request));
	address_of(&request.ifr_addr, "255.255.255.0");
	MUST(!ioctl(fd, SIOCSIFNETMASK, &request));
	up(fd, "lo");
	up(fd, device);
	address_of(&arp.arp_pa, neighbour);
	arp.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(arp.arp_ha.sa_data, mac, 6);
	strcpy(arp.arp_dev, device);
	MUST(!ioctl(fd, SIOCSARP, &arp));
	close(fd);
}

void enter(int namespace)
{
	MUST(!setns(namespace, CLONE_NEWNET));
}

static int this_namespace(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0);
	return fd;
}

void world_make(struct world *world, int queues)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET };

	world->home = this_namespace();
	MUST(!unshare(CLONE_NEWNET));
	world->peer = this_namespace();
	MUST(!unshare(CLONE_NEWNET));
	world->agents = this_namespace();
	MUST(make_veth(world->peer, queues));
	configure(AGENTS_DEVICE, AGENTS, PEER, peer_mac);
	world->device = if_nametoindex(AGENTS_DEVICE);
	enter(world->peer);
	configure(PEER_DEVICE, PEER, AGENTS, agents_mac);
	world->peer_device = if_nametoindex(PEER_DEVICE);
	world->inject = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	link.sll_ifindex = world->peer_device;
	MUST(!bind(world->inject, (void *)&link, sizeof(link)));
	enter(world->home);
	world_sysctl(world, "ip_local_reserved_ports", "40000-49999");
	world_sysctl(world, "icmp_ratelimit", "0");
}

static bool write_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);

	close(fd);
	return good;
}

void world_sysctl(const struct world *world, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	enter(world->agents);
	MUST(write_line(path, value));
	enter(world->home);
}

static const char *cgroup_path(const char *name)
{
	static char path[128];

	if (name)
		snprintf(path, sizeof(path), CGROUPS "/" OURS "/%s", name);
	else
		snprintf(path, sizeof(path), CGROUPS);
	return path;
}

void cgroups_make(void)
{
	MUST(!access(CGROUPS "/cgroup.procs", F_OK));
	MUST(!mkdir(CGROUPS "/" OURS, 0755) || errno == EEXIST);
	MUST(!mkdir(cgroup_path("one"), 0755) || errno == EEXIST);
	MUST(!mkdir(cgroup_path("two"), 0755) || errno == EEXIST);
	MUST(!mkdir(cgroup_path("stranger"), 0755) || errno == EEXIST);
}

/* The id of a cgroup is the inode number of its directory. */
uint64_t cgroup_id(const char *name)
{
	struct stat stat_of;

	MUST(!stat(cgroup_path(name), &stat_of));
	return stat_of.st_ino;
}

int cgroup_fd(void)
{
	int fd = open(CGROUPS "/" OURS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(fd >= 0);
	return fd;
}

void cgroup_join(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup_path(name));
	MUST(write_line(path, "0"));
}

int agent_udp(const struct world *world, const char *cgroup, const char *address, uint16_t port)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(address) };
	int fd;

	enter(world->agents);
	cgroup_join(cgroup);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(!bind(fd, (void *)&where, sizeof(where)));
	cgroup_join(NULL);
	enter(world->home);
	return fd;
}

int peer_udp(const struct world *world, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(AGENTS) };
	int fd;

	enter(world->peer);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(!connect(fd, (void *)&to, sizeof(to)));
	enter(world->home);
	return fd;
}
