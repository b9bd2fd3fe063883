/* freeze_test.c - the frozen form (S9.3): complete, canonical, read back to the same bytes */
#include "base/json.h"
#include "base/mem.h"
#include "lang/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct model *load(struct str text)
{
	AUTO(diags_fini) struct diags diags;
	AUTO(buf_fini) struct buf shown = BUF_INIT;
	struct err err = ERR_INIT;
	struct model *model = NULL;
	struct limits limits;

	limits_default(&limits);
	diags_init(&diags, 100);
	if (lang_load(text, STR("/srv/p q\"\xC3\xA9"), &limits, &diags, &model, &err) != ERR_OK) {
		diags_print(&diags, STR("test"), text, &shown);
		print_error("%s\n", shown.ptr ? shown.ptr : err.text);
	}
	assert_non_null(model);
	return model;
}

/* Freezing what was thawed gives the same bytes; they are JSON. */
static void round_trip(const char *text, struct buf *out)
{
	AUTO(model_drop) struct model *model = load(str_of(text));
	AUTO(model_drop) struct model *thawed = NULL;
	AUTO(buf_fini) struct buf again = BUF_INIT;
	struct err err = ERR_INIT;

	buf_clear(out);
	assert_int_equal(lang_freeze(model, out, &err), ERR_OK);
	assert_int_equal(json_check(buf_view(out), JSON_DEPTH_MAX, &err), ERR_OK);
	if (lang_thaw(buf_view(out), &thawed, &err) != ERR_OK)
		print_error("%s\n%s\n", err.text, out->ptr);
	assert_non_null(thawed);
	assert_int_equal(lang_freeze(thawed, &again, &err), ERR_OK);
	assert_string_equal(again.ptr, out->ptr);
	assert_int_equal(thawed->steps_count, model->steps_count);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		assert_int_equal(thawed->steps[i].needs_implicit, model->steps[i].needs_implicit);
		assert_int_equal(thawed->steps[i].needs_count, model->steps[i].needs_count);
		assert_int_equal(thawed->order[i], model->order[i]);
	}
}

