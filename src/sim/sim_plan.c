/* sim_plan.c - see sim_plan.h */
#include "sim/sim_plan.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STREAM_SHAPE 1
#define STREAM_ACT   2
#define STREAM_UNDO  3
#define STREAM_MORE  4
#define STREAM_CACHE 5
#define STREAM_AGAIN 6

/* ------------------------------------------------------------------------------- the shape */

static void make_needs(struct sim_rand *rand, struct sim_step *step, uint32_t index)
{
	uint32_t style = sim_rand_below(rand, 10);

	step->has_needs = index > 0 && style >= 3;
	if (!step->has_needs || style == 3)
		return; /* implicit, or `needs: []` */
	for (uint32_t i = 0; i < index; i++) {
		uint32_t chance = 1500 / (index + 1) + 100;

		if (!sim_rand_chance(rand, chance))
			continue;
		if (style >= 8)
			step->needs_any[step->needs_any_count++] = i;
		else
			step->needs[step->needs_count++] = i;
	}
}

static void make_gate(struct sim_rand *rand, struct sim_step *step)
{
	uint32_t style = sim_rand_below(rand, 20);

	if (style < 4)
		step->gate = GATE_HARD;
	else if (style < 6)
		step->gate = GATE_SOFT;
	else if (style < 8)
		step->gate = GATE_MANUAL;
	step->has_pass = (step->gate == GATE_HARD || step->gate == GATE_SOFT) && !step->is_noop &&
			 sim_rand_chance(rand, 600);
	step->has_result = !step->is_noop && (step->has_pass || sim_rand_chance(rand, 300));
	if (step->gate != GATE_MANUAL)
		return;
	step->approvals = 1 + sim_rand_chance(rand, 300);
	step->is_limited_to_names = sim_rand_chance(rand, 500);
	if (sim_rand_chance(rand, 400))
		step->approve_ns = sim_rand_between(rand, 5, 200) * NS_PER_S;
}

static void make_policy(struct sim_rand *rand, struct sim_step *step)
{
	static const enum on_failure failures[] = {
	    ON_FAILURE_STOP,
	    ON_FAILURE_STOP,
	    ON_FAILURE_SKIP_DOWNSTREAM,
	    ON_FAILURE_SKIP_DOWNSTREAM,
	    ON_FAILURE_CONTINUE,
	    ON_FAILURE_CONTINUE,
	    ON_FAILURE_IGNORE,
	};

	step->on_failure = failures[sim_rand_below(rand, 7)];
	step->on_lost = (enum on_lost)(ON_LOST_FAIL + (int)sim_rand_below(rand, 3));
	step->on_stop = sim_rand_chance(rand, 400) ? ON_STOP_CANCEL : ON_STOP_WAIT;
	if (sim_rand_chance(rand, 500))
		step->max_attempts = 1 + sim_rand_below(rand, 4);
}

static void make_attempts(struct sim_rand *rand, struct sim_step *step)
{
	static const int64_t durations_ms[] = {1, 5, 20, 100, 500, 2000, 10000, 60000};

	step->duration_ns = durations_ms[sim_rand_below(rand, 8)] * NS_PER_MS;
	if (sim_rand_chance(rand, 350)) {
		step->bad_attempts = 1 + sim_rand_below(rand, 4);
		step->deed = (enum sim_deed)(1 + sim_rand_below(rand, SIM_DEED_SAY_NO));
		if (sim_rand_chance(rand, 300))
			step->deed = SIM_DEED_TRANSIENT;
	}
	step->grace_ns = sim_rand_between(rand, 1, 10) * NS_PER_S;
	if (sim_rand_chance(rand, 400) || step->deed == SIM_DEED_HANG)
		step->timeout_ns = 3 * step->duration_ns + NS_PER_S;
	if (sim_rand_chance(rand, 200))
		step->silence_ns = 2 * step->duration_ns + NS_PER_S;
	step->is_limited = sim_rand_chance(rand, 300) || step->deed == SIM_DEED_FLOOD;
	if (sim_rand_chance(rand, 300))
		step->awkward_per_mille = 500;
}

