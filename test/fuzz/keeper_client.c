/* keeper_client.c - the engine's side of the keeper, with a keeper that says anything, breaks off
 * at any time, dies, and leaves any bytes as attempts.log.
 *
 * An input is a list of what happens. Judged is the contract of core/exec.h: reports are of tokens
 * that were handed over, a token has one terminal report at most, and none is forgotten for good.
 */
#include "base/mem.h"
#include "fuzz.h"
#include "keeper/client.h"
#include "keeper/wire.h"

#include <stdio.h>
#include <string.h>

#define TOKENS 4

/* The other end. */
struct keeper {
	struct bytes *bytes;
	struct buf out; /* what it has still to say */
	struct str log; /* attempts.log */
	bool is_dead;   /* its lock is free */
	bool is_connected;
	bool is_deaf; /* nobody listens */
	int64_t now_ns;
};

static enum err_code keeper_take(void *self, bool *ret_taken, struct err *err)
{
	struct keeper *keeper = self;

	(void)err;
	*ret_taken = keeper->is_dead;
	return ERR_OK;
}

static void keeper_release(void *self)
{
	(void)self;
}

static void greet(struct keeper *keeper)
{
	wire_hello_ok(&keeper->out, WIRE_VERSION, 7, 0);
	wire_table_end(&keeper->out);
}

static enum err_code keeper_start(void *self, struct err *err)
{
	struct keeper *keeper = self;

	(void)err;
	keeper->is_dead = false;
	keeper->is_connected = true;
	buf_clear(&keeper->out);
	greet(keeper);
	return ERR_OK;
}

static enum err_code keeper_connect(void *self, bool *ret_connected, struct err *err)
{
	struct keeper *keeper = self;

	(void)err;
	*ret_connected = keeper->is_connected = !keeper->is_deaf && !keeper->is_dead;
	buf_clear(&keeper->out);
	if (*ret_connected && byte_next(keeper->bytes) % 4 > 0)
		greet(keeper);
	return ERR_OK;
}

static void keeper_disconnect(void *self)
{
	((struct keeper *)self)->is_connected = false;
}

static ssize_t keeper_send(void *self, const void *bytes, size_t len)
{
	struct keeper *keeper = self;

	(void)bytes;
	return keeper->is_connected ? (ssize_t)len : -1;
}

static ssize_t keeper_receive(void *self, void *bytes, size_t len)
{
	struct keeper *keeper = self;

	if (!keeper->is_connected)
		return -1;
	len = len < keeper->out.len ? len : keeper->out.len;
	if (len == 0)
		return 0;
	memcpy(bytes, keeper->out.ptr, len);
	memmove(keeper->out.ptr, keeper->out.ptr + len, keeper->out.len - len);
	buf_cut(&keeper->out, keeper->out.len - len);
	return (ssize_t)len;
}

static enum err_code keeper_watch(void *self, bool writes, struct err *err)
{
	(void)self;
	(void)writes;
	(void)err;
	return ERR_OK;
}

static void keeper_wake(void *self, bool on)
{
	(void)self;
	(void)on;
}

static void keeper_wait(void *self, int64_t timeout_ns)
{
	struct keeper *keeper = self;

	keeper->now_ns += timeout_ns > 1000000 ? timeout_ns : 1000000;
}

static int64_t keeper_now(void *self)
{
	return ((struct keeper *)self)->now_ns;
}

static uint32_t keeper_boot(void *self)
{
	(void)self;
	return 1;
}

static enum err_code keeper_read_log(void *self, struct buf *out, struct err *err)
{
	buf_str(out, ((struct keeper *)self)->log);
	return buf_check(out, "attempts.log", err);
}

static enum err_code keeper_sweep(void *self, const char *token_text, const struct record *spawned,
				  size_t count, keeper_left_fn *visit, void *arg, struct err *err)
{
	struct keeper *keeper = self;

	(void)err;
	for (size_t i = 0; i < count; i++)
		BUG_IF(spawned[i].kind != RECORD_SPAWNED);
	if (token_text && byte_next(keeper->bytes) % 8 == 0)
		visit(arg, str_of(token_text), 77);
	return ERR_OK;
}

static int keeper_fd(void *self)
{
	(void)self;
	return -1;
}

static void keeper_close(void *self)
{
	buf_fini(&((struct keeper *)self)->out);
}

static const struct keeper_link_ops ops = {
    .name = "fuzz",
    .take = keeper_take,
    .release = keeper_release,
    .start = keeper_start,
    .connect = keeper_connect,
    .disconnect = keeper_disconnect,
    .send = keeper_send,
    .receive = keeper_receive,
    .watch = keeper_watch,
    .wake = keeper_wake,
    .wait = keeper_wait,
    .now = keeper_now,
    .boot = keeper_boot,
    .read_log = keeper_read_log,
    .sweep = keeper_sweep,
    .fd = keeper_fd,
    .close = keeper_close,
};

/* What is known of the tokens by who hands them over. */
enum token_state { TOKEN_UNKNOWN, TOKEN_OPEN, TOKEN_OVER };

struct world {
	struct keeper keeper;
	struct keeper_client *client;
	enum token_state tokens[TOKENS];
};

