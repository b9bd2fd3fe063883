/* unit.h - what every unit test includes: cmocka with the headers that it wants before it, and a
 * few words of our own. */
#ifndef TEST_SUPPORT_UNIT_H
#define TEST_SUPPORT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

/* The call succeeds; otherwise the error's text is shown. */
#define assert_ok(call, err) \
	do { \
		if ((call) != ERR_OK) \
			fail_msg("%s: %s: %s", #call, err_name((err)->code), (err)->text); \
	} while (0)

/* The slice holds exactly this text. */
#define assert_text(slice, expected) \
	do { \
		struct str slice_ = (slice); \
		if (!str_is(slice_, expected)) \
			fail_msg("'%.*s' is not '%s'", STR_ARG(slice_), (expected)); \
	} while (0)

/* Will a share of a long sweep do? The whole is the default. */
static inline bool is_quick(void)
{
	return getenv("SLUICE_TEST_QUICK") != NULL;
}

/* A generator with a fixed seed, so that a failure comes again (SplitMix64; Steele, Lea, Flood
 * 2014). */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

#endif
