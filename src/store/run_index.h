/* run_index.h - <state>/sluice.db: the history of all runs in an SQLite database.
 *
 * A projection: each row follows from the log of its run alone, so the file may be deleted at any
 * time. run_index_open makes it when it is not there. One that is damaged, of another version or
 * with other tables is CORRUPT, as are rows that no run can have: run_index_discard puts it aside
 * as `sluice.db.damaged`, and the next open begins anew.
 *
 * run_index_update brings it up to date, and run_index_list what it shows. New and vanished runs
 * are told by the directory `runs` itself (its time of change, then its names and their inodes); a
 * log that has changed by its inode, size and time of change; runs that somebody owns are always
 * read. A file that changed within the last two seconds is not trusted yet, because the file
 * system's clock may stand still for as long. All of it happens inside write transactions, so two
 * processes cannot undo each other's work, and a kill leaves what was committed.
 *
 * Tables: `runs` and `steps`, ours; `core_workflow_checkpoints` and `core_workflow_events`, in the
 * columns of system B. Steps and events are there for runs that nobody owned when they were read.
 *
 * Errors: those of sqlite.h. A caller that gets CORRUPT may call run_index_discard and open again;
 * whatever the error, the logs can be read instead. */
#ifndef STORE_RUN_INDEX_H
#define STORE_RUN_INDEX_H

#include "store/run_facts.h"
#include "sys/clock.h"

#define RUN_INDEX_FILE "sluice.db"

struct run_index;

/* Open the database of the state directory `home`, which must exist; for reading only when
 * `read_only` (NOT_FOUND when it is not there). `limits` and `clock` are borrowed. */
MUST_CHECK enum err_code run_index_open(const char *home, const struct limits *limits,
					const struct clock *clock, bool read_only,
					struct run_index **ret_index, struct err *err);
void run_index_close(struct run_index *index);
void run_index_drop(struct run_index **index); /* for AUTO() */
/* Put the file aside, for the next open to begin anew. */
MUST_CHECK enum err_code run_index_discard(const char *home, struct err *err);

/* Whose logs are looked at for changes; each one's are the next one's, too. */
enum index_scope {
	INDEX_NONE, /* nothing is brought up to date */
	INDEX_NEW,  /* of runs whose log could not be read: when they began is not known */
	INDEX_OPEN, /* of all that can still go on: for questions that name a result or a state */
	INDEX_ALL,
};

/* Read the runs that are new, and those in that scope that have changed. */
MUST_CHECK enum err_code run_index_update(struct run_index *index, enum index_scope scope,
					  struct err *err);
/* Forget every run, for the next update to read them all. */
MUST_CHECK enum err_code run_index_clear(struct run_index *index, struct err *err);
/* How many runs the last updates of this handle read. */
size_t run_index_reads(const struct run_index *index);

struct run_filter {
	struct str run_id;   /* ptr NULL = all */
	struct str result;   /* ptr NULL = all; success partial failed stopped active blocked */
	struct str state;    /* ptr NULL = all; as in struct run_row */
	struct str pipeline; /* ptr NULL = all */
	int64_t since_ms;    /* UTC of the start; 0 = all */
	size_t limit;        /* rows to visit; 0 = all */
};

typedef enum err_code run_row_fn(void *arg, const struct run_row *row, struct err *err);

/* Visit the runs that match, newest start first; *ret_matched says how many match in all. Logs of
 * the rows that are to be shown and were not in the scope of the update are looked at first, and
 * read again when they differ. */
MUST_CHECK enum err_code run_index_list(struct run_index *index, const struct run_filter *filter,
					run_row_fn *visit, void *arg, size_t *ret_matched,
					struct err *err);

typedef enum err_code step_row_fn(void *arg, struct str pipeline, const struct step_row *step,
				  struct err *err);
/* How many attempts of a pipeline's runs failed, or were followed by a retry, with that class. */
typedef enum err_code class_count_fn(void *arg, struct str pipeline, bool is_retry,
				     struct str error_class, uint64_t count, struct err *err);

/* Visit the steps, and the classes of failures, of the runs that ended and match `pipeline` and
 * `since_ms`; in no order. */
MUST_CHECK enum err_code run_index_steps(struct run_index *index, const struct run_filter *filter,
					 step_row_fn *visit, void *arg, struct err *err);
MUST_CHECK enum err_code run_index_classes(struct run_index *index, const struct run_filter *filter,
					   class_count_fn *visit, void *arg, struct err *err);

typedef enum err_code step_time_fn(void *arg, struct str step_id, int64_t duration_ms,
				   struct err *err);
/* Visit the durations of the steps of the newest `runs` successful runs of a pipeline, and of the
 * runs themselves (step_id ptr NULL). The database is not brought up to date first. */
MUST_CHECK enum err_code run_index_times(struct run_index *index, struct str pipeline, size_t runs,
					 step_time_fn *visit, void *arg, struct err *err);

#endif
