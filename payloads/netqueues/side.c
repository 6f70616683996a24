// SPDX-License-Identifier: GPL-2.0
/*
 * What each guest does alike: make its queues and its flows the same in every boot, and count by queue and CPU.
 */
#define _GNU_SOURCE
#include <net/if_arp.h>

#include "netqueues.h"

#define KEY 40

/* The key of the verification suite of "Introduction to Receive Side Scaling" (Microsoft): any will do, if it stays. */
static const unsigned char key[KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static struct packets before, after;
static struct interrupts irqs_before, irqs_after;

/* All queue pairs in use, and a key for the hash that spreads what comes in; the kernel makes it up anew in every boot. */
void prepare(void)
{
	struct {
		struct ethtool_rxfh head;
		unsigned char key[KEY];
	} hash = { .head = { .cmd = ETHTOOL_SRSSH, .indir_size = ETH_RXFH_INDIR_NO_CHANGE, .key_size = KEY } };

	memcpy(hash.key, key, KEY);
	if (!set_queue_pairs(DEVICE, most_queue_pairs(DEVICE)))
		lab_note("%s: cannot use all its queue pairs: %m", DEVICE);
	if (!ethtool(DEVICE, &hash))
		lab_note("%s: the hash keeps its key: %m", DEVICE);
}

/* Ask no more for the other guest's hardware address: an ARP request or two are packets that nobody meant. */
void keep_address(struct in_addr peer)
{
	struct arpreq entry = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*(struct sockaddr_in *)&entry.arp_pa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = peer };
	snprintf(entry.arp_dev, sizeof(entry.arp_dev), "%s", DEVICE);
	entry.arp_flags = ATF_COM;
	if (ioctl(fd, SIOCGARP, &entry)) {
		lab_note("%s: the peer's address is not known: %m", DEVICE);
	} else {
		entry.arp_flags = ATF_COM | ATF_PERM;
		if (ioctl(fd, SIOCSARP, &entry))
			lab_note("%s: the peer's address does not stay: %m", DEVICE);
	}
	close(fd);
}

void begin_counting(void)
{
	rest_ms(SETTLE_MS);
	read_interrupts(&irqs_before);
	if (!read_packets(DEVICE, &before))
		lab_note("%s: no packets by queue: %m", DEVICE);
}

/* The vectors of the device's queues have the name of its virtio device, `virtio3-input.0`. */
static uint64_t device_interrupts(const struct interrupts *now, const char *virtio, int cpu)
{
	uint64_t sum = 0;

	for (int i = 0; i < now->lines; i++) {
		const char *name = now->line[i].name;
		size_t size = strlen(virtio);

		if (!strncmp(name, virtio, size) && name[size] == '-' && strcmp(name + size, "-config"))
			sum += now->line[i].on[cpu];
	}
	return sum;
}

void end_counting(struct side *side)
{
	char link[256] = "", *virtio;
	cpu_set_t cpus;

	rest_ms(SETTLE_MS);
	if (!read_packets(DEVICE, &after))
		lab_note("%s: no packets by queue: %m", DEVICE);
	read_interrupts(&irqs_after);
	online_cpus(&cpus);
	if (readlink("/sys/class/net/" DEVICE "/device", link, sizeof(link) - 1) < 0)
		lab_note("%s has no device: %m", DEVICE);
	virtio = strrchr(link, '/');
	virtio = virtio ? virtio + 1 : "?";
	side->pairs = queue_pairs(DEVICE);
	side->cpus = CPU_COUNT(&cpus);
	for (int i = 0; i < MOST_TOLD; i++) {
		side->rx[i] = after.rx[i] - before.rx[i];
		side->tx[i] = after.tx[i] - before.tx[i];
		side->interrupts[i] = device_interrupts(&irqs_after, virtio, i) - device_interrupts(&irqs_before, virtio, i);
	}
}
