/* sim_hash.h - the whole state of a run as one number: two replays of a log give the same one. */
#ifndef SIM_SIM_HASH_H
#define SIM_SIM_HASH_H

#include "base/hash.h"
#include "core/run_state.h"

/* SHA-256 over every field of the state, texts by their content. */
void sim_hash_state(const struct run_state *run, uint8_t digest[SHA256_BYTES]);

#endif
