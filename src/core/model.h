/* model.h - a pipeline, resolved: what lang/ makes of a file and what a run freezes.
 *
 * Every default is filled in, every name is an index, every unit is a number. Immutable once built;
 * one arena owns it all. Steps are in the order of the file; an index into `steps` is a step's
 * name inside the program. */
#ifndef CORE_MODEL_H
#define CORE_MODEL_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "core/quality.h"
#include "core/resource.h"

#include <stdbool.h>
#include <stdint.h>

#define STEP_NONE UINT32_MAX

enum step_kind {
	STEP_KIND_NOOP,
	STEP_KIND_RUN,
	STEP_KIND_ARGV,
	STEP_KIND_CALL,   /* a function of the program that runs the pipeline */
	STEP_KIND_CUSTOM, /* a kind of step that the program has registered */
};
enum gate_kind { GATE_NONE, GATE_HARD, GATE_SOFT, GATE_MANUAL };
enum on_failure {
	ON_FAILURE_STOP,
	ON_FAILURE_SKIP_DOWNSTREAM,
	ON_FAILURE_CONTINUE,
	ON_FAILURE_IGNORE,
	ON_FAILURE_COMPENSATE
};
enum on_lost { ON_LOST_FAIL, ON_LOST_RERUN, ON_LOST_ASK };
enum on_stop { ON_STOP_WAIT, ON_STOP_CANCEL };
enum backoff { BACKOFF_EXPONENTIAL, BACKOFF_LINEAR, BACKOFF_CONSTANT };
enum sync_kind { SYNC_ALWAYS, SYNC_INTERVAL, SYNC_NEVER };

enum value_type {
	VALUE_STRING,
	VALUE_INT,
	VALUE_NUMBER,
	VALUE_BOOL,
	VALUE_ENUM,
	VALUE_PATH,
	VALUE_DURATION,
	VALUE_SIZE,
	VALUE_LIST,
	VALUE_OBJECT,
	VALUE_SECRET,
};

enum error_class {
#define CLASS(name, text, retry, cause) CLASS_##name,
#include "core/error_class.def"
	CLASS_COUNT
};

/* A text that may hold `${expression}` parts. */
struct tmpl {
	struct str text; /* as written; ptr NULL = not given */
	bool is_dynamic; /* has at least one ${} */
};

struct retry {
	uint32_t max_attempts; /* counts all, at least 1 */
	uint32_t classes;      /* set of enum error_class that are retried */
	enum backoff backoff;
	int64_t initial_ns;
	int64_t max_ns; /* 0 = no cap */
	double multiplier;
	double jitter; /* share of the delay, 0.1 = 10 % */
};

struct approval {
	struct str *by; /* who may; empty = anybody with a name */
	uint32_t by_count;
	uint32_t count;     /* how many distinct names are needed, at least 1 */
	int64_t timeout_ns; /* 0 = none; at its end the gate counts as rejected */
};

struct env_entry {
	struct str name;
	struct tmpl value;
	bool from_env; /* {from: env}: let this variable of the engine's environment in */
};

struct output {
	struct str name;
	enum value_type type;
	bool is_required;
};

struct artifact {
	struct str name;
	struct tmpl path;
};

struct exit_class {
	int exit_code;
	enum error_class class;
};

/* What a command needs beyond its step; NULL on a step of another kind. */
struct command {
	struct str text;   /* `run`: the shell's text */
	struct str *shell; /* `run`: e.g. bash -euo pipefail -c */
	uint32_t shell_count;
	struct tmpl *argv; /* `argv` */
	uint32_t argv_count;
	struct env_entry *env; /* of the step; the pipeline's comes before it */
	uint32_t env_count;
	struct tmpl cwd;    /* relative to the pipeline's folder */
	int64_t timeout_ns; /* of an attempt, 0 = none */
	int64_t silence_ns; /* without output, 0 = none */
	int64_t grace_ns;   /* between TERM and KILL */
	uint64_t output_limit_bytes;
	struct exit_class *exit_classes;
	uint32_t exit_class_count;
	struct str executor;    /* a registered one carries it out; ptr NULL = local, the keeper */
	struct str resources;   /* JSON object for that executor; ptr NULL = none */
	struct tmpl stdin_path; /* from the cwd; ptr NULL = none */
	struct tmpl stdin_text; /* ptr NULL = none */
	struct str user;        /* it runs as; ptr NULL = as sluice does */
	struct resource_limit *limits; /* at most one of a kind */
	uint32_t limits_count;
	bool has_context;    /* SLUICE_CONTEXT */
	bool splits_streams; /* stdout and stderr go to files of their own */
	bool allows_orphans; /* what it leaves behind may live on */
};

/* What a step needs that is carried out in the process of the engine: `call`, and kinds of steps
 * that the program has registered; NULL on a step of another kind. */
struct call_def {
	struct str name;   /* of the registered function or kind */
	struct str config; /* custom kinds: JSON, texts in it may hold `${}`; ptr NULL for `call` */
	bool is_dynamic;   /* some text in `config` does */
	int64_t timeout_ns;          /* of an attempt, 0 = none */
	uint64_t output_limit_bytes; /* of what it prints */
};

