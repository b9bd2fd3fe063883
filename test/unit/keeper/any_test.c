/* any_test.c - whatever arrives: a keeper's machine with a driver that does anything, a client
 * whose link fails anywhere, and no memory at any moment. An attempt is spawned once (S8.2) and has
 * one terminal report, and what is told is an error or nothing. */
#include "support/unit.h"

#include "base/hash.h"
#include "base/mem.h"
#include "keeper/bytes.h"
#include "keeper/client.h"
#include "keeper/machine.h"
#include "keeper/mask.h"
#include "keeper/token_table.h"
#include "keeper/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATHS 6
#define S     INT64_C(1000000000)

static const char *const paths[PATHS] = {"a", "b", "c", "d", "e/f", "g"};

static uint64_t below(uint64_t *random, uint64_t bound)
{
	return random_next(random) % bound;
}

static struct exec_token token_any(uint64_t *random)
{
	return (struct exec_token){
	    .path = str_of(paths[below(random, PATHS)]),
	    .role = below(random, 2) ? EXEC_ROLE_RUN : EXEC_ROLE_COMP,
	    .attempt = (uint32_t)below(random, 2),
	};
}

/* ---------------------------------------------------------------------------------- the machine */

#define ATTEMPTS (PATHS * 4)

struct driver {
	struct machine *machine;
	uint64_t random;
	int64_t now_ns;
	uint32_t conns;
	unsigned spawned[ATTEMPTS];
	unsigned refused[ATTEMPTS];
	bool is_orderly; /* answers what it is asked */
};

static void answer(struct driver *driver, const struct machine_output *output,
		   struct machine_input *ret_input)
{
	uint64_t *random = &driver->random;

	*ret_input = (struct machine_input){.attempt = output->attempt, .now_ns = driver->now_ns};
	switch (output->kind) {
	case MACHINE_OUT_ARM:
		ret_input->kind = MACHINE_IN_ARMED;
		ret_input->errno_value = below(random, 6) ? 0 : ENOSPC;
		break;
	case MACHINE_OUT_SPAWN:
		driver->spawned[output->attempt]++;
		ret_input->kind = MACHINE_IN_SPAWNED;
		ret_input->errno_value = below(random, 6) ? 0 : ENOENT;
		ret_input->pid = 100;
		break;
	case MACHINE_OUT_TREE:
		ret_input->kind = MACHINE_IN_TREE;
		ret_input->is_left = below(random, 3) == 0;
		break;
	case MACHINE_OUT_LOOK:
		ret_input->kind = MACHINE_IN_SIZE;
		ret_input->size_bytes = below(random, 64);
		break;
	case MACHINE_OUT_RECORD:
		ret_input->kind = MACHINE_IN_WRITTEN;
		ret_input->errno_value = below(random, 3) ? 0 : below(random, 2) ? EFBIG : ENOSPC;
		break;
	case MACHINE_OUT_REPORT:
		assert_true(output->report.token.path.len);
		ret_input->kind = MACHINE_IN_TICK;
		break;
	case MACHINE_OUT_SIGNAL:
	case MACHINE_OUT_CLOSE:
	case MACHINE_OUT_NO:
	case MACHINE_OUT_HELLO:
	case MACHINE_OUT_NOTE:
	case MACHINE_OUT_FORGET:
		ret_input->kind = MACHINE_IN_TICK;
		break;
	}
}

static enum err_code take(struct driver *driver, struct machine_input input)
{
	struct err err = ERR_INIT;
	struct machine_output output;
	struct machine_input answers[16];
	size_t count = 0;
	enum err_code code;

	input.now_ns = driver->now_ns;
	code = machine_take(driver->machine, &input, &err);
	assert_true(code == ERR_OK || code == ERR_CONFLICT || code == ERR_MEMORY);
	while (machine_next(driver->machine, &output)) {
		struct machine_input one;

		answer(driver, &output, &one);
		if (one.kind != MACHINE_IN_TICK && count < ARRAY_LEN(answers) &&
		    (driver->is_orderly || below(&driver->random, 4)))
			answers[count++] = one;
	}
	for (size_t i = 0; i < count; i++)
		(void)take(driver, answers[i]);
	return code;
}

