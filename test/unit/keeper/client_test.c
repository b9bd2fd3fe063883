/* client_test.c - the engine's side of the protocol, against a keeper of another version. */
#include "base/mem.h"
#include "keeper/client.h"
#include "keeper/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* A keeper that holds the lock, speaks one version, and closes after HELLO_NO, as keepers do. */
struct old {
	uint32_t version;
	uint64_t epoch; /* of a newer engine; 0 = none */
	int64_t now_ns;
	bool is_connected;
	bool is_closing;
	bool is_brief;    /* its lock is free: it ends as soon as it was started */
	bool is_deaf;     /* its lock is held, and nobody connects to it */
	bool is_silent;   /* it never tells of `b` */
	bool has_lost;    /* it tells of `a`, lost, and only later of `b` */
	int64_t sweep_ns; /* that long somebody looks for what is left of it */
	unsigned connects;
	unsigned starts; /* START frames that were understood */
	uint32_t start_version;
	struct buf in;
	struct buf out;
	struct buf later; /* what goes out when somebody waits for it */
};

static enum err_code old_take(void *self, bool *ret_taken, struct err *err)
{
	const struct old *old = self;

	(void)err;
	*ret_taken = old->is_brief;
	return ERR_OK;
}

static void old_release(void *self)
{
	(void)self;
}

static enum err_code old_connect(void *self, bool *ret_connected, struct err *err)
{
	struct old *old = self;

	(void)err;
	*ret_connected = !old->is_deaf;
	if (old->is_deaf)
		return ERR_OK;
	old->is_connected = true;
	old->is_closing = false;
	old->connects++;
	buf_clear(&old->in);
	buf_clear(&old->out);
	return ERR_OK;
}

static enum err_code old_start(void *self, struct err *err)
{
	bool is_connected;

	return old_connect(self, &is_connected, err);
}

static void old_disconnect(void *self)
{
	struct old *old = self;

	old->is_connected = false;
}

static void old_tell(struct old *old)
{
	struct exec_report lost = {.kind = EXEC_LOST,
				   .token = {.path = STR("a"), .role = EXEC_ROLE_RUN}};
	struct exec_report started = {
	    .kind = EXEC_STARTED, .token = {.path = STR("b"), .role = EXEC_ROLE_RUN}, .pid = 5};

	wire_report(&old->out, &lost);
	wire_report(&old->later, &started);
	wire_table_end(&old->later);
}

static void old_hear(struct old *old, const struct wire_frame *frame)
{
	struct exec_report started = {.kind = EXEC_STARTED, .pid = 5};

	if (frame->type == WIRE_HELLO &&
	    (frame->version != old->version || frame->epoch < old->epoch)) {
		wire_hello_no(&old->out, old->version, old->epoch);
		old->is_closing = true;
	} else if (frame->type == WIRE_HELLO) {
		wire_hello_ok(&old->out, old->version, 7, 0);
		if (old->has_lost)
			old_tell(old);
		else
			wire_table_end(&old->out);
	} else if (frame->type == WIRE_START) {
		old->starts++;
		old->start_version = wire_start_version(&frame->start);
		started.token = frame->start.token;
		wire_report(&old->out, &started);
	}
}

static ssize_t old_send(void *self, const void *bytes, size_t len)
{
	struct old *old = self;
	size_t at = 0;

	if (!old->is_connected)
		return -1;
	if (old->is_brief)
		return -1;
	buf_put(&old->in, bytes, len);
	while (!old->is_closing) {
		struct wire_frame frame;
		size_t used;

		if (wire_decode(str_from(old->in.ptr + at, old->in.len - at), &frame, &used) !=
		    WIRE_GOT)
			break;
		old_hear(old, &frame);
		wire_frame_fini(&frame);
		at += used;
	}
	memmove(old->in.ptr, old->in.ptr + at, old->in.len - at);
	buf_cut(&old->in, old->in.len - at);
	return (ssize_t)len;
}

static ssize_t old_receive(void *self, void *bytes, size_t len)
{
	struct old *old = self;

	if (!old->out.len)
		return old->is_connected && !old->is_closing ? 0 : -1;
	if (len > old->out.len)
		len = old->out.len;
	memcpy(bytes, old->out.ptr, len);
	memmove(old->out.ptr, old->out.ptr + len, old->out.len - len);
	buf_cut(&old->out, old->out.len - len);
	return (ssize_t)len;
}

static enum err_code old_watch(void *self, bool writes, struct err *err)
{
	(void)self;
	(void)writes;
	(void)err;
	return ERR_OK;
}

static void old_wake(void *self, bool on)
{
	(void)self;
	(void)on;
}

