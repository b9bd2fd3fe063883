/* load_test.c - pipeline files: what is accepted, and the exact place and code of what is not */
#include "base/mem.h"
#include "lang/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER STR("/srv/pipelines")
#define STEPS  "steps: {a: {noop: true}}\n"

struct loaded {
	struct diags diags;
	struct model *model;
	struct err err;
};

static void loaded_fini(struct loaded *loaded)
{
	diags_fini(&loaded->diags);
	model_free(loaded->model);
}

static struct loaded load_with(struct str text, const struct limits *limits)
{
	struct loaded loaded = {.err = ERR_INIT};
	enum err_code code;

	diags_init(&loaded.diags, limits->diagnostics);
	code = lang_load(text, FOLDER, limits, &loaded.diags, &loaded.model, &loaded.err);
	assert_int_equal(code, loaded.err.code);
	return loaded;
}

static struct loaded load(const char *text)
{
	struct limits limits;

	limits_default(&limits);
	return load_with(str_of(text), &limits);
}

/* Exactly these errors, as "SLU013@2:3 SLU016@4:1". */
static void expect_at(int line, const char *text, const char *expected)
{
	AUTO(loaded_fini) struct loaded loaded = load(text);
	AUTO(buf_fini) struct buf got = BUF_INIT;

	for (size_t i = 0; i < loaded.diags.count; i++)
		buf_fmt(&got, "%sSLU%03u@%u:%u", i ? " " : "", (unsigned)loaded.diags.items[i].code,
			(unsigned)loaded.diags.items[i].line,
			(unsigned)loaded.diags.items[i].column);
	if (!str_is(buf_view(&got), expected)) {
		AUTO(buf_fini) struct buf shown = BUF_INIT;

		diags_print(&loaded.diags, STR("test"), str_of(text), &shown);
		print_error("line %d:\n%s\n", line, shown.ptr ? shown.ptr : "no error");
	}
	assert_string_equal(got.ptr ? got.ptr : "", expected);
	assert_int_equal(loaded.err.code, expected[0] ? ERR_INVALID : ERR_OK);
	assert_int_equal(loaded.model == NULL, expected[0] != '\0');
}

#define expect(text, expected) expect_at(__LINE__, text, expected)

/* The only error's hint. */
static void expect_hint(const char *text, const char *hint)
{
	AUTO(loaded_fini) struct loaded loaded = load(text);

	assert_int_equal(loaded.diags.count, 1);
	assert_string_equal(loaded.diags.items[0].hint.ptr ? loaded.diags.items[0].hint.ptr : "",
			    hint);
}

static void the_smallest_pipeline_is_a_name_and_a_step(void **state)
{
	AUTO(loaded_fini) struct loaded loaded = load("pipeline: p\n" STEPS);

	(void)state;
	assert_non_null(loaded.model);
	assert_int_equal(loaded.model->format, 1);
	assert_int_equal(loaded.model->steps_count, 1);
	assert_true(str_is(loaded.model->pipeline, "p"));
	assert_true(str_is(loaded.model->folder, "/srv/pipelines"));
	assert_true(loaded.model->concurrency >= 1);
	assert_int_equal(loaded.model->sync, SYNC_ALWAYS);
	assert_int_equal(loaded.model->steps[0].retry->max_attempts, 1);
}

static void json_is_yaml(void **state)
{
	(void)state;
	expect("{\"pipeline\": \"p\", \"steps\": {\"a\": {\"argv\": [\"true\", \"\\u00e9\\/\"]}}}",
	       "");
	expect("\xEF\xBB\xBFpipeline: p\n" STEPS, "");
	expect("%YAML 1.2\n---\npipeline: p\n" STEPS, "");
}

static void what_makes_yaml_ambiguous_is_refused(void **state)
{
	(void)state;
	expect("", "SLU004@0:0");
	expect("# nothing\n", "SLU004@0:0");
	expect("pipeline: p\n" STEPS "---\npipeline: q\n", "SLU005@3:1");
	expect("pipeline: &x p\n" STEPS, "SLU006@1:11");
	expect("pipeline: p\nversion: *x\n" STEPS, "SLU006@2:10");
	expect("pipeline: !!str p\n" STEPS, "SLU007@1:11");
	expect("pipeline: !x p\n" STEPS, "SLU007@1:11");
	expect("%TAG ! tag:x,2000:\n---\npipeline: p\n" STEPS, "SLU007@1:1");
	expect("%YAML 1.1\n---\npipeline: p\n" STEPS, "SLU007@1:1");
	expect("pipeline: p\n<<: {version: x}\n" STEPS, "SLU008@2:1");
	expect("pipeline: p\npipeline: q\n" STEPS, "SLU009@2:1");
	expect("pipeline: p\nsteps:\n  a: {noop: true}\n  b: {noop: true}\n  \"a\": {noop: true}\n",
	       "SLU009@5:3");
	expect("pipeline: p\nversion: 1\nversion: 2\nversion: 3\n" STEPS, "SLU009@3:1 SLU009@4:1");
	expect("pipeline: p\n{a: b}: c\n" STEPS, "SLU012@2:1");
	expect("pipeline: p\n[a]: c\n" STEPS, "SLU012@2:1");
	expect("- a\n- b\n", "SLU016@1:1");
	expect("just text", "SLU016@1:1");
}

static void a_duplicate_among_many_keys_is_found(void **state)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	buf_text(&text, "pipeline: p\nsteps:\n");
	for (int i = 0; i < 40; i++)
		buf_fmt(&text, "  s%d: {noop: true}\n", i);
	buf_text(&text, "  s7: {noop: true}\n");
	expect(text.ptr, "SLU009@43:3");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char with_nul[] = "pipeline: p\0\n" STEPS;
	struct limits limits;

	(void)state;
	expect("pipeline: p\xFF\n" STEPS, "SLU002@1:12");
	expect("pipeline: \xC3\xA9\xED\xA0\x80\n" STEPS, "SLU002@1:12");
	expect("\xFF\xFEp\n", "SLU002@1:1");
	expect("pipeline: p\x07\n" STEPS, "SLU002@1:12");
	expect("pipeline: p\xC2\x85version: x\n" STEPS, "SLU002@1:12");
	expect("pipeline: p\xE2\x80\xA8version: x\n" STEPS, "SLU002@1:12");
	expect("pipeline: p\ndescription: \"a\\0b\"\n" STEPS, "SLU017@2:14");
	limits_default(&limits);
	AUTO(loaded_fini)
	struct loaded loaded = load_with(str_from(with_nul, sizeof(with_nul) - 1), &limits);
	assert_int_equal(loaded.diags.items[0].code, DIAG_ENCODING);
}

