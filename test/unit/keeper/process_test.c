/* process_test.c - the keeper's executable and the way to it, while a call of one of them fails:
 * each token has one terminal report, no command runs twice, a secret is in no log, and the next
 * engine hears what became of each (S8.2, S8.3, S8.6, D16, D20, D21).
 *
 * The keeper is this program again, under the name that link_os.c gives it; what fails there is in
 * the file `plan` of the run directory. */
#include "support/temp_dir.h"
#include "support/unit.h"

#include "faulty.h"

#include "base/mem.h"
#include "keeper/client.h"
#include "keeper/host.h"
#include "keeper/link_os.h"
#include "keeper/token_table.h"
#include "keeper/wire.h"
#include "sys/unix_socket.h"
#include "sys/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPER_NAME "sluice-keeper"
#define MARK        "test-1"
#define PATIENCE_MS 20000

int keeper_main(int argc, char **argv);

static char own_path[512];
static const char *keeper_path; /* the real one */

/* ------------------------------------------------------------------------------- what is run */

enum trait {
	IS_PUMPED = 1 << 0, /* its output passes through the keeper, in two files */
	HAS_TEXT = 1 << 1,  /* for it to read */
	HAS_HAND = 1 << 2,  /* a file of its own, and a user */
	LEAVES = 1 << 3,    /* what it leaves may live on */
	IS_CANCELLED = 1 << 4,
	IS_LIMITED = 1 << 5,
	IS_ABSENT = 1 << 6, /* there is no such program */
	IS_BOUND = 1 << 7,  /* in what it may write */
	IS_FOLDER = 1 << 8, /* its hand is */
};

struct job {
	const char *path;
	unsigned traits;
	const char *script; /* behind the line of the witness */
};

static const struct job jobs[] = {
    {"plain", 0, "exit 3"},
    {"pumped", IS_PUMPED, "echo a secret; echo secret >&2; sleep .03"},
    {"reads", HAS_TEXT | IS_LIMITED, "cat >/dev/null"},
    {"hand", HAS_HAND, ":"},
    {"rest", 0, "sleep .02 & exit 0"},
    {"hides", 0, "env -u SLUICE_TOKEN setsid sleep .02 & exit 0"},
    {"leaves", LEAVES, "sleep .02 & exit 0"},
    {"long", IS_CANCELLED, "exec sleep 60"},
    {"stubborn", IS_CANCELLED, "trap '' TERM; setsid sleep 60; sleep 60"},
    {"none", IS_ABSENT, ""},
    {"loud", IS_PUMPED | IS_BOUND, "head -c 1500000 /dev/zero; exit 0"},
    {"folder", HAS_HAND | IS_FOLDER, ":"},
};

struct world {
	struct temp_dir dir;
	struct keeper_client *client;
	uint64_t epoch;
	unsigned ends[ARRAY_LEN(jobs)]; /* terminal reports */
	struct exec_report end[ARRAY_LEN(jobs)];
	struct err err;
};

static struct exec_token token_of(const struct job *job)
{
	return (struct exec_token){.path = str_of(job->path), .role = EXEC_ROLE_RUN};
}

static enum err_code client_open(struct world *world)
{
	struct link_os_options options = {.run_dir = world->dir.fd,
					  .mark = STR(MARK),
					  .run_id = STR("r1"),
					  .keeper_path = own_path};
	struct keeper_link link;

	if (link_os_open(&options, &link, &world->err) != ERR_OK)
		return world->err.code;
	return client_new(link, STR(MARK), ++world->epoch, &world->client, &world->err);
}

static void world_make(struct world *world)
{
	*world = (struct world){.err = ERR_INIT};
	temp_dir_make(&world->dir);
	temp_dir_write(&world->dir, "hand", "x", 1);
}

/* The keeper is gone when its lock is free. */
static void keeper_await(struct world *world)
{
	struct err err = ERR_INIT;
	int32_t pid = 1;

	for (int i = 0; i < PATIENCE_MS && pid; i++) {
		assert_ok(link_os_keeper_pid(world->dir.fd, &pid, &err), &err);
		if (pid)
			(void)poll(NULL, 0, 1);
	}
	assert_int_equal(pid, 0);
}

