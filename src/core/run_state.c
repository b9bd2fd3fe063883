/* run_state.c - names, checks and the arithmetic of needs; the fold itself is apply*.c */
#include "core/run_state.h"

#include "base/mem.h"

#define STATES_MAX 9

static const char *const run_names[STATES_MAX] = {
#define STATE(name, value, kind, text, what) [RUN_##name] = text,
#define ROW(from, to, guard, why)
#include "core/run.def"
};

enum end_kind { END_LIVE, END_END, END_REST };

static const enum end_kind run_kinds[STATES_MAX] = {
#define STATE(name, value, kind, text, what) [RUN_##name] = END_##kind,
#define ROW(from, to, guard, why)
#include "core/run.def"
};

struct run_row {
	enum run_state_id from, to;
	bool is_resume_only;
};

#define GUARD_ALWAYS false
#define GUARD_RESUME true
static const struct run_row run_rows[] = {
#define STATE(name, value, kind, text, what)
#define ROW(from, to, guard, why) {RUN_##from, RUN_##to, GUARD_##guard},
#include "core/run.def"
};

static const char *const step_names[] = {
    [0] = "none",
#define STATE(name, value, kind, text, what) [STEP_##name] = text,
#define EVENT(name, what)
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

static const char *const outcome_names[] = {
    [OUTCOME_NONE] = "none",       [OUTCOME_SUCCESS] = "success",
    [OUTCOME_PARTIAL] = "partial", [OUTCOME_FAILED] = "failed",
    [OUTCOME_STOPPED] = "stopped", [OUTCOME_ROLLED_BACK] = "rolled_back",
};

static const char *const skip_names[] = {
    [SKIP_NONE] = "none",
    [SKIP_CONDITION] = "condition",
    [SKIP_CHOICE_NOT_TAKEN] = "choice_not_taken",
    [SKIP_UPSTREAM_FAILED] = "upstream_failed",
    [SKIP_GATE_FAILED] = "gate_failed",
    [SKIP_RUN_STOPPED] = "run_stopped",
};

/* Index of a name from 1 on (0 is "none" everywhere), 0 if it is not there. */
static size_t index_of(struct str name, const char *const *names, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		/* not reached: a hole that is another one's name */
		if (names[i] && str_is(name, names[i]))
			return i;
	}
	return 0;
}

const char *run_state_name(enum run_state_id state)
{
	return run_names[state] ? run_names[state] : "none";
}

bool run_state_of(struct str name, enum run_state_id *ret_state)
{
	size_t i = index_of(name, run_names, ARRAY_LEN(run_names));

	if (i)
		*ret_state = (enum run_state_id)i;
	return i != 0;
}

bool run_state_is_end(enum run_state_id state)
{
	return run_kinds[state] != END_LIVE;
}

const char *step_state_name(enum step_state_id state)
{
	return step_names[state];
}

bool step_state_of(struct str name, enum step_state_id *ret_state)
{
	size_t i = index_of(name, step_names, ARRAY_LEN(step_names));

	if (i)
		*ret_state = (enum step_state_id)i;
	return i != 0;
}

const char *outcome_name(enum run_outcome outcome)
{
	return outcome_names[outcome];
}

bool outcome_of(struct str name, enum run_outcome *ret_outcome)
{
	size_t i = index_of(name, outcome_names, ARRAY_LEN(outcome_names));

	if (i)
		*ret_outcome = (enum run_outcome)i;
	return i != 0;
}

const char *skip_reason_name(enum skip_reason skip)
{
	return skip_names[skip];
}

bool skip_reason_of(struct str name, enum skip_reason *ret_skip)
{
	size_t i = index_of(name, skip_names, ARRAY_LEN(skip_names));

	if (i)
		*ret_skip = (enum skip_reason)i;
	return i != 0;
}

enum err_code run_state_check(enum run_state_id from, enum run_state_id to, bool is_resume,
			      enum err_code refused, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(run_rows); i++) {
		if (run_rows[i].from == from && run_rows[i].to == to &&
		    (is_resume || !run_rows[i].is_resume_only))
			return ERR_OK;
	}
	return err_set(err, refused, "Invalid run state transition: %s -> %s", run_state_name(from),
		       run_state_name(to));
}

/* Nothing that the step needs is resolved. */
static void reset_needs(struct run_state *run, uint32_t step)
{
	struct step_state *at = &run->steps[step];

	at->unmet = run->model->steps[step].needs_count;
	at->any_unresolved = run->model->steps[step].needs_any_count;
	at->any_succeeded = 0;
	at->doom = SKIP_NONE;
	at->doom_cause = STEP_NONE;
}

