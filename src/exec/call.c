/* call.c - see call.h */
#include "exec/call.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "keeper/mask.h"
#include "sys/wake.h"
#include "sys/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct call_driver;

struct call_job {
	struct worker_job work; /* first: the pool knows the job by it */
	struct call_driver *driver;
	struct call_job *next, *before; /* running; of the engine's thread */
	struct call_job *done_next;     /* done, or ready to be told */
	struct str path;
	uint32_t attempt;
	struct exec_call start;
	const char *log;
	int64_t deadline_ns; /* of the clock; 0 = none */
	uint64_t output_limit_bytes;
	atomic_bool is_cancelled;
	/* of the thread, until it is done */
	int log_fd; /* -1 = nothing printed yet */
	uint64_t printed_bytes;
	struct mask *mask;
	struct err log_err; /* why something printed is not in the log */
	int value;
	struct buf result;
	bool is_late; /* it returned after its deadline */
	bool was_cancelled;
	int64_t duration_ns;
	char texts[]; /* path, log, configuration */
};

struct call_driver {
	struct exec_call_options options;
	struct worker_pool *pool;
	int wake_fd;
	pthread_mutex_t lock; /* guards `done` and `done_last` */
	struct call_job *done;
	struct call_job **done_last;
	/* of the engine's thread */
	struct call_job *running;
	struct call_job *ready; /* collected by pump, oldest first */
	struct call_job **ready_last;
	struct call_job *told;     /* its texts are in the report that was given last */
	struct exec_report *early; /* reports that no thread makes */
	size_t early_count, early_at, early_capacity;
	struct arena early_texts;
};

/* ----------------------------------------------------------------------------- of the thread */

const struct exec_call *call_job_start(const struct call_job *job)
{
	return &job->start;
}

struct str call_job_path(const struct call_job *job)
{
	return job->path;
}

uint32_t call_job_attempt(const struct call_job *job)
{
	return job->attempt;
}

int64_t call_job_left_ns(const struct call_job *job)
{
	int64_t left_ns;

	if (!job->deadline_ns)
		return -1;
	left_ns = job->deadline_ns - clock_boot_ns(job->driver->options.clock);
	return left_ns > 0 ? left_ns : 0;
}

bool call_job_is_cancelled(const struct call_job *job)
{
	return atomic_load(&job->is_cancelled) || call_job_left_ns(job) == 0;
}

static enum err_code log_open(struct call_job *job, struct err *err)
{
	const struct exec_context_options *context = exec_context_options(job->start.context);
	const struct vfs *vfs = job->driver->options.vfs;
	char path[160];

	if (job->log_fd >= 0)
		return ERR_OK;
	if (context->masks_count && !job->mask &&
	    mask_new(context->masks, context->masks_count, &job->mask, err) != ERR_OK)
		return err->code;
	(void)snprintf(path, sizeof(path), "logs/%s", job->log);
	return vfs_open(vfs, job->driver->options.run_dir, path, VFS_CREATE_APPEND, &job->log_fd,
			err);
}

static enum err_code log_write(struct call_job *job, struct str text, bool is_end, struct err *err)
{
	const struct vfs *vfs = job->driver->options.vfs;
	AUTO(buf_fini) struct buf masked = BUF_INIT;

	if (job->mask) {
		mask_feed(job->mask, text, &masked);
		if (is_end)
			mask_end(job->mask, &masked);
		if (buf_check(&masked, "a text for the log", err) != ERR_OK)
			return err->code;
		text = buf_view(&masked);
	}
	return text.len ? vfs_write(vfs, job->log_fd, text.ptr, text.len, err) : ERR_OK;
}

static enum err_code print(struct call_job *job, struct str text, struct err *err)
{
	if (job->log_err.code != ERR_OK) {
		*err = job->log_err;
		return err->code;
	}
	if (text.len > job->output_limit_bytes - job->printed_bytes)
		return err_set(err, ERR_LIMIT, "more output than output_limit (%llu bytes)",
			       (unsigned long long)job->output_limit_bytes);
	job->printed_bytes += text.len;
	if (!job->driver->options.vfs)
		return ERR_OK;
	if (log_open(job, err) != ERR_OK || log_write(job, text, false, err) != ERR_OK)
		return err_while(err, "write the step's log");
	return ERR_OK;
}

enum err_code call_job_print(struct call_job *job, struct str text, struct err *err)
{
	if (print(job, text, err) != ERR_OK)
		job->log_err = *err;
	return err->code;
}

static void log_end(struct call_job *job)
{
	struct err err = ERR_INIT;

	if (job->log_fd < 0)
		return;
	if (job->log_err.code == ERR_OK && log_write(job, STR_NONE, true, &err) != ERR_OK)
		job->log_err = err;
	vfs_close(job->driver->options.vfs, job->log_fd);
	job->log_fd = -1;
	mask_free(TAKE(job->mask, NULL));
}

