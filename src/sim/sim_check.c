/* sim_check.c - see sim_check.h: what it is told and what it is asked.
 *
 * The rules that the lines of the log must keep are in sim_check_step.c and sim_check_run.c. */
#include "sim/sim_check_intern.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void forget_facts(struct sim_check *check)
{
	memset(&check->facts, 0, sizeof(check->facts));
	check->facts.undoing = STEP_NONE;
	for (uint32_t i = 0; i < check->plan->steps_count; i++)
		check->facts.steps[i].state = sim_plan_is_given(check->plan, i) ? 'S' : 'P';
}

struct sim_check *sim_check_new(const struct sim_plan *plan, const struct sim_disk *disk,
				const char *run_path, struct str run_id)
{
	struct sim_check *check = mem_new(1, sizeof(*check));

	BUG_IF(!check);
	check->plan = plan;
	check->disk = disk;
	check->run_id = run_id;
	(void)snprintf(check->log_path, sizeof(check->log_path), "%s/events.jsonl", run_path);
	forget_facts(check);
	return check;
}

void sim_check_free(struct sim_check *check)
{
	if (!check)
		return;
	mem_free(check->acks);
	mem_free(check->origins);
	buf_fini(&check->log);
	mem_free(check);
}

void sim_check_fail(struct sim_check *check, const char *rule, const char *format, ...)
{
	va_list args;
	int len;

	if (check->has_failed)
		return;
	check->has_failed = true;
	len = snprintf(check->failure, sizeof(check->failure), "%s: ", rule);
	va_start(args, format);
	(void)vsnprintf(check->failure + len, sizeof(check->failure) - (size_t)len, format, args);
	va_end(args);
}

const char *sim_check_failure(const struct sim_check *check)
{
	return check->has_failed ? check->failure : NULL;
}

uint32_t sim_check_person(struct str actor)
{
	static const char *const names[] = {"manual:anna", "manual:bert", "manual:cora"};
	uint32_t i = 0;

	while (i < PEOPLE - 1 && !str_is(actor, names[i]))
		i++;
	return i;
}

/* The bytes that count: durable ones, or with a weaker sync those that were written. */
static bool log_bytes(const struct sim_check *check, struct str *ret_content)
{
	return sim_disk_peek(check->disk, check->log_path, check->plan->sync == SIM_SYNC_ALWAYS,
			     ret_content);
}

/* Lines that nobody was told of may be cut off again: then all is taken in anew. */
static bool is_behind(const struct facts *facts, struct str content)
{
	return facts->bytes <= content.len &&
	       (facts->bytes < END_BYTES ||
		memcmp(content.ptr + facts->bytes - END_BYTES, facts->end, END_BYTES) == 0);
}

void sim_check_step(struct sim_check *check)
{
	struct str content = STR_NONE;
	struct sim_line line;

	if (sim_disk_violation(check->disk))
		sim_check_fail(check, "disk", "%s", sim_disk_violation(check->disk));
	if (!log_bytes(check, &content))
		return;
	if (!is_behind(&check->facts, content))
		forget_facts(check);
	while (!check->has_failed && sim_scan_line(content, &check->facts.bytes, &line))
		sim_check_read(check, &line);
	if (check->facts.bytes >= END_BYTES)
		memcpy(check->facts.end, content.ptr + check->facts.bytes - END_BYTES, END_BYTES);
}

static bool is_open(const struct fact *fact)
{
	return fact->state == 'P' || fact->state == 'W' || fact->state == 'R';
}

/* S1.4: a gate that failed for good bars all that comes after it. One that is tried again bars what
 * waits for it. That is not what comes after a step between them that is over: skipped for another
 * reason (S5.2), or before a resume opened the gate (S9.2). */
static bool is_barred(const struct sim_check *check, uint32_t gate, uint32_t step)
{
	const struct fact *facts = check->facts.steps;
	bool marks[SIM_STEPS_MAX] = {false};

	if (!facts[gate].is_gate_closed)
		return false;
	if (facts[gate].is_gate_bad)
		return sim_plan_is_downstream(check->plan, gate, step);
	marks[gate] = true;
	for (uint32_t i = gate + 1; i <= step; i++) {
		for (uint32_t need = gate; need < i; need++)
			marks[i] =
			    marks[i] || (marks[need] && (need == gate || is_open(&facts[need])) &&
					 sim_plan_has_need(check->plan, i, need));
	}
	return gate != step && marks[step];
}

/* Stands a failed gate above it? *ret_gate is the first. */
static bool is_below_barred(const struct sim_check *check, uint32_t step, uint32_t *ret_gate)
{
	for (*ret_gate = 0; *ret_gate < check->plan->steps_count; (*ret_gate)++) {
		if (is_barred(check, *ret_gate, step))
			return true;
	}
	return false;
}

