/* effect.c - see effect.h */
#include "core/effect.h"

enum effect_kind effect_of(const struct run_state *run, const struct event *event)
{
	if (event->type == EVENT_STEP_STARTED) /* with a class: it cannot begin */
		return event_has(event, EVENT_FIELD_ERROR_CLASS) ? EFFECT_NONE : EFFECT_START;
	if (event->type == EVENT_STEP_RETRIED || event->type == EVENT_STEP_WAITING)
		return EFFECT_TIMER;
	if (event->type == EVENT_COMPENSATION_STARTED)
		return EFFECT_UNDO;
	if (event->type == EVENT_COMPENSATION_FAILED && run->undo.is_retry)
		return EFFECT_UNDO_TIMER;
	if (event->type == EVENT_RUN_STOP_REQUESTED)
		return EFFECT_STOP_RUNNING;
	if (event->type == EVENT_RUN_STATE_CHANGED && run->state == RUN_FAILED &&
	    run->count[STEP_RUNNING] > 0)
		return EFFECT_CANCEL_ALL;
	if ((event->type == EVENT_STEP_FAILED || event->type == EVENT_STEP_LOST ||
	     event->type == EVENT_GATE_REJECTED) &&
	    run->is_failing)
		return EFFECT_STOP_RUNNING; /* S5.7: stop applies on_stop to what runs */
	return EFFECT_NONE;
}