static void take_frame(struct driver *driver)
{
	uint64_t *random = &driver->random;
	struct wire_frame frame = {
	    .type = (enum wire_type)(1 + below(random, 7)),
	    .version = (uint32_t)below(random, WIRE_VERSION + 2),
	    .epoch = below(random, 4),
	    .token = token_any(random),
	    .now = below(random, 2),
	};

	if (below(random, 3))
		frame.type = below(random, 3) ? WIRE_START : WIRE_CANCEL;
	frame.start = (struct exec_start){
	    .token = token_any(random),
	    .log = "x",
	    .cwd = "/",
	    .timeout_ns = below(random, 2) ? S : 0,
	    .silence_ns = (int64_t)below(random, 4) * S / 10,
	    .grace_ns = (int64_t)below(random, 3) * 4 * S,
	    .output_limit_bytes = below(random, 3) * 32,
	};
	(void)take(driver, (struct machine_input){.kind = MACHINE_IN_FRAME,
						  .conn = (uint32_t)below(random, 3) + 1,
						  .frame = &frame});
}

static void take_any(struct driver *driver)
{
	static const enum machine_input_kind kinds[] = {
	    MACHINE_IN_OPENED, MACHINE_IN_CLOSED,  MACHINE_IN_ARMED, MACHINE_IN_SPAWNED,
	    MACHINE_IN_EXITED, MACHINE_IN_EXITED,  MACHINE_IN_TREE,  MACHINE_IN_SIZE,
	    MACHINE_IN_SIZE,   MACHINE_IN_WRITTEN, MACHINE_IN_TICK,  MACHINE_IN_TICK,
	};
	uint64_t *random = &driver->random;
	struct machine_input input = {
	    .kind = kinds[below(random, ARRAY_LEN(kinds))],
	    .conn = (uint32_t)below(random, 3) + 1,
	    .errno_value = below(random, 3) ? 0 : EFBIG,
	    .pid = 7,
	    .is_left = below(random, 2),
	    .is_oom = below(random, 2),
	    .size_bytes = below(random, 64),
	};

	if (below(random, 400) == 0)
		input.kind = MACHINE_IN_GONE;
	if (machine_count(driver->machine) == 0 && input.kind >= MACHINE_IN_ARMED)
		input.kind = MACHINE_IN_TICK;
	else if (machine_count(driver->machine))
		input.attempt = (uint32_t)below(random, machine_count(driver->machine));
	driver->now_ns += (int64_t)below(random, 40) * S / 4;
	(void)take(driver, input);
}

static void machine_drive(uint64_t seed, uint64_t fail_nth)
{
	struct driver driver = {.random = seed, .now_ns = S, .is_orderly = seed % 2};
	struct err err = ERR_INIT;
	struct record record = {.kind = RECORD_ARMED, .epoch = 2, .boot = 1};

	mem_fail_at(fail_nth, 0);
	if (machine_new(&driver.machine, &err) != ERR_OK) {
		mem_fail_at(0, 0);
		return;
	}
	record.token = token_any(&driver.random);
	if (seed % 4 == 0) {
		record.kind = seed % 8 ? RECORD_ARMED : RECORD_ENDED;
		record.pid = seed % 8 ? 0 : 9;
		(void)take(&driver,
			   (struct machine_input){.kind = MACHINE_IN_RECORD, .record = &record});
	}
	for (int i = 0; i < 300; i++) {
		if (below(&driver.random, 3))
			take_any(&driver);
		else
			take_frame(&driver);
	}
	mem_fail_at(0, 0);
	for (size_t i = 0; i < ATTEMPTS; i++)
		assert_true(driver.spawned[i] <= 1);
	assert_true(machine_live(driver.machine) <= machine_count(driver.machine));
	machine_free(driver.machine);
}

