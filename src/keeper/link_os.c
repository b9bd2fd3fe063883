/* link_os.c - see link_os.h */
#include "keeper/link_os.h"

#include "base/mem.h"
#include "keeper/host.h"
#include "keeper/token_table.h"
#include "sys/cgroup.h"
#include "sys/clock.h"
#include "sys/poller.h"
#include "sys/proc.h"
#include "sys/unix_socket.h"
#include "sys/spawn.h"
#include "sys/vfs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SWEEP_NS      INT64_C(10000000000) /* then what still lives is a leftover */
#define NAP_MAX_NS    INT64_C(50000000)
#define UNCLEAR_WAITS 20 /* passes that a process in the middle of an exec is waited for */
#define LOG_BYTES_MAX ((size_t)4 << 30)
#define HINT_BYTES    512

struct link {
	int run_dir;
	char *mark;
	char *run_id;
	char *keeper_path;
	int lock_fd; /* -1: not ours */
	int fd;      /* the connection, -1: none */
	struct poller poller;
	uint32_t boot; /* record_boot */
};

static void fd_drop(int *fd)
{
	vfs_close(&vfs_os, *fd);
	*fd = -1;
}

static enum err_code os_take(void *self, bool *ret_taken, struct err *err)
{
	struct link *link = self;
	AUTO(fd_drop) int fd = -1;

	if (link->lock_fd >= 0) {
		*ret_taken = true;
		return ERR_OK;
	}
	if (vfs_open(&vfs_os, link->run_dir, KEEPER_LOCK_FILE, VFS_CREATE, &fd, err) != ERR_OK)
		return witness_foreign(err);
	if (vfs_lock(&vfs_os, fd, err) != ERR_OK) {
		if (err->code != ERR_LOCKED)
			return err->code;
		err_reset(err); /* an expected outcome */
		*ret_taken = false;
		return ERR_OK;
	}
	link->lock_fd = TAKE(fd, -1);
	*ret_taken = true;
	return ERR_OK;
}

static void os_release(void *self)
{
	struct link *link = self;

	fd_drop(&link->lock_fd);
}

static void os_disconnect(void *self)
{
	struct link *link = self;

	if (link->fd >= 0)
		poller_unwatch(&link->poller, link->fd);
	socket_close(&link->fd);
}

static enum err_code path_make(const struct link *link, char path[SOCKET_PATH_BYTES],
			       struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat(&vfs_os, link->run_dir, &stat, err) != ERR_OK)
		return err->code;
	return socket_path("keeper", stat.device, stat.inode, path, err);
}

static enum err_code keeper_spawn(const struct link *link, const char *path, int listener, int log,
				  int null, struct err *err)
{
	char name[] = "sluice-keeper";
	char own_path[SOCKET_PATH_BYTES];
	char *argv[] = {name, link->mark, own_path, link->run_id, NULL};
	char *envp[] = {NULL};
	int fds[HOST_FDS] = {null, null, null, link->lock_fd, listener, link->run_dir, log};
	struct spawn_plan plan = {
	    .path = link->keeper_path,
	    .argv = argv,
	    .envp = envp,
	    .cwd = "/",
	    .fds = fds,
	    .fds_count = HOST_FDS,
	    .cgroup_fd = -1,
	    .resets_signals = true,
	    .is_detached = true,
	};
	struct spawn_limit core = {.resource = RLIMIT_CORE};
	int32_t pid;
	int failure;

	_Static_assert(HOST_FD_LOCK == 3 && HOST_FD_LISTENER == 4 && HOST_FD_DIR == 5 &&
			   HOST_FD_LOG == 6,
		       "fds is in the order of enum host_fd");
	if (!link->keeper_path)
		return err_set(err, ERR_NOT_FOUND,
			       "commands need sluice-keeper, and none was found");
	memcpy(own_path, path, sizeof(own_path));
	if (proc_core_limit(&core.limit)) { /* commands are to have it */
		plan.limits = &core;
		plan.limits_count = 1;
	}
	failure = spawn_start(&plan, &pid);
	if (!failure)
		return ERR_OK;
	(void)err_sysno(err, failure, "run '%s'", link->keeper_path);
	if (err->code == ERR_NOT_FOUND) /* it was there: no wrong name */
		err->code = ERR_IO;
	return err->code;
}

static enum err_code null_open(int *ret_fd, struct err *err)
{
	int fd = spawn_null_open();

	if (fd < 0)
		return err_sys(err, "open '/dev/null'");
	*ret_fd = fd;
	return ERR_OK;
}

/* Bound and connected before the keeper runs: it finds us waiting, and needs no patience. */
static enum err_code os_start(void *self, struct err *err)
{
	struct link *link = self;
	AUTO(fd_drop) int log = -1;
	AUTO(fd_drop) int null = -1;
	AUTO(socket_close) int listener = -1;
	char path[SOCKET_PATH_BYTES];

