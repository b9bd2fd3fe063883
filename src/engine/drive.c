/* drive.c - see drive.h */
#include "engine/drive.h"

#include "base/mem.h"
#include "engine/control.h"
#include "sys/loop.h"
#include "sys/wake.h"

#include <stdatomic.h>

enum stop_level { STOP_NONE, STOP_ASKED, STOP_NOW };

struct drive {
	struct engine *engine;
	struct loop *loop;
	struct control *control;
	struct loop_watch *exec_watch;
	struct loop_watch *wake_watch;
	int wake_fd;
	atomic_int stop_wanted; /* enum stop_level, written by drive_stop */
	int stop_told;
};

static void on_exec(void *arg)
{
	(void)arg; /* the tick reads it */
}

static void on_wake(void *arg)
{
	struct drive *drive = arg;

	wake_clear(drive->wake_fd);
}

/* A run in a storage of the host is known to nobody else who could connect. */
static bool is_reachable(const struct engine *engine)
{
	return rundir_vfs(engine_dir(engine))->ops == vfs_os.ops; /* the directory has a copy */
}

enum err_code drive_open(struct engine *engine, struct drive **ret_drive, struct err *err)
{
	struct drive *drive = mem_new(1, sizeof(*drive));
	int exec_fd = engine_exec_fd(engine);

	if (!drive)
		return mem_err(err);
	drive->engine = engine;
	drive->wake_fd = -1;
	if (wake_open(&drive->wake_fd, err) == ERR_OK && loop_new(&drive->loop, err) == ERR_OK &&
	    loop_watch(drive->loop, drive->wake_fd, on_wake, drive, &drive->wake_watch, err) ==
		ERR_OK &&
	    (exec_fd < 0 ||
	     loop_watch(drive->loop, exec_fd, on_exec, drive, &drive->exec_watch, err) == ERR_OK) &&
	    (!is_reachable(engine) ||
	     control_open(engine, drive->loop, &drive->control, err) == ERR_OK) &&
	    loop_wait(drive->loop, 0, err) == ERR_OK) {
		*ret_drive = drive; /* what is watched is known from here on */
		return ERR_OK;
	}
	drive_close(drive);
	return err->code;
}

void drive_close(struct drive *drive)
{
	if (!drive)
		return;
	control_close(drive->control);
	loop_unwatch(drive->exec_watch);
	loop_unwatch(drive->wake_watch);
	loop_free(drive->loop);
	wake_close(&drive->wake_fd);
	mem_free(drive);
}

void drive_stop(struct drive *drive, bool now)
{
	int wanted = now ? STOP_NOW : STOP_ASKED;
	int before = atomic_load(&drive->stop_wanted);

	while (before < wanted &&
	       !atomic_compare_exchange_weak(&drive->stop_wanted, &before, wanted))
		;
	wake_raise(drive->wake_fd);
}

static enum err_code tell_stop(struct drive *drive, struct err *err)
{
	int wanted = atomic_load(&drive->stop_wanted);
	struct engine_ask ask = {.kind = ENGINE_ASK_STOP, .now = wanted == STOP_NOW};

	if (wanted == drive->stop_told)
		return ERR_OK;
	drive->stop_told = wanted;
	ask.person.uid = -1;
	ask.person.pid = -1;
	return engine_ask(drive->engine, &ask, err);
}

static int64_t shorter(int64_t a_ns, int64_t b_ns)
{
	if (a_ns < 0 || b_ns < 0)
		return a_ns < 0 ? b_ns : a_ns;
	return a_ns < b_ns ? a_ns : b_ns;
}

enum err_code drive_run(struct drive *drive, int64_t tick_ns, drive_tick_fn *on_tick, void *arg,
			struct err *err)
{
	for (;;) {
		if (tell_stop(drive, err) != ERR_OK || engine_tick(drive->engine, err) != ERR_OK)
			return err->code;
		if (engine_is_over(drive->engine))
			return ERR_OK;
		if (on_tick)
			on_tick(arg);
		if (loop_wait(drive->loop,
			      shorter(engine_wait_ns(drive->engine), on_tick ? tick_ns : -1),
			      err) != ERR_OK)
			return err->code;
	}
}

int drive_fd(const struct drive *drive)
{
	return loop_fd(drive->loop);
}

int64_t drive_wait_ns(const struct drive *drive)
{
	if (atomic_load(&drive->stop_wanted) != drive->stop_told)
		return 0;
	return engine_wait_ns(drive->engine);
}

enum err_code drive_step(struct drive *drive, bool *ret_is_over, struct err *err)
{
	/* The loop twice: what the tick began to watch is in the descriptor only after that. */
	if (loop_wait(drive->loop, 0, err) != ERR_OK || tell_stop(drive, err) != ERR_OK ||
	    engine_tick(drive->engine, err) != ERR_OK || loop_wait(drive->loop, 0, err) != ERR_OK)
		return err->code;
	*ret_is_over = engine_is_over(drive->engine);
	return ERR_OK;
}
