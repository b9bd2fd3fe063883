/* recover.c - an engine takes over a run that is on disk: lock, verify, repair, fold, ask, go
 * on. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

static enum err_code note_repair(struct engine *engine, const struct log_torn *torn,
				 struct err *err)
{
	struct input input = {
	    .kind = INPUT_REPAIRED,
	    .number = (int64_t)torn->bytes,
	    .text = str_of(torn->sha256),
	};

	return torn->bytes ? engine_feed(engine, &input, err) : ERR_OK;
}

/* Lock, verify, fold; a torn tail that was moved aside is noted at once, before any guard can
 * refuse what the caller wants (S11.4). A run that only was born may have been cut short in that:
 * its name is made durable before anything follows. */
static enum err_code take_over(struct engine *engine, const char *path, struct err *err)
{
	const struct vfs *vfs = engine->ports.vfs;
	struct log_torn torn = {0};

	if (rundir_open(vfs, path, &engine->dir, err) != ERR_OK ||
	    run_lock_take(vfs, rundir_fd(engine->dir), &engine->lock, err) != ERR_OK)
		return err->code;
	if (projections_look(engine, err) != ERR_OK ||
	    fold_open(engine->dir, engine->ports.limits, projections_visit, projections_accept,
		      engine, &engine->fold, &engine->log, &torn, err) != ERR_OK ||
	    projections_check(engine, err) != ERR_OK ||
	    (engine->fold.state.seq == 1 && rundir_sync_name(engine->dir, err) != ERR_OK) ||
	    engine_begin(engine, err) != ERR_OK || note_repair(engine, &torn, err) != ERR_OK)
		return err->code;
	return engine_commit(engine, err);
}

enum err_code engine_open_idle(const struct engine_ports *ports, const char *path,
			       struct engine **ret_engine, struct err *err)
{
	AUTO(engine_drop) struct engine *engine = NULL;
	struct engine_observer nobody = {NULL, NULL};

	if (engine_new(ports, nobody, &engine, err) != ERR_OK ||
	    take_over(engine, path, err) != ERR_OK)
		return err->code;
	engine->is_idle = true;
	engine->is_recorded = engine->fold.state.is_completed; /* a refusal writes nothing */
	*ret_engine = TAKE(engine, NULL);
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- guards */

/* Artifacts of succeeded steps must be what they were (pipeline-format: verified on resume). */
enum err_code recover_check_artifacts(const struct engine *engine, const uint8_t *runs_again,
				      struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	for (size_t i = 0; i < run->artifacts_count; i++) {
		const struct emitted_artifact *artifact = &run->artifacts[i];
		AUTO(mem_drop) char *path = mem_text(artifact->path.ptr, artifact->path.len);
		struct str step = run->model->steps[artifact->step].id;
		struct file_digest digest;
		bool is_last = true;

		for (size_t j = i + 1; j < run->artifacts_count; j++)
			is_last = is_last && !str_eq(run->artifacts[j].path, artifact->path);
		if (!path)
			return mem_err(err);
		if (!is_last || run->steps[artifact->step].state != STEP_SUCCEEDED ||
		    (runs_again && runs_again[artifact->step]))
			continue;
		if (rundir_digest(path, false, &digest, err) == ERR_OK &&
		    str_is(artifact->sha256, digest.sha256))
			continue;
		err_reset(err);
		(void)err_set(err, ERR_REFUSED,
			      "the artifact '%s' of step '%.*s' is not what it was", path,
			      STR_ARG(step));
		return err_hint(err, "make it again: sluice resume %.*s --from %.*s",
				STR_ARG(run->run_id), STR_ARG(step));
	}
	return ERR_OK;
}

/* Blocked, and neither a person nor a deadline has decided since. */
static bool is_undecided(const struct engine *engine)
{
	const struct run_state *run = &engine->fold.state;

	if (run->state != RUN_BLOCKED || run->count[STEP_RUNNING] || engine->decider.is_unblocked ||
	    run->undo.is_begun)
		return false;
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *step = &run->steps[i];

		if (step->state == STEP_WAITING && step->due_ms && step->due_ms <= engine->now_ms)
			return false;
	}
	return true;
}

/* The log ends between the run's end and its run.completed: only that is missing. */
static bool lacks_completion(const struct run_state *run)
{
	return run_state_is_end(run->state) && !run->is_completed && !run->is_resuming &&
	       (run->state == RUN_ROLLED_BACK || !run_is_undoing(run));
}

/* --------------------------------------------------------------------------------- timers */

