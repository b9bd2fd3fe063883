/* recover_test.c - an engine takes over a run that is on disk, whatever its log ends with: what it
 * answers, when its timers are due, and that a memory or a disk that fails at any moment is told
 * and loses nothing (S7.6, S9, S10, S11.3, S11.4, D21). */
#include "stage.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "rundir/change.h"
#include "store/audit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD \
	"pipeline: demo\n" \
	"params: {day: {type: string, default: monday}, n: {type: int, default: 1}}\n" \
	"defaults: {on_failure: continue}\n" \
	"steps:\n" \
	"  first: {run: 'true', retry: {max_attempts: 3}, compensate: {run: 'true', retry: {max_attempts: 3}}}\n" \
	"  ask: {gate: manual, noop: true, needs: [], approve: {timeout: 2h}}\n" \
	"  barrier: {gate: hard, run: 'true', needs: [first]}\n"

static const char definition[] = HEAD "  last: {run: 'false', needs: [first]}\n";
static const char changed[] = HEAD "  last: {run: 'true', needs: [first]}\n";
static const struct made_birth birth = {.definition = definition, .next = changed};

/* Pieces of logs. */
#define DONE(step) STARTED(step) "step.succeeded " step " 0 new_state=succeeded\n"
#define COMPLETED(state, outcome) \
	"run.completed new_state=" state " outcome=" outcome " duration_ms=1\n"
#define ASKED         "step.waiting ask 0 reason=approval until=2026-01-31T14:00:00Z\n"
#define APPROVED      ASKED "gate.approved ask 0\n" DONE("ask")
#define FAILURE(step) STARTED(step) "step.failed " step " 0 new_state=failed error_class=unknown\n"
#define BARRED        FAILURE("barrier") "gate.failed barrier 0 error_class=unknown\n"

#define SUCCEEDED \
	BEGUN DONE("first") APPROVED DONE("barrier") DONE("last") MOVE("executing", "succeeded")
#define FAILED \
	BEGUN DONE("first") APPROVED DONE("barrier") FAILURE("last") MOVE("executing", "failed")
#define REST    FAILED COMPLETED("failed", "failed")
#define BLOCKED BEGUN DONE("first") FAILURE("last") ASKED
#define RESUMED "run.resumed definition_hash=@birth boot_id=" MADE_BOOT "\n"
#define UNDOING REST "run.rollback_started boot_id=" MADE_BOOT "\ncompensation.started first 0\n"
#define UNDO_DUE \
	UNDOING "compensation.failed first 0 error_class=unknown delay_ms=5000 boot_ms=60000\n"
#define UNDONE UNDOING "step.compensated first 0\n" MOVE("failed", "rolled_back")

/* ----------------------------------------------------------------------------------- take-overs */

static void stage_open(struct stage *stage, const char *lines)
{
	stage_open_as(stage, &birth, lines);
}

/* The log as it was made, and whatever else a scene has. */
static void stage_restore(struct stage *stage, const char *torn, const char *audit,
			  const char *file)
{
	AUTO(buf_fini) struct buf log = BUF_INIT;

	buf_str(&log, buf_view(&stage->log));
	buf_text(&log, torn ? torn : "");
	temp_dir_write(&stage->made.run, LOG_FILE, log.ptr, log.len);
	if (audit)
		temp_dir_write(&stage->made.run, AUDIT_FILE, audit, strlen(audit));
	if (file)
		temp_dir_write(&stage->made.home, "made.csv", file, strlen(file));
}

/* The artifact of a step: of the content `abc`, or of another. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-4 */
#define XYZ "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282"
#define NAMED(step, hash, name) \
	"artifact.emitted " step " 0 artifact_path=~/" name " outputs_hash=" hash " bytes=3\n"
#define MADE(step, hash) NAMED(step, hash, "made.csv")
#define AT_REST          MOVE("executing", "failed") COMPLETED("failed", "failed")
#define FIRST_MADE(artifacts) \
	BEGUN STARTED("first") artifacts \
	    "step.succeeded first 0 new_state=succeeded\n" APPROVED DONE("barrier") \
		FAILURE("last") AT_REST
#define LAST_MADE \
	BEGUN DONE("first") APPROVED DONE("barrier") STARTED("last") \
	    MADE("last", XYZ) "step.failed last 0 new_state=failed error_class=unknown\n" AT_REST

/* Logs, how they are taken over, and what comes of it. */
struct scene {
	const char *lines;
	struct wish wish;
	enum err_code code;
	enum engine_resumed resumed;
	const char *torn, *audit, *file; /* more in the run directory; `made.csv` beside it */
	bool is_swept;                   /* taken over while something is short, too */
};

#define AUDIT_OF_ANOTHER "{\"sequence\":99}\n"

