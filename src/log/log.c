/* log.c - the writer of an event log: see log.h */
#include "log/log.h"

#include "base/json.h"
#include "base/mem.h"
#include "log/line.h"
#include "log/read.h"
#include "log/run_lock.h"

#include <stdio.h>
#include <string.h>

#define RUN_ID_BYTES_MAX 128
#define TORN_COPIES_MAX  1000
#define COPY_BYTES       ((size_t)65536)

struct log {
	struct vfs vfs;
	int dir; /* borrowed: where its name is */
	int fd;
	uint64_t line_bytes; /* limits.line_bytes */
	char run_id_text[RUN_ID_BYTES_MAX];
	struct str run_id;
	struct log_head head; /* committed */
	struct log_head tip;  /* with the lines that are only added */
	struct buf pending;
	bool pending_is_old; /* committed, but still readable by followers */
	bool has_unsynced;
	enum err_code failed; /* why it takes no more: FULL, IO, CORRUPT; else OK */
	uint64_t inode;
	uint64_t device;
};

/* ---- the file ---- */

/* A plain file with this one name; anything else was put there by somebody. */
static enum err_code file_check(const struct vfs_stat *stat, struct err *err)
{
	if (!stat->is_file)
		return err_set(err, ERR_CORRUPT, "%s is not a plain file", LOG_FILE);
	if (stat->links != 1)
		return err_set(err, ERR_CORRUPT,
			       "%s has %u names where it should have one: it was removed, replaced "
			       "or linked",
			       LOG_FILE, (unsigned)stat->links);
	return ERR_OK;
}

static enum err_code log_new(const struct vfs *vfs, int dir, int fd, struct str run_id,
			     const struct limits *limits, struct log **ret_log, struct err *err)
{
	struct vfs_stat stat;
	struct log *log;

	if (vfs_stat(vfs, fd, &stat, err) != ERR_OK || file_check(&stat, err) != ERR_OK)
		return err->code;
	log = mem_new(1, sizeof(*log));
	if (!log)
		return mem_err(err);
	log->vfs = *vfs;
	log->dir = dir;
	log->fd = fd;
	log->line_bytes = limits->line_bytes;
	log->inode = stat.inode;
	log->device = stat.device;
	memcpy(log->run_id_text, run_id.ptr, run_id.len);
	log->run_id = str_from(log->run_id_text, run_id.len);
	*ret_log = log;
	return ERR_OK;
}

void log_close(struct log *log)
{
	if (!log)
		return;
	vfs_close(&log->vfs, log->fd);
	buf_fini(&log->pending);
	mem_free(log);
}

void log_drop(struct log **log)
{
	log_close(*log);
	*log = NULL;
}

/* ---- adding ---- */

static enum err_code refuse_failed(const struct log *log, struct err *err)
{
	return err_set(err, log->failed,
		       "the log takes no more after an earlier failure: open it again");
}

/* What a caller could get wrong and a reader would refuse: JSON values with line breaks, or
 * none. */
static enum err_code raws_check(const struct event *event, struct err *err)
{
	uint64_t left = event->has;

	for (; left; left &= left - 1) {
		enum event_field field = (enum event_field)__builtin_ctzll(left);
		struct str value;
		size_t at = 0;

		if (event_field_kind(field) != EVENT_KIND_RAW)
			continue;
		value = event->field[field].text;
		if (!value.ptr || json_scan(value, &at, LINE_RAW_DEPTH_MAX, err) != ERR_OK ||
		    at != value.len || value.ptr[0] == 'n' || str_has(value, '\n'))
			return err_set(err, ERR_USAGE, "'%s' is not a compact JSON value",
				       event_field_name(field));
	}
	return ERR_OK;
}

static enum err_code event_usable(const struct log *log, const struct event *event, struct err *err)
{
	if ((event->type == EVENT_RUN_CREATED) != (log->tip.seq == 0))
		return err_set(err, ERR_USAGE, "run.created is the first event, and only that");
	if (event_check(event, err) != ERR_OK)
		return err_set(err, ERR_USAGE, "event '%.*s' lacks a field or has one too many",
			       STR_ARG(event->type_text));
	return raws_check(event, err);
}

/* The line of `event` behind what is pending, and the tip after it. */
static enum err_code line_put(struct log *log, const struct event *event, struct err *err)
{
	struct log_head next = log->tip;
	size_t from = log->pending.len;
	struct str body;

