/* path.c - see path.h */
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CWD_BYTES 4096 /* PATH_MAX: what getcwd answers at most */

enum err_code path_open(const char *path, int *ret_fd, struct err *err)
{
	struct stat st;
	int fd;

	do {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return err_sys(err, "open '%s'", path);
	if (fstat(fd, &st) < 0) {
		(void)err_sys(err, "stat '%s'", path);
		(void)close(fd);
		return err->code;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)close(fd);
		return err_set(err, ERR_INVALID, "'%s' is not a plain file", path);
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code path_absolute(const char *path, struct buf *out, struct err *err)
{
	char cwd[CWD_BYTES];

	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_sys(err, "the working directory");
		buf_text(out, cwd);
		if (cwd[1] != '\0')
			buf_byte(out, '/');
	}
	buf_text(out, path);
	return buf_check(out, "a path", err);
}
