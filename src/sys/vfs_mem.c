/* vfs_mem.c - see vfs_mem.h */
#include "sys/vfs_mem.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

/* A file or directory. It lives until the file system is freed, so that descriptors of what was
 * removed stay good. */
struct node {
	struct node *parent; /* NULL: removed, or the root */
	struct node *all;    /* the one that was made before */
	char name[VFS_NAME_BYTES];
	bool is_dir;
	bool is_locked;
	struct buf data;
	uint64_t number;
};

struct handle {
	struct node *node; /* NULL = free */
	bool has_lock;
};

struct vfs_mem {
	struct node *root;
	struct node *all; /* newest first */
	uint64_t numbers;
	struct handle *handles;
	size_t handles_count, handles_capacity;
};

static struct node *node_new(struct vfs_mem *mem, struct node *parent, struct str name, bool is_dir)
{
	struct node *node;

	if (name.len >= VFS_NAME_BYTES)
		return NULL;
	node = mem_new(1, sizeof(*node));
	if (!node)
		return NULL;
	memcpy(node->name, name.ptr, name.len);
	buf_init(&node->data, 0);
	node->is_dir = is_dir;
	node->parent = parent;
	node->number = ++mem->numbers;
	node->all = mem->all;
	mem->all = node;
	return node;
}

static struct node *child(const struct vfs_mem *mem, const struct node *dir, struct str name)
{
	for (struct node *node = mem->all; node; node = node->all) {
		if (node->parent == dir && str_is(name, node->name))
			return node;
	}
	return NULL;
}

static struct handle *handle_of(struct vfs_mem *mem, int fd)
{
	BUG_IF(fd < 0 || (size_t)fd >= mem->handles_count || !mem->handles[fd].node);
	return &mem->handles[fd];
}

static int open_node(struct vfs_mem *mem, struct node *node)
{
	struct err ignored = ERR_INIT; /* told as -ENOMEM */
	void *list = mem->handles;
	size_t fd = 0;

	while (fd < mem->handles_count && mem->handles[fd].node)
		fd++;
	if (mem_grow(&list, &mem->handles_capacity, fd + 1, sizeof(*mem->handles), &ignored) !=
	    ERR_OK)
		return -ENOMEM;
	mem->handles = list;
	if (fd == mem->handles_count)
		mem->handles_count++;
	mem->handles[fd] = (struct handle){.node = node};
	return (int)fd;
}

/* The next name of a path, from *at; false at the end. Empty ones and "." are passed over. */
static bool next_name(struct str path, size_t *at, struct str *ret_name)
{
	do {
		size_t end = str_find(path, "/", *at);

		if (*at >= path.len)
			return false;
		*ret_name = str_cut(path, *at, end);
		*at = end == SIZE_MAX ? path.len : end + 1;
	} while (ret_name->len == 0 || str_is(*ret_name, "."));
	return true;
}

/* The directory that a path lies in and the last name, empty for the directory itself; or
 * -errno. */
static int walk(const struct vfs_mem *mem, struct node *dir, const char *path,
		struct node **ret_dir, struct str *ret_name)
{
	struct str whole = str_of(path);
	struct str name = STR_NONE;
	struct str next;
	size_t at = 0;

	while (next_name(whole, &at, &next)) {
		if (str_is(next, ".."))
			return -EXDEV;
		if (name.len) {
			dir = child(mem, dir, name);
			if (!dir)
				return -ENOENT;
			if (!dir->is_dir)
				return -ENOTDIR;
		}
		name = next;
	}
	*ret_dir = dir;
	*ret_name = name;
	return 0;
}

/* ---------------------------------------------------------------------------------- the ops */

