/* machine.c - see machine.h */
#include "keeper/machine.h"

#include "base/mem.h"
#include "keeper/token_table.h"

#include <errno.h>
#include <string.h>

enum effect {
	DO_NONE,
	DO_ARM,
	DO_SPAWN,
	DO_REFUSE,
	DO_BEGIN,
	DO_TERM,
	DO_KILL,
	DO_SWEEP,
	DO_FINISH,
	DO_RECORD,
	DO_LEFTOVER,
	DO_RETRY,
	DO_FORGET,
};

struct row {
	enum keeper_state from;
	enum keeper_event event;
	enum keeper_state to;
	enum effect effect;
};

static const struct row rows[] = {
#define STATE(name, value, kind, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) \
	{KEEPER_##from, KEEPER_EVENT_##event, KEEPER_##to, DO_##effect},
#include "keeper/keeper.def"
};

static const char *const state_names[] = {
#define STATE(name, value, kind, what) #name,
#define EVENT(name, what)
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
};

static const char *const event_names[] = {
#define STATE(name, value, kind, what)
#define EVENT(name, what) #name,
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
};

_Static_assert(ARRAY_LEN(state_names) == KEEPER_STATES, "states are numbered without gaps");

const char *keeper_state_name(enum keeper_state state)
{
	return state < KEEPER_STATES ? state_names[state] : "UNKNOWN";
}

const char *keeper_event_name(enum keeper_event event)
{
	return event < KEEPER_EVENTS ? event_names[event] : "UNKNOWN";
}

static const struct row *row_of(enum keeper_state state, enum keeper_event event)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].from == state && rows[i].event == event)
			return &rows[i];
	}
	return NULL;
}

bool keeper_row_find(enum keeper_state state, enum keeper_event event, enum keeper_state *ret_to)
{
	const struct row *row = row_of(state, event);

	if (!row)
		return false;
	*ret_to = row->to;
	return true;
}

/* What only an attempt that is not over needs. */
struct live {
	int64_t deadline_ns;   /* absolute, 0 = none */
	int64_t due_ns;        /* the next TIMER, 0 = none */
	int64_t tree_ns;       /* the next look at what is left of the tree, 0 = none */
	int64_t tree_every_ns; /* between two looks */
	int64_t grace_ns;
	int64_t silence_ns; /* 0 = none */
	int64_t changed_ns; /* when its output was last seen to grow */
	int64_t spawned_ns;
	int64_t asked_ns;  /* before the spawn */
	int64_t killed_ns; /* first KILL, 0 = none */
	int64_t unwritten_ns; /* when its end could not be written first, 0 = it was not tried */
	int64_t user_us;
	int64_t system_us;
	uint64_t size_bytes;
	uint64_t output_limit_bytes;
	size_t place; /* in machine->lives */
	uint32_t resident_kib;
};

struct attempt {
	char *path;        /* owned; also borrowed by the token table */
	struct live *live; /* owned, NULL when it is over */
	int64_t duration_ns;
	uint32_t number;
	int32_t pid;
	int exit_code;
	int signal;
	int errno_value;
	uint8_t path_len;
	uint8_t role;
	uint8_t state;
	uint8_t cause;
	uint8_t end;
	bool core;
	bool is_reported; /* its terminal report was given */
};

#define CONNS_MAX 64

struct conn {
	uint32_t id;
	bool is_engine; /* said HELLO, and nobody newer did */
};

struct machine {
	struct attempt *attempts;
	size_t count;
	size_t capacity;
	struct token_table table;
	uint32_t *lives;
	size_t lives_count;
	size_t lives_capacity;
	struct machine_output *outputs;
	size_t outputs_count;
	size_t outputs_taken;
	size_t outputs_capacity;
	struct conn conns[CONNS_MAX];
	size_t conns_count;
	uint64_t epoch;
	int64_t due_ns;
	int64_t look_ns; /* the next look at all outputs, 0 = none */
	int64_t look_every_ns;
	bool is_gone; /* the run directory */
};

enum err_code machine_new(struct machine **ret_machine, struct err *err)
{
	struct machine *machine = mem_new(1, sizeof(*machine));

