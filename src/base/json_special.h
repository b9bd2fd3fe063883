/* json_special.h - where a run of plain text in a string literal ends: for readers of JSON that
 * look at every byte of it. */
#ifndef BASE_JSON_SPECIAL_H
#define BASE_JSON_SPECIAL_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* json_scan.c: the same as json_special(), eight bytes at a time. */
const char *json_special_of_few(const char *at, const char *end);

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
	return json_special_of_few(at, end);
}

#endif
