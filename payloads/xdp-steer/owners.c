// SPDX-License-Identifier: GPL-2.0
/*
 * Whose frame it is. Frames for two's port come in on one's queue, where a program that goes by the port's number alone
 * delivers them to one: what the others must not do.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader.h"
#include "mishaps.h"
#include "say.h"
#include "stage.h"

bool captured_by_port(void)
{
	int link = attached("steer_port");
	bool good = only_ring(to(&watch_one, TWOS_PORT, 0));

	close(link);
	return good;
}

bool not_captured(const char *program)
{
	int link = attached(program);
	bool good = only_stack(to(&watch_one, TWOS_PORT, 0), 1) && WANT(last_reason() == EMPTY) &&
		    only_ring(to(&watch_two, TWOS_PORT, 1)) && only_ring(to(&watch_one, AGENT_PORT, 0));

	close(link);
	return good;
}

/* An entry that says that two's port is one's, as one has it that outlived its socket. */
static struct port_key forge(struct port_value *saved)
{
	struct port_key key = key_of(TWOS_PORT);
	struct port_value forged = { .cgroup = cgroup_id("one"), .slot = 0 };

	MUST(steer_get(&key, saved));
	steer_put(&key, &forged);
	return key;
}

bool stale_entry_captures(void)
{
	struct port_value saved;
	struct port_key key = forge(&saved);
	int link = attached("steer_registered");
	bool good = only_ring(to(&watch_one, TWOS_PORT, 0));

	close(link);
	steer_put(&key, &saved);
	return good;
}

bool stale_entry_is_caught(const char *program)
{
	struct port_value saved;
	struct port_key key = forge(&saved);
	int link = attached(program);
	bool good = only_stack(to(&watch_one, TWOS_PORT, 0), 1) && WANT(last_reason() == FOREIGN);

	close(link);
	steer_put(&key, &saved);
	return good;
}

/* One closes, two binds the same port: it is two's, and one gets nothing any more. */
bool rebound(const char *program)
{
	struct port_key key = key_of(MISHAP_PORT);
	struct port_value value;
	int link, fd = agent_udp(&world, "one", AGENTS, MISHAP_PORT);
	bool good = WANT(steer_get(&key, &value)) && WANT(value.cgroup == cgroup_id("one"));

	close(fd);
	good = good && WANT(!steer_get(&key, &value));
	fd = agent_udp(&world, "two", AGENTS, MISHAP_PORT);
	good = good && WANT(steer_get(&key, &value)) && WANT(value.cgroup == cgroup_id("two") && value.slot == 1);
	link = attached(program);
	watch_one.sockets[2] = fd;
	watch_two.sockets[2] = fd;
	good = good && only_stack(to(&watch_one, MISHAP_PORT, 0), 2) && only_ring(to(&watch_two, MISHAP_PORT, 1));
	watch_one.sockets[2] = -1;
	watch_two.sockets[2] = -1;
	close(link);
	close(fd);
	return good;
}

/* A second socket on a port does not get the entry of the first, nor does its end remove it. */
bool shared_port(void)
{
	struct sockaddr_in where = {
		.sin_family = AF_INET,
		.sin_port = htons(MISHAP_PORT),
		.sin_addr.s_addr = inet_addr(AGENTS),
	};
	struct port_key key = key_of(MISHAP_PORT);
	const char *cgroups[2] = { "one", "two" };
	struct port_value value;
	int fd[2], on = 1;
	bool good;

	enter(world.agents);
	for (int i = 0; i < 2; i++) {
		cgroup_join(cgroups[i]);
		fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		MUST(!setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
		MUST(!bind(fd[i], (void *)&where, sizeof(where)));
	}
	cgroup_join(NULL);
	enter(world.home);
	good = WANT(steer_get(&key, &value)) && WANT(value.slot == 0);
	close(fd[1]);
	good = good && WANT(steer_get(&key, &value)) && WANT(value.slot == 0);
	close(fd[0]);
	return good && WANT(!steer_get(&key, &value));
}

/* Bound to every address, it is bound to none that the map knows: the broker would have to add each. */
bool wildcard(void)
{
	int fd = agent_udp(&world, "one", "0.0.0.0", MISHAP_PORT), link = attached("steer_registered");
	bool good;

	watch_one.sockets[2] = fd;
	good = only_stack(to(&watch_one, MISHAP_PORT, 0), 2) && WANT(last_reason() == UNKNOWN);
	watch_one.sockets[2] = -1;
	close(link);
	close(fd);
	return good;
}

/* Ports of the range are nobody's by chance: of 11 ports around its begin, bind(0) gives the 5 before. */
bool reserved_ports(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd[6], bound = 0, error;

	world_sysctl(&world, "ip_local_port_range", "39995 40005");
	enter(world.agents);
	for (int i = 0; i < 6; i++) {
		fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		bound += !bind(fd[i], (void *)&any, sizeof(any));
		error = errno;
	}
	enter(world.home);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	world_sysctl(&world, "ip_local_port_range", "32768 60999");
	return WANT(bound == 5) && WANT(error == EADDRINUSE);
}
