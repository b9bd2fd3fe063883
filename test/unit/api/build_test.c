/* build_test.c - pipelines built in C are the same language as pipeline files (S9.3: what is frozen
 * is the resolved model, whatever it was made of) */
#include "api/api.h"
#include "lang/lang.h"
#include "support/temp_dir.h"
#include "support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct temp_dir folder;

static struct sluice *sluice_of_test(const char *const *limits)
{
	struct sluice_state_opts options = {.state_dir = folder.path, .limits = limits};
	struct sluice_error err;
	struct sluice *sluice = NULL;

	if (sluice_open(&options, &sluice, &err) != SLUICE_OK)
		fail_msg("%s", err.text);
	return sluice;
}

/* The frozen form of a pipeline. */
static void freeze(struct sluice *sluice, const struct sluice_pipeline *pipeline, struct buf *out)
{
	const struct definition *definition;
	char *diagnostics = NULL;
	struct err err = ERR_INIT;

	if (api_pipeline_check(sluice, pipeline, &diagnostics, &definition, &err) != ERR_OK)
		fail_msg("%s\n%s", err.text, diagnostics ? diagnostics : "");
	assert_ok(lang_freeze(definition->model, out, &err), &err);
}

/* The pipeline, once built and once written, freezes to the same bytes. Frees it. */
static void assert_same(struct sluice_pipeline *built, const char *yaml)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *written = NULL;
	AUTO(buf_fini) struct buf ours = BUF_INIT;
	AUTO(buf_fini) struct buf theirs = BUF_INIT;
	struct sluice_error err;
	char *diagnostics = NULL;

	if (sluice_pipeline_read(sluice, yaml, strlen(yaml), NULL, &written, &diagnostics, &err) !=
	    SLUICE_OK)
		fail_msg("%s\n%s", err.text, diagnostics ? diagnostics : "");
	freeze(sluice, built, &ours);
	freeze(sluice, written, &theirs);
	assert_string_equal(ours.ptr, theirs.ptr);
	assert_string_equal(sluice_pipeline_name(built), sluice_pipeline_name(written));
	assert_int_equal(sluice_pipeline_steps(built), sluice_pipeline_steps(written));
	sluice_pipeline_free(written);
	sluice_pipeline_free(built);
	sluice_close(sluice);
}

static void step(struct sluice_pipeline *pipeline, const struct sluice_step_def *definition)
{
	struct sluice_error err;

	if (sluice_pipeline_step(pipeline, definition, &err) != SLUICE_OK)
		fail_msg("%s", err.text);
}

static void s5_1_needs_are_the_step_before_none_or_a_list(void **state)
{
	struct sluice_pipeline *pipeline = sluice_pipeline_new("order");

	(void)state;
	step(pipeline, &(struct sluice_step_def){.id = "a", .noop = true});
	step(pipeline, &(struct sluice_step_def){.id = "b", .noop = true});
	step(pipeline, &(struct sluice_step_def){.id = "c", .noop = true, .needs = SLUICE_EMPTY});
	step(pipeline,
	     &(struct sluice_step_def){.id = "d", .noop = true, .needs = SLUICE_LIST("a", "c")});
	step(pipeline, &(struct sluice_step_def){
			   .id = "e", .noop = true, .needs_any = SLUICE_LIST("b", "d")});
	assert_same(pipeline, "pipeline: order\n"
			      "steps:\n"
			      "  a: {noop: true}\n"
			      "  b: {noop: true}\n"
			      "  c: {noop: true, needs: []}\n"
			      "  d: {noop: true, needs: [a, c]}\n"
			      "  e: {noop: true, needs_any: [b, d]}\n");
}

