// SPDX-License-Identifier: GPL-2.0
/*
 * Description: datagrams and streams from every CPU of the first guest of a pair to every CPU of the second and back: which
 * queues carried them, whether a CPU sends by queues of its own, and whether all arrived once and unchanged.
 */
#define _GNU_SOURCE
#include "netqueues.h"

#define STUCK_S 240
#define TRIES 5			/* of an order: it travels by UDP */
#define TOLD 4			/* queues and CPUs that have rows */

/* What one CPU sends and what came back to it. */
struct sender {
	int cpu;
	bool streams;		/* one TCP flow too */
	struct tally tally;
	uint64_t lost, stream_bytes;
};

static int cpus[MAX_CPUS], n_cpus;
static volatile bool hopeless;	/* nothing comes back any more */

/* --- traffic ------------------------------------------------------------------------------------------------------------- */

/* All datagrams of a flow, at most WINDOW on their way: nobody has a reason to drop one. */
static void run_flow(struct sender *sender, int number)
{
	uint32_t flow = sender->cpu * FLOWS + number;
	struct sockaddr_in peer = peer_address(UDP_PORT + cpus[(sender->cpu + number) % n_cpus]);
	int fd = bound(SOCK_DGRAM, SOURCE_PORT + flow), sent = 0, back = 0;
	static __thread struct datagram datagram;
	uint64_t seen = 0;

	if (fd < 0 || connect(fd, (void *)&peer, sizeof(peer)))
		lab_bail("flow %u: %m", flow);
	while (back < DATAGRAMS && !hopeless) {
		ssize_t n;

		while (sent < DATAGRAMS && sent - back < WINDOW) {
			size_t size = fill_datagram(&datagram, flow, sent++, THERE);

			if (send(fd, &datagram, size, 0) != (ssize_t)size)
				lab_note("flow %u: %m", flow);
		}
		n = recv(fd, &datagram, sizeof(datagram), 0);
		if (n < 0)
			hopeless = true;
		else
			back += take_datagram(&datagram, n, flow, BACK, &seen, &sender->tally);
	}
	while (recv(fd, &datagram, sizeof(datagram), MSG_DONTWAIT) > 0)
		sender->tally.twice++;
	sender->lost += DATAGRAMS - back;
	close(fd);
}

/* A stream there and another back, a few pieces apart. */
static void run_stream(struct sender *sender)
{
	struct sockaddr_in peer = peer_address(TCP_PORT + sender->cpu);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static __thread unsigned char piece[PIECE], right[PIECE];
	size_t sent = 0;

	patience(fd);
	if (connect(fd, (void *)&peer, sizeof(peer)))
		lab_note("stream of CPU %d: %m", sender->cpu);
	for (size_t back = 0; back < STREAM && !hopeless; back += PIECE) {
		for (; sent < STREAM && sent < back + AHEAD * PIECE; sent += PIECE) {
			fill_piece(piece, sender->cpu, sent, THERE);
			if (!write_all(fd, piece, PIECE))
				break;
		}
		fill_piece(right, sender->cpu, back, BACK);
		if (!read_all(fd, piece, PIECE) || memcmp(piece, right, PIECE))
			break;
		sender->stream_bytes += PIECE;
	}
	close(fd);
}

static void *send_all(void *context)
{
	struct sender *sender = context;

	if (!pin(sender->cpu))
		lab_note("CPU %d: %m", sender->cpu);
	if (sender->streams)
		run_stream(sender);
	for (int number = 0; number < FLOWS; number++)
		run_flow(sender, number);
	return NULL;
}

/* --- the other guest ------------------------------------------------------------------------------------------------------ */

static void command(enum order order, struct side *side)
{
	struct sockaddr_in peer = peer_address(ORDER_PORT);
	int fd = bound(SOCK_DGRAM, ORDER_SOURCE_PORT);
	uint32_t word = order;

	if (fd < 0 || connect(fd, (void *)&peer, sizeof(peer)))
		lab_bail("no way to %s: %m", PEER);
	for (int try = 0; try < TRIES; try++) {
		if (send(fd, &word, sizeof(word), 0) != sizeof(word) || recv(fd, side, sizeof(*side), 0) != sizeof(*side))
			continue;
		keep_address(peer.sin_addr);
		close(fd);
		return;
	}
	lab_bail("the second guest does not answer: %m");
}

/* --- what is told ---------------------------------------------------------------------------------------------------------- */

static void tell_side(const char *name, const struct side *side)
{
	for (unsigned int i = 0; i < TOLD; i++) {
		if (i < side->pairs) {
			lab_note("sample udp.%s.rx.queue%u %llu packets", name, i, (unsigned long long)side->rx[i]);
			lab_note("sample udp.%s.tx.queue%u %llu packets", name, i, (unsigned long long)side->tx[i]);
		}
		if (i < side->cpus)
			lab_note("sample udp.%s.interrupts.cpu%u %llu interrupts", name, i,
				 (unsigned long long)side->interrupts[i]);
	}
}

/* Rows that a smaller guest cannot have. */
static void skip_absent(const char *name, const struct side *side)
{
	static const char *const ways[] = { "rx", "tx" };
	char row[64];

	for (unsigned int i = 0; i < TOLD; i++) {
		for (int way = 0; way < 2 && i >= side->pairs; way++) {
			snprintf(row, sizeof(row), "udp.%s.%s.queue%u", name, ways[way], i);
			lab_skip(row, "%s has %u queue pairs", DEVICE, side->pairs);
		}
		if (i >= side->cpus) {
			snprintf(row, sizeof(row), "udp.%s.interrupts.cpu%u", name, i);
			lab_skip(row, "there are %u CPUs", side->cpus);
		}
	}
}

