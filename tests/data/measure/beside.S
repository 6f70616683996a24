/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S) with two CPUs: a section while the other one is halted, one while it loops. */
#define MARK(code) .byte 0x0f, 0x1f, 0x84, 0x00, code, 0x42, 0x41, 0x4c
#define START MARK(0x01)
#define STOP MARK(0x02)
#define LAP MARK(0x03)
#define QUIT_PORT 0xf4
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
	movb $16, %al		/* exit status 33 */
	outb %al, $QUIT_PORT
1:	hlt
	jmp 1b

	.size _start, . - _start

	.type count, @function
count:	movl $1000, %ecx
2:	pause			/* the other CPU's turn */
	decl %ecx
	jnz 2b
	ret
	.size count, . - count
