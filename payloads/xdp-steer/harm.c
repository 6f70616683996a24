// SPDX-License-Identifier: GPL-2.0
/* Agents that mean harm: garbage in their rings, memory taken away, what they ask for and must not get. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

#define NOBODY 65534

bool garbage_in_fill_ring(void)
{
	static const uint64_t garbage[] = { 1ull << 40, 2 * FILL * CHUNK, -1, -4096, 1ull << 63 };
	int link = attached("steer_registered");
	struct watch watch = watch_one;
	struct xsk ring;
	bool good;

	replace_one(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0);
	watch.ring = &ring;
	for (int i = 0; i < COUNT(garbage); i++)
		((uint64_t *)ring.fill.entries)[i] = garbage[i];
	__atomic_store_n(ring.fill.producer, COUNT(garbage), __ATOMIC_RELEASE);
	xsk_fill(&ring, 2);
	good = only_ring(to(&watch, AGENT_PORT, 0)) && WANT(*ring.fill.consumer == COUNT(garbage) + 1);
	/* Linux 6.12 counts them in the fill ring and tells what it counted in the RX ring. */
	say("%d invalid entries, rx_invalid_descs %llu", COUNT(garbage),
	    (unsigned long long)xsk_statistics(&ring).rx_invalid_descs);
	restore_one(&ring);
	close(link);
	return good;
}

bool garbage_in_tx_ring(void)
{
	static const struct xdp_desc garbage[] = {
		{ .addr = 1ull << 40, .len = 64 }, { .addr = -1ull, .len = 64 }, { .addr = 2 * FILL * CHUNK, .len = 64 },
		{ .addr = 0, .len = CHUNK + 1 }, { .addr = 0, .len = -1 }, { .addr = 0, .len = 64, .options = 0xffff0000 },
	};
	int link = attached("steer_registered");
	struct watch watch = watch_one;
	struct xsk ring;
	bool good;

	replace_one(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL, .tx = true }, FILL);
	watch.ring = &ring;
	memcpy(ring.tx.entries, garbage, sizeof(garbage));
	__atomic_store_n(ring.tx.producer, COUNT(garbage), __ATOMIC_RELEASE);
	for (int i = 0; i < COUNT(garbage); i++)
		send(ring.fd, NULL, 0, MSG_DONTWAIT);
	good = WANT(xsk_statistics(&ring).tx_invalid_descs == COUNT(garbage)) && only_ring(to(&watch, AGENT_PORT, 0));
	restore_one(&ring);
	close(link);
	return good;
}

/* The kernel keeps the pages that the agent no longer maps. */
bool memory_unmapped(void)
{
	int link = attached("steer_registered");
	struct watch blind = watch_one;
	struct xsk ring;
	bool good;

	replace_one(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, FILL);
	MUST(!munmap(ring.memory, 2 * FILL * CHUNK));
	ring.memory = MAP_FAILED;
	blind.ring = NULL;
	good = nowhere(to(&blind, AGENT_PORT, 0)) && WANT(last_reason() == REDIRECT) && WANT(*ring.rx.producer == 1) &&
	       WANT(!xsk_statistics(&ring).rx_dropped);
	restore_one(&ring);
	close(link);
	return good;
}

bool second_agent_on_queue(void)
{
	struct xsk ring;
	bool bound = open_ring(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0, 0), good;

	good = WANT(!bound) && WANT(errno == EBUSY);
	xsk_close(&ring);
	return good;
}

bool tx_ring_after_bind(void)
{
	uint32_t size = FILL;

	return WANT(setsockopt(one.fd, SOL_XDP, XDP_TX_RING, &size, sizeof(size)) && errno == EBUSY);
}

bool zero_copy(void)
{
	struct xsk ring;
	bool good;

	xsk_close(&one);
	good = !open_ring(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL, .flags = XDP_ZEROCOPY }, 0, 0);
	good = WANT(good) && WANT(errno == EOPNOTSUPP);
	restore_one(&ring);
	return good;
}

/* It is no socket to read from: recv() never moves data. */
bool receive_from_ring(void)
{
	int link = attached("steer_registered");
	struct watch blind = watch_one;
	char buffer[64];
	bool good;

	blind.ring = NULL;
	good = nowhere(to(&blind, AGENT_PORT, 0)) && WANT(recv(one.fd, buffer, sizeof(buffer), 0) < 0 && errno == EOPNOTSUPP) &&
	       WANT(!recv(one.fd, buffer, sizeof(buffer), MSG_DONTWAIT));
	look(&watch_one, 0);
	close(link);
	return good;
}

/* Runs `act` as nobody in a child; what it returned. */
static int as_nobody(int (*act)(int fd))
{
	struct rlimit little = { 65536, 65536 };
	int status = -1, fd;
	pid_t pid;

	enter(world.agents);
	fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);	/* as a broker hands it over */
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		munlockall();
		if (setrlimit(RLIMIT_MEMLOCK, &little) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		_exit(act(fd));
	}
	enter(world.home);
	waitpid(pid, &status, 0);
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_as_nobody(int fd __attribute__((unused)))
{
	return socket(AF_XDP, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int register_as_nobody(int fd)
{
	struct xdp_umem_reg umem = { .len = 2 * FILL * CHUNK, .chunk_size = CHUNK };

	umem.addr = (uintptr_t)mmap(NULL, umem.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) ? errno : 0;
}

bool without_net_raw(void)
{
	return WANT(as_nobody(open_as_nobody) == EPERM);
}

bool beyond_memlock(void)
{
	return WANT(as_nobody(register_as_nobody) == ENOBUFS);
}
