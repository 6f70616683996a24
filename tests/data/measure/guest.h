/* SPDX-License-Identifier: GPL-2.0 */
/* What the guests without a kernel share: the marks, the way into long mode and the way out. */
#define MARK(code) .byte 0x0f, 0x1f, 0x84, 0x00, code, 0x42, 0x41, 0x4c
#define START MARK(0x01)
#define STOP MARK(0x02)
#define LAP MARK(0x03)
#define QUIT_PORT 0xf4
#define TABLES 0x400000		/* where long mode looks for its page tables and gates */
#define IDT 0x300000
#define EFER 0xc0000080

	.macro quit
	movb $16, %al		/* exit status 33 */
	outb %al, $QUIT_PORT
9:	hlt
	jmp 9b
	.endm

	.macro map_6_mib			/* one to one, 2 MiB a page */
	movl $TABLES + 0x1003, TABLES
	movl $TABLES + 0x2003, TABLES + 0x1000
	movl $0x000083, TABLES + 0x2000
	movl $0x200083, TABLES + 0x2008
	movl $0x400083, TABLES + 0x2010
	.endm

	.macro enter_long_mode cr0
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $TABLES, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $\cr0, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $long_mode
	.endm

	.macro descriptors last_gate
	.balign 8
gdt:	.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:	.word gdtr - gdt - 1
	.long gdt
	.balign 8
idtr:	.word 16 * \last_gate + 15
	.quad IDT
	.endm
