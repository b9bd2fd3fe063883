/* judge.c - what the program's own readers say of a log that it is given, thousands of times a
 * second.
 *
 * judge fold|lines RUN_DIR, then on stdin one case after another: 4 bytes, how long
 * (little-endian), and the log. Each is read as events.jsonl of RUN_DIR, twice: by who would go on
 * with it, with the witness that lies in RUN_DIR, and by who would view it. `fold` also makes the
 * state of the run, `lines` only verifies. For each case a line on stdout, with tabs between:
 *
 *   exit status of the writer, changes that it tried, its text,
 *   exit status of the reader, how the log ends, number of the last good line, its text
 *
 * Nothing is ever written: a change is counted and refused. The test that drives this decides what
 * is right (judging.py). */
#include "base/mem.h"
#include "rundir/fold.h"
#include "store/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The system's files, but for one: the log is what was given. */
struct given {
	struct vfs_ops ops;
	const struct vfs_ops *real;
	char *bytes;
	size_t len;
	int log_fd[2]; /* -1 = not open */
	int copy_fd;   /* of a log that is written anew, -1 = none is */
	size_t copied; /* bytes of it */
	unsigned changes;
	struct checkpoint_mark mark;
	char h_at_mark[LOG_H_BYTES + 1];
};

static bool is_log(const struct given *given, int fd)
{
	return fd == given->log_fd[0] || fd == given->log_fd[1];
}

static int refuse(void *self)
{
	((struct given *)self)->changes++;
	return -EROFS;
}

static int on_open(void *self, int dir, const char *path, enum vfs_mode mode)
{
	struct given *given = self;
	int fd;

	if (mode == VFS_NEW && strcmp(path, LOG_COPY_FILE) == 0) {
		given->copied = 0;
		return given->copy_fd = given->real->open(NULL, dir, LOG_FILE, VFS_READ);
	}
	if (mode == VFS_NEW || mode == VFS_CREATE || mode == VFS_CREATE_APPEND)
		return refuse(self);
	fd = given->real->open(NULL, dir, path, mode == VFS_DIR ? VFS_DIR : VFS_READ);
	if (strcmp(path, LOG_FILE) == 0 && fd >= 0)
		given->log_fd[given->log_fd[0] >= 0] = fd;
	return fd;
}

static int on_close(void *self, int fd)
{
	struct given *given = self;

	for (size_t i = 0; i < ARRAY_LEN(given->log_fd); i++) {
		if (given->log_fd[i] == fd)
			given->log_fd[i] = -1;
	}
	if (given->copy_fd == fd)
		given->copy_fd = -1;
	return given->real->close(NULL, fd);
}

static ssize_t on_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	struct given *given = self;

	if (!is_log(given, fd))
		return given->real->read(NULL, fd, bytes, len, offset);
	if (offset >= given->len)
		return 0;
	len = len < given->len - offset ? len : given->len - (size_t)offset;
	memcpy(bytes, given->bytes + offset, len);
	return (ssize_t)len;
}

static int on_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	struct given *given = self;
	int answer = given->real->stat(NULL, fd, ret_stat);

	if (answer == 0 && is_log(given, fd))
		ret_stat->size_bytes = given->len;
	return answer;
}

/* The same bytes in a new file, so that a sync is a proof of them, change nothing (D17). */
static ssize_t on_write(void *self, int fd, const void *bytes, size_t len)
{
	struct given *given = self;

	if (fd >= 0 && fd == given->copy_fd && len <= given->len - given->copied &&
	    memcmp(given->bytes + given->copied, bytes, len) == 0) {
		given->copied += len;
		return (ssize_t)len;
	}
	return refuse(self);
}

static ssize_t on_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	(void)fd, (void)bytes, (void)len, (void)offset;
	return refuse(self);
}

static int on_sync(void *self, int fd)
{
	(void)self, (void)fd;
	return 0;
}

static int on_truncate(void *self, int fd, uint64_t size)
{
	(void)fd, (void)size;
	return refuse(self);
}

static int on_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	struct given *given = self;

	(void)dir, (void)to_dir, (void)to;
	if (strcmp(from, LOG_COPY_FILE) == 0 && given->copied == given->len)
		return 0;
	return refuse(self);
}

static int on_name(void *self, int dir, const char *path)
{
	(void)dir, (void)path;
	return refuse(self);
}

static void given_init(struct given *given)
{
	const struct vfs_ops *real = vfs_os.ops;

	*given = (struct given){.ops = *real, .real = real, .log_fd = {-1, -1}, .copy_fd = -1};
	given->ops.open = on_open;
	given->ops.close = on_close;
	given->ops.read = on_read;
	given->ops.write = on_write;
	given->ops.write_at = on_write_at;
	given->ops.sync = on_sync;
	given->ops.sync_data = on_sync;
	given->ops.truncate = on_truncate;
	given->ops.stat = on_stat;
	given->ops.rename = on_rename;
	given->ops.rename_new = on_rename;
	given->ops.unlink = on_name;
	given->ops.make_dir = on_name;
}

static enum err_code on_line(void *arg, const struct event *event, struct str line, struct err *err)
{
	struct given *given = arg;

	(void)err;
	if (event->seq == given->mark.seq)
		log_line_h(line, given->h_at_mark);
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	(void)state;
	return on_line(arg, event, line, err);
}

static enum err_code on_end(void *arg, const struct log_head *head, struct err *err)
{
	struct given *given = arg;

