/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HARDWARE_H
#define HARDWARE_H

#include <machine.h>

/* What became of an ask: the case's name and detail. */
struct finding {
	bool good;
	char name[64], text[TEXT];
};

#define FOUND(finding, verdict, ...) do {					\
	(finding)->good = (verdict);						\
	snprintf((finding)->text, sizeof((finding)->text), __VA_ARGS__);	\
} while (0)

/* Each proves one ask, `rest` being what stands behind the `=`, and says yes only to what it saw happen. */
void prove_net(const char *rest, struct finding *finding);
void prove_nvme(const char *rest, struct finding *finding);
void prove_nvme_node(const char *rest, struct finding *finding);
void prove_isolated(const char *rest, struct finding *finding);
void prove_managed_irq(const char *rest, struct finding *finding);
void prove_nohz_full(const char *rest, struct finding *finding);
void prove_irqaffinity(const char *rest, struct finding *finding);
void prove_node(const char *rest, struct finding *finding);

#endif
