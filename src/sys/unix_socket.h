/* unix_socket.h - local stream sockets of a run: where they live, and who is at the other end.
 *
 * They live in `$XDG_RUNTIME_DIR/sluice` or `/tmp/sluice-<uid>` (0700, owner checked), named by a
 * kind and the device and inode of the run directory, so that a run directory holds only plain
 * files and any path to it leads to the same socket (S12). All descriptors are non-blocking and
 * close-on-exec. See unix(7). */
#ifndef SYS_UNIX_SOCKET_H
#define SYS_UNIX_SOCKET_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCKET_PATH_BYTES 108 /* sun_path */

struct socket_peer {
	int32_t pid; /* as the peer's own namespace gave it to ours; 0 if unknown */
	uint32_t uid;
	uint32_t gid;
};

/* Path of the socket of `kind` ("keeper", "control") for the directory with this device and inode.
 * Makes the folder. REFUSED when the folder is not ours alone, LIMIT when the path is too long. */
MUST_CHECK enum err_code socket_path(const char *kind, uint64_t device, uint64_t inode,
				     char path[SOCKET_PATH_BYTES], struct err *err);

/* Bind and listen. What is at the path is removed first: call it only while holding the lock that
 * makes the caller the one owner. */
MUST_CHECK enum err_code socket_listen(const char *path, int *ret_fd, struct err *err);

/* Connect. NOT_FOUND when nobody listens there. */
MUST_CHECK enum err_code socket_connect(const char *path, int *ret_fd, struct err *err);

/* The next connection that waits on a listening socket; -1 when there is none. */
int socket_accept(int fd);

/* Remove the name of a listening socket. Best effort: the next owner removes a stale one. */
void socket_remove(const char *path);

/* Who connected (SO_PEERCRED). */
MUST_CHECK enum err_code socket_peer(int fd, struct socket_peer *ret_peer, struct err *err);

/* Send or receive what goes at once: how much, 0 when nothing does now, -1 when the peer is gone.
 * Never raises SIGPIPE. */
ssize_t socket_send(int fd, const void *bytes, size_t len);
ssize_t socket_receive(int fd, void *bytes, size_t len);

/* Block until something can be received or the time is over; with -1 for a descriptor: just
 * that. */
void socket_wait(int fd, int64_t timeout_ns);

/* Block until something can be sent. False when the time is over before. */
MUST_CHECK bool socket_wait_to_send(int fd, int64_t timeout_ns);
/* The same for something to be received, or the end of it. */
MUST_CHECK bool socket_wait_to_receive(int fd, int64_t timeout_ns);

void socket_close(int *fd); /* -1 is fine; becomes -1 */

#endif
