/* compare.c - see compare.h */
#include "report/compare.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/csv.h"
#include "report/grid.h"
#include "report/pretty.h"

/* ---- reading a run */

void compare_side_fini(struct compare_side *side)
{
	fold_fini(&side->fold);
	buf_fini(&side->frozen);
	arena_fini(&side->arena);
}

/* The definition changed, or this is the first event: a place for each step's hash. */
static enum err_code note_model(struct compare_side *side, const struct model *model,
				struct err *err)
{
	struct str *hashes = arena_new(&side->arena, model->steps_count, sizeof(*hashes));

	if (!hashes)
		return mem_err(err);
	for (uint32_t i = 0; side->seen && i < model->steps_count; i++) {
		uint32_t from = model_find(side->seen, model->steps[i].id);

		if (from != STEP_NONE)
			hashes[i] = side->hashes[from];
	}
	side->hashes = hashes;
	side->hashes_count = model->steps_count;
	side->seen = model;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	struct compare_side *side = arg;
	struct str hash;
	uint32_t at;

	(void)line;
	if (state->model != side->seen && note_model(side, state->model, err) != ERR_OK)
		return err->code;
	if (event->type != EVENT_STEP_SUCCEEDED)
		return ERR_OK;
	hash = event_text(event, EVENT_FIELD_OUTPUTS_HASH);
	at = model_find(state->model, event_text(event, EVENT_FIELD_STEP_ID));
	BUG_IF(at >= side->hashes_count); /* apply took the event */
	side->hashes[at] = STR_NONE;
	if (!hash.ptr)
		return ERR_OK;
	side->hashes[at] = arena_str(&side->arena, hash);
	return side->hashes[at].ptr ? ERR_OK : mem_err(err);
}

enum err_code compare_read(const struct rundir *dir, const struct limits *limits,
			   struct compare_side *side, struct err *err)
{
	if (fold_read(dir, limits, on_event, side, &side->fold, err) != ERR_OK)
		return err->code;
	return rundir_frozen(dir, side->fold.state.definition_hash, &side->frozen, err);
}

/* ---- what differs */

enum outputs { OUTPUTS_NONE, OUTPUTS_SAME, OUTPUTS_DIFFER };

static const char *const outputs_names[] = {
    [OUTPUTS_NONE] = "none", [OUTPUTS_SAME] = "same", [OUTPUTS_DIFFER] = "differ"};

/* A step of one run or both. */
struct row {
	struct str id;
	const struct step_state *a; /* NULL = the run has no such step */
	const struct step_state *b;
	enum outputs outputs;
	struct buf changed; /* keys of its definition, with commas; empty = none */
	bool differs_in_state;
	bool diverges;
};

struct comparison {
	const struct compare_side *a;
	const struct compare_side *b;
	struct row *rows;
	size_t count;
	const struct row *first; /* that diverges; NULL = none */
	struct buf keys;         /* of the pipeline that changed, with commas */
};

static void comparison_fini(struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->count; i++)
		buf_fini(&comparison->rows[i].changed);
	mem_free(comparison->rows);
	buf_fini(&comparison->keys);
}

static void key_put(struct buf *out, struct str key)
{
	if (out->len > 0)
		buf_byte(out, ',');
	json_decode(key, out);
}

/* The value of a raw key; ptr NULL when there is none. Both sides are in the canonical form. */
static struct str raw_member(struct str object, struct str key)
{
	struct str value;
	struct str found;
	size_t at = 0;

	while (json_member(object, &at, &found, &value)) {
		if (str_eq(found, key))
			return value;
	}
	return STR_NONE;
}

/* Append the keys whose values differ, or that only one of the objects has. */
static void keys_changed(struct str a, struct str b, struct buf *out)
{
	struct str value;
	struct str key;
	size_t at = 0;

	while (json_member(a, &at, &key, &value)) {
		if (!str_is(key, "steps") && !str_eq(value, raw_member(b, key)))
			key_put(out, key);
	}
	for (at = 0; json_member(b, &at, &key, &value);) {
		if (!str_is(key, "steps") && !raw_member(a, key).ptr)
			key_put(out, key);
	}
}

/* The frozen text of each step, in the order of the model; NULL when memory is short. */
static struct str *definitions(const struct compare_side *side)
{
	const struct model *model = side->fold.model;
	struct str *texts = mem_new(model->steps_count + 1, sizeof(*texts));
	struct str value;
	struct str key;
	size_t at = 0;

