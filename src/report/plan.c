/* plan.c - see plan.h */
#include "report/plan.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/run_state.h"
#include "lang/expr.h"
#include "report/pretty.h"

#include <ctype.h>
#include <string.h>

#define SECRET_MASK   STR("***")
#define PARAMS_PREFIX "params."
#define NAME_COLUMNS  10
#define BLANKS        "                "

/* What is known of a step before anything runs. */
enum forecast {
	FORECAST_RUNS,    /* if nothing that it needs fails */
	FORECAST_SKIPPED, /* its condition is false, or that of a step that it needs */
	FORECAST_DECIDED, /* its condition depends on the run */
};

struct plan {
	const struct plan_request *request;
	const struct model *model;
	struct expr *expr;
	struct run_state state; /* nothing but the parameters */
	enum forecast *forecast;
	uint32_t *wave; /* by step, from 1: the steps of a wave need only those of earlier ones */
	uint32_t waves;
	struct buf scratch;
};

static void plan_fini(struct plan *plan)
{
	expr_drop(&plan->expr);
	run_state_fini(&plan->state);
	mem_free(plan->forecast);
	mem_free(plan->wave);
	buf_fini(&plan->scratch);
}

/* Could the text mean the same in any run with these parameters? Errs towards "no". */
static bool is_static(struct str text)
{
	return str_find(text, "output", 0) == SIZE_MAX && str_find(text, "run", 0) == SIZE_MAX &&
	       str_find(text, "env", 0) == SIZE_MAX;
}

/* Is the text the use of a secret? Such a text is nothing else (lang/use.c). */
static bool is_secret(const struct plan *plan, const struct tmpl *tmpl)
{
	size_t at = tmpl->is_dynamic ? str_find(tmpl->text, PARAMS_PREFIX, 0) : SIZE_MAX;
	struct str name;
	size_t len = 0;

	if (at == SIZE_MAX)
		return false;
	name = str_cut(tmpl->text, at + sizeof(PARAMS_PREFIX) - 1, tmpl->text.len);
	while (len < name.len && (isalnum((unsigned char)name.ptr[len]) || name.ptr[len] == '_'))
		len++;
	name.len = len;
	for (uint32_t i = 0; i < plan->model->params_count; i++) {
		if (plan->model->params[i].type == VALUE_SECRET &&
		    str_eq(plan->model->params[i].name, name))
			return true;
	}
	return false;
}

/* Append the text with its `${}` parts filled if that can be done now, else as written. */
static void resolve(struct plan *plan, uint32_t step, const struct tmpl *tmpl, struct buf *out)
{
	struct expr_scope scope = {.run = &plan->state, .step = step};
	struct err ignored = ERR_INIT;

	buf_clear(&plan->scratch);
	if (is_secret(plan, tmpl)) {
		buf_str(out, SECRET_MASK);
		return;
	}
	if (!tmpl->is_dynamic || !is_static(tmpl->text) ||
	    expr_fill(plan->expr, tmpl, &scope, &plan->scratch, &ignored) != ERR_OK)
		buf_str(out, tmpl->text); /* a parameter is missing: the text itself says which */
	else
		buf_str(out, buf_view(&plan->scratch));
}

/* The forecast of a step from its condition and those before it (S5.2, S5.3). */
static enum forecast foresee(struct plan *plan, uint32_t index)
{
	const struct step *step = &plan->model->steps[index];
	struct expr_scope scope = {.run = &plan->state, .step = index};
	struct err ignored = ERR_INIT;
	bool is_true;

	for (uint32_t i = 0; i < step->needs_count && !step->needs_implicit; i++) {
		if (plan->forecast[step->needs[i]] == FORECAST_SKIPPED)
			return FORECAST_SKIPPED;
	}
	if (step->needs_any_count > 0) {
		uint32_t skipped = 0;

		for (uint32_t i = 0; i < step->needs_any_count; i++)
			skipped += plan->forecast[step->needs_any[i]] == FORECAST_SKIPPED;
		if (skipped == step->needs_any_count)
			return FORECAST_SKIPPED;
	}
	if (!step->when.ptr)
		return FORECAST_RUNS;
	if (!is_static(step->when) ||
	    expr_eval_bool(plan->expr, step->when, &scope, &is_true, &ignored) != ERR_OK)
		return FORECAST_DECIDED;
	return is_true ? FORECAST_RUNS : FORECAST_SKIPPED;
}

