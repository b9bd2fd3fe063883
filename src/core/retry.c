/* retry.c - see retry.h */
#include "core/retry.h"

#include "base/timefmt.h"

#define DELAY_MS_MAX ((double)INT64_C(1000) * 86400 * 365)

/* SplitMix64 (Steele, Lea, Flood 2014): one well-mixed number from a counter. */
static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

/* By squaring: max_attempts may be in the millions. May be infinite. */
static double power(double base, uint32_t n)
{
	double product = 1;

	for (; n > 0; n >>= 1) {
		if (n & 1)
			product *= base;
		base *= base;
	}
	return product;
}

static double backoff_ms(const struct retry *retry, uint32_t n)
{
	double delay = (double)retry->initial_ns / (double)NS_PER_MS;
	double max = (double)retry->max_ns / (double)NS_PER_MS;

	switch (retry->backoff) {
	case BACKOFF_EXPONENTIAL:
		if (delay > 0)
			delay *= power(retry->multiplier, n);
		break;
	case BACKOFF_LINEAR:
		delay *= (double)n + 1;
		break;
	case BACKOFF_CONSTANT:
		return delay;
	}
	return retry->max_ns > 0 && delay > max ? max : delay;
}

int64_t retry_delay_ms(const struct retry *retry, uint32_t n, uint64_t seed, uint32_t step)
{
	double delay = backoff_ms(retry, n);
	uint64_t random = mix(mix(seed ^ ((uint64_t)step << 32)) + n);
	double share = (double)(random >> 11) / (double)((uint64_t)1 << 53);

	if (delay > DELAY_MS_MAX)
		delay = DELAY_MS_MAX; /* an infinite one would make no number with a jitter of 0 */
	delay += delay * retry->jitter * share;
	return delay > DELAY_MS_MAX ? (int64_t)DELAY_MS_MAX : (int64_t)delay;
}