static void s9_3_every_field_is_its_key(void **state)
{
	static const struct sluice_env_def env[] = {{.name = "A", .value = "${params.day} \"x\""},
						    {.name = "B", .from_env = true},
						    {.name = NULL}};
	static const struct sluice_output_def outputs[] = {
	    {.name = "rows", .type = "int", .required = true},
	    {.name = "note", .type = "string"},
	    {.name = NULL}};
	static const struct sluice_artifact_def artifacts[] = {
	    {.name = "report", .path = "out/${params.day}.json"}, {.name = NULL}};
	static const struct sluice_exit_code_def codes[] = {
	    {3, "dependency"}, {75, "transient_io"}, {0, NULL}};
	struct sluice_pipeline *pipeline = sluice_pipeline_new("all");
	struct sluice_error err;

	(void)state;
	assert_int_equal(sluice_pipeline_set(pipeline, "version", "1.2", &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_set(pipeline, "timeout", "2h", &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_set_json(pipeline, "concurrency", " 4 ", &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_set_json(pipeline, "env", "{ \"TZ\" : \"UTC\" }", &err),
			 SLUICE_OK);
	assert_int_equal(sluice_pipeline_param(pipeline,
					       &(struct sluice_param_def){.name = "day",
									  .type = "string",
									  .required = true,
									  .pattern = "%d+%-%d+",
									  .help = "a day"},
					       &err),
			 SLUICE_OK);
	assert_int_equal(sluice_pipeline_param(pipeline,
					       &(struct sluice_param_def){.name = "share",
									  .type = "number",
									  .default_json = "97.5",
									  .has_min = true,
									  .has_max = true,
									  .max = 100},
					       &err),
			 SLUICE_OK);
	assert_int_equal(
	    sluice_pipeline_param(pipeline,
				  &(struct sluice_param_def){.name = "mode",
							     .type = "enum",
							     .default_json = "\"full\"",
							     .values = SLUICE_LIST("fast", "full")},
				  &err),
	    SLUICE_OK);
	assert_int_equal(
	    sluice_pipeline_param(pipeline,
				  &(struct sluice_param_def){
				      .name = "token", .type = "secret", .secret_env = "API_TOKEN"},
				  &err),
	    SLUICE_OK);
	assert_int_equal(sluice_pipeline_defaults(
			     pipeline,
			     &(struct sluice_step_def){.timeout_ms = 600000,
						       .on_failure = SLUICE_ON_FAILURE_CONTINUE},
			     &err),
			 SLUICE_OK);
	step(pipeline, &(struct sluice_step_def){
			   .id = "check",
			   .run = "./check \"$PARAM_day\"\nexit 0",
			   .gate = SLUICE_GATE_HARD,
			   .pass = "output.rows > 0",
			   .reason = "${output.rows} rows",
			   .outputs = outputs,
			   .inputs = SLUICE_LIST("in/${params.day}"),
			   .artifacts = artifacts,
			   .env = env,
			   .cwd = "work",
			   .shell = SLUICE_LIST("sh", "-c"),
			   .exit_codes = codes,
			   .silence_timeout_ms = 1500,
			   .grace_ms = 250,
			   .output_limit_bytes = 4096,
			   .retry = &(struct sluice_retry_def){.max_attempts = 4,
							       .on = SLUICE_LIST("timeout"),
							       .backoff = "linear",
							       .initial_ms = 10,
							       .multiplier = 1.5,
							       .max_ms = 1000,
							       .jitter_percent = 12.5},
			   .on_lost = SLUICE_ON_LOST_ASK,
			   .on_stop = SLUICE_ON_STOP_CANCEL,
			   .description = "tab\there \xE2\x80\xA8 \xF0\x9F\x98\x80",
			   .tags = SLUICE_LIST("x", "y")});
	step(pipeline,
	     &(struct sluice_step_def){
		 .id = "publish",
		 .argv = SLUICE_LIST("./publish", "${outputs.check.rows}", ""),
		 .gate = SLUICE_GATE_MANUAL,
		 .when = "params.mode == \"full\"",
		 .approve = &(struct sluice_approve_def){.by = SLUICE_LIST("ann", "bob"),
							 .count = 2,
							 .timeout_ms = 86400000,
							 .on_timeout = "reject"},
		 .retry = &(struct sluice_retry_def){.no_jitter = true},
		 .on_failure = SLUICE_ON_FAILURE_STOP,
		 .extra = " { \"grace\" : \"0s\" , \"tags\" : [ \"\\ud83d\\ude00 z\" ] } "});
	assert_same(pipeline,
		    "pipeline: all\n"
		    "version: '1.2'\n"
		    "timeout: 2h\n"
		    "concurrency: 4\n"
		    "env: {TZ: UTC}\n"
		    "params:\n"
		    "  day: {type: string, required: true, pattern: '%d+%-%d+', help: a day}\n"
		    "  share: {type: number, default: 97.5, min: 0, max: 100}\n"
		    "  mode: {type: enum, default: full, values: [fast, full]}\n"
		    "  token: {type: secret, from: {env: API_TOKEN}}\n"
		    "defaults: {timeout: 10m, on_failure: continue}\n"
		    "steps:\n"
		    "  check:\n"
		    "    run: \"./check \\\"$PARAM_day\\\"\\nexit 0\"\n"
		    "    gate: hard\n"
		    "    pass: output.rows > 0\n"
		    "    reason: ${output.rows} rows\n"
		    "    outputs: {rows: {type: int, required: true}, note: {type: string}}\n"
		    "    inputs: ['in/${params.day}']\n"
		    "    artifacts: [{name: report, path: 'out/${params.day}.json'}]\n"
		    "    env: {A: '${params.day} \"x\"', B: {from: env}}\n"
		    "    cwd: work\n"
		    "    shell: [sh, -c]\n"
		    "    exit_codes: {3: dependency, 75: transient_io}\n"
		    "    silence_timeout: 1500ms\n"
		    "    grace: 250ms\n"
		    "    output_limit: 4KiB\n"
		    "    retry: {max_attempts: 4, on: [timeout], backoff: linear, initial: 10ms,\n"
		    "            multiplier: 1.5, max: 1s, jitter: 12.5%}\n"
		    "    on_lost: ask\n"
		    "    on_stop: cancel\n"
		    "    description: \"tab\\there \\u2028 \\U0001F600\"\n"
		    "    tags: [x, y]\n"
		    "  publish:\n"
		    "    argv: [./publish, '${outputs.check.rows}', '']\n"
		    "    gate: manual\n"
		    "    when: params.mode == \"full\"\n"
		    "    approve: {by: [ann, bob], count: 2, timeout: 24h, on_timeout: reject}\n"
		    "    retry: {jitter: 0%}\n"
		    "    on_failure: stop\n"
		    "    grace: 0s\n"
		    "    tags: [\"\\U0001F600 z\"]\n");
}

static void a_folder_is_where_relative_paths_start(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct sluice_error err;
	char expected[400];

	(void)state;
	assert_int_equal(sluice_pipeline_set_folder(pipeline, folder.path, &err), SLUICE_OK);
	step(pipeline, &(struct sluice_step_def){.id = "a", .noop = true});
	freeze(sluice, pipeline, &frozen);
	(void)snprintf(expected, sizeof(expected), "\"folder\":\"%s\"", folder.path);
	assert_non_null(strstr(frozen.ptr, expected));
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void a_step_that_is_added_after_a_check_counts(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct sluice_error err;

	(void)state;
	step(pipeline, &(struct sluice_step_def){.id = "a", .noop = true});
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err), SLUICE_OK);
	step(pipeline, &(struct sluice_step_def){.id = "b", .noop = true});
	freeze(sluice, pipeline, &frozen);
	assert_non_null(strstr(frozen.ptr, "\"b\":{\"noop\":true"));
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void every_error_names_its_step(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("wrong");
	struct sluice_run *run = NULL;
	struct sluice_error err;
	char *diagnostics = NULL;

	(void)state;
	step(pipeline,
	     &(struct sluice_step_def){.id = "first", .noop = true, .needs = SLUICE_LIST("gone")});
	step(pipeline, &(struct sluice_step_def){.id = "second", .noop = true, .run = "true"});
	step(pipeline, &(struct sluice_step_def){.id = "first", .noop = true});
	step(pipeline, &(struct sluice_step_def){.id = "third", .run = "true", .when = "1 +"});
	step(pipeline,
	     &(struct sluice_step_def){.id = "fourth",
				       .run = "true",
				       .retry = &(struct sluice_retry_def){.multiplier = 0.5}});
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, &diagnostics, &err),
			 SLUICE_INVALID);
	assert_non_null(strstr(err.text, "step 'first': there is no step 'gone'"));
	assert_non_null(strstr(err.hint, "sluice explain SLU029"));
	assert_non_null(strstr(diagnostics, "wrong:4:"));
	assert_non_null(
	    strstr(diagnostics, "error[SLU029]: step 'first': there is no step 'gone'"));
	assert_non_null(strstr(diagnostics, "error[SLU024]: step 'second':"));
	assert_non_null(strstr(diagnostics, "error[SLU009]: the key 'first' is there already"));
	assert_non_null(strstr(diagnostics, "error[SLU042]: step 'third':"));
	assert_non_null(strstr(diagnostics, "error[SLU022]: step 'fourth':"));
	sluice_free(diagnostics);
	assert_int_equal(sluice_run_start(sluice, pipeline, NULL, &run, &err), SLUICE_INVALID);
	assert_non_null(strstr(err.text, "step 'first'"));
	assert_null(run);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void a_pipeline_without_steps_or_with_a_bad_name_is_invalid(void **state)
{
	static const char *const names[] = {"", "a b", "..", NULL};
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
	struct sluice_error err;

	(void)state;
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err), SLUICE_INVALID);
	assert_non_null(strstr(err.text, "there are no steps"));
	sluice_pipeline_free(pipeline);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		pipeline = sluice_pipeline_new(names[i]);
		assert_non_null(pipeline);
		step(pipeline, &(struct sluice_step_def){.id = "a", .noop = true});
		assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err),
				 SLUICE_INVALID);
		sluice_pipeline_free(pipeline);
	}
	sluice_close(sluice);
}

