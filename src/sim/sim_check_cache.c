/* sim_check_cache.c - the rules of what is taken from an earlier run (docs/pipeline-format.md,
 * Caching).
 *
 * The oracle does not make the key: it has what every command got, by its own reading of plan and
 * log, and asks whether a step that takes a success would have got the same. */
#include "sim/sim_check_intern.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const char rule[] = "cache";

void sim_check_keep(struct sim_check *check)
{
	struct str content = STR_NONE;

	if (sim_disk_peek(check->disk, check->log_path, false, &content))
		buf_str(&check->log, content);
}

void sim_check_follow(struct sim_check *check, const struct sim_check *earlier)
{
	check->earlier = earlier;
}

uint64_t sim_check_taken(const struct sim_check *check)
{
	return check->facts.taken;
}

/* ------------------------------------------------------------------------------ what it got */

static bool is_need(const struct sim_step *step, uint32_t index, uint32_t need)
{
	bool is = !step->has_needs && need + 1 == index;

	for (uint32_t i = 0; i < step->needs_count; i++)
		is = is || step->needs[i] == need;
	return is;
}

/* What must have succeeded or been skipped for good before the step began: by all of `needs`. */
static void mark_above(const struct sim_plan *plan, uint32_t step, bool marks[SIM_STEPS_MAX])
{
	marks[step] = true;
	for (uint32_t i = step + 1; i-- > 0;) {
		for (uint32_t need = 0; marks[i] && need < i; need++)
			marks[need] = marks[need] || is_need(&plan->steps[i], i, need);
	}
	marks[step] = false;
}

static struct origin origin_of(const struct sim_check *check, uint32_t step, uint32_t attempt)
{
	const struct sim_plan *plan = check->plan;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct origin origin = {.step = step, .attempt = attempt};
	bool above[SIM_STEPS_MAX] = {false};

	sim_plan_step_yaml(plan, step, plan->is_next || check->facts.is_changed, &text);
	buf_fmt(&text, "limit %s", plan->limit);
	BUG_IF(text.failed != ERR_OK);
	origin.definition = hash_text(1, buf_view(&text));
	mark_above(plan, step, above);
	for (uint32_t i = 0; i < step; i++) {
		const struct fact *fact = &check->facts.steps[i];

		/* What an earlier success of it left in the context may still be there. */
		if (!above[i] || fact->state != 'S' || fact->successes != 1)
			continue;
		origin.inputs[i] = fact->updates;
		if (is_need(&plan->steps[step], step, i))
			origin.inputs[i] = sim_mix(fact->outputs, fact->updates);
	}
	return origin;
}

void sim_check_note_origin(struct sim_check *check, uint32_t step, uint32_t attempt)
{
	struct err err = ERR_INIT;

	BUG_IF(mem_grow((void **)&check->origins, &check->origins_capacity,
			check->origins_count + 1, sizeof(*check->origins), &err) != ERR_OK);
	check->origins[check->origins_count++] = origin_of(check, step, attempt);
}

/* A hash of a value that stands in the line, or of where it is; 0 = there is none. */
static uint64_t value_hash(const struct sim_line *line, const char *name, const char *ref_name)
{
	struct str value = sim_scan_object(line->text, name);
	char key[40];
	size_t at;

	if (value.len)
		return hash_text(1, value);
	(void)snprintf(key, sizeof(key), "\"%s\":\"", ref_name);
	at = str_find(line->text, key, 0);
	if (at == SIZE_MAX)
		return 0;
	at += strlen(key);
	return hash_text(2, str_cut(line->text, at, at + SHA256_HEX_BYTES));
}

void sim_check_note_values(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];

	fact->successes++;
	fact->outputs = value_hash(line, "outputs", "outputs_ref");
	fact->updates = value_hash(line, "context_updates", "context_updates_ref");
}

/* --------------------------------------------------------------------------- what was taken */

struct source {
	uint32_t step, attempt;
	struct sim_line line; /* its step.succeeded */
	uint64_t figures;     /* a hash of its quality.recorded; 0 = none */
	bool is_there;
};

