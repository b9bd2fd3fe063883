/* exec.h - the contract between the engine and whatever carries an attempt out.
 *
 * The engine calls start() only after the attempt's `step.started` is durable, and never twice for
 * a token unless a report said ABSENT. Each token gets exactly one terminal report: ENDED, LOST or
 * LEFTOVERS. start() is idempotent by token: what was started already is answered with what is
 * known of it. Nothing here blocks, except recover(), which may wait for a keeper to answer.
 *
 * Drivers: exec/command (real processes through the keeper), exec/call (functions of this process,
 * on threads), api/executor (executors that the program registers), sim/ (virtual ones); exec/route
 * puts several of them behind one. A driver may trust its arguments; the engine is the only
 * caller. */
#ifndef CORE_EXEC_H
#define CORE_EXEC_H

#include "base/err.h"
#include "base/str.h"
#include "core/resource.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Written into attempts.log: values are stable. */
enum exec_role { EXEC_ROLE_RUN = 1, EXEC_ROLE_COMP = 2 };

/* Who an attempt is, within its run: `run/path/role/attempt` (S8.2). */
struct exec_token {
	struct str path; /* `load`, `per_region[17].load`: at most limits.step_path_bytes */
	enum exec_role role;
	uint32_t attempt;
	/* Who carries it out: ptr NULL = commands of this machine, EXEC_DRIVER_CALL, or the name of
	 * a registered executor. Set by the engine for the route; no part of who the attempt is,
	 * and absent in reports. */
	struct str driver;
	uint64_t seed; /* of the run: with its id unlike any other, wherever the run lies; as the
			  driver */
};

#define EXEC_DRIVER_CALL "call"

struct exec_context;

/* What a function needs beyond its token (driver "call"). */
struct exec_call {
	uint32_t step;                /* its index in the model */
	struct str config;            /* JSON, filled; ptr NULL = none */
	uint64_t seq;                 /* it sees what the context had at this event */
	struct exec_context *context; /* exec/context.h; borrowed for the driver's life */
};

#define EXEC_HANDS_MAX  8
#define EXEC_GROUPS_MAX 65536

/* Another user than the executor's, as numbers: an executor looks nobody up. */
struct exec_user {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t groups_count; /* at most EXEC_GROUPS_MAX */
};

struct exec_start {
	struct exec_token token;
	char *const *argv;  /* NULL-ended; argv[0] is looked up in the PATH of envp */
	char *const *envp;  /* NULL-ended, the whole environment */
	const char *cwd;    /* absolute */
	const char *log;    /* file name below the run directory's logs/ for both streams */
	int64_t timeout_ns; /* deadline of the attempt, 0 = none */
	int64_t silence_ns; /* without output, 0 = none */
	int64_t grace_ns;   /* between TERM and KILL */
	uint64_t output_limit_bytes;
	const struct str *masks; /* secret texts: output is pumped and they become *** */
	size_t masks_count;
	struct str resources;         /* JSON object for a registered executor; ptr NULL = none */
	const struct exec_call *call; /* driver "call": argv, envp and cwd are NULL then */
	/* What few commands need; zero = not. */
	const char *log_err; /* file name below logs/: stderr goes there, `log` has stdout only */
	const char *stdin_path; /* from cwd: a plain file */
	struct str stdin_text;  /* ptr NULL = none */
	const struct exec_user *user;
	const struct resource_limit *limits; /* at most one of a kind */
	size_t limits_count;
	/* Files and directories below the run directory that are given to `user` and are its
	 * descriptors 3, 4, ...: it cannot reach them by their names. At most EXEC_HANDS_MAX. */
	const char *const *hands;
	size_t hands_count;
	bool allows_orphans; /* what the command leaves behind is let alone */
};

enum exec_report_kind {
	EXEC_STARTED,   /* it runs; not terminal */
	EXEC_ENDED,     /* the main process ended, and its tree */
	EXEC_ABSENT,    /* never armed: start the same token again */
	EXEC_LOST,      /* armed, and nobody can know the outcome; nothing of it is left */
	EXEC_LEFTOVERS, /* as LOST, but processes of it live and could not be killed: never rerun */
	EXEC_REFUSED,   /* not started: the armed record or the log file could not be made; a
			 * storage failure of the run, not a failure of the step */
};

enum exec_end {
	EXEC_END_EXITED,       /* exit_code */
	EXEC_END_SIGNALLED,    /* signal, core */
	EXEC_END_SPAWN_FAILED, /* errno of exec, chdir ...: the command never ran */
	EXEC_END_RETURNED, /* no process: a function returned exit_code; never in attempts.log */
};

/* Why it was ended, if it was. Written into attempts.log: values are stable. */
enum exec_cause {
	EXEC_CAUSE_NONE = 0,
	EXEC_CAUSE_TIMEOUT = 1,
	EXEC_CAUSE_SILENCE = 2,
	EXEC_CAUSE_OUTPUT_LIMIT = 3,
	EXEC_CAUSE_CANCELLED = 4,
	EXEC_CAUSE_MEMORY = 5, /* not the keeper: the kernel, for want of memory */
	EXEC_CAUSES,
};

struct exec_report {
	enum exec_report_kind kind;
	struct exec_token token; /* path is valid until the next call of next() */
	enum exec_end end;       /* ENDED */
	enum exec_cause cause;   /* ENDED */
	int exit_code;
	int signal;
	bool core;
	int errno_value;     /* SPAWN_FAILED, REFUSED */
	int64_t duration_ns; /* ENDED: from spawn to end, by the keeper's clock */
	int32_t pid;         /* STARTED, LEFTOVERS: one of them */
	bool has_result;   /* ENDED: `result` stands for the result file, which is not looked for */
	struct str result; /* as a result file would have it; valid as long as the path */
};

struct exec_ops {
	const char *name;

	/* The run is durable, and something will be handed over soon: what takes time before the
	 * first start may be begun. What fails here is met again, and told, by that start. NULL:
	 * there is no such thing. */
	void (*warm_up)(void *self);

	/* Hand a token over. The arguments are copied. HALT class errors only: anything that is
	 * the step's own fault comes as a report. */
	enum err_code (*start)(void *self, const struct exec_start *start, struct err *err);

	/* What was handed over is under way from here on at the latest; called when the engine has
	 * no more for now. NULL: it is under way at once. */
	void (*flush)(void *self);

	/* End a token: TERM to the tree, grace, KILL; at once KILL when `now`. Unknown or ended
	 * tokens are ignored. */
	enum err_code (*cancel)(void *self, const struct exec_token *token, bool now,
				struct err *err);

	/* After a restart of the engine: for every token here a report follows, STARTED for those
	 * that still run. `same_boot[i]` says whether its step.started carries this boot's id (when
	 * not, it is LOST). Called once, before anything else. May block until a keeper
	 * answered. */
	enum err_code (*recover)(void *self, const struct exec_token *tokens, const bool *same_boot,
				 size_t count, struct err *err);

	/* The next report, false when there is none for now. */
	bool (*next)(void *self, struct exec_report *ret_report);

	/* Descriptor that becomes readable when pump() has something to do; constant for the life
	 * of the driver; -1 if the driver has none. */
	int (*fd)(void *self);

	/* Read what has arrived and make reports of it. */
	enum err_code (*pump)(void *self, struct err *err);

	/* Let go: running attempts stay with their keeper. */
	void (*close)(void *self);
};

struct exec {
	const struct exec_ops *ops;
	void *self;
};

#endif
