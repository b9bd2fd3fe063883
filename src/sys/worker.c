/* worker.c - see worker.h */
#include "sys/worker.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct worker_pool {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t has_work;
	struct worker_job *first;
	struct worker_job **last;
	uint32_t waiting; /* jobs that no thread has taken */
	uint32_t idle;    /* threads that wait for one */
	uint32_t threads_count;
	bool is_waking; /* a thread was called and has not come yet */
	bool is_closing;
	uint32_t threads_max;
	size_t threads_capacity;
	pthread_t *threads;
};

enum err_code worker_pool_new(uint32_t threads_max, struct worker_pool **ret_pool, struct err *err)
{
	struct worker_pool *pool = mem_new(1, sizeof(*pool));

	if (!pool)
		return mem_err(err);
	pool->threads_max = threads_max ? threads_max : 1;
	pool->last = &pool->first;
	BUG_IF(pthread_mutex_init(&pool->lock, NULL) != 0); /* cannot fail with these attributes */
	BUG_IF(pthread_cond_init(&pool->has_work, NULL) != 0); /* likewise */
	*ret_pool = pool;
	return ERR_OK;
}

void worker_pool_free(struct worker_pool *pool)
{
	if (!pool)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	pool->is_closing = true;
	(void)pthread_cond_broadcast(&pool->has_work);
	(void)pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < pool->threads_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
	(void)pthread_cond_destroy(&pool->has_work);
	(void)pthread_mutex_destroy(&pool->lock);
	mem_free(pool->threads);
	mem_free(pool);
}

/* The lock is held, and given up. One thread is called at a time, and calls the next one when there
 * is more than it takes: jobs that are short do not wake a thread each. It is called behind the
 * lock, on which it would only wait. */
static void unlock_and_call(struct worker_pool *pool)
{
	bool is_needed = pool->first && pool->idle && !pool->is_waking;

	if (is_needed)
		pool->is_waking = true;
	(void)pthread_mutex_unlock(&pool->lock);
	if (is_needed)
		(void)pthread_cond_signal(&pool->has_work);
}

static struct worker_job *job_take(struct worker_pool *pool)
{
	struct worker_job *job;

	(void)pthread_mutex_lock(&pool->lock);
	pool->idle++;
	while (!pool->first && !pool->is_closing) {
		(void)pthread_cond_wait(&pool->has_work, &pool->lock);
		pool->is_waking = false;
	}
	pool->idle--;
	job = pool->first;
	if (job) {
		pool->first = job->next;
		pool->waiting--;
		if (!pool->first)
			pool->last = &pool->first;
	}
	unlock_and_call(pool);
	return job;
}

static void *thread_main(void *arg)
{
	struct worker_pool *pool = arg;
	struct worker_job *job;

	while ((job = job_take(pool)))
		job->work(job);
	return NULL;
}

/* What a thread of the pool blocks: all but faults. Their handlers run on the thread that made
 * them; blocked, they end the process past any handler (sigprocmask(2)). */
static void mask_make(sigset_t *ret_mask)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

	(void)sigfillset(ret_mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigdelset(ret_mask, faults[i]);
}

/* Only the submitter changes the list of threads, so that the join needs no lock. */
static enum err_code thread_start(struct worker_pool *pool, struct err *err)
{
	void *list = pool->threads;
	sigset_t mask;
	sigset_t before;
	int code;

	if (mem_grow(&list, &pool->threads_capacity, pool->threads_count + 1,
		     sizeof(*pool->threads), err) != ERR_OK)
		return err->code;
	pool->threads = list;
	mask_make(&mask);
	(void)pthread_sigmask(SIG_SETMASK, &mask, &before); /* what the new thread inherits */
	code = pthread_create(&pool->threads[pool->threads_count], NULL, thread_main, pool);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		return err_sysno(err, code, "start a thread");
	pool->threads_count++;
	return ERR_OK;
}

enum err_code worker_pool_submit(struct worker_pool *pool, struct worker_job *job, struct err *err)
{
	struct err own = ERR_INIT;

	(void)pthread_mutex_lock(&pool->lock);
	if (pool->idle <= pool->waiting && pool->threads_count < pool->threads_max) {
		(void)pthread_mutex_unlock(&pool->lock);
		if (thread_start(pool, &own) != ERR_OK && !pool->threads_count) {
			*err = own;
			return err->code;
		}
		(void)pthread_mutex_lock(&pool->lock);
	}
	job->next = NULL;
	*pool->last = job;
	pool->last = &job->next;
	pool->waiting++;
	(void)pthread_mutex_unlock(&pool->lock);
	return ERR_OK;
}

void worker_pool_flush(struct worker_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	unlock_and_call(pool);
}
