/* csv.h - comma separated values, as RFC 4180 has them. */
#ifndef REPORT_CSV_H
#define REPORT_CSV_H

#include "base/buf.h"

/* Append a text, quoted when it has to be, and the byte after it: ',' or '\n'. */
void csv_cell(struct buf *out, struct str text, char after);
/* The same for a number. */
void csv_number(struct buf *out, int64_t number, char after);
/* A time as RFC 3339, empty for 0. */
void csv_stamp(struct buf *out, int64_t utc_ms, char after);

#endif
