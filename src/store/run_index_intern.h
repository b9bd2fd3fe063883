/* run_index_intern.h - what the files of the history database share. */
#ifndef STORE_RUN_INDEX_INTERN_H
#define STORE_RUN_INDEX_INTERN_H

#include "store/run_index.h"
#include "store/sqlite.h"
#include "sys/mark.h"

/* Statements that are prepared at their first use. */
enum index_query {
	QUERY_RUN_PUT,
	QUERY_STEP_PUT,
	QUERY_EVENT_PUT,
	QUERY_CHECKPOINT_PUT,
	QUERY_RUN_REMOVE,
	QUERY_STEPS_REMOVE,
	QUERY_EVENTS_REMOVE,
	QUERY_CHECKPOINTS_REMOVE,
	QUERY_META_PUT,
	QUERY_COUNT,
};

struct run_index {
	struct sqlite sqlite;
	struct sqlite_query query[QUERY_COUNT];
	const struct limits *limits;
	const struct clock *clock;
	struct buf home; /* absolute */
	int runs;        /* descriptor of `runs`; -1 = there is none */
	size_t reads;
	enum index_scope scope; /* of the last update */
};

/* The statement, rewound. */
MUST_CHECK enum err_code index_query(struct run_index *index, enum index_query which,
				     struct sqlite_query **ret_query, struct err *err);

/* Begin a transaction that may write; end it with index_end. The errors are those of
 * sqlite_exec. */
MUST_CHECK enum err_code index_begin(struct run_index *index, struct err *err);
/* Commit when `code` is OK, else undo. Answers `code`, or what went wrong with the commit. */
MUST_CHECK enum err_code index_end(struct run_index *index, enum err_code code, struct err *err);

/* Read a run and put its rows in the place of those that are there; remove them when there is no
 * such run. Within a transaction. */
MUST_CHECK enum err_code index_read_run(struct run_index *index, struct str run_id,
					uint64_t dir_inode, bool *ret_is_run, struct err *err);
MUST_CHECK enum err_code index_remove_run(struct run_index *index, struct str run_id,
					  struct err *err);

/* The log of a run, as stat(2) sees it; false when there is none. */
bool index_log_mark(const struct run_index *index, struct str run_id, struct mark *ret_mark);

/* What index_has_changed asks of a row, as its first columns. */
#define MARK_COLUMNS "run_id, dir_inode, log_inode, log_bytes, log_changed_ns, is_live"
/* Is the first column an id that a run can have? Else CORRUPT: it becomes part of a path. */
MUST_CHECK enum err_code index_check_id(const struct sqlite_query *row, struct err *err);
/* Is the run to be read again, going by such a row? */
bool index_has_changed(struct run_index *index, const struct sqlite_query *row);

#endif