static uint32_t last_wave(const struct plan *plan, const uint32_t *needs, uint32_t count)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < count; i++)
		last = plan->wave[needs[i]] > last ? plan->wave[needs[i]] : last;
	return last;
}

static void find_wave(struct plan *plan, uint32_t index)
{
	const struct step *step = &plan->model->steps[index];
	uint32_t needs = last_wave(plan, step->needs, step->needs_count);
	uint32_t any = last_wave(plan, step->needs_any, step->needs_any_count);

	plan->wave[index] = (needs > any ? needs : any) + 1;
	if (plan->wave[index] > plan->waves)
		plan->waves = plan->wave[index];
}

static enum err_code plan_init(struct plan *plan, const struct plan_request *request,
			       struct err *err)
{
	plan->request = request;
	plan->model = request->model;
	plan->forecast = mem_new(request->model->steps_count, sizeof(*plan->forecast));
	plan->wave = mem_new(request->model->steps_count, sizeof(*plan->wave));
	if (!plan->forecast || !plan->wave)
		return mem_err(err);
	if (expr_new(request->limits, &plan->expr, err) != ERR_OK ||
	    run_state_init(&plan->state, request->model, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < request->model->params_count; i++)
		plan->state.params[i] = request->params[i];
	for (uint32_t i = 0; i < request->model->steps_count; i++) {
		uint32_t step = request->model->order[i];

		plan->forecast[step] = foresee(plan, step);
		find_wave(plan, step);
	}
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- reasons */

static void names_put(struct buf *out, const struct model *model, const uint32_t *steps,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			buf_text(out, ", ");
		buf_str(out, model->steps[steps[i]].id);
	}
}

static void why_put(struct buf *out, const struct plan *plan, uint32_t index)
{
	const struct model *model = plan->model;
	const struct step *step = &model->steps[index];

	if (step->needs_count == 0 && step->needs_any_count == 0)
		buf_text(out, "needs nothing: starts at once");
	if (step->needs_count > 0) {
		buf_text(out, "after ");
		names_put(out, model, step->needs, step->needs_count);
		if (step->needs_implicit)
			buf_text(out, " (the step written before it)");
	}
	if (step->needs_any_count > 0) {
		buf_text(out, step->needs_count > 0 ? " and any of " : "after any of ");
		names_put(out, model, step->needs_any, step->needs_any_count);
	}
	if (plan->forecast[index] == FORECAST_SKIPPED)
		buf_text(out, step->when.ptr
				  ? "; skipped: its condition, or one that it needs, is false"
				  : "; skipped: what it needs is skipped");
	else if (plan->forecast[index] == FORECAST_DECIDED)
		buf_text(out, "; its condition is decided during the run");
	else if (step->when.ptr)
		buf_text(out, "; its condition is true");
}

static const char *forecast_name(enum forecast forecast)
{
	switch (forecast) {
	case FORECAST_RUNS:
		return "runs";
	case FORECAST_SKIPPED:
		return "skipped";
	case FORECAST_DECIDED:
		break;
	}
	return "decided_later";
}

static const char *kind_name(enum step_kind kind)
{
	switch (kind) {
	case STEP_KIND_NOOP:
		return "noop";
	case STEP_KIND_RUN:
		return "run";
	case STEP_KIND_ARGV:
		return "argv";
	case STEP_KIND_CALL:
		return "call";
	case STEP_KIND_CUSTOM:
		break;
	}
	return "custom";
}

/* A parameter's value, secrets masked; "(not given)" for none. */
static void param_put(struct buf *out, const struct plan *plan, uint32_t index)
{
	const struct param *param = &plan->model->params[index];
	struct str value = plan->request->params[index];

	if (param->type == VALUE_SECRET)
		buf_str(out, SECRET_MASK);
	else if (value.ptr)
		buf_str(out, value);
	else
		buf_text(out, param->is_required ? "(required, not given)" : "(not given)");
}

/* -------------------------------------------------------------------------------- text */

static void item_line(struct buf *out, const char *name, struct str text)
{
	size_t at = 0;

	buf_put(out, BLANKS, 5);
	buf_text(out, name);
	buf_put(out, BLANKS, strlen(name) < NAME_COLUMNS ? NAME_COLUMNS - strlen(name) + 1 : 1);
	text = str_trim(text);
	while (at < text.len) {
		size_t end = str_find(text, "\n", at);

		if (end == SIZE_MAX)
			end = text.len;
		if (at > 0)
			buf_put(out, BLANKS, 5 + NAME_COLUMNS + 1);
		buf_str(out, str_cut(text, at, end));
		buf_byte(out, '\n');
		at = end + 1;
	}
	if (text.len == 0)
		buf_byte(out, '\n');
}

static void call_line(struct buf *out, const struct call_def *call)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	buf_str(&text, call->name);
	if (call->config.ptr)
		buf_fmt(&text, " %.*s", STR_ARG(call->config));
	buf_needs(out, &text);
	item_line(out, call->config.ptr ? "custom" : "call", buf_view(&text));
}

