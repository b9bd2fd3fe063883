/* sim_engine.c - an engine's life in a world: see sim_run.h */
#include "sim/sim_run.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "rundir/fold.h"

#include <stdio.h>
#include <string.h>

#define TICKS_AT_ONCE_MAX 3000

bool sim_run_has_failed(const struct sim_run *run)
{
	return sim_check_failure(run->world.check) != NULL;
}

/* ------------------------------------------------------------- the executor, as exec/command.c */

/* What one engine hands over by. */
struct hands {
	struct sim_run *run;
	struct keeper_client *client;
};

static struct keeper_client *client_of(void *self)
{
	const struct hands *hands = self;

	return hands->client;
}

static void exec_warm_up(void *self)
{
	client_warm_up(client_of(self));
}

static enum err_code exec_start(void *self, const struct exec_start *start, struct err *err)
{
	const struct hands *hands = self;
	const struct sim_world *world = &hands->run->world;

	if (start->token.role == EXEC_ROLE_RUN && !world->engine.is_dead)
		sim_check_hand_over(world->check, sim_plan_find(world->plan, start->token.path),
				    start->token.attempt);
	return client_start(hands->client, start, err);
}

static enum err_code exec_cancel(void *self, const struct exec_token *token, bool now,
				 struct err *err)
{
	return client_cancel(client_of(self), token, now, err);
}

static enum err_code exec_recover(void *self, const struct exec_token *tokens,
				  const bool *same_boot, size_t count, struct err *err)
{
	return client_recover(client_of(self), tokens, same_boot, count, err);
}

static bool exec_next(void *self, struct exec_report *ret_report)
{
	return client_next(client_of(self), ret_report);
}

static int exec_fd(void *self)
{
	return client_fd(client_of(self));
}

static enum err_code exec_pump(void *self, struct err *err)
{
	return client_pump(client_of(self), err);
}

static void exec_close(void *self)
{
	client_free(client_of(self));
	mem_free(self);
}

static const struct exec_ops exec_ops = {
    .name = "sim",
    .warm_up = exec_warm_up,
    .start = exec_start,
    .cancel = exec_cancel,
    .recover = exec_recover,
    .next = exec_next,
    .fd = exec_fd,
    .pump = exec_pump,
    .close = exec_close,
};

static enum err_code open_exec(void *arg, const struct rundir *dir, uint64_t epoch,
			       struct exec *ret_exec, struct err *err)
{
	struct sim_run *run = arg;
	AUTO(mem_drop) struct hands *hands = mem_new(1, sizeof(*hands));
	struct keeper_link link;

	if (!hands)
		return mem_err(err);
	hands->run = run;
	sim_check_hello(run->world.check, epoch);
	if (sim_link_open(&run->world, &run->world.engine, rundir_fd(dir), &run->link, &link,
			  err) != ERR_OK ||
	    client_new(link, rundir_id(dir), epoch, &hands->client, err) != ERR_OK)
		return err->code;
	*ret_exec = (struct exec){&exec_ops, TAKE(hands, NULL)};
	return ERR_OK;
}

static enum err_code open_nothing(void *arg, const struct rundir *dir, uint64_t epoch,
				  struct exec *ret_exec, struct err *err)
{
	struct sim_run *run = arg;

	(void)dir;
	(void)epoch;
	(void)ret_exec;
	sim_check_fail(run->world.check, "S8.3", "two engines own the run");
	return err_set(err, ERR_CONFLICT, "two engines own the run");
}

static void on_line(void *arg, struct str line)
{
	struct sim_run *run = arg;

	if (run->world.engine.is_dead)
		return; /* a dead process tells nobody */
	sim_trace(&run->world, "%.*s", STR_ARG(line));
	sim_check_line(run->world.check, line);
}

static struct engine_ports ports_of(struct sim_run *run, const struct sim_proc *proc)
{
	static char path[] = "PATH=/bin";
	static char *const env[] = {path, NULL};

	return (struct engine_ports){
	    .vfs = &proc->vfs,
	    .clock = &run->world.clock.clock,
	    .boot_id = str_of(run->world.clock.boot_id),
	    .open_exec = proc == &run->world.engine ? open_exec : open_nothing,
	    .arg = run,
	    .home = SIM_HOME,
	    .env = env,
	    .limits = &run->limits,
	};
}

/* ------------------------------------------------------------------------------ birth, death */

