/* starting.c - see starting.h */
#include "api/starting.h"

#include "base/json.h"
#include "base/timefmt.h"
#include "engine/given.h"
#include "lang/expr.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

#define LABEL_BYTES_MAX 256 /* a partition, an idempotency key */

void starting_fini(struct starting *starting)
{
	arena_fini(&starting->arena);
	buf_fini(&starting->given);
	buf_fini(&starting->params_json);
}

/* "always", "never", "interval:10" (milliseconds; a unit may be given). */
static enum err_code read_sync(const char *text, struct model *model, struct err *err)
{
	struct str sync = str_of(text);
	struct str interval = str_cut(sync, strlen("interval:"), sync.len);
	int64_t ms;

	if (str_is(sync, "always")) {
		model->sync = SYNC_ALWAYS;
		return ERR_OK;
	}
	if (str_is(sync, "never")) {
		model->sync = SYNC_NEVER;
		return ERR_OK;
	}
	model->sync = SYNC_INTERVAL;
	if (str_starts(sync, "interval:")) {
		if (str_to_i64(interval, &ms) && ms > 0 && ms < INT32_MAX) {
			model->sync_interval_ns = ms * NS_PER_MS;
			return ERR_OK;
		}
		if (duration_read(interval, &model->sync_interval_ns) &&
		    model->sync_interval_ns > 0)
			return ERR_OK;
	}
	return err_set(err, ERR_USAGE, "sync '%s' is none of always, never, interval:MS", text);
}

static enum err_code fresh_trace_id(char trace_id[33], uint64_t *ret_seed, struct err *err)
{
	uint64_t random[3];

	if (random_bytes(random, sizeof(random), err) != ERR_OK)
		return err->code;
	(void)snprintf(trace_id, 33, "%016llx%016llx", (unsigned long long)random[0],
		       (unsigned long long)random[1]);
	*ret_seed = random[2];
	return ERR_OK;
}

static enum err_code check_run_id(struct sluice *sluice, const char *given, char id[129],
				  struct err *err)
{
	char fresh[64];

	if (!given) {
		if (rundir_new_id(clock_utc_ms(sluice->clock), fresh, err) != ERR_OK)
			return err->code;
		(void)snprintf(id, 129, "%s", fresh);
		return ERR_OK;
	}
	if (!id_valid(str_of(given))) {
		(void)err_set(err, ERR_USAGE, "'%.40s' is not a run id", given);
		return err_hint(err,
				"1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit, "
				"without '..'");
	}
	(void)snprintf(id, 129, "%s", given);
	return ERR_OK;
}

/* ------------------------------------------------------------------------ what is run */

/* The members of `object` that `stronger` does not have. */
static void put_weaker(struct buf *out, struct str object, struct str stronger)
{
	struct str key;
	struct str value;
	size_t at = 0;

	while (json_member(object, &at, &key, &value)) {
		struct str other;
		struct str ignored;
		size_t from = 0;
		bool is_there = false;

		while (!is_there && stronger.len && json_member(stronger, &from, &other, &ignored))
			is_there = str_eq(other, key);
		if (is_there)
			continue;
		buf_byte(out, out->len ? ',' : '{');
		buf_byte(out, '"');
		buf_str(out, key); /* as it was escaped */
		buf_text(out, "\":");
		buf_str(out, value);
	}
}

/* Parameters of the context are weaker than those of the params file. */
static enum err_code merge_params(struct starting *starting, struct str of_context, struct err *err)
{
	struct str of_file = str_trim(str_of(starting->options->params_file_json));
	struct err own = ERR_INIT;

	if (of_file.len && (json_check(of_file, JSON_DEPTH_MAX, &own) != ERR_OK ||
			    json_type_of(of_file) != JSON_OBJECT))
		return err_set(err, own.code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE,
			       "the params file must hold a JSON object");
	put_weaker(&starting->params_json, of_file, STR_NONE);
	put_weaker(&starting->params_json, of_context, of_file);
	if (starting->params_json.len)
		buf_byte(&starting->params_json, '}');
	return buf_check(&starting->params_json, "the parameters", err);
}

static enum err_code read_context(struct starting *starting, struct err *err)
{
	struct str context = str_of(starting->options->context_json);
	struct str params = STR_NONE;

	if (!context.ptr)
		return ERR_OK;
	if (!utf8_valid(context))
		return err_set(err, ERR_USAGE, "the context file is not UTF-8");
	if (given_read(&starting->model, &starting->start.selection, context, &starting->given,
		       &params, err) != ERR_OK)
		return err->code;
	starting->start.given = buf_view(&starting->given);
	return params.ptr ? merge_params(starting, params, err) : ERR_OK;
}

