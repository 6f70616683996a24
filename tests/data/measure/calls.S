/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S) whose calls, returns and tail calls can be counted by hand. */
#include "guest.h"

	.text
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	cld
	movl $0x300000, %esp
	START
	LAP			/* the start mark */
	call outer		/* 1; outer 3 + inner 2 + tail 2 */
	call outer
	LAP
	call leaves		/* 1; leaves 1, deep 3: out of both in one jump, as longjmp() does */
back:	call inner		/* 1; inner 2 */
	LAP
	movl $3, %ecx
	movl $0x200000, %esi
	movl $0x280000, %edi
	rep movsw
	lock incl 0x200000
	xchgl %eax, 0x200000
	LAP
	STOP
	quit
	.size _start, . - _start

	.type outer, @function
outer:	call inner
	nop
	jmp tail
	.size outer, . - outer

	.type inner, @function
inner:	nop
	ret
	.size inner, . - inner

	.type tail, @function
tail:	nop
	ret
	.size tail, . - tail

	.type leaves, @function
leaves:	call deep
	.size leaves, . - leaves

	.type deep, @function
deep:	nop
	addl $8, %esp
	jmp back
	.size deep, . - deep
