/* build.c - lang_load: from nodes to a model; the keys of the pipeline itself */
#include "lang/build.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/graph.h"
#include "lang/lang.h"
#include "sys/processor.h"

#include <string.h>

/* Names compared, times the length of what was meant: suggestions are the dear part of an error,
 * and a file with many steps could ask for many. */
#define NEAREST_WORK_MAX 2000000

#define KEY_READ_NOW(scope, name)    key_##scope##_##name
#define KEY_READ_FROZEN(scope, name) key_##scope##_##name
#define KEY_READ_LATER(scope, name)  NULL

const struct key_row key_rows[KEY_COUNT] = {
#define KEY(scope, name, support, use) \
	[KEY_##scope##_##name] = {SCOPE_##scope, \
				  {#name, sizeof(#name) - 1}, \
				  SUPPORT_##support, \
				  USE_##use, \
				  KEY_READ_##support(scope, name)},
#include "lang/key.def"
};

void *build_new(struct build *build, size_t count, size_t size)
{
	void *room = arena_new(&build->model->arena, count, size);

	if (!room && build->err.code == ERR_OK)
		(void)mem_err(&build->err);
	return room;
}

struct str build_keep(struct build *build, struct str text)
{
	struct str copy = arena_str(&build->model->arena, text);

	if (!copy.ptr && build->err.code == ERR_OK)
		(void)mem_err(&build->err);
	return copy;
}

const struct node *build_node(const struct build *build, uint32_t index)
{
	return index == NODE_NONE ? NULL : &build->nodes.items[index];
}

SELDOM bool build_not_expected(struct build *build, const struct node *key,
			       const struct node *value, const char *expected)
{
	char about[80];

	if (value->kind != NODE_BAD)
		build_report(build, DIAG_VALUE_FORM, value, "'%.*s' must be %s, not %s",
			     STR_ARG(key->text), expected, node_about(value, about, sizeof(about)));
	return false;
}

/* Further errors are only counted. */
static bool build_is_full(const struct build *build)
{
	return build->diags->count >= build->diags->limit && build->diags->dropped > 0;
}

bool build_nearest(struct build *build, struct str word, const char *const *names, size_t count)
{
	const char *nearest;
	size_t work = count * (word.len + 1);

	if (build_is_full(build) || build->nearest_work + work > NEAREST_WORK_MAX)
		return false;
	build->nearest_work += work;
	nearest = str_nearest(word, names, count);
	if (nearest)
		diags_hint(build->diags, "did you mean '%s'?", nearest);
	return nearest != NULL;
}

/* Offset of a place in the source. */
static size_t source_offset(struct str source, uint32_t line, uint32_t column)
{
	size_t at = 0;

	for (; line > 1 && at < source.len; at++) {
		if (source.ptr[at] == '\n' ||
		    (source.ptr[at] == '\r' && at + 1 < source.len && source.ptr[at + 1] != '\n'))
			line--;
	}
	for (; column > 1 && at < source.len; column--)
		at += utf8_len(str_cut(source, at, source.len));
	return at;
}

void build_place(const struct build *build, const struct node *node, struct str needle,
		 uint32_t *ret_line, uint32_t *ret_column)
{
	uint32_t index = build_index(build, node);
	size_t from;
	size_t to = build->source.len;

	*ret_line = node->line;
	*ret_column = node->column;
	if (build->is_frozen || needle.len == 0 || build_is_full(build))
		return;
	from = source_offset(build->source, node->line, node->column);
	if (index + 1 < build->nodes.count)
		to = source_offset(build->source, node[1].line, node[1].column);
	for (size_t at = from; at + needle.len <= to; at++) {
		if (memcmp(build->source.ptr + at, needle.ptr, needle.len) != 0)
			continue;
		for (; from < at; from++) {
			char c = build->source.ptr[from];

			if (c == '\n') {
				*ret_line += 1;
				*ret_column = 1;
			} else if (((unsigned char)c & 0xC0) != 0x80) {
				*ret_column += 1;
			}
		}
		return;
	}
}

/* The first slot for a key: its ends and its length tell it from nearly every other. */
static size_t key_slot(enum key_scope scope, struct str name)
{
	unsigned first = name.len ? (unsigned char)name.ptr[0] : 0;
	unsigned last = name.len ? (unsigned char)name.ptr[name.len - 1] : 0;

	return (scope * 59 + first * 7 + last * 31 + name.len * 3) % KEY_SLOTS;
}

_Static_assert(KEY_COUNT <= KEY_SLOTS / 2, "a search must find a free slot");

static void keys_index(struct build *build)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		size_t at = key_slot(key_rows[i].scope, key_rows[i].name);

		while (build->key_slots[at])
			at = (at + 1) % KEY_SLOTS;
		build->key_slots[at] = (uint16_t)(i + 1);
	}
}

