/* executor.c - executors of the program behind core/exec.h: one driver for each run that uses
 * one. */
#include "api/run_host.h"

#include "base/json.h"
#include "base/timefmt.h"
#include "sys/wake.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_BYTES 512

/* An attempt that the executor has, or of which a report waits to be told. */
struct hosted_attempt {
	struct hosted_attempt *next;
	struct arena texts;
	char token[TOKEN_BYTES];
	struct str path;
	enum exec_role role;
	uint32_t attempt;
	bool is_reported; /* the terminal report is in `report` */
	struct exec_report report;
};

struct hosted {
	struct hosted *next; /* of the registry */
	struct registry *registry;
	struct sluice_executor_def def;
	struct buf run_path;
	struct buf run_id;
	int wake_fd;
	struct hosted_attempt *attempts; /* guarded by the registry's lock */
	struct hosted_attempt *told;     /* its texts are in the report that was given last */
	struct exec_report *early;       /* STARTED: not terminal; of the engine's thread */
	size_t early_count, early_at, early_capacity;
};

static void token_text(const struct hosted *hosted, const struct exec_token *token,
		       char text[TOKEN_BYTES])
{
	(void)snprintf(text, TOKEN_BYTES, "%.*s~%016llx/%.*s/%s/%u",
		       STR_ARG(buf_view(&hosted->run_id)), (unsigned long long)token->seed,
		       STR_ARG(token->path), token->role == EXEC_ROLE_COMP ? "comp" : "run",
		       token->attempt);
}

/* --------------------------------------------------------------------------------- reports */

static enum err_code put_reason(struct hosted_attempt *attempt, const char *class,
				const char *reason, struct err *err)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	buf_text(&json, "{\"error_class\":");
	json_put_str(&json, str_of(class ? class : "infrastructure"));
	buf_text(&json, ",\"reason\":");
	json_put_str(&json, str_of(reason ? reason : "the executor could not carry it out"));
	buf_byte(&json, '}');
	if (buf_check(&json, "a reason", err) != ERR_OK)
		return err->code;
	attempt->report.end = EXEC_END_RETURNED;
	attempt->report.exit_code = 1;
	attempt->report.has_result = true;
	attempt->report.result = arena_str(&attempt->texts, buf_view(&json));
	return attempt->report.result.ptr ? ERR_OK : mem_err(err);
}

static enum err_code put_end(struct hosted_attempt *attempt, const struct sluice_attempt_end *end,
			     struct err *err)
{
	struct exec_report *report = &attempt->report;

	report->kind = end->is_lost ? EXEC_LOST : EXEC_ENDED;
	report->end = end->signal ? EXEC_END_SIGNALLED : EXEC_END_EXITED;
	report->exit_code = end->exit_code;
	report->signal = end->signal;
	report->core = end->core;
	report->cause = (enum exec_cause)end->cause;
	report->duration_ns = end->duration_ms > 0 ? ns_of_ms(end->duration_ms) : 0;
	if (end->error_class || end->reason)
		return put_reason(attempt, end->error_class, end->reason, err);
	if (!end->result_text)
		return ERR_OK;
	report->has_result = true;
	report->result = arena_str(&attempt->texts, str_of(end->result_text));
	return report->result.ptr ? ERR_OK : mem_err(err);
}

_Static_assert((int)SLUICE_CAUSE_CANCELLED == (int)EXEC_CAUSE_CANCELLED &&
		   (int)SLUICE_CAUSE_OUTPUT_LIMIT == (int)EXEC_CAUSE_OUTPUT_LIMIT,
	       "public causes are our own");

/* The lock is held. */
static struct hosted_attempt *attempt_of(const struct hosted *hosted, const char *token)
{
	struct hosted_attempt *attempt = hosted->attempts;

	while (attempt && strcmp(attempt->token, token) != 0)
		attempt = attempt->next;
	return attempt;
}

/* The lock is held. What was said first stands. */
static enum err_code report_end(struct hosted *hosted, struct hosted_attempt *attempt,
				const struct sluice_attempt_end *end, struct err *err)
{
	if (attempt->is_reported)
		return err_set(err, ERR_CONFLICT, "the end of '%s' was reported already",
			       attempt->token);
	if (put_end(attempt, end, err) != ERR_OK)
		return err->code;
	attempt->is_reported = true;
	wake_raise(hosted->wake_fd);
	return ERR_OK;
}

