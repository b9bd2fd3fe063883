/* quality.c - `quality:` of a step: thresholds for the figures of its result */
#include "lang/build.h"

#include "base/mem.h"

static bool take_rate(struct build *build, const struct node *key, const struct node *value,
		      double *ret_rate)
{
	double rate;

	if (!take_double(build, key, value, &rate))
		return false;
	if (!(rate >= 0 && rate <= 1)) {
		build_report(build, DIAG_RANGE, value, "'%.*s' is a share, 0 to 1",
			     STR_ARG(key->text));
		diags_hint(build->diags, "99 %% is 0.99");
		return false;
	}
	*ret_rate = rate;
	return true;
}

void key_quality_min_valid_rate(struct build *build, void *target, const struct node *key,
				const struct node *value)
{
	struct quality *quality = target;

	quality->has_min_valid_rate = take_rate(build, key, value, &quality->min_valid_rate);
}

void key_quality_max_null_rate(struct build *build, void *target, const struct node *key,
			       const struct node *value)
{
	struct quality *quality = target;

	quality->has_max_null_rate = take_rate(build, key, value, &quality->max_null_rate);
}

void key_quality_min_record_count(struct build *build, void *target, const struct node *key,
				  const struct node *value)
{
	struct quality *quality = target;

	quality->has_min_record_count =
	    take_i64(build, key, value, 0, INT64_MAX, &quality->min_record_count);
}

void key_quality_max_record_count(struct build *build, void *target, const struct node *key,
				  const struct node *value)
{
	struct quality *quality = target;

	quality->has_max_record_count =
	    take_i64(build, key, value, 0, INT64_MAX, &quality->max_record_count);
}

void key_quality_severity(struct build *build, void *target, const struct node *key,
			  const struct node *value)
{
	static const char *const words[] = {"hard", "soft"};
	struct quality *quality = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		quality->is_soft = index == 1;
}

void key_step_quality(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct draft *draft = target;
	struct quality *quality;
	size_t before = build->diags->count + build->diags->dropped;

	draft->step.quality = NULL;
	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {min_valid_rate: 0.99}"))
		return;
	quality = build_new(build, 1, sizeof(*quality));
	if (!quality)
		return;
	build_map(build, SCOPE_quality, value, quality, NULL, KEY_quality_min_valid_rate);
	if (build->diags->count + build->diags->dropped != before)
		return;
	if (!quality->has_min_valid_rate && !quality->has_max_null_rate &&
	    !quality->has_min_record_count && !quality->has_max_record_count) {
		build_report(build, DIAG_MISSING_KEY, value, "'quality' has no threshold");
		diags_hint(build->diags,
			   "min_valid_rate, max_null_rate, min_record_count or max_record_count");
		return;
	}
	if (quality->has_min_record_count && quality->has_max_record_count &&
	    quality->min_record_count > quality->max_record_count) {
		build_report(build, DIAG_RANGE, value,
			     "'min_record_count' is above 'max_record_count'");
		return;
	}
	draft->step.quality = quality;
}
