/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both guests know: ports, what a datagram holds, and the second guest's answers to the first's orders.
 */
#ifndef NETQUEUES_H
#define NETQUEUES_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>

#include <nic.h>

#define DEVICE "eth1"
#define PEER "10.99.0.3"
#define ORDER_PORT 7000
#define UDP_PORT 7100		/* and the CPU that serves it */
#define TCP_PORT 7200
#define ORDER_SOURCE_PORT 7001
#define SOURCE_PORT 20000	/* and the flow: every boot has the same flows */

#define FLOWS 16		/* a CPU */
#define DATAGRAMS 32		/* a flow: a bit each in a word */
#define WINDOW 8		/* of them on their way */
#define MOST_FLOWS (MAX_CPUS * FLOWS)
#define MOST_WORDS 350		/* 1400 bytes and a head */
#define STREAM (256 << 10)	/* bytes of a TCP flow, each way */
#define PIECE 8192
#define AHEAD 4			/* pieces sent before the first has to be back */
#define SETTLE_MS 200		/* until what was sent is counted: a driver counts a packet when its buffer comes back */
#define PATIENCE_S 10
#define SERVICE_S 280
#define MOST_TOLD 32		/* queues and CPUs in a report */

struct datagram {
	uint32_t flow, seq, words[MOST_WORDS];
};

/* What became of the datagrams that came here. */
struct tally {
	uint64_t good, changed, twice, late;
};

enum order { BEGIN = 1, END, QUIT };

struct side {
	uint32_t pairs, cpus;
	struct tally tally;
	uint64_t rx[MOST_TOLD], tx[MOST_TOLD], interrupts[MOST_TOLD];
};

/* --- content: made of flow, number and direction, so that the receiver knows it ------------------------------------------- */

static inline int words_of(uint32_t seq)
{
	return 16 + seq * 5 % (MOST_WORDS - 15);
}

static inline size_t fill_datagram(struct datagram *datagram, uint32_t flow, uint32_t seq, uint32_t salt)
{
	uint32_t value = flow * 2654435761u ^ seq * 40503u ^ salt;
	int n = words_of(seq);

	datagram->flow = flow;
	datagram->seq = seq;
	for (int i = 0; i < n; i++)
		datagram->words[i] = value = value * 1664525 + 1013904223;
	return (char *)&datagram->words[n] - (char *)datagram;
}

/*
 * Count what came on the way of a flow; `seen` has a bit for each number of the flow. Returns whether it is a new datagram
 * of the flow.
 */
static inline bool take_datagram(const struct datagram *came, ssize_t size, uint32_t flow, uint32_t salt, uint64_t *seen,
				 struct tally *tally)
{
	struct datagram right;

	if (size < 8 || came->seq >= DATAGRAMS || (ssize_t)fill_datagram(&right, flow, came->seq, salt) != size ||
	    memcmp(came, &right, size)) {
		tally->changed++;
		return false;
	}
	if (*seen >> came->seq & 1) {
		tally->twice++;
		return false;
	}
	tally->late += (*seen >> came->seq) != 0;
	*seen |= 1ull << came->seq;
	tally->good++;
	return true;
}

static inline void fill_piece(unsigned char *piece, uint32_t flow, size_t offset, uint32_t salt)
{
	for (size_t i = 0; i < PIECE; i++)
		piece[i] = ((offset + i) * 31 + flow * 7 + salt) % 251;
}

#define THERE 1
#define BACK 2

static inline bool read_all(int fd, void *to, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size && (n = recv(fd, (char *)to + done, size - done, 0)) > 0)
		done += n;
	return done == size;
}

static inline bool write_all(int fd, const void *from, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size && (n = send(fd, (const char *)from + done, size - done, MSG_NOSIGNAL)) > 0)
		done += n;
	return done == size;
}

static inline void patience(int fd)
{
	struct timeval time = { PATIENCE_S, 0 };
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

/* A bound socket; -1 with errno. */
static inline int bound(int type, int port)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	patience(fd);
	return fd >= 0 && !bind(fd, (void *)&here, sizeof(here)) ? fd : -1;
}

static inline struct sockaddr_in peer_address(int port)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_aton(PEER, &peer.sin_addr);
	return peer;
}

void prepare(void);
void keep_address(struct in_addr peer);
void begin_counting(void);
void end_counting(struct side *side);
int serve(void);

#endif
