/* mark.c - see mark.h */
#include "sys/mark.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_BYTES ((size_t)65536)

bool mark_eq(const struct mark *a, const struct mark *b)
{
	return a->inode == b->inode && a->size_bytes == b->size_bytes &&
	       a->changed_ns == b->changed_ns;
}

static struct mark mark_made(const struct stat *stat)
{
	return (struct mark){
	    .inode = stat->st_ino,
	    .size_bytes = (uint64_t)stat->st_size,
	    .changed_ns = (int64_t)stat->st_ctim.tv_sec * NS_PER_S + stat->st_ctim.tv_nsec,
	};
}

enum err_code mark_of(int fd, struct mark *ret_mark, struct err *err)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return err_sys(err, "look at an open file");
	*ret_mark = mark_made(&stat);
	return ERR_OK;
}

bool mark_at(int dir, const char *path, struct mark *ret_mark)
{
	struct stat stat;

	if (fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(stat.st_mode))
		return false;
	*ret_mark = mark_made(&stat);
	return true;
}

static enum err_code visit_all(const char *bytes, size_t len, mark_name_fn *visit, void *arg,
			       struct err *err)
{
	for (size_t at = 0; at < len;) {
		const struct dirent64 *entry = (const void *)(bytes + at);

		at += entry->d_reclen;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (visit(arg, entry->d_name, entry->d_ino, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code mark_names(int dir, mark_name_fn *visit, void *arg, struct err *err)
{
	AUTO(mem_drop) void *entries = mem_new(1, ENTRIES_BYTES);
	ssize_t got;

	if (!entries)
		return mem_err(err);
	if (lseek(dir, 0, SEEK_SET) < 0)
		return err_sys(err, "list a directory");
	while ((got = getdents64(dir, entries, ENTRIES_BYTES)) > 0) {
		if (visit_all(entries, (size_t)got, visit, arg, err) != ERR_OK)
			return err->code;
	}
	return got == 0 ? ERR_OK : err_sys(err, "list a directory");
}
