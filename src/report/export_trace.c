/* export_trace.c - a run as a timeline: trace events for Perfetto and chrome://tracing, spans for
 * OTLP */
#include "base/hash.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/trace.h"
#include "report/export_intern.h"
#include "report/pretty.h"

#include <stdio.h>
#include <string.h>

#define US_PER_MS 1000

/* ---- trace events: the process of slots, and that of waits */

#define PROCESS_SLOTS 1
#define PROCESS_WAITS 2

/* Microseconds since the run began; a clock that went back cannot put anything before it (S7.6). */
static int64_t since_start_us(const struct exporter *exporter, int64_t utc_ms)
{
	int64_t ms = utc_ms - exporter->fold.state.created_ms;

	return ms > 0 ? ms * US_PER_MS : 0;
}

static void name_put(struct exporter *exporter, const char *kind, int process, uint32_t lane,
		     struct str name)
{
	struct buf *out = export_element(exporter);

	buf_byte(out, '{');
	field_str(out, "ph", STR("M"));
	field_str(out, "name", str_of(kind));
	field_i64(out, "pid", process);
	field_i64(out, "tid", (int64_t)lane + 1);
	field_open(out, "args", '{');
	field_str(out, "name", name);
	buf_text(out, "}}");
	export_element_end(exporter);
}

/* Name the lanes up to this one. */
static void name_lanes(struct exporter *exporter, int process, uint32_t *named, uint32_t lane)
{
	for (; *named <= lane; ++*named) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%s %u",
			       process == PROCESS_SLOTS ? "slot" : "waits", *named + 1);
		name_put(exporter, "thread_name", process, *named, str_of(name));
	}
}

/* Begin a slice; its args follow. */
static void slice_put(struct exporter *exporter, struct buf *out, struct str name,
		      const char *category, int process, uint32_t lane, int64_t from_ms,
		      int64_t to_ms)
{
	int64_t from_us = since_start_us(exporter, from_ms);
	int64_t to_us = since_start_us(exporter, to_ms);

	buf_byte(out, '{');
	field_str(out, "ph", STR("X"));
	field_str(out, "name", name);
	field_str(out, "cat", str_of(category));
	field_i64(out, "pid", process);
	field_i64(out, "tid", (int64_t)lane + 1);
	field_i64(out, "ts", from_us);
	field_i64(out, "dur", to_us > from_us ? to_us - from_us : 0);
	field_open(out, "args", '{');
}

static void trace_attempt(struct exporter *exporter, const struct attempt_row *row)
{
	int64_t end_ms = row->ended_ms ? row->ended_ms : exporter->fold.state.last_ms;
	struct buf *out;

	if (row->started_ms == 0)
		return; /* it took no slot: the gate's instant tells */
	name_lanes(exporter, PROCESS_SLOTS, &exporter->lanes_named, row->lane);
	out = export_element(exporter);
	slice_put(exporter, out, row->step_id, row->state, PROCESS_SLOTS, row->lane,
		  row->started_ms, end_ms);
	field_i64(out, "attempt", row->attempt);
	field_str(out, "state", str_of(row->state));
	if (row->error_class.ptr)
		field_str(out, "error_class", row->error_class);
	if (row->reason.ptr)
		field_str(out, "reason", row->reason);
	if (row->exit_code >= 0)
		field_i64(out, "exit_code", row->exit_code);
	if (row->cached_from.ptr)
		field_str(out, "cached_from", row->cached_from);
	buf_text(out, "}}");
	export_element_end(exporter);
}

static void trace_wait(struct exporter *exporter, const struct wait_row *row)
{
	struct buf *out;

	name_lanes(exporter, PROCESS_WAITS, &exporter->waits_named, row->lane);
	out = export_element(exporter);
	slice_put(exporter, out, row->step_id, str_is(row->reason, "retry") ? "retry" : "wait",
		  PROCESS_WAITS, row->lane, row->from_ms, row->to_ms);
	field_str(out, "reason", row->reason);
	buf_text(out, "}}");
	export_element_end(exporter);
}

/* Is the event a moment that a timeline should mark? */
static bool is_instant(enum event_type type)
{
	switch ((int)type) {
	case EVENT_GATE_PASSED:
	case EVENT_GATE_FAILED:
	case EVENT_GATE_APPROVED:
	case EVENT_GATE_REJECTED:
	case EVENT_RUN_RESUMED:
	case EVENT_RUN_STOP_REQUESTED:
	case EVENT_RUN_OVERRIDE_APPLIED:
	case EVENT_RUN_ROLLBACK_STARTED:
		return true;
	default:
		return false;
	}
}

