/* settings.c - sluice.conf and the environment: what a command does unless it is told otherwise
 *
 * Read with the reader of pipeline files, so that an error has its place and its number. The
 * library itself never reads settings: a program asks for them and passes on what it wants. */
#include "api/api.h"

#include "base/timefmt.h"
#include "lang/node.h"
#include "sys/environment.h"
#include "sys/file.h"
#include "sys/path.h"

#include <stdio.h>
#include <string.h>

#define SYSTEM_FILE "/etc/sluice/sluice.conf"
#define FILE_BYTES  ((uint64_t)65536)
#define FILE_NODES  10000
#define FILE_DEPTH  8
#define KEY_BYTES   80

enum setting_type { TYPE_PATH, TYPE_TEXT, TYPE_FLAG, TYPE_COUNT, TYPE_SPAN, TYPE_WORD, TYPE_SYNC };

static const struct setting_row {
	const char *key;
	enum setting_type type;
	const char *detail;
	struct sluice_setting_about about;
} rows[] = {
#define SETTING(key, type, detail, variable, flag, fallback, text) \
	{#key, TYPE_##type, detail, {#key, variable, flag, fallback, text}},
#include "api/setting.def"
};

#define ROWS ARRAY_LEN(rows)

struct sluice_settings {
	struct arena arena; /* owns the texts */
	struct {
		const char *value; /* NULL = not set */
		const char *origin;
	} set[ROWS];
	const char **limits; /* "name=value", NULL-ended; the later one wins */
	size_t limits_count, limits_capacity;
};

/* -------------------------------------------------------------------------------- values */

/* One of the words of the detail? */
static bool is_word(const char *words, struct str text)
{
	while (*words) {
		size_t len = strcspn(words, " ");

		if (str_eq(str_from(words, len), text))
			return true;
		words += len + strspn(words + len, " ");
	}
	return false;
}

static bool is_sync(struct str text)
{
	struct str rest = str_cut(text, sizeof("interval:") - 1, text.len);
	uint64_t ms;
	int64_t ns;

	return is_word("always never", text) ||
	       (str_starts(text, "interval:") &&
		(str_to_u64(rest, &ms) || duration_read(rest, &ns)));
}

static bool is_count(const char *bounds, struct str text)
{
	struct str both = str_of(bounds);
	size_t blank = str_find(both, " ", 0);
	uint64_t least = 0;
	uint64_t most = 0;
	uint64_t value;

	BUG_IF(!str_to_u64(str_cut(both, 0, blank), &least) ||
	       !str_to_u64(str_cut(both, blank + 1, both.len), &most));
	return str_to_u64(text, &value) && value >= least && value <= most;
}

/* INVALID with what is expected. */
static enum err_code value_check(const struct setting_row *row, struct str text, struct err *err)
{
	int64_t ns;

	switch (row->type) {
	case TYPE_PATH:
	case TYPE_TEXT:
		if (text.len > 0)
			return ERR_OK;
		return err_set(err, ERR_INVALID, "'%s' must not be empty", row->key);
	case TYPE_FLAG:
		if (is_word("true false", text))
			return ERR_OK;
		return err_set(err, ERR_INVALID, "'%s' must be true or false", row->key);
	case TYPE_COUNT:
		if (is_count(row->detail, text))
			return ERR_OK;
		return err_set(err, ERR_INVALID, "'%s' must be a whole number of %.*s to %s",
			       row->key, (int)strcspn(row->detail, " "), row->detail,
			       strchr(row->detail, ' ') + 1);
	case TYPE_SPAN:
		if (duration_read(text, &ns) && ns >= NS_PER_MS)
			return ERR_OK;
		return err_set(err, ERR_INVALID, "'%s' must be a time span such as 30d, 90s",
			       row->key);
	case TYPE_WORD:
		if (is_word(row->detail, text))
			return ERR_OK;
		return err_set(err, ERR_INVALID, "'%s' must be one of: %s", row->key, row->detail);
	case TYPE_SYNC:
		break;
	}
	if (is_sync(text))
		return ERR_OK;
	return err_set(err, ERR_INVALID, "'%s' must be always, interval:<ms> or never", row->key);
}

static const char *kept(struct sluice_settings *settings, struct str text, struct err *err)
{
	struct str copy = arena_str(&settings->arena, text);

	if (!copy.ptr)
		(void)mem_err(err);
	return copy.ptr;
}

static enum err_code setting_put(struct sluice_settings *settings, size_t row, struct str value,
				 struct str origin, struct err *err)
{
	const char *text = kept(settings, value, err);
	const char *from = text ? kept(settings, origin, err) : NULL;

	if (!from)
		return err->code;
	settings->set[row].value = text;
	settings->set[row].origin = from;
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- files */

struct reading {
	struct sluice_settings *settings;
	const char *path;
	struct nodes nodes;
	struct diags diags;
	struct err *err;
};

static void reading_fini(struct reading *reading)
{
	nodes_fini(&reading->nodes);
	diags_fini(&reading->diags);
}

static const struct node *node_at(const struct reading *reading, uint32_t index)
{
	return index == NODE_NONE ? NULL : &reading->nodes.items[index];
}

#define report(reading, code, node, ...) \
	diags_add(&(reading)->diags, code, (node)->line, (node)->column, __VA_ARGS__)

/* A key that does not exist: the nearest one of the same mapping (`scope` with its point). */
static void report_unknown(struct reading *reading, const char *scope, const struct node *key)
{
	const char *names[ROWS];
	size_t count = 0;
	size_t len = strlen(scope);
	const char *nearest;

	for (size_t i = 0; i < ROWS; i++) {
		if (strncmp(rows[i].key, scope, len) == 0 && (len > 0 || !strchr(rows[i].key, '.')))
			names[count++] = rows[i].key + len;
	}
	report(reading, DIAG_UNKNOWN_KEY, key, "there is no setting '%s%.*s'", scope,
	       STR_ARG(str_cut(key->text, 0, 80)));
	nearest = str_nearest(key->text, names, count);
	if (nearest)
		diags_hint(&reading->diags, "did you mean '%s'?", nearest);
}

static bool take_scalar(struct reading *reading, const char *key, const struct node *value)
{
	char about[80];

	if (value->kind == NODE_TEXT && !node_is_null(value))
		return true;
	if (value->kind != NODE_BAD)
		report(reading, DIAG_VALUE_FORM, value, "'%s' must be a value, not %s", key,
		       node_about(value, about, sizeof(about)));
	return false;
}

/* ~/ is the home; anything else is absolute. */
static bool take_path(struct reading *reading, const struct node *value, struct buf *out)
{
	const char *home = environment_get("HOME");

	if (str_starts(value->text, "~/") && home && home[0] == '/') {
		buf_text(out, home);
		buf_str(out, str_cut(value->text, 1, value->text.len));
		return true;
	}
	buf_str(out, value->text);
	if (value->text.len > 0 && value->text.ptr[0] == '/')
		return true;
	report(reading, DIAG_TEXT, value, "a path must be absolute, or begin with ~/");
	return false;
}

static void take_setting(struct reading *reading, size_t row, const struct node *value)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf origin = BUF_INIT;
	struct err problem = ERR_INIT;

	if (!take_scalar(reading, rows[row].key, value))
		return;
	if (rows[row].type != TYPE_PATH)
		buf_str(&text, value->text);
	else if (!take_path(reading, value, &text))
		return;
	if (value_check(&rows[row], buf_view(&text), &problem) != ERR_OK) {
		report(reading, DIAG_VALUE_FORM, value, "%s, not '%.*s'", problem.text,
		       STR_ARG(str_cut(value->text, 0, 60)));
		return;
	}
	buf_fmt(&origin, "%s:%u", reading->path, (unsigned)value->line);
	if (buf_check(&text, "a setting", reading->err) == ERR_OK &&
	    buf_check(&origin, "a path", reading->err) == ERR_OK &&
	    setting_put(reading->settings, row, buf_view(&text), buf_view(&origin), reading->err) !=
		ERR_OK)
		return; /* noted in reading->err */
}

static void take_limit(struct reading *reading, const struct node *key, const struct node *value)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct sluice_settings *settings = reading->settings;
	void *limits = settings->limits;
	struct err problem = ERR_INIT;
	struct limits scratch;

	if (!take_scalar(reading, "a limit", value))
		return;
	limits_default(&scratch);
	buf_fmt(&text, "%.*s=%.*s", STR_ARG(key->text), STR_ARG(value->text));
	if (buf_check(&text, "a limit", reading->err) != ERR_OK)
		return;
	if (limits_set(&scratch, buf_view(&text), &problem) != ERR_OK) {
		report(reading, DIAG_VALUE_FORM, value, "%s", problem.text);
		if (problem.hint[0])
			diags_hint(&reading->diags, "%s", problem.hint);
		return;
	}
	if (mem_grow(&limits, &settings->limits_capacity, settings->limits_count + 2,
		     sizeof(*settings->limits), reading->err) != ERR_OK)
		return;
	settings->limits = limits;
	settings->limits[settings->limits_count] = kept(settings, buf_view(&text), reading->err);
	if (settings->limits[settings->limits_count])
		settings->limits_count++;
	settings->limits[settings->limits_count] = NULL;
}

