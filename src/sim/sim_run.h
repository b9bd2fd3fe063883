/* sim_run.h - one scenario under way: shared by the files that drive it.
 *
 *   sim_scenario.c   what happens in which order, and the verdict
 *   sim_again.c      a second run, which may take from the first
 *   sim_engine.c     an engine's life: ports, executor, start, tick, death
 *   sim_people.c     those who approve, reject, stop, override */
#ifndef SIM_SIM_RUN_H
#define SIM_SIM_RUN_H

#include "engine/engine.h"
#include "sim/sim_scenario.h"
#include "sim/sim_world.h"

/* A request that an engine has not answered yet. */
struct sim_request {
	bool is_open;
	enum engine_ask_kind kind;
	uint32_t step;
	char actor[32];
};

struct sim_run {
	struct sim_plan plan;
	struct sim_world world;
	struct limits limits;
	struct buf yaml;
	struct model *model;
	struct buf next_yaml; /* the second definition (S9.3) */
	struct model *next;
	struct engine *engine; /* NULL between two lives */
	struct sim_link *link;
	struct sim_request request;
	struct sim_proc reader; /* a process that only looks */
	bool is_calm;           /* no accidents, and people who agree at once */
	uint32_t kills;         /* engines that may still be killed */
	uint32_t power_cuts;
	uint32_t jumps; /* of UTC */
	uint32_t haunts;
	uint32_t intrusions; /* second owners that try */
	uint32_t stops;      /* requests to stop */
	uint32_t rejections;
	uint32_t resumes; /* of runs at rest */
	uint32_t overrides;
	uint32_t changes;       /* times that somebody gives the second definition */
	bool is_power_next;     /* the next death is by loss of power */
	uint32_t rollbacks;     /* that people ask for, of runs at rest or blocked */
	uint32_t patience;      /* resumes of a run that is blocked by what cannot be killed */
	bool is_over;           /* nothing more happens */
	bool is_damage_allowed; /* a power cut under a weaker sync */
	uint32_t ticks_at_once;
	int64_t last_tick_ns;
	int64_t person_ns; /* when somebody looks next */
	struct sim_result result;
};

/* sim_scenario.c: whatever lives of the run is killed; the storage stays. */
void sim_run_leave(struct sim_run *run);

/* sim_again.c */
/* After how many turns the first run is given up, UINT64_MAX = it goes on until it rests. */
uint64_t sim_again_turns(uint64_t seed);
/* Has the first run something that a second may take? */
bool sim_again_is_wanted(const struct sim_run *first);
/* Nobody goes on with the first run; the index of its successes may be damaged. */
void sim_again_end_first(struct sim_run *run);
/* Disk and time are now those of the second run. */
void sim_again_take_over(struct sim_run *run, struct sim_run *first);
/* The figures of both. */
void sim_again_add(const struct sim_result *first, struct sim_result *result);

/* sim_engine.c */
/* Give birth or take over; false when there is no engine afterwards. */
bool sim_engine_start(struct sim_run *run);
bool sim_engine_resume(struct sim_run *run, bool overrides, bool changes);
/* Somebody asks for a rollback (S10.1). */
bool sim_engine_rollback(struct sim_run *run);
/* One tick, or time passes. */
void sim_engine_turn(struct sim_run *run);
/* It dies, with everything else when the power goes. */
void sim_engine_crash(struct sim_run *run, bool power);
/* Open for one decision, ask, let go (S5.6). True when the answer was OK. */
bool sim_engine_decide(struct sim_run *run, const struct engine_ask *ask);
/* Somebody else tries to own the run (S8.3). */
void sim_engine_intrude(struct sim_run *run);
bool sim_run_has_failed(const struct sim_run *run);
/* Its state is one that nothing follows (S3). */
bool sim_run_is_final(const struct sim_run *run);

/* sim_people.c */
/* Somebody looks at the run: asks its engine, or the log when nobody owns it. False when nothing
 * was decided. */
bool sim_people_look(struct sim_run *run);

#endif