static enum err_code read_selection(struct starting *starting, struct err *err)
{
	const struct sluice_run_opts *options = starting->options;
	struct selection *selection = &starting->start.selection;

	selection->from = str_of(options->from);
	selection->until = str_of(options->until);
	selection->only = str_of(options->only);
	if (options->only && (options->from || options->until))
		return err_set(err, ERR_USAGE, "--only stands alone: without --from and --until");
	if (!selection_is_given(selection))
		return options->context_json
			   ? err_set(err, ERR_USAGE,
				     "a context stands for steps that do not run: it needs --from "
				     "or --only")
			   : ERR_OK;
	if (read_context(starting, err) != ERR_OK)
		return err->code;
	return given_check(&starting->model, selection, starting->start.given, err);
}

static enum err_code read_params(struct starting *starting, struct err *err)
{
	const struct model *model = &starting->model;
	struct str file = str_of(starting->options->params_file_json);
	AUTO(mem_drop) struct str *texts = NULL;
	size_t count = 0;

	if (starting->params_json.len)
		file = buf_view(&starting->params_json);
	starting->params =
	    arena_new(&starting->arena, model->params_count + 1, sizeof(*starting->params));
	if (!starting->params)
		return mem_err(err);
	if (api_texts(starting->options->params, &texts, &count, err) != ERR_OK)
		return err->code;
	starting->start.params = starting->params;
	return lang_params(model, texts, count, file, &starting->sluice->limits, &starting->arena,
			   starting->params, err);
}

static enum err_code read_reason(struct starting *starting, struct err *err)
{
	struct str reason = str_of(starting->options->reason);

	if (reason.len > starting->sluice->limits.reason_bytes || !utf8_valid(reason))
		return err_set(err, ERR_USAGE, "the reason is over reason_bytes or not UTF-8");
	starting->start.reason = reason;
	return ERR_OK;
}

/* ------------------------------------------------------------------------ key, partition */

static enum err_code check_label(struct str text, const char *what, struct err *err)
{
	bool is_plain = text.len > 0 && text.len <= LABEL_BYTES_MAX && utf8_valid(text);

	for (size_t i = 0; is_plain && i < text.len; i++)
		is_plain = (unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7F;
	if (is_plain)
		return ERR_OK;
	return err_set(err, ERR_USAGE,
		       "%s must be 1 to %d bytes of UTF-8 without control characters", what,
		       LABEL_BYTES_MAX);
}

/* The id of a run with an idempotency key follows from it, so that its birth is the one test. */
static enum err_code read_key(struct starting *starting, struct err *err)
{
	struct str key = str_of(starting->options->idempotency_key);
	struct str pipeline = starting->model.pipeline;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];
	struct sha256 sha;

	if (!key.ptr)
		return check_run_id(starting->sluice, starting->options->run_id, starting->id, err);
	if (starting->options->run_id)
		return err_set(
		    err, ERR_USAGE,
		    "the id of a run follows from its idempotency key: give one of the two");
	if (check_label(key, "an idempotency key", err) != ERR_OK)
		return err->code;
	sha256_start(&sha);
	sha256_add(&sha, pipeline.ptr, pipeline.len);
	sha256_add(&sha, "", 1);
	sha256_add(&sha, key.ptr, key.len);
	sha256_end(&sha, digest);
	sha256_hex(digest, hex);
	(void)snprintf(starting->id, sizeof(starting->id), "%.*s-key-%.32s",
		       STR_ARG(str_cut(pipeline, 0, 80)), hex);
	starting->start.key = key;
	return ERR_OK;
}

/* The pipeline's own expression, over the parameters of this start. */
static enum err_code fill_partition(struct starting *starting, struct buf *text, struct err *err)
{
	struct run_state state = {.model = &starting->model, .params = starting->params};
	struct expr_scope scope = {.run = &state, .step = STEP_NONE};
	AUTO(expr_drop) struct expr *expr = NULL;

	if (expr_new(&starting->sluice->limits, &expr, err) != ERR_OK)
		return err->code;
	if (expr_fill(expr, &starting->model.partition, &scope, text, err) != ERR_OK)
		return err_while(err, "partition");
	return buf_check(text, "a partition", err);
}

static enum err_code read_partition(struct starting *starting, struct err *err)
{
	struct str partition = str_of(starting->options->partition);
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (!partition.ptr) {
		if (!starting->model.partition.text.ptr)
			return ERR_OK;
		if (fill_partition(starting, &text, err) != ERR_OK)
			return err->code;
		partition = buf_view(&text);
	}
	if (check_label(partition, "a partition", err) != ERR_OK)
		return err->code;
	starting->start.partition = arena_str(&starting->arena, partition);
	return starting->start.partition.ptr ? ERR_OK : mem_err(err);
}

