// SPDX-License-Identifier: GPL-2.0
/* Slots and queues, and agents that are not ready. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

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
