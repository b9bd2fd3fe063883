/* sim_plan.h - what a seed means: a pipeline as text, and what each of its attempts will do.
 *
 * The oracle (sim_check.h) knows the pipeline from here and not from the model that lang/ makes of
 * the text, so that a mistake in reading it is seen too. */
#ifndef SIM_SIM_PLAN_H
#define SIM_SIM_PLAN_H

#include "base/buf.h"
#include "core/model.h"
#include "sim/sim_rand.h"

#define SIM_STEPS_MAX 12
#define SIM_NEXT_WORD "next" /* an argument that a step has by the second definition only */
#define SIM_NAMES     3      /* people: anna, bert, cora */

/* How an attempt goes. */
enum sim_deed {
	SIM_DEED_SUCCEED,
	SIM_DEED_FAIL,      /* exit 1: class unknown, never retried */
	SIM_DEED_TRANSIENT, /* exit 75 */
	SIM_DEED_CRASH,     /* a signal of its own */
	SIM_DEED_HANG,      /* longer than its timeout, if it has one */
	SIM_DEED_FLOOD,     /* more output than is allowed */
	SIM_DEED_MISSING,   /* exec answers ENOENT */
	SIM_DEED_BUSY,      /* exec answers EAGAIN */
	SIM_DEED_GARBLED,   /* exit 0 with a result file that is none */
	SIM_DEED_NO_RESULT, /* exit 0 without the result that is declared */
	SIM_DEED_SAY_NO,    /* exit 0, and the result makes `pass` false */
	SIM_DEED_POOR,      /* exit 0, and the figures of its data miss a threshold */
	SIM_DEED_COUNT,
};

enum sim_when { SIM_WHEN_NONE, SIM_WHEN_TRUE, SIM_WHEN_FALSE, SIM_WHEN_ERROR };

/* `compensate` of a step. */
struct sim_undo {
	bool is_there;
	uint32_t max_attempts; /* 0 = no retry map */
	uint32_t bad_attempts; /* so many go wrong, then all succeed */
	enum sim_deed deed;    /* how they go wrong */
	int64_t duration_ns;   /* typical */
	int64_t timeout_ns;    /* 0 = none */
	uint32_t awkward_per_mille;
};

struct sim_step {
	char id[12]; /* `s` and its index */
	bool is_noop;
	bool has_needs; /* `needs` or `needs_any` is written; else the step before is needed */
	uint32_t needs[SIM_STEPS_MAX], needs_count;
	uint32_t needs_any[SIM_STEPS_MAX], needs_any_count;
	enum sim_when when;
	enum gate_kind gate;
	bool has_pass;
	bool has_result;
	enum on_failure on_failure;
	enum on_lost on_lost;
	enum on_stop on_stop;
	uint32_t max_attempts; /* 0 = no retry map */
	uint32_t bad_attempts; /* so many go wrong, then all succeed */
	enum sim_deed deed;    /* how they go wrong */
	int64_t duration_ns;   /* typical */
	int64_t timeout_ns, silence_ns, grace_ns;
	bool is_limited;            /* output_limit */
	uint32_t approvals;         /* manual: how many are needed */
	bool is_limited_to_names;   /* approve.by: anna and bert */
	int64_t approve_ns;         /* timeout, 0 = none */
	uint32_t awkward_per_mille; /* attempts that ignore TERM, leave something behind, ... */
	struct sim_undo undo;
	bool has_quality; /* a threshold for the figures of its result */
	bool is_quality_soft;
	bool is_changed; /* by the second definition */
	bool is_cached;
	uint32_t salt; /* its results are others than in the run before */
};

/* Which part of the pipeline is run (S9.5): `selected` and what it needs, or it and all below. */
enum sim_part { SIM_PART_ALL, SIM_PART_UNTIL, SIM_PART_FROM, SIM_PART_ONLY };

enum sim_sync { SIM_SYNC_ALWAYS, SIM_SYNC_INTERVAL, SIM_SYNC_NEVER };

struct sim_plan {
	uint64_t seed;
	struct sim_step steps[SIM_STEPS_MAX];
	uint32_t steps_count;
	uint32_t concurrency;
	int64_t timeout_ns; /* of the run, 0 = none */
	enum sim_sync sync;
	enum sim_part part;
	uint32_t selected;
	bool has_next;     /* somebody may give the run a second definition (S9.3) */
	bool is_next;      /* it has that one from its birth */
	bool has_cache;    /* of some steps an earlier success may be taken */
	const char *limit; /* the value of its parameter */
};

/* What one attempt does. */
struct sim_act {
	enum sim_deed deed;
	int spawn_errno; /* not 0: it is never executed */
	int64_t duration_ns;
	int exit_code;
	int signal; /* not 0: instead of an exit code */
	bool ignores_term;
	int64_t obeys_after_ns; /* after TERM */
	bool leaves_tree;       /* something of it lives on after its end */
	int64_t tree_ns;        /* for so long */
	bool tree_ignores_term;
	int64_t stuck_ns;      /* KILL takes no effect for so long */
	bool outlives_keeper;  /* not killed by the keeper's death */
	uint64_t bytes_per_s;  /* of output */
	char result[512];      /* its result file; empty = none */
	bool has_large_result; /* padded beyond what an event may hold */
	uint32_t salt;         /* of that padding */
};

/* All that the seed means for the pipeline; the same for the same seed. */
void sim_plan_make(struct sim_plan *plan, uint64_t seed);
/* Make it that of a second run, which may take from the first: the same, or of other parameters, of
 * the second definition, of other texts of some steps, of other results. */
void sim_plan_again(struct sim_plan *plan);
/* Append what the pipeline file says of a step. */
void sim_plan_step_yaml(const struct sim_plan *plan, uint32_t step, bool is_next, struct buf *out);
/* Append the pipeline as a pipeline file; with is_next the second definition. */
void sim_plan_yaml(const struct sim_plan *plan, bool is_next, struct buf *out);
/* What an attempt of a step will do, however often it is asked. */
void sim_plan_act(const struct sim_plan *plan, uint32_t step, uint32_t attempt,
		  struct sim_act *act);
/* The same of an attempt to undo the step. */
void sim_plan_undo_act(const struct sim_plan *plan, uint32_t step, uint32_t attempt,
		       struct sim_act *act);
/* Index of a step by its id; STEP_NONE. */
uint32_t sim_plan_find(const struct sim_plan *plan, struct str id);
/* Does the step say that it needs the other one, itself or by its place? */
bool sim_plan_has_need(const struct sim_plan *plan, uint32_t index, uint32_t need);

/* Does `step` come after `gate`, through whatever it needs? */
bool sim_plan_is_downstream(const struct sim_plan *plan, uint32_t gate, uint32_t step);
/* Is the step in the part that runs? */
bool sim_plan_is_selected(const struct sim_plan *plan, uint32_t step);
/* It is not, and something that runs needs it: its outputs are given. */
bool sim_plan_is_given(const struct sim_plan *plan, uint32_t step);
/* By the second definition it runs again: it is changed, or below what is. */
bool sim_plan_is_reopened(const struct sim_plan *plan, uint32_t step);
/* Does the end depend on nothing but what the attempts do (no person, no order of events)? */
bool sim_plan_is_determined(const struct sim_plan *plan);

#endif