static const struct scene scenes[] = {
    {"", {RESUME}, ERR_OK, .is_swept = true},
    {"", {IDLE}, ERR_OK, .is_swept = true},
    {BEGUN, {RESUME}, ERR_OK, .torn = "{\"half", .is_swept = true},
    {BEGUN DONE("first"), {RESUME}, ERR_OK, .audit = AUDIT_OF_ANOTHER, .is_swept = true},
    {BEGUN ASKED STARTED("first"), {RESUME}, ERR_OK, .is_swept = true},
    /* The run's end is there, and run.completed is not. */
    {FAILED, {RESUME}, ERR_OK},
    {FAILED, {RESUME, .has_next = true}, ERR_REFUSED},
    {SUCCEEDED, {RESUME}, ERR_OK},
    {UNDONE, {RESUME}, ERR_OK},
    {UNDONE, {ROLLBACK}, ERR_OK, .is_swept = true},
    /* At rest. */
    {REST, {RESUME, .param = "day=friday"}, ERR_OK, .is_swept = true},
    {REST, {RESUME, .from = "first"}, ERR_OK},
    {BEGUN DONE("first") APPROVED DONE("last") BARRED MOVE("executing", "failed")
	 COMPLETED("failed", "failed"),
     {RESUME, .override = "barrier"},
     ERR_OK,
     .is_swept = true},
    {REST, {RESUME, .max_parallel = 2}, ERR_OK},
    {REST, {RESUME, .has_next = true}, ERR_OK},
    {REST,
     {RESUME, .has_next = true, .param = "day=friday", .max_parallel = 2},
     ERR_OK,
     .is_swept = true},
    {REST RESUMED, {RESUME}, ERR_OK},
    {REST, {ROLLBACK}, ERR_OK, .is_swept = true},
    {UNDOING, {RESUME}, ERR_OK},
    {UNDO_DUE, {RESUME}, ERR_OK, .is_swept = true},
    {UNDO_DUE, {ROLLBACK}, ERR_OK},
    /* Blocked, and nobody has decided. */
    {BLOCKED DONE("barrier") MOVE("executing", "blocked"), {RESUME}, ERR_OK, ENGINE_UNDECIDED},
    {BLOCKED DONE("barrier") MOVE("executing", "blocked"), {RESUME, .from = "first"}, ERR_OK},
    {BLOCKED DONE("barrier") MOVE("executing", "blocked"),
     {RESUME, .override = "barrier"},
     ERR_REFUSED},
    {BLOCKED DONE("barrier") MOVE("executing", "blocked"), {RESUME, .has_next = true}, ERR_OK},
    /* Blocked, with something to do all the same. */
    {BEGUN ASKED STARTED("first") MOVE("executing", "blocked"), {RESUME}, ERR_OK},
    {BLOCKED DONE("barrier") MOVE("executing", "blocked") "run.rollback_started\n",
     {RESUME},
     ERR_OK},
    /* The artifacts of what stays are what they were; where one is named again, what it was last.
     */
    {FIRST_MADE(MADE("first", ABC)), {RESUME}, ERR_OK, .file = "abc"},
    {FIRST_MADE(MADE("first", XYZ)), {RESUME}, ERR_REFUSED, .file = "abc"},
    {FIRST_MADE(MADE("first", ABC)), {RESUME}, ERR_REFUSED},
    {FIRST_MADE(MADE("first", XYZ) MADE("first", XYZ) MADE("first", ABC)),
     {RESUME},
     ERR_OK,
     .file = "abc",
     .is_swept = true},
    {FIRST_MADE(MADE("first", ABC) MADE("first", XYZ)), {RESUME}, ERR_REFUSED, .file = "abc"},
    {FIRST_MADE(MADE("first", ABC) NAMED("first", ABC, "other.csv")),
     {RESUME},
     ERR_REFUSED,
     .file = "abc"},
    /* What failed, or is made again, may be anything. The other definition changes `last`. */
    {LAST_MADE, {RESUME}, ERR_OK, .file = "abc"},
    {FIRST_MADE(MADE("first", XYZ)), {RESUME, .from = "first"}, ERR_OK, .file = "abc"},
    {FIRST_MADE(MADE("first", ABC)),
     {RESUME, .has_next = true},
     ERR_OK,
     .file = "abc",
     .is_swept = true},
    {FIRST_MADE(MADE("first", XYZ)), {RESUME, .has_next = true}, ERR_REFUSED, .file = "abc"},
    {FIRST_MADE(MADE("first", XYZ)),
     {RESUME, .from = "first", .has_next = true},
     ERR_OK,
     .file = "abc"},
    /* It has succeeded. */
    {SUCCEEDED COMPLETED("succeeded", "success"), {RESUME}, ERR_OK, ENGINE_NOTHING},
    {SUCCEEDED COMPLETED("succeeded", "success"), {RESUME, .from = "last"}, ERR_REFUSED},
    {SUCCEEDED COMPLETED("succeeded", "success"), {RESUME, .has_next = true}, ERR_REFUSED},
};

