/* sim_disk.c - inodes, names, syncs and power cuts of the virtual disk: see sim_disk.h */
#include "sim/sim_disk_intern.h"

#include "base/mem.h"

#include <string.h>

static void *must(void *block) __attribute__((returns_nonnull));
static void *must(void *block)
{
	BUG_IF(!block); /* memory is short, and there is nobody to tell */
	return block;
}

/* Room for `need` objects: the block, wherever it is now. */
static void *grown(void *block, size_t *capacity, size_t need, size_t size)
    __attribute__((returns_nonnull));
static void *grown(void *block, size_t *capacity, size_t need, size_t size)
{
	struct err err = ERR_INIT;

	BUG_IF(mem_grow(&block, capacity, need, size, &err) != ERR_OK);
	return must(block);
}

/* ---------------------------------------------------------------------------------- names */

static size_t name_index(const struct sim_names *names, struct str name)
{
	size_t i = 0;

	while (i < names->count && !str_is(name, names->items[i].name))
		i++;
	return i;
}

uint32_t sim_names_find(const struct sim_names *names, struct str name)
{
	size_t i = name_index(names, name);

	return i < names->count ? names->items[i].inode : 0;
}

static void name_copy(char to[VFS_NAME_BYTES], struct str name)
{
	BUG_IF(name.len >= VFS_NAME_BYTES);
	memcpy(to, name.ptr ? name.ptr : "", name.len);
	to[name.len] = '\0';
}

static void names_remove(struct sim_names *names, struct str name)
{
	size_t i = name_index(names, name);

	if (i == names->count)
		return;
	names->count--;
	memmove(&names->items[i], &names->items[i + 1], (names->count - i) * sizeof(*names->items));
}

static void names_set(struct sim_names *names, struct str name, uint32_t inode)
{
	size_t i = name_index(names, name);

	if (i == names->count) {
		names->items =
		    grown(names->items, &names->capacity, names->count + 1, sizeof(*names->items));
		name_copy(names->items[names->count++].name, name);
	}
	names->items[i].inode = inode;
}

static void names_change(struct sim_names *names, struct str from, struct str to, uint32_t inode)
{
	if (from.len)
		names_remove(names, from);
	if (to.len)
		names_set(names, to, inode);
}

void sim_inode_rename(struct sim_inode *dir, struct str from, struct str to, uint32_t inode)
{
	struct sim_change *change;

	dir->changes = grown(dir->changes, &dir->changes_capacity, dir->changes_count + 1,
			     sizeof(*dir->changes));
	change = &dir->changes[dir->changes_count++];
	name_copy(change->from, from);
	name_copy(change->to, to);
	change->inode = inode;
	names_change(&dir->names, from, to, inode);
}

/* --------------------------------------------------------------------------------- inodes */

struct sim_inode *sim_inode_at(const struct sim_disk *disk, uint32_t inode)
{
	return inode && inode < disk->inodes_count ? &disk->inodes[inode] : NULL;
}

struct sim_inode *sim_inode_get(const struct sim_disk *disk, uint32_t inode)
{
	BUG_IF(!inode || inode >= disk->inodes_count);
	return &disk->inodes[inode];
}

uint32_t sim_inode_new(struct sim_disk *disk, bool is_dir)
{
	disk->inodes = grown(disk->inodes, &disk->inodes_capacity, disk->inodes_count + 1,
			     sizeof(*disk->inodes));
	disk->inodes[disk->inodes_count] = (struct sim_inode){.is_dir = is_dir, .lock_fd = -1};
	return (uint32_t)disk->inodes_count++;
}

uint32_t sim_inode_links(const struct sim_disk *disk, uint32_t inode)
{
	uint32_t links = inode == SIM_ROOT;

	for (size_t i = 1; i < disk->inodes_count; i++) {
		const struct sim_names *names = &disk->inodes[i].names;

		for (size_t n = 0; n < names->count; n++)
			links += names->items[n].inode == inode;
	}
	return links;
}

static void content_write(struct buf *content, uint64_t offset, const void *bytes, size_t len)
{
	while (content->len < offset + len) {
		size_t hole = (size_t)offset + len - content->len;
		char *room = must(buf_room(content, hole));

		memset(room, 0, hole);
		buf_added(content, hole);
	}
	memcpy(content->ptr + offset, bytes, len);
}

static void content_cut(struct buf *content, uint64_t size)
{
	if (size < content->len)
		buf_cut(content, (size_t)size);
	else if (size > content->len)
		content_write(content, size - 1, "", 1);
}

static void op_apply(struct buf *content, const struct sim_op *op, size_t len)
{
	if (op->is_cut)
		content_cut(content, op->offset);
	else if (len)
		content_write(content, op->offset, op->bytes, len);
}

static struct sim_op *op_new(struct sim_inode *inode)
{
	inode->ops =
	    grown(inode->ops, &inode->ops_capacity, inode->ops_count + 1, sizeof(*inode->ops));
	inode->ops[inode->ops_count] = (struct sim_op){.bytes = NULL};
	return &inode->ops[inode->ops_count++];
}

void sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *bytes, size_t len)
{
	struct sim_op *op;

	if (!len)
		return;
	op = op_new(inode);
	op->offset = offset;
	op->len = len;
	op->bytes = must(mem_text(bytes, len));
	content_write(&inode->seen, offset, bytes, len);
}

void sim_inode_cut(struct sim_inode *inode, uint64_t size)
{
	struct sim_op *op = op_new(inode);

	op->offset = size;
	op->is_cut = true;
	content_cut(&inode->seen, size);
}

static void ops_forget(struct sim_inode *inode)
{
	for (size_t i = 0; i < inode->ops_count; i++)
		mem_free(inode->ops[i].bytes);
	inode->ops_count = 0;
}

void sim_inode_sync(struct sim_inode *inode)
{
	inode->is_synced = true;
	for (size_t i = 0; i < inode->ops_count; i++)
		op_apply(&inode->durable, &inode->ops[i], inode->ops[i].len);
	ops_forget(inode);
	for (size_t i = 0; i < inode->changes_count; i++)
		names_change(&inode->durable_names, str_of(inode->changes[i].from),
			     str_of(inode->changes[i].to), inode->changes[i].inode);
	inode->changes_count = 0;
}

/* Some of the unsynced writes reach the disk: in order and then none, or any of them; each torn. */
static void ops_survive(struct sim_disk *disk, struct sim_inode *inode, bool keeps_order)
{
	size_t whole = sim_rand_below(&disk->rand, (uint32_t)inode->ops_count + 1);

	for (size_t i = 0; i < inode->ops_count; i++) {
		const struct sim_op *op = &inode->ops[i];
		size_t len = op->len;

		if (keeps_order ? i > whole : sim_rand_chance(&disk->rand, 500))
			continue;
		/* The length of a file is committed after the data before it: no holes. */
		if (inode->is_synced && !op->is_cut && op->offset > inode->durable.len)
			continue;
		if (!op->is_cut && (keeps_order ? i == whole : sim_rand_chance(&disk->rand, 500)))
			len = sim_rand_below(&disk->rand, (uint32_t)len + 1);
		if (op->is_cut && keeps_order && i == whole)
			continue;
		op_apply(&inode->durable, op, len);
	}
	ops_forget(inode);
}

void sim_inode_sync_fail(struct sim_disk *disk, struct sim_inode *inode)
{
	size_t left =
	    sim_rand_below(&disk->rand, 4); /* so many writes reach the disk, and a torn one */
	size_t kept = 0;

	for (size_t i = 0; i < inode->ops_count; i++) {
		struct sim_op *op = &inode->ops[i];

		if (op->is_cut) { /* metadata is journalled: it comes with the next sync */
			inode->ops[kept++] = *op;
			continue;
		}
		inode->is_lossy = true;
		if (left)
			op_apply(&inode->durable, op,
				 --left ? op->len
					: sim_rand_below(&disk->rand, (uint32_t)op->len + 1));
		mem_free(op->bytes);
	}
	inode->ops_count = kept;
}

/* ---------------------------------------------------------------------------------- paths */

uint32_t sim_path_parent(const struct sim_disk *disk, uint32_t from, const char *path, bool durable,
			 struct str *ret_last)
{
	const struct sim_inode *dir = sim_inode_at(disk, from);
	uint32_t at = from;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (!dir || !dir->is_dir)
			return 0;
		if (!path[len]) {
			*ret_last = str_from(path, len);
			return at;
		}
		if (len)
			at = sim_names_find(durable ? &dir->durable_names : &dir->names,
					    str_from(path, len));
		dir = sim_inode_at(disk, at);
		path += len + 1;
	}
}

static uint32_t path_find(const struct sim_disk *disk, const char *path, bool durable)
{
	struct str last = STR_NONE;
	uint32_t parent = sim_path_parent(disk, SIM_ROOT, path, durable, &last);
	const struct sim_inode *dir = sim_inode_at(disk, parent);

	if (!dir)
		return 0;
	return sim_names_find(durable ? &dir->durable_names : &dir->names, last);
}

bool sim_disk_peek(const struct sim_disk *disk, const char *path, bool durable,
		   struct str *ret_content)
{
	const struct sim_inode *inode = sim_inode_at(disk, path_find(disk, path, durable));

	if (!inode || inode->is_dir)
		return false;
	*ret_content = buf_view(durable ? &inode->durable : &inode->seen);
	return true;
}

