/* json_intern.h - what the files of JSON, json_*.c, share; nobody else includes it. */
#ifndef BASE_JSON_INTERN_H
#define BASE_JSON_INTERN_H

#include "base/json.h"

#include <endian.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define REPEAT(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS    REPEAT(0x80)

/* The first byte that a string cannot just contain: a control character, a quote, a backslash, DEL,
 * or anything beyond ASCII. */
static inline const char *json_special(const char *at, const char *end)
{
#ifdef __SSE2__
	while (end - at >= 16) { /* as signed bytes, what is beyond ASCII is below a blank too */
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i hit =
		    _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
					      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))),
				 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')),
					      _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))));
		int mask = _mm_movemask_epi8(hit);

		if (mask)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	while (end - at >= 8) {
		uint64_t word;
		uint64_t quote;
		uint64_t slash;
		uint64_t del;
		uint64_t hit;

		memcpy(&word, at, 8);
		word = le64toh(word);
		quote = word ^ REPEAT('"');
		slash = word ^ REPEAT('\\');
		del = word ^ REPEAT(0x7F);
		/* A borrow only disturbs bytes above a true hit; the lowest one is exact. */
		hit = (((word - REPEAT(0x20)) & ~word) | ((quote - REPEAT(1)) & ~quote) |
		       ((slash - REPEAT(1)) & ~slash) | ((del - REPEAT(1)) & ~del) | word) &
		      HIGH_BITS;
		if (hit)
			return at + (__builtin_ctzll(hit) >> 3);
		at += 8;
	}
	for (; at < end; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7F)
			return at;
	}
	return end;
}

/* Behind what RFC 8259 calls white space. */
static inline const char *json_blanks_skip(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* json_scan.c: the end of the escape whose backslash is at `at`; NULL when it is malformed. */
const char *json_escape_end(const char *at, const char *end);

/* json_scan.c: the value of the four hexadecimal digits at `at`, -1 when they are not. */
int json_hex(const char *at, const char *end);

#endif
