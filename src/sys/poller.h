/* poller.h - one descriptor that is readable when there is something to do: for a driver that has
 * to offer a constant descriptor while its connection comes and goes (epoll(7)). */
#ifndef SYS_POLLER_H
#define SYS_POLLER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct poller {
	int fd;      /* the constant one; -1: not open */
	int wake_fd; /* an event of our own */
	bool is_awake;
};

#define POLLER_NONE \
	{ \
		.fd = -1, .wake_fd = -1 \
	}

/* Nothing is watched yet. Close it with poller_close, which accepts one that is not open. IO. */
MUST_CHECK enum err_code poller_open(struct poller *poller, struct err *err);
void poller_close(struct poller *poller);
/* Watch a descriptor for reading, and for writing too when asked; again to change that. */
MUST_CHECK enum err_code poller_watch(const struct poller *poller, int fd, bool writes,
				      struct err *err);
/* Before the descriptor is closed: a forked copy would keep it alive. */
void poller_unwatch(const struct poller *poller, int fd);
/* Be readable, or no longer so on our own account. */
void poller_wake(struct poller *poller, bool on);

#endif
