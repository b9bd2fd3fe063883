/* engine_intern.h - the engine's own state, shared by the files of this folder; nobody else
 * includes it.
 *
 *   birth.c       start, open, free         prepare.c   a step's condition, inputs, texts
 *   recover.c     resume                    command.c   argv, folder and environment of an attempt
 *   engine.c      the tick                  attempts.c  starts, cancels, reports
 *   commit.c      inputs to durable lines   harvest.c   what an attempt leaves behind
 *   environment.c what a command finds      result.c    the result file
 *   secrets.c     values never stored       history.c   the end in runs.jsonl
 *   undo.c        compensations             drive.c     the loop of a process with one run
 *   control.c     people, by the socket     hosted.c    what the program itself carries out
 *   process.c     what a command reads, who it is
 *   control_line.c  what is said over the socket
 *   change.c      another definition, at a resume */
#ifndef ENGINE_ENGINE_INTERN_H
#define ENGINE_ENGINE_INTERN_H

#include "base/heap.h"
#include "core/apply.h"
#include "core/attempt.h"
#include "core/effect.h"
#include "engine/engine.h"
#include "exec/context.h"
#include "lang/expr.h"
#include "rundir/change.h"
#include "rundir/fold.h"
#include "store/checkpoint.h"
#include "sys/user.h"

/* Commit of a run's log (S11.2, S11.3). */
enum commit_state {
	COMMIT_IDLE,     /* everything that was decided is durable */
	COMMIT_OPEN,     /* events of this tick are in memory, and only there */
	COMMIT_POISONED, /* a write or sync failed: nothing is written any more */
};

struct commit {
	enum commit_state state;
	bool is_unsynced;    /* sync: interval: written, not yet synced */
	int64_t sync_due_ns; /* boot time */
};

struct effect {
	enum effect_kind kind;
	uint32_t step;
};

struct pending_ask {
	struct engine_ask ask; /* texts are owned: see texts */
	struct buf texts;
	bool is_decided; /* its event is in this tick's batch */
	struct err err;
};

struct secrets {
	struct str *values; /* model->params_count; ptr NULL = not a secret */
	struct str *masks;  /* the given ones, for the masking of texts */
	size_t masks_count;
	struct arena arena; /* cleared with explicit_bzero semantics at the end */
};

struct cache;  /* cache.c */
struct cached; /* a success of an earlier run */

/* An attempt that ended without an executor: a noop, or a command that could not be resolved. */
struct own_end {
	uint32_t step;
	bool is_ok;
	bool is_cancelled;           /* not ok: it never began */
	struct err err;              /* not ok, nor cancelled: why */
	const struct cached *cached; /* an earlier success; NULL = none */
};

/* checkpoint.json and audit.jsonl (S9.4): brought up to date at ends, and now and then. */
struct projections {
	struct checkpoint_mark mark;     /* found when the run was taken over */
	char h_at_mark[LOG_H_BYTES + 1]; /* of the log's line of that number; empty = not met */
	uint64_t epoch;                  /* the newest that attempts.log has seen; 0 = none */
	uint64_t audit_seq;              /* of the last entry that is in the file */
	bool is_audit_anew;              /* the file is missing or damaged: made from the start */
	struct buf audit;                /* entries that are not in the file yet */
	uint64_t checked_seq;            /* of the last checkpoint written */
	uint64_t ends;                   /* of attempts since then */
	bool has_checkpoint_failed, has_audit_failed; /* not tried again by this engine */
};

enum timer_kind { TIMER_RETRY = 1, TIMER_WAIT = 2, TIMER_RUN = 3, TIMER_UNDO = 4 };

