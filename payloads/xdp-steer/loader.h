/* SPDX-License-Identifier: GPL-2.0 */
/* steer.bpf.o in the kernel: its programs, what they counted, and the maps that a broker would keep. */
#ifndef LOADER_H
#define LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "steer.h"
#include "world.h"

/* Loads all that any kernel takes; cgroup programs and tracepoint are attached for good. */
void steer_load(void);

/* A program's descriptor. -1: this kernel does not take it, and steer_refusal() says why. */
int steer_program(const char *name);

/* Why the kernel does not offer a helper or kernel function that the program needs; NULL when it was taken. */
const char *steer_refusal(const char *name);

/* Attach natively to the agents' device: a descriptor that holds the link, or -1. */
int steer_attach(const struct world *world, int program);

uint64_t steer_counted(enum reason reason);
uint64_t steer_counted_all(void);
struct redirect_errors steer_errors(void);
uint32_t steer_last_queue(void);

void steer_agent(const char *cgroup, uint32_t slot);
void steer_slot(uint32_t slot, uint32_t queue, int xsk);	/* xsk -1: empty it */
void steer_put(const struct port_key *key, const struct port_value *value);
void steer_remove(const struct port_key *key);
bool steer_get(const struct port_key *key, struct port_value *value);

#endif
