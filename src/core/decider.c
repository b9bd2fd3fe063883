/* decider.c - what the decisions keep in mind beside the state, and how their events begin.
 *
 * The steps to be looked at and the ones that are ready are sets of bits in two levels: the least
 * of a million steps is found in a few words. */
#include "core/decide_intern.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err_code set_init(struct decide_set *set, uint32_t steps, struct err *err)
{
	uint32_t words = steps / 64 + 1;

	*set = (struct decide_set){.groups_count = words / 64 + 1};
	set->words = mem_new(words, sizeof(*set->words));
	set->groups = mem_new(set->groups_count, sizeof(*set->groups));
	return set->words && set->groups ? ERR_OK : mem_err(err);
}

static void set_fini(struct decide_set *set)
{
	mem_free(set->words);
	mem_free(set->groups);
}

void decide_set_push(struct decide_set *set, uint32_t step)
{
	uint64_t bit = UINT64_C(1) << step % 64;

	if (set->words[step / 64] & bit)
		return;
	set->words[step / 64] |= bit;
	set->groups[step / 4096] |= UINT64_C(1) << step / 64 % 64;
	if (step / 4096 < set->first_group)
		set->first_group = step / 4096;
	set->count++;
}

/* Remove the least. */
uint32_t decide_set_pop(struct decide_set *set)
{
	uint32_t group = set->first_group;
	uint32_t word;
	uint32_t step;

	BUG_IF(set->count == 0);
	while (!set->groups[group])
		group++;
	set->first_group = group;
	word = group * 64 + (uint32_t)__builtin_ctzll(set->groups[group]);
	step = word * 64 + (uint32_t)__builtin_ctzll(set->words[word]);
	set->words[word] &= set->words[word] - 1;
	if (!set->words[word])
		set->groups[group] &= set->groups[group] - 1;
	set->count--;
	return step;
}

void decide_set_clear(struct decide_set *set)
{
	while (set->count)
		(void)decide_set_pop(set);
}

bool decide_set_has(const struct decide_set *set, uint32_t step)
{
	return set->words[step / 64] >> step % 64 & 1;
}

struct ranked {
	int32_t priority;
	uint32_t step;
};

static int ranked_cmp(const void *a, const void *b)
{
	const struct ranked *left = a;
	const struct ranked *right = b;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	/* not reached: the later one first, as the list begins in this order and merges keep it */
	return left->step < right->step ? -1 : left->step > right->step;
}

/* In which order ready steps get a slot: no matter when each became ready. */
static enum err_code ranks_init(struct decider *decider, const struct model *model, struct err *err)
{
	AUTO(mem_drop) struct ranked *list = mem_new(model->steps_count, sizeof(*list));

	decider->rank = mem_new(model->steps_count, sizeof(*decider->rank));
	decider->by_rank = mem_new(model->steps_count, sizeof(*decider->by_rank));
	decider->scratch = mem_new(model->steps_count, sizeof(*decider->scratch));
	if (!list || !decider->rank || !decider->by_rank || !decider->scratch)
		return mem_err(err);
	for (uint32_t i = 0; i < model->steps_count; i++)
		list[i] = (struct ranked){model->steps[i].priority, i};
	qsort(list, model->steps_count, sizeof(*list), ranked_cmp);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		decider->rank[list[i].step] = i;
		decider->by_rank[i] = list[i].step;
	}
	return ERR_OK;
}

void decider_ready_push(struct decider *decider, uint32_t step)
{
	decide_set_push(&decider->ready, decider->rank[step]);
}

uint32_t decider_ready_pop(struct decider *decider)
{
	return decider->by_rank[decide_set_pop(&decider->ready)];
}

enum err_code decider_init(struct decider *decider, const struct run_state *run, struct err *err)
{
	uint32_t steps = run->model->steps_count;

	*decider = (struct decider){.run = run};
	decider->phase = mem_new(steps, 1);
	decider->marks = mem_new(steps, 1);
	if (!decider->phase || !decider->marks || set_init(&decider->look, steps, err) != ERR_OK ||
	    set_init(&decider->ready, steps, err) != ERR_OK ||
	    ranks_init(decider, run->model, err) != ERR_OK) {
		decider_fini(decider);
		return mem_err(err);
	}
	decider_rebuild(decider);
	return ERR_OK;
}

void decider_fini(struct decider *decider)
{
	mem_free(decider->phase);
	mem_free(decider->marks);
	set_fini(&decider->look);
	set_fini(&decider->ready);
	mem_free(decider->rank);
	mem_free(decider->by_rank);
	mem_free(decider->scratch);
	arena_fini(&decider->texts);
	*decider = (struct decider){.run = NULL};
}

/* Has a person decided, and nothing followed from it yet? */
static bool has_decision(const struct step_state *step)
{
	if (step->state == STEP_WAITING)
		return step->is_approved || step->is_rejected;
	return step->is_held && step->is_approved;
}

/* Can it go on without a person? Asked when a run that is blocked is taken over: what ended its
 * block may have left no other trace than what follows from it. */
static bool goes_on(const struct run_state *run, uint32_t index)
{
	const struct step_state *step = &run->steps[index];

	return has_decision(step) ||
	       (step->state == STEP_FAILED && !step->is_final && !step->is_held) ||
	       (step->state == STEP_PENDING && (step_is_doomed(run, index) || step_is_ready(step)));
}