static void make_step(struct sim_rand *rand, struct sim_plan *plan, uint32_t index)
{
	struct sim_step *step = &plan->steps[index];

	(void)snprintf(step->id, sizeof(step->id), "s%u", index);
	step->is_noop = sim_rand_chance(rand, 120);
	make_needs(rand, step, index);
	make_gate(rand, step);
	make_policy(rand, step);
	make_attempts(rand, step);
	if (sim_rand_chance(rand, 150))
		step->when = (enum sim_when)(1 + sim_rand_below(rand, 3));
	if (step->when == SIM_WHEN_ERROR && sim_rand_chance(rand, 700))
		step->when = SIM_WHEN_TRUE;
}

static void make_undo(struct sim_rand *rand, struct sim_undo *undo)
{
	static const enum sim_deed deeds[] = {
	    SIM_DEED_FAIL, SIM_DEED_TRANSIENT, SIM_DEED_TRANSIENT, SIM_DEED_CRASH,
	    SIM_DEED_HANG, SIM_DEED_FLOOD,     SIM_DEED_BUSY,      SIM_DEED_MISSING};
	static const int64_t durations_ms[] = {1, 20, 500, 5000, 30000};

	undo->is_there = true;
	undo->duration_ns = durations_ms[sim_rand_below(rand, 5)] * NS_PER_MS;
	if (sim_rand_chance(rand, 500))
		undo->max_attempts = 1 + sim_rand_below(rand, 4);
	if (sim_rand_chance(rand, 250)) {
		undo->bad_attempts = 1 + sim_rand_below(rand, 3);
		undo->deed = deeds[sim_rand_below(rand, (uint32_t)ARRAY_LEN(deeds))];
	}
	if (sim_rand_chance(rand, 300) || undo->deed == SIM_DEED_HANG)
		undo->timeout_ns = 3 * undo->duration_ns + NS_PER_S;
	if (sim_rand_chance(rand, 200))
		undo->awkward_per_mille = 500;
}

/* What can be undone, and what asks for it. Drawn from a stream of its own: the rest of a seed is
 * as it would be without. */
static void make_undos(struct sim_plan *plan, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_UNDO);
	bool has_undo = false;

	if (!sim_rand_chance(&rand, 400))
		return;
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		struct sim_step *step = &plan->steps[i];

		if (!step->is_noop && sim_rand_chance(&rand, 700)) {
			make_undo(&rand, &step->undo);
			has_undo = true;
		}
	}
	for (uint32_t i = 0; has_undo && i < plan->steps_count; i++) {
		if (sim_rand_chance(&rand, 400))
			plan->steps[i].on_failure = ON_FAILURE_COMPENSATE;
	}
}

/* Figures of data, from a stream of its own as make_undos. */
static void make_quality(struct sim_rand *rand, struct sim_step *step)
{
	step->has_quality = true;
	step->is_quality_soft = sim_rand_chance(rand, 400);
	if (step->bad_attempts || !sim_rand_chance(rand, 400))
		return;
	step->bad_attempts = 1 + sim_rand_below(rand, 3);
	step->deed = SIM_DEED_POOR;
}

static void make_more(struct sim_plan *plan, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_MORE);

	for (uint32_t i = 0; i < plan->steps_count; i++) {
		struct sim_step *step = &plan->steps[i];

		if (step->has_result && sim_rand_chance(&rand, 300))
			make_quality(&rand, step);
		step->is_changed = !step->is_noop && sim_rand_chance(&rand, 300);
		plan->has_next = plan->has_next || step->is_changed;
	}
	plan->has_next = plan->has_next && sim_rand_chance(&rand, 500);
	if (plan->has_next || !sim_rand_chance(&rand, 200))
		return;
	plan->part = (enum sim_part)(1 + sim_rand_below(&rand, 3));
	plan->selected = sim_rand_below(&rand, plan->steps_count);
}

static void make_cache(struct sim_plan *plan, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_CACHE);

	if (!sim_rand_chance(&rand, 130))
		return;
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		struct sim_step *step = &plan->steps[i];

		step->is_cached = !step->is_noop && sim_rand_chance(&rand, 800);
		plan->has_cache = plan->has_cache || step->is_cached;
	}
}

