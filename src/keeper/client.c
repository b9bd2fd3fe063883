/* client.c - see client.h */
#include "keeper/client.h"

#include "base/mem.h"
#include "keeper/token_table.h"
#include "keeper/wire.h"

#include <errno.h>
#include <string.h>

#define READ_BYTES    65536
#define OUT_BYTES_MAX ((size_t)1 << 30)
#define NAP_NS        INT64_C(1000000)
#define DEAF_MAX      8 /* connections without a report until no other is tried */

/* A token without a terminal report. */
struct flight {
	char *path; /* owned; NULL: the place is free */
	size_t path_len;
	enum exec_role role;
	uint32_t attempt;
	bool is_started; /* STARTED was reported */
	bool is_known;   /* while settling: keeper or log knows it */
	bool is_spawned;
	bool is_ended;
	bool is_left; /* while settling: something of it survives */
	int32_t left_pid;
	struct record record; /* SPAWNED or ENDED, without its path */
	uint32_t next_free;
};

enum phase {
	PHASE_APART,   /* no connection */
	PHASE_GREETED, /* HELLO is out */
	PHASE_TABLED,  /* the table of the keeper is in */
};

struct keeper_client {
	struct keeper_link link;
	struct str mark; /* of the run directory, in every token; owned */
	uint64_t epoch;
	enum phase phase;
	uint32_t version; /* that is spoken: less than ours with a keeper of before an upgrade */
	bool is_busy;     /* sending waits for room */
	unsigned deaf;    /* connections since the last report that came over one */
	struct buf in;
	struct buf out;
	size_t out_sent;
	struct token_table table; /* token -> flights */
	struct flight *flights;
	size_t flights_count;
	size_t flights_capacity;
	size_t flights_open;
	uint32_t free_first;         /* TOKEN_NONE: none */
	struct exec_report *reports; /* paths are owned */
	size_t reports_count;
	size_t reports_taken;
	size_t reports_capacity;
	char *path_given; /* of the report given last */
};

enum err_code client_new(struct keeper_link link, struct str mark, uint64_t epoch,
			 struct keeper_client **ret_client, struct err *err)
{
	struct keeper_client *client = mem_new(1, sizeof(*client));
	char *id = mem_text(mark.ptr, mark.len);

	if (!client || !id) {
		mem_free(client);
		mem_free(id);
		link.ops->close(link.self);
		return mem_err(err);
	}
	client->link = link;
	client->mark = str_from(id, mark.len);
	client->epoch = epoch;
	client->version = WIRE_VERSION;
	client->free_first = TOKEN_NONE;
	buf_init(&client->in, WIRE_FRAME_BYTES_MAX + READ_BYTES);
	buf_init(&client->out, OUT_BYTES_MAX);
	*ret_client = client;
	return ERR_OK;
}

static void path_free(const char *path)
{
	mem_free((void *)(uintptr_t)path); /* ours; only the report calls it const */
}

void client_free(struct keeper_client *client)
{
	if (!client)
		return;
	client->link.ops->disconnect(client->link.self);
	client->link.ops->close(client->link.self);
	for (size_t i = 0; i < client->flights_count; i++)
		mem_free(client->flights[i].path);
	for (size_t i = client->reports_taken; i < client->reports_count; i++)
		path_free(client->reports[i].token.path.ptr);
	token_table_fini(&client->table);
	buf_fini(&client->in);
	buf_fini(&client->out);
	mem_free(client->flights);
	mem_free(client->reports);
	mem_free(client->path_given);
	path_free(client->mark.ptr);
	mem_free(client);
}

/* --- tokens and reports --- */

static struct exec_token flight_token(const struct flight *flight)
{
	return (struct exec_token){.path = {flight->path, flight->path_len},
				   .role = flight->role,
				   .attempt = flight->attempt};
}

/* Room for its reports is made with each flight, so that an end cannot fail. */
static enum err_code reports_reserve(struct keeper_client *client, struct err *err)
{
	/* One more, and a STARTED and an end for each, beside what waits to be taken. */
	size_t need = client->reports_count + 1 + 2 * (client->flights_open + 1);

	return mem_grow((void **)&client->reports, &client->reports_capacity, need,
			sizeof(*client->reports), err);
}

