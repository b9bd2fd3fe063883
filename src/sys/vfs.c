/* vfs.c - see vfs.h */
#include "sys/vfs.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_STEP_BYTES ((size_t)65536)

/* Name what the driver's -errno says about `path`. */
static enum err_code open_failed(struct err *err, int number, const char *path)
{
	switch (number) {
	case EEXIST:
		return err_set_at(err, ERR_EXISTS, number, __FILE__, __LINE__, "'%s' exists", path);
	case ELOOP:
		return err_set_at(err, ERR_INVALID, number, __FILE__, __LINE__,
				  "'%s' is a symbolic link or has one on the way", path);
	case EXDEV:
		return err_set_at(err, ERR_INVALID, number, __FILE__, __LINE__,
				  "'%s' leaves its directory", path);
	case ENXIO:
	case EISDIR:
		return err_set_at(err, ERR_INVALID, number, __FILE__, __LINE__,
				  "'%s' is not a plain file", path);
	case ENOTDIR:
		return err_set_at(err, ERR_INVALID, number, __FILE__, __LINE__,
				  "'%s' is not a directory", path);
	default:
		return err_sysno(err, number, "open '%s'", path);
	}
}

enum err_code vfs_open(const struct vfs *vfs, int dir, const char *path, enum vfs_mode mode,
		       int *ret_fd, struct err *err)
{
	int fd;

	do {
		fd = vfs->ops->open(vfs->self, dir, path, mode);
	} while (fd == -EINTR);
	if (fd < 0)
		return open_failed(err, -fd, path);
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code vfs_root(const struct vfs *vfs, const char *path, bool make, int *ret_fd,
		       struct err *err)
{
	int fd;

	do {
		fd = vfs->ops->root(vfs->self, path, make);
	} while (fd == -EINTR);
	if (fd < 0)
		return open_failed(err, -fd, path);
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code vfs_home(const struct vfs *vfs, const char *path, int *ret_fd, struct err *err)
{
	enum err_code code = vfs_root(vfs, path, false, ret_fd, err);

	if (code != ERR_INVALID)
		return code;
	err->code = ERR_IO;
	return err_hint(err, "name a directory with --dir or SLUICE_HOME");
}

void vfs_close(const struct vfs *vfs, int fd)
{
	if (fd >= 0)
		(void)vfs->ops->close(vfs->self, fd);
}

enum err_code vfs_close_written(const struct vfs *vfs, int fd, struct err *err)
{
	int answer = vfs->ops->close(vfs->self, fd);

	if (answer < 0 && answer != -EINTR) /* that has closed it as well */
		return err_sysno(err, -answer, "close");
	return ERR_OK;
}

enum err_code vfs_read(const struct vfs *vfs, int fd, void *bytes, size_t len, uint64_t offset,
		       size_t *ret_len, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got =
		    vfs->ops->read(vfs->self, fd, (char *)bytes + done, len - done, offset + done);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return err_sysno(err, (int)-got, "read at %llu",
					 (unsigned long long)(offset + done));
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret_len = done;
	return ERR_OK;
}

static enum err_code read_rest(const struct vfs *vfs, int fd, const char *path, size_t limit_bytes,
			       struct buf *out, struct err *err)
{
	struct vfs_stat stat = {0};
	size_t want;
	size_t done = 0;

	if (vfs_stat(vfs, fd, &stat, err) != ERR_OK)
		return err_while(err, "'%s'", path);
	want = stat.size_bytes < limit_bytes ? (size_t)stat.size_bytes + 1 : READ_STEP_BYTES;
	for (;;) {
		size_t got = 0;
		char *room;

		if (stat.size_bytes > limit_bytes || done > limit_bytes)
			return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", path,
				       limit_bytes);
		room = buf_room(out, want);
		if (!room)
			return buf_check(out, path, err);
		if (vfs_read(vfs, fd, room, want, done, &got, err) != ERR_OK)
			return err_while(err, "'%s'", path);
		buf_added(out, got);
		done += got;
		if (got < want)
			break;
		want = READ_STEP_BYTES;
	}
	if (done > limit_bytes)
		return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", path, limit_bytes);
	return ERR_OK;
}

enum err_code vfs_read_all(const struct vfs *vfs, int dir, const char *path, size_t limit_bytes,
			   struct buf *out, struct err *err)
{
	size_t before = out->len;
	enum err_code code;
	int fd = -1;

	if (vfs_open(vfs, dir, path, VFS_READ, &fd, err) != ERR_OK)
		return err->code;
	code = read_rest(vfs, fd, path, limit_bytes, out, err);
	vfs_close(vfs, fd);
	if (code != ERR_OK)
		buf_cut(out, before);
	return code;
}

/* One loop for both ways of writing: *offset NULL appends. */
static enum err_code write_all(const struct vfs *vfs, int fd, const char *bytes, size_t len,
			       const uint64_t *offset, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = offset ? vfs->ops->write_at(vfs->self, fd, bytes + done, len - done,
							  *offset + done)
				     : vfs->ops->write(vfs->self, fd, bytes + done, len - done);

		if (put == -EINTR)
			continue;
		if (put < 0)
			return err_sysno(err, (int)-put, "write %zu bytes", len);
		if (put == 0)
			return err_sysno(err, EIO, "write %zu bytes: nothing was taken", len);
		done += (size_t)put;
	}
	return ERR_OK;
}