static void s8_2_whatever_the_driver_says_an_attempt_is_spawned_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 1500; seed++)
		machine_drive(seed, 0);
}

static void a_machine_without_memory_refuses_or_says_so(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 16; seed++) {
		for (uint64_t nth = 1; nth < 60; nth++)
			machine_drive(seed, nth);
	}
}

static void connections_have_a_limit(void **state)
{
	struct driver driver = {.now_ns = S, .is_orderly = true};
	struct err err = ERR_INIT;
	struct machine_output output;
	bool is_closed = false;

	(void)state;
	assert_ok(machine_new(&driver.machine, &err), &err);
	for (uint32_t id = 1; id <= 65; id++) {
		struct machine_input input = {.kind = MACHINE_IN_OPENED, .conn = id, .now_ns = S};

		assert_ok(machine_take(driver.machine, &input, &err), &err);
		while (machine_next(driver.machine, &output))
			is_closed = output.kind == MACHINE_OUT_CLOSE && output.conn == id;
		assert_true(is_closed == (id == 65));
	}
	machine_free(driver.machine);
}

static void states_and_events_of_the_keeper_have_names(void **state)
{
	(void)state;
	assert_string_equal(keeper_state_name(KEEPER_RUNNING), "RUNNING");
	assert_string_equal(keeper_state_name((enum keeper_state)99), "UNKNOWN");
	assert_string_equal(keeper_event_name(KEEPER_EVENT_CANCEL), "CANCEL");
	assert_string_equal(keeper_event_name((enum keeper_event)99), "UNKNOWN");
}

/* ----------------------------------------------------------------------------------- the client */

/* A link on which anything may come and anything may fail. */
struct wild {
	uint64_t random;
	int64_t now_ns;
	unsigned rare; /* one call in so many fails; 0 = none */
	bool is_free;  /* the lock */
	bool is_silent;
	struct buf out;
	struct exec_token left;
};

static enum err_code wild_may(struct wild *wild, struct err *err)
{
	if (wild->rare && below(&wild->random, wild->rare) == 0)
		return err_set(err, below(&wild->random, 2) ? ERR_IO : ERR_LOCKED, "it fails");
	return ERR_OK;
}

static enum err_code wild_take(void *self, bool *ret_taken, struct err *err)
{
	struct wild *wild = self;

	if (wild_may(wild, err) != ERR_OK)
		return err->code;
	if (below(&wild->random, 4) == 0)
		wild->is_free = !wild->is_free;
	*ret_taken = wild->is_free;
	return ERR_OK;
}

static void wild_release(void *self)
{
	(void)self;
}

static enum err_code wild_connect(void *self, bool *ret_connected, struct err *err)
{
	struct wild *wild = self;

	if (wild_may(wild, err) != ERR_OK)
		return err->code;
	buf_clear(&wild->out);
	*ret_connected = below(&wild->random, 4) != 0;
	return ERR_OK;
}

static enum err_code wild_start(void *self, struct err *err)
{
	buf_clear(&((struct wild *)self)->out);
	return wild_may(self, err);
}

static void wild_disconnect(void *self)
{
	buf_clear(&((struct wild *)self)->out);
}

static void wild_say(struct wild *wild)
{
	uint64_t *random = &wild->random;
	struct exec_report report = {
	    .kind = (enum exec_report_kind)below(random, EXEC_REFUSED + 1),
	    .token = token_any(random),
	    .pid = 5,
	};

	switch (below(random, 40)) {
	case 0:
		wire_hello(&wild->out, WIRE_VERSION, 1); /* it is no engine */
		break;
	case 1:
		wire_hello_no(&wild->out, (uint32_t)below(random, WIRE_VERSION + 2), 9);
		break;
	case 2:
		wire_hello_ok(&wild->out, (uint32_t)below(random, WIRE_VERSION + 2), 7, 0);
		break;
	case 3:
		buf_text(&wild->out, "something else than frames");
		break;
	case 4:
		buf_byte(&wild->out, '\0');
		break;
	case 5:
		wire_cancel(&wild->out, &report.token, true);
		break;
	default:
		wire_report(&wild->out, &report);
		wire_table_end(&wild->out);
	}
}

