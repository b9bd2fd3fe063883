/* decide.h - what happens next in a run: the scheduler and the policy, pure.
 *
 * The engine alternates, in memory, within a tick:
 *
 *     decide_input(input) -> events                 something arrived: a result, an answer, a
 * person decide_next()       -> one event or query     what follows from the state alone
 *     apply(event), decider_observe(event)          after each event
 *
 * decide_next() is asked until it has nothing more. As it looks only at the folded state, every
 * prefix of a batch is a legal log: on a recovered state it yields what is missing. A query is a
 * read-only question to the outside (evaluate a condition, hash the inputs) whose answer comes back
 * as an input.
 *
 * A decider holds only what was asked and not answered, and queues that are rebuilt from the state;
 * it is no part of the fold. No clock, no I/O, no randomness but the run's recorded seed. */
#ifndef CORE_DECIDE_H
#define CORE_DECIDE_H

#include "core/run_state.h"

enum decide_phase {
	PHASE_IDLE,
	PHASE_ASKED,     /* its `when` is being evaluated */
	PHASE_CLEARED,   /* its `when` was true, or the delay of its retry is over */
	PHASE_READY,     /* queued for a slot */
	PHASE_PREPARING, /* holds a slot, its inputs are being hashed */
	PHASE_STUCK,     /* RUNNING, but only leftovers of it live: holds its slot until a resume */
};

/* A set of numbers that gives the least one first: what a decider does next depends on the state
 * alone, not on the order in which things happened. A bit for each number, and one for each
 * word. */
struct decide_set {
	uint64_t *words;
	uint64_t *groups;
	uint32_t groups_count;
	uint32_t first_group; /* those before it are empty: a search begins here */
	uint32_t count;
};

struct decider {
	const struct run_state *run;
	uint8_t *phase;          /* enum decide_phase, by step */
	struct decide_set look;  /* steps whose state may call for something */
	struct decide_set ready; /* ranks of steps that wait for a slot */
	uint32_t *rank;          /* by step: highest priority first, then as in the file */
	uint32_t *by_rank;       /* the steps in that order */
	uint32_t *scratch;       /* of a sweep: steps_count long */
	uint32_t asked;          /* in PHASE_ASKED */
	uint32_t preparing;
	uint32_t stuck;
	uint32_t sweep; /* next step to skip when the run fails */
	uint8_t *marks; /* by step: downstream of a failed gate; made when a sweep begins */
	bool is_swept_marked;
	bool is_undo_due;   /* the delay of the compensation's retry is over */
	bool is_undo_stuck; /* only leftovers of the compensation live */
	bool is_unblocked;  /* blocked, and somebody has decided */
	bool is_nameless;   /* the name of who asks found no memory */
	struct arena texts; /* of the events of this tick */
};

struct decide_query {
	enum { QUERY_WHEN, QUERY_INPUTS } kind;
	uint32_t step;
};

enum decide_answer { DECIDE_NOTHING, DECIDE_EVENT, DECIDE_QUERY };

/* Look at every step of `run`, which is borrowed until decider_fini. MEMORY. */
MUST_CHECK enum err_code decider_init(struct decider *decider, const struct run_state *run,
				      struct err *err);
/* Frees what it holds, the texts of events too; not the state. */
void decider_fini(struct decider *decider);
/* Look at every step again: after a replay, or after run.resumed. */
void decider_rebuild(struct decider *decider);
/* The run is of another model now: begin anew with it. Texts of this tick stay. */
MUST_CHECK enum err_code decider_renew(struct decider *decider, struct err *err);
/* Tell of an event that was applied. */
void decider_observe(struct decider *decider, const struct event *event);
/* The events of the last tick are durable or gone: their texts may be forgotten. */
void decider_forget(struct decider *decider);

/* What follows from the state alone, one thing at a time. `now_ms` is UTC. Fills ret_event or
 * ret_query as the answer says; the event's texts are valid until decider_forget. */
enum decide_answer decide_next(struct decider *decider, int64_t now_ms, struct event *ret_event,
			       struct decide_query *ret_query);

/* ---------------------------------------------------------------------------- inputs */

struct decide_artifact {
	struct str name;
	struct str path;
	struct str sha256; /* ptr NULL = missing */
	uint64_t bytes;
	bool is_quarantined;
	struct str reason; /* quarantined: why */
	bool is_mocked;    /* a dry run: nobody looked for it */
};

enum gate_verdict { VERDICT_NONE, VERDICT_PASSED, VERDICT_FAILED };

