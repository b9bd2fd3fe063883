/* stats_out.c - the forms of stats.h */
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/csv.h"
#include "report/grid.h"
#include "report/pretty.h"
#include "report/stats.h"

#include <stdlib.h>

#define SLOWEST_SHOWN 10

/* ---- order */

static int by_name(const void *a, const void *b)
{
	return str_cmp((*(struct stats_pipeline *const *)a)->name,
		       (*(struct stats_pipeline *const *)b)->name);
}

static int by_place(const void *a, const void *b)
{
	const struct stats_step_sum *left = *(struct stats_step_sum *const *)a;
	const struct stats_step_sum *right = *(struct stats_step_sum *const *)b;

	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	return str_cmp(left->step_id, right->step_id);
}

/* By the time that 95 of 100 keep to; the sort of each has been made. */
static int by_slowness(const void *a, const void *b)
{
	struct stats_step_sum *left = *(struct stats_step_sum *const *)a;
	struct stats_step_sum *right = *(struct stats_step_sum *const *)b;
	int64_t left_ms = stats_percentile(&left->durations, 95);
	int64_t right_ms = stats_percentile(&right->durations, 95);

	if (left_ms != right_ms)
		return left_ms < right_ms ? 1 : -1;
	if (left->pipeline != right->pipeline)
		return left->pipeline < right->pipeline ? -1 : 1;
	return str_cmp(left->step_id, right->step_id);
}

/* Pointers into the sums, in the order that answers have them. */
struct sorted {
	struct stats_pipeline **pipelines;
	struct stats_step_sum **steps; /* all, by place */
	struct stats_step_sum **slowest;
	size_t slowest_count;
};

static void sorted_fini(struct sorted *sorted)
{
	mem_free(sorted->pipelines);
	mem_free(sorted->steps);
	mem_free(sorted->slowest);
}

/* False when memory is short: then `out` says so. */
static bool sort_all(struct stats *stats, struct sorted *sorted, struct buf *out)
{
	sorted->pipelines = mem_new(stats->pipelines_count + 1, sizeof(*sorted->pipelines));
	sorted->steps = mem_new(stats->steps_count + 1, sizeof(*sorted->steps));
	sorted->slowest = mem_new(stats->steps_count + 1, sizeof(*sorted->slowest));
	if (!sorted->pipelines || !sorted->steps || !sorted->slowest) {
		out->failed = ERR_MEMORY;
		return false;
	}
	for (size_t i = 0; i < stats->pipelines_count; i++)
		sorted->pipelines[i] = &stats->pipelines[i];
	for (size_t i = 0; i < stats->steps_count; i++) {
		sorted->steps[i] = &stats->steps[i];
		if (stats->steps[i].durations.count > 0)
			sorted->slowest[sorted->slowest_count++] = &stats->steps[i];
	}
	qsort(sorted->pipelines, stats->pipelines_count, sizeof(*sorted->pipelines), by_name);
	qsort(sorted->steps, stats->steps_count, sizeof(*sorted->steps), by_place);
	qsort(sorted->slowest, sorted->slowest_count, sizeof(*sorted->slowest), by_slowness);
	if (sorted->slowest_count > SLOWEST_SHOWN)
		sorted->slowest_count = SLOWEST_SHOWN;
	return true;
}

static bool is_of(const struct stats *stats, const struct stats_step_sum *step,
		  const struct stats_pipeline *pipeline)
{
	return &stats->pipelines[step->pipeline] == pipeline;
}

static uint64_t runs_of(const struct stats_pipeline *pipeline)
{
	return pipeline->success + pipeline->failed + pipeline->stopped + pipeline->unfinished +
	       pipeline->corrupt;
}

/* In parts of a thousand; -1 when no run has succeeded or failed. */
static int64_t rate_of(const struct stats_pipeline *pipeline)
{
	uint64_t decided = pipeline->success + pipeline->failed;

	return decided ? (int64_t)(pipeline->success * 1000 / decided) : -1;
}

static int64_t sum_of(const struct stats_values *values)
{
	int64_t sum = 0;

	for (size_t i = 0; i < values->count; i++)
		sum = time_after(sum, values->items[i]);
	return sum;
}

/* ---- for people */

static void grid_pipeline(struct grid *grid, struct stats_pipeline *pipeline)
{
	AUTO(buf_fini) struct buf rate = BUF_INIT;
	int64_t parts = rate_of(pipeline);

	if (parts < 0)
		buf_byte(&rate, '-');
	else
		buf_fmt(&rate, "%lld.%lld%%", (long long)parts / 10, (long long)parts % 10);
	grid_cell(grid, pipeline->name.len ? pipeline->name : STR("(unknown)"));
	grid_number(grid, runs_of(pipeline));
	grid_number(grid, pipeline->success);
	grid_number(grid, pipeline->failed);
	grid_number(grid, pipeline->stopped);
	grid_number(grid, pipeline->unfinished + pipeline->corrupt);
	buf_needs(&grid->text, &rate);
	grid_cell(grid, buf_view(&rate));
	grid_time(grid, stats_percentile(&pipeline->durations, 50));
	grid_time(grid, stats_percentile(&pipeline->durations, 95));
	grid_number(grid, pipeline->retries);
}

