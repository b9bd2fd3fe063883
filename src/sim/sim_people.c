/* sim_people.c - people around a run: they approve, reject and stop, now and then, and not always
 * by the rules */
#include "sim/sim_run.h"

#include "base/timefmt.h"

#include <stdio.h>

static const char *const names[SIM_NAMES] = {"anna", "bert", "cora"};

static void on_answer(void *arg, const struct err *err)
{
	static const char *const types[] = {
	    [ENGINE_ASK_STOP] = "run.stop_requested",
	    [ENGINE_ASK_APPROVE] = "gate.approved",
	    [ENGINE_ASK_REJECT] = "gate.rejected",
	};
	struct sim_run *run = arg;

	run->request.is_open = false;
	sim_trace(&run->world, "%s is answered %s", run->request.actor, err_name(err->code));
	if (err->code == ERR_OK && !run->world.engine.is_dead)
		sim_check_answer(run->world.check, types[run->request.kind], run->request.step,
				 run->request.actor);
}

/* A step that waits for a decision: an approval, or what becomes of a lost attempt. */
static uint32_t undecided_step(struct sim_run *run)
{
	uint32_t first = sim_rand_below(&run->world.rand, run->plan.steps_count);

	for (uint32_t n = 0; n < run->plan.steps_count; n++) {
		uint32_t i = (first + n) % run->plan.steps_count;
		char state = sim_check_step_state(run->world.check, i);

		if (state == 'W')
			return i;
		if (state == 'F' && run->plan.steps[i].on_lost == ON_LOST_ASK &&
		    sim_check_is_lost(run->world.check, i))
			return i;
	}
	return STEP_NONE;
}

static void choose(struct sim_run *run, struct engine_ask *ask)
{
	struct sim_rand *rand = &run->world.rand;
	uint32_t step = undecided_step(run);
	const char *name = names[sim_rand_below(rand, SIM_NAMES)];

	*ask = (struct engine_ask){.kind = ENGINE_ASK_STOP};
	ask->person = (struct decide_person){str_of(name), STR("so be it"), 1000, 42};
	if (run->stops && sim_rand_chance(rand, 200)) {
		run->stops--;
		ask->now = sim_rand_chance(rand, 300);
		run->request.step = STEP_NONE;
	} else if (step != STEP_NONE) {
		ask->kind = ENGINE_ASK_APPROVE;
		if (run->rejections && sim_rand_chance(rand, 200)) {
			run->rejections--;
			ask->kind = ENGINE_ASK_REJECT;
		}
		ask->step = str_of(run->plan.steps[step].id);
		run->request.step = step;
	} else {
		return;
	}
	run->request.is_open = true;
	run->request.kind = ask->kind;
	(void)snprintf(run->request.actor, sizeof(run->request.actor), "manual:%s", name);
}

static void next_look(struct sim_run *run)
{
	int64_t most = run->is_calm ? 2 * NS_PER_S : 60 * NS_PER_S;

	run->person_ns = run->world.clock.now_ns + sim_rand_between(&run->world.rand, 1, most);
}

bool sim_people_look(struct sim_run *run)
{
	struct engine_ask ask;
	struct err err = ERR_INIT;

	next_look(run);
	if (run->request.is_open)
		return false;
	choose(run, &ask);
	if (!run->request.is_open)
		return false;
	sim_trace(&run->world, "%s: %s %.*s", run->request.actor,
		  ask.kind == ENGINE_ASK_STOP      ? "stop"
		  : ask.kind == ENGINE_ASK_APPROVE ? "approve"
						   : "reject",
		  STR_ARG(ask.step));
	if (!run->engine) {
		run->request.is_open = false;
		return sim_engine_decide(run, &ask);
	}
	ask.answer = on_answer;
	ask.arg = run;
	if (engine_ask(run->engine, &ask, &err) != ERR_OK)
		sim_check_fail(run->world.check, "S5.6", "a request is not taken: %s", err.text);
	return true;
}
