/* step_ctx.c - one attempt that the program carries out: what its function can ask, what it
 * leaves. */
#include "api/run_host.h"

#include "base/json.h"
#include "engine/result.h"
#include "exec/call.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct member {
	struct str name;
	struct str json;
};

/* Members of one object to be; a name that comes again replaces what was there. */
struct members {
	struct member *items;
	size_t count, capacity;
	struct map index; /* by name */
};

struct sluice_step_ctx {
	struct run_host *host;
	struct call_job *job;
	const struct pin *pin;
	struct arena texts; /* for as long as the attempt */
	struct members outputs;
	struct members updates;
	struct buf quality; /* an object; empty = none */
	struct buf events;  /* items of the array, with commas */
	unsigned events_count;
	struct str class; /* of a failure; ptr NULL = none was told */
	struct str reason;
	size_t bytes;     /* of all that was set */
	struct err fault; /* the first thing that was refused */
	const char *key;
};

struct sluice_next {
	size_t at; /* in the chain of the host */
};

static const struct exec_call *start_of(const struct sluice_step_ctx *ctx)
{
	return call_job_start(ctx->job);
}

static const struct exec_context_options *run_of(const struct sluice_step_ctx *ctx)
{
	return exec_context_options(start_of(ctx)->context);
}

/* ---------------------------------------------------------------------------------- faults */

/* What a function sets wrongly fails its attempt, whether it looks at the answer or not. */
static enum sluice_code refuse(struct sluice_step_ctx *ctx, const struct err *err)
{
	if (ctx->fault.code == ERR_OK)
		ctx->fault = *err;
	return (enum sluice_code)err->code;
}

/* Text that outlives the caller's; NULL when memory is short. */
static const char *keep(struct sluice_step_ctx *ctx, struct str text)
{
	return arena_str(&ctx->texts, text).ptr;
}

static enum err_code count_bytes(struct sluice_step_ctx *ctx, size_t bytes, struct err *err)
{
	uint64_t limit = ctx->host->sluice->limits.result_bytes;

	ctx->bytes += bytes;
	if (ctx->bytes > limit)
		return err_set(err, ERR_LIMIT, "the result is over result_bytes (%llu)",
			       (unsigned long long)limit);
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- members */

static enum err_code member_set(struct sluice_step_ctx *ctx, struct members *members,
				struct str name, struct str json, struct err *err)
{
	struct member member = {arena_str(&ctx->texts, name), arena_str(&ctx->texts, json)};
	void *list = members->items;
	uint32_t at = map_get(&members->index, name);

	if (!member.name.ptr || !member.json.ptr)
		return mem_err(err);
	if (at != MAP_NONE) {
		members->items[at].json = member.json;
		return ERR_OK;
	}
	if (mem_grow(&list, &members->capacity, members->count + 1, sizeof(member), err) != ERR_OK)
		return err->code;
	members->items = list;
	if (map_add(&members->index, member.name, (uint32_t)members->count, err) != ERR_OK)
		return err->code;
	members->items[members->count++] = member;
	return ERR_OK;
}

static void members_init(struct members *members)
{
	*members = (struct members){.items = NULL};
	map_init(&members->index, (uint64_t)(uintptr_t)members);
}

static void members_fini(struct members *members)
{
	map_fini(&members->index);
	mem_free(members->items);
}

static void members_put(const struct members *members, const char *name, struct buf *out)
{
	if (!members->count)
		return;
	buf_fmt(out, "%s\"%s\":{", out->len > 1 ? "," : "", name);
	for (size_t i = 0; i < members->count; i++) {
		if (i)
			buf_byte(out, ',');
		json_put_str(out, members->items[i].name);
		buf_byte(out, ':');
		buf_str(out, members->items[i].json);
	}
	buf_byte(out, '}');
}

static enum err_code check_set(struct sluice_step_ctx *ctx, const char *name, struct str json,
			       struct err *err)
{
	if (!name_valid(str_of(name)))
		return err_set(err, ERR_INVALID, "'%.80s' is not a name for an output", name);
	if (json_check(json, JSON_DEPTH_MAX, err) != ERR_OK)
		return err_while(err, "the value of '%s' is not JSON", name);
	return count_bytes(ctx, strlen(name) + json.len, err);
}

static enum sluice_code set(struct sluice_step_ctx *ctx, struct members *members, const char *name,
			    struct str json)
{
	struct err err = ERR_INIT;

