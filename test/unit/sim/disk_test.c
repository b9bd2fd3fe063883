/* disk_test.c - the virtual disk itself: a simulator whose disk is kinder than a real one proves
 * nothing */
#include "sim/sim_disk.h"

#include "base/mem.h"
#include "rundir/rundir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 200

struct box {
	struct sim_disk *disk;
	struct sim_proc proc;
	int dir;
	struct err err;
};

static void box_open(struct box *box, uint64_t seed)
{
	*box = (struct box){.disk = sim_disk_new(seed), .err = ERR_INIT};
	sim_proc_start(&box->proc, box->disk);
	assert_int_equal(vfs_root(&box->proc.vfs, "/d", true, &box->dir, &box->err), ERR_OK);
}

static void box_close(struct box *box)
{
	sim_disk_free(box->disk);
}

static int made(struct box *box, const char *name, const char *text)
{
	int fd = -1;

	assert_int_equal(
	    vfs_open(&box->proc.vfs, box->dir, name, VFS_CREATE_APPEND, &fd, &box->err), ERR_OK);
	assert_int_equal(vfs_write(&box->proc.vfs, fd, text, strlen(text), &box->err), ERR_OK);
	return fd;
}

static void sync_file(struct box *box, int fd)
{
	assert_int_equal(vfs_sync(&box->proc.vfs, fd, &box->err), ERR_OK);
}

static bool holds(const struct box *box, const char *path, const char *text)
{
	struct str content = STR_NONE;

	return sim_disk_peek(box->disk, path, false, &content) && str_is(content, text);
}

static void only_fails(struct box *box, enum sim_call call)
{
	struct sim_disk_faults faults = {.failures = 1};

	faults.per_mille[call] = 1000;
	sim_disk_set_faults(box->disk, &faults);
}

/* ----------------------------------------------------------------------------- power cuts: D05 */

static void what_was_synced_with_its_name_survives_a_power_cut(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		int fd;

		box_open(&box, seed);
		fd = made(&box, "a", "one");
		sync_file(&box, fd);
		sync_file(&box, box.dir);
		sim_disk_power_cut(box.disk, seed % 2);
		assert_true(holds(&box, "/d/a", "one"));
	}
}

/* D06: the name has to be synced too. */
static void a_name_that_was_not_synced_may_be_gone(void **state)
{
	unsigned gone = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;

		box_open(&box, seed);
		sync_file(&box, made(&box, "a", "one"));
		sim_disk_power_cut(box.disk, false);
		gone += !holds(&box, "/d/a", "one");
	}
	assert_in_range(gone, SEEDS / 4, 3 * SEEDS / 4);
}

static void an_unsynced_write_is_there_or_not_or_torn(void **state)
{
	unsigned whole = 0;
	unsigned none = 0;
	unsigned torn = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		struct str content = STR_NONE;
		int fd;

		box_open(&box, seed);
		fd = made(&box, "a", "");
		sync_file(&box, fd);
		sync_file(&box, box.dir);
		(void)made(&box, "a", "0123456789");
		sim_disk_power_cut(box.disk, false);
		assert_true(sim_disk_peek(box.disk, "/d/a", false, &content));
		assert_true(content.len <= 10 &&
			    memcmp(content.ptr ? content.ptr : "", "0123456789", content.len) == 0);
		whole += content.len == 10;
		none += content.len == 0;
		torn += content.len > 0 && content.len < 10;
	}
	assert_true(whole && none && torn);
}

static void a_rename_is_whole_or_was_not(void **state)
{
	unsigned renamed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;

		box_open(&box, seed);
		sync_file(&box, made(&box, "a", "old"));
		sync_file(&box, made(&box, "b", "new"));
		sync_file(&box, box.dir);
		assert_int_equal(vfs_rename(&box.proc.vfs, box.dir, "b", box.dir, "a", &box.err),
				 ERR_OK);
		sim_disk_power_cut(box.disk, false);
		renamed += holds(&box, "/d/a", "new");
		assert_true(holds(&box, "/d/a", "old") || holds(&box, "/d/a", "new"));
		assert_true(holds(&box, "/d/b", "new") != holds(&box, "/d/a", "new"));
	}
	assert_in_range(renamed, SEEDS / 4, 3 * SEEDS / 4);
}

/* ---------------------------------------------------------------------------- failed syncs: D17 */

static void a_sync_that_failed_succeeds_when_repeated_and_has_lost_the_data(void **state)
{
	unsigned lost = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		struct sim_proc other;
		int fd = -1;

		box_open(&box, seed);
		sync_file(&box, box.dir);
		fd = made(&box, "a", "0123456789");
		sync_file(&box, box.dir);
		only_fails(&box, SIM_CALL_SYNC);
		assert_int_equal(vfs_sync(&box.proc.vfs, fd, &box.err), ERR_IO);
		assert_true(holds(&box, "/d/a", "0123456789")); /* in the page cache */
		sim_proc_start(&other, box.disk);
		assert_int_equal(vfs_root(&other.vfs, "/d", false, &box.dir, &box.err), ERR_OK);
		assert_int_equal(vfs_open(&other.vfs, box.dir, "a", VFS_READ, &fd, &box.err),
				 ERR_OK);
		assert_int_equal(vfs_sync(&other.vfs, fd, &box.err), ERR_OK);
		sim_disk_power_cut(box.disk, true);
		lost += !holds(&box, "/d/a", "0123456789");
	}
	assert_true(lost > SEEDS / 4);
}

