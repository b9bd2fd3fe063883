/* sim_scenario.h - one seed, from birth to rest: an engine, its accidents, and the people around
 * it. */
#ifndef SIM_SIM_SCENARIO_H
#define SIM_SIM_SCENARIO_H

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_result {
	bool has_failed;
	char failure[400]; /* "S8.2: what happened" */
	uint64_t crashes;  /* of the engine */
	uint64_t keeper_kills;
	uint64_t power_cuts;
	uint64_t faults; /* of the disk */
	uint64_t execs;
	uint64_t undos;   /* compensations that were executed */
	uint64_t changes; /* runs that went on by another definition */
	uint64_t parts;   /* runs of a part of their pipeline */
	uint64_t agains;  /* second runs over the same storage */
	uint64_t taken;   /* successes that they took from the first */
	uint64_t ticks;
	uint64_t lives; /* engines that were started */
	int64_t virtual_ns;
	bool is_compared;           /* with the same scenario without accidents */
	uint8_t hash[SHA256_BYTES]; /* of the log and of the state that it gives */
};

/* Run a scenario; with `is_traced` what happens goes to stdout. Deterministic. */
void sim_scenario_run(uint64_t seed, bool is_traced, struct sim_result *ret_result);

#endif
