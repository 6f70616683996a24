/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S), in long mode, whose locks, MSRs, TLB flushes and REP bytes can be counted by hand. */
#include "guest.h"
#define UD 6
#define INT 0x20
#define GS_BASE 0xc0000101

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
	movl $16, %eax
	movl %eax, %ss
	movl $handler - 0x80000, %eax		/* gates: selector 8 and the low half of 0x10xxxx; present, interrupt */
	movl %eax, IDT + 16 * INT
	movl %eax, IDT + 16 * UD
	movl $0x108e00, IDT + 16 * INT + 4
	movl $0x108e00, IDT + 16 * UD + 4
	lidt idtr(%rip)
	START
	LAP
	call locks
	call msrs
	call tlb
	call interrupts
	call bytes
	LAP
	STOP
	quit
	.size long_mode, . - long_mode

	.type locks, @function
locks:						/* 5 */
	lock incl 0x200000
	lock cmpxchgq %r9, 0x200000
	lock andb $0, 0x200000
	xchgl %eax, 0x200000
	xchgb %r9b, 0x200000
	incl 0x200000				/* and these are none */
	xchgl %ecx, %edx
	xchgw %ax, %ax
	cmpxchgq %r9, 0x200000
	ret
	.size locks, . - locks

	.type msrs, @function
msrs:						/* 3 read, 2 written */
	movl $EFER, %ecx
	rdmsr
	movl $GS_BASE, %ecx
	rdmsr
	rdmsr
	wrmsr
	wrmsr
	rdtsc					/* none: 0f 31 */
	ret
	.size msrs, . - msrs

	.type tlb, @function
tlb:						/* 2 loads of CR3, 3 INVLPG, 1 INVPCID */
	movq %cr3, %rax				/* none */
	movq %rax, %cr3
	movq %rax, %cr3
	movq %cr0, %rax				/* none */
	movq %rax, %cr0				/* none */
	movq %cr4, %rax				/* none */
	movq %rax, %cr4				/* none */
	invlpg 0x200000
	invlpg (%rsp)
	invlpg 0x200000(%r8)
	sidt 0x200000				/* none: 0f 01 /1 */
	swapgs					/* none: 0f 01 f8 */
	swapgs
	movl $0x200000, %edi
	movl $2, %ecx
	invpcid (%rdi), %rcx			/* the emulated CPU has none: the handler steps over it */
	ret
	.size tlb, . - tlb

	.type interrupts, @function
interrupts:					/* 1 IRET; those of the handler are its own: 2, and 1 for INVPCID */
	int $INT
	nop
	nop
	nop
	nop
	nop
	int $INT
	nop
	nop
	nop
	nop
	nop
	movq %rsp, %rax
	pushq $16
	pushq %rax
	pushfq
	pushq $8
	leaq 2f(%rip), %rax
	pushq %rax
	iretq
2:	ret
	.size interrupts, . - interrupts

	.type handler, @function
handler:
	addq $5, (%rsp)				/* over the INVPCID, or five no-ops */
	iretq
	.size handler, . - handler

	.type bytes, @function
bytes:						/* steps 5 + 3 + 7 + 4 + 6, bytes 5 + 6 + 28 + 32 + 6 */
	movl $0x200000, %esi
	movl $0x280000, %edi
	movl $5, %ecx
	rep movsb
	movl $3, %ecx
	rep movsw
	movl $7, %ecx
	rep movsl
	movl $4, %ecx
	rep stosq
	movl $6, %ecx
	repne scasb				/* looks for a byte that is not there */
	movsl					/* none */
	ret
	.size bytes, . - bytes

	descriptors INT
