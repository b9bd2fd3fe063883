/* keeper_bench.c - commands a second through exec/command and a real keeper, beside the floor: a
 * program that makes a log file, starts the command and waits for it, and nothing else.
 *
 *   keeper_bench KEEPER [COMMANDS]        prints a table; rounds of both are interleaved */
#include "base/mem.h"
#include "exec/command.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 21

static char *const argv_true[] = {(char *)(uintptr_t) "/bin/true", NULL};
static char *const envp_plain[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL};

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void die_err(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

/* --- the floor --- */

static void floor_one(int logs, int null, unsigned i)
{
	char name[64];
	struct spawn_plan plan = {.path = argv_true[0],
				  .argv = argv_true,
				  .envp = envp_plain,
				  .cgroup_fd = -1,
				  .fds_count = 3,
				  .resets_signals = false};
	int32_t pid;
	int log;

	(void)snprintf(name, sizeof(name), "s%u.0.log", i);
	log = openat(logs, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		die("log");
	plan.fds = (int[]){null, log, log};
	errno = spawn_start(&plan, &pid);
	if (errno)
		die("spawn");
	(void)close(log);
}

static double floor_run(int dir, unsigned commands, unsigned parallel)
{
	double from = now();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned started = 0;
	int logs;

	(void)mkdirat(dir, "logs", 0700);
	logs = openat(dir, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned ended = 0; ended < commands;) {
		while (started < commands && started - ended < parallel)
			floor_one(logs, null, started++);
		if (wait(NULL) > 0)
			ended++;
	}
	(void)close(null);
	(void)close(logs);
	return (double)commands / (now() - from);
}

/* --- through the keeper --- */

static void start_one(const struct exec *exec, unsigned i)
{
	char path[32];
	char log[64];
	struct err err = ERR_INIT;
	struct exec_start start = {
	    .token = {.role = EXEC_ROLE_RUN},
	    .argv = argv_true,
	    .envp = envp_plain,
	    .cwd = "/",
	    .log = log,
	    .grace_ns = INT64_C(10000000000),
	    .output_limit_bytes = (uint64_t)1 << 30,
	};

	(void)snprintf(path, sizeof(path), "s%u", i);
	(void)snprintf(log, sizeof(log), "s%u.0.log", i);
	start.token.path = str_of(path);
	if (exec->ops->start(exec->self, &start, &err) != ERR_OK)
		die_err(&err);
}

static unsigned ends_take(const struct exec *exec)
{
	struct err err = ERR_INIT;
	struct exec_report report;
	unsigned ends = 0;

	if (exec->ops->pump(exec->self, &err) != ERR_OK)
		die_err(&err);
	while (exec->ops->next(exec->self, &report)) {
		if (report.kind == EXEC_STARTED)
			continue;
		if (report.kind != EXEC_ENDED || report.exit_code != 0) {
			fprintf(stderr, "report %d errno %d\n", report.kind, report.errno_value);
			exit(1);
		}
		ends++;
	}
	return ends;
}

static double keeper_run(int dir, const char *keeper, unsigned commands, unsigned parallel)
{
	struct exec_command_options options = {
	    .run_dir = dir, .run_id = STR("bench"), .epoch = 1, .keeper_path = keeper};
	struct err err = ERR_INIT;
	struct exec exec;
	unsigned started = 0;
	double from = now();
	double took;

	if (exec_command_open(&options, &exec, &err) != ERR_OK)
		die_err(&err);
	for (unsigned ended = 0; ended < commands;) {
		struct pollfd ready = {.fd = exec.ops->fd(exec.self), .events = POLLIN};

		while (started < commands && started - ended < parallel)
			start_one(&exec, started++);
		if (poll(&ready, 1, 10000) != 1)
			die("nothing happens");
		ended += ends_take(&exec);
	}
	took = now() - from;
	exec.ops->close(exec.self);
	return (double)commands / took;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

static int dir_make(char *path)
{
	int dir;

	(void)snprintf(path, 64, "/tmp/keeper-bench-XXXXXX");
	if (!mkdtemp(path))
		die("mkdtemp");
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(path);
	return dir;
}

static void dir_remove(const char *path)
{
	char *const argv[] = {(char *)(uintptr_t) "/bin/rm", (char *)(uintptr_t) "-rf",
			      (char *)(uintptr_t)path, NULL};
	struct spawn_plan plan = {.path = argv[0],
				  .argv = argv,
				  .envp = envp_plain,
				  .cgroup_fd = -1,
				  .fds = (int[]){0, 1, 2},
				  .fds_count = 3};
	int32_t pid;

	if (spawn_start(&plan, &pid) == 0)
		(void)waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	static const unsigned widths[] = {1, 2, 8};
	unsigned commands = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200;

	if (argc < 2 || commands == 0) {
		fprintf(stderr, "usage: keeper_bench KEEPER [COMMANDS]\n");
		return 2;
	}
	printf("%8s %12s %12s %8s %14s\n", "parallel", "floor/s", "keeper/s", "ratio",
	       "us more each");
	for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
		double floors[ROUNDS];
		double keepers[ROUNDS];
		double ratios[ROUNDS];

		for (int i = 0; i < ROUNDS; i++) {
			char path[64];
			int dir = dir_make(path);

			floors[i] = floor_run(dir, commands, widths[w]);
			(void)close(dir);
			dir_remove(path);
			dir = dir_make(path);
			keepers[i] = keeper_run(dir, argv[1], commands, widths[w]);
			(void)close(dir);
			dir_remove(path);
		}
		for (int i = 0; i < ROUNDS; i++)
			ratios[i] = floors[i] / keepers[i];
		qsort(ratios, ROUNDS, sizeof(ratios[0]), by_value);
		qsort(floors, ROUNDS, sizeof(floors[0]), by_value);
		qsort(keepers, ROUNDS, sizeof(keepers[0]), by_value);
		printf("%8u %12.0f %12.0f %8.3f %14.1f\n", widths[w], floors[ROUNDS / 2],
		       keepers[ROUNDS / 2], ratios[ROUNDS / 2],
		       1e6 / keepers[ROUNDS / 2] - 1e6 / floors[ROUNDS / 2]);
	}
	return 0;
}
