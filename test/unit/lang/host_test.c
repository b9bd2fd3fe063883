/* host_test.c - what a program adds to the language: functions, kinds of steps, executors */
#include "base/mem.h"
#include "lang/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool has_call(void *arg, struct str name)
{
	(void)arg;
	return str_is(name, "check");
}

static bool has_kind(void *arg, struct str name)
{
	(void)arg;
	return str_is(name, "slack") || str_is(name, "mail");
}

static bool has_executor(void *arg, struct str name)
{
	(void)arg;
	return str_is(name, "cluster");
}

static bool check_kind(void *arg, struct str name, struct str config, struct buf *why)
{
	buf_clear(arg);
	buf_fmt(arg, "%.*s %.*s", STR_ARG(name), STR_ARG(config));
	if (str_find(config, "refused", 0) == SIZE_MAX)
		return true;
	buf_text(why, "no such channel");
	return false;
}

static const char *call_name(void *arg, size_t i)
{
	(void)arg;
	return i == 0 ? "check" : NULL;
}

static const char *executor_name(void *arg, size_t i)
{
	static const char *const names[] = {"local", "cluster", NULL};

	(void)arg;
	return i < 2 ? names[i] : NULL;
}

static struct model *load(const char *text, struct diags *diags, struct buf *checked)
{
	struct lang_host host = {has_call,  has_kind,      has_executor, check_kind,
				 call_name, executor_name, checked};
	struct err err = ERR_INIT;
	struct model *model = NULL;
	struct limits limits;

	limits_default(&limits);
	diags_init(diags, 10);
	(void)!lang_load_for(str_of(text), STR("/srv"), &limits, &host, diags, &model, &err);
	return model;
}

/* Exactly these errors, as "SLU013@2:3 SLU016@4:1"; with `hint` in the first one's hint or text. */
static void expect_at(int line, const char *text, const char *expected, const char *hint)
{
	AUTO(diags_fini) struct diags diags;
	AUTO(buf_fini) struct buf checked = BUF_INIT;
	AUTO(buf_fini) struct buf got = BUF_INIT;
	AUTO(model_drop) struct model *model = load(text, &diags, &checked);

	for (size_t i = 0; i < diags.count; i++)
		buf_fmt(&got, "%sSLU%03u@%u:%u", i ? " " : "", (unsigned)diags.items[i].code,
			(unsigned)diags.items[i].line, (unsigned)diags.items[i].column);
	if (!str_is(buf_view(&got), expected))
		print_error("line %d\n", line);
	assert_string_equal(got.ptr ? got.ptr : "", expected);
	assert_int_equal(model == NULL, expected[0] != '\0');
	if (hint && str_find(diags.items[0].hint, hint, 0) == SIZE_MAX &&
	    str_find(diags.items[0].text, hint, 0) == SIZE_MAX)
		fail_msg("line %d: '%s' is not in '%.*s' '%.*s'", line, hint,
			 STR_ARG(diags.items[0].text), STR_ARG(diags.items[0].hint));
}

#define expect(text, expected, hint) expect_at(__LINE__, text, expected, hint)

static void what_the_host_has_is_accepted_and_comes_back_from_the_frozen_form(void **state)
{
	static const char text[] =
	    "pipeline: p\nconcurrency: 1\nparams: {who: {type: string, default: x}}\nsteps:\n"
	    "  a: {call: check, timeout: 3s, outputs: {n: {type: int}}}\n"
	    "  b: {slack: {channel: ops, to: ['${params.who}', 2, {deep: \"x${params.who}\"}]}}\n"
	    "  c: {mail: plain}\n"
	    "  d: {argv: [x], executor: cluster, resources: {gpus: 1, tags: [a]}}\n"
	    "  e: {argv: [x], executor: local}\n";
	AUTO(diags_fini) struct diags diags;
	AUTO(buf_fini) struct buf checked = BUF_INIT;
	AUTO(buf_fini) struct buf first = BUF_INIT;
	AUTO(buf_fini) struct buf second = BUF_INIT;
	AUTO(model_drop) struct model *model = load(text, &diags, &checked);
	AUTO(model_drop) struct model *thawed = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(model);
	assert_int_equal(lang_freeze(model, &first, &err), ERR_OK);
	/* Read back by a program that has none of it. */
	assert_int_equal(lang_thaw(buf_view(&first), &thawed, &err), ERR_OK);
	assert_int_equal(lang_freeze(thawed, &second, &err), ERR_OK);
	assert_string_equal(first.ptr, second.ptr);
	assert_int_equal(thawed->steps[0].kind, STEP_KIND_CALL);
	assert_int_equal(thawed->steps[0].call->timeout_ns, INT64_C(3000000000));
	assert_null(thawed->steps[0].command);
	assert_int_equal(thawed->steps[1].kind, STEP_KIND_CUSTOM);
	assert_true(thawed->steps[1].call->is_dynamic);
	assert_string_equal(
	    thawed->steps[1].call->config.ptr,
	    "{\"channel\":\"ops\",\"to\":[\"${params.who}\",2,{\"deep\":\"x${params.who}\"}]}");
	assert_false(thawed->steps[2].call->is_dynamic);
	assert_string_equal(thawed->steps[2].call->config.ptr, "\"plain\"");
	assert_string_equal(thawed->steps[3].command->executor.ptr, "cluster");
	assert_string_equal(thawed->steps[3].command->resources.ptr,
			    "{\"gpus\":1,\"tags\":[\"a\"]}");
	assert_null(thawed->steps[4].command->executor.ptr);
}