bool sim_disk_poke(struct sim_disk *disk, const char *path, struct str content)
{
	struct str last = STR_NONE;
	uint32_t parent = sim_path_parent(disk, SIM_ROOT, path, false, &last);
	uint32_t at;

	if (!parent)
		return false;
	at = sim_names_find(&sim_inode_get(disk, parent)->names, last);
	if (!at) {
		at = sim_inode_new(disk, false);
		sim_inode_rename(sim_inode_get(disk, parent), STR_NONE, last, at);
	}
	sim_inode_cut(sim_inode_get(disk, at), 0);
	sim_inode_write(sim_inode_get(disk, at), 0, content.ptr, content.len);
	return true;
}

/* ----------------------------------------------------------------------------- descriptors */

int sim_fd_new(struct sim_disk *disk, uint32_t inode, uint32_t proc, bool is_append)
{
	size_t i = 0;

	while (i < disk->fds_count && disk->fds[i].proc)
		i++;
	if (i == disk->fds_count) {
		disk->fds =
		    grown(disk->fds, &disk->fds_capacity, disk->fds_count + 1, sizeof(*disk->fds));
		disk->fds_count++;
	}
	disk->fds[i] = (struct sim_fd){.inode = inode, .proc = proc, .is_append = is_append};
	return (int)i + SIM_FD_BASE;
}

struct sim_fd *sim_fd_at(const struct sim_disk *disk, int fd)
{
	size_t i = (size_t)(fd - SIM_FD_BASE);

	return fd >= SIM_FD_BASE && i < disk->fds_count && disk->fds[i].proc ? &disk->fds[i] : NULL;
}

void sim_fd_close(struct sim_disk *disk, int fd)
{
	struct sim_fd *open = sim_fd_at(disk, fd);
	struct sim_inode *inode;

	BUG_IF(!open);
	inode = sim_inode_get(disk, open->inode);
	if (inode->lock_fd == fd)
		inode->lock_fd = -1;
	open->proc = 0;
}

/* ------------------------------------------------------------------------------- accidents */

static void names_copy(struct sim_names *to, const struct sim_names *from)
{
	to->items = grown(to->items, &to->capacity, from->count + 1, sizeof(*to->items));
	if (from->count)
		memcpy(to->items, from->items, from->count * sizeof(*to->items));
	to->count = from->count;
}

static void seen_is_durable(struct sim_inode *inode)
{
	buf_clear(&inode->seen);
	buf_str(&inode->seen, buf_view(&inode->durable));
}

static void inode_power_cut(struct sim_disk *disk, struct sim_inode *inode, bool keeps_order)
{
	ops_survive(disk, inode, keeps_order);
	for (size_t i = 0; i < inode->changes_count; i++) {
		const struct sim_change *change = &inode->changes[i];

		if (sim_rand_chance(&disk->rand, 500))
			names_change(&inode->durable_names, str_of(change->from),
				     str_of(change->to), change->inode);
	}
	inode->changes_count = 0;
	seen_is_durable(inode);
	inode->is_lossy = false;
	names_copy(&inode->names, &inode->durable_names);
	inode->lock_fd = -1;
}

void sim_disk_power_cut(struct sim_disk *disk, bool keeps_order)
{
	disk->stats.power_cuts++;
	for (size_t i = 0; i < disk->fds_count; i++)
		disk->fds[i].proc = 0;
	for (size_t i = 1; i < disk->inodes_count; i++)
		inode_power_cut(disk, &disk->inodes[i], keeps_order);
	disk->full_left = 0;
}

bool sim_disk_drop_cache(struct sim_disk *disk)
{
	bool is_lossy = false;

	for (size_t i = 1; i < disk->inodes_count; i++) {
		struct sim_inode *inode = &disk->inodes[i];

		if (!inode->is_lossy || inode->ops_count)
			continue;
		seen_is_durable(inode);
		inode->is_lossy = false;
		is_lossy = true;
	}
	return is_lossy;
}

/* ------------------------------------------------------------------------------ life, rest */

struct sim_disk *sim_disk_new(uint64_t seed)
{
	struct sim_disk *disk = must(mem_new(1, sizeof(*disk)));

	disk->rand = sim_rand_fork(seed, 0);
	disk->inodes = grown(disk->inodes, &disk->inodes_capacity, 64, sizeof(*disk->inodes));
	disk->inodes_count = SIM_ROOT;
	(void)sim_inode_new(disk, true);
	return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
	if (!disk)
		return;
	for (size_t i = 1; i < disk->inodes_count; i++) {
		struct sim_inode *inode = &disk->inodes[i];

		ops_forget(inode);
		buf_fini(&inode->seen);
		buf_fini(&inode->durable);
		mem_free(inode->ops);
		mem_free(inode->names.items);
		mem_free(inode->durable_names.items);
		mem_free(inode->changes);
	}
	mem_free(disk->inodes);
	mem_free(disk->fds);
	mem_free(disk);
}

const struct sim_disk_stats *sim_disk_stats(const struct sim_disk *disk)
{
	return &disk->stats;
}

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults)
{
	disk->faults = *faults;
	disk->full_left = 0;
}

const char *sim_disk_violation(const struct sim_disk *disk)
{
	return disk->violation;
}
