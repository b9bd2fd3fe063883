/* made_run.h - a run on disk whose log a test writes, event by event: also such a one as no engine
 * would write. */
#ifndef TEST_SUPPORT_MADE_RUN_H
#define TEST_SUPPORT_MADE_RUN_H

#include "support/temp_dir.h"
#include "support/unit.h"

#include "rundir/rundir.h"

#define MADE_T0_MS INT64_C(1769860800000) /* 2026-01-31T12:00:00Z: of run.created */
#define MADE_BOOT  "8f6f2a52-0001-4000-8000-000000000001"

/* How it is born. */
struct made_birth {
	const char *definition; /* the pipeline file */
	const char *next;       /* another one, for `@next`; NULL = none */
	const char *frozen;     /* in the place of the definition's frozen form; NULL = that */
	const char *selection;  /* JSON; NULL = all steps */
	const char *given;      /* content of the blob that given_ref names; NULL = none */
	const char *folder;     /* where its relative paths start; NULL = the root */
	int64_t later;          /* how much newer its format is than ours */
};

struct made_run {
	struct limits limits;
	struct temp_dir home;
	struct temp_dir run; /* the run directory; its descriptor is that of `dir` */
	struct rundir *dir;
	struct run_lock lock;
	struct log *log;
	int64_t now_ms;                       /* of the next event: each is a second later */
	char hash[SHA256_HEX_BYTES + 1];      /* of the definition */
	char next_hash[SHA256_HEX_BYTES + 1]; /* of the other one; its frozen form is a blob */
	struct err err;
};

/* All of these end the test when something is refused. */
void made_run_open(struct made_run *made, const struct made_birth *birth);
/* Let go of log and lock: the owner is gone. */
void made_run_release(struct made_run *made);
void made_run_close(struct made_run *made);

/* Add events, a line each: type, step and attempt if it is about one, fields as name=value.
 *
 *   "step.succeeded load 0 new_state=succeeded outputs_ref=@{\"rows\":12}"
 *
 * Words are divided by spaces, so values have none. A
 * value @TEXT is the name of a blob with that text, which is put there; @birth and @next are the
 * hashes of the two definitions. ~/NAME is the path of a file in `home`. A word +MS before the
 * fields lets time pass before the event. */
void made_run_tell(struct made_run *made, const char *lines);

/* The definition hash that a text would have. */
void made_run_hash(struct str text, char hex[SHA256_HEX_BYTES + 1]);
/* The model of a pipeline file. */
struct model *made_run_model(const struct limits *limits, const char *definition);

#endif
