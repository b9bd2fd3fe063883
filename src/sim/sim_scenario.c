/* sim_scenario.c - see sim_scenario.h */
#include "sim/sim_run.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/lang.h"
#include "rundir/fold.h"
#include "sim/sim_hash.h"

#include <stdio.h>
#include <string.h>

#define STREAM_RUN  10
#define STREAM_FATE 11
#define STREAM_DISK 12
#define STREAM_BACK 13
#define STREAM_NEXT 14
#define SECOND      100 /* streams of a second run */
#define TURNS_MAX   400000
#define LIVES_MAX   120
#define VIRTUAL_MAX (40 * INT64_C(86400) * NS_PER_S)

/* ------------------------------------------------------------------------------- what goes
 * wrong */

static void set_faults(struct sim_run *run, struct sim_rand *rand)
{
	struct sim_disk_faults faults = {.failures = 1 + sim_rand_below(rand, 3)};

	faults.per_mille[SIM_CALL_OPEN] = 10;
	faults.per_mille[SIM_CALL_READ] = 5;
	faults.per_mille[SIM_CALL_WRITE] = 15;
	faults.per_mille[SIM_CALL_SYNC] = 20;
	faults.per_mille[SIM_CALL_TRUNCATE] = 100;
	faults.per_mille[SIM_CALL_RENAME] = 30;
	faults.full_calls = sim_rand_below(rand, 6);
	if (sim_rand_chance(rand, 500))
		faults.failures = 0;
	if (sim_rand_chance(rand, 400))
		faults.annoy_per_mille = 20;
	sim_disk_set_faults(run->world.disk, &faults);
}

static void choose_fate(struct sim_run *run, struct sim_rand *rand)
{
	struct sim_world *world = &run->world;

	world->is_rough = sim_rand_chance(rand, 600);
	if (sim_rand_chance(rand, 700))
		run->kills = sim_rand_below(rand, 6);
	if (sim_rand_chance(rand, 400))
		run->power_cuts = 1 + sim_rand_below(rand, 2);
	if (sim_rand_chance(rand, 400))
		world->keeper_deaths = 1 + sim_rand_below(rand, 2);
	if (sim_rand_chance(rand, 300))
		world->duplicates = 2;
	if (sim_rand_chance(rand, 200))
		world->breaks = 2;
	if (sim_rand_chance(rand, 300))
		run->jumps = 1 + sim_rand_below(rand, 3);
	if (sim_rand_chance(rand, 300))
		run->haunts = 2;
	if (sim_rand_chance(rand, 200))
		run->intrusions = 2;
	if (sim_rand_chance(rand, 150))
		run->stops = 1 + sim_rand_below(rand, 2);
	run->rejections = sim_rand_chance(rand, 200);
	run->resumes = sim_rand_below(rand, 3);
	run->overrides = sim_rand_below(rand, 2);
	if (sim_rand_chance(rand, 500))
		set_faults(run, rand);
}

static bool has_undo(const struct sim_plan *plan)
{
	for (uint32_t i = 0; i < plan->steps_count; i++) {
		if (plan->steps[i].undo.is_there)
			return true;
	}
	return false;
}

/* Mostly where there is something to undo. */
static void choose_rollbacks(struct sim_run *run, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_BACK);

	if (sim_rand_chance(&rand, has_undo(&run->plan) ? 700 : 30))
		run->rollbacks = 1 + sim_rand_below(&rand, 4);
}

/* Somebody gives the run another definition, once it rests. */
static void choose_changes(struct sim_run *run, uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_NEXT);

	if (!run->plan.has_next)
		return;
	run->changes = 1 + sim_rand_below(&rand, 3);
	run->overrides += run->changes;
	run->resumes += run->changes;
	if (!run->power_cuts)
		run->power_cuts = 1;
}

/* An engine that was frozen wakes up with an attempt in its hands. */
static void haunt(struct sim_run *run)
{
	struct sim_world *world = &run->world;
	uint32_t step = sim_rand_below(&world->rand, run->plan.steps_count);
	struct exec_token token = {
	    .path = str_of(run->plan.steps[step].id),
	    .role = EXEC_ROLE_RUN,
	    .attempt = engine_state(run->engine)->steps[step].attempts,
	};

	if (sim_check_undo_runs(world->check, &step, &token.attempt)) {
		token.path = str_of(run->plan.steps[step].id);
		token.role = EXEC_ROLE_COMP;
	}
	sim_keeper_haunt(world, engine_state(run->engine)->epoch - 1, &token);
}

