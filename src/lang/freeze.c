/* freeze.c - lang_freeze: a model as canonical JSON
 *
 * The order of keys is fixed, there are no blanks, every default is written out, and a key that has
 * no effect is left out: a process's keys of a noop, the rest of a `retry` that tries once. An
 * implicit need stays implicit (no `needs`), because it differs from a written one (S5.1). */
#include "lang/build.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/lang.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The characters that libyaml does not take in raw form, or takes for line ends, or that jansson or
 * a person would stumble over; all of two or three bytes. Their value, 0 for others. */
static unsigned escaped_point(const unsigned char *p, size_t len)
{
	if (len == 2 && p[0] == 0xC2 && p[1] < 0xA0)
		return p[1];
	if (len == 3 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9))
		return 0x2000u + (p[2] & 0x3Fu);
	if (len == 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF)
		return 0xFEFF;
	if (len == 3 && p[0] == 0xEF && p[1] == 0xBF && p[2] >= 0xBE)
		return 0xFFC0u + (p[2] & 0x3Fu);
	return 0;
}

static void ascii_put(struct buf *out, char c)
{
	static const char named[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";

	for (size_t i = 0; named[i]; i++) {
		if (c == named[i]) {
			buf_byte(out, '\\');
			buf_byte(out, letters[i]);
			return;
		}
	}
	if ((unsigned char)c < 0x20 || c == 0x7F)
		buf_fmt(out, "\\u%04x", (unsigned)(unsigned char)c);
	else
		buf_byte(out, c);
}

/* A text with a character that is not printable ASCII, or has an escape. */
static SELDOM void odd_str_put(struct buf *out, struct str text)
{
	buf_byte(out, '"');
	for (size_t at = 0; at < text.len;) {
		size_t plain = json_plain_len(str_cut(text, at, text.len));
		const unsigned char *p = (const unsigned char *)text.ptr + at + plain;
		size_t len;

		buf_put(out, text.ptr + at, plain);
		at += plain;
		if (at == text.len)
			break;
		len = p[0] < 0x80 ? 1 : utf8_len(str_cut(text, at, text.len));
		BUG_IF(len == 0); /* whoever made the text checked it */
		if (len == 1)
			ascii_put(out, text.ptr[at]);
		else if (escaped_point(p, len))
			buf_fmt(out, "\\u%04x", escaped_point(p, len));
		else
			buf_put(out, p, len);
		at += len;
	}
	buf_byte(out, '"');
}

void frozen_put_str(struct buf *out, struct str text)
{
	if (json_plain_len(text) == text.len)
		json_put_plain(out, text);
	else
		odd_str_put(out, text);
}

/* --- an object is written member by member; `{` or `,` goes before each */

static void member(struct buf *out, const char *name)
{
	size_t len = strlen(name);
	char *room = buf_room(out, len + 4);
	size_t at = 0;

	if (!room)
		return;
	if (out->len && room[-1] != '{')
		room[at++] = ',';
	room[at++] = '"';
	memcpy(room + at, name, len);
	at += len;
	room[at++] = '"';
	room[at++] = ':';
	buf_added(out, at);
}

static void element(struct buf *out)
{
	if (out->len && out->ptr[out->len - 1] != '[')
		buf_byte(out, ',');
}

static void put_text(struct buf *out, const char *name, struct str text)
{
	if (!text.ptr)
		return;
	member(out, name);
	frozen_put_str(out, text);
}

static void put_word(struct buf *out, const char *name, const char *word)
{
	member(out, name);
	json_put_plain(out, str_of(word));
}

static void put_u64(struct buf *out, const char *name, uint64_t value)
{
	member(out, name);
	buf_u64(out, value);
}

static void put_duration(struct buf *out, const char *name, int64_t ns)
{
	member(out, name);
	buf_byte(out, '"');
	duration_exact(out, ns);
	buf_byte(out, '"');
}

static void put_size(struct buf *out, const char *name, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (bytes && unit + 1 < ARRAY_LEN(units) && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	member(out, name);
	buf_byte(out, '"');
	buf_u64(out, bytes);
	buf_text(out, units[unit]);
	buf_byte(out, '"');
}

static void put_texts(struct buf *out, const char *name, const struct str *texts, uint32_t count)
{
	member(out, name);
	buf_byte(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		element(out);
		frozen_put_str(out, texts[i]);
	}
	buf_byte(out, ']');
}

static void put_templates(struct buf *out, const char *name, const struct tmpl *list,
			  uint32_t count)
{
	member(out, name);
	buf_byte(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		element(out);
		frozen_put_str(out, list[i].text);
	}
	buf_byte(out, ']');
}

static void put_env(struct buf *out, const struct env_entry *env, uint32_t count)
{
	member(out, "env");
	buf_byte(out, '{');
	for (uint32_t i = 0; i < count; i++) {
		member(out, env[i].name.ptr); /* plain ASCII, NUL-ended */
		if (env[i].from_env)
			buf_text(out, "{\"from\":\"env\"}");
		else
			frozen_put_str(out, env[i].value.text);
	}
	buf_byte(out, '}');
}

static void put_names(struct buf *out, const char *name, const struct model *model,
		      const uint32_t *steps, uint32_t count)
{
	member(out, name);
	buf_byte(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		element(out);
		frozen_put_str(out, model->steps[steps[i]].id);
	}
	buf_byte(out, ']');
}

static void put_param(struct buf *out, const struct param *param)
{
	static const char *const sources[] = {"", "env", "file", "fd"};

	member(out, param->name.ptr);
	buf_byte(out, '{');
	put_word(out, "type", value_type_name(param->type));
	if (param->is_required) {
		member(out, "required");
		buf_text(out, "true");
	}
	if (param->fallback.ptr) {
		member(out, "default");
		buf_str(out, param->fallback);
	}
	if (param->has_min) {
		member(out, "min");
		json_put_double(out, param->min == 0 ? 0 : param->min);
	}
	if (param->has_max) {
		member(out, "max");
		json_put_double(out, param->max == 0 ? 0 : param->max);
	}
	if (param->values_count)
		put_texts(out, "values", param->values, param->values_count);
	put_text(out, "pattern", param->pattern);
	if (param->secret_from != SECRET_FROM_NONE) {
		member(out, "from");
		buf_byte(out, '{');
		member(out, sources[param->secret_from]);
		if (param->secret_from == SECRET_FROM_FD)
			buf_str(out, param->secret_name);
		else
			frozen_put_str(out, param->secret_name);
		buf_byte(out, '}');
	}
	put_text(out, "help", param->help);
	buf_byte(out, '}');
}

static void put_retry(struct buf *out, const struct retry *retry)
{
	static const char *const backoffs[] = {"exponential", "linear", "constant"};

	member(out, "retry");
	buf_byte(out, '{');
	put_u64(out, "max_attempts", retry->max_attempts);
	if (retry->max_attempts > 1) {
		member(out, "on");
		buf_byte(out, '[');
		for (uint32_t i = 0; i < CLASS_COUNT; i++) {
			if (!(retry->classes & (UINT32_C(1) << i)))
				continue;
			element(out);
			frozen_put_str(out, str_of(error_class_name((enum error_class)i)));
		}
		buf_byte(out, ']');
		put_word(out, "backoff", backoffs[retry->backoff]);
		put_duration(out, "initial", retry->initial_ns);
		member(out, "multiplier");
		json_put_double(out, retry->multiplier);
		put_duration(out, "max", retry->max_ns);
		member(out, "jitter"); /* kept in thousandths of a percent */
		buf_byte(out, '"');
		json_put_double(out, round(retry->jitter * 100000) / 1000);
		buf_text(out, "%\"");
	}
	buf_byte(out, '}');
}

static void put_approval(struct buf *out, const struct approval *approval)
{
	member(out, "approve");
	buf_byte(out, '{');
	put_texts(out, "by", approval->by, approval->by_count);
	put_u64(out, "count", approval->count);
	if (approval->timeout_ns)
		put_duration(out, "timeout", approval->timeout_ns);
	put_word(out, "on_timeout", "reject");
	buf_byte(out, '}');
}

static void put_limits(struct buf *out, const struct command *command)
{
	member(out, "limits");
	buf_byte(out, '{');
	for (uint32_t i = 0; i < command->limits_count; i++) {
		const struct resource_limit *limit = &command->limits[i];
		const char *name = resource_name(limit->kind);

		if (limit->kind == RESOURCE_nofile || limit->kind == RESOURCE_nproc)
			put_u64(out, name, limit->value);
		else if (limit->kind == RESOURCE_cpu)
			put_duration(out, name, (int64_t)limit->value * NS_PER_S);
		else
			put_size(out, name, limit->value);
	}
	buf_byte(out, '}');
}

static void put_process(struct buf *out, const struct command *command)
{
	put_text(out, "stdin", command->stdin_path.text);
	if (command->stdin_text.text.ptr) {
		member(out, "stdin");
		buf_byte(out, '{');
		put_text(out, "text", command->stdin_text.text);
		buf_byte(out, '}');
	}
	if (command->has_context) {
		member(out, "context");
		buf_text(out, "true");
	}
	if (command->splits_streams)
		put_word(out, "streams", "split");
	put_text(out, "user", command->user);
	if (command->limits_count)
		put_limits(out, command);
	if (command->allows_orphans)
		put_word(out, "orphans", "allow");
}

static void put_command(struct buf *out, const struct command *command)
{
	if (command->timeout_ns)
		put_duration(out, "timeout", command->timeout_ns);
	if (command->silence_ns)
		put_duration(out, "silence_timeout", command->silence_ns);
	put_duration(out, "grace", command->grace_ns);
	put_size(out, "output_limit", command->output_limit_bytes);
	member(out, "exit_codes");
	buf_byte(out, '{');
	for (uint32_t i = 0; i < command->exit_class_count; i++) {
		char code[16];

		(void)snprintf(code, sizeof(code), "%d", command->exit_classes[i].exit_code);
		put_word(out, code, error_class_name(command->exit_classes[i].class));
	}
	buf_byte(out, '}');
	if (command->shell_count)
		put_texts(out, "shell", command->shell, command->shell_count);
	if (command->env_count)
		put_env(out, command->env, command->env_count);
	put_text(out, "cwd", command->cwd.text);
	put_text(out, "executor", command->executor);
	if (command->resources.ptr) {
		member(out, "resources");
		buf_str(out, command->resources);
	}
	put_process(out, command);
}

static void put_kind(struct buf *out, const struct step *step)
{
	switch (step->kind) {
	case STEP_KIND_NOOP:
		member(out, "noop");
		buf_text(out, "true");
		break;
	case STEP_KIND_RUN:
		put_text(out, "run", step->command->text);
		break;
	case STEP_KIND_ARGV:
		put_templates(out, "argv", step->command->argv, step->command->argv_count);
		break;
	case STEP_KIND_CALL:
		put_text(out, "call", step->call->name);
		break;
	case STEP_KIND_CUSTOM: /* under its own name only a program that has it could read it */
		member(out, "kind");
		buf_byte(out, '{');
		put_text(out, "name", step->call->name);
		member(out, "config");
		buf_str(out, step->call->config);
		buf_byte(out, '}');
		break;
	}
}

static void put_call(struct buf *out, const struct call_def *call)
{
	if (call->timeout_ns)
		put_duration(out, "timeout", call->timeout_ns);
	put_size(out, "output_limit", call->output_limit_bytes);
}

static void put_compensate(struct buf *out, const struct step *step)
{
	member(out, "compensate");
	buf_byte(out, '{');
	if (step->compensate->argv_count)
		put_templates(out, "argv", step->compensate->argv, step->compensate->argv_count);
	else
		put_text(out, "run", step->compensate->text);
	put_retry(out, step->compensate_retry);
	put_command(out, step->compensate);
	buf_byte(out, '}');
}

static void put_contract(struct buf *out, const struct step *step)
{
	if (step->inputs_count)
		put_templates(out, "inputs", step->inputs, step->inputs_count);
	if (step->outputs_count) {
		member(out, "outputs");
		buf_byte(out, '{');
		for (uint32_t i = 0; i < step->outputs_count; i++) {
			member(out, step->outputs[i].name.ptr);
			buf_byte(out, '{');
			put_word(out, "type", value_type_name(step->outputs[i].type));
			member(out, "required");
			buf_text(out, step->outputs[i].is_required ? "true}" : "false}");
		}
		buf_byte(out, '}');
	}
	if (step->artifacts_count) {
		member(out, "artifacts");
		buf_byte(out, '[');
		for (uint32_t i = 0; i < step->artifacts_count; i++) {
			element(out);
			buf_byte(out, '{');
			put_text(out, "name", step->artifacts[i].name);
			put_text(out, "path", step->artifacts[i].path.text);
			buf_byte(out, '}');
		}
		buf_byte(out, ']');
	}
}

static void put_quality(struct buf *out, const struct quality *quality)
{
	member(out, "quality");
	buf_byte(out, '{');
	if (quality->has_min_valid_rate) {
		member(out, "min_valid_rate");
		json_put_double(out, quality->min_valid_rate == 0 ? 0 : quality->min_valid_rate);
	}
	if (quality->has_max_null_rate) {
		member(out, "max_null_rate");
		json_put_double(out, quality->max_null_rate == 0 ? 0 : quality->max_null_rate);
	}
	if (quality->has_min_record_count)
		put_u64(out, "min_record_count", (uint64_t)quality->min_record_count);
	if (quality->has_max_record_count)
		put_u64(out, "max_record_count", (uint64_t)quality->max_record_count);
	put_word(out, "severity", quality->is_soft ? "soft" : "hard");
	buf_byte(out, '}');
}

static void put_step(struct buf *out, const struct model *model, const struct step *step)
{
	static const char *const on_lost[] = {"fail", "rerun", "ask"};
	static const char *const on_stop[] = {"wait", "cancel"};

	member(out, step->id.ptr);
	buf_byte(out, '{');
	put_kind(out, step);
	if (!step->needs_implicit && (step->needs_count || !step->needs_any_count))
		put_names(out, "needs", model, step->needs, step->needs_count);
	if (step->needs_any_count)
		put_names(out, "needs_any", model, step->needs_any, step->needs_any_count);
	if (step->gate != GATE_NONE)
		put_word(out, "gate", gate_kind_name(step->gate));
	put_text(out, "when", step->when);
	put_text(out, "pass", step->pass);
	put_text(out, "reason", step->reason.text);
	if (step->approval)
		put_approval(out, step->approval);
	put_retry(out, step->retry);
	put_word(out, "on_failure", on_failure_name(step->on_failure));
	put_word(out, "on_lost", on_lost[step->on_lost]);
	put_word(out, "on_stop", on_stop[step->on_stop]);
	if (step->priority) {
		member(out, "priority");
		buf_i64(out, step->priority);
	}
	if (step->command)
		put_command(out, step->command);
	if (step->call)
		put_call(out, step->call);
	put_contract(out, step);
	if (step->compensate)
		put_compensate(out, step);
	if (step->quality)
		put_quality(out, step->quality);
	if (step->is_cached) {
		member(out, "cache");
		buf_text(out, "true");
	}
	put_text(out, "description", step->description);
	if (step->tags_count)
		put_texts(out, "tags", step->tags, step->tags_count);
	buf_byte(out, '}');
}

static void put_sync(struct buf *out, const struct model *model)
{
	if (model->sync == SYNC_INTERVAL) {
		member(out, "sync");
		buf_text(out, "\"interval:");
		duration_exact(out, model->sync_interval_ns);
		buf_byte(out, '"');
	} else {
		put_word(out, "sync", model->sync == SYNC_ALWAYS ? "always" : "never");
	}
}

static void put_checkpoint(struct buf *out, const struct model *model)
{
	if (!model->has_no_checkpoint && !model->checkpoint_every)
		return;
	member(out, "checkpoint");
	buf_byte(out, '{');
	if (model->checkpoint_every)
		put_u64(out, "every", model->checkpoint_every);
	if (model->has_no_checkpoint) {
		member(out, "off");
		buf_text(out, "true");
	}
	buf_byte(out, '}');
}

void lang_freeze_step(const struct model *model, const struct step *step, struct buf *out)
{
	buf_byte(out, '{');
	put_step(out, model, step);
	buf_byte(out, '}');
}

enum err_code lang_freeze(const struct model *model, struct buf *out, struct err *err)
{
	size_t before = out->len;

	buf_byte(out, '{');
	put_u64(out, "format", model->format);
	put_text(out, "pipeline", model->pipeline);
	put_text(out, "version", model->version);
	put_text(out, "description", model->description);
	put_text(out, "partition", model->partition.text);
	put_text(out, "folder", model->folder);
	if (model->params_count) {
		member(out, "params");
		buf_byte(out, '{');
		for (uint32_t i = 0; i < model->params_count; i++)
			put_param(out, &model->params[i]);
		buf_byte(out, '}');
	}
	if (model->env_count)
		put_env(out, model->env, model->env_count);
	put_u64(out, "concurrency", model->concurrency);
	if (model->timeout_ns)
		put_duration(out, "timeout", model->timeout_ns);
	put_sync(out, model);
	put_checkpoint(out, model);
	member(out, "steps");
	buf_byte(out, '{');
	for (uint32_t i = 0; i < model->steps_count; i++)
		put_step(out, model, &model->steps[i]);
	buf_text(out, "}}");
	if (buf_check(out, "frozen pipeline", err) != ERR_OK) {
		if (out->len > before)
			buf_cut(out, before);
		return err->code;
	}
	return ERR_OK;
}