	if (!machine)
		return mem_err(err);
	machine->due_ns = INT64_MAX;
	machine->look_every_ns = KEEPER_LOOK_NS;
	*ret_machine = machine;
	return ERR_OK;
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	for (size_t i = 0; i < machine->count; i++) {
		mem_free(machine->attempts[i].live);
		mem_free(machine->attempts[i].path);
	}
	token_table_fini(&machine->table);
	mem_free(machine->attempts);
	mem_free(machine->lives);
	mem_free(machine->outputs);
	mem_free(machine);
}

/* --- outputs --- */

/* One input makes at most three outputs a live attempt, a close for each connection and a few
 * more. Room for that is made before anything changes, so that no output can fail. */
static enum err_code outputs_reserve(struct machine *machine, struct err *err)
{
	size_t need = 3 * (machine->lives_count + 1) + CONNS_MAX + 8;

	return mem_grow((void **)&machine->outputs, &machine->outputs_capacity,
			machine->outputs_count + need, sizeof(*machine->outputs), err);
}

static struct machine_output *put(struct machine *machine, enum machine_output_kind kind,
				  uint32_t attempt)
{
	struct machine_output *output;

	BUG_IF(machine->outputs_count == machine->outputs_capacity);
	output = &machine->outputs[machine->outputs_count++];
	*output = (struct machine_output){.kind = kind, .attempt = attempt};
	return output;
}

static void put_conn(struct machine *machine, enum machine_output_kind kind, uint32_t conn)
{
	put(machine, kind, 0)->conn = conn;
}

bool machine_next(struct machine *machine, struct machine_output *ret_output)
{
	if (machine->outputs_taken == machine->outputs_count) {
		machine->outputs_taken = 0;
		machine->outputs_count = 0;
		return false;
	}
	*ret_output = machine->outputs[machine->outputs_taken++];
	return true;
}

/* --- questions --- */

int64_t machine_due(const struct machine *machine)
{
	return machine->due_ns;
}

bool machine_is_idle(const struct machine *machine)
{
	return machine->conns_count == 0 && machine->lives_count == 0;
}

uint64_t machine_epoch(const struct machine *machine)
{
	return machine->epoch;
}

uint32_t machine_count(const struct machine *machine)
{
	return (uint32_t)machine->count;
}

size_t machine_live(const struct machine *machine)
{
	return machine->lives_count;
}

uint32_t machine_live_at(const struct machine *machine, size_t i)
{
	BUG_IF(i >= machine->lives_count);
	return machine->lives[i];
}

static struct attempt *attempt_at(const struct machine *machine, uint32_t index)
{
	BUG_IF(index >= machine->count);
	return &machine->attempts[index];
}

enum keeper_state machine_state(const struct machine *machine, uint32_t attempt)
{
	return (enum keeper_state)attempt_at(machine, attempt)->state;
}

static struct exec_token token_of(const struct attempt *attempt)
{
	return (struct exec_token){.path = {attempt->path, attempt->path_len},
				   .role = (enum exec_role)attempt->role,
				   .attempt = attempt->number};
}

uint32_t machine_find(const struct machine *machine, const struct exec_token *token)
{
	return token_table_get(&machine->table, token);
}

struct exec_token machine_token(const struct machine *machine, uint32_t attempt)
{
	return token_of(attempt_at(machine, attempt));
}

struct record machine_record(const struct machine *machine, uint32_t index, enum record_kind kind)
{
	const struct attempt *attempt = attempt_at(machine, index);
	struct record record = {
	    .kind = kind,
	    .token = token_of(attempt),
	    .epoch = machine->epoch,
	    .pid = attempt->pid,
	    .slot = RECORD_NO_SLOT,
	};

