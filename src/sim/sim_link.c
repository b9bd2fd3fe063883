/* sim_link.c - the engine's way to the virtual keeper: struct keeper_link_ops over a world.
 *
 * Every op is a call that the engine's process may die in. What link_os.c does with the system is
 * done here with the virtual disk, in the same order: lock, log, connection, keeper, hand-over. */
#include "sim/sim_world.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "keeper/link_os.h"
#include "keeper/token_table.h"

#include <errno.h>
#include <string.h>

#define SWEEP_NS      (10 * NS_PER_S)
#define LOG_BYTES_MAX ((size_t)1 << 24)
#define ROOM_BYTES    ((size_t)200000) /* of a socket buffer */

struct sim_link {
	struct sim_world *world;
	struct sim_proc *proc;
	int run_dir;
	int lock_fd; /* -1 = not ours */
	struct sim_conn *conn;
	bool is_awake;
	bool waits_for_room;
};

static enum err_code dead(struct err *err)
{
	return err_sysno(err, EIO, "the process was killed");
}

static bool is_gone(const struct sim_link *link)
{
	return sim_proc_fate(link->proc) != SIM_FATE_GO;
}

static enum err_code link_take(void *self, bool *ret_taken, struct err *err)
{
	struct sim_link *link = self;
	const struct vfs *vfs = &link->proc->vfs;
	int fd = -1;

	*ret_taken = link->lock_fd >= 0;
	if (*ret_taken)
		return ERR_OK;
	if (vfs_open(vfs, link->run_dir, KEEPER_LOCK_FILE, VFS_CREATE, &fd, err) != ERR_OK)
		return err->code;
	if (vfs_lock(vfs, fd, err) == ERR_OK) {
		link->lock_fd = fd;
		*ret_taken = true;
		return ERR_OK;
	}
	vfs_close(vfs, fd);
	if (err->code != ERR_LOCKED)
		return err->code;
	err_reset(err); /* an expected outcome */
	return ERR_OK;
}

static void link_release(void *self)
{
	struct sim_link *link = self;

	vfs_close(&link->proc->vfs, link->lock_fd);
	link->lock_fd = -1;
}

static void link_disconnect(void *self)
{
	struct sim_link *link = self;

	if (link->conn)
		sim_conn_close_engine(link->world, link->conn);
	link->conn = NULL;
	link->waits_for_room = false;
}

/* The keeper's process, with the descriptors that it was handed. */
static void keeper_spawn(struct sim_link *link, int log_fd, int dir_fd)
{
	struct sim_world *world = link->world;
	struct sim_keeper *keeper = &world->keeper;

	BUG_IF(keeper->state != SIM_KEEPER_NONE);
	*keeper = (struct sim_keeper){
	    .state = SIM_KEEPER_STARTING,
	    .generation = keeper->generation + 1,
	    .lock_fd = link->lock_fd,
	    .log_fd = log_fd,
	    .dir_fd = dir_fd,
	    .lazy_ns = INT64_MAX,
	    .next_ns = world->clock.now_ns + sim_rand_between(&world->rand, 0, 3) * NS_PER_MS,
	};
	sim_proc_start(&keeper->proc, world->disk);
	sim_proc_take_fd(&keeper->proc, link->lock_fd);
	sim_proc_take_fd(&keeper->proc, log_fd);
	sim_proc_take_fd(&keeper->proc, dir_fd);
	if (world->keeper_deaths && sim_rand_chance(&world->rand, 300)) {
		world->keeper_deaths--;
		keeper->proc.dies_at = 1 + (uint64_t)sim_rand_below(&world->rand, 40);
	}
	link->lock_fd = -1; /* our copy is closed, the lock stays with the keeper's */
}

static enum err_code link_start(void *self, struct err *err)
{
	struct sim_link *link = self;
	const struct vfs *vfs = &link->proc->vfs;
	enum sim_fate fate;
	int log_fd = -1;
	int dir_fd = -1;

