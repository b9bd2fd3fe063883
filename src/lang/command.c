/* command.c - what a step runs, and everything about its process and its files */
#include "lang/build.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "sys/program.h"

#include <stdlib.h>

#define GRACE_DEFAULT_NS     (10 * NS_PER_S)
#define OUTPUT_LIMIT_DEFAULT ((uint64_t)1 << 30)
#define EX_TEMPFAIL          75 /* sysexits.h: try again later */

/* What `${` in a shell text would put a value into (SLU031). A name that merely begins like these,
 * as in `${output_dir}`, belongs to the shell. */
static const char *const values[] = {"params", "outputs", "output", "run", "env", "index"};

static bool is_value(struct str text, size_t at, struct str *ret_word)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		size_t len = str_of(values[i]).len;
		struct str rest = str_cut(text, at, text.len);
		char after = rest.len > len ? rest.ptr[len] : '}';
		bool needs_field = str_is(str_from(values[i], len), "params") ||
				   str_is(str_from(values[i], len), "run") ||
				   str_is(str_from(values[i], len), "env");

		if (!str_starts(rest, values[i]))
			continue;
		if (needs_field ? after != '.'
				: name_valid(str_from(&after, 1)) || (after >= '0' && after <= '9'))
			continue;
		*ret_word = str_from(values[i], len);
		return true;
	}
	return false;
}

static void run_text_check(struct build *build, const struct node *value)
{
	struct str text = value->text;

	for (size_t at = str_find(text, "${", 0); at != SIZE_MAX;
	     at = str_find(text, "${", at + 2)) {
		struct str word;
		uint32_t line;
		uint32_t column;

		if (!is_value(text, at + 2, &word))
			continue;
		build_place(build, value, str_cut(text, at, at + 2 + word.len), &line, &column);
		diags_add(build->diags, DIAG_RUN_TEXT, line, column,
			  "`${%.*s` in the text of `run`: values reach a shell by its environment",
			  STR_ARG(word));
		diags_hint(build->diags,
			   "use \"$PARAM_<name>\", \"$OUTPUT_<step>_<key>\", in double quotes");
		return; /* one is enough for one text */
	}
}

void key_step_run(struct build *build, void *target, const struct node *key,
		  const struct node *value)
{
	struct draft *draft = target;
	struct str text;

	draft->step.kind = STEP_KIND_RUN;
	if (!take_text(build, key, value, 0, &text))
		return;
	run_text_check(build, value);
	draft->command.text = build_keep(build, text);
}

void key_step_argv(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;
	const struct node *program;

	draft->step.kind = STEP_KIND_ARGV;
	if (!use_templates(build, key, value, &draft->command.argv, &draft->command.argv_count))
		return;
	program = build_child(build, value);
	if (!program)
		build_report(build, DIAG_TEXT, value, "'argv' must name a program");
	else if (program->text.len == 0)
		build_report(build, DIAG_TEXT, program, "the program of 'argv' must not be empty");
}

void key_step_noop(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;
	bool flag = false;

	draft->step.kind = STEP_KIND_NOOP;
	if (value->kind == NODE_BAD || node_is_null(value) ||
	    (value->kind == NODE_MAP && value->count == 0) ||
	    (value->kind == NODE_TEXT && node_bool(value, &flag) && flag))
		return;
	build_report(build, DIAG_VALUE_FORM, value, "'%.*s' takes only true", STR_ARG(key->text));
}

void key_step_shell(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;

	(void)take_texts(build, key, value, 1, false, &draft->command.shell,
			 &draft->command.shell_count);
}

void key_step_env(struct build *build, void *target, const struct node *key,
		  const struct node *value)
{
	struct draft *draft = target;

	environment_read(build, key, value, USES_SECRET, &draft->command.env,
			 &draft->command.env_count);
}

void key_step_cwd(struct build *build, void *target, const struct node *key,
		  const struct node *value)
{
	struct draft *draft = target;

	if (!use_template(build, key, value, 0, &draft->command.cwd))
		return;
	if (draft->command.cwd.text.len == 0)
		build_report(build, DIAG_TEXT, value, "'cwd' must not be empty");
}

void key_step_timeout(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct draft *draft = target;

	(void)take_duration(build, key, value, 1, &draft->command.timeout_ns);
}

void key_step_silence_timeout(struct build *build, void *target, const struct node *key,
			      const struct node *value)
{
	struct draft *draft = target;

	(void)take_duration(build, key, value, 1, &draft->command.silence_ns);
}

void key_step_grace(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;

	(void)take_duration(build, key, value, 0, &draft->command.grace_ns);
}

