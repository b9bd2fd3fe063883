/* sim_check_run.c - the rules that a line about the run must keep, and every line of its log */
#include "sim/sim_check_intern.h"

#include <stdio.h>
#include <string.h>

/* S10.1: who may begin a rollback, and when. */
static void on_rollback(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	bool is_wanted = false;

	if (strcmp(facts->state, "failed") != 0 && strcmp(facts->state, "stopped") != 0 &&
	    strcmp(facts->state, "blocked") != 0)
		sim_check_fail(check, "S10.1", "a run that is %s is rolled back", facts->state);
	if (facts->is_rolling_back && !facts->is_completed)
		sim_check_fail(check, "S10.1", "a rollback begins in a rollback");
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		is_wanted = is_wanted || facts->steps[i].is_undo_wanted;
		facts->steps[i].undo_failures = 0;
	}
	if (str_is(line->actor, "runner") &&
	    (!is_wanted || facts->is_stopping || facts->is_rolling_back))
		sim_check_fail(check, "S10.1", "the engine begins a rollback by itself");
	facts->is_rolling_back = true;
	facts->is_undo_over = false;
	facts->is_completed = false;
	facts->is_stopping = false;
}

/* S10.1, S10.3: a failure under `compensate` was answered, and what is rolled_back is so as a
 * whole. */
static void check_undone(struct sim_check *check, const struct sim_line *line)
{
	const struct facts *facts = &check->facts;
	bool is_whole = str_is(line->outcome, "rolled_back");

	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		const char *id = check->plan->steps[i].id;

		if (is_whole && sim_check_is_to_undo(check, i))
			sim_check_fail(check, "S10.3", "the run is rolled_back, and %s is not", id);
		if (facts->steps[i].is_undo_due && !facts->is_rolling_back && !facts->is_stopping)
			sim_check_fail(check, "S10.1", "%s failed, and nothing is undone", id);
	}
	if (facts->undoing != STEP_NONE &&
	    !check->plan->steps[facts->undoing].undo.awkward_per_mille)
		sim_check_fail(check, "S10.2", "the run is completed while %s is undone",
			       check->plan->steps[facts->undoing].id);
}

/* S9.3: what the second definition changes runs again, with all that is below. */
static void reopen_changed(struct sim_check *check)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		struct fact *fact = &check->facts.steps[i];

		if (!sim_plan_is_reopened(check->plan, i) || fact->state == 'W')
			continue;
		fact->state = 'P';
		fact->failures = fact->lost_in_row = 0;
		fact->is_lost = false;
		fact->is_undo_wanted = fact->is_undo_due = false;
	}
}

/* S9.3: the definition in force is the one that the log names, and a change says what it is. */
static void check_definition(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	bool is_same = str_is(str_cut(line->hash, 0, sizeof(facts->hash) - 1), facts->hash);
	char list[8 * SIM_STEPS_MAX + 16] = "\"changed\":[";

	if (is_same == line->has_changes)
		sim_check_fail(check, "S9.3", "event %llu %s", (unsigned long long)line->seq,
			       is_same ? "changes the definition into itself"
				       : "goes by a definition that nobody gave");
	if (!line->has_changes)
		return;
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		size_t at = strlen(list);

		if (check->plan->steps[i].is_changed)
			(void)snprintf(list + at, sizeof(list) - at, "%s\"%s\"",
				       list[at - 1] == '[' ? "" : ",", check->plan->steps[i].id);
	}
	if (facts->is_changed || str_find(line->text, list, 0) == SIZE_MAX)
		sim_check_fail(check, "S9.3", "the changes are not %s", list);
	facts->is_changed = true;
	(void)snprintf(facts->hash, sizeof(facts->hash), "%.*s", STR_ARG(line->hash));
}

/* S1.4: an override that was given for the second definition counts from here on, or never. */
static void open_overrides(struct sim_check *check, bool counts)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		struct fact *fact = &check->facts.steps[i];

		if (fact->is_override_open && counts)
			fact->is_gate_bad = fact->is_gate_closed = false;
		fact->is_override_open = false;
	}
}