static void syntax_errors_have_a_place_and_a_hint(void **state)
{
	(void)state;
	expect("pipeline: p\n\tsteps: {}\n", "SLU003@2:1");
	expect("pipeline: [p\n" STEPS, "SLU003@2:6");
	expect("pipeline: 'p\n", "SLU003@2:1");
	expect("pipeline: p\ndescription: a: b\n" STEPS, "SLU003@2:15");
	expect_hint(
	    "pipeline: p\ndescription: a: b\n" STEPS,
	    "a text with a colon and a blank needs quotes; or the line is indented too far");
}

/* libyaml overflows its stack at `[` x 100000 when it composes; events do not. */
static void deep_nesting_stops_at_the_limit_at_once(void **state)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_byte(&text, '[');
	expect(text.ptr, "SLU010@1:65");
	buf_clear(&text);
	buf_text(&text, "x: ");
	for (int i = 0; i < 100000; i++)
		buf_text(&text, "{a: ");
	expect(text.ptr, "SLU010@1:256");
}

static void limits_bound_bytes_values_and_steps(void **state)
{
	struct limits limits;

	(void)state;
	limits_default(&limits);
	limits.definition_bytes = 10;
	AUTO(loaded_fini) struct loaded bytes = load_with(STR("pipeline: p\n" STEPS), &limits);
	assert_int_equal(bytes.err.code, ERR_LIMIT);
	assert_int_equal(bytes.diags.items[0].code, DIAG_FILE_TOO_LARGE);
	limits_default(&limits);
	limits.definition_nodes = 5;
	AUTO(loaded_fini) struct loaded nodes = load_with(STR("pipeline: p\n" STEPS), &limits);
	assert_int_equal(nodes.diags.items[0].code, DIAG_NODES);
	limits_default(&limits);
	limits.steps = 1;
	AUTO(loaded_fini)
	struct loaded steps =
	    load_with(STR("pipeline: p\nsteps: {a: {noop: true}, b: {noop: true}}"), &limits);
	assert_int_equal(steps.diags.items[0].code, DIAG_TOO_MANY_STEPS);
}

static void every_error_is_found_in_one_pass(void **state)
{
	(void)state;
	expect("pipeline: p p\n"
	       "concurrency: 0\n"
	       "timeout: 30\n"
	       "steps:\n"
	       "  a: {run: 'x', retrys: 1}\n"
	       "  b: {needs: [c], noop: true}\n"
	       "  end: {noop: true}\n",
	       "SLU018@1:11 SLU022@2:14 SLU021@3:10 SLU013@5:17 SLU029@6:15 SLU018@7:3");
}

static void more_errors_than_the_limit_are_counted(void **state)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	buf_text(&text, "pipeline: p\nsteps:\n");
	for (int i = 0; i < 150; i++)
		buf_fmt(&text, "  s%d: {foo: true, bar: 1}\n", i);
	AUTO(loaded_fini) struct loaded loaded = load(text.ptr);
	assert_int_equal(loaded.diags.count, 100);
	assert_int_equal(loaded.diags.dropped, 200);
	assert_string_equal(loaded.err.text, "the pipeline has 300 errors");
}

/* YAML 1.2 knows no yes, no, on, off; octal is 0o17; nothing is sexagesimal. */
static void only_scalars_of_the_core_schema_are_numbers_and_booleans(void **state)
{
#define PARAM(type, value) "pipeline: p\nparams: {x: {type: " type ", default: " value "}}\n" STEPS
	(void)state;
	expect(PARAM("bool", "true"), "");
	expect(PARAM("bool", "False"), "");
	expect(PARAM("bool", "yes"), "SLU038@2:35");
	expect(PARAM("bool", "on"), "SLU038@2:35");
	expect(PARAM("bool", "\"true\""), "SLU038@2:35");
	expect(PARAM("int", "0o17"), "");
	expect(PARAM("int", "0x1F"), "");
	expect(PARAM("int", "+5"), "");
	expect(PARAM("int", "12:30"), "SLU038@2:34");
	expect(PARAM("int", "1_000"), "SLU038@2:34");
	expect(PARAM("int", "1.0"), ""); /* 1 in JSON */
	expect(PARAM("int", "1.5"), "SLU038@2:34");
	expect(PARAM("int", "9223372036854775807"), "");
	expect(PARAM("int", "9223372036854775808"), "SLU022@2:34");
	expect(PARAM("number", "1e3"), "");
	expect(PARAM("number", ".5"), "");
	expect(PARAM("number", ".inf"), "SLU022@2:37");
	expect(PARAM("string", "007"), "");
	expect(PARAM("string", "~"), "SLU038@2:37");
	expect(PARAM("list", "[1, a, {b: null}]"), "");
	expect(PARAM("object", "{a: [yes, ~, 0o17]}"), "");
}

static void octal_and_hexadecimal_have_their_value(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded = load(PARAM("object", "{a: [yes, ~, 0o17, 0x1F, 017, 1e3, -0.0]}"));

	(void)state;
	assert_non_null(loaded.model);
	assert_string_equal(loaded.model->params[0].fallback.ptr,
			    "{\"a\":[\"yes\",null,15,31,17,1000,0]}");
}

static void unknown_keys_get_a_suggestion(void **state)
{
	(void)state;
	expect("pipeline: p\nconcurency: 3\n" STEPS, "SLU013@2:1");
	expect_hint("pipeline: p\nconcurency: 3\n" STEPS, "did you mean 'concurrency'?");
	expect_hint("pipeline: p\nsteps: {a: {noop: true, onfailure: stop}}\n",
		    "did you mean 'on_failure'?");
	expect_hint("pipeline: p\nsteps: {a: {noop: true, folder: x}}\n", "");
	expect_hint("pipeline: p\nname: q\n" STEPS, "it is called 'pipeline' here");
	expect_hint("pipeline: p\nsteps: {a: {noop: true, Depends-On: [b]}}\n",
		    "it is called 'needs' here");
	expect_hint("pipeline: p\nsteps: {a: {rnu: x}}\n", "did you mean 'run'?");
	expect_hint("pipeline: p\nsteps: {a: {run: x, retry: {attempts: 3}}}\n",
		    "it is called 'max_attempts' here");
	expect_hint("pipeline: p\nsteps: {a: {run: x, retry: {wurst: 3}}}\n",
		    "its keys are 'max_attempts', 'on', 'backoff', 'initial', 'multiplier', 'max' "
		    "and 'jitter'");
	expect("pipeline: p\nfolder: /x\n" STEPS, "SLU013@2:1");
}

