/* link_test.c - the way to a keeper: calls of the engine that fail, keepers that are killed, start
 * again or are called by hand, and strangers who connect (S8.1, S8.2, S8.3, S8.5). */
#include "process_world.h"

#include "base/mem.h"
#include "keeper/host.h"
#include "keeper/wire.h"
#include "sys/unix_socket.h"
#include "sys/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------------ a call of the engine */

static const struct row engine_rows[] = {
    {"memory", 0, 40},
    {"boot_id_read", EIO, 1},
    {"poller_open", EMFILE, 1},
    {"poller_watch", ENOMEM, 1},
    {"poller_watch", ENOMEM, 2, AFTER_LOSS},
    {"vfs_open", EIO, 2},
    {"vfs_open", EIO, 5, AFTER_LOSS},
    {"vfs_lock", EIO, 1},
    {"vfs_lock", EIO, 3, AFTER_LOSS},
    {"vfs_stat", EIO, 1},
    {"vfs_stat", EIO, 3, AFTER_LOSS},
    {"vfs_read", EIO, 3, AFTER_LOSS},
    {"vfs_read_all", EIO, 1, AFTER_LOSS},
    {"socket_path", EIO, 3, AFTER_LOSS},
    {"socket_listen", EADDRINUSE, 1},
    {"socket_connect", ENOENT, 1},
    {"socket_connect", EACCES, 1},
    {"socket_connect", ENOENT, 2, AFTER_LOSS},
    {"socket_connect", EACCES, 2, AFTER_LOSS},
    {"spawn_null_open", EMFILE, 1},
    {"spawn_start", EAGAIN, 1},
    {"proc_core_limit", 0, 1},
};

static void s8_3_an_engine_whose_call_fails_is_told_and_another_one_goes_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(engine_rows); i++) {
		const struct row *row = &engine_rows[i];

		for (unsigned nth = 1; nth <= row->most; nth++) {
			const struct fault faults[] = {{row->call, row->number, nth, false},
						       {"recv", ECONNRESET, 2, false}};
			const unsigned set = 1U | 1U << 7;
			struct world world;
			enum err_code code;

			world_make(&world);
			faulty_plan(faults, row->where == AFTER_LOSS ? 2 : 1);
			code = client_open(&world);
			if (code == ERR_OK)
				code = jobs_run(&world, set);
			faulty_plan(NULL, 0);
			if (code != ERR_OK) {
				assert_true(world.err.text[0]);
				jobs_recover(&world, set);
			}
			assert_sound(&world, set);
			world_drop(&world);
		}
	}
}

static void keeper_kill(struct world *world)
{
	struct err err = ERR_INIT;
	int32_t pid = 0;

	assert_ok(link_os_keeper_pid(world->dir.fd, &pid, &err), &err);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	keeper_await(world);
}

static void file_await(const struct world *world, const char *name)
{
	for (int i = 0; i < PATIENCE_MS && !temp_dir_has(&world->dir, name); i++)
		(void)poll(NULL, 0, 1);
}

/* Until something of it runs. */
static void ran_await(struct world *world)
{
	file_await(world, "ran");
	(void)poll(NULL, 0, 30);
}

/* S8.5: a killed keeper's attempts are lost, and nothing of them lives. */
static void s8_5_what_a_killed_keeper_leaves_is_swept(void **state)
{
	static const struct fault rows[][2] = {
	    {{NULL}},
	    {{"cgroup_base", EACCES, 1, true}},
	    {{"cgroup_open", ENOENT, 1, true}},
	    {{"proc_tree_pass", EIO, 1, false}},
	    {{"vfs_read_all", EIO, 1, false}},
	    {{"memory", 0, 1, false}},
	    {{"memory", 0, 2, false}},
	    {{"memory", 0, 3, false}},
	    {{"memory", 0, 4, false}},
	    {{"memory", 0, 5, false}},
	    {{"memory", 0, 6, false}},
	    {{"clock_gettime", 11, 4, false}},
	    {{"clock_gettime", 11, 3, false}},
	    {{"proc_tree_pass", EAGAIN, 1, true}},
	    {{"proc_tree_pass", EPERM, 1, true}, {"clock_gettime", 1, 5, true}},
	};

	(void)state;
	for (size_t grouped = 0; grouped < 2; grouped++) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			const struct fault alone = {"cgroup_own_open", 0, 1, true};
			const unsigned set = 1U << 8;
			struct world world;
			enum err_code code;

			world_make(&world);
			if (!grouped)
				faulty_write(world.dir.fd, &alone, 1);
			assert_ok(client_open(&world), &world.err);
			assert_ok(job_start(&world, &jobs[8]), &world.err);
			ran_await(&world);
			keeper_kill(&world);
			faulty_plan(rows[i], rows[i][1].call ? 2 : rows[i][0].call ? 1 : 0);
			code = carry(&world, set);
			faulty_plan(NULL, 0);
			if (code != ERR_OK || world.end[8].kind == EXEC_LEFTOVERS) {
				world.ends[8] = 0;
				jobs_recover(&world, set);
			}
			assert_int_equal(world.ends[8], 1);
			assert_int_equal(world.end[8].kind, EXEC_LOST);
			world_drop(&world);
		}
	}
}

