/* table_test.c - map, heap and hash. */
#include "support/unit.h"

#include "base/hash.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 100000

static void a_map_finds_each_of_many_keys(void **state)
{
	AUTO(mem_drop) char(*keys)[16] = mem_new(KEYS, 16);
	AUTO(map_fini) struct map map;
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(keys);
	map_init(&map, 7);
	for (uint32_t i = 0; i < KEYS; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "step_%u", i);
		assert_ok(map_add(&map, str_of(keys[i]), i, &err), &err);
	}
	assert_int_equal(map.count, KEYS);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_int_equal(map_get(&map, str_of(keys[i])), i);
	assert_int_equal(map_get(&map, STR("step_100000")), MAP_NONE);
	assert_int_equal(map_get(&map, STR("")), MAP_NONE);
}

static void a_map_refuses_a_key_that_is_there_and_set_replaces_it(void **state)
{
	AUTO(map_fini) struct map map;
	struct err err = ERR_INIT;

	(void)state;
	map_init(&map, 1);
	assert_int_equal(map_get(&map, STR("a")), MAP_NONE);
	assert_ok(map_add(&map, STR("a"), 1, &err), &err);
	assert_int_equal(map_add(&map, STR("a"), 2, &err), ERR_EXISTS);
	assert_non_null(strstr(err.text, "'a'"));
	assert_int_equal(map_get(&map, STR("a")), 1);
	assert_ok(map_set(&map, STR("a"), 3, &err), &err);
	assert_int_equal(map_get(&map, STR("a")), 3);
	assert_int_equal(map.count, 1);
	assert_ok(map_add(&map, STR_NONE, 4, &err), &err); /* the empty key is a key */
	assert_int_equal(map_get(&map, STR("")), 4);
	assert_ok(map_add(&map, str_from("a\0b", 3), 5, &err), &err);
	assert_int_equal(map_get(&map, str_from("a\0c", 3)), MAP_NONE);
}

static void a_map_finds_keys_near_the_last_one_and_anywhere_else(void **state)
{
	static const char *const keys[] = {"a", "b", "c"};
	AUTO(map_fini) struct map map;
	struct err err = ERR_INIT;
	size_t likely = 0;

	(void)state;
	map_init(&map, 1);
	assert_int_equal(map_get_near(&map, STR("a"), &likely), MAP_NONE);
	for (uint32_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_ok(map_add(&map, str_of(keys[i]), 10 + i, &err), &err);
	for (uint32_t i = 0; i < ARRAY_LEN(keys); i++) {
		assert_int_equal(map_get_near(&map, str_of(keys[i]), &likely), 10 + i);
		assert_int_equal(likely, i + 1);
	}
	assert_int_equal(map_get_near(&map, STR("b"), &likely), 11); /* behind the last one */
	assert_int_equal(likely, 2);
	assert_int_equal(map_get_near(&map, STR("d"), &likely), MAP_NONE);
	assert_int_equal(likely, 2);
	assert_int_equal(map_get_near(&map, STR("a"), &likely), 10);
	likely = SIZE_MAX; /* no more than a hint */
	assert_int_equal(map_get_near(&map, STR("c"), &likely), 12);
}

static void a_map_tells_whether_a_key_was_there_before_it_added_it(void **state)
{
	AUTO(map_fini) struct map map;
	struct err err = ERR_INIT;
	uint32_t old;

	(void)state;
	map_init(&map, 1);
	assert_ok(map_reserve(&map, 1000, &err), &err);
	assert_int_equal(map_get(&map, STR("a")), MAP_NONE);
	assert_ok(map_get_or_add(&map, STR("a"), 1, &old, &err), &err);
	assert_int_equal(old, MAP_NONE);
	assert_ok(map_get_or_add(&map, STR("a"), 2, &old, &err), &err);
	assert_int_equal(old, 1);
	assert_ok(map_reserve(&map, 100000, &err), &err);
	assert_int_equal(map_get(&map, STR("a")), 1);
	mem_fail_at(1, 1);
	assert_int_equal(map_reserve(&map, 10000000, &err), ERR_MEMORY);
	assert_int_equal(map_reserve(&map, MAP_NONE, &err), ERR_MEMORY);
	mem_fail_at(0, 0);
	assert_int_equal(map_get(&map, STR("a")), 1);
}

static void a_large_map_finds_each_of_its_keys(void **state)
{
	const size_t count = 400000; /* its table has several huge pages */
	AUTO(map_fini) struct map map;
	AUTO(mem_drop) char(*keys)[8] = mem_new(count, sizeof(*keys));
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(keys);
	map_init(&map, 1);
	map_prefetch(&map, STR("no table yet"));
	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		assert_ok(map_add(&map, str_of(keys[i]), i, &err), &err);
	}
	for (uint32_t i = 0; i < count; i++) {
		map_prefetch(&map, str_of(keys[i]));
		assert_int_equal(map_get(&map, str_of(keys[i])), i);
	}
	assert_int_equal(map_get(&map, STR("k400000")), MAP_NONE);
}

