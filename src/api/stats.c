/* stats.c - figures of many runs, from the database or from logs */
#include "api/history.h"

#include "report/stats.h"

/* How often a class was met in the run at hand. */
struct class_count {
	struct str name;   /* in the arena */
	uint64_t count[2]; /* failures, retries */
};

struct counting {
	struct sluice *sluice;
	const struct sluice_stats_opts *options;
	struct stats *stats;
	uint64_t seed;
	/* reading logs: the run at hand */
	struct arena arena;
	struct class_count *classes;
	size_t classes_count, classes_capacity;
};

static bool is_wanted(const struct counting *counting, const struct run_row *run)
{
	const struct sluice_stats_opts *options = counting->options;

	if (options->pipeline && !str_is(run->pipeline, options->pipeline))
		return false;
	return options->since_ms <= 0 || run->started_ms >= options->since_ms;
}

static enum err_code add_run(void *arg, const struct run_row *run, struct err *err)
{
	struct counting *counting = arg;
	const struct stats_run given = {.pipeline = run->pipeline,
					.state = run->state,
					.result = run->result,
					.outcome = run->outcome,
					.duration_ms = run->duration_ms,
					.retries = run->retries,
					.gate_failures = run->gate_failures};

	return stats_add_run(counting->stats, &given, err);
}

static enum err_code add_step(void *arg, struct str pipeline, const struct step_row *step,
			      struct err *err)
{
	struct counting *counting = arg;
	const struct stats_step given = {.step_id = step->step_id,
					 .state = step->state,
					 .position = step->position,
					 .attempts = step->attempts,
					 .retries = step->retries,
					 .duration_ms = step->duration_ms,
					 .is_cached = step->cached_from.ptr != NULL};

	return stats_add_step(counting->stats, pipeline, &given, err);
}

static enum err_code add_class(void *arg, struct str pipeline, bool is_retry,
			       struct str error_class, uint64_t count, struct err *err)
{
	struct counting *counting = arg;

	return stats_add_class(counting->stats, pipeline, error_class, is_retry, count, err);
}

/* ---- from logs */

static enum err_code count_class(struct counting *counting, struct str name, bool is_retry,
				 struct err *err)
{
	void *classes = counting->classes;

	for (size_t i = 0; i < counting->classes_count; i++) {
		if (str_eq(counting->classes[i].name, name)) {
			counting->classes[i].count[is_retry]++;
			return ERR_OK;
		}
	}
	if (mem_grow(&classes, &counting->classes_capacity, counting->classes_count + 1,
		     sizeof(*counting->classes), err) != ERR_OK)
		return err->code;
	counting->classes = classes;
	name = arena_str(&counting->arena, name);
	if (!name.ptr)
		return mem_err(err);
	counting->classes[counting->classes_count] = (struct class_count){.name = name};
	counting->classes[counting->classes_count++].count[is_retry]++;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct event *event, struct err *err)
{
	struct str class = run_event_class(event);

	if (event->type == EVENT_RUN_CREATED)
		((struct counting *)arg)->classes_count = 0;
	if (!class.ptr)
		return ERR_OK;
	return count_class(arg, class, event->type == EVENT_STEP_RETRIED, err);
}

static enum err_code add_classes(struct counting *counting, struct str pipeline, struct err *err)
{
	for (size_t i = 0; i < counting->classes_count; i++) {
		for (int is_retry = 0; is_retry < 2; is_retry++) {
			const struct class_count *class = &counting->classes[i];

			if (class->count[is_retry] > 0 &&
			    stats_add_class(counting->stats, pipeline, class->name, is_retry != 0,
					    class->count[is_retry], err) != ERR_OK)
				return err->code;
		}
	}
	return ERR_OK;
}

static enum err_code add_facts(void *arg, const struct run_facts *facts, struct err *err)
{
	struct counting *counting = arg;

	if (!is_wanted(counting, &facts->run))
		return ERR_OK;
	if (add_run(counting, &facts->run, err) != ERR_OK)
		return err->code;
	if (!facts->run.result.ptr)
		return ERR_OK;
	for (size_t i = 0; i < facts->steps_count; i++) {
		if (add_step(counting, facts->run.pipeline, &facts->steps[i], err) != ERR_OK)
			return err->code;
	}
	return add_classes(counting, facts->run.pipeline, err);
}

/* ---- the answer */

static enum err_code count(void *arg, struct run_index *index, struct err *err)
{
	struct counting *counting = arg;
	const struct run_filter filter = {.pipeline = str_of(counting->options->pipeline),
					  .since_ms = counting->options->since_ms};
	size_t matched;

	stats_fini(counting->stats);
	stats_init(counting->stats, counting->seed);
	counting->stats->since_ms = counting->options->since_ms;
	if (!index)
		return history_read(counting->sluice, on_event, add_facts, counting, err);
	if (run_index_list(index, &filter, add_run, counting, &matched, err) != ERR_OK ||
	    run_index_steps(index, &filter, add_step, counting, err) != ERR_OK)
		return err->code;
	return run_index_classes(index, &filter, add_class, counting, err);
}

static enum err_code write_stats(const struct sluice_stats_opts *options, struct stats *stats,
				 struct buf *out, struct err *err)
{
	if (options->pipeline && stats->pipelines_count == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no run of a pipeline '%s'%s",
			       options->pipeline, options->since_ms > 0 ? " in that time" : "");
	if (options->prometheus)
		stats_prometheus(stats, out);
	else if (options->format == SLUICE_JSON)
		stats_json(stats, out);
	else if (options->format == SLUICE_CSV)
		stats_csv(stats, out);
	else
		stats_text(stats, out);
	return buf_check(out, "statistics", err);
}

static enum err_code answer(struct sluice *sluice, const struct sluice_stats_opts *options,
			    struct buf *out, struct err *err)
{
	struct stats stats = {.since_ms = 0};
	struct counting counting = {.sluice = sluice, .options = options, .stats = &stats};
	enum err_code code;

	if (random_bytes(&counting.seed, sizeof(counting.seed), err) != ERR_OK)
		return err->code;
	stats_init(&stats, counting.seed);
	code = history_ask(sluice, INDEX_ALL, count, &counting, err);
	if (code == ERR_OK)
		code = write_stats(options, &stats, out, err);
	stats_fini(&stats);
	mem_free(counting.classes);
	arena_fini(&counting.arena);
	return code;
}

enum sluice_code sluice_stats(struct sluice *sluice, const struct sluice_stats_opts *options,
			      char **ret_text, struct sluice_error *err)
{
	static const struct sluice_stats_opts defaults = {.format = SLUICE_TEXT};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!options)
		options = &defaults;
	if (!sluice || !ret_text)
		return api_usage(err, "sluice_stats needs a handle and an answer");
	if (options->format != SLUICE_TEXT && options->format != SLUICE_JSON &&
	    options->format != SLUICE_CSV)
		return api_usage(err, "statistics are text, json or csv");
	history_note_clear(sluice);
	if (answer(sluice, options, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}