	log_encode(event, &log->pending);
	if (buf_check(&log->pending, "a batch of events", err) != ERR_OK)
		return err->code;
	body = str_cut(buf_view(&log->pending), from, log->pending.len);
	if (body.len + LINE_END_BYTES > log->line_bytes)
		return err_set(err, ERR_LIMIT, "an event of %zu bytes is over line_bytes=%llu",
			       body.len + LINE_END_BYTES, (unsigned long long)log->line_bytes);
	line_chain_next(body, next.chain);
	line_chain_print(next.chain, next.h);
	next.seq++;
	next.offset_bytes += body.len + LINE_END_BYTES + 1;
	buf_put(&log->pending, ",\"h\":\"", 6);
	buf_put(&log->pending, next.h, LOG_H_BYTES);
	buf_put(&log->pending, "\"}\n", 3);
	if (buf_check(&log->pending, "a batch of events", err) != ERR_OK)
		return err->code;
	log->tip = next;
	return ERR_OK;
}

enum err_code log_add(struct log *log, struct event *event, struct err *err)
{
	uint64_t seq_before = event->seq;
	struct str run_before = event->run_id;
	size_t from;

	if (log->failed != ERR_OK)
		return refuse_failed(log, err);
	if (event_usable(log, event, err) != ERR_OK)
		return err->code;
	if (log->pending_is_old) {
		buf_clear(&log->pending);
		log->pending_is_old = false;
	}
	from = log->pending.len;
	event->seq = log->tip.seq + 1;
	event->run_id = log->run_id;
	if (line_put(log, event, err) == ERR_OK)
		return ERR_OK;
	log->pending.failed = ERR_OK; /* said; earlier lines are whole */
	buf_cut(&log->pending, from);
	event->seq = seq_before;
	event->run_id = run_before;
	return err->code;
}

/* ---- committing ---- */

/* The batch is lost to this writer, and it takes no more. */
static enum err_code give_up(struct log *log, enum err_code code, struct err *err)
{
	log->failed = code;
	log->tip = log->head;
	buf_clear(&log->pending);
	err->code = code;
	return err_while(err, "append to %s", LOG_FILE);
}

/* Nobody else may have touched the file since our last append (S11.2). Asked by its name: a log
 * that was moved aside is found too, and what has the name and our inode is the file that we have
 * open. */
static enum err_code place_check(const struct log *log, struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat_at(&log->vfs, log->dir, LOG_FILE, &stat, err) != ERR_OK) {
		if (err->code == ERR_NOT_FOUND) {
			err->code = ERR_CORRUPT;
			return err_while(err, "it was removed or moved away");
		}
		return err->code;
	}
	if (file_check(&stat, err) != ERR_OK)
		return err->code;
	if (stat.inode != log->inode || stat.device != log->device)
		return err_set(err, ERR_CORRUPT, "it is another file than before");
	if (stat.size_bytes != log->head.offset_bytes)
		return err_set(err, ERR_CORRUPT, "it has %llu bytes where we left %llu",
			       (unsigned long long)stat.size_bytes,
			       (unsigned long long)log->head.offset_bytes);
	return ERR_OK;
}

/* After ENOSPC: back to the end of the last batch, so that what is there is whole. */
static enum err_code cut_back(struct log *log, struct err *err)
{
	struct err later = ERR_INIT;

	if (vfs_truncate(&log->vfs, log->fd, log->head.offset_bytes, &later) == ERR_OK &&
	    vfs_sync_data(&log->vfs, log->fd, &later) == ERR_OK)
		return give_up(log, ERR_FULL, err);
	*err = later;
	return give_up(log, ERR_IO, err);
}

static enum err_code sync_now(struct log *log, struct err *err)
{
	if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK)
		return give_up(log, ERR_IO, err);
	log->has_unsynced = false;
	return ERR_OK;
}

