/* harvest.c - what an attempt leaves behind: its exit, its result file, its artifacts, its gate. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "engine/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One attempt being gathered. */
struct gathering {
	struct engine *engine;
	uint32_t step;
	const struct step *def;
	const struct command *command; /* of the step, or its compensation */
	uint32_t attempt;
	struct decide_result *result;
	bool is_short; /* some text could not be kept: nothing of this may be recorded */
};

/* Empty when memory is short, and then g->is_short. */
static struct str keep(struct gathering *g, struct str text)
{
	struct str masked = secrets_mask(&g->engine->secrets, &g->engine->tick, text);
	struct str kept = masked.ptr ? arena_str(&g->engine->tick, masked) : STR_NONE;

	if (kept.ptr)
		return kept;
	g->is_short = true;
	return STR("");
}

/* What was gathered, if all of it could be kept: a log with a name or a value that is none would be
 * damaged for good. */
static enum err_code gathered(const struct gathering *g, struct err *err)
{
	return g->is_short ? mem_err(err) : ERR_OK;
}

static struct str say(struct gathering *g, const char *format, ...) PRINTF_LIKE(2, 3);
static struct str say(struct gathering *g, const char *format, ...)
{
	char text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return keep(g, str_of(text));
}

static void fail(struct gathering *g, enum error_class class, struct str reason)
{
	g->result->is_ok = false;
	g->result->class = class;
	g->result->reason = reason;
}

/* ------------------------------------------------------------------------------- the exit */

static void read_spawn_failure(struct gathering *g, const struct exec_report *report)
{
	bool is_short = report->errno_value == EAGAIN || report->errno_value == ENOMEM;

	g->result->has_errno = true;
	g->result->errno_value = report->errno_value;
	fail(g, is_short ? CLASS_INFRASTRUCTURE : CLASS_CONFIGURATION,
	     say(g, "cannot execute: %s", strerror(report->errno_value)));
}

static void read_exit_code(struct gathering *g, int exit_code)
{
	const struct command *command = g->command;
	enum error_class class = exit_code == 75 ? CLASS_TRANSIENT_IO : CLASS_UNKNOWN;

	for (uint32_t i = 0; i < command->exit_class_count; i++) {
		if (command->exit_classes[i].exit_code == exit_code)
			class = command->exit_classes[i].class;
	}
	if (exit_code)
		fail(g, class, say(g, "exit code %d", exit_code));
}

static void read_returned(struct gathering *g, int value)
{
	if (value)
		fail(g, CLASS_UNKNOWN, say(g, "the function returned %d", value));
}

static void read_cause(struct gathering *g, const struct exec_report *report)
{
	int64_t timeout_ns = g->command ? g->command->timeout_ns : step_timeout_ns(g->def);
	AUTO(buf_fini) struct buf text = BUF_INIT;

	switch (report->cause) {
	case EXEC_CAUSE_NONE:
		return;
	case EXEC_CAUSE_TIMEOUT:
		duration_exact(&text, timeout_ns);
		fail(g, CLASS_TIMEOUT,
		     timeout_ns ? say(g, "no end within %.*s", STR_ARG(buf_view(&text)))
				: STR("the run's own deadline passed"));
		return;
	case EXEC_CAUSE_SILENCE:
		duration_exact(&text, g->command ? g->command->silence_ns : 0);
		fail(g, CLASS_TIMEOUT, say(g, "no output for %.*s", STR_ARG(buf_view(&text))));
		return;
	case EXEC_CAUSE_OUTPUT_LIMIT:
		fail(g, CLASS_INFRASTRUCTURE,
		     say(g, "more output than output_limit (%llu bytes)",
			 (unsigned long long)(g->command ? g->command->output_limit_bytes
							 : step_output_limit_bytes(g->def))));
		return;
	case EXEC_CAUSE_CANCELLED:
		fail(g, CLASS_CANCELLED, STR("cancelled by a stop"));
		return;
	case EXEC_CAUSE_MEMORY:
		fail(g, CLASS_INFRASTRUCTURE, STR("killed for want of memory"));
		return;
	case EXEC_CAUSES:
		break;
	}
	BUG_IF(true);
}

static void read_end(struct gathering *g, const struct exec_report *report)
{
	g->result->duration_ms = report->duration_ns / NS_PER_MS;
	switch (report->end) {
	case EXEC_END_EXITED:
		g->result->has_exit_code = true;
		g->result->exit_code = report->exit_code;
		read_exit_code(g, report->exit_code);
		break;
	case EXEC_END_SIGNALLED:
		g->result->has_signal = true;
		g->result->signal = report->signal;
		g->result->core = report->core;
		fail(g, CLASS_UNKNOWN,
		     say(g, "killed by signal %d (%s)", report->signal, strsignal(report->signal)));
		break;
	case EXEC_END_SPAWN_FAILED:
		read_spawn_failure(g, report);
		break;
	case EXEC_END_RETURNED:
		read_returned(g, report->exit_code);
		break;
	}
	read_cause(g, report);
}

