/* witness_test.c - what attempts.log has seen of the log (S9.4). */
#include "base/mem.h"
#include "keeper/record.h"
#include "keeper/witness.h"
#include "sys/vfs_mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define BOOT 7

struct world {
	struct vfs_mem *mem;
	struct vfs vfs;
	int dir;
	int log;
};

static int set_up(void **state)
{
	static struct world world;
	struct err err = ERR_INIT;

	assert_int_equal(vfs_mem_new(&world.mem, &err), ERR_OK);
	world.vfs = vfs_mem_vfs(world.mem);
	assert_int_equal(vfs_root(&world.vfs, "/run", true, &world.dir, &err), ERR_OK);
	world.log = -1;
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	vfs_mem_free(world->mem);
	return 0;
}

static void put(struct world *world, enum record_kind kind, uint64_t epoch, uint32_t boot)
{
	unsigned char bytes[RECORD_BYTES];
	struct record record = {
	    .kind = kind,
	    .token = {.path = STR("load"), .role = EXEC_ROLE_RUN},
	    .epoch = epoch,
	    .boot = boot,
	    .slot = RECORD_NO_SLOT,
	};
	struct err err = ERR_INIT;

	if (world->log < 0)
		assert_int_equal(vfs_open(&world->vfs, world->dir, KEEPER_LOG_FILE,
					  VFS_CREATE_APPEND, &world->log, &err),
				 ERR_OK);
	record_encode(&record, bytes);
	assert_int_equal(vfs_write(&world->vfs, world->log, bytes, sizeof(bytes), &err), ERR_OK);
}

static uint64_t seen(const struct world *world)
{
	uint64_t epoch = 99;
	struct err err = ERR_INIT;

	assert_int_equal(witness_read(&world->vfs, world->dir, BOOT, &epoch, &err), ERR_OK);
	return epoch;
}

static void without_a_file_nothing_was_seen(void **state)
{
	assert_int_equal(seen(*state), 0);
}

static void the_newest_epoch_counts_also_behind_ends_of_older_attempts(void **state)
{
	struct world *world = *state;

	put(world, RECORD_ARMED, 1, BOOT);
	put(world, RECORD_SPAWNED, 1, BOOT);
	assert_int_equal(seen(world), 1);
	put(world, RECORD_ARMED, 12, BOOT);
	for (int i = 0; i < 600; i++) /* more than is read at once */
		put(world, RECORD_ENDED, 1, BOOT);
	assert_int_equal(seen(world), 12);
}

static void records_of_another_boot_are_no_evidence(void **state)
{
	struct world *world = *state;

	put(world, RECORD_ARMED, 40, BOOT + 1);
	assert_int_equal(seen(world), 0);
	put(world, RECORD_ARMED, 3, BOOT);
	put(world, RECORD_ENDED, 3, BOOT);
	assert_int_equal(seen(world), 3);
}

static void a_torn_record_is_passed_over(void **state)
{
	struct world *world = *state;
	unsigned char half[RECORD_BYTES + 100];
	struct err err = ERR_INIT;

	put(world, RECORD_ARMED, 5, BOOT);
	memset(half, 'x', sizeof(half));
	assert_int_equal(vfs_write(&world->vfs, world->log, half, sizeof(half), &err), ERR_OK);
	assert_int_equal(seen(world), 5);
}

static void without_memory_nothing_is_said(void **state)
{
	struct world *world = *state;
	uint64_t epoch = 99;
	struct err err = ERR_INIT;

	put(world, RECORD_ARMED, 5, BOOT);
	mem_fail_at(1, 0);
	assert_int_equal(witness_read(&world->vfs, world->dir, BOOT, &epoch, &err), ERR_MEMORY);
	mem_fail_at(0, 0);
	assert_int_equal(epoch, 99);
}

static void what_is_no_plain_file_is_damage(void **state)
{
	static const char *const names[] = {KEEPER_LOG_FILE, KEEPER_LOCK_FILE};
	const struct world *world = *state;

	for (size_t i = 0; i < 2; i++) {
		uint64_t epoch = 99;
		struct err err = ERR_INIT;

		assert_int_equal(vfs_make_dir(&world->vfs, world->dir, names[i], &err), ERR_OK);
		assert_int_equal(witness_read(&world->vfs, world->dir, BOOT, &epoch, &err),
				 ERR_CORRUPT);
		assert_int_equal(epoch, 99);
	}
}

static void a_log_that_ends_before_the_epoch_was_cut(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(witness_check(0, 1, &err), ERR_OK);
	assert_int_equal(witness_check(9, 9, &err), ERR_OK);
	assert_int_equal(witness_check(9, 8, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "the log was cut: it ends with event 8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(without_a_file_nothing_was_seen, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		the_newest_epoch_counts_also_behind_ends_of_older_attempts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(records_of_another_boot_are_no_evidence, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_torn_record_is_passed_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(without_memory_nothing_is_said, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_no_plain_file_is_damage, set_up, tear_down),
	    cmocka_unit_test(a_log_that_ends_before_the_epoch_was_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