static void classes_line(const struct stats_pipeline *pipeline, struct buf *out)
{
	const char *before = "Failures: ";

	for (const struct stats_class *class = pipeline->classes; class; class = class->next) {
		if (class->failures == 0)
			continue;
		buf_fmt(out, "%s%.*s %llu", before, STR_ARG(class->name),
			(unsigned long long)class->failures);
		before = ", ";
	}
	if (before[0] == ',')
		buf_byte(out, '\n');
}

static void steps_table(const struct stats *stats, const struct sorted *sorted, struct buf *out)
{
	static const char *const words[] = {"STEP",    "RUNS", "SUCCESS", "FAILED", "SKIPPED",
					    "RETRIES", "P50",  "P95",     NULL};
	AUTO(grid_fini) struct grid grid = {.columns = 0};

	grid_words(&grid, words);
	for (size_t i = 0; i < stats->steps_count; i++) {
		struct stats_step_sum *step = sorted->steps[i];

		grid_cell(&grid, step->step_id);
		grid_number(&grid, step->runs);
		grid_number(&grid, step->succeeded);
		grid_number(&grid, step->failed);
		grid_number(&grid, step->skipped);
		grid_number(&grid, step->retries);
		grid_time(&grid, stats_percentile(&step->durations, 50));
		grid_time(&grid, stats_percentile(&step->durations, 95));
	}
	buf_byte(out, '\n');
	grid_put(&grid, out);
}

static void slowest_table(const struct stats *stats, const struct sorted *sorted, struct buf *out)
{
	static const char *const words[] = {"SLOWEST STEPS", "PIPELINE", "RUNS",
					    "P50",           "P95",      NULL};
	AUTO(grid_fini) struct grid grid = {.columns = 0};

	grid_words(&grid, words);
	for (size_t i = 0; i < sorted->slowest_count; i++) {
		struct stats_step_sum *step = sorted->slowest[i];

		grid_cell(&grid, step->step_id);
		grid_cell(&grid, stats->pipelines[step->pipeline].name);
		grid_number(&grid, step->runs);
		grid_time(&grid, stats_percentile(&step->durations, 50));
		grid_time(&grid, stats_percentile(&step->durations, 95));
	}
	buf_byte(out, '\n');
	grid_put(&grid, out);
}

void stats_text(struct stats *stats, struct buf *out)
{
	static const char *const words[] = {"PIPELINE", "RUNS",    "SUCCESS", "FAILED",
					    "STOPPED",  "OPEN",    "RATE",    "P50",
					    "P95",      "RETRIES", NULL};
	AUTO(sorted_fini) struct sorted sorted = {.slowest_count = 0};
	AUTO(grid_fini) struct grid grid = {.columns = 0};

	if (!sort_all(stats, &sorted, out))
		return;
	grid_words(&grid, words);
	for (size_t i = 0; i < stats->pipelines_count; i++)
		grid_pipeline(&grid, sorted.pipelines[i]);
	grid_put(&grid, out);
	if (stats->pipelines_count == 1) {
		classes_line(sorted.pipelines[0], out);
		if (stats->steps_count > 0)
			steps_table(stats, &sorted, out);
	} else if (sorted.slowest_count > 0) {
		slowest_table(stats, &sorted, out);
	}
}

/* ---- JSON */

static void values_member(struct buf *out, struct stats_values *values)
{
	field_open(out, "duration_ms", '{');
	field_i64(out, "count", (int64_t)values->count);
	field_known(out, "p50", stats_percentile(values, 50));
	field_known(out, "p95", stats_percentile(values, 95));
	field_known(out, "min", values->count ? values->items[0] : -1);
	field_known(out, "max", values->count ? values->items[values->count - 1] : -1);
	field_i64(out, "sum", sum_of(values));
	buf_byte(out, '}');
}

static void step_put(struct buf *out, struct stats_step_sum *step, struct str pipeline)
{
	field_comma(out);
	buf_byte(out, '{');
	if (pipeline.ptr)
		field_str(out, "pipeline", pipeline);
	field_str(out, "step_id", step->step_id);
	field_i64(out, "runs", (int64_t)step->runs);
	field_i64(out, "succeeded", (int64_t)step->succeeded);
	field_i64(out, "failed", (int64_t)step->failed);
	field_i64(out, "skipped", (int64_t)step->skipped);
	field_i64(out, "compensated", (int64_t)step->compensated);
	field_i64(out, "attempts", (int64_t)step->attempts);
	field_i64(out, "retries", (int64_t)step->retries);
	values_member(out, &step->durations);
	buf_byte(out, '}');
}

static void classes_member(struct buf *out, const char *name, const struct stats_class *class,
			   bool are_retries)
{
	field_open(out, name, '{');
	for (; class; class = class->next) {
		uint64_t count = are_retries ? class->retries : class->failures;

		/* The names are ours, or texts of a log: arena_str ended them with a NUL. */
		if (count > 0)
			field_i64(out, class->name.ptr, (int64_t)count);
	}
	buf_byte(out, '}');
}

