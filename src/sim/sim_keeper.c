/* sim_keeper.c - the keeper's process: the real machine and records, with virtual hands.
 *
 * What main.c and child.c do with epoll, files and processes is done here with the world, in the
 * same order. It dies inside any of its calls; its commands then die as PDEATHSIG says. */
#include "sim/sim_world.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "keeper/token_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LAZY_NS    (20 * NS_PER_MS)
#define READ_BYTES 4096

static void input(struct sim_world *world, struct machine_input in);

static bool runs(const struct sim_world *world)
{
	return world->keeper.state == SIM_KEEPER_RUNS && !world->keeper.proc.is_dead;
}

/* --------------------------------------------------------------------------------- records */

/* 0 or errno, as record_append in child.c. */
static int record_put(struct sim_world *world, uint32_t attempt, enum record_kind kind)
{
	struct sim_keeper *keeper = &world->keeper;
	const struct vfs *vfs = &keeper->proc.vfs;
	struct record record = machine_record(keeper->machine, attempt, kind);
	unsigned char bytes[RECORD_BYTES];
	ssize_t written;

	record.keeper_pid = (int32_t)keeper->generation;
	record.boot = record_boot(str_of(world->clock.boot_id));
	record_encode(&record, bytes);
	do {
		written = vfs->ops->write_at(vfs->self, keeper->log_fd, bytes, sizeof(bytes),
					     keeper->records * RECORD_BYTES);
	} while (written == -EINTR);
	if (written < 0)
		return (int)-written;
	if (written != (ssize_t)sizeof(bytes)) {
		keeper->proc.faults++; /* what comes of it has a cause */
		return ENOSPC;
	}
	keeper->records++;
	return 0;
}

/* Is the armed record of a token on the disk, for whoever looks? */
static bool is_armed(const struct sim_world *world, const struct exec_token *token)
{
	struct str content = STR_NONE;
	struct record record;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/attempts.log", world->run_path);
	if (!sim_disk_peek(world->disk, path, false, &content))
		return false;
	for (size_t at = content.len / RECORD_BYTES * RECORD_BYTES; at > 0; at -= RECORD_BYTES) {
		if (record_decode((const unsigned char *)content.ptr + at - RECORD_BYTES,
				  &record) &&
		    record.kind == RECORD_ARMED && token_eq(&record.token, token))
			return true;
	}
	return false;
}

/* -------------------------------------------------------------------------- acts for attempts */

static struct sim_child *child_of(struct sim_world *world, uint32_t attempt)
{
	for (size_t i = 0; i < SIM_CHILDREN_MAX; i++) {
		struct sim_child *child = &world->children[i];

		if (child->is_used && child->keeper == world->keeper.generation &&
		    child->attempt == attempt)
			return child;
	}
	return NULL;
}

/* The log file below logs/, then the record: it means that nothing but the exec is missing. */
static int arm(struct sim_world *world, uint32_t attempt)
{
	struct sim_keeper *keeper = &world->keeper;
	const struct vfs *vfs = &keeper->proc.vfs;
	char name[256];
	int answer = vfs->ops->make_dir(vfs->self, keeper->dir_fd, "logs");
	int fd;

	if (answer < 0 && answer != -EEXIST)
		return -answer;
	(void)snprintf(name, sizeof(name), "logs/%s", keeper->frame->start.log);
	do {
		fd = vfs->ops->open(vfs->self, keeper->dir_fd, name, VFS_CREATE_APPEND);
	} while (fd == -EINTR);
	if (fd < 0)
		return -fd;
	(void)vfs->ops->close(vfs->self, fd);
	return record_put(world, attempt, RECORD_ARMED);
}

static void do_arm(struct sim_world *world, uint32_t attempt)
{
	int failure = arm(world, attempt);

	input(world, (struct machine_input){
			 .kind = MACHINE_IN_ARMED, .attempt = attempt, .errno_value = failure});
}

