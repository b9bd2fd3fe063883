/* main.c - sluice-keeper: owns the commands of one run, whatever becomes of the engine (S8).
 *
 *   sluice-keeper RUN_ID SOCKET_PATH        with the descriptors of enum host_fd
 *
 * One thread, one loop, no library. All decisions are the machine's (machine.h); this file moves
 * bytes between it and connections, child.c between it and processes. System calls are made here
 * directly: nothing else links these two files. */
#include "keeper/host.h"

#include "base/mem.h"
#include "sys/clock.h"
#include "sys/proc.h"
#include "sys/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LAZY_NS       INT64_C(20000000)   /* STARTED may wait that long for an ENDED */
#define GONE_NS       INT64_C(5000000000) /* between two looks whether the run directory is there */
#define READ_BYTES    65536
#define OUT_BYTES_MAX ((size_t)256 << 20) /* unread reports: an engine that far behind is dead */
#define EVENTS_MAX    64
#define NAP_US        100000 /* when memory is short */

enum exit_status { EXIT_DONE = 0, EXIT_BAD_CALL = 2, EXIT_BROKEN = 3 };

int64_t host_now(void)
{
	struct timespec now;

	BUG_IF(clock_gettime(CLOCK_BOOTTIME, &now) != 0);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- connections --- */

static struct conn *conn_find(struct host *host, uint32_t id)
{
	for (size_t i = 0; i < host->conns_count; i++) {
		if (host->conns[i].id == id)
			return &host->conns[i];
	}
	return NULL;
}

static void conn_drop(struct host *host, struct conn *conn)
{
	(void)epoll_ctl(host->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	(void)close(conn->fd); /* nothing here has to last */
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	*conn = host->conns[--host->conns_count];
}

static void conn_poll_out(struct host *host, struct conn *conn, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN,
				    .data.u64 = (uint64_t)conn->id << 8 | READY_CONN};

	if (conn->is_polled_out == on)
		return;
	conn->is_polled_out = on;
	(void)epoll_ctl(host->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

/* The peer is gone or cannot be understood. */
static void conn_lost(struct host *host, struct conn *conn)
{
	uint32_t id = conn->id;

	conn_drop(host, conn);
	host_input(host, &(struct machine_input){
			     .kind = MACHINE_IN_CLOSED, .now_ns = host_now(), .conn = id});
}

static void conn_send(struct host *host, struct conn *conn)
{
	/* Over its limit (OUT_BYTES_MAX), or memory was short: something is missing in it. Whoever
	 * connects anew is told all. */
	if (conn->out.failed != ERR_OK) {
		conn_lost(host, conn);
		return;
	}
	while (conn->out_sent < conn->out.len) {
		ssize_t sent = send(conn->fd, conn->out.ptr + conn->out_sent,
				    conn->out.len - conn->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			conn_poll_out(host, conn, true);
			return;
		}
		if (sent < 0) {
			conn_lost(host, conn);
			return;
		}
		conn->out_sent += (size_t)sent;
	}
	buf_clear(&conn->out);
	conn->out_sent = 0;
	conn->is_urgent = false;
	host->lazy_ns = INT64_MAX;
	conn_poll_out(host, conn, false);
	if (conn->is_closing)
		conn_drop(host, conn);
}

static void conns_flush(struct host *host)
{
	bool is_due = host->lazy_ns != INT64_MAX && host->lazy_ns <= host_now();

	if (is_due)
		host->lazy_ns = INT64_MAX;
	for (size_t i = host->conns_count; i-- > 0;) {
		struct conn *conn = &host->conns[i];
		bool is_full = conn->out.len || conn->out.failed != ERR_OK;

		if (is_full && !conn->is_polled_out && (conn->is_urgent || is_due))
			conn_send(host, conn);
	}
}

/* Only the owner of this process (or root) is an engine, and none of our commands is. */
static bool peer_is_welcome(const struct host *host, int fd)
{
	struct err err = ERR_INIT;
	struct socket_peer peer;

	if (socket_peer(fd, &peer, &err) != ERR_OK)
		return false;
	if (peer.uid != geteuid() && peer.uid != 0)
		return false;
	return peer.pid == 0 || !host->has_spawned || !proc_descends(peer.pid, host->pid);
}

static void conn_accept(struct host *host)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct conn *conn;
	int fd = accept4(HOST_FD_LISTENER, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return; /* it went away again */
	if (host->conns_count == HOST_CONNS || !peer_is_welcome(host, fd)) {
		(void)close(fd);
		return;
	}
	conn = &host->conns[host->conns_count];
	*conn = (struct conn){.id = ++host->conn_last_id, .fd = fd};
	buf_init(&conn->in, WIRE_FRAME_BYTES_MAX + READ_BYTES);
	buf_init(&conn->out, OUT_BYTES_MAX);
	event.data.u64 = (uint64_t)conn->id << 8 | READY_CONN;
	if (epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		(void)close(fd);
		return;
	}
	host->conns_count++;
	host_input(host, &(struct machine_input){.kind = MACHINE_IN_OPENED,
						 .now_ns = host_now(),
						 .conn = host->conn_last_id});
}

/* All whole frames of the buffer. False when the connection is no more. */
static bool conn_decode(struct host *host, uint32_t id)
{
	size_t at = 0;
	struct conn *conn = conn_find(host, id);

	while (conn) {
		struct wire_frame frame;
		size_t used;
		enum wire_take taken =
		    wire_decode(str_from(conn->in.ptr + at, conn->in.len - at), &frame, &used);

		if (taken == WIRE_SHORT) {
			(void)usleep(NAP_US);
			continue;
		}
		if (taken == WIRE_BROKEN) {
			conn_lost(host, conn);
			return false;
		}
		if (taken == WIRE_MORE) {
			memmove(conn->in.ptr, conn->in.ptr + at, conn->in.len - at);
			buf_cut(&conn->in, conn->in.len - at);
			return true;
		}
		host->frame = &frame;
		host_input(host, &(struct machine_input){.kind = MACHINE_IN_FRAME,
							 .now_ns = host_now(),
							 .conn = id,
							 .frame = &frame});
		host->frame = NULL;
		wire_frame_fini(&frame);
		at += used;
		conn = conn_find(host, id); /* a newer engine may have closed it */
	}
	return false;
}

static void conn_read(struct host *host, uint32_t id)
{
	for (;;) {
		struct conn *conn = conn_find(host, id);
		char *room = conn ? buf_room(&conn->in, READ_BYTES) : NULL;
		ssize_t got;

		if (!conn)
			return;
		if (!room) {
			conn_lost(host, conn);
			return;
		}
		got = recv(conn->fd, room, READ_BYTES, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			conn_lost(host, conn);
			return;
		}
		buf_added(&conn->in, (size_t)got);
		if (!conn_decode(host, id) || got < READ_BYTES)
			return;
	}
}

/* --- the machine's outputs --- */

static void hello_put(struct host *host, struct conn *conn, uint32_t version)
{
	uint32_t count = machine_count(host->machine);

	wire_hello_ok(&conn->out, version, (int32_t)getpid(), count);
	for (uint32_t i = 0; i < count; i++) {
		struct exec_report report;

		if (machine_report(host->machine, i, &report))
			wire_report(&conn->out, &report);
	}
	wire_table_end(&conn->out);
	conn->is_urgent = true;
}

static void conn_output(struct host *host, const struct machine_output *output)
{
	struct conn *conn = conn_find(host, output->conn);

	if (!conn)
		return; /* not reached: only a CLOSE sends, and nothing follows it */
	if (output->kind == MACHINE_OUT_HELLO) {
		hello_put(host, conn, output->version);
	} else if (output->kind == MACHINE_OUT_NO) {
		wire_hello_no(&conn->out, output->version, machine_epoch(host->machine));
		conn->is_urgent = true;
	} else if (output->kind == MACHINE_OUT_REPORT) {
		wire_report(&conn->out, &output->report);
		if (!output->is_lazy)
			conn->is_urgent = true;
		else if (host->lazy_ns == INT64_MAX)
			host->lazy_ns = host_now() + LAZY_NS;
	} else {
		conn->is_closing = true; /* what is unread is discarded */
		conn_send(host, conn);
		conn = conn_find(host, output->conn);
		if (conn)
			conn_drop(host, conn); /* it does not read: it need not know */
	}
}

static void output_run(struct host *host, const struct machine_output *output)
{
	switch (output->kind) {
	case MACHINE_OUT_ARM:
		child_arm(host, output->attempt);
		break;
	case MACHINE_OUT_SPAWN:
		child_spawn(host, output->attempt);
		break;
	case MACHINE_OUT_NOTE:
		child_note(host, output->attempt);
		break;
	case MACHINE_OUT_SIGNAL:
		tree_signal(host, output->attempt, output->signal);
		break;
	case MACHINE_OUT_TREE:
		child_tree(host, output->attempt);
		break;
	case MACHINE_OUT_LOOK:
		child_look(host, output->attempt);
		break;
	case MACHINE_OUT_RECORD:
		child_record(host, output->attempt);
		break;
	case MACHINE_OUT_FORGET:
		child_forget(host, output->attempt);
		break;
	case MACHINE_OUT_HELLO:
	case MACHINE_OUT_NO:
	case MACHINE_OUT_REPORT:
	case MACHINE_OUT_CLOSE:
		conn_output(host, output);
		break;
	}
}

/* An act answers the machine from within: what follows from that is left to the outermost call. */
void host_input(struct host *host, const struct machine_input *input)
{
	struct machine_output output;
	struct err err = ERR_INIT;

	while (machine_take(host->machine, input, &err) != ERR_OK) {
		BUG_IF(err.code != ERR_MEMORY); /* a row is missing, or we broke the order */
		(void)usleep(NAP_US);           /* an end must not be lost: wait for memory */
		err_reset(&err);
	}
	if (host->is_draining)
		return;
	host->is_draining = true;
	while (machine_next(host->machine, &output))
		output_run(host, &output);
	host->is_draining = false;
}

/* --- start and end --- */

static enum err_code record_give(void *arg, const struct record *record, struct err *err)
{
	struct host *host = arg;
	struct machine_input input = {.kind = MACHINE_IN_RECORD, .record = record};

	return machine_take(host->machine, &input, err);
}

static enum err_code boot_load(struct host *host, struct err *err)
{
	char boot_id[BOOT_ID_BYTES + 1];

	if (boot_id_read(boot_id, err) != ERR_OK)
		return err->code;
	host->boot = record_boot(str_of(boot_id));
	return ERR_OK;
}

/* What earlier keepers of this run did: their tokens are never started again. */
static enum err_code records_load(struct host *host, struct err *err)
{
	AUTO(buf_fini) struct buf content = BUF_INIT;
	size_t count = 0;

	for (;;) {
		char *room = buf_room(&content, READ_BYTES);
		ssize_t got;

		if (!room)
			return buf_check(&content, "attempts.log", err);
		got = pread(HOST_FD_LOG, room, READ_BYTES, (off_t)content.len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "read attempts.log");
		if (got == 0)
			break;
		buf_added(&content, (size_t)got);
	}
	if (content.len &&
	    record_walk(buf_view(&content), host->boot, record_give, host, &count, err) != ERR_OK)
		return err->code;
	host->records = count;
	return ERR_OK;
}

/* Who we are, in keeper.lock: a hint for those who look (the lock is the proof). */
static void lock_publish(const struct host *host)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "%d %s\n", (int)getpid(), host->socket_path);

	/* not reached: no room for the line, as the path of a socket has 107 bytes at most */
	if (len > 0 && len < (int)sizeof(line) && ftruncate(HOST_FD_LOCK, 0) == 0)
		(void)!pwrite(HOST_FD_LOCK, line, (size_t)len, 0); /* a full disk: no hint */
}

static bool poll_add(const struct host *host, int fd, enum host_ready ready)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = ready};

	return epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* To the hard limit, or to nothing. */