static enum err_code report(struct registry *registry, const char *token,
			    const struct sluice_attempt_end *end, struct err *err)
{
	struct hosted_attempt *attempt = NULL;

	for (struct hosted *hosted = registry->hosted; hosted; hosted = hosted->next) {
		attempt = attempt_of(hosted, token);
		if (attempt)
			return report_end(hosted, attempt, end, err);
	}
	return err_set(err, ERR_NOT_FOUND, "no run of this handle waits for '%.120s'", token);
}

static bool end_is_sound(const struct sluice_attempt_end *end)
{
	return (int)end->cause >= SLUICE_CAUSE_NONE && end->cause <= SLUICE_CAUSE_CANCELLED &&
	       end->signal >= 0 && end->signal <= 64 && end->duration_ms >= 0 &&
	       end->duration_ms < INT64_MAX / NS_PER_MS;
}

enum sluice_code sluice_executor_report(struct sluice *sluice, const char *token,
					const struct sluice_attempt_end *end,
					struct sluice_error *err)
{
	struct err own = ERR_INIT;

	if (!sluice || !token || !end)
		return api_usage(err, "sluice_executor_report needs a handle, a token and an end");
	if (!end_is_sound(end))
		return api_usage(err, "the cause, signal or duration of an end is out of range");
	if (!sluice->registry)
		return api_usage(err, "no executor is registered");
	(void)pthread_mutex_lock(&sluice->registry->lock);
	(void)report(sluice->registry, token, end, &own);
	(void)pthread_mutex_unlock(&sluice->registry->lock);
	return own.code == ERR_OK ? SLUICE_OK : api_err(err, &own);
}

/* -------------------------------------------------------------------------------- attempts */

static void attempt_free(struct hosted_attempt *attempt)
{
	if (!attempt)
		return;
	arena_fini(&attempt->texts);
	mem_free(attempt);
}

/* NULL when memory is short. */
static struct hosted_attempt *attempt_add(struct hosted *hosted, const struct exec_token *token)
{
	struct hosted_attempt *attempt = mem_new(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	token_text(hosted, token, attempt->token);
	attempt->path = arena_str(&attempt->texts, token->path);
	attempt->role = token->role;
	attempt->attempt = token->attempt;
	if (!attempt->path.ptr) {
		attempt_free(attempt);
		return NULL;
	}
	(void)pthread_mutex_lock(&hosted->registry->lock);
	attempt->next = hosted->attempts;
	hosted->attempts = attempt;
	(void)pthread_mutex_unlock(&hosted->registry->lock);
	return attempt;
}

/* A terminal report of ours, unless the executor was faster. */
static enum err_code conclude(struct hosted *hosted, struct hosted_attempt *attempt,
			      enum exec_report_kind kind, const struct sluice_attempt_end *end,
			      struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&hosted->registry->lock);
	if (!attempt->is_reported) {
		code = put_end(attempt, end, err);
		attempt->report.kind = kind;
		attempt->is_reported = code == ERR_OK;
		wake_raise(hosted->wake_fd);
	}
	(void)pthread_mutex_unlock(&hosted->registry->lock);
	return code;
}

static const char *class_of(enum sluice_code code)
{
	if (code == SLUICE_INVALID || code == SLUICE_USAGE || code == SLUICE_UNSUPPORTED)
		return "configuration";
	return code == SLUICE_REFUSED ? "dependency" : "infrastructure";
}

/* NULL-ended copies in `arena`; NULL when memory is short. */
static const char *const *secret_list(const struct exec_start *start, struct arena *arena)
{
	const char **list = arena_new(arena, start->masks_count + 1, sizeof(*list));

	for (size_t i = 0; list && i < start->masks_count; i++) {
		list[i] = arena_str(arena, start->masks[i]).ptr;
		if (!list[i])
			return NULL;
	}
	return (const char *const *)list;
}

