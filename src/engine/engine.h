/* engine.h - one run, owned by this process: the tick that turns what arrives into durable events
 * and durable events into effects.
 *
 * A tick, in order (the numbers are those in engine.c):
 *   1 now         the clocks are read once
 *   2 collect     reports of the executor and requests of people become inputs
 *   3 timers      what is due becomes inputs
 *   4 decide      decide_input and decide_next alternate with apply, in memory
 *   5 commit      the events of the tick: one append, one sync, the published head
 *   6 effects     only now: starts, cancels, timers
 *   7 answers     only now: people who asked, observers
 *   8 reset       the memory of the tick is forgotten
 *
 * When the commit fails, the state is thrown away.
 *
 * Clock, files and executor come in through ports, so that the simulator runs this same engine. One
 * thread; nothing here blocks but the disk, the executor's recover() and expressions (bounded). */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/limit.h"
#include "core/decide.h"
#include "core/exec.h"
#include "core/select.h"
#include "log/log.h"
#include "rundir/rundir.h"
#include "sys/clock.h"

struct engine;

/* What the engine needs of the world. All borrowed for the engine's life. */
struct engine_ports {
	const struct vfs *vfs;
	const struct clock *clock;
	/* This boot's id, as text. */
	struct str boot_id;
	/* Open the executor of commands for a run that is durable up to `epoch`. */
	enum err_code (*open_exec)(void *arg, const struct rundir *dir, uint64_t epoch,
				   struct exec *ret_exec, struct err *err);
	/* Does this program have what `step` of the model needs of it: the function of a `call`, a
	 * kind of step, an executor? Asked at start and resume, before anything is written, of each
	 * step that may run, and of STEP_NONE when a compensation may: that is a command. REFUSED
	 * if not. NULL: it has nothing of its own. */
	enum err_code (*accept)(void *arg, const struct model *model, uint32_t step,
				struct err *err);
	/* A dry run: may the program's function or kind of this step be called in it? Asked after
	 * `accept`. NULL: nothing may. */
	bool (*is_dry_run_safe)(void *arg, uint32_t step);
	void *arg;
	bool is_dry; /* a dry run (S14): vfs and executor leave no trace; what may not be called is
			mocked */
	const char *home; /* the state directory: where runs are born, and runs.jsonl is */
	char *const *env; /* the environment that commands inherit from (allow-listed) */
	const struct limits *limits;
};

/* Told of each durable line, in order. */
typedef void engine_line_fn(void *arg, struct str line);

struct engine_observer {
	engine_line_fn *on_line; /* may be NULL */
	void *arg;
};

struct engine_start {
	const struct model
	    *model;        /* borrowed for the call: what runs is read back from its frozen form */
	struct str source; /* the file as written */
	struct str file;   /* its path, absolute; may be empty */
	struct str run_id;
	struct str reason;        /* may be empty */
	const struct str *params; /* model->params_count, JSON; ptr NULL = absent */
	uint64_t seed;
	struct str trace_id;    /* 32 hex digits */
	struct str traceparent; /* of the same trace: in which it is started (core/trace.h); may be
				   empty */
	struct selection selection; /* which steps; nothing in it = all */
	struct str
	    given; /* outputs of steps that are not executed, by step: see given.h; may be empty */
	struct str partition; /* may be empty */
	struct str key;       /* the idempotency key; may be empty */
	struct engine_observer observer;
};

/* Create a run: durable when it returns. REFUSED when a secret cannot be read. */
MUST_CHECK enum err_code engine_start(const struct engine_ports *ports,
				      const struct engine_start *start, struct engine **ret_engine,
				      struct err *err);

struct engine_resume {
	const char *path;            /* of the run directory */
	struct decide_resume resume; /* boot_id and definition_hash are filled in here */
	const struct str *params;    /* "name=value" overrides, converted here */
	size_t params_count;
	uint32_t max_parallel; /* 0 = as frozen */
	const struct model
	    *definition;     /* to go on by (S9.3), borrowed for the call; NULL = the frozen one */
	struct str source;   /* its text as written */
	struct str file;     /* and its path, absolute; may be empty */
	bool accept_changes; /* also when it is another one; else REFUSED then */
	struct engine_observer observer;
};

enum engine_resumed {
	ENGINE_RESUMED,   /* go on ticking */
	ENGINE_NOTHING,   /* succeeded already: nothing was written */
	ENGINE_UNDECIDED, /* blocked and nobody has decided: nothing was written */
};

/* Take the lock, verify, repair, fold, and go on. Executors have answered for every open attempt
 * when it returns RESUMED. *ret_engine is set only then. */
MUST_CHECK enum err_code engine_resume(const struct engine_ports *ports,
				       const struct engine_resume *resume,
				       enum engine_resumed *ret_resumed, struct engine **ret_engine,
				       struct err *err);

struct engine_rollback {
	const char *path;            /* of the run directory */
	struct decide_person person; /* who wants it, and why */
	struct engine_observer observer;
};

/* Take a run over and undo what succeeded in it (S10): as engine_resume, but nothing runs forward
 * any more. A rollback that was cut short goes on. REFUSED when its state does not allow one. */
MUST_CHECK enum err_code engine_rollback(const struct engine_ports *ports,
					 const struct engine_rollback *rollback,
					 struct engine **ret_engine, struct err *err);

/* Open for one decision of a person on a run that nobody owns (S5.6): lock, verify, fold. Then
 * engine_ask and one tick; no effects are performed. */
MUST_CHECK enum err_code engine_open_idle(const struct engine_ports *ports, const char *path,
					  struct engine **ret_engine, struct err *err);

/* Lets go of the lock; attempts that run stay with their executor. Accepts NULL. */
void engine_free(struct engine *engine);
void engine_drop(struct engine **engine);

/* One tick. An error is HALT for the run: every later tick has the same one, and does nothing. */
MUST_CHECK enum err_code engine_tick(struct engine *engine, struct err *err);

/* How long until the next tick has something to do by itself, in ns: 0 at once, -1 never (only the
 * executor's descriptor or a request can wake it). */
int64_t engine_wait_ns(const struct engine *engine);
/* The executor's descriptor, -1 if none. */
int engine_exec_fd(const struct engine *engine);
/* The run rests (ended, or blocked): nothing will happen without a person. */
bool engine_is_over(const struct engine *engine);

/* A request of a person: decided in the next tick, answered when durable. */
enum engine_ask_kind { ENGINE_ASK_STOP, ENGINE_ASK_APPROVE, ENGINE_ASK_REJECT };
typedef void engine_answer_fn(void *arg, const struct err *err); /* err->code OK = durable */

struct engine_ask {
	enum engine_ask_kind kind;
	struct str step;             /* approve, reject */
	struct decide_person person; /* name empty on a stop by signal: the actor is the runner */
	bool now;                    /* stop */
	engine_answer_fn *answer;    /* may be NULL; called from engine_tick */
	void *arg;
};
/* Copies the texts. NOT_FOUND for an unknown step, MEMORY. */
MUST_CHECK enum err_code engine_ask(struct engine *engine, const struct engine_ask *ask,
				    struct err *err);

/* From now on this one is told. */
void engine_observe(struct engine *engine, struct engine_observer observer);
const struct run_state *engine_state(const struct engine *engine);
const struct rundir *engine_dir(const struct engine *engine);
const struct log_head *engine_head(const struct engine *engine);

#endif
