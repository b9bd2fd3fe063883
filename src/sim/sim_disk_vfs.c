/* sim_disk_vfs.c - what processes ask of the virtual disk: struct vfs_ops, with faults and
 * deaths */
#include "sim/sim_disk_intern.h"

#include <errno.h>
#include <string.h>

/* ------------------------------------------------------------------------------- processes */

void sim_proc_start(struct sim_proc *proc, struct sim_disk *disk)
{
	*proc = (struct sim_proc){.disk = disk, .id = ++disk->procs};
	proc->vfs = (struct vfs){&sim_disk_vfs_ops, proc};
}

void sim_proc_kill(struct sim_proc *proc)
{
	struct sim_disk *disk = proc->disk;

	proc->is_dead = true;
	for (size_t i = 0; i < disk->fds_count; i++) {
		if (disk->fds[i].proc == proc->id)
			sim_fd_close(disk, (int)i + SIM_FD_BASE);
	}
}

void sim_proc_take_fd(struct sim_proc *proc, int fd)
{
	struct sim_fd *open = sim_fd_at(proc->disk, fd);

	BUG_IF(!open);
	open->proc = proc->id;
}

bool sim_proc_has_fds(const struct sim_proc *proc)
{
	for (size_t i = 0; i < proc->disk->fds_count; i++) {
		if (proc->disk->fds[i].proc == proc->id)
			return true;
	}
	return false;
}

enum sim_fate sim_proc_fate(struct sim_proc *proc)
{
	if (proc->is_dead)
		return SIM_FATE_GONE;
	proc->disk->stats.calls++;
	if (++proc->calls != proc->dies_at)
		return SIM_FATE_GO;
	proc->is_dead = true;
	return sim_rand_chance(&proc->disk->rand, 500) ? SIM_FATE_LAST : SIM_FATE_GONE;
}

/* ---------------------------------------------------------------------------------- faults */

static bool annoys(struct sim_proc *proc)
{
	struct sim_disk *disk = proc->disk;

	if (proc->is_spared || !disk->faults.annoy_per_mille ||
	    !sim_rand_chance(&disk->rand, disk->faults.annoy_per_mille))
		return false;
	disk->stats.faults++;
	return true;
}

static int fault_of(struct sim_proc *proc, enum sim_call call)
{
	struct sim_disk *disk = proc->disk;
	bool needs_room = call == SIM_CALL_WRITE || call == SIM_CALL_OPEN;

	if (proc->is_spared)
		return 0;
	if (disk->full_left && needs_room) {
		disk->full_left--;
		proc->faults++;
		return ENOSPC;
	}
	if (!disk->faults.failures || !sim_rand_chance(&disk->rand, disk->faults.per_mille[call]))
		return 0;
	disk->faults.failures--;
	disk->stats.faults++;
	proc->faults++;
	if (!needs_room || sim_rand_chance(&disk->rand, 400))
		return EIO;
	disk->full_left = disk->faults.full_calls;
	return ENOSPC;
}

/* Every call begins here: true when it does not happen, with its answer. */
static bool is_refused(enum sim_fate fate, int *ret_answer)
{
	*ret_answer = -EIO;
	return fate == SIM_FATE_GONE;
}

/* ...and ends here: who dies of a call does not hear its answer. */
static int answer_of(enum sim_fate fate, int answer)
{
	return fate == SIM_FATE_LAST ? -EIO : answer;
}

/* The inode behind a descriptor. One that is not open is a mistake of the program under test. */
static struct sim_inode *inode_of(const struct sim_proc *proc, int fd)
{
	const struct sim_fd *open = sim_fd_at(proc->disk, fd);

	if (!open || open->proc != proc->id) {
		proc->disk->violation = "a descriptor was used that is not open";
		return NULL;
	}
	return sim_inode_get(proc->disk, open->inode);
}

static void touch(struct sim_proc *proc, int fd)
{
	const struct sim_fd *open = sim_fd_at(proc->disk, fd);

	if (open && proc->lossy_inode == open->inode)
		proc->disk->violation =
		    "S11.3 a file was written or synced again after its sync failed";
}

/* ----------------------------------------------------------------------------------- paths */

/* 0, or -errno as openat2 with RESOLVE_BENEATH answers. */
static int place_of(const struct sim_proc *proc, int dir, const char *path, uint32_t *ret_parent,
		    struct str *ret_name)
{
	const struct sim_inode *from = inode_of(proc, dir);

