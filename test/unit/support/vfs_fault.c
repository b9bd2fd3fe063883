/* vfs_fault.c - see vfs_fault.h */
#include "support/vfs_fault.h"

#include <errno.h>

static bool fires(struct vfs_fault *fault, enum vfs_call call)
{
	if (!fault->nth || !(fault->calls & (uint32_t)call))
		return false;
	fault->count++;
	if (fault->count != fault->nth && !(fault->for_ever && fault->count > fault->nth))
		return false;
	fault->fired++;
	return true;
}

#define UNDER(fault, op, ...) (fault)->under.ops->op((fault)->under.self, __VA_ARGS__)

static int opened(struct vfs_fault *fault, int fd)
{
	fault->open_files += fd >= 0;
	return fd;
}

static int fault_open(void *self, int dir, const char *path, enum vfs_mode mode)
{
	struct vfs_fault *fault = self;

	if (fires(fault, VFS_CALL_OPEN))
		return -fault->number;
	return opened(fault, UNDER(fault, open, dir, path, mode));
}

static int fault_root(void *self, const char *path, bool make)
{
	struct vfs_fault *fault = self;

	if (fires(fault, VFS_CALL_OPEN))
		return -fault->number;
	return opened(fault, UNDER(fault, root, path, make));
}

static int fault_close(void *self, int fd)
{
	struct vfs_fault *fault = self;

	fault->open_files--;
	return UNDER(fault, close, fd);
}

static ssize_t fault_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	struct vfs_fault *fault = self;

	if (fires(fault, VFS_CALL_READ)) {
		if (!fault->is_short)
			return -fault->number;
		len = len > 1 ? len / 2 : len;
	}
	return UNDER(fault, read, fd, bytes, len, offset);
}

static ssize_t fault_write(void *self, int fd, const void *bytes, size_t len)
{
	struct vfs_fault *fault = self;

	if (!fires(fault, VFS_CALL_WRITE))
		return UNDER(fault, write, fd, bytes, len);
	if (fault->is_short)
		return UNDER(fault, write, fd, bytes, len > 1 ? len / 2 : len);
	if (fault->half && UNDER(fault, write, fd, bytes, len / 2) < 0)
		return -EIO;
	return -fault->number;
}

static ssize_t fault_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	struct vfs_fault *fault = self;

	if (!fires(fault, VFS_CALL_WRITE))
		return UNDER(fault, write_at, fd, bytes, len, offset);
	if (fault->is_short)
		return UNDER(fault, write_at, fd, bytes, len > 1 ? len / 2 : len, offset);
	return -fault->number;
}

static int fault_sync_data(void *self, int fd)
{
	struct vfs_fault *fault = self;

	if (fires(fault, VFS_CALL_SYNC))
		return -fault->number;
	fault->seen_syncs++;
	return UNDER(fault, sync_data, fd);
}

static int fault_sync(void *self, int fd)
{
	struct vfs_fault *fault = self;

	if (fires(fault, VFS_CALL_SYNC))
		return -fault->number;
	fault->seen_syncs++;
	return UNDER(fault, sync, fd);
}

static int fault_truncate(void *self, int fd, uint64_t size)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_TRUNCATE) ? -fault->number : UNDER(fault, truncate, fd, size);
}

static int fault_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_STAT) ? -fault->number : UNDER(fault, stat, fd, ret_stat);
}

static int fault_stat_at(void *self, int dir, const char *name, struct vfs_stat *ret_stat)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_STAT) ? -fault->number
					   : UNDER(fault, stat_at, dir, name, ret_stat);
}

static int fault_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_RENAME) ? -fault->number
					     : UNDER(fault, rename, dir, from, to_dir, to);
}

static int fault_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_RENAME) ? -fault->number
					     : UNDER(fault, rename_new, dir, from, to_dir, to);
}

static int fault_unlink(void *self, int dir, const char *path)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_UNLINK) ? -fault->number : UNDER(fault, unlink, dir, path);
}

static int fault_make_dir(void *self, int dir, const char *path)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_MAKE_DIR) ? -fault->number : UNDER(fault, make_dir, dir, path);
}

static int fault_list(void *self, int dir, uint64_t *place, char *name)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_LIST) ? -fault->number : UNDER(fault, list, dir, place, name);
}

static int fault_lock(void *self, int fd)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_LOCK) ? -fault->number : UNDER(fault, lock, fd);
}

static int fault_lock_held(void *self, int fd)
{
	struct vfs_fault *fault = self;

	return fires(fault, VFS_CALL_LOCK) ? -fault->number : UNDER(fault, lock_held, fd);
}

static const struct vfs_ops fault_ops = {
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .write_at = fault_write_at,
    .sync_data = fault_sync_data,
    .sync = fault_sync,
    .truncate = fault_truncate,
    .stat = fault_stat,
    .stat_at = fault_stat_at,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .make_dir = fault_make_dir,
    .root = fault_root,
    .rename_new = fault_rename_new,
    .list = fault_list,
    .lock = fault_lock,
    .lock_held = fault_lock_held,
};

void vfs_fault_init(struct vfs_fault *fault, const struct vfs *under)
{
	*fault = (struct vfs_fault){.under = *under};
	fault->vfs = (struct vfs){.ops = &fault_ops, .self = fault};
}

void vfs_fault_plan(struct vfs_fault *fault, uint32_t calls, uint64_t nth, bool for_ever,
		    int number)
{
	fault->calls = calls;
	fault->nth = nth;
	fault->for_ever = for_ever;
	fault->number = number;
	fault->is_short = false;
	fault->half = false;
	fault->count = 0;
	fault->fired = 0;
}

bool vfs_fault_fired(const struct vfs_fault *fault)
{
	return fault->fired > 0;
}
