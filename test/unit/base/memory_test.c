/* memory_test.c - mem, arena and buf: what happens at a limit and when memory is short. */
#include "support/unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int memory_is_not_short(void **state)
{
	(void)state;
	mem_fail_at(0, 0);
	return 0;
}

static void the_nth_allocation_fails_once_or_for_ever(void **state)
{
	void *block;

	(void)state;
	mem_fail_at(2, 0);
	block = mem_new(1, 8);
	assert_non_null(block);
	assert_null(mem_new(1, 8));
	mem_free(block);
	block = mem_new(1, 8);
	assert_non_null(block);
	mem_free(block);
	assert_int_equal(mem_calls(), 3);
	mem_fail_at(1, 1);
	for (int i = 0; i < 3; i++)
		assert_null(mem_resize(NULL, 1, 8));
	assert_null(mem_text("x", 1));
}

static void new_memory_is_zero_and_products_do_not_wrap(void **state)
{
	AUTO(mem_drop) unsigned char *block = mem_new(64, 16);

	(void)state;
	assert_non_null(block);
	for (size_t i = 0; i < 1024; i++)
		assert_int_equal(block[i], 0);
	assert_null(mem_resize(NULL, SIZE_MAX / 2, 3));
}

static void a_large_table_is_zero_and_can_be_short_of_memory(void **state)
{
	const size_t bytes = (size_t)9 << 20; /* with whole huge pages in it, wherever it lies */
	AUTO(mem_drop) unsigned char *table = mem_new_table(bytes / 8, 8);
	AUTO(mem_drop) unsigned char *small = mem_new_table(1, 1);

	(void)state;
	assert_non_null(table);
	assert_non_null(small);
	assert_int_equal(small[0], 0);
	for (size_t i = 0; i < bytes; i += 512)
		assert_int_equal(table[i], 0);
	memset(table, 0xFF, bytes);
	mem_fail_at(1, 0);
	assert_null(mem_new_table(bytes / 8, 8));
	mem_fail_at(0, 0);
}

static void a_growing_array_doubles_and_survives_short_memory(void **state)
{
	struct err err = ERR_INIT;
	size_t capacity = 0;
	void *block = NULL;
	void *before;

	(void)state;
	assert_ok(mem_grow(&block, &capacity, 1, 4, &err), &err);
	assert_int_equal(capacity, 16);
	assert_ok(mem_grow(&block, &capacity, 17, 4, &err), &err);
	assert_int_equal(capacity, 32);
	before = block;
	mem_fail_at(1, 1);
	assert_ok(mem_grow(&block, &capacity, 32, 4, &err), &err);
	assert_int_equal(mem_grow(&block, &capacity, 33, 4, &err), ERR_MEMORY);
	assert_ptr_equal(block, before);
	assert_int_equal(capacity, 32);
	mem_fail_at(0, 0);
	assert_int_equal(mem_grow(&block, &capacity, SIZE_MAX, 4, &err), ERR_MEMORY);
	mem_free(block);
}

static void taking_leaves_nothing_behind(void **state)
{
	AUTO(mem_drop) char *kept = NULL;

	(void)state;
	{
		AUTO(mem_drop) char *text = mem_text("hello", 5);

		kept = TAKE(text, NULL);
		assert_null(text);
	}
	assert_string_equal(kept, "hello");
}

static void an_arena_gives_zeroed_aligned_memory(void **state)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *bytes = arena_new(&arena, 1, size);

		assert_non_null(bytes);
		assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], 0);
		memset(bytes, 0xAA, size);
	}
	assert_null(arena_new(&arena, SIZE_MAX / 2, 4));
	assert_null(arena_new(&arena, SIZE_MAX / 2, 1));
}

static void an_arena_keeps_its_largest_block_when_it_is_cleared(void **state)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	size_t large = (size_t)9 << 20;

	(void)state;
	assert_non_null(arena_new(&arena, 1, 100));
	assert_non_null(arena_new(&arena, 1, large));
	assert_non_null(arena_new(&arena, 1, 100)); /* a smaller block is the newest */
	arena_clear(&arena);
	assert_int_equal(arena.used, 0);
	mem_fail_at(1, 1);
	assert_non_null(arena_new(&arena, 1, large));
	mem_fail_at(0, 0);
	arena_clear(&arena);
	arena_clear(&arena);
}

static void an_arena_says_when_memory_is_short(void **state)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str text;

	(void)state;
	arena_clear(&arena);
	mem_fail_at(1, 0);
	assert_null(arena_new(&arena, 1, 1));
	text = arena_str(&arena, STR("abc"));
	assert_text(text, "abc");
	assert_int_equal(text.ptr[3], '\0');
	text = arena_str(&arena, STR_NONE);
	assert_non_null(text.ptr);
	assert_int_equal(text.len, 0);
}