/* ------------------------------------------------------------------- what is called wrongly */

static void a_link_has_an_absolute_keeper_or_none(void **state)
{
	struct world world;
	struct link_os_options options = {
	    .mark = str_of(own_mark), .run_id = STR("r1"), .keeper_path = "keeper"};
	struct keeper_link link;
	struct exec_token token = token_of(&jobs[0]);
	const bool same_boot = true;

	(void)state;
	world_make(&world);
	options.run_dir = world.dir.fd;
	assert_int_equal(link_os_open(&options, &link, &world.err), ERR_USAGE);
	options.keeper_path = NULL;
	for (uint64_t nth = 1; nth < 5; nth++) {
		err_reset(&world.err);
		mem_fail_at(nth, 0);
		if (link_os_open(&options, &link, &world.err) == ERR_OK)
			link.ops->close(link.self);
		mem_fail_at(0, 0);
	}
	err_reset(&world.err);
	assert_ok(link_os_open(&options, &link, &world.err), &world.err);
	assert_ok(client_new(link, str_of(own_mark), 1, &world.client, &world.err), &world.err);
	assert_int_equal(job_start(&world, &jobs[0]), ERR_NOT_FOUND);
	err_reset(&world.err);
	assert_ok(client_recover(world.client, &token, &same_boot, 1, &world.err), &world.err);
	assert_ok(carry(&world, 1U), &world.err);
	assert_int_equal(world.end[0].kind, EXEC_ABSENT);
	world_drop(&world);
}

static void the_number_in_a_lock_is_believed_while_it_is_held(void **state)
{
	static const struct {
		const char *text;
		int32_t pid;
	} rows[] = {{"77 /a/b\n", 77}, {"99999999999 /a\n", 0}, {"x y\n", 0}, {"", 0}};
	struct world world;
	int32_t pid;
	int fd;

	(void)state;
	world_make(&world);
	assert_ok(link_os_keeper_pid(world.dir.fd, &pid, &world.err), &world.err);
	assert_int_equal(pid, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		temp_dir_write(&world.dir, KEEPER_LOCK_FILE, rows[i].text, strlen(rows[i].text));
		assert_ok(vfs_open(&vfs_os, world.dir.fd, KEEPER_LOCK_FILE, VFS_READ_WRITE, &fd,
				   &world.err),
			  &world.err);
		assert_ok(vfs_lock(&vfs_os, fd, &world.err), &world.err);
		assert_ok(link_os_keeper_pid(world.dir.fd, &pid, &world.err), &world.err);
		assert_int_equal(pid, rows[i].pid);
		for (unsigned nth = 1; nth < 4; nth++) {
			static const char *const calls[] = {"vfs_open", "vfs_lock", "vfs_read"};
			const struct fault fault = {calls[nth - 1], EIO, 1, false};

			faulty_plan(&fault, 1);
			assert_int_not_equal(link_os_keeper_pid(world.dir.fd, &pid, &world.err),
					     ERR_OK);
			faulty_plan(NULL, 0);
			err_reset(&world.err);
		}
		vfs_close(&vfs_os, fd);
		assert_ok(link_os_keeper_pid(world.dir.fd, &pid, &world.err), &world.err);
		assert_int_equal(pid, 0);
	}
	world_drop(&world);
}

