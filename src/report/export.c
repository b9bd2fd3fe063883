/* export.c - reading a run for export: its attempts, its waits. See export.h */
#include "report/export_intern.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define GATHER_BYTES ((size_t)65536)

void export_flush(struct exporter *exporter, bool is_end)
{
	struct buf *out = &exporter->out;

	if (!is_end && out->len < GATHER_BYTES)
		return;
	if (out->len > 0 && out->failed == ERR_OK && !exporter->is_over &&
	    !exporter->sink(exporter->sink_arg, out->ptr, out->len))
		exporter->is_over = true;
	if (out->failed == ERR_OK)
		buf_clear(out);
}

void export_list(struct exporter *exporter, const char *before)
{
	buf_text(&exporter->out, before);
	exporter->has_elements = false;
}

struct buf *export_element(struct exporter *exporter)
{
	buf_clear(&exporter->element);
	return &exporter->element;
}

/* Each element has a line of its own. */
void export_element_end(struct exporter *exporter)
{
	buf_text(&exporter->out, exporter->has_elements ? ",\n" : "\n");
	exporter->has_elements = true;
	if (exporter->element.failed != ERR_OK)
		exporter->out.failed = exporter->element.failed;
	buf_str(&exporter->out, buf_view(&exporter->element));
	export_flush(exporter, false);
}

/* ---- lanes */

struct lanes {
	bool *is_taken;
	size_t count, capacity;
};

/* The lowest lane that is free. */
static enum err_code lane_take(struct lanes *lanes, uint32_t *ret_lane, struct err *err)
{
	void *is_taken = lanes->is_taken;
	size_t at = 0;

	while (at < lanes->count && lanes->is_taken[at])
		at++;
	if (at == lanes->count) {
		if (mem_grow(&is_taken, &lanes->capacity, at + 1, sizeof(*lanes->is_taken), err) !=
		    ERR_OK)
			return err->code;
		lanes->is_taken = is_taken;
		lanes->count++;
	}
	lanes->is_taken[at] = true;
	*ret_lane = (uint32_t)at;
	return ERR_OK;
}

/* ---- the walk */

/* A step, as far as the log was read. */
struct walked {
	struct str id;
	bool is_running;
	bool is_undo;
	bool is_waiting;
	uint32_t attempt;
	uint32_t lane;
	uint32_t wait_lane;
	int64_t started_ms;
	int64_t wait_from_ms;
	struct str wait_reason;
};

struct walk {
	struct exporter *exporter;
	const struct export_visitor *visitor;
	struct arena arena;
	struct map by_id;
	struct walked *steps;
	size_t count, capacity;
	struct lanes slots;
	struct lanes waits;
	int64_t last_ms;
};

static void walk_fini(struct walk *walk)
{
	map_fini(&walk->by_id);
	mem_free(walk->steps);
	mem_free(walk->slots.is_taken);
	mem_free(walk->waits.is_taken);
	arena_fini(&walk->arena);
}

static enum err_code find(struct walk *walk, struct str id, struct walked **ret_step,
			  struct err *err)
{
	uint32_t at = map_get(&walk->by_id, id);
	void *steps = walk->steps;

	if (at == MAP_NONE) {
		if (mem_grow(&steps, &walk->capacity, walk->count + 1, sizeof(*walk->steps), err) !=
		    ERR_OK)
			return err->code;
		walk->steps = steps;
		id = arena_str(&walk->arena, id);
		if (!id.ptr)
			return mem_err(err);
		at = (uint32_t)walk->count;
		if (map_add(&walk->by_id, id, at, err) != ERR_OK)
			return err->code;
		walk->steps[walk->count++] = (struct walked){.id = id};
	}
	*ret_step = &walk->steps[at];
	return ERR_OK;
}

static void end_wait(struct walk *walk, struct walked *step, int64_t now_ms)
{
	const struct wait_row row = {.step_id = step->id,
				     .reason = step->wait_reason,
				     .from_ms = step->wait_from_ms,
				     .to_ms = now_ms,
				     .lane = step->wait_lane};

	if (!step->is_waiting)
		return;
	step->is_waiting = false;
	walk->waits.is_taken[step->wait_lane] = false;
	if (walk->visitor->wait)
		walk->visitor->wait(walk->exporter, &row);
	export_flush(walk->exporter, false);
}

static enum err_code begin_wait(struct walk *walk, struct walked *step, const struct event *event,
				struct err *err)
{
	struct str reason = event_text(event, EVENT_FIELD_REASON);

	end_wait(walk, step, event->time_utc_ms);
	if (event->type == EVENT_STEP_RETRIED)
		reason = STR("retry");
	step->wait_reason = arena_str(&walk->arena, reason.ptr ? reason : STR("waits"));
	if (!step->wait_reason.ptr)
		return mem_err(err);
	step->wait_from_ms = event->time_utc_ms;
	if (lane_take(&walk->waits, &step->wait_lane, err) != ERR_OK)
		return err->code;
	step->is_waiting = true;
	return ERR_OK;
}

