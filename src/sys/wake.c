/* wake.c - see wake.h */
#include "sys/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum err_code wake_open(int *ret_fd, struct err *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return err_sys(err, "make a wake-up descriptor");
	*ret_fd = fd;
	return ERR_OK;
}

void wake_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* only a counter */
	*fd = -1;
}

void wake_raise(int fd)
{
	uint64_t one = 1;
	int saved = errno;

	(void)!write(fd, &one, sizeof(one)); /* a full counter wakes as well */
	errno = saved;
}

void wake_clear(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count)); /* EAGAIN: clear already */
}