/* The real program, with these words and without any descriptor; its exit status. */
static int keeper_call(char *const *argv, int out)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(out, STDOUT_FILENO);
		for (int fd = 3; fd < 64; fd++)
			(void)close(fd);
		(void)execv(keeper_path, argv);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_keeper_that_is_called_by_hand_says_no(void **state)
{
	static char name[] = KEEPER_NAME, version[] = "--version", other[] = "--other",
		    mark[] = "a-1", bad[] = "a/../b", path[] = "/nowhere", id[] = "r1";
	char *const calls[][5] = {
	    {name, version},       {name},
	    {name, other},         {name, mark, path},
	    {name, bad, path, id}, {name, mark, path, id},
	};
	static const int expected[] = {0, 2, 2, 2, 2, 3};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int deaf = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0 && deaf >= 0);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_int_equal(keeper_call(calls[i], fd), expected[i]);
	assert_int_equal(keeper_call(calls[0], deaf), 3);
	(void)close(fd);
	(void)close(deaf);
}

static void nothing_is_kept_of_what_is_over(void **state)
{
	static struct host host;
	struct child *none[2] = {NULL, NULL};

	(void)state;
	assert_int_equal(child_by_pid(0), 0);
	assert_int_equal(child_by_pid(-1), 0);
	assert_int_equal(child_by_pid((int32_t)HOST_PIDS), 0);
	child_forget(&host, 0);
	child_pump(&host, 0);
	host.children = none;
	host.children_capacity = ARRAY_LEN(none);
	child_forget(&host, 1);
	child_pump(&host, 1);
}

/* ------------------------------------------------------------------------------ who connects */

/* A connection of a stranger to the keeper that has written into keeper.lock where it listens. */
static int stranger(struct world *world)
{
	AUTO(buf_fini) struct buf hint = BUF_INIT;
	struct err err = ERR_INIT;
	char *path;
	int fd = -1;

	temp_dir_read(&world->dir, KEEPER_LOCK_FILE, &hint);
	buf_byte(&hint, '\0');
	path = strchr(hint.ptr, ' ');
	assert_non_null(path);
	path[strcspn(path, "\n")] = '\0';
	assert_ok(socket_connect(path + 1, &fd, &err), &err);
	return fd;
}

static void say(int fd, const struct buf *frames, size_t from, size_t to)
{
	while (from < to) {
		ssize_t sent = socket_send(fd, frames->ptr + from, to - from);

		if (sent < 0)
			return; /* closed: that is the answer */
		from += (size_t)sent;
	}
}

/* Is it closed by the other end? */
static bool is_closed(int fd)
{
	char bytes[4096];
	ssize_t got = 0;

	for (int i = 0; i < PATIENCE_MS / 10 && got >= 0; i++) {
		got = socket_receive(fd, bytes, sizeof(bytes));
		if (got == 0)
			socket_wait(fd, 10000000);
	}
	return got < 0;
}

