/* wire_test.c - frames there and back, cut and mutated. */
#include "keeper/wire.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void start_put(struct buf *out)
{
	char *argv[] = {text("sh"), text("-c"), text(""), NULL};
	char *envp[] = {text("A=1"), text("B="), NULL};
	struct str masks[] = {{"a\0b", 3}, STR("secret")};
	struct exec_start start = {
	    .token = {.path = STR("load"), .role = EXEC_ROLE_RUN, .attempt = 7},
	    .argv = argv,
	    .envp = envp,
	    .cwd = "/tmp",
	    .log = "load.7.log",
	    .timeout_ns = 1,
	    .silence_ns = 2,
	    .grace_ns = 3,
	    .output_limit_bytes = UINT64_MAX,
	    .masks = masks,
	    .masks_count = 2,
	};
	size_t before = out->len;

	wire_start(out, &start);
	assert_int_equal(out->len - before, wire_start_bytes(&start));
}

static void report_put(struct buf *out)
{
	struct exec_report report = {
	    .kind = EXEC_ENDED,
	    .token = {.path = STR("load"), .role = EXEC_ROLE_COMP, .attempt = 7},
	    .end = EXEC_END_SIGNALLED,
	    .cause = EXEC_CAUSE_SILENCE,
	    .signal = 9,
	    .core = true,
	    .duration_ns = INT64_MAX,
	    .pid = 5,
	};

	wire_report(out, &report);
}

static void all_put(struct buf *out)
{
	struct exec_token token = {.path = STR("load"), .role = EXEC_ROLE_RUN, .attempt = 1};

	wire_hello(out, WIRE_VERSION, 42);
	wire_hello_ok(out, WIRE_VERSION, 43, 44);
	wire_hello_no(out, WIRE_VERSION, 45);
	start_put(out);
	wire_cancel(out, &token, true);
	report_put(out);
	wire_table_end(out);
}

static void every_frame_comes_back_as_it_was(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frames[7];
	size_t at = 0;

	(void)state;
	all_put(&out);
	for (size_t i = 0; i < 7; i++) {
		size_t used = 0;

		assert_int_equal(
		    wire_decode(str_from(out.ptr + at, out.len - at), &frames[i], &used), WIRE_GOT);
		assert_int_equal(frames[i].type, i + 1);
		at += used;
	}
	assert_int_equal(at, out.len);
	assert_int_equal(frames[0].epoch, 42);
	assert_int_equal(frames[1].pid, 43);
	assert_int_equal(frames[1].count, 44);
	assert_int_equal(frames[2].epoch, 45);
	assert_string_equal(frames[3].start.argv[1], "-c");
	assert_string_equal(frames[3].start.argv[2], "");
	assert_null(frames[3].start.argv[3]);
	assert_string_equal(frames[3].start.envp[1], "B=");
	assert_null(frames[3].start.envp[2]);
	assert_int_equal(frames[3].start.masks_count, 2);
	assert_int_equal(frames[3].start.masks[0].len, 3);
	assert_true(frames[3].start.output_limit_bytes == UINT64_MAX);
	assert_string_equal(frames[3].start.log, "load.7.log");
	assert_true(frames[4].now);
	assert_int_equal(frames[5].report.signal, 9);
	assert_true(frames[5].report.core);
	assert_int_equal(frames[5].report.cause, EXEC_CAUSE_SILENCE);
	for (size_t i = 0; i < 7; i++)
		wire_frame_fini(&frames[i]);
	buf_fini(&out);
}

static void rich_put(struct buf *out)
{
	static const uint32_t groups[] = {7, 8};
	static const struct resource_limit limits[] = {{RESOURCE_nofile, 64}, {RESOURCE_core, 0}};
	static const char *const hands[] = {"out/a.0.json", "artifacts/a.0"};
	static const struct exec_user user = {1000, 100, groups, 2};
	char *argv[] = {text("cat"), NULL};
	char *envp[] = {NULL};
	struct exec_start start = {
	    .token = {.path = STR("a"), .role = EXEC_ROLE_RUN},
	    .argv = argv,
	    .envp = envp,
	    .cwd = "/",
	    .log = "a.0.out",
	    .log_err = "a.0.err",
	    .stdin_path = "/in",
	    .stdin_text = str_from("x\0y", 3),
	    .user = &user,
	    .limits = limits,
	    .limits_count = 2,
	    .hands = hands,
	    .hands_count = 2,
	    .allows_orphans = true,
	};

	assert_int_equal(wire_start_version(&start), 2);
	wire_start(out, &start);
	assert_int_equal(wire_start_bytes(&start), out->len);
}

