// SPDX-License-Identifier: GPL-2.0
/*
 * Description: what was asked of a guest's hardware and command line, proven by its effect. One word an ask, one case each:
 *
 *	net=<device>:<queue pairs>:<address of a UDP echo service>
 *	nvme=<controller>:<I/O queue pairs>
 *	nvme-node=<controller>:<node>
 *	isolated=<cpus>, managed_irq=<cpus>, nohz_full=<cpus>, irqaffinity=<cpus>
 *	node=<id>:<cpus>:<MiB>:<distance>,<distance>...
 */
#define _GNU_SOURCE
#include "hardware.h"

#define STUCK_S 250

static const struct {
	const char *key;
	void (*prove)(const char *rest, struct finding *finding);
} proofs[] = {
	{ "net", prove_net },
	{ "nvme", prove_nvme },
	{ "nvme-node", prove_nvme_node },
	{ "isolated", prove_isolated },
	{ "managed_irq", prove_managed_irq },
	{ "nohz_full", prove_nohz_full },
	{ "irqaffinity", prove_irqaffinity },
	{ "node", prove_node },
};

/* The case is called as the word up to its first colon: `net.eth1`. */
static void prove(const char *word, struct finding *finding)
{
	size_t size = strcspn(word, "=");
	const char *rest = word + size + !!word[size], *colon = strchr(rest, ':');

	snprintf(finding->name, sizeof(finding->name), colon ? "%.*s.%.*s" : "%.*s", (int)size, word, (int)(colon - rest), rest);
	for (size_t i = 0; i < sizeof(proofs) / sizeof(*proofs); i++) {
		if (word[size] && strlen(proofs[i].key) == size && !memcmp(word, proofs[i].key, size)) {
			proofs[i].prove(rest, finding);
			return;
		}
	}
	FOUND(finding, false, "asked `%s`, which nothing here knows how to prove", word);
}

int main(int argc, char **argv)
{
	static struct finding finding;

	if (argc < 2) {
		printf("KTAP version 1\n1..0 # SKIP no words: nothing was asked\n");
		return 0;
	}
	alarm(STUCK_S);
	lab_plan(argc - 1);
	for (int i = 1; i < argc; i++) {
		prove(argv[i], &finding);
		lab_found(finding.good, finding.name, "%s", finding.text);
	}
	return lab_exit();
}