static bool is_scope(struct str name)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strlen(rows[i].key) > name.len && rows[i].key[name.len] == '.' &&
		    str_starts(str_of(rows[i].key), name.ptr))
			return true;
	}
	return str_is(name, "limits");
}

static size_t row_of(const char *scope, struct str name)
{
	for (size_t i = 0; i < ROWS; i++) {
		size_t len = strlen(scope);

		if (strncmp(rows[i].key, scope, len) == 0 && str_is(name, rows[i].key + len) &&
		    !str_has(name, '.'))
			return i;
	}
	return ROWS;
}

/* The keys of one mapping. `scope` is "" for the file, else a name with its point. */
static void take_map(struct reading *reading, const char *scope, const struct node *map)
{
	const struct node *value;

	for (const struct node *key = map->has_child ? map + 1 : NULL;
	     key && reading->err->code == ERR_OK; key = node_at(reading, value->next)) {
		char name[KEY_BYTES];
		size_t row;

		value = node_at(reading, key->next);
		if (key->kind != NODE_TEXT)
			continue;
		row = row_of(scope, key->text);
		if (strcmp(scope, "limits.") == 0) {
			take_limit(reading, key, value);
		} else if (row < ROWS) {
			take_setting(reading, row, value);
		} else if (scope[0] || key->text.len >= KEY_BYTES - 1 || !is_scope(key->text)) {
			report_unknown(reading, scope, key);
		} else if (value->kind == NODE_MAP) {
			(void)snprintf(name, sizeof(name), "%.*s.", STR_ARG(key->text));
			take_map(reading, name, value); /* once: there is no scope in a scope */
		} else if (value->kind != NODE_BAD) {
			report(reading, DIAG_VALUE_FORM, value, "'%.*s' must be a mapping",
			       STR_ARG(key->text));
		}
	}
}