static enum err_code report_put(struct keeper_client *client, const struct exec_report *report,
				struct err *err)
{
	struct exec_report own = *report;

	if (reports_reserve(client, err) != ERR_OK)
		return err->code;
	own.token.path.ptr = mem_text(report->token.path.ptr, report->token.path.len);
	if (!own.token.path.ptr)
		return mem_err(err);
	client->reports[client->reports_count++] = own;
	return ERR_OK;
}

bool client_next(struct keeper_client *client, struct exec_report *ret_report)
{
	mem_free(client->path_given);
	client->path_given = NULL;
	if (client->reports_taken == client->reports_count) {
		client->reports_taken = 0;
		client->reports_count = 0;
		client->link.ops->wake(client->link.self, false);
		return false;
	}
	*ret_report = client->reports[client->reports_taken++];
	client->path_given = (char *)(uintptr_t)ret_report->token.path.ptr;
	return true;
}

static enum err_code flight_add(struct keeper_client *client, const struct exec_token *token,
				uint32_t *ret_index, struct err *err)
{
	uint32_t index = token_table_get(&client->table, token);
	struct flight flight = {
	    .path_len = token->path.len, .role = token->role, .attempt = token->attempt};
	struct exec_token own = *token;

	if (index != TOKEN_NONE) {
		*ret_index = index;
		return ERR_OK;
	}
	index = client->free_first;
	if (index == TOKEN_NONE) {
		index = (uint32_t)client->flights_count;
		if (mem_grow((void **)&client->flights, &client->flights_capacity,
			     client->flights_count + 1, sizeof(*client->flights), err) != ERR_OK)
			return err->code;
	}
	if (reports_reserve(client, err) != ERR_OK)
		return err->code;
	flight.path = mem_text(token->path.ptr, token->path.len);
	if (!flight.path)
		return mem_err(err);
	own.path.ptr = flight.path;
	if (token_table_put(&client->table, &own, index, err) != ERR_OK) {
		mem_free(flight.path);
		return err->code;
	}
	if (index == client->free_first)
		client->free_first = client->flights[index].next_free;
	else
		client->flights_count++;
	client->flights[index] = flight;
	client->flights_open++;
	*ret_index = index;
	return ERR_OK;
}

/* Report on a flight; a terminal report is its end. The report takes the path over, so nothing
 * here needs memory except a STARTED. */
static enum err_code flight_report(struct keeper_client *client, uint32_t index,
				   struct exec_report report, struct err *err)
{
	struct flight *flight = &client->flights[index];
	struct exec_token token = flight_token(flight);

	report.token = token;
	if (report.kind == EXEC_STARTED) {
		if (flight->is_started)
			return ERR_OK;
		if (report_put(client, &report, err) != ERR_OK)
			return err->code;
		flight->is_started = true;
		return ERR_OK;
	}
	BUG_IF(client->reports_count == client->reports_capacity);
	token_table_remove(&client->table, &token);
	client->reports[client->reports_count++] = report;
	*flight = (struct flight){.next_free = client->free_first};
	client->free_first = index;
	client->flights_open--;
	return ERR_OK;
}

/* --- the connection --- */

static void part(struct keeper_client *client)
{
	client->link.ops->disconnect(client->link.self);
	client->phase = PHASE_APART;
	client->is_busy = false;
	buf_clear(&client->in);
	buf_clear(&client->out);
	client->out_sent = 0;
}

static void greet(struct keeper_client *client)
{
	client->phase = PHASE_GREETED;
	wire_hello(&client->out, client->version, client->epoch);
}

/* Send what goes; false when the connection is broken. */
static bool flush(struct keeper_client *client, enum err_code *ret_code, struct err *err)
{
	const struct keeper_link_ops *ops = client->link.ops;
	bool is_busy;

	*ret_code = ERR_OK;
	while (client->out_sent < client->out.len) {
		ssize_t sent = ops->send(client->link.self, client->out.ptr + client->out_sent,
					 client->out.len - client->out_sent);

		if (sent < 0)
			return false;
		if (sent == 0)
			break;
		client->out_sent += (size_t)sent;
	}
	is_busy = client->out_sent < client->out.len;
	if (!is_busy) {
		buf_clear(&client->out);
		client->out_sent = 0;
	}
	if (is_busy != client->is_busy) {
		client->is_busy = is_busy;
		*ret_code = ops->watch(client->link.self, is_busy, err);
	}
	return true;
}