static const struct key_row *key_find(const struct build *build, enum key_scope scope,
				      struct str name)
{
	for (size_t at = key_slot(scope, name); build->key_slots[at]; at = (at + 1) % KEY_SLOTS) {
		const struct key_row *row = &key_rows[build->key_slots[at] - 1];

		if (row->scope == scope && str_eq(row->name, name) &&
		    (row->support != SUPPORT_FROZEN || build->is_frozen))
			return row;
	}
	return NULL;
}

_Static_assert(KEY_STEP_COUNT <= 64, "a set of the keys of a step is one word");

static void step_key_note(struct build *build, struct draft *draft, enum key_id id)
{
	build->key = id;
	draft->keys |= KEY_STEP_BIT(id - KEY_STEP_FIRST);
}

void build_map(struct build *build, enum key_scope scope, const struct node *map, void *target,
	       uint32_t *at, enum key_id first)
{
	const struct node *value;

	for (const struct node *key = build_child(build, map); key;
	     key = build_next(build, value)) {
		const struct key_row *row;

		value = build_value(build, key);
		if (key->kind != NODE_TEXT)
			continue;
		row = key_find(build, scope, key->text);
		if (!row && scope == SCOPE_step && custom_kind_read(build, target, key, value))
			continue;
		if (!row) {
			build_unknown_key(build, scope, key);
			continue;
		}
		if (at)
			at[(size_t)(row - key_rows) - first] = build_index(build, key) + 1;
		if (scope == SCOPE_step)
			step_key_note(build, target, (enum key_id)(row - key_rows));
		if (row->support == SUPPORT_LATER)
			build_report(build, DIAG_LATER_KEY, key,
				     "'%.*s' is not in this version of sluice", STR_ARG(key->text));
		else
			row->read(build, target, key, value);
	}
}

void key_top_format(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	uint32_t format;

	(void)target;
	if (!take_u32(build, key, value, 1, UINT32_MAX, &format))
		return;
	if (format != 1)
		build_report(build, DIAG_FORMAT, value, "format %u is not known to this version",
			     format);
	build->model->format = format;
}

void key_top_pipeline(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct str name;

	(void)target;
	if (!take_text(build, key, value, 0, &name))
		return;
	if (!id_valid(name)) {
		build_report(build, DIAG_NAME, value, "'%.*s' cannot be the name of a pipeline",
			     STR_ARG(str_cut(name, 0, 130)));
		diags_hint(build->diags, "letters, digits, '.', '_' and '-', at most 128, no '..'");
	}
	build->model->pipeline = build_keep(build, name);
}

void key_top_version(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	struct str text;

	(void)target;
	if (take_text(build, key, value, TAKE_EMPTY, &text))
		build->model->version = build_keep(build, text);
}

void key_top_description(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	struct str text;

	(void)target;
	if (take_text(build, key, value, TAKE_EMPTY, &text))
		build->model->description = build_keep(build, text);
}

void key_top_folder(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct str text;

	(void)target;
	if (take_text(build, key, value, 0, &text))
		build->model->folder = build_keep(build, text);
}

void key_top_concurrency(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	(void)target;
	(void)take_u32(build, key, value, 1, CONCURRENCY_MAX, &build->model->concurrency);
}

void key_top_timeout(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	(void)target;
	(void)take_duration(build, key, value, 1, &build->model->timeout_ns);
}

void key_top_sync(struct build *build, void *target, const struct node *key,
		  const struct node *value)
{
	static const char *const words[] = {"always", "never", "interval:100ms"};
	struct str text;
	uint64_t ms;
	int64_t ns;

	(void)target;
	if (!take_text(build, key, value, 0, &text))
		return;
	if (str_is(text, "always")) {
		build->model->sync = SYNC_ALWAYS;
	} else if (str_is(text, "never")) {
		build->model->sync = SYNC_NEVER;
	} else if (str_starts(text, "interval:")) {
		struct str rest = str_cut(text, 9, text.len);

		if (str_to_u64(rest, &ms) && ms <= 86400000)
			ns = (int64_t)ms * NS_PER_MS;
		else if (!duration_read(rest, &ns))
			ns = 0;
		if (ns < NS_PER_MS || ns > 86400 * NS_PER_S)
			build_report(build, DIAG_UNIT, value,
				     "'sync' needs a duration of 1ms to 1d: interval:100ms");
		build->model->sync = SYNC_INTERVAL;
		build->model->sync_interval_ns = ns;
	} else {
		build_report(build, DIAG_NOT_ONE_OF, value,
			     "'sync' is always, interval:<ms> or never, not '%.*s'",
			     STR_ARG(str_cut(text, 0, 40)));
		build_nearest(build, text, words, ARRAY_LEN(words));
	}
}