	if (attempt->live && kind == RECORD_SPAWNED) {
		record.born_from_ns = attempt->live->asked_ns;
		record.born_to_ns = attempt->live->spawned_ns;
	}
	if (kind != RECORD_ENDED)
		return record;
	record.end = (enum exec_end)attempt->end;
	record.cause = (enum exec_cause)attempt->cause;
	record.exit_code = attempt->exit_code;
	record.signal = attempt->signal;
	record.core = attempt->core;
	record.errno_value = attempt->errno_value;
	record.duration_ns = attempt->duration_ns;
	if (attempt->live) {
		record.user_us = attempt->live->user_us;
		record.system_us = attempt->live->system_us;
		record.resident_kib = attempt->live->resident_kib;
	}
	return record;
}

bool machine_report(const struct machine *machine, uint32_t index, struct exec_report *ret_report)
{
	const struct attempt *attempt = attempt_at(machine, index);
	struct exec_report report = {
	    .kind = EXEC_STARTED, .token = token_of(attempt), .pid = attempt->pid};

	switch ((enum keeper_state)attempt->state) {
	case KEEPER_NONE:
		return false;
	case KEEPER_ARMING:
	case KEEPER_SPAWNING:
	case KEEPER_RUNNING:
	case KEEPER_TERMINATING:
	case KEEPER_KILLING:
	case KEEPER_SWEEPING:
	case KEEPER_CLEARING:
		break;
	case KEEPER_STUCK:
	case KEEPER_STUCK_REST:
		report.kind = EXEC_LEFTOVERS;
		break;
	case KEEPER_LOST:
		report.kind = EXEC_LOST;
		break;
	case KEEPER_RECORDING:
	case KEEPER_UNWRITTEN:
	case KEEPER_UNRECORDED:
	case KEEPER_ENDED:
		report.kind = EXEC_ENDED;
		report.end = (enum exec_end)attempt->end;
		report.cause = (enum exec_cause)attempt->cause;
		report.exit_code = attempt->exit_code;
		report.signal = attempt->signal;
		report.core = attempt->core;
		report.errno_value = attempt->errno_value;
		report.duration_ns = attempt->duration_ns;
		break;
	}
	*ret_report = report;
	return true;
}

/* --- acts --- */

static void due_by(struct machine *machine, int64_t due_ns)
{
	if (due_ns && due_ns < machine->due_ns)
		machine->due_ns = due_ns;
}

/* Far spans are cut: a sum never overflows. */
static int64_t after(int64_t now_ns, int64_t span_ns)
{
	return span_ns > INT64_MAX / 2 - now_ns ? INT64_MAX / 2 : now_ns + span_ns;
}

static void timer_set(struct machine *machine, struct live *live, int64_t now_ns, int64_t span_ns)
{
	live->due_ns = after(now_ns, span_ns);
	due_by(machine, live->due_ns);
}

/* To the engine that is connected, if there is one. */
static void report_to_engine(struct machine *machine, const struct exec_report *report,
			     bool is_lazy)
{
	for (size_t i = 0; i < machine->conns_count; i++) {
		struct machine_output *output;

		if (!machine->conns[i].is_engine)
			continue;
		output = put(machine, MACHINE_OUT_REPORT, 0);
		output->conn = machine->conns[i].id;
		output->report = *report;
		output->is_lazy = is_lazy;
	}
}

static void report_state(struct machine *machine, uint32_t index)
{
	struct exec_report report;

	if (machine_report(machine, index, &report))
		report_to_engine(machine, &report, report.kind == EXEC_STARTED);
}

static void live_remove(struct machine *machine, struct attempt *attempt)
{
	size_t place = attempt->live->place;
	uint32_t last = machine->lives[machine->lives_count - 1];

	machine->lives[place] = last;
	machine->attempts[last].live->place = place;
	machine->lives_count--;
	mem_free(attempt->live);
	attempt->live = NULL;
	if (machine->lives_count == 0) {
		machine->look_ns = 0;
		machine->look_every_ns = KEEPER_LOOK_NS;
		machine->due_ns = INT64_MAX;
	}
}