static void left_mark(void *arg, struct str text, int32_t pid)
{
	struct keeper_client *client = arg;

	for (size_t i = 0; i < client->flights_count; i++) {
		struct flight *flight = &client->flights[i];
		char own[TOKEN_TEXT_BYTES];
		struct exec_token token;

		if (!flight->path)
			continue;
		token = flight_token(flight);
		token_text(client->mark, &token, own);
		if (!str_is(text, own))
			continue;
		flight->is_left = true;
		flight->left_pid = pid;
	}
}

/* An earlier keeper lost it: whoever finds that makes sure that nothing of it lives. */
static enum err_code lost_report(struct keeper_client *client, uint32_t index, struct err *err)
{
	struct exec_token token = flight_token(&client->flights[index]);
	struct exec_report report = {.kind = EXEC_LOST};
	char text[TOKEN_TEXT_BYTES];

	token_text(client->mark, &token, text);
	if (client->link.ops->sweep(client->link.self, text, NULL, 0, left_mark, client, err) !=
	    ERR_OK)
		return err->code;
	if (client->flights[index].is_left) {
		report.kind = EXEC_LEFTOVERS;
		report.pid = client->flights[index].left_pid;
	}
	return flight_report(client, index, report, err);
}

static enum err_code report_take(struct keeper_client *client, const struct exec_report *report,
				 struct err *err)
{
	uint32_t index = token_table_get(&client->table, &report->token);

	if (index == TOKEN_NONE)
		return ERR_OK; /* of an earlier engine, or a second answer */
	client->flights[index].is_known = true;
	client->deaf = 0;
	if (report->kind == EXEC_LOST)
		return lost_report(client, index, err);
	return flight_report(client, index, *report, err);
}

static enum err_code frame_take(struct keeper_client *client, const struct wire_frame *frame,
				struct err *err)
{
	switch (frame->type) {
	case WIRE_REPORT:
		return report_take(client, &frame->report, err);
	case WIRE_TABLE_END:
		client->phase = PHASE_TABLED;
		return ERR_OK;
	case WIRE_HELLO_OK:
		if (frame->version == client->version)
			return ERR_OK;
		break;
	case WIRE_HELLO_NO:
		if (frame->version == client->version)
			return err_set(
			    err, ERR_REFUSED,
			    "the run's keeper serves a newer engine (epoch %llu, not %llu)",
			    (unsigned long long)frame->epoch, (unsigned long long)client->epoch);
		if (frame->version < WIRE_VERSION_LEAST || frame->version > WIRE_VERSION)
			break;
		client->version = frame->version; /* it closes: greeted again, in its own words */
		return ERR_OK;
	case WIRE_HELLO:
	case WIRE_START:
	case WIRE_CANCEL:
		return err_set(err, ERR_CORRUPT, "the keeper sent a frame of an engine");
	}
	(void)err_set(err, ERR_NEWER, "the run's keeper speaks version %u of the protocol, not %u",
		      (unsigned)frame->version, (unsigned)WIRE_VERSION);
	return err_hint(err, "use the version of sluice that started it, or wait until it ends");
}

static enum err_code frames_take(struct keeper_client *client, struct err *err)
{
	size_t at = 0;

	for (;;) {
		struct wire_frame frame;
		size_t used;
		enum wire_take taken =
		    wire_decode(str_from(client->in.ptr + at, client->in.len - at), &frame, &used);
		enum err_code code;

		if (taken == WIRE_MORE)
			break;
		if (taken == WIRE_SHORT)
			return mem_err(err); /* not reached: only a START needs memory */
		if (taken == WIRE_BROKEN)
			return err_set(err, ERR_CORRUPT,
				       "the keeper sent something else than frames");
		code = frame_take(client, &frame, err);
		wire_frame_fini(&frame);
		if (code != ERR_OK)
			return code;
		at += used;
	}
	memmove(client->in.ptr, client->in.ptr + at, client->in.len - at);
	buf_cut(&client->in, client->in.len - at);
	return ERR_OK;
}