static void strangers_come(unsigned nth)
{
	AUTO(buf_fini) struct buf old = BUF_INIT;
	AUTO(buf_fini) struct buf noise = BUF_INIT;
	struct exec_token token = token_of(&jobs[0]);
	const struct fault fault = {"send", EAGAIN, nth, false};
	struct world world;
	int fds[HOST_CONNS + 2];
	int fd;

	world_make(&world);
	faulty_write(world.dir.fd, &fault, nth ? 1 : 0);
	world.epoch = 5;
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[7]), &world.err);
	ran_await(&world);
	/* An older engine that goes on talking behind its greeting. */
	wire_hello(&old, WIRE_VERSION, 1);
	wire_cancel(&old, &token, true);
	wire_cancel(&old, &token, true);
	fd = stranger(&world);
	say(fd, &old, 0, old.len);
	assert_true(is_closed(fd));
	socket_close(&fd);
	/* No frames, one frame in pieces, and more connections than there is room for. */
	buf_text(&noise, "GET / HTTP/1.1\r\n\r\n and so on and so on, without an end");
	fd = stranger(&world);
	say(fd, &noise, 0, noise.len);
	assert_true(is_closed(fd));
	socket_close(&fd);
	fd = stranger(&world);
	for (size_t i = 0; i + 1 < old.len && i < 20; i++) {
		say(fd, &old, i, i + 1);
		(void)poll(NULL, 0, 1);
	}
	socket_close(&fd);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = stranger(&world);
	assert_true(is_closed(fds[ARRAY_LEN(fds) - 1]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		socket_close(&fds[i]);
	assert_ok(carry(&world, 1U << 7), &world.err);
	assert_sound(&world, 1U << 7);
	assert_int_equal(world.end[7].cause, EXEC_CAUSE_CANCELLED);
	world_drop(&world);
}

static void s8_2_whoever_says_something_else_is_let_go_and_the_rest_goes_on(void **state)
{
	(void)state;
	for (unsigned nth = 0; nth < 4; nth++)
		strangers_come(nth);
}

/* Count the reports on a connection until there are `expected`, or the other end closes it. */
static unsigned reports_read(int fd, unsigned expected)
{
	AUTO(buf_fini) struct buf in = BUF_INIT;
	unsigned count = 0;
	size_t at = 0;

	for (int i = 0; i < PATIENCE_MS && count < expected; i++) {
		struct wire_frame frame;
		size_t used = 0;
		ssize_t got = socket_receive(fd, buf_room(&in, 65536), 65536);

		if (got < 0)
			break;
		if (got == 0)
			socket_wait(fd, 1000000);
		buf_added(&in, (size_t)got);
		while (wire_decode(str_from(in.ptr + at, in.len - at), &frame, &used) == WIRE_GOT) {
			count += frame.type == WIRE_REPORT;
			at += used;
			wire_frame_fini(&frame);
		}
	}
	return count;
}

/* Until the other end has read all that was said. */
static void heard_await(int fd)
{
	int left = 1;

	for (int i = 0; i < PATIENCE_MS && left; i++) {
		assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
		(void)poll(NULL, 0, 1);
	}
	(void)poll(NULL, 0, 20);
}

/* An engine that asks for more than it reads is waited for, and gets every answer: also to what it
 * says when no answer can be sent any more. */
static void s8_2_an_engine_that_reads_late_misses_nothing(void **state)
{
	enum { ASKED = 12000 };
	struct world world;
	AUTO(buf_fini) struct buf frames = BUF_INIT;
	AUTO(buf_fini) struct buf more = BUF_INIT;
	static char sh[] = "sh";
	char *argv[] = {sh, NULL};
	struct exec_start again = {
	    .token = token_of(&jobs[7]), .argv = argv, .envp = argv, .cwd = "/", .log = "long.log"};
	int fd;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[7]), &world.err);
	ran_await(&world);
	client_free(world.client);
	world.client = NULL;
	wire_hello(&frames, WIRE_VERSION, 50);
	for (unsigned i = 0; i < ASKED; i++)
		wire_start(&frames, &again); /* it runs: its state is the answer */
	fd = stranger(&world);
	say(fd, &frames, 0, frames.len);
	heard_await(fd);
	wire_start(&more, &again);
	say(fd, &more, 0, more.len);
	heard_await(fd);
	assert_int_equal(reports_read(fd, ASKED + 2), ASKED + 2); /* one with the greeting */
	socket_close(&fd);
	world.epoch = 60;
	jobs_recover(&world, 1U << 7);
	assert_sound(&world, 1U << 7);
	world_drop(&world);
}

/* The newest engine is the only one, also when the one before says something in the same moment
 * and what it says is not read any more. */
static void s8_3_a_newer_engine_and_the_one_before_speak_at_once(void **state)
{
	AUTO(buf_fini) struct buf hello = BUF_INIT;
	AUTO(buf_fini) struct buf newer = BUF_INIT;
	AUTO(buf_fini) struct buf cancel = BUF_INIT;
	struct exec_token token = token_of(&jobs[7]);
	struct world world;
	int32_t pid = 0;
	int before, fd;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[7]), &world.err);
	ran_await(&world);
	client_free(world.client);
	world.client = NULL;
	wire_hello(&hello, WIRE_VERSION, 50);
	wire_hello(&newer, WIRE_VERSION, 51);
	wire_cancel(&cancel, &token, true);
	before = stranger(&world);
	say(before, &hello, 0, hello.len);
	assert_int_equal(reports_read(before, 1), 1);
	fd = stranger(&world);
	(void)poll(NULL, 0, 30); /* it is accepted */
	assert_ok(link_os_keeper_pid(world.dir.fd, &pid, &world.err), &world.err);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	say(fd, &newer, 0, newer.len);
	say(before, &cancel, 0, cancel.len);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(reports_read(fd, 1), 1);
	assert_true(is_closed(before));
	socket_close(&before);
	socket_close(&fd);
	world.epoch = 60;
	jobs_recover(&world, 1U << 7);
	assert_sound(&world, 1U << 7);
	assert_int_equal(world.end[7].cause, EXEC_CAUSE_CANCELLED);
	world_drop(&world);
}