static void begin(struct machine *machine, uint32_t index, const struct machine_input *input)
{
	struct attempt *attempt = attempt_at(machine, index);
	struct live *live = attempt->live;

	attempt->pid = input->pid;
	live->spawned_ns = input->now_ns;
	live->changed_ns = input->now_ns;
	if (live->deadline_ns) {
		live->deadline_ns = after(input->now_ns, live->deadline_ns);
		due_by(machine, live->deadline_ns);
	}
	if (live->silence_ns && live->silence_ns / 4 < machine->look_every_ns)
		machine->look_every_ns = live->silence_ns / 4 > KEEPER_LOOK_NS / 20
					     ? live->silence_ns / 4
					     : KEEPER_LOOK_NS / 20;
	if (live->silence_ns || live->output_limit_bytes) {
		int64_t look_ns = after(input->now_ns, machine->look_every_ns);

		if (!machine->look_ns || look_ns < machine->look_ns)
			machine->look_ns = look_ns;
		due_by(machine, machine->look_ns);
	}
	put(machine, MACHINE_OUT_NOTE, index);
	report_state(machine, index);
}

static void signal_tree(struct machine *machine, uint32_t index, enum machine_signal signal,
			int64_t now_ns)
{
	struct live *live = attempt_at(machine, index)->live;

	put(machine, MACHINE_OUT_SIGNAL, index)->signal = signal;
	if (signal == MACHINE_KILL && !live->killed_ns)
		live->killed_ns = now_ns;
}

static void finish(struct machine *machine, uint32_t index, const struct machine_input *input)
{
	struct attempt *attempt = attempt_at(machine, index);

	if (input->kind == MACHINE_IN_SPAWNED) {
		attempt->end = EXEC_END_SPAWN_FAILED;
		attempt->errno_value = input->errno_value;
	}
	attempt->live->due_ns = 0;
	/* Recorded first: when the engine hears of it, it is on record if that is possible. */
	put(machine, MACHINE_OUT_RECORD, index);
	report_state(machine, index);
	attempt->is_reported = true;
}

static void refuse(struct machine *machine, uint32_t index, int errno_value)
{
	struct attempt *attempt = attempt_at(machine, index);
	struct exec_report report = {
	    .kind = EXEC_REFUSED, .token = token_of(attempt), .errno_value = errno_value};

	report_to_engine(machine, &report, false);
	put(machine, MACHINE_OUT_FORGET, index);
	live_remove(machine, attempt);
}

static void effect_run(struct machine *machine, uint32_t index, enum effect effect,
		       const struct machine_input *input)
{
	struct attempt *attempt = attempt_at(machine, index);
	int64_t now_ns = input->now_ns;
	bool is_stuck = attempt->state == KEEPER_STUCK || attempt->state == KEEPER_STUCK_REST;

	switch (effect) {
	case DO_NONE:
		break;
	case DO_ARM:
		put(machine, MACHINE_OUT_ARM, index);
		break;
	case DO_SPAWN:
		attempt->live->asked_ns = now_ns;
		put(machine, MACHINE_OUT_SPAWN, index);
		break;
	case DO_REFUSE:
		refuse(machine, index, input->errno_value);
		break;
	case DO_BEGIN:
		begin(machine, index, input);
		break;
	case DO_TERM:
		signal_tree(machine, index, MACHINE_TERM, now_ns);
		timer_set(machine, attempt->live, now_ns, attempt->live->grace_ns);
		break;
	case DO_SWEEP:
		signal_tree(machine, index, MACHINE_TERM, now_ns);
		timer_set(machine, attempt->live, now_ns,
			  attempt->live->grace_ns < KEEPER_ORPHAN_NS ? attempt->live->grace_ns
								     : KEEPER_ORPHAN_NS);
		break;
	case DO_KILL:
		signal_tree(machine, index, MACHINE_KILL, now_ns);
		timer_set(machine, attempt->live, now_ns,
			  is_stuck ? KEEPER_ORPHAN_NS : KEEPER_KILL_NS);
		break;
	case DO_LEFTOVER:
		report_state(machine, index);
		attempt->is_reported = true;
		timer_set(machine, attempt->live, now_ns, KEEPER_ORPHAN_NS);
		break;
	case DO_FINISH:
		finish(machine, index, input);
		break;
	case DO_RECORD:
		attempt->live->due_ns = 0;
		put(machine, MACHINE_OUT_RECORD, index);
		break;
	case DO_RETRY:
		timer_set(machine, attempt->live, now_ns, KEEPER_RETRY_NS);
		break;
	case DO_FORGET:
		put(machine, MACHINE_OUT_FORGET, index);
		live_remove(machine, attempt);
		break;
	}
}

