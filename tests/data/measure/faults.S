/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S), in long mode, some of whose pages come with the first fault: which instructions run twice? */
#define MARK(code) .byte 0x0f, 0x1f, 0x84, 0x00, code, 0x42, 0x41, 0x4c
#define START MARK(0x01)
#define STOP MARK(0x02)
#define LAP MARK(0x03)
#define QUIT_PORT 0xf4
#define TABLES 0x400000
#define PAGES (TABLES + 0x3000)
#define IDT 0x300000
#define PF 14
#define EFER 0xc0000080
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
3:	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $TABLES, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80010000, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $long_mode
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
	movb $16, %al		/* exit status 33 */
	outb %al, $QUIT_PORT
6:	hlt
	jmp 6b
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

	.balign 8
gdt:	.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:	.word gdtr - gdt - 1
	.long gdt
	.balign 8
idtr:	.word 16 * PF + 15
	.quad IDT
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
