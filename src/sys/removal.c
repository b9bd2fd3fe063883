/* removal.c - see removal.h */
#include "sys/removal.h"

#include "base/buf.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES_BYTES 8192 /* of one getdents64(2) */
#define BLOCK_BYTES   512  /* unit of st_blocks, stat(2) */

static int enter(int dir, const char *name)
{
	struct open_how how = {
	    .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
	    .resolve =
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

/* ------------------------------------------------------------------------------- a walk */

/* One directory of the way down. */
struct level {
	int fd;
	size_t path_len; /* of the walk's path, up to this directory */
	size_t at, len;  /* in `entries` */
	char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
};

struct walk {
	struct level *levels[REMOVAL_DEPTH_MAX + 1];
	size_t depth;    /* levels that are open */
	struct buf path; /* of the entry at hand, below the top */
};

static void walk_pop(struct walk *walk)
{
	struct level *level = walk->levels[--walk->depth];

	(void)close(level->fd);
	buf_cut(&walk->path, level->path_len);
	mem_free(level);
}

static void walk_fini(struct walk *walk)
{
	while (walk->depth > 0)
		walk_pop(walk);
	buf_fini(&walk->path);
}

/* Takes `fd` over, also when it fails. */
static enum err_code walk_push(struct walk *walk, int fd, size_t path_len, struct err *err)
{
	struct level *level = NULL;

	if (walk->depth > REMOVAL_DEPTH_MAX)
		(void)err_set(err, ERR_REFUSED,
			      "'%.60s...' has more than %d directories below each other",
			      walk->path.ptr, REMOVAL_DEPTH_MAX);
	else
		level = mem_new(1, sizeof(*level));
	if (!level) {
		(void)close(fd);
		return err->code != ERR_OK ? err->code : mem_err(err);
	}
	level->fd = fd;
	level->path_len = path_len;
	walk->levels[walk->depth++] = level;
	return ERR_OK;
}

/* The next entry of the innermost directory, its name at the end of the path; NULL at the end. */
static enum err_code walk_next(struct walk *walk, const char **ret_name, struct err *err)
{
	struct level *level = walk->levels[walk->depth - 1];

	for (;;) {
		const struct dirent64 *entry;

		if (level->at == level->len) {
			ssize_t got = getdents64(level->fd, level->entries, ENTRIES_BYTES);

			if (got < 0)
				return err_sys(err, "read the directory '%s'", walk->path.ptr);
			if (got == 0) {
				*ret_name = NULL;
				return ERR_OK;
			}
			level->at = 0;
			level->len = (size_t)got;
		}
		entry = (const void *)(level->entries + level->at);
		level->at += entry->d_reclen;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (walk->path.len > 0)
			buf_byte(&walk->path, '/');
		buf_text(&walk->path, entry->d_name);
		*ret_name = entry->d_name;
		return buf_check(&walk->path, "a path", err);
	}
}

/* From the beginning: entries were removed behind its back. */
static enum err_code walk_again(struct walk *walk, struct err *err)
{
	struct level *level = walk->levels[walk->depth - 1];

	level->at = level->len = 0;
	if (lseek(level->fd, 0, SEEK_SET) < 0)
		return err_sys(err, "read the directory '%s'", walk->path.ptr);
	return ERR_OK;
}

/* Go into the directory `name`, which the path names; it was `before` long. */
static enum err_code walk_enter(struct walk *walk, const char *name, size_t before, struct err *err)
{
	int fd = enter(walk->levels[walk->depth - 1]->fd, name);

	if (fd >= 0)
		return walk_push(walk, fd, before, err);
	if (errno == EXDEV)
		return err_set(err, ERR_REFUSED, "'%s' is on another file system", walk->path.ptr);
	return err_sys(err, "open the directory '%s'", walk->path.ptr);
}

/* ------------------------------------------------------------------------------- looking */

enum err_code removal_owned(int dir, struct err *err)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return err_sys(err, "stat of the directory");
	if (st.st_uid != geteuid())
		return err_set(err, ERR_REFUSED, "it belongs to user %u", (unsigned)st.st_uid);
	if (st.st_mode & (S_IWOTH | S_IWGRP))
		return err_set(err, ERR_REFUSED, "others may write in it (mode %04o)",
			       (unsigned)(st.st_mode & 07777));
	return ERR_OK;
}

static const char *kind_of(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFBLK:
	case S_IFCHR:
		return "a device";
	default:
		return "of an unknown kind";
	}
}

static enum err_code judge(const char *path, const struct statx *found, bool is_free,
			   struct err *err)
{
	bool is_dir = S_ISDIR(found->stx_mode);

