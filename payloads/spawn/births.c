// SPDX-License-Identifier: GPL-2.0
/* Children without walls: fork and its relatives, exec, a server that forks on demand. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <lab.h>

#include "spawn.h"

#define STACK (64 << 10)
#define REST_LONG_MS 100		/* of operations that meet ticks: lab_next_begin() */
#define BORN_CGROUP "/cgroup/born"

bool checking;

static volatile int seen;		/* a child that shares our memory was here */

/* What a child with memory of its own does: in a check it reads all of it and changes it. */
static int own_child(void *unused)
{
	(void)unused;
	if (!checking)
		return BORN;
	if (!memory_kept())
		return 1;
	seen = 1;
	spoil_memory();
	return BORN;
}

/* What one does that shares memory. */
static int sharing_child(void *unused)
{
	(void)unused;
	seen = checking;
	return BORN;
}

static bool right_status(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == BORN;
}

bool reaped(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && right_status(status);
}

static bool fork_op(void *way)
{
	pid_t pid;

	seen = 0;
	pid = fork();
	if (!pid)
		_exit(own_child(way));
	return reaped(pid) && (!checking || (!seen && memory_kept()));
}

/* A child of vfork() may do no more than this. */
static bool vfork_op(void *way)
{
	pid_t pid;

	(void)way;
	seen = 0;
	pid = vfork();
	if (!pid) {
		seen = checking;
		_exit(BORN);
	}
	return reaped(pid) && seen == checking;
}

/* The child calls `child` and exits with what that returns, on its own stack or on a copy of ours. */
long spawn_clone3(struct clone_args *args, int (*child)(void *context), void *context)
{
	long result;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "mov %[context], %%rdi\n\t"
		     "call *%[child]\n\t"
		     "mov %%eax, %%edi\n\t"
		     "mov %[exit], %%eax\n\t"
		     "syscall\n"
		     "1:"
		     : "=a"(result)
		     : "0"(SYS_clone3), "D"(args), "S"(sizeof(*args)), [child] "r"(child), [context] "r"(context), [exit] "i"(SYS_exit_group)
		     : "rcx", "r11", "memory");
	return result;
}

static bool clone3_vfork_op(void *way)
{
	static char stack[STACK] __attribute__((aligned(16)));
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD, .stack = (uintptr_t)stack, .stack_size = sizeof(stack),
	};

	seen = 0;
	return reaped(spawn_clone3(&args, sharing_child, way)) && seen == checking;
}

static bool clone3_pidfd_op(void *way)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&pidfd };
	siginfo_t info = { 0 };
	bool good;

	if (spawn_clone3(&args, own_child, way) <= 0)
		return false;
	good = !waitid(P_PIDFD, pidfd, &info, WEXITED) && info.si_code == CLD_EXITED && info.si_status == BORN;
	return !close(pidfd) && good;
}

static int cgroup_dir = -1, cgroup_procs = -1;

static bool find_cgroup(const struct way *way)
{
	(void)way;
	cgroup_dir = open(BORN_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cgroup_procs = open(BORN_CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
	return cgroup_dir >= 0 && cgroup_procs >= 0;
}

static void leave_cgroup(void)
{
	close(cgroup_dir);
	close(cgroup_procs);
}

static int child_in_cgroup(void *unused)
{
	char text[1024] = "";
	int fd;

	(void)unused;
	if (!checking)
		return BORN;
	fd = open("/proc/self/cgroup", O_RDONLY);
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "/born\n") ? BORN : 1;
}

static bool clone3_cgroup_op(void *way)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = cgroup_dir };

	return reaped(spawn_clone3(&args, child_in_cgroup, way));
}

/* The same the old way: forked here, moved there. */
static bool cgroup_procs_op(void *way)
{
	pid_t pid = fork();

	if (!pid)
		_exit(write(cgroup_procs, "0", 1) == 1 ? child_in_cgroup(way) : 1);
	return reaped(pid);
}

static char *const tiny_argv[] = { TINY, NULL }, *const no_environment[] = { NULL };

static bool fork_exec_op(void *way)
{
	pid_t pid = fork();

	(void)way;
	if (!pid) {
		execve(TINY, tiny_argv, no_environment);
		_exit(1);
	}
	return reaped(pid);
}

static bool vfork_exec_op(void *way)
{
	pid_t pid = vfork();

	(void)way;
	if (!pid) {
		execve(TINY, tiny_argv, no_environment);
		_exit(1);
	}
	return reaped(pid);
}

static bool posix_spawn_op(void *way)
{
	pid_t pid;

	(void)way;
	return !posix_spawn(&pid, TINY, NULL, NULL, tiny_argv, no_environment) && reaped(pid);
}

/* Who forks on demand: requests in, status out. It has the memory, and serves until nobody can ask. */
static int ask[2], answer[2];
pid_t server;

__attribute__((noreturn))
static void serve(void)
{
	char request, reply;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lab_join();
	if (write(answer[1], "", 1) != 1)
		_exit(1);
	while (read(ask[0], &request, 1) == 1) {
		pid_t pid = fork();

		if (!pid)
			_exit(own_child(NULL));
		reply = reaped(pid) && (!checking || memory_kept()) ? BORN : 1;
		if (write(answer[1], &reply, 1) != 1)
			break;
	}
	_exit(0);
}

static bool start_server(const struct way *way)
{
	char ready;

	(void)way;
	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		return false;
	server = fork();
	if (server)
		return server > 0 && read(answer[0], &ready, 1) == 1;
	close(ask[1]);
	serve();
}

static void stop_server(void)
{
	for (int i = 0; i < 2; i++) {
		close(ask[i]);
		close(answer[i]);
	}
	waitpid(server, NULL, 0);
	server = 0;
}

static bool forkserver_op(void *way)
{
	char byte = 0;

	(void)way;
	return write(ask[1], &byte, 1) == 1 && read(answer[0], &byte, 1) == 1 && byte == BORN;
}

const struct way births[] = {
	{ .name = "fork.0", .op = fork_op },
	{ .name = "fork.64", .op = fork_op, .mib = 64, .rest_ms = REST_LONG_MS },
	{ .name = "fork.256", .op = fork_op, .mib = 256, .rest_ms = REST_LONG_MS },
	{ .name = "fork-thp.256", .op = fork_op, .mib = 256, .huge = true },
	{ .name = "vfork", .op = vfork_op },
	{ .name = "clone3-vfork", .op = clone3_vfork_op },
	{ .name = "clone3-pidfd", .op = clone3_pidfd_op },
	{ .name = "clone3-cgroup", .op = clone3_cgroup_op, .begin = find_cgroup, .end = leave_cgroup },
	{ .name = "cgroup-procs", .op = cgroup_procs_op, .begin = find_cgroup, .end = leave_cgroup },
	{ .name = "fork-exec", .op = fork_exec_op },
	{ .name = "vfork-exec", .op = vfork_exec_op },
	{ .name = "posix-spawn", .op = posix_spawn_op },
	{ .name = "forkserver.0", .op = forkserver_op, .begin = start_server, .end = stop_server },
	{ .name = "forkserver.64", .op = forkserver_op, .mib = 64, .rest_ms = REST_LONG_MS, .begin = start_server, .end = stop_server },
};
const int n_births = sizeof(births) / sizeof(*births);