static void do_spawn(struct sim_world *world, uint32_t attempt)
{
	struct exec_token token = machine_token(world->keeper.machine, attempt);
	uint32_t step = sim_plan_find(world->plan, token.path);
	struct machine_input in = {.kind = MACHINE_IN_SPAWNED, .attempt = attempt};
	bool is_undo = token.role == EXEC_ROLE_COMP;
	const char *what = is_undo ? ".comp" : "";
	enum sim_fate fate = sim_proc_fate(&world->keeper.proc);
	struct sim_child *child;
	struct sim_act act;

	if (fate == SIM_FATE_GONE)
		return;
	if (step == STEP_NONE) {
		sim_check_fail(world->check, "S8.2", "an unknown step was started");
		return;
	}
	if (!is_armed(world, &token))
		sim_check_fail(world->check, "S8.1", "%s%s.%u is executed without an armed record",
			       world->plan->steps[step].id, what, token.attempt);
	if (is_undo) {
		sim_check_undo(world->check, step, token.attempt, sim_step_lives(world, STEP_NONE));
		sim_plan_undo_act(world->plan, step, token.attempt, &act);
	} else {
		sim_check_exec(world->check, step, token.attempt, sim_step_lives(world, step));
		if (world->keeper.frame)
			sim_check_definition(world->check, step,
					     world->keeper.frame->start.argv[1] != NULL);
		sim_plan_act(world->plan, step, token.attempt, &act);
	}
	in.errno_value = act.spawn_errno;
	if (!act.spawn_errno) {
		child = sim_child_new(world, step, token.attempt, is_undo);
		child->attempt = attempt;
		in.pid = child->pid;
	}
	sim_trace(world, "command %s%s.%u: %s", world->plan->steps[step].id, what, token.attempt,
		  act.spawn_errno ? strerror(act.spawn_errno) : "runs");
	input(world, in);
}

static void do_signal(struct sim_world *world, uint32_t attempt, enum machine_signal signal)
{
	struct sim_child *child = child_of(world, attempt);

	if (!child || sim_proc_fate(&world->keeper.proc) == SIM_FATE_GONE)
		return;
	if (signal == MACHINE_KILL)
		sim_child_kill(world, child);
	else
		sim_child_term(world, child);
}

static bool is_sweeping(const struct sim_world *world, uint32_t attempt)
{
	enum keeper_state state = machine_state(world->keeper.machine, attempt);

	return state == KEEPER_SWEEPING || state == KEEPER_CLEARING || state == KEEPER_STUCK_REST;
}

static void tell_tree(struct sim_world *world, uint32_t attempt)
{
	const struct sim_child *child = child_of(world, attempt);

	input(world, (struct machine_input){.kind = MACHINE_IN_TREE,
					    .attempt = attempt,
					    .is_left = child && child->is_tree_alive});
}

static void do_look(struct sim_world *world, uint32_t attempt)
{
	const struct sim_child *child = child_of(world, attempt);
	int64_t age_ms;

	if (!child)
		return;
	age_ms = (world->clock.now_ns - child->spawned_ns) / NS_PER_MS;
	input(world, (struct machine_input){
			 .kind = MACHINE_IN_SIZE,
			 .attempt = attempt,
			 .size_bytes = (uint64_t)age_ms * child->act.bytes_per_s / 1000,
		     });
}

/* ----------------------------------------------------------------------- acts for connections */

static struct sim_conn *conn_of(struct sim_world *world, uint32_t id)
{
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		if (world->conns[i].is_used && world->conns[i].id == id &&
		    world->conns[i].is_accepted && !world->conns[i].is_refused)
			return &world->conns[i];
	}
	return NULL;
}

static void conn_flush(struct sim_world *world, struct sim_conn *conn)
{
	if (conn->out.len)
		sim_pipe_put(world, &conn->to_engine, conn->out.ptr, conn->out.len);
	buf_clear(&conn->out);
	conn->is_urgent = false;
}

static void put_hello(struct sim_world *world, struct sim_conn *conn, uint32_t version)
{
	struct machine *machine = world->keeper.machine;
	uint32_t count = machine_count(machine);

	wire_hello_ok(&conn->out, version, (int32_t)world->keeper.generation, count);
	for (uint32_t i = 0; i < count; i++) {
		struct exec_report report;

		if (machine_report(machine, i, &report))
			wire_report(&conn->out, &report);
	}
	wire_table_end(&conn->out);
	conn->is_urgent = true;
}

static void conn_output(struct sim_world *world, const struct machine_output *output)
{
	struct sim_conn *conn = conn_of(world, output->conn);

	if (!conn)
		return;
	if (output->kind == MACHINE_OUT_HELLO) {
		put_hello(world, conn, output->version);
	} else if (output->kind == MACHINE_OUT_NO) {
		wire_hello_no(&conn->out, output->version, machine_epoch(world->keeper.machine));
	} else if (output->kind == MACHINE_OUT_REPORT) {
		wire_report(&conn->out, &output->report);
		if (!output->is_lazy)
			conn->is_urgent = true;
		else if (world->keeper.lazy_ns == INT64_MAX)
			world->keeper.lazy_ns = world->clock.now_ns + LAZY_NS;
	} else {
		conn->is_closing = true;
		conn_flush(world, conn);
		sim_conn_close_keeper(world, conn);
	}
}