static const char *const pipelines[] = {
    "pipeline: p\nsteps: {a: {noop: true}}",
    "pipeline: p\nversion: ''\ndescription: ''\nsync: never\nsteps: {a: {run: x}}",
    "pipeline: p\nsync: interval:1500\ntimeout: 1h30m\nconcurrency: 7\nsteps: {a: {argv: [x, '', "
    "'\"']}}",
    "pipeline: p\nsteps: {a: {noop: true, needs: []}, b: {noop: true}, c: {noop: true, needs: [a, "
    "b]},"
    " d: {noop: true, needs_any: [a, c]}, e: {noop: true, needs: [a], needs_any: [b, c]}}",
    "pipeline: p\nsteps: {a: {noop: true, retry: {max_attempts: 1, initial: 3s}}}",
    "pipeline: p\nsteps: {a: {noop: true, retry: {max_attempts: 4, on: [dependency, timeout],"
    " backoff: constant, initial: 0s, multiplier: 1.7, max: 1500ms, jitter: 33.333%}}}",
    "pipeline: p\nsteps: {a: {gate: manual, noop: true}, b: {gate: manual, noop: true, approve:"
    " {by: [x, y], count: 2, timeout: 90s}}}",
    "pipeline: p\nparams: {n: {type: number, default: 1.5, min: -1e300, max: 1e300}, o: {type: "
    "object,"
    " default: {a: [1, 2.50, ~, yes, true, {}, [], 1e16, 9007199254740993, -0.0], 'b c': "
    "\"\\x01\\x7f\"}},"
    " s: {type: string, default: 007, help: 'it''s'}, k: {type: secret, from: {fd: 5}},"
    " f: {type: secret, from: {file: 'a b'}}, i: {type: int, default: -5},"
    " e: {type: enum, values: ['1', 'true', ''''''], default: 1},"
    " d: {type: duration, default: 90m}, z: {type: size, default: 3KiB}}\nsteps: {a: {noop: true}}",
    "pipeline: p\nenv: {A: x, B: {from: env}, C: '${params.k}', D: ''}\nparams: {k: {type: secret, "
    "from:"
    " {env: K}}}\nsteps:\n  a:\n    run: |\n      line one\n      \"two\" \\ $x\n\n",
    "pipeline: p\nsteps:\n  a:\n    run: \"tab\\t nl\\n nel\\x85 ls\\u2028 ps\\u2029 bom\\uFEFF "
    "non\\uFFFE "
    "\\uFFFF emoji\\U0001F600 c1\\x9f del\\x7f esc\\e\"\n",
    "pipeline: p\nsteps: {a: {run: x, timeout: 1ms, silence_timeout: 1d, grace: 0s, output_limit: "
    "1536KiB,"
    " exit_codes: {1: data_quality, 255: timeout}, shell: [sh, -c], env: {}, cwd: 'x/${1}', "
    "inputs: [a,"
    " '${run.id}'], outputs: {r: {type: list, required: true}, s: {type: size}}, artifacts: "
    "[{name: q,"
    " path: '${run.step}'}], tags: [b, a], description: d, on_failure: ignore, on_lost: rerun,"
    " on_stop: cancel, gate: soft, pass: output.r ~= nil, reason: 'no ${output.s}', when: 'true'}}",
    "pipeline: p\ndefaults: {priority: 7}\n"
    "steps: {a: {noop: true, priority: -1000000}, b: {noop: true}}",
    "pipeline: p\nsteps: {a: {run: x, cache: true, inputs: []},"
    " b: {run: x, cache: false, inputs: [a]}}",
    "pipeline: p\nsteps: {a: {run: x, quality: {min_valid_rate: 0.995, max_null_rate: 0,"
    " min_record_count: 0}},"
    " b: {run: x, quality: {max_record_count: 9223372036854775807, severity: soft}}}",
    "pipeline: p\nsteps: {a: {argv: [x], stdin: {text: \"a\\n${run.id}\"}, context: true,"
    " streams: split, user: root,"
    " orphans: allow, limits: {core: 0B, cpu: 90s, nofile: 64, as: 3KiB}},"
    " b: {argv: [x], stdin: 'in ${run.id}',"
    " context: false, streams: merged, orphans: kill, limits: {}}}",
    "pipeline: p\nsteps: {a: {run: x, shell: [sh, -c], cwd: d, env: {A: b}, compensate: {run: y}},"
    " b: {noop: true, on_failure: compensate, compensate: {argv: [u, '${outputs.c.n}'],"
    " timeout: 3s,"
    " retry: {max_attempts: 2}, silence_timeout: 1s, grace: 1s, output_limit: 3B,"
    " exit_codes: {3: timeout},"
    " env: {C: d}, cwd: e}, needs: [c]}, c: {run: x, needs: [], outputs: {n: {type: int}}}}",
};

static void freezing_what_was_thawed_gives_the_same_bytes(void **state)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pipelines); i++)
		round_trip(pipelines[i], &frozen);
}

static void the_frozen_form_has_every_default(void **state)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;

	(void)state;
	round_trip("pipeline: p\nconcurrency: 2\nsteps: {a: {run: x}}", &frozen);
	assert_string_equal(
	    frozen.ptr,
	    "{\"format\":1,\"pipeline\":\"p\",\"folder\":\"/srv/p "
	    "q\\\"\xC3\xA9\",\"concurrency\":2,"
	    "\"sync\":\"always\",\"steps\":{\"a\":{\"run\":\"x\",\"needs\":[],\"retry\":"
	    "{\"max_attempts\":1},\"on_failure\":\"stop\",\"on_lost\":\"fail\",\"on_stop\":"
	    "\"wait\","
	    "\"grace\":\"10s\",\"output_limit\":\"1GiB\",\"exit_codes\":{\"75\":\"transient_io\"},"
	    "\"shell\":[\"bash\",\"-euo\",\"pipefail\",\"-c\"]}}}");
}

static void a_text_of_blanks_and_signs_comes_back(void **state)
{
	AUTO(model_drop) struct model *thawed = NULL;
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	round_trip(pipelines[9], &frozen);
	assert_int_equal(lang_thaw(buf_view(&frozen), &thawed, &err), ERR_OK);
	assert_string_equal(
	    thawed->steps[0].command->text.ptr,
	    "tab\t nl\n nel\xC2\x85 ls\xE2\x80\xA8 ps\xE2\x80\xA9 bom\xEF\xBB\xBF "
	    "non\xEF\xBF\xBE \xEF\xBF\xBF emoji\xF0\x9F\x98\x80 c1\xC2\x9F del\x7F esc\x1B");
}

