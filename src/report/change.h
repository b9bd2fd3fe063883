/* change.h - what another definition would change about a run (S9.3), for a person. */
#ifndef REPORT_CHANGE_H
#define REPORT_CHANGE_H

#include "rundir/change.h"

/* Append the difference step by step, and what follows from it: which steps run again and why,
 * which stay as they are, and what a rollback would not undo any more. `change->next` is not NULL.
 * `from`: the step of --from; ptr NULL = none, and one that is not there marks nothing. MEMORY. */
MUST_CHECK enum err_code change_text(const struct run_state *run, const struct change *change,
				     struct str from, struct buf *out, struct err *err);

#endif
