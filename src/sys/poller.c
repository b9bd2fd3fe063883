/* poller.c - see poller.h */
#include "sys/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum err_code poller_open(struct poller *poller, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct poller made = POLLER_NONE;

	made.fd = epoll_create1(EPOLL_CLOEXEC);
	made.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (made.fd < 0 || made.wake_fd < 0 ||
	    epoll_ctl(made.fd, EPOLL_CTL_ADD, made.wake_fd, &event) < 0) {
		(void)err_sys(err, "make a poller");
		poller_close(&made);
		return err->code;
	}
	*poller = made;
	return ERR_OK;
}

void poller_close(struct poller *poller)
{
	if (poller->fd >= 0)
		(void)close(poller->fd);
	if (poller->wake_fd >= 0)
		(void)close(poller->wake_fd);
	*poller = (struct poller)POLLER_NONE;
}

enum err_code poller_watch(const struct poller *poller, int fd, bool writes, struct err *err)
{
	struct epoll_event event = {.events = writes ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.fd = fd};

	if (epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return ERR_OK;
	if (errno != ENOENT || epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_sys(err, "watch a descriptor");
	return ERR_OK;
}

void poller_unwatch(const struct poller *poller, int fd)
{
	(void)epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, NULL); /* not watched: as asked */
}

void poller_wake(struct poller *poller, bool on)
{
	uint64_t count = 1;

	if (poller->is_awake == on)
		return;
	poller->is_awake = on;
	if (on)
		(void)!write(poller->wake_fd, &count, sizeof(count)); /* 0 + 1 always fits */
	else
		(void)!read(poller->wake_fd, &count, sizeof(count)); /* there is 1 to read */
}
