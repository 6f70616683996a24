/* SPDX-License-Identifier: GPL-2.0 */
/* In a boot that explains, what the kernel was given at run time: programs of BPF are gone with the process that loaded them. */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAB_SYMBOLS "../symbols"	/* made by the lab when it wants them; not there in boots that are judged */

/* Numbers of programs only grow. */
static inline uint32_t lab_last_program(void)
{
	union bpf_attr attr;
	uint32_t last = 0;

	for (;;) {
		memset(&attr, 0, sizeof(attr));
		attr.start_id = last;
		if (syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr)))
			return last;
		last = attr.next_id;
	}
}

/* Copies the lines of modules and BPF out of /proc/kallsyms when there is a program that was not there before. */
static inline void lab_tell_symbols(void)
{
	static uint32_t told;
	char line[512];
	size_t length;
	FILE *symbols, *out;
	uint32_t last;

	if (access(LAB_SYMBOLS, W_OK))
		return;
	last = lab_last_program();
	if (last == told)
		return;
	told = last;
	symbols = fopen("/proc/kallsyms", "r");
	out = fopen(LAB_SYMBOLS, "a");
	while (symbols && out && fgets(line, sizeof(line), symbols)) {
		length = strlen(line);
		if (length > 1 && line[length - 2] == ']')
			fputs(line, out);
	}
	if (symbols)
		fclose(symbols);
	if (out)
		fclose(out);
}

#endif
