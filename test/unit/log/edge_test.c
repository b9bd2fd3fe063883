/* edge_test.c - the far ends of the log: lines that end anywhere, values at their bounds, evidence
 * that was there before, memory and disk that fail while a torn end is saved. */
#include "fixture.h"

#include "base/hash.h"
#include "base/mem.h"
#include "log/line.h"
#include "log/run_lock.h"
#include "support/vfs_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A line whose body is the first bytes of another one's; its end has no right `h`. */
static struct str line_of(struct buf *out, struct str body)
{
	buf_clear(out);
	buf_str(out, body);
	buf_text(out, ",\"h\":\"0123456789abcdef\"}");
	return buf_view(out);
}

static enum err_code decode(struct str line)
{
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	struct line_memo memo = {.minute_ms = 0};
	struct event event;
	struct err err = ERR_INIT;
	enum err_code code = line_decode(line, &memo, &scratch, &event, &err);

	assert_true(code == ERR_OK || err.text[0]);
	return code;
}

static enum err_code decode_newer(struct str line)
{
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	struct event event;
	struct err err = ERR_INIT;

	return line_decode_newer(line, &scratch, &event, &err);
}

static const char *const tails[] = {
    ",\"step_id\":\"a\",\"reason\":\"quo\\\"ted \\u00e4\",\"exit_code\":-12,\"core\":true,"
    "\"outputs\":{\"n\":[1,2]}",
    ",\"step_id\":\"b\",\"new_state\":\"running\"",
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void a_line_that_ends_anywhere_else_is_none(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		AUTO(buf_fini) struct buf line = BUF_INIT;
		AUTO(buf_fini) struct buf body = BUF_INIT;
		char head[256];

		buf_text(&body, fixture_head(7, "step.failed", head));
		buf_text(&body, tails[i]);
		assert_int_equal(decode(line_of(&line, buf_view(&body))), ERR_OK);
		for (size_t len = strlen(head) + 1; len < body.len; len++) {
			bool is_whole = body.ptr[len] == ',' ||
					(is_digit(body.ptr[len]) && is_digit(body.ptr[len - 1]));

			if (!is_whole)
				assert_int_not_equal(
				    decode(line_of(&line, str_from(body.ptr, len))), ERR_OK);
		}
		for (size_t len = 0; len < strlen(head); len++)
			assert_int_equal(decode(line_of(&line, str_from(body.ptr, len))),
					 ERR_CORRUPT);
	}
}

static void values_have_bounds(void **unused)
{
	static const struct {
		const char *tail;
		enum err_code code;
	} rows[] = {
	    {",\"exit_code\":18446744073709551616", ERR_CORRUPT},
	    {",\"exit_code\":18446744073709551610000", ERR_CORRUPT},
	    {",\"exit_code\":9223372036854775808", ERR_CORRUPT},
	    {",\"exit_code\":9223372036854775807", ERR_OK},
	    {",\"exit_code\":-9223372036854775808", ERR_OK},
	    {",\"exit_code\":-9223372036854775809", ERR_CORRUPT},
	    {",\"exit_code\":-", ERR_CORRUPT},
	    {",\"exit_code\":007", ERR_CORRUPT},
	    {",\"outputs\":null", ERR_CORRUPT},
	    {",\"outputs\":\"x\"", ERR_OK},
	    {",\"core\":false", ERR_CORRUPT},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf_fini) struct buf line = BUF_INIT;
		AUTO(buf_fini) struct buf body = BUF_INIT;
		char head[256];

		buf_text(&body, fixture_head(7, "x-any", head));
		buf_text(&body, rows[i].tail);
		assert_int_equal(decode(line_of(&line, buf_view(&body))), rows[i].code);
	}
}

