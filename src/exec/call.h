/* call.h - the executor of functions of this process, on threads of their own (core/exec.h).
 *
 * A thread cannot be ended from outside (S7.4): a cancel and a deadline are flags that the function
 * reads, and it keeps its slot until it returns. Nobody can know what it did when the process dies:
 * its attempt is lost at the next recovery (S8.5). */
#ifndef EXEC_CALL_H
#define EXEC_CALL_H

#include "core/exec.h"
#include "exec/context.h"
#include "sys/clock.h"
#include "sys/vfs.h"

/* One attempt, as its function sees it. */
struct call_job;

/* Do the work: what it answers is the function's own answer, 0 for success. Called on a thread of
 * the driver. What the attempt leaves behind is appended to `result`, in the form of a result file;
 * nothing for nothing. */
typedef int call_run_fn(void *arg, struct call_job *job, struct buf *result);

struct exec_call_options {
	const struct clock *clock; /* asked on any thread */
	/* Of logs/ below run_dir; asked on any thread. NULL: what is printed is counted, not
	 * kept. */
	const struct vfs *vfs;
	int run_dir;
	uint32_t threads_max;
	call_run_fn *run;
	void *arg;
};

/* Everything in the options is borrowed for the driver's life. No thread is started yet. close()
 * asks whatever runs to end and waits for it: a function that does not return keeps it waiting. */
MUST_CHECK enum err_code exec_call_open(const struct exec_call_options *options,
					struct exec *ret_exec, struct err *err);

/* The rest is for the function, on the thread that it was called on. */
const struct exec_call *call_job_start(const struct call_job *job);
struct str call_job_path(const struct call_job *job);
uint32_t call_job_attempt(const struct call_job *job);
/* Asked to end, or past its deadline? Any thread. */
bool call_job_is_cancelled(const struct call_job *job);
/* Until the deadline, in ns: never below 0; -1 without one. Any thread. */
int64_t call_job_left_ns(const struct call_job *job);
/* Append to the step's log file; secrets become ***. LIMIT over the step's output_limit, IO, FULL.
 * A failure is kept: the attempt will not succeed. */
MUST_CHECK enum err_code call_job_print(struct call_job *job, struct str text, struct err *err);

#endif
