/* fault_test.c - event logs on a bad disk: every call fails once, in turn (S11.3, D14, D16,
 * D18). */
#include "fixture.h"

#include "base/mem.h"
#include "support/vfs_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct scene {
	struct temp_dir dir;
	struct vfs_fault fault;
	struct log *log;
	struct log_torn torn;
	struct err err;
};

static void scene_make(struct scene *scene, unsigned lines)
{
	*scene = (struct scene){.err = ERR_INIT};
	temp_dir_make(&scene->dir);
	if (lines)
		fixture_log(&scene->dir, lines);
	vfs_fault_init(&scene->fault, &vfs_os);
}

static enum err_code scene_open(struct scene *scene)
{
	return log_open(&scene->fault.vfs, scene->dir.fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
			NULL, NULL, &scene->log, &scene->torn, &scene->err);
}

static enum err_code scene_append(struct scene *scene, unsigned n)
{
	struct event event;

	fixture_event(&event, n);
	if (log_add(scene->log, &event, &scene->err) != ERR_OK)
		return scene->err.code;
	return log_commit(scene->log, true, &scene->err);
}

static void scene_drop(struct scene *scene)
{
	log_drop(&scene->log);
	assert_int_equal(scene->fault.open_files, 0);
	temp_dir_remove(&scene->dir);
}

/* How many lines are whole, by a reader on the good disk. */
static uint64_t lines_of(struct scene *scene)
{
	struct fixture_seen seen = {0};
	struct log_reading reading;

	assert_int_equal(fixture_read(&scene->dir, &seen, &reading), ERR_OK);
	assert_true(reading.end == LOG_END_WHOLE || reading.end == LOG_END_TORN);
	return reading.head.seq;
}

/* S11.3, D16: no retry of the sync, nothing more is taken, what was acknowledged is there. */
static void a_failed_sync_poisons_the_log(void **unused)
{
	struct scene scene;
	struct event event;
	uint64_t syncs;

	(void)unused;
	scene_make(&scene, 3);
	assert_int_equal(scene_open(&scene), ERR_OK);
	assert_int_equal(scene_append(&scene, 2), ERR_OK);
	vfs_fault_plan(&scene.fault, VFS_CALL_SYNC, 1, false, EIO);
	assert_int_equal(scene_append(&scene, 3), ERR_IO);
	syncs = scene.fault.seen_syncs;
	assert_int_equal(scene_append(&scene, 3), ERR_IO);
	assert_int_equal(log_commit(scene.log, true, &scene.err), ERR_IO);
	assert_int_equal(log_sync(scene.log, &scene.err), ERR_IO);
	fixture_event(&event, 3);
	assert_int_equal(log_add(scene.log, &event, &scene.err), ERR_IO);
	assert_int_equal(scene.fault.seen_syncs, syncs);
	assert_int_equal(log_head(scene.log)->seq, 4);
	assert_true(lines_of(&scene) >= 4);
	scene_drop(&scene);
}

/* S11.3: a sync that fails for lack of room is not "full": what is on the disk is unknown. */
static void a_sync_that_says_enospc_poisons_too(void **unused)
{
	struct scene scene;

	(void)unused;
	scene_make(&scene, 3);
	assert_int_equal(scene_open(&scene), ERR_OK);
	vfs_fault_plan(&scene.fault, VFS_CALL_SYNC, 1, false, ENOSPC);
	assert_int_equal(scene_append(&scene, 2), ERR_IO);
	scene_drop(&scene);
}

/* S11.3, D14: cut back in the middle of a line, resumable. */
static void a_full_disk_is_cut_back_and_can_be_gone_on_with(void **unused)
{
	static const int numbers[] = {ENOSPC, EDQUOT, EFBIG};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		AUTO(buf_fini) struct buf before = BUF_INIT;
		AUTO(buf_fini) struct buf after = BUF_INIT;
		struct scene scene;

		scene_make(&scene, 3);
		temp_dir_read(&scene.dir, LOG_FILE, &before);
		assert_int_equal(scene_open(&scene), ERR_OK);
		vfs_fault_plan(&scene.fault, VFS_CALL_WRITE, 1, true, numbers[i]);
		scene.fault.half = true;
		assert_int_equal(scene_append(&scene, 2), ERR_FULL);
		assert_int_equal(scene_append(&scene, 2), ERR_FULL); /* it takes no more */
		temp_dir_read(&scene.dir, LOG_FILE, &after);
		assert_true(str_eq(buf_view(&before), buf_view(&after)));
		log_drop(&scene.log);
		vfs_fault_plan(&scene.fault, 0, 0, false, 0);
		assert_int_equal(scene_open(&scene), ERR_OK); /* there is room again */
		assert_int_equal(scene.torn.bytes, 0);
		assert_int_equal(scene_append(&scene, 2), ERR_OK);
		assert_int_equal(lines_of(&scene), 4);
		scene_drop(&scene);
	}
}

/* S11.3: when the cut fails too, it is a failed disk; the next open repairs. */
static void a_cut_back_that_fails_poisons(void **unused)
{
	static const uint32_t then[] = {VFS_CALL_TRUNCATE, VFS_CALL_SYNC};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(then); i++) {
		struct scene scene;

		scene_make(&scene, 3);
		assert_int_equal(scene_open(&scene), ERR_OK);
		vfs_fault_plan(&scene.fault, VFS_CALL_WRITE | then[i], 1, true, ENOSPC);
		scene.fault.half = true;
		assert_int_equal(scene_append(&scene, 2), ERR_IO);
		log_drop(&scene.log);
		vfs_fault_plan(&scene.fault, 0, 0, false, 0);
		assert_int_equal(scene_open(&scene), ERR_OK);
		assert_int_equal(scene.torn.bytes > 0, then[i] == VFS_CALL_TRUNCATE);
		assert_int_equal(lines_of(&scene), 3);
		scene_drop(&scene);
	}
}

