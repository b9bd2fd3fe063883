/* explain_quality.c - the figures of a step's data, threshold by threshold */
#include "report/explain_intern.h"

#include "base/json.h"
#include "base/mem.h"

#define VALUE_BYTES_MAX 120 /* of a figure that is shown */

/* "record_count 1000, valid_rate 0.98" */
static void put_figures(struct buf *out, struct str figures)
{
	struct str key;
	struct str value;

	for (size_t at = 0; json_member(figures, &at, &key, &value);) {
		bool is_long = value.len > VALUE_BYTES_MAX;

		buf_fmt(out, "%s%.*s %.*s%s", out->len > 0 ? ", " : "", STR_ARG(key),
			STR_ARG(is_long ? str_cut(value, 0, VALUE_BYTES_MAX) : value),
			is_long ? "..." : "");
	}
}

static struct quality_figures figures_of(struct str json)
{
	struct quality_figures figures = {.is_given = json.ptr != NULL};

	for (int i = 0; i < QUALITY_FIGURES && json.ptr; i++) {
		struct str value = json_get(json, quality_figure_name((enum quality_figure)i));

		figures.has[i] = value.ptr && json_to_i64(value, &figures.count[i]);
	}
	return figures;
}

/* One threshold; `bound` is it in words. */
static void tell_threshold(const struct explaining *x, uint32_t step, unsigned depth,
			   const struct quality *one, struct str bound)
{
	struct quality_figures figures = figures_of(state_of(x, step)->quality);
	AUTO(buf_fini) struct buf reason = BUF_INIT;
	uint64_t event = x->trail->steps[step].quality;

	if (quality_judge(one, &figures, &reason) == QUALITY_MET)
		ADD(x, depth, "threshold_met", step, event, "met: %.*s", STR_ARG(bound));
	else
		ADD(x, depth, "threshold_missed", step, event, "%s: %.*s",
		    def_of(x, step)->quality->is_soft ? "missed, which is a warning" : "missed",
		    STR_ARG(facts_view(x->facts, &reason)));
}

static void tell_rate(const struct explaining *x, uint32_t step, unsigned depth,
		      const struct quality *one, const char *name, double value)
{
	AUTO(buf_fini) struct buf bound = BUF_INIT;

	buf_fmt(&bound, "%s ", name);
	json_put_double(&bound, value);
	tell_threshold(x, step, depth, one, facts_view(x->facts, &bound));
}

static void tell_count(const struct explaining *x, uint32_t step, unsigned depth,
		       const struct quality *one, const char *name, int64_t value)
{
	AUTO(buf_fini) struct buf bound = BUF_INIT;

	buf_fmt(&bound, "%s %lld", name, (long long)value);
	tell_threshold(x, step, depth, one, facts_view(x->facts, &bound));
}

static void tell_thresholds(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct quality *all = def_of(x, step)->quality;

	if (all->has_min_record_count)
		tell_count(x, step, depth,
			   &(struct quality){.has_min_record_count = true,
					     .min_record_count = all->min_record_count},
			   "min_record_count", all->min_record_count);
	if (all->has_max_record_count)
		tell_count(x, step, depth,
			   &(struct quality){.has_max_record_count = true,
					     .max_record_count = all->max_record_count},
			   "max_record_count", all->max_record_count);
	if (all->has_min_valid_rate)
		tell_rate(x, step, depth,
			  &(struct quality){.has_min_valid_rate = true,
					    .min_valid_rate = all->min_valid_rate},
			  "min_valid_rate", all->min_valid_rate);
	if (all->has_max_null_rate)
		tell_rate(x, step, depth,
			  &(struct quality){.has_max_null_rate = true,
					    .max_null_rate = all->max_null_rate},
			  "max_null_rate", all->max_null_rate);
}

void tell_quality(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	AUTO(buf_fini) struct buf figures = BUF_INIT;

	if (!at->quality.ptr)
		return;
	put_figures(&figures, at->quality);
	ADD(x, depth, "quality", step, x->trail->steps[step].quality, "its data: %.*s",
	    STR_ARG(figures.len > 0 ? facts_view(x->facts, &figures) : STR("no figures")));
	if (def_of(x, step)->quality)
		tell_thresholds(x, step, depth + 1);
}