/* S9.1, S9.2: what a resume may do, and what it opens. */
static void on_resumed(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;

	check_definition(check, line);
	open_overrides(check, line->has_changes);

	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		struct fact *fact = &facts->steps[i];

		if (facts->is_completed && facts->is_rolling_back)
			sim_check_fail(check, "S10.4", "a rollback that rests was resumed");
		if (facts->is_completed && fact->is_gate_bad)
			sim_check_fail(check, "S9.1", "resumed over the failed gate %s",
				       check->plan->steps[i].id);
		if (facts->is_completed && (fact->state == 'F' || fact->state == 'K')) {
			memset(fact->has_approved, 0, sizeof(fact->has_approved));
			fact->is_rejected = false;
			fact->failures = 0;
			fact->lost_in_row = 0;
			fact->is_undo_wanted = fact->is_undo_due = false;
		}
	}
	if (facts->is_completed || strcmp(facts->state, "stopped") == 0 ||
	    strcmp(facts->state, "failed") == 0)
		facts->is_stopping = false;
	facts->is_completed = false;
	facts->is_failing = false;
	if (line->has_changes)
		reopen_changed(check);
}

static void note_end(struct sim_check *check)
{
	char *text = check->facts.first_end;
	size_t at = 0;

	if (text[0])
		return;
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		text[at++] = check->facts.steps[i].state;
		if (check->facts.steps[i].state == 'K')
			text[at++] = check->facts.steps[i].skip;
	}
	(void)snprintf(text + at, sizeof(check->facts.first_end) - at, " %s %s", check->facts.state,
		       check->facts.outcome);
}

static void on_completed(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;

	if (facts->is_completed)
		sim_check_fail(check, "S11.4", "the run is completed twice");
	facts->is_completed = true;
	(void)snprintf(facts->outcome, sizeof(facts->outcome), "%.*s", STR_ARG(line->outcome));
	note_end(check);
	check_undone(check, line);
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		const struct fact *fact = &facts->steps[i];
		/* Neither the run's own deadline nor a stop waits for what cannot be killed. */
		bool may_live =
		    (check->plan->timeout_ns || facts->is_rolling_back || facts->is_stopping) &&
		    check->plan->steps[i].awkward_per_mille;
		bool is_open =
		    (!facts->is_rolling_back && (fact->state == 'P' || fact->state == 'W')) ||
		    (fact->state == 'R' && !may_live);

		if (is_open && !str_is(line->outcome, "stopped"))
			sim_check_fail(check, "S4", "the run is %.*s, and %s is still open",
				       STR_ARG(line->outcome), check->plan->steps[i].id);
		if (fact->is_gate_bad && str_is(line->outcome, "success"))
			sim_check_fail(check, "S3.5",
				       "the run is a success over the failed gate %s",
				       check->plan->steps[i].id);
	}
}

static void on_override(struct sim_check *check, const struct sim_line *line)
{
	uint32_t step = sim_plan_find(check->plan, line->gate);

	if (step == STEP_NONE || !str_starts(line->actor, "manual:")) {
		sim_check_fail(check, "S1.4", "an override without a gate or a name");
		return;
	}
	if (sim_check_meant(check, line->seq) == SIM_MEANT_CHANGED) {
		check->facts.steps[step].is_override_open = true;
		return;
	}
	check->facts.steps[step].is_gate_bad = false;
	check->facts.steps[step].is_gate_closed = false;
}

void sim_check_read(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	uint32_t step = line->step.len ? sim_plan_find(check->plan, line->step) : STEP_NONE;

	facts->seq = line->seq;
	if (line->step.len && step == STEP_NONE)
		sim_check_fail(check, "S11.4", "an event about '%.*s'", STR_ARG(line->step));
	if (step != STEP_NONE)
		sim_check_read_step(check, step, line);
	if (str_is(line->type, "run.created"))
		(void)snprintf(facts->hash, sizeof(facts->hash), "%.*s", STR_ARG(line->hash));
	else if (str_is(line->type, "run.resumed"))
		on_resumed(check, line);
	else if (str_is(line->type, "run.rollback_started"))
		on_rollback(check, line);
	else if (str_is(line->type, "run.completed"))
		on_completed(check, line);
	else if (str_is(line->type, "run.override_applied"))
		on_override(check, line);
	else if (str_is(line->type, "run.state_changed"))
		(void)snprintf(facts->state, sizeof(facts->state), "%.*s",
			       STR_ARG(line->new_state));
	else if (str_is(line->type, "run.stop_requested")) {
		facts->is_stopping = true;
		facts->stops++;
	}
}
