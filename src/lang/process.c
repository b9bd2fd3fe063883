/* process.c - keys of a command's process: what it reads, who it is, what it may use */
#include "lang/build.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "sys/user.h"

#define NOFILE_LEAST 4 /* 0, 1, 2, and one to open a library with */
#define COUNT_MAX    1000000000

void key_stdin_text(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct command *command = target;

	(void)use_template(build, key, value, 0, &command->stdin_text);
}

void key_step_stdin(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;
	uint32_t at[1] = {0};

	draft->command.stdin_path = draft->command.stdin_text = (struct tmpl){.text = STR_NONE};
	if (value->kind == NODE_MAP) {
		build_map(build, SCOPE_stdin, value, &draft->command, at, KEY_stdin_text);
		if (!at[0])
			build_report(build, DIAG_MISSING_KEY, value,
				     "'text' is missing: stdin: {text: ...}, or a path");
	} else if (use_template(build, key, value, 0, &draft->command.stdin_path) &&
		   draft->command.stdin_path.text.len == 0) {
		build_report(build, DIAG_TEXT, value, "'stdin' must not be empty");
		diags_hint(build->diags, "without `stdin` a command reads from /dev/null");
	}
}

void key_step_context(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct draft *draft = target;

	(void)take_bool(build, key, value, &draft->command.has_context);
}

void key_step_cache(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;

	(void)take_bool(build, key, value, &draft->step.is_cached);
}

void key_step_streams(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	static const char *const words[] = {"merged", "split"};
	struct draft *draft = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		draft->command.splits_streams = index == 1;
}

void key_step_orphans(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	static const char *const words[] = {"kill", "allow"};
	struct draft *draft = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		draft->command.allows_orphans = index == 1;
}

void key_step_user(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;
	struct err err = ERR_INIT;
	struct user user = {.name = NULL};
	struct str name;

	if (!take_text(build, key, value, 0, &name))
		return;
	draft->command.user = build_keep(build, name);
	if (build->is_frozen || !draft->command.user.ptr ||
	    user_find(draft->command.user.ptr, &user, &err) == ERR_OK) {
		user_fini(&user);
		return;
	}
	if (err.code == ERR_MEMORY) {
		build->err = err;
		return;
	}
	build_report(build, DIAG_USER, value, "%s", err.text);
	diags_hint(build->diags, "the name of a user of this machine: user: nobody");
}

/* --- limits */

enum unit { UNIT_SIZE, UNIT_TIME, UNIT_COUNT };

static const struct resource {
	const char *name;
	enum unit unit;
} resources[] = {
#define RESOURCE(name, rlimit, value, unit, what) [value] = {#name, UNIT_##unit},
#include "core/resource.def"
};

static bool size_take(struct build *build, const struct node *key, const struct node *value,
		      uint64_t *ret_bytes)
{
	if (value->kind == NODE_TEXT && size_read(value->text, ret_bytes))
		return true; /* zero too: `core: 0B` */
	return take_size(build, key, value, ret_bytes);
}

static bool time_take(struct build *build, const struct node *key, const struct node *value,
		      uint64_t *ret_seconds)
{
	int64_t ns;

	if (!take_duration(build, key, value, 1, &ns))
		return false;
	if (ns % NS_PER_S) {
		build_report(build, DIAG_RANGE, value, "'%.*s' is counted in whole seconds",
			     STR_ARG(key->text));
		return false;
	}
	*ret_seconds = (uint64_t)(ns / NS_PER_S);
	return true;
}

static void limit_read(struct build *build, struct command *command, const struct node *key,
		       const struct node *value, enum resource_kind kind)
{
	struct resource_limit limit = {.kind = kind};
	uint32_t count = 0;
	bool ok = false;

	switch (resources[kind].unit) {
	case UNIT_SIZE:
		ok = size_take(build, key, value, &limit.value);
		break;
	case UNIT_TIME:
		ok = time_take(build, key, value, &limit.value);
		break;
	case UNIT_COUNT:
		ok = take_u32(build, key, value, kind == RESOURCE_nofile ? NOFILE_LEAST : 1,
			      COUNT_MAX, &count);
		limit.value = count;
		break;
	}
	if (ok)
		command->limits[command->limits_count++] = limit;
}

#define RESOURCE(name, rlimit, number, unit, what) \
	void key_limit_##name(struct build *build, void *target, const struct node *key, \
			      const struct node *value) \
	{ \
		limit_read(build, target, key, value, RESOURCE_##name); \
	}
#include "core/resource.def"

const char *resource_name(enum resource_kind kind)
{
	return resources[kind].name;
}

void key_step_limits(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	struct draft *draft = target;

	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {nofile: 256, as: 2GiB}"))
		return;
	draft->command.limits = build_new(build, RESOURCE_KINDS, sizeof(*draft->command.limits));
	draft->command.limits_count = 0;
	if (draft->command.limits)
		build_map(build, SCOPE_limit, value, &draft->command, NULL, KEY_limit_as);
}

static void process_refuse(struct build *build, struct draft *draft, enum key_id id)
{
	uint32_t at = draft->at[id - KEY_STEP_FIRST];

	if (at)
		build_report(build, DIAG_KEY_OF_KIND, build_node(build, at - 1),
			     "'%.*s' means nothing for a command with `executor`",
			     STR_ARG(build_node(build, at - 1)->text));
}

/* What a step reads has to be known, or an old result would stand for it: an empty list says so
 * too. */
static void cache_check(struct build *build, const struct draft *draft)
{
	uint32_t at = draft->at[KEY_step_cache - KEY_STEP_FIRST];

	if (!draft->step.is_cached || draft->step.inputs || build->is_frozen)
		return;
	build_report(build, DIAG_CACHE,
		     build_node(build, at ? at - 1 : build->step_nodes[build->step]),
		     "'cache' needs to know what the step reads: 'inputs' is missing");
	diags_hint(build->diags,
		   "name the files: inputs: [data.csv]; or say that there is none: inputs: []");
}

void process_check(struct build *build, struct draft *draft)
{
	struct command *command = &draft->command;

	cache_check(build, draft);
	if (!command->executor.ptr)
		return;
	process_refuse(build, draft, KEY_step_stdin);
	process_refuse(build, draft, KEY_step_streams);
	process_refuse(build, draft, KEY_step_user);
	process_refuse(build, draft, KEY_step_limits);
	process_refuse(build, draft, KEY_step_orphans);
	/* Defaults do not reach it. */
	command->stdin_path = command->stdin_text = (struct tmpl){.text = STR_NONE};
	command->user = STR_NONE;
	command->limits_count = 0;
	command->splits_streams = false;
	command->allows_orphans = false;
}
