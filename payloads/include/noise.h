/* SPDX-License-Identifier: GPL-2.0 */
/* Noise for the CPUs that entries.h looks at, made on CPUs 0 and 1: each a known number of events. */
#ifndef NOISE_H
#define NOISE_H

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/prctl.h>

#include <entries.h>

#define HELPER_CPU 1
#define PAGE 4096

static int helper_in, helper_out;

static void *nothing(void *context)
{
	return context;
}

/* Short-lived threads of another process, on the other housekeeping CPU; `batch` of them at once. */
static bool make_threads(int n, const pthread_attr_t *small)
{
	enum { batch = 20 };
	pthread_t threads[batch];
	bool good = true;

	for (; n > 0; n -= batch) {
		int made = 0;

		while (made < batch && !pthread_create(&threads[made], small, nothing, NULL))
			made++;
		good &= made == batch;
		while (made--)
			pthread_join(threads[made], NULL);
	}
	return good;
}

static void start_helper(void)
{
	pthread_attr_t small;
	int forth[2], back[2], n;

	if (pipe(forth) || pipe(back))
		lab_bail("cannot make pipes: %m");
	fflush(stdout);
	switch (fork()) {
	case -1:
		lab_bail("cannot fork: %m");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(HELPER_CPU);
		pthread_attr_init(&small);
		pthread_attr_setstacksize(&small, 1 << 16);
		while (read(forth[0], &n, sizeof(n)) == sizeof(n)) {
			bool good = make_threads(n, &small);

			if (write(back[1], &good, 1) != 1)
				break;
		}
		_exit(0);
	}
	helper_in = back[0];
	helper_out = forth[1];
}

static bool idle_noise(int n)
{
	rest(n);
	return true;
}

/* kernel.bpf_stats_enabled is a static key that any kernel with BPF has: one batch of patched text a change. */
static bool toggle_noise(int n)
{
	int fd = open("/proc/sys/kernel/bpf_stats_enabled", O_WRONLY);
	bool good = fd >= 0;

	for (int i = 0; good && i < n; i++)
		good = pwrite(fd, i % 2 ? "0\n" : "1\n", 2, 0) == 2;
	close(fd);
	return good;
}

static bool thread_noise(int n)
{
	bool good = false;

	return write(helper_out, &n, sizeof(n)) == sizeof(n) && read(helper_in, &good, 1) == 1 && good;
}

static bool membarrier_noise(int n)
{
	bool good = true;

	while (n-- > 0)
		good &= !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	return good;
}

/* In the process of the loops: they must not keep using a page that is gone. */
static bool munmap_noise(int n)
{
	bool good = true;

	while (n-- > 0) {
		volatile char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		good &= page != MAP_FAILED;
		if (!good)
			break;
		*page = 1;
		good &= !munmap((void *)page, PAGE);
	}
	return good;
}

struct noise {
	const char *name;
	bool (*make)(int n);
	int n, windows;		/* events a window; of `idle`: milliseconds */
};

static const struct noise noises[] = {
	{ "idle", idle_noise, 500, 5 },
	{ "toggle", toggle_noise, 20, 3 },
	{ "threads", thread_noise, 200, 3 },
	{ "membarrier", membarrier_noise, 200, 3 },
	{ "munmap", munmap_noise, 200, 3 },
};
#define NOISES (int)(sizeof(noises) / sizeof(*noises))

#endif
