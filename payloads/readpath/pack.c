// SPDX-License-Identifier: GPL-2.0
/* Runs where the payload is built: the blocks of stdin that are not zero, each behind its number, to stdout. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	static char block[4096], zero[4096];

	for (uint64_t n = 0; fread(block, sizeof(block), 1, stdin) == 1; n++)
		if (memcmp(block, zero, sizeof(block)))
			if (fwrite(&n, sizeof(n), 1, stdout) != 1 || fwrite(block, sizeof(block), 1, stdout) != 1)
				return 1;
	return ferror(stdin) || fflush(stdout);
}