static void keys_of_later_versions_have_an_error_of_their_own(void **state)
{
	static const char *const top[] = {"schedule", "notify"};
	static const char *const step[] = {"lua", "http", "pipeline", "choice",
					   "map", "wait", "flow",     "pool"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(top); i++) {
		char text[200];

		(void)snprintf(text, sizeof(text), "pipeline: p\n%s: {}\n" STEPS, top[i]);
		expect(text, "SLU014@2:1");
	}
	for (size_t i = 0; i < ARRAY_LEN(step); i++) {
		char text[200];

		(void)snprintf(text, sizeof(text), "pipeline: p\nsteps: {a: {%s: {}%s}}\n", step[i],
			       i < 7 ? "" : ", noop: true");
		expect(text, "SLU014@2:13");
	}
}

/* S10 */
static void a_compensation_is_a_command_with_keys_of_its_own(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {run: y}}}\n", "");
	expect("pipeline: p\nsteps: {a: {run: x, outputs: {n: {type: int}}, compensate: {argv: [y, "
	       "'${outputs.a.n}'], timeout: 3s, retry: {max_attempts: 2}, cwd: z, env: {A: b}}},"
	       " b: {run: x, on_failure: compensate}}\n",
	       "");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: y}}\n", "SLU016@2:33");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {}}}\n", "SLU023@2:21");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {run: y, argv: [z]}}}\n",
	       "SLU024@2:42");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {argv: [z], shell: [sh, -c]}}}\n",
	       "SLU025@2:45");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {run: y, on_lost: ask}}}\n",
	       "SLU013@2:42");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {run: y, timeout: 3}}}\n",
	       "SLU021@2:51");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {run: 'y ${params.z}'}}}\n",
	       "SLU031@2:42");
	expect("pipeline: p\nsteps: {a: {run: x, compensate: {argv: [y, '${outputs.b.n}']}},"
	       " b: {run: x,"
	       " outputs: {n: {type: int}}}}\n",
	       "SLU047@2:55");
	expect("pipeline: p\nsteps: {a: {noop: true, on_failure: compensate}}\n", "SLU015@2:37");
	expect_hint("pipeline: p\nsteps: {a: {noop: true, on_failure: compensat}}\n",
		    "did you mean 'compensate'?");
}

/* S3.4 */
static void a_pipeline_without_steps_is_refused(void **state)
{
	(void)state;
	expect("pipeline: p\n", "SLU026@1:1");
	expect("pipeline: p\nsteps: {}\n", "SLU026@2:8");
	expect("pipeline: p\nsteps:\n", "SLU026@2:1");
	expect("pipeline: p\nsteps: [a]\n", "SLU016@2:8");
	expect("steps: {a: {noop: true}}\n", "SLU015@1:1");
}

static void a_step_does_exactly_one_thing(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {}}\n", "SLU023@2:9");
	expect("pipeline: p\nsteps: {a: }\n", "SLU023@2:9");
	expect("pipeline: p\nsteps: {a: {run: x, argv: [y]}}\n", "SLU024@2:21");
	expect("pipeline: p\nsteps: {a: {noop: true}, b: {noop: }, c: {noop: {}}}\n", "");
	expect("pipeline: p\nsteps: {a: {noop: false}}\n", "SLU016@2:19");
	expect("pipeline: p\nsteps: {a: {noop: 1}}\n", "SLU016@2:19");
	expect("pipeline: p\nsteps: {a: {run: ''}}\n", "SLU017@2:18");
	expect("pipeline: p\nsteps: {a: {argv: []}}\n", "SLU017@2:19");
	expect("pipeline: p\nsteps: {a: {argv: ['']}}\n", "SLU017@2:20");
	expect("pipeline: p\nsteps: {a: {argv: [x, '', 5, true]}}\n", "");
	expect("pipeline: p\nsteps: {a: {argv: x}}\n", "SLU016@2:19");
}

static void names_are_checked(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {load-data: {noop: true}}\n", "SLU018@2:9");
	expect("pipeline: p\nsteps: {and: {noop: true}}\n", "SLU018@2:9");
	expect("pipeline: p\nsteps: {1: {noop: true}}\n", "SLU018@2:9");
	expect("pipeline: p\nparams: {a-b: {type: int}}\n" STEPS, "SLU018@2:10");
	expect("pipeline: a/b\n" STEPS, "SLU018@1:11");
	expect("pipeline: a..b\n" STEPS, "SLU018@1:11");
	expect("pipeline: \n" STEPS, "SLU016@1:10");
	expect("pipeline: p\nsteps: {a: {run: x, outputs: {a b: {type: int}}}}\n", "SLU018@2:31");
	expect("pipeline: p\nsteps: {a: {run: x, artifacts: [{name: ../x, path: y}]}}\n",
	       "SLU018@2:40");
}

/* S5.1 */
static void a_step_needs_the_one_before_unless_it_says_otherwise(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded = load("pipeline: p\nsteps:\n"
				    "  a: {noop: true}\n"
				    "  b: {noop: true}\n"
				    "  c: {noop: true, needs: []}\n"
				    "  d: {noop: true, needs: [a, c]}\n"
				    "  e: {noop: true, needs_any: [a, b]}\n");
	const struct step *steps;

	(void)state;
	assert_non_null(loaded.model);
	steps = loaded.model->steps;
	assert_int_equal(steps[0].needs_count, 0);
	assert_false(steps[0].needs_implicit);
	assert_int_equal(steps[1].needs_count, 1);
	assert_int_equal(steps[1].needs[0], 0);
	assert_true(steps[1].needs_implicit);
	assert_int_equal(steps[2].needs_count, 0);
	assert_false(steps[2].needs_implicit);
	assert_int_equal(steps[3].needs_count, 2);
	assert_int_equal(steps[3].needs[1], 2);
	assert_int_equal(steps[4].needs_count, 0);
	assert_false(steps[4].needs_implicit);
	assert_int_equal(steps[4].needs_any_count, 2);
	assert_int_equal(loaded.model->order[0], 0);
}

