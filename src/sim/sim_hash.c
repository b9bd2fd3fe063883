/* sim_hash.c - see sim_hash.h */
#include "sim/sim_hash.h"

static void add_number(struct sha256 *sha, uint64_t number)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	sha256_add(sha, bytes, sizeof(bytes));
}

/* A text that is not there is another one than an empty text. */
static void add_text(struct sha256 *sha, struct str text)
{
	add_number(sha, text.ptr ? (uint64_t)text.len : UINT64_MAX);
	if (text.ptr)
		sha256_add(sha, text.ptr, text.len);
}

static void add_numbers(struct sha256 *sha, const uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_number(sha, numbers[i]);
}

#define ADD_NUMBERS(sha, ...) \
	add_numbers(sha, (const uint64_t[]){__VA_ARGS__}, \
		    sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void add_retry_due(struct sha256 *sha, const struct retry_due *due)
{
	ADD_NUMBERS(sha, (uint64_t)due->boot_ms, (uint64_t)due->delay_ms);
	add_text(sha, due->boot_id);
}

static void add_step(struct sha256 *sha, const struct step_state *at)
{
	ADD_NUMBERS(sha, at->state, at->skip, at->doom, at->class, at->doom_cause, at->attempt,
		    at->attempts, at->failures, at->losses, at->retries, at->warnings, at->unmet,
		    at->any_unresolved, at->any_succeeded, at->is_final, at->is_retry,
		    at->is_approved, at->is_rejected, at->is_held, at->is_gate_failed,
		    at->is_gate_recorded, at->is_quality_warned, at->is_waived,
		    at->is_override_open, at->is_excluded, at->is_given, at->is_overridden,
		    at->is_stillborn, (uint64_t)at->started_ms, (uint64_t)at->ended_ms,
		    (uint64_t)at->duration_ms, (uint64_t)at->due_ms);
	add_retry_due(sha, &at->retry_due);
	add_text(sha, at->class_text);
	add_text(sha, at->boot_id);
	add_text(sha, at->reason);
	add_text(sha, at->outputs);
	add_text(sha, at->cached_from);
	add_text(sha, at->quality);
	for (const struct approver *approver = at->approvers; approver; approver = approver->next)
		add_text(sha, approver->name);
}

static void add_undo(struct sha256 *sha, const struct undo_state *undo)
{
	ADD_NUMBERS(sha, undo->is_wanted, undo->is_begun, undo->is_active, undo->is_running,
		    undo->is_retry, undo->is_failed, undo->step, undo->attempt, undo->failures,
		    undo->left, (uint64_t)undo->started_ms, (uint64_t)undo->due_ms, undo->class);
	add_retry_due(sha, &undo->retry_due);
	add_text(sha, undo->boot_id);
	add_text(sha, undo->class_text);
	add_text(sha, undo->reason);
}

static void add_lists(struct sha256 *sha, const struct run_state *run)
{
	ADD_NUMBERS(sha, run->model->steps_count, run->model->params_count, run->updates_count,
		    run->artifacts_count, run->retired_count);
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		add_text(sha, run->model->steps[i].id);
		add_step(sha, &run->steps[i]);
	}
	for (uint32_t i = 0; i < run->model->params_count; i++)
		add_text(sha, run->params[i]);
	for (size_t i = 0; i < run->updates_count; i++) {
		add_text(sha, run->updates[i].name);
		add_text(sha, run->updates[i].value);
	}
	for (size_t i = 0; i < run->artifacts_count; i++) {
		add_number(sha, run->artifacts[i].step);
		add_text(sha, run->artifacts[i].path);
		add_text(sha, run->artifacts[i].sha256);
	}
	for (size_t i = 0; i < run->retired_count; i++) {
		ADD_NUMBERS(sha, run->retired[i].attempt, run->retired[i].attempts);
		add_text(sha, run->retired[i].id);
	}
	for (size_t i = 0; i < sizeof(run->count) / sizeof(run->count[0]); i++)
		add_number(sha, run->count[i]);
}

static void add_texts(struct sha256 *sha, const struct run_state *run)
{
	const struct str texts[] = {
	    run->run_id,          run->reason,        run->sync,
	    run->partition,       run->key,           run->selection,
	    run->given,           run->trace_id,      run->traceparent,
	    run->boot_id,         run->source_ref,    run->file,
	    run->definition_hash, run->override_hash,
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		add_text(sha, texts[i]);
}

void sim_hash_state(const struct run_state *run, uint8_t digest[SHA256_BYTES])
{
	struct sha256 sha;

	sha256_start(&sha);
	ADD_NUMBERS(&sha, run->state, run->outcome, run->seq, run->epoch, run->seed,
		    (uint64_t)run->created_ms, (uint64_t)run->changed_ms, (uint64_t)run->last_ms,
		    run->last_step, (uint64_t)run->duration_ms, run->is_completed, run->is_resumed,
		    run->is_dry, run->is_resuming, run->is_stopping, run->is_stop_now,
		    run->is_stop_late, run->is_failing, run->failing_step, run->warnings,
		    run->gates_barred, run->waived, run->overridden, run->overrides_open, run->held,
		    run->retries_due);
	add_texts(&sha, run);
	add_undo(&sha, &run->undo);
	add_lists(&sha, run);
	sha256_end(&sha, digest);
}
