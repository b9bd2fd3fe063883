/* fold_test.c - the fold of a run directory: what readers get of a log that is not as it should
 * be */
#include "fixture.h"

#include "base/mem.h"
#include "log/run_lock.h"

#include <sys/stat.h>
#include <unistd.h>

static struct made made;

static int setup(void **unused)
{
	(void)unused;
	made_open(&made);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	made_close(&made);
	return 0;
}

static enum err_code read_fold(struct fold_run *fold, struct err *err)
{
	return fold_read(made.dir, &made.limits, NULL, NULL, fold, err);
}

static void a_whole_log_gives_its_state(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	made_release(&made);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_WHOLE);
	assert_int_equal(fold.state.state, RUN_FAILED);
	assert_int_equal(fold.state.seq, 14);
	assert_text(fold.model->folder, "/");
}

/* S11.6: what the living owner has not published as durable is not shown. */
static void a_reader_stops_at_what_the_owner_made_durable(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;
	struct log_head durable;

	(void)unused;
	made_begin(&made);
	durable = *log_head(made.log);
	assert_ok(run_lock_publish(&vfs_os, &made.lock, durable.seq, durable.offset_bytes, &err),
		  &err);
	made_start(&made, "first", 0);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.state.seq, durable.seq);
}

/* S11.4 */
static void a_torn_tail_is_no_event(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf log = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	made_begin(&made);
	made_release(&made);
	made_read(&made, LOG_FILE, &log);
	buf_text(&log, "{\"event_id\":\"evt_4\"");
	made_write(&made, LOG_FILE, buf_view(&log));
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_TORN);
	assert_int_equal(fold.state.state, RUN_EXECUTING);
}

/* S11.4: an event that the tables refuse half way must not leave half of its effect. */
static void a_refused_event_leaves_the_state_of_the_good_prefix(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;

	(void)unused;
	made_begin(&made);
	made_start(&made, "first", 0);
	made_start(&made, "first", 1); /* it runs already */
	made_release(&made);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
	assert_int_equal(fold.reading.problem.code, ERR_CORRUPT);
	assert_int_equal(fold.reading.head.seq, 4);
	assert_int_equal(fold.state.seq, 4);
	assert_int_equal(fold.state.steps[0].state, STEP_RUNNING);
	assert_int_equal(fold.state.count[STEP_RUNNING], 1);
}

static void succeed_with_blob(const char *ref)
{
	struct event event;

	made_begin(&made);
	made_start(&made, "first", 0);
	event_init(&event, EVENT_STEP_SUCCEEDED);
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("first"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("succeeded"));
	event_put_text(&event, EVENT_FIELD_OUTPUTS_REF, str_of(ref));
	made_add(&made, &event);
}

/* S11: the context is a fold too. */
static void outputs_in_a_blob_are_part_of_the_state(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	char ref[SHA256_HEX_BYTES + 1];
	struct err err = ERR_INIT;

	(void)unused;
	assert_ok(rundir_blob_put(made.dir, STR("{\"rows\":7}"), ref, &err), &err);
	succeed_with_blob(ref);
	made_release(&made);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_WHOLE);
	assert_text(fold.state.steps[0].outputs, "{\"rows\":7}");
}

static void a_missing_blob_is_damage(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	static const char ref[] =
	    "00000000000000000000000000000000000000000000000000000000000000ff";
	struct err err = ERR_INIT;

	(void)unused;
	succeed_with_blob(ref);
	made_release(&made);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
	assert_int_equal(fold.state.seq, 4);
}

static void a_blob_that_is_not_json_is_damage(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	char ref[SHA256_HEX_BYTES + 1];
	struct err err = ERR_INIT;

	(void)unused;
	assert_ok(rundir_blob_put(made.dir, STR("{\"rows\":}"), ref, &err), &err);
	succeed_with_blob(ref);
	made_release(&made);
	assert_ok(read_fold(&fold, &err), &err);
	assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
}