static void trace_event(struct exporter *exporter, const struct event *event, struct str line)
{
	struct str step = event_text(event, EVENT_FIELD_STEP_ID);
	struct str reason = event_text(event, EVENT_FIELD_REASON);
	AUTO(buf_fini) struct buf name = BUF_INIT;
	struct buf *out;

	(void)line;
	if (!is_instant(event->type))
		return;
	buf_str(&name, event->type_text);
	if (step.ptr)
		buf_fmt(&name, " %.*s", STR_ARG(step));
	if (name.failed != ERR_OK)
		exporter->out.failed = name.failed;
	out = export_element(exporter);
	buf_byte(out, '{');
	field_str(out, "ph", STR("i"));
	field_str(out, "s", STR("p"));
	field_str(out, "name", buf_view(&name));
	field_str(out, "cat", STR("gate"));
	field_i64(out, "pid", PROCESS_SLOTS);
	field_i64(out, "tid", 1);
	field_i64(out, "ts", since_start_us(exporter, event->time_utc_ms));
	field_open(out, "args", '{');
	field_str(out, "actor", event->actor);
	if (reason.ptr)
		field_str(out, "reason", reason);
	buf_text(out, "}}");
	export_element_end(exporter);
}

enum err_code export_chrome_trace(struct exporter *exporter, struct err *err)
{
	static const struct export_visitor visitor = {
	    .attempt = trace_attempt, .wait = trace_wait, .event = trace_event};
	const struct run_state *run = &exporter->fold.state;

	buf_text(&exporter->out, "{\"displayTimeUnit\":\"ms\",\"otherData\":{");
	field_str(&exporter->out, "run_id", run->run_id);
	field_str(&exporter->out, "pipeline", exporter->fold.model->pipeline);
	field_str(&exporter->out, "state", str_of(run_state_name(run->state)));
	field_stamp(&exporter->out, "started_at", run->created_ms);
	export_list(exporter, "},\n\"traceEvents\":[");
	name_put(exporter, "process_name", PROCESS_SLOTS, 0, exporter->fold.model->pipeline);
	name_put(exporter, "process_name", PROCESS_WAITS, 0, STR("waiting"));
	if (export_read(exporter, &visitor, err) != ERR_OK)
		return err->code;
	buf_text(&exporter->out, "]}\n");
	return ERR_OK;
}

/* ---- OTLP: ids in hex, times in nanoseconds as texts, as its JSON mapping has them */

#define STATUS_UNSET 0
#define STATUS_OK    1
#define STATUS_ERROR 2
#define SPAN_HEX     16

/* The span of an attempt has the id that the command was given in TRACEPARENT
 * (engine/environment.c): what it records hangs below it. */
static void attempt_span(const struct attempt_row *row, char hex[SPAN_HEX + 1])
{
	uint64_t id = hash_text(row->attempt, row->step_id) | 1;

	if (row->is_undo)
		id = hash_text(id, STR("comp")) | 1;
	(void)snprintf(hex, SPAN_HEX + 1, "%016llx", (unsigned long long)id);
}

static void run_span(struct str run_id, char hex[SPAN_HEX + 1])
{
	uint8_t digest[SHA256_BYTES];
	char whole[SHA256_HEX_BYTES + 1];

	sha256_of(run_id.ptr, run_id.len, digest);
	sha256_hex(digest, whole);
	memcpy(hex, whole, SPAN_HEX);
	hex[SPAN_HEX] = '\0';
}

/* OTLP's fixed64 ends in the year 2554, stamps in 9999: what is later is said as the end of it. */
static void nano_put(struct buf *out, const char *name, int64_t utc_ms)
{
	static const uint64_t last_ms = UINT64_MAX / NS_PER_MS;
	uint64_t ms = utc_ms > 0 ? (uint64_t)utc_ms : 0;
	char number[24];

	(void)snprintf(number, sizeof(number), "%llu",
		       (unsigned long long)((ms < last_ms ? ms : last_ms) * NS_PER_MS));
	field_str(out, name, str_of(number));
}

static void attribute_str(struct buf *out, const char *key, struct str value)
{
	if (!value.ptr)
		return;
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "key", str_of(key));
	field_open(out, "value", '{');
	field_str(out, "stringValue", value);
	buf_text(out, "}}");
}

/* 64-bit integers are texts in OTLP's JSON. */
static void attribute_i64(struct buf *out, const char *key, int64_t value)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%lld", (long long)value);
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "key", str_of(key));
	field_open(out, "value", '{');
	field_str(out, "intValue", str_of(number));
	buf_text(out, "}}");
}

static void status_put(struct buf *out, int code, struct str message)
{
	field_open(out, "status", '{');
	field_i64(out, "code", code);
	if (code == STATUS_ERROR && message.ptr)
		field_str(out, "message", message);
	buf_byte(out, '}');
}

static int attempt_status(const char *state)
{
	if (strcmp(state, "running") == 0)
		return STATUS_UNSET;
	return strcmp(state, "succeeded") == 0 || strcmp(state, "compensated") == 0 ? STATUS_OK
										    : STATUS_ERROR;
}