static enum err_code step(struct machine *machine, uint32_t index, enum keeper_event event,
			  const struct machine_input *input, struct err *err)
{
	struct attempt *attempt = attempt_at(machine, index);
	const struct row *row = row_of((enum keeper_state)attempt->state, event);

	if (!row)
		return err_set(err, ERR_CONFLICT, "an attempt that is %s refuses %s",
			       keeper_state_name((enum keeper_state)attempt->state),
			       keeper_event_name(event));
	attempt->state = (uint8_t)row->to;
	effect_run(machine, index, row->effect, input);
	return ERR_OK;
}

/* Ended by us, for a reason: the first one counts. */
static enum err_code end_for(struct machine *machine, uint32_t index, enum exec_cause cause,
			     enum keeper_event event, const struct machine_input *input,
			     struct err *err)
{
	struct attempt *attempt = attempt_at(machine, index);

	if (attempt->state == KEEPER_RUNNING)
		attempt->cause = (uint8_t)cause;
	return step(machine, index, event, input, err);
}

/* --- inputs --- */

/* A new attempt for the token, or the one that was refused before. */
static enum err_code attempt_make(struct machine *machine, const struct exec_token *token,
				  uint32_t *ret_index, struct err *err)
{
	uint32_t index = token_table_get(&machine->table, token);
	struct attempt attempt = {
	    .number = token->attempt,
	    .role = (uint8_t)token->role,
	    .path_len = (uint8_t)token->path.len,
	};
	struct exec_token own = *token;

	if (index != TOKEN_NONE) {
		*ret_index = index;
		return ERR_OK;
	}
	index = (uint32_t)machine->count;
	if (mem_grow((void **)&machine->attempts, &machine->capacity, machine->count + 1,
		     sizeof(*machine->attempts), err) != ERR_OK)
		return err->code;
	attempt.path = mem_text(token->path.ptr, token->path.len);
	if (!attempt.path)
		return mem_err(err);
	own.path.ptr = attempt.path;
	if (token_table_put(&machine->table, &own, index, err) != ERR_OK) {
		mem_free(attempt.path);
		return err->code;
	}
	machine->attempts[machine->count++] = attempt;
	*ret_index = index;
	return ERR_OK;
}

static enum err_code live_make(struct machine *machine, uint32_t index,
			       const struct exec_start *start, struct err *err)
{
	struct live *live;

	if (mem_grow((void **)&machine->lives, &machine->lives_capacity, machine->lives_count + 1,
		     sizeof(*machine->lives), err) != ERR_OK)
		return err->code;
	live = mem_new(1, sizeof(*live));
	if (!live)
		return mem_err(err);
	live->deadline_ns = start->timeout_ns; /* absolute from the spawn on */
	live->silence_ns = start->silence_ns;
	live->grace_ns = start->grace_ns;
	live->output_limit_bytes = start->output_limit_bytes;
	live->place = machine->lives_count;
	machine->lives[machine->lives_count++] = index;
	attempt_at(machine, index)->live = live;
	return ERR_OK;
}

static void refuse_token(struct machine *machine, const struct exec_token *token, int errno_value)
{
	struct exec_report report = {
	    .kind = EXEC_REFUSED, .token = *token, .errno_value = errno_value};

	report_to_engine(machine, &report, false);
}

static enum err_code take_start(struct machine *machine, const struct machine_input *input,
				struct err *err)
{
	const struct exec_start *start = &input->frame->start;
	struct err local = ERR_INIT;
	uint32_t index = 0;

	if (machine->is_gone) {
		refuse_token(machine, &start->token, ENOENT);
		return ERR_OK;
	}
	if (attempt_make(machine, &start->token, &index, &local) != ERR_OK) {
		refuse_token(machine, &start->token, ENOMEM);
		return ERR_OK;
	}
	if (machine->attempts[index].state != KEEPER_NONE) {
		report_state(machine, index); /* idempotent: what is known of it (S8.2) */
		return ERR_OK;
	}
	if (live_make(machine, index, start, &local) != ERR_OK) {
		refuse_token(machine, &start->token, ENOMEM);
		return ERR_OK;
	}
	return step(machine, index, KEEPER_EVENT_START, input, err);
}

