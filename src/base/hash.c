/* hash.c - CRC-32C and the seeded hash of hash.h */
#include "base/hash.h"

#include <string.h>

/* What one byte does to the remainder (Castagnoli's polynomial, reflected: 0x82F63B78). The bits of
 * a byte act apart from each other, so each line is that of one bit. */
#define CRC_BYTE(n) \
	((n & 0x01 ? 0xF26B8303u : 0) ^ (n & 0x02 ? 0xE13B70F7u : 0) ^ \
	 (n & 0x04 ? 0xC79A971Fu : 0) ^ (n & 0x08 ? 0x8AD958CFu : 0) ^ \
	 (n & 0x10 ? 0x105EC76Fu : 0) ^ (n & 0x20 ? 0x20BD8EDEu : 0) ^ \
	 (n & 0x40 ? 0x417B1DBCu : 0) ^ (n & 0x80 ? 0x82F63B78u : 0))
#define CRC_4(n)  CRC_BYTE((n)), CRC_BYTE((n + 1)), CRC_BYTE((n + 2)), CRC_BYTE((n + 3))
#define CRC_16(n) CRC_4(n), CRC_4(n + 4), CRC_4(n + 8), CRC_4(n + 12)
#define CRC_64(n) CRC_16(n), CRC_16(n + 16), CRC_16(n + 32), CRC_16(n + 48)

static const uint32_t crc_bytes[256] = {CRC_64(0x00), CRC_64(0x40), CRC_64(0x80), CRC_64(0xC0)};

uint32_t crc32c(uint32_t crc, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	crc = ~crc;
	for (size_t i = 0; i < len; i++)
		crc = (crc >> 8) ^ crc_bytes[(crc ^ p[i]) & 0xFF];
	return ~crc;
}

static uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t hash_text(uint64_t seed, struct str text)
{
	uint64_t key1 = seed * 0x9E3779B97F4A7C15u + 1;
	uint64_t v[4] = {seed ^ 0x736f6d6570736575u, key1 ^ 0x646f72616e646f6du,
			 seed ^ 0x6c7967656e657261u, key1 ^ 0x7465646279746573u};
	uint64_t last = (uint64_t)text.len << 56;
	size_t whole = text.len / 8 * 8;

	for (size_t at = 0; at < whole; at += 8) {
		uint64_t word;

		memcpy(&word, text.ptr + at, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = whole; i < text.len; i++)
		last |= (uint64_t)(unsigned char)text.ptr[i] << (8 * (i - whole));
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
