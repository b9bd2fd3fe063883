/* writing.c - see writing.h */
#include "api/writing.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/lang.h"

#include <stddef.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- values */

static void comma(struct buf *out)
{
	char last = out->len ? out->ptr[out->len - 1] : '{';

	if (last != '{' && last != '[' && last != '\n')
		buf_byte(out, ',');
}

static void name_put(struct buf *out, const char *name)
{
	comma(out);
	frozen_put_str(out, str_of(name));
	buf_byte(out, ':');
}

static enum err_code name_put_checked(struct buf *out, const char *name, struct err *err)
{
	if (!name)
		return err_set(err, ERR_USAGE, "an entry has no name");
	if (!utf8_valid(str_of(name)))
		return err_set(err, ERR_USAGE, "a name is not UTF-8");
	name_put(out, name);
	return ERR_OK;
}

static enum err_code text_put(struct buf *out, const char *about, const char *text, struct err *err)
{
	struct str value = str_of(text);

	if (!value.ptr)
		return err_set(err, ERR_USAGE, "'%s' is missing", about);
	if (!utf8_valid(value))
		return err_set(err, ERR_USAGE, "'%s' is not UTF-8", about);
	frozen_put_str(out, value);
	return ERR_OK;
}

enum err_code writing_text(struct buf *out, const char *name, const char *text, struct err *err)
{
	if (name_put_checked(out, name, err) != ERR_OK)
		return err->code;
	return text_put(out, name, text, err);
}

/* Copy checked JSON without its blanks, each text as our reader takes it. */
static enum err_code json_copy(struct buf *out, struct str json, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	size_t at = 0;

	while (at < json.len) {
		size_t end = at;
		bool is_plain;

		if (json.ptr[at] != '"') {
			if (!strchr(" \t\r\n", json.ptr[at]))
				buf_byte(out, json.ptr[at]);
			at++;
			continue;
		}
		BUG_IF(!json_scan_string(json, &end, &is_plain));
		buf_clear(&text);
		json_decode(str_cut(json, at, end), &text);
		if (buf_check(&text, "a text", err) != ERR_OK)
			return err->code;
		frozen_put_str(out, buf_view(&text));
		at = end;
	}
	return ERR_OK;
}

static enum err_code json_checked(const char *about, const char *json, struct str *ret_json,
				  struct err *err)
{
	struct err cause = ERR_INIT;
	struct str text = str_trim(str_of(json));

	if (!text.ptr)
		return err_set(err, ERR_USAGE, "'%s' is missing", about);
	if (json_check(text, JSON_DEPTH_MAX, &cause) != ERR_OK) {
		if (cause.code == ERR_MEMORY)
			return mem_err(err);
		return err_set(err, ERR_USAGE, "'%s' is not JSON: %s", about, cause.text);
	}
	*ret_json = text;
	return ERR_OK;
}

enum err_code writing_json(struct buf *out, const char *name, const char *json, struct err *err)
{
	struct str text;

	if (!name || !utf8_valid(str_of(name)))
		return err_set(err, ERR_USAGE, "a name is missing or not UTF-8");
	if (json_checked(name, json, &text, err) != ERR_OK)
		return err->code;
	name_put(out, name);
	return json_copy(out, text, err);
}

/* The members of an object, into the one that is being written. */
static enum err_code extra_put(struct buf *out, const char *extra, struct err *err)
{
	struct str text;

	if (!extra)
		return ERR_OK;
	if (json_checked("extra", extra, &text, err) != ERR_OK)
		return err->code;
	if (json_type_of(text) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "'extra' is not a JSON object");
	text = str_trim(str_cut(text, 1, text.len - 1));
	if (text.len == 0)
		return ERR_OK;
	comma(out);
	return json_copy(out, text, err);
}

static enum err_code texts_put(struct buf *out, const char *about, const char *const *texts,
			       struct err *err)
{
	buf_byte(out, '[');
	for (size_t i = 0; texts[i]; i++) {
		if (i >= WRITING_LIST_MAX)
			return err_set(err, ERR_USAGE,
				       "the list '%s' has over %d entries: its end is missing",
				       about, WRITING_LIST_MAX);
		comma(out);
		if (text_put(out, about, texts[i], err) != ERR_OK)
			return err->code;
	}
	buf_byte(out, ']');
	return ERR_OK;
}

static enum err_code ms_put(struct buf *out, const char *name, int64_t ms, struct err *err)
{
	if (ms < 0)
		return err_set(err, ERR_USAGE, "'%s' is negative", name);
	if (ms == 0)
		return ERR_OK;
	name_put(out, name);
	buf_fmt(out, "\"%lldms\"", (long long)ms);
	return ERR_OK;
}

