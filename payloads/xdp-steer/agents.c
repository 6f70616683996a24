// SPDX-License-Identifier: GPL-2.0
/* Slots and queues, agents that are not ready, and agents that mean harm. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

#define NOBODY 65534

/* Queues and slots */

bool queue_without_socket(void)
{
	int link = attached("steer_registered");
	bool good = only_stack(to(&watch_one, AGENT_PORT, 1), 0) && WANT(last_reason() == EMPTY);

	close(link);
	return good;
}

static bool failed_with(struct redirect_errors before, int error)
{
	struct redirect_errors after = steer_errors();

	return WANT(after.count == before.count + 1) && WANT(after.last == -error);
}

bool wrong_queue_in_slot(void)
{
	struct redirect_errors before = steer_errors();
	int link = attached("steer_registered");
	bool good;

	steer_slot(0, 1, one.fd);
	good = nowhere(to(&watch_one, AGENT_PORT, 1)) && WANT(last_reason() == REDIRECT) && failed_with(before, EINVAL);
	steer_slot(0, 1, -1);
	close(link);
	return good;
}

bool unbound_socket_in_slot(void)
{
	struct redirect_errors before = steer_errors();
	int link = attached("steer_registered"), fd;
	bool good;

	enter(world.agents);
	fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	enter(world.home);
	steer_slot(0, 1, fd);
	good = nowhere(to(&watch_one, AGENT_PORT, 1)) && failed_with(before, ENXIO);
	steer_slot(0, 1, -1);
	close(fd);
	close(link);
	return good;
}

/* An agent that is not ready */

/* One's place on the first queue for a ring that only this case has. */
static bool replace_one(struct xsk *ring, const struct xsk_want *want, uint32_t filled)
{
	xsk_close(&one);
	MUST(open_ring(ring, want, 0, filled));
	steer_slot(0, 0, ring->fd);
	return true;
}

static void restore_one(struct xsk *ring)
{
	if (ring)
		xsk_close(ring);
	MUST(open_ring(&one, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0, FILL));
	steer_slot(0, 0, one.fd);
}

bool fill_ring_empty(void)
{
	int link = attached("steer_registered");
	struct watch watch = watch_one;
	struct xsk ring;
	bool good;

	replace_one(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL }, 0);
	watch.ring = &ring;
	good = nowhere(to(&watch, AGENT_PORT, 0)) && WANT(last_reason() == REDIRECT) &&
	       WANT(xsk_statistics(&ring).rx_fill_ring_empty_descs > 0) && WANT(xsk_statistics(&ring).rx_dropped == 1) &&
	       others_unaffected();
	xsk_fill(&ring, 1);
	good = good && only_ring(to(&watch, AGENT_PORT, 0));
	restore_one(&ring);
	close(link);
	return good;
}

bool rx_ring_full(void)
{
	int link = attached("steer_registered");
	struct watch blind = watch_one, watch = watch_one;
	struct xsk ring;
	int received = 0;
	uint32_t length;
	bool good = true;

	replace_one(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL, .rx_ring = 8 }, FILL);
	blind.ring = NULL;
	watch.ring = &ring;
	for (int i = 0; good && i < 12; i++)
		good = nowhere(to(&blind, AGENT_PORT, 0)) && WANT(last_reason() == REDIRECT);
	good = good && WANT(xsk_statistics(&ring).rx_ring_full == 4) && others_unaffected();
	while (xsk_receive(&ring, &length))
		received++;
	good = good && WANT(received == 8) && only_ring(to(&watch, AGENT_PORT, 0));
	restore_one(&ring);
	close(link);
	return good;
}

/* A process that is agent one: makes its sockets, says so, then receives until it is killed. */
struct agent {
	pid_t pid;
	struct { int ready, ring, received; } *shared;
};

