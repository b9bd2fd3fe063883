/* log_test.c - the writer and the reader of event logs on a good disk (S11, D07 to D11, D29 to
 * D31). */
#include "fixture.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	struct temp_dir dir;
	struct buf whole; /* a good log */
};

static void place_make(struct place *place, unsigned lines)
{
	temp_dir_make(&place->dir);
	place->whole = (struct buf)BUF_INIT;
	if (lines) {
		fixture_log(&place->dir, lines);
		temp_dir_read(&place->dir, LOG_FILE, &place->whole);
	}
}

static void place_drop(struct place *place)
{
	temp_dir_remove(&place->dir);
	buf_fini(&place->whole);
}

static size_t line_end(const struct buf *text, unsigned line)
{
	const char *at = text->ptr;

	for (; line; line--)
		at = (const char *)memchr(at, '\n', text->len - (size_t)(at - text->ptr)) + 1;
	return (size_t)(at - text->ptr);
}

static void put(struct place *place, struct str text)
{
	temp_dir_write(&place->dir, LOG_FILE, text.ptr, text.len);
}

/* What both ways of opening say of these bytes. */
static void assert_end(struct place *place, struct str text, enum log_end end, uint64_t seq)
{
	struct fixture_seen seen = {0};
	struct log_reading reading;

	put(place, text);
	assert_int_equal(fixture_read(&place->dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, end);
	assert_int_equal(reading.head.seq, seq);
	assert_int_equal(seen.lines, seq);
}

static void assert_refused_untouched(struct place *place, struct str text, enum err_code code)
{
	AUTO(buf_fini) struct buf after = BUF_INIT;
	struct log_torn torn;
	size_t names;

	put(place, text);
	names = temp_dir_count(&place->dir);
	assert_int_equal(fixture_open(&place->dir, &torn), code);
	temp_dir_read(&place->dir, LOG_FILE, &after);
	assert_true(str_eq(buf_view(&after), text));
	assert_int_equal(temp_dir_count(&place->dir), names);
}

/* S11 */
static void what_was_written_is_read_back(void **unused)
{
	struct place place;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct stat st;

	(void)unused;
	place_make(&place, 50);
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, LOG_END_WHOLE);
	assert_int_equal(seen.lines, 50);
	assert_int_equal(reading.head.seq, 50);
	assert_int_equal(reading.head.offset_bytes, place.whole.len);
	assert_memory_equal(reading.head.h, place.whole.ptr + place.whole.len - 19, LOG_H_BYTES);
	assert_int_equal(fstatat(place.dir.fd, LOG_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	place_drop(&place);
}

/* S11.1: the bytes of a line, fixed for ever. */
static void a_line_has_the_documented_bytes(void **unused)
{
	static const char first[] =
	    "{\"event_id\":\"evt_1\",\"event_type\":\"run.created\",\"run_id\":\"run-1\","
	    "\"timestamp_utc\":\"2026-09-21T14:13:20.123Z\",\"actor\":\"runner\",\"attempt\":0,"
	    "\"new_state\":\"created\",\"format\":1,\"pipeline\":\"demo\","
	    "\"definition_hash\":\"00ff\",\"sync\":\"always\",\"seed\":42,\"boot_id\":\"b\","
	    "\"cwd\":\"/srv/\xC3\xA4\"";
	uint8_t h0[SHA256_BYTES];
	uint8_t h1[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];
	struct sha256 sha;
	struct place place;

	(void)unused;
	place_make(&place, 1);
	assert_memory_equal(place.whole.ptr, first, sizeof(first) - 1);
	sha256_of("run-1", 5, h0);
	sha256_start(&sha);
	sha256_add(&sha, h0, sizeof(h0));
	sha256_add(&sha, first, sizeof(first) - 1);
	sha256_end(&sha, h1);
	sha256_hex(h1, hex);
	hex[LOG_H_BYTES] = '\0';
	assert_memory_equal(place.whole.ptr + sizeof(first) - 1, ",\"h\":\"", 6);
	assert_memory_equal(place.whole.ptr + sizeof(first) + 5, hex, LOG_H_BYTES);
	assert_string_equal(place.whole.ptr + sizeof(first) + 5 + LOG_H_BYTES, "\"}\n");
	place_drop(&place);
}

/* S11.2, S11.4: every line end is a legal log that can be gone on with. */
static void every_whole_prefix_is_a_log_to_go_on_with(void **unused)
{
	struct place place;

	(void)unused;
	place_make(&place, 12);
	for (unsigned lines = 1; lines <= 12; lines++) {
		struct err err = ERR_INIT;
		struct log *log = NULL;
		struct log_torn torn;
		struct event event;

		put(&place, str_from(place.whole.ptr, line_end(&place.whole, lines)));
		assert_int_equal(log_open(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits,
					  NULL, NULL, NULL, &log, &torn, &err),
				 ERR_OK);
		assert_int_equal(torn.bytes, 0);
		assert_int_equal(log_head(log)->seq, lines);
		for (unsigned n = lines - 1; n < 11; n++) {
			fixture_event(&event, n);
			assert_int_equal(log_add(log, &event, &err), ERR_OK);
			assert_int_equal(event.seq, n + 2);
		}
		assert_int_equal(log_commit(log, true, &err), ERR_OK);
		log_close(log);
		{
			AUTO(buf_fini) struct buf after = BUF_INIT;

			temp_dir_read(&place.dir, LOG_FILE, &after);
			assert_true(str_eq(buf_view(&after), buf_view(&place.whole)));
		}
	}
	place_drop(&place);
}

/* D07: torn at every byte. Evidence is kept, the good prefix stays, and it is found again. */
static void every_torn_end_is_cut_off_and_kept_aside(void **unused)
{
	struct place place;
	size_t first;

	(void)unused;
	place_make(&place, 4);
	first = line_end(&place.whole, 1);
	for (size_t len = 0; len < place.whole.len; len++) {
		AUTO(buf_fini) struct buf after = BUF_INIT;
		AUTO(buf_fini) struct buf evidence = BUF_INIT;
		struct log_torn torn = {0};
		unsigned lines = 0;
		size_t good = 0;
		char name[64];

		for (; lines < 4 && line_end(&place.whole, lines + 1) <= len; lines++)
			good = line_end(&place.whole, lines + 1);
		temp_dir_clear(&place.dir);
		if (len < first) {
			assert_refused_untouched(&place, str_from(place.whole.ptr, len),
						 ERR_NOT_FOUND);
			continue;
		}
		assert_end(&place, str_from(place.whole.ptr, len),
			   len == good ? LOG_END_WHOLE : LOG_END_TORN, lines);
		assert_int_equal(temp_dir_count(&place.dir), 1); /* readers never write */
		assert_int_equal(fixture_open(&place.dir, &torn), ERR_OK);
		assert_int_equal(torn.bytes, len - good);
		temp_dir_read(&place.dir, LOG_FILE, &after);
		assert_int_equal(after.len, good);
		if (len == good)
			continue;
		(void)snprintf(name, sizeof(name), "events.torn-%zu", good);
		temp_dir_read(&place.dir, name, &evidence);
		assert_true(
		    str_eq(buf_view(&evidence), str_from(place.whole.ptr + good, len - good)));
		assert_int_equal(fixture_open(&place.dir, &torn), ERR_OK);
		assert_int_equal(torn.bytes, 0);
	}
	place_drop(&place);
}

/* D08, D09: whatever stands behind the last newline was never acknowledged. */
static void any_bytes_without_a_newline_are_a_torn_end(void **unused)
{
	static const struct str tails[] = {
	    {"\0", 1},
	    {"\0\0\0\0\0\0\0\0\0\0\0\0", 12},
	    {"{\"event_id\":\"evt_4\"}", 20},
	    {"\r", 1},
	    {"\xE2\x82", 2},
	    {"\xFF\xFE\x80random", 9},
	    {" ", 1},
	};
	struct place place;
	struct buf text = BUF_INIT;

	(void)unused;
	place_make(&place, 3);
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		struct log_torn torn;

		temp_dir_clear(&place.dir);
		buf_clear(&text);
		buf_str(&text, buf_view(&place.whole));
		buf_str(&text, tails[i]);
		assert_end(&place, buf_view(&text), LOG_END_TORN, 3);
		assert_int_equal(fixture_open(&place.dir, &torn), ERR_OK);
		assert_int_equal(torn.bytes, tails[i].len);
	}
	/* D08: far longer than a line may be */
	buf_clear(&text);
	buf_str(&text, buf_view(&place.whole));
	for (size_t i = 0; i < 3 * fixture_limits.line_bytes / 4096; i++) {
		static const char zeros[4096];

		buf_put(&text, zeros, sizeof(zeros));
	}
	assert_end(&place, buf_view(&text), LOG_END_TORN, 3);
	/* a newline behind it makes it a line, and no good one */
	buf_byte(&text, '\n');
	assert_end(&place, buf_view(&text), LOG_END_DAMAGED, 3);
	assert_refused_untouched(&place, buf_view(&text), ERR_CORRUPT);
	buf_fini(&text);
	place_drop(&place);
}

/* D07: evidence of an earlier tear is not overwritten, and saved once. */
static void evidence_of_another_tear_stays(void **unused)
{
	struct place place;
	struct log_torn torn;
	struct buf text = BUF_INIT;
	char name[64];

	(void)unused;
	place_make(&place, 2);
	(void)snprintf(name, sizeof(name), "events.torn-%zu", place.whole.len);
	temp_dir_write(&place.dir, name, "older", 5);
	buf_str(&text, buf_view(&place.whole));
	buf_text(&text, "newer");
	for (int again = 0; again < 2; again++) { /* the second time as if killed before the cut */
		put(&place, buf_view(&text));
		assert_int_equal(fixture_open(&place.dir, &torn), ERR_OK);
		assert_int_equal(temp_dir_count(&place.dir), 3);
	}
	buf_clear(&text);
	temp_dir_read(&place.dir, name, &text);
	assert_string_equal(text.ptr, "older");
	(void)strcat(name, ".1");
	buf_clear(&text);
	temp_dir_read(&place.dir, name, &text);
	assert_string_equal(text.ptr, "newer");
	buf_fini(&text);
	place_drop(&place);
}

/* D10: the last newline is the one byte whose loss looks like a torn end, and is one. */
static void every_flipped_bit_is_found(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct place place;

	(void)unused;
	place_make(&place, 4);
	buf_str(&text, buf_view(&place.whole));
	for (size_t at = 0; at < text.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct fixture_seen seen = {0};
			struct log_reading reading = {.end = LOG_END_WHOLE};
			enum err_code code;

			text.ptr[at] = (char)((unsigned char)text.ptr[at] ^ (1u << bit));
			put(&place, buf_view(&text));
			code = fixture_read(&place.dir, &seen, &reading);
			assert_int_equal(code, ERR_OK);
			if (at == text.len - 1)
				assert_int_equal(reading.end, LOG_END_TORN);
			else
				assert_true(reading.end == LOG_END_DAMAGED ||
					    reading.end == LOG_END_NEWER);
			assert_true(seen.lines < 4);
			text.ptr[at] = (char)((unsigned char)text.ptr[at] ^ (1u << bit));
		}
	}
	/* the same through the writer's door, a bit a byte */
	for (size_t at = 0; at < text.len - 1; at += 3) {
		struct log_torn torn;
		enum err_code code;

		text.ptr[at] = (char)((unsigned char)text.ptr[at] ^ 1u);
		put(&place, buf_view(&text));
		code = fixture_open(&place.dir, &torn);
		assert_true(code == ERR_CORRUPT || code == ERR_NEWER);
		text.ptr[at] = (char)((unsigned char)text.ptr[at] ^ 1u);
	}
	assert_int_equal(temp_dir_count(&place.dir), 1);
	place_drop(&place);
}