static void writing_again_after_a_failed_sync_by_the_same_process_is_a_violation(void **state)
{
	AUTO(box_close) struct box box;
	int fd;

	(void)state;
	box_open(&box, 1);
	fd = made(&box, "a", "one");
	only_fails(&box, SIM_CALL_SYNC);
	assert_int_equal(vfs_sync(&box.proc.vfs, fd, &box.err), ERR_IO);
	assert_null(sim_disk_violation(box.disk));
	assert_int_equal(vfs_write(&box.proc.vfs, fd, "two", 3, &box.err), ERR_OK);
	assert_non_null(sim_disk_violation(box.disk));
}

static void a_full_disk_takes_a_part_and_refuses_the_rest(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		struct sim_disk_faults faults = {.failures = 1, .full_calls = 100};
		struct str content = STR_NONE;
		int fd;

		box_open(&box, seed);
		fd = made(&box, "a", "");
		faults.per_mille[SIM_CALL_WRITE] = 1000;
		sim_disk_set_faults(box.disk, &faults);
		assert_int_not_equal(vfs_write(&box.proc.vfs, fd, "0123456789", 10, &box.err),
				     ERR_OK);
		assert_true(box.err.code == ERR_FULL || box.err.code == ERR_IO);
		assert_true(sim_disk_peek(box.disk, "/d/a", false, &content));
		assert_true(content.len <= 10);
	}
}

/* ---------------------------------------------------------------------------------- processes */

/* S8.1: locks belong to open files, and vanish with the process that has them open. */
static void a_lock_vanishes_with_its_process_and_moves_with_its_descriptor(void **state)
{
	AUTO(box_close) struct box box;
	struct sim_proc other;
	int mine;
	int theirs = -1;
	int dir = -1;

	(void)state;
	box_open(&box, 1);
	mine = made(&box, "lock", "");
	sim_proc_start(&other, box.disk);
	assert_int_equal(vfs_root(&other.vfs, "/d", false, &dir, &box.err), ERR_OK);
	assert_int_equal(vfs_open(&other.vfs, dir, "lock", VFS_READ_WRITE, &theirs, &box.err),
			 ERR_OK);
	assert_int_equal(vfs_lock(&box.proc.vfs, mine, &box.err), ERR_OK);
	assert_int_equal(vfs_lock(&other.vfs, theirs, &box.err), ERR_LOCKED);
	sim_proc_take_fd(&other, mine);
	sim_proc_kill(&box.proc);
	assert_int_equal(vfs_lock(&other.vfs, theirs, &box.err), ERR_LOCKED);
	vfs_close(&other.vfs, mine);
	err_reset(&box.err);
	assert_int_equal(vfs_lock(&other.vfs, theirs, &box.err), ERR_OK);
	sim_proc_kill(&other);
}

static void what_a_killed_process_wrote_stays_and_it_does_nothing_more(void **state)
{
	AUTO(box_close) struct box box;
	int fd;

	(void)state;
	box_open(&box, 1);
	fd = made(&box, "a", "one");
	sim_proc_kill(&box.proc);
	assert_int_not_equal(vfs_write(&box.proc.vfs, fd, "two", 3, &box.err), ERR_OK);
	assert_true(holds(&box, "/d/a", "one"));
}

static void a_process_dies_before_after_or_in_the_middle_of_a_call(void **state)
{
	unsigned none = 0;
	unsigned some = 0;
	unsigned all = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		struct str content = STR_NONE;
		int fd;

		box_open(&box, seed);
		fd = made(&box, "a", "");
		box.proc.dies_at = box.proc.calls + 1;
		assert_int_not_equal(vfs_write(&box.proc.vfs, fd, "0123456789", 10, &box.err),
				     ERR_OK);
		assert_true(box.proc.is_dead);
		assert_true(sim_disk_peek(box.disk, "/d/a", false, &content));
		none += content.len == 0;
		some += content.len > 0 && content.len < 10;
		all += content.len == 10;
	}
	assert_true(none && some && all);
}

/* A pwrite on a descriptor that appends goes to the end: pwrite(2), BUGS. */
static void a_write_at_an_offset_appends_when_the_file_is_open_to_append(void **state)
{
	AUTO(box_close) struct box box;
	int fd;

	(void)state;
	box_open(&box, 1);
	fd = made(&box, "a", "one");
	assert_int_equal(vfs_write_at(&box.proc.vfs, fd, "two", 3, 0, &box.err), ERR_OK);
	assert_true(holds(&box, "/d/a", "onetwo"));
}