	for (uint32_t i = 0; texts && i < model->steps_count; i++) {
		if (!json_member(json_get(buf_view(&side->frozen), "steps"), &at, &key, &value))
			break;
		texts[i] = value;
	}
	return texts;
}

/* Do two steps need the same ones? The frozen form does not say it for an implicit need. */
static bool needs_same(const struct model *a, const struct step *left, const struct model *b,
		       const struct step *right)
{
	if (left->needs_count != right->needs_count)
		return false;
	for (uint32_t i = 0; i < left->needs_count; i++) {
		if (!str_eq(a->steps[left->needs[i]].id, b->steps[right->needs[i]].id))
			return false;
	}
	return true;
}

static enum outputs outputs_of(struct str a, struct str b)
{
	if (!a.ptr && !b.ptr)
		return OUTPUTS_NONE;
	return str_eq(a, b) && a.ptr && b.ptr ? OUTPUTS_SAME : OUTPUTS_DIFFER;
}

static bool states_differ(const struct step_state *a, const struct step_state *b)
{
	if (a->state != b->state)
		return true;
	if (a->state == STEP_FAILED)
		return !str_eq(step_class_text(a), step_class_text(b));
	return a->state == STEP_SKIPPED && a->skip != b->skip;
}

static void compare_step(const struct comparison *comparison, uint32_t at_a, uint32_t at_b,
			 const struct str *texts_a, const struct str *texts_b, struct row *row)
{
	const struct compare_side *a = comparison->a;
	const struct compare_side *b = comparison->b;

	if (at_a != STEP_NONE) {
		row->id = a->fold.model->steps[at_a].id;
		row->a = &a->fold.state.steps[at_a];
	}
	if (at_b != STEP_NONE) {
		row->id = b->fold.model->steps[at_b].id;
		row->b = &b->fold.state.steps[at_b];
	}
	row->diverges = !row->a || !row->b;
	if (row->diverges)
		return;
	keys_changed(texts_a[at_a], texts_b[at_b], &row->changed);
	if (row->changed.len == 0 && !needs_same(a->fold.model, &a->fold.model->steps[at_a],
						 b->fold.model, &b->fold.model->steps[at_b]))
		key_put(&row->changed, STR("needs"));
	row->outputs = outputs_of(at_a < a->hashes_count ? a->hashes[at_a] : STR_NONE,
				  at_b < b->hashes_count ? b->hashes[at_b] : STR_NONE);
	row->differs_in_state = states_differ(row->a, row->b);
	row->diverges =
	    row->changed.len > 0 || row->differs_in_state || row->outputs == OUTPUTS_DIFFER;
}

static enum err_code compare_steps(struct comparison *comparison, const struct str *texts_a,
				   const struct str *texts_b, struct err *err)
{
	const struct model *a = comparison->a->fold.model;
	const struct model *b = comparison->b->fold.model;

	comparison->rows =
	    mem_new((size_t)a->steps_count + b->steps_count + 1, sizeof(*comparison->rows));
	if (!comparison->rows)
		return mem_err(err);
	for (uint32_t i = 0; i < a->steps_count; i++) {
		uint32_t at = a->order[i];

		compare_step(comparison, at, model_find(b, a->steps[at].id), texts_a, texts_b,
			     &comparison->rows[comparison->count++]);
	}
	for (uint32_t i = 0; i < b->steps_count; i++) {
		uint32_t at = b->order[i];

		if (model_find(a, b->steps[at].id) == STEP_NONE)
			compare_step(comparison, STEP_NONE, at, texts_a, texts_b,
				     &comparison->rows[comparison->count++]);
	}
	for (size_t i = 0; i < comparison->count; i++) {
		if (buf_check(&comparison->rows[i].changed, "step", err) != ERR_OK)
			return err->code;
		if (comparison->rows[i].diverges && !comparison->first)
			comparison->first = &comparison->rows[i];
	}
	return ERR_OK;
}

static enum err_code compare(const struct compare_side *a, const struct compare_side *b,
			     struct comparison *comparison, struct err *err)
{
	AUTO(mem_drop) struct str *texts_a = definitions(a);
	AUTO(mem_drop) struct str *texts_b = definitions(b);