/* D11 */
static void lines_deleted_swapped_or_twice_are_found(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	const unsigned lines = 50;
	struct place place;

	(void)unused;
	place_make(&place, lines);
	for (unsigned n = 0; n < lines; n++) {
		size_t from = line_end(&place.whole, n);
		size_t to = line_end(&place.whole, n + 1);
		struct str before = str_from(place.whole.ptr, from);
		struct str line = str_from(place.whole.ptr + from, to - from);
		struct str after = str_from(place.whole.ptr + to, place.whole.len - to);

		if (n + 1 < lines) { /* the last one missing is a legal prefix */
			struct str next = str_cut(after, 0, line_end(&place.whole, n + 2) - to);

			buf_clear(&text);
			buf_str(&text, before);
			buf_str(&text, after);
			assert_end(&place, buf_view(&text), LOG_END_DAMAGED, n);
			buf_clear(&text);
			buf_str(&text, before);
			buf_str(&text, next);
			buf_str(&text, line);
			buf_str(&text, str_cut(after, next.len, after.len));
			assert_end(&place, buf_view(&text), LOG_END_DAMAGED, n);
		}
		buf_clear(&text);
		buf_str(&text, before);
		buf_str(&text, line);
		buf_str(&text, line);
		buf_str(&text, after);
		assert_end(&place, buf_view(&text), LOG_END_DAMAGED, n + 1);
		assert_refused_untouched(&place, buf_view(&text), ERR_CORRUPT);
	}
	place_drop(&place);
}