static enum err_code word_put(struct buf *out, const char *name, const char *const *words,
			      size_t count, unsigned index, struct err *err)
{
	if (index >= count)
		return err_set(err, ERR_USAGE, "'%s' is %u, which means nothing", name, index);
	if (!words[index])
		return ERR_OK;
	name_put(out, name);
	frozen_put_str(out, str_of(words[index]));
	return ERR_OK;
}

/* -------------------------------------------------------------------------- fields of a step
 *
 * One function for each type of field: append the key, or nothing when the field is zero. */

typedef enum err_code field_fn(struct buf *out, const char *name, const void *field,
			       struct err *err);

static enum err_code field_text(struct buf *out, const char *name, const void *field,
				struct err *err)
{
	const char *const *text = field;

	return *text ? writing_text(out, name, *text, err) : ERR_OK;
}

static enum err_code field_json(struct buf *out, const char *name, const void *field,
				struct err *err)
{
	const char *const *json = field;

	return *json ? writing_json(out, name, *json, err) : ERR_OK;
}

static enum err_code field_texts(struct buf *out, const char *name, const void *field,
				 struct err *err)
{
	const char *const *const *texts = field;

	if (!*texts)
		return ERR_OK;
	name_put(out, name);
	return texts_put(out, name, *texts, err);
}

static enum err_code field_flag(struct buf *out, const char *name, const void *field,
				struct err *err)
{
	const bool *flag = field;

	(void)err;
	if (*flag) {
		name_put(out, name);
		buf_text(out, "true");
	}
	return ERR_OK;
}

static enum err_code field_int(struct buf *out, const char *name, const void *field,
			       struct err *err)
{
	const int *value = field;

	(void)err;
	if (*value) {
		name_put(out, name);
		buf_i64(out, *value);
	}
	return ERR_OK;
}

static enum err_code field_ms(struct buf *out, const char *name, const void *field, struct err *err)
{
	const int64_t *ms = field;

	return ms_put(out, name, *ms, err);
}

static enum err_code field_bytes(struct buf *out, const char *name, const void *field,
				 struct err *err)
{
	const uint64_t *bytes = field;

	(void)err;
	if (*bytes) {
		name_put(out, name);
		buf_fmt(out, "\"%lluB\"", (unsigned long long)*bytes);
	}
	return ERR_OK;
}

static enum err_code field_gate(struct buf *out, const char *name, const void *field,
				struct err *err)
{
	static const char *const words[] = {NULL, "hard", "soft", "manual"};
	const enum sluice_gate *gate = field;

	return word_put(out, name, words, ARRAY_LEN(words), (unsigned)*gate, err);
}

static enum err_code field_on_failure(struct buf *out, const char *name, const void *field,
				      struct err *err)
{
	static const char *const words[] = {NULL,       "stop",   "skip_downstream",
					    "continue", "ignore", "compensate"};
	const enum sluice_on_failure *policy = field;

	return word_put(out, name, words, ARRAY_LEN(words), (unsigned)*policy, err);
}

static enum err_code field_on_lost(struct buf *out, const char *name, const void *field,
				   struct err *err)
{
	static const char *const words[] = {NULL, "fail", "rerun", "ask"};
	const enum sluice_on_lost *policy = field;

	return word_put(out, name, words, ARRAY_LEN(words), (unsigned)*policy, err);
}

static enum err_code field_on_stop(struct buf *out, const char *name, const void *field,
				   struct err *err)
{
	static const char *const words[] = {NULL, "wait", "cancel"};
	const enum sluice_on_stop *policy = field;

	return word_put(out, name, words, ARRAY_LEN(words), (unsigned)*policy, err);
}

static enum err_code field_streams(struct buf *out, const char *name, const void *field,
				   struct err *err)
{
	const bool *is_split = field;

	return *is_split ? writing_text(out, name, "split", err) : ERR_OK;
}

static enum err_code field_stdin_text(struct buf *out, const char *name, const void *field,
				      struct err *err)
{
	const char *const *text = field;

	if (!*text)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	if (writing_text(out, "text", *text, err) != ERR_OK)
		return err->code;
	buf_byte(out, '}');
	return ERR_OK;
}

static enum err_code field_retry(struct buf *out, const char *name, const void *field,
				 struct err *err)
{
	const struct sluice_retry_def *retry = *(const struct sluice_retry_def *const *)field;

