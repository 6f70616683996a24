/* SPDX-License-Identifier: GPL-2.0 */
/* An ext4 with one file of known contents on the guest's NVMe. */
#ifndef DISK_H
#define DISK_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <lab.h>

#define DISK "nvme0n1"
#define DEVICE "/dev/" DISK
#define SYSFS "/sys/block/" DISK
#define MOUNTPOINT "disk"
#define DATA MOUNTPOINT "/data"
#define SECTOR 512
#define BLOCK 4096
#define DATA_BYTES (16 << 20)

/* Every word of the file tells where it stands. */
static inline uint64_t word_at(uint64_t offset)
{
	return (offset / 8 + 1) * 0x9e3779b97f4a7c15;
}

static void read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, size, file))
		lab_bail("cannot read %s", path);
	line[strcspn(line, "\n")] = 0;
	fclose(file);
}

/* Everything on the device is lost: it must be the emulated one, and empty. */
static void check_blank(void)
{
	static char start[1 << 16], zero[1 << 16];
	char model[64];
	int fd;

	if (access(DEVICE, F_OK))
		lab_bail("there is no " DEVICE);
	read_line(SYSFS "/device/model", model, sizeof(model));
	if (strncmp(model, "QEMU NVMe", 9))
		lab_bail(DEVICE " is `%s`, not a disk of the lab", model);
	fd = open(DEVICE, O_RDONLY);
	if (fd < 0 || read(fd, start, sizeof(start)) != sizeof(start))
		lab_bail("cannot read " DEVICE ": %m");
	if (memcmp(start, zero, sizeof(start)))
		lab_bail(DEVICE " is not empty");
	close(fd);
}

/* The blocks that the build packed: ext4.pack. */
static void write_filesystem(void)
{
	struct { uint64_t number; char data[BLOCK]; } packed;
	int fd = open(DEVICE, O_WRONLY);
	FILE *pack = fopen("ext4.pack", "r");

	if (fd < 0 || !pack)
		lab_bail("cannot open " DEVICE " and ext4.pack: %m");
	while (fread(&packed, sizeof(packed), 1, pack) == 1)
		if (pwrite(fd, packed.data, BLOCK, packed.number * BLOCK) != BLOCK)
			lab_bail("cannot write to " DEVICE ": %m");
	if (ferror(pack) || fsync(fd) || close(fd))
		lab_bail("the file system is not written: %m");
	fclose(pack);
}

static void write_data(void)
{
	static uint64_t words[BLOCK / 8];
	int fd = open(DATA, O_CREAT | O_WRONLY | O_EXCL, 0644);

	if (fd < 0)
		lab_bail("cannot make " DATA ": %m");
	for (uint64_t at = 0; at < DATA_BYTES; at += BLOCK) {
		for (uint64_t i = 0; i < BLOCK / 8; i++)
			words[i] = word_at(at + 8 * i);
		if (write(fd, words, BLOCK) != BLOCK)
			lab_bail("cannot write " DATA ": %m");
	}
	if (fsync(fd) || close(fd))
		lab_bail("cannot write " DATA ": %m");
}

/* Where the file begins on the device; it must be one piece. */
static uint64_t place_of_data(int fd)
{
	struct { struct fiemap map; struct fiemap_extent extent[2]; } found = {
		.map = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 2 },
	};

	if (ioctl(fd, FS_IOC_FIEMAP, &found) || found.map.fm_mapped_extents != 1 || found.extent[0].fe_length != DATA_BYTES)
		lab_bail(DATA " is not one extent (%u)", found.map.fm_mapped_extents);
	return found.extent[0].fe_physical;
}

/*
 * A request's tag comes from one of sixteen words, at random but the same until the next boot, and finding it in the last one
 * takes five instructions more. Of 64 tags there is one word.
 */
static void take_few_tags(void)
{
	int fd = open(SYSFS "/queue/nr_requests", O_WRONLY);

	if (fd < 0 || write(fd, "64", 2) != 2)
		lab_bail("cannot set " SYSFS "/queue/nr_requests: %m");
	close(fd);
}

/* Mounted read-only in the end: nothing is written behind a measurement, neither access times nor the superblock. */
static void prepare_disk(void)
{
	check_blank();
	take_few_tags();
	write_filesystem();
	if ((mkdir(MOUNTPOINT, 0755) && errno != EEXIST) || mount(DEVICE, MOUNTPOINT, "ext4", 0, NULL))
		lab_bail("cannot mount " DEVICE ": %m");
	write_data();
	if (mount(DEVICE, MOUNTPOINT, "ext4", MS_REMOUNT | MS_RDONLY, NULL))
		lab_bail("cannot make the file system read-only: %m");
}

/* Reads and writes that the device finished, those merged into others included: bios. */
static uint64_t bios(void)
{
	unsigned long long reads, merged, writes, joined;
	char line[256];

	read_line(SYSFS "/stat", line, sizeof(line));
	if (sscanf(line, "%llu %llu %*u %*u %llu %llu", &reads, &merged, &writes, &joined) != 4)
		lab_bail(SYSFS "/stat has another format");
	return reads + merged + writes + joined;
}

#endif