/* D11: lines of another log of the same run id do not continue this one. */
static void two_logs_cannot_be_spliced(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf other = BUF_INIT;
	struct err err = ERR_INIT;
	struct log *log = NULL;
	struct event event;
	struct place place;

	(void)unused;
	place_make(&place, 6);
	temp_dir_clear(&place.dir);
	fixture_created(&event);
	event_put_int(&event, EVENT_FIELD_SEED, 43);
	assert_int_equal(log_create(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits,
				    &event, &log, &err),
			 ERR_OK);
	for (unsigned n = 0; n < 5; n++) {
		fixture_event(&event, n);
		assert_int_equal(log_add(log, &event, &err), ERR_OK);
	}
	assert_int_equal(log_commit(log, true, &err), ERR_OK);
	log_close(log);
	temp_dir_read(&place.dir, LOG_FILE, &other);
	buf_put(&text, place.whole.ptr, line_end(&place.whole, 3));
	buf_put(&text, other.ptr + line_end(&other, 3), other.len - line_end(&other, 3));
	assert_end(&place, buf_view(&text), LOG_END_DAMAGED, 3);
	place_drop(&place);
}

/* A log of two lines made by hand: run.created and `body`. */
static struct str by_hand(struct fixture_chain *chain, const char *created, const char *body)
{
	char head[256];
	AUTO(buf_fini) struct buf line = BUF_INIT;

