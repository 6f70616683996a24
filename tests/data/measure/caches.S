/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest without a kernel (as marks.S) whose cache misses can be counted by hand, in caches of 64-byte lines:
 * I1 256 bytes, 1 way: 4 sets. D1 256 bytes, 2 ways: 2 sets. LL 1 KiB, 4 ways: 4 sets.
 * Every part starts on a line of its own and jumps to the next; what it touches nobody touched before.
 */
#include "guest.h"
#define SET0(n) (0x200000 + 128 * (n))	/* lines of D1's set 0; of LL's set 0 the even ones, of its set 2 the odd ones */

	.text
	.long 0x1badb002, 0, -0x1badb002	/* within the file's first 8 KiB */
	.globl _start
	.type _start, @function
_start:
	cld
	jmp begin
	.size _start, . - _start

	.balign 256
	.type begin, @function
begin:	START			/* its own line is fetched before the model runs */
	LAP
	jmp recent
	.size begin, . - begin

/* D1 3 lines of one set in 2 ways: 0 miss, 1 miss, 0, 2 miss (out goes 1), 0, 1 miss. LL keeps all three: 3 misses. */
	.balign 64
	.type recent, @function
recent:				/* I1 1, LL 1 */
	movl SET0(0), %eax
	movl SET0(1), %eax
	movl SET0(0), %eax
	movl SET0(2), %eax
	movl SET0(0), %eax
	movl %eax, SET0(1)
	jmp across
	.size recent, . - recent

/* D1 2, LL 2: four bytes on two lines; and again: none. */
	.balign 64
	.type across, @function
across:				/* I1 1, LL 1 */
	movl 0x20103e, %eax
	movl %eax, 0x20103e
	jmp loop
	.size across, . - across

/* I1: two lines 256 bytes apart push each other out: 1 and 5 misses here, 5 over there. LL keeps both: 1 and 1. */
	.balign 256
	.type loop, @function
loop:	movl $5, %ecx
1:	jmp away
back:	decl %ecx
	jnz 1b
	jmp bytes
	.size loop, . - loop

	.balign 256
	.type away, @function
away:	jmp back
	.size away, . - away

/* D1 4, LL 4: 130 bytes from the end of a line are read, and as many written to where they are. */
	.balign 64
	.type bytes, @function
bytes:				/* I1 1, LL 1 */
	movl $130, %ecx
	movl $0x20203f, %esi	/* one byte on the first line, 64 on the second, 64 on the third, one on the fourth */
	movl $0x20203f, %edi
	rep movsb
	jmp end
	.size bytes, . - bytes

	.balign 64
	.type end, @function
end:	LAP
	STOP
	quit
	.size end, . - end
