/* conform_test.c - the contract of core/exec.h (S8.2, S8.3), put to every driver there is: commands
 * through the keeper, functions on threads, an executor of the program, and all of them behind a
 * route. */
#include "fixture.h"
#include "spool.h"

#include "api/registry.h"
#include "api/run_host.h"
#include "exec/call.h"
#include "exec/command.h"
#include "exec/route.h"

#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* One driver under test. */
struct subject {
	const char *name;
	const char *driver; /* of its tokens; NULL = commands */
	bool survives;      /* attempts go on when the driver is closed */
	enum err_code (*open)(struct subject *subject, struct exec *ret_exec, struct err *err);
	struct world world;
	struct rundir *dir;
	struct spool *spool;
	struct exec_context *context;
	struct model *model;
	struct exec exec;
	uint64_t epoch;
	struct err err;
};

/* --------------------------------------------------------------------------------- drivers */

static enum err_code open_command(struct subject *subject, struct exec *ret_exec, struct err *err)
{
	struct exec_command_options options = {
	    .run_id = rundir_id(subject->dir),
	    .run_dir = rundir_fd(subject->dir),
	    .epoch = ++subject->epoch,
	    .keeper_path = world_keeper,
	};

	return exec_command_open(&options, ret_exec, err);
}

static bool is_told_to_end(struct call_job *job)
{
	static const struct timespec ms = {0, 1000000};

	(void)nanosleep(&ms, NULL);
	return call_job_is_cancelled(job);
}

/* The config is the script of a command: `exit N`, or `sleep`. */
static int run_script(void *arg, struct call_job *job, struct buf *result)
{
	const char *script = call_job_start(job)->config.ptr;
	int code = 1;

	(void)arg;
	(void)result;
	if (sscanf(script, "\"exit %d\"", &code) == 1)
		return code;
	while (!is_told_to_end(job))
		;
	return 1;
}

static enum err_code open_call(struct subject *subject, struct exec *ret_exec, struct err *err)
{
	struct exec_call_options options = {
	    .clock = &clock_os,
	    .vfs = &vfs_os,
	    .run_dir = rundir_fd(subject->dir),
	    .threads_max = 8,
	    .run = run_script,
	};

	return exec_call_open(&options, ret_exec, err);
}

static enum err_code open_hosted(struct subject *subject, struct exec *ret_exec, struct err *err)
{
	struct registry *registry = subject->world.sluice->registry;

	return executor_open(registry, registry_executor(registry, STR("spool")), subject->dir,
			     ret_exec, err);
}

/* Behind a route with the others. */
static enum err_code open_route(struct subject *subject, struct exec *ret_exec, struct err *err)
{
	struct route *route = NULL;
	struct exec exec;

	if (route_new(&route, err) != ERR_OK || open_command(subject, &exec, err) != ERR_OK ||
	    route_add(route, STR_NONE, exec, err) != ERR_OK ||
	    open_call(subject, &exec, err) != ERR_OK ||
	    route_add(route, STR(EXEC_DRIVER_CALL), exec, err) != ERR_OK ||
	    open_hosted(subject, &exec, err) != ERR_OK ||
	    route_add(route, STR("spool"), exec, err) != ERR_OK)
		return err->code;
	*ret_exec = route_exec(route);
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- what is asked */

static struct exec_token token_of(const struct subject *subject, const char *path, uint32_t attempt)
{
	return (struct exec_token){.path = str_of(path),
				   .role = EXEC_ROLE_RUN,
				   .attempt = attempt,
				   .driver = str_of(subject->driver),
				   .seed = 77};
}

#define assert_fine(call) \
	do { \
		if ((call) != ERR_OK) \
			fail_msg("%s: %s", subject->name, subject->err.text); \
	} while (0)

static void start(struct subject *subject, const char *path, uint32_t attempt, const char *script)
{
	static char path_of_env[] = "PATH=/usr/bin:/bin";
	char config[64];
	char log[64];
	char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			(char *)(uintptr_t)script, NULL};
	char *envp[] = {path_of_env, NULL};
	struct exec_call call = {.config = {config, 0}, .context = subject->context};
	struct exec_start start = {
	    .token = token_of(subject, path, attempt),
	    .argv = argv,
	    .envp = envp,
	    .cwd = subject->world.dir,
	    .log = log,
	    .grace_ns = 1000000000,
	    .output_limit_bytes = 1 << 20,
	    .call = &call,
	};

