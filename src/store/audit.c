/* audit.c - see audit.h */
#include "store/audit.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"

#define TAIL_BYTES ((size_t)65536) /* at least one entry with its outputs is in there, usually */
#define TEMP_FILE  AUDIT_FILE ".new"

/* ---------------------------------------------------------------------------------- an entry */

enum status { STATUS_NONE, STATUS_SUCCESS, STATUS_ERROR, STATUS_PAUSED };

static const char *const status_names[] = {"", "success", "error", "paused"};

static enum status status_of(enum event_type type)
{
	if (type == EVENT_STEP_SUCCEEDED)
		return STATUS_SUCCESS;
	if (type == EVENT_STEP_FAILED || type == EVENT_STEP_LOST)
		return STATUS_ERROR;
	return type == EVENT_STEP_WAITING ? STATUS_PAUSED : STATUS_NONE;
}

static void put_text(struct buf *out, const char *key, struct str text)
{
	buf_text(out, ",\"");
	buf_text(out, key);
	buf_text(out, "\":");
	if (text.ptr)
		json_put_str(out, text);
	else
		buf_text(out, "null");
}

static void put_stamp(struct buf *out, const char *key, int64_t utc_ms)
{
	char stamp[STAMP_BYTES + 1];

	if (utc_ms)
		stamp_write(utc_ms, stamp);
	put_text(out, key, utc_ms ? str_of(stamp) : STR_NONE);
}

static struct str message_of(const struct event *event)
{
	struct str reason = event_text(event, EVENT_FIELD_REASON);

	return reason.ptr ? reason : event_text(event, EVENT_FIELD_ERROR_CLASS);
}

void audit_put(struct buf *out, const struct run_state *run, const struct event *event)
{
	enum status status = status_of(event->type);
	const struct step_state *at;
	int64_t started_ms;

	if (status == STATUS_NONE || run->last_step == STEP_NONE)
		return;
	at = &run->steps[run->last_step];
	started_ms = at->attempts && status != STATUS_PAUSED ? at->started_ms : event->time_utc_ms;
	buf_text(out, "{\"pipeline_name\":");
	json_put_str(out, run->model->pipeline);
	put_text(out, "run_id", run->run_id);
	put_text(out, "node_id", event_text(event, EVENT_FIELD_STEP_ID));
	buf_text(out, ",\"sequence\":");
	buf_u64(out, event->seq);
	buf_text(out, ",\"visit\":");
	buf_u64(out, at->attempts ? at->attempts : 1);
	put_stamp(out, "started_at", started_ms);
	put_stamp(out, "completed_at", event->time_utc_ms);
	buf_text(out, ",\"latency_ms\":");
	buf_i64(out, event->time_utc_ms - started_ms);
	put_text(out, "status", str_of(status_names[status]));
	buf_text(out, ",\"inputs_snapshot\":{},\"outputs_snapshot\":{");
	if (status == STATUS_SUCCESS) {
		buf_text(out, "\"output\":");
		buf_str(out, at->outputs.ptr ? at->outputs : STR("{}"));
	}
	buf_byte(out, '}');
	put_text(out, "error_message", status == STATUS_ERROR ? message_of(event) : STR_NONE);
	put_text(out, "pause_reason",
		 status == STATUS_PAUSED ? event_text(event, EVENT_FIELD_REASON) : STR_NONE);
	buf_text(out, "}\n");
}

/* ---------------------------------------------------------------------------------- the file */

static bool sequence_of(struct str line, uint64_t *ret_seq)
{
	struct err ignored = ERR_INIT;
	struct str value;

	if (json_check(line, JSON_DEPTH_MAX, &ignored) != ERR_OK ||
	    json_type_of(line) != JSON_OBJECT)
		return false;
	value = json_get(line, "sequence");
	return value.ptr && json_to_u64(value, ret_seq);
}

/* The last line of the tail, if it is whole. */
static bool last_of(struct str tail, bool is_from_start, uint64_t *ret_seq)
{
	size_t end = tail.len;
	size_t from;

	if (!end || tail.ptr[end - 1] != '\n')
		return false;
	from = --end;
	while (from > 0 && tail.ptr[from - 1] != '\n')
		from--;
	return (from > 0 || is_from_start) && sequence_of(str_cut(tail, from, end), ret_seq);
}

enum err_code audit_last(const struct vfs *vfs, int dir, uint64_t *ret_seq, bool *ret_is_whole,
			 struct err *err)
{
	AUTO(buf_fini) struct buf tail = BUF_INIT;
	struct vfs_stat stat;
	enum err_code code;
	uint64_t from;
	size_t len = 0;
	char *room;
	int fd;

	*ret_seq = 0;
	*ret_is_whole = false;
	if (vfs_open(vfs, dir, AUDIT_FILE, VFS_READ, &fd, err) != ERR_OK) {
		if (err->code != ERR_NOT_FOUND)
			return err->code;
		err_reset(err);
		return ERR_OK;
	}
	room = buf_room(&tail, TAIL_BYTES);
	code = room ? vfs_stat(vfs, fd, &stat, err) : mem_err(err);
	from = code == ERR_OK && stat.size_bytes > TAIL_BYTES ? stat.size_bytes - TAIL_BYTES : 0;
	if (code == ERR_OK)
		code = vfs_read(vfs, fd, room, TAIL_BYTES, from, &len, err);
	vfs_close(vfs, fd);
	if (code == ERR_OK)
		*ret_is_whole = last_of(str_from(room, len), from == 0, ret_seq);
	return code;
}

static enum err_code write_anew(const struct vfs *vfs, int dir, struct str entries, struct err *err)
{
	enum err_code code;
	int fd;

	if (vfs_open(vfs, dir, TEMP_FILE, VFS_CREATE, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_truncate(vfs, fd, 0, err);
	if (code == ERR_OK && entries.len)
		code = vfs_write_at(vfs, fd, entries.ptr, entries.len, 0, err);
	vfs_close(vfs, fd);
	return code == ERR_OK ? vfs_rename(vfs, dir, TEMP_FILE, dir, AUDIT_FILE, err) : code;
}

enum err_code audit_write(const struct vfs *vfs, int dir, struct str entries, bool is_anew,
			  struct err *err)
{
	enum err_code code;
	int fd;

	if (is_anew)
		return write_anew(vfs, dir, entries, err);
	if (vfs_open(vfs, dir, AUDIT_FILE, VFS_CREATE_APPEND, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_write(vfs, fd, entries.ptr, entries.len, err);
	vfs_close(vfs, fd);
	return code;
}