/* A definition that cannot be written is refused at once, and the pipeline is not started later. */
static void assert_refused(const struct sluice_step_def *definition, const char *text)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
	struct sluice_run *run = NULL;
	struct sluice_error err;

	step(pipeline, &(struct sluice_step_def){.id = "fine", .noop = true});
	memset(&err, 0, sizeof(err));
	assert_int_equal(sluice_pipeline_step(pipeline, definition, &err), SLUICE_USAGE);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	assert_int_equal(sluice_pipeline_step(
			     pipeline, &(struct sluice_step_def){.id = "b", .noop = true}, NULL),
			 SLUICE_USAGE);
	memset(&err, 0, sizeof(err));
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err), SLUICE_USAGE);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(sluice_run_start(sluice, pipeline, NULL, &run, &err), SLUICE_USAGE);
	assert_null(run);
	assert_int_equal(sluice_pipeline_steps(pipeline), 1);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void what_cannot_be_written_is_refused(void **state)
{
	static const struct sluice_env_def both[] = {{.name = "A", .value = "x", .from_env = true},
						     {.name = NULL}};
	static const struct sluice_env_def neither[] = {{.name = "A"}, {.name = NULL}};
	const char **endless = calloc(70001, sizeof(*endless));

	(void)state;
	for (size_t i = 0; i < 70000; i++)
		endless[i] = "x";
	assert_refused(NULL, "is missing");
	assert_refused(&(struct sluice_step_def){.noop = true}, "has no name");
	assert_refused(&(struct sluice_step_def){.id = "\xFF", .noop = true}, "not UTF-8");
	assert_refused(&(struct sluice_step_def){.id = "a", .run = "\xC0\x80"},
		       "'run' is not UTF-8");
	assert_refused(
	    &(struct sluice_step_def){.id = "a", .argv = SLUICE_LIST("x", "\xED\xA0\x80")},
	    "step 'a': 'argv' is not UTF-8");
	assert_refused(&(struct sluice_step_def){.id = "a", .argv = endless}, "its end is missing");
	assert_refused(&(struct sluice_step_def){.id = "a", .noop = true, .extra = "{"},
		       "'extra' is not JSON");
	assert_refused(&(struct sluice_step_def){.id = "a", .noop = true, .extra = "[1]"},
		       "'extra' is not a JSON object");
	assert_refused(
	    &(struct sluice_step_def){.id = "a", .noop = true, .extra = "{\"a\":1,\"a\":2}"},
	    "'extra' is not JSON");
	assert_refused(&(struct sluice_step_def){.id = "a", .kind = "wait", .config_json = "nope"},
		       "'wait' is not JSON");
	assert_refused(&(struct sluice_step_def){.id = "a", .config_json = "{}"}, "without 'kind'");
	assert_refused(&(struct sluice_step_def){.id = "a", .noop = true, .dry_run_safe = true},
		       "without 'call'");
	assert_refused(&(struct sluice_step_def){.id = "a", .run = "x", .timeout_ms = -1},
		       "'timeout' is negative");
	assert_refused(
	    &(struct sluice_step_def){.id = "a", .noop = true, .gate = (enum sluice_gate)77},
	    "'gate' is 77");
	assert_refused(&(struct sluice_step_def){.id = "a",
						 .noop = true,
						 .on_failure = (enum sluice_on_failure) - 1},
		       "'on_failure' is");
	assert_refused(&(struct sluice_step_def){.id = "a", .run = "x", .env = both},
		       "has a value and");
	assert_refused(&(struct sluice_step_def){.id = "a", .run = "x", .env = neither},
		       "is missing");
	assert_refused(
	    &(struct sluice_step_def){.id = "a",
				      .run = "x",
				      .retry =
					  &(struct sluice_retry_def){.multiplier = (double)NAN}},
	    "is no number");
	free(endless);
}

