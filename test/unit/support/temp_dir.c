/* temp_dir.c - see temp_dir.h */
#include "support/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(bool fine, const char *what)
{
	if (!fine) {
		perror(what);
		abort();
	}
}

void temp_dir_make(struct temp_dir *dir)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(dir->path, sizeof(dir->path), "%s/sluice-test-XXXXXX", base ? base : "/tmp");
	need(mkdtemp(dir->path) != NULL, "mkdtemp");
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(dir->fd >= 0, "open");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	return ftw->level == 0 ? 0 : remove(path);
}

void temp_dir_clear(struct temp_dir *dir)
{
	need(nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "nftw");
}

void temp_dir_remove(struct temp_dir *dir)
{
	temp_dir_clear(dir);
	(void)close(dir->fd);
	need(rmdir(dir->path) == 0, "rmdir");
}

void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t len)
{
	int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	need(fd >= 0, name);
	need(len == 0 || write(fd, bytes, len) == (ssize_t)len, "write");
	(void)close(fd);
}

void temp_dir_read(const struct temp_dir *dir, const char *name, struct buf *out)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	need(fd >= 0, name);
	do {
		char *room = buf_room(out, 65536);

		need(room != NULL, "memory");
		got = read(fd, room, 65536);
		need(got >= 0, "read");
		buf_added(out, (size_t)got);
	} while (got > 0);
	(void)close(fd);
}

bool temp_dir_has(const struct temp_dir *dir, const char *name)
{
	return faccessat(dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

size_t temp_dir_count(const struct temp_dir *dir)
{
	DIR *list = opendir(dir->path);
	size_t count = 0;
	struct dirent *entry;

	need(list != NULL, "opendir");
	while ((entry = readdir(list)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(list);
	return count;
}
