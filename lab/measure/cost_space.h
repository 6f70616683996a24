/* SPDX-License-Identifier: GPL-2.0 */
/* In which address space instructions were executed: the one the measured task began in, or another. Kernel threads borrow one. */
#ifndef COST_SPACE_H
#define COST_SPACE_H

#include <string.h>

#include "cost_tree.h"

static uint64_t own_space, in_space[2], space_loads;	/* own, others; how often another was loaded */

static void begin_spaces(uint64_t own)
{
	own_space = own;
	memset(in_space, 0, sizeof(in_space));
	space_loads = 0;
}

static void count_space(uint64_t space, uint64_t n)
{
	in_space[space != own_space] += n;
}

/*
 * switch_mm_irqs_off() enters the CPU in the mask of the mm it loads, `lock bts %reg,(%reg)`: the mask's address names the mm.
 * With one CPU the kernel has made a DS prefix of the lock (alternatives_smp_unlock()).
 */
static bool enters_mask(const unsigned char *code, size_t size)
{
	return size >= 5 && (code[0] == 0xf0 || code[0] == 0x3e) && (code[1] & 0xf8) == 0x48 && code[2] == 0x0f && code[3] == 0xab;
}

#endif
