/* live.h - the tree of a run's steps on a terminal, redrawn while the run goes on.
 *
 * A step that needs one other step stands below it; where several steps follow one, they are
 * branches of it, and what needs more than one branch stands after them, at the level of the step
 * where they parted (the step that dominates it). When the window is too low for all, what is done
 * or not begun is only counted. The shape comes from the run's status, the rest from events
 * alone. */
#ifndef CLI_LIVE_LIVE_H
#define CLI_LIVE_LIVE_H

#include "cli/live/said.h"

struct live;

/* `status` is what sluice_status gives as JSON. NULL when memory is short or the run has more steps
 * than a tree is drawn of: there is no tree then. */
struct live *live_new(struct str status);
void live_free(struct live *live); /* accepts NULL */

/* How long a step usually takes, in ms. Unknown steps are ignored. */
void live_expect(struct live *live, struct str step, int64_t usual_ms);

/* An event of the run. `now_ns` is boot time. */
void live_event(struct live *live, const struct said *said, int64_t now_ns);

/* Append the frame: at most `rows` lines, none wider than `columns`, each ended by a newline. The
 * number of columns that line i takes goes to widths[i]; `widths` has room for `rows`. Answers the
 * number of lines. */
unsigned live_draw(const struct live *live, int64_t now_ns, unsigned rows, unsigned columns,
		   unsigned *widths, struct buf *out);

#endif