	return checkpoint_check(&given->mark, head,
				given->h_at_mark[0] ? str_of(given->h_at_mark) : STR_NONE, err);
}

static const char *end_name(enum log_end end)
{
	static const char *const names[] = {
	    [LOG_END_WHOLE] = "whole",
	    [LOG_END_TORN] = "torn",
	    [LOG_END_DAMAGED] = "damaged",
	    [LOG_END_NEWER] = "newer",
	};
	return names[end];
}

/* Tabs and newlines are the judge's own. */
static void put_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 ? '?' : *text);
}

static void put_reader(int status, const char *end, uint64_t seq, const char *text)
{
	printf("\t%d\t%s\t%llu\t", status, end, (unsigned long long)seq);
	put_text(text);
	putchar('\n');
}

static void put_writer(int status, unsigned changes, const char *text)
{
	printf("%d\t%u\t", status, changes);
	put_text(text);
}

struct mode {
	const char *name;
	void (*judge_writer)(struct given *given, const struct rundir *run);
	void (*judge_reader)(const struct rundir *run);
};

static struct limits limits;

static void fold_writer(struct given *given, const struct rundir *run)
{
	struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;
	struct log *log = NULL;
	struct log_torn torn;
	enum err_code code =
	    fold_open(run, &limits, on_event, on_end, given, &fold, &log, &torn, &err);

	put_writer(err_exit_status(code), given->changes, err.text);
	if (code == ERR_OK) {
		log_close(log);
		fold_fini(&fold);
	}
}

static void fold_reader(const struct rundir *run)
{
	struct fold_run fold = {.model = NULL};
	struct err err = ERR_INIT;
	enum err_code code = fold_read(run, &limits, NULL, NULL, &fold, &err);

	if (code != ERR_OK) {
		put_reader(err_exit_status(code), "none", 0, err.text);
		return;
	}
	put_reader(0, end_name(fold.reading.end), fold.reading.head.seq, fold.reading.problem.text);
	fold_fini(&fold);
}

static void lines_writer(struct given *given, const struct rundir *run)
{
	struct err err = ERR_INIT;
	struct log *log = NULL;
	struct log_torn torn;
	enum err_code code = log_open(rundir_vfs(run), rundir_fd(run), rundir_id(run), &limits,
				      on_line, on_end, given, &log, &torn, &err);

	put_writer(err_exit_status(code), given->changes, err.text);
	if (code == ERR_OK)
		log_close(log);
}

static void lines_reader(const struct rundir *run)
{
	struct log_reading reading;
	struct err err = ERR_INIT;
	enum err_code code =
	    log_read(rundir_vfs(run), rundir_fd(run), &limits, 0, NULL, NULL, &reading, &err);

	if (code == ERR_OK && reading.end == LOG_END_DAMAGED && reading.head.seq == 0) {
		err = reading.problem; /* as every reader of runs answers */
		code = err.code;
	}
	if (code != ERR_OK)
		put_reader(err_exit_status(code), "none", 0, err.text);
	else
		put_reader(0, end_name(reading.end), reading.head.seq, reading.problem.text);
}

static const struct mode modes[] = {
    {"fold", fold_writer, fold_reader},
    {"lines", lines_writer, lines_reader},
};

static void judge(struct given *given, const struct vfs *vfs, const struct mode *mode,
		  const char *path)
{
	AUTO(rundir_drop) struct rundir *run = NULL;
	struct err err = ERR_INIT;

	given->changes = 0;
	given->h_at_mark[0] = '\0';
	if (rundir_open(vfs, path, &run, &err) != ERR_OK) {
		put_writer(err_exit_status(err.code), 0, err.text);
		put_reader(err_exit_status(err.code), "none", 0, err.text);
		return;
	}
	mode->judge_writer(given, run);
	mode->judge_reader(run);
}

/* The next case; false at the end of stdin. */
static bool given_next(struct given *given)
{
	unsigned char size[4];
	char *grown;

	if (fread(size, 1, sizeof(size), stdin) != sizeof(size))
		return false;
	given->len =
	    (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
	grown = mem_resize(given->bytes, given->len + 1, 1);
	if (!grown)
		return false;
	given->bytes = grown;
	return fread(given->bytes, 1, given->len, stdin) == given->len;
}

int main(int argc, char **argv)
{
	struct given given;
	struct vfs vfs = {.ops = &given.ops, .self = &given};
	const struct mode *mode = NULL;
	struct err err = ERR_INIT;
	struct rundir *dir = NULL;

	for (size_t i = 0; argc == 3 && i < ARRAY_LEN(modes); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			mode = &modes[i];
	}
	if (!mode) {
		fprintf(stderr, "usage: judge fold|lines RUN_DIR <CASES\n");
		return 2;
	}
	limits_default(&limits);
	given_init(&given);
	/* By its first line: that of the log as it is on the disk. */
	if (rundir_open(&vfs_os, argv[2], &dir, &err) != ERR_OK) {
		fprintf(stderr, "judge: %s\n", err.text);
		return 1;
	}
	checkpoint_mark_read(&vfs_os, rundir_fd(dir), rundir_id(dir), &given.mark);
	rundir_drop(&dir);
	while (given_next(&given))
		judge(&given, &vfs, mode, argv[2]);
	mem_free(given.bytes);
	return fflush(stdout) != 0 || ferror(stdout) ? 1 : 0;
}