struct engine {
	struct engine_ports ports;
	struct engine_observer observer;
	struct rundir *dir;
	struct run_lock lock;
	struct log *log;
	struct fold_run fold; /* model and state */
	struct model
	    *next; /* of the run.resumed that is about to be recorded (S9.3); owned, NULL = none */
	struct decider decider;
	struct commit commit;
	struct exec exec;
	struct exec_context *context; /* for functions on threads; NULL when no step needs it */
	size_t context_updates;       /* of the state, published so far */
	struct expr *expr;            /* made at the first expression */
	struct secrets secrets;
	struct buf outputs_text; /* what the log has by reference only, for the live fold */
	struct buf updates_text;

	struct event *events;   /* DECIDE_EVENTS_MAX, for decide_input */
	struct effect *effects; /* of this tick */
	size_t effects_count, effects_capacity;
	struct heap timers;           /* boot time; id: kind, attempt, step */
	enum attempt_state *attempts; /* by step */
	enum attempt_state undo;      /* of the compensation that runs */
	bool has_undo_end;    /* it could not be made a command: to be told in the next tick */
	struct err undo_end;  /* why */
	uint32_t likely;      /* step of the next report: see model_find_near */
	struct own_end *done; /* to be told in the next tick */
	size_t done_count, done_capacity;
	struct pending_ask *asks;
	size_t asks_count, asks_capacity;
	struct buf lines;  /* of this tick, for the observer */
	struct arena tick; /* reset at the end of each tick */
	struct arena life; /* for as long as the engine lives */
	struct projections projections;
	char **inherited;       /* what commands get of the engine's own environment */
	struct cache *cache;    /* made at the first step with `cache: true` */
	int64_t now_ms, now_ns; /* of this tick */
	int64_t deadline_ns;    /* of the run, boot time; 0 = none */
	struct err halt;        /* why no tick is done any more */
	bool has_dirs;          /* logs/ and out/ exist */
	bool is_idle;           /* opened for one decision: no effects */
	bool is_recorded;       /* the end is in runs.jsonl */
	bool has_more;          /* the next tick has something to do at once */
};

/* commit.c: append one event to the tick, and fold it; decide on an input and record what follows;
 * make the tick durable; sync: interval */
MUST_CHECK enum err_code engine_record(struct engine *engine, struct event *event, struct err *err);
MUST_CHECK enum err_code engine_feed(struct engine *engine, const struct input *input,
				     struct err *err);
MUST_CHECK enum err_code engine_commit(struct engine *engine, struct err *err);
/* Something to be done once what this turn finds out is durable. MEMORY. */
MUST_CHECK enum err_code engine_add_effect(struct engine *engine, struct effect effect,
					   struct err *err);
MUST_CHECK enum err_code engine_sync_due(struct engine *engine, struct err *err);

/* change.c: another definition for the run (S9.3) */
/* Find out whether `resume` brings one. REFUSED when it does and that was not accepted. */
MUST_CHECK enum err_code change_prepare(const struct engine *engine,
					const struct engine_resume *resume,
					struct change *ret_change, struct err *err);
/* Its parameters as one JSON object: what `-p` gives, and what the run does not have yet (life
 * arena). */
MUST_CHECK enum err_code change_params(struct engine *engine, const struct engine_resume *resume,
				       const struct model *next, struct str *ret_params,
				       struct err *err);
/* REFUSED when an artifact of a step that stays succeeded is not what it was, or the program lacks
 * what a step needs that runs, by the change or by `from` (ptr NULL = none). */
MUST_CHECK enum err_code change_check(struct engine *engine, const struct change *change,
				      struct str from, struct err *err);
/* Make frozen form and source durable before the event that names them; from here on the change is
 * the engine's. The texts of `decided` are of the life arena. */
MUST_CHECK enum err_code change_store(struct engine *engine, const struct engine_resume *resume,
				      struct change *change, struct decide_resume *decided,
				      struct err *err);
/* Apply an event; with the run.resumed that has changes the engine goes over to the new
 * definition. */
MUST_CHECK enum err_code change_apply(struct engine *engine, const struct event *event,
				      struct err *err);

