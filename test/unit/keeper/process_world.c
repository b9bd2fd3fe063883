/* process_world.c - see process_world.h */
#include "process_world.h"

#include "base/mem.h"
#include "keeper/host.h"
#include "keeper/token_table.h"
#include "sys/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int keeper_main(int argc, char **argv);

static char own_path[512];
const char *keeper_path;
char own_mark[32];

const struct job jobs[JOBS] = {
    {"plain", 0, "exit 3"},
    {"pumped", IS_PUMPED, "echo a secret; echo secret >&2; sleep .03"},
    {"reads", HAS_TEXT | IS_LIMITED, "cat >/dev/null"},
    {"hand", HAS_HAND, ":"},
    {"rest", 0, "sleep .02 & exit 0"},
    {"hides", 0, "env -u SLUICE_TOKEN setsid sleep .02 & exit 0"},
    {"leaves", LEAVES, "sleep .02 & exit 0"},
    {"long", IS_CANCELLED, "exec sleep 60"},
    {"stubborn", IS_CANCELLED,
     "trap '' TERM; : >deaf; setsid sh -c 'env -u SLUICE_TOKEN sleep 5; :'; sleep 60"},
    {"none", IS_ABSENT, ""},
    {"loud", IS_PUMPED | IS_BOUND, "head -c 1500000 /dev/zero; exit 0"},
    {"folder", HAS_HAND | IS_FOLDER, ":"},
    {"pipe", HAS_HAND | IS_PIPE, ":"},
    {"foreign", 0, "SLUICE_TOKEN=of/another setsid sleep .03 & sleep .01; exit 0"},
    {"family", IS_CANCELLED, "env -u SLUICE_TOKEN setsid sh -c 'sleep 5; :' & exec sleep 60"},
    {"dumps", 0, "ulimit -c 1; kill -SEGV $$"},
    {"left", LEAVES | IS_CANCELLED, "(trap '' TERM; sleep .05; sleep .05) & exec sleep 60"},
    {"lingers", 0, "env -u SLUICE_TOKEN setsid sleep 2 & exit 0"},
    {"killed", 0, "kill -KILL $$"},
    {"slow", 0, "exec sleep 2"},
};

struct exec_token token_of(const struct job *job)
{
	return (struct exec_token){.path = str_of(job->path), .role = EXEC_ROLE_RUN};
}

enum err_code client_open(struct world *world)
{
	struct link_os_options options = {.run_dir = world->dir.fd,
					  .mark = str_of(own_mark),
					  .run_id = STR("r1"),
					  .keeper_path = own_path};
	struct keeper_link link;

	if (link_os_open(&options, &link, &world->err) != ERR_OK)
		return world->err.code;
	return client_new(link, str_of(own_mark), ++world->epoch, &world->client, &world->err);
}

void world_make(struct world *world)
{
	*world = (struct world){.err = ERR_INIT};
	temp_dir_make(&world->dir);
	temp_dir_write(&world->dir, "hand", "x", 1);
	assert_int_equal(mkdirat(world->dir.fd, "box", 0700), 0);
	assert_int_equal(mkfifoat(world->dir.fd, "pipe", 0600), 0);
}

void keeper_await(struct world *world)
{
	struct err err = ERR_INIT;
	bool is_ours = false;

	for (int i = 0; i < PATIENCE_MS && !is_ours; i++) {
		int fd = openat(world->dir.fd, KEEPER_LOCK_FILE, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			return; /* there never was one */
		err_reset(&err);
		is_ours = vfs_lock(&vfs_os, fd, &err) == ERR_OK;
		(void)close(fd);
		if (!is_ours)
			(void)poll(NULL, 0, 1);
	}
	assert_true(is_ours);
}

void world_drop(struct world *world)
{
	client_free(world->client);
	world->client = NULL;
	keeper_await(world);
	temp_dir_remove(&world->dir);
}

enum err_code job_start(struct world *world, const struct job *job)
{
	static const struct str masks[] = {{"secret", 6}};
	const char *const hands[] = {job->traits & IS_FOLDER ? "box"
				     : job->traits & IS_PIPE ? "pipe"
							     : "hand"};
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
		start.timeout_ns = INT64_MAX - 1;
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
	for (size_t i = 0; i < JOBS; i++) {
		if (report->kind == EXEC_STARTED || !str_is(report->token.path, jobs[i].path))
			continue;
		world->ends[i]++;
		world->end[i] = *report;
	}
}

static bool is_over(const struct world *world, unsigned set)
{
	for (size_t i = 0; i < JOBS; i++) {
		if ((set & 1U << i) && !world->ends[i])
			return false;
	}
	return true;
}

/* Until each of the set has ended, or the client says why not. What is to be cancelled is told so
 * again and again: a connection that breaks may swallow it. */
enum err_code carry(struct world *world, unsigned set)
{
	struct pollfd fd = {client_fd(world->client), POLLIN, 0};
	struct exec_report report;

	for (int round = 0; round < PATIENCE_MS / 20; round++) {
		for (size_t i = 0; i < JOBS; i++) {
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

enum err_code jobs_run(struct world *world, unsigned set)
{
	for (size_t i = 0; i < JOBS; i++) {
		if ((set & 1U << i) && job_start(world, &jobs[i]) != ERR_OK)
			return world->err.code;
	}
	return carry(world, set);
}

/* Another engine, on a machine where nothing fails, asks for all that have no end. */
void jobs_recover(struct world *world, unsigned set)
{
	struct exec_token tokens[JOBS];
	bool same_boot[JOBS];
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
	for (size_t i = 0; i < JOBS; i++) {
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

void assert_sound(struct world *world, unsigned set)
{
	AUTO(buf_fini) struct buf ran = BUF_INIT;
	AUTO(buf_fini) struct buf log = BUF_INIT;

	if (temp_dir_has(&world->dir, "ran"))
		temp_dir_read(&world->dir, "ran", &ran);
	buf_byte(&ran, '\0');
	for (size_t i = 0; i < JOBS; i++) {
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

/* What whoever started the keeper may have set: first to be killed, a minute of processor time. */
static void rank(void)
{
	const struct rlimit minute = {60, 60};
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)!write(fd, "700", 3);
	(void)close(fd);
	(void)setrlimit(RLIMIT_CPU, &minute);
}

int process_main(int argc, char **argv, int (*tests)(void))
{
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
	(void)snprintf(own_mark, sizeof(own_mark), "test-%d", (int)getpid());
	return tests();
}
