/* progress.h - a run as it happens, on stderr.
 *
 * On a terminal one line for each running step, redrawn with the time it has taken, and above them
 * a line for each step that came to its end. Elsewhere one plain line for each transition. Made
 * from the events alone, so that it shows what the log says. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "sluice/sluice.h"

#include <stdint.h>

struct progress;

enum progress_kind { PROGRESS_NONE, PROGRESS_USUAL, PROGRESS_EVERYTHING };

/* NULL when memory is short. */
struct progress *progress_new(enum progress_kind kind);
void progress_free(struct progress *progress); /* accepts NULL */
void progress_drop(struct progress **progress);

/* For struct sluice_observer; `arg` is the progress. */
void progress_event(void *arg, const char *line, size_t len);
void progress_tick(void *arg);

/* Take the live lines away: other text follows. */
void progress_end(struct progress *progress);
/* Number i of the steps that ended failed, in the order of their failures; NULL after the last. */
const char *progress_failed(const struct progress *progress, size_t i);

#endif