static bool limits_change(struct host *host)
{
	static const struct {
		__rlimit_resource_t resource;
		bool is_none;
	} ours[] = {[HOST_NOFILE] = {RLIMIT_NOFILE, false},
		    [HOST_FSIZE] = {RLIMIT_FSIZE, false},
		    [HOST_CORE] = {RLIMIT_CORE, true}};

	for (int i = 0; i < HOST_LIMITS; i++) {
		struct rlimit *got = &host->limits[i];
		struct rlimit own;

		if (getrlimit(ours[i].resource, got) < 0)
			return false;
		own = (struct rlimit){ours[i].is_none ? 0 : got->rlim_max, got->rlim_max};
		host->is_changed[i] =
		    got->rlim_cur != own.rlim_cur && setrlimit(ours[i].resource, &own) == 0;
	}
	return true;
}

static bool host_init(struct host *host)
{
	struct err err = ERR_INIT;
	sigset_t all, child;

	for (int fd = HOST_FD_LOCK; fd < HOST_FDS; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return false;
	}
	(void)umask(022); /* commands inherit it: a fixed value, whoever started the run */
	(void)sigfillset(&all);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return false;
	if (!limits_change(host))
		return false;
	host->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	host->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (host->epoll_fd < 0 || host->signal_fd < 0)
		return false;
	if (!poll_add(host, host->signal_fd, READY_SIGNAL) ||
	    !poll_add(host, HOST_FD_LISTENER, READY_LISTENER))
		return false;
	return boot_load(host, &err) == ERR_OK && machine_new(&host->machine, &err) == ERR_OK &&
	       records_load(host, &err) == ERR_OK;
}