	call.config.len = (size_t)snprintf(config, sizeof(config), "\"%s\"", script);
	(void)snprintf(log, sizeof(log), "%s.%u.log", path, attempt);
	assert_fine(subject->exec.ops->start(subject->exec.self, &start, &subject->err));
	if (subject->exec.ops->flush)
		subject->exec.ops->flush(subject->exec.self);
}

/* The next report; its descriptor says when there is something (STARTED after a start is left
 * out). */
static struct exec_report wait_report(struct subject *subject, bool wants_started)
{
	struct pollfd fd = {subject->exec.ops->fd(subject->exec.self), POLLIN, 0};
	struct exec_report report;

	for (;;) {
		assert_fine(subject->exec.ops->pump(subject->exec.self, &subject->err));
		while (subject->exec.ops->next(subject->exec.self, &report)) {
			if (wants_started || report.kind != EXEC_STARTED)
				return report;
		}
		if (poll(&fd, 1, PATIENCE_MS) != 1)
			fail_msg("%s: no report", subject->name);
	}
}

static void assert_silent(struct subject *subject)
{
	struct pollfd fd = {subject->exec.ops->fd(subject->exec.self), POLLIN, 0};
	struct exec_report report;

	for (int i = 0; i < 3; i++) {
		assert_fine(subject->exec.ops->pump(subject->exec.self, &subject->err));
		while (subject->exec.ops->next(subject->exec.self, &report)) {
			if (report.kind != EXEC_STARTED)
				fail_msg("%s: a report too many, %d of '%.*s'", subject->name,
					 (int)report.kind, STR_ARG(report.token.path));
		}
		(void)poll(&fd, 1, 20);
	}
}

static void cancel(struct subject *subject, const char *path, bool now)
{
	struct exec_token token = token_of(subject, path, 0);

	assert_fine(subject->exec.ops->cancel(subject->exec.self, &token, now, &subject->err));
}

static int code_of(const struct exec_report *report)
{
	assert_int_equal(report->kind, EXEC_ENDED);
	assert_true(report->end == EXEC_END_EXITED || report->end == EXEC_END_RETURNED);
	return report->exit_code;
}

/* S8.2: exactly one terminal report for each, with what it ended with. */
static void each_attempt_has_one_end(struct subject *subject)
{
	int seen[40] = {0};

	for (int i = 0; i < 40; i++) {
		char path[16];
		char script[16];

		(void)snprintf(path, sizeof(path), "s%d", i);
		(void)snprintf(script, sizeof(script), "exit %d", i);
		start(subject, path, 0, script);
	}
	for (int i = 0; i < 40; i++) {
		struct exec_report report = wait_report(subject, false);
		int64_t number = -1;

		assert_true(
		    str_to_i64(str_cut(report.token.path, 1, report.token.path.len), &number));
		assert_in_range(number, 0, 39);
		assert_int_equal(code_of(&report), number);
		assert_int_equal(report.token.attempt, 0);
		assert_int_equal(report.cause, EXEC_CAUSE_NONE);
		assert_int_equal(seen[number]++, 0);
	}
	assert_silent(subject);
}

static void attempts_of_a_step_are_apart(struct subject *subject)
{
	struct exec_report report;

	start(subject, "again", 0, "exit 5");
	report = wait_report(subject, false);
	assert_int_equal(code_of(&report), 5);
	start(subject, "again", 1, "exit 6");
	report = wait_report(subject, false);
	assert_int_equal(code_of(&report), 6);
	assert_int_equal(report.token.attempt, 1);
}

static void a_cancel_ends_what_runs_and_nothing_else(struct subject *subject)
{
	struct exec_report report;

	start(subject, "ended", 0, "exit 0");
	report = wait_report(subject, false);
	assert_int_equal(code_of(&report), 0);
	cancel(subject, "ended", true);
	cancel(subject, "never", false);
	assert_silent(subject);
	start(subject, "long", 0, "exec sleep 60");
	start(subject, "other", 0, "exit 4");
	report = wait_report(subject, false);
	assert_int_equal(code_of(&report), 4);
	cancel(subject, "long", false);
	cancel(subject, "long", true);
	report = wait_report(subject, false);
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.cause, EXEC_CAUSE_CANCELLED);
	assert_true(str_is(report.token.path, "long"));
	assert_silent(subject);
}