	buf_fini(&chain->text);
	fixture_chain_start(chain);
	buf_fmt(&line, "%s%s", fixture_head(1, "run.created", head),
		created ? created : fixture_created_members);
	fixture_chain_add(chain, line.ptr);
	fixture_chain_add(chain, body);
	return buf_view(&chain->text);
}

/* D09, S11: a right chain does not excuse a wrong line. */
static void a_chained_line_must_still_be_a_good_one(void **unused)
{
	static const char *const tails[] = {
	    "\r",
	    "",
	    " ",
	    ",\"step_id\":\"a\"",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",\"step_id\":\"a\"",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",\"surprise\":1",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",\"exit_code\":0",
	    ",\"step_id\":\"a\",\"new_state\":null",
	    ",\"step_id\":\"a\",\"new_state\":\"run\xFFning\"",
	    ",\"step_id\":\"a\",\"new_state\":\"run\x01ning\"",
	    ",\"step_id\":\"a\",\"new_state\":\"\\ud800\"",
	    ",\"step_id\":\"a\", \"new_state\":\"running\"",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",\"event_id\":\"evt_2\"",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",\"h\":\"0123456789abcdef\"",
	    ",\"step_id\":\"a\",\"new_st\\u0061te\":\"running\"",
	    ",\"step_id\":\"a\",\"new_state\":7",
	    ",\"step_id\":\"a\",\"new_state\":\"running\",",
	    ",\"step_id\":\"a\",\"new_state\":\"running\"}",
	};
	struct fixture_chain chain = {.text = BUF_INIT};
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct place place;
	char head[256];

	(void)unused;
	place_make(&place, 0);
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		buf_clear(&body);
		buf_fmt(&body, "%s%s", fixture_head(2, "step.started", head), tails[i]);
		assert_end(&place, by_hand(&chain, NULL, body.ptr), LOG_END_DAMAGED, 1);
		assert_refused_untouched(&place, buf_view(&chain.text), ERR_CORRUPT);
	}
	fixture_chain_fini(&chain);
	place_drop(&place);
}

static void members_may_come_in_any_order(void **unused)
{
	struct fixture_chain chain = {.text = BUF_INIT};
	struct place place;

	(void)unused;
	place_make(&place, 0);
	assert_end(
	    &place,
	    by_hand(&chain, NULL,
		    "{\"new_state\":\"running\",\"attempt\":3,\"run_id\":\"" FIXTURE_RUN
		    "\",\"event_type\":\"step.started\",\"step_id\":\"a\",\"actor\":\"manual:"
		    "zo\\u00eb\""
		    ",\"timestamp_utc\":\"2024-02-29T23:59:59.999Z\",\"event_id\":\"evt_2\""),
	    LOG_END_WHOLE, 2);
	fixture_chain_fini(&chain);
	place_drop(&place);
}