static void command_lines(struct buf *out, struct plan *plan, uint32_t index)
{
	const struct command *command = plan->model->steps[index].command;
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (plan->model->steps[index].call)
		call_line(out, plan->model->steps[index].call);
	if (!command)
		return;
	if (plan->model->steps[index].kind == STEP_KIND_RUN) {
		item_line(out, "run", command->text);
	} else {
		for (uint32_t i = 0; i < command->argv_count; i++) {
			AUTO(buf_fini) struct buf word = BUF_INIT;

			resolve(plan, index, &command->argv[i], &word);
			if (i > 0)
				buf_byte(&text, ' ');
			buf_needs(&text, &word);
			json_put_str(&text, buf_view(&word));
		}
		buf_needs(out, &text);
		item_line(out, "argv", buf_view(&text));
	}
	for (uint32_t i = 0; i < command->env_count; i++) {
		buf_clear(&text);
		buf_fmt(&text, "%.*s=", STR_ARG(command->env[i].name));
		if (command->env[i].from_env)
			buf_text(&text, "(from the environment)");
		else
			resolve(plan, index, &command->env[i].value, &text);
		buf_needs(out, &text);
		item_line(out, "env", buf_view(&text));
	}
	if (command->timeout_ns > 0) {
		buf_clear(&text);
		duration_exact(&text, command->timeout_ns);
		buf_needs(out, &text);
		item_line(out, "timeout", buf_view(&text));
	}
}

static const char *const backoffs[] = {
    [BACKOFF_EXPONENTIAL] = "exponential",
    [BACKOFF_LINEAR] = "linear",
    [BACKOFF_CONSTANT] = "constant",
};

/* "up to 3, after transient_io, timeout; exponential from 2s, at most 1m" */
static void retry_put(struct buf *out, const struct retry *retry)
{
	const char *before = ", after ";

	buf_fmt(out, "up to %u", retry->max_attempts);
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		if (!(retry->classes >> c & 1))
			continue;
		buf_fmt(out, "%s%s", before, error_class_name((enum error_class)c));
		before = ", ";
	}
	buf_fmt(out, "; %s from ", backoffs[retry->backoff]);
	duration_exact(out, retry->initial_ns);
	if (retry->max_ns > 0 && retry->backoff != BACKOFF_CONSTANT) {
		buf_text(out, ", at most ");
		duration_exact(out, retry->max_ns);
	}
}

