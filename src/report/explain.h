/* explain.h - what an error number of a pipeline file means, at length. */
#ifndef REPORT_EXPLAIN_H
#define REPORT_EXPLAIN_H

#include "base/buf.h"

/* `code` as printed ("SLU031"; case does not matter, the number alone will do). NOT_FOUND when
 * there is no such number. */
MUST_CHECK enum err_code explain_code(struct str code, struct buf *out, struct err *err);

/* Append `text` broken at blanks into lines of at most `columns`, each after `indent`. */
void text_wrap(struct buf *out, struct str text, const char *indent, size_t columns);

#endif