static void old_wait(void *self, int64_t timeout_ns)
{
	struct old *old = self;

	old->now_ns += timeout_ns;
	if (old->is_silent)
		return;
	buf_str(&old->out, buf_view(&old->later));
	buf_clear(&old->later);
}

static int64_t old_now(void *self)
{
	struct old *old = self;

	return old->now_ns;
}

static uint32_t old_boot(void *self)
{
	(void)self;
	return 1;
}

static enum err_code old_read_log(void *self, struct buf *out, struct err *err)
{
	const struct old *old = self;

	(void)out;
	return old->is_brief ? ERR_OK : err_set(err, ERR_IO, "its lock was never free");
}

static enum err_code old_sweep(void *self, const char *token_text, const struct record *spawned,
			       size_t count, keeper_left_fn *visit, void *arg, struct err *err)
{
	struct old *old = self;

	(void)token_text;
	(void)spawned;
	(void)count;
	(void)visit;
	(void)arg;
	if (!old->has_lost)
		return err_set(err, ERR_IO, "nothing was lost");
	old->now_ns += old->sweep_ns;
	return ERR_OK;
}

static int old_fd(void *self)
{
	(void)self;
	return -1;
}

static void old_close(void *self)
{
	struct old *old = self;

	buf_fini(&old->in);
	buf_fini(&old->out);
	buf_fini(&old->later);
}

static const struct keeper_link_ops old_ops = {
    .name = "old",
    .take = old_take,
    .release = old_release,
    .start = old_start,
    .connect = old_connect,
    .disconnect = old_disconnect,
    .send = old_send,
    .receive = old_receive,
    .watch = old_watch,
    .wake = old_wake,
    .wait = old_wait,
    .now = old_now,
    .boot = old_boot,
    .read_log = old_read_log,
    .sweep = old_sweep,
    .fd = old_fd,
    .close = old_close,
};

static char word[] = "true";
static char *argv[] = {word, NULL};
static char *envp[] = {NULL};
static const struct exec_start plain = {
    .token = {.path = {"a", 1}, .role = EXEC_ROLE_RUN},
    .argv = argv,
    .envp = envp,
    .cwd = "/",
    .log = "a.0.log",
};

/* The next report, after whatever the client has to do for it. */
static enum exec_report_kind report_next(struct keeper_client *client)
{
	struct exec_report report;
	struct err err = ERR_INIT;

	for (int i = 0; i < 20; i++) {
		if (client_next(client, &report))
			return report.kind;
		assert_int_equal(client_pump(client, &err), ERR_OK);
	}
	fail_msg("no report came");
	return EXEC_LOST;
}

static struct keeper_client *client_make(struct old *old, uint64_t epoch)
{
	struct keeper_link link = {&old_ops, old};
	struct keeper_client *client = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(client_new(link, STR("m"), epoch, &client, &err), ERR_OK);
	return client;
}

/* S8.1: the keeper survives an upgrade of the engine, which goes on in its words. */
static void an_engine_goes_on_with_a_keeper_of_before_the_upgrade(void **state)
{
	struct old old = {.version = WIRE_VERSION_LEAST};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	/* What was sent in other words was not heard: it may be started. */
	assert_int_equal(report_next(client), EXEC_ABSENT);
	assert_int_equal(old.starts, 0);
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_STARTED);
	assert_int_equal(old.starts, 1);
	assert_int_equal(old.start_version, 1);
	client_free(client);
}

static void it_refuses_what_the_older_keeper_could_not_do(void **state)
{
	struct old old = {.version = WIRE_VERSION_LEAST};
	struct keeper_client *client = client_make(&old, 3);
	struct exec_start start = plain;
	struct err err = ERR_INIT;

	(void)state;
	start.stdin_text = STR("x");
	assert_int_equal(client_start(client, &start, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_ABSENT);
	assert_int_equal(client_start(client, &start, &err), ERR_NEWER);
	assert_non_null(strstr(err.text, "older version"));
	assert_int_equal(old.starts, 0);
	client_free(client);
}

static void a_keeper_of_a_version_that_nobody_knows_is_an_error(void **state)
{
	struct old old = {.version = WIRE_VERSION + 1};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	assert_int_equal(client_pump(client, &err), ERR_NEWER);
	client_free(client);
}

static void a_keeper_of_a_newer_engine_is_left_alone(void **state)
{
	struct old old = {.version = WIRE_VERSION_LEAST, .epoch = 9};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	/* Its version is heard first, then, in that version, its epoch. */
	for (int i = 0; i < 5 && err.code == ERR_OK; i++)
		(void)(client_pump(client, &err) == ERR_OK);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(old.starts, 0);
	client_free(client);
}

/* D20, D22: it ends before it says anything, and so does the next. One that reports is not held to
 * account for those before it. */
static void a_keeper_that_never_answers_is_given_up(void **state)
{
	struct old old = {.version = WIRE_VERSION, .is_brief = true};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(client_start(client, &plain, &err), ERR_OK);
		assert_int_equal(report_next(client), EXEC_ABSENT);
		assert_int_equal(old.connects, i);
	}
	old.is_brief = false;
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_STARTED);
	old.is_brief = true;
	for (old.connects = 0; old.connects < 100;) {
		if (client_start(client, &plain, &err) != ERR_OK)
			break;
		(void)report_next(client);
	}
	assert_int_equal(err.code, ERR_GONE);
	assert_in_range(old.connects, 4, 20);
	client_free(client);
}

