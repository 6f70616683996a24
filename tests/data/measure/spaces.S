/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S), in long mode, that enters itself in masks of address spaces as switch_mm_irqs_off() does. */
#include "guest.h"
#define OWN 0x200000
#define OTHER 0x280000

	.text
	.code32
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	cld
	map_6_mib
	enter_long_mode 0x80000000
	.size _start, . - _start

	.code64
	.type long_mode, @function
long_mode:
	movl $0x380000, %esp
	movl $OWN, %edi
	movl $OTHER, %esi
	xorl %ecx, %ecx
	call load
	START
	nop
	xchgq %rsi, %rdi
	call load			/* the other: what follows the mask's instruction is executed there */
	nop
	nop
	xchgq %rsi, %rdi
	call load			/* 7: return, nops, xchg, call, mask, and the next load finds it loaded: */
	call load
	LAP
	STOP
	quit
	.size long_mode, . - long_mode

	.type load, @function
load:
	lock btsq %rcx, (%rdi)
	lock btrq %rcx, 8(%rdi)		/* another one's mask */
	ret
	.size load, . - load

	.balign 8
gdt:	.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:	.word gdtr - gdt - 1
	.long gdt