static int mem_open(void *self, int fd, const char *path, enum vfs_mode mode)
{
	struct vfs_mem *mem = self;
	bool makes = mode == VFS_NEW || mode == VFS_CREATE || mode == VFS_CREATE_APPEND;
	struct node *dir;
	struct node *node;
	struct str name;
	int code = walk(mem, handle_of(mem, fd)->node, path, &dir, &name);

	if (code < 0)
		return code;
	node = name.len ? child(mem, dir, name) : dir;
	if (node && mode == VFS_NEW)
		return -EEXIST;
	if (!node && makes) {
		node = node_new(mem, dir, name, false);
		if (!node)
			return name.len >= VFS_NAME_BYTES ? -ENAMETOOLONG : -ENOMEM;
	}
	if (!node)
		return -ENOENT;
	if (node->is_dir != (mode == VFS_DIR))
		return node->is_dir ? -EISDIR : -ENOTDIR;
	return open_node(mem, node);
}

static int mem_close(void *self, int fd)
{
	struct handle *handle = handle_of(self, fd);

	if (handle->has_lock)
		handle->node->is_locked = false;
	*handle = (struct handle){.node = NULL};
	return 0;
}

static ssize_t mem_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	const struct buf *data = &handle_of(self, fd)->node->data;

	if (offset >= data->len)
		return 0;
	if (len > data->len - (size_t)offset)
		len = data->len - (size_t)offset;
	memcpy(bytes, data->ptr + offset, len);
	return (ssize_t)len;
}

static ssize_t mem_write(void *self, int fd, const void *bytes, size_t len)
{
	struct buf *data = &handle_of(self, fd)->node->data;

	buf_put(data, bytes, len);
	return data->failed == ERR_OK ? (ssize_t)len : -ENOSPC;
}

static ssize_t mem_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	struct buf *data = &handle_of(self, fd)->node->data;

	while (data->len < offset + len && data->failed == ERR_OK)
		buf_byte(data, '\0');
	if (data->failed != ERR_OK)
		return -ENOSPC;
	memcpy(data->ptr + offset, bytes, len);
	return (ssize_t)len;
}

static int mem_sync(void *self, int fd)
{
	(void)handle_of(self, fd);
	return 0;
}

static int mem_truncate(void *self, int fd, uint64_t size)
{
	struct buf *data = &handle_of(self, fd)->node->data;

	while (data->len < size && data->failed == ERR_OK)
		buf_byte(data, '\0');
	if (size < data->len)
		buf_cut(data, (size_t)size);
	return data->failed == ERR_OK ? 0 : -ENOSPC;
}

static void fill_stat(const struct node *node, struct vfs_stat *stat)
{
	*stat = (struct vfs_stat){
	    .size_bytes = node->data.len,
	    .inode = node->number,
	    .device = 1,
	    .links = 1,
	    .is_file = !node->is_dir,
	    .is_dir = node->is_dir,
	};
}

static int mem_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	fill_stat(handle_of(self, fd)->node, ret_stat);
	return 0;
}

static int mem_stat_at(void *self, int fd, const char *name, struct vfs_stat *ret_stat)
{
	const struct node *node = child(self, handle_of(self, fd)->node, str_of(name));

	if (!node)
		return -ENOENT;
	fill_stat(node, ret_stat);
	return 0;
}

static int move(struct vfs_mem *mem, int fd, const char *from, int to_fd, const char *to,
		bool is_new)
{
	struct node *dir;
	struct node *to_dir;
	struct node *node;
	struct node *there;
	struct str name;
	struct str to_name;
	int code = walk(mem, handle_of(mem, fd)->node, from, &dir, &name);

	if (code == 0)
		code = walk(mem, handle_of(mem, to_fd)->node, to, &to_dir, &to_name);
	if (code < 0)
		return code;
	node = child(mem, dir, name);
	there = child(mem, to_dir, to_name);
	if (!node)
		return -ENOENT;
	if (there && is_new)
		return -EEXIST;
	if (to_name.len >= VFS_NAME_BYTES)
		return -ENAMETOOLONG;
	if (there && there != node)
		there->parent = NULL;
	node->parent = to_dir;
	memset(node->name, 0, sizeof(node->name));
	memcpy(node->name, to_name.ptr, to_name.len);
	return 0;
}

static int mem_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	return move(self, dir, from, to_dir, to, false);
}

static int mem_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	return move(self, dir, from, to_dir, to, true);
}