static void needs_name_other_steps_once(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {extract: {noop: true}, b: {noop: true, needs: [extrat]}}\n",
	       "SLU029@2:56");
	expect_hint(
	    "pipeline: p\nsteps: {extract: {noop: true}, b: {noop: true, needs: [extrat]}}\n",
	    "did you mean 'extract'?");
	expect("pipeline: p\nsteps: {a: {noop: true, needs: [a]}}\n", "SLU030@2:33");
	expect("pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs: [a, a]}}\n",
	       "SLU028@2:53");
	expect(
	    "pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs: [a], needs_any: [a]}}\n",
	    "SLU028@2:66");
	expect("pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs: a}}\n", "SLU016@2:49");
	expect("pipeline: p\nsteps: {a: {noop: true}, b: {noop: true, needs_any: []}}\n",
	       "SLU017@2:53");
}

static void cycles_are_named(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded = load("pipeline: p\nsteps:\n"
				    "  a: {noop: true, needs: [c]}\n"
				    "  b: {noop: true, needs: [a]}\n"
				    "  c: {noop: true, needs: [b]}\n");

	(void)state;
	assert_int_equal(loaded.diags.count, 1);
	assert_int_equal(loaded.diags.items[0].code, DIAG_CYCLE);
	assert_non_null(strstr(loaded.diags.items[0].text.ptr, " -> "));
	expect("pipeline: p\nsteps: {a: {noop: true, needs: [b]}, b: {noop: true}}\n",
	       "SLU032@2:9");
}

/* S7.1, S7.2 */
static void a_retry_map_fills_in_its_defaults(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded = load("pipeline: p\nsteps:\n"
				    "  a: {noop: true}\n"
				    "  b: {noop: true, retry: {}}\n"
				    "  c: {noop: true, retry: {max_attempts: 5, on: [dependency], "
				    "backoff: linear, initial: 1s, max: 5s, jitter: 0%}}\n");
	const struct retry *retry;

	(void)state;
	assert_non_null(loaded.model);
	assert_int_equal(loaded.model->steps[0].retry->max_attempts, 1);
	retry = loaded.model->steps[1].retry;
	assert_int_equal(retry->max_attempts, 3);
	assert_int_equal(retry->classes, 1u << CLASS_TRANSIENT_IO | 1u << CLASS_TIMEOUT);
	assert_int_equal(retry->backoff, BACKOFF_EXPONENTIAL);
	assert_int_equal(retry->initial_ns, 2000000000);
	assert_int_equal(retry->max_ns, 60000000000);
	assert_true(retry->multiplier == 2 && retry->jitter == 0.1);
	retry = loaded.model->steps[2].retry;
	assert_int_equal(retry->classes, 1u << CLASS_DEPENDENCY);
	assert_int_equal(retry->backoff, BACKOFF_LINEAR);
	assert_true(retry->jitter == 0);
}

static void retries_that_make_no_sense_are_refused(void **state)
{
#define RETRY(text) "pipeline: p\nsteps: {a: {noop: true, retry: " text "}}\n"
	(void)state;
	expect(RETRY("3"), "SLU016@2:32");
	expect(RETRY("{max_attempts: 0}"), "SLU022@2:47");
	expect(RETRY("{on: [lost]}"), "SLU037@2:38");
	expect(RETRY("{on: [timeot]}"), "SLU037@2:38");
	expect(RETRY("{on: [timeout, timeout]}"), "SLU028@2:47");
	expect(RETRY("{on: []}"), "SLU037@2:37");
	expect(RETRY("{initial: 5}"), "SLU021@2:42");
	expect(RETRY("{initial: 5m}"), "SLU035@2:25");
	expect(RETRY("{initial: 5m, max: 1h}"), "");
	expect(RETRY("{jitter: 10}"), "SLU021@2:41");
	expect(RETRY("{jitter: 110%}"), "SLU022@2:41");
	expect(RETRY("{multiplier: 0.5}"), "SLU022@2:45");
	expect(RETRY("{backoff: random}"), "SLU020@2:42");
	expect(RETRY("{max: 0s}"), "SLU022@2:38");
}

static void a_steps_own_key_wins_whole_over_the_default(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded =
	    load("pipeline: p\n"
		 "defaults: {timeout: 10m, env: {A: x, B: y}, retry: {max_attempts: 9, "
		 "max: 9s}, exit_codes: {3: timeout}, shell: [sh, -c], approve: {by: [x]}}\n"
		 "steps:\n"
		 "  a: {run: x}\n"
		 "  b: {argv: [x], env: {C: z}, retry: {initial: 1s}, timeout: 1s}\n"
		 "  c: {noop: true}\n");
	const struct step *steps;

	(void)state;
	assert_non_null(loaded.model);
	steps = loaded.model->steps;
	assert_int_equal(steps[0].command->timeout_ns, 600000000000);
	assert_int_equal(steps[0].command->env_count, 2);
	assert_int_equal(steps[0].command->shell_count, 2);
	assert_int_equal(steps[0].command->exit_class_count, 2);
	assert_int_equal(steps[0].command->exit_classes[0].exit_code, 3);
	assert_int_equal(steps[0].command->exit_classes[1].exit_code, 75);
	assert_int_equal(steps[0].retry->max_attempts, 9);
	assert_null(steps[0].approval);
	assert_int_equal(steps[1].command->env_count, 1);
	assert_int_equal(steps[1].command->shell_count, 0);
	assert_int_equal(steps[1].command->timeout_ns, 1000000000);
	assert_int_equal(steps[1].retry->max_attempts, 3);
	assert_int_equal(steps[1].retry->max_ns, 60000000000);
	assert_null(steps[2].command);
	expect("pipeline: p\ndefaults: {run: x}\n" STEPS, "SLU025@2:12");
	expect("pipeline: p\ndefaults: {needs: []}\n" STEPS, "SLU025@2:12");
	expect("pipeline: p\ndefaults: {gate: hard}\n" STEPS, "SLU025@2:12");
	expect("pipeline: p\ndefaults: {foo: x}\n" STEPS, "SLU013@2:12");
}

