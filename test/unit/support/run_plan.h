/* run_plan.h - a generated run: its steps, and what it meets - results, answers, people, in which
 * order - as a function of the seed and of the folded state, so that a run that was cut and goes on
 * meets the same. */
#ifndef TEST_SUPPORT_RUN_PLAN_H
#define TEST_SUPPORT_RUN_PLAN_H

#include "support/run_fixture.h"

#define PLAN_STEPS_MAX 12

struct plan {
	uint64_t seed;
	char steps[2048]; /* as fixture_open takes them: s0, s1, ... */
	uint32_t count;
	uint32_t concurrency;
	uint32_t stop_after; /* the run is stopped once this step is resolved; STEP_NONE = never */
	bool is_stop_now;
	bool is_ordered; /* the end does not depend on the order in which slots become free */
};

/* A number that depends on nothing but its arguments. */
uint64_t plan_number(const struct plan *plan, uint32_t step, uint32_t attempt, uint32_t what);
/* The plan of a seed. */
void plan_make(struct plan *plan, uint64_t seed);
/* A run of it that is not begun. Closed by fixture_close. */
void plan_open(struct fixture *f, const struct plan *plan);
/* One thing happens. False when nothing can. */
bool plan_act(struct fixture *f, const struct plan *plan);
/* Until the run has come to rest. It always does: nothing running, nothing due, nobody asked and
 * not ended is a run that hangs, and the test fails. */
void plan_drive(struct fixture *f, const struct plan *plan);
/* The plan and the log so far, as a message of the test. */
void plan_show(const struct fixture *f, const struct plan *plan);

#endif