static ssize_t wild_send(void *self, const void *bytes, size_t len)
{
	struct wild *wild = self;

	(void)bytes;
	if (wild->rare && below(&wild->random, wild->rare) == 0)
		return -1;
	if (!wild->is_silent)
		wild_say(wild);
	return (ssize_t)(below(&wild->random, 3) ? len : below(&wild->random, len + 1));
}

static ssize_t wild_receive(void *self, void *bytes, size_t len)
{
	struct wild *wild = self;

	if (!wild->out.len)
		return wild->rare && below(&wild->random, wild->rare) == 0 ? -1 : 0;
	if (len > wild->out.len)
		len = wild->out.len;
	memcpy(bytes, wild->out.ptr, len);
	memmove(wild->out.ptr, wild->out.ptr + len, wild->out.len - len);
	buf_cut(&wild->out, wild->out.len - len);
	return (ssize_t)len;
}

static enum err_code wild_watch(void *self, bool writes, struct err *err)
{
	(void)writes;
	return wild_may(self, err);
}

static void wild_wake(void *self, bool on)
{
	(void)self;
	(void)on;
}

static void wild_wait(void *self, int64_t timeout_ns)
{
	struct wild *wild = self;

	wild->now_ns += 40 * timeout_ns;
}

static int64_t wild_now(void *self)
{
	return ((struct wild *)self)->now_ns;
}

static uint32_t wild_boot(void *self)
{
	(void)self;
	return 1;
}

static enum err_code wild_read_log(void *self, struct buf *out, struct err *err)
{
	struct wild *wild = self;
	uint64_t *random = &wild->random;

	if (wild_may(wild, err) != ERR_OK)
		return err->code;
	for (uint64_t i = below(random, 6); i > 0; i--) {
		unsigned char bytes[RECORD_BYTES];
		struct record record = {
		    .kind = (enum record_kind)(RECORD_ARMED + below(random, 3)),
		    .token = token_any(random),
		    .boot = 1,
		    .slot = below(random, 2) ? RECORD_NO_SLOT : 3,
		};

		record_encode(&record, bytes);
		if (below(random, 30) == 0)
			bytes[40] ^= 1;
		buf_put(out, bytes, sizeof(bytes));
	}
	return ERR_OK;
}

static enum err_code wild_sweep(void *self, const char *wanted, const struct record *spawned,
				size_t count, keeper_left_fn *visit, void *arg, struct err *err)
{
	struct wild *wild = self;
	char text[TOKEN_TEXT_BYTES];

	(void)wanted;
	(void)spawned;
	(void)count;
	for (int i = 0; i < 4 && below(&wild->random, 2); i++) {
		struct exec_token token = token_any(&wild->random);

		token_text(STR("m"), &token, text);
		visit(arg, str_of(text), 42);
	}
	return wild_may(wild, err);
}

static int wild_fd(void *self)
{
	(void)self;
	return -1;
}

static void wild_close(void *self)
{
	buf_fini(&((struct wild *)self)->out);
}

static const struct keeper_link_ops wild_ops = {
    .name = "wild",
    .take = wild_take,
    .release = wild_release,
    .start = wild_start,
    .connect = wild_connect,
    .disconnect = wild_disconnect,
    .send = wild_send,
    .receive = wild_receive,
    .watch = wild_watch,
    .wake = wild_wake,
    .wait = wild_wait,
    .now = wild_now,
    .boot = wild_boot,
    .read_log = wild_read_log,
    .sweep = wild_sweep,
    .fd = wild_fd,
    .close = wild_close,
};

static char word[] = "true";
static char *argv[] = {word, NULL};
static char *envp[] = {NULL};

