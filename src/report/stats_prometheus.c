/* stats_prometheus.c - the figures of stats.h as Prometheus reads them */
#include "base/timefmt.h"
#include "report/stats.h"

/* Label values are UTF-8 with \, " and newline escaped. */
static void value_put(struct buf *out, struct str value)
{
	buf_byte(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		char byte = value.ptr[i];

		if (byte == '\\' || byte == '"')
			buf_byte(out, '\\');
		if (byte == '\n')
			buf_text(out, "\\n");
		else
			buf_byte(out, byte);
	}
	buf_byte(out, '"');
}

static void begin(struct buf *out, const char *metric, struct str pipeline)
{
	buf_text(out, metric);
	buf_text(out, "{pipeline=");
	value_put(out, pipeline);
}

static void label(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, ",%s=", name);
	value_put(out, value);
}

static void end(struct buf *out, uint64_t value)
{
	buf_text(out, "} ");
	buf_u64(out, value);
	buf_byte(out, '\n');
}

static void end_seconds(struct buf *out, int64_t ms)
{
	buf_fmt(out, "} %lld.%03lld\n", (long long)ms / 1000, (long long)ms % 1000);
}

static void head(struct buf *out, const char *metric, const char *type, const char *help)
{
	buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* A summary: quantiles, sum and count. */
static void summary(struct buf *out, const char *metric, struct str pipeline, struct str step,
		    struct stats_values *values)
{
	static const struct {
		unsigned percent;
		const char *text;
	} quantiles[] = {{50, "0.5"}, {95, "0.95"}};
	int64_t sum = 0;

	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]) && values->count; i++) {
		begin(out, metric, pipeline);
		if (step.ptr)
			label(out, "step", step);
		label(out, "quantile", str_of(quantiles[i].text));
		end_seconds(out, stats_percentile(values, quantiles[i].percent));
	}
	for (size_t i = 0; i < values->count; i++)
		sum = time_after(sum, values->items[i]);
	buf_text(out, metric);
	begin(out, "_sum", pipeline);
	if (step.ptr)
		label(out, "step", step);
	end_seconds(out, sum);
	buf_text(out, metric);
	begin(out, "_count", pipeline);
	if (step.ptr)
		label(out, "step", step);
	end(out, values->count);
}

static void counted(struct buf *out, const char *metric, struct str pipeline, const char *name,
		    struct str value, uint64_t count)
{
	begin(out, metric, pipeline);
	label(out, name, value);
	end(out, count);
}

static void runs_put(struct stats *stats, struct buf *out)
{
	head(out, "sluice_runs_total", "counter", "Runs that ended, by result.");
	for (size_t i = 0; i < stats->pipelines_count; i++) {
		const struct stats_pipeline *pipeline = &stats->pipelines[i];

		counted(out, "sluice_runs_total", pipeline->name, "result", STR("success"),
			pipeline->success);
		counted(out, "sluice_runs_total", pipeline->name, "result", STR("failed"),
			pipeline->failed);
		counted(out, "sluice_runs_total", pipeline->name, "result", STR("stopped"),
			pipeline->stopped);
	}
	head(out, "sluice_run_duration_seconds", "summary", "Time of runs that succeeded.");
	for (size_t i = 0; i < stats->pipelines_count; i++)
		summary(out, "sluice_run_duration_seconds", stats->pipelines[i].name, STR_NONE,
			&stats->pipelines[i].durations);
}

static void states_put(struct stats *stats, struct buf *out)
{
	head(out, "sluice_steps_total", "counter",
	     "Steps of runs that ended, by their last state.");
	for (size_t i = 0; i < stats->pipelines_count; i++) {
		struct str name = stats->pipelines[i].name;
		uint64_t succeeded = 0;
		uint64_t failed = 0;
		uint64_t skipped = 0;
		uint64_t compensated = 0;

		for (size_t n = 0; n < stats->steps_count; n++) {
			if (stats->steps[n].pipeline != i)
				continue;
			succeeded += stats->steps[n].succeeded;
			failed += stats->steps[n].failed;
			skipped += stats->steps[n].skipped;
			compensated += stats->steps[n].compensated;
		}
		counted(out, "sluice_steps_total", name, "state", STR("succeeded"), succeeded);
		counted(out, "sluice_steps_total", name, "state", STR("failed"), failed);
		counted(out, "sluice_steps_total", name, "state", STR("skipped"), skipped);
		counted(out, "sluice_steps_total", name, "state", STR("compensated"), compensated);
	}
}

void stats_prometheus(struct stats *stats, struct buf *out)
{
	runs_put(stats, out);
	states_put(stats, out);
	head(out, "sluice_step_duration_seconds", "summary", "Time of steps that succeeded.");
	for (size_t i = 0; i < stats->steps_count; i++)
		summary(out, "sluice_step_duration_seconds",
			stats->pipelines[stats->steps[i].pipeline].name, stats->steps[i].step_id,
			&stats->steps[i].durations);
	head(out, "sluice_step_retries_total", "counter", "Retries, by the class of the failure.");
	for (size_t i = 0; i < stats->pipelines_count; i++) {
		for (const struct stats_class *class = stats->pipelines[i].classes; class;
		     class = class->next) {
			if (class->retries > 0)
				counted(out, "sluice_step_retries_total", stats->pipelines[i].name,
					"class", class->name, class->retries);
		}
	}
	head(out, "sluice_gate_failures_total", "counter", "Times that a gate said no.");
	for (size_t i = 0; i < stats->pipelines_count; i++) {
		begin(out, "sluice_gate_failures_total", stats->pipelines[i].name);
		end(out, stats->pipelines[i].gate_failures);
	}
}
