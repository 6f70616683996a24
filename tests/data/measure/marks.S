/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel whose instructions can be counted by hand: QEMU's -kernel loads it (Multiboot 1, 32-bit). */
#include "guest.h"
#define FORGET MARK(0x05)

	.text
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
_start:
	cld
	nop
	START
	LAP			/* 1: the start mark */
	LAP			/* 1: the lap mark before */
	nop
	nop
	nop
	nop
	nop
	LAP			/* 6 */
	movl $10, %ecx
1:	decl %ecx
	jnz 1b
	LAP			/* 22: mark, movl, ten times two */
	movl $100, %ecx
	movl $0x200000, %esi
	movl $0x300000, %edi
	rep movsb
	LAP			/* 5, and 100 further steps */
	movl $0, %ecx
	rep stosl
	LAP			/* 3, no further step */
	movl $2, %edx
2:	movl $7, %ecx
	movl $0x300000, %edi
	rep stosw
	decl %edx
	jnz 2b
	LAP			/* 12: the same REP instruction twice; 14 further steps */
	STOP
	START
	movl $3, %ecx
3:	decl %ecx
	jnz 3b
	LAP			/* 8 */
	nop
	FORGET			/* the lap mark, the nop, then what counts as idle */
	rep stosl
	nop
	LAP
	nop
	nop
	LAP			/* 3 */
	STOP
	quit
