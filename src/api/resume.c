/* resume.c - go on with a run. */
#include "api/run_intern.h"

#include "api/history.h"
#include "api/partition.h"

#include "base/timefmt.h"
#include "report/change.h"
#include "sys/proc.h"
#include "sys/unix_socket.h"

/* The name of the person who uses this process. */
struct str api_login_name(char name[USER_NAME_BYTES])
{
	user_own_name(name);
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

/* ------------------------------------------------------------------------ its partition */

struct birth_label {
	struct buf pipeline;
	struct buf partition;
};

static void birth_label_fini(struct birth_label *label)
{
	buf_fini(&label->pipeline);
	buf_fini(&label->partition);
}

static enum err_code keep_label(void *arg, struct str id, const struct event *created,
				struct err *err)
{
	struct birth_label *label = arg;

	(void)id;
	buf_str(&label->pipeline, event_text(created, EVENT_FIELD_PIPELINE));
	buf_str(&label->partition, event_text(created, EVENT_FIELD_PARTITION));
	if (buf_check(&label->pipeline, "a name", err) != ERR_OK)
		return err->code;
	return buf_check(&label->partition, "a partition", err);
}

static bool has_succeeded(const struct sluice *sluice, const struct rundir *dir)
{
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	struct err ignored = ERR_INIT; /* the resume itself will say what is wrong */

	return fold_read(dir, &sluice->limits, NULL, NULL, &fold, &ignored) == ERR_OK &&
	       fold.state.state == RUN_SUCCEEDED;
}

/* A resume is a run of the partition too. But a run that has nothing left to do is in nobody's
 * way. */
static enum err_code claim(const struct sluice *sluice, const char *path, bool is_again,
			   struct partition_lock *ret_lock, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(birth_label_fini)
	struct birth_label label = {.pipeline = BUF_INIT, .partition = BUF_INIT};

	if (rundir_open(sluice->vfs, path, &dir, err) != ERR_OK ||
	    rundir_born(dir, keep_label, &label, err) != ERR_OK)
		return err->code;
	if (!label.partition.len)
		return ERR_OK;
	if (partition_claim(sluice, buf_view(&label.pipeline), buf_view(&label.partition),
			    rundir_id(dir), is_again, ret_lock, err) == ERR_OK)
		return ERR_OK;
	if (!has_succeeded(sluice, dir))
		return err->code;
	err_reset(err);
	return ERR_OK;
}

/* The definition that is given, as the run at the path takes it. What is wrong with the run's log
 * is said by the engine. */
static enum err_code settle(const struct sluice *sluice, const char *path,
			    const struct sluice_pipeline *given_by, const struct model *given,
			    struct model *ret_model, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	struct err unread = ERR_INIT;

	*ret_model = *given;
	if (rundir_open(sluice->vfs, path, &dir, &unread) != ERR_OK ||
	    fold_read(dir, &sluice->limits, NULL, NULL, &fold, &unread) != ERR_OK)
		return ERR_OK;
	return api_settle(sluice, dir, &fold.state, given_by, given, ret_model, err);
}

static enum err_code resume_engine(struct sluice *sluice, const char *run_name,
				   const struct sluice_resume_opts *options, struct sluice_run *run,
				   enum engine_resumed *ret_resumed, struct err *err)
{
	struct engine_ports ports = run_ports(run);
	struct engine_resume resume = {.max_parallel = options->max_parallel,
				       .accept_changes = options->accept_changes};
	const struct definition *definition;
	struct model settled;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(mem_drop) struct str *params = NULL;
	AUTO(mem_drop) struct str *overrides = NULL;
	AUTO(partition_unlock) struct partition_lock lock = PARTITION_LOCK_INIT;
	char login[USER_NAME_BYTES];

