// SPDX-License-Identifier: GPL-2.0
/*
 * Description: a message to another process on the same CPU and its answer, over every transport two processes of one
 * host can use; the futex ring (shared memory and two wake-ups) is the floor. Both ends check every byte they get.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <lab.h>

#define MAX_SIZE 16384
#define STUCK_S 240

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

struct transport {
	const char *name;
	bool (*connect)(struct end *a, struct end *b);
	bool (*send)(struct end *end);
	bool (*receive)(struct end *end);
};

static bool send_bytes(struct end *end)
{
	for (size_t done = 0; done < end->size;) {
		ssize_t n = write(end->out, end->want + done, end->size - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

static bool receive_bytes(struct end *end)
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
static bool receive_message(struct end *end)
{
	return read(end->in, end->got, end->size) == (ssize_t)end->size;
}

static long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static bool send_ring(struct end *end)
{
	memcpy(end->ring->message, end->want, end->size);
	__atomic_store_n(&end->ring->turn, !end->mine, __ATOMIC_RELEASE);
	return futex(&end->ring->turn, FUTEX_WAKE, 1) >= 0;
}

static bool receive_ring(struct end *end)
{
	while (__atomic_load_n(&end->ring->turn, __ATOMIC_ACQUIRE) != end->mine)
		if (futex(&end->ring->turn, FUTEX_WAIT, !end->mine) < 0 && errno != EAGAIN && errno != EINTR)
			return false;
	memcpy(end->got, end->ring->message, end->size);
	return true;
}

static bool connect_ring(struct end *a, struct end *b)
{
	a->ring = mmap(NULL, sizeof(*a->ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	b->ring = a->ring;
	b->mine = 1;
	return a->ring != MAP_FAILED;
}

static bool connect_pair(struct end *a, struct end *b, int type)
{
	int pair[2];

	if (socketpair(AF_UNIX, type, 0, pair))
		return false;
	a->in = a->out = pair[0];
	b->in = b->out = pair[1];
	return true;
}

static bool connect_stream(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_STREAM);
}

static bool connect_seqpacket(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_SEQPACKET);
}

static bool connect_dgram(struct end *a, struct end *b)
{
	return connect_pair(a, b, SOCK_DGRAM);
}

static bool connect_pipe(struct end *a, struct end *b)
{
	int forth[2], back[2];

	if (pipe(forth) || pipe(back))
		return false;
	*a = (struct end){ .in = back[0], .out = forth[1] };
	*b = (struct end){ .in = forth[0], .out = back[1] };
	return true;
}

/* The loopback interface may still be down when nothing but the lab's init ran. */
static bool loopback_up(void)
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

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (void *)address, length) || getsockname(fd, (void *)address, &length))
		return -1;
	return fd;
}

static bool connect_udp(struct end *a, struct end *b)
{
	struct sockaddr_in one, two;

	if (!loopback_up())
		return false;
	a->in = a->out = bound(SOCK_DGRAM, &one);
	b->in = b->out = bound(SOCK_DGRAM, &two);
	return a->in >= 0 && b->in >= 0 && !connect(a->in, (void *)&two, sizeof(two)) &&
	       !connect(b->in, (void *)&one, sizeof(one));
}

static bool connect_tcp(struct end *a, struct end *b)
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

static const struct transport transports[] = {
	{ "futex", connect_ring, send_ring, receive_ring },
	{ "pipe", connect_pipe, send_bytes, receive_bytes },
	{ "unix-stream", connect_stream, send_bytes, receive_bytes },
	{ "unix-seqpacket", connect_seqpacket, send_bytes, receive_message },
	{ "unix-dgram", connect_dgram, send_bytes, receive_message },
	{ "udp", connect_udp, send_bytes, receive_message },
	{ "tcp", connect_tcp, send_bytes, receive_bytes },
};

/* Fewer operations where each is longer. The warm-up lasts some ticks and carries TCP past 64 KiB, where its path changes. */
static const struct { size_t size; int warmup, laps; } sizes[] = { { 64, 1200, 500 }, { 4096, 300, 200 }, { 16384, 100, 100 } };

/* What both ends expect of message number `sequence`: its number first and last, a pattern between. */
static void stamp(struct end *end)
{
	end->sequence++;
	memcpy(end->want, &end->sequence, sizeof(end->sequence));
	memcpy(end->want + end->size - sizeof(end->sequence), &end->sequence, sizeof(end->sequence));
}

static const struct transport *transport;	/* the one under test */

static bool round_trip(void *context)
{
	struct end *end = context;

	stamp(end);
	return transport->send(end) && transport->receive(end) && !memcmp(end->want, end->got, end->size);
}

/* The other end answers until it is told otherwise: a wrong byte or a closed connection ends it. */
static void answer(struct end *end)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	lab_join();
	for (;;) {
		stamp(end);
		if (!transport->receive(end) || memcmp(end->want, end->got, end->size) || !transport->send(end))
			_exit(1);
	}
}

static bool run(struct end *a, struct end *b, const char *name, size_t size, int warmup, int laps)
{
	int failures;
	pid_t child;

	*a = *b = (struct end){ .in = -1, .out = -1 };
	if (!transport->connect(a, b)) {
		lab_note("%s: cannot connect: %m", name);
		return false;
	}
	a->size = b->size = size;
	memset(a->want, 'l', size);
	memset(b->want, 'l', size);
	fflush(stdout);
	child = fork();
	if (child < 0)
		lab_bail("cannot fork");
	if (!child)
		answer(b);
	alarm(STUCK_S);
	failures = lab_measure(name, round_trip, a, warmup, laps);
	alarm(0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(a->in);
	close(a->out);
	close(b->in);
	close(b->out);
	if (a->ring)
		munmap(a->ring, sizeof(*a->ring));
	return !failures;
}

int main(void)
{
	const int n_transports = sizeof(transports) / sizeof(*transports), n_sizes = sizeof(sizes) / sizeof(*sizes);
	static struct end a, b;
	char name[40];

	lab_plan(n_transports * n_sizes);
	lab_settle();
	signal(SIGPIPE, SIG_IGN);
	lab_calibrate();
	for (int t = 0; t < n_transports; t++) {
		for (int s = 0; s < n_sizes; s++) {
			transport = &transports[t];
			snprintf(name, sizeof(name), "%s.%zu", transport->name, sizes[s].size);
			lab_result(run(&a, &b, name, sizes[s].size, sizes[s].warmup, sizes[s].laps), name);
		}
	}
	return lab_exit();
}