static void what_is_not_a_frozen_form_is_corrupt(void **state)
{
	static const char *const texts[] = {
	    "",
	    "{",
	    "{}",
	    "{\"format\":1,\"pipeline\":\"p\",\"concurrency\":2,\"steps\":{\"a\":{\"noop\":true}}}",
	    ("{\"format\":1,\"pipeline\":\"p\",\"folder\":\"/x\","
	     "\"steps\":{\"a\":{\"noop\":true}},\"x\":1}"),
	    "{\"format\":2,\"pipeline\":\"p\",\"folder\":\"/x\",\"steps\":{\"a\":{\"noop\":true}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct model *model = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(lang_thaw(str_of(texts[i]), &model, &err), ERR_CORRUPT);
		assert_null(model);
	}
}

/* Its form is that of lang_freeze; what differs within a step is read too, as anywhere else. */
static void a_step_of_another_form_is_thawed_too(void **state)
{
	static const char *const steps[] = {
	    "\"a\":{\"noop\":true},\"b\":{\"noop\":true,\"needs\":[\"a\"]}",
	    "\"a\":{\"noop\": true},\"b\":{\"noop\":true,\"needs\":[\"a\"]}",
	    "\"a\":{\"noop\":true},\"b\":{\"noop\":true,\"needs\":[ \"a\" ]}",
	    "\"a\":{\"noop\":true},\"b\":{\"noop\":true,\n\"needs\":[\"a\"]}",
	    "\"a\":{\"noop\":true},\"b\":{noop: true, needs: [a]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		AUTO(model_drop) struct model *model = NULL;
		AUTO(buf_fini) struct buf text = BUF_INIT;
		struct err err = ERR_INIT;

		buf_fmt(&text,
			"{\"format\":1,\"pipeline\":\"p\",\"folder\":\"/x\",\"concurrency\":1,"
			"\"steps\":{%s}}",
			steps[i]);
		if (lang_thaw(buf_view(&text), &model, &err) != ERR_OK)
			fail_msg("%s: %s", steps[i], err.text);
		assert_int_equal(model->steps_count, 2);
		assert_int_equal(model->steps[1].needs_count, 1);
		assert_int_equal(model->steps[1].needs[0], 0);
	}
}

/* It was accepted once: limits, PATH and the grammar of expressions are not asked again. */
static void thawing_does_not_judge_again(void **state)
{
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    lang_thaw(STR("{\"format\":1,\"pipeline\":\"p\",\"folder\":\"/x\",\"concurrency\":1,"
			  "\"steps\":{\"a\":{\"run\":\"x\",\"needs\":[],\"shell\":[\"no-such-"
			  "shell\"]}}}"),
		      &model, &err),
	    ERR_OK);
}

static void short_memory_is_an_error_at_every_allocation(void **state)
{
	AUTO(model_drop) struct model *model = load(str_of(pipelines[7]));
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(lang_freeze(model, &frozen, &err), ERR_OK);
	for (uint64_t nth = 1;; nth++) {
		AUTO(buf_fini) struct buf out = BUF_INIT;
		AUTO(model_drop) struct model *thawed = NULL;
		struct err first = ERR_INIT;
		struct err second = ERR_INIT;
		enum err_code freeze;
		enum err_code thaw;
		uint64_t calls;

		mem_fail_at(nth, 1);
		freeze = lang_freeze(model, &out, &first);
		thaw = lang_thaw(buf_view(&frozen), &thawed, &second);
		calls = mem_calls();
		mem_fail_at(0, 0);
		assert_true(freeze == ERR_OK || freeze == ERR_MEMORY);
		if (calls < nth) {
			assert_int_equal(thaw, ERR_OK);
			return;
		}
		assert_int_equal(thaw, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(freezing_what_was_thawed_gives_the_same_bytes),
	    cmocka_unit_test(the_frozen_form_has_every_default),
	    cmocka_unit_test(a_text_of_blanks_and_signs_comes_back),
	    cmocka_unit_test(what_is_not_a_frozen_form_is_corrupt),
	    cmocka_unit_test(a_step_of_another_form_is_thawed_too),
	    cmocka_unit_test(thawing_does_not_judge_again),
	    cmocka_unit_test(short_memory_is_an_error_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
