/* quality.c - see quality.h */
#include "core/quality.h"

#include "base/json.h"

static const char *const names[QUALITY_FIGURES] = {
    [QUALITY_RECORDS] = "record_count",
    [QUALITY_VALID] = "valid_count",
    [QUALITY_INVALID] = "invalid_count",
    [QUALITY_NULL] = "null_count",
};

const char *quality_figure_name(enum quality_figure figure)
{
	return names[figure];
}

static void fill_in(struct quality_figures *figures, enum quality_figure missing,
		    enum quality_figure other)
{
	if (figures->has[missing] || !figures->has[other] || !figures->has[QUALITY_RECORDS])
		return;
	figures->has[missing] = true;
	figures->count[missing] = figures->count[QUALITY_RECORDS] - figures->count[other];
}

enum err_code quality_check(struct quality_figures *figures, struct err *err)
{
	for (int i = QUALITY_VALID; i < QUALITY_FIGURES; i++) {
		if (figures->has[i] && figures->has[QUALITY_RECORDS] &&
		    figures->count[i] > figures->count[QUALITY_RECORDS])
			return err_set(err, ERR_INVALID, "quality: %s is more than record_count",
				       names[i]);
	}
	if (figures->has[QUALITY_RECORDS] && figures->has[QUALITY_VALID] &&
	    figures->has[QUALITY_INVALID] &&
	    figures->count[QUALITY_INVALID] >
		figures->count[QUALITY_RECORDS] - figures->count[QUALITY_VALID])
		return err_set(err, ERR_INVALID,
			       "quality: valid_count and invalid_count are more than record_count");
	fill_in(figures, QUALITY_VALID, QUALITY_INVALID);
	fill_in(figures, QUALITY_INVALID, QUALITY_VALID);
	return ERR_OK;
}

static bool has_rate(const struct quality_figures *figures, enum quality_figure figure)
{
	return figures->has[figure] && figures->has[QUALITY_RECORDS] &&
	       figures->count[QUALITY_RECORDS] > 0;
}

static double rate_of(const struct quality_figures *figures, enum quality_figure figure)
{
	return (double)figures->count[figure] / (double)figures->count[QUALITY_RECORDS];
}

void quality_put(const struct quality_figures *figures, struct buf *out)
{
	const char *comma = "";

	buf_byte(out, '{');
	for (int i = 0; i < QUALITY_FIGURES; i++) {
		if (!figures->has[i])
			continue;
		buf_fmt(out, "%s\"%s\":%lld", comma, names[i], (long long)figures->count[i]);
		comma = ",";
	}
	if (has_rate(figures, QUALITY_VALID)) {
		buf_fmt(out, "%s\"valid_rate\":", comma);
		json_put_double(out, rate_of(figures, QUALITY_VALID));
		comma = ",";
	}
	if (has_rate(figures, QUALITY_NULL)) {
		buf_fmt(out, "%s\"null_rate\":", comma);
		json_put_double(out, rate_of(figures, QUALITY_NULL));
		comma = ",";
	}
	if (figures->custom.ptr) {
		buf_fmt(out, "%s\"custom_metrics\":", comma);
		buf_str(out, figures->custom);
	}
	buf_byte(out, '}');
}

struct judging {
	const struct quality_figures *figures;
	struct buf *reason;
	enum quality_verdict verdict;
};

static void say(struct judging *judging, enum quality_verdict verdict)
{
	buf_text(judging->reason, judging->reason->len ? "; " : "");
	if (verdict > judging->verdict)
		judging->verdict = verdict;
}

/* Is the figure there? Otherwise that is said. */
static bool wants(struct judging *judging, enum quality_figure figure, const char *threshold)
{
	if (judging->figures->has[figure])
		return true;
	say(judging, QUALITY_ABSENT);
	buf_fmt(judging->reason, "%s needs %s, which the result does not give", threshold,
		names[figure]);
	return false;
}

static void judge_rate(struct judging *judging, enum quality_figure figure, const char *name,
		       double bound, bool is_least)
{
	double rate;

	if (!wants(judging, QUALITY_RECORDS, name) || !wants(judging, figure, name))
		return;
	if (judging->figures->count[QUALITY_RECORDS] == 0) {
		say(judging, QUALITY_MISSED);
		buf_fmt(judging->reason, "%s: there are no records", name);
		return;
	}
	rate = rate_of(judging->figures, figure);
	if (is_least ? rate >= bound : rate <= bound)
		return;
	say(judging, QUALITY_MISSED);
	buf_fmt(judging->reason, "%s: %lld of %lld records are %s, ", name,
		(long long)judging->figures->count[figure],
		(long long)judging->figures->count[QUALITY_RECORDS],
		figure == QUALITY_NULL ? "null" : "valid");
	json_put_double(judging->reason, rate);
	buf_text(judging->reason, is_least ? " is below " : " is above ");
	json_put_double(judging->reason, bound);
}

static void judge_count(struct judging *judging, const char *name, int64_t bound, bool is_least)
{
	int64_t count = judging->figures->count[QUALITY_RECORDS];

	if (!wants(judging, QUALITY_RECORDS, name) || (is_least ? count >= bound : count <= bound))
		return;
	say(judging, QUALITY_MISSED);
	buf_fmt(judging->reason, "%s: %lld records, %lld is the %s", name, (long long)count,
		(long long)bound, is_least ? "least" : "most");
}

enum quality_verdict quality_judge(const struct quality *quality,
				   const struct quality_figures *figures, struct buf *out_reason)
{
	struct judging judging = {figures, out_reason, QUALITY_MET};

	if (quality->has_min_record_count)
		judge_count(&judging, "min_record_count", quality->min_record_count, true);
	if (quality->has_max_record_count)
		judge_count(&judging, "max_record_count", quality->max_record_count, false);
	if (quality->has_min_valid_rate)
		judge_rate(&judging, QUALITY_VALID, "min_valid_rate", quality->min_valid_rate,
			   true);
	if (quality->has_max_null_rate)
		judge_rate(&judging, QUALITY_NULL, "max_null_rate", quality->max_null_rate, false);
	return judging.verdict;
}