void decider_rebuild(struct decider *decider)
{
	const struct run_state *run = decider->run;
	uint32_t steps = run->model->steps_count;

	decide_set_clear(&decider->look);
	decide_set_clear(&decider->ready);
	memset(decider->phase, PHASE_IDLE, steps);
	decider->asked = 0;
	decider->preparing = 0;
	decider->stuck = 0;
	decider->sweep = 0;
	decider->is_swept_marked = false;
	decider->is_undo_due = false;
	decider->is_undo_stuck = false;
	decider->is_unblocked = run->count[STEP_RUNNING] > 0 || run->is_failing ||
				run->count[STEP_WAITING] + run->held == 0;
	for (uint32_t i = 0; i < steps; i++) {
		decide_set_push(&decider->look, i);
		if (goes_on(run, i))
			decider->is_unblocked = true;
	}
}

enum err_code decider_renew(struct decider *decider, struct err *err)
{
	const struct run_state *run = decider->run;
	struct arena texts = decider->texts;

	decider->texts = (struct arena)ARENA_INIT;
	decider_fini(decider);
	if (decider_init(decider, run, err) != ERR_OK) {
		arena_fini(&texts);
		return err->code;
	}
	decider->texts = texts;
	return ERR_OK;
}

void decider_forget(struct decider *decider)
{
	arena_clear(&decider->texts);
}

void decider_set_phase(struct decider *decider, uint32_t step, enum decide_phase phase)
{
	enum decide_phase old = decider->phase[step];

	decider->asked = decider->asked - (old == PHASE_ASKED) + (phase == PHASE_ASKED);
	decider->preparing =
	    decider->preparing - (old == PHASE_PREPARING) + (phase == PHASE_PREPARING);
	decider->stuck = decider->stuck - (old == PHASE_STUCK) + (phase == PHASE_STUCK);
	decider->phase[step] = (uint8_t)phase;
}

void decider_observe(struct decider *decider, const struct event *event)
{
	const struct run_state *run = decider->run;
	const struct model *model = run->model;
	uint32_t step = run->last_step;

	if (event->type == EVENT_COMPENSATION_STARTED)
		decider->is_undo_due = false;
	if (event->type == EVENT_COMPENSATION_FAILED || event->type == EVENT_STEP_COMPENSATED)
		decider->is_undo_stuck = false;
	if (event->type == EVENT_RUN_RESUMED) {
		decider_rebuild(decider);
		return;
	}
	if (step == STEP_NONE)
		return;
	if (has_decision(&run->steps[step]) || event->type == EVENT_GATE_REJECTED)
		decider->is_unblocked = true;
	switch (run->steps[step].state) {
	case STEP_RUNNING:
	case STEP_SUCCEEDED:
	case STEP_FAILED:
	case STEP_SKIPPED:
	case STEP_COMPENSATED:
		decider_set_phase(decider, step, PHASE_IDLE);
		break;
	case STEP_PENDING:
	case STEP_WAITING:
		break;
	}
	decide_set_push(&decider->look, step);
	if (!step_is_resolved(&run->steps[step]))
		return;
	for (uint32_t d = model->dependents_at[step]; d < model->dependents_at[step + 1]; d++)
		decide_set_push(&decider->look, model->dependents[d]);
}

/* Text of an event, kept until decider_forget. A cut one when memory is short: it is only words. */
struct str decider_say(struct decider *decider, const char *format, ...)
{
	char text[512];
	va_list args;
	struct str kept;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kept = arena_str(&decider->texts, str_of(text));
	return kept.ptr ? kept : STR("(memory is short)");
}

struct event *decider_event(const struct decider *decider, struct event *event,
			    enum event_type type, int64_t now_ms)
{
	event_init(event, type);
	/* A clock that was set back never makes a negative duration (S7.6). */
	event->time_utc_ms = now_ms > decider->run->last_ms ? now_ms : decider->run->last_ms;
	return event;
}

struct event *decider_step_event(const struct decider *decider, struct event *event,
				 enum event_type type, uint32_t step, int64_t now_ms)
{
	decider_event(decider, event, type, now_ms);
	event_put_text(event, EVENT_FIELD_STEP_ID, decider->run->model->steps[step].id);
	event->attempt = decider->run->steps[step].attempt;
	return event;
}

void decider_stillborn_event(const struct decider *decider, struct event *event, uint32_t step,
			     int64_t now_ms)
{
	const struct step_state *at = &decider->run->steps[step];

	decider_step_event(decider, event, EVENT_STEP_FAILED, step, now_ms);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, step_class_text(at));
	event_put_text(event, EVENT_FIELD_REASON, at->reason.len ? at->reason : STR("Step failed"));
}

void decide_put_run_state(struct event *event, enum event_field field, enum run_state_id state)
{
	event_put_text(event, field, str_of(run_state_name(state)));
}

void decide_change_state(struct decider *decider, struct event *event, enum run_state_id to,
			 struct str reason, int64_t now_ms)
{
	decider_event(decider, event, EVENT_RUN_STATE_CHANGED, now_ms);
	decide_put_run_state(event, EVENT_FIELD_PREVIOUS_STATE, decider->run->state);
	decide_put_run_state(event, EVENT_FIELD_NEW_STATE, to);
	if (reason.len)
		event_put_text(event, EVENT_FIELD_REASON, reason);
}

uint32_t decider_next_attempt(const struct step_state *step)
{
	return step->attempts && !step->is_retry ? step->attempt + 1 : step->attempt;
}