/* ------------------------------------------------------------------------------ the machine */

static void carry_out(struct sim_world *world, const struct machine_output *output)
{
	switch (output->kind) {
	case MACHINE_OUT_ARM:
		do_arm(world, output->attempt);
		break;
	case MACHINE_OUT_SPAWN:
		do_spawn(world, output->attempt);
		break;
	case MACHINE_OUT_NOTE:
		(void)record_put(world, output->attempt, RECORD_SPAWNED); /* a hint only */
		break;
	case MACHINE_OUT_SIGNAL:
		do_signal(world, output->attempt, output->signal);
		break;
	case MACHINE_OUT_TREE:
		if (is_sweeping(world, output->attempt))
			tell_tree(world, output->attempt);
		break;
	case MACHINE_OUT_LOOK:
		do_look(world, output->attempt);
		break;
	case MACHINE_OUT_RECORD:
		input(world, (struct machine_input){
				 .kind = MACHINE_IN_WRITTEN,
				 .attempt = output->attempt,
				 .errno_value = record_put(world, output->attempt, RECORD_ENDED),
			     });
		break;
	case MACHINE_OUT_FORGET:
		break;
	case MACHINE_OUT_HELLO:
	case MACHINE_OUT_NO:
	case MACHINE_OUT_REPORT:
	case MACHINE_OUT_CLOSE:
		conn_output(world, output);
		break;
	}
}

static void input(struct sim_world *world, struct machine_input in)
{
	struct sim_keeper *keeper = &world->keeper;
	struct machine_output output;
	struct err err = ERR_INIT;

	if (keeper->proc.is_dead)
		return;
	in.now_ns = sim_clock_boot_ns(&world->clock);
	if (machine_take(keeper->machine, &in, &err) != ERR_OK) {
		sim_check_fail(world->check, "S8.1", "the keeper's machine refused: %s", err.text);
		keeper->proc.is_dead = true;
		return;
	}
	if (keeper->is_draining)
		return;
	keeper->is_draining = true;
	while (!keeper->proc.is_dead && machine_next(keeper->machine, &output))
		carry_out(world, &output);
	keeper->is_draining = false;
}

/* ------------------------------------------------------------------------------ connections */

static void take_frame(struct sim_world *world, uint32_t conn, const struct wire_frame *frame)
{
	struct sim_keeper *keeper = &world->keeper;
	bool is_doubled =
	    frame->type == WIRE_START && world->duplicates && sim_rand_chance(&world->rand, 200);

	keeper->frame = frame;
	input(world,
	      (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = conn, .frame = frame});
	if (is_doubled) {
		world->duplicates--;
		sim_trace(world, "START comes twice");
		input(world, (struct machine_input){
				 .kind = MACHINE_IN_FRAME, .conn = conn, .frame = frame});
	}
	keeper->frame = NULL;
}

static void conn_lost(struct sim_world *world, struct sim_conn *conn)
{
	uint32_t id = conn->id;

	sim_conn_close_keeper(world, conn);
	input(world, (struct machine_input){.kind = MACHINE_IN_CLOSED, .conn = id});
}

/* All whole frames; false when the connection is no more. */
static bool decode(struct sim_world *world, uint32_t id)
{
	struct sim_conn *conn = conn_of(world, id);
	size_t at = 0;

	while (conn && !world->keeper.proc.is_dead) {
		struct wire_frame frame;
		size_t used;
		enum wire_take taken =
		    wire_decode(str_from(conn->in.ptr + at, conn->in.len - at), &frame, &used);

		if (taken == WIRE_BROKEN) {
			sim_check_fail(world->check, "S8.1",
				       "the engine sent something else than frames");
			conn_lost(world, conn);
			return false;
		}
		if (taken != WIRE_GOT) {
			memmove(conn->in.ptr, conn->in.ptr + at, conn->in.len - at);
			buf_cut(&conn->in, conn->in.len - at);
			return true;
		}
		take_frame(world, id, &frame);
		wire_frame_fini(&frame);
		at += used;
		conn = conn_of(world, id); /* a newer engine may have closed it */
	}
	return false;
}

static void conn_read(struct sim_world *world, uint32_t id)
{
	for (;;) {
		struct sim_conn *conn = conn_of(world, id);
		char *room;
		ssize_t got;

		if (!conn || world->keeper.proc.is_dead)
			return;
		room = buf_room(&conn->in, READ_BYTES);
		BUG_IF(!room);
		got = sim_pipe_take(world, &conn->to_keeper, room, READ_BYTES);
		if (got < 0)
			conn_lost(world, conn);
		if (got <= 0)
			return;
		buf_added(&conn->in, (size_t)got);
		if (!decode(world, id))
			return;
	}
}

