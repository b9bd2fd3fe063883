/* fold.h - a run directory to its state: thaw the frozen model, then apply every event.
 *
 * One floor above lang/ and log/, so it may use both. Outputs and context updates that an event
 * names by reference are read from their blobs before apply sees the event: the context is a fold
 * too. */
#ifndef RUNDIR_FOLD_H
#define RUNDIR_FOLD_H

#include "core/run_state.h"
#include "log/log.h"
#include "rundir/rundir.h"

struct fold_run {
	struct model *model; /* owned */
	struct run_state state;
	struct log_reading reading; /* readers: how the log ends */
	bool is_mute; /* for readers, by who has looked: no step that failed wrote anything */
};

/* Also called for each event, after it was applied; may be NULL. */
typedef enum err_code fold_visit_fn(void *arg, const struct run_state *state,
				    const struct event *event, struct str line, struct err *err);

/* For readers: takes no lock, writes nothing. A damaged or torn log gives the good prefix:
 * ret_fold->reading says so and the call is OK, as long as there is a whole run.created. */
MUST_CHECK enum err_code fold_read(const struct rundir *dir, const struct limits *limits,
				   fold_visit_fn *visit, void *arg, struct fold_run *ret_fold,
				   struct err *err);

/* For the owner (the caller holds run.lock): verify, repair a torn tail, fold, and keep the log
 * open for writing. `accept` is asked when all is folded and nothing is written yet. Both may be
 * NULL. */
MUST_CHECK enum err_code fold_open(const struct rundir *dir, const struct limits *limits,
				   fold_visit_fn *visit, log_accept_fn *accept, void *arg,
				   struct fold_run *ret_fold, struct log **ret_log,
				   struct log_torn *ret_torn, struct err *err);

/* The same, folded only up to a point: the last event with a number of at most `seq` before the
 * first one with a later time than `utc_ms`. run.created is always folded. `visit` (may be NULL)
 * sees what is folded; the chain of the whole log is verified all the same, and ret_fold->reading
 * tells of its end. */
struct fold_until {
	uint64_t seq;   /* UINT64_MAX = no bound */
	int64_t utc_ms; /* INT64_MAX = no bound */
};
MUST_CHECK enum err_code fold_read_until(const struct rundir *dir, const struct limits *limits,
					 const struct fold_until *until, fold_visit_fn *visit,
					 void *arg, struct fold_run *ret_fold, struct err *err);

/* Frees the state and the definition; a zeroed one is fine. */
void fold_fini(struct fold_run *fold);

#endif
