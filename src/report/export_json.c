/* export_json.c - a run as one JSON document, and its attempts as CSV */
#include "report/csv.h"
#include "report/export_intern.h"
#include "report/pretty.h"

static void run_put(struct exporter *exporter)
{
	const struct run_state *run = &exporter->fold.state;
	const struct model *model = exporter->fold.model;
	struct buf *out = &exporter->out;

	buf_text(out, "{\"run\":{");
	field_str(out, "run_id", run->run_id);
	field_str(out, "pipeline", model->pipeline);
	field_str(out, "version", model->version);
	field_str(out, "state", str_of(run_state_name(run->state)));
	field_str(out, "outcome",
		  run->is_completed ? str_of(outcome_name(run->outcome)) : STR_NONE);
	field_str(out, "reason", run->reason.len ? run->reason : STR_NONE);
	field_stamp(out, "started_at", run->created_ms);
	field_stamp(out, "ended_at", run->is_completed ? run->changed_ms : 0);
	field_known(out, "duration_ms", run->is_completed ? run->duration_ms : -1);
	field_i64(out, "warnings", run->warnings);
	field_str(out, "definition_hash", run->definition_hash);
	field_str(out, "trace_id", str_of(exporter->trace_id));
	field_str(out, "receipt", str_of(exporter->fold.reading.head.h));
	buf_byte(out, '}');
	field_open(out, "params", '{');
	for (uint32_t i = 0; i < model->params_count; i++) {
		/* arena texts end in NUL; a secret is {"secret":name} */
		if (run->params[i].ptr)
			field_raw(out, model->params[i].name.ptr, run->params[i]);
	}
	buf_byte(out, '}');
}

static void step_put(struct exporter *exporter, uint32_t at)
{
	const struct step *step = &exporter->fold.model->steps[at];
	const struct step_state *state = &exporter->fold.state.steps[at];
	struct buf *out = export_element(exporter);

	buf_byte(out, '{');
	field_str(out, "step_id", step->id);
	field_str(out, "state", str_of(step_state_name(state->state)));
	field_open(out, "needs", '[');
	for (uint32_t i = 0; i < step->needs_count; i++) {
		field_comma(out);
		buf_byte(out, '"');
		buf_str(out, exporter->fold.model->steps[step->needs[i]].id);
		buf_byte(out, '"');
	}
	buf_byte(out, ']');
	field_str(out, "gate",
		  step->gate == GATE_NONE ? STR_NONE : str_of(gate_kind_name(step->gate)));
	field_i64(out, "attempts", state->attempts);
	field_i64(out, "retries", state->retries);
	field_str(out, "error_class",
		  state->state == STEP_FAILED ? step_class_text(state) : STR_NONE);
	field_str(out, "skip_reason",
		  state->state == STEP_SKIPPED ? str_of(skip_reason_name(state->skip)) : STR_NONE);
	field_str(out, "reason", state->reason.len ? state->reason : STR_NONE);
	field_stamp(out, "started_at", state->started_ms);
	field_stamp(out, "ended_at", state->ended_ms);
	field_i64(out, "duration_ms", state->duration_ms);
	field_raw(out, "outputs", state->outputs);
	buf_byte(out, '}');
	export_element_end(exporter);
}

static void attempt_put(struct exporter *exporter, const struct attempt_row *row)
{
	struct buf *out = export_element(exporter);

	buf_byte(out, '{');
	field_str(out, "step_id", row->step_id);
	field_i64(out, "attempt", row->attempt);
	field_str(out, "state", str_of(row->state));
	field_stamp(out, "started_at", row->started_ms);
	field_stamp(out, "ended_at", row->ended_ms);
	field_known(out, "duration_ms", row->duration_ms);
	field_str(out, "error_class", row->error_class);
	field_str(out, "reason", row->reason);
	field_known(out, "exit_code", row->exit_code);
	field_known(out, "signal", row->signal > 0 ? row->signal : -1);
	field_str(out, "outputs_hash", row->outputs_hash);
	field_str(out, "cached_from", row->cached_from);
	field_i64(out, "slot", row->lane);
	buf_byte(out, '}');
	export_element_end(exporter);
}

static void event_put(struct exporter *exporter, const struct event *event, struct str line)
{
	(void)event;
	buf_str(export_element(exporter), line);
	export_element_end(exporter);
}

enum err_code export_json(struct exporter *exporter, struct err *err)
{
	static const struct export_visitor attempts = {.attempt = attempt_put};
	static const struct export_visitor events = {.event = event_put};

	run_put(exporter);
	export_list(exporter, ",\n\"steps\":[");
	for (uint32_t i = 0; i < exporter->fold.model->steps_count; i++)
		step_put(exporter, i);
	export_list(exporter, "],\n\"attempts\":[");
	if (export_read(exporter, &attempts, err) != ERR_OK)
		return err->code;
	export_list(exporter, "],\n\"events\":[");
	if (export_read(exporter, &events, err) != ERR_OK)
		return err->code;
	buf_text(&exporter->out, "]}\n");
	return ERR_OK;
}

/* ---- CSV */

static void attempt_row_put(struct exporter *exporter, const struct attempt_row *row)
{
	struct buf *out = &exporter->out;

	csv_cell(out, exporter->fold.state.run_id, ',');
	csv_cell(out, exporter->fold.model->pipeline, ',');
	csv_cell(out, row->step_id, ',');
	csv_number(out, row->attempt, ',');
	csv_cell(out, str_of(row->state), ',');
	csv_stamp(out, row->started_ms, ',');
	csv_stamp(out, row->ended_ms, ',');
	if (row->duration_ms >= 0)
		buf_i64(out, row->duration_ms);
	buf_byte(out, ',');
	csv_cell(out, row->error_class, ',');
	if (row->exit_code >= 0)
		buf_i64(out, row->exit_code);
	buf_byte(out, ',');
	if (row->signal > 0)
		buf_i64(out, row->signal);
	buf_byte(out, ',');
	csv_cell(out, row->outputs_hash, ',');
	csv_cell(out, row->cached_from, ',');
	csv_cell(out, row->reason, '\n');
}

enum err_code export_csv(struct exporter *exporter, struct err *err)
{
	static const struct export_visitor attempts = {.attempt = attempt_row_put};

	buf_text(&exporter->out,
		 "run_id,pipeline,step_id,attempt,state,started_at,ended_at,duration_ms,"
		 "error_class,exit_code,signal,outputs_hash,cached_from,reason\n");
	return export_read(exporter, &attempts, err);
}