enum err_code log_commit(struct log *log, bool sync, struct err *err)
{
	if (log->failed != ERR_OK)
		return refuse_failed(log, err);
	if (log->tip.seq == log->head.seq)
		return ERR_OK;
	if (place_check(log, err) != ERR_OK)
		return give_up(log, err->code == ERR_CORRUPT ? ERR_CORRUPT : ERR_IO, err);
	if (vfs_write(&log->vfs, log->fd, log->pending.ptr, log->pending.len, err) != ERR_OK)
		return err->code == ERR_FULL ? cut_back(log, err) : give_up(log, ERR_IO, err);
	log->has_unsynced = true;
	if (sync && sync_now(log, err) != ERR_OK)
		return err->code;
	log->head = log->tip;
	log->pending_is_old = true;
	return ERR_OK;
}

enum err_code log_sync(struct log *log, struct err *err)
{
	if (log->failed != ERR_OK)
		return refuse_failed(log, err);
	return log->has_unsynced ? sync_now(log, err) : ERR_OK;
}

const struct log_head *log_head(const struct log *log)
{
	return &log->head;
}

struct str log_pending(const struct log *log)
{
	return log->pending_is_old ? STR("") : buf_view(&log->pending);
}

/* ---- birth ---- */

enum err_code log_create(const struct vfs *vfs, int dir, struct str run_id,
			 const struct limits *limits, struct event *first, struct log **ret_log,
			 struct err *err)
{
	AUTO(log_drop) struct log *log = NULL;
	int fd = -1;

	if (!id_valid(run_id))
		return err_set(err, ERR_USAGE, "'%.*s' is not a run id", STR_ARG(run_id));
	if (vfs_open(vfs, dir, LOG_FILE, VFS_NEW, &fd, err) != ERR_OK)
		return err->code;
	if (log_new(vfs, dir, fd, run_id, limits, &log, err) != ERR_OK) {
		vfs_close(vfs, fd);
		goto undo;
	}
	line_chain_start(log->run_id, log->tip.chain);
	log->head = log->tip;
	if (log_add(log, first, err) != ERR_OK || log_commit(log, true, err) != ERR_OK)
		goto undo;
	*ret_log = TAKE(log, NULL);
	return ERR_OK;

undo:
	(void)vfs->ops->unlink(vfs->self, dir, LOG_FILE); /* best effort: it is no run yet */
	return err->code;
}

/* ---- opening ---- */

/* Digest of `bytes` at `from`, written to `to` on the way unless that is -1. */
static enum err_code tail_copy(const struct vfs *vfs, int fd, uint64_t from, uint64_t bytes, int to,
			       char hex[SHA256_HEX_BYTES + 1], struct err *err)
{
	AUTO(mem_drop) char *room = mem_new(1, COPY_BYTES);
	uint8_t digest[SHA256_BYTES];
	struct sha256 sha;

	if (!room)
		return mem_err(err);
	sha256_start(&sha);
	while (bytes) {
		size_t want = bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES;
		size_t got = 0;

		if (vfs_read(vfs, fd, room, want, from, &got, err) != ERR_OK)
			return err->code;
		if (got != want)
			return err_set(err, ERR_CORRUPT, "%s shrank while it was read", LOG_FILE);
		sha256_add(&sha, room, got);
		if (to >= 0 && vfs_write(vfs, to, room, got, err) != ERR_OK)
			return err->code;
		from += got;
		bytes -= got;
	}
	sha256_end(&sha, digest);
	sha256_hex(digest, hex);
	return ERR_OK;
}