/* Longer than any path of a step. */
static char long_text[RECORD_PATH_BYTES + 2];

static struct exec_start start_any(uint64_t *random)
{
	struct exec_start start = {
	    .token = token_any(random), .argv = argv, .envp = envp, .cwd = "/", .log = "a.log"};

	if (below(random, 50) == 0)
		start.stdin_text = STR("x"); /* no older keeper can do it */
	if (below(random, 50) == 0)
		start.token.path = below(random, 2) ? STR("") : str_of(long_text);
	return start;
}

/* Takes what is reported: no more terminal reports than starts. */
static unsigned reports_take(struct keeper_client *client)
{
	struct exec_report report;
	unsigned ended = 0;

	while (client_next(client, &report)) {
		assert_true(report.token.path.len);
		ended += report.kind != EXEC_STARTED;
	}
	return ended;
}

static void client_drive(uint64_t seed, unsigned rare, uint64_t fail_nth)
{
	struct wild wild = {.random = seed, .rare = rare, .is_silent = seed % 16 == 0};
	struct keeper_link link = {&wild_ops, &wild};
	struct keeper_client *client = NULL;
	struct err err = ERR_INIT;
	unsigned started = 0, ended = 0;

	mem_fail_at(fail_nth, 0);
	if (client_new(link, STR("m"), 3, &client, &err) != ERR_OK) {
		mem_fail_at(0, 0);
		return;
	}
	if (seed % 3 == 0) {
		struct exec_token tokens[2] = {token_any(&wild.random), token_any(&wild.random)};
		bool same_boot[2] = {seed % 2, seed % 5 != 0};

		if (below(&wild.random, 20) == 0)
			tokens[1].path = seed % 2 ? STR("") : str_of(long_text);
		started += 2;
		(void)!client_recover(client, tokens, same_boot, 2, &err);
	}
	for (int i = 0; i < 40; i++) {
		struct exec_start start = start_any(&wild.random);
		struct exec_token token = token_any(&wild.random);

		err_reset(&err);
		switch (below(&wild.random, 4)) {
		case 0:
			started++;
			(void)!client_start(client, &start, &err);
			break;
		case 1:
			(void)!client_cancel(client, &token, below(&wild.random, 2), &err);
			break;
		default:
			(void)!client_pump(client, &err);
		}
		if (err.code != ERR_OK)
			assert_true(err.text[0]);
		if (below(&wild.random, 2))
			ended += reports_take(client);
	}
	mem_fail_at(0, 0);
	ended += reports_take(client);
	assert_true(ended <= started);
	client_free(client);
}

static void s8_3_whatever_the_link_does_a_token_ends_once(void **state)
{
	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	for (uint64_t seed = 1; seed <= 20000; seed++)
		client_drive(seed, seed % 4 ? 30 : 0, 0);
}

static void a_client_without_memory_says_so(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		for (uint64_t nth = 1; nth < 30; nth++)
			client_drive(seed, 0, nth);
	}
}

/* -------------------------------------------------------------------------- records and tokens */

static void a_record_that_says_what_none_can_is_none(void **state)
{
	static const struct {
		size_t at;
		unsigned char value;
	} wrong[] = {{4, 0},  {4, 9},  {5, 9},   {6, 0},  {6, 255},
		     {7, 99}, {85, 2}, {86, 99}, {0, 'x'}};
	unsigned char bytes[RECORD_BYTES];
	struct record record = {
	    .kind = RECORD_ARMED, .token = {.path = STR("a"), .role = EXEC_ROLE_COMP}, .boot = 1};

	(void)state;
	record_encode(&record, bytes);
	assert_true(record_decode(bytes, &record));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		unsigned char copy[RECORD_BYTES];

		record_encode(&record, copy);
		copy[wrong[i].at] = wrong[i].value;
		bytes_put32(copy + RECORD_BYTES - 4, crc32c(0, copy, RECORD_BYTES - 4));
		assert_false(record_decode(copy, &record));
	}
}

