/* writing.h - definitions given as C structs, written as the pipeline language.
 *
 * Appends JSON that lang/ reads back: no meaning is judged here, only what cannot be written (a
 * text that is not UTF-8, a list without an end, malformed JSON). One definition is one line, so
 * that a line of a diagnostic is a step. */
#ifndef API_WRITING_H
#define API_WRITING_H

#include "base/buf.h"
#include "sluice/sluice.h"

/* Entries of one list in a definition: more of them means that its end is missing. */
#define WRITING_LIST_MAX 65536

/* Append `"name":"text"`. USAGE when the text is not UTF-8. */
MUST_CHECK enum err_code writing_text(struct buf *out, const char *name, const char *text,
				      struct err *err);
/* Append `"name":<json>`, the value in canonical form without blanks. USAGE when it is not JSON. */
MUST_CHECK enum err_code writing_json(struct buf *out, const char *name, const char *json,
				      struct err *err);
/* Append the mapping of a step, without its name; `call_name` is written as its `call`, NULL when
 * it is given no function. Appends nothing on failure. */
MUST_CHECK enum err_code writing_step(struct buf *out, const struct sluice_step_def *step,
				      const char *call_name, struct err *err);
/* Append the mapping of a parameter, without its name. Appends nothing on failure. */
MUST_CHECK enum err_code writing_param(struct buf *out, const struct sluice_param_def *param,
				       struct err *err);

#endif
