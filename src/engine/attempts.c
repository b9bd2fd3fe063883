/* attempts.c - attempts under way: handing them over, cancelling them, hearing of them. Each moves
 * by the table of attempt.def; a report that the table does not allow stops the run. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <string.h>

/* What is mocked goes to the driver that mocks, in the place of that of commands. */
static struct str driver_of(const struct engine *engine, uint32_t step)
{
	const struct step *def = &engine->fold.model->steps[step];

	if (engine->ports.is_dry && mocked_is_step(engine, step))
		return STR_NONE;
	if (def->call)
		return STR(EXEC_DRIVER_CALL);
	return def->command ? def->command->executor : STR_NONE;
}

static struct exec_token token_of(const struct engine *engine, uint32_t step)
{
	const struct step *def = &engine->fold.model->steps[step];

	return (struct exec_token){
	    .path = def->id,
	    .role = EXEC_ROLE_RUN,
	    .attempt = engine->fold.state.steps[step].attempt,
	    .driver = driver_of(engine, step),
	    .seed = engine->fold.state.seed,
	};
}

static enum err_code move(struct engine *engine, uint32_t step, enum attempt_event event,
			  enum attempt_act *ret_act, struct err *err)
{
	if (attempt_move(&engine->attempts[step], event, ret_act, err) != ERR_OK)
		return err_while(err, "step '%.*s'", STR_ARG(engine->fold.model->steps[step].id));
	return ERR_OK;
}

enum err_code attempts_intend(struct engine *engine, uint32_t step, struct err *err)
{
	enum attempt_act act;

	if (engine->fold.state.steps[step].state != STEP_RUNNING)
		return ERR_OK; /* started and failed in one batch: there is nothing to carry out */
	return move(engine, step, ATTEMPT_EV_INTEND, &act, err);
}

/* ----------------------------------------------------------------------------------- start */

static enum err_code end_own(struct engine *engine, uint32_t step, const struct err *why,
			     struct err *err)
{
	struct own_end end = {.step = step, .is_ok = why == NULL};
	void *list = engine->done;

	if (why)
		end.err = *why;
	if (mem_grow(&list, &engine->done_capacity, engine->done_count + 1, sizeof(end), err) !=
	    ERR_OK)
		return err->code;
	engine->done = list;
	engine->done[engine->done_count++] = end;
	return ERR_OK;
}

enum err_code attempts_make_dirs(struct engine *engine, struct err *err)
{
	int dir = rundir_fd(engine->dir);

	if (engine->has_dirs)
		return ERR_OK;
	if (vfs_make_dir(engine->ports.vfs, dir, "logs", err) != ERR_OK ||
	    vfs_make_dir(engine->ports.vfs, dir, "out", err) != ERR_OK)
		return err->code;
	engine->has_dirs = true;
	return ERR_OK;
}

/* An attempt has until its own deadline or the run's, whichever comes first. */
static int64_t timeout_of(const struct engine *engine, uint32_t step)
{
	int64_t timeout_ns = step_timeout_ns(&engine->fold.model->steps[step]);
	int64_t left_ns;

	if (!engine->deadline_ns)
		return timeout_ns;
	left_ns = engine->deadline_ns - engine->now_ns;
	if (left_ns < 1)
		left_ns = 1;
	return timeout_ns && timeout_ns < left_ns ? timeout_ns : left_ns;
}

/* The file below `logs` (S12). */
static enum err_code put_log_name(struct buf *name, const struct exec_token *token,
				  const char *ending, struct err *err)
{
	buf_str(name, token->path);
	buf_byte(name, '.');
	buf_u64(name, token->attempt);
	buf_text(name, ending);
	return buf_check(name, "the name of a log", err);
}

static enum err_code hand_over(struct engine *engine, uint32_t step,
			       const struct prepared *prepared, struct err *err)
{
	const struct command *command = engine->fold.model->steps[step].command;
	struct exec_token token = token_of(engine, step);
	enum attempt_act act;
	AUTO(buf_fini) struct buf log = BUF_INIT;
	AUTO(buf_fini) struct buf log_err = BUF_INIT;
	struct exec_start start = {
	    .token = token,
	    .argv = prepared->argv,
	    .envp = prepared->envp,
	    .cwd = prepared->cwd,
	    .timeout_ns = timeout_of(engine, step),
	    .silence_ns = command->silence_ns,
	    .grace_ns = command->grace_ns,
	    .output_limit_bytes = command->output_limit_bytes,
	    .masks = prepared->masks,
	    .masks_count = prepared->masks_count,
	    .resources = command->resources,
	    .stdin_path = prepared->stdin_path,
	    .stdin_text = prepared->stdin_text,
	    .user = prepared->as_user,
	    .limits = command->limits,
	    .limits_count = command->limits_count,
	    .hands = prepared->hands,
	    .hands_count = prepared->hands_count,
	    .allows_orphans = command->allows_orphans,
	};

	if (put_log_name(&log, &token, command->splits_streams ? ".out" : ".log", err) != ERR_OK ||
	    (command->splits_streams && put_log_name(&log_err, &token, ".err", err) != ERR_OK))
		return err->code;
	start.log = log.ptr;
	start.log_err = log_err.ptr;
	if (move(engine, step, ATTEMPT_EV_HAND, &act, err) != ERR_OK)
		return err->code;
	return engine->exec.ops->start(engine->exec.self, &start, err);
}

