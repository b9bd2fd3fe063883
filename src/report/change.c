/* change.c - see change.h */
#include "report/change.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/apply.h"
#include "core/decide.h"
#include "core/graph.h"

/* One text being made. */
struct telling {
	const struct run_state *run;
	const struct model *next;
	struct str changes;
	uint32_t from;        /* of --from, in `next`; STEP_NONE = none */
	const uint8_t *marks; /* of what runs again */
	struct buf *out;
};

static bool is_listed(struct str changes, const char *list, struct str id)
{
	struct str item;
	struct str text;
	size_t at = 0;

	while (json_item(json_get(changes, list), &at, &item)) {
		if (json_plain(item, &text) && str_eq(text, id))
			return true;
	}
	return false;
}

/* Would a rollback undo this step of the old definition? */
static bool has_effect(const struct telling *t, uint32_t old)
{
	return step_is_undoable(t->run, old);
}

static enum err_code tell_steps(const struct telling *t, struct err *err)
{
	const struct model *old = t->run->model;

	for (uint32_t i = 0; i < t->next->steps_count; i++) {
		AUTO(buf_fini) struct buf keys = BUF_INIT;
		struct str id = t->next->steps[i].id;

		if (model_find(old, id) == STEP_NONE)
			buf_fmt(t->out, "  added    %.*s\n", STR_ARG(id));
		if (!is_listed(t->changes, "changed", id))
			continue;
		change_step_keys(old, t->next, id, &keys);
		if (buf_check(&keys, "a difference", err) != ERR_OK)
			return err->code;
		buf_fmt(t->out, "  changed  %.*s: %.*s\n", STR_ARG(id), STR_ARG(buf_view(&keys)));
	}
	for (uint32_t i = 0; i < old->steps_count; i++) {
		if (model_find(t->next, old->steps[i].id) == STEP_NONE)
			buf_fmt(t->out, "  removed  %.*s%s\n", STR_ARG(old->steps[i].id),
				has_effect(t, i) ? " (it succeeded: nothing undoes it any more)"
						 : "");
	}
	return ERR_OK;
}

static enum err_code tell_pipeline(const struct telling *t, struct err *err)
{
	AUTO(buf_fini) struct buf keys = BUF_INIT;

	if (change_pipeline_keys(t->run->model, t->next, &keys, err) != ERR_OK)
		return err->code;
	if (keys.len)
		buf_fmt(t->out, "  pipeline: %.*s\n", STR_ARG(buf_view(&keys)));
	return ERR_OK;
}

enum fate { FATE_AGAIN, FATE_STAYS, FATE_RESTS, FATE_OPEN };

/* Is a step of both definitions, which has not succeeded, still to be resolved? A failed gate stays
 * failed: its override waives it. A manual one is asked again. */
static bool is_open(const struct telling *t, uint32_t step, uint32_t old)
{
	const struct step_state *at = &t->run->steps[old];
	bool is_at_rest = t->run->state == RUN_FAILED || t->run->state == RUN_STOPPED;

	if (t->marks[step] || !(at->state == STEP_FAILED || at->state == STEP_SKIPPED) ||
	    (at->state == STEP_FAILED && !at->is_final))
		return true;
	if (at->is_gate_failed && t->next->steps[step].gate != GATE_MANUAL)
		return false;
	return apply_opens_on_resume(t->run, old, is_at_rest);
}

static enum fate fate_of(const struct telling *t, uint32_t step, uint32_t old)
{
	if (old == STEP_NONE)
		return FATE_OPEN;
	if (t->run->steps[old].state == STEP_SUCCEEDED)
		return t->marks[step] ? FATE_AGAIN : FATE_STAYS;
	if (!is_open(t, step, old))
		return FATE_RESTS;
	return t->run->steps[old].attempts ? FATE_AGAIN : FATE_OPEN;
}

static void put_reason(const struct telling *t, uint32_t step, uint32_t old)
{
	const char *reason = t->marks[step] ? "downstream" : NULL;

	if (is_listed(t->changes, "changed", t->next->steps[step].id))
		reason = "changed";
	else if (step == t->from)
		reason = "--from";
	if (reason)
		buf_fmt(t->out, " (%s%s)", reason, has_effect(t, old) ? ", not undone before" : "");
}

/* One line of the steps that share a fate; nothing when there are none. */
static void tell_fate(const struct telling *t, enum fate fate, const char *title)
{
	bool is_first = true;

	for (uint32_t i = 0; i < t->next->steps_count; i++) {
		struct str id = t->next->steps[i].id;
		uint32_t old = model_find(t->run->model, id);

		if (fate_of(t, i, old) != fate)
			continue;
		buf_fmt(t->out, "%s%.*s", is_first ? title : ", ", STR_ARG(id));
		if (fate == FATE_AGAIN)
			put_reason(t, i, old);
		if (fate == FATE_RESTS)
			buf_fmt(t->out, " (%s)", step_state_name(t->run->steps[old].state));
		is_first = false;
	}
	if (!is_first)
		buf_byte(t->out, '\n');
}

enum err_code change_text(const struct run_state *run, const struct change *change, struct str from,
			  struct buf *out, struct err *err)
{
	AUTO(mem_drop) uint8_t *marks = mem_new(change->next->steps_count, 1);
	AUTO(mem_drop) uint32_t *queue = mem_new(change->next->steps_count, sizeof(*queue));
	struct telling t = {.run = run,
			    .next = change->next,
			    .changes = buf_view(&change->changes),
			    .from = from.ptr ? model_find(change->next, from) : STEP_NONE,
			    .marks = marks,
			    .out = out};

	if (!marks || !queue)
		return mem_err(err);
	if (decide_change_marks(run, t.next, t.changes, marks, err) != ERR_OK)
		return err->code;
	if (t.from != STEP_NONE)
		graph_mark_downstream(t.next, t.from, marks, queue);
	buf_fmt(out, "Definition of run %.*s: %.12s -> %.12s\n", STR_ARG(run->run_id),
		run->definition_hash.ptr, change->hash);
	if (tell_steps(&t, err) != ERR_OK || tell_pipeline(&t, err) != ERR_OK)
		return err->code;
	tell_fate(&t, FATE_AGAIN, "Runs again: ");
	tell_fate(&t, FATE_STAYS, "Stays succeeded: ");
	tell_fate(&t, FATE_RESTS, "Stays as it is: ");
	tell_fate(&t, FATE_OPEN, "Still to come: ");
	return buf_check(out, "a difference", err);
}
