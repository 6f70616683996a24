/* SPDX-License-Identifier: GPL-2.0 */
/* SHA-256 (FIPS 180-4), for streams that are held in memory piece by piece. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t length;
	uint8_t block[64];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t size);

/* The digest as 64 hexadecimal digits and a NUL. */
void sha256_end(struct sha256 *hash, char digest[65]);

#endif