static void proc_begin(struct sim_run *run)
{
	static const uint32_t spans[] = {25, 80, 250, 800};
	struct sim_world *world = &run->world;

	sim_proc_start(&world->engine, world->disk);
	run->link = NULL;
	run->request.is_open = false;
	run->is_power_next = false;
	run->result.lives++;
	if (run->kills && sim_rand_chance(&world->rand, 600))
		world->engine.dies_at =
		    1 +
		    (uint64_t)sim_rand_below(&world->rand, spans[sim_rand_below(&world->rand, 4)]);
}

/* The process is over: by itself, or by a kill. */
static void proc_end(struct sim_run *run)
{
	bool was_dead = run->world.engine.is_dead;

	engine_free(run->engine);
	run->engine = NULL;
	run->link = NULL;
	run->request.is_open = false;
	if (!was_dead && sim_proc_has_fds(&run->world.engine))
		sim_check_fail(run->world.check, "D", "an engine left a descriptor open");
	sim_proc_kill(&run->world.engine);
}

void sim_engine_crash(struct sim_run *run, bool power)
{
	struct sim_world *world = &run->world;
	bool is_weak = run->plan.sync != SIM_SYNC_ALWAYS;
	bool is_lossy = power;

	world->engine.is_dead = true;
	proc_end(run);
	run->result.crashes++;
	sim_trace(world, power ? "the power goes" : "the engine is killed");
	if (power) {
		sim_children_vanish(world);
		sim_keeper_kill(world);
		sim_disk_power_cut(world->disk, is_weak || sim_rand_chance(&world->rand, 300));
		sim_clock_advance(&world->clock,
				  world->clock.now_ns +
				      sim_rand_between(&world->rand, 1, 600) * NS_PER_S);
		sim_clock_reboot(&world->clock);
	} else if (sim_rand_chance(&world->rand, 200)) {
		is_lossy = sim_disk_drop_cache(world->disk);
	}
	run->is_damage_allowed = run->is_damage_allowed || (is_lossy && is_weak);
	sim_check_log(world->check, is_lossy && is_weak);
}

/* The engine has died inside a call: of a kill, or of the power. */
static void die(struct sim_run *run)
{
	bool power =
	    run->power_cuts && (run->is_power_next || sim_rand_chance(&run->world.rand, 400));

	run->is_power_next = false;

	if (run->kills)
		run->kills--;
	if (power)
		run->power_cuts--;
	sim_engine_crash(run, power);
}

/* An engine gave up by itself: there must be a reason that was put in its way. */
static void give_up(struct sim_run *run, const char *during, const struct err *err)
{
	struct sim_world *world = &run->world;
	bool is_storage = err->code == ERR_IO || err->code == ERR_FULL;
	bool is_caused = world->engine.faults || world->keeper.proc.faults;

	sim_trace(world, "the engine gives up: %s: %s", err_name(err->code), err->text);
	if (!(is_storage && is_caused))
		sim_check_fail(world->check, "S11.3", "%s: %s: %s", during, err_name(err->code),
			       err->text);
	proc_end(run);
	sim_check_log(world->check, false);
}

static bool came_to_life(struct sim_run *run, const char *during, enum err_code code,
			 const struct err *err)
{
	if (run->world.engine.is_dead) {
		die(run);
		return false;
	}
	if (code == ERR_OK && run->engine)
		return true;
	if (code != ERR_OK)
		give_up(run, during, err);
	else
		proc_end(run);
	return false;
}

/* Outputs of the steps that are given, as a context file would have them. */
static void put_given(const struct sim_run *run, struct buf *out)
{
	for (uint32_t i = 0; i < run->plan.steps_count; i++) {
		if (sim_plan_is_given(&run->plan, i))
			buf_fmt(out, "%s\"%s\":{\"ok\":true}", out->len ? "," : "{",
				run->plan.steps[i].id);
	}
	if (out->len)
		buf_byte(out, '}');
}

static struct selection selection_of(const struct sim_plan *plan)
{
	struct str id = str_of(plan->steps[plan->selected].id);
	struct selection selection = {.from = STR_NONE};

	if (plan->part == SIM_PART_FROM)
		selection.from = id;
	else if (plan->part == SIM_PART_UNTIL)
		selection.until = id;
	else if (plan->part == SIM_PART_ONLY)
		selection.only = id;
	return selection;
}