static struct exec_token token_of(size_t i)
{
	static const char *const paths[TOKENS] = {"a", "b", "per_region[17].load", "a"};

	return (struct exec_token){
	    .path = str_of(paths[i]), .role = EXEC_ROLE_RUN, .attempt = i == 3 ? 1 : 0};
}

static size_t index_of(const struct exec_token *token)
{
	for (size_t i = 0; i < TOKENS; i++) {
		struct exec_token one = token_of(i);

		if (str_eq(one.path, token->path) && one.role == token->role &&
		    one.attempt == token->attempt)
			return i;
	}
	return TOKENS;
}

static void reports_take(struct world *world)
{
	struct exec_report report;

	while (client_next(world->client, &report)) {
		size_t i = index_of(&report.token);

		BUG_IF(i == TOKENS || world->tokens[i] != TOKEN_OPEN);
		switch (report.kind) {
		case EXEC_STARTED:
			break;
		case EXEC_ENDED:
			BUG_IF(report.end == EXEC_END_RETURNED || report.duration_ns < 0);
			world->tokens[i] = TOKEN_OVER;
			break;
		case EXEC_LOST:
		case EXEC_LEFTOVERS:
		case EXEC_REFUSED:
			world->tokens[i] = TOKEN_OVER;
			break;
		case EXEC_ABSENT: /* to be started again */
			world->tokens[i] = TOKEN_UNKNOWN;
			break;
		}
	}
}

static bool start(struct world *world, size_t i)
{
	static char word[] = "true";
	static char *argv[] = {word, NULL};
	static char *envp[] = {NULL};
	struct exec_start ask = {.token = token_of(i), .argv = argv, .envp = envp, .cwd = "/"};
	struct err err = ERR_INIT;

	if (world->tokens[i] != TOKEN_UNKNOWN)
		return true;
	ask.log = "x.log";
	world->tokens[i] = TOKEN_OPEN;
	return client_start(world->client, &ask, &err) == ERR_OK;
}

static bool recover(struct world *world, uint8_t which)
{
	struct exec_token tokens[TOKENS];
	bool same_boot[TOKENS];
	struct err err = ERR_INIT;
	size_t count = 0;

	for (size_t i = 0; i < TOKENS; i++) {
		if (!(which >> i & 1))
			continue;
		tokens[count] = token_of(i);
		same_boot[count++] = which >> (i + 4) & 1;
		world->tokens[i] = TOKEN_OPEN;
	}
	return client_recover(world->client, tokens, same_boot, count, &err) == ERR_OK;
}

/* A frame that a keeper could send. */
static void say_report(struct world *world, uint8_t which)
{
	struct exec_report report = {
	    .kind = (enum exec_report_kind)(which / TOKENS % (EXEC_REFUSED + 1)),
	    .token = token_of(which % TOKENS),
	    .end = (enum exec_end)(which / 32 % 3),
	    .pid = 5,
	};

	wire_report(&world->keeper.out, &report);
}

static bool step(struct world *world, uint8_t what)
{
	struct bytes *bytes = world->keeper.bytes;
	struct err err = ERR_INIT;
	struct exec_token token;
	struct str said;

	switch (what % 8) {
	case 0:
		return start(world, what / 8 % TOKENS);
	case 1:
		token = token_of(what / 8 % TOKENS);
		return client_cancel(world->client, &token, what & 128, &err) == ERR_OK;
	case 2:
		say_report(world, byte_next(bytes));
		return true;
	case 3: /* any bytes */
		said = text_next(bytes, what / 8);
		buf_str(&world->keeper.out, said);
		return true;
	case 4:
		world->keeper.is_connected = false;
		world->keeper.is_dead = what & 8;
		world->keeper.is_deaf = what & 16 && what & 32;
		return true;
	case 5:
		greet(&world->keeper);
		return true;
	default:
		return client_pump(world->client, &err) == ERR_OK;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	size_t log_len = byte_next(&bytes) % 4 * (size_t)RECORD_BYTES;
	struct world world = {.keeper = {.bytes = &bytes, .now_ns = 1}};
	struct keeper_link link = {&ops, &world.keeper};
	struct err err = ERR_INIT;
	uint8_t first;
	bool is_fine;

	world.keeper.log = text_next(&bytes, log_len);
	first = byte_next(&bytes);
	world.keeper.is_dead = first & 1;
	BUG_IF(client_new(link, STR("m"), 3, &world.client, &err) != ERR_OK);
	is_fine = !(first & 2) || recover(&world, byte_next(&bytes));
	while (is_fine && bytes.left > 0) {
		reports_take(&world);
		is_fine = step(&world, byte_next(&bytes));
	}
	/* With a keeper that died, each open token has an answer soon. */
	world.keeper.is_connected = false;
	world.keeper.is_dead = true;
	world.keeper.log = STR_NONE;
	for (int i = 0; is_fine && i < 8; i++) {
		err_reset(&err);
		is_fine = client_pump(world.client, &err) == ERR_OK;
		reports_take(&world);
	}
	for (size_t i = 0; is_fine && i < TOKENS; i++)
		BUG_IF(world.tokens[i] == TOKEN_OPEN);
	client_free(world.client);
	return 0;
}