static void a_buffer_writes_every_kind_of_value(void **state)
{
	AUTO(buf_fini) struct buf buf = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_text(buf_view(&buf), "");
	buf_text(&buf, "a");
	buf_byte(&buf, ' ');
	buf_u64(&buf, UINT64_MAX);
	buf_byte(&buf, ' ');
	buf_i64(&buf, INT64_MIN);
	buf_byte(&buf, ' ');
	buf_i64(&buf, INT64_MAX);
	buf_byte(&buf, ' ');
	buf_u64(&buf, 0);
	buf_byte(&buf, ' ');
	buf_text(&buf, "00ff1a");
	buf_fmt(&buf, " %s%c", "z", '!');
	buf_str(&buf, STR_NONE);
	assert_text(buf_view(&buf), "a 18446744073709551615 -9223372036854775808 "
				    "9223372036854775807 0 00ff1a z!");
	assert_int_equal(buf.ptr[buf.len], '\0');
	assert_ok(buf_check(&buf, "a line", &err), &err);
	buf_cut(&buf, 1);
	assert_text(buf_view(&buf), "a");
}

static void a_buffer_grows_to_its_limit_and_not_a_byte_further(void **state)
{
	AUTO(buf_fini) struct buf buf = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++)
		buf_byte(&buf, 'x');
	assert_int_equal(buf.len, 1000);
	assert_ok(buf_check(&buf, "the line", &err), &err);
	buf_byte(&buf, 'y');
	assert_int_equal(buf.len, 1000);
	assert_int_equal(buf_check(&buf, "the line", &err), ERR_LIMIT);
	assert_string_equal(err.text, "the line is over its limit of 1000 bytes");
	assert_null(buf_room(&buf, SIZE_MAX));
}

static void a_failure_of_a_buffer_stays_until_it_is_cleared(void **state)
{
	AUTO(buf_fini) struct buf buf = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	mem_fail_at(1, 0);
	buf_text(&buf, "lost");
	buf_text(&buf, "ignored, though there is memory again");
	assert_int_equal(buf.len, 0);
	buf_cut(&buf, 0);
	assert_int_equal(buf_check(&buf, "it", &err), ERR_MEMORY);
	buf_clear(&buf);
	buf_text(&buf, "kept");
	assert_ok(buf_check(&buf, "it", &err), &err);
	assert_text(buf_view(&buf), "kept");
}

/* A text that just fits, one that does not, and one over the limit. */
static void what_printf_writes_is_whole_at_each_length(void **state)
{
	char text[700];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int before = 0; before < 300; before += 13) {
		for (int len = 0; len < 300; len++) {
			AUTO(buf_fini) struct buf buf = BUF_INIT;

			buf_put(&buf, text, (size_t)before);
			buf_fmt(&buf, "<%.*s>%d", len, text, 7);
			assert_int_equal(buf.len, before + len + 3);
			assert_int_equal(buf.ptr[before], '<');
			assert_memory_equal(buf.ptr + before + 1, text, (size_t)len);
			assert_string_equal(buf.ptr + before + 1 + len, ">7");
		}
	}
}

static void what_printf_writes_over_the_limit_leaves_what_was_there(void **state)
{
	AUTO(buf_fini) struct buf buf = BUF_INIT;

	(void)state;
	buf_init(&buf, 10);
	buf_text(&buf, "12345");
	buf_fmt(&buf, "%s", "678901");
	assert_int_equal(buf.failed, ERR_LIMIT);
	assert_int_equal(buf.len, 5);
	assert_string_equal(buf.ptr, "12345");
	buf_fmt(&buf, "%s", "6");
	assert_string_equal(buf.ptr, "12345");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, memory_is_not_short)
	const struct CMUnitTest tests[] = {
	    TEST(the_nth_allocation_fails_once_or_for_ever),
	    TEST(new_memory_is_zero_and_products_do_not_wrap),
	    TEST(a_large_table_is_zero_and_can_be_short_of_memory),
	    TEST(a_growing_array_doubles_and_survives_short_memory),
	    TEST(taking_leaves_nothing_behind),
	    TEST(an_arena_gives_zeroed_aligned_memory),
	    TEST(an_arena_keeps_its_largest_block_when_it_is_cleared),
	    TEST(an_arena_says_when_memory_is_short),
	    TEST(a_buffer_writes_every_kind_of_value),
	    TEST(a_buffer_grows_to_its_limit_and_not_a_byte_further),
	    TEST(what_printf_writes_is_whole_at_each_length),
	    TEST(what_printf_writes_over_the_limit_leaves_what_was_there),
	    TEST(a_failure_of_a_buffer_stays_until_it_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