	if (options->definition) {
		if (api_pipeline_check(sluice, options->definition, NULL, &definition, err) !=
		    ERR_OK)
			return err->code;
		resume.source = buf_view(&definition->source);
		resume.file = str_of(options->definition->file);
	}
	if (api_parallel_check(options->max_parallel, err) != ERR_OK ||
	    api_find_path(sluice, run_name, &path, err) != ERR_OK ||
	    (options->definition && settle(sluice, path.ptr, options->definition, definition->model,
					   &settled, err) != ERR_OK) ||
	    api_texts(options->params, &params, &resume.params_count, err) != ERR_OK ||
	    api_texts(options->overrides, &overrides, &resume.resume.overrides_count, err) !=
		ERR_OK)
		return err->code;
	if (options->definition)
		resume.definition = &settled;
	resume.path = path.ptr;
	resume.params = params;
	resume.resume.overrides = overrides;
	resume.resume.from = str_of(options->from);
	resume.resume.person = (struct decide_person){
	    .name = options->as ? str_of(options->as) : api_login_name(login),
	    .reason = str_of(options->reason),
	    .uid = (int64_t)user_id(),
	    .pid = process_id(),
	};
	if (api_person_check(sluice, options->as, &resume.resume.person, err) != ERR_OK)
		return err->code;
	if (!resume.resume.overrides_count)
		resume.resume.reason = str_of(options->reason);
	resume.observer = run_observer(run);
	run->host.pipeline = options->pipeline ? options->pipeline : options->definition;
	if (claim(sluice, path.ptr, options->again, &lock, err) != ERR_OK)
		return err->code;
	if (resume_when_free(sluice, &ports, &resume, ret_resumed, &run->engine, err) != ERR_OK)
		return api_log_err(path.ptr, err);
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
	if (options->accept_changes && !options->definition)
		return api_usage(err, "accept_changes needs a definition");
	run = run_new(sluice, &options->observer, &own);
	if (!run || resume_engine(sluice, run_name, options, run, &resumed, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_exit_status = resumed == ENGINE_UNDECIDED ? 4 : 0;
	*ret_run = resumed == ENGINE_RESUMED ? TAKE(run, NULL) : NULL;
	return SLUICE_OK;
}

/* ------------------------------------------------------------------------------- rollback */

static enum err_code rollback_engine(struct sluice *sluice, const char *run_name,
				     const struct sluice_rollback_opts *options,
				     struct sluice_run *run, struct err *err)
{
	struct engine_ports ports = run_ports(run);
	struct engine_rollback rollback = {.path = NULL};
	int64_t end_ns = clock_boot_ns(sluice->clock) + DEAD_OWNER_WAIT_NS;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	char login[USER_NAME_BYTES];

	rollback.person = (struct decide_person){
	    .name = options->as ? str_of(options->as) : api_login_name(login),
	    .reason = str_of(options->reason),
	    .uid = (int64_t)user_id(),
	    .pid = process_id(),
	};
	if (api_person_check(sluice, options->as, &rollback.person, err) != ERR_OK ||
	    api_find_path(sluice, run_name, &path, err) != ERR_OK)
		return err->code;
	rollback.path = path.ptr;
	rollback.observer = run_observer(run);
	while (engine_rollback(&ports, &rollback, &run->engine, err) == ERR_LOCKED &&
	       clock_boot_ns(sluice->clock) < end_ns && is_owner_dead(sluice, rollback.path)) {
		err_reset(err);
		socket_wait(-1, DEAD_OWNER_LOOK_NS);
	}
	return err->code == ERR_OK ? drive_open(run->engine, &run->drive, err)
				   : api_log_err(path.ptr, err);
}

enum sluice_code sluice_run_rollback(struct sluice *sluice, const char *run_name,
				     const struct sluice_rollback_opts *options,
				     struct sluice_run **ret_run, struct sluice_error *err)
{
	static const struct sluice_rollback_opts defaults;
	AUTO(run_drop) struct sluice_run *run = NULL;
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_run)
		return api_usage(err, "sluice_run_rollback: an argument is missing");
	if (!options)
		options = &defaults;
	run = run_new(sluice, &options->observer, &own);
	if (!run || rollback_engine(sluice, run_name, options, run, &own) != ERR_OK)
		return api_err(err, &own);
	run->is_rollback = true;
	*ret_run = TAKE(run, NULL);
	return SLUICE_OK;
}

/* ---------------------------------------------------------------------------------- check */

static enum err_code check_resume(struct sluice *sluice, const char *run_name,
				  const struct sluice_resume_opts *options, struct buf *text,
				  struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	AUTO(mem_drop) struct str *overrides = NULL;
	struct decide_resume resume = {.from = str_of(options->from)};
	AUTO(change_fini) struct change change = {.next = NULL};
	const struct definition *definition;
	struct run_lock_info owner;
	struct model settled;
	char login[USER_NAME_BYTES];
	uint32_t point;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), &owner, err) != ERR_OK ||
	    api_fold_dir(sluice, dir, &fold, err) != ERR_OK ||
	    api_texts(options->overrides, &overrides, &resume.overrides_count, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return api_log_err(rundir_path(dir), err);
	}
	history_note_torn(sluice, fold.state.run_id, &fold.reading, owner.is_held);
	resume.overrides = overrides;
	resume.person.name = options->as ? str_of(options->as) : api_login_name(login);
	resume.person.reason = str_of(options->reason);
	if (options->definition &&
	    (api_pipeline_check(sluice, options->definition, NULL, &definition, err) != ERR_OK ||
	     api_settle(sluice, dir, &fold.state, options->definition, definition->model, &settled,
			err) != ERR_OK ||
	     change_make(&fold.state, &settled, &change, err) != ERR_OK))
		return err->code;
	resume.next = change.next;
	resume.changes = buf_view(&change.changes);
	if (api_person_check(sluice, options->as, &resume.person, err) != ERR_OK ||
	    decide_resume_check(&fold.state, &resume, err) != ERR_OK)
		return err->code;
	buf_fmt(text, "Run ID: %.*s\nCurrent state: %s\nCompleted steps: %u\n",
		STR_ARG(fold.state.run_id), run_state_name(fold.state.state),
		fold.state.count[STEP_SUCCEEDED]);
	if (change.next) {
		buf_fmt(text, "Run is resumable%s\n",
			options->accept_changes
			    ? ""
			    : " if the changes are accepted (--accept-changes)");
		return change_text(&fold.state, &change, resume.from, text, err);
	}
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
	if (options && options->accept_changes && !options->definition)
		return api_usage(err, "accept_changes needs a definition");
	history_note_clear(sluice);
	if (check_resume(sluice, run_name, options ? options : &defaults, &text, &own) != ERR_OK)
		return api_err(err, &own);
	return api_text(&text, ret_text, err);
}