	if (!from)
		return -EBADF;
	if (path[0] == '/' || strstr(path, ".."))
		return -EXDEV;
	*ret_parent =
	    sim_path_parent(proc->disk, sim_fd_at(proc->disk, dir)->inode, path, false, ret_name);
	if (!*ret_parent)
		return -ENOENT;
	if (ret_name->len >= VFS_NAME_BYTES)
		return -ENAMETOOLONG;
	return ret_name->len ? 0 : -ENOENT;
}

static int open_made(struct sim_proc *proc, uint32_t parent, struct str name, enum vfs_mode mode)
{
	struct sim_disk *disk = proc->disk;
	int fault = fault_of(proc, SIM_CALL_OPEN);
	uint32_t inode;

	if (fault)
		return -fault;
	inode = sim_inode_new(disk, false);
	sim_inode_rename(sim_inode_get(disk, parent), STR_NONE, name, inode);
	return sim_fd_new(disk, inode, proc->id, mode == VFS_CREATE_APPEND);
}

static int open_now(struct sim_proc *proc, int dir, const char *path, enum vfs_mode mode)
{
	struct sim_disk *disk = proc->disk;
	bool makes = mode == VFS_NEW || mode == VFS_CREATE || mode == VFS_CREATE_APPEND;
	struct str name = STR_NONE;
	uint32_t parent;
	uint32_t found;
	int answer = place_of(proc, dir, path, &parent, &name);

	if (answer < 0)
		return answer;
	found =
	    str_is(name, ".") ? parent : sim_names_find(&sim_inode_get(disk, parent)->names, name);
	if (!found)
		return makes ? open_made(proc, parent, name, mode) : -ENOENT;
	if (mode == VFS_NEW)
		return -EEXIST;
	if (sim_inode_get(disk, found)->is_dir != (mode == VFS_DIR))
		return mode == VFS_DIR ? -ENOTDIR : -EISDIR;
	return sim_fd_new(disk, found, proc->id, mode == VFS_APPEND || mode == VFS_CREATE_APPEND);
}

static int sim_open(void *self, int dir, const char *path, enum vfs_mode mode)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	if (annoys(proc))
		return answer_of(fate, -EINTR);
	return answer_of(fate, open_now(proc, dir, path, mode));
}

static int sim_close(void *self, int fd)
{
	struct sim_proc *proc = self;
	const struct sim_fd *open = sim_fd_at(proc->disk, fd);

	if (proc->is_dead)
		return 0; /* the kernel has closed it, or will when the death is carried out */
	if (!open || open->proc != proc->id) {
		proc->disk->violation = "a descriptor was closed that is not open";
		return -EBADF;
	}
	sim_fd_close(proc->disk, fd);
	return 0;
}

#define DEPTH_MAX 32

/* From the directory at the end of `way` to one of its names; ".." goes back. */
static int root_step(struct sim_proc *proc, uint32_t way[DEPTH_MAX], size_t *depth, struct str name,
		     bool make)
{
	struct sim_disk *disk = proc->disk;
	uint32_t at = way[*depth];
	uint32_t next;

	if (str_is(name, "..")) {
		*depth -= *depth > 0;
		return 0;
	}
	next = sim_names_find(&sim_inode_get(disk, at)->names, name);
	if (!next && !make)
		return -ENOENT;
	if (!next) {
		next = sim_inode_new(disk, true);
		sim_inode_rename(sim_inode_get(disk, at), STR_NONE, name, next);
		sim_inode_sync(sim_inode_get(disk, at));
	}
	if (!sim_inode_get(disk, next)->is_dir)
		return -ENOTDIR;
	BUG_IF(*depth + 1 == DEPTH_MAX);
	way[++*depth] = next;
	return 0;
}

static int sim_root(void *self, const char *path, bool make)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	uint32_t way[DEPTH_MAX] = {SIM_ROOT};
	size_t depth = 0;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		answer = root_step(proc, way, &depth, str_from(path, len), make);
		if (answer < 0)
			return answer_of(fate, answer);
		path += len;
	}
	return answer_of(fate, sim_fd_new(proc->disk, way[depth], proc->id, false));
}

/* ----------------------------------------------------------------------------------- bytes */

static ssize_t sim_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	const struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	answer = fault_of(proc, SIM_CALL_READ);
	if (answer)
		return answer_of(fate, -answer);
	if (offset >= inode->seen.len)
		return answer_of(fate, 0);
	if (len > inode->seen.len - offset)
		len = inode->seen.len - (size_t)offset;
	if (len && annoys(proc)) {
		if (sim_rand_chance(&proc->disk->rand, 500))
			return answer_of(fate, -EINTR);
		len = 1 + sim_rand_below(&proc->disk->rand, (uint32_t)len);
	}
	memcpy(bytes, inode->seen.ptr + offset, len);
	return answer_of(fate, (int)len);
}

