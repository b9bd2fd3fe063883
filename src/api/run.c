/* run.c - runs that this process owns: start, resume, carry on, stop. */
#include "api/api.h"

#include "engine/drive.h"
#include "engine/engine.h"
#include "exec/command.h"
#include "base/timefmt.h"
#include "lang/lang.h"
#include "sys/proc.h"
#include "sys/unix_socket.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

struct sluice_run {
	struct sluice *sluice; /* borrowed */
	struct engine *engine;
	struct drive *drive;
	struct sluice_observer observer;
	char boot_id[BOOT_ID_BYTES + 1];
};

/* ---------------------------------------------------------------------------------- ports */

static enum err_code open_commands(void *arg, const struct rundir *dir, uint64_t epoch,
				   struct exec *ret_exec, struct err *err)
{
	const struct sluice *sluice = arg;
	struct exec_command_options options = {
	    .run_dir = rundir_fd(dir),
	    .run_id = rundir_id(dir),
	    .epoch = epoch,
	    .keeper_path = sluice->keeper_path,
	};

	return exec_command_open(&options, ret_exec, err);
}

static struct engine_ports ports_of(struct sluice *sluice, const char *boot_id)
{
	return (struct engine_ports){
	    .vfs = sluice->vfs,
	    .clock = sluice->clock,
	    .boot_id = str_of(boot_id),
	    .open_exec = open_commands,
	    .arg = sluice,
	    .home = sluice->home,
	    .env = environ,
	    .limits = &sluice->limits,
	};
}

static void on_line(void *arg, struct str line)
{
	const struct sluice_run *run = arg;

	run->observer.on_event(run->observer.arg, line.ptr, line.len);
}

static struct engine_observer observer_of(struct sluice_run *run)
{
	return (struct engine_observer){
	    .on_line = run->observer.on_event ? on_line : NULL,
	    .arg = run,
	};
}

static enum err_code run_new(struct sluice *sluice, const struct sluice_observer *observer,
			     struct sluice_run **ret_run, struct err *err)
{
	struct sluice_run *run = mem_new(1, sizeof(*run));

	if (!run)
		return mem_err(err);
	run->sluice = sluice;
	run->observer = *observer;
	if (boot_id_read(run->boot_id, err) != ERR_OK) {
		mem_free(run);
		return err->code;
	}
	*ret_run = run;
	return ERR_OK;
}

static void run_drop(struct sluice_run **run)
{
	sluice_run_free(*run);
}

/* ---------------------------------------------------------------------------------- start */

/* "always", "never", "interval:10" (milliseconds; a unit may be given). */
static enum err_code read_sync(const char *text, struct model *model, struct err *err)
{
	struct str sync = str_of(text);
	struct str interval = str_cut(sync, strlen("interval:"), sync.len);
	int64_t ms;

	if (str_is(sync, "always")) {
		model->sync = SYNC_ALWAYS;
		return ERR_OK;
	}
	if (str_is(sync, "never")) {
		model->sync = SYNC_NEVER;
		return ERR_OK;
	}
	model->sync = SYNC_INTERVAL;
	if (str_starts(sync, "interval:")) {
		if (str_to_i64(interval, &ms) && ms > 0 && ms < INT32_MAX) {
			model->sync_interval_ns = ms * NS_PER_MS;
			return ERR_OK;
		}
		if (duration_read(interval, &model->sync_interval_ns) &&
		    model->sync_interval_ns > 0)
			return ERR_OK;
	}
	return err_set(err, ERR_USAGE, "sync '%s' is none of always, never, interval:MS", text);
}

static enum err_code fresh_trace_id(char trace_id[33], uint64_t *ret_seed, struct err *err)
{
	uint64_t random[3];

	if (random_bytes(random, sizeof(random), err) != ERR_OK)
		return err->code;
	(void)snprintf(trace_id, 33, "%016llx%016llx", (unsigned long long)random[0],
		       (unsigned long long)random[1]);
	*ret_seed = random[2];
	return ERR_OK;
}

static enum err_code check_run_id(struct sluice *sluice, const char *given, char id[129],
				  struct err *err)
{
	char fresh[64];