static void pipeline_put(struct buf *out, const struct stats *stats, const struct sorted *sorted,
			 struct stats_pipeline *pipeline)
{
	int64_t parts = rate_of(pipeline);

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "pipeline", pipeline->name.len ? pipeline->name : STR_NONE);
	field_open(out, "runs", '{');
	field_i64(out, "total", (int64_t)runs_of(pipeline));
	field_i64(out, "success", (int64_t)pipeline->success);
	field_i64(out, "failed", (int64_t)pipeline->failed);
	field_i64(out, "stopped", (int64_t)pipeline->stopped);
	field_i64(out, "partial", (int64_t)pipeline->partial);
	field_i64(out, "rolled_back", (int64_t)pipeline->rolled_back);
	field_i64(out, "unfinished", (int64_t)pipeline->unfinished);
	field_i64(out, "corrupt", (int64_t)pipeline->corrupt);
	buf_byte(out, '}');
	if (parts < 0) {
		field_null(out, "success_rate");
	} else {
		field_raw(out, "success_rate", STR(""));
		buf_fmt(out, "%lld.%03lld", (long long)parts / 1000, (long long)parts % 1000);
	}
	values_member(out, &pipeline->durations);
	field_i64(out, "retries", (int64_t)pipeline->retries);
	field_i64(out, "gate_failures", (int64_t)pipeline->gate_failures);
	classes_member(out, "failures_by_class", pipeline->classes, false);
	classes_member(out, "retries_by_class", pipeline->classes, true);
	field_open(out, "steps", '[');
	for (size_t i = 0; i < stats->steps_count; i++) {
		if (is_of(stats, sorted->steps[i], pipeline))
			step_put(out, sorted->steps[i], STR_NONE);
	}
	buf_text(out, "]}");
}

void stats_json(struct stats *stats, struct buf *out)
{
	AUTO(sorted_fini) struct sorted sorted = {.slowest_count = 0};
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (!sort_all(stats, &sorted, out))
		return;
	buf_byte(&json, '{');
	field_stamp(&json, "since", stats->since_ms);
	field_open(&json, "pipelines", '[');
	for (size_t i = 0; i < stats->pipelines_count; i++)
		pipeline_put(&json, stats, &sorted, sorted.pipelines[i]);
	buf_byte(&json, ']');
	field_open(&json, "slowest_steps", '[');
	for (size_t i = 0; i < sorted.slowest_count; i++)
		step_put(&json, sorted.slowest[i],
			 stats->pipelines[sorted.slowest[i]->pipeline].name);
	buf_text(&json, "]}");
	pretty_answer(out, &json);
}

/* ---- CSV */

static void csv_time(struct buf *out, int64_t ms, char after)
{
	if (ms >= 0)
		buf_i64(out, ms);
	buf_byte(out, after);
}

static void csv_values(struct buf *out, struct stats_values *values)
{
	csv_number(out, (int64_t)values->count, ',');
	csv_time(out, stats_percentile(values, 50), ',');
	csv_time(out, stats_percentile(values, 95), ',');
	csv_number(out, sum_of(values), '\n');
}

void stats_csv(struct stats *stats, struct buf *out)
{
	AUTO(sorted_fini) struct sorted sorted = {.slowest_count = 0};

	if (!sort_all(stats, &sorted, out))
		return;
	buf_text(out, "pipeline,step_id,runs,success,failed,stopped,skipped,retries,duration_count,"
		      "p50_ms,p95_ms,sum_ms\n");
	for (size_t i = 0; i < stats->pipelines_count; i++) {
		struct stats_pipeline *pipeline = sorted.pipelines[i];

		csv_cell(out, pipeline->name, ',');
		csv_cell(out, STR_NONE, ',');
		csv_number(out, (int64_t)runs_of(pipeline), ',');
		csv_number(out, (int64_t)pipeline->success, ',');
		csv_number(out, (int64_t)pipeline->failed, ',');
		csv_number(out, (int64_t)pipeline->stopped, ',');
		csv_cell(out, STR_NONE, ',');
		csv_number(out, (int64_t)pipeline->retries, ',');
		csv_values(out, &pipeline->durations);
		for (size_t n = 0; n < stats->steps_count; n++) {
			struct stats_step_sum *step = sorted.steps[n];

			if (!is_of(stats, step, pipeline))
				continue;
			csv_cell(out, pipeline->name, ',');
			csv_cell(out, step->step_id, ',');
			csv_number(out, (int64_t)step->runs, ',');
			csv_number(out, (int64_t)step->succeeded, ',');
			csv_number(out, (int64_t)step->failed, ',');
			csv_cell(out, STR_NONE, ',');
			csv_number(out, (int64_t)step->skipped, ',');
			csv_number(out, (int64_t)step->retries, ',');
			csv_values(out, &step->durations);
		}
	}
}
