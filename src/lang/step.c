/* step.c - `steps:` and `defaults:` */
#include "lang/build.h"

#include "base/mem.h"

#include <stddef.h>

#define PRIORITY_MAX 1000000

static void needs_read(struct build *build, const struct node *key, const struct node *value,
		       uint32_t **ret_needs, uint32_t *ret_count)
{
	uint32_t *needs;
	uint32_t count = 0;
	uint32_t place = 0;

	if (!build_expect(build, key, value, NODE_LIST, "a list of names of steps"))
		return;
	needs = build_new(build, value->count, sizeof(*needs));
	if (!needs)
		return;
	for (const struct node *item = build_child(build, value); item;
	     item = build_next(build, item)) {
		struct str name;
		uint32_t target;

		if (!take_text(build, key, item, 0, &name))
			continue;
		/* In many graphs the n-th needs of steps that follow each other do so, too. */
		target = model_find_near(build->model, name,
					 &build->likely[place++ % ARRAY_LEN(build->likely)]);
		if (target == STEP_NONE) {
			build_report(build, DIAG_UNKNOWN_STEP, item, "there is no step '%.*s'",
				     STR_ARG(str_cut(name, 0, 80)));
			build_nearest(build, name, build->step_names, build->model->steps_count);
		} else if (target == build->step) {
			build_report(build, DIAG_SELF_NEED, item, "the step '%.*s' needs itself",
				     STR_ARG(name));
		} else if (build->marks[target] == build->step + 1) {
			build_report(build, DIAG_TWICE, item, "the step '%.*s' is needed twice",
				     STR_ARG(name));
		} else {
			build->marks[target] = build->step + 1;
			needs[count++] = target;
		}
	}
	*ret_needs = needs;
	*ret_count = count;
}

void key_step_needs(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;

	if (!draft->is_defaults)
		needs_read(build, key, value, &draft->step.needs, &draft->step.needs_count);
}

void key_step_needs_any(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	struct draft *draft = target;

	if (draft->is_defaults)
		return;
	needs_read(build, key, value, &draft->step.needs_any, &draft->step.needs_any_count);
	if (value->kind == NODE_LIST && value->count == 0) {
		build_report(build, DIAG_TEXT, value,
			     "'needs_any' is empty: none of none can succeed");
		diags_hint(build->diags, "`needs: []` makes a step a root");
	}
}

void key_step_when(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;

	(void)use_expression(build, key, value, 0, &draft->step.when);
}

void key_step_on_failure(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	static const char *const words[] = {"stop", "skip_downstream", "continue", "ignore",
					    "compensate"};
	struct draft *draft = target;
	uint32_t index;

	if (!take_word(build, key, value, words, ARRAY_LEN(words), &index))
		return;
	draft->step.on_failure = (enum on_failure)index;
	if (draft->step.on_failure == ON_FAILURE_COMPENSATE && !build->undo_node)
		build->undo_node = build_index(build, value) + 1;
}

void key_step_on_lost(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	static const char *const words[] = {"fail", "rerun", "ask"};
	struct draft *draft = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		draft->step.on_lost = (enum on_lost)index;
}

void key_step_on_stop(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	static const char *const words[] = {"wait", "cancel"};
	struct draft *draft = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		draft->step.on_stop = (enum on_stop)index;
}

void key_step_priority(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct draft *draft = target;

	(void)take_i32(build, key, value, -PRIORITY_MAX, PRIORITY_MAX, &draft->step.priority);
}

void key_step_description(struct build *build, void *target, const struct node *key,
			  const struct node *value)
{
	struct draft *draft = target;
	struct str text;

	if (take_text(build, key, value, TAKE_EMPTY, &text))
		draft->step.description = build_keep(build, text);
}

void key_step_tags(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;

	(void)take_texts(build, key, value, 0, true, &draft->step.tags, &draft->step.tags_count);
}

/* Exactly one key says what the step does; one of a later version was reported already. */
static bool kind_check(struct build *build, const struct draft *draft, const struct node *name)
{
	const struct node *first = NULL;

	for (uint64_t left = draft->keys; left; left &= left - 1) {
		uint32_t i = KEY_STEP_NEXT(left);
		const struct node *key;

		if (key_rows[KEY_STEP_FIRST + i].use != USE_KIND)
			continue;
		key = build_node(build, draft->at[i] - 1);
		if (first && key_rows[KEY_STEP_FIRST + i].support != SUPPORT_LATER) {
			build_report(build, DIAG_KIND_MANY, key, "the step has '%.*s' and '%.*s'",
				     STR_ARG(first->text), STR_ARG(key->text));
			diags_hint(build->diags, "a step does one thing: make two of it");
			return false;
		}
		first = first ? first : key;
	}
	if (first)
		return true;
	if (build->has_unknown_key)
		return false; /* that may be what it does: reported already */
	build_report(build, DIAG_KIND_MISSING, name, "the step '%.*s' does nothing",
		     STR_ARG(str_cut(name->text, 0, 80)));
	diags_hint(build->diags, "give it one of run, argv, call and noop");
	return false;
}