/* "2 of anna, bert; within 1h" */
static void approval_put(struct buf *out, const struct approval *approval)
{
	buf_fmt(out, "%u of ", approval->count);
	for (uint32_t i = 0; i < approval->by_count; i++)
		buf_fmt(out, "%s%.*s", i > 0 ? ", " : "", STR_ARG(approval->by[i]));
	if (approval->by_count == 0)
		buf_text(out, "anybody with a name");
	if (approval->timeout_ns > 0) {
		buf_text(out, "; within ");
		duration_exact(out, approval->timeout_ns);
	}
}

static void step_lines(struct buf *out, struct plan *plan, uint32_t place, uint32_t index)
{
	const struct step *step = &plan->model->steps[index];
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (place < 100)
		buf_put(out, BLANKS, place < 10 ? 2 : 1);
	buf_u64(out, place);
	buf_text(out, ". ");
	buf_str(out, step->id);
	if (step->gate != GATE_NONE)
		buf_fmt(out, " [%s gate]", gate_kind_name(step->gate));
	if (plan->forecast[index] == FORECAST_SKIPPED)
		buf_text(out, " (skipped)");
	buf_byte(out, '\n');
	why_put(&text, plan, index);
	buf_needs(out, &text);
	item_line(out, "why", buf_view(&text));
	if (step->when.ptr)
		item_line(out, "when", step->when);
	command_lines(out, plan, index);
	for (uint32_t i = 0; i < step->inputs_count; i++) {
		buf_clear(&text);
		resolve(plan, index, &step->inputs[i], &text);
		buf_needs(out, &text);
		item_line(out, "input", buf_view(&text));
	}
	if (step->pass.ptr)
		item_line(out, "pass", step->pass);
	if (step->retry->max_attempts > 1) {
		buf_clear(&text);
		retry_put(&text, step->retry);
		buf_needs(out, &text);
		item_line(out, "attempts", buf_view(&text));
	}
	if (step->approval) {
		buf_clear(&text);
		approval_put(&text, step->approval);
		buf_needs(out, &text);
		item_line(out, "approval", buf_view(&text));
	}
	if (step->on_failure != ON_FAILURE_STOP)
		item_line(out, "on_failure", str_of(on_failure_name(step->on_failure)));
}

enum err_code plan_text(const struct plan_request *request, struct buf *out, struct err *err)
{
	AUTO(plan_fini) struct plan plan = {.expr = NULL};
	const struct model *model = request->model;

	if (plan_init(&plan, request, err) != ERR_OK)
		return err->code;
	buf_fmt(out, "Pipeline: %.*s", STR_ARG(model->pipeline));
	if (model->version.len > 0)
		buf_fmt(out, " (version %.*s)", STR_ARG(model->version));
	buf_fmt(out, "\nSteps: %u in %u wave%s, at most %u at once\n", model->steps_count,
		plan.waves, plan.waves == 1 ? "" : "s", model->concurrency);
	if (model->params_count > 0)
		buf_text(out, "Params:\n");
	for (uint32_t i = 0; i < model->params_count; i++) {
		buf_fmt(out, "  %.*s = ", STR_ARG(model->params[i].name));
		param_put(out, &plan, i);
		buf_byte(out, '\n');
	}
	buf_text(out, "Order:\n");
	/* model->order is by wave: a step is in it as soon as the last one that it needs is. */
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (i == 0 || plan.wave[model->order[i]] != plan.wave[model->order[i - 1]])
			buf_fmt(out, "Wave %u:\n", plan.wave[model->order[i]]);
		step_lines(out, &plan, i + 1, model->order[i]);
	}
	if (request->note.len > 0)
		buf_fmt(out, "Note: %.*s\n", STR_ARG(request->note));
	buf_text(out, "Nothing was executed.\n");
	return buf_check(out, "plan", err);
}

/* -------------------------------------------------------------------------------- JSON */

static void names_member(struct buf *out, const char *name, const struct model *model,
			 const uint32_t *steps, uint32_t count)
{
	field_open(out, name, '[');
	for (uint32_t i = 0; i < count; i++) {
		field_comma(out);
		json_put_str(out, model->steps[steps[i]].id);
	}
	buf_byte(out, ']');
}

