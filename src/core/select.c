/* select.c - see select.h */
#include "core/select.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/graph.h"

static const char *const names[] = {"from", "until", "only"};

static struct str *slot_of(struct selection *selection, size_t i)
{
	struct str *slots[] = {&selection->from, &selection->until, &selection->only};

	return slots[i];
}

bool selection_is_given(const struct selection *selection)
{
	return selection->from.ptr || selection->until.ptr || selection->only.ptr;
}

void selection_put(const struct selection *selection, struct buf *out)
{
	struct selection copy = *selection;
	char before = '{';

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!slot_of(&copy, i)->ptr)
			continue;
		buf_fmt(out, "%c\"%s\":", before, names[i]);
		json_put_str(out, *slot_of(&copy, i));
		before = ',';
	}
	buf_byte(out, '}');
}

void selection_say(const struct selection *selection, struct buf *out)
{
	struct selection copy = *selection;
	const char *before = "";

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!slot_of(&copy, i)->ptr)
			continue;
		buf_fmt(out, "%s--%s %.*s", before, names[i], STR_ARG(*slot_of(&copy, i)));
		before = " ";
	}
}

enum err_code selection_read(struct str json, struct selection *ret_selection, struct err *err)
{
	struct selection selection = {STR_NONE, STR_NONE, STR_NONE};
	struct str key;
	struct str value;
	size_t at = 0;

	if (!json.len || json_type_of(json) != JSON_OBJECT)
		return err_set(err, ERR_CORRUPT, "the selection of steps is not an object");
	while (json_member(json, &at, &key, &value)) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && !str_is(key, names[i]))
			i++;
		if (i == ARRAY_LEN(names) || json_type_of(value) != JSON_STRING ||
		    !json_plain(value, slot_of(&selection, i)))
			return err_set(err, ERR_CORRUPT, "'%.*s' is no selection of steps",
				       STR_ARG(str_cut(key, 0, 80)));
	}
	if (!selection_is_given(&selection))
		return err_set(err, ERR_CORRUPT, "the selection of steps is empty");
	*ret_selection = selection;
	return ERR_OK;
}

/* ------------------------------------------------------------------------------- marks */

static enum err_code find(const struct model *model, struct str id, const char *option,
			  uint32_t *ret_step, struct err *err)
{
	AUTO(mem_drop) const char **ids = NULL;
	const char *nearest = NULL;

	*ret_step = model_find(model, id);
	if (*ret_step != STEP_NONE)
		return ERR_OK;
	(void)err_set(err, ERR_NOT_FOUND, "--%s: there is no step '%.*s'", option,
		      STR_ARG(str_cut(id, 0, 80)));
	ids = mem_new(model->steps_count, sizeof(*ids));
	for (uint32_t i = 0; ids && i < model->steps_count; i++)
		ids[i] = model->steps[i].id.ptr;
	if (ids)
		nearest = str_nearest(id, ids, model->steps_count);
	return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
}

static enum err_code mark_range(const struct model *model, const struct selection *selection,
				uint8_t *marks, uint8_t *downstream, uint32_t *queue,
				struct err *err)
{
	uint32_t from = STEP_NONE;
	uint32_t until = STEP_NONE;
	bool is_some = false;

	if (selection->from.ptr && find(model, selection->from, "from", &from, err) != ERR_OK)
		return err->code;
	if (selection->until.ptr && find(model, selection->until, "until", &until, err) != ERR_OK)
		return err->code;
	if (from != STEP_NONE)
		graph_mark_downstream(model, from, downstream, queue);
	if (until != STEP_NONE)
		graph_mark_upstream(model, until, marks, queue);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (until == STEP_NONE)
			marks[i] = downstream[i];
		else if (from != STEP_NONE)
			marks[i] = marks[i] && downstream[i];
		is_some = is_some || marks[i];
	}
	if (is_some)
		return ERR_OK;
	return err_set(err, ERR_REFUSED, "'%.*s' does not need '%.*s': nothing lies between them",
		       STR_ARG(selection->until), STR_ARG(selection->from));
}

enum err_code selection_mark(const struct model *model, const struct selection *selection,
			     uint8_t *marks, struct err *err)
{
	AUTO(mem_drop) uint8_t *downstream = mem_new(model->steps_count, 1);
	AUTO(mem_drop) uint32_t *queue = mem_new(model->steps_count, sizeof(*queue));
	uint32_t only;

	if (!downstream || !queue)
		return mem_err(err);
	if (!selection->only.ptr)
		return mark_range(model, selection, marks, downstream, queue, err);
	if (find(model, selection->only, "only", &only, err) != ERR_OK)
		return err->code;
	marks[only] = 1;
	return ERR_OK;
}

/* ------------------------------------------------------------------------------- check */

static enum err_code refuse(const struct model *model, uint32_t step, uint32_t need,
			    struct err *err)
{
	struct str id = model->steps[need].id;

	(void)err_set(err, ERR_REFUSED, "'%.*s' needs '%.*s', which is neither selected nor given",
		      STR_ARG(model->steps[step].id), STR_ARG(id));
	return err_hint(err, "give what it made with --context FILE: {\"outputs\": {\"%.*s\": {}}}",
			STR_ARG(str_cut(id, 0, 80)));
}

enum err_code selection_check(const struct model *model, const uint8_t *marks,
			      const uint8_t *is_given, struct err *err)
{
	for (uint32_t i = 0; i < model->steps_count; i++) {
		const struct step *step = &model->steps[i];
		bool has_any = step->needs_any_count == 0;

		if (!marks[i])
			continue;
		for (uint32_t n = 0; n < step->needs_count; n++) {
			if (!marks[step->needs[n]] && !is_given[step->needs[n]])
				return refuse(model, i, step->needs[n], err);
		}
		for (uint32_t n = 0; n < step->needs_any_count; n++)
			has_any =
			    has_any || marks[step->needs_any[n]] || is_given[step->needs_any[n]];
		if (!has_any)
			return refuse(model, i, step->needs_any[0], err);
	}
	return ERR_OK;
}