static void tokens_are_told_apart_by_all_they_have(void **state)
{
	static const char *const wrong[] = {
	    "",         "m",         "x/a/run/0", "mm/a/run/0",          "m/a/run/x",
	    "m/a/run/", "m/a/jog/0", "m//run/0",  "m/a/run/99999999999", "m/run/0",
	};
	struct token_table table = {.seed = 1};
	struct exec_token a = {.path = STR("a"), .role = EXEC_ROLE_RUN};
	struct exec_token b = {.path = STR("b"), .role = EXEC_ROLE_RUN};
	struct exec_token token;
	char text[TOKEN_TEXT_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	assert_true(token_eq(&a, &a));
	assert_false(token_eq(&a, &b));
	b = a;
	b.attempt = 1;
	assert_false(token_eq(&a, &b));
	b = a;
	b.role = EXEC_ROLE_COMP;
	assert_false(token_eq(&a, &b));
	token_text(STR("m"), &b, text);
	assert_true(token_parse(STR("m"), str_of(text), &token) && token_eq(&b, &token));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(token_parse(STR("m"), str_of(wrong[i]), &token));
	token_table_remove(&table, &a); /* of none */
	assert_ok(token_table_put(&table, &a, 1, &err), &err);
	assert_ok(token_table_put(&table, &a, 2, &err), &err); /* the same again */
	assert_int_equal(token_table_get(&table, &a), 2);
	token_table_remove(&table, &b); /* not there */
	assert_int_equal(token_table_get(&table, &a), 2);
	token_table_fini(&table);
}

static void a_table_of_many_tokens_loses_none(void **state)
{
	static char names[4000][8];
	struct token_table table = {.seed = 7};
	struct err err = ERR_INIT;

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
			struct exec_token token = {.role = EXEC_ROLE_RUN};

			(void)snprintf(names[i], sizeof(names[i]), "s%u", i);
			token.path = str_of(names[i]);
			assert_ok(token_table_put(&table, &token, i, &err), &err);
		}
		for (uint32_t i = round; i < ARRAY_LEN(names); i += 2) {
			struct exec_token token = {.path = str_of(names[i]), .role = EXEC_ROLE_RUN};

			token_table_remove(&table, &token);
			assert_int_equal(token_table_get(&table, &token), TOKEN_NONE);
		}
		for (uint32_t i = round + 1; i < ARRAY_LEN(names); i += 2) {
			struct exec_token token = {.path = str_of(names[i]), .role = EXEC_ROLE_RUN};

			assert_int_equal(token_table_get(&table, &token), i);
		}
	}
	for (uint64_t nth = 1; nth < 3; nth++) {
		struct token_table other = {.seed = 7};
		struct exec_token token = {.path = STR("a"), .role = EXEC_ROLE_RUN};

		mem_fail_at(nth, 0);
		assert_int_equal(token_table_put(&other, &token, 1, &err) == ERR_OK, nth > 1);
		mem_fail_at(0, 0);
		token_table_fini(&other);
	}
	token_table_fini(&table);
}

/* ------------------------------------------------------------------------------- mask and wire */

static void a_mask_without_memory_is_none_and_hides_nothing_less(void **state)
{
	static const char bytes[] = "Az09 ~\x01\0/\"{@[`\x7f\xff?>?>";
	struct str secrets[2] = {{bytes, sizeof(bytes) - 1}, STR("abc")};
	uint64_t nth = 0;

	(void)state;
	for (bool is_made = false; !is_made;) {
		struct mask *mask = NULL;
		struct err err = ERR_INIT;

		mem_fail_at(++nth, 0);
		is_made = mask_new(secrets, 2, &mask, &err) == ERR_OK && mem_calls() < nth;
		mem_fail_at(0, 0);
		if (!mask)
			assert_int_equal(err.code, ERR_MEMORY);
		mask_free(mask);
	}
	assert_true(nth > 10);
}