static void a_pipeline_that_was_read_cannot_be_changed(void **state)
{
	static const char text[] = "pipeline: p\nsteps: {a: {noop: true}}\n";
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = NULL;
	struct sluice_error err;

	(void)state;
	assert_int_equal(sluice_pipeline_read(sluice, text, sizeof(text) - 1, folder.path,
					      &pipeline, NULL, &err),
			 SLUICE_OK);
	assert_int_equal(sluice_pipeline_step(
			     pipeline, &(struct sluice_step_def){.id = "b", .noop = true}, &err),
			 SLUICE_USAGE);
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_steps(pipeline), 1);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void keys_with_a_function_of_their_own_and_keys_twice_are_refused(void **state)
{
	static const char *const apart[] = {"pipeline", "params", "steps", "defaults"};
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline;
	struct sluice_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(apart); i++) {
		pipeline = sluice_pipeline_new("p");
		assert_int_equal(sluice_pipeline_set_json(pipeline, apart[i], "{}", &err),
				 SLUICE_USAGE);
		sluice_pipeline_free(pipeline);
	}
	pipeline = sluice_pipeline_new("p");
	step(pipeline, &(struct sluice_step_def){.id = "a", .noop = true});
	assert_int_equal(sluice_pipeline_set(pipeline, "version", "1", &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_set(pipeline, "version", "2", &err), SLUICE_OK);
	assert_int_equal(sluice_pipeline_check(sluice, pipeline, NULL, &err), SLUICE_INVALID);
	assert_non_null(strstr(err.text, "'version' is there already"));
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static void a_text_in_memory_is_checked_as_a_file_is(void **state)
{
	static const char *const small[] = {"definition_bytes=40", NULL};
	static const char text[] = "pipeline: p\nsteps: {a: {noop: true, gaet: hard}}\n";
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice *strict = sluice_of_test(small);
	struct sluice_pipeline *pipeline = NULL;
	struct sluice_error err;
	char *diagnostics = NULL;

	(void)state;
	assert_int_equal(sluice_pipeline_read(sluice, text, sizeof(text) - 1, NULL, &pipeline,
					      &diagnostics, &err),
			 SLUICE_INVALID);
	assert_non_null(
	    strstr(diagnostics, "pipeline:2:25: error[SLU013]: there is no key 'gaet' here"));
	sluice_free(diagnostics);
	assert_int_equal(sluice_pipeline_read(sluice, "a\0b", 3, NULL, &pipeline, NULL, &err),
			 SLUICE_INVALID);
	assert_int_equal(sluice_pipeline_read(sluice, NULL, 0, NULL, &pipeline, NULL, &err),
			 SLUICE_INVALID);
	assert_int_equal(
	    sluice_pipeline_read(strict, text, sizeof(text) - 1, NULL, &pipeline, NULL, &err),
	    SLUICE_LIMIT);
	assert_int_equal(
	    sluice_pipeline_read(sluice, text, 12, "/no/such/folder", &pipeline, NULL, &err),
	    SLUICE_NOT_FOUND);
	assert_null(pipeline);
	sluice_close(strict);
	sluice_close(sluice);
}

static void limits_hold_for_built_pipelines_and_can_be_raised(void **state)
{
	static const char *const raised[] = {"definition_bytes=16777216",
					     "definition_nodes=1000000", "steps=100000", NULL};
	struct sluice *usual = sluice_of_test(NULL);
	struct sluice *large = sluice_of_test(raised);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("large");
	const struct definition *definition;
	struct sluice_error err;
	struct err own = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "step_%u", i);
		step(pipeline, &(struct sluice_step_def){.id = id, .noop = true});
	}
	assert_int_equal(sluice_pipeline_check(usual, pipeline, NULL, &err), SLUICE_LIMIT);
	assert_ok(api_pipeline_check(large, pipeline, NULL, &definition, &own), &own);
	assert_int_equal(definition->model->steps_count, 50000);
	/* At most 1 KiB a step, the text included. */
	assert_true((definition->model->arena.used + definition->source.capacity) / 50000 <= 1024);
	sluice_pipeline_free(pipeline);
	sluice_close(large);
	sluice_close(usual);
}

