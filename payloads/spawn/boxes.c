// SPDX-License-Identifier: GPL-2.0
/* Children behind walls: each kind of namespace, and what a container runtime does from clone3() to exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <lab.h>

#include "spawn.h"

#define ALL (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)
#define REST_NET_MS 100		/* a network namespace is taken down by a kworker that waits for several grace periods */
#define BOX "/box"

#define MUST(condition) do { if (!(condition)) lab_bail("%s:%d: %s: %m", __FILE__, __LINE__, #condition); } while (0)

static void copy_program(const char *from, const char *to)
{
	static char bytes[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY | O_EXCL, 0755);
	ssize_t n;

	MUST(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		MUST(write(out, bytes, n) == n);
	MUST(!n && !close(in) && !close(out));
}

static void make_directories(const char *const *names)
{
	for (; *names; names++)
		MUST(!mkdir(*names, 0755));
}

/* The root of an initramfs cannot be pivoted, so a tmpfs comes on top of it, in a mount namespace of our own. */
void enter_world(void)
{
	static const char *const directories[] = {
		"world/bin", "world/proc", "world/cgroup", "world/dev", "world/box", "world/box/bin", "world/box/proc", "world/box/dev",
		"world/box/tmp", NULL,
	};

	MUST(!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(!mkdir("world", 0755) && !mount("world", "world", "tmpfs", 0, "mode=755"));
	make_directories(directories);
	copy_program("tiny", "world/bin/tiny");
	copy_program("tiny", "world/box/bin/tiny");
	copy_program("inside", "world/box/bin/inside");
	MUST(!mknod("world/dev/null", S_IFCHR | 0666, makedev(1, 3)));
	MUST(!mknod("world/dev/urandom", S_IFCHR | 0666, makedev(1, 9)));
	MUST(!close(open("world/box/dev/null", O_CREAT | O_WRONLY, 0666)));
	MUST(!mount("proc", "world/proc", "proc", 0, NULL));
	MUST(!mount("cgroup2", "world/cgroup", "cgroup2", 0, NULL));
	MUST((!mkdir("world/cgroup/born", 0755) || errno == EEXIST) && (!mkdir("world/cgroup/box", 0755) || errno == EEXIST));
	MUST(!chdir("world") && !mount(".", "/", NULL, MS_MOVE, NULL) && !chroot(".") && !chdir("/"));
}

static const char *const kinds[] = { "user", "mnt", "pid_for_children", "net", "uts", "ipc", "cgroup" };
static const unsigned long kind_flags[] = {
	CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP,
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static void read_namespaces(char names[KINDS][64])
{
	for (size_t i = 0; i < KINDS; i++) {
		char path[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = readlink(path, names[i], sizeof(names[i]) - 1);
		names[i][n > 0 ? n : 0] = 0;
	}
}

/* Exactly the namespaces that were asked for are others than before. */
static int unshare_checked(unsigned long flags)
{
	char before[KINDS][64], after[KINDS][64];

	read_namespaces(before);
	if (unshare(flags))
		return 1;
	read_namespaces(after);
	for (size_t i = 0; i < KINDS; i++) {
		bool readable = *before[i] && (*after[i] || kind_flags[i] == CLONE_NEWPID);	/* which has nobody in it yet */

		if (!readable || !strcmp(before[i], after[i]) != !(flags & kind_flags[i]))
			return 2 + i;
	}
	return BORN;
}

static bool unshare_op(void *context)
{
	const struct way *way = context;
	pid_t pid = fork();

	if (!pid)
		_exit(checking ? unshare_checked(way->flags) : unshare(way->flags) ? 1 : BORN);
	return reaped(pid);
}

/* What a box may not call, as a runtime's default profile has it, shortened: refused with EPERM, everything else allowed. */
#define REFUSED(name, more) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, more, 0)
static struct sock_filter profile[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	REFUSED(ptrace, 20), REFUSED(mount, 19), REFUSED(umount2, 18), REFUSED(pivot_root, 17), REFUSED(swapon, 16),
	REFUSED(swapoff, 15), REFUSED(reboot, 14), REFUSED(sethostname, 13), REFUSED(init_module, 12), REFUSED(delete_module, 11),
	REFUSED(keyctl, 10), REFUSED(add_key, 9), REFUSED(unshare, 8), REFUSED(setns, 7), REFUSED(perf_event_open, 6),
	REFUSED(bpf, 5), REFUSED(userfaultfd, 4), REFUSED(open_by_handle_at, 3), REFUSED(kexec_load, 2), REFUSED(process_vm_writev, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};
static const struct sock_fprog program = { sizeof(profile) / sizeof(*profile), profile };

static int gate[2];			/* the child goes on when it reads a byte */

/* The child's half: its root, its name, its filter, its program. Returns the number of what failed. */
static int furnish(void *unused)
{
	char *const argv[] = { checking ? INSIDE : TINY, NULL }, *const environment[] = { NULL };
	char byte;

	(void)unused;
	if (read(gate[0], &byte, 1) != 1)
		return 1;
	if (unshare(CLONE_NEWCGROUP) || sethostname("box", 3))
		return 2;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(BOX, BOX, NULL, MS_BIND | MS_REC, NULL))
		return 3;
	if (mount("proc", BOX "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return 4;
	if (mount("tmpfs", BOX "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"))
		return 5;
	if (mount("/dev/null", BOX "/dev/null", NULL, MS_BIND, NULL))
		return 6;
	if (mount(NULL, BOX, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return 7;
	if (chdir(BOX) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return 8;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return 9;
	execve(argv[0], argv, environment);
	return 10;
}

static bool write_file(pid_t pid, const char *path, const char *text)
{
	char name[64];
	int fd;
	bool good;

	snprintf(name, sizeof(name), path, pid);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	return !close(fd) && good;
}

/* The parent's half. flags: CLONE_INTO_CGROUP spares the move into the cgroup. */
static bool runc_op(void *context)
{
	const struct way *way = context;
	struct clone_args args = { .flags = (ALL & ~CLONE_NEWCGROUP) | CLONE_PIDFD | way->flags, .exit_signal = SIGCHLD };
	int cgroup = open("/cgroup/box", O_RDONLY | O_DIRECTORY | O_CLOEXEC), pidfd = -1;
	siginfo_t info = { 0 };
	char text[16];
	bool good;
	pid_t pid;

	if (cgroup < 0 || pipe2(gate, O_CLOEXEC))
		return false;
	args.cgroup = way->flags & CLONE_INTO_CGROUP ? cgroup : 0;
	args.pidfd = (uintptr_t)&pidfd;
	pid = spawn_clone3(&args, furnish, NULL);
	if (pid < 0)
		return false;
	snprintf(text, sizeof(text), "%d", pid);
	good = write_file(pid, "/proc/%d/uid_map", "0 0 65536\n") && write_file(pid, "/proc/%d/gid_map", "0 0 65536\n");
	good &= way->flags & CLONE_INTO_CGROUP || write_file(pid, "/cgroup/box/cgroup.procs", text);
	good &= write(gate[1], "", 1) == 1;
	good &= !waitid(P_PIDFD, pidfd, &info, WEXITED) && info.si_code == CLD_EXITED && info.si_status == BORN;
	if (info.si_status != BORN)
		lab_note("%s: the child ended with %d", way->name, info.si_status);
	return !close(pidfd) && !close(cgroup) && !close(gate[0]) && !close(gate[1]) && good;
}

const struct way boxes[] = {
	{ .name = "unshare.user", .op = unshare_op, .flags = CLONE_NEWUSER },
	{ .name = "unshare.mnt", .op = unshare_op, .flags = CLONE_NEWNS },
	{ .name = "unshare.pid", .op = unshare_op, .flags = CLONE_NEWPID },
	{ .name = "unshare.net", .op = unshare_op, .flags = CLONE_NEWNET, .rest_ms = REST_NET_MS },
	{ .name = "unshare.uts", .op = unshare_op, .flags = CLONE_NEWUTS },
	{ .name = "unshare.ipc", .op = unshare_op, .flags = CLONE_NEWIPC },
	{ .name = "unshare.cgroup", .op = unshare_op, .flags = CLONE_NEWCGROUP },
	{ .name = "unshare.all", .op = unshare_op, .flags = ALL, .rest_ms = REST_NET_MS },
	{ .name = "runc", .op = runc_op, .rest_ms = REST_NET_MS },
	{ .name = "runc-into-cgroup", .op = runc_op, .flags = CLONE_INTO_CGROUP, .rest_ms = REST_NET_MS },
};
const int n_boxes = sizeof(boxes) / sizeof(*boxes);
