/* watch.c - see watch.h */
#include "sys/watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

void watch_start(struct watch *watch, const char *path)
{
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd >= 0 && inotify_add_watch(watch->fd, path,
						IN_MODIFY | IN_CREATE | IN_CLOSE_WRITE |
						    IN_MOVED_TO | IN_ONLYDIR) < 0)
		watch_end(watch);
}

void watch_end(struct watch *watch)
{
	if (watch->fd >= 0)
		(void)close(watch->fd); /* nothing was written to it */
	watch->fd = -1;
}

void watch_wait(struct watch *watch)
{
	struct pollfd ready = {.fd = watch->fd, .events = POLLIN};
	char events[4096];

	/* A negative fd is ignored by poll(2): it is a plain sleep then. */
	if (poll(&ready, 1, WATCH_POLL_MS) <= 0 || !(ready.revents & POLLIN))
		return;
	while (read(watch->fd, events, sizeof(events)) > 0)
		; /* what changed does not matter: the follower looks for itself */
}