/* What the function printed is part of what it did: without it the attempt has not succeeded. */
static void fail_for_log(struct call_job *job)
{
	if (job->log_err.code == ERR_OK)
		return;
	job->value = 1;
	buf_clear(&job->result);
	buf_text(&job->result, "{\"error_class\":\"infrastructure\",\"reason\":");
	json_put_str(&job->result, str_of(job->log_err.text));
	buf_byte(&job->result, '}');
}

static void job_done(struct call_job *job)
{
	struct call_driver *driver = job->driver;
	bool is_first;

	(void)pthread_mutex_lock(&driver->lock);
	is_first = !driver->done;
	job->done_next = NULL;
	*driver->done_last = job;
	driver->done_last = &job->done_next;
	(void)pthread_mutex_unlock(&driver->lock);
	if (is_first)
		wake_raise(driver->wake_fd); /* the driver lives until this thread has ended */
}

static void job_work(struct worker_job *work)
{
	struct call_job *job = (struct call_job *)work;
	struct call_driver *driver = job->driver;
	int64_t begin_ns = clock_boot_ns(driver->options.clock);

	job->value = driver->options.run(driver->options.arg, job, &job->result);
	job->duration_ns = clock_boot_ns(driver->options.clock) - begin_ns;
	job->is_late = call_job_left_ns(job) == 0;
	job->was_cancelled = atomic_load(&job->is_cancelled);
	log_end(job);
	fail_for_log(job);
	job_done(job);
}

/* ------------------------------------------------------------------------ of the engine's
 * thread */

static void job_free(struct call_job *job)
{
	if (!job)
		return;
	buf_fini(&job->result);
	mem_free(job);
}

/* Copy it to *at, with a NUL behind it, and move *at there. */
static struct str put_text(char **at, struct str text)
{
	struct str copy = {*at, text.len};

	if (!text.ptr)
		return STR_NONE;
	memcpy(*at, text.ptr, text.len);
	(*at)[text.len] = '\0';
	*at += text.len + 1;
	return copy;
}

/* NULL when memory is short. */
static struct call_job *job_new(struct call_driver *driver, const struct exec_start *start)
{
	struct str path = start->token.path;
	struct str log = str_of(start->log);
	struct call_job *job =
	    mem_new(1, sizeof(*job) + path.len + log.len + start->call->config.len + 3);
	char *at;

	if (!job)
		return NULL;
	job->work.work = job_work;
	job->driver = driver;
	job->attempt = start->token.attempt;
	job->start = *start->call;
	job->output_limit_bytes = start->output_limit_bytes;
	job->log_fd = -1;
	at = job->texts;
	job->path = put_text(&at, path);
	job->log = put_text(&at, log).ptr;
	job->start.config = put_text(&at, start->call->config);
	if (start->timeout_ns)
		job->deadline_ns =
		    time_after(clock_boot_ns(driver->options.clock), start->timeout_ns);
	return job;
}

static void running_add(struct call_driver *driver, struct call_job *job)
{
	job->before = NULL;
	job->next = driver->running;
	if (job->next)
		job->next->before = job;
	driver->running = job;
}

static void running_remove(struct call_driver *driver, struct call_job *job)
{
	if (job->before)
		job->before->next = job->next;
	else
		driver->running = job->next;
	if (job->next)
		job->next->before = job->before;
}

/* A report that no thread makes: not even begun, or lost. */
static enum err_code report_early(struct call_driver *driver, const struct exec_token *token,
				  enum exec_report_kind kind, int errno_value, struct err *err)
{
	void *list = driver->early;
	struct exec_report report = {
	    .kind = kind,
	    .token = {.path = arena_str(&driver->early_texts, token->path),
		      .role = token->role,
		      .attempt = token->attempt},
	    .end = EXEC_END_SPAWN_FAILED,
	    .errno_value = errno_value,
	};

	if (!report.token.path.ptr)
		return mem_err(err);
	if (mem_grow(&list, &driver->early_capacity, driver->early_count + 1,
		     sizeof(*driver->early), err) != ERR_OK)
		return err->code;
	driver->early = list;
	driver->early[driver->early_count++] = report;
	wake_raise(driver->wake_fd);
	return ERR_OK;
}

static enum err_code call_start(void *self, const struct exec_start *start, struct err *err)
{
	struct call_driver *driver = self;
	struct err own = ERR_INIT;
	struct call_job *job;

	BUG_IF(!start->call);
	job = job_new(driver, start);
	if (!job)
		return mem_err(err);
	running_add(driver, job);
	if (worker_pool_submit(driver->pool, &job->work, &own) == ERR_OK)
		return ERR_OK;
	running_remove(driver, job);
	job_free(job);
	return report_early(driver, &start->token, EXEC_ENDED, own.sys ? own.sys : ENOMEM, err);
}

