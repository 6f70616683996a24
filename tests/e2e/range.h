/* SPDX-License-Identifier: GPL-2.0 */
/* The arguments that both plugins take: low=ADDRESS,high=ADDRESS,into=DIRECTORY. */
#ifndef RANGE_H
#define RANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t low, high;
static const char *into;

/* What follows NAME= in an argument; NULL: it is another one. */
static inline const char *value_of(const char *argument, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(argument, name, length) && argument[length] == '=' ? argument + length + 1 : NULL;
}

static inline void range_argument(const char *argument)
{
	const char *value;

	if ((value = value_of(argument, "low")))
		low = strtoull(value, NULL, 16);
	else if ((value = value_of(argument, "high")))
		high = strtoull(value, NULL, 16);
	else if ((value = value_of(argument, "into")))
		into = value;
}

static inline bool in_range(uint64_t address)
{
	return address >= low && address < high;
}

#endif