/* Read what is there; *ret_broken when the connection ended. */
static enum err_code receive(struct keeper_client *client, bool *ret_broken, struct err *err)
{
	*ret_broken = false;
	for (;;) {
		char *room = buf_room(&client->in, READ_BYTES);
		ssize_t got;

		if (!room)
			return buf_check(&client->in, "what the keeper sent", err);
		got = client->link.ops->receive(client->link.self, room, READ_BYTES);
		if (got < 0) {
			*ret_broken = true;
			return ERR_OK;
		}
		if (got == 0)
			return ERR_OK;
		buf_added(&client->in, (size_t)got);
		if (frames_take(client, err) != ERR_OK)
			return err->code;
		if (got < READ_BYTES)
			return ERR_OK;
	}
}

/* --- settling: what became of the tokens (S8.3) --- */

static enum err_code record_take(void *arg, const struct record *record, struct err *err)
{
	struct keeper_client *client = arg;
	uint32_t index = token_table_get(&client->table, &record->token);
	struct flight *flight;

	(void)err;
	if (index == TOKEN_NONE)
		return ERR_OK;
	flight = &client->flights[index];
	flight->is_known = true;
	flight->is_spawned = flight->is_spawned || record->kind == RECORD_SPAWNED;
	flight->is_ended = flight->is_ended || record->kind == RECORD_ENDED;
	if (record->kind != RECORD_ARMED)
		flight->record = *record;
	flight->record.token.path = STR_NONE;
	return ERR_OK;
}

static struct exec_report ended_report(const struct record *record)
{
	return (struct exec_report){
	    .kind = EXEC_ENDED,
	    .end = record->end,
	    .cause = record->cause,
	    .exit_code = record->exit_code,
	    .signal = record->signal,
	    .core = record->core,
	    .errno_value = record->errno_value,
	    .duration_ns = record->duration_ns,
	    .pid = record->pid,
	};
}

/* Armed, no end, no keeper: kill what is left of all of them at once. */
static enum err_code lost_sweep(struct keeper_client *client, struct err *err)
{
	AUTO(mem_drop) struct record *spawned = NULL;
	size_t lost = 0;
	size_t count = 0;

	for (size_t i = 0; i < client->flights_count; i++) {
		const struct flight *flight = &client->flights[i];

		lost += flight->path && flight->is_known && !flight->is_ended;
	}
	if (lost == 0)
		return ERR_OK;
	spawned = mem_new(lost, sizeof(*spawned));
	if (!spawned)
		return mem_err(err);
	for (size_t i = 0; i < client->flights_count; i++) {
		const struct flight *flight = &client->flights[i];

		if (flight->path && flight->is_spawned && !flight->is_ended &&
		    flight->record.slot != RECORD_NO_SLOT)
			spawned[count++] = flight->record;
	}
	return client->link.ops->sweep(client->link.self, NULL, spawned, count, left_mark, client,
				       err);
}

static enum err_code resolve(struct keeper_client *client, struct err *err)
{
	if (lost_sweep(client, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < client->flights_count; i++) {
		const struct flight *flight = &client->flights[i];
		struct exec_report report = {.kind = EXEC_LOST};

		if (!flight->path)
			continue;
		if (!flight->is_known)
			report.kind = EXEC_ABSENT;
		else if (flight->is_ended)
			report = ended_report(&flight->record);
		else if (flight->is_left)
			report =
			    (struct exec_report){.kind = EXEC_LEFTOVERS, .pid = flight->left_pid};
		if (flight_report(client, (uint32_t)i, report, err) != ERR_OK)
			return err->code; /* not reached: there is room for every end */
	}
	return ERR_OK;
}

/* The lock is ours: no keeper lives. */
static enum err_code settle_by_log(struct keeper_client *client, struct err *err)
{
	AUTO(buf_fini) struct buf content = BUF_INIT;
	size_t count;