static void stamps_that_are_no_times_are_refused(void **unused)
{
	static const char *const stamps[] = {
	    "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
	    "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:61.000Z", "2026-01-01T00:00:00.00Z",
	    "2026-01-01 00:00:00.000Z", "2026-01-01T00:00:00.000+", "2026-01-01T00:00:0a.000Z",
	};
	struct fixture_chain chain = {.text = BUF_INIT};
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct place place;

	(void)unused;
	place_make(&place, 0);
	for (size_t i = 0; i < ARRAY_LEN(stamps); i++) {
		buf_clear(&body);
		buf_fmt(
		    &body,
		    "{\"event_id\":\"evt_2\",\"event_type\":\"step.lost\",\"run_id\":\"" FIXTURE_RUN
		    "\",\"timestamp_utc\":\"%s\",\"actor\":\"runner\",\"attempt\":0,"
		    "\"step_id\":\"a\"",
		    stamps[i]);
		assert_end(&place, by_hand(&chain, NULL, body.ptr), LOG_END_DAMAGED, 1);
	}
	fixture_chain_fini(&chain);
	place_drop(&place);
}

/* D09 */
static void a_byte_order_mark_or_crlf_is_damage(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct place place;

	(void)unused;
	place_make(&place, 3);
	buf_text(&text, "\xEF\xBB\xBF");
	buf_str(&text, buf_view(&place.whole));
	assert_end(&place, buf_view(&text), LOG_END_DAMAGED, 0);
	assert_refused_untouched(&place, buf_view(&text), ERR_CORRUPT);
	buf_clear(&text);
	for (size_t i = 0; i < place.whole.len; i++) {
		if (place.whole.ptr[i] == '\n')
			buf_byte(&text, '\r');
		buf_byte(&text, place.whole.ptr[i]);
	}
	assert_end(&place, buf_view(&text), LOG_END_DAMAGED, 0);
	assert_refused_untouched(&place, buf_view(&text), ERR_CORRUPT);
	place_drop(&place);
}

/* S11.4, S11.8 */
static void the_first_line_must_be_run_created(void **unused)
{
	struct fixture_chain chain;
	struct place place;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	char head[256];
	struct log_torn torn;
	struct fixture_seen seen = {0};
	struct log_reading reading;

	(void)unused;
	place_make(&place, 0);
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_NOT_FOUND);
	assert_int_equal(fixture_open(&place.dir, &torn), ERR_NOT_FOUND);
	put(&place, STR(""));
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_NOT_FOUND);
	assert_int_equal(fixture_open(&place.dir, &torn), ERR_NOT_FOUND);
	fixture_chain_start(&chain);
	buf_fmt(&body, "%s,\"step_id\":\"a\"", fixture_head(1, "step.lost", head));
	fixture_chain_add(&chain, body.ptr);
	assert_end(&place, buf_view(&chain.text), LOG_END_DAMAGED, 0);
	assert_refused_untouched(&place, buf_view(&chain.text), ERR_CORRUPT);
	buf_clear(&body);
	buf_fmt(&body, "%s%s", fixture_head(2, "run.created", head), fixture_created_members);
	assert_end(&place, by_hand(&chain, NULL, body.ptr), LOG_END_DAMAGED, 1);
	fixture_chain_fini(&chain);
	place_drop(&place);
}

/* S11.5, D30 */
static void events_of_a_newer_version_are_shown_and_not_written_behind(void **unused)
{
	struct fixture_chain chain = {.text = BUF_INIT};
	AUTO(buf_fini) struct buf body = BUF_INIT;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct place place;
	char head[256];

	(void)unused;
	place_make(&place, 0);
	buf_fmt(&body, "%s,\"colour\":{\"a\":1},\"reason\":7",
		fixture_head(2, "step.painted", head));
	put(&place, by_hand(&chain, NULL, body.ptr));
	buf_clear(&body);
	buf_fmt(&body, "%s,\"step_id\":\"a\"", fixture_head(3, "step.lost", head));
	fixture_chain_add(&chain, body.ptr);
	put(&place, buf_view(&chain.text));
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, LOG_END_NEWER);
	assert_int_equal(reading.problem.code, ERR_NEWER);
	assert_non_null(strstr(reading.problem.text, "line 2"));
	assert_int_equal(seen.lines, 3);
	assert_int_equal(seen.unknown, 1);
	assert_refused_untouched(&place, buf_view(&chain.text), ERR_NEWER);
	/* damage behind it is still damage */
	chain.text.ptr[chain.text.len - 30] ^= 1;
	assert_end(&place, buf_view(&chain.text), LOG_END_DAMAGED, 2);
	fixture_chain_fini(&chain);
	place_drop(&place);
}