/* birth.c */
MUST_CHECK enum err_code engine_new(const struct engine_ports *ports,
				    struct engine_observer observer, struct engine **ret_engine,
				    struct err *err);
/* Model and state are there: make what depends on their size. */
MUST_CHECK enum err_code engine_begin(struct engine *engine, struct err *err);
/* The run's own deadline, if it has one: `left_ns` from now. */
MUST_CHECK enum err_code engine_arm_deadline(struct engine *engine, int64_t left_ns,
					     struct err *err);

/* engine.c */
/* Ask decide_next until it has nothing more. */
MUST_CHECK enum err_code engine_settle(struct engine *engine, struct err *err);
MUST_CHECK enum err_code engine_perform(struct engine *engine, struct err *err);
MUST_CHECK enum err_code engine_arm_timer(struct engine *engine, enum timer_kind kind,
					  uint32_t step, int64_t due_ns, struct err *err);
void engine_read_clocks(struct engine *engine);

/* prepare.c */
struct prepared {
	const struct command *command; /* of the step, or its compensation */
	bool is_undo;
	uint32_t attempt;
	char *name; /* of its files: the step's, or `<step>.comp` */
	char **argv;
	char **envp;
	char *cwd;
	struct str *masks;
	size_t masks_count;
	/* process.c; NULL or ptr NULL = not asked for */
	char *stdin_path;
	struct str stdin_text;
	const struct user *user;         /* ours already, or of root: see prepare_process */
	const struct exec_user *as_user; /* to change to */
	const char *hands[EXEC_HANDS_MAX];
	size_t hands_count;
	char *output_path;    /* SLUICE_OUTPUT */
	char *context_path;   /* SLUICE_CONTEXT */
	char *artifacts_path; /* SLUICE_ARTIFACTS */
};
MUST_CHECK enum err_code prepare_expr(struct engine *engine, struct expr **ret_expr,
				      struct err *err);
struct expr_scope prepare_scope(const struct engine *engine, uint32_t step, struct str output);
/* Answer a query of decide_next: the input is filled; its texts are in the tick's arena. */
MUST_CHECK enum err_code prepare_answer(struct engine *engine, const struct decide_query *query,
					struct input *ret_input, struct err *err);
/* A path of the pipeline file made absolute, from the step's cwd or the pipeline's folder. */
MUST_CHECK enum err_code prepare_path(struct engine *engine, uint32_t step, const struct tmpl *tmpl,
				      bool from_cwd, char **ret_path, struct err *err);
/* A template filled (tick's arena). INVALID: the step's own fault. */
MUST_CHECK enum err_code prepare_text(struct engine *engine, uint32_t step, const struct tmpl *tmpl,
				      struct str *ret_text, struct err *err);

/* command.c */
/* Resolve argv, environment and folder of a command (arena of the tick). INVALID: the step's own
 * fault, with a reason for its step.failed. */
MUST_CHECK enum err_code prepare_command(struct engine *engine, uint32_t step,
					 struct prepared *ret_prepared, struct err *err);
/* The same for the compensation of a step. */
MUST_CHECK enum err_code prepare_undo(struct engine *engine, uint32_t step,
				      struct prepared *ret_prepared, struct err *err);

/* process.c */
/* The files that a command is given, and its user. INVALID: the step's own fault. Other errors are
 * of the storage: the step is not started (S12). */
MUST_CHECK enum err_code prepare_process(struct engine *engine, uint32_t step,
					 struct prepared *prepared, struct err *err);

/* environment.c */
MUST_CHECK enum err_code prepare_env(struct engine *engine, uint32_t step,
				     struct prepared *prepared, struct err *err);
/* The allow-listed part of the engine's environment (life arena). */
MUST_CHECK enum err_code prepare_inherited(struct engine *engine, struct err *err);
/* Text of a JSON value as a command sees it: strings as they are, the rest as JSON. */
MUST_CHECK enum err_code prepare_value(struct engine *engine, struct str json, struct str *ret_text,
				       struct err *err);