/* Is `name` the evidence already, saved by an open that was cut short after it? */
static enum err_code evidence_is_there(const struct vfs *vfs, int dir, const char *name,
				       const struct log_torn *torn, bool *ret_same, struct err *err)
{
	char hex[SHA256_HEX_BYTES + 1] = "";
	struct vfs_stat stat = {0};
	enum err_code code;
	int fd = -1;

	if (vfs_open(vfs, dir, name, VFS_READ, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_stat(vfs, fd, &stat, err);
	if (code == ERR_OK && stat.size_bytes == torn->bytes) {
		code = tail_copy(vfs, fd, 0, torn->bytes, -1, hex, err);
		if (code == ERR_OK && strcmp(hex, torn->sha256) == 0)
			code = vfs_sync(vfs, fd, err);
	}
	vfs_close(vfs, fd);
	if (code == ERR_OK)
		*ret_same = strcmp(hex, torn->sha256) == 0;
	return code;
}

static enum err_code evidence_write(const struct vfs *vfs, int dir, const char *name, int log_fd,
				    uint64_t offset, struct log_torn *torn, struct err *err)
{
	enum err_code code;
	int fd = -1;

	if (vfs_open(vfs, dir, name, VFS_NEW, &fd, err) != ERR_OK)
		return err->code;
	code = tail_copy(vfs, log_fd, offset, torn->bytes, fd, torn->sha256, err);
	if (code == ERR_OK)
		code = vfs_sync(vfs, fd, err);
	vfs_close(vfs, fd);
	if (code != ERR_OK)
		(void)vfs->ops->unlink(vfs->self, dir, name); /* best effort: half a copy */
	return code;
}

/* Save the torn bytes beside the log, durably. Evidence of an earlier tear is never overwritten. */
static enum err_code evidence_save(const struct vfs *vfs, int dir, int fd, uint64_t offset,
				   struct log_torn *torn, struct err *err)
{
	if (tail_copy(vfs, fd, offset, torn->bytes, -1, torn->sha256, err) != ERR_OK)
		return err->code;
	for (unsigned copy = 0; copy < TORN_COPIES_MAX; copy++) {
		struct err problem = ERR_INIT;
		bool same = false;
		char name[64];

		(void)snprintf(name, sizeof(name),
			       copy ? "events.torn-%llu.%u" : "events.torn-%llu",
			       (unsigned long long)offset, copy);
		if (evidence_write(vfs, dir, name, fd, offset, torn, &problem) == ERR_OK)
			return vfs_sync(vfs, dir, err);
		if (problem.code != ERR_EXISTS) {
			*err = problem;
			return err_while(err, "save the torn end as '%s'", name);
		}
		if (evidence_is_there(vfs, dir, name, torn, &same, err) != ERR_OK)
			return err_while(err, "look at '%s'", name);
		if (same)
			return vfs_sync(vfs, dir, err);
	}
	return err_set(err, ERR_IO, "there are %d files events.torn-%llu already", TORN_COPIES_MAX,
		       (unsigned long long)offset);
}

static enum err_code repair(const struct vfs *vfs, int dir, int fd,
			    const struct log_reading *reading, struct log_torn *torn,
			    struct err *err)
{
	torn->bytes = reading->torn_bytes;
	if (evidence_save(vfs, dir, fd, reading->head.offset_bytes, torn, err) != ERR_OK)
		return err->code;
	return vfs_truncate(vfs, fd, reading->head.offset_bytes, err);
}

struct opening {
	log_visit_fn *visit;
	log_accept_fn *accept;
	void *arg;
	char run_id_text[RUN_ID_BYTES_MAX];
	struct str run_id; /* of run.created */
	bool syncs_always;
};

static enum err_code opening_visit(void *arg, const struct event *event, struct str line,
				   struct err *err)
{
	struct opening *opening = arg;

	if (event->seq == 1) {
		memcpy(opening->run_id_text, event->run_id.ptr, event->run_id.len);
		opening->run_id = str_from(opening->run_id_text, event->run_id.len);
		opening->syncs_always = str_is(event_text(event, EVENT_FIELD_SYNC), "always");
	}
	return opening->visit ? opening->visit(opening->arg, event, line, err) : ERR_OK;
}

/* The first `end` bytes of the log in a new file of its name; *fd is of that one then. A crash
 * leaves the one or the other, and both say the same. */
static enum err_code copy_anew(const struct vfs *vfs, int dir, uint64_t end, int *fd,
			       struct err *err)
{
	char hex[SHA256_HEX_BYTES + 1];
	enum err_code code;
	int copy = -1, again = -1;

	code = vfs_open(vfs, dir, LOG_COPY_FILE, VFS_NEW, &copy, err);
	if (code == ERR_EXISTS) { /* of an open that was cut short */
		err_reset(err);
		if (vfs_unlink(vfs, dir, LOG_COPY_FILE, err) != ERR_OK)
			return err->code;
		code = vfs_open(vfs, dir, LOG_COPY_FILE, VFS_NEW, &copy, err);
	}
	if (code != ERR_OK)
		return code;
	code = tail_copy(vfs, *fd, 0, end, copy, hex, err);
	if (code == ERR_OK)
		code = vfs_sync(vfs, copy, err);
	vfs_close(vfs, copy);
	if (code == ERR_OK)
		code = vfs_rename(vfs, dir, LOG_COPY_FILE, dir, LOG_FILE, err);
	if (code != ERR_OK) {
		(void)vfs->ops->unlink(vfs->self, dir,
				       LOG_COPY_FILE); /* best effort: half a copy */
		return code;
	}
	if (vfs_open(vfs, dir, LOG_FILE, VFS_APPEND, &again, err) != ERR_OK)
		return err->code;
	vfs_close(vfs, *fd);
	*fd = again;
	return ERR_OK;
}

/* After a sync that failed, what it should have written is in the page cache, counts as clean, and
 * the next sync answers 0 without writing it (fsync(2), NOTES; D17). Writing it again in its place
 * is no help: ext4 writes to a block that it still holds for unwritten, and after the next mount
 * there are zeros. So when there are lines that the owner before us has not told to be synced, the
 * log goes to new blocks. A head in run.lock is a proof under `sync: always`: it was written after
 * the sync, and when the power went since, all that was read is on the disk. */
static enum err_code renew(const struct vfs *vfs, int dir, const struct log_head *head,
			   bool syncs_always, int *fd, struct err *err)
{
	struct run_lock_info owner;

	if (run_lock_look(vfs, dir, &owner, err) != ERR_OK)
		return err->code;
	if (syncs_always && owner.synced_offset_bytes == head->offset_bytes)
		return ERR_OK;
	return copy_anew(vfs, dir, head->offset_bytes, fd, err);
}

/* Verify, ask, repair, sync. */
static enum err_code make_sure(const struct vfs *vfs, int dir, struct read_plan *plan,
			       struct log_reading *reading, struct log_torn *torn, struct err *err)
{
	const struct opening *opening = plan->arg;

	if (read_log(plan, reading, err) != ERR_OK)
		return err->code;
	if (reading->end == LOG_END_DAMAGED || reading->end == LOG_END_NEWER) {
		*err = reading->problem;
		return err_while(err, "%s", LOG_FILE);
	}
	if (opening->accept && opening->accept(opening->arg, &reading->head, err) != ERR_OK)
		return err->code;
	if (reading->end == LOG_END_TORN &&
	    repair(vfs, dir, plan->fd, reading, torn, err) != ERR_OK)
		return err->code;
	if (renew(vfs, dir, &reading->head, opening->syncs_always, &plan->fd, err) != ERR_OK)
		return err_while(err, "%s", LOG_FILE);
	/* What was read may be in memory only. A sync that fails here says so, and is the last
	 * word: nothing was decided yet on what was read. */
	if (vfs_sync(vfs, plan->fd, err) != ERR_OK || vfs_sync(vfs, dir, err) != ERR_OK) {
		err->code = ERR_IO;
		return err_while(err, "%s", LOG_FILE);
	}
	return ERR_OK;
}

enum err_code log_open(const struct vfs *vfs, int dir, struct str run_id,
		       const struct limits *limits, log_visit_fn *visit, log_accept_fn *accept,
		       void *arg, struct log **ret_log, struct log_torn *ret_torn, struct err *err)
{
	struct opening opening = {.visit = visit, .accept = accept, .arg = arg};
	struct read_plan plan = {
	    .vfs = vfs,
	    .fd = -1,
	    .limits = limits,
	    .run_id = run_id,
	    .for_writing = true,
	    .visit = opening_visit,
	    .arg = &opening,
	};
	struct log_reading reading = {.end = LOG_END_WHOLE};
	struct log_torn torn = {.bytes = 0};
	struct vfs_stat stat = {0};
	struct log *log = NULL;

	if (vfs_open(vfs, dir, LOG_FILE, VFS_APPEND, &plan.fd, err) != ERR_OK) {
		if (err->code == ERR_INVALID) /* a link, a pipe, a directory */
			err->code = ERR_CORRUPT;
		return err->code;
	}
	if (vfs_stat(vfs, plan.fd, &stat, err) != ERR_OK || file_check(&stat, err) != ERR_OK ||
	    make_sure(vfs, dir, &plan, &reading, &torn, err) != ERR_OK ||
	    log_new(vfs, dir, plan.fd, opening.run_id, limits, &log, err) != ERR_OK) {
		vfs_close(vfs, plan.fd);
		return err->code;
	}
	log->head = reading.head;
	log->tip = reading.head;
	*ret_log = log;
	*ret_torn = torn;
	return ERR_OK;
}