static void open_again(struct subject *subject)
{
	subject->exec.ops->close(subject->exec.self);
	assert_fine(subject->open(subject, &subject->exec, &subject->err));
}

/* S8.3: a new engine asks, and hears of each what is known. */
static void recovery_tells_what_became_of_each(struct subject *subject)
{
	static const char *const paths[] = {"runs", "ends", "absent"};
	enum exec_report_kind kinds[3] = {EXEC_REFUSED, EXEC_REFUSED, EXEC_REFUSED};
	struct exec_token tokens[3];
	bool same_boot[3] = {true, true, true};
	struct exec_report report;

	start(subject, "runs", 0, "exec sleep 60");
	start(subject, "ends", 0, "exit 3");
	report = wait_report(subject, false); /* heard, and not recorded: the engine dies now */
	assert_int_equal(code_of(&report), 3);
	open_again(subject);
	for (int i = 0; i < 3; i++)
		tokens[i] = token_of(subject, paths[i], 0);
	assert_fine(
	    subject->exec.ops->recover(subject->exec.self, tokens, same_boot, 3, &subject->err));
	for (int i = 0; i < 3; i++) {
		report = wait_report(subject, true);
		for (int j = 0; j < 3; j++) {
			if (str_is(report.token.path, paths[j]))
				kinds[j] = report.kind;
		}
		if (report.kind == EXEC_ENDED)
			assert_int_equal(code_of(&report), 3);
	}
	if (!subject->survives) {
		for (int j = 0; j < 3; j++)
			assert_int_equal(kinds[j], EXEC_LOST); /* S8.5: it cannot be known */
		assert_silent(subject);
		return;
	}
	assert_int_equal(kinds[0], EXEC_STARTED);
	assert_int_equal(kinds[1], EXEC_ENDED);
	assert_int_equal(kinds[2], EXEC_ABSENT);
	start(subject, "absent", 0, "exit 8"); /* provably never executed: now */
	report = wait_report(subject, false);
	assert_int_equal(code_of(&report), 8);
	cancel(subject, "runs", true);
	report = wait_report(subject, false);
	assert_true(str_is(report.token.path, "runs"));
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_silent(subject);
}

/* ------------------------------------------------------------------------------------- all */

static void make_place(struct subject *subject)
{
	struct world *world = &subject->world;
	struct exec_context_options options = {.run_id = STR("r1")};
	char path[128];

	world_open(world);
	(void)snprintf(path, sizeof(path), "%s/spool", world->dir);
	subject->spool = spool_new(world->sluice, "spool", path);
	assert_int_equal(world_run(world, "pipeline: p\nsteps: {a: {noop: true}}", "r1"),
			 SLUICE_RUN_SUCCEEDED);
	(void)snprintf(path, sizeof(path), "%s/state/runs/r1", world->dir);
	assert_fine(rundir_open(&vfs_os, path, &subject->dir, &subject->err));
	assert_fine(vfs_make_dir(&vfs_os, rundir_fd(subject->dir), "logs", &subject->err));
	assert_fine(vfs_make_dir(&vfs_os, rundir_fd(subject->dir), "out", &subject->err));
	subject->model = model_new();
	assert_non_null(subject->model);
	options.model = subject->model;
	assert_fine(exec_context_new(&options, &subject->context, &subject->err));
	assert_fine(subject->open(subject, &subject->exec, &subject->err));
}

static void remove_place(struct subject *subject)
{
	subject->exec.ops->close(subject->exec.self);
	exec_context_free(subject->context);
	model_free(subject->model);
	rundir_close(subject->dir);
	spool_free(subject->spool);
	world_close(&subject->world);
}

static void put_to(struct subject subject)
{
	static void (*const rules[])(struct subject *) = {
	    each_attempt_has_one_end,
	    attempts_of_a_step_are_apart,
	    a_cancel_ends_what_runs_and_nothing_else,
	    recovery_tells_what_became_of_each,
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		make_place(&subject);
		rules[i](&subject);
		remove_place(&subject);
	}
}