/* The newest engine asks for the same end in two ways at once. */
static void two_cancels_in_one_breath_are_one_end(void **state)
{
	const struct fault fault = {"cgroup_own_open", 0, 1, true};
	struct exec_token token = token_of(&jobs[8]);
	AUTO(buf_fini) struct buf frames = BUF_INIT;
	struct world world;
	int fd;

	(void)state;
	world_make(&world);
	faulty_write(world.dir.fd, &fault, 1);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[8]), &world.err);
	ran_await(&world);
	client_free(world.client);
	world.client = NULL;
	wire_hello(&frames, WIRE_VERSION, 50);
	wire_cancel(&frames, &token, false);
	wire_cancel(&frames, &token, true);
	fd = stranger(&world);
	say(fd, &frames, 0, frames.len);
	socket_wait(fd, 100000000);
	socket_close(&fd);
	world.epoch = 60;
	jobs_recover(&world, 1U << 8);
	assert_sound(&world, 1U << 8);
	assert_int_equal(world.end[8].kind, EXEC_ENDED);
	assert_int_equal(world.end[8].cause, EXEC_CAUSE_CANCELLED);
	world_drop(&world);
}

/* A file of the log's name that is there already: gone on with when it is a plain one alone. */
static void s8_1_a_log_that_is_there_is_gone_on_with_or_refused(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct world world;

		world_make(&world);
		assert_int_equal(mkdirat(world.dir.fd, "logs", 0700), 0);
		if (kind == 0)
			temp_dir_write(&world.dir, "logs/plain.log", "before\n", 7);
		else if (kind == 1)
			assert_int_equal(mkfifoat(world.dir.fd, "logs/plain.log", 0600), 0);
		else
			assert_int_equal(
			    linkat(world.dir.fd, "hand", world.dir.fd, "logs/plain.log", 0), 0);
		assert_ok(client_open(&world), &world.err);
		assert_ok(jobs_run(&world, 1U), &world.err);
		assert_sound(&world, 1U);
		assert_int_equal(world.end[0].kind, kind ? EXEC_REFUSED : EXEC_ENDED);
		if (kind)
			assert_int_equal(world.end[0].errno_value, EEXIST);
		world_drop(&world);
	}
}

/* What was refused is unknown to whoever asks next: it may be started. */
static void s8_3_what_was_refused_is_absent_for_the_next_engine(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_int_equal(mkdirat(world.dir.fd, "logs", 0700), 0);
	assert_int_equal(mkfifoat(world.dir.fd, "logs/plain.log", 0600), 0);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[7]), &world.err);
	ran_await(&world);
	assert_ok(job_start(&world, &jobs[0]), &world.err);
	assert_ok(carry(&world, 1U), &world.err);
	assert_int_equal(world.end[0].kind, EXEC_REFUSED);
	world.ends[0] = 0;
	jobs_recover(&world, 1U | 1U << 7);
	assert_sound(&world, 1U | 1U << 7);
	assert_int_equal(world.end[0].kind, EXEC_ABSENT);
	assert_int_equal(world.end[7].cause, EXEC_CAUSE_CANCELLED);
	world_drop(&world);
}

/* A group that was killed as a whole is busy for a moment: another one will do. */
static void s8_4_a_group_that_was_killed_is_not_waited_for(void **state)
{
	for (unsigned nth = 1; nth < 4; nth++) {
		const struct fault fault = {"cgroup_make", EBUSY, nth, false};
		struct world world;

		(void)state;
		world_make(&world);
		faulty_write(world.dir.fd, &fault, 1);
		assert_ok(client_open(&world), &world.err);
		assert_ok(job_start(&world, &jobs[8]), &world.err);
		file_await(&world, "deaf"); /* from now on only KILL ends it */
		assert_ok(carry(&world, 1U << 8), &world.err);
		assert_ok(jobs_run(&world, 1U | 1U << 2), &world.err);
		assert_sound(&world, 1U | 1U << 2 | 1U << 8);
		world_drop(&world);
	}
}

/* A cancel that cannot wait overtakes one that can. */
static void a_cancel_at_once_overtakes_one_that_waits(void **state)
{
	const struct fault fault = {"cgroup_own_open", 0, 1, true};
	struct exec_token token = token_of(&jobs[8]);
	struct world world;

	(void)state;
	world_make(&world);
	faulty_write(world.dir.fd, &fault, 1);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[8]), &world.err);
	ran_await(&world);
	assert_ok(client_cancel(world.client, &token, false, &world.err), &world.err);
	assert_ok(client_cancel(world.client, &token, true, &world.err), &world.err);
	assert_ok(carry(&world, 1U << 8), &world.err);
	assert_int_equal(world.end[8].cause, EXEC_CAUSE_CANCELLED);
	world_drop(&world);
}

