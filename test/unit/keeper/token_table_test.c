/* token_table_test.c - which number a token has, also when another one has the same hash (S8.2). */
#include "support/unit.h"

#include "base/hash.h"
#include "keeper/token_table.h"

/* Found by search: with the seed that such a token has, their hashes agree in 32 bits. */
static const struct exec_token one = {.path = {"step_4602", 9}, .role = EXEC_ROLE_RUN};
static const struct exec_token other = {.path = {"step_55349", 10}, .role = EXEC_ROLE_RUN};

static void tokens_of_the_same_hash_are_two(void **state)
{
	struct token_table table = {.seed = 0};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal((uint32_t)hash_text(EXEC_ROLE_RUN, one.path),
			 (uint32_t)hash_text(EXEC_ROLE_RUN, other.path));
	assert_ok(token_table_put(&table, &one, 1, &err), &err);
	assert_int_equal(token_table_get(&table, &other), TOKEN_NONE);
	assert_ok(token_table_put(&table, &other, 2, &err), &err);
	assert_int_equal(token_table_get(&table, &one), 1);
	assert_int_equal(token_table_get(&table, &other), 2);
	assert_ok(token_table_put(&table, &other, 3, &err), &err);
	assert_int_equal(table.count, 2);
	token_table_remove(&table, &one);
	assert_int_equal(token_table_get(&table, &one), TOKEN_NONE);
	assert_int_equal(token_table_get(&table, &other), 3);
	token_table_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tokens_of_the_same_hash_are_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
