/* progress.h - a run as it happens, on stderr.
 *
 * On a terminal the tree of its steps (live.h), redrawn with the time that each has taken, and
 * above it a line for what the tree does not keep: failures, retries, decisions of people.
 * Elsewhere, and in plain mode, one line for each transition. Made from the events alone, so that
 * it shows what the log says. */
#ifndef CLI_LIVE_PROGRESS_H
#define CLI_LIVE_PROGRESS_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct progress;

enum progress_kind { PROGRESS_NONE, PROGRESS_USUAL, PROGRESS_EVERYTHING };

/* NULL when memory is short. */
struct progress *progress_new(enum progress_kind kind);
void progress_free(struct progress *progress); /* accepts NULL */

/* Is a tree to be drawn? Then, before the first event, the run's status as JSON, and what is known
 * of how long its steps take (ms). Without a status the running steps are shown in lines. */
bool progress_wants_tree(const struct progress *progress);
void progress_tree(struct progress *progress, struct str status);
void progress_expect(struct progress *progress, struct str step, int64_t usual_ms);

/* For struct sluice_observer; `arg` is the progress. */
void progress_event(void *arg, const char *line, size_t len);
void progress_tick(void *arg);

/* Take the live lines away: other text follows. */
void progress_end(struct progress *progress);
/* Number i of the steps that ended failed, in the order of their failures; NULL after the last. */
const char *progress_failed(const struct progress *progress, size_t i);

#endif
