/* graph_test.c - dependencies, cycles, size; and the delays of retries. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "core/retry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void the_order_is_topological_with_ties_as_written(void **state)
{
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;
	uint32_t cycle = 77;
	static const uint32_t expected[] = {1, 3, 0, 2};

	(void)state;
	assert_ok(fixture_model("a needs=d; b needs=; c needs=a,b; d needs=", &model, &cycle, &err),
		  &err);
	assert_memory_equal(model->order, expected, sizeof(expected));
	assert_int_equal(cycle, 77);
	assert_int_equal(model->dependents_at[0], 0);
	assert_int_equal(model->dependents_at[1], 1);
	assert_int_equal(model->dependents[0], 2);
}

static void a_cycle_is_named(void **state)
{
	static const struct {
		const char *steps;
		const char *text;
	} rows[] = {
	    {"a needs=b; b needs=a", "steps need each other in a circle: a -> b -> a"},
	    {"a needs=a", "steps need each other in a circle: a -> a"},
	    {"a needs=; b needs=a,d; c needs=b; d needs=c; e needs=d",
	     "steps need each other in a circle: b -> d -> c -> b"},
	    {"a needs=b,c; b needs=; c any=d,a; d needs=e; e needs=d",
	     "steps need each other in a circle: d -> e -> d"},
	    {"a needs=b; b needs=b,c; c needs=b", "steps need each other in a circle: b -> b"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(model_drop) struct model *model = NULL;
		struct err err = ERR_INIT;
		uint32_t cycle = STEP_NONE;

		assert_int_equal(fixture_model(rows[i].steps, &model, &cycle, &err), ERR_INVALID);
		assert_string_equal(err.text, rows[i].text);
		assert_true(cycle < model->steps_count);
	}
}

static void downstream_is_marked_through_both_kinds_of_needs(void **state)
{
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;
	uint32_t cycle;
	uint32_t queue[6];
	uint8_t marks[6] = {0};
	static const uint8_t expected[6] = {0, 1, 1, 0, 1, 1};

	(void)state;
	assert_ok(fixture_model("a needs=; b needs=a; c any=b,a; d needs=a; e needs=c,d; f needs=e",
				&model, &cycle, &err),
		  &err);
	graph_mark_downstream(model, 1, marks, queue);
	assert_memory_equal(marks, expected, 6);
	graph_mark_downstream(model, 1, marks, queue); /* marked already: nothing to do */
	assert_memory_equal(marks, expected, 6);
}

/* A model of n steps without texts to parse: need_of(i) < i, or none. */
static struct model *large(uint32_t n, bool is_chain)
{
	struct model *model = model_new();
	uint32_t *needs;

	assert_non_null(model);
	model->steps = arena_new(&model->arena, n, sizeof(*model->steps));
	needs = arena_new(&model->arena, n, sizeof(*needs));
	assert_true(model->steps && needs);
	model->steps_count = n;
	for (uint32_t i = 1; i < n; i++) {
		needs[i] = is_chain ? i - 1 : 0;
		model->steps[i].needs = &needs[i];
		model->steps[i].needs_count = 1;
	}
	return model;
}

/* A quadratic walk over 1e5 steps would take 1e10 steps, a recursive one the stack. */
static void a_graph_of_100000_steps_is_built_in_linear_time(void **state)
{
	uint32_t n = 100000;

	(void)state;
	for (int is_chain = 0; is_chain < 2; is_chain++) {
		AUTO(model_drop) struct model *model = large(n, is_chain);
		AUTO(mem_drop) uint8_t *marks = mem_new(n, 1);
		AUTO(mem_drop) uint32_t *queue = mem_new(n, sizeof(*queue));
		struct err err = ERR_INIT;
		uint32_t cycle;
		clock_t begin = clock();

		assert_ok(graph_build(model, &cycle, &err), &err);
		graph_mark_downstream(model, 0, marks, queue);
		assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
		for (uint32_t i = 0; i < n; i++) {
			assert_int_equal(model->order[i], i);
			assert_int_equal(marks[i], 1);
		}
	}
}

static void a_cycle_of_100000_steps_is_found(void **state)
{
	uint32_t n = 100000;
	AUTO(model_drop) struct model *model = large(n, true);
	uint32_t last = n - 1;
	uint32_t cycle = STEP_NONE;
	struct err err = ERR_INIT;

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		model->steps[i].id = STR("s");
	model->steps[0].needs = &last;
	model->steps[0].needs_count = 1;
	assert_int_equal(graph_build(model, &cycle, &err), ERR_INVALID);
	assert_int_equal(cycle, 0);
}