void sim_plan_again(struct sim_plan *plan)
{
	struct sim_rand rand = sim_rand_fork(plan->seed, STREAM_AGAIN);
	uint32_t edited_per_mille = sim_rand_chance(&rand, 300) ? 200 : 0;
	uint32_t salted_per_mille = sim_rand_chance(&rand, 500) ? 400 : 0;
	bool is_better = sim_rand_chance(&rand, 300);

	plan->has_next = false;
	plan->is_next = sim_rand_chance(&rand, 250);
	plan->limit = sim_rand_chance(&rand, 150) ? "4" : "3";
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		struct sim_step *step = &plan->steps[i];

		if (sim_rand_chance(&rand, edited_per_mille))
			step->grace_ns += NS_PER_S;
		if (sim_rand_chance(&rand, salted_per_mille))
			step->salt = 1000;
		if (is_better)
			step->bad_attempts = 0;
	}
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_SHAPE);

	*plan = (struct sim_plan){.seed = seed, .limit = "3"};
	plan->steps_count = 1 + sim_rand_below(&rand, SIM_STEPS_MAX);
	if (sim_rand_chance(&rand, 400))
		plan->steps_count = 1 + sim_rand_below(&rand, 4);
	plan->concurrency = 1 + sim_rand_below(&rand, 4);
	for (uint32_t i = 0; i < plan->steps_count; i++)
		make_step(&rand, plan, i);
	make_undos(plan, seed);
	make_more(plan, seed);
	make_cache(plan, seed);
	if (sim_rand_chance(&rand, 120))
		plan->timeout_ns = sim_rand_between(&rand, 2, 300) * NS_PER_S;
	if (sim_rand_chance(&rand, 60))
		plan->sync = sim_rand_chance(&rand, 500) ? SIM_SYNC_INTERVAL : SIM_SYNC_NEVER;
}

/* -------------------------------------------------------------------------------- the text */

static void put_list(const struct sim_plan *plan, struct buf *out, const char *key,
		     const uint32_t *items, uint32_t count)
{
	buf_fmt(out, "    %s: [", key);
	for (uint32_t i = 0; i < count; i++)
		buf_fmt(out, "%s%s", i ? ", " : "", plan->steps[items[i]].id);
	buf_text(out, "]\n");
}

static void put_order(const struct sim_plan *plan, const struct sim_step *step, struct buf *out)
{
	static const char *const whens[] = {
	    [SIM_WHEN_TRUE] = "params.limit > 2",
	    [SIM_WHEN_FALSE] = "params.limit > 5",
	    [SIM_WHEN_ERROR] = "params.limit",
	};

	if (step->has_needs && step->needs_any_count == 0)
		put_list(plan, out, "needs", step->needs, step->needs_count);
	if (step->needs_any_count)
		put_list(plan, out, "needs_any", step->needs_any, step->needs_any_count);
	if (step->when != SIM_WHEN_NONE)
		buf_fmt(out, "    when: \"%s\"\n", whens[step->when]);
}

static void put_gate(const struct sim_step *step, struct buf *out)
{
	if (step->gate != GATE_NONE)
		buf_fmt(out, "    gate: %s\n", gate_kind_name(step->gate));
	if (step->has_pass)
		buf_text(out, "    pass: output.ok\n");
	if (step->gate != GATE_MANUAL)
		return;
	buf_fmt(out, "    approve: {count: %u", step->approvals);
	if (step->is_limited_to_names)
		buf_text(out, ", by: [anna, bert]");
	if (step->approve_ns)
		buf_fmt(out, ", timeout: %llds", (long long)(step->approve_ns / NS_PER_S));
	buf_text(out, "}\n");
}

