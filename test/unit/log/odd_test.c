/* odd_test.c - what a file system may answer without failing: a file with other names, on another
 * device, shorter than it was; and readers and writers at the bounds of their windows. */
#include "fixture.h"

#include "base/mem.h"
#include "log/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The system's files, but the answers of chosen calls are changed. */
static struct {
	unsigned stats;     /* calls so far */
	unsigned linked_at; /* the n-th stat says two names, 0 = none */
	bool is_elsewhere;  /* by name it is on another device */
	unsigned reads;     /* calls so far */
	unsigned ends_at;   /* the n-th read is at the end of the file, 0 = none */
	struct vfs_ops ops;
} odd;

static int odd_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	int answer = vfs_os.ops->stat(self, fd, ret_stat);

	if (++odd.stats == odd.linked_at)
		ret_stat->links = 2;
	return answer;
}

static int odd_stat_at(void *self, int dir, const char *name, struct vfs_stat *ret_stat)
{
	int answer = vfs_os.ops->stat_at(self, dir, name, ret_stat);

	if (odd.is_elsewhere)
		ret_stat->device++;
	return answer;
}

static ssize_t odd_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	if (++odd.reads == odd.ends_at)
		return 0;
	return vfs_os.ops->read(self, fd, bytes, len, offset);
}

static struct vfs odd_vfs(void)
{
	memset(&odd, 0, sizeof(odd));
	odd.ops = *vfs_os.ops;
	odd.ops.stat = odd_stat;
	odd.ops.stat_at = odd_stat_at;
	odd.ops.read = odd_read;
	return (struct vfs){&odd.ops, vfs_os.self};
}

static enum err_code allow(void *arg, const struct log_head *head, struct err *err)
{
	const unsigned *allowed = arg;

	return head->seq <= *allowed ? ERR_OK : err_set(err, ERR_REFUSED, "too long");
}

static enum err_code open_by(const struct vfs *vfs, const struct temp_dir *dir, unsigned *allowed,
			     struct log **ret_log)
{
	struct log_torn torn;
	struct err err = ERR_INIT;

	return log_open(vfs, dir->fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
			allowed ? allow : NULL, allowed, ret_log, &torn, &err);
}

static void a_log_with_two_names_or_on_another_disk_is_not_written_to(void **unused)
{
	struct vfs vfs = odd_vfs();
	struct temp_dir dir;
	struct log *log = NULL;
	struct event event;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_created(&event);
	odd.linked_at = 1;
	assert_int_equal(
	    log_create(&vfs, dir.fd, STR(FIXTURE_RUN), &fixture_limits, &event, &log, &err),
	    ERR_CORRUPT);
	assert_false(temp_dir_has(&dir, LOG_FILE));
	fixture_log(&dir, 3);
	for (unsigned nth = 1; nth < 3; nth++) {
		vfs = odd_vfs();
		odd.linked_at = nth;
		assert_int_equal(open_by(&vfs, &dir, NULL, &log), ERR_CORRUPT);
	}
	vfs = odd_vfs();
	assert_int_equal(open_by(&vfs, &dir, NULL, &log), ERR_OK);
	assert_int_equal(log_sync(log, &err), ERR_OK); /* nothing to sync */
	fixture_event(&event, 2);
	assert_int_equal(log_add(log, &event, &err), ERR_OK);
	odd.is_elsewhere = true;
	assert_int_equal(log_commit(log, true, &err), ERR_CORRUPT);
	log_drop(&log);
	temp_dir_remove(&dir);
}

static void a_log_whose_name_a_directory_took_is_not_written_to(void **unused)
{
	struct temp_dir dir;
	struct log *log = NULL;
	struct event event;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 3);
	assert_int_equal(open_by(&vfs_os, &dir, NULL, &log), ERR_OK);
	fixture_event(&event, 2);
	assert_int_equal(log_add(log, &event, &err), ERR_OK);
	assert_int_equal(unlinkat(dir.fd, LOG_FILE, 0), 0);
	assert_int_equal(mkdirat(dir.fd, LOG_FILE, 0700), 0);
	assert_int_equal(log_commit(log, true, &err), ERR_CORRUPT);
	log_drop(&log);
	temp_dir_remove(&dir);
}

/* S11.4: the whole of it is copied, however many pieces that takes, or nothing is. */
static void a_long_log_that_shrinks_while_it_is_copied_is_not_opened(void **unused)
{
	struct temp_dir dir;
	struct log *log = NULL;
	unsigned refused = 0;
	bool is_through = false;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 1200);
	for (unsigned nth = 1; !is_through; nth++) {
		struct vfs vfs = odd_vfs();

		odd.ends_at = nth;
		refused += open_by(&vfs, &dir, NULL, &log) == ERR_CORRUPT;
		log_drop(&log);
		is_through = odd.reads < nth;
		temp_dir_clear(&dir);
		fixture_log(&dir, 1200);
	}
	assert_true(refused > 0);
	log_drop(&log);
	temp_dir_remove(&dir);
}