/* ---------------------------------------------------------------------------- result file */

/* Texts inside JSON: a secret is masked in its escaped form, so that the text stays JSON. */
static enum err_code keep_json(struct gathering *g, struct buf *json, struct str *ret_text,
			       struct str *ret_ref, struct err *err)
{
	struct str text = keep(g, buf_view(json));
	struct err own = ERR_INIT;

	if (!json->len)
		return ERR_OK;
	if (g->is_short || (g->engine->secrets.masks_count &&
			    json_check(text, JSON_DEPTH_MAX, &own) == ERR_MEMORY))
		return mem_err(err);
	if (own.code != ERR_OK) {
		fail(g, CLASS_VALIDATION_FAILED,
		     STR("a secret is no part of a text in the result"));
		return ERR_OK;
	}
	*ret_text = text;
	if (text.len > g->engine->ports.limits->inline_bytes) {
		char ref[SHA256_HEX_BYTES + 1];

		if (rundir_blob_put(g->engine->dir, text, ref, err) != ERR_OK)
			return err_while(err, "keep a large result");
		*ret_ref = keep(g, str_of(ref));
	}
	return ERR_OK;
}

static void hash_outputs(struct gathering *g)
{
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];

	sha256_of(g->result->outputs.ptr, g->result->outputs.len, digest);
	sha256_hex(digest, hex);
	g->result->outputs_hash = keep(g, str_from(hex, 16));
}

static enum err_code keep_result(struct gathering *g, struct result_file *file, struct err *err)
{
	struct event *events = NULL;

	if (file->events_count) {
		events = arena_new(&g->engine->tick, file->events_count, sizeof(*events));
		if (!events)
			return mem_err(err);
	}
	for (size_t i = 0; i < file->events_count; i++) {
		struct str data = event_text(&file->events[i], EVENT_FIELD_DATA);

		event_init(&events[i], EVENT_USER);
		events[i].type_text = keep(g, file->events[i].type_text);
		if (data.ptr)
			event_put_text(&events[i], EVENT_FIELD_DATA, keep(g, data));
	}
	g->result->user_events = events;
	g->result->user_events_count = file->events_count;
	if (keep_json(g, &file->outputs, &g->result->outputs, &g->result->outputs_ref, err) !=
		ERR_OK ||
	    keep_json(g, &file->updates, &g->result->updates, &g->result->updates_ref, err) !=
		ERR_OK)
		return err->code;
	if (g->result->is_ok && g->result->outputs.ptr)
		hash_outputs(g);
	return ERR_OK;
}

/* Small enough for a line, and still JSON when secrets are masked in it. */
static bool is_kept_whole(const struct gathering *g, struct str json)
{
	struct err own = ERR_INIT;

	return json.len <= g->engine->ports.limits->inline_bytes &&
	       json_check(json, JSON_DEPTH_MAX, &own) == ERR_OK;
}

/* The figures are recorded whatever they are; what thresholds make of them is the step's end. */
static enum err_code keep_quality(struct gathering *g, const struct quality_figures *figures,
				  struct err *err)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	AUTO(buf_fini) struct buf reason = BUF_INIT;
	enum quality_verdict verdict = QUALITY_MET;

	if (g->def->quality)
		verdict = quality_judge(g->def->quality, figures, &reason);
	if (figures->is_given) {
		quality_put(figures, &json);
		if (buf_check(&json, "quality", err) != ERR_OK)
			return err->code;
		g->result->quality = keep(g, buf_view(&json));
		if (!is_kept_whole(g, g->result->quality)) {
			g->result->quality = STR_NONE;
			fail(g, CLASS_VALIDATION_FAILED,
			     STR("quality: custom_metrics is over inline_bytes, or a "
				 "secret is part of it"));
			return ERR_OK;
		}
	}
	if (buf_check(&reason, "quality", err) != ERR_OK)
		return err->code;
	if (verdict == QUALITY_MET)
		return ERR_OK;
	g->result->quality_reason = keep(g, utf8_cut(buf_view(&reason), 1000));
	if (verdict == QUALITY_ABSENT)
		fail(g, CLASS_VALIDATION_FAILED,
		     say(g, "quality: %.*s", STR_ARG(buf_view(&reason))));
	else if (!g->def->quality->is_soft)
		fail(g, CLASS_DATA_QUALITY, g->result->quality_reason);
	return ERR_OK;
}