static void put_policy(const struct sim_plan *plan, const struct sim_step *step, struct buf *out)
{
	static const char *const losts[] = {"fail", "rerun", "ask"};
	static const char *const backoffs[] = {"exponential", "linear", "constant"};
	uint64_t draw = sim_mix(plan->seed, (uint64_t)(step - plan->steps) + 1000);

	buf_fmt(out, "    on_failure: %s\n", on_failure_name(step->on_failure));
	if (step->is_noop)
		return;
	buf_fmt(out, "    on_lost: %s\n    on_stop: %s\n", losts[step->on_lost],
		step->on_stop == ON_STOP_CANCEL ? "cancel" : "wait");
	if (step->max_attempts)
		buf_fmt(
		    out,
		    "    retry: {max_attempts: %u, on: [transient_io, timeout, infrastructure], "
		    "backoff: %s, initial: %llus, max: 30s, jitter: %u%%}\n",
		    step->max_attempts, backoffs[draw % 3], (unsigned long long)(1 + draw / 3 % 4),
		    (unsigned)(draw / 12 % 20));
}

static void put_command(const struct sim_step *step, bool is_next, struct buf *out)
{
	if (step->is_noop) {
		buf_text(out, "    noop: true\n");
		return;
	}
	buf_fmt(out, "    argv: [\"/bin/%s\"%s]\n    grace: %llds\n", step->id,
		is_next && step->is_changed ? ", \"" SIM_NEXT_WORD "\"" : "",
		(long long)(step->grace_ns / NS_PER_S));
	if (step->timeout_ns)
		buf_fmt(out, "    timeout: %lldms\n", (long long)(step->timeout_ns / NS_PER_MS));
	if (step->silence_ns)
		buf_fmt(out, "    silence_timeout: %lldms\n",
			(long long)(step->silence_ns / NS_PER_MS));
	if (step->is_limited)
		buf_text(out, "    output_limit: 64KiB\n");
	if (step->has_result)
		buf_text(out, "    outputs: {ok: {type: bool, required: true}, n: {type: int}}\n");
	if (step->is_cached)
		buf_text(out, "    inputs: []\n    cache: true\n");
	if (step->has_quality)
		buf_fmt(out, "    quality: {min_valid_rate: 0.9, severity: %s}\n",
			step->is_quality_soft ? "soft" : "hard");
}

static void put_undo(const struct sim_step *step, struct buf *out)
{
	const struct sim_undo *undo = &step->undo;

	if (!undo->is_there)
		return;
	buf_fmt(out, "    compensate:\n      argv: [\"/bin/un%s\"]\n      grace: 2s\n", step->id);
	if (undo->timeout_ns)
		buf_fmt(out, "      timeout: %lldms\n", (long long)(undo->timeout_ns / NS_PER_MS));
	if (undo->deed == SIM_DEED_FLOOD)
		buf_text(out, "      output_limit: 64KiB\n");
	if (undo->max_attempts)
		buf_fmt(
		    out,
		    "      retry: {max_attempts: %u, on: [transient_io, timeout, infrastructure], "
		    "initial: 1s, jitter: 0%%}\n",
		    undo->max_attempts);
}

void sim_plan_step_yaml(const struct sim_plan *plan, uint32_t index, bool is_next, struct buf *out)
{
	const struct sim_step *step = &plan->steps[index];

	buf_fmt(out, "  %s:\n", step->id);
	put_command(step, is_next, out);
	put_order(plan, step, out);
	put_gate(step, out);
	put_policy(plan, step, out);
	put_undo(step, out);
}

void sim_plan_yaml(const struct sim_plan *plan, bool is_next, struct buf *out)
{
	static const char *const syncs[] = {"always", "interval:50ms", "never"};

	buf_fmt(out, "pipeline: sim\nconcurrency: %u\nsync: %s\n", plan->concurrency,
		syncs[plan->sync]);
	buf_text(out, "params: {limit: {type: int, default: 3}}\n");
	if (plan->timeout_ns)
		buf_fmt(out, "timeout: %llds\n", (long long)(plan->timeout_ns / NS_PER_S));
	buf_text(out, "steps:\n");
	for (uint32_t i = 0; i < plan->steps_count; i++)
		sim_plan_step_yaml(plan, i, is_next, out);
}

/* ------------------------------------------------------------------------------ an attempt */