static void whoever_opens_decides_by_the_head(void **unused)
{
	struct temp_dir dir;
	struct log *log = NULL;
	unsigned allowed = 2;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 3);
	assert_int_equal(open_by(&vfs_os, &dir, &allowed, &log), ERR_REFUSED);
	allowed = 3;
	assert_int_equal(open_by(&vfs_os, &dir, &allowed, &log), ERR_OK);
	log_drop(&log);
	temp_dir_remove(&dir);
}

/* D21: wherever the room of a batch ends, an event is in it as a whole or not at all. */
static void an_event_that_finds_no_room_for_its_end_is_not_added(void **unused)
{
	static char text[600];
	unsigned refused = 0;

	(void)unused;
	memset(text, 'x', sizeof(text));
	for (size_t len = 1; len < sizeof(text); len++) {
		struct temp_dir dir;
		struct log *log = NULL;
		struct event event;
		struct err err = ERR_INIT;

		temp_dir_make(&dir);
		fixture_log(&dir, 2);
		assert_int_equal(open_by(&vfs_os, &dir, NULL, &log), ERR_OK);
		for (uint64_t nth = 1; nth < 4; nth++) {
			enum err_code code;

			fixture_event(&event, 2);
			event_put_text(&event, EVENT_FIELD_REASON, str_from(text, len));
			mem_fail_at(nth, 0);
			code = log_add(log, &event, &err);
			mem_fail_at(0, 0);
			if (code == ERR_OK)
				break;
			if (code == ERR_USAGE) /* the event has no such field */
				break;
			assert_int_equal(code, ERR_MEMORY);
			assert_int_equal(log_pending(log).len, 0);
			refused++;
			err_reset(&err);
		}
		log_drop(&log);
		temp_dir_remove(&dir);
	}
	assert_true(refused > 0);
}

static void a_raw_value_that_is_none_is_refused(void **unused)
{
	struct temp_dir dir;
	struct log *log = NULL;
	struct event event;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	fixture_log(&dir, 2);
	assert_int_equal(open_by(&vfs_os, &dir, NULL, &log), ERR_OK);
	fixture_event(&event, 3);
	event.field[EVENT_FIELD_OUTPUTS].text = STR_NONE;
	assert_int_equal(log_add(log, &event, &err), ERR_USAGE);
	log_drop(&log);
	temp_dir_remove(&dir);
}

/* ------------------------------------------------------------------------------ the reader */

static void chain_begin(struct fixture_chain *chain, const char *members)
{
	char head[256];
	char text[512];

	fixture_chain_start(chain);
	(void)snprintf(text, sizeof(text), "%s%s", fixture_head(1, "run.created", head), members);
	fixture_chain_add(chain, text);
}

static enum log_end end_of(const struct temp_dir *dir, struct fixture_chain *chain)
{
	struct fixture_seen seen = {0};
	struct log_reading reading = {.end = LOG_END_WHOLE};

	temp_dir_write(dir, LOG_FILE, chain->text.ptr, chain->text.len);
	assert_int_equal(fixture_read(dir, &seen, &reading), ERR_OK);
	return reading.end;
}

static const char newer[] = ",\"new_state\":\"created\",\"format\":2,\"pipeline\":\"p\","
			    "\"definition_hash\":\"d\",\"sync\":\"always\",\"seed\":1,"
			    "\"boot_id\":\"b\",\"cwd\":\"/\"";

static void an_event_without_its_fields_is_damage_in_our_format_alone(void **unused)
{
	struct fixture_chain chain;
	struct temp_dir dir;
	char head[256];

	(void)unused;
	temp_dir_make(&dir);
	chain_begin(&chain, fixture_created_members);
	fixture_chain_add(&chain, fixture_head(2, "step.started", head));
	assert_int_equal(end_of(&dir, &chain), LOG_END_DAMAGED);
	fixture_chain_fini(&chain);
	chain_begin(&chain, newer);
	fixture_chain_add(&chain, fixture_head(2, "step.started", head));
	assert_int_equal(end_of(&dir, &chain), LOG_END_NEWER);
	fixture_chain_fini(&chain);
	chain_begin(&chain, newer);
	fixture_chain_add(&chain, fixture_head(2, "run.created", head));
	assert_int_equal(end_of(&dir, &chain), LOG_END_DAMAGED);
	fixture_chain_fini(&chain);
	temp_dir_remove(&dir);
}

static void a_torn_end_behind_a_newer_line_is_newer(void **unused)
{
	struct fixture_chain chain;
	struct temp_dir dir;
	char head[256];

	(void)unused;
	temp_dir_make(&dir);
	chain_begin(&chain, fixture_created_members);
	fixture_chain_add(&chain, fixture_head(2, "run.novel", head));
	buf_text(&chain.text, "{\"torn");
	assert_int_equal(end_of(&dir, &chain), LOG_END_NEWER);
	fixture_chain_fini(&chain);
	temp_dir_remove(&dir);
}

