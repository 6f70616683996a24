/* SPDX-License-Identifier: GPL-2.0 */
/* The transports that two processes of one host can use, each with two ends; the futex ring (shared memory) is the floor. */
#ifndef TRANSPORTS_H
#define TRANSPORTS_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <lab.h>

#define MAX_SIZE 16384

/* Shared by both processes of a futex ring: whose turn it is, and the message. */
struct ring {
	uint32_t turn;
	char message[MAX_SIZE];
};

/* One end: where it reads and writes, and the bytes it expects and sends. */
struct end {
	int in, out;
	struct ring *ring;
	uint32_t mine;		/* the ring's turn when this end may read */
	size_t size;
	uint64_t sequence;
	char want[MAX_SIZE], got[MAX_SIZE];
};

/* A transport of a payload's table. lacks: what this kernel has not got for it, or NULL; nothing to ask: any kernel has it. */
struct transport {
	const char *name;
	bool (*connect)(struct end *a, struct end *b);
	bool (*send)(struct end *end);
	bool (*receive)(struct end *end);
	bool loopback;			/* messages go over the device `lo`, all of them; else none */
	const char *(*lacks)(void);
};

static inline bool send_bytes(struct end *end)
{
	for (size_t done = 0; done < end->size;) {
		ssize_t n = write(end->out, end->want + done, end->size - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

static inline bool receive_bytes(struct end *end)
{
	for (size_t done = 0; done < end->size;) {
		ssize_t n = read(end->in, end->got + done, end->size - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* A message is whole or wrong. */
static inline bool receive_message(struct end *end)
{
	return read(end->in, end->got, end->size) == (ssize_t)end->size;
}

static inline long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static inline bool send_ring(struct end *end)
{
	memcpy(end->ring->message, end->want, end->size);
	__atomic_store_n(&end->ring->turn, !end->mine, __ATOMIC_RELEASE);
	return futex(&end->ring->turn, FUTEX_WAKE, 1) >= 0;
}

static inline bool receive_ring(struct end *end)
{
	while (__atomic_load_n(&end->ring->turn, __ATOMIC_ACQUIRE) != end->mine)
		if (futex(&end->ring->turn, FUTEX_WAIT, !end->mine) < 0 && errno != EAGAIN && errno != EINTR)
			return false;
	memcpy(end->got, end->ring->message, end->size);
	return true;
}

static inline bool connect_ring(struct end *a, struct end *b)
{
	a->ring = mmap(NULL, sizeof(*a->ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	b->ring = a->ring;
	b->mine = 1;
	return a->ring != MAP_FAILED;
}

static inline bool connect_pair(struct end *a, struct end *b, int type)
{
	int pair[2];

	if (socketpair(AF_UNIX, type, 0, pair))
		return false;
	a->in = a->out = pair[0];
	b->in = b->out = pair[1];
	return true;
}

static inline bool connect_stream(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_STREAM);
}

static inline bool connect_seqpacket(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_SEQPACKET);
}

static inline bool connect_dgram(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_DGRAM);
}

static inline bool connect_pipe(struct end *a, struct end *b)
{
	int forth[2], back[2];

	if (pipe(forth) || pipe(back))
		return false;
	*a = (struct end){ .in = back[0], .out = forth[1] };
	*b = (struct end){ .in = forth[0], .out = back[1] };
	return true;
}

/* The loopback interface may still be down when nothing but the lab's init ran. */
static inline bool loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &request);

	if (up && !(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		up = !ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
	return up;
}

static inline int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (void *)address, length) || getsockname(fd, (void *)address, &length))
		return -1;
	return fd;
}

static inline bool connect_udp(struct end *a, struct end *b)
{
	struct sockaddr_in one, two;

	if (!loopback_up())
		return false;
	a->in = a->out = bound(SOCK_DGRAM, &one);
	b->in = b->out = bound(SOCK_DGRAM, &two);
	return a->in >= 0 && b->in >= 0 && !connect(a->in, (void *)&two, sizeof(two)) &&
	       !connect(b->in, (void *)&one, sizeof(one));
}

static inline bool connect_tcp(struct end *a, struct end *b)
{
	struct sockaddr_in address;
	int listener, on = 1;

	if (!loopback_up())
		return false;
	listener = bound(SOCK_STREAM, &address);
	if (listener < 0 || listen(listener, 1))
		return false;
	a->in = a->out = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(a->in, (void *)&address, sizeof(address)))
		return false;
	b->in = b->out = accept(listener, NULL, NULL);
	close(listener);
	return b->in >= 0 && !setsockopt(a->in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) &&
	       !setsockopt(b->in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* What any kernel has: rows of a payload's table. Streams, and records that are read as they were written. */
#define STREAM_TRANSPORTS \
	{ "pipe", connect_pipe, send_bytes, receive_bytes, false, NULL }, \
	{ "unix-stream", connect_stream, send_bytes, receive_bytes, false, NULL }, \
	{ "unix-seqpacket", connect_seqpacket, send_bytes, receive_message, false, NULL }, \
	{ "tcp", connect_tcp, send_bytes, receive_bytes, true, NULL }

#define PLAIN_TRANSPORTS \
	{ "futex", connect_ring, send_ring, receive_ring, false, NULL }, \
	{ "pipe", connect_pipe, send_bytes, receive_bytes, false, NULL }, \
	{ "unix-stream", connect_stream, send_bytes, receive_bytes, false, NULL }, \
	{ "unix-seqpacket", connect_seqpacket, send_bytes, receive_message, false, NULL }, \
	{ "unix-dgram", connect_dgram, send_bytes, receive_message, false, NULL }, \
	{ "udp", connect_udp, send_bytes, receive_message, true, NULL }, \
	{ "tcp", connect_tcp, send_bytes, receive_bytes, true, NULL }

#endif
