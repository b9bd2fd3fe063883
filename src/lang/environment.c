/* environment.c - `env:` of the pipeline and of steps */
#include "lang/build.h"

#define ENV_NAME_BYTES_MAX 255

static bool name_check(struct build *build, const struct node *name)
{
	struct str text = name->text;
	bool ok = text.len > 0 && text.len <= ENV_NAME_BYTES_MAX;

	for (size_t i = 0; i < text.len && ok; i++) {
		char c = text.ptr[i];

		ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		     (i > 0 && c >= '0' && c <= '9');
	}
	if (!ok) {
		build_report(build, DIAG_ENV_NAME, name,
			     "'%.*s' cannot name an environment variable",
			     STR_ARG(str_cut(text, 0, 80)));
		return false;
	}
	if (str_starts(text, "SLUICE_")) {
		build_report(build, DIAG_ENV_NAME, name, "'%.*s' is set by sluice itself",
			     STR_ARG(str_cut(text, 0, 80)));
		return false;
	}
	return true;
}

void key_variable_from(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	static const char *const words[] = {"env"};
	struct env_entry *entry = target;
	uint32_t index;

	entry->from_env = take_word(build, key, value, words, 1, &index);
}

void environment_read(struct build *build, const struct node *key, const struct node *map,
		      unsigned uses, struct env_entry **ret_env, uint32_t *ret_count)
{
	const struct node *value;
	struct env_entry *env;
	uint32_t count = 0;

	if (!build_expect(build, key, map, NODE_MAP, "a mapping of names to texts"))
		return;
	env = build_new(build, map->count, sizeof(*env));
	if (!env)
		return;
	for (const struct node *name = build_child(build, map); name;
	     name = build_next(build, value)) {
		struct env_entry entry = {.from_env = false};
		bool ok;

		value = build_value(build, name);
		if (name->kind != NODE_TEXT)
			continue;
		ok = name_check(build, name);
		if (value->kind == NODE_MAP) {
			build_map(build, SCOPE_variable, value, &entry, NULL, KEY_variable_from);
			if (value->count == 0)
				build_report(build, DIAG_MISSING_KEY, value,
					     "'from' is missing: {from: env}");
			ok = ok && entry.from_env;
		} else {
			ok = use_template(build, name, value, uses, &entry.value) && ok;
		}
		entry.name = build_keep(build, name->text);
		if (ok && entry.name.ptr)
			env[count++] = entry;
	}
	*ret_env = env;
	*ret_count = count;
}