static void a_map_stays_whole_when_memory_is_short(void **state)
{
	AUTO(map_fini) struct map map;
	struct err err = ERR_INIT;
	static char keys[100][8];

	(void)state;
	map_init(&map, 1);
	for (uint32_t i = 0; i < 100; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		mem_fail_at(1, 0);
		if (map_add(&map, str_of(keys[i]), i, &err) != ERR_OK) {
			assert_int_equal(err.code, ERR_MEMORY);
			assert_int_equal(map_get(&map, str_of(keys[i])), MAP_NONE);
			mem_fail_at(0, 0);
			assert_ok(map_add(&map, str_of(keys[i]), i, &err), &err);
		}
		mem_fail_at(0, 0);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(map_get(&map, str_of(keys[i])), i);
}

static int by_due(const void *a, const void *b)
{
	const struct heap_item *x = a;
	const struct heap_item *y = b;

	if (x->due_ns != y->due_ns)
		return x->due_ns < y->due_ns ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Against qsort, over many sizes and with many equal times. */
static void a_heap_gives_its_items_in_order(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		AUTO(heap_fini) struct heap heap = {0};
		struct heap_item items[300];
		struct err err = ERR_INIT;

		for (size_t i = 0; i < n; i++) {
			items[i] = (struct heap_item){(int64_t)(random_next(&seed) % 50) - 25, i};
			if (i == 3)
				items[i].due_ns = INT64_MIN;
			if (i == 5)
				items[i].due_ns = INT64_MAX;
			assert_ok(heap_push(&heap, items[i], &err), &err);
		}
		qsort(items, n, sizeof(items[0]), by_due);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(heap_top(&heap)->id, items[i].id);
			assert_int_equal(heap_pop(&heap).id, items[i].id);
		}
		assert_null(heap_top(&heap));
	}
}

static void a_heap_stays_whole_when_memory_is_short(void **state)
{
	AUTO(heap_fini) struct heap heap = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (uint64_t i = 0; i < 16; i++)
		assert_ok(heap_push(&heap, (struct heap_item){(int64_t)(16 - i), i}, &err), &err);
	mem_fail_at(1, 0);
	assert_int_equal(heap_push(&heap, (struct heap_item){0, 99}, &err), ERR_MEMORY);
	mem_fail_at(0, 0);
	assert_int_equal(heap.count, 16);
	assert_int_equal(heap_top(&heap)->id, 15);
}

/* FIPS 180-4 and its examples (NIST, "Secure Hashing: SHA-256"). */
static void sha_256_is_that_of_fips_180_4(void **state)
{
	static const struct {
		const char *text;
		const char *hex;
	} vectors[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqkl"
	     "mnopqrlmnopqrsmnopqrstnopqrstu",
	     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];
	struct sha256 sha;
	char block[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		sha256_of(vectors[i].text, strlen(vectors[i].text), digest);
		sha256_hex(digest, hex);
		assert_string_equal(hex, vectors[i].hex);
	}
	memset(block, 'a', sizeof(block));
	sha256_start(&sha);
	for (int i = 0; i < 1000; i++) /* a million times "a", in pieces of odd sizes */
		sha256_add(&sha, block, 997);
	sha256_add(&sha, block, 1000);
	sha256_add(&sha, block, 1000);
	sha256_add(&sha, block, 1000);
	sha256_end(&sha, digest);
	sha256_hex(digest, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* RFC 3720, appendix B.4. */
static void crc_32c_is_that_of_rfc_3720(void **state)
{
	uint8_t bytes[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
			     0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
			     0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
	uint8_t block[32];

	(void)state;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0xD9963A56);
	memset(block, 0, sizeof(block));
	assert_int_equal(crc32c(0, block, 32), 0x8A9136AA);
	memset(block, 0xff, sizeof(block));
	assert_int_equal(crc32c(0, block, 32), 0x62A8AB43);
	for (uint8_t i = 0; i < 32; i++)
		block[i] = i;
	assert_int_equal(crc32c(0, block, 32), 0x46DD794E);
	assert_int_equal(crc32c(crc32c(0, block, 5), block + 5, 27), 0x46DD794E);
	for (uint8_t i = 0; i < 32; i++)
		block[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(0, block, 32), 0x113FDB5C);
	assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

/* The definition, bit by bit, beside the table. */
static void crc_32c_is_that_of_its_polynomial_for_each_byte(void **state)
{
	(void)state;
	for (uint32_t start = 0; start < 3; start++) {
		for (uint32_t value = 0; value < 256; value++) {
			uint8_t byte = (uint8_t)value;
			uint32_t crc = ~(start * 0x01234567u) ^ value;

			for (int bit = 0; bit < 8; bit++)
				crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
			assert_int_equal(crc32c(start * 0x01234567u, &byte, 1), ~crc);
		}
	}
}

static void a_hash_depends_on_seed_text_and_length(void **state)
{
	static const char zeros[32];
	uint64_t seen[33];

	(void)state;
	assert_int_equal(hash_text(1, STR("abc")), hash_text(1, STR("abc")));
	assert_int_not_equal(hash_text(1, STR("abc")), hash_text(2, STR("abc")));
	for (size_t i = 0; i <= 32; i++) {
		seen[i] = hash_text(5, str_from(zeros, i));
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_map_finds_each_of_many_keys),
	    cmocka_unit_test(a_map_refuses_a_key_that_is_there_and_set_replaces_it),
	    cmocka_unit_test(a_map_finds_keys_near_the_last_one_and_anywhere_else),
	    cmocka_unit_test(a_map_tells_whether_a_key_was_there_before_it_added_it),
	    cmocka_unit_test(a_large_map_finds_each_of_its_keys),
	    cmocka_unit_test(a_map_stays_whole_when_memory_is_short),
	    cmocka_unit_test(a_heap_gives_its_items_in_order),
	    cmocka_unit_test(a_heap_stays_whole_when_memory_is_short),
	    cmocka_unit_test(sha_256_is_that_of_fips_180_4),
	    cmocka_unit_test(crc_32c_is_that_of_rfc_3720),
	    cmocka_unit_test(crc_32c_is_that_of_its_polynomial_for_each_byte),
	    cmocka_unit_test(a_hash_depends_on_seed_text_and_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