enum err_code vfs_write(const struct vfs *vfs, int fd, const void *bytes, size_t len,
			struct err *err)
{
	return write_all(vfs, fd, bytes, len, NULL, err);
}

enum err_code vfs_write_at(const struct vfs *vfs, int fd, const void *bytes, size_t len,
			   uint64_t offset, struct err *err)
{
	return write_all(vfs, fd, bytes, len, &offset, err);
}

/* A sync that failed is never tried again: the kernel may have dropped the dirty pages and would
 * answer 0 (fsync(2), NOTES). EINTR counts as a failure for the same reason. */
enum err_code vfs_sync_data(const struct vfs *vfs, int fd, struct err *err)
{
	int answer = vfs->ops->sync_data(vfs->self, fd);

	return answer < 0 ? err_sysno(err, -answer, "fdatasync") : ERR_OK;
}

enum err_code vfs_sync(const struct vfs *vfs, int fd, struct err *err)
{
	int answer = vfs->ops->sync(vfs->self, fd);

	return answer < 0 ? err_sysno(err, -answer, "fsync") : ERR_OK;
}

enum err_code vfs_truncate(const struct vfs *vfs, int fd, uint64_t size, struct err *err)
{
	int answer;

	do {
		answer = vfs->ops->truncate(vfs->self, fd, size);
	} while (answer == -EINTR);
	return answer < 0 ? err_sysno(err, -answer, "truncate to %llu", (unsigned long long)size)
			  : ERR_OK;
}

enum err_code vfs_stat(const struct vfs *vfs, int fd, struct vfs_stat *ret_stat, struct err *err)
{
	struct vfs_stat stat;
	int answer = vfs->ops->stat(vfs->self, fd, &stat);

	if (answer < 0)
		return err_sysno(err, -answer, "stat");
	*ret_stat = stat;
	return ERR_OK;
}

enum err_code vfs_stat_at(const struct vfs *vfs, int dir, const char *name,
			  struct vfs_stat *ret_stat, struct err *err)
{
	struct vfs_stat stat;
	int answer;

	if (!name[0] || strchr(name, '/'))
		return err_set(err, ERR_USAGE, "'%s' is not a plain file name", name);
	answer = vfs->ops->stat_at(vfs->self, dir, name, &stat);
	if (answer < 0)
		return err_sysno(err, -answer, "stat '%s'", name);
	*ret_stat = stat;
	return ERR_OK;
}

enum err_code vfs_rename(const struct vfs *vfs, int dir, const char *from, int to_dir,
			 const char *to, struct err *err)
{
	int answer = vfs->ops->rename(vfs->self, dir, from, to_dir, to);

	return answer < 0 ? err_sysno(err, -answer, "rename '%s' to '%s'", from, to) : ERR_OK;
}

enum err_code vfs_rename_new(const struct vfs *vfs, int dir, const char *from, int to_dir,
			     const char *to, struct err *err)
{
	int answer = vfs->ops->rename_new(vfs->self, dir, from, to_dir, to);

	if (answer == -EEXIST || answer == -ENOTEMPTY)
		return err_set(err, ERR_EXISTS, "'%s' exists", to);
	return answer < 0 ? err_sysno(err, -answer, "rename '%s' to '%s'", from, to) : ERR_OK;
}

enum err_code vfs_unlink(const struct vfs *vfs, int dir, const char *path, struct err *err)
{
	int answer = vfs->ops->unlink(vfs->self, dir, path);

	return answer < 0 ? err_sysno(err, -answer, "remove '%s'", path) : ERR_OK;
}

enum err_code vfs_make_dir(const struct vfs *vfs, int dir, const char *path, struct err *err)
{
	int answer = vfs->ops->make_dir(vfs->self, dir, path);
	int fd = -1;