/* The command's own words about its failure. */
static void take_own_words(struct gathering *g, const struct result_file *file)
{
	if (file->reason.len)
		g->result->reason =
		    keep(g, utf8_cut(file->reason, g->engine->ports.limits->reason_bytes));
	if (file->error_class.len && !error_class_of(file->error_class, &g->result->class)) {
		g->result->class = CLASS_UNKNOWN;
		g->result->class_text = keep(g, utf8_cut(file->error_class, 64));
	}
}

/* Is it a failure of the step (true: recorded), or of the storage (err)? */
static bool is_steps_fault(const struct err *err)
{
	return err->code == ERR_INVALID || err->code == ERR_LIMIT || err->code == ERR_NOT_FOUND;
}

/* The result as text: handed over by the executor, else the result file, in `room`. */
static enum err_code find_result(const struct gathering *g, const struct exec_report *report,
				 struct buf *room, struct str *ret_text, bool *ret_found,
				 struct err *err)
{
	const struct limits *limits = g->engine->ports.limits;
	enum err_code code;

	if (!report->has_result) {
		code = rundir_result(g->engine->dir, g->def->id, g->attempt, limits, room,
				     ret_found, err);
		*ret_text = buf_view(room);
		return code;
	}
	if (report->result.len > limits->result_bytes)
		return err_set(err, ERR_LIMIT, "the result has %zu bytes, result_bytes allows %llu",
			       report->result.len, (unsigned long long)limits->result_bytes);
	*ret_found = report->result.len > 0;
	*ret_text = report->result;
	return ERR_OK;
}

static enum err_code read_result(struct gathering *g, const struct exec_report *report,
				 struct err *err)
{
	AUTO(buf_fini) struct buf room = BUF_INIT;
	AUTO(result_fini) struct result_file file;
	struct err own = ERR_INIT;
	struct str text;
	bool is_found = false;

	result_init(&file);
	if (find_result(g, report, &room, &text, &is_found, &own) == ERR_OK &&
	    (!is_found || result_parse(text, g->def, &file, &own) == ERR_OK)) {
		if (!g->result->is_ok) {
			take_own_words(g, &file);
			return ERR_OK;
		}
		if (file.error_class
			.len) { /* exit 0 with an error class: the strictest reading wins */
			fail(g, CLASS_UNKNOWN, STR("the result file gives an error class"));
			take_own_words(g, &file);
			return ERR_OK;
		}
		if (result_check_required(&file, g->def, &own) == ERR_OK)
			return keep_quality(g, &file.quality, err) == ERR_OK
				   ? keep_result(g, &file, err)
				   : err->code;
	}
	if (!is_steps_fault(&own)) {
		*err = own;
		return err->code;
	}
	if (g->result->is_ok)
		fail(g, CLASS_VALIDATION_FAILED, say(g, "%s", own.text));
	return ERR_OK;
}

/* The result file stays in the run directory, so a secret that the command wrote there is masked in
 * it. What is too large or no plain text to be masked goes. Doing it twice changes nothing: what is
 * recorded is masked in the same way. */
static enum err_code hide_secrets(const struct gathering *g, struct str stem, struct err *err)
{
	const struct rundir *dir = g->engine->dir;
	const struct vfs *vfs = g->engine->ports.vfs;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;
	struct str masked = STR_NONE;
	enum err_code code;
	bool is_found = false;
	char name[192];
	int out;

	if (!g->engine->secrets.masks_count)
		return ERR_OK;
	if (rundir_result(dir, stem, g->attempt, g->engine->ports.limits, &text, &is_found, &own) ==
	    ERR_OK) {
		masked = secrets_mask(&g->engine->secrets, &g->engine->tick, buf_view(&text));
		if (!masked.ptr)
			return mem_err(err);
		if (!is_found || str_eq(masked, buf_view(&text)))
			return ERR_OK;
	} else if (!is_steps_fault(&own)) {
		*err = own;
		return err->code;
	}
	if (vfs_open(vfs, rundir_fd(dir), "out", VFS_DIR, &out, err) != ERR_OK)
		return err->code;
	(void)snprintf(name, sizeof(name), "%.*s.%u.json", STR_ARG(stem), g->attempt);
	code = masked.ptr ? vfs_replace(vfs, out, name, masked.ptr, masked.len, err)
			  : vfs_unlink(vfs, out, name, err);
	vfs_close(vfs, out);
	return code;
}

