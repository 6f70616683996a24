/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a process is made of comes to lie at the same places of slabs in every boot. Objects that were freed while the system came
 * up leave holes, others in each boot; where an operation meets the end of a slab it costs some 120 instructions more in every
 * repetition (___slab_alloc(), __slab_free()). Processes that stay fill the holes: what is allocated then lies behind all of it.
 */
#ifndef HOLES_H
#define HOLES_H

#include <fcntl.h>
#include <lab.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAB_HOLD "lab-hold"
#define LAB_HELD 100
#define LAB_VALUES 60

/*
 * A process with some of everything, until who made it ends. Neither users nor mounts of its own: they would lengthen chains of
 * hash tables that go by address.
 */
__attribute__((noreturn))
static inline void lab_stay(void)
{
	int ends[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWPID) || pipe(ends) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || epoll_create1(0) < 0 || memfd_create("hole", 0) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* In main(), first: in the process that keeps the others this does not return. */
static inline void lab_hold(int argc, char **argv)
{
	unsigned char stay = 0;

	if (argc < 2 || strcmp(argv[1], LAB_HOLD))
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < LAB_HELD; i++) {
		pid_t pid = fork();

		if (!pid)
			lab_stay();
		stay += pid > 0;
	}
	usleep(100000);			/* they run, and RCU frees what they left */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		stay--;
	if (write(1, &stay, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * The same for what each CPU has its own of, which every process takes some of: a map of BPF allocates each of its values apart.
 * They go on to be held by their file.
 */
static inline void lab_fill_percpu(void)
{
	for (unsigned int size = 32; size >= 8; size /= 2) {
		union bpf_attr map = { .map_type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4, .value_size = size, .max_entries = LAB_VALUES };

		if (syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)) < 0)
			lab_note("holes of %u B a CPU are not filled: %m", size);
	}
}

/* By a program of its own: a child's memory would be entered in that of all its ancestors. */
__attribute__((unused))
static void lab_fill_holes(void)
{
	unsigned char stay = 0;
	int told[2];

	usleep(200000);			/* what ended before this is freed first */
	lab_fill_percpu();
	if (pipe2(told, O_CLOEXEC))
		lab_bail("no pipe: %m");
	if (!fork()) {
		dup2(told[1], 1);
		execl("/proc/self/exe", "self", LAB_HOLD, NULL);
		_exit(127);
	}
	close(told[1]);
	if (read(told[0], &stay, 1) != 1 || stay != LAB_HELD)
		lab_note("holes of slabs are not filled: %d of %d processes stay", stay, LAB_HELD);
	close(told[0]);
}

#endif
