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

static double backoff_ms(const struct retry *retry, uint32_t n)
{
	double delay = (double)retry->initial_ns / (double)NS_PER_MS;
	double max = (double)retry->max_ns / (double)NS_PER_MS;

	switch (retry->backoff) {
	case BACKOFF_EXPONENTIAL:
		for (uint32_t i = 0; i < n && delay < DELAY_MS_MAX; i++)
			delay *= retry->multiplier;
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

	delay += delay * retry->jitter * share;
	return delay > DELAY_MS_MAX ? (int64_t)DELAY_MS_MAX : (int64_t)delay;
}
