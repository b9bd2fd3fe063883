/* run_host.h - what a run has of the program that carries it on: its functions, kinds and
 * executors, as they were when it started or was resumed. */
#ifndef API_RUN_HOST_H
#define API_RUN_HOST_H

#include "api/registry.h"
#include "engine/engine.h"
#include "exec/call.h"

/* What carries out a step of the run; nothing (both NULL) for what the program does not carry
 * out. */
struct pin {
	sluice_call_fn *call;
	sluice_kind_fn *kind;
	void *arg;
	bool dry_run_safe; /* its author allows it to be called in a dry run */
};

struct run_host {
	struct sluice *sluice;                  /* borrowed */
	const struct sluice_pipeline *pipeline; /* its functions come first; borrowed until the
						 * start or resume returns; may be NULL */
	size_t likely_call;                     /* of the step that is asked for next */
	struct pin *pins;                       /* by step */
	size_t pins_count;
	struct middleware *chain; /* the outermost first */
	size_t chain_count;
	struct sluice_executor_def *executors; /* that its commands name */
	size_t executors_count, executors_capacity;
	uint32_t threads_max;
	bool is_dry_run; /* told to functions */
	bool has_calls;
	bool has_commands;
};

/* Frees what the host gathered; what it borrows stays. */
void run_host_fini(struct run_host *host);

/* The ports of an engine that ask a host; `arg` is the host. */
MUST_CHECK enum err_code run_host_accept(void *arg, const struct model *model, uint32_t step,
					 struct err *err);
/* May what was pinned to the step be called in a dry run? */
bool run_host_is_dry_run_safe(void *arg, uint32_t step);
MUST_CHECK enum err_code run_host_open_exec(void *arg, const struct rundir *dir, uint64_t epoch,
					    struct exec *ret_exec, struct err *err);

/* executor.c: a driver for one run. */
MUST_CHECK enum err_code executor_open(struct registry *registry,
				       const struct sluice_executor_def *def,
				       const struct rundir *dir, struct exec *ret_exec,
				       struct err *err);

/* step_ctx.c: one attempt, on a thread of the executor; call_run_fn, `arg` is the host. */
int run_host_call(void *arg, struct call_job *job, struct buf *result);

#endif