/* D21 */
static void a_newer_line_that_finds_no_memory_is_not_damaged(void **unused)
{
	struct fixture_chain chain;
	struct temp_dir dir;
	char head[256];
	char text[512];
	bool is_told = false;

	(void)unused;
	temp_dir_make(&dir);
	chain_begin(&chain, fixture_created_members);
	(void)snprintf(text, sizeof(text), "%s,\"novel\":[1],\"reason\":\"a\\u00e4\\nb\"",
		       fixture_head(2, "run.novel", head));
	fixture_chain_add(&chain, text);
	temp_dir_write(&dir, LOG_FILE, chain.text.ptr, chain.text.len);
	for (uint64_t nth = 1; nth < 12; nth++) {
		struct fixture_seen seen = {0};
		struct log_reading reading = {.end = LOG_END_WHOLE};
		enum err_code code;

		mem_fail_at(nth, 0);
		code = fixture_read(&dir, &seen, &reading);
		mem_fail_at(0, 0);
		assert_true(code == ERR_MEMORY || reading.end == LOG_END_NEWER);
		is_told = is_told || code == ERR_MEMORY;
	}
	assert_true(is_told);
	fixture_chain_fini(&chain);
	temp_dir_remove(&dir);
}

static void a_room_that_failed_once_is_used_again(void **unused)
{
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	struct fixture_chain chain;
	struct event event;
	struct err err = ERR_INIT;
	char head[256];
	char text[512];

	(void)unused;
	fixture_chain_start(&chain);
	(void)snprintf(text, sizeof(text), "%s,\"step_id\":\"a\",\"reason\":\"a\\u00e4\"",
		       fixture_head(1, "step.failed", head));
	fixture_chain_add(&chain, text);
	mem_fail_at(1, 0);
	assert_int_equal(
	    log_decode(str_from(chain.text.ptr, chain.text.len - 1), &scratch, &event, &err),
	    ERR_MEMORY);
	mem_fail_at(0, 0);
	assert_int_equal(scratch.len, 0);
	err_reset(&err);
	assert_int_not_equal(
	    log_decode(str_from(chain.text.ptr, chain.text.len - 1), &scratch, &event, &err),
	    ERR_MEMORY);
	assert_int_equal(scratch.failed, ERR_OK);
	fixture_chain_fini(&chain);
}

/* A line over the limit that ends many windows later: at each place of them. */
static void a_line_over_the_limit_is_damage_wherever_it_ends(void **unused)
{
	struct limits limits = fixture_limits;

	(void)unused;
	limits.line_bytes = 1024;
	for (size_t rest = 0; rest < 3; rest++) {
		static const size_t lengths[] = {70000, 150000, 260000};
		struct fixture_seen seen = {0};
		struct log_reading reading;
		struct temp_dir dir;
		struct err err = ERR_INIT;
		AUTO(buf_fini) struct buf text = BUF_INIT;

		temp_dir_make(&dir);
		fixture_log(&dir, 3);
		temp_dir_read(&dir, LOG_FILE, &text);
		for (size_t i = 0; i < lengths[rest]; i++)
			buf_byte(&text, 'x');
		buf_byte(&text, '\n');
		for (size_t i = 0; i < lengths[2 - rest]; i++)
			buf_byte(&text, 'y');
		temp_dir_write(&dir, LOG_FILE, text.ptr, text.len);
		assert_int_equal(
		    log_read(&vfs_os, dir.fd, &limits, 0, fixture_visit, &seen, &reading, &err),
		    ERR_OK);
		assert_int_equal(reading.end, LOG_END_DAMAGED);
		assert_int_equal(reading.head.seq, 3);
		temp_dir_remove(&dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_log_with_two_names_or_on_another_disk_is_not_written_to),
	    cmocka_unit_test(a_log_whose_name_a_directory_took_is_not_written_to),
	    cmocka_unit_test(a_long_log_that_shrinks_while_it_is_copied_is_not_opened),
	    cmocka_unit_test(whoever_opens_decides_by_the_head),
	    cmocka_unit_test(an_event_that_finds_no_room_for_its_end_is_not_added),
	    cmocka_unit_test(a_raw_value_that_is_none_is_refused),
	    cmocka_unit_test(an_event_without_its_fields_is_damage_in_our_format_alone),
	    cmocka_unit_test(a_torn_end_behind_a_newer_line_is_newer),
	    cmocka_unit_test(a_newer_line_that_finds_no_memory_is_not_damaged),
	    cmocka_unit_test(a_room_that_failed_once_is_used_again),
	    cmocka_unit_test(a_line_over_the_limit_is_damage_wherever_it_ends),
	};

	return cmocka_run_group_tests(tests, fixture_init, NULL);
}