enum err_code run_state_init(struct run_state *run, const struct model *model, struct err *err)
{
	*run =
	    (struct run_state){.model = model, .failing_step = STEP_NONE, .undo.step = STEP_NONE};
	run->steps = mem_new(model->steps_count, sizeof(*run->steps));
	run->params = mem_new(model->params_count, sizeof(*run->params));
	if (!run->steps || !run->params) {
		run_state_fini(run);
		return mem_err(err);
	}
	for (uint32_t i = 0; i < model->steps_count; i++) {
		run->steps[i].state = STEP_PENDING;
		reset_needs(run, i);
	}
	run->count[STEP_PENDING] = model->steps_count;
	return ERR_OK;
}

void run_state_fini(struct run_state *run)
{
	mem_free(run->steps);
	mem_free(run->params);
	mem_free(run->updates);
	mem_free(run->artifacts);
	mem_free(run->retired);
	arena_fini(&run->arena);
	*run = (struct run_state){0};
}

struct str context_param(const struct run_state *run, struct str name)
{
	if (run->is_dry && str_is(name, "__dry_run__"))
		return STR("true");
	for (size_t i = run->updates_count; i > 0; i--) {
		if (str_eq(run->updates[i - 1].name, name))
			return run->updates[i - 1].value;
	}
	for (uint32_t i = 0; i < run->model->params_count; i++) {
		if (str_eq(run->model->params[i].name, name))
			return run->params[i];
	}
	return STR_NONE;
}

bool step_stops_run(const struct run_state *run, uint32_t step)
{
	const struct step *def = &run->model->steps[step];

	return run->steps[step].is_gate_failed || def->gate == GATE_HARD ||
	       def->on_failure == ON_FAILURE_STOP || def->on_failure == ON_FAILURE_COMPENSATE;
}

bool step_is_resolved(const struct step_state *step)
{
	return step->state == STEP_SUCCEEDED || step->state == STEP_SKIPPED ||
	       step->state == STEP_COMPENSATED || (step->state == STEP_FAILED && step->is_final);
}

bool step_needs_met(const struct step_state *step)
{
	return step->doom == SKIP_NONE && step->unmet == 0 && step->any_unresolved == 0;
}

static bool is_by_choice(enum skip_reason skip)
{
	return skip == SKIP_CONDITION || skip == SKIP_CHOICE_NOT_TAKEN;
}

bool step_is_doomed(const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];
	const struct step *def = &run->model->steps[step];

	if ((at->state != STEP_PENDING && at->state != STEP_WAITING) || at->doom == SKIP_NONE)
		return false;
	if (!is_by_choice(at->doom))
		return true;
	for (uint32_t i = 0; i < def->needs_count; i++) {
		if (!step_is_resolved(&run->steps[def->needs[i]]))
			return false;
	}
	return at->any_unresolved == 0;
}

bool step_is_ready(const struct step_state *step)
{
	return step->state == STEP_PENDING && step_needs_met(step);
}

bool run_starts_nothing(const struct run_state *run)
{
	return run->is_stopping || run->is_failing;
}

bool run_ends_stopped(const struct run_state *run)
{
	return run->is_stopping && !run->is_stop_late;
}

static bool may_retry_class(const struct retry *retry, enum error_class class)
{
	return error_class_may_be_listed(class) && (retry->classes >> class & 1);
}

bool step_may_retry(const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];
	const struct step *def = &run->model->steps[step];

	BUG_IF(at->state != STEP_FAILED);
	if (at->is_rejected ||
	    run->state == RUN_FAILED) /* S7.3: the run's own deadline has passed */
		return false;
	if (run->undo.is_active) /* S10: nothing runs forward any more */
		return false;
	if (at->class == CLASS_LOST)
		return def->on_lost == ON_LOST_RERUN && at->losses < LOSSES_IN_ROW_MAX;
	return may_retry_class(def->retry, at->class) && at->failures < def->retry->max_attempts;
}

/* --------------------------------------------------------------------------------- rollback */

bool run_is_undoing(const struct run_state *run)
{
	if (run->undo.is_active)
		return true;
	/* not reached: begun, failed and not completed, as it is active then */
	return run->state == RUN_FAILED && !run->is_completed && !run->is_resuming &&
	       run->undo.is_wanted && !run->undo.is_begun && !run->is_stopping;
}

bool step_is_undoable(const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];

	return at->state == STEP_SUCCEEDED && !at->is_given && run->model->steps[step].compensate;
}

