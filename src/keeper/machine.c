/* machine.c - see machine.h: its life, and a function for each kind of input.
 *
 * The table is machine_table.c, what its rows do is in machine_act.c, questions are in
 * machine_view.c. */
#include "keeper/machine_intern.h"

#include "base/mem.h"

#include <errno.h>

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
	machine_at(machine, index)->live = live;
	return ERR_OK;
}

static void refuse_token(struct machine *machine, const struct exec_token *token, int errno_value)
{
	struct exec_report report = {
	    .kind = EXEC_REFUSED, .token = *token, .errno_value = errno_value};

	machine_tell(machine, &report, false);
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
		machine_tell_state(machine, index); /* idempotent: what is known of it (S8.2) */
		return ERR_OK;
	}
	if (live_make(machine, index, start, &local) != ERR_OK) {
		refuse_token(machine, &start->token, ENOMEM);
		return ERR_OK;
	}
	return machine_step(machine, index, KEEPER_EVENT_START, input, err);
}

static enum err_code take_cancel(struct machine *machine, const struct machine_input *input,
				 struct err *err)
{
	uint32_t index = token_table_get(&machine->table, &input->frame->token);

	if (index == TOKEN_NONE || machine->attempts[index].state == KEEPER_NONE)
		return ERR_OK; /* nothing of that name to end */
	return machine_end_for(machine, index, EXEC_CAUSE_CANCELLED,
			       input->frame->now ? KEEPER_EVENT_CANCEL_NOW : KEEPER_EVENT_CANCEL,
			       input, err);
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
	machine_put_conn(machine, MACHINE_OUT_CLOSE, id);
}

