/* sim_rand.c - see sim_rand.h */
#include "sim/sim_rand.h"

#include "base/err.h"

static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
	return mix(mix(a) ^ b);
}

struct sim_rand sim_rand_fork(uint64_t seed, uint64_t stream)
{
	return (struct sim_rand){sim_mix(seed, stream)};
}

uint64_t sim_rand_next(struct sim_rand *rand)
{
	return mix(rand->state++);
}

uint32_t sim_rand_below(struct sim_rand *rand, uint32_t count)
{
	BUG_IF(count == 0);
	return (uint32_t)(sim_rand_next(rand) % count);
}

int64_t sim_rand_between(struct sim_rand *rand, int64_t least, int64_t most)
{
	BUG_IF(most < least);
	return least + (int64_t)(sim_rand_next(rand) % (uint64_t)(most - least + 1));
}

bool sim_rand_chance(struct sim_rand *rand, uint32_t per_mille)
{
	return sim_rand_below(rand, 1000) < per_mille;
}