/* undo.c: what attempts.c does for steps, for the compensation that runs (S10) */
#define UNDO_NAME_BYTES 128
/* The name of its files: `load.comp` for the step `load`, which no step can be called. */
void undo_name(const struct engine *engine, uint32_t step, char name[UNDO_NAME_BYTES]);
MUST_CHECK enum err_code undo_start(struct engine *engine, struct err *err);
MUST_CHECK enum err_code undo_arm_timer(struct engine *engine, int64_t left_ms, struct err *err);
MUST_CHECK enum err_code undo_cancel(struct engine *engine, struct err *err);
MUST_CHECK enum err_code undo_collect(struct engine *engine, struct err *err);
MUST_CHECK enum err_code undo_hear(struct engine *engine, const struct exec_report *report,
				   struct err *err);
/* The token of the compensation that ran when the last engine ended; false if none did. */
bool undo_recover(struct engine *engine, struct exec_token *ret_token, bool *ret_same_boot);

/* attempts.c */
/* The folders of the run directory that commands write to. */
MUST_CHECK enum err_code attempts_make_dirs(struct engine *engine, struct err *err);
/* The executor could not record an attempt: the run halts, and can be resumed. */
MUST_CHECK enum err_code attempts_halt(const struct engine *engine, uint32_t step,
				       const struct exec_report *report, struct err *err);
/* What a report means for the table of attempts. */
enum attempt_event attempts_event_of(enum exec_report_kind kind);
MUST_CHECK enum err_code attempts_intend(struct engine *engine, uint32_t step, struct err *err);
MUST_CHECK enum err_code attempts_start(struct engine *engine, uint32_t step, struct err *err);
MUST_CHECK enum err_code attempts_cancel_running(struct engine *engine, bool all, struct err *err);
MUST_CHECK enum err_code attempts_collect(struct engine *engine, struct err *err);
/* Every step that is RUNNING after a fold: intended, and asked of the executor. Blocks for its
 * answer. */
MUST_CHECK enum err_code attempts_recover(struct engine *engine, struct err *err);

/* harvest.c: an executor's ENDED to a result; texts in the tick's arena. */
MUST_CHECK enum err_code harvest(struct engine *engine, uint32_t step,
				 const struct exec_report *report, struct decide_result *ret_result,
				 struct err *err);
/* The same for the compensation that ran: exit and own words count, nothing else. */
MUST_CHECK enum err_code harvest_undo(struct engine *engine, const struct exec_report *report,
				      struct decide_result *ret_result, struct err *err);
/* The gate of a step without a command: fills verdict and evidence. */
MUST_CHECK enum err_code harvest_verdict(struct engine *engine, uint32_t step,
					 struct decide_result *result, struct err *err);

/* hosted.c */
/* REFUSED when the program lacks something that a step may need. `all`: steps that succeeded
 * too. */
MUST_CHECK enum err_code hosted_accept(struct engine *engine, bool all, struct err *err);
/* The same for the marked steps of another definition. */
MUST_CHECK enum err_code hosted_accept_next(struct engine *engine, const struct model *next,
					    const uint8_t *marks, struct err *err);
/* The same for a run of which only compensations may run. */
MUST_CHECK enum err_code hosted_accept_undo(struct engine *engine, struct err *err);
/* Make the context of functions from the state, if a step needs it. */
MUST_CHECK enum err_code hosted_begin(struct engine *engine, struct err *err);
/* Publish what an event that was just applied has brought. */
MUST_CHECK enum err_code hosted_observe(struct engine *engine, const struct event *event,
					struct err *err);
/* The config of a kind of step with its `${}` filled (tick's arena); ptr NULL for a `call`.
 * INVALID: the step's own fault; *ret_is_open then says whether only a mocked step could have
 * filled it (S14). */
MUST_CHECK enum err_code hosted_config(struct engine *engine, uint32_t step, struct str *ret_config,
				       bool *ret_is_open, struct err *err);