static enum err_code take_cancel(struct machine *machine, const struct machine_input *input,
				 struct err *err)
{
	uint32_t index = token_table_get(&machine->table, &input->frame->token);

	if (index == TOKEN_NONE || machine->attempts[index].state == KEEPER_NONE)
		return ERR_OK; /* nothing of that name to end */
	return end_for(machine, index, EXEC_CAUSE_CANCELLED,
		       input->frame->now ? KEEPER_EVENT_CANCEL_NOW : KEEPER_EVENT_CANCEL, input,
		       err);
}

static struct conn *conn_find(struct machine *machine, uint32_t id)
{
	for (size_t i = 0; i < machine->conns_count; i++) {
		if (machine->conns[i].id == id)
			return &machine->conns[i];
	}
	return NULL;
}

static void conn_remove(struct machine *machine, uint32_t id)
{
	struct conn *conn = conn_find(machine, id);

	if (conn)
		*conn = machine->conns[--machine->conns_count];
}

static void conn_close(struct machine *machine, uint32_t id)
{
	conn_remove(machine, id);
	put_conn(machine, MACHINE_OUT_CLOSE, id);
}

/* S8.3: the newest engine is the only one. */
static void take_hello(struct machine *machine, struct conn *conn, const struct wire_frame *frame)
{
	struct machine_output *output;
	uint32_t id = conn->id;
	bool is_spoken = frame->version >= WIRE_VERSION_LEAST && frame->version <= WIRE_VERSION;

	if (!is_spoken || frame->epoch < machine->epoch) {
		output = put(machine, MACHINE_OUT_NO, 0);
		output->conn = id;
		output->version = is_spoken ? frame->version : WIRE_VERSION;
		conn_close(machine, id);
		return;
	}
	machine->epoch = frame->epoch;
	conn->is_engine = true;
	for (size_t i = machine->conns_count; i-- > 0;) {
		const struct conn *other = &machine->conns[i];

		if (other->id < id || (other->is_engine && other->id != id))
			conn_close(machine, other->id);
	}
	output = put(machine, MACHINE_OUT_HELLO, 0);
	output->conn = id;
	output->version = frame->version;
}

static enum err_code take_frame(struct machine *machine, const struct machine_input *input,
				struct err *err)
{
	struct conn *conn = conn_find(machine, input->conn);

	if (!conn)
		return ERR_OK; /* closed by us: the rest is discarded */
	if (conn->is_engine && input->frame->type == WIRE_START)
		return take_start(machine, input, err);
	if (conn->is_engine && input->frame->type == WIRE_CANCEL)
		return take_cancel(machine, input, err);
	if (!conn->is_engine && input->frame->type == WIRE_HELLO)
		take_hello(machine, conn, input->frame);
	else
		conn_close(machine, input->conn);
	return ERR_OK;
}

static enum err_code take_record(struct machine *machine, const struct record *record,
				 struct err *err)
{
	struct attempt *attempt;
	uint32_t index = 0;

	if (attempt_make(machine, &record->token, &index, err) != ERR_OK)
		return err->code;
	attempt = attempt_at(machine, index);
	if (record->epoch > machine->epoch)
		machine->epoch = record->epoch;
	if (record->pid)
		attempt->pid = record->pid;
	attempt->state = KEEPER_LOST;
	if (record->kind != RECORD_ENDED)
		return ERR_OK;
	attempt->state = KEEPER_ENDED;
	attempt->end = (uint8_t)record->end;
	attempt->cause = (uint8_t)record->cause;
	attempt->exit_code = record->exit_code;
	attempt->signal = record->signal;
	attempt->core = record->core;
	attempt->errno_value = record->errno_value;
	attempt->duration_ns = record->duration_ns;
	return ERR_OK;
}