	if (found->stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return err_set(err, ERR_REFUSED, "'%s' is a mount", path);
	if (is_free)
		return ERR_OK;
	if (!is_dir && !S_ISREG(found->stx_mode))
		return err_set(err, ERR_REFUSED, "'%s' is %s", path, kind_of(found->stx_mode));
	if (found->stx_uid != geteuid())
		return err_set(err, ERR_REFUSED, "'%s' belongs to user %u", path, found->stx_uid);
	if (!is_dir && found->stx_nlink > 1)
		return err_set(err, ERR_REFUSED, "'%s' has %u names (hard links)", path,
			       found->stx_nlink);
	return ERR_OK;
}

static bool is_free(const char *path, const char *const *free_folders)
{
	for (; free_folders && *free_folders; free_folders++) {
		size_t len = strlen(*free_folders);

		if (strncmp(path, *free_folders, len) == 0 && path[len] == '/')
			return true;
	}
	return !free_folders;
}

static enum err_code look_at(struct walk *walk, const char *name, size_t before,
			     const char *const *free_folders, struct removal_sum *sum,
			     struct err *err)
{
	struct statx found;

	if (statx(walk->levels[walk->depth - 1]->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS, &found) < 0)
		return err_sys(err, "stat '%s'", walk->path.ptr);
	if (judge(walk->path.ptr, &found, is_free(walk->path.ptr, free_folders), err) != ERR_OK)
		return err->code;
	sum->entries++;
	sum->bytes += found.stx_blocks * BLOCK_BYTES;
	if (S_ISDIR(found.stx_mode))
		return walk_enter(walk, name, before, err);
	buf_cut(&walk->path, before);
	return ERR_OK;
}

static enum err_code walk_begin(struct walk *walk, int fd, struct err *err)
{
	if (fd < 0)
		return err_sys(err, "open the directory");
	buf_text(&walk->path, ""); /* it is a text from now on */
	return walk_push(walk, fd, 0, err);
}

enum err_code removal_look(int dir, const char *const *free_folders, struct removal_sum *ret_sum,
			   struct err *err)
{
	AUTO(walk_fini) struct walk walk = {.depth = 0};
	struct removal_sum sum = {0, 0};
	struct stat st;

	if (removal_owned(dir, err) != ERR_OK)
		return err->code;
	if (fstat(dir, &st) < 0)
		return err_sys(err, "stat of the directory");
	sum.bytes = (uint64_t)st.st_blocks * BLOCK_BYTES;
	if (walk_begin(&walk, enter(dir, "."), err) != ERR_OK)
		return err->code;
	while (walk.depth > 0) {
		size_t before = walk.path.len;
		const char *name;

		if (walk_next(&walk, &name, err) != ERR_OK)
			return err->code;
		if (!name)
			walk_pop(&walk);
		else if (look_at(&walk, name, before, free_folders, &sum, err) != ERR_OK)
			return err->code;
	}
	*ret_sum = sum;
	return ERR_OK;
}

/* ------------------------------------------------------------------------------ removing */

/* A directory that its owner may not write in could not be emptied. */
static void make_writable(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
		(void)fchmod(fd, S_IRWXU); /* if this fails, removing says so */
}

/* Remove the entry, or go into it when it is a directory. */
static enum err_code delete_entry(struct walk *walk, const char *name, size_t before,
				  struct err *err)
{
	int dir = walk->levels[walk->depth - 1]->fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
		buf_cut(&walk->path, before);
		return ERR_OK;
	}
	if (errno != EISDIR)
		return err_sys(err, "remove '%s'", walk->path.ptr);
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0) {
		buf_cut(&walk->path, before);
		return ERR_OK;
	}
	if (errno == EBUSY)
		return err_set(err, ERR_REFUSED, "'%s' is a mount", walk->path.ptr);
	if (walk_enter(walk, name, before, err) != ERR_OK)
		return err->code;
	make_writable(walk->levels[walk->depth - 1]->fd);
	return ERR_OK;
}

static enum err_code delete_below(struct walk *walk, struct err *err)
{
	while (walk->depth > 0) {
		size_t before = walk->path.len;
		const char *name;

		if (walk_next(walk, &name, err) != ERR_OK)
			return err->code;
		if (name) {
			if (delete_entry(walk, name, before, err) != ERR_OK)
				return err->code;
			continue;
		}
		walk_pop(walk); /* it is empty: the parent meets it again, and removes it */
		if (walk->depth > 0 && walk_again(walk, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code removal_delete(int parent, const char *name, struct err *err)
{
	AUTO(walk_fini) struct walk walk = {.depth = 0};
	int fd;

	if (!name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(err, ERR_USAGE, "'%s' is not a plain name", name);
	fd = enter(parent, name);
	if (fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return unlinkat(parent, name, 0) < 0 ? err_sys(err, "remove '%s'", name) : ERR_OK;
	if (fd < 0)
		return err_sys(err, "open the directory '%s'", name);
	make_writable(fd);
	if (walk_begin(&walk, fd, err) != ERR_OK || delete_below(&walk, err) != ERR_OK)
		return err->code;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, "remove '%s'", name);
	return ERR_OK;
}