static void world_drop(struct world *world)
{
	client_free(world->client);
	world->client = NULL;
	keeper_await(world);
	temp_dir_remove(&world->dir);
}

static enum err_code job_start(struct world *world, const struct job *job)
{
	static const struct str masks[] = {{"secret", 6}};
	const char *const hands[] = {job->traits & IS_FOLDER ? "." : "hand"};
	const struct exec_user user = {.uid = getuid(), .gid = getgid()};
	const struct resource_limit limits[] = {{RESOURCE_cpu, 60}, {RESOURCE_core, 0}};
	char script[256], log[64], log_err[64];
	char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", script, NULL};
	char *envp[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin",
			(char *)(uintptr_t)TOKEN_VARIABLE "=of/another", NULL};
	struct exec_start start = {.token = token_of(job),
				   .argv = argv,
				   .envp = envp,
				   .cwd = world->dir.path,
				   .log = log,
				   .grace_ns = 5000000,
				   .output_limit_bytes = job->traits & IS_BOUND ? 1 << 20 : 0};

	(void)snprintf(script, sizeof(script), "echo %s >>ran; %s", job->path, job->script);
	(void)snprintf(log, sizeof(log), "%s.log", job->path);
	(void)snprintf(log_err, sizeof(log_err), "%s.err", job->path);
	if (job->traits & IS_PUMPED) {
		start.masks = masks;
		start.masks_count = 1;
		start.log_err = log_err;
	}
	if (job->traits & HAS_TEXT)
		start.stdin_text = STR("some text");
	if (job->traits & HAS_HAND) {
		start.hands = hands;
		start.hands_count = 1;
		start.user = &user;
	}
	if (job->traits & IS_LIMITED) {
		start.limits = limits;
		start.limits_count = ARRAY_LEN(limits);
	}
	if (job->traits & IS_ABSENT)
		argv[0] = (char *)(uintptr_t) "there-is-no-such-program";
	start.allows_orphans = job->traits & LEAVES;
	return client_start(world->client, &start, &world->err);
}

static void note(struct world *world, const struct exec_report *report)
{
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		if (report->kind == EXEC_STARTED || !str_is(report->token.path, jobs[i].path))
			continue;
		world->ends[i]++;
		world->end[i] = *report;
	}
}

static bool is_over(const struct world *world, unsigned set)
{
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		if ((set & 1U << i) && !world->ends[i])
			return false;
	}
	return true;
}

/* Until each of the set has ended, or the client says why not. What is to be cancelled is told so
 * again and again: a connection that breaks may swallow it. */
static enum err_code carry(struct world *world, unsigned set)
{
	struct pollfd fd = {client_fd(world->client), POLLIN, 0};
	struct exec_report report;

	for (int round = 0; round < PATIENCE_MS / 20; round++) {
		for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
			struct exec_token token = token_of(&jobs[i]);

			if ((set & 1U << i) && (jobs[i].traits & IS_CANCELLED) &&
			    client_cancel(world->client, &token, false, &world->err) != ERR_OK)
				return world->err.code;
		}
		if (client_pump(world->client, &world->err) != ERR_OK)
			return world->err.code;
		while (client_next(world->client, &report))
			note(world, &report);
		if (is_over(world, set))
			return ERR_OK;
		(void)poll(&fd, 1, 20);
	}
	fail_msg("a token has no terminal report");
	return ERR_OK;
}

static enum err_code jobs_run(struct world *world, unsigned set)
{
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		if ((set & 1U << i) && job_start(world, &jobs[i]) != ERR_OK)
			return world->err.code;
	}
	return carry(world, set);
}

/* Another engine, on a machine where nothing fails, asks for all that have no end. */
static void jobs_recover(struct world *world, unsigned set)
{
	struct exec_token tokens[ARRAY_LEN(jobs)];
	bool same_boot[ARRAY_LEN(jobs)];
	struct exec_report report;
	size_t count = 0;

	/* What waited there is told. */
	while (world->client && client_next(world->client, &report))
		note(world, &report);
	client_free(world->client);
	world->client = NULL;
	err_reset(&world->err);
	(void)unlinkat(world->dir.fd, "plan", 0);
	assert_ok(client_open(world), &world->err);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		if (!(set & 1U << i) || world->ends[i])
			continue;
		same_boot[count] = true;
		tokens[count++] = token_of(&jobs[i]);
	}
	assert_ok(client_recover(world->client, tokens, same_boot, count, &world->err),
		  &world->err);
	assert_ok(carry(world, set), &world->err);
}