void key_step_output_limit(struct build *build, void *target, const struct node *key,
			   const struct node *value)
{
	struct draft *draft = target;

	(void)take_size(build, key, value, &draft->command.output_limit_bytes);
}

bool error_class_is_for_exit(enum error_class class)
{
	return class != CLASS_INTERRUPTED && class != CLASS_CANCELLED && class != CLASS_LOST &&
	       class != CLASS_INTERNAL;
}

static bool exit_class_read(struct build *build, const struct node *code, const struct node *value,
			    struct exit_class *ret_class)
{
	const char *names[CLASS_COUNT];
	size_t count = 0;
	uint64_t number;
	struct str text;

	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		if (error_class_is_for_exit((enum error_class)i))
			names[count++] = error_class_name((enum error_class)i);
	}
	if (!str_to_u64(code->text, &number) || number < 1 || number > 255 ||
	    (code->text.len > 1 && code->text.ptr[0] == '0')) {
		build_report(build, DIAG_EXIT_CODE, code, "'%.*s' is not an exit code of 1 to 255",
			     STR_ARG(str_cut(code->text, 0, 40)));
		return false;
	}
	if (!take_text(build, code, value, 0, &text))
		return false;
	if (!error_class_of(text, &ret_class->class) ||
	    !error_class_is_for_exit(ret_class->class)) {
		build_report(build, DIAG_ERROR_CLASS, value,
			     "a command cannot end with the class '%.*s'",
			     STR_ARG(str_cut(text, 0, 40)));
		build_nearest(build, text, names, count);
		return false;
	}
	ret_class->exit_code = (int)number;
	return true;
}

static int exit_class_cmp(const void *a, const void *b)
{
	const struct exit_class *left = a;
	const struct exit_class *right = b;

	return left->exit_code - right->exit_code;
}

void key_step_exit_codes(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	struct draft *draft = target;
	const struct node *class;
	struct exit_class *list;
	uint32_t count = 0;
	bool has_tempfail = false;

	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {3: data_quality}"))
		return;
	list = build_new(build, (size_t)value->count + 1, sizeof(*list));
	if (!list)
		return;
	for (const struct node *code = build_child(build, value); code;
	     code = build_next(build, class)) {
		class = build_value(build, code);
		if (code->kind != NODE_TEXT || !exit_class_read(build, code, class, &list[count]))
			continue;
		has_tempfail = has_tempfail || list[count].exit_code == EX_TEMPFAIL;
		count++;
	}
	if (!has_tempfail)
		list[count++] = (struct exit_class){EX_TEMPFAIL, CLASS_TRANSIENT_IO};
	qsort(list, count, sizeof(*list), exit_class_cmp);
	draft->command.exit_classes = list;
	draft->command.exit_class_count = count;
}

void key_step_inputs(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	struct draft *draft = target;

	(void)use_templates(build, key, value, &draft->step.inputs, &draft->step.inputs_count);
}

void key_output_type(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	/* no enum: an output has no values to choose from; no secret: it would be written */
	static const enum value_type types[] = {VALUE_STRING, VALUE_INT,  VALUE_NUMBER,
						VALUE_BOOL,   VALUE_PATH, VALUE_DURATION,
						VALUE_SIZE,   VALUE_LIST, VALUE_OBJECT};
	const char *names[ARRAY_LEN(types)];
	struct output *output = target;
	uint32_t index;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		names[i] = value_type_name(types[i]);
	if (take_word(build, key, value, names, ARRAY_LEN(names), &index))
		output->type = types[index];
}

void key_output_required(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	struct output *output = target;

	(void)take_bool(build, key, value, &output->is_required);
}

void key_step_outputs(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct draft *draft = target;
	const struct node *spec;
	struct output *list;
	uint32_t count = 0;

	if (!build_expect(build, key, value, NODE_MAP, "a mapping of names to {type: ...}"))
		return;
	list = build_new(build, value->count, sizeof(*list));
	if (!list)
		return;
	for (const struct node *name = build_child(build, value); name;
	     name = build_next(build, spec)) {
		uint32_t at[2] = {0, 0};
		struct str text;

		spec = build_value(build, name);
		if (name->kind != NODE_TEXT || !take_name(build, name, "an output", &text) ||
		    !build_expect(build, name, spec, NODE_MAP, "a mapping such as {type: int}"))
			continue;
		list[count].name = build_keep(build, text);
		build_map(build, SCOPE_output, spec, &list[count], at, KEY_output_type);
		if (!at[0])
			build_report(build, DIAG_MISSING_KEY, name,
				     "'type' of the output '%.*s' is missing", STR_ARG(text));
		count++;
	}
	draft->step.outputs = list;
	draft->step.outputs_count = count;
}