/* Compensations are few, and what interrupts them is worth seeing. */
static uint32_t death_rate(const struct sim_run *run)
{
	uint32_t step;
	uint32_t attempt;

	return sim_check_undo_runs(run->world.check, &step, &attempt) ? 60 : 4;
}

/* Between two turns of a living engine. */
static void accidents(struct sim_run *run)
{
	struct sim_world *world = &run->world;
	struct sim_rand *rand = &world->rand;
	uint32_t often;

	if (run->is_calm)
		return;
	often = death_rate(run);
	if (world->keeper_deaths && sim_rand_chance(rand, often)) {
		world->keeper_deaths--;
		sim_keeper_kill(world);
	}
	if (run->jumps && sim_rand_chance(rand, 10)) {
		run->jumps--;
		world->clock.utc_shift_ms += sim_rand_between(rand, -86400000, 86400000);
		sim_trace(world, "UTC jumps");
	}
	if (run->haunts && engine_state(run->engine)->epoch > 1 && sim_rand_chance(rand, 10)) {
		run->haunts--;
		haunt(run);
	}
	if (run->intrusions && sim_rand_chance(rand, 10)) {
		run->intrusions--;
		sim_engine_intrude(run);
	}
	if (world->breaks && run->link && sim_rand_chance(rand, 5)) {
		world->breaks--;
		sim_trace(world, "the connection breaks");
		sim_link_break(run->link);
	}
	if (run->kills && sim_rand_chance(rand, often)) {
		run->kills--;
		sim_engine_crash(run, false);
	} else if (run->power_cuts && sim_rand_chance(rand, often)) {
		run->power_cuts--;
		sim_engine_crash(run, true);
	}
}

/* -------------------------------------------------------------------------- between two engines */

static bool log_peek(const struct sim_run *run, struct str *ret_content)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/events.jsonl", run->world.run_path);
	return sim_disk_peek(run->world.disk, path, false, ret_content);
}

static bool is_born(const struct sim_run *run)
{
	struct str content = STR_NONE;

	return log_peek(run, &content) && str_has(content, '\n');
}

static void let_time_pass(struct sim_run *run)
{
	static const int64_t spans_ns[] = {1, NS_PER_MS, 100 * NS_PER_MS, 5 * NS_PER_S,
					   90 * NS_PER_S};
	struct sim_world *world = &run->world;
	int64_t end_ns =
	    world->clock.now_ns +
	    sim_rand_between(&world->rand, 0, spans_ns[sim_rand_below(&world->rand, 5)]);

	while (world->clock.now_ns < end_ns) {
		int64_t due_ns = sim_world_due(world);

		sim_clock_advance(&world->clock, due_ns < end_ns ? due_ns : end_ns);
		sim_world_run(world);
	}
}

static void rest(struct sim_run *run)
{
	bool is_final = sim_run_is_final(run);
	bool is_barred = false;
	bool changes;

	if (run->rollbacks && sim_rand_chance(&run->world.rand, 500)) {
		run->rollbacks--;
		(void)sim_engine_rollback(run);
		return;
	}

	for (uint32_t i = 0; i < run->plan.steps_count; i++)
		is_barred = is_barred || sim_check_is_gate_bad(run->world.check, i);
	if (is_final || !run->resumes) {
		if (is_final || sim_rand_chance(&run->world.rand, 300)) {
			if (sim_engine_resume(run, false, false) && is_final)
				sim_check_fail(run->world.check, "S9.1",
					       "a run that is %s was resumed",
					       sim_check_run_state(run->world.check));
			if (run->engine || (is_final && sim_run_has_failed(run)))
				return;
		}
		run->is_over = run->is_over || sim_check_is_completed(run->world.check);
		return;
	}
	run->resumes--;
	changes = run->changes && !sim_check_is_changed(run->world.check) &&
		  sim_rand_chance(&run->world.rand, 700);
	run->changes -= changes;
	if (is_barred && run->overrides) {
		run->overrides--;
		(void)sim_engine_resume(run, true, changes);
	} else {
		(void)sim_engine_resume(run, false, changes);
	}
}

static void blocked(struct sim_run *run)
{
	bool is_decided;

	if (run->rollbacks && sim_rand_chance(&run->world.rand, 300)) {
		run->rollbacks--;
		(void)sim_engine_rollback(run);
		return;
	}
	is_decided = sim_people_look(run);
	if (sim_run_has_failed(run))
		return;
	if (!is_decided && run->patience-- == 0)
		run->is_over = true; /* by what cannot be killed */
	else
		(void)sim_engine_resume(run, false, false);
}