static void a_line_of_a_newer_version_is_an_object_of_known_heads(void **unused)
{
	static const struct {
		const char *text;
		enum err_code code;
	} rows[] = {
	    {"{\"event_id\":\"evt_1\",\"event_type\":\"a.b\",\"run_id\":\"r\",\"timestamp_utc\":"
	     "\"2026-09-21T12:13:14.015Z\",\"actor\":\"x\",\"attempt\":0,\"exit_code\":\"new\","
	     "\"novel\":[1]}",
	     ERR_OK},
	    {"{\"event_id\":\"evt_1\",\"event_type\":\"a.b\",\"run_id\":\"r\",\"timestamp_utc\":"
	     "\"2026-09-21T12:13:14.015Z\",\"actor\":\"x\",\"attempt\":\"none\"}",
	     ERR_CORRUPT},
	    {"{\"event_id\":\"evt_1\",\"event_type\":\"a.b\",\"run_id\":\"r\",\"timestamp_utc\":"
	     "\"2026-09-21T12:13:14.015Z\",\"actor\":\"x\",\"attempt\":0,\"exit_code\":1.5}",
	     ERR_OK},
	    {"{\"event_id\":\"evt_1\",\"event_type\":\"a.b\",\"run_id\":\"r\",\"timestamp_utc\":"
	     "\"2026-09-21T12:13:14.015Z\",\"actor\":\"x\",\"attempt\":1.5}",
	     ERR_CORRUPT},
	    {"{\"event_id\":\"evt_1\",\"event_type\":\"a.b\"}", ERR_CORRUPT},
	    {"[1,2]", ERR_CORRUPT},
	    {"{\"a\":", ERR_CORRUPT},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(decode_newer(str_of(rows[i].text)), rows[i].code);
}

/* A text that needs room of its own, and values that nest. */
static void a_line_that_finds_no_memory_is_not_damaged(void **unused)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	unsigned told = 0;
	char head[256];

	(void)unused;
	buf_text(&body, fixture_head(7, "step.failed", head));
	buf_text(&body, ",\"step_id\":\"a\\u0041\",\"error_class\":\"\\u0041\",\"outputs\":");
	for (int i = 0; i < 20; i++)
		buf_text(&body, "{\"a\":[");
	buf_text(&body, "\"\\u0041\"");
	for (int i = 0; i < 20; i++)
		buf_text(&body, "]}");
	buf_text(&body, ",\"evidence\":{\"k\":0");
	for (int i = 0; i < 300; i++)
		buf_fmt(&body, ",\"k%d\":%d", i, i);
	buf_byte(&body, '}');
	(void)line_of(&line, buf_view(&body));
	for (uint64_t nth = 1; nth < 12; nth++) {
		enum err_code code, newer;

		mem_fail_at(nth, 0);
		code = decode(buf_view(&line));
		told += code == ERR_MEMORY;
		mem_fail_at(nth, 0);
		newer = decode_newer(buf_view(&line));
		mem_fail_at(0, 0);
		told += newer == ERR_MEMORY;
		assert_true(code == ERR_OK || code == ERR_MEMORY);
		assert_true(newer == ERR_OK || newer == ERR_MEMORY || newer == ERR_CORRUPT);
	}
	assert_true(told > 1);
}

static void a_chain_can_begin_with_no_name(void **unused)
{
	uint8_t one[SHA256_BYTES];
	uint8_t other[SHA256_BYTES];

	(void)unused;
	line_chain_start(STR_NONE, one);
	line_chain_start(STR(""), other);
	assert_memory_equal(one, other, sizeof(one));
}

/* --- torn ends --- */

static void torn_make(struct temp_dir *dir, const char *rest)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	temp_dir_make(dir);
	fixture_log(dir, 3);
	temp_dir_read(dir, LOG_FILE, &text);
	buf_text(&text, rest);
	temp_dir_write(dir, LOG_FILE, text.ptr, text.len);
}

/* D09: evidence of a tear at the same place, also with the same bytes, and no end of them. */
static void evidence_that_is_there_is_looked_at_and_kept(void **unused)
{
	struct temp_dir dir;
	struct log_torn torn;
	struct stat stat;
	char name[64];
	unsigned long long offset;

	(void)unused;
	torn_make(&dir, "{\"event");
	assert_int_equal(fstatat(dir.fd, LOG_FILE, &stat, 0), 0);
	offset = (unsigned long long)stat.st_size - 7;
	for (unsigned copy = 0; copy < 1000; copy++) {
		(void)snprintf(name, sizeof(name),
			       copy ? "events.torn-%llu.%u" : "events.torn-%llu", offset, copy);
		temp_dir_write(&dir, name, copy % 2 ? "{\"eveNt" : "other", copy % 2 ? 7 : 5);
	}
	assert_int_equal(fixture_open(&dir, &torn), ERR_IO);
	temp_dir_write(&dir, name, "{\"event", 7);
	(void)snprintf(name, sizeof(name), "events.torn-%llu.%u", offset, 3U);
	temp_dir_write(&dir, name, "{\"event", 7);
	assert_int_equal(fixture_open(&dir, &torn), ERR_OK);
	temp_dir_remove(&dir);
}

