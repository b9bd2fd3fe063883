/* mend.h - lines of an event log whose numbers and chain are set right, and changes of whole lines
 */
#ifndef FUZZ_MEND_H
#define FUZZ_MEND_H

#include "base/buf.h"

#define MEND_H_BYTES 16

/* Append the lines of `text` with `event_id` counted from 1 and the chain that follows from them.
 * Of the last one only if it ends with a newline; else its bytes are appended as they are. A line
 * that does not begin with `{"event_id":"` keeps its number. *h: that of the last whole line. */
void mend(struct str text, struct str run_id, struct buf *out, char h[MEND_H_BYTES + 1]);

#endif