	if (!given) {
		if (rundir_new_id(clock_utc_ms(sluice->clock), fresh, err) != ERR_OK)
			return err->code;
		(void)snprintf(id, 129, "%s", fresh);
		return ERR_OK;
	}
	if (!id_valid(str_of(given))) {
		(void)err_set(err, ERR_USAGE, "'%.40s' is not a run id", given);
		return err_hint(err,
				"1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit, "
				"without '..'");
	}
	(void)snprintf(id, 129, "%s", given);
	return ERR_OK;
}

/* Said before the run is born: without a keeper its commands would never start. */
static enum err_code check_keeper(const struct sluice *sluice, const struct model *model,
				  struct err *err)
{
	if (sluice->keeper_path)
		return ERR_OK;
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (!model->steps[i].command)
			continue;
		(void)err_set(err, ERR_NOT_FOUND,
			      "step '%.*s' is a command, and no sluice-keeper was found to run it",
			      STR_ARG(model->steps[i].id));
		return err_hint(err, "give `keeper_path` to sluice_open, or install sluice-keeper");
	}
	return ERR_OK;
}

static enum err_code start_engine(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				  const struct sluice_run_opts *options, struct sluice_run *run,
				  struct err *err)
{
	const struct definition *definition;
	struct model adjusted; /* a shallow copy: only read, and only for the call */
	struct engine_ports ports = ports_of(sluice, run->boot_id);
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(mem_drop) struct str *texts = NULL;
	struct engine_start start = {.model = &adjusted};
	struct str *params;
	char trace_id[33];
	char id[129];
	size_t count = 0;

	if (api_pipeline_check(sluice, pipeline, NULL, &definition, err) != ERR_OK)
		return err->code;
	adjusted = *definition->model;
	if (check_keeper(sluice, &adjusted, err) != ERR_OK)
		return err->code;
	start.source = buf_view(&definition->source);
	params = arena_new(&arena, adjusted.params_count + 1, sizeof(*params));
	if (!params)
		return mem_err(err);
	if (options->max_parallel)
		adjusted.concurrency = options->max_parallel;
	if ((options->sync && read_sync(options->sync, &adjusted, err) != ERR_OK) ||
	    check_run_id(sluice, options->run_id, id, err) != ERR_OK ||
	    api_texts(options->params, &texts, &count, err) != ERR_OK ||
	    lang_params(&adjusted, texts, count, str_of(options->params_file_json), &sluice->limits,
			&arena, params, err) != ERR_OK ||
	    fresh_trace_id(trace_id, &start.seed, err) != ERR_OK)
		return err->code;
	if (!utf8_valid(adjusted.folder)) /* it is recorded as text, and read back at a resume */
		return err_set(err, ERR_INVALID, "the path of the pipeline's folder is not UTF-8");
	start.run_id = str_of(id);
	start.reason = str_of(options->reason);
	if (start.reason.len > sluice->limits.reason_bytes || !utf8_valid(start.reason))
		return err_set(err, ERR_USAGE, "the reason is over reason_bytes or not UTF-8");
	start.params = params;
	start.trace_id = str_of(trace_id);
	start.observer = observer_of(run);
	if (engine_start(&ports, &start, &run->engine, err) != ERR_OK)
		return err->code;
	return drive_open(run->engine, &run->drive, err);
}

enum sluice_code sluice_run_start(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				  const struct sluice_run_opts *options,
				  struct sluice_run **ret_run, struct sluice_error *err)
{
	static const struct sluice_run_opts defaults;
	AUTO(run_drop) struct sluice_run *run = NULL;
	struct err own = ERR_INIT;