static void commands_have_defaults(void **state)
{
	AUTO(loaded_fini)
	struct loaded loaded = load("pipeline: p\nsteps: {a: {run: 'echo ${x}'}}\n");
	const struct command *command;

	(void)state;
	assert_non_null(loaded.model);
	command = loaded.model->steps[0].command;
	assert_int_equal(command->grace_ns, 10000000000);
	assert_int_equal(command->output_limit_bytes, 1073741824);
	assert_int_equal(command->shell_count, 4);
	assert_true(str_is(command->shell[1], "-euo"));
	assert_int_equal(command->exit_class_count, 1);
	assert_int_equal(command->exit_classes[0].class, CLASS_TRANSIENT_IO);
	assert_int_equal(command->timeout_ns, 0);
}

static void keys_without_meaning_for_the_kind_are_refused(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {noop: true, env: {A: x}}}\n", "SLU025@2:25");
	expect("pipeline: p\nsteps: {a: {argv: [x], shell: [sh, -c]}}\n", "SLU025@2:24");
	expect("pipeline: p\nsteps: {a: {noop: true, timeout: 1s, grace: 1s}}\n",
	       "SLU025@2:25 SLU025@2:38");
	expect("pipeline: p\nsteps: {a: {run: x, grace: 0s}}\n", "");
	expect("pipeline: p\nsteps: {a: {run: x, timeout: 0s}}\n", "SLU022@2:30");
	expect("pipeline: p\nsteps: {a: {run: x, output_limit: 5}}\n", "SLU021@2:35");
	expect("pipeline: p\nsteps: {a: {run: x, output_limit: 0B}}\n", "SLU022@2:35");
}

static void a_missing_shell_is_an_error_at_load(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {run: x, shell: [no-such-shell-here, -c]}}\n",
	       "SLU051@2:21");
	expect("pipeline: p\nsteps: {a: {run: x, shell: [/bin/sh, -c]}}\n", "");
	expect("pipeline: p\nsteps: {a: {run: x, shell: [/etc/passwd]}}\n", "SLU051@2:21");
	expect("pipeline: p\nsteps: {a: {run: x, shell: []}}\n", "SLU017@2:28");
}

/* S5.4, S5.6 */
static void gates_and_their_keys_belong_together(void **state)
{
#define GATE(text) "pipeline: p\nsteps: {a: {noop: true, " text "}}\n"
	AUTO(loaded_fini) struct loaded loaded = load(GATE("gate: manual"));

	(void)state;
	assert_non_null(loaded.model);
	assert_int_equal(loaded.model->steps[0].approval->count, 1);
	assert_int_equal(loaded.model->steps[0].approval->by_count, 0);
	expect(GATE("gate: hard, pass: 1 < 2, reason: x"), "");
	expect(GATE("gate: soft, pass: 1 < 2"), "");
	expect(GATE("gate: firm"), "SLU020@2:31");
	expect(GATE("pass: 1 < 2"), "SLU033@2:25");
	expect(GATE("gate: manual, pass: 1 < 2"), "SLU033@2:39");
	expect(GATE("reason: x"), "SLU033@2:25");
	expect(GATE("approve: {}"), "SLU033@2:25");
	expect(GATE("gate: hard, approve: {}"), "SLU033@2:37");
	expect(
	    GATE("gate: manual, approve: {by: [a, b], count: 2, timeout: 1d, on_timeout: reject}"),
	    "");
	expect(GATE("gate: manual, approve: {by: [a, b], count: 3}"), "SLU034@2:39");
	expect(GATE("gate: manual, approve: {by: [a, a], count: 2}"), "SLU028@2:57");
	expect(GATE("gate: manual, approve: {count: 0}"), "SLU022@2:56");
	expect(GATE("gate: manual, approve: {on_timeout: approve}"), "SLU020@2:61");
	expect(GATE("gate: manual, approve: {timeout: 24}"), "SLU021@2:58");
}

static void exit_codes_are_checked(void **state)
{
#define CODES(text) "pipeline: p\nsteps: {a: {run: x, exit_codes: " text "}}\n"
	AUTO(loaded_fini) struct loaded loaded = load(CODES("{75: unknown, 9: timeout}"));

	(void)state;
	assert_non_null(loaded.model);
	assert_int_equal(loaded.model->steps[0].command->exit_class_count, 2);
	assert_int_equal(loaded.model->steps[0].command->exit_classes[1].class, CLASS_UNKNOWN);
	expect(CODES("{0: timeout}"), "SLU036@2:34");
	expect(CODES("{256: timeout}"), "SLU036@2:34");
	expect(CODES("{x: timeout}"), "SLU036@2:34");
	expect(CODES("{1: lost}"), "SLU037@2:37");
	expect(CODES("{1: timeot}"), "SLU037@2:37");
}

/* SLU031 */
static void values_in_the_text_of_a_shell_are_refused(void **state)
{
#define RUN(text) "pipeline: p\nparams: {x: {type: string}}\nsteps: {a: {run: '" text "'}}\n"
	(void)state;
	expect(RUN("echo ${params.x}"), "SLU031@3:24");
	expect(RUN("echo ${outputs.a.b}"), "SLU031@3:24");
	expect(RUN("echo ${output.b}"), "SLU031@3:24");
	expect(RUN("echo ${output}"), "SLU031@3:24");
	expect(RUN("echo ${run.id}"), "SLU031@3:24");
	expect(RUN("echo ${env.HOME}"), "SLU031@3:24");
	expect(RUN("echo ${index}"), "SLU031@3:24");
	expect(RUN("echo ${HOME} ${x:-params} ${output_dir} ${params} ${run}"), "");
	expect("pipeline: p\nsteps:\n  a:\n    run: |\n      set -u\n      echo ${params.x}\n",
	       "SLU031@6:12");
}

