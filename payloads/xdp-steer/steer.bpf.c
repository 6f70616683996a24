// SPDX-License-Identifier: GPL-2.0
/*
 * Description: frames for an agent's UDP port go to that agent's AF_XDP socket, all others to the stack untouched. Four ways to
 * tell whose port it is: by its number alone (which captures everybody's), by what was registered when it was bound, and by
 * the cgroup of the UDP socket as well, asked of bpf_sk_cgroup_id() or read through a cast.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "parse.h"
#include "steer.h"

#define SOCK_DGRAM	2

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_SLOTS * MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* Agents: cgroup to slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SLOTS);
	__type(key, __u64);
	__type(value, __u32);
} agents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct port_key);
	__type(value, struct port_value);
} ports SEC(".maps");

/* A socket that is released may not be asked for its port any more: cookie to key. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct port_key);
} cookies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct redirect_errors);
} errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} last_queue SEC(".maps");

enum way { BY_PORT, BY_REGISTRATION, BY_CGROUP, BY_CAST };

static __always_inline int verdict(enum reason reason, int action)
{
	__u32 key = reason;
	__u64 *count = bpf_map_lookup_elem(&reasons, &key);

	if (count)
		++*count;
	return action;
}

/* As much of the kernel's types as the cast reads; where the fields are comes from its BTF. */
struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

struct sock_cgroup_data {
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_cgroup_data sk_cgrp_data;
} __attribute__((preserve_access_index));

extern void *bpf_rdonly_cast(void *object, __u32 btf_id) __ksym;

/* Whether the UDP socket that the stack would choose was created in `cgroup`. */
static __always_inline enum reason check_owner(struct xdp_md *ctx, struct target *target, __u64 cgroup, enum way way)
{
	bool v4 = target->key.family == 4;
	struct bpf_sock *sk;
	__u64 owner;

	sk = bpf_sk_lookup_udp(ctx, &target->tuple, v4 ? sizeof(target->tuple.ipv4) : sizeof(target->tuple.ipv6),
			       BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return NO_SOCKET;
	if (way == BY_CGROUP) {
		owner = bpf_sk_cgroup_id(sk);
	} else {
		struct sock *whole = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock));

		owner = whole->sk_cgrp_data.cgroup->kn->id;
	}
	bpf_sk_release(sk);
	return owner == cgroup ? REDIRECT : FOREIGN;
}

static __always_inline int steer(struct xdp_md *ctx, enum way way)
{
	struct target target = {};
	enum reason reason = parse(ctx, &target);
	__u32 index = ctx->rx_queue_index;

	if (reason != REDIRECT)
		return verdict(reason, XDP_PASS);
	if (way != BY_PORT) {
		struct port_value *port = bpf_map_lookup_elem(&ports, &target.key);

		if (!port)
			return verdict(UNKNOWN, XDP_PASS);
		if (way != BY_REGISTRATION) {
			reason = check_owner(ctx, &target, port->cgroup, way);
			if (reason != REDIRECT)
				return verdict(reason, XDP_PASS);
		}
		index += port->slot * MAX_QUEUES;
	}
	if (ctx->rx_queue_index >= MAX_QUEUES || !bpf_map_lookup_elem(&xsks, &index))
		return verdict(EMPTY, XDP_PASS);
	return verdict(REDIRECT, bpf_redirect_map(&xsks, index, XDP_PASS));
}

SEC("xdp")
int steer_port(struct xdp_md *ctx)
{
	return steer(ctx, BY_PORT);
}

SEC("xdp")
int steer_registered(struct xdp_md *ctx)
{
	return steer(ctx, BY_REGISTRATION);
}

SEC("xdp")
int steer_cgroup(struct xdp_md *ctx)
{
	return steer(ctx, BY_CGROUP);
}

SEC("xdp")
int steer_cast(struct xdp_md *ctx)
{
	return steer(ctx, BY_CAST);
}

/* What one would write in ten minutes, and what many have written: the control for the frames. */
SEC("xdp")
int steer_careless(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp;

	if ((void *)(ip + 1) > end)
		return verdict(SHORT, XDP_PASS);
	udp = (void *)ip + ip->ihl * 4;
	if ((void *)(udp + 1) > end)
		return verdict(SHORT, XDP_PASS);
	if (ip->protocol != IPPROTO_UDP)
		return verdict(NOT_UDP, XDP_PASS);
	if (bpf_ntohs(udp->dest) < PORT_FIRST || bpf_ntohs(udp->dest) > PORT_LAST)
		return verdict(RANGE, XDP_PASS);
	return verdict(REDIRECT, bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS));
}

/* What every way has in common: the frame comes this far and no further. */
SEC("xdp")
int drop(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_DROP;
}

/* Says on which queue a frame arrived. */
SEC("xdp")
int where(struct xdp_md *ctx)
{
	__u32 key = 0, queue = ctx->rx_queue_index;

	bpf_map_update_elem(&last_queue, &key, &queue, BPF_ANY);
	return XDP_DROP;
}

/* An agent binds a port of the range to one address: registered, unless somebody else has it. A wildcard is the broker's. */
SEC("cgroup/post_bind4")
int bound(struct bpf_sock *sk)
{
	__u64 cgroup = bpf_get_current_cgroup_id(), cookie;
	struct port_key key = { .family = 4 };
	struct port_value value = {};
	__u32 *slot;

	if (sk->type != SOCK_DGRAM || sk->protocol != IPPROTO_UDP)
		return 1;
	if (sk->src_port < PORT_FIRST || sk->src_port > PORT_LAST || !sk->src_ip4)
		return 1;
	slot = bpf_map_lookup_elem(&agents, &cgroup);
	if (!slot)
		return 1;
	cookie = bpf_get_socket_cookie(sk);
	key.address[0] = sk->src_ip4;
	key.port = bpf_htons(sk->src_port);
	value.cgroup = cgroup;
	value.cookie = cookie;
	value.slot = *slot;
	if (!bpf_map_update_elem(&ports, &key, &value, BPF_NOEXIST))
		bpf_map_update_elem(&cookies, &cookie, &key, BPF_ANY);
	return 1;
}

SEC("cgroup/sock_release")
int released(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct port_key *found = bpf_map_lookup_elem(&cookies, &cookie), key;
	struct port_value *value;

	if (!found)
		return 1;
	key = *found;
	value = bpf_map_lookup_elem(&ports, &key);
	if (value && value->cookie == cookie)
		bpf_map_delete_elem(&ports, &key);
	bpf_map_delete_elem(&cookies, &cookie);
	return 1;
}

SEC("raw_tp/xdp_redirect_err")
int redirect_failed(struct bpf_raw_tracepoint_args *ctx)
{
	struct redirect_errors *seen;
	__u32 key = 0;

	seen = bpf_map_lookup_elem(&errors, &key);
	if (seen) {
		seen->count++;
		seen->last = (__s32)ctx->args[3];
	}
	return 0;
}