static void what_version_2_added_comes_back_as_it_was(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frame;
	size_t used;

	(void)state;
	rich_put(&out);
	assert_int_equal(wire_decode(buf_view(&out), &frame, &used), WIRE_GOT);
	assert_int_equal(used, out.len);
	assert_string_equal(frame.start.log_err, "a.0.err");
	assert_string_equal(frame.start.stdin_path, "/in");
	assert_int_equal(frame.start.stdin_text.len, 3);
	assert_int_equal(frame.start.user->uid, 1000);
	assert_int_equal(frame.start.user->gid, 100);
	assert_int_equal(frame.start.user->groups_count, 2);
	assert_int_equal(frame.start.user->groups[1], 8);
	assert_int_equal(frame.start.limits_count, 2);
	assert_int_equal(frame.start.limits[0].kind, RESOURCE_nofile);
	assert_int_equal(frame.start.limits[0].value, 64);
	assert_int_equal(frame.start.hands_count, 2);
	assert_string_equal(frame.start.hands[1], "artifacts/a.0");
	assert_true(frame.start.allows_orphans);
	wire_frame_fini(&frame);
	buf_fini(&out);
}

static void a_start_without_it_is_one_of_version_1(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frame;
	size_t used;

	(void)state;
	start_put(&out);
	assert_int_equal(wire_decode(buf_view(&out), &frame, &used), WIRE_GOT);
	assert_int_equal(wire_start_version(&frame.start), 1);
	assert_null(frame.start.user);
	assert_null(frame.start.stdin_text.ptr);
	wire_frame_fini(&frame);
	buf_fini(&out);
}

/* Every byte of it changed: a frame or none, and never a hand outside of the run. */
static void a_damaged_start_of_version_2_is_a_frame_or_none(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	rich_put(&out);
	for (size_t i = 5; i < out.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct wire_frame frame;
			size_t used;

			out.ptr[i] = (char)(out.ptr[i] ^ (1 << bit));
			if (wire_decode(buf_view(&out), &frame, &used) == WIRE_GOT) {
				for (size_t h = 0; h < frame.start.hands_count; h++)
					assert_true(frame.start.hands[h][0] != '/' &&
						    !strstr(frame.start.hands[h], "../"));
				wire_frame_fini(&frame);
			}
			out.ptr[i] = (char)(out.ptr[i] ^ (1 << bit));
		}
	}
	buf_fini(&out);
}

/* Whatever an engine of another mind may send: hands outside of the run, names that are none, a
 * file of its own without a user, something behind the end. */
static void a_start_that_asks_for_too_much_is_no_frame(void **state)
{
	static const struct exec_user user = {1000, 100, NULL, 0};
	static char long_name[300];
	static const struct {
		const char *hand;
		const char *log_err;
		bool has_user;
		const char *rest;
		enum wire_take taken;
	} rows[] = {
	    {"out/a", NULL, true, "", WIRE_GOT},   {"", NULL, true, "", WIRE_BROKEN},
	    {"/etc", NULL, true, "", WIRE_BROKEN}, {"a/", NULL, true, "", WIRE_BROKEN},
	    {"a//b", NULL, true, "", WIRE_BROKEN}, {"a/../b", NULL, true, "", WIRE_BROKEN},
	    {"a", NULL, false, "", WIRE_BROKEN},   {"a", "../b", true, "", WIRE_BROKEN},
	    {"a", "b.err", true, "", WIRE_GOT},    {"a", long_name, true, "", WIRE_BROKEN},
	    {"a", NULL, true, "x", WIRE_BROKEN},   {NULL, NULL, false, "x", WIRE_BROKEN},
	    {NULL, "b.err", false, "", WIRE_GOT},
	};

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT;
		char *argv[] = {text("x"), NULL};
		char *envp[] = {NULL};
		struct exec_start start = {.token = {.path = STR("a"), .role = EXEC_ROLE_RUN},
					   .argv = argv,
					   .envp = envp,
					   .cwd = "/",
					   .log = "a.log",
					   .log_err = rows[i].log_err,
					   .user = rows[i].has_user ? &user : NULL,
					   .hands = &rows[i].hand,
					   .hands_count = rows[i].hand != NULL};
		struct wire_frame frame = {.arrays = NULL};
		size_t used;
		size_t len;

		wire_start(&out, &start);
		buf_text(&out, rows[i].rest);
		len = out.len - 4;
		for (size_t byte = 0; byte < 4; byte++)
			out.ptr[byte] = (char)(len >> 8 * byte);
		assert_int_equal(wire_decode(buf_view(&out), &frame, &used), rows[i].taken);
		wire_frame_fini(&frame);
		buf_fini(&out);
	}
}

