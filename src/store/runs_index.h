/* runs_index.h - <state>/runs.jsonl: a line at every end of a run, for history and for system D's
 * tools.
 *
 * A projection: everything in it follows from event logs, so nothing is synced and a caller treats
 * a failure as `projection.failed`. Lines are JSON with a blank after `,` and `:`, nulls written,
 * non-ASCII kept, members in the order of struct run_record. A run that ends more than once
 * (resume, rollback) has more than one line: the last one of an id wins. */
#ifndef STORE_RUNS_INDEX_H
#define STORE_RUNS_INDEX_H

#include "sys/vfs.h"

#define RUNS_INDEX_FILE "runs.jsonl"

struct run_record {
	struct str run_id;
	int64_t started_ms;        /* UTC */
	int64_t ended_ms;          /* UTC */
	struct str result;         /* "success", "failed" or "stopped" */
	struct str failure_reason; /* ptr NULL = null */
	const struct str *stages_executed;
	size_t stages_executed_count;
	const struct str *stages_failed;
	size_t stages_failed_count;
	uint64_t retry_count;
	/* metadata */
	struct str pipeline;
	struct str outcome; /* as in run.completed; ptr NULL = null */
	struct str trigger; /* who or what started it; ptr NULL = null */
	/* only of records that were read */
	struct str line; /* as it stands in the file, without its newline */
};

/* Append the record as a line. */
void runs_index_encode(const struct run_record *record, struct buf *out);

/* Append one line with one write. It starts on a line of its own whatever an earlier writer left.
 * The file is locked meanwhile, so that no line goes into one that is just being replaced; a lock
 * that somebody holds for longer than some seconds is LOCKED. */
MUST_CHECK enum err_code runs_index_append(const struct vfs *vfs, const char *home,
					   const struct run_record *record, struct err *err);

/* The record is borrowed for the call; an error ends the reading with its code. */
typedef enum err_code runs_index_visit_fn(void *arg, const struct run_record *record,
					  struct err *err);

/* Visit the last record of every id, in the order of their lines. Lines that are not such a record
 * are passed over, unknown members too; a time without a zone is taken as UTC. A missing file is
 * empty. */
MUST_CHECK enum err_code runs_index_read(const struct vfs *vfs, const char *home,
					 runs_index_visit_fn *visit, void *arg, struct err *err);

/* How the file is before a caller makes its content anew. */
struct runs_index_mark {
	uint64_t inode; /* 0 = there is none */
	uint64_t size_bytes;
};
MUST_CHECK enum err_code runs_index_look(const struct vfs *vfs, const char *home,
					 struct runs_index_mark *ret_mark, struct err *err);

/* Put `lines` in the place of what the file held at the time of `mark`, atomically and durably;
 * what runs appended since then stays behind them. *ret_later says how many bytes that was. LOCKED
 * as above. */
MUST_CHECK enum err_code runs_index_replace(const struct vfs *vfs, const char *home,
					    const struct runs_index_mark *mark, struct str lines,
					    uint64_t *ret_later, struct err *err);

#endif