	if (check_set(ctx, name, json, &err) != ERR_OK ||
	    member_set(ctx, members, str_of(name), json, &err) != ERR_OK)
		return refuse(ctx, &err);
	return SLUICE_OK;
}

static enum sluice_code set_buf(struct sluice_step_ctx *ctx, struct members *members,
				const char *name, const struct buf *json)
{
	struct err err = ERR_INIT;

	if (buf_check(json, "a value", &err) != ERR_OK)
		return refuse(ctx, &err);
	return set(ctx, members, name, buf_view(json));
}

static enum sluice_code refuse_usage(struct sluice_step_ctx *ctx, const char *text)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_USAGE, "%s", text);
	return ctx ? refuse(ctx, &err) : SLUICE_USAGE;
}

static enum sluice_code refuse_invalid(struct sluice_step_ctx *ctx, const char *name,
				       const char *what)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_INVALID, "'%.80s' is not %s", name, what);
	return refuse(ctx, &err);
}

/* --------------------------------------------------------------------------------- outputs */

static const struct output *output_of(const struct sluice_step_ctx *ctx, const char *name)
{
	const struct step *step = &run_of(ctx)->model->steps[start_of(ctx)->step];

	for (uint32_t i = 0; i < step->outputs_count; i++) {
		if (str_is(step->outputs[i].name, name))
			return &step->outputs[i];
	}
	return NULL;
}

enum sluice_code sluice_ctx_set_output(struct sluice_step_ctx *ctx, const char *name,
				       const char *text)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	const struct output *output;

	if (!ctx || !name || !text)
		return refuse_usage(ctx, "sluice_ctx_set_output: a name or text is missing");
	if (!utf8_valid(str_of(text)))
		return refuse_invalid(ctx, name, "a text in UTF-8");
	output = output_of(ctx, name);
	if (!output)
		json_put_str(&json, str_of(text));
	else if (!lang_convert(str_of(text), output->type, &json))
		return refuse_invalid(ctx, name, value_type_name(output->type));
	return set_buf(ctx, &ctx->outputs, name, &json);
}

enum sluice_code sluice_ctx_set_output_int(struct sluice_step_ctx *ctx, const char *name,
					   int64_t value)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (!ctx || !name)
		return refuse_usage(ctx, "sluice_ctx_set_output_int: a name is missing");
	buf_i64(&json, value);
	return set_buf(ctx, &ctx->outputs, name, &json);
}

enum sluice_code sluice_ctx_set_output_double(struct sluice_step_ctx *ctx, const char *name,
					      double value)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (!ctx || !name)
		return refuse_usage(ctx, "sluice_ctx_set_output_double: a name is missing");
	if (!isfinite(value))
		return refuse_invalid(ctx, name, "a finite number");
	json_put_double(&json, value);
	return set_buf(ctx, &ctx->outputs, name, &json);
}

enum sluice_code sluice_ctx_set_output_bool(struct sluice_step_ctx *ctx, const char *name,
					    bool value)
{
	if (!ctx || !name)
		return refuse_usage(ctx, "sluice_ctx_set_output_bool: a name is missing");
	return set(ctx, &ctx->outputs, name, value ? STR("true") : STR("false"));
}

enum sluice_code sluice_ctx_set_output_json(struct sluice_step_ctx *ctx, const char *name,
					    const char *json)
{
	if (!ctx || !name || !json)
		return refuse_usage(ctx, "sluice_ctx_set_output_json: a name or value is missing");
	return set(ctx, &ctx->outputs, name, str_of(json));
}

enum sluice_code sluice_ctx_set_update(struct sluice_step_ctx *ctx, const char *name,
				       const char *text)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (!ctx || !name || !text)
		return refuse_usage(ctx, "sluice_ctx_set_update: a name or text is missing");
	if (!utf8_valid(str_of(text)))
		return refuse_invalid(ctx, name, "a text in UTF-8");
	json_put_str(&json, str_of(text));
	return set_buf(ctx, &ctx->updates, name, &json);
}

enum sluice_code sluice_ctx_set_update_json(struct sluice_step_ctx *ctx, const char *name,
					    const char *json)
{
	if (!ctx || !name || !json)
		return refuse_usage(ctx, "sluice_ctx_set_update_json: a name or value is missing");
	return set(ctx, &ctx->updates, name, str_of(json));
}