	if (vfs_open(vfs, link->run_dir, KEEPER_LOG_FILE, VFS_CREATE, &log_fd, err) != ERR_OK)
		return err->code;
	if (vfs_open(vfs, link->run_dir, ".", VFS_DIR, &dir_fd, err) != ERR_OK) {
		vfs_close(vfs, log_fd);
		return err->code;
	}
	fate = sim_proc_fate(link->proc);
	if (fate == SIM_FATE_GONE)
		return dead(err);
	link->conn = sim_conn_new(link->world);
	BUG_IF(!link->conn);
	keeper_spawn(link, log_fd, dir_fd);
	sim_trace(link->world, "keeper %u is started", link->world->keeper.generation);
	return fate == SIM_FATE_LAST ? dead(err) : ERR_OK;
}

static enum err_code link_connect(void *self, bool *ret_connected, struct err *err)
{
	struct sim_link *link = self;
	enum sim_keeper_state state = link->world->keeper.state;
	AUTO(buf_fini) struct buf hint = BUF_INIT;

	*ret_connected = false;
	if (vfs_read_all(&link->proc->vfs, link->run_dir, KEEPER_LOCK_FILE, 512, &hint, err) !=
	    ERR_OK)
		return err->code;
	if (is_gone(link))
		return dead(err);
	if (state != SIM_KEEPER_STARTING && state != SIM_KEEPER_RUNS)
		return ERR_OK; /* nobody listens */
	link->conn = sim_conn_new(link->world);
	*ret_connected = link->conn != NULL;
	return ERR_OK;
}

static ssize_t link_send(void *self, const void *bytes, size_t len)
{
	struct sim_link *link = self;
	struct sim_world *world = link->world;
	enum sim_fate fate = sim_proc_fate(link->proc);

	if (fate == SIM_FATE_GONE || link->conn->to_engine.is_ended)
		return -1;
	if (world->is_rough && sim_rand_chance(&world->rand, 30))
		return 0;
	if (len > ROOM_BYTES)
		len = ROOM_BYTES;
	if (world->is_rough && sim_rand_chance(&world->rand, 50))
		len = 1 + sim_rand_below(&world->rand, (uint32_t)len);
	sim_pipe_put(world, &link->conn->to_keeper, bytes, len);
	return fate == SIM_FATE_LAST ? -1 : (ssize_t)len;
}

static ssize_t link_receive(void *self, void *bytes, size_t len)
{
	struct sim_link *link = self;

	if (is_gone(link))
		return -1;
	return sim_pipe_take(link->world, &link->conn->to_engine, bytes, len);
}

static enum err_code link_watch(void *self, bool writes, struct err *err)
{
	struct sim_link *link = self;

	(void)err;
	link->waits_for_room = writes;
	return ERR_OK;
}

static void link_wake(void *self, bool on)
{
	struct sim_link *link = self;

	link->is_awake = on;
}

static void link_wait(void *self, int64_t timeout_ns)
{
	const struct sim_link *link = self;
	struct sim_world *world = link->world;
	int64_t end_ns = world->clock.now_ns + timeout_ns;

	if (is_gone(link))
		return;
	while (world->clock.now_ns < end_ns && !link->proc->is_dead) {
		int64_t due_ns = sim_world_due(world);

		sim_clock_advance(&world->clock, due_ns < end_ns ? due_ns : end_ns);
		sim_world_run(world);
		if (link->conn && sim_pipe_is_ready(world, &link->conn->to_engine))
			return;
	}
}

/* A killed process waits for nothing. */
static int64_t link_now(void *self)
{
	const struct sim_link *link = self;

	return link->proc->is_dead ? INT64_MAX / 2 : link->world->clock.now_ns;
}

static uint32_t link_boot(void *self)
{
	const struct sim_link *link = self;

	return record_boot(str_of(link->world->clock.boot_id));
}

static enum err_code link_read_log(void *self, struct buf *out, struct err *err)
{
	struct sim_link *link = self;

	if (vfs_read_all(&link->proc->vfs, link->run_dir, KEEPER_LOG_FILE, LOG_BYTES_MAX, out,
			 err) == ERR_OK)
		return ERR_OK;
	if (err->code != ERR_NOT_FOUND)
		return err->code;
	err_reset(err); /* no keeper was ever started */
	return ERR_OK;
}