static int64_t left_ns(const struct engine *engine, int64_t due_ms)
{
	int64_t left_ms = time_after(due_ms, -engine->now_ms);

	return left_ms > 0 ? ns_of_ms(left_ms) : 0;
}

/* In the same boot by the clock since boot, which nobody sets; in another one by the difference of
 * wall times. Never below 0, and never longer than the whole delay (S7.6). */
static int64_t retry_left_ms(const struct engine *engine, const struct retry_due *due,
			     int64_t due_ms)
{
	bool is_same_boot = due->boot_ms && str_eq(due->boot_id, engine->ports.boot_id);
	int64_t left_ms = is_same_boot ? time_after(due->boot_ms, -(engine->now_ns / NS_PER_MS))
				       : time_after(due_ms, -engine->now_ms);

	if (left_ms > due->delay_ms)
		left_ms = due->delay_ms;
	return left_ms > 0 ? left_ms : 0;
}

/* Deadlines go on over a restart: max(0, wall difference), never longer than they were (S7.6). */
static enum err_code arm_timers(struct engine *engine, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	int64_t timeout_ns = run->model->timeout_ns;
	int64_t run_left_ns = left_ns(engine, run->created_ms + timeout_ns / NS_PER_MS);

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *step = &run->steps[i];
		enum timer_kind kind = step->is_retry ? TIMER_RETRY : TIMER_WAIT;
		int64_t wait_ns =
		    step->is_retry ? ns_of_ms(retry_left_ms(engine, &step->retry_due, step->due_ms))
				   : left_ns(engine, step->due_ms);

		if (!step->is_retry && !(step->state == STEP_WAITING && step->due_ms))
			continue;
		if (engine_arm_timer(engine, kind, i, time_after(engine->now_ns, wait_ns), err) !=
		    ERR_OK)
			return err->code;
	}
	if (run->undo.is_retry &&
	    undo_arm_timer(engine, retry_left_ms(engine, &run->undo.retry_due, run->undo.due_ms),
			   err) != ERR_OK)
		return err->code;
	/* A run that a person resumes gets its time anew; one that crashed keeps what is left. */
	if (run->is_resuming || run_left_ns > timeout_ns)
		run_left_ns = timeout_ns;
	return engine_arm_deadline(engine, run_left_ns, err);
}

/* --------------------------------------------------------------------------------- resume */

static void put_member(struct buf *object, struct str name, struct str value)
{
	buf_byte(object, object->len ? ',' : '{');
	json_put_str(object, name);
	buf_byte(object, ':');
	buf_str(object, value);
}

/* What `-p` changes, as one JSON object. */
static enum err_code convert_params(struct engine *engine, const struct engine_resume *resume,
				    struct decide_resume *decided, struct err *err)
{
	const struct model *model = engine->fold.model;
	struct str *values = arena_new(&engine->life, model->params_count + 1, sizeof(*values));
	AUTO(buf_fini) struct buf changed = BUF_INIT;

	if (!resume->params_count)
		return ERR_OK;
	if (!values)
		return mem_err(err);
	if (lang_params_override(model, resume->params, resume->params_count, engine->ports.limits,
				 &engine->life, values, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (values[i].ptr)
			put_member(&changed, model->params[i].name, values[i]);
	}
	buf_byte(&changed, '}');
	decided->params = arena_str(&engine->life, buf_view(&changed));
	return decided->params.ptr && changed.failed == ERR_OK ? ERR_OK : mem_err(err);
}

static enum err_code record_resume(struct engine *engine, const struct engine_resume *resume,
				   struct change *change, struct err *err)
{
	struct decide_resume decided = resume->resume;
	struct input input = {.kind = INPUT_RESUME, .resume = &decided};
	const struct model *model = change->next ? change->next : engine->fold.model;

	decided.boot_id = engine->ports.boot_id;
	decided.definition_hash = engine->fold.state.definition_hash;
	decided.next = change->next;
	decided.changes = buf_view(&change->changes);
	if ((change->next ? change_params(engine, resume, change->next, &decided.params, err)
			  : convert_params(engine, resume, &decided, err)) != ERR_OK ||
	    decide_resume_check(&engine->fold.state, &decided, err) != ERR_OK ||
	    secrets_read(&engine->secrets, model, err) != ERR_OK)
		return err->code;
	if (change->next) {
		if (change_check(engine, change, decided.from, err) != ERR_OK ||
		    change_store(engine, resume, change, &decided, err) != ERR_OK)
			return err->code;
	} else if (!decided.from.ptr && recover_check_artifacts(engine, NULL, err) != ERR_OK) {
		return err->code;
	}
	return engine_feed(engine, &input, err);
}

/* Why this engine owns the run is recorded (not when only run.completed is missing): make that
 * durable, then ask for what runs. */
static enum err_code carry_on(struct engine *engine, bool is_completing, struct err *err)
{
	const struct engine_ports *ports = &engine->ports;