/* There may be a million of them: pointers first, then what is smaller, so that nothing is lost
 * between. */
struct step {
	struct str id;
	struct str when;    /* bare expression; ptr NULL = none */
	struct str pass;    /* bare expression; ptr NULL = none */
	struct tmpl reason; /* why a gate failed */
	struct str description;
	uint32_t *needs;                      /* steps that must have succeeded */
	uint32_t *needs_any;                  /* steps that must be resolved, one succeeded */
	const struct approval *approval;      /* gate: manual only */
	const struct retry *retry;            /* never NULL */
	const struct command *command;        /* run and argv, else NULL */
	const struct call_def *call;          /* call and custom kinds, else NULL */
	const struct command *compensate;     /* undoes the step (S10); NULL = nothing does */
	const struct retry *compensate_retry; /* of it; NULL when that is */
	const struct quality *quality;        /* NULL = no thresholds */
	struct tmpl *inputs;                  /* paths that must exist */
	struct output *outputs;
	struct artifact *artifacts;
	struct str *tags;
	uint32_t needs_count;
	uint32_t needs_any_count;
	uint32_t inputs_count;
	uint32_t outputs_count;
	uint32_t artifacts_count;
	uint32_t tags_count;
	int32_t priority; /* among ready steps the higher one starts first */
	enum step_kind kind;
	enum gate_kind gate;
	enum on_failure on_failure;
	enum on_lost on_lost;
	enum on_stop on_stop;
	bool needs_implicit; /* `needs` is the step before, because none was written */
	bool is_cached;      /* an earlier success may stand for it */
};

enum secret_from { SECRET_FROM_NONE, SECRET_FROM_ENV, SECRET_FROM_FILE, SECRET_FROM_FD };

struct param {
	struct str name;
	enum value_type type;
	bool is_required;
	struct str fallback; /* default as JSON; ptr NULL = none */
	struct str help;
	bool has_min, has_max;
	double min, max;
	struct str *values; /* enum */
	uint32_t values_count;
	struct str pattern; /* Lua pattern that the whole text must match */
	enum secret_from secret_from;
	struct str secret_name; /* variable, path or fd number */
};

#define CONCURRENCY_MAX 65536

struct model {
	struct arena arena; /* owns everything below */
	/* The definition that a resume put this one in the place of, owned: texts of it are
	 * borrowed for as long as the run is looked at. NULL = none. */
	struct model *older;
	uint32_t format;
	struct str pipeline;
	struct str version;
	struct str description;
	struct tmpl partition; /* which share of the data a run works on; text.ptr NULL = none */
	struct str
	    folder; /* absolute: where relative paths start; recorded in run.created as cwd */
	struct param *params;
	uint32_t params_count;
	struct env_entry *env;
	uint32_t env_count;
	uint32_t concurrency; /* steps at once, 1 to CONCURRENCY_MAX */
	int64_t timeout_ns;   /* of the run, 0 = none */
	enum sync_kind sync;
	int64_t sync_interval_ns;
	bool has_no_checkpoint;
	uint64_t checkpoint_every; /* ends of attempts; 0 = as the engine thinks fit */
	struct step *steps;
	uint32_t steps_count;
	/* The graph, both directions, made by graph_build: who depends on step i (through needs or
	 * needs_any) is dependents[dependents_at[i] .. dependents_at[i + 1]). */
	uint32_t *dependents_at;
	uint32_t *dependents;
	bool *dependent_is_any; /* beside `dependents`: the edge is of needs_any */
	uint32_t *order;        /* a topological order, ties in the order of the file */
	struct map step_index;  /* id -> index */
};

/* Deadline of an attempt of the step in ns, 0 = none; and the bound of what it prints. */
int64_t step_timeout_ns(const struct step *step);
uint64_t step_output_limit_bytes(const struct step *step);

/* NULL when memory is short. */
struct model *model_new(void);
/* With all that are older. */
void model_free(struct model *model);
void model_drop(struct model **model);
/* `next` takes the place of `old` in a run (S9.3) and owns it from now on. What was settled at the
 * birth stays: where relative paths start, and how the log is synced. */
void model_replace(struct model *next, struct model *old);
/* STEP_NONE if there is no such step. */
uint32_t model_find(const struct model *model, struct str id);
/* The same where steps mostly come in the order of the file: looked for at *likely before it is
 * looked up by its hash, which costs two looks at memory that nobody has read. Moves *likely, never
 * more than a hint, behind the step. */
uint32_t model_find_near(const struct model *model, struct str id, uint32_t *likely);

/* Names of the enums as they are written in files and logs; *_of gives false for an unknown one. */
const char *value_type_name(enum value_type type);
bool value_type_of(struct str name, enum value_type *ret_type);
const char *error_class_name(enum error_class class);
bool error_class_of(struct str name, enum error_class *ret_class);
const char *gate_kind_name(enum gate_kind gate);
const char *on_failure_name(enum on_failure on_failure);
/* Retried without being listed (transient_io, timeout); may be listed; never. */
bool error_class_retried_by_default(enum error_class class);
bool error_class_may_be_listed(enum error_class class);

#endif