static void a_short_memory_is_an_error_wherever_it_strikes(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	bool is_done = false;

	(void)state;
	for (uint64_t nth = 1; !is_done; nth++) {
		struct sluice_pipeline *pipeline;
		struct sluice_error err;
		enum sluice_code code;
		char *diagnostics = NULL;

		assert_true(nth < 5000);
		mem_fail_at(nth, 1);
		pipeline = sluice_pipeline_new("short");
		(void)sluice_pipeline_step(
		    pipeline, &(struct sluice_step_def){.id = "a", .run = "true", .when = "1 == 1"},
		    &err);
		(void)sluice_pipeline_step(pipeline,
					   &(struct sluice_step_def){.id = "b",
								     .noop = true,
								     .extra = "{\"tags\":[\"x\"]}"},
					   &err);
		code = pipeline ? sluice_pipeline_check(sluice, pipeline, &diagnostics, &err)
				: SLUICE_MEMORY;
		is_done = mem_calls() < nth;
		mem_fail_at(0, 0);
		if (!is_done && code != SLUICE_MEMORY)
			fail_msg("allocation %llu: %s", (unsigned long long)nth, err.text);
		if (is_done)
			assert_int_equal(code, SLUICE_OK);
		sluice_free(diagnostics);
		sluice_pipeline_free(pipeline);
	}
	sluice_close(sluice);
}

