/* schema_test.c - the JSON Schema of the pipeline file: well-formed, whole, the same every time */
#include "base/json.h"
#include "base/mem.h"
#include "lang/build.h"
#include "lang/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void it_is_json_and_has_every_key_of_now_and_no_other(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct str top;
	struct str step;

	(void)state;
	schema_write(&out);
	assert_int_equal(json_check(buf_view(&out), JSON_DEPTH_MAX, &err), ERR_OK);
	top = json_get(buf_view(&out), "properties");
	step = json_get(json_get(json_get(buf_view(&out), "$defs"), "step"), "properties");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key_row *key = &key_rows[i];
		struct str scope = key->scope == SCOPE_top    ? top
				   : key->scope == SCOPE_step ? step
							      : STR_NONE;

		if (scope.ptr)
			assert_int_equal(json_get(scope, key->name.ptr).ptr != NULL,
					 key->support == SUPPORT_NOW);
	}
}

static void it_is_the_same_every_time(void **state)
{
	AUTO(buf_fini) struct buf one = BUF_INIT;
	AUTO(buf_fini) struct buf two = BUF_INIT;

	(void)state;
	schema_write(&one);
	schema_write(&two);
	assert_string_equal(one.ptr, two.ptr);
}

static void short_memory_is_told_by_the_buffer(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	buf_init(&out, 100);
	schema_write(&out);
	assert_int_equal(out.failed, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_json_and_has_every_key_of_now_and_no_other),
	    cmocka_unit_test(it_is_the_same_every_time),
	    cmocka_unit_test(short_memory_is_told_by_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
