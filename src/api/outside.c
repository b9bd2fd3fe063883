/* outside.c - a clock and a storage that the host brings along, as the layers below know them. */
#include "api/api.h"

#include <string.h>

/* ----------------------------------------------------------------------------------- clock */

static int64_t host_boot_ns(void *self)
{
	const struct sluice_clock_def *clock = self;

	return clock->boot_ns(clock->arg);
}

static int64_t host_utc_ms(void *self)
{
	const struct sluice_clock_def *clock = self;

	return clock->utc_ms(clock->arg);
}

static const struct clock_ops host_clock_ops = {
    .name = "host",
    .boot_ns = host_boot_ns,
    .utc_ms = host_utc_ms,
};

/* --------------------------------------------------------------------------------- storage */

_Static_assert((int)SLUICE_OPEN_READ == (int)VFS_READ && (int)SLUICE_OPEN_DIR == (int)VFS_DIR &&
		   (int)SLUICE_OPEN_CREATE_APPEND == (int)VFS_CREATE_APPEND,
	       "public modes are our own");

static const struct sluice_storage_def *storage_of(void *self)
{
	return self;
}

static int host_open(void *self, int dir, const char *path, enum vfs_mode mode)
{
	return storage_of(self)->ops.open(storage_of(self)->self, dir, path,
					  (enum sluice_open_mode)mode);
}

static int host_close(void *self, int fd)
{
	return storage_of(self)->ops.close(storage_of(self)->self, fd);
}

static ssize_t host_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	return (ssize_t)storage_of(self)->ops.read(storage_of(self)->self, fd, bytes, len, offset);
}

static ssize_t host_write(void *self, int fd, const void *bytes, size_t len)
{
	return (ssize_t)storage_of(self)->ops.write(storage_of(self)->self, fd, bytes, len);
}

static ssize_t host_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	return (ssize_t)storage_of(self)->ops.write_at(storage_of(self)->self, fd, bytes, len,
						       offset);
}

static int host_sync_data(void *self, int fd)
{
	return storage_of(self)->ops.sync_data(storage_of(self)->self, fd);
}

static int host_sync(void *self, int fd)
{
	return storage_of(self)->ops.sync(storage_of(self)->self, fd);
}

static int host_truncate(void *self, int fd, uint64_t size)
{
	return storage_of(self)->ops.truncate(storage_of(self)->self, fd, size);
}

static void info_take(const struct sluice_file_info *info, struct vfs_stat *ret_stat)
{
	*ret_stat = (struct vfs_stat){
	    .size_bytes = info->size_bytes,
	    .inode = info->inode,
	    .device = info->device,
	    .links = info->links,
	    .is_file = info->is_file,
	    .is_dir = info->is_dir,
	    .modified_ms = info->modified_ms,
	};
}

static int host_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	struct sluice_file_info info = {.size_bytes = 0};
	int code = storage_of(self)->ops.stat(storage_of(self)->self, fd, &info);

	if (code >= 0)
		info_take(&info, ret_stat);
	return code;
}

static int host_stat_at(void *self, int dir, const char *name, struct vfs_stat *ret_stat)
{
	struct sluice_file_info info = {.size_bytes = 0};
	int code = storage_of(self)->ops.stat_at(storage_of(self)->self, dir, name, &info);

	if (code >= 0)
		info_take(&info, ret_stat);
	return code;
}

static int host_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	return storage_of(self)->ops.rename(storage_of(self)->self, dir, from, to_dir, to);
}

static int host_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	return storage_of(self)->ops.rename_new(storage_of(self)->self, dir, from, to_dir, to);
}

static int host_unlink(void *self, int dir, const char *path)
{
	return storage_of(self)->ops.unlink(storage_of(self)->self, dir, path);
}

static int host_make_dir(void *self, int dir, const char *path)
{
	return storage_of(self)->ops.make_dir(storage_of(self)->self, dir, path);
}

static int host_root(void *self, const char *path, bool make)
{
	return storage_of(self)->ops.root(storage_of(self)->self, path, make);
}

/* A name that has no end would be read beyond it. */
static int host_list(void *self, int dir, uint64_t *place, char *name)
{
	int code = storage_of(self)->ops.list(storage_of(self)->self, dir, place, name);

	name[VFS_NAME_BYTES - 1] = '\0';
	return code > 0 ? 1 : code;
}

static int host_lock(void *self, int fd)
{
	return storage_of(self)->ops.lock(storage_of(self)->self, fd);
}

static int host_lock_held(void *self, int fd)
{
	return storage_of(self)->ops.lock_held(storage_of(self)->self, fd);
}

static const struct vfs_ops host_vfs_ops = {
    .name = "host",
    .open = host_open,
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .write_at = host_write_at,
    .sync_data = host_sync_data,
    .sync = host_sync,
    .truncate = host_truncate,
    .stat = host_stat,
    .rename = host_rename,
    .unlink = host_unlink,
    .make_dir = host_make_dir,
    .root = host_root,
    .rename_new = host_rename_new,
    .list = host_list,
    .lock = host_lock,
    .lock_held = host_lock_held,
    .stat_at = host_stat_at,
};

static bool storage_is_whole(const struct sluice_storage_ops *ops)
{
	return ops->open && ops->close && ops->read && ops->write && ops->write_at &&
	       ops->sync_data && ops->sync && ops->truncate && ops->stat && ops->stat_at &&
	       ops->rename && ops->rename_new && ops->unlink && ops->make_dir && ops->root &&
	       ops->list && ops->lock && ops->lock_held;
}

enum err_code api_outside(struct sluice *sluice, const struct sluice_state_opts *options,
			  struct err *err)
{
	sluice->vfs = &vfs_os;
	sluice->clock = &clock_os;
	if (options->clock) {
		if (!options->clock->boot_ns || !options->clock->utc_ms)
			return err_set(err, ERR_USAGE, "a clock needs boot_ns and utc_ms");
		sluice->host_clock_def = *options->clock;
		sluice->host_clock = (struct clock){&host_clock_ops, &sluice->host_clock_def};
		sluice->clock = &sluice->host_clock;
	}
	if (options->storage) {
		if (!storage_is_whole(&options->storage->ops))
			return err_set(err, ERR_USAGE, "a storage needs all of its operations");
		sluice->host_storage = *options->storage;
		sluice->host_vfs = (struct vfs){&host_vfs_ops, &sluice->host_storage};
		sluice->vfs = &sluice->host_vfs;
	}
	return ERR_OK;
}
