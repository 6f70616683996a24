// SPDX-License-Identifier: GPL-2.0
/*
 * Queue pairs of a NIC: set, and each seen to send and to receive. The device spreads what it receives by a hash of addresses
 * and ports, the kernel what it sends by CPU and the same kind of hash: flows from every CPU reach every queue, in time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <nic.h>

#include "hardware.h"

#define ECHO_PORT 7
#define FLOWS 8			/* a CPU and round, in flight together */
#define ROUNDS 100
#define WAIT_MS 2000
#define TRIES 3			/* UDP may lose */
#define WORDS 16

static int echoed, lost, wrong;

static void fill(uint32_t *words, uint32_t seed)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = seed = seed * 1664525 + 1013904223;
}

/* A datagram of its own content there and back on a connected socket. */
static void exchange(int fd, uint32_t seed)
{
	uint32_t sent[WORDS], back[WORDS + 1];
	struct pollfd ready = { fd, POLLIN, 0 };

	fill(sent, seed);
	for (int try = 0; try < TRIES; try++) {
		if (try && send(fd, sent, sizeof(sent), 0) < 0)
			break;
		if (poll(&ready, 1, WAIT_MS) == 1) {
			ssize_t n = recv(fd, back, sizeof(back), 0);

			if (n == sizeof(sent) && !memcmp(sent, back, n))
				echoed++;
			else
				wrong++;
			return;
		}
	}
	lost++;
}

/* FLOWS new source ports from the CPU this runs on. */
static void sweep(const struct sockaddr_in *echo, const char *device)
{
	static uint32_t seed = 1;
	uint32_t words[WORDS];
	int fds[FLOWS];

	for (int i = 0; i < FLOWS; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		fill(words, seed + i);
		if (fds[i] < 0 || setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1) ||
		    connect(fds[i], (void *)echo, sizeof(*echo)) || send(fds[i], words, sizeof(words), 0) < 0)
			lab_note("%s: cannot send: %m", device);
	}
	for (int i = 0; i < FLOWS; i++) {
		exchange(fds[i], seed + i);
		close(fds[i]);
	}
	seed += FLOWS;
}

/* Until every queue of both directions has carried something, or it will not. */
static bool traffic(const char *device, int pairs, const struct sockaddr_in *echo, struct packets *now)
{
	struct packets before;
	cpu_set_t cpus;

	online_cpus(&cpus);
	if (!read_packets(device, &before))
		return false;
	for (int round = 0; round < ROUNDS && lost < 2 * FLOWS; round++) {
		for (int cpu = 0; cpu < MAX_CPUS; cpu++)
			if (CPU_ISSET(cpu, &cpus) && pin(cpu))
				sweep(echo, device);
		if (!read_packets(device, now))
			return false;
		subtract(now, &before);
		if (all_rose(now, pairs))
			break;
	}
	return true;
}

void prove_net(const char *rest, struct finding *finding)
{
	char device[16], address[64], text[TEXT] = "";
	struct sockaddr_in echo = { .sin_family = AF_INET, .sin_port = htons(ECHO_PORT) };
	struct packets packets;
	int asked, found;

	if (sscanf(rest, "%15[^:]:%d:%63s", device, &asked, address) != 3 || !inet_aton(address, &echo.sin_addr)) {
		FOUND(finding, false, "`%s` is not device:pairs:address", rest);
		return;
	}
	echoed = lost = wrong = 0;
	if (!set_queue_pairs(device, asked))
		lab_note("%s: %d queue pairs: %m", device, asked);
	found = queue_pairs(device);
	if (!traffic(device, found, &echo, &packets)) {
		FOUND(finding, false, "asked %d queue pairs, found %d, but no packet counters by queue: %m", asked, found);
		return;
	}
	add_counters(text, sizeof(text), packets.rx, packets.rx_queues);
	add(text, sizeof(text), ", tx");
	add_counters(text, sizeof(text), packets.tx, packets.tx_queues);
	FOUND(finding, found == asked && all_rose(&packets, asked) && echoed && !wrong && !lost,
		  "asked %d queue pairs, found %d; packets by queue: rx%s; %d datagrams came back whole, %d not, %d changed",
		  asked, found, text, echoed, lost, wrong);
}