static enum err_code end_cached(struct engine *engine, uint32_t step, const struct cached *cached,
				struct err *err)
{
	if (end_own(engine, step, NULL, err) != ERR_OK)
		return err->code;
	engine->done[engine->done_count - 1].cached = cached;
	return ERR_OK;
}

/* An earlier success stands for it, or it is executed. */
static enum err_code start_command(struct engine *engine, uint32_t step,
				   const struct prepared *prepared, struct err *err)
{
	const struct cached *cached = NULL;

	if (engine->fold.model->steps[step].is_cached &&
	    cache_look(engine, step, prepared, &cached, err) != ERR_OK)
		return err->code;
	return cached ? end_cached(engine, step, cached, err)
		      : hand_over(engine, step, prepared, err);
}

static enum err_code hand_over_call(struct engine *engine, uint32_t step, struct str config,
				    struct err *err)
{
	struct exec_call call = {
	    .step = step,
	    .config = config,
	    .seq = engine->fold.state.seq,
	    .context = engine->context,
	};
	AUTO(buf_fini) struct buf log = BUF_INIT;
	enum attempt_act act;
	struct exec_start start = {
	    .token = token_of(engine, step),
	    .timeout_ns = timeout_of(engine, step),
	    .output_limit_bytes = step_output_limit_bytes(&engine->fold.model->steps[step]),
	    .call = &call,
	};

	if (put_log_name(&log, &start.token, ".log", err) != ERR_OK)
		return err->code;
	start.log = log.ptr;
	if (move(engine, step, ATTEMPT_EV_HAND, &act, err) != ERR_OK)
		return err->code;
	return engine->exec.ops->start(engine->exec.self, &start, err);
}

static enum err_code start_mocked(struct engine *engine, uint32_t step, struct err *err)
{
	struct exec_start start = {.token = token_of(engine, step)};
	enum attempt_act act;

	start.token.driver = STR_NONE; /* the one that mocks */
	if (move(engine, step, ATTEMPT_EV_HAND, &act, err) != ERR_OK)
		return err->code;
	return engine->exec.ops->start(engine->exec.self, &start, err);
}

static enum err_code start_call(struct engine *engine, uint32_t step, struct err *err)
{
	struct err own = ERR_INIT;
	struct str config = STR_NONE;
	bool is_open = false;

	if (hosted_config(engine, step, &config, &is_open, &own) == ERR_OK)
		return hand_over_call(engine, step, config, err);
	if (own.code != ERR_INVALID) {
		*err = own;
		return err->code;
	}
	/* S14: only a step that was mocked could have filled it */
	return end_own(engine, step, is_open ? NULL : &own, err);
}

/* Its step.started was written, and then, before it was handed over, its run began to stop or to
 * fail: nothing begins after that (S1.4, S7.5). */
static enum err_code end_unbegun(struct engine *engine, uint32_t step, struct err *err)
{
	if (end_own(engine, step, NULL, err) != ERR_OK)
		return err->code;
	engine->done[engine->done_count - 1].is_ok = false;
	engine->done[engine->done_count - 1].is_cancelled = true;
	return ERR_OK;
}

enum err_code attempts_start(struct engine *engine, uint32_t step, struct err *err)
{
	struct err own = ERR_INIT;
	struct prepared prepared;

	if (engine->attempts[step] != ATTEMPT_INTENDED)
		return ERR_OK;
	if (engine->fold.model->steps[step].kind == STEP_KIND_NOOP)
		return end_own(engine, step, NULL, err);
	if (run_starts_nothing(&engine->fold.state))
		return end_unbegun(engine, step, err);
	if (engine->ports.is_dry)
		return mocked_is_step(engine, step) ? start_mocked(engine, step, err)
						    : start_call(engine, step, err);
	if (attempts_make_dirs(engine, err) != ERR_OK)
		return err->code;
	if (engine->fold.model->steps[step].call)
		return start_call(engine, step, err);
	if (prepare_command(engine, step, &prepared, &own) == ERR_OK)
		return start_command(engine, step, &prepared, err);
	if (own.code == ERR_INVALID)
		return end_own(engine, step, &own, err);
	*err = own;
	return err->code;
}