static void s11_a_built_pipeline_runs_to_its_end(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("deliverable");
	struct sluice_run *run = NULL;
	struct sluice_error err;
	struct sluice_end end;

	(void)state;
	step(pipeline,
	     &(struct sluice_step_def){.id = "preflight", .gate = SLUICE_GATE_HARD, .noop = true});
	step(pipeline, &(struct sluice_step_def){.id = "load", .noop = true});
	if (sluice_run_start(
		sluice, pipeline,
		&(struct sluice_run_opts){.run_id = "run_abc", .reason = "manual trigger"}, &run,
		&err) != SLUICE_OK)
		fail_msg("%s", err.text);
	sluice_pipeline_free(pipeline); /* the run has what it needs */
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_SUCCEEDED);
	sluice_run_end(run, &end);
	assert_string_equal(end.outcome, "success");
	assert_string_equal(sluice_run_id(run), "run_abc");
	sluice_run_free(run);
	sluice_close(sluice);
}

static int count_up(struct sluice_step_ctx *ctx, void *arg)
{
	unsigned *count = arg;

	*count += 1;
	return strcmp(sluice_ctx_step(ctx), "second") == 0 && sluice_ctx_attempt(ctx) == 0
		   ? sluice_ctx_fail(ctx, "dependency", "not yet")
		   : 0;
}

/* Functions go under the names of their steps; a resume borrows them from a pipeline. */
static void a_step_calls_the_function_that_it_was_given(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("calls");
	struct sluice_run *run = NULL;
	struct sluice_error err;
	unsigned first = 0;
	unsigned second = 0;
	int status;

	(void)state;
	step(pipeline, &(struct sluice_step_def){.id = "first", .call = count_up, .arg = &first});
	step(pipeline, &(struct sluice_step_def){.id = "second", .call = count_up, .arg = &second});
	assert_int_equal(sluice_run_start(sluice, pipeline,
					  &(struct sluice_run_opts){.run_id = "calls"}, &run, &err),
			 SLUICE_OK);
	sluice_pipeline_free(pipeline); /* the run has what it needs */
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_FAILED);
	sluice_run_free(run);
	run = NULL;
	assert_int_equal(sluice_run_resume(sluice, "calls", NULL, &run, &status, &err),
			 SLUICE_REFUSED);
	pipeline = sluice_pipeline_new("calls");
	step(pipeline, &(struct sluice_step_def){.id = "first", .call = count_up, .arg = &first});
	step(pipeline, &(struct sluice_step_def){.id = "second", .call = count_up, .arg = &second});
	if (sluice_run_resume(sluice, "calls", &(struct sluice_resume_opts){.pipeline = pipeline},
			      &run, &status, &err) != SLUICE_OK)
		fail_msg("%s", err.text);
	sluice_pipeline_free(pipeline);
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(first, 1);
	assert_int_equal(second, 2);
	sluice_run_free(run);
	sluice_close(sluice);
}