static size_t count_of(struct str text, const char *word)
{
	size_t count = 0;

	for (const char *at = text.ptr; at && (at = strstr(at, word)); at++)
		count++;
	return count;
}

static void assert_sound(struct world *world, unsigned set)
{
	AUTO(buf_fini) struct buf ran = BUF_INIT;
	AUTO(buf_fini) struct buf log = BUF_INIT;

	if (temp_dir_has(&world->dir, "ran"))
		temp_dir_read(&world->dir, "ran", &ran);
	buf_byte(&ran, '\0');
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		const struct exec_report *end = &world->end[i];

		if (!(set & 1U << i))
			continue;
		assert_int_equal(world->ends[i], 1);
		assert_true(count_of(buf_view(&ran), jobs[i].path) <= 1);
		if (end->kind == EXEC_ABSENT || end->kind == EXEC_REFUSED)
			assert_int_equal(count_of(buf_view(&ran), jobs[i].path), 0);
		if (end->kind == EXEC_ENDED && end->end == EXEC_END_EXITED &&
		    !(jobs[i].traits & IS_CANCELLED))
			assert_int_equal(count_of(buf_view(&ran), jobs[i].path), 1);
	}
	if (temp_dir_has(&world->dir, "logs/pumped.log")) {
		temp_dir_read(&world->dir, "logs/pumped.log", &log);
		buf_byte(&log, '\0');
		assert_int_equal(count_of(buf_view(&log), "secret"), 0);
	}
}

#define ALL ((1U << ARRAY_LEN(jobs)) - 1)

/* ------------------------------------------------------------------------------ nothing fails */

static void s8_2_each_command_has_one_end(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, ALL), &world.err);
	assert_sound(&world, ALL);
	assert_int_equal(world.end[0].exit_code, 3);
	assert_int_equal(world.end[1].exit_code, 0);
	assert_int_equal(world.end[9].end, EXEC_END_SPAWN_FAILED);
	assert_int_equal(world.end[9].errno_value, ENOENT);
	world_drop(&world);
}

/* ------------------------------------------------------------------------ a call of the keeper */

struct row {
	const char *call;
	int number;
	unsigned most; /* calls that are made to fail in turn */
	enum {
		IN_ANY,
		IN_GROUPS,  /* where the kernel has them */
		WITHOUT,    /* groups: trees are looked for in /proc */
		AFTER_LOSS, /* when a connection was lost */
	} where;
};

static const struct row keeper_rows[] = {
    {"accept4", EMFILE, 1},
    {"dup2", EINTR, 2},
    {"epoll_create1", EMFILE, 1},
    {"epoll_ctl", ENOMEM, 5},
    {"fchown", EPERM, 1},
    {"fstat64", EIO, 2},
    {"fstatat64", ENOENT, 2},
    {"ftruncate64", EIO, 1},
    {"fcntl64", EBADF, 6},
    {"getrlimit64", EINVAL, 4},
    {"setrlimit64", EPERM, 2},
    {"memfd_create", ENOMEM, 1},
    {"mkdirat", ENOSPC, 1},
    {"mkdirat", EEXIST, 1},
    {"openat64", EMFILE, 4},
    {"openat64", EEXIST, 4},
    {"pipe2", EMFILE, 2},
    {"signalfd", EMFILE, 1},
    {"sigprocmask", EINVAL, 1},
    {"pread64", EIO, 3},
    {"pread64", EINTR, 3},
    {"pwrite64", EIO, 6},
    {"pwrite64", EINTR, 6},
    {"read", EINTR, 9},
    {"read", EIO, 9},
    {"recv", EINTR, 2},
    {"recv", EAGAIN, 2},
    {"recv", ECONNRESET, 3},
    {"send", EINTR, 2},
    {"send", EAGAIN, 2},
    {"send", EPIPE, 3},
    {"write", EINTR, 2},
    {"write", ENOSPC, 3},
    {"wait4", EINTR, 2},
    {"waitpid", ECHILD, 1},
    {"cgroup_own_open", 0, 1},
    {"cgroup_make", EBUSY, 2, IN_GROUPS},
    {"cgroup_make", EACCES, 2, IN_GROUPS},
    {"cgroup_kill", EOPNOTSUPP, 2, IN_GROUPS},
    {"cgroup_is_populated", 0, 2, IN_GROUPS},
    {"proc_children", ENOENT, 2, WITHOUT},
    {"proc_stat_read", ESRCH, 2, WITHOUT},
    {"proc_environ_get", EAGAIN, 3, WITHOUT},
    {"proc_environ_get", EACCES, 3, WITHOUT},
    {"proc_table_read", EIO, 2, WITHOUT},
    {"proc_descends", EPERM, 1, AFTER_LOSS},
    {"socket_peer", ESRCH, 1, AFTER_LOSS},
    {"memory", 0, 90, IN_ANY},
    {"open64", EACCES, 1},
    {"prctl", EPERM, 1},
    {"geteuid", 0, 1},
    {"spawn_start", EAGAIN, 3, IN_GROUPS},
    {"socket_peer", EPERM, 1},
    {"boot_id_read", EIO, 1},
    {"mask_new", ENOMEM, 2},
    {"socket_peer", ENOTCONN, 1},
    {"wire_decode", ENOMEM, 1},
    {"buf_room", ENOMEM, 2},
};

