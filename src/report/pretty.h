/* pretty.h - JSON for answers: members one after the other, and the same text indented for people.
 *
 * Reports build compact JSON in a buf with field_*; pretty_json lays it out. */
#ifndef REPORT_PRETTY_H
#define REPORT_PRETTY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Append `"name":value`, with a comma before it unless it is the first of its object. */
void field_str(struct buf *out, const char *name, struct str value); /* ptr NULL = null */
void field_raw(struct buf *out, const char *name, struct str json);  /* ptr NULL = null */
void field_i64(struct buf *out, const char *name, int64_t value);
void field_known(struct buf *out, const char *name, int64_t value); /* below 0 = null */
void field_bool(struct buf *out, const char *name, bool value);
void field_null(struct buf *out, const char *name);
void field_stamp(struct buf *out, const char *name, int64_t utc_ms); /* 0 = null */
/* Begin a list or object as a member; the caller closes it with a byte. */
void field_open(struct buf *out, const char *name, char bracket);
/* Append a comma unless the list or object at hand is empty. */
void field_comma(struct buf *out);

/* Append checked compact JSON, two blanks a level, `[]` and `{}` for what is empty, no newline at
 * its end (the form of Python's json.dumps(..., indent=2)). */
void pretty_json(struct buf *out, struct str compact);
/* A whole answer: the same of `json`, and a newline. A failure of `json` becomes one of `out`
 * (buf_check). */
void pretty_answer(struct buf *out, const struct buf *json);

#endif