/* A connection can be written to again, has something for us, or both. */
static void conn_ready(struct host *host, uint32_t id, uint32_t events)
{
	struct conn *conn = conn_find(host, id);

	if (conn && conn->is_polled_out && (events & EPOLLOUT))
		conn_send(host, conn);
	conn_read(host, id); /* finds out by itself whether it is still there */
}

static void event_take(struct host *host, const struct epoll_event *event)
{
	struct signalfd_siginfo info;
	uint64_t data = event->data.u64;

	switch ((enum host_ready)(data & 0xff)) {
	case READY_SIGNAL:
		/* There is one at most: SIGCHLD does not queue (signal(7)). */
		(void)!read(host->signal_fd, &info, sizeof(info));
		child_reap(host);
		break;
	case READY_LISTENER:
		conn_accept(host);
		break;
	case READY_CONN:
		conn_ready(host, (uint32_t)(data >> 8), event->events);
		break;
	case READY_PUMP:
		child_pump(host, (uint32_t)(data >> 8));
		break;
	}
}

static void dir_look(struct host *host)
{
	struct stat stat;

	if (fstat(HOST_FD_DIR, &stat) == 0 && stat.st_nlink > 0)
		return;
	host_input(host, &(struct machine_input){.kind = MACHINE_IN_GONE, .now_ns = host_now()});
	while (host->conns_count) /* there is nothing left that an engine could own */
		conn_lost(host, &host->conns[0]);
}

