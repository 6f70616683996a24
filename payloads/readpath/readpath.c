// SPDX-License-Identifier: GPL-2.0
/*
 * Description: what it costs to read 512 B or 4 KiB at random places of a 16 MiB file on ext4 on NVMe, in instructions and
 * bios: from the page cache (read, pread, preadv2, io_uring, mmap) and from the device (O_DIRECT, io_uring, polled), and the
 * bare device beside it. What was read is checked: every word in the warm-up, both ends of every sector after it.
 */
#define _GNU_SOURCE
#include <time.h>

#include "disk.h"
#include <uring.h>

#define WARMUP 200
#define CACHED_LAPS 2000
#define LONG_LAPS 500		/* of an operation that is ten times as long, or waits */
#define FILLS 4			/* as often a page is read until its place in the LRU lists changes no more */
#define AROUND (64 << 10)	/* a fault maps what is cached of these bytes around it: fault_around_bytes */
#define NAP_NS 2000000
#define STUCK_S 240

struct reader {
	int fd;
	size_t size;
	char *buffer, *map;
	struct uring *uring;
	uint64_t start, number;		/* of the file on fd; of the operation */
};

static struct uring interrupts, polled;
static uint64_t places[WARMUP + CACHED_LAPS];	/* random, the same in every boot, none twice in a row */

static void choose_places(void)
{
	uint64_t random = 88172645463325252ull;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		places[i] = random % (DATA_BYTES / BLOCK) * BLOCK;
		if (i && places[i] == places[i - 1])
			places[i] = (places[i] + BLOCK) % DATA_BYTES;
	}
}

/* 512 B are the sector in the middle of the block. */
static uint64_t place(struct reader *reader)
{
	return places[reader->number] + (reader->size < BLOCK ? BLOCK / 2 : 0);
}

static bool right(struct reader *reader, uint64_t offset)
{
	const uint64_t *words = (uint64_t *)reader->buffer;
	size_t step = reader->number < WARMUP ? 1 : SECTOR / 8 - 1;
	bool good = true;

	for (size_t sector = 0; sector < reader->size; sector += SECTOR)
		for (size_t i = sector / 8; i < (sector + SECTOR) / 8; i += step)
			good &= words[i] == word_at(offset + 8 * i);
	reader->number++;
	return good;
}

static bool read_op(void *context)
{
	struct reader *reader = context;
	uint64_t at = place(reader);

	return lseek(reader->fd, at, SEEK_SET) == (off_t)at && read(reader->fd, reader->buffer, reader->size) == (ssize_t)reader->size &&
	       right(reader, at);
}

static bool pread_op(void *context)
{
	struct reader *reader = context;
	uint64_t at = place(reader);

	return pread(reader->fd, reader->buffer, reader->size, reader->start + at) == (ssize_t)reader->size && right(reader, at);
}

static bool preadv2_op(void *context)
{
	struct reader *reader = context;
	struct iovec part = { reader->buffer, reader->size };
	uint64_t at = place(reader);

	return preadv2(reader->fd, &part, 1, at, 0) == (ssize_t)reader->size && right(reader, at);
}

static bool uring_read(struct reader *reader, bool fixed)
{
	uint64_t at = place(reader);

	uring_queue(reader->uring, fixed, reader->fd, reader->buffer, reader->size, at);
	return uring_enter(reader->uring, 1, 1) && uring_result(reader->uring) == (int)reader->size && right(reader, at);
}

static bool uring_op(void *context)
{
	return uring_read(context, false);
}

static bool fixed_op(void *context)
{
	return uring_read(context, true);
}

static bool nap_op(void *context)
{
	struct timespec nap = { 0, NAP_NS };

	(void)context;
	return !nanosleep(&nap, NULL);
}

/* How often one must ask depends on the host. After a nap the device is done, and asking once is enough. */
static bool polled_op(void *context)
{
	struct reader *reader = context;
	uint64_t at = place(reader);

	uring_queue(reader->uring, true, reader->fd, reader->buffer, reader->size, at);
	return uring_enter(reader->uring, 1, 0) && nap_op(NULL) && uring_wait(reader->uring) == (int)reader->size &&
	       right(reader, at);
}

static bool mmap_op(void *context)
{
	struct reader *reader = context;
	uint64_t at = place(reader);

	memcpy(reader->buffer, reader->map + at, reader->size);
	return right(reader, at);
}

/*
 * Two faults, and their pages taken away again. Each maps the 16 pages around it, so an operation moves 64 page counters,
 * which is when memcg_rstat_updated() passes them on: every time and not every other time.
 */
static bool fault_op(void *context)
{
	struct reader *reader = context;
	uint64_t around = places[reader->number] / (2 * AROUND) * (2 * AROUND);
	bool good = true;

	for (uint64_t at = around + AROUND / 2; at < around + 2 * AROUND; at += AROUND) {
		memcpy(reader->buffer, reader->map + at, reader->size);
		good &= right(reader, at);
	}
	reader->number--;	/* right() counted both */
	return good && !madvise(reader->map + around, 2 * AROUND, MADV_DONTNEED);
}

enum file { CACHED, DIRECT, RAW };

