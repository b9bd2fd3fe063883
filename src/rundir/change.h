/* change.h - another definition for a run that is there already (S9.3): what differs, step by step.
 *
 * Writes nothing: whoever accepts the change records it (engine/change.c). */
#ifndef RUNDIR_CHANGE_H
#define RUNDIR_CHANGE_H

#include "base/buf.h"
#include "base/hash.h"
#include "rundir/fold.h"

/* Zero at first. */
struct change {
	struct model *next; /* the new definition, frozen and read back; NULL = it is the one that
			       the run has */
	struct buf frozen;  /* its frozen form */
	char hash[SHA256_HEX_BYTES + 1]; /* of that */
	struct buf changes; /* JSON as in run.resumed: {"changed":[],"added":[],"removed":[]}, ids
			       of steps */
};

/* Frees the definition and the texts; a zeroed one is fine. */
void change_fini(struct change *change);

/* Compare `definition` (borrowed for the call) with what the run goes by now. What was settled at
 * its birth stays: where relative paths start, and how its log is synced. REFUSED when it is of
 * another pipeline. */
MUST_CHECK enum err_code change_make(const struct run_state *run, const struct model *definition,
				     struct change *ret_change, struct err *err);

/* Append the keys in which a step of both differs, as in the frozen form, separated by ", "; `env
 * of the pipeline` when it is only that. Nothing when they are alike. */
void change_step_keys(const struct model *old, const struct model *next, struct str id,
		      struct buf *out);
/* The same for what is not in a step. */
MUST_CHECK enum err_code change_pipeline_keys(const struct model *old, const struct model *next,
					      struct buf *out, struct err *err);

#endif
