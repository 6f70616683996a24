// SPDX-License-Identifier: GPL-2.0
/*
 * Description: 4 KiB reads that bypass the page cache, from every CPU in turn: by which queue of an NVMe controller they go, on
 * which CPU they are taken from it and on which they end, for each rq_affinity. Once with the queues as they are, once with
 * half of them polled, so that CPUs share the others, and once by the polled ones.
 *
 * rq_affinity (Documentation/ABI/stable/sysfs-block): 0 ends a request where its interrupt came, 2 where it was submitted, 1
 * where it was submitted unless the CPU of the interrupt shares a cache with that one.
 */
#define _GNU_SOURCE
#include <uring.h>

#include "spread.h"

#define CONTROLLER "nvme0"
#define POLL_QUEUES "/sys/module/nvme/parameters/poll_queues"
#define READS 128		/* a CPU */
#define AFFINITIES 3
#define BIND_MS 20
#define BIND_TRIES 1000
#define STUCK_S 240
#define TOLD 4			/* CPUs that have rows; cases tell of all */
#define FIXED_CASES 10

/* One round: every CPU has read READS blocks. */
struct round {
	int reads, mapped;		/* by the queue of their CPU */
	int interrupted_home, completed_home, completed_there;	/* on the CPU that submitted; on that of the interrupt */
	int completed[MAX_CPUS];
	uint64_t interrupts;
	bool whole;			/* each event of each read was seen */
	char by_queue[TEXT];
};

static struct nvme nvme;
static struct uring uring;
static cpu_set_t cpus;
static int wrong;			/* reads that failed, or brought something else than was written */

/* --- data ----------------------------------------------------------------------------------------------------------------- */

static void fill(unsigned char *buffer, long block)
{
	uint32_t *words = (uint32_t *)buffer, value = block * 2654435761u;

	for (int i = 0; i < BLOCK / 4; i++)
		words[i] = value = value * 1664525 + 1013904223;
}

static void write_all(void)
{
	for (long block = 0; block < READS * MAX_CPUS; block++) {
		if (!CPU_ISSET(block / READS, &cpus))
			continue;
		fill(nvme.buffer, block);
		if (pwrite(nvme.fd, nvme.buffer, BLOCK, block * BLOCK) != BLOCK)
			lab_bail("cannot write block %ld: %m", block);
	}
}

static bool read_polled(long block)
{
	uring_queue(&uring, false, nvme.fd, nvme.buffer, BLOCK, block * BLOCK);
	return uring_enter(&uring, 1, 1) && uring_wait(&uring) == BLOCK;
}

static void read_from(int cpu, bool polled)
{
	static unsigned char right[BLOCK];

	if (!pin(cpu))
		lab_bail("not pinned to CPU %d: %m", cpu);
	for (long block = (long)cpu * READS; block < (long)(cpu + 1) * READS; block++) {
		memset(nvme.buffer, 0, BLOCK);
		fill(right, block);
		wrong += !(polled ? read_polled(block) : read_block(&nvme, block)) || memcmp(nvme.buffer, right, BLOCK);
	}
}

/* --- a round -------------------------------------------------------------------------------------------------------------- */

static uint64_t all_interrupts(const struct interrupts *now)
{
	uint64_t sum = 0;

	for (int queue = 1; queue <= nvme.queues; queue++)
		for (int cpu = 0; cpu < MAX_CPUS; cpu++)
			sum += interrupts_on(now, handler(&nvme, queue), cpu);
	return sum;
}

