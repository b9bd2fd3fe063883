/* phrase.h - what an event line says, as one line for people. */
#ifndef CLI_LIVE_PHRASE_H
#define CLI_LIVE_PHRASE_H

#include "cli/live/said.h"

/* Append the line of an event, with its newline; false when it has none. `is_live`: a live tree is
 * on the screen, so only what it does not keep is said. */
bool phrase_put(struct buf *out, const struct said *said, bool is_live);

#endif