static enum err_code start_it(struct hosted *hosted, struct hosted_attempt *attempt,
			      const struct exec_start *start, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(buf_fini) struct buf log = BUF_INIT;
	AUTO(buf_fini) struct buf result = BUF_INIT;
	struct sluice_error own = {.code = SLUICE_OK};
	struct sluice_attempt_end end = {.reason = own.text};
	struct sluice_executor_start public = {
	    .token = attempt->token,
	    .run_id = hosted->run_id.ptr,
	    .step = attempt->path.ptr,
	    .attempt = attempt->attempt,
	    .argv = (const char *const *)start->argv,
	    .envp = (const char *const *)start->envp,
	    .cwd = start->cwd,
	    .resources_json = start->resources.ptr,
	    .timeout_ms = (start->timeout_ns + NS_PER_MS - 1) / NS_PER_MS,
	    .silence_timeout_ms = (start->silence_ns + NS_PER_MS - 1) / NS_PER_MS,
	    .grace_ms = start->grace_ns / NS_PER_MS,
	    .output_limit_bytes = start->output_limit_bytes,
	    .secrets = secret_list(start, &arena),
	};
	enum sluice_code code;

	buf_fmt(&log, "%s/logs/%s", hosted->run_path.ptr, start->log);
	buf_fmt(&result, "%s/out/%s.%u.json", hosted->run_path.ptr, attempt->path.ptr,
		attempt->attempt);
	if (!public.secrets || log.failed != ERR_OK || result.failed != ERR_OK)
		return mem_err(err);
	public.log_path = log.ptr;
	public.result_path = result.ptr;
	code = hosted->def.ops.start(hosted->def.self, &public, &own);
	if (code == SLUICE_OK)
		return ERR_OK;
	own.text[sizeof(own.text) - 1] = '\0';
	end.error_class = class_of(code);
	if (!own.text[0])
		end.reason = NULL;
	return conclude(hosted, attempt, EXEC_ENDED, &end, err);
}

static enum err_code hosted_start(void *self, const struct exec_start *start, struct err *err)
{
	struct hosted *hosted = self;
	/* Known before it is started: it may report within the call. */
	struct hosted_attempt *attempt = attempt_add(hosted, &start->token);

	if (!attempt)
		return mem_err(err);
	return start_it(hosted, attempt, start, err);
}

static enum err_code hosted_cancel(void *self, const struct exec_token *token, bool now,
				   struct err *err)
{
	struct hosted *hosted = self;
	const struct hosted_attempt *attempt;
	char text[TOKEN_BYTES];
	bool is_running;

	(void)err;
	token_text(hosted, token, text);
	(void)pthread_mutex_lock(&hosted->registry->lock);
	attempt = attempt_of(hosted, text);
	is_running = attempt && !attempt->is_reported;
	(void)pthread_mutex_unlock(&hosted->registry->lock);
	if (is_running)
		hosted->def.ops.cancel(hosted->def.self, text, now);
	return ERR_OK;
}

/* -------------------------------------------------------------------------------- recovery */

static enum err_code tell_started(struct hosted *hosted, const struct hosted_attempt *attempt,
				  struct err *err)
{
	void *list = hosted->early;

	if (mem_grow(&list, &hosted->early_capacity, hosted->early_count + 1,
		     sizeof(*hosted->early), err) != ERR_OK)
		return err->code;
	hosted->early = list;
	hosted->early[hosted->early_count++] = (struct exec_report){
	    .kind = EXEC_STARTED,
	    .token = {.path = attempt->path, .role = attempt->role, .attempt = attempt->attempt},
	};
	wake_raise(hosted->wake_fd);
	return ERR_OK;
}

static enum err_code look_up(struct hosted *hosted, const struct exec_token *token, struct err *err)
{
	struct hosted_attempt *attempt = attempt_add(hosted, token);
	struct sluice_attempt_end end = {.exit_code = 0};
	struct sluice_attempt_end nothing = {.exit_code = 0};

	if (!attempt)
		return mem_err(err);
	switch (hosted->def.ops.look_up(hosted->def.self, attempt->token, &end)) {
	case SLUICE_LOOK_RUNNING:
		return tell_started(hosted, attempt, err);
	case SLUICE_LOOK_ABSENT:
		return conclude(hosted, attempt, EXEC_ABSENT, &nothing, err);
	case SLUICE_LOOK_ENDED:
		if (end_is_sound(&end))
			return conclude(hosted, attempt, end.is_lost ? EXEC_LOST : EXEC_ENDED, &end,
					err);
		break;
	case SLUICE_LOOK_LOST:
		break;
	}
	return conclude(hosted, attempt, EXEC_LOST, &nothing, err); /* also what makes no sense */
}