static enum err_code tell(struct reading *reading, struct str source, char **ret_diagnostics)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct sluice_error ignored;
	size_t count = reading->diags.count + reading->diags.dropped;

	diags_sort(&reading->diags);
	diags_print(&reading->diags, str_of(reading->path), source, &text);
	/* Without memory for the details there is still the error itself. */
	if (ret_diagnostics && api_text(&text, ret_diagnostics, &ignored) != SLUICE_OK)
		*ret_diagnostics = NULL;
	return err_set(reading->err, ERR_INVALID, "%s: the settings have %zu error%s",
		       reading->path, count, count == 1 ? "" : "s");
}

static enum err_code take_source(struct reading *reading, struct str source, char **ret_diagnostics)
{
	bool is_whole = false;
	const struct node *root;

	if (str_starts(source, "\xEF\xBB\xBF"))
		source = str_cut(source, 3, source.len);
	if (nodes_read(&reading->nodes, source, FILE_DEPTH, FILE_NODES, &reading->diags, &is_whole,
		       reading->err) != ERR_OK)
		return reading->err->code;
	if (reading->diags.count == 1 && reading->diags.items[0].code == DIAG_EMPTY)
		return ERR_OK; /* nothing but comments */
	root = is_whole && reading->nodes.count > 0 ? &reading->nodes.items[0] : NULL;
	if (root && root->kind == NODE_MAP)
		take_map(reading, "", root);
	else if (root && root->kind != NODE_BAD && !node_is_null(root))
		report(reading, DIAG_VALUE_FORM, root, "settings are a mapping of names to values");
	if (reading->err->code != ERR_OK)
		return reading->err->code;
	if (reading->diags.is_short_of_memory)
		return mem_err(reading->err);
	return reading->diags.count == 0 ? ERR_OK : tell(reading, source, ret_diagnostics);
}

