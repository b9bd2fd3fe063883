/* retry.h - how long to wait before another attempt (S7.2). Pure: randomness comes from the run's
 * recorded seed. */
#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include "core/model.h"

/* Delay in milliseconds before retry `n` (from 0): exponential min(initial * multiplier^n, max),
 * linear min(initial * (n + 1), max), constant initial; plus uniform(0 .. jitter) of it. The same
 * seed, step and n give the same delay. */
int64_t retry_delay_ms(const struct retry *retry, uint32_t n, uint64_t seed, uint32_t step);

#endif
