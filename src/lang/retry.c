/* retry.c - `retry:` (S7) */
#include "lang/build.h"

#include "base/mem.h"
#include "base/timefmt.h"

#define ATTEMPTS_DEFAULT 3 /* of a `retry` map; without one it is 1 */
#define ATTEMPTS_MAX     1000000

static uint32_t classes_default(void)
{
	uint32_t classes = 0;

	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		if (error_class_retried_by_default((enum error_class)i))
			classes |= UINT32_C(1) << i;
	}
	return classes;
}

static struct retry retry_once(void)
{
	return (struct retry){.max_attempts = 1,
			      .classes = classes_default(),
			      .backoff = BACKOFF_EXPONENTIAL,
			      .initial_ns = 2 * NS_PER_S,
			      .max_ns = 60 * NS_PER_S,
			      .multiplier = 2,
			      .jitter = 0.1};
}

bool retry_init(struct build *build)
{
	struct retry *retry = build_new(build, 1, sizeof(*retry));

	if (!retry)
		return false;
	*retry = retry_once();
	build->retry_none = retry;
	return true;
}

void key_retry_max_attempts(struct build *build, void *target, const struct node *key,
			    const struct node *value)
{
	struct retry *retry = target;

	(void)take_u32(build, key, value, 1, ATTEMPTS_MAX, &retry->max_attempts);
}

void key_retry_on(struct build *build, void *target, const struct node *key,
		  const struct node *value)
{
	struct retry *retry = target;
	const char *names[CLASS_COUNT];
	size_t count = 0;

	if (!build_expect(build, key, value, NODE_LIST, "a list of error classes"))
		return;
	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		if (error_class_may_be_listed((enum error_class)i))
			names[count++] = error_class_name((enum error_class)i);
	}
	retry->classes = 0;
	if (value->count == 0)
		build_report(build, DIAG_ERROR_CLASS, value,
			     "'on' is empty: nothing would be retried; leave `retry` out instead");
	for (const struct node *item = build_child(build, value); item;
	     item = build_next(build, item)) {
		enum error_class class;
		struct str text;

		if (!take_text(build, key, item, 0, &text))
			continue;
		if (!error_class_of(text, &class)) {
			build_report(build, DIAG_ERROR_CLASS, item,
				     "there is no error class '%.*s'",
				     STR_ARG(str_cut(text, 0, 40)));
			build_nearest(build, text, names, count);
		} else if (!error_class_may_be_listed(class)) {
			build_report(build, DIAG_ERROR_CLASS, item, "'%.*s' is never retried",
				     STR_ARG(text));
		} else if (retry->classes & (UINT32_C(1) << class)) {
			build_report(build, DIAG_TWICE, item, "'%.*s' is there twice in 'on'",
				     STR_ARG(text));
		} else {
			retry->classes |= UINT32_C(1) << class;
		}
	}
}

void key_retry_backoff(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	static const char *const words[] = {"exponential", "linear", "constant"};
	struct retry *retry = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		retry->backoff = (enum backoff)index;
}

void key_retry_initial(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct retry *retry = target;

	(void)take_duration(build, key, value, 0, &retry->initial_ns);
}

void key_retry_multiplier(struct build *build, void *target, const struct node *key,
			  const struct node *value)
{
	struct retry *retry = target;

	if (!take_double(build, key, value, &retry->multiplier))
		return;
	if (!(retry->multiplier >= 1 && retry->multiplier <= 1000))
		build_report(build, DIAG_RANGE, value, "'multiplier' must be 1 to 1000");
}

void key_retry_max(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct retry *retry = target;

	(void)take_duration(build, key, value, 1, &retry->max_ns);
}

void key_retry_jitter(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct retry *retry = target;

	(void)take_percent(build, key, value, &retry->jitter);
}

/* Steps that are tried once, nearly all of them, share one. NULL when memory is short (noted). */
static const struct retry *retry_keep(struct build *build, const struct retry *retry)
{
	struct retry *kept;

	if (retry->max_attempts == 1)
		return build->retry_none;
	kept = build_new(build, 1, sizeof(*kept));
	if (kept)
		*kept = *retry;
	return kept;
}

void key_step_retry(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct draft *draft = target;
	struct retry retry;

	if (value->kind == NODE_TEXT && node_scalar(value) == SCALAR_INT) {
		build_report(build, DIAG_VALUE_FORM, value,
			     "'retry' must be a mapping, not a number");
		diags_hint(build->diags, "write retry: {max_attempts: %.*s}",
			   STR_ARG(str_cut(value->text, 0, 20)));
		return;
	}
	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {max_attempts: 3}"))
		return;
	retry = *build->retry_none;
	retry.max_attempts = ATTEMPTS_DEFAULT;
	build_map(build, SCOPE_retry, value, &retry, NULL, KEY_retry_max_attempts);
	if (retry.initial_ns > retry.max_ns) {
		build_report(build, DIAG_RETRY, key,
			     "the first delay is longer than 'max', which is 60s unless given");
		diags_hint(build->diags, "give 'max' too: retry: {initial: 5m, max: 1h}");
	}
	draft->step.retry = retry_keep(build, &retry);
}
