/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S), in long mode, some of whose pages come with the first fault: which instructions run twice? */
#include "guest.h"
#define PAGES (TABLES + 0x3000)
#define PF 14
#define NEXT_PAGE(name) .balign 4096, 0x90; name:

	.text
text:
	.code32
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	cld
	movl $TABLES + 0x1003, TABLES		/* 6 MiB, one to one; again in the upper half, where the kernel would be */
	movl $TABLES + 0x1003, TABLES + 511 * 8
	movl $TABLES + 0x2003, TABLES + 0x1000
	movl $PAGES + 3, TABLES + 0x2000	/* the first 2 MiB: pages of 4 KiB */
	movl $0x200083, TABLES + 0x2008
	movl $0x400083, TABLES + 0x2010
	movl $3, %eax
1:	movl %eax, %ecx
	shrl $9, %ecx
	movl %eax, PAGES(%ecx)
	addl $0x1000, %eax
	cmpl $0x200003, %eax
	jne 1b
	movl $missing, %esi
2:	lodsl
	testl %eax, %eax
	jz 3f
	movl $0, PAGES + 0x100 * 8(, %eax, 8)
	jmp 2b
3:	enter_long_mode 0x80010000
	.size _start, . - _start

	.code64
	.type long_mode, @function
long_mode:
	movl $0x380000, %esp
	movl $16, %eax
	movl %eax, %ss
	movl $handler - 0x80000, %eax		/* selector 8 and the low half of 0x10xxxx; present, interrupt; the upper half */
	movl %eax, IDT + 16 * PF
	movl $0x108e00, IDT + 16 * PF + 4
	movl $0xffffff80, IDT + 16 * PF + 8
	lidt idtr(%rip)
	START
	LAP
	incl data1(%rip)
	nop
	LAP			/* 1: inside of a run */
	jmp *data2(%rip)
1:	LAP			/* 1: the last of a run, which reads where to go */
	jmp code1
2:	LAP			/* 0: the next run's page */
	jmp code2 - 6
3:	LAP			/* 0: the next instruction begins here and ends on a missing page */
	jmp code3 - 7
4:	LAP			/* 1: the last but one before a page ends, and the last ends it */
	movl $data4 - 20, %edi
	movl $40, %ecx
	rep stosb
	LAP			/* 1: a step of REP */
	movl $data5, %edi
	movl $9, %ecx
	rep stosb
	LAP			/* 1: its first step */
	movl $0x200000, %edi
	movl $9, %ecx
	jmp code4 - 2
5:	LAP			/* 0: the last step is done, the next instruction's page is missing */
	LAP
	STOP
	quit
	.size long_mode, . - long_mode

	.type handler, @function
handler:			/* the page is as all others */
	pushq %rax
	pushq %rcx
	movq %cr2, %rax
	invlpg (%rax)
	movl %eax, %ecx
	andl $~0xfff, %eax
	orl $3, %eax
	shrl $12, %ecx
	movq %rax, PAGES(, %rcx, 8)
	popq %rcx
	popq %rax
	addq $8, %rsp
	.size handler, . - handler
	.type to_user, @function
to_user:
	nop
	iretq
	.size to_user, . - to_user

	descriptors PF
missing:
	.irp at, data1, data2, code1, code2, data3, data4, data5, code4
	.long (\at - text) / 4096
	.endr
	.long 0

	NEXT_PAGE(data1)
	.long 0
	NEXT_PAGE(data2)
	.long 1b, 0
	NEXT_PAGE(code1)
	jmp 2b
	.balign 4096, 0x90
	.fill 4096 - 3, 1, 0x90
	movl $1, %eax
	.set code2, . - 2
	jmp 3b
	NEXT_PAGE(data3)
	.long 0
	.balign 4096, 0x90
	.fill 4096 - 7, 1, 0x90
	incl data3(%rip)
	nop
	NEXT_PAGE(code3)
	jmp 4b
	NEXT_PAGE(data4)
	.long 0
	NEXT_PAGE(data5)
	.long 0
	.balign 4096, 0x90
	.fill 4096 - 2, 1, 0x90
	rep stosb
	NEXT_PAGE(code4)
	jmp 5b
	.balign 4096