/* S8.5: a keeper that reads in attempts.log what another one had lost says so, and whoever asks
 * for it again hears that it is lost, not that it runs. */
static void s8_5_a_lost_token_is_lost_for_the_next_keeper_too(void **state)
{
	struct world world;
	struct link_os_options options = {.mark = str_of(own_mark), .run_id = STR("r1")};
	struct keeper_link link;
	bool is_taken = false;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(job_start(&world, &jobs[8]), &world.err);
	ran_await(&world);
	keeper_kill(&world);
	client_free(world.client);
	world.client = NULL;
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, 1U | 1U << 8), &world.err);
	assert_int_equal(world.end[8].kind, EXEC_LOST);
	assert_int_equal(world.end[0].kind, EXEC_ENDED);
	client_free(world.client);
	world.client = NULL;
	keeper_await(&world);
	/* A lock that is ours is ours. */
	options.run_dir = world.dir.fd;
	assert_ok(link_os_open(&options, &link, &world.err), &world.err);
	for (int i = 0; i < 2; i++) {
		assert_ok(link.ops->take(link.self, &is_taken, &world.err), &world.err);
		assert_true(is_taken);
	}
	link.ops->close(link.self);
	world_drop(&world);
}

/* S8.3: a damaged attempts.log is no ground to start anything on. */
static void s8_3_a_keeper_with_damaged_records_does_not_begin(void **state)
{
	AUTO(buf_fini) struct buf log = BUF_INIT;
	struct world world;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, 1U | 1U << 2), &world.err);
	client_free(world.client);
	world.client = NULL;
	keeper_await(&world);
	temp_dir_read(&world.dir, KEEPER_LOG_FILE, &log);
	assert_true(log.len > 3 * RECORD_BYTES);
	log.ptr[RECORD_BYTES + 20] ^= 4;
	temp_dir_write(&world.dir, KEEPER_LOG_FILE, log.ptr, log.len);
	assert_ok(client_open(&world), &world.err);
	memset(world.ends, 0, sizeof(world.ends));
	assert_int_equal(jobs_run(&world, 1U << 3), ERR_CORRUPT);
	world_drop(&world);
}

static void s8_3_a_second_keeper_starts_nothing_again(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	for (int i = 0; i < 3; i++) {
		assert_ok(client_open(&world), &world.err);
		memset(world.ends, 0, sizeof(world.ends));
		assert_ok(jobs_run(&world, 1U | 1U << 1), &world.err);
		assert_sound(&world, 1U | 1U << 1);
		client_free(world.client);
		world.client = NULL;
		keeper_await(&world);
	}
	world_drop(&world);
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
	    cmocka_unit_test(s8_3_an_engine_whose_call_fails_is_told_and_another_one_goes_on),
	    cmocka_unit_test(s8_5_what_a_killed_keeper_leaves_is_swept),
	    cmocka_unit_test(a_link_has_an_absolute_keeper_or_none),
	    cmocka_unit_test(the_number_in_a_lock_is_believed_while_it_is_held),
	    cmocka_unit_test(a_keeper_that_is_called_by_hand_says_no),
	    cmocka_unit_test(nothing_is_kept_of_what_is_over),
	    cmocka_unit_test(s8_2_whoever_says_something_else_is_let_go_and_the_rest_goes_on),
	    cmocka_unit_test(s8_2_an_engine_that_reads_late_misses_nothing),
	    cmocka_unit_test(s8_3_a_newer_engine_and_the_one_before_speak_at_once),
	    cmocka_unit_test(s8_3_what_was_refused_is_absent_for_the_next_engine),
	    cmocka_unit_test(s8_3_a_second_keeper_starts_nothing_again),
	    cmocka_unit_test(s8_1_a_log_that_is_there_is_gone_on_with_or_refused),
	    cmocka_unit_test(s8_4_a_group_that_was_killed_is_not_waited_for),
	    cmocka_unit_test(two_cancels_in_one_breath_are_one_end),
	    cmocka_unit_test(a_cancel_at_once_overtakes_one_that_waits),
	    cmocka_unit_test(s8_5_a_lost_token_is_lost_for_the_next_keeper_too),
	    cmocka_unit_test(s8_3_a_keeper_with_damaged_records_does_not_begin),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
	return process_main(argc, argv, tests);
}