static int absent(const struct side *side)
{
	int pairs = side->pairs < TOLD ? TOLD - side->pairs : 0, missing = side->cpus < TOLD ? TOLD - side->cpus : 0;

	return 2 * pairs + missing;
}

static bool all_carried(const struct side *side, char *text, size_t size)
{
	bool good = side->pairs > 0;

	add(text, size, " rx");
	add_counters(text, size, side->rx, side->pairs);
	add(text, size, " tx");
	add_counters(text, size, side->tx, side->pairs);
	for (unsigned int i = 0; i < side->pairs && i < MOST_TOLD; i++)
		good &= side->rx[i] && side->tx[i];
	return good;
}

static void add_tally(struct tally *sum, const struct tally *one)
{
	sum->good += one->good;
	sum->changed += one->changed;
	sum->twice += one->twice;
	sum->late += one->late;
}

/* Every datagram once, there and back; those that overtook each other are told, which is their right. */
static void judge_datagrams(const char *name, const struct sender *senders, const struct side *second)
{
	unsigned long long due = (unsigned long long)n_cpus * FLOWS * DATAGRAMS;
	struct tally first = { 0 };

	for (int i = 0; i < n_cpus; i++)
		add_tally(&first, &senders[i].tally);
	lab_found(first.good == due && second->tally.good == due && !(first.changed + first.twice) &&
		  !(second->tally.changed + second->tally.twice), name,
		  "%llu sent; there %llu good, %llu changed, %llu twice, %llu late; back %llu good, %llu changed, %llu twice, %llu late",
		  due, (unsigned long long)second->tally.good, (unsigned long long)second->tally.changed,
		  (unsigned long long)second->tally.twice, (unsigned long long)second->tally.late,
		  (unsigned long long)first.good, (unsigned long long)first.changed, (unsigned long long)first.twice,
		  (unsigned long long)first.late);
}

/* --- phases ---------------------------------------------------------------------------------------------------------------- */

/* Packets that left by a queue whose map of senders (XPS) has the CPU, and all that left. */
static void count_home(int cpu, const struct packets *sent, uint64_t *home, uint64_t *all)
{
	for (int queue = 0; queue < sent->tx_queues; queue++) {
		cpu_set_t map;

		if (parse_mask(sys_text("/sys/class/net/" DEVICE "/queues/tx-%d/xps_cpus", queue), &map) && CPU_ISSET(cpu, &map))
			*home += sent->tx[queue];
		*all += sent->tx[queue];
	}
}

/* One CPU after the other, so that it is known who filled which queue. */
static void one_by_one(struct sender *senders, struct side *first, struct side *second, double *home)
{
	static struct packets before, after;
	uint64_t at_home = 0, all = 0;
	pthread_t thread;

	command(BEGIN, second);
	begin_counting();
	for (int i = 0; i < n_cpus; i++) {
		read_packets(DEVICE, &before);
		if (pthread_create(&thread, NULL, send_all, &senders[i]))
			lab_bail("cannot make a thread: %m");
		pthread_join(thread, NULL);
		rest_ms(SETTLE_MS);
		if (read_packets(DEVICE, &after))
			subtract(&after, &before);
		count_home(senders[i].cpu, &after, &at_home, &all);
	}
	end_counting(first);
	command(END, second);
	*home = all ? 100.0 * at_home / all : 0;
}

static void all_together(struct sender *senders, struct side *first, struct side *second)
{
	pthread_t threads[MAX_CPUS];

	command(BEGIN, second);
	begin_counting();
	for (int i = 0; i < n_cpus; i++)
		if (pthread_create(&threads[i], NULL, send_all, &senders[i]))
			lab_bail("cannot make a thread: %m");
	for (int i = 0; i < n_cpus; i++)
		pthread_join(threads[i], NULL);
	end_counting(first);
	command(END, second);
}

static void judge_streams(const struct sender *senders, const struct side *first, const struct side *second)
{
	unsigned long long due = (unsigned long long)n_cpus * STREAM, bytes = 0;
	char text[TEXT] = "first", other[TEXT] = "second";

	for (int i = 0; i < n_cpus; i++)
		bytes += senders[i].stream_bytes;
	all_carried(first, text, sizeof(text));
	all_carried(second, other, sizeof(other));
	lab_found(bytes == due, "together.tcp", "%llu of %llu bytes came back right; with the datagrams: %s; %s", bytes, due, text,
		  other);
}

int main(int argc, char **argv)
{
	static struct sender alone[MAX_CPUS], together[MAX_CPUS];
	static struct side first, second, first_busy, second_busy;
	char text[TEXT] = "first", other[TEXT] = "second";
	cpu_set_t all;
	double home;
	bool good;

	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	alarm(STUCK_S);
	online_cpus(&all);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[n_cpus++] = cpu;
	for (int i = 0; i < n_cpus; i++) {
		alone[i].cpu = together[i].cpu = cpus[i];
		together[i].streams = true;
	}
	prepare();
	one_by_one(alone, &first, &second, &home);
	all_together(together, &first_busy, &second_busy);
	command(QUIT, &(struct side){ 0 });

	lab_plan(5 + absent(&first) + absent(&second));
	good = all_carried(&first, text, sizeof(text));
	good &= all_carried(&second, other, sizeof(other));
	lab_found(good, "queues", "packets: %s; %s", text, other);
	judge_datagrams("udp", alone, &second);
	lab_found(home >= 99, "home", "%.1f %% of what a CPU sent left by a queue that is its own", home);
	judge_datagrams("together.udp", together, &second_busy);
	judge_streams(together, &first_busy, &second_busy);
	skip_absent("first", &first);
	skip_absent("second", &second);
	tell_side("first", &first);
	tell_side("second", &second);
	lab_note("sample udp.home %.2f %%", home);
	return lab_exit();
}
