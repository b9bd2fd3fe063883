/* history.c - the end of a run in runs.jsonl (S12). A projection: when it cannot be written the run
 * goes on, and an event says so. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "store/run_facts.h"
#include "store/runs_index.h"

static enum err_code append(const struct engine *engine, struct arena *arena, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	const struct model *model = run->model;
	struct str *executed = arena_new(arena, model->steps_count, sizeof(*executed));
	struct str *failed = arena_new(arena, model->steps_count, sizeof(*failed));
	struct run_record record = {
	    .run_id = run->run_id,
	    .started_ms = run->created_ms,
	    .ended_ms = run->changed_ms,
	    .result = result_of_outcome(run->outcome),
	    .stages_executed = executed,
	    .stages_failed = failed,
	    .pipeline = model->pipeline,
	    .outcome = str_of(outcome_name(run->outcome)),
	    .trigger = STR("manual"),
	};

	if (!executed || !failed)
		return mem_err(err);
	if (run->outcome != OUTCOME_SUCCESS)
		record.failure_reason = run->reason;
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (run->steps[i].attempts)
			executed[record.stages_executed_count++] = model->steps[i].id;
		if (run->steps[i].state == STEP_FAILED)
			failed[record.stages_failed_count++] = model->steps[i].id;
		record.retry_count += run->steps[i].retries;
	}
	return runs_index_append(engine->ports.vfs, engine->ports.home, &record, err);
}

enum err_code history_record(struct engine *engine, struct err *err)
{
	struct err own = ERR_INIT;
	struct input input = {.kind = INPUT_PROJECTION_FAILED, .text = STR("runs.jsonl")};

	if (!engine->fold.state.is_completed || engine->is_recorded || !engine->ports.home ||
	    engine->ports.is_dry)
		return ERR_OK;
	engine->is_recorded = true;
	if (append(engine, &engine->tick, &own) == ERR_OK)
		return ERR_OK;
	input.error = str_of(own.text);
	if (engine_feed(engine, &input, err) != ERR_OK)
		return err->code;
	return engine_commit(engine, err);
}
