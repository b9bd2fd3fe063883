/* call.c - steps that the program itself carries out: `call`, registered kinds; and `executor` */
#include "lang/build.h"

#include "base/mem.h"

#define NAMES_MAX 256 /* candidates of "did you mean" */

bool lang_host_name_valid(struct str name)
{
	return id_valid(name) || name_valid(name);
}

bool lang_kind_name_is_free(struct str name)
{
	if (!name_valid(name))
		return false;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (key_rows[i].scope == SCOPE_step && str_eq(key_rows[i].name, name))
			return false;
	}
	return true;
}

static void nearest_of(struct build *build, struct str word,
		       const char *(*name_at)(void *arg, size_t i))
{
	const char *names[NAMES_MAX];
	size_t count = 0;

	if (!build->host)
		return;
	while (count < NAMES_MAX && (names[count] = name_at(build->host->arg, count)))
		count++;
	build_nearest(build, word, names, count);
}

void key_step_call(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;
	const struct lang_host *host = build->host;
	struct str name;

	draft->step.kind = STEP_KIND_CALL;
	if (!take_text(build, key, value, 0, &name))
		return;
	draft->call = (struct call_def){.name = build_keep(build, name)};
	if (build->is_frozen || draft->is_defaults)
		return; /* the engine looks again whether the program has it; a default is refused
			 */
	if (host && lang_host_name_valid(name) && host->has_call(host->arg, name))
		return;
	build_report(build, DIAG_UNKNOWN_CALL, value, "there is no function '%.*s'",
		     STR_ARG(str_cut(name, 0, 80)));
	if (host && host->call_name(host->arg, 0))
		nearest_of(build, name, host->call_name);
	else
		diags_hint(build->diags,
			   "only the program that has the function can run the pipeline");
}

void key_kind_name(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct call_def *call = target;
	struct str name;

	if (take_text(build, key, value, 0, &name))
		call->name = build_keep(build, name);
}

/* Texts with `${}` anywhere in the value: checked, and noted that there are some. */
static bool config_templates(struct build *build, const struct node *key, const struct node *value,
			     bool *ret_dynamic)
{
	const struct node *end = value + 1;
	const struct node *last = value;
	bool ok = true;

	/* The tree lies in the order of the file: what is below a value stands behind it, up to its
	 * sibling. */
	while (last->has_child) {
		for (last = build_child(build, last); last->next != NODE_NONE;)
			last = build_next(build, last);
		end = last + 1;
	}
	for (const struct node *node = value; node < end; node++) {
		struct tmpl tmpl;

		if (node->kind != NODE_TEXT || str_find(node->text, "${", 0) == SIZE_MAX)
			continue;
		ok = use_template(build, key, node, 0, &tmpl) && ok;
		*ret_dynamic = true;
	}
	return ok;
}

static bool config_read(struct build *build, const struct node *key, const struct node *value,
			struct call_def *call)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	bool ok = config_templates(build, key, value, &call->is_dynamic);

	if (!take_json(build, value, &json) || !ok ||
	    buf_check(&json, "a config", &build->err) != ERR_OK)
		return false;
	call->config = build_keep(build, buf_view(&json));
	return call->config.ptr != NULL;
}

void key_kind_config(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	(void)config_read(build, key, value, target);
}

/* The frozen form of a registered kind. */
void key_step_kind(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;

	draft->step.kind = STEP_KIND_CUSTOM;
	draft->call = (struct call_def){.name = STR_NONE};
	if (!build_expect(build, key, value, NODE_MAP, "a mapping of name and config"))
		return;
	build_map(build, SCOPE_kind, value, &draft->call, NULL, KEY_kind_name);
	if (!draft->call.name.ptr || !draft->call.config.ptr)
		build_report(build, DIAG_MISSING_KEY, value, "a kind needs its name and config");
}

bool custom_kind_read(struct build *build, struct draft *draft, const struct node *key,
		      const struct node *value)
{
	const struct lang_host *host = build->host;
	uint32_t *at = &draft->at[KEY_step_kind - KEY_STEP_FIRST];
	AUTO(buf_fini) struct buf why = BUF_INIT;
	struct call_def call = {.name = STR_NONE};

	if (!host || build->is_frozen || !host->has_kind(host->arg, key->text))
		return false;
	if (*at) {
		build_report(build, DIAG_KIND_MANY, key, "the step has '%.*s' and '%.*s'",
			     STR_ARG(build_node(build, *at - 1)->text), STR_ARG(key->text));
		diags_hint(build->diags, "a step does one thing: make two of it");
		return true;
	}
	*at = build_index(build, key) + 1;
	draft->keys |= KEY_STEP_BIT(KEY_step_kind - KEY_STEP_FIRST);
	build->key = KEY_step_kind;
	draft->step.kind = STEP_KIND_CUSTOM;
	if (!config_read(build, key, value, &call))
		return true;
	call.name = build_keep(build, key->text);
	draft->call = call;
	if (draft->is_defaults || host->check_kind(host->arg, key->text, call.config, &why))
		return true;
	build_report(build, DIAG_KIND_CONFIG, value, "'%.*s': %.*s", STR_ARG(key->text),
		     STR_ARG(str_cut(buf_view(&why), 0, 300)));
	return true;
}

void key_step_executor(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct draft *draft = target;
	const struct lang_host *host = build->host;
	struct str name;

	if (!take_text(build, key, value, 0, &name))
		return;
	draft->command.executor = STR_NONE;
	if (str_is(name, "local"))
		return;
	if (build->is_frozen ||
	    (host && lang_host_name_valid(name) && host->has_executor(host->arg, name))) {
		draft->command.executor = build_keep(build, name);
		return;
	}
	build_report(build, DIAG_UNKNOWN_EXECUTOR, value, "there is no executor '%.*s'",
		     STR_ARG(str_cut(name, 0, 80)));
	if (host)
		nearest_of(build, name, host->executor_name);
	else
		diags_hint(build->diags, "this program has only 'local'");
}

void key_step_resources(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	struct draft *draft = target;

	if (build_expect(build, key, value, NODE_MAP, "a mapping such as {gpus: 1}") &&
	    take_json(build, value, &json) && buf_check(&json, "resources", &build->err) == ERR_OK)
		draft->command.resources = build_keep(build, buf_view(&json));
}
