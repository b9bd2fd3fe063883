/* watch.h - sleep until something in a directory changes, for those who follow a log.
 *
 * inotify(7) where it can be had; otherwise, and in any case every WATCH_POLL_MS, it wakes by
 * itself: a waker, never a source of facts. */
#ifndef SYS_WATCH_H
#define SYS_WATCH_H

#include <stdint.h>

#define WATCH_POLL_MS 250

struct watch {
	int fd; /* -1 = without inotify */
};

/* Begin to watch the directory `path` (made, written, closed and renamed files in it). Changes from
 * now on are not missed by a later watch_wait. */
void watch_start(struct watch *watch, const char *path);
void watch_end(struct watch *watch); /* for AUTO() too */

/* Return when there was a change since the last call, after WATCH_POLL_MS, or at a signal. */
void watch_wait(struct watch *watch);

#endif