	comparison->a = a;
	comparison->b = b;
	if (!texts_a || !texts_b)
		return mem_err(err);
	keys_changed(buf_view(&a->frozen), buf_view(&b->frozen), &comparison->keys);
	if (buf_check(&comparison->keys, "definition", err) != ERR_OK)
		return err->code;
	return compare_steps(comparison, texts_a, texts_b, err);
}

/* ---- times */

/* -1 when there is none. */
static int64_t time_of(const struct step_state *step)
{
	return step && step->attempts > 0 ? step->duration_ms : -1;
}

static int64_t run_time(const struct compare_side *side)
{
	return side->fold.state.is_completed ? side->fold.state.duration_ms : -1;
}

/* Thousandths of a that b is more. False when there are none: a took no time, or b is beyond all
 * measure. */
static bool change_permille(int64_t a_ms, int64_t b_ms, int64_t *ret_part)
{
	if (a_ms <= 0 || __builtin_mul_overflow(b_ms - a_ms, 1000, ret_part))
		return false;
	*ret_part /= a_ms;
	return true;
}

/* "+1.25s (+12.5%)"; nothing when one of them is not known. */
static void change_put(struct buf *out, int64_t a_ms, int64_t b_ms)
{
	char sign = b_ms < a_ms ? '-' : '+';
	int64_t part;

	if (a_ms < 0 || b_ms < 0)
		return;
	buf_byte(out, sign);
	duration_human(out, b_ms < a_ms ? a_ms - b_ms : b_ms - a_ms);
	if (!change_permille(a_ms, b_ms, &part))
		return;
	part = part < 0 ? -part : part;
	buf_fmt(out, " (%c%lld.%lld%%)", sign, (long long)(part / 10), (long long)(part % 10));
}

static void change_members(struct buf *out, int64_t a_ms, int64_t b_ms)
{
	int64_t part;

	if (a_ms < 0 || b_ms < 0)
		field_null(out, "duration_change_ms");
	else
		field_i64(out, "duration_change_ms", b_ms - a_ms);
	if (b_ms < 0 || !change_permille(a_ms, b_ms, &part))
		field_null(out, "duration_change_percent");
	else {
		field_raw(out, "duration_change_percent", STR(""));
		json_put_double(out, (double)part / 10);
	}
}

/* ---- parameters */

static struct str param_of(const struct compare_side *side, struct str name)
{
	const struct model *model = side->fold.model;

	for (uint32_t i = 0; i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name))
			return side->fold.state.params[i];
	}
	return STR_NONE;
}

typedef void param_fn(struct buf *out, struct str name, struct str a, struct str b);

/* Those that differ; secrets are recorded by name, so their values are not compared. */
static void each_param(const struct compare_side *a, const struct compare_side *b, param_fn *put,
		       struct buf *out)
{
	const struct model *left = a->fold.model;
	const struct model *right = b->fold.model;

	for (uint32_t i = 0; i < left->params_count; i++) {
		struct str other = param_of(b, left->params[i].name);

		if (!str_eq(a->fold.state.params[i], other))
			put(out, left->params[i].name, a->fold.state.params[i], other);
	}
	for (uint32_t i = 0; i < right->params_count; i++) {
		bool is_known = false;

		for (uint32_t n = 0; n < left->params_count; n++)
			is_known |= str_eq(left->params[n].name, right->params[i].name);
		if (!is_known && b->fold.state.params[i].ptr)
			put(out, right->params[i].name, STR_NONE, b->fold.state.params[i]);
	}
}

static void param_line(struct buf *out, struct str name, struct str a, struct str b)
{
	buf_fmt(out, "Parameter %.*s: ", STR_ARG(name));
	buf_str(out, a.ptr ? a : STR("none"));
	buf_text(out, " -> ");
	buf_str(out, b.ptr ? b : STR("none"));
	buf_byte(out, '\n');
}

static void param_put(struct buf *out, struct str name, struct str a, struct str b)
{
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "name", name);
	field_raw(out, "a", a);
	field_raw(out, "b", b);
	buf_byte(out, '}');
}

/* ---- for people */

static struct str state_of(const struct step_state *step)
{
	return step ? str_of(step_state_name(step->state)) : STR("-");
}

