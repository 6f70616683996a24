/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a kernel (as marks.S) with 21 laps of 21 lengths. */
#define MARK(code) .byte 0x0f, 0x1f, 0x84, 0x00, code, 0x42, 0x41, 0x4c
#define START MARK(0x01)
#define STOP MARK(0x02)
#define LAP MARK(0x03)
#define QUIT_PORT 0xf4

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
	movb $16, %al		/* exit status 33 */
	outb %al, $QUIT_PORT
1:	hlt
	jmp 1b
	.size _start, . - _start