bool sim_engine_start(struct sim_run *run)
{
	struct engine_ports ports = ports_of(run, &run->world.engine);
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str *params = arena_new(&arena, run->model->params_count, sizeof(*params));
	struct err err = ERR_INIT;
	struct engine_start start = {
	    .model = run->model,
	    .source = buf_view(&run->yaml),
	    .run_id = str_of(run->world.run_id),
	    .params = params,
	    .seed = run->plan.seed,
	    .trace_id = STR("0123456789abcdef0123456789abcdef"),
	    .selection = selection_of(&run->plan),
	    .observer = {on_line, run},
	};
	AUTO(buf_fini) struct buf given = BUF_INIT;
	enum err_code code;

	BUG_IF(!params);
	params[0] = str_of(run->plan.limit);
	put_given(run, &given);
	start.given = buf_view(&given);
	sim_trace(&run->world, "an engine gives birth to the run");
	proc_begin(run);
	code = engine_start(&ports, &start, &run->engine, &err);
	if (!run->world.engine.is_dead && code == ERR_EXISTS) {
		/* An undo of a birth was cut short: the id is taken by an empty directory. */
		sim_trace(&run->world, "%s", err.text);
		proc_end(run);
		run->is_over = true;
		return false;
	}
	return came_to_life(run, "start", code, &err);
}

static size_t bad_gates(const struct sim_run *run, struct str gates[SIM_STEPS_MAX])
{
	size_t count = 0;

	for (uint32_t i = 0; i < run->plan.steps_count; i++) {
		if (sim_check_is_gate_bad(run->world.check, i))
			gates[count++] = str_of(run->plan.steps[i].id);
	}
	return count;
}

/* The engine says that the rules do not allow it, and by the oracle they do not. */
static bool is_refused_rightly(struct sim_run *run, enum err_code code, bool is_forbidden,
			       const struct err *err)
{
	if (run->world.engine.is_dead || code != ERR_REFUSED || !is_forbidden)
		return false;
	sim_trace(&run->world, "refused: %s", err->text);
	proc_end(run);
	return true;
}

/* S9.3: by the oracle nothing stands in the way of the second definition. */
static bool may_change(const struct sim_run *run)
{
	const struct sim_check *check = run->world.check;
	const char *state = sim_check_run_state(check);

	if (run->plan.part != SIM_PART_ALL || sim_check_is_undone(check) ||
	    !sim_check_is_completed(check) ||
	    (strcmp(state, "failed") != 0 && strcmp(state, "stopped") != 0))
		return false;
	for (uint32_t i = 0; i < run->plan.steps_count; i++) {
		char at = sim_check_step_state(check, i);

		if (at == 'R' || at == 'W' || sim_check_is_lost(check, i))
			return false;
	}
	return true;
}

/* What somebody wants who resumes: the second definition, overrides of the gates that bar. */
static void want(struct sim_run *run, bool overrides, bool changes, struct engine_resume *resume)
{
	struct sim_world *world = &run->world;

	if (overrides)
		sim_check_mean(world->check, changes ? SIM_MEANT_CHANGED : SIM_MEANT_AS_IS);
	if (!changes)
		return;
	sim_trace(world, "by the second definition%s", overrides ? ", with overrides" : "");
	resume->definition = run->next;
	resume->source = buf_view(&run->next_yaml);
	resume->accept_changes = true;
	if (!overrides || !run->power_cuts || !sim_rand_chance(&world->rand, 800))
		return;
	/* What a power cut leaves of the two lines is worth seeing. */
	world->engine.dies_in_commit = true;
	run->is_power_next = true;
}

bool sim_engine_resume(struct sim_run *run, bool overrides, bool changes)
{
	struct engine_ports ports = ports_of(run, &run->world.engine);
	enum engine_resumed resumed = ENGINE_RESUMED;
	struct str gates[SIM_STEPS_MAX];
	struct err err = ERR_INIT;
	size_t bad = bad_gates(run, gates);
	struct engine_resume resume = {.path = run->world.run_path, .observer = {on_line, run}};
	enum err_code code;

	resume.resume.person = (struct decide_person){STR("anna"), STR("accepted"), 1000, 77};
	resume.resume.overrides = gates;
	resume.resume.overrides_count = overrides ? bad : 0;
	sim_trace(&run->world, "an engine resumes the run");
	proc_begin(run);
	want(run, overrides && bad, changes, &resume);
	code = engine_resume(&ports, &resume, &resumed, &run->engine, &err);
	sim_check_step(run->world.check); /* what was only in memory is durable now */
	if (!run->world.engine.is_dead && code == ERR_REFUSED && !overrides &&
	    bad_gates(run, gates) && sim_check_is_completed(run->world.check)) {
		sim_trace(&run->world, "refused: %s", err.text);
		proc_end(run); /* S9.1: as it has to be */
		return false;
	}
	if (is_refused_rightly(run, code,
			       (sim_check_is_undone(run->world.check) &&
				sim_check_is_completed(run->world.check)) ||
				   (changes && !may_change(run)) ||
				   /* what nobody had seen: open already, or a rollback */
				   (overrides && (bad_gates(run, gates) < bad ||
						  sim_check_is_undone(run->world.check))),
			       &err))
		return false;
	if (!run->world.engine.is_dead && code == ERR_CORRUPT && run->is_damage_allowed) {
		proc_end(run);
		run->is_over = true;
		return false;
	}
	return came_to_life(run, "resume", code, &err);
}

