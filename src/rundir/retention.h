/* retention.h - which runs may go, and how they go without harm to any other (S12).
 *
 * A run that ended long enough ago is renamed into <home>/trash first and removed there: whenever
 * this is cut short a run is whole or gone, and the next time ends what was begun. Nothing is
 * reached by a path made of a run's name: home is opened once, everything else beneath it. A run
 * that somebody owns, that is blocked or could go on, whose log is damaged or newer than this
 * program, or whose directory holds what no run directory does, stays, and is told of. runs.jsonl
 * is not touched: what is removed keeps its line of history. */
#ifndef RUNDIR_RETENTION_H
#define RUNDIR_RETENTION_H

#include "rundir/rundir.h"
#include "sys/removal.h"

#define RETENTION_TRASH "trash"
#define RETENTION_LOCK  "gc.lock"

struct retention_ask {
	const char *home; /* absolute */
	const struct limits *limits;
	int64_t now_ms;        /* UTC */
	int64_t older_than_ms; /* since the last event; -1 = whatever the age */
	uint64_t keep; /* the newest ended runs of each pipeline that stay; 0 = none for this */
	struct str outcome;  /* only runs that ended so; ptr NULL = all */
	struct str pipeline; /* only runs of it; ptr NULL = all */
	bool takes_damaged;  /* runs whose log is damaged too */
	bool is_dry;         /* only tell; nothing is written */
};

enum retention_verdict {
	RETENTION_REMOVED, /* or would be, when dry */
	RETENTION_KEPT,    /* old enough, but it must stay */
	RETENTION_REFUSED, /* its directory is not what a run directory is, or it could not be
			      removed */
};

enum retention_kind {
	RETENTION_RUN,
	RETENTION_BIRTH, /* of a run that was never born: the rest of a start that was cut short */
	RETENTION_REST,  /* of a removal that was cut short */
};

struct retention_row {
	enum retention_kind kind;
	enum retention_verdict verdict;
	struct str name;      /* of the directory: the run id */
	struct str pipeline;  /* ptr NULL = not known */
	struct str outcome;   /* or state; ptr NULL = not known */
	struct str partition; /* ptr NULL = none */
	struct str key;       /* its idempotency key; ptr NULL = none */
	int64_t ended_ms;     /* UTC of the last event; 0 = not known */
	struct removal_sum sum;
	const char *why; /* KEPT and REFUSED; NULL otherwise */
};

/* Told of each run that was old enough, and of leftovers; borrowed for the call. */
typedef enum err_code retention_visit_fn(void *arg, const struct retention_row *row,
					 struct err *err);

/* Remove what the ask names. A home that is not there is empty. A keeper with nothing left to do
 * needs some milliseconds to go, and is waited for: up to 2 s in all. LOCKED while another one
 * removes, REFUSED when home's runs are not this user's alone; IO, MEMORY, and what `visit`
 * answered. */
MUST_CHECK enum err_code retention_apply(const struct vfs *vfs, const struct retention_ask *ask,
					 retention_visit_fn *visit, void *arg, struct err *err);

#endif