/* D18 */
static void interrupted_and_short_calls_are_invisible(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1; nth < 12; nth++) {
		for (int kind = 0; kind < 2; kind++) {
			struct scene scene;

			scene_make(&scene, 3);
			vfs_fault_plan(&scene.fault, VFS_CALL_OPEN | VFS_CALL_READ | VFS_CALL_WRITE,
				       nth, false, EINTR);
			scene.fault.is_short = kind == 1;
			assert_int_equal(scene_open(&scene), ERR_OK);
			assert_int_equal(scene_append(&scene, 2), ERR_OK);
			assert_int_equal(scene_append(&scene, 3), ERR_OK);
			assert_int_equal(lines_of(&scene), 5);
			scene_drop(&scene);
		}
	}
}

/* D16: open a torn log and append two batches, with each call failing once or for ever. Nothing
 * that was acknowledged is lost, and a later open on a good disk always succeeds. */
static void every_call_may_fail_and_nothing_acknowledged_is_lost(void **unused)
{
	static const int numbers[] = {EIO, ENOSPC};
	unsigned runs = 0;

	(void)unused;
	for (int variant = 0; variant < 4; variant++) {
		for (uint64_t nth = 1;; nth++) {
			AUTO(buf_fini) struct buf text = BUF_INIT;
			struct scene scene;
			uint64_t acked = 3;
			bool fired;

			scene_make(&scene, 3);
			temp_dir_read(&scene.dir, LOG_FILE, &text);
			buf_text(&text, "{\"event_id\":\"evt_4\",\"eve");
			temp_dir_write(&scene.dir, LOG_FILE, text.ptr, text.len);
			vfs_fault_plan(&scene.fault, VFS_CALL_ANY, nth, variant & 1,
				       numbers[variant >> 1]);
			if (scene_open(&scene) == ERR_OK) {
				for (unsigned n = 2; n < 4 && scene_append(&scene, n) == ERR_OK;
				     n++)
					acked = log_head(scene.log)->seq;
			}
			fired = vfs_fault_fired(&scene.fault);
			if (fired)
				assert_int_not_equal(scene.err.code, ERR_OK);
			log_drop(&scene.log);
			assert_true(lines_of(&scene) >= acked);
			vfs_fault_plan(&scene.fault, 0, 0, false, 0);
			err_reset(&scene.err);
			assert_int_equal(scene_open(&scene), ERR_OK);
			assert_true(log_head(scene.log)->seq >= acked);
			assert_int_equal(scene_append(&scene, 5), ERR_OK);
			scene_drop(&scene);
			runs++;
			if (!fired)
				break;
		}
	}
	assert_true(runs > 40);
}

/* S11.8: a birth that fails leaves no log. */
static void a_log_that_cannot_be_made_is_not_there(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		struct scene scene;
		struct event event;
		enum err_code code;

		scene_make(&scene, 0);
		fixture_created(&event);
		vfs_fault_plan(&scene.fault, VFS_CALL_ANY & ~(uint32_t)VFS_CALL_UNLINK, nth, false,
			       EIO);
		code = log_create(&scene.fault.vfs, scene.dir.fd, STR(FIXTURE_RUN), &fixture_limits,
				  &event, &scene.log, &scene.err);
		assert_int_equal(code == ERR_OK, !vfs_fault_fired(&scene.fault));
		assert_int_equal(temp_dir_has(&scene.dir, LOG_FILE), code == ERR_OK);
		scene_drop(&scene);
		if (code == ERR_OK)
			break;
	}
}

/* D21 */
static void short_memory_is_an_error_and_changes_nothing(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		AUTO(buf_fini) struct buf before = BUF_INIT;
		AUTO(buf_fini) struct buf after = BUF_INIT;
		struct scene scene;
		enum err_code code;
		bool fired;

		scene_make(&scene, 3);
		temp_dir_read(&scene.dir, LOG_FILE, &before);
		mem_fail_at(nth, 1);
		code = scene_open(&scene);
		if (code == ERR_OK)
			code = scene_append(&scene, 2);
		fired = mem_calls() >= nth;
		mem_fail_at(0, 0);
		if (fired) {
			assert_int_equal(code, ERR_MEMORY);
			temp_dir_read(&scene.dir, LOG_FILE, &after);
			assert_true(str_eq(buf_view(&before), buf_view(&after)));
		}
		scene_drop(&scene);
		if (!fired)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_failed_sync_poisons_the_log),
	    cmocka_unit_test(a_sync_that_says_enospc_poisons_too),
	    cmocka_unit_test(a_full_disk_is_cut_back_and_can_be_gone_on_with),
	    cmocka_unit_test(a_cut_back_that_fails_poisons),
	    cmocka_unit_test(interrupted_and_short_calls_are_invisible),
	    cmocka_unit_test(every_call_may_fail_and_nothing_acknowledged_is_lost),
	    cmocka_unit_test(a_log_that_cannot_be_made_is_not_there),
	    cmocka_unit_test(short_memory_is_an_error_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, fixture_init, NULL);
}
