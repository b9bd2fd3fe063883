/* decide_intern.h - what the files of the decisions, decide*.c, share; nobody else includes it. */
#ifndef CORE_DECIDE_INTERN_H
#define CORE_DECIDE_INTERN_H

#include "core/decide.h"

/* decider.c: sets of steps, or of their ranks. Putting in what is there changes nothing;
 * decide_set_pop takes the least out of a set that is not empty. */
void decide_set_push(struct decide_set *set, uint32_t step);
uint32_t decide_set_pop(struct decide_set *set);
void decide_set_clear(struct decide_set *set);
bool decide_set_has(const struct decide_set *set, uint32_t step);

/* decider.c: the steps that wait for a slot: the next one has the highest priority. */
void decider_ready_push(struct decider *decider, uint32_t step);
uint32_t decider_ready_pop(struct decider *decider);

/* decider.c: where a step stands between two events, and how many stand so. */
void decider_set_phase(struct decider *decider, uint32_t step, enum decide_phase phase);

/* Text of an event, kept until decider_forget; a fixed text when memory is short: only words. */
struct str decider_say(struct decider *decider, const char *format, ...) PRINTF_LIKE(2, 3);

/* Begin an event of now: a clock that was set back never makes a negative duration (S7.6). */
struct event *decider_event(const struct decider *decider, struct event *event,
			    enum event_type type, int64_t now_ms);
struct event *decider_step_event(const struct decider *decider, struct event *event,
				 enum event_type type, uint32_t step, int64_t now_ms);

/* The step.failed of a step that could not begin, from what its step.started says. */
void decider_stillborn_event(const struct decider *decider, struct event *event, uint32_t step,
			     int64_t now_ms);

/* The name of a state of the run, as a field. */
void decide_put_run_state(struct event *event, enum event_field field, enum run_state_id state);

/* run.state_changed from the state that the run has; without a reason when `reason` is empty. */
void decide_change_state(struct decider *decider, struct event *event, enum run_state_id to,
			 struct str reason, int64_t now_ms);

/* decide_step.c: look at the steps that something happened to, until one of them calls for an event
 * or a question. */
enum decide_answer decide_look(struct decider *decider, struct event *event,
			       struct decide_query *query, int64_t now_ms);

/* decide_step.c: everything that did not start is skipped when the run fails (S5.4, S5.7): the next
 * such step; false when there is none left. */
bool decide_sweep(struct decider *decider, struct event *event, int64_t now_ms);

/* decide_step.c: start the next ready step, or ask for its inputs, while there are slots. */
enum decide_answer decide_start_ready(struct decider *decider, struct event *event,
				      struct decide_query *query, int64_t now_ms);

/* decide_end.c: when nothing runs and nothing is due, the state that the run rests in, or in which
 * it waits for a person; false while it goes on. */
bool decide_end_or_block(struct decider *decider, struct event *event, int64_t now_ms);

/* decide_end.c: run.completed of a run that is at rest. */
void decide_complete(struct decider *decider, struct event *event, int64_t now_ms);

/* decide_end.c: why a run that fails does, for people. */
struct str decide_failure_reason(struct decider *decider);

/* decide_undo.c: what follows in a run that is being rolled back, or has to be (S10). */
enum decide_answer decide_next_undo(struct decider *decider, struct event *event, int64_t now_ms);

/* How the rollback ends, if it does: OUTCOME_NONE when it goes on. */
enum run_outcome decide_undo_outcome(const struct decider *decider);
struct str decide_undo_reason(struct decider *decider);

/* Number of the attempt that a start would be. */
uint32_t decider_next_attempt(const struct step_state *step);

/* decide_change.c: may the run go on by resume->next (S9.3), and begin with its step resume->from?
 * REFUSED with the reason, NOT_FOUND when there is no such step. */
MUST_CHECK enum err_code decide_check_change(const struct run_state *run,
					     const struct decide_resume *resume, struct err *err);
MUST_CHECK enum err_code decide_check_from(const struct run_state *run,
					   const struct decide_resume *resume, struct err *err);

/* One input being decided. */
struct ask {
	struct decider *decider;
	const struct run_state *run;
	const struct input *in;
	int64_t now_ms;
	struct decide_events *events;
};

/* What the run knows of the step that the input is about; such an input always names one. */
static inline const struct step_state *ask_state(const struct ask *ask)
{
	return &ask->run->steps[ask->in->step];
}

/* The definition of that step. */
static inline const struct step *ask_step(const struct ask *ask)
{
	return &ask->run->model->steps[ask->in->step];
}

/* decide_input.c: one more event of the answer, about the run or about the input's step, borrowed.
 * That there is room for it is an invariant of the caller. */
struct event *ask_add(const struct ask *ask, enum event_type type);
struct event *ask_add_step(const struct ask *ask, enum event_type type);

/* decide_input.c: a field, unless its text is empty. */
void ask_put_some(struct event *event, enum event_field field, struct str text);

/* decide_attempt.c: how the command ended, of the input's result: exit code, signal, duration. */
void ask_put_exit(const struct ask *ask, struct event *event);

/* decide_attempt.c: a command's own word for its failure, or else the name of the class. */
struct str ask_class_shown(enum error_class class, struct str text);

/* decide_person.c: `manual:NAME` as the actor of an event. Memory that is short for it makes the
 * input one that is not decided: who acted is no mere word. */
void ask_put_actor(const struct ask *ask, struct event *event, struct str name);

/* decide_person.c: who asks, and why, of the input's person. */
void ask_put_person(const struct ask *ask, struct event *event);

/* One kind of input: the events that it means, none when it is out of date; REFUSED, USAGE,
 * NOT_FOUND or LIMIT when it asks for what cannot be, and nothing is recorded then. Each stands in
 * the table of decide_input.c. */
typedef enum err_code ask_fn(const struct ask *ask, struct err *err);

/* decide_attempt.c */
ask_fn decide_on_ended;
ask_fn decide_on_lost;
ask_fn decide_on_leftovers;
ask_fn decide_on_when;
ask_fn decide_on_inputs;

/* decide_person.c */
ask_fn decide_on_stop;
ask_fn decide_on_approve;
ask_fn decide_on_reject;

/* decide_resume.c */
ask_fn decide_on_resume;

/* decide_undo.c */
ask_fn decide_on_rollback;
ask_fn decide_on_undo_ended;
ask_fn decide_on_undo_lost;
ask_fn decide_on_undo_leftovers;
ask_fn decide_on_undo_due;

#endif
