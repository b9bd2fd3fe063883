/* use.c - expressions in the pipeline file: are they well-formed, do they use what is there */
#include "lang/build.h"

#include "base/mem.h"
#include "lang/template.h"
#include "lang/token.h"

#include <string.h>

/* What an expression can see besides the functions of the sandbox. */
static const char *const words[] = {
    "params", "outputs",  "quality",  "run",    "env",    "output", "string",
    "table",  "math",     "assert",   "error",  "ipairs", "pairs",  "null",
    "type",   "tonumber", "tostring", "select", "_ENV",
};

static void report_at(struct build *build, enum diag_code code, const struct node *node,
		      struct str needle, const char *format, ...) PRINTF_LIKE(5, 6);

static void report_at(struct build *build, enum diag_code code, const struct node *node,
		      struct str needle, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	uint32_t line;
	uint32_t column;
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	build_place(build, node, needle, &line, &column);
	diags_add(build->diags, code, line, column, "%.*s", STR_ARG(buf_view(&text)));
}

static const struct param *param_find(const struct model *model, struct str name)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name))
			return &model->params[i];
	}
	return NULL;
}

static void param_use(struct build *build, const struct node *node, struct str name, unsigned uses)
{
	const struct model *model = build->model;
	const struct param *param = param_find(model, name);
	const char *names[64];
	size_t count = 0;

	if (str_is(name, "__dry_run__"))
		return;
	if (!param) {
		report_at(build, DIAG_UNKNOWN_PARAM, node, name, "there is no parameter '%.*s'",
			  STR_ARG(str_cut(name, 0, 80)));
		for (uint32_t i = 0; i < model->params_count && count < ARRAY_LEN(names); i++)
			names[count++] = model->params[i].name.ptr;
		build_nearest(build, name, names, count);
	} else if (param->type == VALUE_SECRET && !(uses & USES_SECRET)) {
		report_at(build, DIAG_SECRET_USE, node, name,
			  "the secret '%.*s' cannot be used here", STR_ARG(name));
		diags_hint(build->diags,
			   "only as a whole value of `env`: {TOKEN: \"${params.%.*s}\"}",
			   STR_ARG(name));
	}
}

static void output_use(struct build *build, const struct node *node, struct str name, unsigned uses)
{
	uint32_t target = model_find(build->model, name);
	struct ref *ref;

	if (uses & USES_NO_OUTPUTS) {
		report_at(build, DIAG_OUTPUT_USE, node, STR("outputs"),
			  "outputs cannot be used here: no step has run yet");
		diags_hint(build->diags, "only a step can use them, e.g. in its own `env`");
		return;
	}
	if (target == STEP_NONE) {
		report_at(build, DIAG_UNKNOWN_OUTPUT, node, name,
			  "there is no step '%.*s' to take outputs from",
			  STR_ARG(str_cut(name, 0, 80)));
		build_nearest(build, name, build->step_names, build->model->steps_count);
		return;
	}
	if (mem_grow((void **)&build->refs, &build->refs_capacity, build->refs_count + 1,
		     sizeof(*build->refs), &build->err) != ERR_OK)
		return;
	ref = &build->refs[build->refs_count++];
	*ref = (struct ref){.step = build->step,
			    .target = target,
			    .node = build_index(build, node),
			    .key = build->key};
}

/* As outputs; and after the step ran, its own. */
static void quality_use(struct build *build, const struct node *node, struct str name,
			unsigned uses)
{
	if ((uses & USES_OUTPUT) && build->step != STEP_NONE &&
	    str_eq(build->model->steps[build->step].id, name))
		return;
	output_use(build, node, name, uses);
}

/* The name in `.name`, `["name"]` or `['name']` at *at, which moves behind it; else ptr NULL. */
static struct str field_name(struct str source, size_t *at)
{
	size_t here = *at;
	struct token token = token_next(source, &here);
	struct str name = STR_NONE;

	if (str_is(token.text, ".")) {
		token = token_next(source, &here);
		name = token.kind == TOKEN_NAME ? token.text : STR_NONE;
	} else if (str_is(token.text, "[")) {
		token = token_next(source, &here);
		if (token.kind == TOKEN_STRING && token.text.ptr[0] != '[' &&
		    !str_has(token.text, '\\')) {
			struct str inside = str_cut(token.text, 1, token.text.len - 1);

			if (str_is(token_next(source, &here).text, "]"))
				name = inside;
		}
	}
	if (name.ptr)
		*at = here;
	return name;
}