	if (engine_commit(engine, err) != ERR_OK)
		return err->code;
	engine->effects_count = 0; /* what runs is asked for; timers come from the state */
	if (hosted_begin(engine, err) != ERR_OK ||
	    ports->open_exec(ports->arg, engine->dir,
			     is_completing ? engine->fold.state.seq : engine->fold.state.epoch,
			     &engine->exec, err) != ERR_OK ||
	    attempts_recover(engine, err) != ERR_OK)
		return err->code;
	engine->has_more = true;
	return arm_timers(engine, err);
}

static enum err_code go_on(struct engine *engine, const struct engine_resume *resume,
			   struct change *change, struct err *err)
{
	/* Another definition cannot be taken before the run is completed: the guard says so. */
	bool is_completing = lacks_completion(&engine->fold.state) && !change->next;

	if (resume->max_parallel)
		engine->fold.model->concurrency = resume->max_parallel;
	if (resume->max_parallel && change->next)
		change->next->concurrency = resume->max_parallel;
	if (run_is_undoing(&engine->fold.state)) {
		if (hosted_accept_undo(engine, err) != ERR_OK)
			return err->code;
	} else if (!is_completing && !change->next &&
		   hosted_accept(engine, resume->resume.from.ptr != NULL, err) != ERR_OK) {
		return err->code;
	}
	if (!is_completing && record_resume(engine, resume, change, err) != ERR_OK)
		return err->code;
	return carry_on(engine, is_completing, err);
}

enum err_code engine_resume(const struct engine_ports *ports, const struct engine_resume *resume,
			    enum engine_resumed *ret_resumed, struct engine **ret_engine,
			    struct err *err)
{
	AUTO(engine_drop) struct engine *engine = NULL;
	AUTO(change_fini) struct change change = {.next = NULL};
	const struct run_state *run;
	bool is_changed;

	if (engine_new(ports, resume->observer, &engine, err) != ERR_OK ||
	    take_over(engine, resume->path, err) != ERR_OK ||
	    change_prepare(engine, resume, &change, err) != ERR_OK)
		return err->code;
	run = &engine->fold.state;
	is_changed = change.next != NULL;
	if (run->state == RUN_SUCCEEDED && run->is_completed && !resume->resume.from.ptr &&
	    !is_changed) {
		*ret_resumed = ENGINE_NOTHING;
		return ERR_OK;
	}
	if (is_undecided(engine) && !resume->resume.from.ptr && !resume->resume.overrides_count &&
	    !is_changed) {
		*ret_resumed = ENGINE_UNDECIDED;
		return ERR_OK;
	}
	if (go_on(engine, resume, &change, err) != ERR_OK)
		return err->code;
	*ret_resumed = ENGINE_RESUMED;
	*ret_engine = TAKE(engine, NULL);
	return ERR_OK;
}

/* ------------------------------------------------------------------------------- rollback */

static enum err_code record_rollback(struct engine *engine, const struct decide_person *person,
				     struct err *err)
{
	struct input input = {
	    .kind = INPUT_ROLLBACK,
	    .person = person,
	    .text = engine->ports.boot_id,
	};

	if (decide_rollback_check(&engine->fold.state, err) != ERR_OK ||
	    hosted_accept_undo(engine, err) != ERR_OK ||
	    secrets_read(&engine->secrets, engine->fold.model, err) != ERR_OK)
		return err->code;
	return engine_feed(engine, &input, err);
}

enum err_code engine_rollback(const struct engine_ports *ports,
			      const struct engine_rollback *rollback, struct engine **ret_engine,
			      struct err *err)
{
	AUTO(engine_drop) struct engine *engine = NULL;
	struct engine_resume resume = {.path = rollback->path};
	struct change none = {.next = NULL};
	const struct run_state *run;
	enum err_code code;

	if (engine_new(ports, rollback->observer, &engine, err) != ERR_OK ||
	    take_over(engine, rollback->path, err) != ERR_OK)
		return err->code;
	run = &engine->fold.state;
	if (run_is_undoing(run)) /* it was cut short, or is only not completed: as a resume */
		code = go_on(engine, &resume, &none, err);
	else if (record_rollback(engine, &rollback->person, err) == ERR_OK)
		code = carry_on(engine, false, err);
	else
		code = err->code;
	if (code == ERR_OK)
		*ret_engine = TAKE(engine, NULL);
	return code;
}