/* Why a step differs, in words. */
static void why_put(struct buf *out, const struct row *row)
{
	size_t from = out->len;

	if (!row->a || !row->b) {
		buf_text(out, row->a ? "only in the first" : "only in the second");
		return;
	}
	if (row->changed.len > 0)
		buf_fmt(out, "definition (%.*s)", STR_ARG(buf_view(&row->changed)));
	if (row->differs_in_state)
		buf_fmt(out, "%sstate", out->len > from ? ", " : "");
	if (row->outputs == OUTPUTS_DIFFER)
		buf_fmt(out, "%soutputs", out->len > from ? ", " : "");
	if (row->a->attempts != row->b->attempts)
		buf_fmt(out, "%sattempts %u -> %u", out->len > from ? ", " : "", row->a->attempts,
			row->b->attempts);
}

static void side_cells(struct grid *grid, const struct compare_side *side)
{
	const struct run_state *run = &side->fold.state;

	grid_cell(grid, run->run_id);
	grid_cell(grid, side->fold.model->pipeline);
	grid_cell(grid, str_of(run_state_name(run->state)));
	grid_time(grid, run_time(side));
}

static void head_put(const struct comparison *comparison, struct buf *out)
{
	static const char *const words[] = {"RUN", "PIPELINE", "STATE", "DURATION", NULL};
	AUTO(grid_fini) struct grid grid = {.columns = 0};
	AUTO(buf_fini) struct buf change = BUF_INIT;

	grid_words(&grid, words);
	side_cells(&grid, comparison->a);
	side_cells(&grid, comparison->b);
	grid_put(&grid, out);
	change_put(&change, run_time(comparison->a), run_time(comparison->b));
	buf_needs(out, &change);
	if (change.len > 0)
		buf_fmt(out, "\nDuration: %.*s\n", STR_ARG(buf_view(&change)));
	else
		buf_byte(out, '\n');
	each_param(comparison->a, comparison->b, param_line, out);
	if (comparison->keys.len > 0)
		buf_fmt(out, "Pipeline: %.*s changed\n", STR_ARG(buf_view(&comparison->keys)));
	if (!comparison->first) {
		buf_text(out, "No divergence: definitions, states and outputs are the same.\n");
		return;
	}
	buf_fmt(out, "First divergence: %.*s: ", STR_ARG(comparison->first->id));
	why_put(out, comparison->first);
	buf_byte(out, '\n');
}

enum err_code compare_text(const struct compare_side *a, const struct compare_side *b,
			   struct buf *out, struct err *err)
{
	static const char *const words[] = {"STEP", "FIRST",  "SECOND",  "TIME",
					    "TIME", "CHANGE", "DIFFERS", NULL};
	AUTO(comparison_fini) struct comparison comparison = {.count = 0};
	AUTO(grid_fini) struct grid grid = {.columns = 0};

	if (compare(a, b, &comparison, err) != ERR_OK)
		return err->code;
	head_put(&comparison, out);
	grid_words(&grid, words);
	for (size_t i = 0; i < comparison.count; i++) {
		const struct row *row = &comparison.rows[i];
		AUTO(buf_fini) struct buf change = BUF_INIT;
		AUTO(buf_fini) struct buf why = BUF_INIT;

		change_put(&change, time_of(row->a), time_of(row->b));
		why_put(&why, row);
		buf_needs(out, &change);
		buf_needs(out, &why);
		grid_cell(&grid, row->id);
		grid_cell(&grid, state_of(row->a));
		grid_cell(&grid, state_of(row->b));
		grid_time(&grid, time_of(row->a));
		grid_time(&grid, time_of(row->b));
		grid_cell(&grid, change.len ? buf_view(&change) : STR("-"));
		grid_cell(&grid, why.len ? buf_view(&why) : STR("-"));
	}
	buf_byte(out, '\n');
	grid_put(&grid, out);
	return buf_check(out, "comparison", err);
}

/* ---- for programs */

static void list_put(struct buf *out, const char *name, struct str commas)
{
	field_open(out, name, '[');
	for (size_t from = 0; commas.len > 0 && from <= commas.len;) {
		size_t to = str_find(commas, ",", from);

		if (to == SIZE_MAX)
			to = commas.len;
		field_comma(out);
		json_put_str(out, str_cut(commas, from, to));
		from = to + 1;
	}
	buf_byte(out, ']');
}