static enum err_code hosted_recover(void *self, const struct exec_token *tokens,
				    const bool *same_boot, size_t count, struct err *err)
{
	(void)same_boot; /* what runs elsewhere does not end with this machine */
	for (size_t i = 0; i < count; i++) {
		if (look_up(self, &tokens[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* ------------------------------------------------------------------------- told to the engine */

/* Take one that is reported out of the list; NULL when there is none. */
static struct hosted_attempt *take_reported(struct hosted *hosted)
{
	struct hosted_attempt **link = &hosted->attempts;
	struct hosted_attempt *attempt;

	(void)pthread_mutex_lock(&hosted->registry->lock);
	while (*link && !(*link)->is_reported)
		link = &(*link)->next;
	attempt = *link;
	if (attempt)
		*link = attempt->next;
	(void)pthread_mutex_unlock(&hosted->registry->lock);
	return attempt;
}

static bool hosted_next(void *self, struct exec_report *ret_report)
{
	struct hosted *hosted = self;

	attempt_free(TAKE(hosted->told, NULL));
	if (hosted->early_at < hosted->early_count) {
		*ret_report = hosted->early[hosted->early_at++];
		return true;
	}
	hosted->early_at = 0;
	hosted->early_count = 0;
	hosted->told = take_reported(hosted);
	if (!hosted->told)
		return false;
	*ret_report = hosted->told->report;
	ret_report->token = (struct exec_token){.path = hosted->told->path,
						.role = hosted->told->role,
						.attempt = hosted->told->attempt};
	return true;
}

static int hosted_fd(void *self)
{
	return ((const struct hosted *)self)->wake_fd;
}

static enum err_code hosted_pump(void *self, struct err *err)
{
	(void)err;
	wake_clear(((const struct hosted *)self)->wake_fd); /* before the look: none is missed */
	return ERR_OK;
}

static void hosted_close(void *self)
{
	struct hosted *hosted = self;
	struct hosted **link = &hosted->registry->hosted;

	(void)pthread_mutex_lock(&hosted->registry->lock);
	while (*link && *link != hosted)
		link = &(*link)->next;
	if (*link)
		*link = hosted->next;
	(void)pthread_mutex_unlock(&hosted->registry->lock);
	attempt_free(hosted->told);
	while (hosted->attempts) {
		struct hosted_attempt *attempt = hosted->attempts;

		hosted->attempts = attempt->next;
		attempt_free(attempt);
	}
	wake_close(&hosted->wake_fd);
	mem_free(hosted->early);
	buf_fini(&hosted->run_path);
	buf_fini(&hosted->run_id);
	mem_free(hosted);
}

static const struct exec_ops hosted_ops = {
    .name = "program",
    .start = hosted_start,
    .cancel = hosted_cancel,
    .recover = hosted_recover,
    .next = hosted_next,
    .fd = hosted_fd,
    .pump = hosted_pump,
    .close = hosted_close,
};

enum err_code executor_open(struct registry *registry, const struct sluice_executor_def *def,
			    const struct rundir *dir, struct exec *ret_exec, struct err *err)
{
	struct hosted *hosted = mem_new(1, sizeof(*hosted));

	if (!hosted)
		return mem_err(err);
	hosted->registry = registry;
	hosted->def = *def;
	hosted->wake_fd = -1;
	buf_text(&hosted->run_path, rundir_path(dir));
	buf_str(&hosted->run_id, rundir_id(dir));
	if (buf_check(&hosted->run_path, "a path", err) != ERR_OK ||
	    buf_check(&hosted->run_id, "a name", err) != ERR_OK ||
	    wake_open(&hosted->wake_fd, err) != ERR_OK) {
		hosted_close(hosted);
		return err->code;
	}
	(void)pthread_mutex_lock(&registry->lock);
	hosted->next = registry->hosted;
	registry->hosted = hosted;
	(void)pthread_mutex_unlock(&registry->lock);
	*ret_exec = (struct exec){&hosted_ops, hosted};
	return ERR_OK;
}