	if (!sluice || !pipeline || !ret_run)
		return api_usage(err, "sluice_run_start: a handle is missing");
	if (!options)
		options = &defaults;
	if (run_new(sluice, &options->observer, &run, &own) != ERR_OK ||
	    start_engine(sluice, pipeline, options, run, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_run = TAKE(run, NULL);
	return SLUICE_OK;
}

/* --------------------------------------------------------------------------------- resume */

/* The name of the person who uses this process. */
struct str api_login_name(char name[256])
{
	struct passwd record;
	struct passwd *found = NULL;
	char text[1024];

	if (getpwuid_r(getuid(), &record, text, sizeof(text), &found) == 0 && found)
		(void)snprintf(name, 256, "%s", found->pw_name);
	else
		(void)snprintf(name, 256, "uid%u", (unsigned)getuid());
	return str_of(name);
}

#define DEAD_OWNER_WAIT_NS (2 * NS_PER_S)
#define DEAD_OWNER_LOOK_NS (5 * NS_PER_MS)

/* Is the run locked although the process that says it owns it is dead? For a moment it is: a child
 * that was on its way to its exec when the owner was killed still holds the descriptor. */
static bool is_owner_dead(const struct sluice *sluice, const char *path)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct run_lock_info info;
	struct proc_stat stat;
	struct err err = ERR_INIT;

	return rundir_open(sluice->vfs, path, &dir, &err) == ERR_OK &&
	       run_lock_look(sluice->vfs, rundir_fd(dir), &info, &err) == ERR_OK && info.pid > 0 &&
	       !(proc_stat_read(info.pid, &stat) && proc_is_alive(&stat));
}

/* A lock of a dead owner is waited for, a live owner's is an answer. */
static enum err_code resume_when_free(struct sluice *sluice, const struct engine_ports *ports,
				      const struct engine_resume *resume,
				      enum engine_resumed *ret_resumed, struct engine **ret_engine,
				      struct err *err)
{
	int64_t end_ns = clock_boot_ns(sluice->clock) + DEAD_OWNER_WAIT_NS;

	while (engine_resume(ports, resume, ret_resumed, ret_engine, err) == ERR_LOCKED &&
	       clock_boot_ns(sluice->clock) < end_ns && is_owner_dead(sluice, resume->path)) {
		err_reset(err);
		socket_wait(-1, DEAD_OWNER_LOOK_NS);
	}
	return err->code;
}

static enum err_code resume_engine(struct sluice *sluice, const char *run_name,
				   const struct sluice_resume_opts *options, struct sluice_run *run,
				   enum engine_resumed *ret_resumed, struct err *err)
{
	struct engine_ports ports = ports_of(sluice, run->boot_id);
	struct engine_resume resume = {.max_parallel = options->max_parallel};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(mem_drop) struct str *params = NULL;
	AUTO(mem_drop) struct str *overrides = NULL;
	char login[256];