static int mem_unlink(void *self, int fd, const char *path)
{
	struct vfs_mem *mem = self;
	struct node *dir;
	struct node *node;
	struct str name;
	int code = walk(mem, handle_of(mem, fd)->node, path, &dir, &name);

	if (code < 0)
		return code;
	node = child(mem, dir, name);
	if (!node)
		return -ENOENT;
	for (const struct node *other = mem->all; other; other = other->all) {
		if (other->parent == node)
			return -ENOTEMPTY;
	}
	node->parent = NULL;
	buf_fini(&node->data);
	buf_init(&node->data, 0);
	return 0;
}

static int mem_make_dir(void *self, int fd, const char *path)
{
	struct vfs_mem *mem = self;
	struct node *dir;
	struct str name;
	int code = walk(mem, handle_of(mem, fd)->node, path, &dir, &name);

	if (code < 0)
		return code;
	if (!name.len || child(mem, dir, name))
		return -EEXIST;
	return node_new(mem, dir, name, true) ? 0 : -ENOMEM;
}

static int mem_root(void *self, const char *path, bool make)
{
	struct vfs_mem *mem = self;
	struct node *dir = mem->root;
	struct str whole = str_of(path);
	struct str name;
	size_t at = 0;

	while (next_name(whole, &at, &name)) {
		struct node *next =
		    str_is(name, "..") ? (dir->parent ? dir->parent : dir) : child(mem, dir, name);

		if (!next && make)
			next = node_new(mem, dir, name, true);
		if (!next)
			return make ? -ENOMEM : -ENOENT;
		if (!next->is_dir)
			return -ENOTDIR;
		dir = next;
	}
	return open_node(mem, dir);
}

static int mem_list(void *self, int fd, uint64_t *place, char *name)
{
	struct vfs_mem *mem = self;
	const struct node *dir = handle_of(mem, fd)->node;
	const struct node *found = NULL;

	/* In the order in which they were made: `place` is the number of the last one. */
	for (const struct node *node = mem->all; node; node = node->all) {
		if (node->parent == dir && node->number > *place)
			found = node;
	}
	if (!found)
		return 0;
	*place = found->number;
	memcpy(name, found->name, VFS_NAME_BYTES);
	return 1;
}

static int mem_lock(void *self, int fd)
{
	struct handle *handle = handle_of(self, fd);

	if (handle->node->is_locked && !handle->has_lock)
		return -EAGAIN;
	handle->node->is_locked = true;
	handle->has_lock = true;
	return 0;
}

static int mem_lock_held(void *self, int fd)
{
	const struct handle *handle = handle_of(self, fd);

	return handle->node->is_locked && !handle->has_lock;
}

static const struct vfs_ops mem_ops = {
    .name = "memory",
    .open = mem_open,
    .close = mem_close,
    .read = mem_read,
    .write = mem_write,
    .write_at = mem_write_at,
    .sync_data = mem_sync,
    .sync = mem_sync,
    .truncate = mem_truncate,
    .stat = mem_stat,
    .rename = mem_rename,
    .unlink = mem_unlink,
    .make_dir = mem_make_dir,
    .root = mem_root,
    .rename_new = mem_rename_new,
    .list = mem_list,
    .lock = mem_lock,
    .lock_held = mem_lock_held,
    .stat_at = mem_stat_at,
};

enum err_code vfs_mem_new(struct vfs_mem **ret_mem, struct err *err)
{
	struct vfs_mem *mem = mem_new(1, sizeof(*mem));

	if (!mem)
		return mem_err(err);
	mem->root = node_new(mem, NULL, STR(""), true);
	if (!mem->root) {
		mem_free(mem);
		return mem_err(err);
	}
	*ret_mem = mem;
	return ERR_OK;
}

void vfs_mem_free(struct vfs_mem *mem)
{
	if (!mem)
		return;
	while (mem->all) {
		struct node *next = mem->all->all;

		buf_fini(&mem->all->data);
		mem_free(mem->all);
		mem->all = next;
	}
	mem_free(mem->handles);
	mem_free(mem);
}

struct vfs vfs_mem_vfs(struct vfs_mem *mem)
{
	return (struct vfs){&mem_ops, mem};
}