	if (!retry)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	if (retry->max_attempts) {
		name_put(out, "max_attempts");
		buf_u64(out, retry->max_attempts);
	}
	if (field_texts(out, "on", &retry->on, err) != ERR_OK ||
	    field_text(out, "backoff", &retry->backoff, err) != ERR_OK ||
	    ms_put(out, "initial", retry->initial_ms, err) != ERR_OK ||
	    ms_put(out, "max", retry->max_ms, err) != ERR_OK)
		return err->code;
	/* Written so that a NaN is refused as well. */
	if (!(retry->multiplier >= 0 && retry->multiplier < 1e9 && retry->jitter_percent >= 0 &&
	      retry->jitter_percent < 1e9))
		return err_set(err, ERR_USAGE, "'multiplier' or 'jitter' of 'retry' is no number");
	if (retry->multiplier > 0) {
		name_put(out, "multiplier");
		json_put_double(out, retry->multiplier);
	}
	if (retry->no_jitter || retry->jitter_percent > 0) {
		name_put(out, "jitter");
		buf_byte(out, '"');
		json_put_double(out, retry->no_jitter ? 0 : retry->jitter_percent);
		buf_text(out, "%\"");
	}
	buf_byte(out, '}');
	return ERR_OK;
}

static enum err_code field_approve(struct buf *out, const char *name, const void *field,
				   struct err *err)
{
	const struct sluice_approve_def *approve = *(const struct sluice_approve_def *const *)field;

	if (!approve)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	if (approve->count) {
		name_put(out, "count");
		buf_u64(out, approve->count);
	}
	if (field_texts(out, "by", &approve->by, err) != ERR_OK ||
	    ms_put(out, "timeout", approve->timeout_ms, err) != ERR_OK ||
	    field_text(out, "on_timeout", &approve->on_timeout, err) != ERR_OK)
		return err->code;
	buf_byte(out, '}');
	return ERR_OK;
}

static enum err_code list_is_endless(const char *name, struct err *err)
{
	return err_set(err, ERR_USAGE, "the list '%s' has over %d entries: its end is missing",
		       name, WRITING_LIST_MAX);
}

static enum err_code field_env(struct buf *out, const char *name, const void *field,
			       struct err *err)
{
	const struct sluice_env_def *env = *(const struct sluice_env_def *const *)field;

	if (!env)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	for (size_t i = 0; env[i].name; i++) {
		if (i >= WRITING_LIST_MAX)
			return list_is_endless(name, err);
		if (env[i].from_env && env[i].value)
			return err_set(err, ERR_USAGE,
				       "a variable has a value and is taken from the environment");
		if (!env[i].from_env) {
			if (writing_text(out, env[i].name, env[i].value, err) != ERR_OK)
				return err->code;
			continue;
		}
		if (name_put_checked(out, env[i].name, err) != ERR_OK)
			return err->code;
		buf_text(out, "{\"from\":\"env\"}");
	}
	buf_byte(out, '}');
	return ERR_OK;
}

static enum err_code field_outputs(struct buf *out, const char *name, const void *field,
				   struct err *err)
{
	const struct sluice_output_def *list = *(const struct sluice_output_def *const *)field;

	if (!list)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	for (size_t i = 0; list[i].name; i++) {
		if (i >= WRITING_LIST_MAX)
			return list_is_endless(name, err);
		if (name_put_checked(out, list[i].name, err) != ERR_OK)
			return err->code;
		buf_byte(out, '{');
		if (field_text(out, "type", &list[i].type, err) != ERR_OK ||
		    field_flag(out, "required", &list[i].required, err) != ERR_OK)
			return err->code;
		buf_byte(out, '}');
	}
	buf_byte(out, '}');
	return ERR_OK;
}

static enum err_code field_artifacts(struct buf *out, const char *name, const void *field,
				     struct err *err)
{
	const struct sluice_artifact_def *list = *(const struct sluice_artifact_def *const *)field;

	if (!list)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '[');
	for (size_t i = 0; list[i].name; i++) {
		if (i >= WRITING_LIST_MAX)
			return list_is_endless(name, err);
		comma(out);
		buf_byte(out, '{');
		if (writing_text(out, "name", list[i].name, err) != ERR_OK ||
		    field_text(out, "path", &list[i].path, err) != ERR_OK)
			return err->code;
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
	return ERR_OK;
}

static enum err_code field_exit_codes(struct buf *out, const char *name, const void *field,
				      struct err *err)
{
	const struct sluice_exit_code_def *list =
	    *(const struct sluice_exit_code_def *const *)field;

	if (!list)
		return ERR_OK;
	name_put(out, name);
	buf_byte(out, '{');
	for (size_t i = 0; list[i].error_class; i++) {
		if (i >= WRITING_LIST_MAX)
			return list_is_endless(name, err);
		comma(out);
		buf_fmt(out, "\"%d\":", list[i].exit_code);
		if (text_put(out, name, list[i].error_class, err) != ERR_OK)
			return err->code;
	}
	buf_byte(out, '}');
	return ERR_OK;
}

/* Every field that is written by itself; `call` and `kind` are not. */
#define FIELD(key, member, type) \
	{ \
		key, offsetof(struct sluice_step_def, member), field_##type \
	}
