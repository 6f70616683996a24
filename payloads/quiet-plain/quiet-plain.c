// SPDX-License-Identifier: GPL-2.0
/*
 * Description: as `quiet`, in a guest without isolation words: first as it booted, then with CPUs 2 and 3 in an isolated
 * cpuset partition, which is made and removed here.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include <quiet.h>

#define CGROUPS "/sys/fs/cgroup/"
#define PARTITION CGROUPS "quiet/"

/* A line of a cgroup file. */
static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		lab_bail("cannot write `%s` to %s: %m", text, path);
	close(fd);
}

static bool holds(const char *path, const char *want)
{
	char *text = slurp(path);

	text[strcspn(text, "\n")] = 0;
	lab_note("%s: %s", path, text);
	return !strcmp(text, want);
}

static void move_loops(const char *threads)
{
	char tid[16];

	for (int c = 0; c < CPUS; c++) {
		cpu_set_t one;

		snprintf(tid, sizeof(tid), "%d", loops[c].tid);
		put(threads, tid);
		CPU_ZERO(&one);
		CPU_SET(loops[c].cpu, &one);
		if (sched_setaffinity(loops[c].tid, sizeof(one), &one))
			lab_bail("not pinned to CPU %d: %m", loops[c].cpu);
	}
}

/* Threads of one process in two cpusets: a threaded child of the root, where the rest of the process stays. */
static bool isolate(void)
{
	put(CGROUPS "cgroup.subtree_control", "+cpuset");
	if (mkdir(PARTITION, 0755))
		lab_bail("cannot make %s: %m", PARTITION);
	put(PARTITION "cgroup.type", "threaded");
	put(PARTITION "cpuset.cpus", "2-3");
	put(PARTITION "cpuset.cpus.partition", "isolated");
	move_loops(PARTITION "cgroup.threads");
	return holds(PARTITION "cpuset.cpus.partition", "isolated") & holds(CGROUPS "cpuset.cpus.isolated", "2-3");
}

static bool join_again(void)
{
	put(PARTITION "cpuset.cpus.partition", "member");
	move_loops(CGROUPS "cgroup.threads");
	if (rmdir(PARTITION))
		lab_bail("cannot remove %s: %m", PARTITION);
	return holds(CGROUPS "cpuset.cpus.isolated", "");
}

int main(void)
{
	lab_plan(2 * NOISES + 2);
	if (!holds("/sys/devices/system/cpu/isolated", "") || strpbrk(slurp("/sys/devices/system/cpu/nohz_full"), "0123456789"))
		lab_bail("the command line isolates CPUs: this guest is not plain");
	if (!access(CGROUPS "system.slice", F_OK))
		lab_bail("systemd runs here: its cgroups are not to be touched");
	start();
	measure("plain");
	lab_result(isolate(), "cpuset.isolated");
	measure("cpuset");
	lab_result(join_again(), "cpuset.removed");
	return lab_exit();
}