/* ---------------------------------------------------------------------------------- cancel */

static enum err_code cancel(struct engine *engine, uint32_t step, struct err *err)
{
	struct exec_token token = token_of(engine, step);
	enum attempt_act act;

	if (engine->attempts[step] == ATTEMPT_NONE)
		return ERR_OK;
	if (move(engine, step, ATTEMPT_EV_CANCEL, &act, err) != ERR_OK)
		return err->code;
	if (act != ATTEMPT_DO_CANCEL)
		return ERR_OK;
	return engine->exec.ops->cancel(engine->exec.self, &token, engine->fold.state.is_stop_now,
					err);
}

/* Does what happened to the run end what runs of the step? */
static bool is_cancelled(const struct engine *engine, uint32_t step, bool is_failing_too)
{
	const struct run_state *run = &engine->fold.state;

	if (!run->is_stopping && !is_failing_too)
		return false;
	return run->is_stop_now || run->model->steps[step].on_stop == ON_STOP_CANCEL;
}

enum err_code attempts_cancel_running(struct engine *engine, bool all, struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	for (uint32_t i = 0; run->count[STEP_RUNNING] && i < run->model->steps_count; i++) {
		if (run->steps[i].state == STEP_RUNNING && (all || is_cancelled(engine, i, true)) &&
		    cancel(engine, i, err) != ERR_OK)
			return err->code;
	}
	return undo_cancel(engine, err);
}

/* --------------------------------------------------------------------------------- reports */

static enum err_code tell(struct engine *engine, enum input_kind kind, uint32_t step,
			  const struct decide_result *result, struct str text, struct err *err)
{
	struct input input = {
	    .kind = kind,
	    .step = step,
	    .attempt = engine->fold.state.steps[step].attempt,
	    .result = result,
	    .text = text,
	};

	return engine_feed(engine, &input, err);
}

static enum err_code tell_cancelled(struct engine *engine, uint32_t step, struct err *err)
{
	struct decide_result result = {
	    .class = CLASS_CANCELLED,
	    .reason = STR("cancelled before it ran"),
	    .duration_ms = -1,
	};

	return tell(engine, INPUT_ENDED, step, &result, STR_NONE, err);
}

static enum err_code tell_ended(struct engine *engine, uint32_t step,
				const struct exec_report *report, struct err *err)
{
	struct decide_result result;

	if (engine->ports.is_dry && mocked_is_step(engine, step)) {
		if (mocked_result(engine, step, &result, err) != ERR_OK)
			return err->code;
	} else if (harvest(engine, step, report, &result, err) != ERR_OK ||
		   (!engine->ports.is_dry && cache_note(engine, step, &result, err) != ERR_OK)) {
		return err->code;
	}
	return tell(engine, INPUT_ENDED, step, &result, STR_NONE, err);
}

enum err_code attempts_halt(const struct engine *engine, uint32_t step,
			    const struct exec_report *report, struct err *err)
{
	(void)err_sysno(err, report->errno_value, "the attempt of '%.*s' could not be recorded",
			STR_ARG(engine->fold.model->steps[step].id));
	if (err->code == ERR_NOT_FOUND || err->code == ERR_MEMORY)
		err->code = ERR_IO; /* a storage failure, whatever its errno (S12) */
	return err_hint(err, "make room or repair the disk, then: sluice resume %.*s",
			STR_ARG(engine->fold.state.run_id));
}

static enum err_code act_on(struct engine *engine, uint32_t step, enum attempt_act act,
			    const struct exec_report *report, struct err *err)
{
	switch (act) {
	case ATTEMPT_DO_NOTHING:
	case ATTEMPT_DO_CANCEL:
		return ERR_OK;
	case ATTEMPT_DO_START: /* like any other: behind what this turn finds out and writes */
		return engine_add_effect(engine, (struct effect){EFFECT_START_AGAIN, step}, err);
	case ATTEMPT_DO_END:
		return tell_ended(engine, step, report, err);
	case ATTEMPT_DO_END_CANCELLED:
		return tell_cancelled(engine, step, err);
	case ATTEMPT_DO_LOSE:
		return tell(engine, INPUT_LOST, step, NULL, STR_NONE, err);
	case ATTEMPT_DO_HOLD:
		return tell(engine, INPUT_LEFTOVERS, step, NULL, STR_NONE, err);
	case ATTEMPT_DO_HALT:
		return attempts_halt(engine, step, report, err);
	}
	BUG_IF(true);
	return ERR_OK;
}

