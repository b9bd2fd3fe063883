/* history.h - many runs: from the history database, or from their logs when it cannot be had. */
#ifndef API_HISTORY_H
#define API_HISTORY_H

#include "api/api.h"
#include "store/run_index.h"

/* A question to the history: `index` is up to date, or NULL: the logs are to be read. It may be
 * asked again, from the start, when the database turned out to be damaged. */
typedef enum err_code history_fn(void *arg, struct run_index *index, struct err *err);

/* Of this thread: sluice_note of the handle is empty until there is something to say. */
void history_note_clear(const struct sluice *sluice);

/* Note that the log of a run has a torn tail (S11.4), unless a live owner may be writing at it. */
void history_note_torn(const struct sluice *sluice, struct str run_id,
		       const struct log_reading *reading, bool is_held);

/* Ask. Why the logs had to be read is left in sluice_note. `scope`: whose
 * logs are looked at first. */
MUST_CHECK enum err_code history_ask(struct sluice *sluice, enum index_scope scope, history_fn *ask,
				     void *arg, struct err *err);

typedef enum err_code history_run_fn(void *arg, const struct run_facts *facts, struct err *err);

/* Read every run of the state directory from its log, newest id first. `on_event` (may be NULL) is
 * called for the events of a run before `visit` is for the run. */
MUST_CHECK enum err_code history_read(const struct sluice *sluice, run_event_fn *on_event,
				      history_run_fn *visit, void *arg, struct err *err);

/* Is there a directory of that name among the runs? */
bool history_has_dir(const struct sluice *sluice, struct str run_id);

#endif