/* Every call and every allocation fails in turn, beside evidence of another tear and a copy that an
 * open left behind. */
static void a_repair_that_fails_anywhere_can_be_done_again(void **unused)
{
	static const int numbers[] = {EIO, ENOSPC, ENOENT, EEXIST, EINVAL};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(numbers) + 1; i++) {
		bool fired = true;

		for (uint64_t nth = 1; fired; nth++) {
			struct vfs_fault fault;
			struct temp_dir dir;
			struct log_torn torn;
			struct err err = ERR_INIT;
			struct log *log = NULL;
			struct stat stat;
			char name[64];

			torn_make(&dir, "{\"event");
			(void)fstatat(dir.fd, LOG_FILE, &stat, 0);
			(void)snprintf(name, sizeof(name), "events.torn-%llu",
				       (unsigned long long)stat.st_size - 7);
			temp_dir_write(&dir, name, "{\"eveNt", 7);
			temp_dir_write(&dir, LOG_COPY_FILE, "half", 4);
			vfs_fault_init(&fault, &vfs_os);
			if (i < ARRAY_LEN(numbers))
				vfs_fault_plan(&fault, VFS_CALL_ANY, nth, false, numbers[i]);
			else
				mem_fail_at(nth, 0);
			if (log_open(&fault.vfs, dir.fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
				     NULL, NULL, &log, &torn, &err) != ERR_OK)
				assert_true(err.text[0]);
			fired =
			    i < ARRAY_LEN(numbers) ? vfs_fault_fired(&fault) : mem_calls() >= nth;
			mem_fail_at(0, 0);
			log_close(log);
			assert_int_equal(fault.open_files, 0);
			assert_int_equal(fixture_open(&dir, &torn), ERR_OK);
			temp_dir_remove(&dir);
		}
	}
}

/* A torn end longer than any line, read while the disk fails. */
static void an_endless_torn_end_is_read_or_told(void **unused)
{
	bool fired = true;

	(void)unused;
	for (uint64_t nth = 1; fired; nth++) {
		struct limits limits = fixture_limits;
		struct vfs_fault fault;
		struct temp_dir dir;
		struct err err = ERR_INIT;
		struct log_reading reading;
		struct fixture_seen seen = {0};
		AUTO(buf_fini) struct buf text = BUF_INIT;
		enum err_code code;

		temp_dir_make(&dir);
		fixture_log(&dir, 3);
		temp_dir_read(&dir, LOG_FILE, &text);
		for (int i = 0; i < 400000; i++)
			buf_byte(&text, 'x');
		temp_dir_write(&dir, LOG_FILE, text.ptr, text.len);
		limits.line_bytes = 1024;
		vfs_fault_init(&fault, &vfs_os);
		vfs_fault_plan(&fault, VFS_CALL_READ, nth, false, EIO);
		code =
		    log_read(&fault.vfs, dir.fd, &limits, 0, fixture_visit, &seen, &reading, &err);
		fired = vfs_fault_fired(&fault);
		assert_int_equal(code, fired ? ERR_IO : ERR_OK);
		if (!fired)
			assert_int_equal(reading.end, LOG_END_TORN);
		temp_dir_remove(&dir);
	}
}

static void a_bound_within_the_window_is_kept(void **unused)
{
	struct temp_dir dir;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct err err = ERR_INIT;
	AUTO(buf_fini) struct buf text = BUF_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 2000);
	temp_dir_read(&dir, LOG_FILE, &text);
	for (uint64_t upto = text.len / 2; upto < text.len; upto += text.len / 5) {
		seen = (struct fixture_seen){0};
		assert_int_equal(log_read(&vfs_os, dir.fd, &fixture_limits, upto, fixture_visit,
					  &seen, &reading, &err),
				 ERR_OK);
		assert_true(reading.head.offset_bytes <= upto);
	}
	temp_dir_remove(&dir);
}