void key_top_partition(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	(void)target;
	(void)use_template(build, key, value, USES_NO_OUTPUTS, &build->model->partition);
}

void key_top_env(struct build *build, void *target, const struct node *key,
		 const struct node *value)
{
	(void)target;
	environment_read(build, key, value, USES_SECRET | USES_NO_OUTPUTS, &build->model->env,
			 &build->model->env_count);
}

/* Read in the order that they need, not in that of the file: see top_read. */
void key_top_defaults(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	(void)target;
	if (build_expect(build, key, value, NODE_MAP, "a mapping"))
		steps_defaults_read(build, value);
}

void key_top_steps(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	(void)target;
	build->has_steps_node = true;
	if (node_is_null(value)) {
		build_report(build, DIAG_NO_STEPS, key, "there are no steps");
		return;
	}
	if (value->kind == NODE_LIST) {
		build_report(build, DIAG_VALUE_FORM, value,
			     "'steps' must be a mapping of names to steps, not a list");
		diags_hint(build->diags, "write `load: {run: ...}` instead of `- name: load`");
		return;
	}
	if (build_expect(build, key, value, NODE_MAP, "a mapping of names to steps"))
		steps_read(build, value);
}

/* The key of the root, NULL if it is not there. */
static const struct node *root_key(const struct build *build, const struct node *root,
				   const char *name)
{
	const struct node *key = build_child(build, root);

	while (key && !(key->kind == NODE_TEXT && str_is(key->text, name)))
		key = build_next(build, build_value(build, key));
	return key;
}

/* Params and the names of steps first: expressions anywhere in the file may use them. */
static const char *const root_first[] = {"params"};
static const char *const root_last[] = {"env", "defaults", "steps"};

static bool is_among(struct str name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_is(name, names[i]))
			return true;
	}
	return false;
}

static void root_read_some(struct build *build, const struct node *root, const char *const *names,
			   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct node *key = root_key(build, root, names[i]);
		const struct key_row *row = key ? key_find(build, SCOPE_top, key->text) : NULL;

		if (row)
			row->read(build, NULL, key, build_value(build, key));
	}
}

static bool steps_room(struct build *build, size_t count)
{
	build->model->steps = build_new(build, count, sizeof(*build->model->steps));
	build->step_nodes = mem_new(count, sizeof(*build->step_nodes));
	build->marks = mem_new(count, sizeof(*build->marks));
	build->step_names = mem_new(count, sizeof(*build->step_names));
	if (build->model->steps && build->step_nodes && build->marks && build->step_names)
		return true;
	if (build->err.code == ERR_OK)
		(void)mem_err(&build->err);
	return false;
}

/* The next step of the model, of which only the name is known yet. */
static bool step_name(struct build *build, const struct node *key)
{
	uint32_t index = build->model->steps_count;
	struct str id = build_keep(build, key->text);

	if (!id.ptr)
		return false;
	build->model->steps[index].id = id;
	build->step_names[index] = id.ptr;
	build->step_nodes[index] = build_index(build, key);
	build->model->steps_count++;
	return true;
}

/* The tree has looked at many names already: its index of them becomes that of the model. */
static void steps_index_adopt(struct build *build)
{
	struct map *index = &build->model->step_index;

	*index = TAKE(build->nodes.keys, (struct map){.seed = 0});
	for (uint32_t i = 0; i < index->count; i++) {
		if (!step_name(build, &build->nodes.items[index->entries[i].value]))
			return;
		map_move(index, i, build->model->steps[i].id, i);
	}
}

static void steps_index_make(struct build *build, const struct node *map)
{
	struct map *index = &build->model->step_index;
	const struct node *value;

	map_init(index, build->seed);
	for (const struct node *key = build_child(build, map); key;
	     key = build_next(build, value)) {
		uint32_t step = build->model->steps_count;

		value = build_value(build, key);
		if (key->kind != NODE_TEXT)
			continue;
		if (!step_name(build, key) ||
		    map_add(index, build->model->steps[step].id, step, &build->err) != ERR_OK)
			return;
	}
}

