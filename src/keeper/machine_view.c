/* machine_view.c - what can be asked of the machine; nothing here changes it */
#include "keeper/machine_intern.h"

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

struct attempt *machine_at(const struct machine *machine, uint32_t index)
{
	BUG_IF(index >= machine->count);
	return &machine->attempts[index];
}

enum keeper_state machine_state(const struct machine *machine, uint32_t attempt)
{
	return (enum keeper_state)machine_at(machine, attempt)->state;
}

struct exec_token attempt_token(const struct attempt *attempt)
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
	return attempt_token(machine_at(machine, attempt));
}

struct record machine_record(const struct machine *machine, uint32_t index, enum record_kind kind)
{
	const struct attempt *attempt = machine_at(machine, index);
	struct record record = {
	    .kind = kind,
	    .token = attempt_token(attempt),
	    .epoch = machine->epoch,
	    .pid = attempt->pid,
	    .slot = RECORD_NO_SLOT,
	};

	/* not reached: SPAWNED of one that does not live, as it is asked for at its start */
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
	/* not reached: over, as it lives until its end is written */
	if (attempt->live) {
		record.user_us = attempt->live->user_us;
		record.system_us = attempt->live->system_us;
		record.resident_kib = attempt->live->resident_kib;
	}
	return record;
}

bool machine_report(const struct machine *machine, uint32_t index, struct exec_report *ret_report)
{
	const struct attempt *attempt = machine_at(machine, index);
	struct exec_report report = {
	    .kind = EXEC_STARTED, .token = attempt_token(attempt), .pid = attempt->pid};

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