/* Add what happened while `cpu` read. With one read at a time, all of a queue are interrupted on the same CPU. */
static void add_events(struct round *round, const struct events *events, int cpu, bool polled)
{
	int seen[EVENTS] = { 0 }, queue = queue_of(&nvme, cpu, polled);

	for (int on = 0; on < MAX_CPUS; on++) {
		for (int id = 1; id <= nvme.queues; id++) {
			int done = events->on[COMPLETED][on][id], taken = events->on[INTERRUPTED][on][id];

			for (int event = 0; event < EVENTS; event++)
				seen[event] += events->on[event][on][id];
			round->completed[on] += done;
			round->completed_there += done < taken ? done : taken;
			if (taken)
				add(round->by_queue, TEXT, " %d:%d:%d", cpu, id, on);
		}
	}
	round->reads += READS;
	round->mapped += queue ? events->on[SUBMITTED][cpu][queue] : 0;
	for (int id = 1; id <= nvme.queues; id++) {
		round->interrupted_home += events->on[INTERRUPTED][cpu][id];
		round->completed_home += events->on[COMPLETED][cpu][id];
	}
	round->whole &= seen[SUBMITTED] == READS && seen[INTERRUPTED] == READS && seen[COMPLETED] == READS;
}

static void read_from_all(struct round *round, bool polled)
{
	static struct interrupts before, after;
	static struct events events;

	memset(round, 0, sizeof(*round));
	round->whole = true;
	read_interrupts(&before);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		if (!trace_clear())
			lab_bail("the trace cannot be cleared: %m");
		read_from(cpu, polled);
		if (!trace_read(&events))
			lab_bail("the trace cannot be read: %m");
		add_events(round, &events, cpu, polled);
	}
	read_interrupts(&after);
	round->interrupts = all_interrupts(&after) - all_interrupts(&before);
}

static double percent(int part, const struct round *round)
{
	return round->reads ? 100.0 * part / round->reads : 0;
}

/* --- the controller ------------------------------------------------------------------------------------------------------- */

static void open_again(void)
{
	if (!open_nvme(&nvme, CONTROLLER) || !nvme.queues)
		lab_bail("no disk " CONTROLLER "n1: %m");
}

/* Have the driver probe the controller anew with so many polled queues; a reset alone would not divide the queues again. */
static bool bind_again(int polled)
{
	char link[256] = "", number[16], *address;
	ssize_t size = readlink("/sys/class/nvme/" CONTROLLER "/device", link, sizeof(link) - 1);

	snprintf(number, sizeof(number), "%d", polled);
	address = size > 0 ? strrchr(link, '/') : NULL;
	close(nvme.fd);
	free(nvme.buffer);
	if (!address || !write_text(POLL_QUEUES, number) || !write_text("/sys/bus/pci/drivers/nvme/unbind", address + 1) ||
	    !write_text("/sys/bus/pci/drivers/nvme/bind", address + 1))
		return false;
	for (int try = 0; try < BIND_TRIES && access("/dev/" CONTROLLER "n1", F_OK); try++)
		rest_ms(BIND_MS);
	return true;
}

/* --- what is told ---------------------------------------------------------------------------------------------------------- */

