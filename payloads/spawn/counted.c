// SPDX-License-Identifier: GPL-2.0
/*
 * What one operation does besides executing instructions, seen by ptrace: system calls of all its processes, and the entries of
 * page tables that each new process was born with, which are those of its parent that fork copied.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <lab.h>

#include "spawn.h"

#define KIB_PAGE 4
#define KIB_HUGE 2048
#define HERE 0x1ab		/* getpgid() of it says where the operation begins and ends */

/* /proc/PID/smaps_rollup counts what is mapped by walking the page tables, without the error of the kernel's counters. */
static uint64_t mapped_kib(const char *text, const char *field)
{
	const char *line = strstr(text, field);

	return line ? strtoull(line + strlen(field), NULL, 10) : 0;
}

static uint64_t entries_of(pid_t pid)
{
	static char text[4096];
	char path[64];
	uint64_t huge;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		lab_bail("cannot read %s: %m", path);
	text[n] = 0;
	close(fd);
	huge = mapped_kib(text, "AnonHugePages:");
	return (mapped_kib(text, "\nRss:") - huge) / KIB_PAGE + huge / KIB_HUGE;
}

/* Others that work for the operation are back where they wait. */
static void settle(void)
{
	struct timespec time = { 0, 20000000 };

	nanosleep(&time, NULL);
}

/* In a process of its own: the operation between two system calls that nothing else makes. */
__attribute__((noreturn))
static void be_traced(const struct way *way)
{
	bool good;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		_exit(1);
	if (way->begin && !way->begin(way))
		_exit(1);
	settle();
	syscall(SYS_getpgid, HERE);
	good = way->op((void *)way);
	settle();
	syscall(SYS_getpgid, HERE);
	if (way->end)
		way->end();
	_exit(good ? BORN : 1);
}

static bool enters(pid_t pid, struct __ptrace_syscall_info *info)
{
	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(*info), info) > 0 && info->op == PTRACE_SYSCALL_INFO_ENTRY;
}

/* One stop of one process. Returns the signal it goes on with. */
static int look_at(pid_t pid, int status, bool *inside, struct counts *counts)
{
	struct __ptrace_syscall_info info;
	int signal = WSTOPSIG(status), event = status >> 16;
	unsigned long child;

	if (signal == (SIGTRAP | 0x80)) {
		if (!enters(pid, &info))
			return 0;
		if (info.entry.nr == SYS_getpgid && info.entry.args[0] == HERE)
			*inside = !*inside;
		else
			counts->syscalls += *inside && info.entry.nr != SYS_clock_nanosleep;	/* settle() */
		return 0;
	}
	if (event && !ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) && *inside && event == PTRACE_EVENT_FORK)
		counts->entries += entries_of(child);
	return event || signal == SIGSTOP || signal == SIGTRAP ? 0 : signal;
}

bool count_events(const struct way *way, struct counts *counts)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
			     PTRACE_O_EXITKILL;
	pid_t traced = fork(), pid;
	bool inside = false;
	int status;

	*counts = (struct counts){ 0 };
	if (!traced)
		be_traced(way);
	if (traced < 0 || waitpid(traced, &status, 0) != traced || !WIFSTOPPED(status))
		return false;
	if (ptrace(PTRACE_SETOPTIONS, traced, NULL, options) || ptrace(PTRACE_SYSCALL, traced, NULL, 0))
		return false;
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			ptrace(PTRACE_SYSCALL, pid, NULL, look_at(pid, status, &inside, counts));
		else if (pid == traced)
			break;
	}
	return pid == traced && WIFEXITED(status) && WEXITSTATUS(status) == BORN && !inside && counts->syscalls;
}