/* S8.3: the newest engine is the only one. */
static void take_hello(struct machine *machine, struct conn *conn, const struct wire_frame *frame)
{
	struct machine_output *output;
	uint32_t id = conn->id;
	bool is_spoken = frame->version >= WIRE_VERSION_LEAST && frame->version <= WIRE_VERSION;

	if (!is_spoken || frame->epoch < machine->epoch) {
		output = machine_put(machine, MACHINE_OUT_NO, 0);
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
	output = machine_put(machine, MACHINE_OUT_HELLO, 0);
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
	attempt = machine_at(machine, index);
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
	live->tree_ns = machine_after(now_ns, live->tree_every_ns);
	machine_due_by(machine, live->tree_ns);
}

static enum err_code take_exited(struct machine *machine, const struct machine_input *input,
				 struct err *err)
{
	struct attempt *attempt = machine_at(machine, input->attempt);
	struct live *live = attempt->live;

	if (!live)
		return err_set(err, ERR_CONFLICT, "an attempt that is over ended once more");
	attempt->end = (uint8_t)input->end;
	attempt->exit_code = input->exit_code;
	attempt->signal = input->signal;
	attempt->core = input->core;
	if (input->is_oom && attempt->cause == EXEC_CAUSE_NONE)
		attempt->cause = EXEC_CAUSE_MEMORY;
	attempt->duration_ns =
	    input->now_ns > live->spawned_ns ? input->now_ns - live->spawned_ns : 0;
	live->user_us = input->user_us;
	live->system_us = input->system_us;
	live->resident_kib = input->resident_kib;
	if (input->is_left)
		tree_later(machine, live, input->now_ns);
	return machine_step(machine, input->attempt,
			    input->is_left ? KEEPER_EVENT_LEFT : KEEPER_EVENT_CLEAN, input, err);
}

static enum err_code take_size(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	struct attempt *attempt = machine_at(machine, input->attempt);
	struct live *live = attempt->live;

	if (!live || attempt->state != KEEPER_RUNNING)
		return ERR_OK; /* it ended meanwhile */
	if (input->size_bytes != live->size_bytes) {
		live->size_bytes = input->size_bytes;
		live->changed_ns = input->now_ns;
	}
	if (live->output_limit_bytes && input->size_bytes > live->output_limit_bytes)
		return machine_end_for(machine, input->attempt, EXEC_CAUSE_OUTPUT_LIMIT,
				       KEEPER_EVENT_OVERSIZE, input, err);
	if (live->silence_ns && input->now_ns - live->changed_ns >= live->silence_ns)
		return machine_end_for(machine, input->attempt, EXEC_CAUSE_SILENCE,
				       KEEPER_EVENT_SILENT, input, err);
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
	struct attempt *attempt = machine_at(machine, index);
	struct live *live = attempt->live;

	if (attempt->state == KEEPER_RUNNING) {
		if (live->deadline_ns && live->deadline_ns <= input->now_ns)
			return machine_end_for(machine, index, EXEC_CAUSE_TIMEOUT,
					       KEEPER_EVENT_DEADLINE, input, err);
		if (looks && (live->silence_ns || live->output_limit_bytes))
			machine_put(machine, MACHINE_OUT_LOOK, index);
		return ERR_OK;
	}
	if (is_sweeping(attempt) && live->tree_ns <= input->now_ns) {
		machine_put(machine, MACHINE_OUT_TREE, index);
		tree_later(machine, live, input->now_ns);
	}
	if (!live->due_ns || live->due_ns > input->now_ns)
		return ERR_OK;
	if ((attempt->state == KEEPER_KILLING || attempt->state == KEEPER_CLEARING) &&
	    input->now_ns - live->killed_ns >= KEEPER_PATIENCE_NS)
		return machine_step(machine, index, KEEPER_EVENT_PATIENCE, input, err);
	return machine_step(machine, index, KEEPER_EVENT_TIMER, input, err);
}

static enum err_code take_tick(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	bool looks = machine->look_ns && machine->look_ns <= input->now_ns;

	if (machine->due_ns > input->now_ns)
		return ERR_OK;
	machine->due_ns = INT64_MAX;
	if (looks)
		machine->look_ns = machine_after(input->now_ns, machine->look_every_ns);
	/* No act of a tick removes an attempt, so the list is stable here. */
	for (size_t i = 0; i < machine->lives_count; i++) {
		if (tick_one(machine, machine->lives[i], looks, input, err) != ERR_OK)
			return err->code; /* not reached: the table has a row for each */
	}
	for (size_t i = 0; i < machine->lives_count; i++) {
		const struct attempt *attempt = machine_at(machine, machine->lives[i]);

		machine_due_by(machine, attempt->live->due_ns);
		if (is_sweeping(attempt))
			machine_due_by(machine, attempt->live->tree_ns);
		if (attempt->state == KEEPER_RUNNING)
			machine_due_by(machine, attempt->live->deadline_ns);
	}
	machine_due_by(machine, machine->look_ns);
	return ERR_OK;
}

static enum err_code take_gone(struct machine *machine, const struct machine_input *input,
			       struct err *err)
{
	machine->is_gone = true;
	for (size_t i = 0; i < machine->lives_count; i++) {
		if (machine_end_for(machine, machine->lives[i], EXEC_CAUSE_CANCELLED,
				    KEEPER_EVENT_CANCEL_NOW, input, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static void take_opened(struct machine *machine, uint32_t id)
{
	if (machine->conns_count == CONNS_MAX)
		machine_put_conn(machine, MACHINE_OUT_CLOSE, id);
	else
		machine->conns[machine->conns_count++] = (struct conn){.id = id};
}

static enum err_code take_written(struct machine *machine, const struct machine_input *input,
				  struct err *err)
{
	/* With its directory gone there is no place left where the end could be kept. */
	bool is_done = input->errno_value == 0 || machine->is_gone;
	struct live *live = machine_at(machine, input->attempt)->live;

	if (is_done || !live)
		return machine_step(machine, input->attempt, KEEPER_EVENT_WRITTEN, input, err);
	if (!live->unwritten_ns)
		live->unwritten_ns = input->now_ns;
	/* RLIMIT_FSIZE: no room that somebody makes helps us. Later starts are refused, the engine
	 * stops. */
	if (input->errno_value == EFBIG && input->now_ns - live->unwritten_ns >= KEEPER_GIVE_UP_NS)
		return machine_step(machine, input->attempt, KEEPER_EVENT_UNWRITABLE, input, err);
	return machine_step(machine, input->attempt, KEEPER_EVENT_WRITE_FAILED, input, err);
}

enum err_code machine_take(struct machine *machine, const struct machine_input *input,
			   struct err *err)
{
	if (machine_reserve(machine, err) != ERR_OK)
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
		return machine_step(
		    machine, input->attempt,
		    input->errno_value ? KEEPER_EVENT_ARM_FAILED : KEEPER_EVENT_ARMED, input, err);
	case MACHINE_IN_SPAWNED:
		return machine_step(machine, input->attempt,
				    input->errno_value ? KEEPER_EVENT_SPAWN_FAILED
						       : KEEPER_EVENT_SPAWNED,
				    input, err);
	case MACHINE_IN_EXITED:
		return take_exited(machine, input, err);
	case MACHINE_IN_TREE:
		return machine_step(machine, input->attempt,
				    input->is_left ? KEEPER_EVENT_LEFT : KEEPER_EVENT_CLEAN, input,
				    err);
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