/* How much of a write happens, and what it answers. */
static size_t write_length(struct sim_proc *proc, enum sim_fate fate, size_t len, int *ret_answer)
{
	struct sim_rand *rand = &proc->disk->rand;
	int fault = fault_of(proc, SIM_CALL_WRITE);
	size_t some = sim_rand_below(rand, (uint32_t)len + 1);

	*ret_answer = (int)len;
	if (fault) {
		/* A full disk takes what fits, and refuses the next call. */
		bool takes_some = fault == ENOSPC && some && some < len && proc->disk->full_left;

		*ret_answer = takes_some ? (int)some : -fault;
		return takes_some || fault == EIO ? some : 0;
	}
	if (fate == SIM_FATE_LAST)
		return sim_rand_chance(rand, 500) ? some : len;
	if (annoys(proc)) {
		*ret_answer = some ? (int)some : -EINTR;
		return some;
	}
	return len;
}

static ssize_t write_now(struct sim_proc *proc, enum sim_fate fate, int fd, const void *bytes,
			 size_t len, const uint64_t *offset)
{
	struct sim_inode *inode = inode_of(proc, fd);
	int answer;

	if (!inode)
		return -EBADF;
	touch(proc, fd);
	if (sim_fd_at(proc->disk, fd)->is_append) {
		offset = NULL; /* pwrite(2), BUGS: Linux appends */
		proc->has_appended = true;
	}
	len = write_length(proc, fate, len, &answer);
	sim_inode_write(inode, offset ? *offset : inode->seen.len, bytes, len);
	return answer_of(fate, answer);
}

/* Callers append only to files that nobody else writes, so the end is where they were. */
static ssize_t sim_write(void *self, int fd, const void *bytes, size_t len)
{
	enum sim_fate fate = sim_proc_fate(self);
	int answer;

	return is_refused(fate, &answer) ? answer : write_now(self, fate, fd, bytes, len, NULL);
}

static ssize_t sim_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	enum sim_fate fate = sim_proc_fate(self);
	int answer;

	return is_refused(fate, &answer) ? answer : write_now(self, fate, fd, bytes, len, &offset);
}

static int sim_sync(void *self, int fd)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	touch(proc, fd);
	if (proc->dies_in_commit && proc->has_appended) {
		proc->is_dead = true;
		return -EIO; /* nothing of it happened */
	}
	answer = fault_of(proc, SIM_CALL_SYNC);
	if (!answer) {
		sim_inode_sync(inode);
		return answer_of(fate, 0);
	}
	proc->disk->stats.failed_syncs++;
	proc->lossy_inode = sim_fd_at(proc->disk, fd)->inode;
	sim_inode_sync_fail(proc->disk, inode);
	return -EIO;
}

static int sim_truncate(void *self, int fd, uint64_t size)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	touch(proc, fd);
	answer = fault_of(proc, SIM_CALL_TRUNCATE);
	if (answer)
		return answer_of(fate, -answer);
	sim_inode_cut(inode, size);
	return answer_of(fate, 0);
}

static struct vfs_stat stat_of(const struct sim_proc *proc, uint32_t number)
{
	const struct sim_inode *inode = sim_inode_get(proc->disk, number);

	return (struct vfs_stat){
	    .size_bytes = inode->seen.len,
	    .inode = number,
	    .device = 1,
	    .links = sim_inode_links(proc->disk, number),
	    .is_file = !inode->is_dir,
	    .is_dir = inode->is_dir,
	};
}

static int sim_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	const struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	*ret_stat = stat_of(proc, sim_fd_at(proc->disk, fd)->inode);
	return answer_of(fate, 0);
}

static int sim_stat_at(void *self, int dir, const char *name, struct vfs_stat *ret_stat)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct str last = STR_NONE;
	uint32_t parent;
	uint32_t found;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	answer = place_of(proc, dir, name, &parent, &last);
	if (answer < 0)
		return answer_of(fate, answer);
	found = sim_names_find(&sim_inode_get(proc->disk, parent)->names, last);
	if (!found)
		return answer_of(fate, -ENOENT);
	*ret_stat = stat_of(proc, found);
	return answer_of(fate, 0);
}

