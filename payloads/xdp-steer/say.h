/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of <lab.h> that more than one file needs; xdp-steer.c, which includes it, has them. */
#ifndef SAY_H
#define SAY_H

#include <stdbool.h>

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_result(bool good, const char *name);
void say_skip(const char *name, const char *reason);
int say_measure(const char *name, bool (*op)(void *context), void *context, int warmup, int laps);

/* What the lab could not set up voids everything: does not return, and says the expression and errno. */
void say_void(const char *what) __attribute__((noreturn));
#define MUST(expression) do { if (!(expression)) say_void(#expression); } while (0)

/* One thing that a case wants; says which one failed. */
bool say_want(bool good, const char *what);
#define WANT(expression) say_want(expression, #expression)

#endif
