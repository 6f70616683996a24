// SPDX-License-Identifier: GPL-2.0
/*
 * Description: a UDP datagram from one network namespace to an agent's port in another, through the stack or past it by AF_XDP
 * (copy mode, native XDP on veth), with three ways to tell whose port it is; and every frame and mishap that must not make
 * such steering deliver to the wrong place.
 */
#define _GNU_SOURCE
#include <errno.h>

#include <lab.h>

#include "bench.h"
#include "frames.h"
#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "world.h"

void say(const char *format, ...)
{
	static char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		lab_note("%s", line);
}

void say_result(bool good, const char *name)
{
	lab_result(good, name);
}

void say_skip(const char *name, const char *reason)
{
	lab_skip(name, "%s", reason);
}

int say_measure(const char *name, bool (*op)(void *context), void *context, int warmup, int laps)
{
	return lab_measure(name, op, context, warmup, laps);
}

void say_void(const char *what)
{
	lab_bail("%s: %m", what);
}

bool say_want(bool good, const char *what)
{
	if (!good)
		lab_note("not so: %s", what);
	return good;
}

int main(void)
{
	lab_plan(bench_cases() + frames_cases() + mishaps_cases());
	cgroups_make();
	steer_load();
	steer_agent("one", 0);
	steer_agent("two", 1);
	lab_settle();
	lab_calibrate();
	bench_run();
	frames_run();
	mishaps_run();
	return lab_exit();
}
