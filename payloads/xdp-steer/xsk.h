/* SPDX-License-Identifier: GPL-2.0 */
/* An AF_XDP socket with memory of its own, in copy mode; receives only, unless asked for a TX ring. */
#ifndef XSK_H
#define XSK_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK 4096	/* 256 bytes of it stay free before a frame */

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
	uint32_t size;
};

struct xsk {
	int fd;
	uint8_t *memory;
	uint32_t chunks;
	struct ring fill, completion, rx, tx;	/* tx.size 0: none */
	uint32_t filled;			/* chunks given to the kernel since the beginning */
};

struct xsk_want {
	uint32_t chunks, ring;	/* powers of two; chunks is twice the ring when frames are to be kept */
	uint32_t rx_ring;	/* 0: as large as the others */
	bool tx;
	uint16_t flags;		/* 0: XDP_COPY | XDP_USE_NEED_WAKEUP */
};

/* Everything but bind. Call it in the device's namespace. False with errno. */
bool xsk_open(struct xsk *xsk, const struct xsk_want *want);
bool xsk_bind(struct xsk *xsk, unsigned int device, uint32_t queue, uint16_t flags);

/* The same on a queue that another socket has just left: a work item frees it, some time after that socket's close(). */
bool xsk_bind_next(struct xsk *xsk, unsigned int device, uint32_t queue, uint16_t flags);
void xsk_close(struct xsk *xsk);

/* Give the kernel so many more chunks, in turn. */
void xsk_fill(struct xsk *xsk, uint32_t count);

/* The next received frame, or NULL; its chunk is given back `chunks - ring` frames later, so it stays readable for so long. */
const uint8_t *xsk_receive(struct xsk *xsk, uint32_t *length);

/* As xsk_receive(), without giving anything back. */
const uint8_t *xsk_take(struct xsk *xsk, uint32_t *length);

struct xdp_statistics xsk_statistics(const struct xsk *xsk);

#endif