static int wait_ms(const struct host *host, int64_t now_ns, int64_t gone_ns)
{
	int64_t due_ns = machine_due(host->machine);

	if (host->lazy_ns < due_ns)
		due_ns = host->lazy_ns;
	if (gone_ns < due_ns)
		due_ns = gone_ns;
	if (due_ns <= now_ns)
		return 0;
	return (int)((due_ns - now_ns + 999999) / 1000000);
}

static void host_loop(struct host *host)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t gone_ns = host_now() + GONE_NS;
	bool was_asked = false; /* the listener was looked at since we are idle */

	for (;;) {
		bool is_idle = machine_is_idle(host->machine);
		int64_t now_ns = host_now();
		int count;

		if (is_idle && was_asked)
			return;
		was_asked = is_idle;
		count = epoll_wait(host->epoll_fd, events, EVENTS_MAX,
				   is_idle ? 0 : wait_ms(host, now_ns, gone_ns));
		for (int i = 0; i < count; i++)
			event_take(host, &events[i]);
		now_ns = host_now();
		tree_stale(host);
		if (machine_due(host->machine) <= now_ns)
			host_input(host, &(struct machine_input){.kind = MACHINE_IN_TICK,
								 .now_ns = now_ns});
		if (gone_ns <= now_ns) {
			gone_ns = now_ns + GONE_NS;
			dir_look(host);
		}
		tree_signals_run(host);
		conns_flush(host);
	}
}

/* For those who want to know whether it fits the rest of an installation. */
static int version_tell(void)
{
	static const char text[] = "sluice-keeper " SLUICE_VERSION "\n";

	return write(STDOUT_FILENO, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1
		   ? EXIT_DONE
		   : EXIT_BROKEN;
}

int main(int argc, char **argv)
{
	/* In .bss and zero: an exec of this program touches few pages. */
	static struct host host = {
	    .logs_fd = -1, .results_fd = -1, .cgroup_base = -1, .lazy_ns = INT64_MAX};

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return version_tell();
	if (argc != 4) /* the last one, the run id, is for people who look at ps */
		return EXIT_BAD_CALL;
	host.mark = str_of(argv[1]);
	host.socket_path = argv[2];
	if (!id_valid(host.mark))
		return EXIT_BAD_CALL;
	for (size_t i = 0; i < HOST_SLOTS; i++)
		host.slots[i] = -1;
	child_init(&host);
	/* Secrets of commands pass through us: nobody else's debugger, no core file. After what
	 * only the owner may open in /proc/self is open. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (!host_init(&host))
		return EXIT_BROKEN; /* the engine sees the connection close, and finds the cause */
	lock_publish(&host);
	host_loop(&host);
	child_fini(&host);
	(void)unlink(host.socket_path); /* while the lock is ours: nobody else can have bound it */
	return EXIT_DONE;
}