static void assert_untouched(const struct stage *stage)
{
	AUTO(buf_fini) struct buf log = BUF_INIT;

	temp_dir_read(&stage->made.run, LOG_FILE, &log);
	assert_true(str_eq(buf_view(&log), buf_view(&stage->log)));
}

static void s9_each_log_is_taken_over_or_refused(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		const struct scene *scene = &scenes[i];
		struct engine *engine = NULL;
		struct err err = ERR_INIT;
		enum engine_resumed resumed;
		struct stage stage;
		enum err_code code;

		stage_open(&stage, scene->lines);
		stage_restore(&stage, scene->torn, scene->audit, scene->file);
		code = stage_take(&stage, &scene->wish, &resumed, &engine, &err);
		if (code != scene->code || (code == ERR_OK && resumed != scene->resumed))
			fail_msg("scene %zu: %s: %s, %d", i, err_name(code), err.text, resumed);
		assert_int_equal(engine != NULL, code == ERR_OK && resumed == ENGINE_RESUMED);
		if (code != ERR_OK)
			assert_untouched(&stage);
		engine_free(engine);
		stage_close(&stage);
	}
}

/* S10: only the program that can carry compensations out goes on with them. */
static void s10_what_compensations_need_is_asked_for_before_anything_is_written(void **unused)
{
	static const struct {
		const char *lines;
		enum way way;
	} cases[] = {{REST, ROLLBACK}, {UNDO_DUE, ROLLBACK}, {UNDO_DUE, RESUME}, {REST, RESUME}};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct wish wish = {cases[i].way};
		struct engine *engine = NULL;
		struct err err = ERR_INIT;
		enum engine_resumed resumed;
		struct stage stage;

		stage_open(&stage, cases[i].lines);
		stage.lacks = true;
		assert_int_equal(stage_take(&stage, &wish, &resumed, &engine, &err), ERR_REFUSED);
		assert_null(engine);
		assert_untouched(&stage);
		stage_close(&stage);
	}
}

/* ----------------------------------------------------------------------------------- timers */

#define RETRIED \
	BEGUN STARTED("first") "step.failed first 0 new_state=failed error_class=transient_io\n" \
			       "step.retried first 1 error_class=transient_io delay_ms=5000"
#define BOOT_AT    " boot_ms=60000\n"
#define GATE_MS    INT64_C(7200000) /* of `ask` */
#define OTHER_BOOT "8f6f2a52-0002-4000-8000-000000000002"

/* A retry that was 5 s off: how long the next engine waits for it. */
static const struct retry_case {
	const char *lines;
	enum way way;
	const char *boot_id;
	int64_t boot_ms; /* since boot, now */
	int64_t wall_ms; /* from the event until now, by a clock that may be set */
	int64_t wait_ms;
} retries[] = {
    {RETRIED BOOT_AT, RESUME, MADE_BOOT, 63000, 1000, 2000},
    {RETRIED BOOT_AT, RESUME, MADE_BOOT, 63000, 3600000, 2000},
    {RETRIED BOOT_AT, RESUME, MADE_BOOT, 65000, 1000, GATE_MS}, /* it is over: it has started */
    {RETRIED BOOT_AT, RESUME, OTHER_BOOT, 63000, 1000, 4000},
    {RETRIED BOOT_AT, RESUME, OTHER_BOOT, 63000, -3600000, 5000}, /* never longer than it was */
    {RETRIED "\n", RESUME, MADE_BOOT, 63000, 1000, 4000},
    {UNDO_DUE, RESUME, MADE_BOOT, 63000, 1000, 2000},
    {UNDO_DUE, ROLLBACK, OTHER_BOOT, 63000, 1000, 4000},
};

static void s7_6_a_retry_goes_on_over_a_restart_and_a_reboot(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(retries); i++) {
		const struct wish wish = {retries[i].way};
		struct engine *engine = NULL;
		struct err err = ERR_INIT;
		enum engine_resumed resumed;
		struct stage stage;

		stage_open(&stage, retries[i].lines);
		stage.ports.boot_id = str_of(retries[i].boot_id);
		stage.boot_ns = retries[i].boot_ms * NS_PER_MS;
		stage.utc_ms = stage.made.now_ms + retries[i].wall_ms;
		assert_ok(stage_take(&stage, &wish, &resumed, &engine, &err), &err);
		do
			assert_ok(engine_tick(engine, &err), &err);
		while (engine_wait_ns(engine) == 0);
		assert_int_equal(engine_wait_ns(engine) / NS_PER_MS, retries[i].wait_ms);
		engine_free(engine);
		stage_close(&stage);
	}
}