static void S8_2_commands_keep_the_contract(void **state)
{
	(void)state;
	put_to((struct subject){.name = "command", .survives = true, .open = open_command});
}

static void S8_2_functions_keep_the_contract(void **state)
{
	(void)state;
	put_to((struct subject){.name = "call", .driver = EXEC_DRIVER_CALL, .open = open_call});
}

static void S8_2_executors_of_a_program_keep_the_contract(void **state)
{
	(void)state;
	put_to((struct subject){
	    .name = "spool", .driver = "spool", .survives = true, .open = open_hosted});
}

static void S8_2_a_route_keeps_the_contract_for_each_of_them(void **state)
{
	(void)state;
	put_to((struct subject){.name = "route: command", .survives = true, .open = open_route});
	put_to((struct subject){
	    .name = "route: call", .driver = EXEC_DRIVER_CALL, .open = open_route});
	put_to((struct subject){
	    .name = "route: spool", .driver = "spool", .survives = true, .open = open_route});
}

/* ------------------------------------------------------------------------------ short memory */

static int answer(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	(void)sluice_ctx_set_output_int(ctx, "n", 1);
	return 0;
}

static int answer_kind(struct sluice_step_ctx *ctx, const char *config, void *arg)
{
	(void)config;
	return answer(ctx, arg);
}

static bool carry_on(struct world *world, bool resumes, struct sluice_pipeline *pipeline)
{
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_run *run = NULL;
	enum sluice_run_state end = SLUICE_RUN_UNKNOWN;
	enum sluice_code code;
	int status = -1;

	code = resumes ? sluice_run_resume(world->sluice, "r1", NULL, &run, &status, &world->err)
		       : sluice_run_start(world->sluice, pipeline, &options, &run, &world->err);
	if (code == SLUICE_OK && run)
		end = sluice_run_wait(run, &world->err);
	sluice_run_free(run);
	return end == SLUICE_RUN_SUCCEEDED || (code == SLUICE_OK && !run && status == 0);
}

/* Wherever an allocation of the thread that carries the run on fails: an error, and a later resume
 * (or start) brings the run to its end. */
static void short_memory_is_an_error_at_every_allocation(void **state)
{
	static const char text[] =
	    "pipeline: p\ndefaults: {on_lost: rerun}\nparams: {w: {type: string, default: "
	    "x}}\nsteps: {a: "
	    "{call: answer}, b: {kind_of_test: {t: 'a ${params.w}'}}, c: {call: answer}}";
	uint64_t calls = 0;

	(void)state;
	for (uint64_t n = 1; n == 1 || calls >= n; n += 1 + n / 60) {
		struct world here;
		struct world *world = &here;
		struct sluice_kind_def kind = {.name = "kind_of_test", .run = answer_kind};
		struct sluice_call_def call = {.name = "answer", .call = answer};
		struct sluice_pipeline *pipeline;
		bool has_ended;
		char *log;

		world_open(world);
		assert_code(sluice_call_register(world->sluice, &call, &world->err), SLUICE_OK);
		assert_code(sluice_kind_register(world->sluice, &kind, &world->err), SLUICE_OK);
		pipeline = world_load(world, text);
		mem_fail_at(n, 0);
		has_ended = carry_on(world, false, pipeline);
		calls = mem_calls();
		mem_fail_at(0, 0);
		log = world_file(world, "runs/r1/events.jsonl");
		if (!has_ended && !carry_on(world, log != NULL, pipeline))
			fail_msg("allocation %u: %s", (unsigned)n, world->err.text);
		free(log);
		sluice_pipeline_free(pipeline);
		world_close(world);
	}
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    cmocka_unit_test(S8_2_commands_keep_the_contract),
	    cmocka_unit_test(S8_2_functions_keep_the_contract),
	    cmocka_unit_test(S8_2_executors_of_a_program_keep_the_contract),
	    cmocka_unit_test(short_memory_is_an_error_at_every_allocation),
	    cmocka_unit_test(S8_2_a_route_keeps_the_contract_for_each_of_them),
	};

	return cmocka_run_group_tests_name("conform", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