	if (answer == -EEXIST) { /* a directory, not a file or a link of that name */
		if (vfs_open(vfs, dir, path, VFS_DIR, &fd, err) != ERR_OK)
			return err->code;
		vfs_close(vfs, fd);
		return ERR_OK;
	}
	return answer < 0 ? err_sysno(err, -answer, "make the directory '%s'", path) : ERR_OK;
}

enum err_code vfs_list(const struct vfs *vfs, int dir, vfs_list_fn *visit, void *arg,
		       struct err *err)
{
	char names[VFS_LIST_BYTES];
	uint64_t place = 0;

	for (;;) {
		int answer = vfs->ops->list(vfs->self, dir, &place, names);
		const char *name = names;

		if (answer == -EINTR)
			continue;
		if (answer < 0)
			return err_sysno(err, -answer, "list a directory");
		if (answer == 0)
			return ERR_OK;
		for (int i = 0; i < answer; i++, name += strlen(name) + 1) {
			if (visit(arg, name, err) != ERR_OK)
				return err->code;
		}
	}
}

enum err_code vfs_lock(const struct vfs *vfs, int fd, struct err *err)
{
	int answer;

	do {
		answer = vfs->ops->lock(vfs->self, fd);
	} while (answer == -EINTR);
	if (answer == -EAGAIN || answer == -EACCES)
		return err_set(err, ERR_LOCKED, "another process holds the lock");
	return answer < 0 ? err_sysno(err, -answer, "lock") : ERR_OK;
}

enum err_code vfs_lock_held(const struct vfs *vfs, int fd, bool *ret_held, struct err *err)
{
	int answer;

	do {
		answer = vfs->ops->lock_held(vfs->self, fd);
	} while (answer == -EINTR);
	if (answer < 0)
		return err_sysno(err, -answer, "ask for the lock");
	*ret_held = answer > 0;
	return ERR_OK;
}

/* The directory of `path` itself: `dir` or a new descriptor in *ret_opened. */
static enum err_code sync_parent(const struct vfs *vfs, int dir, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char parent[1024];
	enum err_code code;
	int fd = -1;

	if (!slash)
		return vfs_sync(vfs, dir, err);
	if ((size_t)(slash - path) >= sizeof(parent))
		return err_sysno(err, ENAMETOOLONG, "'%s'", path);
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	if (vfs_open(vfs, dir, parent, VFS_DIR, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_sync(vfs, fd, err);
	vfs_close(vfs, fd);
	return code;
}

/* Make `path` with these bytes and sync it; on failure after it was made it is removed again. */
static enum err_code file_new(const struct vfs *vfs, int dir, const char *path, const void *bytes,
			      size_t len, struct err *err)
{
	enum err_code code;
	int fd = -1;

	if (vfs_open(vfs, dir, path, VFS_NEW, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_write(vfs, fd, bytes, len, err);
	if (code == ERR_OK)
		code = vfs_sync(vfs, fd, err);
	vfs_close(vfs, fd);
	if (code == ERR_OK)
		return ERR_OK;
	(void)vfs->ops->unlink(vfs->self, dir, path); /* best effort: the first failure counts */
	return err_while(err, "'%s'", path);
}

enum err_code vfs_put_new(const struct vfs *vfs, int dir, const char *path, const void *bytes,
			  size_t len, struct err *err)
{
	if (file_new(vfs, dir, path, bytes, len, err) != ERR_OK)
		return err->code;
	return sync_parent(vfs, dir, path, err);
}

enum err_code vfs_replace(const struct vfs *vfs, int dir, const char *path, const void *bytes,
			  size_t len, struct err *err)
{
	struct err later = ERR_INIT;
	char temp[1024];
	int made = snprintf(temp, sizeof(temp), "%s.new", path);
	enum err_code code;

	if (made < 0 || (size_t)made >= sizeof(temp))
		return err_sysno(err, ENAMETOOLONG, "'%s'", path);
	code = file_new(vfs, dir, temp, bytes, len, &later);
	if (code == ERR_EXISTS) { /* of a replace that was cut short */
		if (vfs_unlink(vfs, dir, temp, err) != ERR_OK)
			return err->code;
		code = file_new(vfs, dir, temp, bytes, len, &later);
	}
	if (code != ERR_OK) {
		*err = later;
		return err_while(err, "replace '%s'", path);
	}
	if (vfs_rename(vfs, dir, temp, dir, path, err) != ERR_OK) {
		(void)vfs->ops->unlink(vfs->self, dir, temp); /* best effort */
		return err->code;
	}
	return sync_parent(vfs, dir, path, err);
}
