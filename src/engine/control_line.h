/* control_line.h - the lines of the control socket (control.h): bytes to a request or an answer,
 * and back. Pure: whoever sends them is foreign, also when it is the same user. */
#ifndef ENGINE_CONTROL_LINE_H
#define ENGINE_CONTROL_LINE_H

#include "base/buf.h"
#include "engine/engine.h"

/* Append the request as a line, with its newline. The buffer keeps a failure. */
void control_request_put(struct buf *out, const struct engine_ask *ask);
/* Read a line without its newline: fills in kind, step, name, reason and `now`; who asks is not
 * said in a request. Members that are not known are passed over. Texts point into the line's copy
 * in `texts`, which must be empty. USAGE: not an object, a member of another type, or no such verb;
 * INVALID: not JSON; MEMORY. */
MUST_CHECK enum err_code control_request_read(struct str request, struct buf *texts,
					      struct engine_ask *ask, struct err *err);

/* Append the answer that `answer` is, as a line with its newline. The buffer keeps a failure. */
void control_answer_put(struct buf *out, const struct err *answer);
/* Read one: its own code, text and hint in `err`, OK when the decision is durable. GONE for a code
 * that is not known, INVALID, USAGE: it is no answer. MEMORY. */
MUST_CHECK enum err_code control_answer_read(struct str line, struct err *err);

#endif