static const struct {
	const char *key;
	size_t at;
	field_fn *put;
} step_fields[] = {
    FIELD("run", run, text),
    FIELD("argv", argv, texts),
    FIELD("noop", noop, flag),
    FIELD("call", call_name, text),
    FIELD("needs", needs, texts),
    FIELD("needs_any", needs_any, texts),
    FIELD("when", when, text),
    FIELD("priority", priority, int),
    FIELD("gate", gate, gate),
    FIELD("pass", pass, text),
    FIELD("reason", reason, text),
    FIELD("approve", approve, approve),
    FIELD("retry", retry, retry),
    FIELD("on_failure", on_failure, on_failure),
    FIELD("on_lost", on_lost, on_lost),
    FIELD("on_stop", on_stop, on_stop),
    FIELD("compensate", compensate_json, json),
    FIELD("timeout", timeout_ms, ms),
    FIELD("silence_timeout", silence_timeout_ms, ms),
    FIELD("grace", grace_ms, ms),
    FIELD("output_limit", output_limit_bytes, bytes),
    FIELD("inputs", inputs, texts),
    FIELD("outputs", outputs, outputs),
    FIELD("artifacts", artifacts, artifacts),
    FIELD("quality", quality_json, json),
    FIELD("cache", cache, flag),
    FIELD("env", env, env),
    FIELD("cwd", cwd, text),
    FIELD("shell", shell, texts),
    FIELD("exit_codes", exit_codes, exit_codes),
    FIELD("stdin", stdin_path, text),
    FIELD("stdin", stdin_text, stdin_text),
    FIELD("context", context, flag),
    FIELD("streams", split_streams, streams),
    FIELD("user", user, text),
    FIELD("orphans", orphans, text),
    FIELD("limits", limits_json, json),
    FIELD("executor", executor, text),
    FIELD("resources", resources_json, json),
    FIELD("pool", pool, text),
    FIELD("description", description, text),
    FIELD("tags", tags, texts),
};
#undef FIELD

static enum err_code step_put(struct buf *out, const struct sluice_step_def *step,
			      const char *call_name, struct err *err)
{
	buf_byte(out, '{');
	if (call_name && writing_text(out, "call", call_name, err) != ERR_OK)
		return err->code;
	if (step->kind &&
	    writing_json(out, step->kind, step->config_json ? step->config_json : "null", err) !=
		ERR_OK)
		return err->code;
	if (step->config_json && !step->kind)
		return err_set(err, ERR_USAGE, "'config_json' is given without 'kind'");
	for (size_t i = 0; i < ARRAY_LEN(step_fields); i++) {
		const void *field = (const char *)step + step_fields[i].at;

		if (step_fields[i].put(out, step_fields[i].key, field, err) != ERR_OK)
			return err->code;
	}
	if (extra_put(out, step->extra, err) != ERR_OK)
		return err->code;
	buf_byte(out, '}');
	return buf_check(out, "the definition of the steps", err);
}

enum err_code writing_step(struct buf *out, const struct sluice_step_def *step,
			   const char *call_name, struct err *err)
{
	size_t before = out->len;

	if (step_put(out, step, call_name, err) != ERR_OK)
		buf_cut(out, before);
	return err->code;
}

static enum err_code param_put(struct buf *out, const struct sluice_param_def *param,
			       struct err *err)
{
	buf_byte(out, '{');
	if (field_text(out, "type", &param->type, err) != ERR_OK ||
	    field_flag(out, "required", &param->required, err) != ERR_OK ||
	    field_json(out, "default", &param->default_json, err) != ERR_OK ||
	    field_texts(out, "values", &param->values, err) != ERR_OK ||
	    field_text(out, "pattern", &param->pattern, err) != ERR_OK ||
	    field_text(out, "help", &param->help, err) != ERR_OK)
		return err->code;
	if ((param->has_min && !(param->min >= -1e300 && param->min <= 1e300)) ||
	    (param->has_max && !(param->max >= -1e300 && param->max <= 1e300)))
		return err_set(err, ERR_USAGE, "'min' or 'max' is no number");
	if (param->has_min) {
		name_put(out, "min");
		json_put_double(out, param->min);
	}
	if (param->has_max) {
		name_put(out, "max");
		json_put_double(out, param->max);
	}
	if (param->secret_env || param->secret_file) {
		name_put(out, "from");
		buf_byte(out, '{');
		if (field_text(out, "env", &param->secret_env, err) != ERR_OK ||
		    field_text(out, "file", &param->secret_file, err) != ERR_OK)
			return err->code;
		buf_byte(out, '}');
	}
	if (extra_put(out, param->extra, err) != ERR_OK)
		return err->code;
	buf_byte(out, '}');
	return buf_check(out, "the parameters", err);
}

enum err_code writing_param(struct buf *out, const struct sluice_param_def *param, struct err *err)
{
	size_t before = out->len;

	if (param_put(out, param, err) != ERR_OK)
		buf_cut(out, before);
	return err->code;
}
