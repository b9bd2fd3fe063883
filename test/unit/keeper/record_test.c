/* record_test.c - attempts.log, whole, torn and flipped (S8.1). */
#include "base/buf.h"
#include "keeper/record.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define BOOT 0x12345678

static struct record sample(int i)
{
	return (struct record){
	    .kind = RECORD_ENDED,
	    .token = {.path = STR("per_region[17].load"),
		      .role = EXEC_ROLE_COMP,
		      .attempt = (uint32_t)i},
	    .epoch = UINT64_C(0x0102030405060708),
	    .boot = BOOT,
	    .keeper_pid = 4711,
	    .pid = 815,
	    .slot = i % 2 ? 3 : RECORD_NO_SLOT,
	    .born_from_ns = 123,
	    .born_to_ns = 456,
	    .end = EXEC_END_SIGNALLED,
	    .cause = EXEC_CAUSE_OUTPUT_LIMIT,
	    .exit_code = 255,
	    .signal = 64,
	    .core = true,
	    .errno_value = 7,
	    .duration_ns = INT64_MAX,
	    .user_us = 1,
	    .system_us = 2,
	    .resident_kib = 3,
	};
}

static void a_record_comes_back_as_it_was(void **state)
{
	unsigned char bytes[RECORD_BYTES];
	unsigned char again[RECORD_BYTES];
	struct record got;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct record record = sample(i);

		record_encode(&record, bytes);
		assert_true(record_decode(bytes, &got));
		assert_true(str_eq(got.token.path, record.token.path));
		assert_int_equal(got.token.attempt, i);
		assert_int_equal(got.slot, record.slot);
		assert_int_equal(got.signal, 64);
		assert_int_equal(got.boot, BOOT);
		assert_true(got.core);
		assert_int_equal(got.duration_ns, INT64_MAX);
		record_encode(&got, again);
		assert_memory_equal(bytes, again, RECORD_BYTES);
	}
}

static void every_flipped_bit_is_seen(void **state)
{
	unsigned char bytes[RECORD_BYTES];
	struct record record = sample(1);
	struct record got;

	(void)state;
	record_encode(&record, bytes);
	for (size_t bit = 0; bit < 8 * RECORD_BYTES; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
		assert_false(record_decode(bytes, &got));
		bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
	}
}

static enum err_code count_one(void *arg, const struct record *record, struct err *err)
{
	(void)err;
	assert_int_equal(record->token.attempt, *(size_t *)arg);
	++*(size_t *)arg;
	return ERR_OK;
}

static void log_make(struct buf *log, int records)
{
	for (int i = 0; i < records; i++) {
		struct record record = sample(i);

		record_encode(&record, (unsigned char *)buf_room(log, RECORD_BYTES));
		buf_added(log, RECORD_BYTES);
	}
}

static void a_torn_last_record_is_the_end(void **state)
{
	struct buf log = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	log_make(&log, 5);
	for (size_t cut = 0; cut <= log.len; cut++) {
		size_t seen = 0;
		size_t count = 0;

		assert_int_equal(
		    record_walk(str_from(log.ptr, cut), BOOT, count_one, &seen, &count, &err),
		    ERR_OK);
		assert_int_equal(seen, cut / RECORD_BYTES);
		/* A torn first one may be of an earlier boot: it stays, and the next comes
		 * behind. */
		assert_int_equal(count, cut < RECORD_BYTES ? (cut > 0) : cut / RECORD_BYTES);
	}
	log.ptr[log.len - 100] ^= 1; /* whole in size, damaged: the last one only */
	{
		size_t seen = 0;
		size_t count = 0;

		assert_int_equal(record_walk(buf_view(&log), BOOT, count_one, &seen, &count, &err),
				 ERR_OK);
		assert_int_equal(count, 4);
	}
	buf_fini(&log);
}

static void damage_before_the_end_is_reported(void **state)
{
	struct buf log = BUF_INIT;

	(void)state;
	log_make(&log, 5);
	for (size_t at = RECORD_BYTES; at < 4 * RECORD_BYTES; at += 37) {
		struct err err = ERR_INIT;
		size_t seen = 0;
		size_t count = 0;

		log.ptr[at] ^= 0x10;
		assert_int_equal(record_walk(buf_view(&log), BOOT, count_one, &seen, &count, &err),
				 ERR_CORRUPT);
		assert_int_equal(seen, at / RECORD_BYTES);
		log.ptr[at] ^= 0x10;
	}
	buf_fini(&log);
}

/* A loss of power left anything of what nobody synced: S8.3 asks only for this boot. */
static void what_lies_before_the_first_record_of_this_boot_is_passed_over(void **state)
{
	struct buf log = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	log_make(&log, 6);
	for (size_t i = 0; i < 3; i++) {
		struct record record = sample((int)i);

		record.boot = BOOT + 1;
		record_encode(&record, (unsigned char *)log.ptr + i * RECORD_BYTES);
	}
	memset(log.ptr + RECORD_BYTES, 0, RECORD_BYTES);
	for (int damaged = 0; damaged < 2; damaged++) {
		size_t seen = 3;
		size_t count = 0;

		assert_int_equal(record_walk(buf_view(&log), BOOT, count_one, &seen, &count, &err),
				 ERR_OK);
		assert_int_equal(seen, 6);
		assert_int_equal(count, 6);
		log.ptr[2 * RECORD_BYTES + 9] ^= 1;
	}
	{
		size_t seen = 3;
		size_t count = 0;

		/* Nothing of this boot: the next record begins behind the torn one. */
		assert_int_equal(record_walk(str_from(log.ptr, 2 * RECORD_BYTES + 7), BOOT,
					     count_one, &seen, &count, &err),
				 ERR_OK);
		assert_int_equal(seen, 3);
		assert_int_equal(count, 3);
	}
	buf_fini(&log);
}

static enum err_code refuse(void *arg, const struct record *record, struct err *err)
{
	(void)arg;
	(void)record;
	return err_set(err, ERR_MEMORY, "no memory");
}

/* Time does not go back: behind a record of this boot is none of another one. */
static void a_record_of_an_earlier_boot_behind_one_of_this_is_damage(void **state)
{
	struct record record = sample(1);
	struct buf log = BUF_INIT;
	struct err err = ERR_INIT;
	size_t seen = 0;
	size_t count = 0;

	(void)state;
	log_make(&log, 3);
	record.boot = BOOT + 1;
	record_encode(&record, (unsigned char *)log.ptr + RECORD_BYTES);
	assert_int_equal(record_walk(buf_view(&log), BOOT, count_one, &seen, &count, &err),
			 ERR_CORRUPT);
	assert_int_equal(seen, 1);
	err_reset(&err);
	assert_int_equal(record_walk(buf_view(&log), BOOT, refuse, NULL, &count, &err), ERR_MEMORY);
	err_reset(&err);
	assert_int_equal(record_walk(buf_view(&log), BOOT + 2, refuse, NULL, &count, &err), ERR_OK);
	buf_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_record_comes_back_as_it_was),
	    cmocka_unit_test(every_flipped_bit_is_seen),
	    cmocka_unit_test(a_torn_last_record_is_the_end),
	    cmocka_unit_test(damage_before_the_end_is_reported),
	    cmocka_unit_test(what_lies_before_the_first_record_of_this_boot_is_passed_over),
	    cmocka_unit_test(a_record_of_an_earlier_boot_behind_one_of_this_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
