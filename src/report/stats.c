/* stats.c - adding up. See stats.h */
#include "report/stats.h"

#include "base/mem.h"

#include <stdlib.h>

void stats_init(struct stats *stats, uint64_t seed)
{
	*stats = (struct stats){.since_ms = 0};
	map_init(&stats->pipelines_by_name, seed);
	map_init(&stats->steps_by_name, seed);
}

void stats_fini(struct stats *stats)
{
	for (size_t i = 0; i < stats->pipelines_count; i++)
		mem_free(stats->pipelines[i].durations.items);
	for (size_t i = 0; i < stats->steps_count; i++)
		mem_free(stats->steps[i].durations.items);
	mem_free(stats->pipelines);
	mem_free(stats->steps);
	map_fini(&stats->pipelines_by_name);
	map_fini(&stats->steps_by_name);
	arena_fini(&stats->arena);
	*stats = (struct stats){.since_ms = 0};
}

static enum err_code add_value(struct stats_values *values, int64_t value, struct err *err)
{
	void *items = values->items;

	if (mem_grow(&items, &values->capacity, values->count + 1, sizeof(*values->items), err) !=
	    ERR_OK)
		return err->code;
	values->items = items;
	values->items[values->count++] = value > 0 ? value : 0;
	values->is_sorted = false;
	return ERR_OK;
}

static enum err_code find_pipeline(struct stats *stats, struct str name, uint32_t *ret_at,
				   struct err *err)
{
	void *pipelines = stats->pipelines;
	uint32_t at = 0;

	if (!name.ptr)
		name = STR("");
	at = map_get(&stats->pipelines_by_name, name);
	if (at == MAP_NONE) {
		if (mem_grow(&pipelines, &stats->pipelines_capacity, stats->pipelines_count + 1,
			     sizeof(*stats->pipelines), err) != ERR_OK)
			return err->code;
		stats->pipelines = pipelines;
		name = arena_str(&stats->arena, name);
		if (!name.ptr)
			return mem_err(err);
		at = (uint32_t)stats->pipelines_count;
		if (map_add(&stats->pipelines_by_name, name, at, err) != ERR_OK)
			return err->code;
		stats->pipelines[stats->pipelines_count++] = (struct stats_pipeline){.name = name};
	}
	*ret_at = at;
	return ERR_OK;
}

static enum err_code find_step(struct stats *stats, uint32_t pipeline, struct str step_id,
			       uint32_t *ret_at, struct err *err)
{
	AUTO(buf_fini) struct buf name = BUF_INIT;
	void *steps = stats->steps;
	struct str key;
	uint32_t at = 0;

	buf_fmt(&name, "%u/", pipeline);
	buf_str(&name, step_id);
	if (buf_check(&name, "step", err) != ERR_OK)
		return err->code;
	at = map_get(&stats->steps_by_name, buf_view(&name));
	if (at == MAP_NONE) {
		if (mem_grow(&steps, &stats->steps_capacity, stats->steps_count + 1,
			     sizeof(*stats->steps), err) != ERR_OK)
			return err->code;
		stats->steps = steps;
		key = arena_str(&stats->arena, buf_view(&name));
		if (!key.ptr)
			return mem_err(err);
		at = (uint32_t)stats->steps_count;
		if (map_add(&stats->steps_by_name, key, at, err) != ERR_OK)
			return err->code;
		stats->steps[stats->steps_count++] = (struct stats_step_sum){
		    .pipeline = pipeline, .step_id = str_cut(key, key.len - step_id.len, key.len)};
	}
	*ret_at = at;
	return ERR_OK;
}

enum err_code stats_add_run(struct stats *stats, const struct stats_run *run, struct err *err)
{
	struct stats_pipeline *pipeline;
	uint32_t at = 0;

	if (find_pipeline(stats, run->pipeline, &at, err) != ERR_OK)
		return err->code;
	pipeline = &stats->pipelines[at];
	pipeline->retries += run->retries;
	pipeline->gate_failures += run->gate_failures;
	if (str_is(run->state, "corrupt"))
		pipeline->corrupt++;
	else if (!run->result.ptr)
		pipeline->unfinished++;
	else if (str_is(run->result, "success"))
		pipeline->success++;
	else if (str_is(run->result, "stopped"))
		pipeline->stopped++;
	else
		pipeline->failed++;
	if (str_is(run->outcome, "partial"))
		pipeline->partial++;
	if (str_is(run->outcome, "rolled_back"))
		pipeline->rolled_back++;
	if (!str_is(run->result, "success"))
		return ERR_OK;
	return add_value(&pipeline->durations, run->duration_ms, err);
}

enum err_code stats_add_step(struct stats *stats, struct str pipeline,
			     const struct stats_step *step, struct err *err)
{
	struct stats_step_sum *sum;
	uint32_t owner = 0;
	uint32_t at = 0;

	if (find_pipeline(stats, pipeline, &owner, err) != ERR_OK ||
	    find_step(stats, owner, step->step_id, &at, err) != ERR_OK)
		return err->code;
	sum = &stats->steps[at];
	if (step->position > sum->position)
		sum->position = step->position;
	sum->runs += step->attempts > 0;
	sum->attempts += step->attempts;
	sum->retries += step->retries;
	if (str_is(step->state, "succeeded"))
		sum->succeeded++;
	else if (str_is(step->state, "failed"))
		sum->failed++;
	else if (str_is(step->state, "skipped"))
		sum->skipped++;
	else if (str_is(step->state, "compensated"))
		sum->compensated++;
	if (!str_is(step->state, "succeeded") || step->is_cached)
		return ERR_OK;
	return add_value(&sum->durations, step->duration_ms, err);
}

enum err_code stats_add_class(struct stats *stats, struct str pipeline, struct str error_class,
			      bool is_retry, uint64_t count, struct err *err)
{
	struct stats_class **place;
	struct stats_class *class;
	uint32_t at = 0;

	if (find_pipeline(stats, pipeline, &at, err) != ERR_OK)
		return err->code;
	/* By name: logs and rows give them in orders of their own. */
	place = &stats->pipelines[at].classes;
	while (*place && str_cmp((*place)->name, error_class) < 0)
		place = &(*place)->next;
	class = *place;
	if (!class || !str_eq(class->name, error_class)) {
		class = arena_new(&stats->arena, 1, sizeof(*class));
		if (!class)
			return mem_err(err);
		class->name = arena_str(&stats->arena, error_class);
		if (!class->name.ptr)
			return mem_err(err);
		class->next = *place;
		*place = class;
	}
	*(is_retry ? &class->retries : &class->failures) += count;
	return ERR_OK;
}

static int by_value(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

int64_t stats_percentile(struct stats_values *values, unsigned percent)
{
	size_t rank;

	BUG_IF(percent < 1 || percent > 100);
	if (values->count == 0)
		return -1;
	if (!values->is_sorted)
		qsort(values->items, values->count, sizeof(*values->items), by_value);
	values->is_sorted = true;
	/* ceil(percent * count / 100) without a product that could overflow */
	rank = values->count / 100 * percent + (values->count % 100 * percent + 99) / 100;
	return values->items[rank - 1];
}