static const struct path {
	const char *name;
	lab_op op;
	enum file file;
	struct uring *uring;
} paths[] = {
	{ "raw.pread", pread_op, RAW, NULL },
	{ "direct.pread", pread_op, DIRECT, NULL },
	{ "direct.preadv2", preadv2_op, DIRECT, NULL },
	{ "direct.uring", uring_op, DIRECT, &interrupts },
	{ "direct.uring-fixed", fixed_op, DIRECT, &interrupts },
	{ "direct.uring-polled", polled_op, DIRECT, &polled },
	{ "cached.read", read_op, CACHED, NULL },
	{ "cached.pread", pread_op, CACHED, NULL },
	{ "cached.preadv2", preadv2_op, CACHED, NULL },
	{ "cached.uring", uring_op, CACHED, &interrupts },
	{ "cached.uring-fixed", fixed_op, CACHED, &interrupts },
	{ "cached.mmap", mmap_op, CACHED, NULL },
	{ "cached.mmap-fault", fault_op, CACHED, NULL },
};
#define PATHS (int)(sizeof(paths) / sizeof(*paths))
static const size_t sizes[] = { SECTOR, BLOCK };

static int open_or_bail(const char *name, int flags)
{
	int fd = open(name, O_RDONLY | flags);

	if (fd < 0)
		lab_bail("cannot open %s: %m", name);
	return fd;
}

/* From here on every page of the file is in the page cache and active, and none starts a read-ahead. */
static void fill_cache(struct reader *reader)
{
	for (int i = 0; i < FILLS; i++)
		for (uint64_t at = 0; at < DATA_BYTES; at += BLOCK)
			if (pread(reader->fd, reader->buffer, SECTOR, at) != SECTOR)
				lab_bail("cannot read " DATA ": %m");
}

/* At an address that is a multiple of what a fault maps around itself. */
static char *map_data(int fd)
{
	char *room = mmap(NULL, DATA_BYTES + AROUND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *map;

	if (room == MAP_FAILED)
		lab_bail("no room for a mapping: %m");
	map = (char *)(((uintptr_t)room + AROUND - 1) & -(uintptr_t)AROUND);
	if (mmap(map, DATA_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != map)
		lab_bail("cannot map " DATA ": %m");
	return map;
}

static void vm_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		lab_bail("cannot write to %s: %m", path);
	close(fd);
}

/*
 * A CPU counts mapped pages by itself and passes them on ten at a time. Where it stands decides how often an operation passes
 * some on: it starts from zero here, and vmstat_update() does not come in between.
 */
static void settle_counters(void)
{
	vm_setting("/proc/sys/vm/stat_interval", "3600");
	vm_setting("/proc/sys/vm/stat_refresh", "1");
}

static bool prepare(const struct path *path, struct reader *reader)
{
	if (path->op == read_op)
		fill_cache(reader);
	if (path->op == mmap_op && madvise(reader->map, DATA_BYTES, MADV_POPULATE_READ))
		return false;
	if (path->op == fault_op && madvise(reader->map, DATA_BYTES, MADV_DONTNEED))
		return false;
	settle_counters();
	return true;
}

/* One section, its bios, its case; returns the bios. */
static uint64_t measure(const struct path *path, struct reader *reader)
{
	int laps = path->file == CACHED && path->op != fault_op ? CACHED_LAPS : LONG_LAPS, failures;
	uint64_t before = bios();
	char name[40];

	snprintf(name, sizeof(name), "%s.%zu", path->name, reader->size);
	reader->number = 0;
	failures = lab_measure(name, path->op, reader, WARMUP, laps);
	before = bios() - before;
	if (path->file != CACHED)
		lab_note("sample bios.%s %.3f bios", name, (double)before / (WARMUP + laps));
	lab_result(!failures, name);
	return before;
}

static void open_rings(char *buffer)
{
	char line[16];

	read_line(SYSFS "/queue/io_poll", line, sizeof(line));
	if (strcmp(line, "1"))
		lab_bail(DEVICE " has no queue for polling: nvme.poll_queues=1");
	if (!uring_open(&interrupts, 0, buffer, BLOCK) || !uring_open(&polled, IORING_SETUP_IOPOLL, buffer, BLOCK))
		lab_bail("io_uring: %m");
}

int main(void)
{
	static char buffer[BLOCK] __attribute__((aligned(BLOCK)));
	uint64_t start, cached = 0;
	int fds[3];
	char *map;

	lab_plan(2 * PATHS + 1);
	alarm(STUCK_S);
	prepare_disk();
	fds[CACHED] = open_or_bail(DATA, 0);
	fds[DIRECT] = open_or_bail(DATA, O_DIRECT);
	fds[RAW] = open_or_bail(DEVICE, O_DIRECT);
	start = place_of_data(fds[CACHED]);
	choose_places();
	open_rings(buffer);
	lab_settle();
	munlockall();
	map = map_data(fds[CACHED]);
	if (posix_fadvise(fds[CACHED], 0, 0, POSIX_FADV_DONTNEED))
		lab_bail("cannot empty the page cache: %m");
	lab_calibrate();
	lab_result(!lab_measure("nap", nap_op, NULL, 10, 200), "nap");
	for (int p = 0; p < PATHS; p++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			struct reader reader = {
				.fd = fds[paths[p].file], .size = sizes[s], .buffer = buffer, .map = map,
				.uring = paths[p].uring, .start = paths[p].file == RAW ? start : 0,
			};

			if (!prepare(&paths[p], &reader))
				lab_bail("%s: cannot prepare the mapping: %m", paths[p].name);
			cached += measure(&paths[p], &reader) * (paths[p].file == CACHED);
		}
	}
	lab_note("sample bios.cached %llu bios", (unsigned long long)cached);
	umount(MOUNTPOINT);
	return lab_exit();
}
