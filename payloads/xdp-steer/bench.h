/* SPDX-License-Identifier: GPL-2.0 */
/* The rows: one datagram sent by the peer and received by the agent. */
#ifndef BENCH_H
#define BENCH_H

int bench_cases(void);
void bench_run(void);

#endif
