/* worker.h - threads that do work for one that must not wait (pthreads(7)).
 *
 * Threads are started when there is work and nobody idle, at most as many as asked for, and stay
 * until the pool is freed. They block every signal but those of faults, so that handlers run on the
 * threads of the program. */
#ifndef SYS_WORKER_H
#define SYS_WORKER_H

#include "base/err.h"

#include <stdint.h>

struct worker_pool;

/* Embedded in whatever is to be done; the pool owns it from submit until `work` is called. */
struct worker_job {
	void (*work)(struct worker_job *job);
	struct worker_job *next;
};

/* No thread is started yet. `threads_max` 0 counts as 1. MEMORY. */
MUST_CHECK enum err_code worker_pool_new(uint32_t threads_max, struct worker_pool **ret_pool,
					 struct err *err);
/* Waits for every job that was submitted, then for the threads. Accepts NULL. */
void worker_pool_free(struct worker_pool *pool);

/* Let a thread call job->work(job), after the next worker_pool_flush at the latest. When no thread
 * can be started and there is none, the system's error; the job is the caller's again then. */
MUST_CHECK enum err_code worker_pool_submit(struct worker_pool *pool, struct worker_job *job,
					    struct err *err);
/* Call a thread for what was submitted, which calls the next one when there is more. */
void worker_pool_flush(struct worker_pool *pool);

#endif
