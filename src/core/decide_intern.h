/* decide_intern.h - what decide.c and decide_input.c share; nobody else includes it. */
#ifndef CORE_DECIDE_INTERN_H
#define CORE_DECIDE_INTERN_H

#include "core/decide.h"

void decide_set_push(struct decide_set *set, uint32_t step);
void decider_set_phase(struct decider *decider, uint32_t step, enum decide_phase phase);
/* Text of an event, kept until decider_forget; a fixed text when memory is short: it is only words. */
struct str decider_say(struct decider *decider, const char *format, ...) PRINTF_LIKE(2, 3);
/* Begin an event of now: a clock that was set back never makes a negative duration (S7.6). */
struct event *decider_event(const struct decider *decider, struct event *event,
			    enum event_type type, int64_t now_ms);
struct event *decider_step_event(const struct decider *decider, struct event *event,
				 enum event_type type, uint32_t step, int64_t now_ms);
/* The step.failed of a step that could not begin, from what its step.started says. */
void decider_stillborn_event(const struct decider *decider, struct event *event, uint32_t step,
			     int64_t now_ms);
void decide_change_state(struct decider *decider, struct event *event, enum run_state_id to,
			 struct str reason, int64_t now_ms);
/* decide_undo.c: what follows in a run that is being rolled back, or has to be (S10). */
enum decide_answer decide_next_undo(struct decider *decider, struct event *event, int64_t now_ms);
/* How the rollback ends, if it does: OUTCOME_NONE when it goes on. */
enum run_outcome decide_undo_outcome(const struct decider *decider);
struct str decide_undo_reason(struct decider *decider);
/* Number of the attempt that a start would be. */
uint32_t decider_next_attempt(const struct step_state *step);

/* decide_change.c: may the run go on by resume->next (S9.3), and begin with its step resume->from? REFUSED
 * with the reason, NOT_FOUND when there is no such step. */
MUST_CHECK enum err_code decide_check_change(const struct run_state *run,
					     const struct decide_resume *resume, struct err *err);
MUST_CHECK enum err_code decide_check_from(const struct run_state *run,
					   const struct decide_resume *resume, struct err *err);

#endif