/* One run with a keeper in which these fail; true when they did. */
static bool run_faulty(const struct fault *faults, size_t count, unsigned set)
{
	struct world world;
	bool fired;

	world_make(&world);
	faulty_write(world.dir.fd, faults, count);
	assert_ok(client_open(&world), &world.err);
	if (jobs_run(&world, set) != ERR_OK) {
		assert_true(world.err.text[0]);
		jobs_recover(&world, set);
	}
	assert_sound(&world, set);
	client_free(world.client);
	world.client = NULL;
	keeper_await(&world);
	fired = temp_dir_has(&world.dir, "fired");
	world_drop(&world);
	return fired;
}

static void d16_a_call_of_the_keeper_that_fails_costs_one_report_at_most(void **state)
{
	unsigned runs = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keeper_rows); i++) {
		const struct row *row = &keeper_rows[i];

		for (unsigned nth = 1; nth <= row->most; nth++) {
			struct fault faults[] = {{row->call, row->number, nth, false},
						 {"cgroup_own_open", 0, 1, true}};
			bool is_without =
			    row->where == WITHOUT || (row->where != IN_GROUPS && nth % 2);

			if (row->where == AFTER_LOSS)
				faults[1] = (struct fault){"recv", ECONNRESET, 2, false};
			runs +=
			    run_faulty(faults, is_without || row->where == AFTER_LOSS ? 2 : 1, ALL);
		}
	}
	assert_true(runs > 50);
}