/* `duration_ns` is the typical one. */
static void act_badly(enum sim_deed deed, int64_t duration_ns, bool has_result, struct sim_act *act)
{
	switch (deed) {
	case SIM_DEED_FAIL:
		act->exit_code = 1;
		break;
	case SIM_DEED_TRANSIENT:
		act->exit_code = 75;
		break;
	case SIM_DEED_CRASH:
		act->signal = 11;
		break;
	case SIM_DEED_HANG:
		act->duration_ns = 20 * duration_ns + 100 * NS_PER_S;
		break;
	case SIM_DEED_FLOOD:
		act->bytes_per_s = UINT64_C(1) << 20;
		act->duration_ns += 3 * NS_PER_S;
		break;
	case SIM_DEED_MISSING:
		act->spawn_errno = ENOENT;
		break;
	case SIM_DEED_BUSY:
		act->spawn_errno = EAGAIN;
		break;
	case SIM_DEED_GARBLED:
		(void)snprintf(act->result, sizeof(act->result), "{\"outputs\": {\"ok\"");
		break;
	case SIM_DEED_NO_RESULT:
		act->result[0] = '\0';
		break;
	case SIM_DEED_SAY_NO:
		if (has_result)
			(void)snprintf(act->result, sizeof(act->result),
				       "{\"outputs\":{\"ok\":false}}");
		break;
	case SIM_DEED_SUCCEED:
	case SIM_DEED_POOR: /* put_figures */
	case SIM_DEED_COUNT:
		break;
	}
}

static void act_awkwardly(struct sim_rand *rand, struct sim_act *act)
{
	act->ignores_term = sim_rand_chance(rand, 300);
	act->leaves_tree = sim_rand_chance(rand, 300);
	act->tree_ns = sim_rand_between(rand, 1, 20000) * NS_PER_MS;
	if (sim_rand_chance(rand, 200))
		act->tree_ns = 4000 * NS_PER_S;
	act->tree_ignores_term = sim_rand_chance(rand, 300);
	act->outlives_keeper = sim_rand_chance(rand, 300);
	if (sim_rand_chance(rand, 60))
		act->stuck_ns = sim_rand_between(rand, 1, 200) * NS_PER_S;
	if (sim_rand_chance(rand, 10))
		act->stuck_ns = 100000 * NS_PER_S;
}

/* The result says what the data are like, when it is one. */
static void put_figures(struct sim_act *act, bool is_poor)
{
	size_t len = strlen(act->result);

	if (len < 2 || act->result[len - 2] != '}')
		return; /* garbled */
	(void)snprintf(act->result + len - 1, sizeof(act->result) - len + 1,
		       ",\"quality\":{\"record_count\":100,\"valid_count\":%d}}",
		       is_poor ? 50 : 99);
}

void sim_plan_act(const struct sim_plan *plan, uint32_t index, uint32_t attempt,
		  struct sim_act *act)
{
	const struct sim_step *step = &plan->steps[index];
	struct sim_rand rand =
	    sim_rand_fork(sim_mix(plan->seed, (uint64_t)index << 32 | attempt), STREAM_ACT);

	*act = (struct sim_act){.deed = SIM_DEED_SUCCEED};
	act->duration_ns = step->duration_ns / 2 + sim_rand_between(&rand, 0, step->duration_ns);
	act->obeys_after_ns = sim_rand_between(&rand, 0, 1000) * NS_PER_MS;
	act->bytes_per_s = 10;
	if (step->has_result)
		(void)snprintf(
		    act->result, sizeof(act->result),
		    "{\"outputs\":{\"ok\":true,\"n\":%u},\"context_updates\":{\"last_%s\":%u}}",
		    attempt + step->salt, step->id, attempt + step->salt);
	act->salt = step->salt;
	act->has_large_result = step->has_result && sim_rand_chance(&rand, 50);
	if (attempt < step->bad_attempts) {
		act->deed = step->deed;
		act_badly(step->deed, step->duration_ns, step->has_result, act);
	}
	if (step->has_quality && act->result[0]) {
		act->has_large_result = false;
		put_figures(act, attempt < step->bad_attempts && step->deed == SIM_DEED_POOR);
	}
	if (sim_rand_chance(&rand, step->awkward_per_mille))
		act_awkwardly(&rand, act);
}