/* A file that is not there is no trouble unless somebody named it; anything else is. */
static enum err_code take_file(struct sluice_settings *settings, const char *path, bool is_named,
			       char **ret_diagnostics, struct err *err)
{
	AUTO(reading_fini)
	struct reading reading = {.settings = settings, .path = path, .err = err};
	AUTO(buf_fini) struct buf source = BUF_INIT;
	struct err problem = ERR_INIT;

	nodes_init(&reading.nodes);
	diags_init(&reading.diags, 100);
	if (file_read(path, FILE_BYTES + 1, &source, &problem) != ERR_OK) {
		if (problem.code == ERR_NOT_FOUND && !is_named && !file_is_named(path))
			return ERR_OK;
		if (problem.code != ERR_MEMORY)
			problem.code = ERR_INVALID;
		*err = problem;
		return err_while(err, "settings");
	}
	if (source.len > FILE_BYTES)
		return err_set(err, ERR_INVALID, "settings: '%s' has more than %llu bytes", path,
			       (unsigned long long)FILE_BYTES);
	return take_source(&reading, buf_view(&source), ret_diagnostics);
}

/* ---------------------------------------------------------------------------- as a whole */

static const char *variable(const char *name)
{
	const char *value = name[0] ? environment_get(name) : NULL;

	return value && value[0] ? value : NULL;
}

/* $XDG_CONFIG_HOME/sluice/sluice.conf, else ~/.config/...; empty where there is no home. */
static void user_file(struct buf *out)
{
	const char *folder = variable("XDG_CONFIG_HOME");
	const char *home = variable("HOME");

	if (folder && folder[0] == '/')
		buf_fmt(out, "%s/sluice/sluice.conf", folder);
	else if (home && home[0] == '/')
		buf_fmt(out, "%s/.config/sluice/sluice.conf", home);
}

static enum err_code take_files(struct sluice_settings *settings, const char *file,
				char **ret_diagnostics, struct err *err)
{
	AUTO(buf_fini) struct buf user = BUF_INIT;
	const char *named = file ? file : variable("SLUICE_CONFIG");

	if (named)
		return named[0] ? take_file(settings, named, true, ret_diagnostics, err) : ERR_OK;
	if (take_file(settings, SYSTEM_FILE, false, ret_diagnostics, err) != ERR_OK)
		return err->code;
	user_file(&user);
	if (buf_check(&user, "a path", err) != ERR_OK)
		return err->code;
	return user.len > 0 ? take_file(settings, user.ptr, false, ret_diagnostics, err) : ERR_OK;
}

static enum err_code take_environment(struct sluice_settings *settings, struct err *err)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *value = variable(rows[i].about.variable);
		char origin[KEY_BYTES];

		if (!value)
			continue;
		if (value_check(&rows[i], str_of(value), err) != ERR_OK)
			return err_while(err, "environment variable %s", rows[i].about.variable);
		(void)snprintf(origin, sizeof(origin), "environment: %s", rows[i].about.variable);
		if (setting_put(settings, i, str_of(value), str_of(origin), err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum sluice_code sluice_settings_read(const char *file, struct sluice_settings **ret_settings,
				      char **ret_diagnostics, struct sluice_error *err)
{
	struct err cause = ERR_INIT;
	struct sluice_settings *settings;

	if (!ret_settings)
		return api_usage(err, "sluice_settings_read needs an answer");
	settings = mem_new(1, sizeof(*settings));
	if (!settings) {
		(void)mem_err(&cause);
		return api_err(err, &cause);
	}
	if (take_files(settings, file, ret_diagnostics, &cause) != ERR_OK ||
	    take_environment(settings, &cause) != ERR_OK) {
		sluice_settings_free(settings);
		return api_err(err, &cause);
	}
	*ret_settings = settings;
	return SLUICE_OK;
}

void sluice_settings_free(struct sluice_settings *settings)
{
	if (!settings)
		return;
	arena_fini(&settings->arena);
	mem_free(settings->limits);
	mem_free(settings);
}

const char *sluice_setting(const struct sluice_settings *settings, const char *key,
			   const char **ret_origin)
{
	size_t row = 0;

	while (key && row < ROWS && strcmp(rows[row].key, key) != 0)
		row++;
	if (!settings || !key || row == ROWS || !settings->set[row].value)
		return NULL;
	if (ret_origin)
		*ret_origin = settings->set[row].origin;
	return settings->set[row].value;
}

const char *const *sluice_settings_limits(const struct sluice_settings *settings)
{
	return settings ? (const char *const *)settings->limits : NULL;
}

const struct sluice_setting_about *sluice_setting_about(size_t index)
{
	return index < ROWS ? &rows[index].about : NULL;
}