	if (rundir_find(sluice->vfs, sluice->home, str_of(run_name), &path, err) != ERR_OK ||
	    buf_check(&path, "a path", err) != ERR_OK ||
	    api_texts(options->params, &params, &resume.params_count, err) != ERR_OK ||
	    api_texts(options->overrides, &overrides, &resume.resume.overrides_count, err) !=
		ERR_OK)
		return err->code;
	resume.path = path.ptr;
	resume.params = params;
	resume.resume.overrides = overrides;
	resume.resume.from = str_of(options->from);
	resume.resume.person = (struct decide_person){
	    .name = options->as ? str_of(options->as) : api_login_name(login),
	    .reason = str_of(options->reason),
	    .uid = (int64_t)getuid(),
	    .pid = (int64_t)getpid(),
	};
	if (!resume.resume.overrides_count)
		resume.resume.reason = str_of(options->reason);
	resume.observer = observer_of(run);
	if (resume_when_free(sluice, &ports, &resume, ret_resumed, &run->engine, err) != ERR_OK)
		return err->code;
	return *ret_resumed == ENGINE_RESUMED ? drive_open(run->engine, &run->drive, err) : ERR_OK;
}

enum sluice_code sluice_run_resume(struct sluice *sluice, const char *run_name,
				   const struct sluice_resume_opts *options,
				   struct sluice_run **ret_run, int *ret_exit_status,
				   struct sluice_error *err)
{
	static const struct sluice_resume_opts defaults;
	AUTO(run_drop) struct sluice_run *run = NULL;
	enum engine_resumed resumed = ENGINE_NOTHING;
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_run || !ret_exit_status)
		return api_usage(err, "sluice_run_resume: an argument is missing");
	if (!options)
		options = &defaults;
	if (run_new(sluice, &options->observer, &run, &own) != ERR_OK ||
	    resume_engine(sluice, run_name, options, run, &resumed, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_exit_status = resumed == ENGINE_UNDECIDED ? 4 : 0;
	*ret_run = resumed == ENGINE_RESUMED ? TAKE(run, NULL) : NULL;
	return SLUICE_OK;
}

static enum err_code check_resume(struct sluice *sluice, const char *run_name,
				  const struct sluice_resume_opts *options, struct buf *text,
				  struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	AUTO(mem_drop) struct str *overrides = NULL;
	struct decide_resume resume = {.from = str_of(options->from)};
	char login[256];
	uint32_t point;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    fold_read(dir, &sluice->limits, NULL, NULL, &fold, err) != ERR_OK ||
	    api_texts(options->overrides, &overrides, &resume.overrides_count, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return err->code;
	}
	resume.overrides = overrides;
	resume.person.name = options->as ? str_of(options->as) : api_login_name(login);
	resume.person.reason = str_of(options->reason);
	if (decide_resume_check(&fold.state, &resume, err) != ERR_OK)
		return err->code;
	buf_fmt(text, "Run ID: %.*s\nCurrent state: %s\nCompleted steps: %u\n",
		STR_ARG(fold.state.run_id), run_state_name(fold.state.state),
		fold.state.count[STEP_SUCCEEDED]);
	point = resume.from.ptr ? model_find(fold.model, resume.from)
				: decide_resume_point(&fold.state);
	buf_text(text, "Run is resumable\n");
	if (point != STEP_NONE)
		buf_fmt(text, "Resume point: %.*s\n", STR_ARG(fold.model->steps[point].id));
	return buf_check(text, "an answer", err);
}

enum sluice_code sluice_resume_check(struct sluice *sluice, const char *run_name,
				     const struct sluice_resume_opts *options, char **ret_text,
				     struct sluice_error *err)
{
	static const struct sluice_resume_opts defaults;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_text)
		return api_usage(err, "sluice_resume_check: an argument is missing");
	if (check_resume(sluice, run_name, options ? options : &defaults, &text, &own) != ERR_OK)
		return api_err(err, &own);
	return api_text(&text, ret_text, err);
}

/* ------------------------------------------------------------------------------- carry on */

static int exit_status_of(const struct run_state *run)
{
	if (run->state == RUN_BLOCKED)
		return 4;
	switch (run->outcome) {
	case OUTCOME_SUCCESS:
		return 0;
	case OUTCOME_PARTIAL:
		return 5;
	case OUTCOME_STOPPED:
		return 6;
	case OUTCOME_NONE:
	case OUTCOME_FAILED:
	case OUTCOME_ROLLED_BACK:
		break;
	}
	return 1;
}

enum sluice_run_state sluice_run_wait(struct sluice_run *run, struct sluice_error *err)
{
	struct err own = ERR_INIT;

	if (!run) {
		(void)api_usage(err, "sluice_run_wait: the run is missing");
		return SLUICE_RUN_UNKNOWN;
	}
	if (drive_run(run->drive, run->observer.tick_ms * NS_PER_MS, run->observer.on_tick,
		      run->observer.arg, &own) != ERR_OK) {
		(void)api_err(err, &own);
		return SLUICE_RUN_UNKNOWN;
	}
	return (enum sluice_run_state)engine_state(run->engine)->state;
}

void sluice_run_end(const struct sluice_run *run, struct sluice_end *ret_end)
{
	const struct run_state *state = engine_state(run->engine);

	*ret_end = (struct sluice_end){
	    .state = (enum sluice_run_state)state->state,
	    .exit_status = exit_status_of(state),
	};
	if (state->state != RUN_BLOCKED)
		(void)snprintf(ret_end->outcome, sizeof(ret_end->outcome), "%s",
			       outcome_name(state->outcome));
	(void)snprintf(ret_end->receipt, sizeof(ret_end->receipt), "%s",
		       engine_head(run->engine)->h);
}

_Static_assert((int)SLUICE_RUN_ROLLED_BACK == (int)RUN_ROLLED_BACK, "public states are our own");

void sluice_run_stop(struct sluice_run *run, bool now)
{
	drive_stop(run->drive, now);
}

const char *sluice_run_id(const struct sluice_run *run)
{
	return engine_state(run->engine)->run_id.ptr; /* kept NUL-ended by the fold's arena */
}

const char *sluice_run_dir(const struct sluice_run *run)
{
	return rundir_path(engine_dir(run->engine));
}

void sluice_run_free(struct sluice_run *run)
{
	if (!run)
		return;
	drive_close(run->drive);
	engine_free(run->engine);
	mem_free(run);
}
