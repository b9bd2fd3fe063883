/* loop.h - wait for descriptors and a moment: libuv's loop, and only its loop.
 *
 * Deadlines are a timer descriptor of CLOCK_BOOTTIME of our own, so that they neither jump with the
 * wall clock nor stop during suspend. Callbacks run inside loop_wait, on its thread. Nothing here
 * installs a signal handler or makes a process; loop_fd lets a host nest it in a loop of its
 * own. */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include "base/err.h"

#include <stdint.h>

struct loop;
struct loop_watch;

typedef void loop_fn(void *arg);

/* Without watches; free it with loop_free. IO, MEMORY. */
MUST_CHECK enum err_code loop_new(struct loop **ret_loop, struct err *err);
/* All watches must be gone. Accepts NULL. */
void loop_free(struct loop *loop);

/* Call `fn` whenever `fd` is readable. Remove the watch before the descriptor is closed. */
MUST_CHECK enum err_code loop_watch(struct loop *loop, int fd, loop_fn *fn, void *arg,
				    struct loop_watch **ret_watch, struct err *err);
/* Accepts NULL. Safe inside a callback. */
void loop_unwatch(struct loop_watch *watch);

/* Wait until a watch is ready or `timeout_ns` is over (0 do not wait, -1 no end), and run
 * callbacks. */
MUST_CHECK enum err_code loop_wait(struct loop *loop, int64_t timeout_ns, struct err *err);

/* Readable when loop_wait has something to do; see uv_backend_fd. */
int loop_fd(const struct loop *loop);

#endif