static void run_member(struct buf *out, const char *name, const struct compare_side *side)
{
	const struct run_state *run = &side->fold.state;

	field_open(out, name, '{');
	field_str(out, "run_id", run->run_id);
	field_str(out, "pipeline", side->fold.model->pipeline);
	field_str(out, "state", str_of(run_state_name(run->state)));
	field_str(out, "outcome",
		  run->is_completed ? str_of(outcome_name(run->outcome)) : STR_NONE);
	field_stamp(out, "started_at", run->created_ms);
	field_known(out, "duration_ms", run->is_completed ? run->duration_ms : -1);
	field_str(out, "definition_hash", run->definition_hash);
	buf_byte(out, '}');
}

static void step_member(struct buf *out, const char *name, const struct compare_side *side,
			const struct step_state *step)
{
	uint32_t at;

	if (!step) {
		field_null(out, name);
		return;
	}
	at = (uint32_t)(step - side->fold.state.steps);
	field_open(out, name, '{');
	field_str(out, "state", str_of(step_state_name(step->state)));
	field_i64(out, "attempts", step->attempts);
	field_known(out, "duration_ms", time_of(step));
	field_str(out, "error_class",
		  step->state == STEP_FAILED ? step_class_text(step) : STR_NONE);
	field_str(out, "skip_reason",
		  step->state == STEP_SKIPPED ? str_of(skip_reason_name(step->skip)) : STR_NONE);
	field_str(out, "outputs_hash", at < side->hashes_count ? side->hashes[at] : STR_NONE);
	buf_byte(out, '}');
}

static void row_put(struct buf *out, const struct comparison *comparison, const struct row *row)
{
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "step_id", row->id);
	step_member(out, "a", comparison->a, row->a);
	step_member(out, "b", comparison->b, row->b);
	change_members(out, time_of(row->a), time_of(row->b));
	field_str(out, "outputs", str_of(outputs_names[row->outputs]));
	list_put(out, "definition_changed", buf_view(&row->changed));
	field_bool(out, "diverges", row->diverges);
	buf_byte(out, '}');
}

enum err_code compare_json(const struct compare_side *a, const struct compare_side *b,
			   struct buf *out, struct err *err)
{
	AUTO(comparison_fini) struct comparison comparison = {.count = 0};
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (compare(a, b, &comparison, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	run_member(&json, "a", a);
	run_member(&json, "b", b);
	change_members(&json, run_time(a), run_time(b));
	field_open(&json, "params_changed", '[');
	each_param(a, b, param_put, &json);
	buf_byte(&json, ']');
	list_put(&json, "pipeline_changed", buf_view(&comparison.keys));
	field_str(&json, "first_divergence", comparison.first ? comparison.first->id : STR_NONE);
	field_open(&json, "steps", '[');
	for (size_t i = 0; i < comparison.count; i++)
		row_put(&json, &comparison, &comparison.rows[i]);
	buf_text(&json, "]}");
	pretty_answer(out, &json);
	return buf_check(out, "comparison", err);
}

static void csv_time(struct buf *out, int64_t ms)
{
	if (ms >= 0)
		buf_i64(out, ms);
	buf_byte(out, ',');
}

enum err_code compare_csv(const struct compare_side *a, const struct compare_side *b,
			  struct buf *out, struct err *err)
{
	AUTO(comparison_fini) struct comparison comparison = {.count = 0};

	if (compare(a, b, &comparison, err) != ERR_OK)
		return err->code;
	buf_text(out, "step_id,state_a,state_b,attempts_a,attempts_b,duration_ms_a,duration_ms_b,"
		      "outputs,definition_changed,diverges\n");
	for (size_t i = 0; i < comparison.count; i++) {
		const struct row *row = &comparison.rows[i];

		csv_cell(out, row->id, ',');
		csv_cell(out, row->a ? state_of(row->a) : STR_NONE, ',');
		csv_cell(out, row->b ? state_of(row->b) : STR_NONE, ',');
		csv_number(out, row->a ? row->a->attempts : 0, ',');
		csv_number(out, row->b ? row->b->attempts : 0, ',');
		csv_time(out, time_of(row->a));
		csv_time(out, time_of(row->b));
		csv_cell(out, str_of(outputs_names[row->outputs]), ',');
		csv_cell(out, buf_view(&row->changed), ',');
		csv_cell(out, row->diverges ? STR("true") : STR("false"), '\n');
	}
	return buf_check(out, "comparison", err);
}