/* Nobody owns the run: something begins, sooner or later. */
static void next_life(struct sim_run *run)
{
	const char *state = sim_check_run_state(run->world.check);

	let_time_pass(run);
	if (sim_run_has_failed(run))
		return;
	if (run->result.lives > LIVES_MAX)
		sim_check_fail(run->world.check, "hang",
			       "%d engines did not bring the run to an end", LIVES_MAX);
	if (!is_born(run)) {
		(void)sim_engine_start(run);
		return;
	}
	sim_check_step(run->world.check);
	if (sim_check_is_completed(run->world.check))
		rest(run);
	else if (strcmp(state, "blocked") == 0)
		blocked(run);
	else
		(void)sim_engine_resume(run, false, false);
}

/* --------------------------------------------------------------------------------- one run */

static void load(struct sim_run *run, bool is_next, struct buf *yaml, struct model **ret_model)
{
	struct diags diags;
	struct err err = ERR_INIT;

	diags_init(&diags, 10);
	sim_plan_yaml(&run->plan, is_next, yaml);
	if (lang_load(buf_view(yaml), STR("/sim/src"), &run->limits, &diags, ret_model, &err) !=
	    ERR_OK) {
		AUTO(buf_fini) struct buf text = BUF_INIT;

		diags_print(&diags, STR("pipeline"), buf_view(yaml), &text);
		(void)printf("%.*s\n%.*s\n", STR_ARG(buf_view(yaml)), STR_ARG(buf_view(&text)));
		sim_check_fail(run->world.check, "lang", "the pipeline is refused: %s", err.text);
	}
	diags_fini(&diags);
}

/* `first`: the run before on the same disk, NULL = there was none. */
static void world_init(struct sim_run *run, uint64_t seed, struct sim_run *first)
{
	struct sim_world *world = &run->world;

	world->plan = &run->plan;
	world->rand = sim_rand_fork(seed, STREAM_RUN + (first ? SECOND : 0));
	world->run_id = first ? "r2" : "r";
	(void)snprintf(world->run_path, sizeof(world->run_path), SIM_HOME "/runs/%s",
		       world->run_id);
	if (first) {
		sim_again_take_over(run, first);
	} else {
		world->pid_last = 100;
		sim_clock_init(&world->clock);
		world->disk = sim_disk_new(sim_mix(seed, STREAM_DISK));
	}
	world->check =
	    sim_check_new(&run->plan, world->disk, world->run_path, str_of(world->run_id));
	if (first)
		sim_check_follow(world->check, first->world.check);
}

static void run_init(struct sim_run *run, uint64_t seed, bool is_calm, bool is_traced,
		     struct sim_run *first)
{
	struct sim_rand fate = sim_rand_fork(seed, STREAM_FATE + (first ? SECOND : 0));
	struct sim_world *world = &run->world;

	sim_plan_make(&run->plan, seed);
	if (first)
		sim_plan_again(&run->plan);
	limits_default(&run->limits);
	world_init(run, seed, first);
	world->is_traced = is_traced;
	sim_proc_start(&run->reader, world->disk);
	run->reader.is_spared = true;
	run->is_calm = is_calm;
	run->patience = 3;
	if (!is_calm) {
		choose_fate(run, &fate);
		choose_rollbacks(run, seed);
		choose_changes(run, seed);
	}
	load(run, run->plan.is_next, &run->yaml, &run->model);
	if (run->changes)
		load(run, true, &run->next_yaml, &run->next);
	if (is_traced)
		(void)printf("%.*s", STR_ARG(buf_view(&run->yaml)));
}

void sim_run_leave(struct sim_run *run)
{
	struct sim_world *world = &run->world;

	world->engine.is_dead = true;
	engine_free(run->engine);
	run->engine = NULL;
	if (world->keeper.state != SIM_KEEPER_NONE)
		sim_keeper_kill(world);
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		if (world->conns[i].is_used && world->conns[i].has_engine_end)
			sim_conn_close_engine(world, &world->conns[i]);
	}
}

static void run_fini(struct sim_run *run)
{
	sim_run_leave(run);
	model_free(run->model);
	model_free(run->next);
	buf_fini(&run->yaml);
	buf_fini(&run->next_yaml);
	sim_check_free(run->world.check);
	sim_disk_free(run->world.disk);
}

static void run_through(struct sim_run *run, uint64_t turns_max)
{
	for (uint64_t turns = 0; turns < turns_max && !run->is_over && !sim_run_has_failed(run);
	     turns++) {
		if (turns > TURNS_MAX || run->world.clock.now_ns > VIRTUAL_MAX) {
			sim_check_fail(run->world.check, "hang", "the run does not come to an end");
			break;
		}
		if (!run->engine) {
			next_life(run);
			continue;
		}
		if (run->person_ns <= run->world.clock.now_ns)
			(void)sim_people_look(run);
		sim_engine_turn(run);
		sim_check_step(run->world.check);
		if (run->engine)
			accidents(run);
	}
}

