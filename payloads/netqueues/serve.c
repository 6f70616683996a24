// SPDX-License-Identifier: GPL-2.0
/*
 * The second guest: on every CPU a thread that checks datagrams and answers each with one of its own, and one that does so
 * with a stream. The main thread takes orders. All of it ends by order, or by itself after a while.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "netqueues.h"

struct station {
	int cpu, udp, tcp;
	struct tally tally;
};

static struct station stations[MAX_CPUS];
static uint64_t seen[MOST_FLOWS];

static void *answer_datagrams(void *context)
{
	struct station *station = context;
	struct datagram came, reply;
	struct sockaddr_in from;

	pin(station->cpu);
	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(station->udp, &came, sizeof(came), 0, (void *)&from, &length);
		uint32_t flow = ntohs(from.sin_port) - SOURCE_PORT;

		if (n < 0)
			continue;
		if (flow >= MOST_FLOWS)
			station->tally.changed++;
		else if (take_datagram(&came, n, flow, THERE, &seen[flow], &station->tally))
			sendto(station->udp, &reply, fill_datagram(&reply, flow, came.seq, BACK), 0, (void *)&from, length);
	}
	return NULL;
}

/* A stream in pieces: what is wrong with one ends it, and the other side notices. */
static void answer_stream(int fd, uint32_t flow)
{
	static __thread unsigned char came[PIECE], right[PIECE];

	for (size_t at = 0; at < STREAM; at += PIECE) {
		fill_piece(right, flow, at, THERE);
		if (!read_all(fd, came, PIECE) || memcmp(came, right, PIECE))
			return;
		fill_piece(right, flow, at, BACK);
		if (!write_all(fd, right, PIECE))
			return;
	}
}

static void *answer_streams(void *context)
{
	struct station *station = context;

	pin(station->cpu);
	for (;;) {
		int fd = accept4(station->tcp, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		patience(fd);
		answer_stream(fd, station->cpu);
		close(fd);
	}
	return NULL;
}

static bool open_station(struct station *station, int cpu)
{
	pthread_t thread;

	station->cpu = cpu;
	station->udp = bound(SOCK_DGRAM, UDP_PORT + cpu);
	station->tcp = bound(SOCK_STREAM, TCP_PORT + cpu);
	return station->udp >= 0 && station->tcp >= 0 && !listen(station->tcp, 8) &&
	       !pthread_create(&thread, NULL, answer_datagrams, station) &&
	       !pthread_create(&thread, NULL, answer_streams, station);
}

static void obey(int fd, enum order order, const struct sockaddr_in *from)
{
	static struct side side;

	if (order == BEGIN) {
		keep_address(from->sin_addr);
		memset(seen, 0, sizeof(seen));
		for (int cpu = 0; cpu < MAX_CPUS; cpu++)
			memset(&stations[cpu].tally, 0, sizeof(stations[cpu].tally));
		begin_counting();
	} else if (order == END) {
		memset(&side, 0, sizeof(side));
		end_counting(&side);
		for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
			side.tally.good += stations[cpu].tally.good;
			side.tally.changed += stations[cpu].tally.changed;
			side.tally.twice += stations[cpu].tally.twice;
			side.tally.late += stations[cpu].tally.late;
		}
	}
	sendto(fd, &side, sizeof(side), 0, (void *)from, sizeof(*from));
}

/* Leave the caller when all sockets are open; what is said from then on, nobody hears. */
static bool stay_behind(void)
{
	int null = open("/dev/null", O_RDWR);

	fflush(stdout);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	return setsid() >= 0;
}

static int take_orders(void)
{
	cpu_set_t cpus;
	int fd = bound(SOCK_DGRAM, ORDER_PORT);
	bool good = fd >= 0;

	signal(SIGPIPE, SIG_IGN);
	alarm(SERVICE_S);
	online_cpus(&cpus);
	prepare();
	for (int cpu = 0; cpu < MAX_CPUS && good; cpu++)
		good &= !CPU_ISSET(cpu, &cpus) || open_station(&stations[cpu], cpu);
	if (!good)
		perror("netqueues serve");
	return good ? fd : -1;
}

int serve(void)
{
	int up[2], fd;
	char good;

	if (pipe(up))
		return 1;
	if (fork()) {			/* the caller waits until the service is up */
		close(up[1]);
		return read(up[0], &good, 1) == 1 ? 0 : 1;
	}
	fd = take_orders();
	if (fd < 0 || !stay_behind() || write(up[1], "", 1) != 1)
		_exit(1);
	close(up[1]);
	for (;;) {
		struct sockaddr_in from;
		socklen_t length = sizeof(from);
		uint32_t order;

		if (recvfrom(fd, &order, sizeof(order), 0, (void *)&from, &length) != sizeof(order))
			continue;
		obey(fd, order, &from);
		if (order == QUIT)
			_exit(0);
	}
}
