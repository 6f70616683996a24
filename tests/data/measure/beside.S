/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S) with two CPUs: a section while the other one is halted, one while it loops. */
#include "guest.h"
#define ICR 0xfee00300		/* the local APIC's interrupt command: INIT and STARTUP to all others */
#define INIT 0x000c4500
#define STARTUP 0x000c4608	/* in real mode, at 0x8000 */

	.text
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	cld
	START
	LAP
	call count
	LAP
	STOP
	movl $0xfceb90f3, 0x8000	/* pause; jmp to it */
	movl $INIT, ICR
	movl $STARTUP, ICR
	START
	LAP
	call count
	LAP
	STOP
	quit

	.size _start, . - _start

	.type count, @function
count:	movl $1000, %ecx
2:	pause			/* the other CPU's turn */
	decl %ecx
	jnz 2b
	ret
	.size count, . - count
