/* undo.c - the compensation of a step as an attempt (S8.2, S10): handed over, cancelled, heard of
 * by the same table as attempts of steps, under its own token run/step/comp/number. One runs at a
 * time. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <stdio.h>

static const struct undo_state *state_of(const struct engine *engine)
{
	return &engine->fold.state.undo;
}

void undo_name(const struct engine *engine, uint32_t step, char name[UNDO_NAME_BYTES])
{
	(void)snprintf(name, UNDO_NAME_BYTES, "%.*s.comp",
		       STR_ARG(engine->fold.model->steps[step].id));
}

static struct exec_token token_of(const struct engine *engine)
{
	return (struct exec_token){
	    .path = engine->fold.model->steps[state_of(engine)->step].id,
	    .role = EXEC_ROLE_COMP,
	    .attempt = state_of(engine)->attempt,
	};
}

static enum err_code move(struct engine *engine, enum attempt_event event,
			  enum attempt_act *ret_act, struct err *err)
{
	if (attempt_move(&engine->undo, event, ret_act, err) != ERR_OK)
		return err_while(err, "compensation of '%.*s'", STR_ARG(token_of(engine).path));
	return ERR_OK;
}

/* ----------------------------------------------------------------------------------- start */

/* The run's own deadline is no bound: a rollback takes the time that it needs. */
static enum err_code hand_over(struct engine *engine, const struct prepared *prepared,
			       struct err *err)
{
	struct exec_token token = token_of(engine);
	uint32_t step = state_of(engine)->step;
	const struct command *command = engine->fold.model->steps[step].compensate;
	enum attempt_act act;
	char log[UNDO_NAME_BYTES + 32];
	struct exec_start start = {
	    .token = token,
	    .argv = prepared->argv,
	    .envp = prepared->envp,
	    .cwd = prepared->cwd,
	    .log = log,
	    .timeout_ns = command->timeout_ns,
	    .silence_ns = command->silence_ns,
	    .grace_ns = command->grace_ns,
	    .output_limit_bytes = command->output_limit_bytes,
	    .masks = prepared->masks,
	    .masks_count = prepared->masks_count,
	    .user = prepared->as_user,
	    .limits = command->limits,
	    .limits_count = command->limits_count,
	    .hands = prepared->hands,
	    .hands_count = prepared->hands_count,
	};

	(void)snprintf(log, sizeof(log), "%s.%u.log", prepared->name, token.attempt);
	if (move(engine, ATTEMPT_EV_HAND, &act, err) != ERR_OK)
		return err->code;
	return engine->exec.ops->start(engine->exec.self, &start, err);
}

static enum err_code start(struct engine *engine, struct err *err)
{
	struct err own = ERR_INIT;
	struct prepared prepared;

	if (engine->ports.is_dry) { /* its undo is mocked too */
		struct exec_start mocked = {.token = token_of(engine)};
		enum attempt_act act;

		if (move(engine, ATTEMPT_EV_HAND, &act, err) != ERR_OK)
			return err->code;
		return engine->exec.ops->start(engine->exec.self, &mocked, err);
	}
	if (attempts_make_dirs(engine, err) != ERR_OK)
		return err->code;
	if (prepare_undo(engine, state_of(engine)->step, &prepared, &own) == ERR_OK)
		return hand_over(engine, &prepared, err);
	if (own.code != ERR_INVALID) {
		*err = own;
		return err->code;
	}
	engine->has_undo_end = true;
	engine->undo_end = own;
	return ERR_OK;
}

enum err_code undo_start(struct engine *engine, struct err *err)
{
	enum attempt_act act;

	if (!state_of(engine)->is_running)
		return ERR_OK; /* it began and ended in one batch */
	if (move(engine, ATTEMPT_EV_INTEND, &act, err) != ERR_OK)
		return err->code;
	return start(engine, err);
}

enum err_code undo_arm_timer(struct engine *engine, int64_t left_ms, struct err *err)
{
	if (left_ms < 0)
		left_ms = 0;
	return engine_arm_timer(engine, TIMER_UNDO, state_of(engine)->step,
				time_after(engine->now_ns, ns_of_ms(left_ms)), err);
}

/* A compensation is work that was begun on purpose: it ends by itself unless the stop is to be
 * now. */
enum err_code undo_cancel(struct engine *engine, struct err *err)
{
	struct exec_token token;
	enum attempt_act act;

