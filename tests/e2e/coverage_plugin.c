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
#include <unistd.h>

#include "../../lab/measure/cost_api.h"
#include "range.h"

EXPORT int qemu_plugin_version = LAB_API;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		uint64_t at = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));

		if (in_range(at))
			fprintf(out, "%" PRIx64 "\n", at);
	}
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	char path[4096];
	int i;

	(void)info;
	for (i = 0; i < argc; i++)
		range_argument(argv[i]);
	if (!low || high <= low || !into)
		return -1;
	snprintf(path, sizeof(path), "%s/%d.addresses", into, (int)getpid());
	out = fopen(path, "w");
	if (!out)
		return -1;
	setvbuf(out, NULL, _IOLBF, 0);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
