// SPDX-License-Identifier: GPL-2.0
/* What one of two TCP sockets sends goes straight to the receive queue of the other. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

/* By local port, in the order of the network. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} ends SEC(".maps");

SEC("sk_msg")
int join(struct sk_msg_md *message)
{
	__u32 other = message->remote_port >> 16;	/* where little-endian kernels put the port's two bytes */

	return bpf_msg_redirect_hash(message, &ends, &other, BPF_F_INGRESS);
}