void key_artifact_name(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct artifact *artifact = target;
	struct str text;

	(void)key;
	if (take_name(build, value, "an artifact", &text))
		artifact->name = build_keep(build, text);
}

void key_artifact_path(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct artifact *artifact = target;

	if (use_template(build, key, value, 0, &artifact->path) && artifact->path.text.len == 0)
		build_report(build, DIAG_TEXT, value, "'path' must not be empty");
}

static void artifact_read(struct build *build, const struct node *item, struct artifact *list,
			  uint32_t count, struct map *names)
{
	uint32_t at[2] = {0, 0};

	build_map(build, SCOPE_artifact, item, &list[count], at, KEY_artifact_name);
	for (uint32_t i = 0; i < 2; i++) {
		if (!at[i])
			build_report(build, DIAG_MISSING_KEY, item,
				     "'%s' of the artifact is missing", i ? "path" : "name");
	}
	if (!list[count].name.ptr)
		return;
	if (map_get(names, list[count].name) != MAP_NONE)
		build_report(build, DIAG_TWICE, item, "there is an artifact '%.*s' already",
			     STR_ARG(list[count].name));
	else if (map_add(names, list[count].name, count, &build->err) != ERR_OK)
		return; /* noted there */
}

void key_step_artifacts(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	struct draft *draft = target;
	AUTO(map_fini) struct map names;
	struct artifact *list;
	uint32_t count = 0;

	map_init(&names, build->seed);
	if (!build_expect(build, key, value, NODE_LIST, "a list of {name: ..., path: ...}"))
		return;
	list = build_new(build, value->count, sizeof(*list));
	if (!list)
		return;
	for (const struct node *item = build_child(build, value); item;
	     item = build_next(build, item)) {
		if (build_expect(build, key, item, NODE_MAP, "a list of {name: ..., path: ...}"))
			artifact_read(build, item, list, count++, &names);
	}
	draft->step.artifacts = list;
	draft->step.artifacts_count = count;
}

/* Keys that stand at the step itself, but mean nothing for what it does. */
static void keys_of_kind(struct build *build, const struct draft *draft)
{
	for (uint64_t left = draft->keys; left; left &= left - 1) {
		uint32_t i = KEY_STEP_NEXT(left);
		const struct node *key;
		enum key_use use;

		if (key_rows[KEY_STEP_FIRST + i].support != SUPPORT_NOW)
			continue;
		use = key_rows[KEY_STEP_FIRST + i].use;
		key = build_node(build, draft->at[i] - 1);
		if (use == USE_WORK && draft->step.kind == STEP_KIND_NOOP)
			build_report(build, DIAG_KEY_OF_KIND, key,
				     "'%.*s' means nothing for a noop", STR_ARG(key->text));
		else if (use == USE_PROCESS && draft->step.kind != STEP_KIND_RUN &&
			 draft->step.kind != STEP_KIND_ARGV)
			build_report(build, DIAG_KEY_OF_KIND, key,
				     draft->step.kind == STEP_KIND_NOOP
					 ? "'%.*s' means nothing for a noop"
					 : "'%.*s' means nothing for a step without a command",
				     STR_ARG(key->text));
		else if (use == USE_SHELL && draft->step.kind != STEP_KIND_RUN)
			build_report(build, DIAG_KEY_OF_KIND, key,
				     "'%.*s' means nothing for a step without `run`",
				     STR_ARG(key->text));
	}
}

static void shell_default(struct build *build, struct command *command)
{
	static const char *const words[] = {"bash", "-euo", "pipefail", "-c"};

	if (!build->shell) {
		build->shell = build_new(build, ARRAY_LEN(words), sizeof(*build->shell));
		if (!build->shell)
			return;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			build->shell[i] = str_of(words[i]);
		build->shell_count = ARRAY_LEN(words);
	}
	command->shell = build->shell;
	command->shell_count = build->shell_count;
}

static void shell_check(struct build *build, const struct draft *draft, const struct node *name)
{
	uint32_t at = draft->at[KEY_step_shell - KEY_STEP_FIRST];
	struct str shell;

	if (build->is_frozen || draft->command.shell_count == 0)
		return;
	shell = draft->command.shell[0];
	if (build->shell_found.ptr && str_eq(build->shell_found, shell))
		return;
	if (program_exists(shell, build->model->folder)) {
		build->shell_found = shell;
		return;
	}
	build_report(build, DIAG_SHELL, at ? build_node(build, at - 1) : name,
		     "the shell '%.*s' is not an executable file", STR_ARG(shell));
	diags_hint(build->diags, "install it, or choose another: shell: [sh, -eu, -c]");
	build->shell_found = shell; /* said once */
}

