/* apply_intern.h - what the files of the fold, apply*.c, share; nobody else includes it. */
#ifndef CORE_APPLY_INTERN_H
#define CORE_APPLY_INTERN_H

#include "core/run_state.h"

/* What can happen to a step, by step.def. */
enum step_event {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what) STEP_EVENT_##name,
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

/* One event being applied. */
struct fold {
	struct run_state *run;
	const struct event *event;
	uint32_t index;          /* of the step; STEP_NONE for events about the run */
	struct step_state *step; /* NULL for events about the run */
	enum err_code refused;
	const struct model *next; /* the definition that the event brings; NULL = none */
};

/* Change a flag of a step and, with it, how many steps have it. */
static inline void set_flag(bool *flag, bool value, uint32_t *count)
{
	if (*flag != value)
		*count = value ? *count + 1 : *count - 1;
	*flag = value;
}

/* apply.c: a copy of a text of an event, of the run's own arena; the one that is there already
 * stays when it is the same. MEMORY. */
MUST_CHECK enum err_code apply_keep(struct run_state *run, struct str text, struct str *ret_kept,
				    struct err *err);

/* apply.c: the class of a failure, of the event; one that is not known is kept as text, for people,
 * and counts as `fallback` (S6). MEMORY. */
MUST_CHECK enum err_code apply_keep_class(const struct fold *f, enum error_class fallback,
					  enum error_class *ret_class, struct str *ret_text,
					  struct err *err);

/* apply.c: the state of a step, and the number of steps in each state. Asks no table. */
void apply_set_state(struct run_state *run, struct step_state *step, enum step_state_id to);

/* apply.c: move a step by the row of step.def for its state and what happened; f->refused when
 * there is none, and nothing changed. */
MUST_CHECK enum err_code apply_move(const struct fold *f, uint32_t index, enum step_event event,
				    struct err *err);

/* apply_resume.c: open the marked steps again, whatever came of them; those that wait go on
 * waiting. */
MUST_CHECK enum err_code apply_reopen_marked(const struct fold *f, const uint8_t *marks,
					     struct err *err);

/* apply_run.c: a run.resumed by this definition came: open overrides that are for it count from
 * here on, others never do. */
void apply_open_overrides(struct run_state *run, struct str definition_hash);

/* apply_change.c: make the run one of f->next, as the event's `changes` say; nothing when it has
 * none. The counters of needs are counted anew by the caller. */
MUST_CHECK enum err_code apply_change(const struct fold *f, struct err *err);

/* apply_undo.c: among the first `left` steps of the order, from their end on: the next one that
 * succeeded and can be undone. */
void apply_find_undo(struct run_state *run, uint32_t left);

/* apply_run.c: the values of parameters, an object by their names; names that the definition does
 * not have are refused. MEMORY. */
MUST_CHECK enum err_code apply_keep_params(const struct fold *f, struct str params,
					   struct err *err);

/* One kind of event: what it does to the state. f->refused when it contradicts what is known,
 * MEMORY; the state counts for nothing then. Each stands in the table of apply.c. */
typedef enum err_code apply_fn(const struct fold *f, struct err *err);

/* apply_run.c */
apply_fn apply_created;
apply_fn apply_state_changed;
apply_fn apply_completed;
apply_fn apply_stop_requested;
apply_fn apply_override;
apply_fn apply_projection_failed;

/* apply_step.c: of an event with delay_ms, when what it announces is due. */
struct retry_due apply_retry_due(const struct fold *f);

/* apply_resume.c */
apply_fn apply_resumed;

/* apply_step.c */
apply_fn apply_started;
apply_fn apply_succeeded;
apply_fn apply_failed;
apply_fn apply_retried;
apply_fn apply_waiting;
apply_fn apply_skipped;
apply_fn apply_lost;
apply_fn apply_gate_failed;
apply_fn apply_approved;
apply_fn apply_rejected;
apply_fn apply_quality;
apply_fn apply_artifact;

/* apply_undo.c */
apply_fn apply_rollback_started;
apply_fn apply_compensation_started;
apply_fn apply_compensated;
apply_fn apply_compensation_failed;

#endif