/* ----------------------------------------------------------------------------- artifacts */

static enum err_code look_at_artifact(struct gathering *g, const struct artifact *def,
				      struct decide_artifact *artifact, struct err *err)
{
	struct err own = ERR_INIT;
	struct file_digest digest;
	char *path = NULL;

	artifact->name = def->name;
	artifact->path = def->path.text;
	if (prepare_path(g->engine, g->step, &def->path, true, &path, &own) == ERR_OK) {
		artifact->path = str_of(path);
		if (rundir_digest(path, true, &digest, &own) == ERR_OK) {
			artifact->sha256 = keep(g, str_of(digest.sha256));
			artifact->bytes = digest.bytes;
			return ERR_OK;
		}
	}
	if (own.code == ERR_IO || own.code == ERR_MEMORY || own.code == ERR_FULL) {
		*err = own;
		return err->code;
	}
	artifact->is_quarantined = true;
	artifact->reason = say(g, "%s", own.text);
	fail(g, CLASS_VALIDATION_FAILED,
	     say(g, "artifact '%.*s' is missing or unreadable", STR_ARG(def->name)));
	return ERR_OK;
}

/* One is missing: what else is there belongs to a failed attempt and is moved away. */
static enum err_code quarantine(struct gathering *g, struct decide_artifact *artifacts,
				struct err *err)
{
	for (uint32_t i = 0; i < g->def->artifacts_count; i++) {
		AUTO(mem_drop) char *path = NULL;

		if (artifacts[i].is_quarantined)
			continue;
		path = mem_text(artifacts[i].path.ptr, artifacts[i].path.len);
		if (!path)
			return mem_err(err);
		if (rundir_quarantine(g->engine->dir, path, g->def->id, g->attempt, err) != ERR_OK)
			return err_while(err, "quarantine '%s'", path);
		artifacts[i].is_quarantined = true;
		artifacts[i].reason = STR("another artifact of the attempt is missing");
	}
	return ERR_OK;
}

static enum err_code read_artifacts(struct gathering *g, struct err *err)
{
	uint32_t count = g->def->artifacts_count;
	struct decide_artifact *artifacts =
	    arena_new(&g->engine->tick, count + 1, sizeof(*artifacts));

	if (g->engine->ports.is_dry)
		return mocked_artifacts(g->engine, g->step, g->result, err);
	if (!artifacts)
		return mem_err(err);
	for (uint32_t i = 0; i < count; i++) {
		if (look_at_artifact(g, &g->def->artifacts[i], &artifacts[i], err) != ERR_OK)
			return err->code;
	}
	if (!g->result->is_ok && quarantine(g, artifacts, err) != ERR_OK)
		return err->code;
	g->result->artifacts = artifacts;
	g->result->artifacts_count = count;
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- gate */

static struct str evidence_of(struct gathering *g, const char *verdict)
{
	AUTO(buf_fini) struct buf evidence = BUF_INIT;
	struct str kept;

	buf_text(&evidence, "{\"pass\":");
	json_put_str(&evidence, g->def->pass);
	buf_fmt(&evidence, ",\"value\":%s", verdict);
	if (g->result->outputs.len && g->result->outputs.len <= 4096) {
		buf_text(&evidence, ",\"output\":");
		buf_str(&evidence, g->result->outputs);
	}
	buf_byte(&evidence, '}');
	kept = arena_str(&g->engine->tick, buf_view(&evidence));
	g->is_short = g->is_short || !kept.ptr || evidence.failed != ERR_OK;
	return kept;
}

static struct str gate_reason(struct gathering *g, struct expr *expr,
			      const struct expr_scope *scope)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;

	if (!g->def->reason.text.ptr)
		return say(g, "pass is false: %.*s", STR_ARG(g->def->pass));
	if (!g->def->reason.is_dynamic)
		return g->def->reason.text;
	if (expr_fill(expr, &g->def->reason, scope, &text, &own) != ERR_OK)
		return say(g, "pass is false, and its reason has an error: %s", own.text);
	return keep(g, buf_view(&text));
}

static enum err_code judge(struct gathering *g, struct err *err)
{
	struct str none = STR("{}");
	struct expr_scope scope;
	struct err own = ERR_INIT;
	struct expr *expr = NULL;
	bool is_passed = false;