static void exit_classes_default(struct build *build, struct command *command)
{
	if (!build->exit_classes) {
		build->exit_classes = build_new(build, 1, sizeof(*build->exit_classes));
		if (!build->exit_classes)
			return;
		build->exit_classes[0] = (struct exit_class){EX_TEMPFAIL, CLASS_TRANSIENT_IO};
		build->exit_class_count = 1;
	}
	command->exit_classes = build->exit_classes;
	command->exit_class_count = build->exit_class_count;
}

/* Resources are asked of an executor that can give them; a default does not reach a local
 * command. */
static void resources_check(struct build *build, struct draft *draft)
{
	uint32_t at = draft->at[KEY_step_resources - KEY_STEP_FIRST];

	if (draft->command.executor.ptr)
		return;
	if (at && draft->command.resources.ptr) {
		build_report(build, DIAG_UNKNOWN_EXECUTOR, build_node(build, at - 1),
			     "'resources' means nothing for a command without `executor`");
		diags_hint(build->diags, "name the executor that gives them: executor: NAME");
	}
	draft->command.resources = STR_NONE;
}

static void call_finish(struct build *build, struct draft *draft)
{
	struct call_def *kept = build_new(build, 1, sizeof(*kept));

	if (!kept)
		return;
	*kept = draft->call;
	kept->timeout_ns = draft->command.timeout_ns;
	kept->output_limit_bytes = draft->command.output_limit_bytes;
	draft->step.command = NULL;
	draft->step.call = kept;
}

void command_finish(struct build *build, struct draft *draft, const struct node *name)
{
	struct command *command = &draft->command;
	struct command *kept;

	keys_of_kind(build, draft);
	if (draft->step.kind == STEP_KIND_NOOP) {
		draft->step.outputs_count = 0; /* defaults do not reach it */
		draft->step.artifacts_count = 0;
		draft->step.quality = NULL;
		draft->step.command = NULL;
		return;
	}
	if (command->output_limit_bytes == 0)
		command->output_limit_bytes = OUTPUT_LIMIT_DEFAULT;
	if (draft->step.kind == STEP_KIND_CALL || draft->step.kind == STEP_KIND_CUSTOM) {
		call_finish(build, draft);
		return;
	}
	resources_check(build, draft);
	process_check(build, draft);
	if (!command->exit_classes)
		exit_classes_default(build, command);
	if (draft->step.kind == STEP_KIND_RUN) {
		if (!command->shell)
			shell_default(build, command);
		shell_check(build, draft, name);
	} else {
		command->shell = NULL;
		command->shell_count = 0;
	}
	if (draft->at[KEY_step_grace - KEY_STEP_FIRST] == 0 && command->grace_ns < 0)
		command->grace_ns = GRACE_DEFAULT_NS;
	kept = build_new(build, 1, sizeof(*kept));
	if (kept)
		*kept = *command;
	draft->step.command = kept;
}

/* Where and as whom it runs comes from its step, unless the compensation says so itself. */
static void command_inherit(struct command *command, const struct command *step)
{
	if (!step)
		return;
	if (!command->shell && step->shell) {
		command->shell = step->shell;
		command->shell_count = step->shell_count;
	}
	if (!command->cwd.text.ptr)
		command->cwd = step->cwd;
	if (!command->user.ptr)
		command->user = step->user;
	if (!command->limits) {
		command->limits = step->limits;
		command->limits_count = step->limits_count;
	}
}

void compensate_finish(struct build *build, struct draft *draft, const struct node *name)
{
	struct command *command;
	bool is_shell;

	if (!draft->undo)
		return;
	command = build_new(build, 1, sizeof(*command));
	if (!command)
		return;
	*command = draft->undo->command;
	is_shell = draft->undo->step.kind == STEP_KIND_RUN;
	command_inherit(command, draft->step.command);
	if (!command->exit_classes)
		exit_classes_default(build, command);
	if (is_shell && !command->shell)
		shell_default(build, command);
	if (command->shell_count && is_shell) {
		struct draft whole = {.command = *command};

		shell_check(build, &whole, name);
	}
	if (!is_shell) {
		command->shell = NULL;
		command->shell_count = 0;
	}
	if (command->grace_ns < 0)
		command->grace_ns = GRACE_DEFAULT_NS;
	if (command->output_limit_bytes == 0)
		command->output_limit_bytes = OUTPUT_LIMIT_DEFAULT;
	draft->step.compensate = command;
	draft->step.compensate_retry =
	    draft->undo->step.retry ? draft->undo->step.retry : build->retry_none;
}
