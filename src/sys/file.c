/* file.c - see file.h */
#include "sys/file.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES  ((size_t)65536)
#define DRAIN_STEP_BYTES ((size_t)4096)
#define ROOM_MAX         64

static void fd_drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* it was only read */
}

/* Without waiting for a writer: a named pipe that nobody writes to must not hang a command. */
static enum err_code open_to_read(const char *path, int *ret_fd, struct err *err)
{
	AUTO(fd_drop) int fd = -1;
	struct stat info;
	int flags;

	do {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		(void)err_sys(err, "open '%s'", path);
		if (err->sys == ENOTDIR) /* below a file there is nothing */
			err->code = ERR_NOT_FOUND;
		return err->code;
	}
	if (fstat(fd, &info) < 0)
		return err_sys(err, "look at '%s'", path);
	if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is %s, not a plain file", path,
			       S_ISDIR(info.st_mode) ? "a directory" : "a device or socket");
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_sys(err, "open '%s'", path);
	*ret_fd = TAKE(fd, -1);
	return ERR_OK;
}

enum err_code file_read(const char *path, size_t bytes_max, struct buf *out, struct err *err)
{
	AUTO(fd_drop) int fd = -1;
	size_t left = bytes_max;

	if (open_to_read(path, &fd, err) != ERR_OK)
		return err->code;
	while (left > 0) {
		size_t want = left < READ_STEP_BYTES ? left : READ_STEP_BYTES;
		char *room = buf_room(out, want);
		ssize_t got = room ? read(fd, room, want) : 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "read '%s'", path);
		if (got == 0)
			break;
		buf_added(out, (size_t)got);
		left -= (size_t)got;
	}
	return buf_check(out, path, err);
}

enum err_code file_drain_fd(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		char *room = buf_room(out, DRAIN_STEP_BYTES);
		ssize_t len;

		if (!room)
			return buf_check(out, "what is read", err);
		len = read(fd, room, DRAIN_STEP_BYTES);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_sys(err, "read");
		if (len == 0)
			return ERR_OK;
		buf_added(out, (size_t)len);
	}
}

enum err_code file_drain(const char *path, struct buf *out, struct err *err)
{
	AUTO(fd_drop) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, "open '%s'", path);
	return file_drain_fd(fd, out, err);
}

enum err_code file_folder(const char *path, struct buf *out, struct err *err)
{
	const char *slash = strrchr(path, '/');
	AUTO(buf_fini) struct buf folder = BUF_INIT;
	char real[PATH_MAX];

	if (slash)
		buf_put(&folder, path, slash == path ? 1 : (size_t)(slash - path));
	else
		buf_text(&folder, ".");
	if (buf_check(&folder, "path", err) != ERR_OK)
		return err->code;
	if (!realpath(folder.ptr, real))
		return err_sys(err, "find the folder of '%s'", path);
	buf_text(out, real);
	return buf_check(out, "path", err);
}

enum err_code file_folder_at(const char *path, struct buf *out, struct err *err)
{
	struct stat info;
	char real[PATH_MAX];

	if (!realpath(path, real) || stat(real, &info) < 0)
		return err_sys(err, "find the folder '%s'", path);
	if (!S_ISDIR(info.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is not a folder", path);
	buf_text(out, real);
	return buf_check(out, "path", err);
}

enum err_code file_self(struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

	if (len < 0)
		return err_sys(err, "read /proc/self/exe");
	buf_put(out, path, (size_t)len);
	return buf_check(out, "path", err);
}

enum err_code file_of_address(const void *address, struct buf *out, struct err *err)
{
	Dl_info info;
	char real[PATH_MAX];

	if (!dladdr(address, &info) || !info.dli_fname || !realpath(info.dli_fname, real))
		return err_set(err, ERR_NOT_FOUND, "the loader does not say where the library is");
	buf_text(out, real);
	return buf_check(out, "path", err);
}

bool file_is_program(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

bool file_is_there(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 && !S_ISDIR(found.st_mode);
}

bool file_is_named(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0;
}

enum err_code file_room_check(unsigned count, struct err *err)
{
	int fds[ROOM_MAX];
	unsigned made = 0;
	int failure = 0;

	BUG_IF(count > ROOM_MAX);
	while (made < count && !failure) {
		fds[made] =
		    made ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : open("/", O_PATH | O_CLOEXEC);
		if (fds[made] < 0)
			failure = errno;
		else
			made++;
	}
	for (unsigned i = 0; i < made; i++)
		(void)close(fds[i]); /* nothing was done with it */
	if (failure != EMFILE && failure != ENFILE && failure != EINVAL)
		return ERR_OK; /* there is room, or what is wrong will say so itself */
	(void)err_set(err, ERR_IO, "fewer than %u files can be opened", count);
	return err_hint(err, failure == ENFILE ? "the system's table of files is full (fs.file-max)"
					       : "raise the limit of open files: ulimit -n 256");
}