uint32_t run_undo_next(const struct run_state *run)
{
	return run->undo.left ? run->model->order[run->undo.left - 1] : STEP_NONE;
}

static struct str class_shown(enum error_class class, struct str text)
{
	return text.len ? text : str_of(error_class_name(class));
}

struct str step_class_text(const struct step_state *step)
{
	return class_shown(step->class, step->class_text);
}

struct str undo_class_text(const struct undo_state *undo)
{
	return class_shown(undo->class, undo->class_text);
}

bool run_may_retry_undo(const struct run_state *run, uint32_t step, enum error_class class,
			uint32_t failures)
{
	const struct retry *retry = run->model->steps[step].compensate_retry;

	return may_retry_class(retry, class) && failures + 1 < retry->max_attempts;
}

/* How one resolved step counts for another that needs it (S5.2). */
enum need_result { NEED_MET, NEED_SKIPS };

static enum need_result need_result(const struct run_state *run, uint32_t need, bool is_implicit,
				    enum skip_reason *ret_skip)
{
	const struct step_state *at = &run->steps[need];
	const struct step *def = &run->model->steps[need];

	if (at->state == STEP_SUCCEEDED)
		return NEED_MET;
	if (at->state == STEP_SKIPPED) {
		if (is_implicit && at->skip == SKIP_CONDITION)
			return NEED_MET;
		*ret_skip = at->skip;
		return NEED_SKIPS;
	}
	if (at->state == STEP_FAILED) {
		if (at->is_waived)
			return NEED_MET;
		if (!step_stops_run(run, need) && (def->on_failure == ON_FAILURE_CONTINUE ||
						   def->on_failure == ON_FAILURE_IGNORE))
			return NEED_MET;
		*ret_skip = at->is_gate_failed ? SKIP_GATE_FAILED : SKIP_UPSTREAM_FAILED;
		return NEED_SKIPS;
	}
	*ret_skip = SKIP_UPSTREAM_FAILED; /* compensated: its effect is gone */
	return NEED_SKIPS;
}

/* The first cause counts: it is the one in the log's order. But a failure counts more than a
 * choice, which those that need the step implicitly would pass through. */
static void doom(struct step_state *step, enum skip_reason reason, uint32_t cause)
{
	if (step->doom != SKIP_NONE && (!is_by_choice(step->doom) || is_by_choice(reason)))
		return;
	step->doom = reason;
	step->doom_cause = cause;
}

/* None of needs_any succeeded: the first that failed or fell with a failure is the cause, whatever
 * order they ended in, so that a resume which opens that one opens this one too; else the first. */
static void doom_by_any(const struct run_state *run, uint32_t step)
{
	const struct step *def = &run->model->steps[step];
	enum skip_reason reason = SKIP_NONE;
	uint32_t cause = STEP_NONE;

	for (uint32_t i = 0; i < def->needs_any_count; i++) {
		const struct step_state *need = &run->steps[def->needs_any[i]];
		enum skip_reason skip =
		    need->state == STEP_SKIPPED ? need->skip : SKIP_UPSTREAM_FAILED;

		if (need->is_gate_failed)
			skip = SKIP_GATE_FAILED;
		if (cause == STEP_NONE || (is_by_choice(reason) && !is_by_choice(skip))) {
			reason = skip;
			cause = def->needs_any[i];
		}
	}
	doom(&run->steps[step], reason, cause);
}

static void count_any(struct run_state *run, uint32_t step, uint32_t need)
{
	struct step_state *at = &run->steps[step];

	at->any_unresolved--;
	if (run->steps[need].state == STEP_SUCCEEDED)
		at->any_succeeded++;
	if (at->any_unresolved == 0 && at->any_succeeded == 0)
		doom_by_any(run, step);
}

static void count_need(struct run_state *run, uint32_t step, uint32_t need)
{
	struct step_state *at = &run->steps[step];
	enum skip_reason skip = SKIP_NONE;

	if (need_result(run, need, run->model->steps[step].needs_implicit, &skip) == NEED_MET)
		at->unmet--;
	else
		doom(at, skip, need);
}

void run_state_resolve(struct run_state *run, uint32_t step)
{
	const struct model *model = run->model;

	for (uint32_t d = model->dependents_at[step]; d < model->dependents_at[step + 1]; d++) {
		if (model->dependent_is_any[d])
			count_any(run, model->dependents[d], step);
		else
			count_need(run, model->dependents[d], step);
	}
}

void run_state_recount(struct run_state *run)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		reset_needs(run, i);
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (step_is_resolved(&run->steps[i]))
			run_state_resolve(run, i);
	}
}