/* cache.c */
/* Is there an earlier success that may stand for this attempt? *ret_cached NULL when not: then a
 * success of it may stand for later ones. Its artifacts were hashed just now. */
MUST_CHECK enum err_code cache_look(struct engine *engine, uint32_t step,
				    const struct prepared *prepared,
				    const struct cached **ret_cached, struct err *err);
/* Its outputs and the rest, as a result of this attempt; texts in the tick's arena, or the
 * cache's. */
MUST_CHECK enum err_code cache_take(struct engine *engine, const struct cached *cached,
				    struct decide_result *result, struct err *err);
/* A result of an attempt that ran: note that it may be found, if it may. */
MUST_CHECK enum err_code cache_note(struct engine *engine, uint32_t step,
				    struct decide_result *result, struct err *err);
/* After the tick: what was noted is durable, and goes into the index. */
MUST_CHECK enum err_code cache_record(struct engine *engine, struct err *err);
void cache_free(struct cache *cache);

/* recover.c: REFUSED when an artifact of a step that stays succeeded is not what it was.
 * `runs_again` has a byte for each step of the run; NULL = none does. */
MUST_CHECK enum err_code recover_check_artifacts(const struct engine *engine,
						 const uint8_t *runs_again, struct err *err);

/* process.c: the context without what differs from run to run */
void process_context(const struct run_state *run, struct buf *out);

/* history.c: after the tick in which the run completed; nothing otherwise */
MUST_CHECK enum err_code history_record(struct engine *engine, struct err *err);

/* projections.c */
/* Before the fold of a run that is taken over: what is there of them, and of attempts.log. CORRUPT
 * when a file of the keeper is no plain file. */
MUST_CHECK enum err_code projections_look(struct engine *engine, struct err *err);
/* For fold_open: entries that the audit lacks, and the line that the checkpoint has seen. */
fold_visit_fn projections_visit;
/* For fold_open, before it writes. CORRUPT: the log was cut or forked (S9.4). */
log_accept_fn projections_accept;
/* After the fold: an audit of another log is made anew. */
MUST_CHECK enum err_code projections_check(struct engine *engine, struct err *err);
/* Of each event that was applied. */
void projections_note(struct engine *engine, const struct event *event);
/* After a tick, when it is time. What cannot be written is an event, and the run goes on (S12). */
MUST_CHECK enum err_code projections_write(struct engine *engine, struct err *err);
/* mocked.c: a dry run. Is the step mocked in this run? */
bool mocked_is_step(const struct engine *engine, uint32_t step);
/* Does an expression of `step` depend on what mocked steps made, so that nothing is known of it? */
bool mocked_is_open(const struct engine *engine, uint32_t step, struct str source);
/* The same for a text with ${}. */
bool mocked_is_text_open(const struct engine *engine, uint32_t step, struct str text);
/* Artifacts that nobody looks for: each counts as made. */
MUST_CHECK enum err_code mocked_artifacts(struct engine *engine, uint32_t step,
					  struct decide_result *result, struct err *err);
/* A gate that nobody asks: it counts as passed. */
void mocked_verdict(struct decide_result *result);
/* A success in the place of whatever the step would have done; texts in the tick's arena. */
MUST_CHECK enum err_code mocked_result(struct engine *engine, uint32_t step,
				       struct decide_result *ret_result, struct err *err);
/* Every approval that is asked for is given. */
MUST_CHECK enum err_code mocked_approve(struct engine *engine, struct err *err);

/* secrets.c */
MUST_CHECK enum err_code secrets_read(struct secrets *secrets, const struct model *model,
				      struct err *err);
void secrets_fini(struct secrets *secrets);
/* `text` with every secret replaced by ***; the same slice when there is none. ptr NULL when memory
 * is short. */
struct str secrets_mask(const struct secrets *secrets, struct arena *arena, struct str text);

#endif