/* S11.5 */
static void a_newer_format_is_shown_and_not_written_behind(void **unused)
{
	struct fixture_chain chain = {.text = BUF_INIT};
	struct place place;
	AUTO(buf_fini) struct buf created = BUF_INIT;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	char head[256];

	(void)unused;
	place_make(&place, 0);
	buf_fmt(&created, "%s,\"galaxy\":[]", fixture_created_members);
	*(char *)memchr(strstr(created.ptr, "\"format\":"), '1', 12) = '2';
	buf_fmt(&body, "%s,\"step_id\":\"a\",\"extra\":1", fixture_head(2, "step.lost", head));
	assert_end(&place, by_hand(&chain, created.ptr, body.ptr), LOG_END_NEWER, 2);
	assert_refused_untouched(&place, buf_view(&chain.text), ERR_NEWER);
	*(char *)memchr(strstr(created.ptr, "\"format\":"), '2', 12) = '0';
	assert_end(&place, by_hand(&chain, created.ptr, body.ptr), LOG_END_DAMAGED, 0);
	fixture_chain_fini(&chain);
	place_drop(&place);
}

/* S11.5 */
static void events_of_users_pass(void **unused)
{
	struct fixture_chain chain = {.text = BUF_INIT};
	struct place place;
	struct log_torn torn;
	AUTO(buf_fini) struct buf body = BUF_INIT;
	char head[256];

	(void)unused;
	place_make(&place, 0);
	buf_fmt(&body, "%s,\"data\":[1,{\"a\":null}]", fixture_head(2, "x-note", head));
	assert_end(&place, by_hand(&chain, NULL, body.ptr), LOG_END_WHOLE, 2);
	assert_int_equal(fixture_open(&place.dir, &torn), ERR_OK);
	fixture_chain_fini(&chain);
	place_drop(&place);
}

/* D29: 1 MiB - 1, + 0, + 1 */
static void the_line_limit_holds_for_writing_and_reading(void **unused)
{
	AUTO(buf_fini) struct buf reason = BUF_INIT;
	struct limits tight = fixture_limits;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	struct err err = ERR_INIT;
	struct place place;
	struct event event;
	struct log *log = NULL;
	struct log_torn torn;
	size_t frame;

	(void)unused;
	place_make(&place, 1);
	assert_int_equal(log_open(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
				  NULL, NULL, &log, &torn, &err),
			 ERR_OK);
	event_init(&event, EVENT_STEP_LOST);
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("a"));
	event_put_text(&event, EVENT_FIELD_REASON, STR(""));
	assert_int_equal(log_add(log, &event, &err), ERR_OK);
	frame = log_pending(log).len - 1;
	for (int over = -1; over <= 1; over++) {
		buf_clear(&reason);
		for (size_t i = 0; i < fixture_limits.line_bytes - frame + (size_t)(over + 1) - 1;
		     i++)
			buf_byte(&reason, 'r');
		event_put_text(&event, EVENT_FIELD_REASON, buf_view(&reason));
		assert_int_equal(log_add(log, &event, &err), over > 0 ? ERR_LIMIT : ERR_OK);
	}
	assert_int_equal(event.seq, 4); /* of the last one that was added */
	assert_int_equal(log_commit(log, true, &err), ERR_OK);
	log_close(log);
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, LOG_END_WHOLE);
	assert_int_equal(reading.head.seq, 4);
	tight.line_bytes--;
	seen = (struct fixture_seen){0};
	assert_int_equal(
	    log_read(&vfs_os, place.dir.fd, &tight, 0, fixture_visit, &seen, &reading, &err),
	    ERR_OK);
	assert_int_equal(reading.end, LOG_END_DAMAGED);
	assert_int_equal(reading.head.seq, 3);
	place_drop(&place);
}