static void child_text(const struct sim_world *world, const struct sim_child *child,
		       char text[TOKEN_TEXT_BYTES])
{
	struct exec_token token = {
	    .path = str_of(world->plan->steps[child->step].id),
	    .role = child->is_undo ? EXEC_ROLE_COMP : EXEC_ROLE_RUN,
	    .attempt = child->number,
	};

	token_text(str_of(world->run_id), &token, text);
}

/* Kill once; true when something that was meant lives on. */
static bool sweep_pass(struct sim_world *world, const char *wanted)
{
	bool is_left = false;

	for (size_t i = 0; i < SIM_CHILDREN_MAX; i++) {
		struct sim_child *child = &world->children[i];
		char text[TOKEN_TEXT_BYTES];

		if (!sim_child_lives(child))
			continue;
		child_text(world, child, text);
		if (wanted && strcmp(wanted, text) != 0)
			continue;
		sim_child_kill(world, child);
		sim_children_run(world);
		is_left = is_left || sim_child_lives(child);
	}
	return is_left;
}

static enum err_code link_sweep(void *self, const char *wanted, const struct record *spawned,
				size_t count, keeper_left_fn *visit, void *arg, struct err *err)
{
	struct sim_link *link = self;
	struct sim_world *world = link->world;
	int64_t end_ns = world->clock.now_ns + SWEEP_NS;

	(void)spawned; /* there are no groups here */
	(void)count;
	if (is_gone(link))
		return dead(err);
	while (sweep_pass(world, wanted) && world->clock.now_ns < end_ns && !link->proc->is_dead)
		link_wait(link, NS_PER_S / 20);
	for (size_t i = 0; i < SIM_CHILDREN_MAX; i++) {
		const struct sim_child *child = &world->children[i];
		char text[TOKEN_TEXT_BYTES];

		if (!sim_child_lives(child))
			continue;
		child_text(world, child, text);
		if (!wanted || strcmp(wanted, text) == 0)
			visit(arg, str_of(text), child->pid);
	}
	return link->proc->is_dead ? dead(err) : ERR_OK;
}

static int link_fd(void *self)
{
	(void)self;
	return -1; /* the simulator asks sim_link_is_ready */
}

static void link_close(void *self)
{
	struct sim_link *link = self;

	link_disconnect(link);
	link_release(link);
	mem_free(link);
}

static const struct keeper_link_ops ops = {
    .name = "sim",
    .take = link_take,
    .release = link_release,
    .start = link_start,
    .connect = link_connect,
    .disconnect = link_disconnect,
    .send = link_send,
    .receive = link_receive,
    .watch = link_watch,
    .wake = link_wake,
    .wait = link_wait,
    .now = link_now,
    .boot = link_boot,
    .read_log = link_read_log,
    .sweep = link_sweep,
    .fd = link_fd,
    .close = link_close,
};

enum err_code sim_link_open(struct sim_world *world, struct sim_proc *proc, int run_dir,
			    struct sim_link **ret_link, struct keeper_link *ret_keeper_link,
			    struct err *err)
{
	struct sim_link *link = mem_new(1, sizeof(*link));

	if (!link)
		return mem_err(err);
	*link = (struct sim_link){.world = world, .proc = proc, .run_dir = run_dir, .lock_fd = -1};
	*ret_link = link;
	*ret_keeper_link = (struct keeper_link){&ops, link};
	return ERR_OK;
}

bool sim_link_is_ready(const struct sim_link *link)
{
	if (link->is_awake || (link->conn && link->waits_for_room))
		return true;
	return link->conn && sim_pipe_is_ready(link->world, &link->conn->to_engine);
}

int64_t sim_link_due(const struct sim_link *link)
{
	return link->conn ? sim_pipe_due(link->world, &link->conn->to_engine) : INT64_MAX;
}

void sim_link_break(struct sim_link *link)
{
	if (!link->conn || link->conn->is_refused)
		return;
	buf_clear(&link->conn->to_engine.bytes);
	link->conn->to_engine.taken = 0;
	link->conn->to_engine.is_ended = true;
	buf_clear(&link->conn->to_keeper.bytes);
	link->conn->to_keeper.taken = 0;
	link->conn->to_keeper.is_ended = true;
}
