/* effect.h - what has to be done once an event is durable. Pure: the engine does it. */
#ifndef CORE_EFFECT_H
#define CORE_EFFECT_H

#include "core/run_state.h"

enum effect_kind {
	EFFECT_NONE,
	EFFECT_START,        /* carry out the attempt that step.started announced */
	EFFECT_START_AGAIN,  /* of no event: the executor says that it never ran */
	EFFECT_TIMER,        /* wake at the step's due_ms */
	EFFECT_STOP_RUNNING, /* apply on_stop to every running step; kill them when is_stop_now */
	EFFECT_UNDO,         /* carry out the attempt that compensation.started announced */
	EFFECT_UNDO_TIMER,   /* wake at undo.due_ms */
	EFFECT_CANCEL_ALL,   /* the run's own deadline passed */
};

/* The effect of an event that was just applied. */
enum effect_kind effect_of(const struct run_state *run, const struct event *event);

#endif