	if (!g->def->pass.ptr)
		return ERR_OK;
	scope =
	    prepare_scope(g->engine, g->step, g->result->outputs.ptr ? g->result->outputs : none);
	scope.quality = g->result->quality;
	if (g->engine->ports.is_dry && mocked_is_open(g->engine, g->step, g->def->pass)) {
		mocked_verdict(g->result);
		return ERR_OK;
	}
	if (prepare_expr(g->engine, &expr, err) != ERR_OK)
		return err->code;
	g->result->verdict = VERDICT_FAILED;
	if (expr_eval_bool(expr, g->def->pass, &scope, &is_passed, &own) != ERR_OK) {
		if (own.code != ERR_INVALID) {
			*err = own;
			return err->code;
		}
		g->result->evidence = evidence_of(g, "null");
		g->result->verdict_reason = say(g, "pass: %s", own.text);
		return ERR_OK;
	}
	g->result->evidence = evidence_of(g, is_passed ? "true" : "false");
	if (is_passed)
		g->result->verdict = VERDICT_PASSED;
	else
		g->result->verdict_reason = gate_reason(g, expr, &scope);
	return ERR_OK;
}

static struct gathering gathering_of(struct engine *engine, uint32_t step,
				     struct decide_result *result)
{
	return (struct gathering){
	    .engine = engine,
	    .step = step,
	    .def = &engine->fold.model->steps[step],
	    .command = engine->fold.model->steps[step].command,
	    .attempt = engine->fold.state.steps[step].attempt,
	    .result = result,
	};
}

enum err_code harvest_verdict(struct engine *engine, uint32_t step, struct decide_result *result,
			      struct err *err)
{
	struct gathering g = gathering_of(engine, step, result);

	return judge(&g, err) == ERR_OK ? gathered(&g, err) : err->code;
}

enum err_code harvest(struct engine *engine, uint32_t step, const struct exec_report *report,
		      struct decide_result *ret_result, struct err *err)
{
	struct gathering g = gathering_of(engine, step, ret_result);

	*ret_result = (struct decide_result){.is_ok = true, .duration_ms = -1};
	read_end(&g, report);
	if (report->end != EXEC_END_SPAWN_FAILED && report->cause == EXEC_CAUSE_NONE &&
	    read_result(&g, report, err) != ERR_OK)
		return err->code;
	if (!report->has_result && hide_secrets(&g, g.def->id, err) != ERR_OK)
		return err_while(err, "mask a result file");
	if (ret_result->is_ok && read_artifacts(&g, err) != ERR_OK)
		return err->code;
	if ((ret_result->is_ok && judge(&g, err) != ERR_OK) || gathered(&g, err) != ERR_OK)
		return err->code;
	buf_clear(&engine->outputs_text);
	buf_clear(&engine->updates_text);
	if (ret_result->outputs_ref.len)
		buf_str(&engine->outputs_text, ret_result->outputs);
	if (ret_result->updates_ref.len)
		buf_str(&engine->updates_text, ret_result->updates);
	if (buf_check(&engine->outputs_text, "outputs", err) != ERR_OK)
		return err->code;
	return buf_check(&engine->updates_text, "context updates", err);
}

/* A result file that cannot be read makes no success a failure: nothing of it is used. */
static enum err_code read_undo_words(struct gathering *g, struct str stem, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(result_fini) struct result_file file;
	struct err own = ERR_INIT;
	bool is_found = false;

	result_init(&file);
	if (rundir_result(g->engine->dir, stem, g->attempt, g->engine->ports.limits, &text,
			  &is_found, &own) == ERR_OK &&
	    (!is_found || result_parse(buf_view(&text), g->def, &file, &own) == ERR_OK)) {
		if (g->result->is_ok && file.error_class.len)
			fail(g, CLASS_UNKNOWN, STR("the result file gives an error class"));
		if (!g->result->is_ok)
			take_own_words(g, &file);
		return ERR_OK;
	}
	if (is_steps_fault(&own))
		return ERR_OK;
	*err = own;
	return err->code;
}

enum err_code harvest_undo(struct engine *engine, const struct exec_report *report,
			   struct decide_result *ret_result, struct err *err)
{
	const struct undo_state *undo = &engine->fold.state.undo;
	struct gathering g = gathering_of(engine, undo->step, ret_result);
	char name[UNDO_NAME_BYTES];

	g.command = g.def->compensate;
	g.attempt = undo->attempt;
	undo_name(engine, undo->step, name);
	*ret_result = (struct decide_result){.is_ok = true, .duration_ms = -1};
	read_end(&g, report);
	if (report->end != EXEC_END_SPAWN_FAILED && report->cause == EXEC_CAUSE_NONE &&
	    read_undo_words(&g, str_of(name), err) != ERR_OK)
		return err->code;
	if (hide_secrets(&g, str_of(name), err) != ERR_OK)
		return err_while(err, "mask a result file");
	return gathered(&g, err);
}