/* ------------------------------------------------------- what the product does on such a disk */

static void created_event(struct event *event)
{
	event_init(event, EVENT_RUN_CREATED);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, 1);
	event_put_text(event, EVENT_FIELD_PIPELINE, STR("p"));
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, STR("00"));
	event_put_text(event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(event, EVENT_FIELD_SEED, 1);
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR("b"));
	event_put_text(event, EVENT_FIELD_CWD, STR("/"));
}

static void state_event(struct event *event)
{
	event_init(event, EVENT_RUN_STATE_CHANGED);
	event_put_text(event, EVENT_FIELD_PREVIOUS_STATE, STR("created"));
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("preflight_validated"));
}

/* D17: lines that only the page cache has are made durable before anybody decides on them. */
static void a_log_whose_sync_failed_is_durable_when_it_was_opened_again(void **state)
{
	struct limits limits;

	(void)state;
	limits_default(&limits);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(box_close) struct box box;
		AUTO(log_drop) struct log *log = NULL;
		struct log_torn torn;
		struct str before = STR_NONE;
		struct str after = STR_NONE;
		struct event event;

		box_open(&box, seed);
		created_event(&event);
		assert_int_equal(
		    log_create(&box.proc.vfs, box.dir, STR("r"), &limits, &event, &log, &box.err),
		    ERR_OK);
		sync_file(&box, box.dir);
		state_event(&event);
		assert_int_equal(log_add(log, &event, &box.err), ERR_OK);
		only_fails(&box, SIM_CALL_SYNC);
		assert_int_equal(log_commit(log, true, &box.err), ERR_IO);
		log_close(TAKE(log, NULL));
		sim_proc_kill(&box.proc);
		sim_proc_start(&box.proc, box.disk);
		err_reset(&box.err);
		assert_int_equal(vfs_root(&box.proc.vfs, "/d", false, &box.dir, &box.err), ERR_OK);
		assert_int_equal(log_open(&box.proc.vfs, box.dir, STR("r"), &limits, NULL, NULL,
					  NULL, &log, &torn, &box.err),
				 ERR_OK);
		assert_int_equal(log_head(log)->seq, 2);
		assert_true(sim_disk_peek(box.disk, "/d/events.jsonl", false, &before));
		assert_true(sim_disk_peek(box.disk, "/d/events.jsonl", true, &after));
		assert_true(str_eq(before, after));
		log_close(TAKE(log, NULL)); /* before its disk */
	}
}

/* S11.8: a birth that was cut short after the rename is finished by who goes on with the run. */
static void the_name_of_a_run_is_synced_in_its_parent(void **state)
{
	AUTO(box_close) struct box box;
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(log_drop) struct log *log = NULL;
	struct limits limits;
	struct event event;
	int fd = -1;
	struct str content = STR_NONE;

	(void)state;
	limits_default(&limits);
	box_open(&box, 1);
	assert_int_equal(vfs_make_dir(&box.proc.vfs, box.dir, "r", &box.err), ERR_OK);
	assert_int_equal(vfs_open(&box.proc.vfs, box.dir, "r", VFS_DIR, &fd, &box.err), ERR_OK);
	created_event(&event);
	assert_int_equal(log_create(&box.proc.vfs, fd, STR("r"), &limits, &event, &log, &box.err),
			 ERR_OK);
	sync_file(&box, fd);
	assert_int_equal(rundir_open(&box.proc.vfs, "/d/r", &dir, &box.err), ERR_OK);
	assert_false(sim_disk_peek(box.disk, "/d/r/events.jsonl", true, &content));
	assert_int_equal(rundir_sync_name(dir, &box.err), ERR_OK);
	assert_true(sim_disk_peek(box.disk, "/d/r/events.jsonl", true, &content));
	rundir_close(TAKE(dir, NULL));
	log_close(TAKE(log, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_synced_with_its_name_survives_a_power_cut),
	    cmocka_unit_test(a_name_that_was_not_synced_may_be_gone),
	    cmocka_unit_test(an_unsynced_write_is_there_or_not_or_torn),
	    cmocka_unit_test(a_rename_is_whole_or_was_not),
	    cmocka_unit_test(a_sync_that_failed_succeeds_when_repeated_and_has_lost_the_data),
	    cmocka_unit_test(writing_again_after_a_failed_sync_by_the_same_process_is_a_violation),
	    cmocka_unit_test(a_full_disk_takes_a_part_and_refuses_the_rest),
	    cmocka_unit_test(a_lock_vanishes_with_its_process_and_moves_with_its_descriptor),
	    cmocka_unit_test(what_a_killed_process_wrote_stays_and_it_does_nothing_more),
	    cmocka_unit_test(a_process_dies_before_after_or_in_the_middle_of_a_call),
	    cmocka_unit_test(a_write_at_an_offset_appends_when_the_file_is_open_to_append),
	    cmocka_unit_test(a_log_whose_sync_failed_is_durable_when_it_was_opened_again),
	    cmocka_unit_test(the_name_of_a_run_is_synced_in_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
