/* control.c - see control.h */
#include "engine/control.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "engine/control_line.h"
#include "exec/command.h"
#include "sys/unix_socket.h"
#include "sys/user.h"

#define CONNECTIONS_MAX   32
#define REQUEST_BYTES_MAX 65536
#define ANSWER_WAIT_S     60
#define ANSWER_WAIT_NS    (ANSWER_WAIT_S * NS_PER_S)

struct connection {
	struct control *control;
	struct loop_watch *watch;
	int fd; /* -1 = free */
	struct buf request;
	struct socket_peer peer;
};

struct control {
	struct engine *engine;
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	char path[SOCKET_PATH_BYTES];
	struct connection connections[CONNECTIONS_MAX];
};

static enum err_code path_of(const struct rundir *dir, char path[SOCKET_PATH_BYTES],
			     struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat(rundir_vfs(dir), rundir_fd(dir), &stat, err) != ERR_OK)
		return err->code;
	return socket_path("control", stat.device, stat.inode, path, err);
}

enum err_code control_check_peer(const struct rundir *dir, int32_t pid, struct err *err)
{
	bool is_own = true;

	if (exec_command_is_own_step(rundir_fd(dir), rundir_id(dir), pid, &is_own, err) != ERR_OK)
		return err->code;
	if (is_own)
		return err_set(
		    err, ERR_REFUSED,
		    "process %d is a step of this run: a step cannot decide on its own gate", pid);
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- the owner's end */

static void hang_up(struct connection *connection)
{
	loop_unwatch(connection->watch);
	connection->watch = NULL;
	socket_close(&connection->fd);
	buf_fini(&connection->request);
}

/* Also the engine's answer callback: the decision is durable, or refused. */
static void answer(void *arg, const struct err *err)
{
	struct connection *connection = arg;
	AUTO(buf_fini) struct buf line = BUF_INIT;

	control_answer_put(&line, err);
	/* A peer that has gone does not hear it; the decision stands in the log. */
	if (line.failed == ERR_OK)
		(void)socket_send(connection->fd, line.ptr, line.len);
	hang_up(connection);
}

static enum err_code serve(struct connection *connection, struct str line, struct err *err)
{
	AUTO(buf_fini) struct buf texts = BUF_INIT;
	struct engine *engine = connection->control->engine;
	struct engine_ask ask = {.answer = answer, .arg = connection};

	if (control_request_read(line, &texts, &ask, err) != ERR_OK)
		return err->code;
	ask.person.uid = connection->peer.uid;
	ask.person.pid = connection->peer.pid;
	if (ask.kind != ENGINE_ASK_STOP &&
	    control_check_peer(engine_dir(engine), connection->peer.pid, err) != ERR_OK)
		return err->code;
	loop_unwatch(connection->watch); /* one request: what follows is not read */
	connection->watch = NULL;
	return engine_ask(engine, &ask, err);
}

static void on_readable(void *arg)
{
	struct connection *connection = arg;
	struct err err = ERR_INIT;
	char *room = buf_room(&connection->request, 4096);
	ssize_t len = room ? socket_receive(connection->fd, room, 4096) : -1;
	size_t end;

	if (len == 0)
		return;
	if (len < 0) {
		hang_up(connection);
		return;
	}
	buf_added(&connection->request, (size_t)len);
	end = str_find(buf_view(&connection->request), "\n", 0);
	if (end != SIZE_MAX &&
	    serve(connection, str_cut(buf_view(&connection->request), 0, end), &err) != ERR_OK)
		answer(connection, &err);
}

static void on_connection(void *arg)
{
	struct control *control = arg;
	struct connection *connection = NULL;
	struct err err = ERR_INIT;
	int fd = socket_accept(control->fd);

	for (size_t i = 0; i < CONNECTIONS_MAX && !connection; i++) {
		if (control->connections[i].fd < 0)
			connection = &control->connections[i];
	}
	if (fd < 0 || !connection) {
		socket_close(&fd); /* too many at once: the peer sees it and may come again */
		return;
	}
	connection->control = control;
	connection->fd = fd;
	buf_init(&connection->request, REQUEST_BYTES_MAX);
	if (socket_peer(fd, &connection->peer, &err) != ERR_OK ||
	    (connection->peer.uid != user_effective_id() && connection->peer.uid != 0) ||
	    loop_watch(control->loop, fd, on_readable, connection, &connection->watch, &err) !=
		ERR_OK)
		hang_up(connection);
}

enum err_code control_open(struct engine *engine, struct loop *loop, struct control **ret_control,
			   struct err *err)
{
	struct control *control = mem_new(1, sizeof(*control));

	if (!control)
		return mem_err(err);
	control->engine = engine;
	control->loop = loop;
	control->fd = -1;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		control->connections[i].fd = -1;
	if (path_of(engine_dir(engine), control->path, err) != ERR_OK ||
	    socket_listen(control->path, &control->fd, err) != ERR_OK ||
	    loop_watch(loop, control->fd, on_connection, control, &control->watch, err) != ERR_OK) {
		control_close(control);
		return err_while(err, "open the control socket");
	}
	*ret_control = control;
	return ERR_OK;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (control->connections[i].fd >= 0)
			hang_up(&control->connections[i]);
	}
	loop_unwatch(control->watch);
	if (control->fd >= 0)
		socket_remove(control->path); /* the next owner removes a stale one as well */
	socket_close(&control->fd);
	mem_free(control);
}

/* ---------------------------------------------------------------------------- the asking end */

static enum err_code send_all(int fd, struct str bytes, struct err *err)
{
	while (bytes.len) {
		ssize_t len = socket_send(fd, bytes.ptr, bytes.len);

		if (len < 0)
			return err_set(err, ERR_GONE, "the owner of the run hung up");
		if (len == 0 && !socket_wait_to_send(fd, ANSWER_WAIT_NS))
			return err_set(err, ERR_GONE, "the owner of the run does not listen");
		bytes = str_cut(bytes, (size_t)len, bytes.len);
	}
	return ERR_OK;
}

static enum err_code receive_line(int fd, struct buf *line, struct err *err)
{
	for (;;) {
		char *room = buf_room(line, 4096);
		ssize_t len;

		if (!room)
			return buf_check(line, "an answer", err);
		if (!socket_wait_to_receive(fd, ANSWER_WAIT_NS))
			return err_set(err, ERR_GONE,
				       "the owner of the run did not answer within %d s",
				       ANSWER_WAIT_S);
		len = socket_receive(fd, room, 4096);
		if (len == 0)
			continue;
		if (len < 0)
			return err_set(err, ERR_GONE,
				       "the owner of the run ended before it answered");
		buf_added(line, (size_t)len);
		if (str_has(buf_view(line), '\n'))
			return ERR_OK;
	}
}

enum err_code control_ask(const struct rundir *dir, const struct engine_ask *ask, struct err *err)
{
	AUTO(buf_fini) struct buf request = BUF_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(socket_close) int fd = -1;
	char path[SOCKET_PATH_BYTES];

	control_request_put(&request, ask);
	if (buf_check(&request, "a request", err) != ERR_OK || path_of(dir, path, err) != ERR_OK)
		return err->code;
	if (socket_connect(path, &fd, err) != ERR_OK) {
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_GONE;
		return err->code;
	}
	buf_init(&line, REQUEST_BYTES_MAX);
	if (send_all(fd, buf_view(&request), err) != ERR_OK ||
	    receive_line(fd, &line, err) != ERR_OK)
		return err->code;
	return control_answer_read(str_trim(buf_view(&line)), err);
}