static void live(struct agent *agent)
{
	struct pollfd wait;
	struct xsk ring;
	uint32_t length;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!open_ring(&ring, &(struct xsk_want){ .chunks = 2 * FILL, .ring = FILL, .rx_ring = 8 }, 0, FILL))
		_exit(1);
	agent_udp(&world, "one", AGENTS, MISHAP_PORT);
	steer_slot(0, 0, ring.fd);
	agent->shared->ring = ring.fd;
	wait = (struct pollfd){ .fd = ring.fd, .events = POLLIN };
	__atomic_store_n(&agent->shared->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		poll(&wait, 1, -1);
		while (xsk_receive(&ring, &length))
			__atomic_add_fetch(&agent->shared->received, 1, __ATOMIC_RELEASE);
	}
}

static bool until(const int *value, int want)
{
	for (int turn = 0; turn < 10000; turn++) {
		if (__atomic_load_n(value, __ATOMIC_ACQUIRE) == want)
			return true;
		sched_yield();
	}
	return false;
}

static void agent_start(struct agent *agent)
{
	xsk_close(&one);
	agent->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	MUST(agent->shared != MAP_FAILED);
	agent->pid = fork();
	MUST(agent->pid >= 0);
	if (!agent->pid)
		live(agent);
	MUST(until(&agent->shared->ready, 1));
}

static void agent_kill(struct agent *agent)
{
	kill(agent->pid, SIGKILL);
	waitpid(agent->pid, NULL, 0);
	munmap(agent->shared, 4096);
}

static struct xdp_statistics statistics_of(const struct agent *agent)
{
	int pidfd = syscall(SYS_pidfd_open, agent->pid, 0);
	struct xsk ring = { .fd = syscall(SYS_pidfd_getfd, pidfd, agent->shared->ring, 0) };
	struct xdp_statistics statistics = xsk_statistics(&ring);

	close(ring.fd);
	close(pidfd);
	return statistics;
}

bool agent_stopped(void)
{
	int link = attached("steer_registered");
	struct watch blind = watch_one;
	struct agent agent;
	bool good;

	agent_start(&agent);
	blind.ring = NULL;
	good = nowhere(to(&blind, MISHAP_PORT, 0)) && WANT(until(&agent.shared->received, 1));
	kill(agent.pid, SIGSTOP);
	waitpid(agent.pid, NULL, WUNTRACED);
	for (int i = 0; good && i < 12; i++)
		good = nowhere(to(&blind, MISHAP_PORT, 0)) && WANT(last_reason() == REDIRECT);
	good = good && WANT(statistics_of(&agent).rx_ring_full == 4) && others_unaffected();
	kill(agent.pid, SIGCONT);
	good = good && WANT(until(&agent.shared->received, 9)) && nowhere(to(&blind, MISHAP_PORT, 0)) &&
	       WANT(until(&agent.shared->received, 10));
	agent_kill(&agent);
	restore_one(NULL);
	close(link);
	return good;
}

/* Its slot and its port are free again; what comes next is answered by the stack. */
bool agent_dies(void)
{
	struct port_value value = { .cgroup = cgroup_id("one") };
	struct port_key key = key_of(MISHAP_PORT);
	int link = attached("steer_registered"), peer = peer_udp(&world, MISHAP_PORT);
	struct watch blind = watch_one;
	struct agent agent;
	bool good;
	char byte = 0;

	agent_start(&agent);
	blind.ring = NULL;
	good = nowhere(to(&blind, MISHAP_PORT, 0)) && WANT(until(&agent.shared->received, 1));
	agent_kill(&agent);
	good = good && WANT(!steer_get(&key, &value)) && only_stack(to(&blind, MISHAP_PORT, 0), -1) &&
	       WANT(last_reason() == UNKNOWN);
	good = good && WANT(send(peer, &byte, 1, 0) == 1) &&
	       WANT(recv(peer, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED);
	steer_put(&key, &value);	/* the port alone does not bring the slot back */
	good = good && only_stack(to(&blind, MISHAP_PORT, 0), -1) && WANT(last_reason() == EMPTY);
	steer_remove(&key);
	close(peer);
	restore_one(NULL);
	close(link);
	return good;
}

/* An agent that means harm */

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