static void keys_of_the_process_are_checked(void **state)
{
#define CMD(text) "pipeline: p\nsteps: {a: {argv: [x], " text "}}\n"
	(void)state;
	expect(CMD("stdin: in.csv"), "");
	expect(CMD("stdin: {text: ''}"), "");
	expect(CMD("stdin: ''"), "SLU017@2:31");
	expect(CMD("stdin: {}"), "SLU015@2:31");
	expect(CMD("stdin: {txt: a}"), "SLU015@2:31 SLU013@2:32");
	expect(CMD("stdin: [a]"), "SLU016@2:31");
	expect(CMD("stdin: {text: '${params.q}'}"), "SLU045@2:48");
	expect(CMD("context: true, streams: split, orphans: allow"), "");
	expect(CMD("context: yes"), "SLU016@2:33");
	expect(CMD("streams: both"), "SLU020@2:33");
	expect(CMD("orphans: keep"), "SLU020@2:33");
	expect(CMD("user: root"), "");
	expect(CMD("user: no-such-user-here"), "SLU055@2:30");
	expect(CMD("user: ''"), "SLU017@2:30");
	expect(CMD("limits: {nofile: 64, nproc: 9, cpu: 90s, as: 2GiB, core: 0B, stack: 8MiB}"),
	       "");
	expect(CMD("limits: {}"), "");
	expect(CMD("limits: {nofile: 3}"), "SLU022@2:41");
	expect(CMD("limits: {nofile: 64KiB}"), "SLU016@2:41");
	expect(CMD("limits: {as: 100}"), "SLU021@2:37");
	expect(CMD("limits: {cpu: 10}"), "SLU021@2:38");
	expect(CMD("limits: {cpu: 1500ms}"), "SLU022@2:38");
	expect(CMD("limits: {files: 3}"), "SLU013@2:33");
	expect(CMD("limits: 7"), "SLU016@2:32");
	expect(
	    "pipeline: p\nsteps: {a: {noop: true, stdin: x, user: root, limits: {}, orphans: kill,"
	    " context: true, streams: split}}\n",
	    "SLU025@2:25 SLU025@2:35 SLU025@2:47 SLU025@2:59 SLU025@2:74 SLU025@2:89");
	expect(CMD("quality: {min_valid_rate: 0.99, max_null_rate: 0,"
		   " min_record_count: 1, severity: soft}"),
	       "");
	expect(CMD("quality: {}"), "SLU015@2:33");
	expect(CMD("quality: {severity: hard}"), "SLU015@2:33");
	expect(CMD("quality: {min_valid_rate: 99}"), "SLU022@2:50");
	expect(CMD("quality: {min_valid_rate: 99%}"), "SLU016@2:50");
	expect(CMD("quality: {max_null_rate: -0.1}"), "SLU022@2:49");
	expect(CMD("quality: {min_record_count: -1}"), "SLU022@2:52");
	expect(CMD("quality: {min_record_count: 1.5}"), "SLU016@2:52");
	expect(CMD("quality: {min_record_count: 5, max_record_count: 4}"), "SLU022@2:33");
	expect(CMD("quality: {severity: mild, min_record_count: 1}"), "SLU020@2:44");
	expect(CMD("quality: {min_rate: 1}"), "SLU013@2:34");
	expect(CMD("cache: true, inputs: [in]"), "");
	expect(CMD("inputs: [], cache: true"), "");
	expect(CMD("cache: false"), "");
	expect(CMD("cache: true"), "SLU056@2:24");
	expect(CMD("cache: 1, inputs: []"), "SLU016@2:31");
	expect("pipeline: p\ndefaults: {cache: true}\n"
	       "steps: {a: {run: x}, b: {run: x, inputs: []}, c: {noop: true}}\n",
	       "SLU056@3:9");
	expect("pipeline: p\ndefaults: {cache: true, inputs: []}\nsteps: {a: {run: x}}\n", "");
	expect(CMD("priority: 7"), "");
	expect(CMD("priority: 1.5"), "SLU016@2:34");
	expect(CMD("priority: 1000001"), "SLU022@2:34");
}

static void parameters_are_checked(void **state)
{
#define SPEC(text) "pipeline: p\nparams: {x: {" text "}}\n" STEPS
	(void)state;
	expect(SPEC("required: true"), "SLU015@2:10");
	expect(SPEC("type: text"), "SLU020@2:20");
	expect(SPEC("type: int, min: 1, max: 3, default: 4"), "SLU038@2:50");
	expect(SPEC("type: int, min: 4, max: 3"), "SLU022@2:25");
	expect(SPEC("type: string, min: 1"), "SLU039@2:28");
	expect(SPEC("type: int, pattern: x"), "SLU039@2:25");
	expect(SPEC("type: string, pattern: '[a'"), "SLU053@2:37");
	expect(SPEC("type: string, pattern: '%d+', default: abc"), "SLU038@2:53");
	expect(SPEC("type: enum"), "SLU040@2:10");
	expect(SPEC("type: enum, values: []"), "SLU017@2:34");
	expect(SPEC("type: enum, values: [a, a]"), "SLU028@2:38");
	expect(SPEC("type: enum, values: [a, b], default: c"), "SLU038@2:51");
	expect(SPEC("type: string, values: [a]"), "SLU039@2:28");
	expect(SPEC("type: secret"), "SLU041@2:10");
	expect(SPEC("type: secret, from: {env: X}, default: y"), "SLU041@2:53");
	expect(SPEC("type: secret, from: {env: X, file: y}"), "SLU041@2:34");
	expect(SPEC("type: secret, from: {fd: 3}"), "");
	expect(SPEC("type: secret, from: {fd: 1}"), "SLU022@2:39");
	expect(SPEC("type: string, from: {env: X}"), "SLU039@2:28");
	expect(SPEC("type: duration, default: 10m"), "");
	expect(SPEC("type: duration, default: 10"), "SLU038@2:39");
	expect(SPEC("type: size, default: 64KiB"), "");
	expect(SPEC("type: path, default: ''"), "SLU038@2:35");
	expect(SPEC("type: int, required: true, default: 1"), "SLU038@2:50");
	expect(SPEC("type: int, required: yes"), "SLU016@2:35");
}