void sim_check_hand_over(struct sim_check *check, uint32_t step, uint32_t attempt)
{
	if (step >= SIM_STEPS_MAX || attempt >= ATTEMPTS_MAX)
		return;
	check->handed[step][attempt] = HANDED_NOW;
	check->is_handing = true;
}

void sim_check_tick(struct sim_check *check)
{
	uint32_t gate;

	sim_check_step(check);
	for (uint32_t i = 0; check->is_handing && i < check->plan->steps_count; i++) {
		for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
			if (check->handed[i][attempt] == HANDED_NOW)
				check->handed[i][attempt] =
				    is_below_barred(check, i, &gate) ? HANDED_NOT : HANDED_WELL;
		}
	}
	check->is_handing = false;
}

void sim_check_exec(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside)
{
	const char *id = check->plan->steps[step].id;
	const struct fact *fact = &check->facts.steps[step];
	uint32_t gate;

	check->execs++;
	sim_check_step(check);
	if (!sim_plan_is_selected(check->plan, step))
		sim_check_fail(check, "S9.5", "%s.%u is executed, and not selected", id, attempt);
	if (!fact->is_running || fact->attempt != attempt)
		sim_check_fail(
		    check, "S1.2",
		    "%s.%u is executed, and its step.started is not durable or it is over", id,
		    attempt);
	if (attempt >= ATTEMPTS_MAX || check->executed[step][attempt])
		sim_check_fail(check, "S8.2", "%s.%u is executed twice", id, attempt);
	sim_check_approvals(check, step, attempt);
	if (is_alive_beside)
		sim_check_fail(check, "S8.3",
			       "%s.%u is executed beside an earlier attempt that lives", id,
			       attempt);
	if ((attempt >= ATTEMPTS_MAX || check->handed[step][attempt] != HANDED_WELL) &&
	    is_below_barred(check, step, &gate))
		sim_check_fail(check, "S1.4", "%s.%u is executed below the failed gate %s", id,
			       attempt, check->plan->steps[gate].id);
	if (attempt < ATTEMPTS_MAX)
		check->executed[step][attempt] = 1;
	if (check->plan->steps[step].is_cached)
		sim_check_note_origin(check, step, attempt);
}

void sim_check_undo(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside)
{
	const char *id = check->plan->steps[step].id;

	check->undos++;
	sim_check_step(check);
	if (check->facts.undoing != step || check->facts.steps[step].undos != attempt + 1)
		sim_check_fail(check, "S1.2",
			       "attempt %u to undo %s is executed, and its compensation.started is "
			       "not durable or it is over",
			       attempt, id);
	if (attempt >= ATTEMPTS_MAX || check->undone[step][attempt])
		sim_check_fail(check, "S8.2", "attempt %u to undo %s is executed twice", attempt,
			       id);
	if (is_alive_beside)
		sim_check_fail(check, "S10.5", "%s is undone beside something that lives", id);
	if (attempt < ATTEMPTS_MAX)
		check->undone[step][attempt] = 1;
}

void sim_check_definition(struct sim_check *check, uint32_t step, bool is_next)
{
	bool is_due = (check->plan->is_next || check->facts.is_changed) &&
		      check->plan->steps[step].is_changed;

	if (is_next != is_due)
		sim_check_fail(check, "S9.3", "%s is executed by the %s definition",
			       check->plan->steps[step].id, is_next ? "second" : "first");
}

/* Of the last line that is in the file, durable or not. */
static uint64_t last_seq(const struct sim_check *check)
{
	struct str content = STR_NONE;
	struct sim_line line = {.seq = check->facts.seq};
	size_t at = 0;

	if (sim_disk_peek(check->disk, check->log_path, false, &content)) {
		while (sim_scan_line(content, &at, &line))
			continue;
	}
	return line.seq;
}

/* Those that are in the file and not durable yet were meant as the ones before. */
void sim_check_mean(struct sim_check *check, enum sim_meant meaning)
{
	struct str content = STR_NONE;
	struct sim_line line;
	size_t at = 0;

	if (sim_disk_peek(check->disk, check->log_path, false, &content)) {
		while (sim_scan_line(content, &at, &line)) {
			if (str_is(line.type, "run.override_applied"))
				(void)sim_check_meant(check, line.seq);
		}
	}
	check->meaning = meaning;
}

enum sim_meant sim_check_meant(struct sim_check *check, uint64_t seq)
{
	if (seq >= SEQ_MAX)
		return SIM_MEANT_AS_IS;
	if (check->meant[seq] == SIM_MEANT_UNKNOWN)
		check->meant[seq] = (uint8_t)check->meaning;
	return (enum sim_meant)check->meant[seq];
}

void sim_check_hello(struct sim_check *check, uint64_t epoch)
{
	sim_check_step(check);
	if (check->facts.seq < epoch)
		sim_check_fail(check, "S8.3", "hello(%llu) is said before event %llu is durable",
			       (unsigned long long)epoch, (unsigned long long)epoch);
}

