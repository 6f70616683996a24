/* SPDX-License-Identifier: GPL-2.0 */
/* An io_uring of four entries, by system calls alone. Layout of the rings: linux/io_uring.h, io_uring_setup(2). */
#ifndef URING_H
#define URING_H

#include <errno.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <lab.h>

#define URING_NONE INT_MIN

struct uring {
	int fd;
	uint32_t *sq_head, *sq_tail, *sq_mask, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *rings;
	size_t rings_bytes, sqes_bytes;
};

/* `buffer`, unless NULL, is registered as fixed buffer 0. Returns false with errno set. */
static inline bool uring_open(struct uring *uring, unsigned int flags, void *buffer, size_t size)
{
	struct io_uring_params params = { .flags = flags };
	struct iovec fixed = { buffer, size };
	uint32_t *array;
	char *rings;

	uring->fd = syscall(SYS_io_uring_setup, 4, &params);
	if (uring->fd < 0)
		return false;
	if (!(params.features & IORING_FEAT_SINGLE_MMAP)) {
		errno = ENOTSUP;
		return false;
	}
	uring->rings_bytes = params.cq_off.cqes + params.cq_entries * sizeof(*uring->cqes);
	uring->sqes_bytes = params.sq_entries * sizeof(*uring->sqes);
	rings = mmap(NULL, uring->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->fd, IORING_OFF_SQ_RING);
	uring->sqes = mmap(NULL, uring->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || uring->sqes == MAP_FAILED)
		return false;
	uring->rings = rings;
	uring->sq_head = (uint32_t *)(rings + params.sq_off.head);
	uring->sq_tail = (uint32_t *)(rings + params.sq_off.tail);
	uring->sq_mask = (uint32_t *)(rings + params.sq_off.ring_mask);
	uring->cq_head = (uint32_t *)(rings + params.cq_off.head);
	uring->cq_tail = (uint32_t *)(rings + params.cq_off.tail);
	uring->cq_mask = (uint32_t *)(rings + params.cq_off.ring_mask);
	uring->cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
	array = (uint32_t *)(rings + params.sq_off.array);
	for (uint32_t i = 0; i < params.sq_entries; i++)
		array[i] = i;
	return !buffer || !syscall(SYS_io_uring_register, uring->fd, IORING_REGISTER_BUFFERS, &fixed, 1);
}

static inline void uring_close(struct uring *uring)
{
	munmap(uring->sqes, uring->sqes_bytes);
	munmap(uring->rings, uring->rings_bytes);
	close(uring->fd);
}

/* The next entry of the queue of submissions. */
static inline void uring_put(struct uring *uring, const struct io_uring_sqe *sqe)
{
	uint32_t tail = *uring->sq_tail;

	uring->sqes[tail & *uring->sq_mask] = *sqe;
	__atomic_store_n(uring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

static inline void uring_queue(struct uring *uring, bool fixed, int fd, void *buffer, size_t size, off_t offset)
{
	uring_put(uring, &(struct io_uring_sqe){
		.opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READ,
		.fd = fd, .off = offset, .addr = (uintptr_t)buffer, .len = size,
	});
}

static inline bool uring_enter(struct uring *uring, unsigned int submit, unsigned int wait)
{
	unsigned int flags = wait ? IORING_ENTER_GETEVENTS : 0;

	return syscall(SYS_io_uring_enter, uring->fd, submit, wait, flags, NULL, 0) == (long)submit;
}

/* What the read returned, or URING_NONE when there is no completion. */
static inline int uring_result(struct uring *uring)
{
	uint32_t head = *uring->cq_head;
	int result;

	if (head == __atomic_load_n(uring->cq_tail, __ATOMIC_ACQUIRE))
		return URING_NONE;
	result = uring->cqes[head & *uring->cq_mask].res;
	__atomic_store_n(uring->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

/* The same, once there is a completion: a polled ring stops polling without one when another task wants the CPU. */
static inline int uring_wait(struct uring *uring)
{
	int result;

	while ((result = uring_result(uring)) == URING_NONE)
		if (!uring_enter(uring, 0, 1))
			return -errno;
	return result;
}

#endif