/* In a random order, as epoll has none. */
static void conns_run(struct sim_world *world)
{
	uint32_t first = sim_rand_below(&world->rand, SIM_CONNS_MAX);

	/* The backlog is first come, first served: connections are accepted in the order of ids. */
	for (uint32_t id = 1; id <= world->conn_last_id; id++) {
		for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
			struct sim_conn *conn = &world->conns[i];

			if (!conn->is_used || conn->id != id || conn->is_accepted ||
			    conn->is_refused)
				continue;
			conn->is_accepted = true;
			input(world, (struct machine_input){.kind = MACHINE_IN_OPENED, .conn = id});
		}
	}
	for (uint32_t i = 0; i < SIM_CONNS_MAX; i++) {
		const struct sim_conn *conn = &world->conns[(first + i) % SIM_CONNS_MAX];

		if (conn->is_used && conn->is_accepted && !conn->is_refused &&
		    sim_pipe_is_ready(world, &conn->to_keeper))
			conn_read(world, conn->id);
	}
}

static void conns_flush(struct sim_world *world)
{
	bool is_due = world->keeper.lazy_ns <= world->clock.now_ns;

	if (is_due)
		world->keeper.lazy_ns = INT64_MAX;
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		struct sim_conn *conn = &world->conns[i];

		if (conn->is_used && conn->is_accepted && !conn->is_refused && conn->out.len &&
		    (conn->is_urgent || is_due))
			conn_flush(world, conn);
	}
}

static void conns_drop(struct sim_world *world)
{
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		if (world->conns[i].is_used && !world->conns[i].is_refused)
			sim_conn_close_keeper(world, &world->conns[i]);
	}
}

/* ------------------------------------------------------------------------------- life, death */

static void keeper_gone(struct sim_world *world)
{
	struct sim_keeper *keeper = &world->keeper;

	conns_drop(world);
	sim_proc_kill(&keeper->proc);
	machine_free(keeper->machine);
	keeper->machine = NULL;
	keeper->state = SIM_KEEPER_NONE;
}

void sim_keeper_kill(struct sim_world *world)
{
	if (world->keeper.state == SIM_KEEPER_NONE)
		return;
	sim_trace(world, "keeper %u is killed", world->keeper.generation);
	world->keeper_kills++;
	keeper_gone(world);
	sim_children_orphan(world, world->keeper.generation);
}

static enum err_code give_record(void *arg, const struct record *record, struct err *err)
{
	struct sim_world *world = arg;
	struct machine_input in = {.kind = MACHINE_IN_RECORD, .record = record};

	return machine_take(world->keeper.machine, &in, err);
}

static bool load_records(struct sim_world *world)
{
	struct sim_keeper *keeper = &world->keeper;
	AUTO(buf_fini) struct buf content = BUF_INIT;
	struct err err = ERR_INIT;
	size_t count = 0;

	if (vfs_read_all(&keeper->proc.vfs, keeper->dir_fd, "attempts.log", (size_t)1 << 24,
			 &content, &err) != ERR_OK)
		return false;
	if (content.len &&
	    record_walk(buf_view(&content), record_boot(str_of(world->clock.boot_id)), give_record,
			world, &count, &err) != ERR_OK) {
		if (!keeper->proc.is_dead)
			sim_check_fail(world->check, "S8.1", "attempts.log: %s", err.text);
		return false;
	}
	keeper->records = count;
	return true;
}

static void begin(struct sim_world *world)
{
	struct sim_keeper *keeper = &world->keeper;
	struct err err = ERR_INIT;
	char line[64];
	int len;

	BUG_IF(machine_new(&keeper->machine, &err) != ERR_OK);
	if (!load_records(world)) {
		keeper_gone(world);
		return;
	}
	len = snprintf(line, sizeof(line), "%u /sock\n", keeper->generation);
	(void)keeper->proc.vfs.ops->write_at(keeper->proc.vfs.self, keeper->lock_fd, line,
					     (size_t)len, 0); /* a full disk: no hint */
	keeper->state = SIM_KEEPER_RUNS;
}