/* With functions or loops of its own an expression may name anything. */
static bool has_locals(struct str source)
{
	struct token token;
	size_t at = 0;

	do {
		token = token_next(source, &at);
		if (str_is(token.text, "function") || str_is(token.text, "local") ||
		    str_is(token.text, "for"))
			return true;
	} while (token.kind != TOKEN_END && token.kind != TOKEN_BAD);
	return false;
}

static void word_use(struct build *build, const struct node *node, struct str word, unsigned uses,
		     bool is_free)
{
	size_t i = 0;

	if (str_is(word, "output") && !(uses & USES_OUTPUT)) {
		report_at(build, DIAG_OUTPUT_USE, node, word,
			  "`output` is only known in `pass` and `reason`");
		diags_hint(build->diags, "name the step: outputs.step.key");
		return;
	}
	while (i < ARRAY_LEN(words) && !str_is(word, words[i]))
		i++;
	if (i < ARRAY_LEN(words) || is_free || token_is_keyword(word))
		return;
	report_at(build, DIAG_UNKNOWN_WORD, node, word, "'%.*s' means nothing in an expression",
		  STR_ARG(str_cut(word, 0, 80)));
	if (param_find(build->model, word))
		diags_hint(build->diags, "did you mean 'params.%.*s'?", STR_ARG(word));
	else if (str_nearest(word, words, ARRAY_LEN(words)))
		build_nearest(build, word, words, ARRAY_LEN(words));
	else
		diags_hint(build->diags, "a text needs quotes: \"%.*s\"",
			   STR_ARG(str_cut(word, 0, 80)));
}

static void uses_check(struct build *build, const struct node *node, struct str source,
		       unsigned uses)
{
	bool is_free = has_locals(source);
	struct token before = {.kind = TOKEN_END};
	size_t at = 0;

	for (;;) {
		struct token token = token_next(source, &at);
		size_t ahead = at;
		struct str name;

		if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
			return;
		if (token.kind != TOKEN_NAME || str_is(before.text, ".") ||
		    str_is(before.text, ":") ||
		    ((str_is(before.text, "{") || str_is(before.text, ",") ||
		      str_is(before.text, ";")) &&
		     str_is(token_next(source, &ahead).text, "="))) {
			before = token; /* a field or the key of a table constructor */
			continue;
		}
		before = token;
		word_use(build, node, token.text, uses, is_free);
		if (str_is(token.text, "params")) {
			name = field_name(source, &at);
			if (name.ptr)
				param_use(build, node, name, uses);
		} else if (str_is(token.text, "quality")) {
			name = field_name(source, &at);
			if (name.ptr || (uses & USES_NO_OUTPUTS))
				quality_use(build, node, name, uses);
		} else if (str_is(token.text, "outputs")) {
			name = field_name(source, &at);
			if (name.ptr || (uses & USES_NO_OUTPUTS))
				output_use(build, node, name, uses);
		}
	}
}

/* One expression, wherever it stands. */
static bool source_check(struct build *build, const struct node *node, struct str source,
			 unsigned uses)
{
	struct err err = ERR_INIT;
	size_t before = build->diags->count + build->diags->dropped;

	if (!build->is_frozen) {
		if (!build->expr && expr_new(build->limits, &build->expr, &build->err) != ERR_OK)
			return false;
		if (expr_check(build->expr, source, &err) != ERR_OK) {
			if (err.code == ERR_MEMORY) {
				build->err = err;
				return false;
			}
			report_at(build, DIAG_EXPRESSION, node, str_trim(source),
				  "the expression is not well-formed: %s", err.text);
			return false;
		}
	}
	uses_check(build, node, source, uses);
	return build->diags->count + build->diags->dropped == before;
}

bool use_expression(struct build *build, const struct node *key, const struct node *value,
		    unsigned uses, struct str *ret_source)
{
	struct str text;

	if (!take_text(build, key, value, 0, &text))
		return false;
	if (str_find(text, "${", 0) != SIZE_MAX) {
		report_at(build, DIAG_BRACES, value, STR("${"),
			  "'%.*s' is an expression: `${` has no place in it", STR_ARG(key->text));
		diags_hint(build->diags, "write the expression without `${` and `}`");
		return false;
	}
	if (!source_check(build, value, text, uses))
		return false;
	*ret_source = build_keep(build, text);
	return ret_source->ptr != NULL;
}

/* A part is the secret itself when it is the whole text and nothing but `params.name`. */
static unsigned uses_of_part(struct str text, const struct template_part *part, unsigned uses)
{
	struct token token;
	size_t at = 0;
	size_t count = 0;

	do {
		token = token_next(part->expression, &at);
		count++;
	} while (token.kind != TOKEN_END && token.kind != TOKEN_BAD);
	if (part->literal.len || part->expression.len + 3 != text.len || count != 4)
		uses &= ~(unsigned)USES_SECRET;
	return uses;
}

