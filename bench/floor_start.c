/* floor_start.c - floor of P8: make and sync what a run of one step makes and syncs, run the step.
 *
 *   floor_start      in an empty working directory
 *
 * The run directory is built under a temporary name: the definition as written and as frozen, and
 * the log with its first line, each synced; then the directory, the rename, its parent. Two commits
 * follow: before the program starts, and after it ended. The records of the process are written,
 * not synced; so is what is put down at the end: the line of the list of runs, the audit trail and
 * the checkpoint under its own name. Sockets and groups of processes are not made. */
#include "floor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFINITION_BYTES 128
#define FROZEN_BYTES     512
#define RECORD_BYTES     256
#define PROJECTION_BYTES 320

static int folder_open(int dir, const char *name)
{
	int fd;

	if (mkdirat(dir, name, 0700) < 0)
		floor_die(name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		floor_die(name);
	return fd;
}

static void sync_fd(int fd)
{
	if (fsync(fd) < 0)
		floor_die("fsync");
}

static void file_synced(int dir, const char *name, size_t bytes)
{
	char text[FROZEN_BYTES];
	int fd = floor_create(dir, name);

	memset(text, 'x', sizeof(text));
	floor_write(fd, text, bytes);
	sync_fd(fd);
	(void)close(fd);
}

static void file_unsynced(int dir, const char *name)
{
	char text[PROJECTION_BYTES];
	int fd = floor_create(dir, name);

	memset(text, 'x', sizeof(text));
	floor_write(fd, text, sizeof(text));
	(void)close(fd);
}

int main(void)
{
	char record[RECORD_BYTES] = {0};
	int runs = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runs < 0)
		floor_die("open");
	int run = folder_open(runs, ".new-1");

	/* born whole */
	file_synced(run, "pipeline.yaml", DEFINITION_BYTES);
	file_synced(run, "pipeline.json", FROZEN_BYTES);
	int lock = floor_create(run, "run.lock");
	int events = floor_create(run, "events.jsonl");
	floor_lines(events, 1, true);
	sync_fd(run);
	if (renameat(runs, ".new-1", runs, "1") < 0)
		floor_die("rename");
	sync_fd(runs);
	floor_write(lock, record, sizeof(record));

	/* two state changes and step.started; the step; step.succeeded, a state change,
	 * run.completed */
	int keeper_lock = floor_create(run, "keeper.lock");
	int attempts = floor_create(run, "attempts.log");
	int logs = folder_open(run, "logs");
	(void)close(folder_open(run, "out"));
	floor_lines(events, 3, true);
	floor_write(attempts, record, sizeof(record));
	pid_t pid = floor_step(logs, 0);
	floor_write(attempts, record, sizeof(record));
	(void)floor_wait(pid, true);
	floor_write(attempts, record, sizeof(record));
	floor_lines(events, 3, true);
	(void)close(keeper_lock);

	file_unsynced(runs, "runs.jsonl");
	file_unsynced(run, "audit.jsonl");
	file_unsynced(run, "checkpoint.json.new");
	if (renameat(run, "checkpoint.json.new", run, "checkpoint.json") < 0)
		floor_die("rename");
	return 0;
}