/* Some of the tree lives, or seems to: on newer kernels a group is populated for a moment after its
 * last process was reaped. So the next look is soon, and those after it later and later. */
static void tree_later(struct machine *machine, struct live *live, int64_t now_ns)
{
	live->tree_every_ns = live->tree_every_ns ? 2 * live->tree_every_ns : KEEPER_TREE_NS;
	if (live->tree_every_ns > KEEPER_KILL_NS)
		live->tree_every_ns = KEEPER_KILL_NS;
	live->tree_ns = after(now_ns, live->tree_every_ns);
	due_by(machine, live->tree_ns);
}

static enum err_code take_exited(struct machine *machine, const struct machine_input *input,
				 struct err *err)
{
	struct attempt *attempt = attempt_at(machine, input->attempt);
	struct live *live = attempt->live;

	if (!live)
		return err_set(err, ERR_CONFLICT, "an attempt that is over ended once more");
	attempt->end = (uint8_t)input->end;
	attempt->exit_code = input->exit_code;
	attempt->signal = input->signal;
	attempt->core = input->core;
	attempt->duration_ns =
	    input->now_ns > live->spawned_ns ? input->now_ns - live->spawned_ns : 0;
	live->user_us = input->user_us;
	live->system_us = input->system_us;
	live->resident_kib = input->resident_kib;
	if (input->is_left)
		tree_later(machine, live, input->now_ns);
	return step(machine, input->attempt,
		    input->is_left ? KEEPER_EVENT_LEFT : KEEPER_EVENT_CLEAN, input, err);
}

static enum err_code take_size(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	struct attempt *attempt = attempt_at(machine, input->attempt);
	struct live *live = attempt->live;

	if (!live || attempt->state != KEEPER_RUNNING)
		return ERR_OK; /* it ended meanwhile */
	if (input->size_bytes != live->size_bytes) {
		live->size_bytes = input->size_bytes;
		live->changed_ns = input->now_ns;
	}
	if (live->output_limit_bytes && input->size_bytes > live->output_limit_bytes)
		return end_for(machine, input->attempt, EXEC_CAUSE_OUTPUT_LIMIT,
			       KEEPER_EVENT_OVERSIZE, input, err);
	if (live->silence_ns && input->now_ns - live->changed_ns >= live->silence_ns)
		return end_for(machine, input->attempt, EXEC_CAUSE_SILENCE, KEEPER_EVENT_SILENT,
			       input, err);
	return ERR_OK;
}

static bool is_sweeping(const struct attempt *attempt)
{
	return attempt->state == KEEPER_SWEEPING || attempt->state == KEEPER_CLEARING ||
	       attempt->state == KEEPER_STUCK_REST;
}

static enum err_code tick_one(struct machine *machine, uint32_t index, bool looks,
			      const struct machine_input *input, struct err *err)
{
	struct attempt *attempt = attempt_at(machine, index);
	struct live *live = attempt->live;

	if (attempt->state == KEEPER_RUNNING) {
		if (live->deadline_ns && live->deadline_ns <= input->now_ns)
			return end_for(machine, index, EXEC_CAUSE_TIMEOUT, KEEPER_EVENT_DEADLINE,
				       input, err);
		if (looks && (live->silence_ns || live->output_limit_bytes))
			put(machine, MACHINE_OUT_LOOK, index);
		return ERR_OK;
	}
	if (is_sweeping(attempt) && live->tree_ns <= input->now_ns) {
		put(machine, MACHINE_OUT_TREE, index);
		tree_later(machine, live, input->now_ns);
	}
	if (!live->due_ns || live->due_ns > input->now_ns)
		return ERR_OK;
	if ((attempt->state == KEEPER_KILLING || attempt->state == KEEPER_CLEARING) &&
	    input->now_ns - live->killed_ns >= KEEPER_PATIENCE_NS)
		return step(machine, index, KEEPER_EVENT_PATIENCE, input, err);
	return step(machine, index, KEEPER_EVENT_TIMER, input, err);
}