/* S9.3: the frozen definition is what its hash says, or there is nothing to fold. */
static void a_changed_definition_is_corrupt(void **unused)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct fold_run fold = {.model = NULL};
	struct log_torn torn;
	struct log *log;
	struct err err = ERR_INIT;
	struct err writer = ERR_INIT;

	(void)unused;
	made_release(&made);
	made_read(&made, "pipeline.json", &frozen);
	buf_byte(&frozen, ' ');
	made_write(&made, "pipeline.json", buf_view(&frozen));
	assert_int_equal(read_fold(&fold, &err), ERR_CORRUPT);
	assert_int_equal(
	    fold_open(made.dir, &made.limits, NULL, NULL, NULL, &fold, &log, &torn, &writer),
	    ERR_CORRUPT);
}

static void an_owner_gets_the_same_state_and_a_log_to_write(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct log_torn torn;
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	log_close(made.log);
	assert_ok(
	    fold_open(made.dir, &made.limits, NULL, NULL, NULL, &fold, &made.log, &torn, &err),
	    &err);
	assert_int_equal(torn.bytes, 0);
	assert_int_equal(fold.state.seq, log_head(made.log)->seq);
	assert_int_equal(fold.state.gates_barred, 1);
}

static void an_owner_is_refused_a_log_with_an_illegal_event(void **unused)
{
	struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf before = BUF_INIT;
	AUTO(buf_fini) struct buf after = BUF_INIT;
	struct log_torn torn;
	struct log *log;
	struct err err = ERR_INIT;

	(void)unused;
	made_begin(&made);
	made_start(&made, "last", 1); /* attempts begin with 0 */
	made_release(&made);
	made_read(&made, LOG_FILE, &before);
	assert_int_equal(
	    fold_open(made.dir, &made.limits, NULL, NULL, NULL, &fold, &log, &torn, &err),
	    ERR_CORRUPT);
	made_read(&made, LOG_FILE, &after);
	assert_true(str_eq(buf_view(&before), buf_view(&after)));
}

/* S11.6: who owns it, and how far it is durable, has to be known before it is read. */
static void a_lock_that_cannot_be_read_is_no_free_one(void **unused)
{
	struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	made_release(&made);
	assert_int_equal(unlinkat(rundir_fd(made.dir), RUN_LOCK_FILE, 0), 0);
	assert_int_equal(mkdirat(rundir_fd(made.dir), RUN_LOCK_FILE, 0700), 0);
	assert_int_not_equal(read_fold(&fold, &err), ERR_OK);
	assert_true(err.text[0]);
}

static void a_log_that_is_damaged_from_its_beginning_is_no_run(void **unused)
{
	struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;

	(void)unused;
	made_release(&made);
	made_write(&made, LOG_FILE, STR("this is no line\n"));
	assert_int_equal(read_fold(&fold, &err), ERR_CORRUPT);
}

/* Fail the 1st, 2nd, ... allocation: an error each time, nothing leaks (ASan), nothing is wrong. */
static void every_allocation_may_fail(void **unused)
{
	(void)unused;
	made_failed_run(&made);
	made_release(&made);
	for (uint64_t nth = 1;; nth++) {
		struct fold_run fold = {.model = NULL};
		struct err err = ERR_INIT;
		enum err_code code;

		mem_fail_at(nth, 1);
		code = read_fold(&fold, &err);
		mem_fail_at(0, 0);
		if (code == ERR_OK) {
			assert_int_equal(fold.state.seq, 14);
			fold_fini(&fold);
			return;
		}
		assert_int_equal(code, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_whole_log_gives_its_state, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_reader_stops_at_what_the_owner_made_durable, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_torn_tail_is_no_event, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_refused_event_leaves_the_state_of_the_good_prefix,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(outputs_in_a_blob_are_part_of_the_state, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_missing_blob_is_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_blob_that_is_not_json_is_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_changed_definition_is_corrupt, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_owner_gets_the_same_state_and_a_log_to_write, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(an_owner_is_refused_a_log_with_an_illegal_event, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_lock_that_cannot_be_read_is_no_free_one, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_log_that_is_damaged_from_its_beginning_is_no_run,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
