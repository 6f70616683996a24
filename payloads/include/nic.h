/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of a network device: how many are in use, and packets by queue.
 *
 * Packets come from the kernel's per-queue statistics (generic netlink family "netdev", qstats-get with scope queue,
 * Documentation/netlink/specs/netdev.yaml); `ethtool -S` of virtio_net has none since 6.11.
 */
#ifndef NIC_H
#define NIC_H

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <machine.h>

#define MAX_QUEUES 128
#define ANSWER_S 5

/* uapi/linux/netdev.h of 6.10 and later, which a host's headers may not have */
enum { QSTATS_GET = 12 };
enum { QSTATS_IFINDEX = 1, QSTATS_QUEUE_TYPE, QSTATS_QUEUE_ID, QSTATS_SCOPE, QSTATS_RX_PACKETS = 8, QSTATS_TX_PACKETS = 10 };
enum { SCOPE_QUEUE = 1, TYPE_RX = 0, TYPE_TX = 1 };

/* Packets by queue; `rx` and `tx` of them are in use. */
struct packets {
	int rx_queues, tx_queues;
	uint64_t rx[MAX_QUEUES], tx[MAX_QUEUES];
};

/* --- channels: ioctl SIOCETHTOOL (linux/ethtool.h) ----------------------------------------------------------------------- */

static inline bool ethtool(const char *device, void *command)
{
	struct ifreq request = { .ifr_data = command };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	good = fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return good;
}

/* Queue pairs in use; 0: the device does not say. */
static inline int queue_pairs(const char *device)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	return ethtool(device, &channels) ? channels.combined_count : 0;
}

/* The most queue pairs it can use. */
static inline int most_queue_pairs(const char *device)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	return ethtool(device, &channels) ? channels.max_combined : 0;
}

static inline bool set_queue_pairs(const char *device, int pairs)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_SCHANNELS, .combined_count = pairs };

	return queue_pairs(device) == pairs || ethtool(device, &channels);
}

/* --- packets by queue: generic netlink ----------------------------------------------------------------------------------- */

struct ask {
	struct nlmsghdr head;
	struct genlmsghdr what;
	char attributes[128];
};

static inline void put(struct ask *ask, int type, const void *value, int size)
{
	struct nlattr *attribute = (void *)((char *)ask + ask->head.nlmsg_len);

	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN + size;
	memcpy((char *)attribute + NLA_HDRLEN, value, size);
	ask->head.nlmsg_len += NLA_ALIGN(attribute->nla_len);
}

static inline void begin(struct ask *ask, int family, int command, int flags)
{
	memset(ask, 0, sizeof(*ask));
	ask->head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	ask->head.nlmsg_type = family;
	ask->head.nlmsg_flags = NLM_F_REQUEST | flags;
	ask->what.cmd = command;
	ask->what.version = 1;
}

/* Unsigned numbers come in two, four or eight bytes. */
static inline uint64_t number(const struct nlattr *attribute)
{
	size_t size = attribute->nla_len - NLA_HDRLEN;
	uint64_t value = 0;

	memcpy(&value, (const char *)attribute + NLA_HDRLEN, size > sizeof(value) ? 0 : size);
	return value;
}

typedef void (*on_message)(const struct nlattr **by_type, int types, void *context);

static inline void take_message(const struct nlmsghdr *head, on_message heard, void *context)
{
	const struct nlattr *by_type[16] = { 0 };
	const char *at = (const char *)head + NLMSG_LENGTH(GENL_HDRLEN), *end = (const char *)head + head->nlmsg_len;

	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const void *)at;

		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > end - at)
			break;
		if ((attribute->nla_type & NLA_TYPE_MASK) < 16)
			by_type[attribute->nla_type & NLA_TYPE_MASK] = attribute;
		at += NLA_ALIGN(attribute->nla_len);
	}
	heard(by_type, 16, context);
}

/* Ask and hear every message of the answer; a message that carries an error, or none in time, is false with errno. */
static inline bool converse(struct ask *ask, on_message heard, void *context)
{
	static char answer[1 << 16];
	struct timeval patience = { ANSWER_S, 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int n, error = fd < 0 || send(fd, ask, ask->head.nlmsg_len, 0) < 0 ? errno : 0;
	bool more = !error;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (more && (n = recv(fd, answer, sizeof(answer), 0)) > 0) {
		for (struct nlmsghdr *head = (void *)answer; NLMSG_OK(head, (unsigned int)n); head = NLMSG_NEXT(head, n)) {
			more = head->nlmsg_flags & NLM_F_MULTI && head->nlmsg_type != NLMSG_DONE;
			if (head->nlmsg_type == NLMSG_ERROR)
				error = -((struct nlmsgerr *)NLMSG_DATA(head))->error;
			else if (head->nlmsg_type != NLMSG_DONE)
				take_message(head, heard, context);
		}
	}
	if (more)
		error = errno;
	close(fd);
	errno = error;
	return !error;
}

static inline void hear_family(const struct nlattr **by_type, int types, void *context)
{
	(void)types;
	if (by_type[CTRL_ATTR_FAMILY_ID])
		*(int *)context = number(by_type[CTRL_ATTR_FAMILY_ID]);
}

static inline void hear_queue(const struct nlattr **by_type, int types, void *context)
{
	struct packets *packets = context;
	bool rx;
	uint64_t id;

	(void)types;
	if (!by_type[QSTATS_QUEUE_TYPE] || !by_type[QSTATS_QUEUE_ID])
		return;
	rx = number(by_type[QSTATS_QUEUE_TYPE]) == TYPE_RX;
	id = number(by_type[QSTATS_QUEUE_ID]);
	if (id >= MAX_QUEUES || !by_type[rx ? QSTATS_RX_PACKETS : QSTATS_TX_PACKETS])
		return;
	(rx ? packets->rx : packets->tx)[id] = number(by_type[rx ? QSTATS_RX_PACKETS : QSTATS_TX_PACKETS]);
	*(rx ? &packets->rx_queues : &packets->tx_queues) += 1;
}

/* False with errno: the kernel or the driver has no such statistics. */
static inline bool read_packets(const char *device, struct packets *packets)
{
	uint32_t index = if_nametoindex(device), scope = SCOPE_QUEUE;
	int family = 0;
	struct ask ask;

	memset(packets, 0, sizeof(*packets));
	if (!index)
		return false;
	begin(&ask, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	put(&ask, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	if (!converse(&ask, hear_family, &family))
		return false;
	begin(&ask, family, QSTATS_GET, NLM_F_DUMP);
	put(&ask, QSTATS_IFINDEX, &index, sizeof(index));
	put(&ask, QSTATS_SCOPE, &scope, sizeof(scope));
	if (!converse(&ask, hear_queue, packets))
		return false;
	errno = ENODATA;
	return packets->rx_queues && packets->tx_queues;
}

/* What was added since; `after` becomes the difference. */
static inline void subtract(struct packets *after, const struct packets *before)
{
	for (int i = 0; i < MAX_QUEUES; i++) {
		after->rx[i] -= before->rx[i];
		after->tx[i] -= before->tx[i];
	}
}

static inline bool all_rose(const struct packets *packets, int pairs)
{
	for (int i = 0; i < pairs; i++)
		if (!packets->rx[i] || !packets->tx[i])
			return false;
	return packets->rx_queues == pairs && packets->tx_queues == pairs;
}

static inline void add_counters(char *text, size_t size, const uint64_t *values, int n)
{
	for (int i = 0; i < n; i++)
		add(text, size, " %llu", (unsigned long long)values[i]);
}

#endif