/* Behind all that there is, so that the first thread does not sleep again between two of them. */
static void call_flush(void *self)
{
	worker_pool_flush(((const struct call_driver *)self)->pool);
}

static enum err_code call_cancel(void *self, const struct exec_token *token, bool now,
				 struct err *err)
{
	struct call_driver *driver = self;

	(void)now; /* there is no harder way to ask a function (S7.4) */
	(void)err;
	for (struct call_job *job = driver->running; job; job = job->next) {
		if (str_eq(job->path, token->path) && job->attempt == token->attempt)
			atomic_store(&job->is_cancelled, true);
	}
	return ERR_OK;
}

static enum err_code call_recover(void *self, const struct exec_token *tokens,
				  const bool *same_boot, size_t count, struct err *err)
{
	(void)same_boot; /* the process that ran them is gone either way (S8.5) */
	for (size_t i = 0; i < count; i++) {
		if (report_early(self, &tokens[i], EXEC_LOST, 0, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static struct exec_report report_of(const struct call_job *job)
{
	struct exec_report report = {
	    .kind = EXEC_ENDED,
	    .token = {.path = job->path, .role = EXEC_ROLE_RUN, .attempt = job->attempt},
	    .end = EXEC_END_RETURNED,
	    .exit_code = job->value,
	    .duration_ns = job->duration_ns,
	    .has_result = true,
	    .result = buf_view(&job->result),
	};

	if (job->is_late)
		report.cause = EXEC_CAUSE_TIMEOUT;
	else if (job->was_cancelled && job->value != 0)
		report.cause = EXEC_CAUSE_CANCELLED; /* what was done in spite of it was done */
	return report;
}

static bool call_next(void *self, struct exec_report *ret_report)
{
	struct call_driver *driver = self;

	job_free(TAKE(driver->told, NULL));
	if (driver->early_at < driver->early_count) {
		*ret_report = driver->early[driver->early_at++];
		return true;
	}
	driver->early_at = 0;
	driver->early_count = 0;
	arena_clear(&driver->early_texts);
	if (!driver->ready)
		return false;
	driver->told = driver->ready;
	driver->ready = driver->told->done_next;
	if (!driver->ready)
		driver->ready_last = &driver->ready;
	running_remove(driver, driver->told);
	*ret_report = report_of(driver->told);
	return true;
}

static int call_fd(void *self)
{
	return ((const struct call_driver *)self)->wake_fd;
}

static enum err_code call_pump(void *self, struct err *err)
{
	struct call_driver *driver = self;

	(void)err;
	(void)pthread_mutex_lock(&driver->lock);
	wake_clear(driver->wake_fd);
	if (driver->done) {
		*driver->ready_last = driver->done;
		driver->ready_last = driver->done_last;
		driver->done = NULL;
		driver->done_last = &driver->done;
	}
	(void)pthread_mutex_unlock(&driver->lock);
	return ERR_OK;
}

static void call_close(void *self)
{
	struct call_driver *driver = self;

	for (struct call_job *job = driver->running; job; job = job->next)
		atomic_store(&job->is_cancelled, true);
	worker_pool_free(driver->pool);
	job_free(driver->told);
	while (driver->running) {
		struct call_job *job = driver->running;

		running_remove(driver, job);
		job_free(job);
	}
	wake_close(&driver->wake_fd);
	(void)pthread_mutex_destroy(&driver->lock);
	mem_free(driver->early);
	arena_fini(&driver->early_texts);
	mem_free(driver);
}

static const struct exec_ops call_ops = {
    .name = "call",
    .start = call_start,
    .flush = call_flush,
    .cancel = call_cancel,
    .recover = call_recover,
    .next = call_next,
    .fd = call_fd,
    .pump = call_pump,
    .close = call_close,
};

enum err_code exec_call_open(const struct exec_call_options *options, struct exec *ret_exec,
			     struct err *err)
{
	struct call_driver *driver = mem_new(1, sizeof(*driver));

	if (!driver)
		return mem_err(err);
	driver->options = *options;
	driver->wake_fd = -1;
	driver->done_last = &driver->done;
	driver->ready_last = &driver->ready;
	BUG_IF(pthread_mutex_init(&driver->lock, NULL) != 0); /* cannot fail as it is asked */
	if (worker_pool_new(options->threads_max, &driver->pool, err) != ERR_OK ||
	    wake_open(&driver->wake_fd, err) != ERR_OK) {
		call_close(driver);
		return err_while(err, "open the executor of functions");
	}
	*ret_exec = (struct exec){&call_ops, driver};
	return ERR_OK;
}
