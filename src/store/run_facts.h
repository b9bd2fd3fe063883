/* run_facts.h - what a run came to, in numbers and words: the fold of its log as a row of history.
 *
 * The one place where a run becomes a record: runs.jsonl, the history database and the answers that
 * do without it all take it from here, so they cannot differ. */
#ifndef STORE_RUN_FACTS_H
#define STORE_RUN_FACTS_H

#include "rundir/fold.h"

/* A run. Texts are borrowed from whoever gave the row; ptr NULL = not known, or none. */
struct run_row {
	struct str run_id; /* the name of its directory */
	struct str pipeline;
	struct str version;
	struct str partition;
	struct str state;          /* of the run; "interrupted": it lives and nobody owns it;
				    * "corrupt": its log or its definition is damaged */
	struct str result;         /* success, failed, stopped; NULL while it goes on */
	struct str outcome;        /* as in run.completed; NULL while it goes on */
	struct str failure_reason; /* NULL = none */
	struct str trigger;        /* manual, schedule, api */
	struct str executed;       /* JSON list: steps that were started */
	struct str failed;         /* JSON list: steps that failed in the end */
	struct str params;         /* JSON object, secrets as {"secret":name} */
	struct str definition_hash;
	struct str receipt;  /* the last h */
	int64_t started_ms;  /* UTC; 0 = not known */
	int64_t ended_ms;    /* UTC; 0 while it goes on */
	int64_t duration_ms; /* of run.completed; -1 while it goes on */
	uint64_t retries;
	uint64_t warnings;
	uint64_t gate_failures; /* gate.failed in its log, soft ones too */
	bool is_live;           /* neither ended nor blocked: it has an owner, or was interrupted */
	bool is_settled;        /* succeeded or rolled back: nothing can change it any more */
};

/* A step of a run, in the order of the file. */
struct step_row {
	struct str step_id;
	struct str state;
	struct str error_class; /* of its last failure, when it failed */
	struct str skip_reason; /* when it was skipped */
	struct str reason;
	struct str outputs_hash; /* of its last success */
	struct str cached_from;  /* of its last success */
	uint32_t position;       /* in the file, from 0 */
	uint32_t attempts;
	uint32_t retries;
	int64_t started_ms;  /* of its last attempt; 0 = never */
	int64_t ended_ms;    /* of its last attempt; 0 = never or not yet */
	int64_t duration_ms; /* of all attempts that ended, without the waits between them */
};

struct run_facts {
	struct arena arena; /* owns the texts */
	struct run_row run;
	struct step_row *steps;
	size_t steps_count;
	bool is_owned;        /* a live process holds run.lock */
	struct str last_step; /* the newest that succeeded; ptr NULL = none */
	int64_t last_step_ms; /* when */
	struct str context;   /* JSON: parameters, and outputs as far as they fit */
	struct err problem;   /* CORRUPT: why; else OK */
};

/* Called for every event of the good part of the log; may be NULL. */
typedef enum err_code run_event_fn(void *arg, const struct event *event, struct err *err);

/* Read the run in the directory `path` (absolute), whose name is its id. A run that cannot be read,
 * or is damaged, is a row too: state "corrupt", with what is known of it. NOT_FOUND: it is no run;
 * MEMORY, and what `visit` answered. */
MUST_CHECK enum err_code run_facts_read(const struct vfs *vfs, const char *path,
					const struct limits *limits, run_event_fn *visit, void *arg,
					struct run_facts *ret_facts, struct err *err);
void run_facts_fini(struct run_facts *facts);

/* The error class of an attempt that failed, or that is followed by a retry; ptr NULL for other
 * events. */
struct str run_event_class(const struct event *event);

/* S12: partial and rolled_back are failed; ptr NULL for a run that has not ended. */
struct str result_of_outcome(enum run_outcome outcome);

#endif
