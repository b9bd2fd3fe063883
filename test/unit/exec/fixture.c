/* fixture.c - see fixture.h */
#include "fixture.h"

#include "keeper/link_os.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *keeper_path;
char *start_argv[4];

int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void nap(int ms)
{
	(void)usleep((useconds_t)ms * 1000);
}

int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	const char *base = getenv("TMPDIR");

	if (!base || strlen(base) > 30) /* the path is short */
		base = "/tmp";
	(void)snprintf(place->path, sizeof(place->path), "%s/sluice-keeper-test-XXXXXX", base);
	if (!mkdtemp(place->path))
		return -1;
	place->dir = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = place;
	return place->dir < 0 ? -1 : 0;
}

int place_remove(void **state)
{
	struct place *place = *state;
	char command[128];
	int keeper = keeper_pid(place);

	engine_close(place);
	if (keeper && !wait_gone(keeper))
		(void)kill(keeper, SIGKILL);
	(void)close(place->dir);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", place->path);
	if (system(command) != 0)
		return -1;
	free(place);
	return 0;
}

void engine_open(struct place *place, uint64_t epoch)
{
	struct exec_command_options options = {.run_dir = place->dir,
					       .run_id = STR(RUN_ID),
					       .epoch = epoch,
					       .keeper_path = keeper_path};

	assert_int_equal(exec_command_open(&options, &place->exec, &place->err), ERR_OK);
	place->is_open = true;
}

void engine_close(struct place *place)
{
	if (place->is_open)
		place->exec.ops->close(place->exec.self);
	place->is_open = false;
}

struct exec_token token_of(const char *path)
{
	return (struct exec_token){.path = str_of(path), .role = EXEC_ROLE_RUN};
}

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

struct exec_start start_of(const char *path, const char *script)
{
	char **argv = start_argv;
	static char *envp[3];
	static char log[256];

	argv[0] = text("sh");
	argv[1] = text("-c");
	argv[2] = text(script);
	envp[0] = text("PATH=/usr/local/bin:/usr/bin:/bin");
	envp[1] = text("SLUICE_RUN_ID=" RUN_ID);
	(void)snprintf(log, sizeof(log), "%s.0.log", path);
	return (struct exec_start){
	    .token = token_of(path),
	    .argv = argv,
	    .envp = envp,
	    .cwd = "/tmp",
	    .log = log,
	    .grace_ns = INT64_C(1000000000),
	    .output_limit_bytes = (uint64_t)1 << 30,
	};
}

void start(struct place *place, const struct exec_start *what)
{
	if (place->exec.ops->start(place->exec.self, what, &place->err) != ERR_OK)
		fail_msg("%s", place->err.text);
}

void cancel(struct place *place, const char *path, bool now)
{
	struct exec_token token = token_of(path);

	assert_int_equal(place->exec.ops->cancel(place->exec.self, &token, now, &place->err),
			 ERR_OK);
}

static bool report_get(struct place *place, int timeout_ms, struct exec_report *report)
{
	int64_t end_ms = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd ready = {.fd = place->exec.ops->fd(place->exec.self),
				       .events = POLLIN};
		int64_t left_ms = end_ms - now_ms();

		if (place->exec.ops->next(place->exec.self, report))
			return true;
		if (left_ms < 0 || poll(&ready, 1, (int)left_ms) == 0)
			return false;
		if (place->exec.ops->pump(place->exec.self, &place->err) != ERR_OK)
			fail_msg("%s", place->err.text);
	}
}

bool has_report(struct place *place, int timeout_ms)
{
	struct exec_report report;

	return report_get(place, timeout_ms, &report);
}

struct exec_report wait_report(struct place *place)
{
	struct exec_report report;

	if (!report_get(place, PATIENCE_MS, &report))
		fail_msg("no report came");
	return report;
}

struct exec_report wait_end(struct place *place)
{
	struct exec_report report;

	do {
		report = wait_report(place);
	} while (report.kind == EXEC_STARTED);
	return report;
}

struct exec_report run(struct place *place, const char *path, const char *script)
{
	struct exec_start what = start_of(path, script);

	start(place, &what);
	return wait_end(place);
}

const char *log_text(struct place *place, const char *path)
{
	static char content[1 << 20];
	char name[300];
	int fd;
	ssize_t len;

	(void)snprintf(name, sizeof(name), "logs/%s.0.log", path);
	fd = openat(place->dir, name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	len = read(fd, content, sizeof(content) - 1);
	assert_true(len >= 0);
	content[len] = '\0';
	(void)close(fd);
	return content;
}

void log_await(struct place *place, const char *path, const char *text)
{
	int64_t end_ms = now_ms() + PATIENCE_MS;

	while (strcmp(log_text(place, path), text) != 0 && now_ms() < end_ms)
		nap(5);
	assert_string_equal(log_text(place, path), text);
}

int pid_await(struct place *place, const char *name)
{
	int64_t end_ms = now_ms() + PATIENCE_MS;
	char path[128];
	int pid = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", place->path, name);
	while (pid == 0 && now_ms() < end_ms) {
		FILE *file = fopen(path, "re");

		if (file && fscanf(file, "%d", &pid) != 1)
			pid = 0;
		if (file)
			(void)fclose(file);
		if (!pid)
			nap(5);
	}
	assert_true(pid > 0);
	return pid;
}

void file_make(struct place *place, const char *name)
{
	int fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	(void)close(fd);
}

int keeper_pid(struct place *place)
{
	int32_t pid;

	assert_int_equal(link_os_keeper_pid(place->dir, &pid, &place->err), ERR_OK);
	return pid;
}

bool is_alive(int pid)
{
	char path[32];
	unsigned long pages = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages > 0; /* what has begun to end has no memory */
}

bool wait_gone(int pid)
{
	int64_t end_ms = now_ms() + PATIENCE_MS;

	while (is_alive(pid) && now_ms() < end_ms)
		nap(2);
	return !is_alive(pid);
}
