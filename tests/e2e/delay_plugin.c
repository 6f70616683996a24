// SPDX-License-Identifier: GPL-2.0
/*
 * TCG plugin: a vCPU stands still for a while before it executes an instruction of a range of addresses, now and then.
 *
 * To the guest that is a CPU that its host took away between two instructions. The others go on: for multi-threaded TCG.
 *
 * arguments: those of range.h, one_in=INSTRUCTIONS,most_us=MICROSECONDS; a file for each QEMU holds how often each of CPUS
 * vCPUs stood still, as uint64_t
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lab/measure/cost_api.h"
#include "range.h"

#define CPUS 64

EXPORT int qemu_plugin_version = LAB_API;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

static uint64_t one_in, most_us, *delays;
static struct { uint64_t state, pad[7]; } luck[CPUS];	/* a line of the cache for each vCPU */

/* George Marsaglia, Xorshift RNGs, 2003. */
static uint64_t drawn(unsigned int vcpu)
{
	uint64_t x = luck[vcpu].state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return luck[vcpu].state = x;
}

static void executed(unsigned int vcpu, void *data)
{
	(void)data;
	vcpu %= CPUS;
	if (drawn(vcpu) % one_in)
		return;
	delays[vcpu]++;
	usleep(drawn(vcpu) % most_us);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (in_range(qemu_plugin_insn_vaddr(insn)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, NO_REGS, NULL);
	}
}

static uint64_t *counters(void)
{
	const size_t size = CPUS * sizeof(uint64_t);
	char path[4096];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/%d.delays", into, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, size))
		return NULL;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	const char *value;
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if ((value = value_of(argv[i], "one_in")))
			one_in = strtoull(value, NULL, 10);
		else if ((value = value_of(argv[i], "most_us")))
			most_us = strtoull(value, NULL, 10);
		else
			range_argument(argv[i]);
	}
	if (!low || high <= low || !one_in || !most_us || !into || !(delays = counters()))
		return -1;
	for (i = 0; i < CPUS; i++)
		luck[i].state = 88172645463325252ull + i;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