void sim_check_line(struct sim_check *check, struct str text)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	struct err err = ERR_INIT;
	struct sim_line line;
	struct ack ack;
	size_t at = 0;

	buf_str(&whole, text);
	buf_byte(&whole, '\n');
	if (!sim_scan_line(buf_view(&whole), &at, &line)) {
		sim_check_fail(check, "S11.6", "the observer was told something that is no line");
		return;
	}
	ack = (struct ack){line.seq, hash_text(1, text)};
	BUG_IF(mem_grow((void **)&check->acks, &check->acks_capacity, check->acks_count + 1,
			sizeof(ack), &err) != ERR_OK);
	check->acks[check->acks_count++] = ack;
	sim_check_step(check);
	if (check->facts.seq < line.seq)
		sim_check_fail(check, "S1.2", "event %llu was told of before it was durable",
			       (unsigned long long)line.seq);
}

void sim_check_answer(struct sim_check *check, const char *event_type, uint32_t step,
		      const char *actor)
{
	const struct facts *facts = &check->facts;
	bool is_there;

	sim_check_step(check);
	if (strcmp(event_type, "run.stop_requested") == 0)
		is_there = facts->stops > 0;
	else if (strcmp(event_type, "gate.approved") == 0)
		is_there = facts->steps[step].has_approved[sim_check_person(str_of(actor))];
	else
		is_there = facts->steps[step].is_rejected;
	if (!is_there)
		sim_check_fail(check, "S5.6", "'%s' was answered %s, and it is not durable", actor,
			       event_type);
}

/* Every acknowledged line is where it was, byte for byte. */
static void check_acks(struct sim_check *check, struct str content, bool may_lose_tail)
{
	struct sim_line line;
	size_t at = 0;
	size_t next = 0;

	while (sim_scan_line(content, &at, &line)) {
		while (next < check->acks_count && check->acks[next].seq < line.seq)
			next++;
		if (next < check->acks_count && check->acks[next].seq == line.seq &&
		    check->acks[next].hash != hash_text(1, line.text))
			sim_check_fail(check, "S1.5", "acknowledged event %llu has changed",
				       (unsigned long long)line.seq);
	}
	while (next < check->acks_count && (at == 0 || check->acks[next].seq <= line.seq))
		next++;
	if (next == check->acks_count)
		return;
	if (!may_lose_tail)
		sim_check_fail(check, "S1.5", "acknowledged event %llu is lost",
			       (unsigned long long)check->acks[next].seq);
	check->acks_count = next;
}

void sim_check_log(struct sim_check *check, bool may_lose_tail)
{
	struct str content = STR_NONE;
	const char *wrong;
	size_t bytes;

	if (may_lose_tail) { /* tokens that ran may be forgotten, and run again: that was chosen */
		forget_facts(check);
		memset(check->executed, 0, sizeof(check->executed));
		memset(check->undone, 0, sizeof(check->undone));
		check->is_vague = true;
	}
	if (!log_bytes(check, &content)) {
		if (check->acks_count)
			sim_check_fail(check, "S1.5", "the log is gone");
		return;
	}
	wrong = sim_scan_chain(content, check->run_id, &bytes);
	if (wrong)
		sim_check_fail(check, "S11.1", "%s", wrong);
	check_acks(check, content, may_lose_tail);
	sim_check_step(check);
	for (uint64_t seq = last_seq(check) + 1; seq < SEQ_MAX; seq++)
		check->meant[seq] = SIM_MEANT_UNKNOWN; /* another event may get the number */
}

const char *sim_check_first_end(const struct sim_check *check)
{
	return check->facts.first_end;
}

bool sim_check_is_gate_bad(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].is_gate_bad;
}

bool sim_check_is_completed(const struct sim_check *check)
{
	return check->facts.is_completed;
}

char sim_check_step_state(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].state;
}

const char *sim_check_run_state(const struct sim_check *check)
{
	return check->facts.state;
}

bool sim_check_is_changed(const struct sim_check *check)
{
	return check->facts.is_changed;
}

bool sim_check_is_lost(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].is_lost;
}

bool sim_check_is_undone(const struct sim_check *check)
{
	return check->facts.is_rolling_back;
}

bool sim_check_undo_runs(const struct sim_check *check, uint32_t *ret_step, uint32_t *ret_attempt)
{
	if (check->facts.undoing == STEP_NONE)
		return false;
	*ret_step = check->facts.undoing;
	*ret_attempt = check->facts.steps[check->facts.undoing].undos - 1;
	return true;
}

uint64_t sim_check_undos(const struct sim_check *check)
{
	return check->undos;
}

bool sim_check_has_stop(const struct sim_check *check)
{
	return check->facts.stops > 0;
}

bool sim_check_has_lost(const struct sim_check *check)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		if (check->facts.steps[i].lost)
			return true;
	}
	return false;
}

uint64_t sim_check_execs(const struct sim_check *check)
{
	return check->execs;
}