static void two_lines_of_a_newer_version_are_one_problem(void **unused)
{
	struct fixture_chain chain;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct temp_dir dir;
	char head[256];
	char text[512];

	(void)unused;
	temp_dir_make(&dir);
	fixture_chain_start(&chain);
	(void)snprintf(text, sizeof(text), "%s%s", fixture_head(1, "run.created", head),
		       fixture_created_members);
	fixture_chain_add(&chain, text);
	fixture_chain_add(&chain, fixture_head(2, "run.novel", head));
	fixture_chain_add(&chain, fixture_head(3, "run.novel", head));
	temp_dir_write(&dir, LOG_FILE, chain.text.ptr, chain.text.len);
	assert_int_equal(fixture_read(&dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, LOG_END_NEWER);
	assert_non_null(strstr(reading.problem.text, "line 2"));
	assert_int_equal(seen.lines, 3);
	fixture_chain_fini(&chain);
	temp_dir_remove(&dir);
}

static void a_newer_format_with_lines_that_are_unlike_ours(void **unused)
{
	struct fixture_chain chain;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct log_torn torn;
	struct temp_dir dir;
	char head[256];
	char text[512];

	(void)unused;
	temp_dir_make(&dir);
	fixture_chain_start(&chain);
	(void)snprintf(text, sizeof(text), "%s%s", fixture_head(1, "run.created", head),
		       ",\"new_state\":\"created\",\"format\":2,\"pipeline\":\"p\"");
	fixture_chain_add(&chain, text);
	fixture_chain_add(&chain, fixture_head(2, "step.started", head)); /* no step_id */
	buf_text(&chain.text, "{\"torn");
	temp_dir_write(&dir, LOG_FILE, chain.text.ptr, chain.text.len);
	(void)fixture_read(&dir, &seen, &reading);
	assert_int_equal(fixture_open(&dir, &torn) == ERR_OK, false);
	fixture_chain_fini(&chain);
	temp_dir_remove(&dir);
}

/* --- the lock --- */

static void put_head(const struct temp_dir *dir, const char *owner, const char *numbers)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "%-15.15s\n%s %08x\n", owner, numbers,
		       (unsigned)crc32c(0, numbers, 41));
	temp_dir_write(dir, RUN_LOCK_FILE, text, strlen(text));
}

static void numbers_of_a_lock_that_are_none_are_not_believed(void **unused)
{
	static const struct {
		const char *owner, *numbers;
		int pid;
		uint64_t seq;
	} rows[] = {
	    {"pid 0000000012 ", "00000000000000000012 00000000000000003456", 12, 12},
	    {"pid 9999999999 ", "00000000000000000012 00000000000000003456", 0, 12},
	    {"pid x000000012 ", "x0000000000000000012 00000000000000003456", 0, 0},
	    {"pig 0000000012 ", "00000000000000000012 x0000000000000003456", 0, 0},
	};
	struct run_lock_info info;
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_head(&dir, rows[i].owner, rows[i].numbers);
		info = (struct run_lock_info){.pid = 0};
		assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
		assert_int_equal(info.pid, rows[i].pid);
		assert_int_equal(info.synced_seq, rows[i].seq);
	}
	temp_dir_remove(&dir);
}

static void a_lock_whose_owner_cannot_be_read_is_a_lock(void **unused)
{
	struct run_lock first = {-1};
	struct run_lock second = {-1};
	struct vfs_fault fault;
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &first, &err), ERR_OK);
	vfs_fault_init(&fault, &vfs_os);
	vfs_fault_plan(&fault, VFS_CALL_READ, 1, true, EIO);
	assert_int_equal(run_lock_take(&fault.vfs, dir.fd, &second, &err), ERR_LOCKED);
	assert_non_null(strstr(err.text, "another process"));
	vfs_fault_plan(&fault, 0, 0, false, 0);
	temp_dir_write(&dir, RUN_LOCK_FILE, "pid 0000000000 \n", 16);
	err_reset(&err);
	assert_int_equal(run_lock_take(&fault.vfs, dir.fd, &second, &err), ERR_LOCKED);
	assert_non_null(strstr(err.text, "another process"));
	run_lock_release(&vfs_os, &first);
	temp_dir_remove(&dir);
}