static void reap(struct sim_world *world)
{
	for (size_t i = 0; i < SIM_CHILDREN_MAX; i++) {
		struct sim_child *child = &world->children[i];

		if (!child->is_used || child->is_main_alive || child->is_reaped ||
		    child->keeper != world->keeper.generation)
			continue;
		child->is_reaped = true;
		input(world, (struct machine_input){
				 .kind = MACHINE_IN_EXITED,
				 .attempt = child->attempt,
				 .end = child->end,
				 .exit_code = child->exit_code,
				 .signal = child->signal,
				 .is_left = child->is_tree_alive,
			     });
	}
	for (size_t i = machine_live(world->keeper.machine); i-- > 0;) {
		const struct sim_child *child;
		uint32_t attempt;

		if (world->keeper.proc.is_dead || i >= machine_live(world->keeper.machine))
			continue;
		attempt = machine_live_at(world->keeper.machine, i);
		child = child_of(world, attempt);
		if (is_sweeping(world, attempt) && child && !child->is_tree_alive)
			tell_tree(world, attempt);
	}
}

/* One turn of the keeper's loop. */
static void turn(struct sim_world *world)
{
	struct sim_keeper *keeper = &world->keeper;
	bool is_idle = machine_is_idle(keeper->machine);

	if (is_idle && keeper->was_asked) {
		keeper->state = SIM_KEEPER_ENDING;
		keeper->next_ns =
		    world->clock.now_ns + sim_rand_between(&world->rand, 0, 3) * NS_PER_MS;
		conns_drop(world); /* who came too late finds nobody */
		return;
	}
	keeper->was_asked = is_idle;
	conns_run(world);
	reap(world);
	if (!keeper->proc.is_dead &&
	    machine_due(keeper->machine) <= sim_clock_boot_ns(&world->clock))
		input(world, (struct machine_input){.kind = MACHINE_IN_TICK});
	if (!keeper->proc.is_dead)
		conns_flush(world);
}

static bool has_work(const struct sim_world *world)
{
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		const struct sim_conn *conn = &world->conns[i];

		if (!conn->is_used || conn->is_refused)
			continue;
		if (!conn->is_accepted || sim_pipe_is_ready(world, &conn->to_keeper))
			return true;
	}
	for (size_t i = 0; i < SIM_CHILDREN_MAX; i++) {
		const struct sim_child *child = &world->children[i];

		if (child->is_used && !child->is_main_alive && !child->is_reaped &&
		    child->keeper == world->keeper.generation)
			return true;
	}
	return machine_is_idle(world->keeper.machine);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t sim_keeper_due(const struct sim_world *world)
{
	const struct sim_keeper *keeper = &world->keeper;
	int64_t due_ns = keeper->lazy_ns;

	if (keeper->state == SIM_KEEPER_NONE)
		return INT64_MAX;
	if (keeper->state != SIM_KEEPER_RUNS)
		return keeper->next_ns;
	if (has_work(world))
		return world->clock.now_ns;
	for (size_t i = 0; i < SIM_CONNS_MAX; i++) {
		const struct sim_conn *conn = &world->conns[i];

		if (conn->is_used && !conn->is_refused)
			due_ns = least(due_ns, sim_pipe_due(world, &conn->to_keeper));
	}
	return least(due_ns, sim_clock_from_boot(&world->clock, machine_due(keeper->machine)));
}

void sim_keeper_run(struct sim_world *world)
{
	struct sim_keeper *keeper = &world->keeper;

	if (keeper->state == SIM_KEEPER_STARTING && keeper->next_ns <= world->clock.now_ns)
		begin(world);
	if (keeper->state == SIM_KEEPER_ENDING && keeper->next_ns <= world->clock.now_ns) {
		sim_trace(world, "keeper %u ends", keeper->generation);
		keeper_gone(world);
	}
	if (runs(world)) {
		world->steps++;
		turn(world);
	}
	if (keeper->state != SIM_KEEPER_NONE && keeper->proc.is_dead)
		sim_keeper_kill(world);
}

void sim_keeper_haunt(struct sim_world *world, uint64_t epoch, const struct exec_token *token)
{
	char program[] = "/bin/ghost";
	char *argv[] = {program, NULL};
	char *envp[] = {NULL};
	struct exec_start start = {
	    .token = *token,
	    .argv = argv,
	    .envp = envp,
	    .cwd = "/",
	    .log = "ghost.log",
	};
	AUTO(buf_fini) struct buf bytes = BUF_INIT;
	struct sim_conn *conn;

	if (!runs(world) || machine_epoch(world->keeper.machine) <= epoch)
		return; /* nobody has said HELLO with a newer one yet */
	conn = sim_conn_new(world);
	if (!conn)
		return;
	sim_trace(world, "an old engine of epoch %llu comes to life", (unsigned long long)epoch);
	wire_hello(&bytes, WIRE_VERSION, epoch);
	wire_start(&bytes, &start);
	sim_pipe_put(world, &conn->to_keeper, bytes.ptr, bytes.len);
	sim_conn_close_engine(world, conn);
}
