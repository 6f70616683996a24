// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "say.h"
#include "xsk.h"

#define PATIENCE 10000	/* turns of other tasks */

static bool map_ring(int fd, struct ring *ring, uint32_t size, size_t entry, const struct xdp_ring_offset *at, off_t offset)
{
	uint8_t *map = mmap(NULL, at->desc + size * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (map == MAP_FAILED)
		return false;
	ring->producer = (void *)(map + at->producer);
	ring->consumer = (void *)(map + at->consumer);
	ring->flags = (void *)(map + at->flags);
	ring->entries = map + at->desc;
	ring->size = size;
	return true;
}

static bool set(int fd, int option, uint32_t value)
{
	return !setsockopt(fd, SOL_XDP, option, &value, sizeof(value));
}

static bool map_rings(struct xsk *xsk, uint32_t ring, uint32_t rx_ring, bool tx)
{
	struct xdp_mmap_offsets at;
	socklen_t size = sizeof(at);

	if (getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size))
		return false;
	return map_ring(xsk->fd, &xsk->fill, ring, sizeof(uint64_t), &at.fr, XDP_UMEM_PGOFF_FILL_RING) &&
	       map_ring(xsk->fd, &xsk->completion, ring, sizeof(uint64_t), &at.cr, XDP_UMEM_PGOFF_COMPLETION_RING) &&
	       map_ring(xsk->fd, &xsk->rx, rx_ring, sizeof(struct xdp_desc), &at.rx, XDP_PGOFF_RX_RING) &&
	       (!tx || map_ring(xsk->fd, &xsk->tx, ring, sizeof(struct xdp_desc), &at.tx, XDP_PGOFF_TX_RING));
}

bool xsk_open(struct xsk *xsk, const struct xsk_want *want)
{
	uint32_t rx_ring = want->rx_ring ?: want->ring;
	struct xdp_umem_reg umem = { .len = (uint64_t)want->chunks * CHUNK, .chunk_size = CHUNK };

	*xsk = (struct xsk){ .chunks = want->chunks, .memory = MAP_FAILED };
	xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (xsk->fd < 0)
		return false;
	xsk->memory = mmap(NULL, umem.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (xsk->memory == MAP_FAILED)
		return false;
	umem.addr = (uintptr_t)xsk->memory;
	return !setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) &&
	       set(xsk->fd, XDP_UMEM_FILL_RING, want->ring) && set(xsk->fd, XDP_UMEM_COMPLETION_RING, want->ring) &&
	       set(xsk->fd, XDP_RX_RING, rx_ring) && (!want->tx || set(xsk->fd, XDP_TX_RING, want->ring)) &&
	       map_rings(xsk, want->ring, rx_ring, want->tx);
}

bool xsk_bind(struct xsk *xsk, unsigned int device, uint32_t queue, uint16_t flags)
{
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags ?: XDP_COPY | XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = device,
		.sxdp_queue_id = queue,
	};

	return !bind(xsk->fd, (void *)&address, sizeof(address));
}

bool xsk_bind_next(struct xsk *xsk, unsigned int device, uint32_t queue, uint16_t flags)
{
	for (int turn = 0; turn < PATIENCE; turn++) {
		if (xsk_bind(xsk, device, queue, flags))
			return true;
		if (errno != EBUSY)
			return false;
		sched_yield();
	}
	return false;
}

static void unmap(struct ring *ring, size_t entry)
{
	uintptr_t page = (uintptr_t)ring->producer & ~4095UL;

	if (ring->size)
		munmap((void *)page, (uintptr_t)ring->entries + ring->size * entry - page);
}

void xsk_close(struct xsk *xsk)
{
	unmap(&xsk->fill, sizeof(uint64_t));
	unmap(&xsk->completion, sizeof(uint64_t));
	unmap(&xsk->rx, sizeof(struct xdp_desc));
	unmap(&xsk->tx, sizeof(struct xdp_desc));
	if (xsk->memory != MAP_FAILED)
		munmap(xsk->memory, (size_t)xsk->chunks * CHUNK);
	if (xsk->fd >= 0)
		close(xsk->fd);
}

void xsk_fill(struct xsk *xsk, uint32_t count)
{
	uint32_t producer = *xsk->fill.producer;
	uint64_t *entries = xsk->fill.entries;

	while (count--)
		entries[producer++ & (xsk->fill.size - 1)] = (uint64_t)(xsk->filled++ & (xsk->chunks - 1)) * CHUNK;
	__atomic_store_n(xsk->fill.producer, producer, __ATOMIC_RELEASE);
}

const uint8_t *xsk_take(struct xsk *xsk, uint32_t *length)
{
	uint32_t consumer = *xsk->rx.consumer;
	struct xdp_desc *entry = (struct xdp_desc *)xsk->rx.entries + (consumer & (xsk->rx.size - 1));
	const uint8_t *frame;

	if (__atomic_load_n(xsk->rx.producer, __ATOMIC_ACQUIRE) == consumer)
		return NULL;
	frame = xsk->memory + entry->addr;
	*length = entry->len;
	__atomic_store_n(xsk->rx.consumer, consumer + 1, __ATOMIC_RELEASE);
	return frame;
}

const uint8_t *xsk_receive(struct xsk *xsk, uint32_t *length)
{
	const uint8_t *frame = xsk_take(xsk, length);

	if (frame)
		xsk_fill(xsk, 1);
	return frame;
}

struct xdp_statistics xsk_statistics(const struct xsk *xsk)
{
	struct xdp_statistics statistics = { 0 };
	socklen_t size = sizeof(statistics);

	MUST(!getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &statistics, &size));
	return statistics;
}