/* D31: only a plain file with one name is a log. */
static void links_pipes_and_directories_are_no_logs(void **unused)
{
	struct place place;
	struct log_torn torn;
	struct fixture_seen seen = {0};
	struct log_reading reading;
	char path[512];

	(void)unused;
	place_make(&place, 3);
	(void)snprintf(path, sizeof(path), "%s/real", place.dir.path);
	temp_dir_write(&place.dir, "real", place.whole.ptr, place.whole.len);
	for (int kind = 0; kind < 4; kind++) {
		assert_int_equal(unlinkat(place.dir.fd, LOG_FILE, 0), 0);
		switch (kind) {
		case 0:
			assert_int_equal(symlinkat("real", place.dir.fd, LOG_FILE), 0);
			break;
		case 1:
			assert_int_equal(mkfifoat(place.dir.fd, LOG_FILE, 0600), 0);
			break;
		case 2:
			assert_int_equal(linkat(place.dir.fd, "real", place.dir.fd, LOG_FILE, 0),
					 0);
			break;
		default:
			assert_int_equal(mkdirat(place.dir.fd, LOG_FILE, 0700), 0);
		}
		assert_int_equal(fixture_open(&place.dir, &torn), ERR_CORRUPT);
		if (kind != 2) /* a copy by links may be read */
			assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_CORRUPT);
	}
	place_drop(&place);
}

/* S11.2, D31: somebody else touched the file between two appends. */
static void a_log_that_was_touched_is_not_written_to(void **unused)
{
	for (int kind = 0; kind < 6; kind++) {
		struct err err = ERR_INIT;
		struct log *log = NULL;
		struct log_torn torn;
		struct event event;
		struct place place;
		int fd;

		(void)unused;
		place_make(&place, 3);
		assert_int_equal(log_open(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits,
					  NULL, NULL, NULL, &log, &torn, &err),
				 ERR_OK);
		switch (kind) {
		case 0: /* replaced */
			temp_dir_write(&place.dir, "other", place.whole.ptr, place.whole.len);
			assert_int_equal(renameat(place.dir.fd, "other", place.dir.fd, LOG_FILE),
					 0);
			break;
		case 1: /* linked */
			assert_int_equal(linkat(place.dir.fd, LOG_FILE, place.dir.fd, "other", 0),
					 0);
			break;
		case 2: /* written to */
			fd = openat(place.dir.fd, LOG_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
			assert_int_equal(write(fd, "x", 1), 1);
			(void)close(fd);
			break;
		case 3: /* moved aside, and a copy has its name */
		case 4: /* moved aside */
			assert_int_equal(renameat(place.dir.fd, LOG_FILE, place.dir.fd, "aside"),
					 0);
			if (kind == 3)
				temp_dir_write(&place.dir, LOG_FILE, place.whole.ptr,
					       place.whole.len);
			break;
		default: /* removed */
			assert_int_equal(unlinkat(place.dir.fd, LOG_FILE, 0), 0);
		}
		fixture_event(&event, 2);
		assert_int_equal(log_add(log, &event, &err), ERR_OK);
		assert_int_equal(log_commit(log, true, &err), ERR_CORRUPT);
		assert_int_equal(log_head(log)->seq, 3);
		assert_int_equal(log_add(log, &event, &err), ERR_CORRUPT);
		assert_int_equal(log_commit(log, true, &err), ERR_CORRUPT);
		log_close(log);
		place_drop(&place);
	}
}

static void what_a_visitor_answers_decides(void **unused)
{
	struct fixture_seen seen = {.refuse_at = 3, .refuse_code = ERR_CORRUPT};
	struct log_reading reading;
	struct place place;

	(void)unused;
	place_make(&place, 6);
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_OK);
	assert_int_equal(reading.end, LOG_END_DAMAGED);
	assert_int_equal(reading.head.seq, 2);
	seen = (struct fixture_seen){.refuse_at = 3, .refuse_code = ERR_MEMORY};
	assert_int_equal(fixture_read(&place.dir, &seen, &reading), ERR_MEMORY);
	place_drop(&place);
}

/* S11.6 */
static void a_bounded_reading_stops_at_the_bound(void **unused)
{
	struct fixture_seen seen = {0};
	struct err err = ERR_INIT;
	struct log_reading reading;
	struct place place;

	(void)unused;
	place_make(&place, 6);
	assert_int_equal(log_read(&vfs_os, place.dir.fd, &fixture_limits, line_end(&place.whole, 4),
				  fixture_visit, &seen, &reading, &err),
			 ERR_OK);
	assert_int_equal(reading.end, LOG_END_WHOLE);
	assert_int_equal(seen.lines, 4);
	place_drop(&place);
}