/* S8.1: its lock says that it lives. */
static void a_keeper_that_cannot_be_reached_is_given_up(void **state)
{
	struct old old = {.version = WIRE_VERSION, .is_deaf = true};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(client_start(client, &plain, &err), ERR_GONE);
	assert_non_null(strstr(err.text, "does not answer"));
	assert_in_range(old.now_ns, CLIENT_PATIENCE_NS, 2 * CLIENT_PATIENCE_NS);
	client_free(client);
}

static void a_keeper_that_came_up_before_the_first_start_is_the_one_that_hears_it(void **state)
{
	struct old old = {.version = WIRE_VERSION};
	struct keeper_client *client = client_make(&old, 3);
	struct exec_report report;
	struct err err = ERR_INIT;

	(void)state;
	client_warm_up(client);
	assert_int_equal(client_pump(client, &err), ERR_OK);
	assert_false(client_next(client, &report));
	client_warm_up(client);
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_STARTED);
	assert_int_equal(old.connects, 1);
	assert_int_equal(old.starts, 1);
	client_free(client);
}

/* D20: what went wrong before there was a command is no one's failure: each start asks again, as
 * often as without it. */
static void a_keeper_that_did_not_come_up_is_asked_for_again(void **state)
{
	struct old old = {.version = WIRE_VERSION, .is_brief = true};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 1; i <= 10; i++) {
		client_warm_up(client);
		assert_int_equal(client_pump(client, &err), ERR_OK);
		assert_int_equal(old.connects, i);
	}
	old.is_brief = false;
	assert_int_equal(client_start(client, &plain, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_STARTED);
	client_free(client);
}

/* After `a`, which an earlier keeper lost, and `b`. */
static enum err_code recover_both(struct keeper_client *client, struct err *err)
{
	const struct exec_token tokens[] = {{.path = STR("a"), .role = EXEC_ROLE_RUN},
					    {.path = STR("b"), .role = EXEC_ROLE_RUN}};
	const bool same_boot[] = {true, true};

	return client_recover(client, tokens, same_boot, 2, err);
}

/* S8.3: to end what is left of a lost command takes an engine as long as it is patient with a
 * keeper. */
static void what_an_engine_does_about_a_lost_command_is_no_silence_of_the_keeper(void **state)
{
	struct old old = {
	    .version = WIRE_VERSION, .has_lost = true, .sweep_ns = CLIENT_PATIENCE_NS};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(recover_both(client, &err), ERR_OK);
	assert_int_equal(report_next(client), EXEC_LOST);
	assert_int_equal(report_next(client), EXEC_STARTED);
	assert_in_range(old.now_ns, CLIENT_PATIENCE_NS, 2 * CLIENT_PATIENCE_NS);
	client_free(client);
}

/* A keeper that says nothing more is given up nevertheless. */
static void a_keeper_that_is_silent_behind_a_lost_command_is_given_up(void **state)
{
	struct old old = {.version = WIRE_VERSION,
			  .has_lost = true,
			  .sweep_ns = CLIENT_PATIENCE_NS,
			  .is_silent = true};
	struct keeper_client *client = client_make(&old, 3);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(recover_both(client, &err), ERR_GONE);
	client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_engine_goes_on_with_a_keeper_of_before_the_upgrade),
	    cmocka_unit_test(it_refuses_what_the_older_keeper_could_not_do),
	    cmocka_unit_test(a_keeper_of_a_version_that_nobody_knows_is_an_error),
	    cmocka_unit_test(a_keeper_of_a_newer_engine_is_left_alone),
	    cmocka_unit_test(a_keeper_that_never_answers_is_given_up),
	    cmocka_unit_test(a_keeper_that_cannot_be_reached_is_given_up),
	    cmocka_unit_test(a_keeper_that_came_up_before_the_first_start_is_the_one_that_hears_it),
	    cmocka_unit_test(a_keeper_that_did_not_come_up_is_asked_for_again),
	    cmocka_unit_test(what_an_engine_does_about_a_lost_command_is_no_silence_of_the_keeper),
	    cmocka_unit_test(a_keeper_that_is_silent_behind_a_lost_command_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