static int keep_config(struct sluice_step_ctx *ctx, const char *config_json, void *arg)
{
	(void)ctx;
	(void)snprintf(arg, 64, "%s", config_json);
	return 0;
}

static void kinds_and_registered_functions_are_named(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("kinds");
	struct sluice_run *run = NULL;
	struct sluice_error err;
	unsigned count = 0;
	char config[64] = "";

	(void)state;
	assert_int_equal(
	    sluice_kind_register(
		sluice,
		&(struct sluice_kind_def){.name = "slack", .run = keep_config, .arg = config},
		&err),
	    SLUICE_OK);
	assert_int_equal(
	    sluice_call_register(
		sluice,
		&(struct sluice_call_def){.name = "count-up", .call = count_up, .arg = &count},
		&err),
	    SLUICE_OK);
	step(pipeline, &(struct sluice_step_def){
			   .id = "tell", .kind = "slack", .config_json = "{\"channel\": \"ops\"}"});
	step(pipeline, &(struct sluice_step_def){.id = "count", .call_name = "count-up"});
	if (sluice_run_start(sluice, pipeline, NULL, &run, &err) != SLUICE_OK)
		fail_msg("%s", err.text);
	sluice_pipeline_free(pipeline);
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_SUCCEEDED);
	assert_string_equal(config, "{\"channel\":\"ops\"}");
	assert_int_equal(count, 1);
	sluice_run_free(run);
	sluice_close(sluice);
}

static void s13_a_command_without_a_keeper_is_refused_before_the_run_is_born(void **state)
{
	struct sluice *sluice = sluice_of_test(NULL);
	struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
	struct sluice_run *run = NULL;
	struct sluice_error err;
	char *list = NULL;

	(void)state;
	mem_free(TAKE(sluice->keeper_path, NULL));
	step(pipeline, &(struct sluice_step_def){.id = "a", .run = "true"});
	assert_int_equal(sluice_run_start(sluice, pipeline,
					  &(struct sluice_run_opts){.run_id = "never_born"}, &run,
					  &err),
			 SLUICE_NOT_FOUND);
	assert_non_null(strstr(err.text, "step 'a' is a command, and no sluice-keeper was found"));
	assert_non_null(strstr(err.hint, "keeper_path"));
	assert_int_equal(sluice_status(sluice, "never_born", SLUICE_TEXT, &list, &err),
			 SLUICE_NOT_FOUND);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
}

static int make(void **state)
{
	(void)state;
	temp_dir_make(&folder);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	temp_dir_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s5_1_needs_are_the_step_before_none_or_a_list),
	    cmocka_unit_test(s9_3_every_field_is_its_key),
	    cmocka_unit_test(a_folder_is_where_relative_paths_start),
	    cmocka_unit_test(a_step_that_is_added_after_a_check_counts),
	    cmocka_unit_test(every_error_names_its_step),
	    cmocka_unit_test(a_pipeline_without_steps_or_with_a_bad_name_is_invalid),
	    cmocka_unit_test(what_cannot_be_written_is_refused),
	    cmocka_unit_test(a_pipeline_that_was_read_cannot_be_changed),
	    cmocka_unit_test(keys_with_a_function_of_their_own_and_keys_twice_are_refused),
	    cmocka_unit_test(a_text_in_memory_is_checked_as_a_file_is),
	    cmocka_unit_test(limits_hold_for_built_pipelines_and_can_be_raised),
	    cmocka_unit_test(a_short_memory_is_an_error_wherever_it_strikes),
	    cmocka_unit_test(s11_a_built_pipeline_runs_to_its_end),
	    cmocka_unit_test(a_step_calls_the_function_that_it_was_given),
	    cmocka_unit_test(kinds_and_registered_functions_are_named),
	    cmocka_unit_test(s13_a_command_without_a_keeper_is_refused_before_the_run_is_born),
	};

	return cmocka_run_group_tests(tests, make, clear);
}