static void expressions_are_parsed_at_load(void **state)
{
#define WHEN(text) \
	"pipeline: p\nparams: {x: {type: int}}\nsteps: {a: {noop: true, when: '" text "'}}\n"
	(void)state;
	expect(WHEN("params.x > 3 and true"), "");
	expect(WHEN("params.x = 3"), "SLU042@3:32");
	expect(WHEN("params.x >"), "SLU042@3:32");
	expect(WHEN("return true"), "SLU042@3:32");
	expect(WHEN("true) or (false"), "SLU042@3:32");
	expect(WHEN("true, false"), "SLU042@3:32");
	expect(WHEN("true -- because"), "");
	expect(WHEN("   "), "SLU042@3:31");
	expect(WHEN("${params.x} > 3"), "SLU043@3:32");
	expect(WHEN("params.y > 3"), "SLU045@3:39");
	expect_hint("pipeline: p\nparams: {size: {type: int}}\nsteps: {a: {noop: true, when: "
		    "params.siz > 1}}\n",
		    "did you mean 'size'?");
	expect(WHEN("params[\"y\"] > 3"), "SLU045@3:40");
	expect(WHEN("param.x > 3"), "SLU049@3:32");
	expect(WHEN("params.x == full"), "SLU049@3:44");
	expect(WHEN("os.time() > 3"), "SLU049@3:32");
	expect(WHEN("output.x > 3"), "SLU050@3:32");
	expect(WHEN("#({x = 1, y = 2}) == 0"), "");
	expect(WHEN("(function(q) return q end)(true)"), "");
	expect(WHEN("params.__dry_run__ ~= true"), "");
	expect("pipeline: p\nsteps: {a: {noop: true, when: true}}\n", "");
}

static void templates_are_parsed_at_load(void **state)
{
#define ARGV(text) "pipeline: p\nparams: {x: {type: int}}\nsteps: {a: {argv: [prog, '" text "']}}\n"
	(void)state;
	expect(ARGV("${params.x}"), "");
	expect(ARGV("a ${params.x} b ${params.x} $x {}"), "");
	expect(ARGV("${\"}\"}"), "");
	expect(ARGV("${#{1, {2}}}"), "");
	expect(ARGV("${params.x"), "SLU044@3:27");
	expect(ARGV("${}"), "SLU042@3:26");
	expect(ARGV("${params.x +}"), "SLU042@3:29");
	expect(ARGV("${params.z}"), "SLU045@3:36");
	expect(ARGV("${output.x}"), "SLU050@3:29");
}

static void outputs_come_from_steps_upstream(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps:\n  a: {run: x}\n  b: {noop: true, when: outputs.a.rows > 1}\n",
	       "");
	expect("pipeline: p\nsteps:\n  a: {run: x}\n  m: {noop: true}\n"
	       "  b: {noop: true, when: outputs.a.rows > 1}\n",
	       "");
	expect("pipeline: p\nsteps:\n  a: {run: x}\n  b: {noop: true, needs: [], when: "
	       "outputs.a.rows}\n",
	       "SLU047@4:44");
	expect("pipeline: p\nsteps:\n  a: {noop: true, when: outputs.b.x}\n  b: {run: x}\n",
	       "SLU047@3:33");
	expect("pipeline: p\nsteps:\n  a: {noop: true, when: outputs.a.x}\n", "SLU047@3:33");
	expect("pipeline: p\nsteps:\n  a: {noop: true, when: outputs.z.x}\n", "SLU046@3:33");
	expect("pipeline: p\nenv: {A: '${outputs.a.x}'}\nsteps:\n  a: {run: x}\n", "SLU050@2:13");
	expect(
	    "pipeline: p\ndefaults: {env: {A: '${outputs.a.x}'}}\nsteps:\n  a: {run: x, env: {}}\n"
	    "  b: {run: x}\n",
	    "");
	expect("pipeline: p\ndefaults: {env: {A: '${outputs.a.x}'}}\nsteps:\n  a: {run: x}\n",
	       "SLU047@2:32");
}

static void a_secret_is_only_a_whole_value_of_env(void **state)
{
#define SECRET(text) \
	"pipeline: p\nparams: {t: {type: secret, from: {env: T}}}\nsteps: {a: {argv: [x], " text \
	"}}\n"
	(void)state;
	expect(SECRET("env: {T: '${params.t}'}"), "");
	expect(SECRET("env: {T: '${ params.t }'}"), "");
	expect(SECRET("env: {T: 'Bearer ${params.t}'}"), "SLU048@3:50");
	expect(SECRET("env: {T: '${params.t}${params.t}'}"), "SLU048@3:43 SLU048@3:43");
	expect(SECRET("env: {T: '${params.t .. \"x\"}'}"), "SLU048@3:43");
	expect(SECRET("cwd: '${params.t}'"), "SLU048@3:39");
	expect(SECRET("when: params.t == 3"), "SLU048@3:37");
	expect("pipeline: p\nparams: {t: {type: secret, from: {env: T}}}\nenv: {T: "
	       "'${params.t}'}\n" STEPS,
	       "");
}

static void environments_are_checked(void **state)
{
#define ENV(text) "pipeline: p\nsteps: {a: {argv: [x], env: " text "}}\n"
	AUTO(loaded_fini) struct loaded loaded = load(ENV("{X: {from: env}, Y: 5, Z: ''}"));

	(void)state;
	assert_non_null(loaded.model);
	assert_true(loaded.model->steps[0].command->env[0].from_env);
	assert_true(str_is(loaded.model->steps[0].command->env[1].value.text, "5"));
	expect(ENV("{1X: a}"), "SLU052@2:30");
	expect(ENV("{a=b: a}"), "SLU052@2:30");
	expect(ENV("{SLUICE_X: a}"), "SLU052@2:30");
	expect(ENV("{X: {from: file}}"), "SLU020@2:40");
	expect(ENV("{X: {}}"), "SLU015@2:33");
	expect(ENV("{X: }"), "SLU016@2:33");
	expect(ENV("[X]"), "SLU016@2:29");
}

static void outputs_and_artifacts_are_checked(void **state)
{
#define STEP(text) "pipeline: p\nsteps: {a: {run: x, " text "}}\n"
	(void)state;
	expect(STEP("outputs: {r: {type: int, required: true}}"), "");
	expect(STEP("outputs: {r: {}}"), "SLU015@2:31");
	expect(STEP("outputs: {r: int}"), "SLU016@2:34");
	expect(STEP("outputs: {r: {type: secret}}"), "SLU020@2:41");
	expect(STEP("artifacts: [{name: a}]"), "SLU015@2:33");
	expect(STEP("artifacts: [{name: a, path: x}, {name: a, path: y}]"), "SLU028@2:53");
	expect(STEP("artifacts: [x]"), "SLU016@2:33");
	expect(STEP("inputs: ['x', '']"), "");
	expect(STEP("tags: [x, x]"), "SLU028@2:31");
}