/* ----------------------------------------------------------------------- of memory and disk */

#define CALLS_MAX 120

/* One take-over with something short. True when nothing was, in the end. */
static bool take_short(struct stage *stage, const struct scene *scene, uint64_t nth, bool is_memory)
{
	struct engine *engine = NULL;
	struct err err = ERR_INIT;
	enum engine_resumed resumed;
	enum err_code code;
	bool is_through;

	vfs_fault_plan(&stage->fault, VFS_CALL_ANY, is_memory ? 0 : nth, false, EIO);
	mem_fail_at(is_memory ? nth : 0, 0);
	code = stage_take(stage, &scene->wish, &resumed, &engine, &err);
	is_through = is_memory ? mem_calls() < nth : !vfs_fault_fired(&stage->fault);
	mem_fail_at(0, 0);
	vfs_fault_plan(&stage->fault, VFS_CALL_ANY, 0, false, 0);
	assert_int_equal(err.text[0] != '\0', code != ERR_OK);
	if (is_through)
		assert_int_equal(code, scene->code);
	else if (scene->file && code == ERR_REFUSED)
		; /* an artifact that cannot be read is not what it was */
	else if (code != ERR_OK && code != scene->code)
		assert_int_equal(code, is_memory ? ERR_MEMORY : ERR_IO);
	engine_free(engine);
	assert_int_equal(stage->fault.open_files, 0);
	return is_through;
}

/* A good engine goes on with whatever that left. */
static void take_again(struct stage *stage, const struct scene *scene)
{
	const struct wish wish = {scene->wish.way, .from = scene->wish.from,
				  .override = scene->wish.override};
	struct engine *engine = NULL;
	struct err err = ERR_INIT;
	enum engine_resumed resumed;

	if (scene->code == ERR_OK)
		assert_ok(stage_take(stage, &wish, &resumed, &engine, &err), &err);
	engine_free(engine);
}

/* How often it asks for memory when it gets it. */
static uint64_t calls_of(struct stage *stage, const struct scene *scene)
{
	struct engine *engine = NULL;
	struct err err = ERR_INIT;
	enum engine_resumed resumed;
	uint64_t calls;

	mem_fail_at(0, 0);
	assert_ok(stage_take(stage, &scene->wish, &resumed, &engine, &err), &err);
	calls = mem_calls();
	engine_free(engine);
	return calls;
}

/* Each call in turn; of many calls the last ones. */
static void sweep(const struct made_birth *how, const struct scene *scene, bool is_memory)
{
	bool is_through = false;
	struct stage stage;
	uint64_t calls;

	stage_open_as(&stage, how, scene->lines);
	stage_restore(&stage, scene->torn, scene->audit, scene->file);
	calls = calls_of(&stage, scene);
	for (uint64_t nth = calls > CALLS_MAX ? calls - CALLS_MAX : 1; !is_through; nth++) {
		stage_restore(&stage, scene->torn, scene->audit, scene->file);
		is_through = take_short(&stage, scene, nth, is_memory);
		take_again(&stage, scene);
	}
	stage_close(&stage);
}

static void d21_a_take_over_without_memory_is_told_and_can_be_done_again(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		if (scenes[i].is_swept)
			sweep(&birth, &scenes[i], true);
	}
}

static void s11_3_a_take_over_on_a_bad_disk_is_told_and_can_be_done_again(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		if (scenes[i].is_swept)
			sweep(&birth, &scenes[i], false);
	}
}

/* Many parameters and a long value take memory of their own. */
static void d21_large_parameters_without_memory_are_told(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf param = BUF_INIT;
	struct made_birth how = {.next = changed};
	struct scene scene = {BEGUN STARTED("a"), {RESUME}, ERR_OK};

	(void)unused;
	buf_text(&text, "pipeline: demo\nsteps: {a: {run: 'true'}}\nparams:\n");
	for (unsigned i = 0; i < 1200; i++)
		buf_fmt(&text, "  p%u: {type: string, default: x}\n", i);
	buf_text(&param, "p7=");
	for (unsigned i = 0; i < 40000; i++)
		buf_byte(&param, 'y');
	how.definition = text.ptr;
	scene.wish.param = param.ptr;
	sweep(&how, &scene, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s9_each_log_is_taken_over_or_refused),
	    cmocka_unit_test(s10_what_compensations_need_is_asked_for_before_anything_is_written),
	    cmocka_unit_test(s7_6_a_retry_goes_on_over_a_restart_and_a_reboot),
	    cmocka_unit_test(d21_a_take_over_without_memory_is_told_and_can_be_done_again),
	    cmocka_unit_test(s11_3_a_take_over_on_a_bad_disk_is_told_and_can_be_done_again),
	    cmocka_unit_test(d21_large_parameters_without_memory_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
