/* hash.h - digests and checksums: SHA-256 (nettle) for the log's chain and for content, CRC-32C
 * for fixed records, and a seeded hash for maps. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

#include <nettle/sha2.h>
#include <stdint.h>

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 64

struct sha256 {
	struct sha256_ctx ctx;
};

/* FIPS 180-4. */
void sha256_start(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *bytes, size_t len);
void sha256_end(struct sha256 *sha, uint8_t digest[SHA256_BYTES]);
void sha256_of(const void *bytes, size_t len, uint8_t digest[SHA256_BYTES]);
/* 64 lower-case hex digits and a NUL. */
void sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX_BYTES + 1]);

/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), start with 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/* SipHash-1-3 of `text` under `seed` (Aumasson, Bernstein 2012): for tables in memory only, the
 * value is not stored. */
uint64_t hash_text(uint64_t seed, struct str text);

#endif
