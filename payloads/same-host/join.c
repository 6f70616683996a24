// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "join.h"

static int ends = -1;			/* the map */

static bool load(void)
{
	struct bpf_object *object = bpf_object__open_file("join.bpf.o", NULL);	/* stays until the process ends */
	struct bpf_program *program;

	if (!object || bpf_object__load(object))
		return false;
	program = bpf_object__find_program_by_name(object, "join");
	ends = bpf_object__find_map_fd_by_name(object, "ends");
	return program && ends >= 0 && !bpf_prog_attach(bpf_program__fd(program), ends, BPF_SK_MSG_VERDICT, 0);
}

static int port_of(int fd)
{
	struct sockaddr_in address = { 0 };
	socklen_t length = sizeof(address);

	return getsockname(fd, (void *)&address, &length) ? -1 : ntohs(address.sin_port);
}

/* A closed socket leaves the map by itself. */
static bool enter(int fd, int other)
{
	uint32_t key = port_of(fd) > port_of(other);
	uint64_t value = fd;

	return !bpf_map_update_elem(ends, &key, &value, BPF_ANY);
}

bool connect_sockmap(struct end *a, struct end *b)
{
	return (ends >= 0 || load()) && connect_tcp(a, b) && enter(a->in, b->in) && enter(b->in, a->in);
}
