/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine as the kernel's files tell it: CPU lists, interrupts by CPU, numbers in sysfs.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include <lab.h>

#define MAX_CPUS 64
#define MAX_LINES 256		/* of /proc/interrupts */
#define TEXT 4096

/* One line of /proc/interrupts: `LOC` and the like, or a number; `name` is its last word, the handler's. */
struct interrupt {
	char label[16], name[48];
	uint64_t on[MAX_CPUS];
};

struct interrupts {
	int lines;
	struct interrupt line[MAX_LINES];
};

static inline double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static inline void rest_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Append to a text that is cut at the end of its array. */
__attribute__((format(printf, 3, 4)))
static inline void add(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

/* All of a file into `text`, without the last newline. */
static inline bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, used = 0;

	text[0] = 0;
	if (fd < 0)
		return false;
	while (used < (ssize_t)size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += n;
	close(fd);
	text[used > 0 && text[used - 1] == '\n' ? used - 1 : used] = 0;
	return n == 0 && used > 0;
}

/* A small file whose name is made as by printf; empty when it cannot be read. The next call uses the same place. */
__attribute__((format(printf, 1, 2)))
static inline char *sys_text(const char *format, ...)
{
	static char text[TEXT];
	char path[256];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (!read_text(path, text, sizeof(text)))
		text[0] = 0;
	return text;
}

static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t size = strlen(text);
	bool good = fd >= 0 && write(fd, text, size) == size;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return good;
}

/* `0-3,6`; what a list may not hold makes it false. An empty list is no CPU. */
static inline bool parse_cpus(const char *text, cpu_set_t *cpus)
{
	CPU_ZERO(cpus);
	while (*text && *text != '\n') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
		}
		if (end == text || last < first || last >= MAX_CPUS)
			return false;
		while (first <= last)
			CPU_SET(first++, cpus);
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',' && *end != '\n')
			return false;
	}
	return true;
}

/* A mask as the kernel writes it, `ff` or `1,00000003`. */
static inline bool parse_mask(const char *text, cpu_set_t *cpus)
{
	int bit = 0;

	CPU_ZERO(cpus);
	for (const char *at = text + strlen(text); at-- > text;) {
		char digit[2] = { *at, 0 }, *end;
		unsigned long value = strtoul(digit, &end, 16);

		if (*at == ',')
			continue;
		if (*end)
			return false;
		for (int i = 0; i < 4; i++, bit++)
			if (value >> i & 1 && bit < MAX_CPUS)
				CPU_SET(bit, cpus);
	}
	return CPU_COUNT(cpus) > 0;
}

/* The list of a set, in one of a few places that take turns, so that a printf can have several. */
static inline const char *cpus_text(const cpu_set_t *cpus)
{
	static char texts[8][256];
	static int turn;
	char *text = texts[turn++ % 8];

	text[0] = 0;
	for (int first = 0; first < MAX_CPUS; first++) {
		int last = first;

		if (!CPU_ISSET(first, cpus))
			continue;
		while (last + 1 < MAX_CPUS && CPU_ISSET(last + 1, cpus))
			last++;
		add(text, 256, last > first ? "%s%d-%d" : "%s%d", *text ? "," : "", first, last);
		first = last;
	}
	return *text ? text : "none";
}

static inline bool overlap(const cpu_set_t *a, const cpu_set_t *b)
{
	cpu_set_t both;

	CPU_AND(&both, a, b);
	return CPU_COUNT(&both) > 0;
}

static inline bool within(const cpu_set_t *inner, const cpu_set_t *outer)
{
	cpu_set_t both;

	CPU_AND(&both, inner, outer);
	return CPU_EQUAL(&both, inner);
}

static inline void online_cpus(cpu_set_t *cpus)
{
	if (!parse_cpus(sys_text("/sys/devices/system/cpu/online"), cpus) || !CPU_COUNT(cpus))
		lab_bail("/sys/devices/system/cpu/online does not say which CPUs there are");
}

static inline bool pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

/* The columns of /proc/interrupts are the online CPUs. */
static inline int interrupt_columns(const char *head, int *cpus)
{
	int n = 0, used;

	while (n < MAX_CPUS && sscanf(head, " CPU%d%n", &cpus[n], &used) == 1) {
		if (cpus[n] >= MAX_CPUS)
			lab_bail("more than %d CPUs", MAX_CPUS);
		head += used;
		n++;
	}
	return n;
}

static inline void parse_interrupt(char *line, struct interrupt *one, const int *cpus, int columns)
{
	char *colon = strchr(line, ':'), *at = colon + 1, *last;

	memset(one, 0, sizeof(*one));
	*colon = 0;
	snprintf(one->label, sizeof(one->label), "%s", line + strspn(line, " "));
	for (int i = 0; i < columns; i++) {
		char *end;
		unsigned long long value = strtoull(at, &end, 10);

		if (end == at)		/* ERR and MIS have one column */
			break;
		one->on[cpus[i]] = value;
		at = end;
	}
	last = strrchr(at, ' ');
	snprintf(one->name, sizeof(one->name), "%s", last ? last + 1 : "");
}

static inline void read_interrupts(struct interrupts *all)
{
	static char text[1 << 17];
	int cpus[MAX_CPUS], columns;
	char *line, *next;

	if (!read_text("/proc/interrupts", text, sizeof(text)))
		lab_bail("cannot read /proc/interrupts");
	columns = interrupt_columns(text, cpus);
	next = strchr(text, '\n');
	all->lines = 0;
	while ((line = next)) {
		next = strchr(++line, '\n');
		if (next)
			*next = 0;
		if (!strchr(line, ':'))
			continue;
		if (all->lines == MAX_LINES)
			lab_bail("/proc/interrupts has more than %d lines", MAX_LINES);
		parse_interrupt(line, &all->line[all->lines++], cpus, columns);
	}
}

/* By its label (`LOC`) or its handler's name (`nvme0q1`); NULL: there is none. */
static inline const struct interrupt *find_interrupt(const struct interrupts *all, const char *name)
{
	for (int i = 0; i < all->lines; i++)
		if (!strcmp(all->line[i].label, name) || !strcmp(all->line[i].name, name))
			return &all->line[i];
	return NULL;
}

/* How often it came on a CPU; 0 without such a line. */
static inline uint64_t interrupts_on(const struct interrupts *all, const char *name, int cpu)
{
	const struct interrupt *one = find_interrupt(all, name);

	return one ? one->on[cpu] : 0;
}

#endif