/* The end of an attempt, with all that was gathered from it. */
struct decide_result {
	bool is_ok; /* the command's own success: exit 0, result readable, outputs and artifacts as
		     * declared; a failed `pass` is told by `verdict` */
	bool is_mocked;         /* a dry run: nothing was executed */
	enum error_class class; /* not ok */
	struct str reason;
	struct str
	    class_text; /* a class of the command's own that is not in the table; may be empty */
	bool has_exit_code, has_signal, has_errno, core;
	int exit_code, signal, errno_value;
	int64_t duration_ms; /* -1 = not known */
	struct str outputs, outputs_ref, outputs_hash;
	struct str updates, updates_ref;
	struct str cached_from;    /* run/step/attempt; ptr NULL = it was executed */
	struct str cache_key;      /* under which this success may be found; ptr NULL = not */
	struct str quality;        /* JSON object; ptr NULL = none */
	struct str quality_reason; /* thresholds that it misses; ptr NULL = none */
	enum gate_verdict verdict;
	bool is_verdict_mocked;    /* a dry run: nobody asked */
	struct str evidence;       /* JSON */
	struct str verdict_reason; /* VERDICT_FAILED */
	const struct decide_artifact *artifacts;
	size_t artifacts_count;
	const struct event *user_events; /* x- events of the result file */
	size_t user_events_count;
};

/* Who acts: an actor with the peer's credentials (-1 = not known). */
struct decide_person {
	struct str name; /* "anna": written as `manual:anna` */
	struct str reason;
	int64_t uid, pid;
};

struct decide_resume {
	struct str from;   /* step id; ptr NULL = none */
	struct str params; /* JSON object of what changes; ptr NULL = none */
	struct str boot_id;
	struct str definition_hash;
	struct str reason;
	const struct str *overrides; /* ids of failed gates */
	size_t overrides_count;
	struct decide_person person; /* for the overrides */
	/* Another definition from here on (S9.3), borrowed; NULL = the same. definition_hash is its
	 * own. */
	const struct model *next;
	struct str changes;    /* JSON: {"changed":[],"added":[],"removed":[]}, ids of steps */
	struct str source_ref; /* its text as written */
	struct str file;       /* that it was read from; ptr NULL = not known */
};

enum input_kind {
	INPUT_ENDED,     /* step, attempt, result */
	INPUT_LOST,      /* step, attempt */
	INPUT_LEFTOVERS, /* step, attempt, number = a pid */
	INPUT_WHEN,      /* step, verdict of the condition in `is_true`, or `text` = the error */
	INPUT_INPUTS,    /* step, `text` = inputs_hash, or `error` with `class` */
	INPUT_RETRY_DUE, /* step */
	INPUT_WAIT_OVER, /* step: nobody approved in time */
	INPUT_RUN_DEADLINE,
	INPUT_STOP,           /* person, is_true = now */
	INPUT_APPROVE,        /* step, person */
	INPUT_REJECT,         /* step, person */
	INPUT_RESUME,         /* resume */
	INPUT_ROLLBACK,       /* person, text = boot id */
	INPUT_UNDO_ENDED,     /* attempt, result: of the compensation that runs */
	INPUT_UNDO_LOST,      /* attempt */
	INPUT_UNDO_LEFTOVERS, /* attempt */
	INPUT_UNDO_DUE,
	INPUT_PROJECTION_FAILED, /* text = which, error = why */
	INPUT_REPAIRED,          /* number = bytes, text = sha256 */
};

struct input {
	enum input_kind kind;
	uint32_t step;
	uint32_t attempt;
	bool is_true;
	int64_t number;
	struct str text;
	struct str error; /* ptr NULL = none */
	enum error_class class;
	const struct decide_result *result;
	const struct decide_person *person;
	const struct decide_resume *resume;
};

#define DECIDE_EVENTS_MAX 512

struct decide_events {
	struct event *items; /* owned by the caller, DECIDE_EVENTS_MAX long */
	size_t count;
};

/* Decide on one input. An input that came too late (the attempt is over, the step was skipped)
 * makes no event. REFUSED with a text for a person: an approval that is not asked for, not allowed
 * or given already; a resume that a guard bars; a stop of a run that is over. */
MUST_CHECK enum err_code decide_input(struct decider *decider, const struct input *input,
				      int64_t now_ms, struct decide_events *events,
				      struct err *err);

/* May the run be resumed (S9.1, S9.2)? OK, or REFUSED with the reason. A succeeded run without
 * `from` is REFUSED here too: callers that treat it as "nothing to do" ask first. */
MUST_CHECK enum err_code decide_resume_check(const struct run_state *run,
					     const struct decide_resume *resume, struct err *err);
/* Mark the steps of `next` that run again when a run goes on by it (S9.3): what changed or is new,
 * and all downstream. `changes` as in decide_resume; `marks` has next->steps_count bytes, all zero.
 * MEMORY. */
MUST_CHECK enum err_code decide_change_marks(const struct run_state *run, const struct model *next,
					     struct str changes, uint8_t *marks, struct err *err);
/* May the run be rolled back (S10)? OK, or REFUSED with the reason. */
MUST_CHECK enum err_code decide_rollback_check(const struct run_state *run, struct err *err);
/* Where a resume would begin: the first step in order that is not resolved or would be opened
 * again; STEP_NONE if there is none. */
uint32_t decide_resume_point(const struct run_state *run);

/* What the run would come to if it ended now. */
enum run_outcome decide_outcome(const struct run_state *run);

#endif