static int run_status(const struct run_state *run)
{
	if (!run->is_completed)
		return STATUS_UNSET;
	return run->state == RUN_FAILED ? STATUS_ERROR : STATUS_OK;
}

/* Begin a span: ids, name, times. `step` NULL: the run itself. */
static void span_begin(struct exporter *exporter, struct buf *out, const struct attempt_row *row,
		       int64_t from_ms, int64_t to_ms)
{
	char own[SPAN_HEX + 1];
	char parent[SPAN_HEX + 1];
	struct trace_parent inbound;

	run_span(exporter->fold.state.run_id, parent);
	buf_byte(out, '{');
	field_str(out, "traceId", str_of(exporter->trace_id));
	if (row) {
		attempt_span(row, own);
		field_str(out, "spanId", str_of(own));
		field_str(out, "parentSpanId", str_of(parent));
		field_str(out, "name", row->step_id);
	} else {
		field_str(out, "spanId", str_of(parent));
		if (trace_parent_read(exporter->fold.state.traceparent, &inbound))
			field_str(out, "parentSpanId", inbound.span_id);
		field_str(out, "name", exporter->fold.model->pipeline);
	}
	field_i64(out, "kind", 1);
	nano_put(out, "startTimeUnixNano", from_ms);
	nano_put(out, "endTimeUnixNano", to_ms > from_ms ? to_ms : from_ms);
}

static void span_attempt(struct exporter *exporter, const struct attempt_row *row)
{
	int64_t to_ms = row->ended_ms ? row->ended_ms : exporter->fold.state.last_ms;
	struct buf *out = export_element(exporter);

	span_begin(exporter, out, row, row->started_ms ? row->started_ms : to_ms, to_ms);
	field_open(out, "attributes", '[');
	attribute_str(out, "sluice.step_id", row->step_id);
	attribute_i64(out, "sluice.attempt", row->attempt);
	attribute_str(out, "sluice.state", str_of(row->state));
	attribute_str(out, "error.type", row->error_class);
	attribute_str(out, "sluice.cached_from", row->cached_from);
	if (row->exit_code >= 0)
		attribute_i64(out, "process.exit.code", row->exit_code);
	buf_byte(out, ']');
	status_put(out, attempt_status(row->state), row->reason);
	buf_byte(out, '}');
	export_element_end(exporter);
}

static void span_event(struct exporter *exporter, const struct event *event, struct str line)
{
	struct buf *out;

	(void)line;
	if (!is_instant(event->type) && event->type != EVENT_STEP_RETRIED &&
	    event->type != EVENT_STEP_WAITING && event->type != EVENT_STEP_SKIPPED)
		return;
	out = export_element(exporter);
	buf_byte(out, '{');
	nano_put(out, "timeUnixNano", event->time_utc_ms);
	field_str(out, "name", event->type_text);
	field_open(out, "attributes", '[');
	attribute_str(out, "sluice.step_id", event_text(event, EVENT_FIELD_STEP_ID));
	attribute_str(out, "sluice.actor", event->actor);
	attribute_str(out, "sluice.reason", event_text(event, EVENT_FIELD_REASON));
	buf_text(out, "]}");
	export_element_end(exporter);
}

static void resource_put(struct exporter *exporter)
{
	struct buf *out = &exporter->out;

	buf_text(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	attribute_str(out, "service.name", STR("sluice"));
	attribute_str(out, "service.version", STR(SLUICE_VERSION));
	attribute_str(out, "sluice.pipeline", exporter->fold.model->pipeline);
	attribute_str(out, "sluice.run_id", exporter->fold.state.run_id);
	buf_text(out, "]},\"scopeSpans\":[{\"scope\":{");
	field_str(out, "name", STR("sluice"));
	field_str(out, "version", STR(SLUICE_VERSION));
	buf_text(out, "},\"spans\":[\n");
}

enum err_code export_otlp(struct exporter *exporter, struct err *err)
{
	static const struct export_visitor events = {.event = span_event};
	static const struct export_visitor attempts = {.attempt = span_attempt};
	const struct run_state *run = &exporter->fold.state;
	struct buf *out = &exporter->out;

	resource_put(exporter);
	span_begin(exporter, out, NULL, run->created_ms, run->last_ms);
	field_open(out, "attributes", '[');
	attribute_str(out, "sluice.state", str_of(run_state_name(run->state)));
	attribute_str(out, "sluice.definition_hash", run->definition_hash);
	buf_byte(out, ']');
	status_put(out, run_status(run), run->reason);
	export_list(exporter, ",\"events\":[");
	if (export_read(exporter, &events, err) != ERR_OK)
		return err->code;
	buf_text(out, "]}");
	exporter->has_elements = true; /* the root is the first span */
	if (export_read(exporter, &attempts, err) != ERR_OK)
		return err->code;
	buf_text(out, "]}]}]}\n");
	return ERR_OK;
}