	BUG_IF(link->lock_fd < 0 || link->fd >= 0);
	if (vfs_open(&vfs_os, link->run_dir, KEEPER_LOG_FILE, VFS_CREATE, &log, err) != ERR_OK)
		return witness_foreign(err);
	if (null_open(&null, err) != ERR_OK || path_make(link, path, err) != ERR_OK ||
	    socket_listen(path, &listener, err) != ERR_OK)
		return err->code;
	if (socket_connect(path, &link->fd, err) != ERR_OK) {
		if (err->code == ERR_NOT_FOUND) /* we listen: it is no wrong name */
			err->code = ERR_GONE;
		return err->code;
	}
	if (keeper_spawn(link, path, listener, log, null, err) != ERR_OK ||
	    poller_watch(&link->poller, link->fd, false, err) != ERR_OK) {
		os_disconnect(link);
		return err->code;
	}
	os_release(link); /* our copy; the keeper has the lock */
	return ERR_OK;
}

/* What the keeper published: its pid and, after a space, its socket. */
static enum err_code hint_read(int run_dir, char text[HINT_BYTES], struct err *err)
{
	AUTO(fd_drop) int fd = -1;
	size_t len = 0;

	if (vfs_open(&vfs_os, run_dir, KEEPER_LOCK_FILE, VFS_READ, &fd, err) != ERR_OK)
		return witness_foreign(err);
	if (vfs_read(&vfs_os, fd, text, HINT_BYTES - 1, 0, &len, err) != ERR_OK)
		return err->code;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return ERR_OK;
}

static enum err_code os_connect(void *self, bool *ret_connected, struct err *err)
{
	struct link *link = self;
	char hint[HINT_BYTES];
	char own_path[SOCKET_PATH_BYTES];
	const char *path;

	/* A keeper that found no room for its hint listens where we would let it listen. */
	if (hint_read(link->run_dir, hint, err) != ERR_OK ||
	    path_make(link, own_path, err) != ERR_OK)
		return err->code;
	path = strchr(hint, ' ');
	*ret_connected = false;
	if (socket_connect(path ? path + 1 : own_path, &link->fd, err) != ERR_OK) {
		if (err->code != ERR_NOT_FOUND)
			return err->code;
		err_reset(err); /* an expected outcome */
		return ERR_OK;
	}
	if (poller_watch(&link->poller, link->fd, false, err) != ERR_OK) {
		os_disconnect(link);
		return err->code;
	}
	*ret_connected = true;
	return ERR_OK;
}

static ssize_t os_send(void *self, const void *bytes, size_t len)
{
	const struct link *link = self;

	return socket_send(link->fd, bytes, len);
}

static ssize_t os_receive(void *self, void *bytes, size_t len)
{
	const struct link *link = self;

	return socket_receive(link->fd, bytes, len);
}

static enum err_code os_watch(void *self, bool writes, struct err *err)
{
	const struct link *link = self;

	return poller_watch(&link->poller, link->fd, writes, err);
}

static void os_wake(void *self, bool on)
{
	struct link *link = self;

	poller_wake(&link->poller, on);
}

static void os_wait(void *self, int64_t timeout_ns)
{
	const struct link *link = self;

	socket_wait(link->fd, timeout_ns);
}

static int64_t os_now(void *self)
{
	(void)self;
	return clock_boot_ns(&clock_os);
}

static uint32_t os_boot(void *self)
{
	const struct link *link = self;

	return link->boot;
}

static enum err_code os_read_log(void *self, struct buf *out, struct err *err)
{
	const struct link *link = self;

	if (vfs_read_all(&vfs_os, link->run_dir, KEEPER_LOG_FILE, LOG_BYTES_MAX, out, err) ==
	    ERR_OK)
		return ERR_OK;
	if (err->code != ERR_NOT_FOUND)
		return witness_foreign(err);
	err_reset(err); /* no keeper was ever started */
	return ERR_OK;
}

/* --- what is left when a keeper was killed --- */

static void groups_kill(const struct link *link, const struct record *spawned, size_t count)
{
	char name[RECORD_SLOT_NAME_BYTES];
	int base = count ? cgroup_base() : -1;

	for (size_t i = 0; base >= 0 && i < count; i++) {
		int group;

		record_slot_name(str_of(link->mark), spawned[i].keeper_pid, spawned[i].slot, name);
		group = cgroup_open(base, name);
		if (group < 0)
			continue;         /* removed already: nothing is in it */
		(void)cgroup_kill(group); /* the passes below find out */
		vfs_close(&vfs_os, group);
	}
	vfs_close(&vfs_os, base);
}

static void groups_remove(const struct link *link, const struct record *spawned, size_t count)
{
	char name[RECORD_SLOT_NAME_BYTES];
	int base = count ? cgroup_base() : -1;

	for (size_t i = 0; base >= 0 && i < count; i++) {
		record_slot_name(str_of(link->mark), spawned[i].keeper_pid, spawned[i].slot, name);
		(void)cgroup_remove(base, name); /* in use by a leftover: it stays */
	}
	vfs_close(&vfs_os, base);
}

struct survivors {
	keeper_left_fn *visit;
	void *arg;
};

static void survivor_tell(void *arg, const struct proc_stat *stat)
{
	const struct survivors *survivors = arg;
	char value[TOKEN_TEXT_BYTES];

	if (proc_environ_get(stat->pid, TOKEN_VARIABLE, value, sizeof(value)) == PROC_ENVIRON_HAS)
		survivors->visit(survivors->arg, str_of(value), stat->pid);
}