static void sync_takes_an_interval(void **state)
{
	AUTO(loaded_fini) struct loaded loaded = load("pipeline: p\nsync: interval:100\n" STEPS);

	(void)state;
	assert_non_null(loaded.model);
	assert_int_equal(loaded.model->sync, SYNC_INTERVAL);
	assert_int_equal(loaded.model->sync_interval_ns, 100000000);
	expect("pipeline: p\nsync: interval:2s\n" STEPS, "");
	expect("pipeline: p\nsync: interval:0\n" STEPS, "SLU021@2:7");
	expect("pipeline: p\nsync: sometimes\n" STEPS, "SLU020@2:7");
	expect("pipeline: p\nformat: 2\n" STEPS, "SLU019@2:9");
}

static void a_diagnostic_shows_its_line_and_a_caret(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	const char *text = "pipeline: p\nsteps: {\xC3\xA9: {noop: true, foo: 1}}\n";
	AUTO(loaded_fini) struct loaded loaded = load(text);

	(void)state;
	diags_print(&loaded.diags, STR("p\x1B.yaml"), str_of(text), &out);
	assert_non_null(strstr(out.ptr,
			       "p\\x1B.yaml:2:25: error[SLU013]: there is no key 'foo' here\n"
			       "    steps: {\xC3\xA9: {noop: true, foo: 1}}\n"
			       "                            ^\n"));
}

/* Every one of 90000 wrong words, steps and long names: well below a second. */
static void hostile_files_are_refused_quickly(void **state)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	buf_text(&text, "pipeline: p\nsteps: {a: {noop: true, when: 'x");
	for (int i = 0; i < 90000; i++)
		buf_fmt(&text, " and p%d", i);
	buf_text(&text, "'}}\n");
	expect(text.ptr, "SLU042@2:32");
	buf_clear(&text);
	buf_text(&text, "pipeline: p\nsteps:\n");
	for (int i = 0; i < 7000; i++)
		buf_fmt(&text, "  %050d: {noop: true, needs: [%049dx]}\n", i, i);
	AUTO(loaded_fini) struct loaded loaded = load(text.ptr);
	assert_int_equal(loaded.diags.count, 100);
}

static void every_code_has_a_title_and_an_explanation(void **state)
{
	unsigned count = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		if (!diag_title(i))
			continue;
		count++;
		assert_true(strlen(diag_explanation(i)) > 100);
	}
	assert_int_equal(count, 59);
	assert_null(diag_explanation(0));
}

static void short_memory_is_an_error_at_every_allocation(void **state)
{
	static const char text[] =
	    "pipeline: p\nparams: {x: {type: int, default: 3}}\ndefaults: {retry: {}}\n"
	    "steps:\n  a: {run: 'x', env: {A: '${params.x}'}, outputs: {r: {type: int}}}\n"
	    "  b: {argv: [x], when: outputs.a.r > 1, needs: [a], foo: 1}\n";
	uint64_t calls;

	(void)state;
	for (uint64_t nth = 1;; nth++) {
		mem_fail_at(nth, 1);
		AUTO(loaded_fini) struct loaded loaded = load(text);
		calls = mem_calls();
		mem_fail_at(0, 0);
		if (calls < nth) {
			assert_int_equal(loaded.err.code, ERR_INVALID);
			return;
		}
		assert_int_equal(loaded.err.code, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_smallest_pipeline_is_a_name_and_a_step),
	    cmocka_unit_test(json_is_yaml),
	    cmocka_unit_test(what_makes_yaml_ambiguous_is_refused),
	    cmocka_unit_test(a_duplicate_among_many_keys_is_found),
	    cmocka_unit_test(bytes_that_are_no_text_are_refused),
	    cmocka_unit_test(syntax_errors_have_a_place_and_a_hint),
	    cmocka_unit_test(deep_nesting_stops_at_the_limit_at_once),
	    cmocka_unit_test(limits_bound_bytes_values_and_steps),
	    cmocka_unit_test(every_error_is_found_in_one_pass),
	    cmocka_unit_test(more_errors_than_the_limit_are_counted),
	    cmocka_unit_test(only_scalars_of_the_core_schema_are_numbers_and_booleans),
	    cmocka_unit_test(octal_and_hexadecimal_have_their_value),
	    cmocka_unit_test(unknown_keys_get_a_suggestion),
	    cmocka_unit_test(a_compensation_is_a_command_with_keys_of_its_own),
	    cmocka_unit_test(keys_of_later_versions_have_an_error_of_their_own),
	    cmocka_unit_test(a_pipeline_without_steps_is_refused),
	    cmocka_unit_test(a_step_does_exactly_one_thing),
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(a_step_needs_the_one_before_unless_it_says_otherwise),
	    cmocka_unit_test(needs_name_other_steps_once),
	    cmocka_unit_test(cycles_are_named),
	    cmocka_unit_test(a_retry_map_fills_in_its_defaults),
	    cmocka_unit_test(retries_that_make_no_sense_are_refused),
	    cmocka_unit_test(a_steps_own_key_wins_whole_over_the_default),
	    cmocka_unit_test(commands_have_defaults),
	    cmocka_unit_test(keys_without_meaning_for_the_kind_are_refused),
	    cmocka_unit_test(a_missing_shell_is_an_error_at_load),
	    cmocka_unit_test(gates_and_their_keys_belong_together),
	    cmocka_unit_test(exit_codes_are_checked),
	    cmocka_unit_test(values_in_the_text_of_a_shell_are_refused),
	    cmocka_unit_test(keys_of_the_process_are_checked),
	    cmocka_unit_test(parameters_are_checked),
	    cmocka_unit_test(expressions_are_parsed_at_load),
	    cmocka_unit_test(templates_are_parsed_at_load),
	    cmocka_unit_test(outputs_come_from_steps_upstream),
	    cmocka_unit_test(a_secret_is_only_a_whole_value_of_env),
	    cmocka_unit_test(environments_are_checked),
	    cmocka_unit_test(outputs_and_artifacts_are_checked),
	    cmocka_unit_test(sync_takes_an_interval),
	    cmocka_unit_test(a_diagnostic_shows_its_line_and_a_caret),
	    cmocka_unit_test(hostile_files_are_refused_quickly),
	    cmocka_unit_test(every_code_has_a_title_and_an_explanation),
	    cmocka_unit_test(short_memory_is_an_error_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