bool use_template(struct build *build, const struct node *key, const struct node *value,
		  unsigned uses, struct tmpl *ret_tmpl)
{
	struct template_part part;
	struct tmpl tmpl = {.text = STR_NONE};
	size_t at = 0;
	bool ok = true;

	if (!take_text(build, key, value, TAKE_EMPTY, &tmpl.text))
		return false;
	while (template_next(tmpl.text, &at, &part)) {
		if (part.is_open) {
			report_at(build, DIAG_UNBALANCED, value, STR("${"),
				  "'%.*s' has `${` without its `}`", STR_ARG(key->text));
			return false;
		}
		if (!part.expression.ptr)
			continue;
		tmpl.is_dynamic = true;
		ok = source_check(build, value, part.expression,
				  uses_of_part(tmpl.text, &part, uses)) &&
		     ok;
	}
	tmpl.text = build_keep(build, tmpl.text);
	if (ok && tmpl.text.ptr)
		*ret_tmpl = tmpl;
	return ok && tmpl.text.ptr;
}

bool use_templates(struct build *build, const struct node *key, const struct node *value,
		   struct tmpl **ret_list, uint32_t *ret_count)
{
	struct tmpl *list;
	uint32_t count = 0;

	if (!build_expect(build, key, value, NODE_LIST, "a list of texts"))
		return false;
	list = build_new(build, value->count, sizeof(*list));
	if (!list)
		return false;
	for (const struct node *item = build_child(build, value); item;
	     item = build_next(build, item)) {
		if (use_template(build, key, item, 0, &list[count]))
			count++;
	}
	*ret_list = list;
	*ret_count = count;
	return count == value->count;
}

/* Scratch of the walk upstream. */
struct walk {
	uint32_t *place; /* position of each step in the order */
	uint32_t *seen;  /* by step: number of the last walk that met it */
	uint32_t *queue;
	uint32_t number;
};

/* Does `step` need `target`, directly or not? Steps before the target in the order cannot. */
static bool is_upstream(const struct model *model, uint32_t step, uint32_t target,
			struct walk *walk)
{
	uint32_t count = 0;

	walk->number++;
	walk->queue[count++] = step;
	walk->seen[step] = walk->number;
	while (count > 0) {
		const struct step *here = &model->steps[walk->queue[--count]];

		for (uint32_t i = 0; i < here->needs_count + here->needs_any_count; i++) {
			uint32_t need = i < here->needs_count
					    ? here->needs[i]
					    : here->needs_any[i - here->needs_count];

			if (need == target)
				return true;
			if (walk->seen[need] == walk->number ||
			    walk->place[need] < walk->place[target])
				continue;
			walk->seen[need] = walk->number;
			walk->queue[count++] = need;
		}
	}
	return false;
}

static void ref_check(struct build *build, const struct ref *ref, uint32_t step, struct walk *walk)
{
	const struct model *model = build->model;
	struct str id = model->steps[ref->target].id;

	if (step == ref->target && ref->key == KEY_step_compensate)
		return; /* it runs after the step has succeeded */
	if (is_upstream(model, step, ref->target, walk))
		return;
	report_at(build, DIAG_NOT_UPSTREAM, build_node(build, ref->node), id,
		  step == ref->target
		      ? "step '%.*s' cannot use outputs of '%.*s', itself"
		      : "step '%.*s' does not need '%.*s', so its outputs may not be there",
		  STR_ARG(model->steps[step].id), STR_ARG(id));
	if (step == ref->target)
		diags_hint(build->diags, "in `pass` and `reason` they are output.key");
	else
		diags_hint(build->diags, "add it to its `needs`");
}

void use_refs_check(struct build *build)
{
	const struct model *model = build->model;
	size_t n = model->steps_count;
	AUTO(mem_drop) uint32_t *room = NULL;
	struct walk walk = {.number = 0};

	if (build->refs_count == 0 || build->is_frozen)
		return;
	room = mem_new(n * 3, sizeof(*room));
	if (!room) {
		(void)mem_err(&build->err);
		return;
	}
	walk = (struct walk){room, room + n, room + n * 2, 0};
	for (uint32_t i = 0; i < n; i++)
		walk.place[model->order[i]] = i;
	for (size_t i = 0; i < build->refs_count; i++) {
		if (build->refs[i].step != STEP_NONE)
			ref_check(build, &build->refs[i], build->refs[i].step, &walk);
	}
}
