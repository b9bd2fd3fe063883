/* bytes.h - little-endian integers in byte arrays, for records and frames. */
#ifndef KEEPER_BYTES_H
#define KEEPER_BYTES_H

#include <stdint.h>

/* Write a number into the 4 or 8 bytes at `at`. */
static inline void bytes_put32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

/* The same with 8 bytes. */
static inline void bytes_put64(unsigned char *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

/* The number that the 4 bytes at `at` are. */
static inline uint32_t bytes_get32(const unsigned char *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value |= (uint32_t)at[i] << (8 * i);
	return value;
}

/* The same of 8 bytes. */
static inline uint64_t bytes_get64(const unsigned char *at)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

#endif