static enum err_code take_tick(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	bool looks = machine->look_ns && machine->look_ns <= input->now_ns;

	if (machine->due_ns > input->now_ns)
		return ERR_OK;
	machine->due_ns = INT64_MAX;
	if (looks)
		machine->look_ns = after(input->now_ns, machine->look_every_ns);
	/* No act of a tick removes an attempt, so the list is stable here. */
	for (size_t i = 0; i < machine->lives_count; i++) {
		if (tick_one(machine, machine->lives[i], looks, input, err) != ERR_OK)
			return err->code;
	}
	for (size_t i = 0; i < machine->lives_count; i++) {
		const struct attempt *attempt = attempt_at(machine, machine->lives[i]);

		due_by(machine, attempt->live->due_ns);
		if (is_sweeping(attempt))
			due_by(machine, attempt->live->tree_ns);
		if (attempt->state == KEEPER_RUNNING)
			due_by(machine, attempt->live->deadline_ns);
	}
	due_by(machine, machine->look_ns);
	return ERR_OK;
}

static enum err_code take_gone(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	machine->is_gone = true;
	for (size_t i = 0; i < machine->lives_count; i++) {
		if (end_for(machine, machine->lives[i], EXEC_CAUSE_CANCELLED,
			    KEEPER_EVENT_CANCEL_NOW, input, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static void take_opened(struct machine *machine, uint32_t id)
{
	if (machine->conns_count == CONNS_MAX)
		put_conn(machine, MACHINE_OUT_CLOSE, id);
	else
		machine->conns[machine->conns_count++] = (struct conn){.id = id};
}

static enum err_code take_written(struct machine *machine, const struct machine_input *input,
				  struct err *err)
{
	/* With its directory gone there is no place left where the end could be kept. */
	bool is_done = input->errno_value == 0 || machine->is_gone;
	struct live *live = attempt_at(machine, input->attempt)->live;

	if (is_done || !live)
		return step(machine, input->attempt, KEEPER_EVENT_WRITTEN, input, err);
	if (!live->unwritten_ns)
		live->unwritten_ns = input->now_ns;
	/* RLIMIT_FSIZE: no room that somebody makes helps us. Later starts are refused, the engine stops. */
	if (input->errno_value == EFBIG && input->now_ns - live->unwritten_ns >= KEEPER_GIVE_UP_NS)
		return step(machine, input->attempt, KEEPER_EVENT_UNWRITABLE, input, err);
	return step(machine, input->attempt, KEEPER_EVENT_WRITE_FAILED, input, err);
}

enum err_code machine_take(struct machine *machine, const struct machine_input *input,
			   struct err *err)
{
	if (outputs_reserve(machine, err) != ERR_OK)
		return err->code;
	switch (input->kind) {
	case MACHINE_IN_RECORD:
		return take_record(machine, input->record, err);
	case MACHINE_IN_OPENED:
		take_opened(machine, input->conn);
		return ERR_OK;
	case MACHINE_IN_FRAME:
		return take_frame(machine, input, err);
	case MACHINE_IN_CLOSED:
		conn_remove(machine, input->conn);
		return ERR_OK;
	case MACHINE_IN_ARMED:
		return step(machine, input->attempt,
			    input->errno_value ? KEEPER_EVENT_ARM_FAILED : KEEPER_EVENT_ARMED,
			    input, err);
	case MACHINE_IN_SPAWNED:
		return step(machine, input->attempt,
			    input->errno_value ? KEEPER_EVENT_SPAWN_FAILED : KEEPER_EVENT_SPAWNED,
			    input, err);
	case MACHINE_IN_EXITED:
		return take_exited(machine, input, err);
	case MACHINE_IN_TREE:
		return step(machine, input->attempt,
			    input->is_left ? KEEPER_EVENT_LEFT : KEEPER_EVENT_CLEAN, input, err);
	case MACHINE_IN_SIZE:
		return take_size(machine, input, err);
	case MACHINE_IN_WRITTEN:
		return take_written(machine, input, err);
	case MACHINE_IN_TICK:
		return take_tick(machine, input, err);
	case MACHINE_IN_GONE:
		return take_gone(machine, input, err);
	}
	return err_set(err, ERR_CONFLICT, "the keeper's machine got an unknown input");
}