static const enum attempt_event event_of[] = {
    [EXEC_STARTED] = ATTEMPT_EV_STARTED,     [EXEC_ENDED] = ATTEMPT_EV_ENDED,
    [EXEC_ABSENT] = ATTEMPT_EV_ABSENT,       [EXEC_LOST] = ATTEMPT_EV_LOST,
    [EXEC_LEFTOVERS] = ATTEMPT_EV_LEFTOVERS, [EXEC_REFUSED] = ATTEMPT_EV_REFUSED,
};

enum attempt_event attempts_event_of(enum exec_report_kind kind)
{
	return event_of[kind];
}

static enum err_code hear(struct engine *engine, const struct exec_report *report, struct err *err)
{
	uint32_t step = model_find_near(engine->fold.model, report->token.path, &engine->likely);
	enum attempt_act act;
	bool was_intended;

	if (step == STEP_NONE || report->token.attempt != engine->fold.state.steps[step].attempt ||
	    engine->fold.state.steps[step].state != STEP_RUNNING)
		return ERR_OK; /* of an attempt that is over */
	was_intended = engine->attempts[step] == ATTEMPT_INTENDED;
	if (move(engine, step, event_of[report->kind], &act, err) != ERR_OK)
		return err->code;
	if (act_on(engine, step, act, report, err) != ERR_OK)
		return err->code;
	/* Found running by an engine that took a stop over (S1.5): only now it can be told of
	 * it. */
	return was_intended && report->kind == EXEC_STARTED && is_cancelled(engine, step, false)
		   ? cancel(engine, step, err)
		   : ERR_OK;
}

static enum err_code hear_own(struct engine *engine, const struct own_end *end, struct err *err)
{
	struct decide_result result = {.is_ok = end->is_ok, .duration_ms = -1};
	enum attempt_act act;

	if (engine->fold.state.steps[end->step].state != STEP_RUNNING)
		return ERR_OK;
	if (move(engine, end->step, ATTEMPT_EV_ENDED, &act, err) != ERR_OK)
		return err->code;
	if (end->is_cancelled)
		return tell_cancelled(engine, end->step, err);
	if (end->is_ok && engine->ports.is_dry) {
		if (mocked_result(engine, end->step, &result, err) != ERR_OK)
			return err->code;
	} else if (end->is_ok) {
		if (end->cached && cache_take(engine, end->cached, &result, err) != ERR_OK)
			return err->code;
		if (harvest_verdict(engine, end->step, &result, err) != ERR_OK)
			return err->code;
	} else {
		result.class = CLASS_CONFIGURATION;
		result.reason =
		    secrets_mask(&engine->secrets, &engine->tick, str_of(end->err.text));
		if (!result.reason.ptr)
			return mem_err(err);
	}
	return tell(engine, INPUT_ENDED, end->step, &result, STR_NONE, err);
}

enum err_code attempts_collect(struct engine *engine, struct err *err)
{
	struct exec_report report;

	if (undo_collect(engine, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < engine->done_count; i++) {
		if (hear_own(engine, &engine->done[i], err) != ERR_OK)
			return err->code;
	}
	engine->done_count = 0;
	if (!engine->exec.ops)
		return ERR_OK;
	if (engine->exec.ops->pump(engine->exec.self, err) != ERR_OK)
		return err->code;
	while (engine->exec.ops->next(engine->exec.self, &report)) {
		if ((report.token.role == EXEC_ROLE_COMP ? undo_hear : hear)(engine, &report,
									     err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- recover */

static bool has_executor(const struct engine *engine, uint32_t step)
{
	return engine->fold.model->steps[step].kind != STEP_KIND_NOOP;
}

enum err_code attempts_recover(struct engine *engine, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	uint32_t running = run->count[STEP_RUNNING];
	struct exec_token *tokens = arena_new(&engine->tick, running + 1, sizeof(*tokens));
	bool *same_boot = arena_new(&engine->tick, running + 1, sizeof(*same_boot));
	size_t count = 0;

	if (!tokens || !same_boot)
		return mem_err(err);
	for (uint32_t i = 0; running && i < run->model->steps_count; i++) {
		if (run->steps[i].state != STEP_RUNNING)
			continue;
		if (attempts_intend(engine, i, err) != ERR_OK)
			return err->code;
		if (!has_executor(engine, i)) { /* no effects: done again, same attempt (S8.5) */
			if (attempts_start(engine, i, err) != ERR_OK)
				return err->code;
			continue;
		}
		tokens[count] = token_of(engine, i);
		same_boot[count++] = str_eq(run->steps[i].boot_id, engine->ports.boot_id);
	}
	count += undo_recover(engine, &tokens[count], &same_boot[count]);
	if (!count)
		return ERR_OK;
	if (engine->exec.ops->recover(engine->exec.self, tokens, same_boot, count, err) != ERR_OK)
		return err_while(err, "ask for the attempts that were running");
	return ERR_OK;
}
