/* run_state.h - the state of a run: the fold of its events, and nothing else.
 *
 * apply() (apply.h) is the only writer. Reports, the engine and expressions read. Outputs and
 * context updates are kept as JSON text in the state's own arena. */
#ifndef CORE_RUN_STATE_H
#define CORE_RUN_STATE_H

#include "core/event.h"
#include "core/model.h"

/* Values are stable; names are written to logs. */
enum run_state_id {
#define STATE(name, value, kind, text, what) RUN_##name = (value),
#define ROW(from, to, guard, why)
#include "core/run.def"
};

enum step_state_id {
#define STATE(name, value, kind, text, what) STEP_##name = (value),
#define EVENT(name, what)
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

enum run_outcome {
	OUTCOME_NONE,
	OUTCOME_SUCCESS,
	OUTCOME_PARTIAL,
	OUTCOME_FAILED,
	OUTCOME_STOPPED,
	OUTCOME_ROLLED_BACK,
};

enum skip_reason {
	SKIP_NONE,
	SKIP_CONDITION,
	SKIP_CHOICE_NOT_TAKEN,
	SKIP_UPSTREAM_FAILED,
	SKIP_GATE_FAILED,
	SKIP_RUN_STOPPED,
};

/* Somebody who approved the wait that goes on. */
struct approver {
	struct str name;
	struct approver *next;
};

/* When a retry is due by the clock since boot, which nobody sets (S7.6). */
struct retry_due {
	int64_t boot_ms;    /* 0 = not known */
	int64_t delay_ms;   /* the whole delay */
	struct str boot_id; /* of the boot that boot_ms counts from */
};

/* One step, folded. */
struct step_state {
	enum step_state_id state;
	enum skip_reason skip;   /* SKIPPED: why */
	enum skip_reason doom;   /* PENDING: a need went wrong, so it has to be skipped for this */
	enum error_class class;  /* of the last failure; UNKNOWN when class_text has one */
	struct str class_text;   /* a class as recorded that this version does not know (S6) */
	uint32_t doom_cause;     /* the step that doomed it */
	uint32_t attempt;        /* the last one started, or announced by step.retried */
	uint32_t attempts;       /* how many were started */
	uint32_t failures;       /* that used the retry budget since the last resume (S7.3) */
	uint32_t losses;         /* in a row */
	uint32_t retries;        /* step.retried in all */
	uint32_t warnings;       /* what it added to the run's since it was last opened */
	uint32_t unmet;          /* of needs: not satisfied yet (S5.2) */
	uint32_t any_unresolved; /* of needs_any */
	uint32_t any_succeeded;  /* of needs_any */
	bool is_final;           /* FAILED: no retry follows; those that need it may know */
	bool is_retry;           /* PENDING after step.retried: starts when due_ms has come */
	bool is_approved;        /* the manual gate is open for the coming attempt */
	bool is_rejected;        /* a person or a deadline said no */
	bool is_held;            /* FAILED, lost under on_lost: ask, nobody decided yet */
	bool is_gate_failed;     /* bars a resume without override (S9.1) */
	bool is_gate_recorded;   /* its gate.failed is written */
	bool is_quality_warned;  /* a soft threshold that the last attempt missed is counted */
	bool is_waived;          /* by an override */
	bool is_override_open;   /* by one that counts from its run.resumed on (S9.3) */
	bool is_excluded;        /* outside of the run's selection and not given: is skipped */
	bool is_given;       /* outside of the selection: its outputs came with the start (S9.5) */
	bool is_overridden;  /* as a gate, and not run again by --from since (S9.1) */
	bool is_stillborn;   /* RUNNING: its step.started says why it cannot begin; nothing is
				executed */
	int64_t started_ms;  /* of the last attempt; 0 = never started */
	int64_t ended_ms;    /* of the last attempt; 0 while it runs */
	int64_t duration_ms; /* sum over the attempts that ended */
	int64_t due_ms;      /* UTC: when a retry is due or a wait expires; 0 = none */
	struct retry_due retry_due;
	struct str boot_id; /* of the engine that started the last attempt */
	struct str reason;  /* of the last failure, skip or wait */
	struct str outputs; /* JSON object; ptr NULL = none */
	struct str
	    cached_from;    /* `run/step/attempt` whose success was taken; ptr NULL = executed */
	struct str quality; /* JSON object: what its last attempt recorded; ptr NULL = none */
	struct approver *approvers;
};

struct context_update {
	struct str name;
	struct str value; /* JSON */
};

/* An artifact as it was when its step succeeded. */
struct emitted_artifact {
	struct str path; /* absolute, as recorded */
	struct str sha256;
	uint32_t step;
};

/* A step that a changed definition no longer has (S9.3). Should it come back, its attempts go on
 * from there: a token is of one attempt only. */
struct retired_step {
	struct str id;
	uint32_t attempt, attempts;
};

/* The rollback of a run (S10). One compensation at a time, in reverse topological order, so that
 * there is one that runs or failed at most: it is of `step`. */
struct undo_state {
	bool is_wanted;    /* a step failed under on_failure: compensate */
	bool is_begun;     /* run.rollback_started, at some time: nothing runs forward any more */
	bool is_active;    /* begun, and not at rest since */
	bool is_running;   /* compensation.started without an end */
	bool is_retry;     /* its attempt failed, and another one follows when due_ms has come */
	bool is_failed;    /* its last attempt of this rollback failed */
	uint32_t step;     /* of the last compensation.started; STEP_NONE = none was */
	uint32_t attempt;  /* the last one started of that step; numbers go on over rollbacks */
	uint32_t failures; /* of that step in this rollback */
	uint32_t
	    left; /* steps of model->order that may still have to be undone; the last one has */
	int64_t started_ms;
	int64_t due_ms; /* UTC */
	struct retry_due retry_due;
	struct str boot_id;     /* of the engine that started the last attempt */
	enum error_class class; /* of the last failure; UNKNOWN when class_text has one */
	struct str class_text;  /* as of a step */
	struct str reason;
};

struct run_state {
	const struct model *model; /* borrowed */
	struct arena arena;
	enum run_state_id state;
	enum run_outcome outcome; /* of the last run.completed */
	struct step_state *steps; /* model->steps_count */
	struct str run_id;
	struct str reason;    /* of the last change of state */
	struct str sync;      /* as recorded */
	struct str partition; /* as recorded; ptr NULL = none */
	struct str key;       /* the idempotency key; ptr NULL = none */
	struct str selection; /* JSON as recorded; ptr NULL = all steps (see select.h) */
	struct str given;     /* JSON: outputs of the given steps by id; ptr NULL = none */
	struct str trace_id;  /* as recorded; ptr NULL = none that is well-formed */
	struct str
	    traceparent;    /* the trace that it was started in; ptr NULL = none (see trace.h) */
	struct str boot_id; /* of the last run.created or run.resumed */
	struct str definition_hash; /* SHA-256 of the frozen definition */
	struct str override_hash;   /* of the definition that open overrides are for */
	struct str source_ref; /* blob of its text as written; ptr NULL = the one of the birth */
	struct str file;       /* that it was read from, absolute; ptr NULL = not known */
	uint64_t seq;          /* of the last event applied */
	uint64_t epoch;        /* seq of the last run.created or run.resumed */
	uint64_t seed;
	int64_t created_ms;
	int64_t changed_ms;  /* of the last run.state_changed or run.completed */
	int64_t last_ms;     /* of the last event */
	uint32_t last_step;  /* that it is about; STEP_NONE = about the run */
	int64_t duration_ms; /* of the last run.completed */
	bool is_completed;   /* run.completed, and not resumed since */
	bool is_resumed;     /* at least once */
	bool is_dry;         /* a dry run (S14): results are mocked */
	bool is_resuming;    /* run.resumed opened a run at rest; executing follows */
	bool is_stopping;    /* run.stop_requested: nothing new starts */
	bool is_stop_now;
	bool is_stop_late; /* the run was failing before it was asked to stop: it ends failed (S3.3)
			    */
	bool is_failing; /* a hard gate or on_failure: stop: nothing new starts, the rest is skipped
			  */
	uint32_t failing_step;   /* which one; STEP_NONE = the run's own deadline */
	uint32_t warnings;       /* soft gates, tolerated failures, failed projections */
	uint32_t gates_barred;   /* failed gates that nobody waived */
	uint32_t waived;         /* failed gates that somebody waived */
	uint32_t overridden;     /* steps with is_overridden */
	uint32_t overrides_open; /* steps with is_override_open */
	uint32_t held;           /* steps with is_held */
	uint32_t retries_due;    /* steps with is_retry */
	struct undo_state undo;
	/* By type of event, the step that comes after the one of the last such event: where the
	 * next one is looked for before it is looked up. Never more than a hint. */
	uint32_t likely[EVENT_TYPES];
	uint32_t count[8];  /* how many steps are in each state: index enum step_state_id */
	struct str *params; /* model->params_count, JSON; ptr NULL = not given and no default */
	struct context_update *updates; /* in order of events; the last one of a name wins */
	size_t updates_count, updates_capacity;
	struct emitted_artifact *artifacts; /* in order of events; the last one of a path wins */
	size_t artifacts_count, artifacts_capacity;
	struct retired_step *retired; /* the last one of an id counts */
	size_t retired_count, retired_capacity;
};

#define LOSSES_IN_ROW_MAX 5 /* on_lost: rerun gives up with the last of so many (S8.4) */

/* Empty state of a run of `model`, before run.created. */
MUST_CHECK enum err_code run_state_init(struct run_state *run, const struct model *model,
					struct err *err);
void run_state_fini(struct run_state *run);

/* Names as events have them, static; and back: false when nothing is called so. */
const char *run_state_name(enum run_state_id state);
bool run_state_of(struct str name, enum run_state_id *ret_state);
/* Ended for good or until a resume. */
bool run_state_is_end(enum run_state_id state);
const char *step_state_name(enum step_state_id state);
bool step_state_of(struct str name, enum step_state_id *ret_state);
const char *outcome_name(enum run_outcome outcome);
bool outcome_of(struct str name, enum run_outcome *ret_outcome);
const char *skip_reason_name(enum skip_reason skip);
bool skip_reason_of(struct str name, enum skip_reason *ret_skip);

/* Is the pair in run.def (S3.1)? `is_resume` opens the rows that only a guarded resume may take.
 * Otherwise `refused` (CONFLICT when live, CORRUPT when replayed) with both names. */
MUST_CHECK enum err_code run_state_check(enum run_state_id from, enum run_state_id to,
					 bool is_resume, enum err_code refused, struct err *err);

/* May another attempt follow the failure that the step is in, by its class, its budget and on_lost
 * (S7, S8.4)? Only asked of FAILED steps; the same answer live and on replay. */
bool step_may_retry(const struct run_state *run, uint32_t step);
/* Does a final failure of the step end the run: on_failure: stop, and a hard gate whatever it says
 * (S5.4)? */
bool step_stops_run(const struct run_state *run, uint32_t step);
/* Is the step resolved for those that need it: succeeded, skipped, compensated, or failed for
 * good? */
bool step_is_resolved(const struct step_state *step);
/* Not doomed, and all needs are met (S5.2). */
bool step_needs_met(const struct step_state *step);
/* Not started, and has to be skipped now: `doom` says why. A choice that was made above it counts
 * only when everything that it needs is resolved: those that need it implicitly pass through such a
 * skip, and must not run beside or below a gate that has not passed (S1.4). */
bool step_is_doomed(const struct run_state *run, uint32_t step);
/* PENDING, not doomed, with all needs met: it may be started. */
bool step_is_ready(const struct step_state *step);
/* Does no attempt of a step begin any more, because the run was asked to stop (S7.5) or has begun
 * to fail (S1.4)? */
bool run_starts_nothing(const struct run_state *run);
/* Was the run asked to stop before anything made it fail (S3.3: it ends in `stopped`)? */
bool run_ends_stopped(const struct run_state *run);

/* Is the run being rolled back, or is that what follows next from its state (on_failure:
 * compensate)? */
bool run_is_undoing(const struct run_state *run);
/* Does a rollback undo the step as it is: did it succeed in this run (what was given did not), and
 * can it be undone (S10.2)? */
bool step_is_undoable(const struct run_state *run, uint32_t step);
/* The step whose compensation comes next in a rollback, STEP_NONE when all are undone. */
uint32_t run_undo_next(const struct run_state *run);
/* May another attempt to undo follow one that failed with this class, `failures` having failed
 * before? */
bool run_may_retry_undo(const struct run_state *run, uint32_t step, enum error_class class,
			uint32_t failures);

/* The class of the last failure of a step, or of the last compensation that failed, as it was
 * recorded: one that this version does not know is kept as text (S6). */
struct str step_class_text(const struct step_state *step);
struct str undo_class_text(const struct undo_state *undo);

/* Set the counters of needs from the states of all steps: after a resume opened some again. */
void run_state_recount(struct run_state *run);
/* Tell the dependents of a step that was just resolved. */
void run_state_resolve(struct run_state *run, uint32_t step);

/* Context (S2): the value of a name in `params` for expressions: the newest update of that name,
 * else the parameter; JSON text, ptr NULL when there is none. */
struct str context_param(const struct run_state *run, struct str name);

#endif
