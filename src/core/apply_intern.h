/* apply_intern.h - what apply.c and apply_change.c share; nobody else includes it. */
#ifndef CORE_APPLY_INTERN_H
#define CORE_APPLY_INTERN_H

#include "core/run_state.h"

/* One event being applied. */
struct fold {
	struct run_state *run;
	const struct event *event;
	uint32_t index;          /* of the step; STEP_NONE for events about the run */
	struct step_state *step; /* NULL for events about the run */
	enum err_code refused;
	const struct model *next; /* the definition that the event brings; NULL = none */
};

static inline void set_flag(bool *flag, bool value, uint32_t *count)
{
	if (*flag != value)
		*count = value ? *count + 1 : *count - 1;
	*flag = value;
}

/* Open the marked steps again, whatever came of them; those that wait go on waiting. */
MUST_CHECK enum err_code apply_reopen_marked(const struct fold *f, const uint8_t *marks,
					     struct err *err);

/* apply.c: a copy of a text of an event, of the run's own arena; the one that is there already
 * stays when it is the same. MEMORY. */
MUST_CHECK enum err_code apply_keep(struct run_state *run, struct str text, struct str *ret_kept,
				    struct err *err);

/* apply_change.c: make the run one of f->next, as the event's `changes` say; nothing when it has
 * none. The counters of needs are counted anew by the caller. */
MUST_CHECK enum err_code apply_change(const struct fold *f, struct err *err);

#endif