static enum err_code os_sweep(void *self, const char *token_text, const struct record *spawned,
			      size_t count, keeper_left_fn *visit, void *arg, struct err *err)
{
	const struct link *link = self;
	struct survivors survivors = {visit, arg};
	char prefix[TOKEN_TEXT_BYTES];
	struct proc_tree tree = {.name = TOKEN_VARIABLE, .value = token_text};
	int64_t end_ns = clock_boot_ns(&clock_os) + SWEEP_NS;
	int64_t nap_ns = 1000000;
	int clean = 0;
	unsigned waits = 0; /* for what was unclear */
	size_t found = 0;
	size_t unclear = 0;

	(void)snprintf(prefix, sizeof(prefix), "%s/", link->mark);
	if (!token_text) {
		tree.value = prefix;
		tree.is_prefix = true;
	}
	groups_kill(link, spawned, count);
	while (clean < 2 && clock_boot_ns(&clock_os) < end_ns) {
		if (proc_tree_pass(&tree, SIGKILL, NULL, NULL, &found, &unclear, err) != ERR_OK)
			return err->code;
		if (!found && unclear && waits < UNCLEAR_WAITS)
			waits++;
		else if (!found)
			clean++;
		if (!found && !unclear)
			continue;
		if (found)
			clean = 0;
		socket_wait(-1, nap_ns);
		nap_ns = nap_ns * 2 < NAP_MAX_NS ? nap_ns * 2 : NAP_MAX_NS;
	}
	groups_remove(link, spawned, count);
	if (clean == 2)
		return ERR_OK;
	return proc_tree_pass(&tree, 0, survivor_tell, &survivors, &found, &unclear, err);
}

static int os_fd(void *self)
{
	const struct link *link = self;

	return link->poller.fd;
}

static void os_close(void *self)
{
	struct link *link = self;

	os_disconnect(link);
	os_release(link);
	poller_close(&link->poller);
	mem_free(link->mark);
	mem_free(link->run_id);
	mem_free(link->keeper_path);
	mem_free(link);
}

static const struct keeper_link_ops os_ops = {
    .name = "os",
    .take = os_take,
    .release = os_release,
    .start = os_start,
    .connect = os_connect,
    .disconnect = os_disconnect,
    .send = os_send,
    .receive = os_receive,
    .watch = os_watch,
    .wake = os_wake,
    .wait = os_wait,
    .now = os_now,
    .boot = os_boot,
    .read_log = os_read_log,
    .sweep = os_sweep,
    .fd = os_fd,
    .close = os_close,
};

enum err_code link_os_open(const struct link_os_options *options, struct keeper_link *ret_link,
			   struct err *err)
{
	char boot_id[BOOT_ID_BYTES + 1];
	struct link *link;

	if (options->keeper_path && options->keeper_path[0] != '/')
		return err_set(err, ERR_USAGE, "the path of the keeper is not absolute");
	if (boot_id_read(boot_id, err) != ERR_OK)
		return err->code;
	link = mem_new(1, sizeof(*link));
	if (!link)
		return mem_err(err);
	*link = (struct link){
	    .run_dir = options->run_dir,
	    .lock_fd = -1,
	    .fd = -1,
	    .poller = POLLER_NONE,
	    .boot = record_boot(str_of(boot_id)),
	};
	link->mark = mem_text(options->mark.ptr, options->mark.len);
	link->run_id = mem_text(options->run_id.ptr, options->run_id.len);
	if (options->keeper_path)
		link->keeper_path = mem_text(options->keeper_path, strlen(options->keeper_path));
	if (!link->mark || !link->run_id || (options->keeper_path && !link->keeper_path)) {
		os_close(link);
		return mem_err(err);
	}
	if (poller_open(&link->poller, err) != ERR_OK) {
		os_close(link);
		return err->code;
	}
	*ret_link = (struct keeper_link){&os_ops, link};
	return ERR_OK;
}

enum err_code link_os_keeper_pid(int run_dir, int32_t *ret_pid, struct err *err)
{
	AUTO(fd_drop) int fd = -1;
	char hint[HINT_BYTES];
	uint64_t pid;

	*ret_pid = 0;
	if (vfs_open(&vfs_os, run_dir, KEEPER_LOCK_FILE, VFS_READ_WRITE, &fd, err) != ERR_OK) {
		if (err->code != ERR_NOT_FOUND)
			return witness_foreign(err);
		err_reset(err); /* no keeper was ever started */
		return ERR_OK;
	}
	if (vfs_lock(&vfs_os, fd, err) == ERR_OK)
		return ERR_OK; /* nobody holds it: what is written there is old */
	if (err->code != ERR_LOCKED)
		return err->code;
	err_reset(err);
	if (hint_read(run_dir, hint, err) != ERR_OK)
		return err->code;
	if (str_to_u64(str_cut(str_of(hint), 0, strcspn(hint, " ")), &pid) && pid <= INT32_MAX)
		*ret_pid = (int32_t)pid;
	return ERR_OK;
}