static void tell(const char *state, int affinity, const struct round *round)
{
	lab_note("sample %s.rq%d.home %.2f %%", state, affinity, percent(round->completed_home, round));
	lab_note("sample %s.rq%d.interrupted-home %.2f %%", state, affinity, percent(round->interrupted_home, round));
	for (int cpu = 0; cpu < TOLD; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			lab_note("sample cpu%d.%s.rq%d %d completions", cpu, state, affinity, round->completed[cpu]);
}

/* What the value promises; which CPUs share a cache is the machine's business. */
static bool kept(int affinity, const struct round *round)
{
	if (affinity == 0)
		return round->completed_there == round->reads;
	if (affinity == 2)
		return round->completed_home == round->reads;
	return round->completed_home == round->reads || round->completed_there == round->reads;
}

static void judge_round(const char *state, int affinity, const struct round *round)
{
	char name[32], text[TEXT] = "";

	snprintf(name, sizeof(name), "%s.rq%d", state, affinity);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			add(text, sizeof(text), " %d", round->completed[cpu]);
	lab_found(round->whole && kept(affinity, round), name,
		  "of %d reads %d ended where submitted, %d where interrupted; by CPU%s; %llu interrupts%s", round->reads,
		  round->completed_home, round->completed_there, text, (unsigned long long)round->interrupts,
		  round->whole ? "" : "; some of their events were not seen");
}

/* Reads of every CPU with each rq_affinity, in the state the controller is in. */
static void run_state(const char *state, struct round *rounds)
{
	char value[4], name[32];

	for (int affinity = 0; affinity < AFFINITIES; affinity++) {
		snprintf(value, sizeof(value), "%d", affinity);
		if (!write_text("/sys/block/" CONTROLLER "n1/queue/rq_affinity", value))
			lab_bail("rq_affinity does not become %s: %m", value);
		read_from_all(&rounds[affinity], false);
	}
	snprintf(name, sizeof(name), "%s.queues", state);
	lab_found(rounds[0].mapped == rounds[0].reads && rounds[1].mapped == rounds[1].reads && rounds[2].mapped == rounds[2].reads,
		  name, "%d of %d reads went by their CPU's queue; CPU:queue:CPU of its interrupt%s",
		  rounds[0].mapped + rounds[1].mapped + rounds[2].mapped, AFFINITIES * rounds[0].reads, rounds[0].by_queue);
	for (int affinity = 0; affinity < AFFINITIES; affinity++)
		judge_round(state, affinity, &rounds[affinity]);
}

static void run_polled(struct round *round)
{
	if (!uring_open(&uring, IORING_SETUP_IOPOLL, nvme.buffer, BLOCK))
		lab_bail("no io_uring to poll with: %m");
	read_from_all(round, true);
	lab_found(round->whole && round->mapped == round->reads && round->completed_home == round->reads && !round->interrupts,
		  "polled", "of %d reads %d went by their CPU's polled queue, %d ended where submitted; %llu interrupts; CPU:queue:CPU%s",
		  round->reads, round->mapped, round->completed_home, (unsigned long long)round->interrupts, round->by_queue);
	close(uring.fd);
}

int main(void)
{
	static struct round own[AFFINITIES], shared[AFFINITIES], polled;
	int before = 0, queues;

	alarm(STUCK_S);
	online_cpus(&cpus);
	open_again();
	queues = nvme.queues;
	sscanf(sys_text(POLL_QUEUES), "%d", &before);
	lab_plan(FIXED_CASES + TOLD - (CPU_COUNT(&cpus) < TOLD ? CPU_COUNT(&cpus) : TOLD));
	if (queues < 2 || before)
		lab_bail(CONTROLLER " has %d queues, %d of them polled: half of them should become so", queues, before);
	if (!trace_start())
		lab_bail("no trace events of the NVMe driver: %m");
	write_all();
	run_state("own", own);
	if (!bind_again(queues / 2))
		lab_bail("the driver does not let go of " CONTROLLER ": %m");
	open_again();
	run_state("shared", shared);
	run_polled(&polled);
	lab_found(!wrong, "data", "%d of %d reads failed or brought something else than was written", wrong,
		  2 * AFFINITIES * own[0].reads + polled.reads);
	trace_end();
	if (!bind_again(before))
		lab_note(CONTROLLER " is not as it was: %m");
	for (int cpu = 0; cpu < TOLD; cpu++) {
		char name[16];

		snprintf(name, sizeof(name), "cpu%d", cpu);
		if (!CPU_ISSET(cpu, &cpus))
			lab_skip(name, "there is no such CPU");
	}
	for (int affinity = 0; affinity < AFFINITIES; affinity++) {
		tell("own", affinity, &own[affinity]);
		tell("shared", affinity, &shared[affinity]);
	}
	lab_note("sample polled.home %.2f %%", percent(polled.completed_home, &polled));
	lab_note("sample polled.interrupts %llu interrupts", (unsigned long long)polled.interrupts);
	return lab_exit();
}
