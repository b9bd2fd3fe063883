/* unix_socket.c - see unix_socket.h */
#include "sys/unix_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == SOCKET_PATH_BYTES,
	       "sun_path is what unix(7) says");

static enum err_code folder_make(const char *path, struct err *err)
{
	struct stat stat;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make '%s'", path);
	if (lstat(path, &stat) < 0)
		return err_sys(err, "look at '%s'", path);
	if (!S_ISDIR(stat.st_mode) || stat.st_uid != geteuid() || (stat.st_mode & 0077) != 0)
		return err_set(err, ERR_REFUSED,
			       "'%s' is not a directory of ours alone (mode 0700)", path);
	return ERR_OK;
}

enum err_code socket_path(const char *kind, uint64_t device, uint64_t inode,
			  char path[SOCKET_PATH_BYTES], struct err *err)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	char folder[SOCKET_PATH_BYTES];
	char whole[2 * SOCKET_PATH_BYTES];
	int len = -1;

	/* "All paths set in these environment variables must be absolute" (XDG base
	 * directories). */
	if (runtime && runtime[0] == '/')
		len = snprintf(folder, sizeof(folder), "%s/sluice", runtime);
	if (len < 0 || len > 64) /* unset, or no room is left for the name */
		(void)snprintf(folder, sizeof(folder), "/tmp/sluice-%u", (unsigned)geteuid());
	if (folder_make(folder, err) != ERR_OK)
		return err_while(err, "folder of sockets");
	len = snprintf(whole, sizeof(whole), "%s/%s-%llx-%llx", folder, kind,
		       (unsigned long long)device, (unsigned long long)inode);
	if (len < 0 || len >= SOCKET_PATH_BYTES)
		return err_set(err, ERR_LIMIT, "the socket path '%s' is too long", whole);
	memcpy(path, whole, (size_t)len + 1);
	return ERR_OK;
}

static enum err_code open_at(const char *path, struct sockaddr_un *address, int *ret_fd,
			     struct err *err)
{
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(address->sun_path))
		return err_set(err, ERR_LIMIT, "the socket path '%s' is too long", path);
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "make a socket");
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code socket_listen(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	int fd = -1;

	if (open_at(path, &address, &fd, err) != ERR_OK)
		return err->code;
	if (unlink(path) < 0 && errno != ENOENT) {
		(void)err_sys(err, "remove the stale socket '%s'", path);
		goto undo;
	}
	if (bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0) {
		(void)err_sys(err, "bind '%s'", path);
		goto undo;
	}
	if (listen(fd, BACKLOG) < 0) {
		(void)err_sys(err, "listen on '%s'", path);
		(void)unlink(path);
		goto undo;
	}
	*ret_fd = fd;
	return ERR_OK;

undo:
	(void)close(fd);
	return err->code;
}

enum err_code socket_connect(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	int fd = -1;

	if (open_at(path, &address, &fd, err) != ERR_OK)
		return err->code;
	if (connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0) {
		/* EAGAIN: the queue is full, as good as nobody there: callers try again. */
		if (errno == ECONNREFUSED || errno == ENOENT || errno == EAGAIN)
			(void)err_set(err, ERR_NOT_FOUND, "nobody listens at '%s'", path);
		else
			(void)err_sys(err, "connect to '%s'", path);
		(void)close(fd);
		return err->code;
	}
	*ret_fd = fd;
	return ERR_OK;
}

int socket_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void socket_remove(const char *path)
{
	(void)unlink(path);
}

enum err_code socket_peer(int fd, struct socket_peer *ret_peer, struct err *err)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return err_sys(err, "ask who connected");
	*ret_peer = (struct socket_peer){who.pid, who.uid, who.gid};
	return ERR_OK;
}

ssize_t socket_send(int fd, const void *bytes, size_t len)
{
	ssize_t sent;

	do {
		sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return 0;
	return sent;
}

ssize_t socket_receive(int fd, void *bytes, size_t len)
{
	ssize_t got;

	do {
		got = recv(fd, bytes, len, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return 0;
	return got == 0 ? -1 : got;
}

/* An early end (EINTR) is harmless: callers look again. */
static bool wait_for(int fd, short events, int64_t timeout_ns)
{
	struct pollfd ready = {.fd = fd, .events = events};

	return poll(&ready, 1, (int)((timeout_ns + 999999) / 1000000)) != 0;
}

void socket_wait(int fd, int64_t timeout_ns)
{
	(void)wait_for(fd, POLLIN, timeout_ns);
}

bool socket_wait_to_send(int fd, int64_t timeout_ns)
{
	return wait_for(fd, POLLOUT, timeout_ns);
}

bool socket_wait_to_receive(int fd, int64_t timeout_ns)
{
	return wait_for(fd, POLLIN, timeout_ns);
}

void socket_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* what was sent is the peer's */
	*fd = -1;
}
