// SPDX-License-Identifier: GPL-2.0
/*
 * Description: what the shortest ways into the kernel cost, in instructions: getpid(), a 64-byte read() of /dev/zero, a
 * 64-byte write() to /dev/null, and a page fault on anonymous memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>

#include <lab.h>

#define WARMUP 100
#define LAPS 8000 /* some two million instructions: a tick more or less is half a percent of a total */
#define FAULT_LAPS 1000
#define SIZE 64
#define PAGE 4096

struct io {
	int fd;
	char buffer[SIZE];
};

static bool getpid_op(void *context)
{
	return syscall(SYS_getpid) == *(pid_t *)context;
}

static bool read_op(void *context)
{
	struct io *io = context;

	return read(io->fd, io->buffer, SIZE) == SIZE && io->buffer[SIZE - 1] == 0;
}

static bool write_op(void *context)
{
	struct io *io = context;

	return write(io->fd, io->buffer, SIZE) == SIZE;
}

/* Write to a page that is not there, then give it back: one fault and one madvise() an operation. */
static bool fault_op(void *context)
{
	volatile char *page = context;

	*page = 1;
	return madvise(context, PAGE, MADV_DONTNEED) == 0;
}

int main(void)
{
	struct io zero = { .fd = open("/dev/zero", O_RDONLY) }, null = { .fd = open("/dev/null", O_WRONLY) };
	pid_t pid = getpid();
	void *page;

	lab_plan(4);
	if (zero.fd < 0 || null.fd < 0)
		lab_bail("cannot open /dev/zero and /dev/null");
	lab_settle();
	munlockall();
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		lab_bail("cannot map a page");
	lab_calibrate();
	lab_result(!lab_measure("getpid", getpid_op, &pid, WARMUP, LAPS), "getpid");
	lab_result(!lab_measure("read-zero.64", read_op, &zero, WARMUP, LAPS), "read-zero.64");
	lab_result(!lab_measure("write-null.64", write_op, &null, WARMUP, LAPS), "write-null.64");
	lab_result(!lab_measure("page-fault", fault_op, page, WARMUP, FAULT_LAPS), "page-fault");
	return lab_exit();
}