static void a_stream_that_finds_no_memory_is_a_failure_of_its_output(void **state)
{
	struct str secret = STR("a_long_secret");
	struct err err = ERR_INIT;
	unsigned told = 0;

	(void)state;
	for (uint64_t nth = 1; nth < 4; nth++) {
		AUTO(mask_drop) struct mask *mask = NULL;
		AUTO(buf_fini) struct buf out = BUF_INIT;
		bool is_short;

		assert_ok(mask_new(&secret, 1, &mask, &err), &err);
		mem_fail_at(nth, 1);
		mask_feed(mask, STR("text and a_long"), &out);
		mask_feed(mask, STR("_secret"), &out);
		mask_end(mask, &out);
		is_short = mem_calls() >= nth;
		mem_fail_at(0, 0);
		assert_int_equal(out.failed != ERR_OK, is_short);
		told += is_short;
	}
	assert_true(told >= 2);
}

/* --- frames --- */

static void each_thing_that_version_1_could_not_say_makes_it_version_2(void **state)
{
	static const struct exec_user user = {.uid = 1};
	static const struct resource_limit limit = {.value = 1};
	static const char *const hands[] = {"h"};
	struct exec_start plain = {.argv = argv, .envp = envp, .cwd = "/", .log = "a.log"};
	struct exec_start one;

	(void)state;
	assert_int_equal(wire_start_version(&plain), 1);
	one = plain;
	one.log_err = "b.log";
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.stdin_path = "in";
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.stdin_text = STR("");
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.user = &user;
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.limits = &limit;
	one.limits_count = 1;
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.hands = hands;
	one.hands_count = 1;
	assert_int_equal(wire_start_version(&one), 2);
	one = plain;
	one.allows_orphans = true;
	assert_int_equal(wire_start_version(&one), 2);
}

static void a_frame_that_finds_no_memory_is_not_broken(void **state)
{
	static const struct exec_user user = {.uid = 1};
	struct exec_start start = {.token = {.path = STR("a"), .role = EXEC_ROLE_RUN},
				   .argv = argv,
				   .envp = envp,
				   .cwd = "/",
				   .log = "a.log",
				   .log_err = "b.log",
				   .user = &user};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	unsigned told = 0;

	(void)state;
	wire_start(&out, &start);
	for (uint64_t nth = 1; nth < 6; nth++) {
		struct wire_frame frame;
		size_t used;
		enum wire_take taken;

		mem_fail_at(nth, 0);
		taken = wire_decode(buf_view(&out), &frame, &used);
		mem_fail_at(0, 0);
		assert_true(taken == WIRE_GOT || taken == WIRE_SHORT);
		told += taken == WIRE_SHORT;
		if (taken == WIRE_GOT)
			wire_frame_fini(&frame);
	}
	assert_int_equal(told, 3);
	client_free(NULL);
	mask_free(NULL);
	machine_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s8_2_whatever_the_driver_says_an_attempt_is_spawned_once),
	    cmocka_unit_test(a_machine_without_memory_refuses_or_says_so),
	    cmocka_unit_test(connections_have_a_limit),
	    cmocka_unit_test(states_and_events_of_the_keeper_have_names),
	    cmocka_unit_test(s8_3_whatever_the_link_does_a_token_ends_once),
	    cmocka_unit_test(a_client_without_memory_says_so),
	    cmocka_unit_test(a_record_that_says_what_none_can_is_none),
	    cmocka_unit_test(tokens_are_told_apart_by_all_they_have),
	    cmocka_unit_test(a_table_of_many_tokens_loses_none),
	    cmocka_unit_test(each_thing_that_version_1_could_not_say_makes_it_version_2),
	    cmocka_unit_test(a_frame_that_finds_no_memory_is_not_broken),
	    cmocka_unit_test(a_mask_without_memory_is_none_and_hides_nothing_less),
	    cmocka_unit_test(a_stream_that_finds_no_memory_is_a_failure_of_its_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