/* The file loses its name between the open and the lock, each time. */
static int (*real_lock)(void *self, int fd);
static int lock_dir;
static unsigned lock_thefts;

static int lock_and_lose(void *self, int fd)
{
	if (lock_thefts > 0) {
		lock_thefts--;
		(void)unlinkat(lock_dir, RUN_LOCK_FILE, 0);
	}
	return real_lock(self, fd);
}

static void a_lock_that_lost_its_name_is_taken_again_but_not_for_ever(void **unused)
{
	struct vfs_ops ops = *vfs_os.ops;
	struct vfs vfs = {&ops, vfs_os.self};
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	real_lock = ops.lock;
	ops.lock = lock_and_lose;
	lock_dir = dir.fd;
	lock_thefts = 3;
	assert_int_equal(run_lock_take(&vfs, dir.fd, &lock, &err), ERR_OK);
	run_lock_release(&vfs, &lock);
	lock_thefts = 100;
	assert_int_equal(run_lock_take(&vfs, dir.fd, &lock, &err), ERR_LOCKED);
	assert_non_null(strstr(err.text, "again and again"));
	temp_dir_remove(&dir);
}

/* --- callers --- */

static void what_no_log_can_begin_with_leaves_none(void **unused)
{
	struct temp_dir dir;
	struct event event;
	struct log *log = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_created(&event);
	assert_int_equal(
	    log_create(&vfs_os, dir.fd, STR("no id"), &fixture_limits, &event, &log, &err),
	    ERR_USAGE);
	event_put_text(&event, EVENT_FIELD_PARAMS, STR("{"));
	err_reset(&err);
	assert_int_not_equal(
	    log_create(&vfs_os, dir.fd, STR(FIXTURE_RUN), &fixture_limits, &event, &log, &err),
	    ERR_OK);
	assert_false(temp_dir_has(&dir, LOG_FILE));
	assert_int_equal(mkdirat(dir.fd, RUN_LOCK_FILE, 0700), 0);
	err_reset(&err);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &(struct run_lock){-1}, &err), ERR_CORRUPT);
	temp_dir_remove(&dir);
}

static void a_log_is_read_for_nobody_and_by_other_limits(void **unused)
{
	struct limits limits = fixture_limits;
	struct log_reading reading;
	struct temp_dir dir;
	struct event event;
	struct err err = ERR_INIT;
	AUTO(buf_fini) struct buf scratch = BUF_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 3);
	assert_int_equal(log_read(&vfs_os, dir.fd, &limits, 0, NULL, NULL, &reading, &err), ERR_OK);
	assert_int_equal(reading.head.seq, 3);
	limits.line_bytes = 64;
	assert_int_equal(log_read(&vfs_os, dir.fd, &limits, 0, NULL, NULL, &reading, &err), ERR_OK);
	assert_int_equal(reading.end, LOG_END_DAMAGED);
	assert_int_equal(log_decode(STR("no line"), &scratch, &event, &err), ERR_CORRUPT);
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_that_ends_anywhere_else_is_none),
	    cmocka_unit_test(values_have_bounds),
	    cmocka_unit_test(a_line_of_a_newer_version_is_an_object_of_known_heads),
	    cmocka_unit_test(a_line_that_finds_no_memory_is_not_damaged),
	    cmocka_unit_test(a_chain_can_begin_with_no_name),
	    cmocka_unit_test(evidence_that_is_there_is_looked_at_and_kept),
	    cmocka_unit_test(a_repair_that_fails_anywhere_can_be_done_again),
	    cmocka_unit_test(an_endless_torn_end_is_read_or_told),
	    cmocka_unit_test(a_bound_within_the_window_is_kept),
	    cmocka_unit_test(two_lines_of_a_newer_version_are_one_problem),
	    cmocka_unit_test(a_newer_format_with_lines_that_are_unlike_ours),
	    cmocka_unit_test(what_no_log_can_begin_with_leaves_none),
	    cmocka_unit_test(a_log_is_read_for_nobody_and_by_other_limits),
	    cmocka_unit_test(numbers_of_a_lock_that_are_none_are_not_believed),
	    cmocka_unit_test(a_lock_whose_owner_cannot_be_read_is_a_lock),
	    cmocka_unit_test(a_lock_that_lost_its_name_is_taken_again_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, fixture_init, NULL);
}