/* ---------------------------------------------------------------------------------- quality */

static void figure_put(struct buf *out, const char *name, int64_t count)
{
	if (count < 0)
		return;
	buf_fmt(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
	buf_i64(out, count);
}

static enum err_code set_quality(struct sluice_step_ctx *ctx, const struct sluice_quality *quality,
				 struct err *err)
{
	struct str custom = str_of(quality->custom_metrics_json);

	if (custom.ptr && json_check(custom, JSON_DEPTH_MAX, err) != ERR_OK)
		return err_while(err, "custom_metrics_json is not JSON");
	buf_clear(&ctx->quality);
	buf_byte(&ctx->quality, '{');
	figure_put(&ctx->quality, "record_count", quality->record_count);
	figure_put(&ctx->quality, "valid_count", quality->valid_count);
	figure_put(&ctx->quality, "invalid_count", quality->invalid_count);
	figure_put(&ctx->quality, "null_count", quality->null_count);
	if (custom.ptr)
		buf_fmt(&ctx->quality, "%s\"custom_metrics\":%.*s", ctx->quality.len > 1 ? "," : "",
			STR_ARG(custom));
	buf_byte(&ctx->quality, '}');
	if (buf_check(&ctx->quality, "quality", err) != ERR_OK)
		return err->code;
	return count_bytes(ctx, ctx->quality.len, err);
}

enum sluice_code sluice_ctx_set_quality(struct sluice_step_ctx *ctx,
					const struct sluice_quality *quality)
{
	struct err err = ERR_INIT;

	if (!ctx || !quality)
		return refuse_usage(ctx, "sluice_ctx_set_quality: the figures are missing");
	return set_quality(ctx, quality, &err) == ERR_OK ? SLUICE_OK : refuse(ctx, &err);
}

/* ----------------------------------------------------------------------- events, failure, log */

static enum err_code emit(struct sluice_step_ctx *ctx, const char *type, const char *data_json,
			  struct err *err)
{
	struct str data = str_of(data_json);

	if (data.ptr && json_check(data, JSON_DEPTH_MAX, err) != ERR_OK)
		return err_while(err, "the data of '%.80s' is not JSON", type);
	if (!utf8_valid(str_of(type)))
		return err_set(err, ERR_INVALID, "the type of an event is not UTF-8");
	if (!result_event_type_valid(str_of(type)))
		return err_set(err, ERR_INVALID, "event type '%.140s' does not begin with 'x-'",
			       type);
	if (ctx->events_count == RESULT_EVENTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d events", RESULT_EVENTS_MAX);
	if (count_bytes(ctx, strlen(type) + data.len, err) != ERR_OK)
		return err->code;
	buf_text(&ctx->events, ctx->events.len ? ",{\"type\":" : "{\"type\":");
	json_put_str(&ctx->events, str_of(type));
	if (data.ptr) {
		buf_text(&ctx->events, ",\"data\":");
		buf_str(&ctx->events, data);
	}
	buf_byte(&ctx->events, '}');
	ctx->events_count++;
	return buf_check(&ctx->events, "events", err);
}

enum sluice_code sluice_ctx_emit(struct sluice_step_ctx *ctx, const char *type,
				 const char *data_json)
{
	struct err err = ERR_INIT;

	if (!ctx || !type)
		return refuse_usage(ctx, "sluice_ctx_emit: a type is missing");
	return emit(ctx, type, data_json, &err) == ERR_OK ? SLUICE_OK : refuse(ctx, &err);
}

int sluice_ctx_fail(struct sluice_step_ctx *ctx, const char *error_class, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	va_list args;

	if (!ctx)
		return 1;
	if (format) {
		va_start(args, format);
		buf_vfmt(&text, format, args);
		va_end(args);
	}
	ctx->class = arena_str(&ctx->texts, error_class ? str_of(error_class) : STR("unknown"));
	ctx->reason = arena_str(&ctx->texts,
				utf8_cut(buf_view(&text), ctx->host->sluice->limits.reason_bytes));
	if (!ctx->class.ptr || !ctx->reason.ptr || text.failed != ERR_OK) {
		(void)mem_err(&err);
		(void)refuse(ctx, &err);
	}
	return 1;
}

void sluice_ctx_clear(struct sluice_step_ctx *ctx)
{
	if (!ctx)
		return;
	members_fini(&ctx->outputs);
	members_fini(&ctx->updates);
	members_init(&ctx->outputs);
	members_init(&ctx->updates);
	buf_clear(&ctx->quality);
	buf_clear(&ctx->events);
	ctx->events_count = 0;
	ctx->class = STR_NONE;
	ctx->reason = STR_NONE;
	ctx->bytes = 0;
	err_reset(&ctx->fault);
}

enum sluice_code sluice_ctx_write(struct sluice_step_ctx *ctx, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;

	if (!ctx || (!bytes && len))
		return refuse_usage(ctx, "sluice_ctx_write: there are no bytes");
	return (enum sluice_code)call_job_print(ctx->job, str_from(bytes, len), &err);
}

enum sluice_code sluice_ctx_print(struct sluice_step_ctx *ctx, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	va_list args;

	if (!ctx || !format)
		return refuse_usage(ctx, "sluice_ctx_print: there is no text");
	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	if (buf_check(&text, "a text for the log", &err) != ERR_OK)
		return refuse(ctx, &err);
	return (enum sluice_code)call_job_print(ctx->job, buf_view(&text), &err);
}

/* ------------------------------------------------------------------------------- what it knows */

const char *sluice_ctx_run_id(const struct sluice_step_ctx *ctx)
{
	return ctx ? run_of(ctx)->run_id.ptr : NULL; /* kept NUL-ended by the fold's arena */
}

const char *sluice_ctx_step(const struct sluice_step_ctx *ctx)
{
	return ctx ? call_job_path(ctx->job).ptr : NULL; /* NUL-ended copy */
}

uint32_t sluice_ctx_attempt(const struct sluice_step_ctx *ctx)
{
	return ctx ? call_job_attempt(ctx->job) : 0;
}

const char *sluice_ctx_idempotency_key(const struct sluice_step_ctx *ctx)
{
	return ctx ? ctx->key : NULL;
}

bool sluice_ctx_is_cancelled(const struct sluice_step_ctx *ctx)
{
	return ctx && call_job_is_cancelled(ctx->job);
}

int64_t sluice_ctx_left_ms(const struct sluice_step_ctx *ctx)
{
	int64_t left_ns = ctx ? call_job_left_ns(ctx->job) : -1;

	return left_ns < 0 ? -1 : left_ns / 1000000;
}

bool sluice_ctx_is_dry_run(const struct sluice_step_ctx *ctx)
{
	return ctx && ctx->host->is_dry_run;
}

static const char *as_json(struct sluice_step_ctx *ctx, struct str json)
{
	return json.ptr ? keep(ctx, json) : NULL;
}

static const char *as_text(struct sluice_step_ctx *ctx, struct str json)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (!json.ptr || json_type_of(json) != JSON_STRING)
		return as_json(ctx, json);
	json_decode(json, &text);
	return text.failed == ERR_OK ? keep(ctx, buf_view(&text)) : NULL;
}

static struct str param_of(struct sluice_step_ctx *ctx, const char *name)
{
	if (!ctx || !name)
		return STR_NONE;
	return exec_context_param(start_of(ctx)->context, start_of(ctx)->seq, str_of(name));
}

/* The value of a secret parameter that no update has replaced; ptr NULL for anything else. */
static struct str secret_of(const struct sluice_step_ctx *ctx, const char *name, struct str json)
{
	const struct exec_context_options *run = run_of(ctx);

	for (uint32_t i = 0; run->secrets && i < run->model->params_count; i++) {
		if (str_is(run->model->params[i].name, name) &&
		    run->model->params[i].type == VALUE_SECRET && json.ptr == run->params[i].ptr)
			return run->secrets[i];
	}
	return STR_NONE;
}

const char *sluice_ctx_param(struct sluice_step_ctx *ctx, const char *name)
{
	struct str json = param_of(ctx, name);
	struct str secret = ctx && name ? secret_of(ctx, name, json) : STR_NONE;

	return secret.ptr ? secret.ptr : as_text(ctx, json); /* NUL-ended by its arena */
}

const char *sluice_ctx_param_json(struct sluice_step_ctx *ctx, const char *name)
{
	return as_json(ctx, param_of(ctx, name));
}

const char *sluice_ctx_params_json(struct sluice_step_ctx *ctx)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (!ctx)
		return NULL;
	exec_context_params(start_of(ctx)->context, start_of(ctx)->seq, &json);
	return json.failed == ERR_OK ? keep(ctx, buf_view(&json)) : NULL;
}