/* Read the earlier log for `run/step/attempt`. */
static bool source_find(const struct sim_check *earlier, struct str from, struct source *source)
{
	struct sim_line line;
	char name[64];
	size_t at = 0;

	while (sim_scan_line(buf_view(&earlier->log), &at, &line)) {
		int len = snprintf(name, sizeof(name), "%.*s/%.*s/%u", STR_ARG(earlier->run_id),
				   STR_ARG(line.step), line.attempt);

		if (len < 0 || !str_is(from, name))
			continue;
		if (str_is(line.type, "quality.recorded"))
			source->figures = hash_text(1, sim_scan_object(line.text, "data"));
		if (!str_is(line.type, "step.succeeded"))
			continue;
		source->is_there = true;
		source->line = line;
		source->step = sim_plan_find(earlier->plan, line.step);
		source->attempt = line.attempt;
	}
	return source->is_there;
}

/* By what the earlier log has now: a weaker sync may be paid for with the lines that tell of it. */
static bool is_undone(const struct sim_check *check, const struct source *source)
{
	const struct sim_check *earlier = check->earlier;
	struct str content = STR_NONE;
	struct sim_line line;
	size_t at = 0;

	if (!sim_disk_peek(check->disk, earlier->log_path, false, &content))
		return false;
	while (sim_scan_line(content, &at, &line)) {
		if (line.seq > source->line.seq && str_is(line.type, "compensation.started") &&
		    sim_plan_find(earlier->plan, line.step) == source->step)
			return true;
	}
	return false;
}

/* It passed with a warning only. */
static bool is_tolerated(const struct sim_plan *plan, const struct source *source)
{
	const struct sim_step *def = &plan->steps[source->step];
	struct sim_act act;

	sim_plan_act(plan, source->step, source->attempt, &act);
	return (act.deed == SIM_DEED_SAY_NO && def->has_pass) || act.deed == SIM_DEED_POOR;
}

static void check_origin(struct sim_check *check, uint32_t step, const struct source *source)
{
	const struct sim_check *earlier = check->earlier;
	const char *id = check->plan->steps[step].id;
	struct origin wanted = origin_of(check, step, 0);
	const struct origin *origin = NULL;

	for (size_t i = 0; i < earlier->origins_count; i++) {
		if (earlier->origins[i].step == source->step &&
		    earlier->origins[i].attempt == source->attempt)
			origin = &earlier->origins[i];
	}
	if (!origin) {
		sim_check_fail(check, rule, "%s takes what was never executed", id);
		return;
	}
	if (source->step != step || origin->definition != wanted.definition)
		sim_check_fail(check, rule, "%s takes a success of another definition", id);
	for (uint32_t i = 0; i < step; i++) {
		if (origin->inputs[i] && wanted.inputs[i] && origin->inputs[i] != wanted.inputs[i])
			sim_check_fail(check, rule, "%s takes a success with another input from %s",
				       id, check->plan->steps[i].id);
	}
}

static bool is_same_value(const struct sim_line *a, const struct sim_line *b)
{
	return value_hash(a, "outputs", "outputs_ref") == value_hash(b, "outputs", "outputs_ref") &&
	       value_hash(a, "context_updates", "context_updates_ref") ==
		   value_hash(b, "context_updates", "context_updates_ref");
}

void sim_check_read_taken(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const char *id = check->plan->steps[step].id;
	struct source source = {.is_there = false};

	check->facts.taken++;
	if (!check->plan->steps[step].is_cached)
		sim_check_fail(check, rule, "%s takes a success, and has no `cache`", id);
	if (check->executed[step][line->attempt])
		sim_check_fail(check, rule, "%s.%u is executed, and takes a success", id,
			       line->attempt);
	if (!check->earlier || !source_find(check->earlier, line->cached_from, &source)) {
		sim_check_fail(check, rule, "%s takes '%.*s', and there is no such success", id,
			       STR_ARG(line->cached_from));
		return;
	}
	if (source.line.cached_from.len)
		sim_check_fail(check, rule, "%s takes what was taken itself", id);
	if (is_undone(check, &source))
		sim_check_fail(check, rule, "%s takes a success that was undone", id);
	if (!sim_check_may_succeed(check->earlier->plan, source.step, source.attempt) ||
	    is_tolerated(check->earlier->plan, &source))
		sim_check_fail(check, rule, "%s takes a success that was none, or with a warning",
			       id);
	check_origin(check, step, &source);
	if (!is_same_value(line, &source.line))
		sim_check_fail(check, rule, "%s has other outputs than what it takes", id);
	if (source.figures != check->facts.steps[step].figures)
		sim_check_fail(check, rule, "%s has other figures than what it takes", id);
}