/* ----------------------------------------------------------------------------------- names */

static int rename_now(struct sim_proc *proc, int dir, const char *from, int to_dir, const char *to,
		      bool replaces)
{
	struct sim_disk *disk = proc->disk;
	struct str from_name = STR_NONE;
	struct str to_name = STR_NONE;
	uint32_t parent;
	uint32_t to_parent;
	uint32_t inode;
	int answer = place_of(proc, dir, from, &parent, &from_name);

	if (answer == 0)
		answer = place_of(proc, to_dir, to, &to_parent, &to_name);
	if (answer < 0)
		return answer;
	inode = sim_names_find(&sim_inode_get(disk, parent)->names, from_name);
	if (!inode)
		return -ENOENT;
	if (!replaces && sim_names_find(&sim_inode_get(disk, to_parent)->names, to_name))
		return -EEXIST;
	answer = fault_of(proc, SIM_CALL_RENAME);
	if (answer)
		return -answer;
	if (parent == to_parent) {
		sim_inode_rename(sim_inode_get(disk, parent), from_name, to_name, inode);
		return 0;
	}
	sim_inode_rename(sim_inode_get(disk, to_parent), STR_NONE, to_name, inode);
	sim_inode_rename(sim_inode_get(disk, parent), from_name, STR_NONE, inode);
	return 0;
}

static int sim_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	enum sim_fate fate = sim_proc_fate(self);
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	return answer_of(fate, rename_now(self, dir, from, to_dir, to, true));
}

static int sim_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	enum sim_fate fate = sim_proc_fate(self);
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	return answer_of(fate, rename_now(self, dir, from, to_dir, to, false));
}

static int sim_unlink(void *self, int dir, const char *path)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct str name = STR_NONE;
	uint32_t parent;
	uint32_t inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	answer = place_of(proc, dir, path, &parent, &name);
	if (answer < 0)
		return answer_of(fate, answer);
	inode = sim_names_find(&sim_inode_get(proc->disk, parent)->names, name);
	if (!inode)
		return answer_of(fate, -ENOENT);
	if (sim_inode_get(proc->disk, inode)->names.count)
		return answer_of(fate, -ENOTEMPTY);
	sim_inode_rename(sim_inode_get(proc->disk, parent), name, STR_NONE, inode);
	return answer_of(fate, 0);
}

static int sim_make_dir(void *self, int dir, const char *path)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct str name = STR_NONE;
	uint32_t parent;
	uint32_t inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	answer = place_of(proc, dir, path, &parent, &name);
	if (answer < 0)
		return answer_of(fate, answer);
	if (sim_names_find(&sim_inode_get(proc->disk, parent)->names, name))
		return answer_of(fate, -EEXIST);
	answer = fault_of(proc, SIM_CALL_OPEN);
	if (answer)
		return answer_of(fate, -answer);
	inode = sim_inode_new(proc->disk, true);
	sim_inode_rename(sim_inode_get(proc->disk, parent), STR_NONE, name, inode);
	return answer_of(fate, 0);
}

static int sim_list(void *self, int dir, uint64_t *place, char *name)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	const struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, dir);
	if (!inode)
		return -EBADF;
	if (*place >= inode->names.count)
		return answer_of(fate, 0);
	memcpy(name, inode->names.items[(*place)++].name, VFS_NAME_BYTES);
	return answer_of(fate, 1);
}

/* ----------------------------------------------------------------------------------- locks */

static int sim_lock(void *self, int fd)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	if (inode->lock_fd >= 0 && inode->lock_fd != fd)
		return answer_of(fate, -EAGAIN);
	inode->lock_fd = fd;
	return answer_of(fate, 0);
}

static int sim_lock_held(void *self, int fd)
{
	struct sim_proc *proc = self;
	enum sim_fate fate = sim_proc_fate(proc);
	const struct sim_inode *inode;
	int answer;

	if (is_refused(fate, &answer))
		return answer;
	inode = inode_of(proc, fd);
	if (!inode)
		return -EBADF;
	return answer_of(fate, inode->lock_fd >= 0 && inode->lock_fd != fd);
}

const struct vfs_ops sim_disk_vfs_ops = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .write_at = sim_write_at,
    .sync_data = sim_sync,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .stat = sim_stat,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .make_dir = sim_make_dir,
    .root = sim_root,
    .rename_new = sim_rename_new,
    .list = sim_list,
    .lock = sim_lock,
    .lock_held = sim_lock_held,
    .stat_at = sim_stat_at,
};