/* Index the steps by name, so that whatever names one can be checked at once. */
static void steps_index(struct build *build, const struct node *root)
{
	const struct node *key = root_key(build, root, "steps");
	const struct node *map;

	if (!key)
		return;
	map = build_value(build, key);
	if (map->kind != NODE_MAP || !steps_room(build, map->count + 1))
		return;
	if (build->nodes.keys_of == build_index(build, map))
		steps_index_adopt(build);
	else
		steps_index_make(build, map);
}

static void root_read(struct build *build, const struct node *root)
{
	const struct node *value;

	steps_index(build, root);
	if (build->err.code != ERR_OK)
		return;
	root_read_some(build, root, root_first, ARRAY_LEN(root_first));
	root_read_some(build, root, root_last, ARRAY_LEN(root_last));
	for (const struct node *key = build_child(build, root); key;
	     key = build_next(build, value)) {
		const struct key_row *row;

		value = build_value(build, key);
		if (key->kind != NODE_TEXT ||
		    is_among(key->text, root_first, ARRAY_LEN(root_first)) ||
		    is_among(key->text, root_last, ARRAY_LEN(root_last)))
			continue;
		row = key_find(build, SCOPE_top, key->text);
		if (!row)
			build_unknown_key(build, SCOPE_top, key);
		else if (row->support == SUPPORT_LATER)
			build_report(build, DIAG_LATER_KEY, key,
				     "'%.*s' is not in this version of sluice", STR_ARG(key->text));
		else
			row->read(build, NULL, key, value);
	}
	if (!root_key(build, root, "pipeline")) {
		build_report(build, DIAG_MISSING_KEY, root,
			     "'pipeline' is missing: the pipeline's name");
		diags_hint(build->diags, "begin the file with `pipeline: my-name`");
	}
	if (!build->has_steps_node)
		build_report(build, DIAG_NO_STEPS, root,
			     "'steps' is missing: there is nothing to do");
}

/* Only one whole graph can be ordered. */
static void graph_check(struct build *build)
{
	struct err err = ERR_INIT;
	uint32_t cycle = 0;

	if (graph_build(build->model, &cycle, &err) == ERR_OK) {
		compensate_check(build);
		use_refs_check(build);
		return;
	}
	if (err.code != ERR_INVALID) {
		build->err = err;
		return;
	}
	build_report(build, DIAG_CYCLE, &build->nodes.items[build->step_nodes[cycle]], "%s",
		     err.text);
	if (build->model->steps[cycle].needs_implicit)
		diags_hint(build->diags,
			   "a step without `needs` waits for the one written before it; "
			   "`needs: []` makes it a root");
}

static void model_read(struct build *build)
{
	const struct node *root = build_node(build, 0);
	struct model *model = build->model;

	if (root->kind != NODE_MAP) {
		char about[80];

		if (root->kind != NODE_BAD)
			build_report(build, DIAG_VALUE_FORM, root,
				     "a pipeline is a mapping, not %s",
				     node_about(root, about, sizeof(about)));
		return;
	}
	model->format = 1;
	keys_index(build);
	if (retry_init(build))
		root_read(build, root);
	if (build->err.code != ERR_OK || model->steps_count == 0)
		return;
	if (model->concurrency == 0)
		model->concurrency = processor_count();
	graph_check(build);
}

static void build_fini(struct build *build)
{
	nodes_fini(&build->nodes);
	nodes_fini(&build->unfolded);
	expr_free(build->expr);
	mem_free(build->refs);
	mem_free(build->step_nodes);
	mem_free(build->marks);
	mem_free(build->step_names);
}

/* The nodes of `source`; *ret_is_whole as of nodes_read. */
static enum err_code source_read(struct build *build, uint64_t depth_max, uint64_t nodes_max,
				 bool *ret_is_whole, struct err *err)
{
	bool is_frozen = false;

	if (str_starts(build->source, "{") &&
	    nodes_read_frozen(&build->nodes, build->source, build->folds ? "steps" : NULL,
			      depth_max, nodes_max, &is_frozen, err) != ERR_OK)
		return err->code;
	*ret_is_whole = is_frozen;
	if (is_frozen)
		return ERR_OK;
	return nodes_read(&build->nodes, build->source, depth_max, nodes_max, build->diags,
			  ret_is_whole, err);
}

