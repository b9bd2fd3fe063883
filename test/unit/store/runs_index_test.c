/* runs_index_test.c - runs.jsonl: system D's record, byte for byte, and its reader's patience. */
#include "base/mem.h"
#include "store/runs_index.h"
#include "support/temp_dir.h"
#include "support/vfs_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct str stages[] = {{"fetch", 5},
				    {"l\xC3\xA4"
				     "d",
				     4}};

static struct run_record record_of(const char *id, const char *result)
{
	return (struct run_record){
	    .run_id = str_of(id),
	    .started_ms = INT64_C(1790000000123),
	    .ended_ms = INT64_C(1790000001000),
	    .result = str_of(result),
	    .stages_executed = stages,
	    .stages_executed_count = ARRAY_LEN(stages),
	    .retry_count = 2,
	    .pipeline = STR("demo"),
	    .outcome = STR("partial"),
	};
}

static void append(const struct temp_dir *dir, const char *id, const char *result)
{
	struct run_record record = record_of(id, result);
	struct err err = ERR_INIT;

	assert_int_equal(runs_index_append(&vfs_os, dir->path, &record, &err), ERR_OK);
}

struct seen {
	char ids[256]; /* id=result, in order */
	struct run_record last;
};

static enum err_code visit(void *arg, const struct run_record *record, struct err *err)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->ids);

	(void)err;
	(void)snprintf(seen->ids + len, sizeof(seen->ids) - len, "%.*s=%.*s ",
		       STR_ARG(record->run_id), STR_ARG(record->result));
	seen->last = *record;
	return ERR_OK;
}

static void a_line_has_the_bytes_of_the_record(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	append(&dir, "r1", "failed");
	temp_dir_read(&dir, RUNS_INDEX_FILE, &text);
	assert_string_equal(
	    text.ptr,
	    "{\"run_id\": \"r1\", \"started_at\": \"2026-09-21T14:13:20.123Z\", \"ended_at\": "
	    "\"2026-09-21T14:13:21.000Z\", \"result\": \"failed\", \"failure_reason\": null, "
	    "\"stages_executed\": [\"fetch\", \"l\xC3\xA4"
	    "d\"], \"stages_failed\": [], "
	    "\"retry_count\": 2, \"metadata\": {\"pipeline\": \"demo\", \"outcome\": "
	    "\"partial\", \"trigger\": null}}\n");
	temp_dir_remove(&dir);
}

static void the_last_line_of_an_id_wins(void **unused)
{
	struct seen seen = {.ids = ""};
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(runs_index_read(&vfs_os, dir.path, visit, &seen, &err), ERR_OK);
	assert_string_equal(seen.ids, "");
	append(&dir, "a", "failed");
	append(&dir, "b", "stopped");
	append(&dir, "a", "success");
	assert_int_equal(runs_index_read(&vfs_os, dir.path, visit, &seen, &err), ERR_OK);
	assert_string_equal(seen.ids, "b=stopped a=success ");
	assert_true(seen.last.started_ms == INT64_C(1790000000123));
	assert_int_equal(seen.last.retry_count, 2);
	assert_int_equal(seen.last.stages_executed_count, 2);
	assert_null(seen.last.failure_reason.ptr);
	temp_dir_remove(&dir);
}

static void an_append_never_fuses_with_a_torn_end(void **unused)
{
	static const char torn[] = "{\"run_id\": \"lost\", \"started";
	struct seen seen = {.ids = ""};
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, RUNS_INDEX_FILE, torn, sizeof(torn) - 1);
	append(&dir, "a", "success");
	assert_int_equal(runs_index_read(&vfs_os, dir.path, visit, &seen, &err), ERR_OK);
	assert_string_equal(seen.ids, "a=success ");
	temp_dir_remove(&dir);
}

static void strange_lines_are_passed_over(void **unused)
{
	static const char text[] =
	    "\n   \nnot json\n[1]\n{}\n{\"run_id\": 7}\n{\"run_id\": \"x\", \"run_id\": \"y\"}\n"
	    "{\"later\": [1], \"run_id\": \"d\", \"result\": \"success\", \"started_at\": "
	    "\"2026-01-02T03:04:05.678901\", \"retry_count\": \"many\", \"metadata\": 3}\n"
	    "\xFF\xFE\n{\"run_id\": \"e\", \"result\": null}";
	struct seen seen = {.ids = ""};
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, RUNS_INDEX_FILE, text, sizeof(text) - 1);
	assert_int_equal(runs_index_read(&vfs_os, dir.path, visit, &seen, &err), ERR_OK);
	assert_string_equal(seen.ids, "d=success e= ");
	temp_dir_remove(&dir);
}

static void every_call_may_fail_and_says_so(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		struct run_record record = record_of("b", "success");
		struct seen seen = {.ids = ""};
		struct err err = ERR_INIT;
		struct vfs_fault fault;
		struct temp_dir dir;
		enum err_code code;

		temp_dir_make(&dir);
		append(&dir, "a", "success");
		vfs_fault_init(&fault, &vfs_os);
		vfs_fault_plan(&fault, VFS_CALL_ANY, nth, false, ENOSPC);
		fault.half = true;
		code = runs_index_append(&fault.vfs, dir.path, &record, &err);
		assert_int_equal(code == ERR_OK, !vfs_fault_fired(&fault));
		assert_int_equal(fault.open_files, 0);
		append(&dir, "c", "success");
		assert_int_equal(runs_index_read(&vfs_os, dir.path, visit, &seen, &err), ERR_OK);
		assert_string_equal(seen.ids, code == ERR_OK ? "a=success b=success c=success "
							     : "a=success c=success ");
		temp_dir_remove(&dir);
		if (code == ERR_OK)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_has_the_bytes_of_the_record),
	    cmocka_unit_test(the_last_line_of_an_id_wins),
	    cmocka_unit_test(an_append_never_fuses_with_a_torn_end),
	    cmocka_unit_test(strange_lines_are_passed_over),
	    cmocka_unit_test(every_call_may_fail_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