/* S10.1: what may be rolled back. */
static bool may_roll_back(const struct sim_run *run)
{
	const char *state = sim_check_run_state(run->world.check);

	return strcmp(state, "failed") == 0 || strcmp(state, "stopped") == 0 ||
	       strcmp(state, "blocked") == 0;
}

bool sim_run_is_final(const struct sim_run *run)
{
	const char *state = sim_check_run_state(run->world.check);

	return strcmp(state, "succeeded") == 0 || strcmp(state, "rolled_back") == 0;
}

bool sim_engine_rollback(struct sim_run *run)
{
	struct engine_ports ports = ports_of(run, &run->world.engine);
	struct engine_rollback rollback = {
	    .path = run->world.run_path,
	    .person = {STR("bert"), STR("undo it"), 1000, 78},
	    .observer = {on_line, run},
	};
	bool is_final;
	struct err err = ERR_INIT;
	enum err_code code;

	sim_trace(&run->world, "somebody asks for a rollback");
	proc_begin(run);
	sim_check_step(run->world.check);
	is_final = sim_run_is_final(run);
	code = engine_rollback(&ports, &rollback, &run->engine, &err);
	sim_check_step(run->world.check); /* what was only in memory is durable now */
	if (!run->world.engine.is_dead && code == ERR_OK && is_final)
		sim_check_fail(run->world.check, "S10.1", "a run that is %s was rolled back",
			       sim_check_run_state(run->world.check));
	if (is_refused_rightly(run, code, !may_roll_back(run), &err))
		return false;
	if (!run->world.engine.is_dead && code == ERR_CORRUPT && run->is_damage_allowed) {
		proc_end(run);
		run->is_over = true;
		return false;
	}
	return came_to_life(run, "rollback", code, &err);
}

/* --------------------------------------------------------------------------------- the turn */

static bool is_same_undo(const struct undo_state *a, const struct undo_state *b)
{
	return a->is_begun == b->is_begun && a->is_active == b->is_active &&
	       a->is_running == b->is_running && a->is_retry == b->is_retry &&
	       a->is_failed == b->is_failed && a->step == b->step && a->attempt == b->attempt &&
	       a->failures == b->failures && a->left == b->left && a->due_ms == b->due_ms;
}

/* Live state and a replay of the log are the same (S1.1). */
static void compare_with_replay(struct sim_run *run)
{
	const struct run_state *live = engine_state(run->engine);
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct fold_run fold;
	struct err err = ERR_INIT;

	if (rundir_open(&run->reader.vfs, run->world.run_path, &dir, &err) != ERR_OK ||
	    fold_read(dir, &run->limits, NULL, NULL, &fold, &err) != ERR_OK) {
		sim_check_fail(run->world.check, "S11.4", "a reader cannot read: %s", err.text);
		return;
	}
	if (fold.state.state != live->state || fold.state.seq != live->seq)
		sim_check_fail(
		    run->world.check, "S1.1", "live the run is %s at %llu, replayed %s at %llu",
		    run_state_name(live->state), (unsigned long long)live->seq,
		    run_state_name(fold.state.state), (unsigned long long)fold.state.seq);
	if (!is_same_undo(&live->undo, &fold.state.undo))
		sim_check_fail(run->world.check, "S1.1",
			       "the rollback differs between live and replay");
	for (uint32_t i = 0; i < run->plan.steps_count; i++) {
		const struct step_state *a = &live->steps[i];
		const struct step_state *b = &fold.state.steps[i];

		if (a->state != b->state || a->attempt != b->attempt || a->skip != b->skip ||
		    a->failures != b->failures || a->is_gate_failed != b->is_gate_failed ||
		    a->is_final != b->is_final || a->due_ms != b->due_ms ||
		    !str_eq(a->outputs, b->outputs))
			sim_check_fail(run->world.check, "S1.1",
				       "%s differs between live and replay", run->plan.steps[i].id);
	}
	fold_fini(&fold);
}