void sim_plan_undo_act(const struct sim_plan *plan, uint32_t index, uint32_t attempt,
		       struct sim_act *act)
{
	const struct sim_undo *undo = &plan->steps[index].undo;
	struct sim_rand rand =
	    sim_rand_fork(sim_mix(plan->seed, (uint64_t)index << 32 | attempt), STREAM_UNDO);

	*act = (struct sim_act){.deed = SIM_DEED_SUCCEED};
	act->duration_ns = undo->duration_ns / 2 + sim_rand_between(&rand, 0, undo->duration_ns);
	act->obeys_after_ns = sim_rand_between(&rand, 0, 1000) * NS_PER_MS;
	act->bytes_per_s = 10;
	if (attempt < undo->bad_attempts) {
		act->deed = undo->deed;
		act_badly(undo->deed, undo->duration_ns, false, act);
	}
	if (!sim_rand_chance(&rand, undo->awkward_per_mille))
		return;
	act_awkwardly(&rand, act);
	if (sim_rand_chance(&rand, 100))
		act->stuck_ns = 100000 * NS_PER_S;
}

/* ------------------------------------------------------------------------------- questions */

uint32_t sim_plan_find(const struct sim_plan *plan, struct str id)
{
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		if (str_is(id, plan->steps[i].id))
			return i;
	}
	return STEP_NONE;
}

bool sim_plan_has_need(const struct sim_plan *plan, uint32_t index, uint32_t need)
{
	const struct sim_step *step = &plan->steps[index];
	bool has = !step->has_needs && need + 1 == index;

	for (uint32_t n = 0; n < step->needs_count; n++)
		has = has || step->needs[n] == need;
	for (uint32_t n = 0; n < step->needs_any_count; n++)
		has = has || step->needs_any[n] == need;
	return has;
}

/* Steps only need earlier ones, so one pass in their order is enough. */
bool sim_plan_is_downstream(const struct sim_plan *plan, uint32_t gate, uint32_t step)
{
	bool marks[SIM_STEPS_MAX] = {false};

	marks[gate] = true;
	for (uint32_t i = gate + 1; i <= step; i++) {
		for (uint32_t need = gate; need < i; need++)
			marks[i] = marks[i] || (marks[need] && sim_plan_has_need(plan, i, need));
	}
	return gate != step && marks[step];
}

bool sim_plan_is_selected(const struct sim_plan *plan, uint32_t step)
{
	if (plan->part == SIM_PART_ALL || step == plan->selected)
		return true;
	if (plan->part == SIM_PART_UNTIL)
		return sim_plan_is_downstream(plan, step, plan->selected);
	return plan->part == SIM_PART_FROM && sim_plan_is_downstream(plan, plan->selected, step);
}

bool sim_plan_is_given(const struct sim_plan *plan, uint32_t step)
{
	bool is_needed = false;

	if (sim_plan_is_selected(plan, step))
		return false;
	for (uint32_t i = step + 1; i < plan->steps_count; i++)
		is_needed = is_needed ||
			    (sim_plan_is_selected(plan, i) && sim_plan_has_need(plan, i, step));
	return is_needed;
}

bool sim_plan_is_reopened(const struct sim_plan *plan, uint32_t step)
{
	for (uint32_t i = 0; i <= step; i++) {
		if (plan->steps[i].is_changed &&
		    (i == step || sim_plan_is_downstream(plan, i, step)))
			return true;
	}
	return false;
}

bool sim_plan_is_determined(const struct sim_plan *plan)
{
	bool is_chain = true;
	bool stops = false;

	if (plan->timeout_ns)
		return false;
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		const struct sim_step *step = &plan->steps[i];

		if (step->gate == GATE_MANUAL || step->awkward_per_mille ||
		    step->undo.awkward_per_mille)
			return false;
		/* What else ran when one fails for good depends on the order of starts. */
		is_chain = is_chain && !step->has_needs;
		stops = stops || step->on_failure == ON_FAILURE_STOP ||
			step->on_failure == ON_FAILURE_COMPENSATE || step->gate == GATE_HARD;
	}
	return is_chain || !stops;
}