static void a_kind_is_asked_about_its_config(void **state)
{
	AUTO(diags_fini) struct diags diags;
	AUTO(buf_fini) struct buf checked = BUF_INIT;
	AUTO(model_drop)
	struct model *model =
	    load("pipeline: p\nsteps: {a: {slack: {n: 007, t: '${run.id}'}}}", &diags, &checked);

	(void)state;
	assert_non_null(model);
	assert_string_equal(checked.ptr, "slack {\"n\":7,\"t\":\"${run.id}\"}");
	expect("pipeline: p\nsteps:\n  a:\n    slack: refused\n", "SLU061@4:12", "no such channel");
}

static void what_the_host_does_not_have_is_an_error_with_its_place(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {call: chekc}}", "SLU060@2:19", "'check'");
	expect("pipeline: p\nsteps: {a: {call: ''}}", "SLU017@2:19", NULL);
	expect("pipeline: p\nsteps: {a: {call: \"a b\\n\"}}", "SLU060@2:19", NULL);
	expect("pipeline: p\nsteps: {a: {slak: x}}", "SLU013@2:13", NULL);
	expect("pipeline: p\nsteps: {a: {run: x, executor: clutser}}", "SLU062@2:31", "'cluster'");
	expect("pipeline: p\nsteps: {a: {run: x, resources: {a: 1}}}", "SLU062@2:21", "executor");
	expect("pipeline: p\nsteps: {a: {run: x, executor: cluster, resources: [1]}}",
	       "SLU016@2:51", NULL);
	expect("pipeline: p\nsteps: {a: {call: check, executor: cluster}}", "SLU025@2:26", NULL);
}

static void a_step_does_one_thing_with_kinds_of_the_host_too(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {slack: x, mail: y}}", "SLU024@2:23", NULL);
	expect("pipeline: p\nsteps: {a: {slack: x, run: y}}", "SLU024@2:13", NULL);
	expect("pipeline: p\nsteps: {a: {call: check, noop: true}}", "SLU024@2:13", NULL);
	expect("pipeline: p\nsteps: {a: {slack: x, env: {A: b}}}", "SLU025@2:23", NULL);
	expect("pipeline: p\ndefaults: {slack: x}\nsteps: {a: {noop: true}}", "SLU025@2:12", NULL);
	expect("pipeline: p\ndefaults: {call: check}\nsteps: {a: {noop: true}}", "SLU025@2:12",
	       NULL);
	/* Only the frozen form says it so. */
	expect("pipeline: p\nsteps: {a: {kind: {name: slack, config: 1}}}", "SLU013@2:13", NULL);
}

static void templates_of_a_config_are_checked_when_it_is_loaded(void **state)
{
	(void)state;
	expect("pipeline: p\nsteps: {a: {slack: {t: 'x ${params.nobody}'}}}", "SLU045@2:36", NULL);
	expect("pipeline: p\nsteps: {a: {slack: [[x, '${1 +}']]}}", "SLU042@2:28", NULL);
	expect("pipeline: p\nsteps: {a: {slack: {t: '${1'}}}", "SLU044@2:25", NULL);
	expect("pipeline: p\nsteps: {a: {slack: {t: '${outputs.b.x}'}}, b: {noop: true}}",
	       "SLU047@2:35", NULL);
	expect("pipeline: p\nparams: {s: {type: secret, from: {env: S}}}\n"
	       "steps: {a: {slack: '${params.s}'}}",
	       "SLU048@3:28", NULL);
	/* What stands behind the config is not part of it. */
	expect("pipeline: p\nsteps: {a: {slack: {t: x}, description: 'a ${ of no meaning'}}", "",
	       NULL);
	expect("pipeline: p\nsteps: {a: {slack: x, description: 'a ${ of no meaning'}}", "", NULL);
}

static void names_of_kinds_are_not_those_of_the_format(void **state)
{
	(void)state;
	assert_true(lang_kind_name_is_free(STR("slack")));
	assert_false(lang_kind_name_is_free(STR("run")));
	assert_false(lang_kind_name_is_free(STR("map")));  /* of a later version */
	assert_false(lang_kind_name_is_free(STR("kind"))); /* of the frozen form */
	assert_false(lang_kind_name_is_free(STR("needs")));
	assert_false(lang_kind_name_is_free(STR("two words")));
	assert_false(lang_kind_name_is_free(STR("")));
	assert_true(lang_host_name_valid(STR("my.function-2")));
	assert_false(lang_host_name_valid(STR("-x")));
	assert_false(lang_host_name_valid(STR("a/b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_host_has_is_accepted_and_comes_back_from_the_frozen_form),
	    cmocka_unit_test(a_kind_is_asked_about_its_config),
	    cmocka_unit_test(what_the_host_does_not_have_is_an_error_with_its_place),
	    cmocka_unit_test(a_step_does_one_thing_with_kinds_of_the_host_too),
	    cmocka_unit_test(templates_of_a_config_are_checked_when_it_is_loaded),
	    cmocka_unit_test(names_of_kinds_are_not_those_of_the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