/* Two things at once, and clocks that run ahead: looks and patience come to their ends. */
static void a_keeper_that_cannot_see_trees_or_its_directory_still_ends(void **state)
{
	static const struct {
		struct fault faults[FAULTS_MAX];
		unsigned set;
	} rows[] = {
	    {{{"proc_children", ENOENT, 1, true}, {"cgroup_own_open", 0, 1, true}}, ALL},
	    {{{"proc_children", ENOENT, 1, true},
	      {"proc_table_read", EIO, 1, false},
	      {"cgroup_own_open", 0, 1, true}},
	     ALL},
	    {{{"proc_environ_get", EAGAIN, 1, true},
	      {"clock_gettime", 1, 40, true},
	      {"cgroup_own_open", 0, 1, true}},
	     1U << 5 | 1U << 7},
	    {{{"proc_environ_get", EAGAIN, 1, true}, {"cgroup_own_open", 0, 1, true}}, 1U << 5},
	    {{{"clock_gettime", 1, 20, true}}, 1U << 1 | 1U << 10},
	    {{{"clock_gettime", 6, 4, false}, {"fstat64", EIO, 1, false}}, 1U | 1U << 7},
	    {{{"clock_gettime", 6, 4, false}, {"fstat64", EIO, 2, false}}, 1U | 1U << 7},
	    {{{"cgroup_make", EACCES, 1, false}}, ALL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t count = 0;

		while (count < FAULTS_MAX && rows[i].faults[count].call)
			count++;
		(void)run_faulty(rows[i].faults, count, rows[i].set);
	}
}

/* S8.6: a keeper that found other limits and another rank than usual gives its commands those. */
static void s8_6_limits_and_rank_of_before_are_kept(void **state)
{
	struct world world;
	struct rlimit files, now;

	(void)state;
	world_make(&world);
	temp_dir_write(&world.dir, "ranked", "", 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	now = files;
	now.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, 1U << 2), &world.err);
	assert_sound(&world, 1U << 2);
	for (unsigned nth = 1; nth < 4; nth++) {
		const struct fault fault = {"setrlimit64", EPERM, nth, false};

		(void)run_faulty(&fault, 1, 1U);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	world_drop(&world);
}

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

/* Until something of it runs. */
static void ran_await(struct world *world)
{
	for (int i = 0; i < PATIENCE_MS && !temp_dir_has(&world->dir, "ran"); i++)
		(void)poll(NULL, 0, 1);
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
	    {{"clock_gettime", 6, 3, true}},
	    {{"clock_gettime", 4, 5, true}},
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
			faulty_plan(rows[i], rows[i][0].call ? 1 : 0);
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
	    .mark = STR(MARK), .run_id = STR("r1"), .keeper_path = "keeper"};
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
	assert_ok(client_new(link, STR(MARK), 1, &world.client, &world.err), &world.err);
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

	for (int i = 0; i < 200 && got >= 0; i++) {
		got = socket_receive(fd, bytes, sizeof(bytes));
		if (got == 0)
			socket_wait(fd, 10000000);
	}
	return got < 0;
}

static void s8_2_whoever_says_something_else_is_let_go_and_the_rest_goes_on(void **state)
{
	AUTO(buf_fini) struct buf old = BUF_INIT;
	AUTO(buf_fini) struct buf noise = BUF_INIT;
	struct exec_token token = token_of(&jobs[0]);
	struct world world;
	int fds[HOST_CONNS + 2];
	int fd;

	(void)state;
	world_make(&world);
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

/* A keeper that was started again reads what the one before has written. */
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

/* What whoever started the keeper may have set: first to be killed, a minute of processor time. */
static void rank(void)
{
	const struct rlimit minute = {60, 60};
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)!write(fd, "700", 3);
	(void)close(fd);
	(void)setrlimit(RLIMIT_CPU, &minute);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s8_2_each_command_has_one_end),
	    cmocka_unit_test(d16_a_call_of_the_keeper_that_fails_costs_one_report_at_most),
	    cmocka_unit_test(a_keeper_that_cannot_see_trees_or_its_directory_still_ends),
	    cmocka_unit_test(s8_6_limits_and_rank_of_before_are_kept),
	    cmocka_unit_test(s8_3_an_engine_whose_call_fails_is_told_and_another_one_goes_on),
	    cmocka_unit_test(s8_5_what_a_killed_keeper_leaves_is_swept),
	    cmocka_unit_test(a_link_has_an_absolute_keeper_or_none),
	    cmocka_unit_test(the_number_in_a_lock_is_believed_while_it_is_held),
	    cmocka_unit_test(a_keeper_that_is_called_by_hand_says_no),
	    cmocka_unit_test(nothing_is_kept_of_what_is_over),
	    cmocka_unit_test(s8_2_whoever_says_something_else_is_let_go_and_the_rest_goes_on),
	    cmocka_unit_test(s8_3_a_second_keeper_starts_nothing_again),
	};
	ssize_t len;

	if (strcmp(argv[0], KEEPER_NAME) == 0) {
		int status;

		if (faccessat(HOST_FD_DIR, "ranked", F_OK, 0) == 0)
			rank();
		faulty_read(HOST_FD_DIR);
		status = keeper_main(argc, argv);
		if (faulty_fired())
			(void)close(openat(HOST_FD_DIR, "fired", O_WRONLY | O_CREAT, 0600));
		return status;
	}
	if (argc != 2)
		return 1;
	keeper_path = argv[1];
	len = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
	if (len <= 0)
		return 1;
	own_path[len] = '\0';
	return cmocka_run_group_tests(tests, NULL, NULL);
}