static void texts_member(struct buf *out, struct plan *plan, uint32_t index, const char *name,
			 const struct tmpl *texts, uint32_t count)
{
	field_open(out, name, '[');
	for (uint32_t i = 0; i < count; i++) {
		AUTO(buf_fini) struct buf text = BUF_INIT;

		resolve(plan, index, &texts[i], &text);
		field_comma(out);
		buf_needs(out, &text);
		json_put_str(out, buf_view(&text));
	}
	buf_byte(out, ']');
}

static void policy_members(struct buf *out, const struct step *step)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (step->retry->max_attempts > 1) {
		retry_put(&text, step->retry);
		buf_needs(out, &text);
		field_str(out, "retry", buf_view(&text));
	}
	if (step->approval) {
		buf_clear(&text);
		approval_put(&text, step->approval);
		buf_needs(out, &text);
		field_str(out, "approval", buf_view(&text));
	}
}

static void step_member(struct buf *out, struct plan *plan, uint32_t index)
{
	const struct step *step = &plan->model->steps[index];
	const struct command *command = step->command;
	AUTO(buf_fini) struct buf why = BUF_INIT;

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "step_id", step->id);
	field_i64(out, "wave", plan->wave[index]);
	field_str(out, "kind", str_of(kind_name(step->kind)));
	field_str(out, "forecast", str_of(forecast_name(plan->forecast[index])));
	why_put(&why, plan, index);
	buf_needs(out, &why);
	field_str(out, "why", buf_view(&why));
	names_member(out, "needs", plan->model, step->needs, step->needs_count);
	names_member(out, "needs_any", plan->model, step->needs_any, step->needs_any_count);
	field_str(out, "gate",
		  step->gate == GATE_NONE ? STR_NONE : str_of(gate_kind_name(step->gate)));
	field_str(out, "when", step->when);
	field_str(out, "pass", step->pass);
	field_str(out, "on_failure", str_of(on_failure_name(step->on_failure)));
	field_i64(out, "max_attempts", step->retry->max_attempts);
	policy_members(out, step);
	if (command && step->kind == STEP_KIND_RUN)
		field_str(out, "run", command->text);
	if (command && step->kind == STEP_KIND_ARGV)
		texts_member(out, plan, index, "argv", command->argv, command->argv_count);
	if (step->call)
		field_str(out, step->call->config.ptr ? "custom" : "call", step->call->name);
	texts_member(out, plan, index, "inputs", step->inputs, step->inputs_count);
	buf_byte(out, '}');
}

enum err_code plan_json(const struct plan_request *request, struct buf *out, struct err *err)
{
	AUTO(plan_fini) struct plan plan = {.expr = NULL};
	AUTO(buf_fini) struct buf json = BUF_INIT;
	const struct model *model = request->model;

	if (plan_init(&plan, request, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	field_str(&json, "pipeline", model->pipeline);
	field_str(&json, "version", model->version);
	field_i64(&json, "concurrency", model->concurrency);
	field_i64(&json, "waves", plan.waves);
	field_open(&json, "params", '{');
	for (uint32_t i = 0; i < model->params_count; i++) {
		field_comma(&json);
		json_put_str(&json, model->params[i].name);
		buf_byte(&json, ':');
		if (model->params[i].type == VALUE_SECRET)
			json_put_str(&json, SECRET_MASK);
		else if (request->params[i].ptr)
			buf_str(&json, request->params[i]);
		else
			buf_text(&json, "null");
	}
	buf_byte(&json, '}');
	field_open(&json, "steps", '[');
	for (uint32_t i = 0; i < model->steps_count; i++)
		step_member(&json, &plan, model->order[i]);
	buf_byte(&json, ']');
	field_str(&json, "note", request->note.len > 0 ? request->note : STR_NONE);
	buf_byte(&json, '}');
	pretty_answer(out, &json);
	return buf_check(out, "plan", err);
}