/* The texts of `defaults` are this step's too: judge what they use for it. */
static void default_refs_adopt(struct build *build, const struct draft *draft, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ref ref = build->refs[i];

		if (ref.step != STEP_NONE || draft->at[ref.key - KEY_STEP_FIRST])
			continue;
		if (mem_grow((void **)&build->refs, &build->refs_capacity, build->refs_count + 1,
			     sizeof(*build->refs), &build->err) != ERR_OK)
			return;
		ref.step = build->step;
		build->refs[build->refs_count++] = ref;
	}
}

static void step_finish(struct build *build, struct draft *draft, const struct node *name)
{
	struct step *step = &draft->step;

	if (!draft->at[KEY_step_needs - KEY_STEP_FIRST] &&
	    !draft->at[KEY_step_needs_any - KEY_STEP_FIRST] && build->step > 0) {
		step->needs = build_new(build, 1, sizeof(*step->needs));
		if (!step->needs)
			return;
		step->needs[0] = build->step - 1;
		step->needs_count = 1;
		step->needs_implicit = true;
	}
	if (!step->retry)
		step->retry = build->retry_none;
	gate_finish(build, draft, name);
	if (kind_check(build, draft, name))
		command_finish(build, draft, name);
	compensate_finish(build, draft, name);
}

static void step_read(struct build *build, const struct node *name, const struct node *value,
		      size_t default_refs)
{
	static const struct draft empty = {.command.grace_ns = -1};
	NOT_CLEARED struct draft draft;
	struct str id;

	draft = build->defaults ? *build->defaults : empty;

	build->has_unknown_key = false;
	(void)take_name(build, name, "a step",
			&id); /* a bad name is reported, the step still read */
	if (node_is_null(value)) {
		(void)kind_check(build, &draft, name);
		return;
	}
	if (!build_expect(build, name, value, NODE_MAP, "a mapping such as {run: ./load.sh}"))
		return;
	draft.step.id = build->model->steps[build->step].id;
	build_map(build, SCOPE_step, value, &draft, draft.at, KEY_STEP_FIRST);
	step_finish(build, &draft, name);
	default_refs_adopt(build, &draft, default_refs);
	build->model->steps[build->step] = draft.step;
}

/* A step that is still folded: while it is read the tree is its own. */
static void folded_read(struct build *build, const struct node *name, const struct node *folded,
			size_t default_refs)
{
	struct nodes whole = build->nodes;
	bool is_frozen;

	if (nodes_unfold(&build->unfolded, folded, build->seed, &is_frozen, &build->err) != ERR_OK)
		return;
	if (!is_frozen) {
		build->is_odd = true;
		return;
	}
	build->nodes = build->unfolded;
	step_read(build, name, build_node(build, 0), default_refs);
	build->nodes = whole;
}

void steps_read(struct build *build, const struct node *map)
{
	size_t default_refs = build->refs_count;
	const struct node *value;
	uint32_t index = 0;

	if (map->count == 0)
		build_report(build, DIAG_NO_STEPS, map, "there are no steps");
	if (map->count > build->limits->steps) {
		build_report(build, DIAG_TOO_MANY_STEPS, map, "%u steps, %llu are allowed",
			     map->count, (unsigned long long)build->limits->steps);
		diags_hint(build->diags, "the limit is `steps`");
		return;
	}
	for (const struct node *name = build_child(build, map);
	     name && build->err.code == ERR_OK && !build->is_odd; name = build_next(build, value)) {
		value = build_value(build, name);
		if (name->kind != NODE_TEXT)
			continue;
		build->step = index++;
		if (value->kind == NODE_FOLDED)
			folded_read(build, name, value, default_refs);
		else
			step_read(build, name, value, default_refs);
	}
	build->step = STEP_NONE;
}

void steps_defaults_read(struct build *build, const struct node *map)
{
	static struct draft const empty = {.command.grace_ns = -1, .is_defaults = true};
	struct draft *draft = build_new(build, 1, sizeof(*draft));

	if (!draft)
		return;
	*draft = empty;
	build_map(build, SCOPE_step, map, draft, draft->at, KEY_STEP_FIRST);
	for (uint32_t i = 0; i < KEY_STEP_COUNT; i++) {
		enum key_use use = key_rows[KEY_STEP_FIRST + i].use;
		const struct node *key;

		if (!draft->at[i] || (use != USE_KIND && use != USE_ORDER))
			continue;
		key = build_node(build, draft->at[i] - 1);
		if (key_rows[KEY_STEP_FIRST + i].support == SUPPORT_LATER)
			continue;
		build_report(build, DIAG_KEY_OF_KIND, key, "'%.*s' cannot be a default",
			     STR_ARG(key->text));
	}
	for (uint32_t i = 0; i < KEY_STEP_COUNT; i++)
		draft->at[i] = 0;
	draft->keys = 0;
	draft->is_defaults = false;
	draft->step.kind = STEP_KIND_NOOP;
	draft->step.gate = GATE_NONE;
	build->defaults = draft;
}
