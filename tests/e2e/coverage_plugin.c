// SPDX-License-Identifier: GPL-2.0
/*
 * TCG plugin: which instructions of a range of addresses a guest executed.
 *
 * QEMU translates a block when it is about to run it, and a block has no branch but at its end: what was translated was
 * executed, up to a fault. So nothing is counted while the guest runs.
 *
 * arguments: low=ADDRESS,high=ADDRESS,into=DIRECTORY; a file of addresses for each QEMU, one a line
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lab/measure/cost_api.h"

EXPORT int qemu_plugin_version = LAB_API;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

static uint64_t low, high;
static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		uint64_t at = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));

		if (at >= low && at < high)
			fprintf(out, "%" PRIx64 "\n", at);
	}
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	char path[4096] = "";
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "low=", 4))
			low = strtoull(argv[i] + 4, NULL, 16);
		else if (!strncmp(argv[i], "high=", 5))
			high = strtoull(argv[i] + 5, NULL, 16);
		else if (!strncmp(argv[i], "into=", 5))
			snprintf(path, sizeof(path), "%s/%d.addresses", argv[i] + 5, (int)getpid());
	}
	out = fopen(path, "w");
	if (!low || high <= low || !out)
		return -1;
	setvbuf(out, NULL, _IOLBF, 0);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