static void memory_that_is_short_is_an_error_of_the_graph(void **state)
{
	(void)state;
	for (uint64_t nth = 1;; nth++) {
		AUTO(model_drop) struct model *model = large(2000, true);
		struct err err = ERR_INIT;
		uint32_t cycle;
		enum err_code code;

		mem_fail_at(nth, 1);
		code = graph_build(model, &cycle, &err);
		mem_fail_at(0, 0);
		if (code == ERR_OK)
			break;
		assert_int_equal(code, ERR_MEMORY);
	}
}

/* ------------------------------------------------------------------------------------- delays */

static const struct retry two_seconds = {9, 0,  BACKOFF_EXPONENTIAL, 2 * NS_PER_S, 60 * NS_PER_S,
					 2, 0.1};

/* The bounds that the system before this one asserts for its defaults. */
static void s7_2_default_delays_lie_in_their_bounds(void **state)
{
	static const struct {
		uint32_t n;
		int64_t low, high;
	} rows[] = {{0, 2000, 2200}, {1, 4000, 4400}, {2, 8000, 8800}, {10, 60000, 66000}};
	bool is_spread = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t first = retry_delay_ms(&two_seconds, rows[i].n, 0, 0);

		for (uint64_t seed = 0; seed < 2000; seed++) {
			int64_t delay =
			    retry_delay_ms(&two_seconds, rows[i].n, seed, (uint32_t)seed % 7);

			assert_true(delay >= rows[i].low && delay <= rows[i].high);
			is_spread = is_spread || delay != first;
		}
	}
	assert_true(is_spread);
}

static void s7_2_the_other_backoffs_and_no_jitter(void **state)
{
	struct retry retry = two_seconds;

	(void)state;
	retry.jitter = 0;
	for (uint32_t n = 0; n < 5; n++)
		assert_int_equal(retry_delay_ms(&retry, n, 1, 1), (int64_t)2000 << n);
	retry.backoff = BACKOFF_LINEAR;
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(retry_delay_ms(&retry, n, 1, 1), n < 30 ? 2000 * (n + 1) : 60000);
	retry.backoff = BACKOFF_CONSTANT;
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(retry_delay_ms(&retry, n, 1, 1), 2000);
}

static void s7_2_a_seed_gives_the_same_delays_again(void **state)
{
	uint32_t same = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		int64_t delay = retry_delay_ms(&two_seconds, i % 4, i, i % 5);

		assert_int_equal(retry_delay_ms(&two_seconds, i % 4, i, i % 5), delay);
		same += retry_delay_ms(&two_seconds, i % 4, i + 1, i % 5) == delay;
		same += retry_delay_ms(&two_seconds, i % 4, i, i % 5 + 1) == delay;
	}
	assert_true(same < 40);
}

static void s7_2_no_delay_overflows_or_is_negative(void **state)
{
	static const double factors[] = {0, 0.5, 1, 2, 1e9, 1e308};
	struct retry retry = two_seconds;
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		retry.backoff = (enum backoff)(random_next(&seed) % 3);
		retry.initial_ns = (int64_t)(random_next(&seed) >> (1 + random_next(&seed) % 63));
		retry.max_ns = (int64_t)(random_next(&seed) % 2 ? random_next(&seed) >> 1 : 0);
		retry.multiplier = factors[random_next(&seed) % ARRAY_LEN(factors)];
		retry.jitter = (double)(random_next(&seed) % 11) / 10;
		assert_true(retry_delay_ms(&retry, (uint32_t)(random_next(&seed) >> 36), seed, 1) >=
			    0);
	}
}

/* max_attempts may be as large as it likes: the delay is found without counting up to it. */
static void s7_2_a_late_retry_costs_no_time(void **state)
{
	static const double factors[] = {0, 0.5, 1, 1.0000001};
	struct retry retry = two_seconds;
	clock_t begin = clock();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(factors); i++) {
		retry.multiplier = factors[i];
		assert_true(retry_delay_ms(&retry, UINT32_MAX, 1, 1) <= 66000);
	}
	assert_true(clock() - begin < CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_order_is_topological_with_ties_as_written),
	    cmocka_unit_test(a_cycle_is_named),
	    cmocka_unit_test(downstream_is_marked_through_both_kinds_of_needs),
	    cmocka_unit_test(a_graph_of_100000_steps_is_built_in_linear_time),
	    cmocka_unit_test(a_cycle_of_100000_steps_is_found),
	    cmocka_unit_test(memory_that_is_short_is_an_error_of_the_graph),
	    cmocka_unit_test(s7_2_default_delays_lie_in_their_bounds),
	    cmocka_unit_test(s7_2_the_other_backoffs_and_no_jitter),
	    cmocka_unit_test(s7_2_a_seed_gives_the_same_delays_again),
	    cmocka_unit_test(s7_2_no_delay_overflows_or_is_negative),
	    cmocka_unit_test(s7_2_a_late_retry_costs_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