static struct str outputs_of(struct sluice_step_ctx *ctx, const char *step)
{
	uint32_t at = ctx && step ? model_find(run_of(ctx)->model, str_of(step)) : STEP_NONE;

	if (at == STEP_NONE)
		return STR_NONE;
	return exec_context_outputs(start_of(ctx)->context, start_of(ctx)->seq, at);
}

static struct str one_output_of(struct sluice_step_ctx *ctx, const char *step, const char *name)
{
	struct str outputs = outputs_of(ctx, step);

	return outputs.ptr && name ? json_get(outputs, name) : STR_NONE;
}

const char *sluice_ctx_outputs_json(struct sluice_step_ctx *ctx, const char *step)
{
	return as_json(ctx, outputs_of(ctx, step));
}

const char *sluice_ctx_output(struct sluice_step_ctx *ctx, const char *step, const char *name)
{
	return as_text(ctx, one_output_of(ctx, step, name));
}

const char *sluice_ctx_output_json(struct sluice_step_ctx *ctx, const char *step, const char *name)
{
	return as_json(ctx, one_output_of(ctx, step, name));
}

/* ------------------------------------------------------------------------------- the attempt */

int sluice_next_run(struct sluice_next *next, struct sluice_step_ctx *ctx)
{
	struct sluice_next rest;

	if (!next || !ctx)
		return -1;
	rest.at = next->at + 1;
	if (next->at < ctx->host->chain_count)
		return ctx->host->chain[next->at].fn(ctx, &rest, ctx->host->chain[next->at].arg);
	if (ctx->pin->call)
		return ctx->pin->call(ctx, ctx->pin->arg);
	return ctx->pin->kind(ctx, start_of(ctx)->config.ptr, ctx->pin->arg);
}

