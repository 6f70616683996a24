/* SPDX-License-Identifier: GPL-2.0 */
/* From a frame to the address and port it is for: every way out but REDIRECT says why it is none of an agent's. */
#ifndef PARSE_H
#define PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

#define IP_FRAGMENT	0x3fff	/* offset and more-fragments */

struct vlan {
	__be16 tci;
	__be16 proto;
};

/* Where a frame is for, and the socket to look for. */
struct target {
	struct port_key key;
	struct bpf_sock_tuple tuple;
};

/* The UDP header at `udp`, of a packet whose IP header says that it has `length` bytes from there on. */
static __always_inline enum reason parse_udp(struct udphdr *udp, void *end, __u32 length, struct target *target)
{
	if ((void *)(udp + 1) > end)
		return SHORT;
	if (bpf_ntohs(udp->len) != length || length != end - (void *)udp)
		return LENGTH;
	if (length > MAX_UDP)
		return JUMBO;
	if (bpf_ntohs(udp->dest) < PORT_FIRST || bpf_ntohs(udp->dest) > PORT_LAST)
		return RANGE;
	target->key.port = udp->dest;
	return REDIRECT;
}

static __always_inline enum reason parse_ipv4(struct iphdr *ip, void *end, struct target *target)
{
	struct udphdr *udp = (void *)(ip + 1);
	enum reason reason;

	if ((void *)udp > end)
		return SHORT;
	if (ip->version != 4 || ip->ihl != 5)
		return VERSION;
	if (ip->protocol != IPPROTO_UDP)
		return NOT_UDP;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return FRAGMENT;
	reason = parse_udp(udp, end, bpf_ntohs(ip->tot_len) - sizeof(*ip), target);
	if (reason != REDIRECT)
		return reason;
	target->key.family = 4;
	target->key.address[0] = ip->daddr;
	target->tuple.ipv4.saddr = ip->saddr;
	target->tuple.ipv4.daddr = ip->daddr;
	target->tuple.ipv4.sport = udp->source;
	target->tuple.ipv4.dport = udp->dest;
	return REDIRECT;
}

static __always_inline enum reason parse_ipv6(struct ipv6hdr *ip, void *end, struct target *target)
{
	struct udphdr *udp = (void *)(ip + 1);
	enum reason reason;

	if ((void *)udp > end)
		return SHORT;
	if (ip->version != 6)
		return VERSION;
	if (ip->nexthdr != IPPROTO_UDP)
		return NOT_UDP;
	reason = parse_udp(udp, end, bpf_ntohs(ip->payload_len), target);
	if (reason != REDIRECT)
		return reason;
	target->key.family = 6;
	__builtin_memcpy(target->key.address, &ip->daddr, 16);
	__builtin_memcpy(target->tuple.ipv6.saddr, &ip->saddr, 16);
	__builtin_memcpy(target->tuple.ipv6.daddr, &ip->daddr, 16);
	target->tuple.ipv6.sport = udp->source;
	target->tuple.ipv6.dport = udp->dest;
	return REDIRECT;
}

static __always_inline enum reason parse(struct xdp_md *ctx, struct target *target)
{
	void *cursor = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = cursor;
	__be16 proto;

	cursor = eth + 1;
	if (cursor > end)
		return SHORT;
	proto = eth->h_proto;
	for (int tag = 0; tag < 2; tag++) {
		struct vlan *vlan = cursor;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		cursor = vlan + 1;
		if (cursor > end)
			return SHORT;
		proto = vlan->proto;
	}
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(cursor, end, target);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(cursor, end, target);
	return NOT_IP;
}

#endif
