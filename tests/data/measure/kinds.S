/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S) with 21 laps of 21 lengths. */
#include "guest.h"

	.text
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	START
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
	.fill \n, 1, 0x90
	LAP			/* the mark before, and n no-ops */
	.endr
	STOP
	quit
	.size _start, . - _start