/* What it leaves, in the form of a result file. */
static void put_result(const struct sluice_step_ctx *ctx, struct buf *out)
{
	buf_byte(out, '{');
	members_put(&ctx->outputs, "outputs", out);
	members_put(&ctx->updates, "context_updates", out);
	if (ctx->quality.len)
		buf_fmt(out, "%s\"quality\":%.*s", out->len > 1 ? "," : "",
			STR_ARG(buf_view(&ctx->quality)));
	if (ctx->events.len)
		buf_fmt(out, "%s\"events\":[%.*s]", out->len > 1 ? "," : "",
			STR_ARG(buf_view(&ctx->events)));
	if (ctx->class.ptr) {
		buf_text(out, out->len > 1 ? ",\"error_class\":" : "\"error_class\":");
		json_put_str(out, ctx->class);
		buf_text(out, ",\"reason\":");
		json_put_str(out, ctx->reason);
	}
	buf_byte(out, '}');
}

static void put_fault(const struct err *fault, struct buf *out)
{
	bool is_storage = fault->code == ERR_MEMORY;

	buf_fmt(out, "{\"error_class\":\"%s\",\"reason\":",
		is_storage ? "infrastructure" : "validation_failed");
	json_put_str(out, str_of(fault->text));
	buf_byte(out, '}');
}

int run_host_call(void *arg, struct call_job *job, struct buf *result)
{
	struct run_host *host = arg;
	struct sluice_step_ctx ctx = {
	    .host = host,
	    .job = job,
	    .pin = &host->pins[call_job_start(job)->step],
	};
	struct sluice_next first = {.at = 0};
	AUTO(buf_fini) struct buf key = BUF_INIT;
	int value;

	members_init(&ctx.outputs);
	members_init(&ctx.updates);
	buf_fmt(&key, "%.*s/%.*s", STR_ARG(run_of(&ctx)->run_id), STR_ARG(call_job_path(job)));
	ctx.key = key.ptr;
	value = sluice_next_run(&first, &ctx);
	if (ctx.fault.code == ERR_OK) {
		put_result(&ctx, result);
	} else {
		put_fault(&ctx.fault, result);
		value = value ? value : 1;
	}
	members_fini(&ctx.outputs);
	members_fini(&ctx.updates);
	buf_fini(&ctx.quality);
	buf_fini(&ctx.events);
	arena_fini(&ctx.texts);
	return value;
}
