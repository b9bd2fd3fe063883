/* explain_trail.h - a run with the places in its log where things were decided: for explanations.
 *
 * The fold says what is; the trail says by which event. Of each step it keeps the last event of
 * each kind, of one step the whole story of its attempts. */
#ifndef REPORT_EXPLAIN_TRAIL_H
#define REPORT_EXPLAIN_TRAIL_H

#include "rundir/fold.h"

/* Numbers of events, 0 = there was none; always the last one. */
struct trail_step {
	uint64_t started, ended, skipped, waiting, retried;
	uint64_t gate_passed, gate_failed, rejected, approved, overridden, compensated;
	uint64_t undo_failed;                    /* compensation.failed */
	uint64_t quality;                        /* quality.recorded */
	struct str override_by, override_reason; /* actor and words; of an override that holds */
	struct str rejected_by;
	struct str evidence;    /* JSON, of the last verdict of `pass` */
	struct str gate_reason; /* why the gate failed, in its own words */
	struct str cached_from; /* ptr NULL = it was executed */
	struct str conditions;  /* "params.full = false, ..." when its condition was decided */
	int64_t retry_delay_ms;
};

/* One end of an attempt of the step that is looked at, or of its compensation. */
struct trail_end {
	uint64_t started, ended; /* events; ended 0 = it runs */
	uint32_t attempt;
	bool is_lost, is_ok;
	struct str class_text; /* as recorded; ptr NULL = it did not fail */
	struct str reason;
	int64_t exit_code;    /* -1 = none */
	int64_t signal;       /* 0 = none */
	int64_t system_errno; /* 0 = none: the command could not be executed */
	int64_t duration_ms;  /* -1 = not known */
	uint64_t retried;     /* the event that announced the next attempt; 0 = none */
	int64_t delay_ms;
};

struct trail_ends {
	struct trail_end *items; /* in order of events */
	size_t count, capacity;
};

/* An approval or its withdrawal by a resume is not told apart: those that count are in the fold. */
struct trail_approval {
	uint64_t seq;
	struct str by; /* actor */
	struct str reason;
};

struct trail {
	struct fold_run fold;
	struct arena arena; /* owns the texts */
	struct trail_step *steps;
	uint32_t step; /* that is looked at; STEP_NONE = the run */
	struct trail_ends ends;
	struct trail_ends undos; /* of its compensation */
	struct trail_approval *approvals;
	size_t approvals_count, approvals_capacity;
	struct str created_reason; /* of run.created; ptr NULL = none */
	struct str stop_by, stop_reason;
	struct str resumed_from; /* STEP of the last run.resumed; ptr NULL = none */
	uint64_t stopped;        /* the last run.stop_requested that holds */
	uint64_t resumed;        /* the last run.resumed */
	uint32_t resumes;
	uint64_t redefined; /* the last run.resumed by another definition (S9.3); 0 = none */
	uint64_t changed;   /* the last change of the run's state */
	uint64_t completed;
	uint32_t overrides;  /* all of them, also those of gates that passed since */
	uint64_t overridden; /* the last one */
	uint64_t rollback;   /* the last run.rollback_started; 0 = none */
	struct str rollback_by, rollback_reason;
	int64_t created_ms;
};

/* Read a run. `step` is looked at; ptr NULL = none. NOT_FOUND when there is no such step, with the
 * nearest as hint. Free with trail_fini, also the trail of a failed call. */
MUST_CHECK enum err_code trail_read(const struct rundir *dir, const struct limits *limits,
				    struct str step, struct trail *ret_trail, struct err *err);
void trail_fini(struct trail *trail);

/* The step whose failure or skip made `step` be skipped; STEP_NONE when that was no step. */
uint32_t trail_cause(const struct trail *trail, uint32_t step);

#endif