/* `event` NULL: it did not end. */
static void end_attempt(struct walk *walk, struct walked *step, const char *state,
			const struct event *event)
{
	struct attempt_row row = {.step_id = step->id,
				  .attempt =
				      step->is_running || !event ? step->attempt : event->attempt,
				  .state = state,
				  .is_undo = step->is_undo,
				  .started_ms = step->is_running ? step->started_ms : 0,
				  .duration_ms = -1,
				  .exit_code = -1,
				  .lane = step->lane};

	if (event) {
		int64_t elapsed_ms = event->time_utc_ms - row.started_ms;

		if (row.started_ms == 0 || elapsed_ms < 0)
			elapsed_ms = 0; /* S7.6: a clock that went back */
		row.ended_ms = event->time_utc_ms;
		row.duration_ms = event_int(event, EVENT_FIELD_DURATION_MS, elapsed_ms);
		row.error_class = event_text(event, EVENT_FIELD_ERROR_CLASS);
		row.reason = event_text(event, EVENT_FIELD_REASON);
		row.outputs_hash = event_text(event, EVENT_FIELD_OUTPUTS_HASH);
		row.cached_from = event_text(event, EVENT_FIELD_CACHED_FROM);
		row.exit_code = event_int(event, EVENT_FIELD_EXIT_CODE, -1);
		row.signal = event_int(event, EVENT_FIELD_SIGNAL, 0);
	}
	if (step->is_running)
		walk->slots.is_taken[step->lane] = false;
	step->is_running = false;
	if (walk->visitor->attempt)
		walk->visitor->attempt(walk->exporter, &row);
	export_flush(walk->exporter, false);
}

static enum err_code begin_attempt(struct walk *walk, struct walked *step,
				   const struct event *event, struct err *err)
{
	end_wait(walk, step, event->time_utc_ms);
	if (step->is_running)
		end_attempt(walk, step, "interrupted", NULL);
	step->is_undo = event->type == EVENT_COMPENSATION_STARTED;
	step->attempt = event->attempt;
	step->started_ms = event->time_utc_ms;
	if (lane_take(&walk->slots, &step->lane, err) != ERR_OK)
		return err->code;
	step->is_running = true;
	return ERR_OK;
}

static enum err_code on_step(struct walk *walk, const struct event *event, struct err *err)
{
	struct walked *step = NULL;

	if (find(walk, event_text(event, EVENT_FIELD_STEP_ID), &step, err) != ERR_OK)
		return err->code;
	switch ((int)event->type) {
	case EVENT_STEP_STARTED:
		return begin_attempt(walk, step, event, err);
	case EVENT_STEP_RETRIED:
	case EVENT_STEP_WAITING:
		return begin_wait(walk, step, event, err);
	case EVENT_STEP_SKIPPED:
		end_wait(walk, step, event->time_utc_ms);
		break;
	case EVENT_STEP_SUCCEEDED:
		end_wait(walk, step, event->time_utc_ms);
		end_attempt(walk, step, "succeeded", event);
		break;
	case EVENT_STEP_FAILED:
		end_wait(walk, step, event->time_utc_ms);
		end_attempt(walk, step, "failed", event);
		break;
	case EVENT_STEP_LOST:
		end_attempt(walk, step, "lost", event);
		break;
	case EVENT_COMPENSATION_STARTED:
		return begin_attempt(walk, step, event, err);
	case EVENT_STEP_COMPENSATED:
		end_attempt(walk, step, "compensated", event);
		break;
	case EVENT_COMPENSATION_FAILED:
		end_attempt(walk, step, "compensation_failed", event);
		break;
	default:
		break;
	}
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct event *event, struct str line,
			      struct err *err)
{
	struct walk *walk = arg;

	walk->last_ms = event->time_utc_ms;
	if (walk->visitor->event)
		walk->visitor->event(walk->exporter, event, line);
	export_flush(walk->exporter, false);
	return event_is_about_step(event->type) ? on_step(walk, event, err) : ERR_OK;
}

enum err_code export_read(struct exporter *exporter, const struct export_visitor *visitor,
			  struct err *err)
{
	AUTO(walk_fini) struct walk walk = {.exporter = exporter, .visitor = visitor};
	struct log_reading reading;

	map_init(&walk.by_id, exporter->fold.state.seed);
	if (log_read(rundir_vfs(exporter->dir), rundir_fd(exporter->dir), exporter->limits,
		     exporter->fold.reading.head.offset_bytes, on_event, &walk, &reading,
		     err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < walk.count; i++) {
		end_wait(&walk, &walk.steps[i], walk.last_ms);
		if (walk.steps[i].is_running)
			end_attempt(&walk, &walk.steps[i], "running", NULL);
	}
	return buf_check(&exporter->out, "export", err);
}

/* ---- the export */

/* As recorded, else made of the run id. */
static void make_trace_id(struct exporter *exporter)
{
	struct str run_id = exporter->fold.state.run_id;
	struct str recorded = exporter->fold.state.trace_id;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];

	sha256_of(run_id.ptr, run_id.len, digest);
	sha256_hex(digest, hex);
	(void)snprintf(exporter->trace_id, sizeof(exporter->trace_id), "%.*s",
		       STR_ARG(recorded.ptr ? recorded : str_from(hex, 32)));
}

enum err_code export_run(const struct rundir *dir, const struct limits *limits,
			 enum export_format format, export_sink_fn *sink, void *arg,
			 struct log_reading *ret_reading, struct err *err)
{
	static enum err_code (*const forms[])(struct exporter *, struct err *) = {
	    [EXPORT_JSON] = export_json,
	    [EXPORT_CSV] = export_csv,
	    [EXPORT_CHROME_TRACE] = export_chrome_trace,
	    [EXPORT_OTLP] = export_otlp,
	};
	struct exporter exporter = {.dir = dir, .limits = limits, .sink = sink, .sink_arg = arg};
	enum err_code code;

	code = fold_read(dir, limits, NULL, NULL, &exporter.fold, err);
	if (code == ERR_OK) {
		make_trace_id(&exporter);
		code = forms[format](&exporter, err);
	}
	if (code == ERR_OK)
		code = buf_check(&exporter.out, "export", err);
	if (code == ERR_OK) {
		export_flush(&exporter, true);
		*ret_reading = exporter.fold.reading;
	}
	buf_fini(&exporter.out);
	buf_fini(&exporter.element);
	fold_fini(&exporter.fold);
	return code;
}
