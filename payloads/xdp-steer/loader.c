// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader.h"
#include "say.h"

#define OBJECT "steer.bpf.o"

static struct bpf_object *base;

/* What a kernel may lack. Each is loaded by itself, with the maps of the others. */
static struct optional {
	const char *name, *lack;	/* how the verifier or libbpf says that it is not there */
	int fd;
	char log[1 << 16], refusal[256];
} optional[] = {
	{ .name = "steer_cgroup", .lack = "cannot use helper bpf_sk_cgroup_id" },
	{ .name = "steer_cast", .lack = "bpf_rdonly_cast" },
};

static char complaint[512];	/* libbpf's last warnings */

static int listen_to(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN)
		vsnprintf(complaint, sizeof(complaint), format, args);
	return 0;
}

static struct optional *find(const char *name)
{
	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
		if (!strcmp(optional[i].name, name))
			return &optional[i];
	return NULL;
}

/* The line of `text` that holds `part`. */
static bool quote(const char *text, const char *part, char *line, size_t size)
{
	const char *at = strstr(text, part);

	if (!at)
		return false;
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static void load_optional(struct optional *one)
{
	struct bpf_object *object = bpf_object__open_file(OBJECT, NULL);
	struct bpf_program *program;
	struct bpf_map *map;

	MUST(object);
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), one->name));
	bpf_object__for_each_map(map, object)
		MUST(!bpf_map__reuse_fd(map, bpf_object__find_map_fd_by_name(base, bpf_map__name(map))));
	program = bpf_object__find_program_by_name(object, one->name);
	MUST(program && !bpf_program__set_log_buf(program, one->log, sizeof(one->log)));
	if (!bpf_object__load(object)) {
		one->fd = bpf_program__fd(program);
		return;		/* the object stays as long as the program */
	}
	one->fd = -1;
	if (quote(one->log, one->lack, one->refusal, sizeof(one->refusal)) ||
	    quote(complaint, one->lack, one->refusal, sizeof(one->refusal)))
		return;
	say("%s: %s%s", one->name, one->log, complaint);
	say_void(one->name);	/* refused for another reason than the known one */
}

static void attach_cgroup(const char *name, enum bpf_attach_type type)
{
	struct bpf_program *program = bpf_object__find_program_by_name(base, name);

	MUST(program && bpf_link_create(bpf_program__fd(program), cgroup_fd(), type, NULL) >= 0);
}

void steer_load(void)
{
	struct bpf_program *program;

	libbpf_set_print(listen_to);
	base = bpf_object__open_file(OBJECT, NULL);
	MUST(base);
	bpf_object__for_each_program(program, base)
		bpf_program__set_autoload(program, !find(bpf_program__name(program)));
	if (bpf_object__load(base)) {
		say("%s", complaint);
		say_void("bpf_object__load(" OBJECT ")");
	}
	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
		load_optional(&optional[i]);
	attach_cgroup("bound", BPF_CGROUP_INET4_POST_BIND);
	attach_cgroup("released", BPF_CGROUP_INET_SOCK_RELEASE);
	program = bpf_object__find_program_by_name(base, "redirect_failed");
	MUST(program && bpf_raw_tracepoint_open("xdp_redirect_err", bpf_program__fd(program)) >= 0);
}

int steer_program(const char *name)
{
	struct optional *one = find(name);
	struct bpf_program *program;

	if (one)
		return one->fd;
	program = bpf_object__find_program_by_name(base, name);
	MUST(program);
	return bpf_program__fd(program);
}

const char *steer_refusal(const char *name)
{
	struct optional *one = find(name);

	return one && one->fd < 0 ? one->refusal : NULL;
}

int steer_attach(const struct world *world, int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	int link, error;

	enter(world->agents);
	link = bpf_link_create(program, world->device, BPF_XDP, &options);
	error = errno;
	enter(world->home);
	errno = error;
	return link;
}

static int map(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(base, name);

	MUST(fd >= 0);
	return fd;
}

uint64_t steer_counted(enum reason reason)
{
	static uint64_t counts[1024];	/* one for each possible CPU */
	int cpus = libbpf_num_possible_cpus();
	uint64_t sum = 0;

	MUST(cpus > 0 && cpus <= 1024 && !bpf_map_lookup_elem(map("reasons"), &reason, counts));
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += counts[cpu];
	return sum;
}

uint64_t steer_counted_all(void)
{
	uint64_t sum = 0;

	for (int reason = 0; reason < REASONS; reason++)
		sum += steer_counted(reason);
	return sum;
}

struct redirect_errors steer_errors(void)
{
	struct redirect_errors errors;
	uint32_t key = 0;

	MUST(!bpf_map_lookup_elem(map("errors"), &key, &errors));
	return errors;
}

uint32_t steer_last_queue(void)
{
	uint32_t key = 0, queue;

	MUST(!bpf_map_lookup_elem(map("last_queue"), &key, &queue));
	return queue;
}

void steer_agent(const char *cgroup, uint32_t slot)
{
	uint64_t id = cgroup_id(cgroup);

	MUST(!bpf_map_update_elem(map("agents"), &id, &slot, BPF_ANY));
}

void steer_slot(uint32_t slot, uint32_t queue, int xsk)
{
	uint32_t index = slot * MAX_QUEUES + queue;

	if (xsk >= 0)
		MUST(!bpf_map_update_elem(map("xsks"), &index, &xsk, BPF_ANY));
	else
		MUST(!bpf_map_delete_elem(map("xsks"), &index) || errno == ENOENT);
}

void steer_put(const struct port_key *key, const struct port_value *value)
{
	MUST(!bpf_map_update_elem(map("ports"), key, value, BPF_ANY));
}

void steer_remove(const struct port_key *key)
{
	MUST(!bpf_map_delete_elem(map("ports"), key));
}

bool steer_get(const struct port_key *key, struct port_value *value)
{
	return !bpf_map_lookup_elem(map("ports"), key, value);
}
