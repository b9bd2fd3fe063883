/* machine_act.c - what a row of the table has done: outputs, timers, reports to the engine */
#include "keeper/machine_intern.h"

#include "base/mem.h"

enum err_code machine_reserve(struct machine *machine, struct err *err)
{
	size_t need = 3 * (machine->lives_count + 1) + CONNS_MAX + 8;

	return mem_grow((void **)&machine->outputs, &machine->outputs_capacity,
			machine->outputs_count + need, sizeof(*machine->outputs), err);
}

struct machine_output *machine_put(struct machine *machine, enum machine_output_kind kind,
				   uint32_t attempt)
{
	struct machine_output *output;

	BUG_IF(machine->outputs_count == machine->outputs_capacity);
	output = &machine->outputs[machine->outputs_count++];
	*output = (struct machine_output){.kind = kind, .attempt = attempt};
	return output;
}

void machine_put_conn(struct machine *machine, enum machine_output_kind kind, uint32_t conn)
{
	machine_put(machine, kind, 0)->conn = conn;
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

void machine_due_by(struct machine *machine, int64_t due_ns)
{
	if (due_ns && due_ns < machine->due_ns)
		machine->due_ns = due_ns;
}

int64_t machine_after(int64_t now_ns, int64_t span_ns)
{
	return span_ns > INT64_MAX / 2 - now_ns ? INT64_MAX / 2 : now_ns + span_ns;
}

static void timer_set(struct machine *machine, struct live *live, int64_t now_ns, int64_t span_ns)
{
	live->due_ns = machine_after(now_ns, span_ns);
	machine_due_by(machine, live->due_ns);
}

void machine_tell(struct machine *machine, const struct exec_report *report, bool is_lazy)
{
	for (size_t i = 0; i < machine->conns_count; i++) {
		struct machine_output *output;

		if (!machine->conns[i].is_engine)
			continue;
		output = machine_put(machine, MACHINE_OUT_REPORT, 0);
		output->conn = machine->conns[i].id;
		output->report = *report;
		output->is_lazy = is_lazy;
	}
}

void machine_tell_state(struct machine *machine, uint32_t index)
{
	struct exec_report report;

	/* not reached: nothing to tell, as no row of the table asks for it before there is */
	if (machine_report(machine, index, &report))
		machine_tell(machine, &report, report.kind == EXEC_STARTED);
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
	struct attempt *attempt = machine_at(machine, index);
	struct live *live = attempt->live;

	attempt->pid = input->pid;
	live->spawned_ns = input->now_ns;
	live->changed_ns = input->now_ns;
	if (live->deadline_ns) {
		live->deadline_ns = machine_after(input->now_ns, live->deadline_ns);
		machine_due_by(machine, live->deadline_ns);
	}
	if (live->silence_ns && live->silence_ns / 4 < machine->look_every_ns)
		machine->look_every_ns = live->silence_ns / 4 > KEEPER_LOOK_NS / 20
					     ? live->silence_ns / 4
					     : KEEPER_LOOK_NS / 20;
	if (live->silence_ns || live->output_limit_bytes) {
		int64_t look_ns = machine_after(input->now_ns, machine->look_every_ns);

		if (!machine->look_ns || look_ns < machine->look_ns)
			machine->look_ns = look_ns;
		machine_due_by(machine, machine->look_ns);
	}
	machine_put(machine, MACHINE_OUT_NOTE, index);
	machine_tell_state(machine, index);
}

static void signal_tree(struct machine *machine, uint32_t index, enum machine_signal signal,
			int64_t now_ns)
{
	struct live *live = machine_at(machine, index)->live;

	machine_put(machine, MACHINE_OUT_SIGNAL, index)->signal = signal;
	if (signal == MACHINE_KILL && !live->killed_ns)
		live->killed_ns = now_ns;
}

static void finish(struct machine *machine, uint32_t index, const struct machine_input *input)
{
	struct attempt *attempt = machine_at(machine, index);

	if (input->kind == MACHINE_IN_SPAWNED) {
		attempt->end = EXEC_END_SPAWN_FAILED;
		attempt->errno_value = input->errno_value;
	}
	attempt->live->due_ns = 0;
	/* Recorded first: when the engine hears of it, it is on record if that is possible. */
	machine_put(machine, MACHINE_OUT_RECORD, index);
	machine_tell_state(machine, index);
	attempt->is_reported = true;
}

static void refuse(struct machine *machine, uint32_t index, int errno_value)
{
	struct attempt *attempt = machine_at(machine, index);
	struct exec_report report = {
	    .kind = EXEC_REFUSED, .token = attempt_token(attempt), .errno_value = errno_value};

	machine_tell(machine, &report, false);
	machine_put(machine, MACHINE_OUT_FORGET, index);
	live_remove(machine, attempt);
}

static void effect_run(struct machine *machine, uint32_t index, enum effect effect,
		       const struct machine_input *input)
{
	struct attempt *attempt = machine_at(machine, index);
	int64_t now_ns = input->now_ns;
	bool is_stuck = attempt->state == KEEPER_STUCK || attempt->state == KEEPER_STUCK_REST;

	switch (effect) {
	case DO_NONE:
		break;
	case DO_ARM:
		machine_put(machine, MACHINE_OUT_ARM, index);
		break;
	case DO_SPAWN:
		attempt->live->asked_ns = now_ns;
		machine_put(machine, MACHINE_OUT_SPAWN, index);
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
		machine_tell_state(machine, index);
		attempt->is_reported = true;
		timer_set(machine, attempt->live, now_ns, KEEPER_ORPHAN_NS);
		break;
	case DO_FINISH:
		finish(machine, index, input);
		break;
	case DO_RECORD:
		attempt->live->due_ns = 0;
		machine_put(machine, MACHINE_OUT_RECORD, index);
		break;
	case DO_RETRY:
		timer_set(machine, attempt->live, now_ns, KEEPER_RETRY_NS);
		break;
	case DO_FORGET:
		machine_put(machine, MACHINE_OUT_FORGET, index);
		live_remove(machine, attempt);
		break;
	}
}

enum err_code machine_step(struct machine *machine, uint32_t index, enum keeper_event event,
			   const struct machine_input *input, struct err *err)
{
	struct attempt *attempt = machine_at(machine, index);
	const struct row *row = machine_row((enum keeper_state)attempt->state, event);

	if (!row)
		return err_set(err, ERR_CONFLICT, "an attempt that is %s refuses %s",
			       keeper_state_name((enum keeper_state)attempt->state),
			       keeper_event_name(event));
	attempt->state = (uint8_t)row->to;
	effect_run(machine, index, row->effect, input);
	return ERR_OK;
}

enum err_code machine_end_for(struct machine *machine, uint32_t index, enum exec_cause cause,
			      enum keeper_event event, const struct machine_input *input,
			      struct err *err)
{
	struct attempt *attempt = machine_at(machine, index);

	if (attempt->state == KEEPER_RUNNING)
		attempt->cause = (uint8_t)cause;
	return machine_step(machine, index, event, input, err);
}