/* The last list cut short: nothing is left where its count should be. */
static void a_start_that_ends_in_a_list_is_no_frame(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frame = {.arrays = NULL};
	size_t used;

	(void)state;
	rich_put(&out);
	for (size_t len = out.len - 5; len > 1; len--) {
		for (size_t byte = 0; byte < 4; byte++)
			out.ptr[byte] = (char)(len >> 8 * byte);
		(void)wire_decode(str_from(out.ptr, len + 4), &frame, &used);
		wire_frame_fini(&frame);
		frame = (struct wire_frame){.arrays = NULL};
	}
	buf_fini(&out);
}

static void a_cut_frame_asks_for_more(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frame;
	size_t used;

	(void)state;
	start_put(&out);
	for (size_t cut = 0; cut < out.len; cut++)
		assert_int_equal(wire_decode(str_from(out.ptr, cut), &frame, &used), WIRE_MORE);
	buf_fini(&out);
}

static void a_log_name_that_leaves_its_folder_is_no_frame(void **state)
{
	static const char *const names[] = {"../x", "a/b", "", ".", ".."};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct buf out = BUF_INIT;
		char *argv[] = {text("x"), NULL};
		char *envp[] = {NULL};
		struct exec_start start = {.token = {.path = STR("a"), .role = EXEC_ROLE_RUN},
					   .argv = argv,
					   .envp = envp,
					   .cwd = "/",
					   .log = names[i]};
		struct wire_frame frame;
		size_t used;

		wire_start(&out, &start);
		assert_int_equal(wire_decode(buf_view(&out), &frame, &used), WIRE_BROKEN);
		buf_fini(&out);
	}
}

/* Any bytes: a frame, more, or broken; and whatever decodes can be used (run under ASan). */
static void mutated_frames_do_no_harm(void **state)
{
	struct buf out = BUF_INIT;
	unsigned got = 0;

	(void)state;
	all_put(&out);
	srand(1);
	for (int round = 0; round < 200000; round++) {
		size_t len = out.len;
		char *copy = malloc(len);
		size_t at = 0;

		memcpy(copy, out.ptr, len);
		for (int i = rand() % 4; i >= 0; i--)
			copy[(size_t)rand() % len] = (char)rand();
		for (;;) {
			struct wire_frame frame;
			size_t used;

			if (wire_decode(str_from(copy + at, len - at), &frame, &used) != WIRE_GOT)
				break;
			assert_true(used > 0 && used <= len - at);
			if (frame.type == WIRE_START) {
				for (size_t i = 0; frame.start.argv[i]; i++)
					got += (unsigned)strlen(frame.start.argv[i]);
				for (size_t i = 0; frame.start.envp[i]; i++)
					got += (unsigned)strlen(frame.start.envp[i]);
			}
			wire_frame_fini(&frame);
			at += used;
		}
		free(copy);
	}
	assert_true(got > 0);
	buf_fini(&out);
}

static void a_later_version_is_understood_as_one(void **state)
{
	struct buf out = BUF_INIT;
	struct wire_frame frame;
	size_t used;

	(void)state;
	wire_hello(&out, WIRE_VERSION + 1, 1);
	buf_put(&out, "more", 4);
	out.ptr[0] = (char)(out.len - 4); /* the frame of the future is longer */
	assert_int_equal(wire_decode(buf_view(&out), &frame, &used), WIRE_GOT);
	assert_int_equal(frame.version, WIRE_VERSION + 1);
	assert_int_equal(used, out.len);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_frame_comes_back_as_it_was),
	    cmocka_unit_test(what_version_2_added_comes_back_as_it_was),
	    cmocka_unit_test(a_start_without_it_is_one_of_version_1),
	    cmocka_unit_test(a_damaged_start_of_version_2_is_a_frame_or_none),
	    cmocka_unit_test(a_start_that_asks_for_too_much_is_no_frame),
	    cmocka_unit_test(a_start_that_ends_in_a_list_is_no_frame),
	    cmocka_unit_test(a_cut_frame_asks_for_more),
	    cmocka_unit_test(a_log_name_that_leaves_its_folder_is_no_frame),
	    cmocka_unit_test(mutated_frames_do_no_harm),
	    cmocka_unit_test(a_later_version_is_understood_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