	if (client->link.ops->read_log(client->link.self, &content, err) != ERR_OK)
		return err->code;
	if (content.len &&
	    record_walk(buf_view(&content), client->link.ops->boot(client->link.self), record_take,
			client, &count, err) != ERR_OK)
		return err->code;
	return resolve(client, err);
}

/* Greet the keeper and wait for its table; *ret_done false when it went away instead. */
static enum err_code settle_by_keeper(struct keeper_client *client, int64_t end_ns, bool *ret_done,
				      struct err *err)
{
	const struct keeper_link_ops *ops = client->link.ops;
	bool is_broken = false;
	enum err_code code;

	greet(client);
	/* not reached: broken or tabled, as both are left in the middle */
	while (!is_broken && client->phase != PHASE_TABLED &&
	       ops->now(client->link.self) < end_ns) {
		int64_t from_ns;

		if (!flush(client, &code, err))
			break;
		from_ns = ops->now(client->link.self);
		if (code != ERR_OK || receive(client, &is_broken, err) != ERR_OK)
			return err->code;
		if (is_broken || client->phase == PHASE_TABLED)
			break;
		/* To end what is left of a lost attempt takes time: that is no silence of the
		 * keeper. */
		end_ns += ops->now(client->link.self) - from_ns;
		ops->wait(client->link.self, NAP_NS);
	}
	*ret_done = client->phase == PHASE_TABLED;
	if (!*ret_done) {
		part(client);
		return ERR_OK;
	}
	for (size_t i = 0; i < client->flights_count; i++) {
		const struct flight *flight = &client->flights[i];
		struct exec_report report = {.kind = EXEC_ABSENT};

		if (flight->path && !flight->is_known &&
		    flight_report(client, (uint32_t)i, report, err) != ERR_OK)
			return err->code; /* not reached: there is room for every end */
	}
	return ERR_OK;
}

static void flights_forget(struct keeper_client *client)
{
	for (size_t i = 0; i < client->flights_count; i++) {
		client->flights[i].is_known = false;
		client->flights[i].is_spawned = false;
		client->flights[i].is_ended = false;
		client->flights[i].is_left = false;
	}
}

/* Find out about every token in flight. Afterwards each has its terminal report, or runs under a
 * keeper that we are connected to. */
static enum err_code settle(struct keeper_client *client, struct err *err)
{
	const struct keeper_link_ops *ops = client->link.ops;
	int64_t end_ns = ops->now(client->link.self) + CLIENT_PATIENCE_NS;

	while (ops->now(client->link.self) < end_ns) {
		bool is_ours = false;
		bool is_done = false;

		flights_forget(client);
		if (ops->take(client->link.self, &is_ours, err) != ERR_OK)
			return err->code;
		if (is_ours) {
			enum err_code code = settle_by_log(client, err);

			ops->release(client->link.self);
			return code;
		}
		if (ops->connect(client->link.self, &is_done, err) != ERR_OK)
			return err->code;
		if (is_done && settle_by_keeper(client, end_ns, &is_done, err) != ERR_OK)
			return err->code;
		if (is_done)
			return ERR_OK;
		/* It is just starting or just ending: the lock says more in a moment. */
		ops->wait(client->link.self, NAP_NS);
	}
	(void)err_set(err, ERR_GONE, "keeper.lock is held, but its keeper does not answer");
	return err_hint(err, "its pid is in keeper.lock");
}

/* --- the calls --- */

/* Have a connection: to the keeper that lives, or to one that is started now. A keeper that cannot
 * begin (no descriptors, no memory) is gone before it says anything, and so would be the next. */
static enum err_code join(struct keeper_client *client, struct err *err)
{
	const struct keeper_link_ops *ops = client->link.ops;
	int64_t end_ns = ops->now(client->link.self) + CLIENT_PATIENCE_NS;

	if (client->deaf == DEAF_MAX) {
		(void)err_set(err, ERR_GONE, "the run's keeper went away %u times without a report",
			      client->deaf);
		return err_hint(err,
				"is there a lack of memory or descriptors? `sluice doctor` looks");
	}
	client->deaf++;
	while (ops->now(client->link.self) < end_ns) {
		bool is_ours = false;
		bool is_connected = false;

		if (ops->take(client->link.self, &is_ours, err) != ERR_OK)
			return err->code;
		if (is_ours) {
			client->version = WIRE_VERSION; /* it will be of this version */
			if (ops->start(client->link.self, err) != ERR_OK) {
				ops->release(client->link.self);
				return err_while(err, "start the keeper");
			}
			greet(client);
			return ERR_OK;
		}
		if (ops->connect(client->link.self, &is_connected, err) != ERR_OK)
			return err->code;
		if (is_connected) {
			greet(client);
			return ERR_OK;
		}
		ops->wait(client->link.self, NAP_NS);
	}
	(void)err_set(err, ERR_GONE, "keeper.lock is held, but its keeper does not answer");
	return err_hint(err, "its pid is in keeper.lock");
}

/* A broken connection is left for pump, which hears of it too. */
static enum err_code send_now(struct keeper_client *client, struct err *err)
{
	enum err_code code;

