/* step_history.c - how long the steps of a pipeline take, for estimates */
#include "api/history.h"

#include "report/stats.h"

#define RUNS_MAX  10                  /* successes that count */
#define LOGS_MAX  40                  /* without a database: runs that are looked at */
#define LOG_BYTES ((uint64_t)4 << 20) /* a longer log is passed over */

struct timing {
	struct stats *stats;
	struct str pipeline;
	size_t successes; /* read from logs */
};

/* Times are gathered as those of steps, the whole run under an id that no step can have. */
static enum err_code add_time(void *arg, struct str step_id, int64_t duration_ms, struct err *err)
{
	struct timing *timing = arg;
	const struct stats_step step = {.step_id = step_id.ptr ? step_id : STR(""),
					.state = STR("succeeded"),
					.attempts = 1,
					.duration_ms = duration_ms};

	return stats_add_step(timing->stats, timing->pipeline, &step, err);
}

/* ---- without a database */

static enum err_code add_facts(struct timing *timing, const struct run_facts *facts,
			       struct err *err)
{
	if (!str_is(facts->run.result, "success") || !str_eq(facts->run.pipeline, timing->pipeline))
		return ERR_OK;
	timing->successes++;
	if (add_time(timing, STR_NONE, facts->run.duration_ms, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < facts->steps_count; i++) {
		const struct step_row *step = &facts->steps[i];

		if (str_is(step->state, "succeeded") && !step->cached_from.ptr &&
		    add_time(timing, step->step_id, step->duration_ms, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Is its log short enough to be read now? */
static bool is_short(const struct vfs *vfs, const char *path)
{
	struct err ignored = ERR_INIT; /* then it is passed over */
	struct vfs_stat stat = {.size_bytes = 0};
	bool is_good = false;
	int dir = -1;
	int fd = -1;

	if (vfs_root(vfs, path, false, &dir, &ignored) == ERR_OK &&
	    vfs_open(vfs, dir, LOG_FILE, VFS_READ, &fd, &ignored) == ERR_OK &&
	    vfs_stat(vfs, fd, &stat, &ignored) == ERR_OK)
		is_good = stat.size_bytes <= LOG_BYTES;
	vfs_close(vfs, fd);
	vfs_close(vfs, dir);
	return is_good;
}

static enum err_code read_one(struct sluice *sluice, struct timing *timing, struct str run_id,
			      struct err *err)
{
	AUTO(run_facts_fini) struct run_facts facts = {.steps = NULL};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err gone = ERR_INIT;

	buf_fmt(&path, "%s/runs/%.*s", sluice->home, STR_ARG(run_id));
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	if (!is_short(sluice->vfs, path.ptr) ||
	    run_facts_read(sluice->vfs, path.ptr, &sluice->limits, NULL, NULL, &facts, &gone) !=
		ERR_OK)
		return ERR_OK; /* one less to learn from */
	return add_facts(timing, &facts, err);
}

static enum err_code from_logs(struct sluice *sluice, struct timing *timing, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str *ids;
	size_t count;

	if (rundir_list(sluice->vfs, sluice->home, &arena, &ids, &count, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count && i < LOGS_MAX && timing->successes < RUNS_MAX; i++) {
		if (read_one(sluice, timing, ids[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* ---- the answer */

static enum err_code from_index(struct sluice *sluice, struct timing *timing, struct err *err)
{
	AUTO(run_index_drop) struct run_index *index = NULL;

	if (run_index_open(sluice->home, &sluice->limits, sluice->clock, true, &index, err) !=
	    ERR_OK)
		return err->code;
	return run_index_times(index, timing->pipeline, RUNS_MAX, add_time, timing, err);
}

static enum err_code gather(struct sluice *sluice, struct timing *timing, uint64_t seed,
			    struct err *err)
{
	struct err ignored = ERR_INIT; /* the logs answer as well */

	if (sluice->vfs == &vfs_os && from_index(sluice, timing, &ignored) == ERR_OK &&
	    timing->stats->steps_count > 0)
		return ERR_OK;
	stats_fini(timing->stats);
	stats_init(timing->stats, seed);
	return from_logs(sluice, timing, err);
}

static enum err_code take_times(struct stats *stats, struct sluice_step_times *times,
				struct err *err)
{
	times->items = mem_new(stats->steps_count + 1, sizeof(*times->items));
	if (!times->items)
		return mem_err(err);
	for (size_t i = 0; i < stats->steps_count; i++) {
		struct stats_step_sum *step = &stats->steps[i];
		struct sluice_step_time *time = &times->items[times->count++];

		time->median_ms = stats_percentile(&step->durations, 50);
		time->samples = (uint32_t)step->durations.count;
		if (step->step_id.len == 0)
			continue;
		time->step = mem_text(step->step_id.ptr, step->step_id.len);
		if (!time->step)
			return mem_err(err);
	}
	for (size_t i = 1; i < times->count; i++) {
		struct sluice_step_time first = times->items[0];

		if (times->items[i].step)
			continue;
		times->items[0] = times->items[i];
		times->items[i] = first;
	}
	return ERR_OK;
}

enum sluice_code sluice_step_history(struct sluice *sluice, const char *pipeline,
				     struct sluice_step_times *ret_times, struct sluice_error *err)
{
	struct sluice_step_times times = {.count = 0};
	struct stats stats = {.since_ms = 0};
	struct timing timing = {.stats = &stats, .pipeline = str_of(pipeline)};
	struct err cause = ERR_INIT;
	enum err_code code;
	uint64_t seed = 0;

	if (!sluice || !pipeline || !ret_times)
		return api_usage(err,
				 "sluice_step_history needs a handle, a pipeline and an answer");
	code = random_bytes(&seed, sizeof(seed), &cause);
	stats_init(&stats, seed);
	if (code == ERR_OK)
		code = gather(sluice, &timing, seed, &cause);
	if (code == ERR_OK)
		code = take_times(&stats, &times, &cause);
	stats_fini(&stats);
	if (code != ERR_OK) {
		sluice_step_history_free(&times);
		return api_err(err, &cause);
	}
	*ret_times = times;
	return SLUICE_OK;
}

void sluice_step_history_free(struct sluice_step_times *times)
{
	if (!times)
		return;
	for (size_t i = 0; i < times->count; i++) {
		/* The pointer is const for readers only: the text is ours. */
		union {
			const char *shown;
			char *owned;
		} text = {.shown = times->items[i].step};

		mem_free(text.owned);
	}
	mem_free(times->items);
	*times = (struct sluice_step_times){.count = 0};
}