static void sum_up(struct sim_run *run)
{
	const struct sim_disk_stats *stats = sim_disk_stats(run->world.disk);
	const char *failure = sim_check_failure(run->world.check);

	run->result.keeper_kills = run->world.keeper_kills;
	run->result.power_cuts = stats->power_cuts;
	run->result.faults = stats->faults;
	run->result.execs = sim_check_execs(run->world.check);
	run->result.undos = sim_check_undos(run->world.check);
	run->result.changes = sim_check_is_changed(run->world.check);
	run->result.taken = sim_check_taken(run->world.check);
	run->result.parts = run->plan.part != SIM_PART_ALL;
	run->result.virtual_ns = run->world.clock.now_ns;
	run->result.has_failed = failure != NULL;
	if (failure)
		(void)snprintf(run->result.failure, sizeof(run->result.failure), "%s", failure);
}

/* X05: two replays of the log give the same state; with the chain of the log it is what the
 * scenario comes to, in every build. */
static void replay(struct sim_run *run)
{
	uint8_t digests[2][SHA256_BYTES] = {{0}};
	struct str content = STR_NONE;
	struct sha256 sha;

	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		AUTO(rundir_drop) struct rundir *dir = NULL;
		struct fold_run fold;
		struct err err = ERR_INIT;

		if (rundir_open(&run->reader.vfs, run->world.run_path, &dir, &err) != ERR_OK ||
		    fold_read(dir, &run->limits, NULL, NULL, &fold, &err) != ERR_OK)
			return; /* it was never born, or a weaker sync was paid for */
		sim_hash_state(&fold.state, digests[i]);
		fold_fini(&fold);
	}
	if (memcmp(digests[0], digests[1], SHA256_BYTES) != 0)
		sim_check_fail(run->world.check, "S1.1", "two replays of the log differ");
	(void)log_peek(run, &content);
	sha256_start(&sha);
	sha256_add(&sha, digests[0], SHA256_BYTES);
	sha256_add(&sha, content.ptr, content.len);
	sha256_end(&sha, run->result.hash);
}

static struct sim_run *run_new(void)
{
	struct sim_run *run = mem_new(1, sizeof(*run));

	BUG_IF(!run);
	return run;
}

/* How the same scenario ends when nothing goes wrong. */
static void compare(uint64_t seed, const struct sim_run *rough, struct sim_result *result)
{
	struct sim_run *calm = run_new();

	run_init(calm, seed, true, false, NULL);
	run_through(calm, UINT64_MAX);
	sum_up(calm);
	result->is_compared = true;
	if (calm->result.has_failed || strcmp(sim_check_first_end(calm->world.check),
					      sim_check_first_end(rough->world.check)) != 0) {
		result->has_failed = true;
		(void)snprintf(result->failure, sizeof(result->failure),
			       "S1.1: without accidents it ends '%s', with them '%s' %.150s",
			       sim_check_first_end(calm->world.check),
			       sim_check_first_end(rough->world.check), calm->result.failure);
	}
	run_fini(calm);
	mem_free(calm);
}

/* Another run over the same storage, which takes what it may from the first. */
static void run_again(uint64_t seed, struct sim_run *first, struct sim_result *result)
{
	struct sim_run *run = run_new();

	sim_again_end_first(first);
	run_init(run, seed, false, first->world.is_traced, first);
	run_through(run, UINT64_MAX);
	replay(run);
	sum_up(run);
	run->result.is_compared = result->is_compared;
	sim_again_add(result, &run->result);
	*result = run->result;
	run_fini(run);
	mem_free(run);
}

void sim_scenario_run(uint64_t seed, bool is_traced, struct sim_result *ret_result)
{
	struct sim_run *run = run_new();

	run_init(run, seed, false, is_traced, NULL);
	run_through(run, run->plan.has_cache ? sim_again_turns(seed) : UINT64_MAX);
	replay(run);
	sum_up(run);
	*ret_result = run->result;
	if (!ret_result->has_failed && sim_check_first_end(run->world.check)[0] &&
	    !sim_check_has_stop(run->world.check) && sim_plan_is_determined(&run->plan) &&
	    !sim_check_has_lost(run->world.check) && !run->is_damage_allowed)
		compare(seed, run, ret_result);
	if (!ret_result->has_failed && sim_again_is_wanted(run))
		run_again(seed, run, ret_result);
	run_fini(run);
	mem_free(run);
}
