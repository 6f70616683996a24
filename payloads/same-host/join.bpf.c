// SPDX-License-Identifier: GPL-2.0
/* What one of two TCP sockets sends goes straight to the receive queue of the other. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

/* The socket with the lower local port is number 0. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} ends SEC(".maps");

SEC("sk_msg")
int join(struct sk_msg_md *message)
{
	__u32 other = message->local_port < bpf_ntohl(message->remote_port);

	return bpf_msg_redirect_map(message, &ends, other, BPF_F_INGRESS);
}