static void misuse_is_refused_before_anything_is_added(void **unused)
{
	struct err err = ERR_INIT;
	struct place place;
	struct event event;
	struct log *log = NULL;
	struct log_torn torn;

	(void)unused;
	place_make(&place, 2);
	assert_int_equal(log_open(&vfs_os, place.dir.fd, STR("another"), &fixture_limits, NULL,
				  NULL, NULL, &log, &torn, &err),
			 ERR_CORRUPT);
	assert_int_equal(log_open(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
				  NULL, NULL, &log, &torn, &err),
			 ERR_OK);
	fixture_created(&event);
	assert_int_equal(log_add(log, &event, &err), ERR_USAGE);
	event_init(&event, EVENT_STEP_STARTED);
	assert_int_equal(log_add(log, &event, &err), ERR_USAGE); /* lacks step_id */
	event_init(&event, EVENT_UNKNOWN);
	assert_int_equal(log_add(log, &event, &err), ERR_USAGE);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const raws[] = {"{\"a\":\n1}", "{\"a\":1} ", "null", "{"};

		fixture_event(&event, 1);
		event.field[EVENT_FIELD_OUTPUTS].text = str_of(raws[i]);
		assert_int_equal(log_add(log, &event, &err), ERR_USAGE);
		assert_int_equal(event.seq, 0);
	}
	assert_int_equal(log_pending(log).len, 0);
	assert_int_equal(log_commit(log, true, &err), ERR_OK);
	assert_int_equal(log_head(log)->seq, 2);
	log_close(log);
	assert_int_equal(log_create(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits,
				    &event, &log, &err),
			 ERR_EXISTS);
	place_drop(&place);
}

static void followers_get_the_lines_of_a_batch(void **unused)
{
	struct err err = ERR_INIT;
	struct place place;
	struct event event;
	struct log *log = NULL;
	struct log_torn torn;
	struct str lines;

	(void)unused;
	place_make(&place, 2);
	assert_int_equal(log_open(&vfs_os, place.dir.fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
				  NULL, NULL, &log, &torn, &err),
			 ERR_OK);
	fixture_event(&event, 1);
	assert_int_equal(log_add(log, &event, &err), ERR_OK);
	lines = log_pending(log);
	assert_int_equal(lines.ptr[lines.len - 1], '\n');
	assert_int_equal(log_commit(log, false, &err), ERR_OK);
	assert_true(str_starts(lines, "{\"event_id\":\"evt_3\"")); /* still there */
	assert_int_equal(log_pending(log).len, 0);
	assert_int_equal(log_sync(log, &err), ERR_OK);
	assert_int_equal(log_head(log)->offset_bytes, place.whole.len + lines.len);
	log_close(log);
	place_drop(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_written_is_read_back),
	    cmocka_unit_test(a_line_has_the_documented_bytes),
	    cmocka_unit_test(every_whole_prefix_is_a_log_to_go_on_with),
	    cmocka_unit_test(every_torn_end_is_cut_off_and_kept_aside),
	    cmocka_unit_test(any_bytes_without_a_newline_are_a_torn_end),
	    cmocka_unit_test(evidence_of_another_tear_stays),
	    cmocka_unit_test(every_flipped_bit_is_found),
	    cmocka_unit_test(lines_deleted_swapped_or_twice_are_found),
	    cmocka_unit_test(two_logs_cannot_be_spliced),
	    cmocka_unit_test(a_chained_line_must_still_be_a_good_one),
	    cmocka_unit_test(members_may_come_in_any_order),
	    cmocka_unit_test(stamps_that_are_no_times_are_refused),
	    cmocka_unit_test(a_byte_order_mark_or_crlf_is_damage),
	    cmocka_unit_test(the_first_line_must_be_run_created),
	    cmocka_unit_test(events_of_a_newer_version_are_shown_and_not_written_behind),
	    cmocka_unit_test(a_newer_format_is_shown_and_not_written_behind),
	    cmocka_unit_test(events_of_users_pass),
	    cmocka_unit_test(the_line_limit_holds_for_writing_and_reading),
	    cmocka_unit_test(links_pipes_and_directories_are_no_logs),
	    cmocka_unit_test(a_log_that_was_touched_is_not_written_to),
	    cmocka_unit_test(what_a_visitor_answers_decides),
	    cmocka_unit_test(a_bounded_reading_stops_at_the_bound),
	    cmocka_unit_test(misuse_is_refused_before_anything_is_added),
	    cmocka_unit_test(followers_get_the_lines_of_a_batch),
	};

	return cmocka_run_group_tests(tests, fixture_init, NULL);
}