/* A trace to be part of takes the place of the fresh one. It is recorded as version 00 would write
 * it. */
static void read_trace(struct starting *starting)
{
	struct trace_parent parent;
	uint64_t span = 0;

	if (!trace_parent_read(str_of(starting->options->traceparent), &parent))
		return;
	for (size_t i = 0; i < parent.span_id.len; i++) {
		char digit = parent.span_id.ptr[i];

		span = span << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
	}
	(void)snprintf(starting->trace_id, sizeof(starting->trace_id), "%.*s",
		       STR_ARG(parent.trace_id));
	trace_parent_write(parent.trace_id, span, parent.is_sampled, starting->traceparent);
	starting->start.traceparent = str_of(starting->traceparent);
}

/* What does not depend on where the definition comes from. */
static enum err_code prepare_rest(struct starting *starting, struct err *err)
{
	const struct sluice_run_opts *options = starting->options;
	struct model *model = &starting->model;

	if (api_parallel_check(options->max_parallel, err) != ERR_OK)
		return err->code;
	if (options->max_parallel)
		model->concurrency = options->max_parallel;
	if ((options->sync && read_sync(options->sync, model, err) != ERR_OK) ||
	    read_key(starting, err) != ERR_OK ||
	    fresh_trace_id(starting->trace_id, &starting->start.seed, err) != ERR_OK)
		return err->code;
	if (!utf8_valid(model->folder)) /* it is recorded as text, and read back at a resume */
		return err_set(err, ERR_INVALID, "the path of the pipeline's folder is not UTF-8");
	starting->is_again = options->again;
	starting->start.model = model;
	starting->start.run_id = str_of(starting->id);
	starting->start.trace_id = str_of(starting->trace_id);
	read_trace(starting);
	return ERR_OK;
}

enum err_code starting_prepare(struct starting *starting, struct err *err)
{
	if (read_selection(starting, err) != ERR_OK || read_params(starting, err) != ERR_OK ||
	    read_reason(starting, err) != ERR_OK || read_partition(starting, err) != ERR_OK)
		return err->code;
	return prepare_rest(starting, err);
}

/* ------------------------------------------------------------------------------- again */

/* Of which run it is a rerun, and the caller's own reason. */
static enum err_code repeat_reason(struct starting *starting, struct str id, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (read_reason(starting, err) != ERR_OK)
		return err->code;
	buf_fmt(&text, "rerun of %.*s", STR_ARG(id));
	if (starting->start.reason.len)
		buf_fmt(&text, ": %.*s", STR_ARG(starting->start.reason));
	if (buf_check(&text, "the reason", err) != ERR_OK)
		return err->code;
	starting->start.reason = arena_str(&starting->arena, buf_view(&text));
	return starting->start.reason.ptr ? ERR_OK : mem_err(err);
}

static enum err_code repeat_params(struct starting *starting, const struct run_state *run,
				   struct err *err)
{
	const struct model *model = &starting->model;
	AUTO(mem_drop) struct str *texts = NULL;
	size_t count = 0;

	starting->params =
	    arena_new(&starting->arena, model->params_count + 1, sizeof(*starting->params));
	if (!starting->params)
		return mem_err(err);
	starting->start.params = starting->params;
	if (api_texts(starting->options->params, &texts, &count, err) != ERR_OK ||
	    lang_params_override(model, texts, count, &starting->sluice->limits, &starting->arena,
				 starting->params, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (!starting->params[i].ptr)
			starting->params[i] = run->params[i];
	}
	return lang_params_check(model, starting->params, err);
}

enum err_code starting_repeat(struct starting *starting, const struct fold_run *fold,
			      struct err *err)
{
	const struct sluice_run_opts *options = starting->options;
	const struct run_state *run = &fold->state;

	if (options->from || options->until || options->only || options->context_json ||
	    options->partition || options->params_file_json)
		return err_set(
		    err, ERR_USAGE,
		    "a rerun executes the same part, of the same partition, as the run that "
		    "it repeats");
	starting->model = *fold->model;
	if (run->selection.ptr &&
	    selection_read(run->selection, &starting->start.selection, err) != ERR_OK)
		return err->code;
	starting->start.given = run->given;
	starting->start.partition = run->partition;
	if (repeat_params(starting, run, err) != ERR_OK ||
	    repeat_reason(starting, run->run_id, err) != ERR_OK ||
	    prepare_rest(starting, err) != ERR_OK)
		return err->code;
	starting->is_again = true;
	return ERR_OK;
}
