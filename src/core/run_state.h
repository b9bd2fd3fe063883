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

/* One step, folded. */
struct step_state {
	enum step_state_id state;
	enum skip_reason skip;
	enum error_class class;   /* of the last failure */
	uint32_t attempt;         /* the last attempt started or announced by a retry */
	uint32_t attempts;        /* how many were started */
	uint32_t failures;        /* that used the retry budget since the last resume */
	uint32_t losses;          /* in a row */
	uint32_t retries;         /* step.retried in all */
	uint32_t unmet;           /* needs not satisfied yet (S5.2) */
	uint32_t any_unresolved;  /* of needs_any */
	uint32_t any_succeeded;   /* of needs_any */
	uint32_t approvals;       /* distinct names so far, for the wait that goes on */
	bool has_started_once;
	bool retry_is_due;        /* pending after step.retried: starts when the delay is over */
	bool gate_failed;         /* a hard or manual gate that bars a resume (S9.1) */
	bool is_waived;           /* by an override */
	bool is_approved;         /* the manual gate is open for the coming attempt */
	bool is_held;             /* lost under on_lost: ask, nobody decided yet */
	bool is_same_boot;        /* its last step.started belongs to the boot of the last
				   * run.created or run.resumed */
	int64_t started_ms;       /* of the last attempt */
	int64_t ended_ms;         /* of the last attempt; 0 while it runs */
	int64_t duration_ms;      /* sum over attempts that ended */
	int64_t due_ms;           /* wall time at which a retry is due or a wait expires; 0 = none */
	struct str reason;        /* of the last failure, skip or wait */
	struct str outputs;       /* JSON object; ptr NULL = none */
};

struct run_state {
	const struct model *model; /* borrowed */
	struct arena arena;
	enum run_state_id state;
	enum run_outcome outcome; /* of the last run.completed */
	struct step_state *steps; /* model->steps_count */
	struct str run_id;
	struct str completed_reason;
	struct str sync;    /* as recorded */
	struct str boot_id; /* of the last run.created or run.resumed */
	uint64_t seq;       /* of the last event applied */
	uint64_t epoch;     /* seq of the last run.created or run.resumed */
	uint64_t seed;
	int64_t created_ms;
	int64_t changed_ms; /* of the last run.state_changed or run.completed: A's completed_at */
	int64_t last_ms;    /* of the last event */
	bool is_completed;  /* run.completed and neither run.resumed nor a rollback since */
	bool is_resuming;   /* run.resumed came, the state change to executing may follow */
	bool stop_requested;
	bool stop_now;
	bool stop_by_failure; /* a hard gate or on_failure: stop: nothing new starts */
	uint32_t warnings;
	/* How many steps are in each state, index enum step_state_id. */
	uint32_t count[8];
	/* The context: params and updates as JSON text. */
	struct str *params; /* model->params_count; ptr NULL = not given, and no default */
	struct context_update *updates; /* newest last; a later one of a name wins */
	size_t updates_count, updates_capacity;
	/* Steps that can start now (S5): a queue that apply fills; the scheduler drains it. */
	uint32_t *ready;
	uint32_t ready_count;
};

struct context_update {
	struct str name;
	struct str value; /* JSON */
};

/* Empty state of a run of `model`, before run.created. */
MUST_CHECK enum err_code run_state_init(struct run_state *run, const struct model *model,
					struct err *err);
void run_state_fini(struct run_state *run);

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

/* Context (S2): the value of a name in `params` for expressions: the newest update of that name,
 * else the parameter; JSON text, ptr NULL when there is none. */
struct str context_param(const struct run_state *run, struct str name);

#endif
