/* sim_rand.h - the simulator's only source of chance: a counter and a mixer, so that a seed is a
 * scenario.
 *
 * Streams are forked by a number, so that what one part of a scenario draws never moves what
 * another part draws: the same pipeline runs with and without crashes. */
#ifndef SIM_SIM_RAND_H
#define SIM_SIM_RAND_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rand {
	uint64_t state;
};

/* One well-mixed number from two (SplitMix64; Steele, Lea, Flood 2014). */
uint64_t sim_mix(uint64_t a, uint64_t b);
struct sim_rand sim_rand_fork(uint64_t seed, uint64_t stream);
uint64_t sim_rand_next(struct sim_rand *rand);
/* 0 .. count - 1; count at least 1. */
uint32_t sim_rand_below(struct sim_rand *rand, uint32_t count);
/* least .. most, both included. */
int64_t sim_rand_between(struct sim_rand *rand, int64_t least, int64_t most);
/* True in `per_mille` of 1000 draws. */
bool sim_rand_chance(struct sim_rand *rand, uint32_t per_mille);

#endif