	if (!state_of(engine)->is_running || !engine->fold.state.is_stop_now ||
	    engine->undo == ATTEMPT_NONE)
		return ERR_OK;
	if (move(engine, ATTEMPT_EV_CANCEL, &act, err) != ERR_OK)
		return err->code;
	if (act != ATTEMPT_DO_CANCEL)
		return ERR_OK;
	token = token_of(engine);
	return engine->exec.ops->cancel(engine->exec.self, &token, true, err);
}

/* --------------------------------------------------------------------------------- reports */

static enum err_code tell(struct engine *engine, enum input_kind kind,
			  const struct decide_result *result, struct err *err)
{
	struct input input = {
	    .kind = kind,
	    .step = state_of(engine)->step,
	    .attempt = state_of(engine)->attempt,
	    .result = result,
	};

	return engine_feed(engine, &input, err);
}

static enum err_code tell_ended(struct engine *engine, const struct exec_report *report,
				struct err *err)
{
	struct decide_result result = {.is_ok = true, .is_mocked = true};

	if (!engine->ports.is_dry && harvest_undo(engine, report, &result, err) != ERR_OK)
		return err->code;
	return tell(engine, INPUT_UNDO_ENDED, &result, err);
}

static enum err_code tell_cancelled(struct engine *engine, struct err *err)
{
	struct decide_result result = {
	    .class = CLASS_CANCELLED,
	    .reason = STR("cancelled before it ran"),
	    .duration_ms = -1,
	};

	return tell(engine, INPUT_UNDO_ENDED, &result, err);
}

static enum err_code act_on(struct engine *engine, enum attempt_act act,
			    const struct exec_report *report, struct err *err)
{
	switch (act) {
	case ATTEMPT_DO_NOTHING:
	case ATTEMPT_DO_CANCEL:
		return ERR_OK;
	case ATTEMPT_DO_START:
		return start(engine, err);
	case ATTEMPT_DO_END:
		return tell_ended(engine, report, err);
	case ATTEMPT_DO_END_CANCELLED:
		return tell_cancelled(engine, err);
	case ATTEMPT_DO_LOSE:
		return tell(engine, INPUT_UNDO_LOST, NULL, err);
	case ATTEMPT_DO_HOLD:
		return tell(engine, INPUT_UNDO_LEFTOVERS, NULL, err);
	case ATTEMPT_DO_HALT:
		return attempts_halt(engine, state_of(engine)->step, report, err);
	}
	BUG_IF(true);
	return ERR_OK;
}

enum err_code undo_hear(struct engine *engine, const struct exec_report *report, struct err *err)
{
	uint32_t step = model_find(engine->fold.model, report->token.path);
	bool was_intended = engine->undo == ATTEMPT_INTENDED;
	enum attempt_act act;

	if (!state_of(engine)->is_running || step != state_of(engine)->step ||
	    report->token.attempt != state_of(engine)->attempt)
		return ERR_OK; /* of one that is over */
	if (move(engine, attempts_event_of(report->kind), &act, err) != ERR_OK)
		return err->code;
	if (act == ATTEMPT_DO_START && engine->fold.state.is_stopping) {
		engine->undo = ATTEMPT_NONE; /* S7.5: nothing new starts */
		act = ATTEMPT_DO_END_CANCELLED;
	}
	if (act_on(engine, act, report, err) != ERR_OK)
		return err->code;
	return was_intended && report->kind == EXEC_STARTED ? undo_cancel(engine, err) : ERR_OK;
}

enum err_code undo_collect(struct engine *engine, struct err *err)
{
	struct decide_result result = {.class = CLASS_CONFIGURATION, .duration_ms = -1};
	enum attempt_act act;

	if (!engine->has_undo_end)
		return ERR_OK;
	engine->has_undo_end = false;
	if (move(engine, ATTEMPT_EV_ENDED, &act, err) != ERR_OK)
		return err->code;
	result.reason =
	    secrets_mask(&engine->secrets, &engine->tick, str_of(engine->undo_end.text));
	if (!result.reason.ptr)
		return mem_err(err);
	return tell(engine, INPUT_UNDO_ENDED, &result, err);
}

bool undo_recover(struct engine *engine, struct exec_token *ret_token, bool *ret_same_boot)
{
	if (!state_of(engine)->is_running)
		return false;
	engine->undo = ATTEMPT_INTENDED;
	*ret_token = token_of(engine);
	*ret_same_boot = str_eq(state_of(engine)->boot_id, engine->ports.boot_id);
	return true;
}