/* Read `source` into build->model. What is wrong is in the diagnostics. */
static enum err_code build_run(struct build *build, uint64_t depth_max, uint64_t nodes_max,
			       struct err *err)
{
	bool is_whole;

	nodes_init(&build->nodes);
	nodes_init(&build->unfolded);
	build->step = STEP_NONE;
	build->seed = hash_text((uint64_t)(uintptr_t)build ^ (uint64_t)(uintptr_t)build->source.ptr,
				str_cut(build->source, 0, 256));
	if (str_starts(build->source, "\xEF\xBB\xBF"))
		build->source = str_cut(build->source, 3, build->source.len);
	if (source_read(build, depth_max, nodes_max, &is_whole, err) == ERR_OK && is_whole) {
		model_read(build);
		if (build->err.code != ERR_OK)
			*err = build->err;
	}
	if (err->code == ERR_OK && build->diags->is_short_of_memory)
		(void)mem_err(err);
	build_fini(build);
	diags_sort(build->diags);
	return err->code;
}

enum err_code lang_load(struct str source, struct str folder, const struct limits *limits,
			struct diags *diags, struct model **ret_model, struct err *err)
{
	return lang_load_for(source, folder, limits, NULL, diags, ret_model, err);
}

enum err_code lang_load_for(struct str source, struct str folder, const struct limits *limits,
			    const struct lang_host *host, struct diags *diags,
			    struct model **ret_model, struct err *err)
{
	AUTO(model_drop) struct model *model = model_new();
	struct build build = {
	    .model = model, .diags = diags, .limits = limits, .host = host, .source = source};
	size_t errors;

	if (!model)
		return mem_err(err);
	model->folder = arena_str(&model->arena, folder);
	if (!model->folder.ptr)
		return mem_err(err);
	if (source.len > limits->definition_bytes) {
		diags_add(diags, DIAG_FILE_TOO_LARGE, 0, 0,
			  "the file has %zu bytes, %llu are allowed", source.len,
			  (unsigned long long)limits->definition_bytes);
		diags_hint(diags, "the limit is `definition_bytes`");
		return err_set(err, ERR_LIMIT, "the pipeline file has %zu bytes, %llu are allowed",
			       source.len, (unsigned long long)limits->definition_bytes);
	}
	if (build_run(&build, limits->definition_depth, limits->definition_nodes, err) != ERR_OK)
		return err->code;
	errors = diags->count + diags->dropped;
	if (errors)
		return err_set(err, ERR_INVALID, "the pipeline has %zu error%s", errors,
			       errors == 1 ? "" : "s");
	*ret_model = TAKE(model, NULL);
	return ERR_OK;
}

/* The frozen text without its steps, then step by step; *ret_is_odd when a step is not of the form
 * that lang_freeze gives it, and nothing is known of the rest. */
static enum err_code thaw(struct str frozen, bool folds, bool *ret_is_odd, struct model **ret_model,
			  struct err *err)
{
	AUTO(model_drop) struct model *model = model_new();
	AUTO(diags_fini) struct diags diags;
	struct limits limits;
	struct build build = {
	    .model = model, .diags = &diags, .source = frozen, .is_frozen = true, .folds = folds};

	diags_init(&diags, 1);
	if (!model)
		return mem_err(err);
	limits_default(&limits);
	limits.steps = UINT32_MAX;
	limits.param_bytes = UINT64_MAX;
	build.limits = &limits;
	if (build_run(&build, UINT32_MAX, UINT32_MAX, err) != ERR_OK)
		return err->code;
	*ret_is_odd = build.is_odd;
	if (build.is_odd)
		return ERR_OK;
	if (diags.count)
		return err_set(err, ERR_CORRUPT, "frozen pipeline, line %u column %u: %.*s",
			       (unsigned)diags.items[0].line, (unsigned)diags.items[0].column,
			       STR_ARG(diags.items[0].text));
	if (!model->folder.ptr || model->concurrency == 0)
		return err_set(err, ERR_CORRUPT, "the frozen pipeline is incomplete");
	*ret_model = TAKE(model, NULL);
	return ERR_OK;
}

enum err_code lang_thaw(struct str frozen, struct model **ret_model, struct err *err)
{
	bool is_odd;

	if (thaw(frozen, true, &is_odd, ret_model, err) != ERR_OK || !is_odd)
		return err->code;
	return thaw(frozen, false, &is_odd, ret_model, err);
}