static void finish(struct sim_run *run)
{
	sim_trace(&run->world, "the engine ends: the run is %s",
		  run_state_name(engine_state(run->engine)->state));
	if (sim_rand_chance(&run->world.rand, 250) || run->is_calm)
		compare_with_replay(run);
	proc_end(run);
	sim_check_log(run->world.check, false);
}

static void tick(struct sim_run *run)
{
	struct sim_world *world = &run->world;
	struct err err = ERR_INIT;
	enum err_code code;

	run->result.ticks++;
	run->ticks_at_once = world->clock.now_ns == run->last_tick_ns ? run->ticks_at_once + 1 : 0;
	run->last_tick_ns = world->clock.now_ns;
	if (run->ticks_at_once > TICKS_AT_ONCE_MAX)
		sim_check_fail(world->check, "busy",
			       "the engine ticks and ticks, and no time passes");
	code = engine_tick(run->engine, &err);
	if (!world->engine.is_dead)
		sim_check_tick(world->check);
	if (world->engine.is_dead)
		die(run);
	else if (code != ERR_OK)
		give_up(run, "tick", &err);
	else if (engine_is_over(run->engine))
		finish(run);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Nothing to do: time passes until something happens. */
static void idle(struct sim_run *run, int64_t wait_ns)
{
	struct sim_world *world = &run->world;
	int64_t due_ns = least(sim_world_due(world), sim_link_due(run->link));

	if (wait_ns >= 0)
		due_ns = least(due_ns, world->clock.now_ns + wait_ns);
	if (due_ns == INT64_MAX)
		sim_check_fail(world->check, "hang",
			       "nothing will ever happen, and the run is not over");
	due_ns = least(due_ns, run->person_ns);
	sim_clock_advance(&world->clock, due_ns);
	sim_world_run(world);
}

void sim_engine_turn(struct sim_run *run)
{
	int64_t wait_ns = engine_wait_ns(run->engine);

	if (wait_ns == 0 || sim_link_is_ready(run->link))
		tick(run);
	else
		idle(run, wait_ns);
}

/* -------------------------------------------------------------------------- other processes */

struct answer {
	struct sim_run *run;
	const struct engine_ask *ask;
	bool is_yes;
};

static void on_answer(void *arg, const struct err *err)
{
	struct answer *answer = arg;
	static const char *const types[] = {
	    [ENGINE_ASK_STOP] = "run.stop_requested",
	    [ENGINE_ASK_APPROVE] = "gate.approved",
	    [ENGINE_ASK_REJECT] = "gate.rejected",
	};
	struct sim_run *run = answer->run;
	char actor[64];

	if (run->world.engine.is_dead || err->code != ERR_OK)
		return;
	answer->is_yes = true;
	(void)snprintf(actor, sizeof(actor), "manual:%.*s", STR_ARG(answer->ask->person.name));
	sim_check_answer(run->world.check, types[answer->ask->kind],
			 sim_plan_find(&run->plan, answer->ask->step), actor);
}

bool sim_engine_decide(struct sim_run *run, const struct engine_ask *wanted)
{
	struct engine_ports ports = ports_of(run, &run->world.engine);
	struct engine_ask ask = *wanted;
	struct answer answer = {run, &ask, false};
	struct err err = ERR_INIT;
	enum err_code code;

	ask.answer = on_answer;
	ask.arg = &answer;
	sim_trace(&run->world, "somebody decides on a run that nobody owns");
	proc_begin(run);
	code = engine_open_idle(&ports, run->world.run_path, &run->engine, &err);
	if (code == ERR_OK)
		code = engine_ask(run->engine, &ask, &err);
	if (code == ERR_OK)
		code = engine_tick(run->engine, &err);
	if (run->world.engine.is_dead)
		die(run);
	else if (code != ERR_OK && !(code == ERR_CORRUPT && run->is_damage_allowed))
		give_up(run, "decide", &err);
	else
		proc_end(run);
	sim_check_step(run->world.check);
	return answer.is_yes;
}

void sim_engine_intrude(struct sim_run *run)
{
	struct sim_proc proc;
	struct engine_ports ports = ports_of(run, &proc);
	struct engine_resume resume = {.path = run->world.run_path};
	struct engine *engine = NULL;
	enum engine_resumed resumed;
	struct err err = ERR_INIT;

	sim_proc_start(&proc, run->world.disk);
	if (engine_resume(&ports, &resume, &resumed, &engine, &err) != ERR_LOCKED && !proc.faults)
		sim_check_fail(run->world.check, "S8.3", "a second engine is not told LOCKED: %s",
			       err.text);
	engine_free(engine);
	sim_proc_kill(&proc);
}
