/* partition.c - see partition.h */
#include "api/partition.h"

#include "base/timefmt.h"
#include "sys/unix_socket.h"

#include <stdio.h>

#define LOCK_FILE    "partitions.lock"
#define LOCK_WAIT_NS (30 * NS_PER_S)
#define LOCK_LOOK_NS (5 * NS_PER_MS)
#define ID_BYTES_MAX 129

/* How a run of the partition stands in the way, the worst last. */
enum way { WAY_FREE, WAY_DONE, WAY_OPEN, WAY_RUNS };

struct looking {
	const struct sluice *sluice;
	struct str pipeline;
	struct str partition;
	struct str own_id;
	enum way worst;
	char id[ID_BYTES_MAX]; /* of that one */
};

static enum err_code way_of(const struct looking *looking, const char *path, enum way *ret_way,
			    struct err *err)
{
	const struct sluice *sluice = looking->sluice;
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	struct run_lock_info owner;

	/* Who owns it is asked before the fold: an owner that is gone by then has written all it
	 * will. */
	if (rundir_open(sluice->vfs, path, &dir, err) != ERR_OK ||
	    run_lock_look(sluice->vfs, rundir_fd(dir), &owner, err) != ERR_OK ||
	    fold_read(dir, &sluice->limits, NULL, NULL, &fold, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return err->code;
	}
	if (run_state_is_end(fold.state.state))
		*ret_way = fold.state.state == RUN_SUCCEEDED ? WAY_DONE : WAY_FREE;
	else
		*ret_way = WAY_OPEN;
	if (owner.is_held && !fold.state.is_completed)
		*ret_way = WAY_RUNS;
	return ERR_OK;
}

static enum err_code on_born(void *arg, struct str id, const struct event *created, struct err *err)
{
	struct looking *looking = arg;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	enum way way = WAY_FREE;

	if (!str_eq(event_text(created, EVENT_FIELD_PIPELINE), looking->pipeline) ||
	    !str_eq(event_text(created, EVENT_FIELD_PARTITION), looking->partition) ||
	    str_eq(id, looking->own_id))
		return ERR_OK;
	buf_fmt(&path, "%s/runs/%.*s", looking->sluice->home, STR_ARG(id));
	if (buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	if (way_of(looking, path.ptr, &way, err) != ERR_OK) {
		if (err->code == ERR_NOT_FOUND) { /* removed meanwhile */
			err_reset(err);
			return ERR_OK;
		}
		return err_while(err, "the run '%.*s' of the same partition", STR_ARG(id));
	}
	if (way <= looking->worst)
		return ERR_OK;
	looking->worst = way;
	(void)snprintf(looking->id, sizeof(looking->id), "%.*s", STR_ARG(id));
	return ERR_OK;
}

static enum err_code look(struct looking *looking, struct err *err)
{
	return rundir_each_born(looking->sluice->vfs, looking->sluice->home,
				"\"partition\":", on_born, looking, err);
}

static enum err_code take_lock(const struct sluice *sluice, struct partition_lock *lock,
			       struct err *err)
{
	int64_t end_ns = clock_boot_ns(sluice->clock) + LOCK_WAIT_NS;
	enum err_code code;
	int home = -1;

	if (vfs_root(sluice->vfs, sluice->home, true, &home, err) != ERR_OK)
		return err->code;
	code = vfs_open(sluice->vfs, home, LOCK_FILE, VFS_CREATE, &lock->fd, err);
	vfs_close(sluice->vfs, home);
	if (code != ERR_OK)
		return code;
	lock->vfs = sluice->vfs;
	while (vfs_lock(sluice->vfs, lock->fd, err) == ERR_LOCKED &&
	       clock_boot_ns(sluice->clock) < end_ns) {
		err_reset(err);
		socket_wait(-1, LOCK_LOOK_NS);
	}
	return err->code == ERR_OK ? ERR_OK : err_while(err, "claim a partition");
}

static enum err_code judge(const struct looking *looking, bool is_again, struct err *err)
{
	switch (looking->worst) {
	case WAY_FREE:
		return ERR_OK;
	case WAY_DONE:
		if (is_again)
			return ERR_OK;
		(void)err_set(err, ERR_REFUSED, "partition '%.*s' has succeeded already: run '%s'",
			      STR_ARG(looking->partition), looking->id);
		return err_hint(err, "to run it once more: --again");
	case WAY_OPEN:
		(void)err_set(err, ERR_REFUSED, "partition '%.*s' has a run that is not over: '%s'",
			      STR_ARG(looking->partition), looking->id);
		return err_hint(err, "go on with it: sluice resume %s, or end it: sluice stop %s",
				looking->id, looking->id);
	case WAY_RUNS:
		(void)err_set(err, ERR_LOCKED, "partition '%.*s' runs now: run '%s'",
			      STR_ARG(looking->partition), looking->id);
		return err_hint(err, "wait for it with --wait, or look: status %s", looking->id);
	}
	BUG_IF(true);
	return ERR_OK;
}

enum err_code partition_claim(const struct sluice *sluice, struct str pipeline,
			      struct str partition, struct str own_id, bool is_again,
			      struct partition_lock *ret_lock, struct err *err)
{
	AUTO(partition_unlock) struct partition_lock lock = PARTITION_LOCK_INIT;
	struct looking looking = {
	    .sluice = sluice, .pipeline = pipeline, .partition = partition, .own_id = own_id};

	if (take_lock(sluice, &lock, err) != ERR_OK || look(&looking, err) != ERR_OK ||
	    judge(&looking, is_again, err) != ERR_OK)
		return err->code;
	*ret_lock = lock;
	lock.fd = -1;
	return ERR_OK;
}

void partition_unlock(struct partition_lock *lock)
{
	if (lock->fd >= 0)
		vfs_close(lock->vfs, lock->fd);
	lock->fd = -1;
}

enum err_code partition_find(const struct sluice *sluice, struct str pipeline, struct str partition,
			     struct buf *out_id, struct err *err)
{
	struct looking looking = {.sluice = sluice, .pipeline = pipeline, .partition = partition};

	if (look(&looking, err) != ERR_OK)
		return err->code;
	if (looking.worst == WAY_FREE)
		return err_set(err, ERR_NOT_FOUND, "no run is in the way of partition '%.*s'",
			       STR_ARG(partition));
	buf_text(out_id, looking.id);
	return buf_check(out_id, "an id", err);
}