	if (buf_check(&client->out, "what waits for the keeper", err) != ERR_OK)
		return err->code;
	if (!flush(client, &code, err)) {
		client->link.ops->wake(client->link.self, true);
		return ERR_OK;
	}
	return code;
}

/* The keeper comes up while its engine commits what the first command begins with. What fails here
 * is met again by that command, which tells it. */
void client_warm_up(struct keeper_client *client)
{
	struct err own = ERR_INIT;

	if (client->phase == PHASE_APART && join(client, &own) == ERR_OK)
		(void)send_now(client, &own);
	client->deaf = 0; /* nothing was asked of it */
}

enum err_code client_start(struct keeper_client *client, const struct exec_start *start,
			   struct err *err)
{
	uint32_t index;

	if (start->token.path.len == 0 || start->token.path.len > RECORD_PATH_BYTES)
		return err_set(err, ERR_USAGE, "a step path has 1 to %d bytes", RECORD_PATH_BYTES);
	if (flight_add(client, &start->token, &index, err) != ERR_OK)
		return err->code;
	if (wire_start_bytes(start) > WIRE_FRAME_BYTES_MAX) {
		struct exec_report report = {
		    .kind = EXEC_ENDED, .end = EXEC_END_SPAWN_FAILED, .errno_value = E2BIG};

		client->link.ops->wake(client->link.self, true);
		return flight_report(client, index, report, err);
	}
	if (client->phase == PHASE_APART && join(client, err) != ERR_OK)
		return err->code;
	if (wire_start_version(start) > client->version) {
		(void)err_set(err, ERR_NEWER,
			      "the run's keeper is of an older version and cannot start '%.*s'",
			      STR_ARG(start->token.path));
		return err_hint(err, "wait until the steps that run have ended, then resume");
	}
	wire_start(&client->out, start);
	return send_now(client, err);
}

enum err_code client_cancel(struct keeper_client *client, const struct exec_token *token, bool now,
			    struct err *err)
{
	if (client->phase == PHASE_APART || token_table_get(&client->table, token) == TOKEN_NONE)
		return ERR_OK;
	wire_cancel(&client->out, token, now);
	return send_now(client, err);
}

enum err_code client_recover(struct keeper_client *client, const struct exec_token *tokens,
			     const bool *same_boot, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct exec_report lost = {.kind = EXEC_LOST, .token = tokens[i]};
		uint32_t index;

		if (tokens[i].path.len == 0 || tokens[i].path.len > RECORD_PATH_BYTES)
			return err_set(err, ERR_USAGE, "a step path has 1 to %d bytes",
				       RECORD_PATH_BYTES);
		if (same_boot[i] ? flight_add(client, &tokens[i], &index, err) != ERR_OK
				 : report_put(client, &lost, err) != ERR_OK)
			return err->code;
	}
	/* The reports wait here: nothing will arrive that announces them. */
	client->link.ops->wake(client->link.self, true);
	return client->flights_open ? settle(client, err) : ERR_OK;
}

int client_fd(const struct keeper_client *client)
{
	return client->link.ops->fd(client->link.self);
}

enum err_code client_pump(struct keeper_client *client, struct err *err)
{
	bool is_broken = false;
	enum err_code code = ERR_OK;

	if (client->phase == PHASE_APART)
		return ERR_OK;
	/* What was sent before the end is read before the end is believed. */
	if (receive(client, &is_broken, err) != ERR_OK)
		return err->code;
	if (!is_broken && flush(client, &code, err))
		return code;
	part(client);
	return client->flights_open ? settle(client, err) : ERR_OK;
}
