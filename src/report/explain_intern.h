/* explain_intern.h - what the files that explain a step share. */
#ifndef REPORT_EXPLAIN_INTERN_H
#define REPORT_EXPLAIN_INTERN_H

#include "report/explain_step.h"
#include "report/run_report.h"

/* The run that is looked at. */
static inline const struct run_state *run_of(const struct explaining *x)
{
	return &x->trail->fold.state;
}

/* The definition of a step of it. */
static inline const struct step *def_of(const struct explaining *x, uint32_t step)
{
	return &x->trail->fold.model->steps[step];
}

/* What became of the step so far. */
static inline const struct step_state *state_of(const struct explaining *x, uint32_t step)
{
	return &run_of(x)->steps[step];
}

/* The id of the step, borrowed. */
static inline struct str id_of(const struct explaining *x, uint32_t step)
{
	return def_of(x, step)->id;
}

#define ADD(x, depth, code, step, event, ...) \
	facts_add((x)->facts, (depth), (code), id_of((x), (step)), (event), __VA_ARGS__)

/* Some attempts of the step that is looked at: the first and the last ones. `code` is that of their
 * facts, `what` is what they are called. */
void tell_ends(const struct explaining *x, const struct trail_ends *ends, const char *code,
	       const char *what);
/* Who or what began the last rollback; nothing when there was none. */
void tell_rollback(const struct explaining *x);
/* The same, and what became of the step's compensation (S10); nothing for a step that nobody
 * undoes. */
void tell_undo(const struct explaining *x, uint32_t step);
/* The figures that its last attempt recorded, and each threshold with what became of it. */
void tell_quality(const struct explaining *x, uint32_t step, unsigned depth);

#endif
