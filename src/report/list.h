/* list.h - many runs: rows that are filtered, sorted, laid out.
 *
 * The JSON forms are system D's record with `state` and `duration_ms` added; nulls are written. */
#ifndef REPORT_LIST_H
#define REPORT_LIST_H

#include "rundir/fold.h"

struct list_row {
	struct str run_id;
	struct str pipeline;       /* ptr NULL = not known */
	struct str state;          /* of the run; "interrupted" when it lives and nobody owns it,
				    * "corrupt", "removed" when only its record is left */
	struct str result;         /* success, failed, stopped; ptr NULL while it goes on */
	struct str outcome;        /* ptr NULL while it goes on */
	struct str failure_reason; /* ptr NULL = none */
	struct str executed;       /* JSON list of step ids */
	struct str failed;         /* JSON list of step ids */
	struct str trigger;        /* ptr NULL = not known */
	int64_t started_ms;        /* UTC */
	int64_t ended_ms;          /* UTC; 0 while it goes on */
	uint64_t retries;
};

struct list_rows {
	struct arena arena; /* owns the texts */
	struct list_row *items;
	size_t count, capacity;
	size_t matched; /* by list_select, before the cut to `limit` */
};

/* Frees the rows and their texts; a zeroed list is empty and ready. */
void list_rows_fini(struct list_rows *rows);

/* Add a copy of the row. */
MUST_CHECK enum err_code list_add(struct list_rows *rows, const struct list_row *row,
				  struct err *err);

struct list_filter {
	struct str result;   /* ptr NULL = all; success partial failed stopped active blocked */
	struct str state;    /* ptr NULL = all */
	struct str pipeline; /* ptr NULL = all */
	int64_t since_ms;    /* UTC of the start; 0 = all */
	size_t limit;        /* rows to keep */
};

/* Is it a result that can be filtered by? USAGE with the ones that can. */
MUST_CHECK enum err_code list_check_result(struct str result, struct err *err);
/* Is it a state that a row can have? USAGE with the ones that can. */
MUST_CHECK enum err_code list_check_state(struct str state, struct err *err);
/* Keep what matches, newest start first. */
void list_select(struct list_rows *rows, const struct list_filter *filter);

/* `columns`: of the terminal, no line is wider if that can be; 0 = as wide as it takes. */
void list_table(const struct list_rows *rows, size_t columns, struct buf *out);
void list_json(const struct list_rows *rows,
	       struct buf *out); /* {"runs":[...],"total","matched"} */
void list_jsonl(const struct list_rows *rows, struct buf *out); /* a record a line */
void list_csv(const struct list_rows *rows, struct buf *out);   /* RFC 4180, with a heading */

#endif
