// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "loader.h"
#include "say.h"

#define PATIENCE 10000		/* turns of other tasks until a frame counts as lost */
#define TAG 0x64		/* VLAN 100 */

static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (; size > 1; size -= 2)
		sum += *word++;
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

static uint8_t *put_tags(uint8_t *at, int tags)
{
	while (tags--) {
		*(uint16_t *)at = htons(ETH_P_8021Q);
		*(uint16_t *)(at + 2) = htons(TAG);
		at += 4;
	}
	return at;
}

/* `length`: of UDP header and data. */
static uint8_t *put_ipv4(const struct shape *shape, uint8_t *at, size_t length, uint64_t mark)
{
	size_t header = shape->ihl > 5 ? shape->ihl * 4 : sizeof(struct iphdr);
	struct iphdr *ip = (void *)at;

	memset(at, 1, header);		/* options: no operation */
	*ip = (struct iphdr){
		.version = shape->version ?: 4,
		.ihl = shape->ihl ?: 5,
		.tot_len = htons(header + length + shape->total_more),
		.id = htons(mark),
		.frag_off = htons(shape->fragment),
		.ttl = 64,
		.protocol = shape->protocol ?: IPPROTO_UDP,
		.saddr = inet_addr(PEER),
		.daddr = inet_addr(shape->to ?: AGENTS),
	};
	ip->check = checksum(ip, header);
	return at + header;
}

static uint8_t *put_ipv6(const struct shape *shape, uint8_t *at, size_t length)
{
	static const uint8_t options[8] = { IPPROTO_UDP, 0, 1, 4 };	/* six bytes of padding */
	struct ipv6hdr *ip = (void *)at;

	*ip = (struct ipv6hdr){
		.version = shape->version ?: 6,
		.nexthdr = shape->extension ? 0 : IPPROTO_UDP,
		.hop_limit = 64,
		.payload_len = htons(length + shape->total_more + (shape->extension ? sizeof(options) : 0)),
	};
	inet_pton(AF_INET6, PEER_V6, &ip->saddr);
	inet_pton(AF_INET6, AGENTS_V6, &ip->daddr);
	at += sizeof(*ip);
	if (!shape->extension)
		return at;
	memcpy(at, options, sizeof(options));
	return at + sizeof(options);
}

size_t frame_build(const struct shape *shape, uint64_t mark, uint8_t *frame)
{
	size_t data = shape->data ?: 64, length = sizeof(struct udphdr) + data;
	uint8_t *at = frame;
	struct udphdr *udp;

	memcpy(at, agents_mac, 6);
	memcpy(at + 6, peer_mac, 6);
	at = put_tags(at + 12, shape->tags);
	*(uint16_t *)at = htons(shape->arp ? ETH_P_ARP : shape->v6 ? ETH_P_IPV6 : ETH_P_IP);
	at = shape->v6 ? put_ipv6(shape, at + 2, length) : put_ipv4(shape, at + 2, length, mark);
	udp = (void *)at;
	*udp = (struct udphdr){
		.source = htons(shape->from ?: 9),
		.dest = htons(shape->port ?: AGENT_PORT),
		.len = htons(shape->udp_length ?: length + shape->udp_more),
	};
	memset(udp + 1, 'x', data);
	memcpy(udp + 1, &mark, data < sizeof(mark) ? data : sizeof(mark));
	at += length;
	memset(at, 'p', shape->pad);
	return at + shape->pad - frame;
}

bool frame_send(const struct world *world, const uint8_t *frame, size_t length)
{
	return send(world->inject, frame, length, 0) == (ssize_t)length;
}

int tap_open(const struct world *world)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = world->device };
	int fd;

	enter(world->agents);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	MUST(!bind(fd, (void *)&link, sizeof(link)));
	enter(world->home);
	return fd;
}

bool counted(uint64_t before, uint64_t frames)
{
	for (int turn = 0; turn < PATIENCE; turn++) {
		if (steer_counted_all() - before >= frames)
			return true;
		sched_yield();
	}
	return false;
}

static bool marked(const uint8_t *data, size_t size, uint64_t mark)
{
	return memmem(data, size, &mark, sizeof(mark));
}

struct seen look(const struct watch *watch, uint64_t mark)
{
	uint8_t buffer[LARGEST_FRAME];
	struct seen seen = { 0 };
	struct sockaddr_ll from;
	const uint8_t *frame;
	uint32_t length;
	ssize_t got;

	while (watch->ring && (frame = xsk_receive(watch->ring, &length))) {
		if (marked(frame, length, mark))
			seen.ring++;
		else
			seen.strays++;
	}
	for (size_t i = 0; i < sizeof(watch->sockets) / sizeof(*watch->sockets); i++)
		while (watch->sockets[i] >= 0 && (got = recv(watch->sockets[i], buffer, sizeof(buffer), MSG_DONTWAIT)) >= 0)
			seen.sockets[i] += marked(buffer, got, mark);
	while ((got = recvfrom(watch->tap, buffer, sizeof(buffer), MSG_DONTWAIT, (void *)&from,
			       &(socklen_t){ sizeof(from) })) >= 0)
		seen.stack += from.sll_pkttype != PACKET_OUTGOING && marked(buffer, got, mark);
	return seen;
}

static uint64_t reasons_before[REASONS];

static uint64_t remember_reasons(void)
{
	uint64_t sum = 0;

	for (int reason = 0; reason < REASONS; reason++)
		sum += reasons_before[reason] = steer_counted(reason);
	return sum;
}

int last_reason(void)
{
	int found = -1;

	for (int reason = 0; reason < REASONS; reason++) {
		uint64_t more = steer_counted(reason) - reasons_before[reason];

		if (more > 1 || (more && found >= 0))
			return -1;
		if (more)
			found = reason;
	}
	return found;
}

struct seen throw_frame(const struct world *world, const struct watch *watch, const struct shape *shape)
{
	static uint64_t mark = 0x6d61726b00000000;	/* no two frames have the same */
	uint8_t frame[LARGEST_FRAME];
	size_t length = frame_build(shape, ++mark, frame);
	uint64_t before = remember_reasons();

	MUST(frame_send(world, frame, length));
	if (!counted(before, 1))
		say("%s: the program did not see the frame", shape->name);
	return look(watch, mark);
}
