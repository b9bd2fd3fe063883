/* log_file.c - any bytes as events.jsonl, on a disk in memory: read, opened, repaired, written
 * behind.
 *
 * The bytes are read as they are, and again with the number and the chain of each line set right,
 * so that what is behind the chain is reached. That chain is computed here, with nettle alone.
 *
 * Judged: a reader and an owner see the same events; damage changes nothing; a torn end is moved
 * aside whole; what is appended comes behind what was there, and all of it reads back. */
#include "base/mem.h"
#include "fuzz.h"
#include "log/log.h"
#include "mend.h"
#include "sys/vfs_mem.h"

#include <stdio.h>
#include <string.h>

struct disk {
	struct vfs_mem *mem;
	struct vfs vfs;
	int dir;
	struct limits limits;
};

static void disk_make(struct disk *disk, struct str text)
{
	struct err err = ERR_INIT;
	int fd = -1;

	limits_default(&disk->limits);
	disk->limits.line_bytes = 4096;
	BUG_IF(vfs_mem_new(&disk->mem, &err) != ERR_OK);
	disk->vfs = vfs_mem_vfs(disk->mem);
	BUG_IF(vfs_root(&disk->vfs, "/run", true, &disk->dir, &err) != ERR_OK);
	BUG_IF(vfs_open(&disk->vfs, disk->dir, LOG_FILE, VFS_NEW, &fd, &err) != ERR_OK);
	BUG_IF(vfs_write(&disk->vfs, fd, text.ptr, text.len, &err) != ERR_OK);
	vfs_close(&disk->vfs, fd);
}

static void disk_free(struct disk *disk)
{
	vfs_close(&disk->vfs, disk->dir);
	vfs_mem_free(disk->mem);
}

static void file_read(const struct disk *disk, const char *name, struct buf *out)
{
	struct err err = ERR_INIT;

	buf_clear(out);
	BUG_IF(vfs_read_all(&disk->vfs, disk->dir, name, (size_t)1 << 24, out, &err) != ERR_OK);
}

struct seen {
	uint64_t count;
	uint64_t last;
	struct buf lines;
};

static enum err_code see(void *arg, const struct event *event, struct str line, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	BUG_IF(event->seq != seen->last + 1 || event->type == EVENT_NONE);
	seen->last = event->seq;
	seen->count++;
	buf_str(&seen->lines, line);
	buf_byte(&seen->lines, '\n');
	return ERR_OK;
}

static void seen_fini(struct seen *seen)
{
	buf_fini(&seen->lines);
}

/* Append an event; everything reads back with it. */
static void append(const struct disk *disk, struct log *log, struct str before)
{
	AUTO(buf_fini) struct buf after = BUF_INIT;
	AUTO(seen_fini) struct seen seen = {.count = 0};
	struct log_reading reading;
	struct log_head head;
	struct event event;
	struct err err = ERR_INIT;

	event_init(&event, EVENT_USER);
	event.type_text = STR("x-fuzz");
	event.time_utc_ms = INT64_C(1769860800000);
	BUG_IF(log_add(log, &event, &err) != ERR_OK);
	BUG_IF(log_commit(log, true, &err) != ERR_OK);
	head = *log_head(log);
	file_read(disk, LOG_FILE, &after);
	BUG_IF(!str_eq(str_cut(buf_view(&after), 0, before.len), before));
	BUG_IF(head.offset_bytes != after.len);
	BUG_IF(log_read(&disk->vfs, disk->dir, &disk->limits, 0, see, &seen, &reading, &err) !=
	       ERR_OK);
	BUG_IF(reading.end != LOG_END_WHOLE || reading.head.seq != head.seq ||
	       strcmp(reading.head.h, head.h) != 0 ||
	       !str_eq(buf_view(&seen.lines), buf_view(&after)));
}

/* The bytes behind the last good line are kept whole, under a name that says where they were. */
static void check_torn(const struct disk *disk, const struct log_reading *reading, struct str text)
{
	AUTO(buf_fini) struct buf torn = BUF_INIT;
	char name[64];

	(void)snprintf(name, sizeof(name), "events.torn-%llu",
		       (unsigned long long)reading->head.offset_bytes);
	file_read(disk, name, &torn);
	BUG_IF(!str_eq(buf_view(&torn), str_cut(text, reading->head.offset_bytes, text.len)));
}

static void own(const struct disk *disk, struct str run_id, struct str text,
		const struct log_reading *reading, const struct seen *read)
{
	AUTO(log_drop) struct log *log = NULL;
	AUTO(buf_fini) struct buf after = BUF_INIT;
	AUTO(seen_fini) struct seen seen = {.count = 0};
	struct log_torn torn = {.bytes = 0};
	struct err err = ERR_INIT;
	enum err_code code = log_open(&disk->vfs, disk->dir, run_id, &disk->limits, see, NULL,
				      &seen, &log, &torn, &err);

	file_read(disk, LOG_FILE, &after);
	if (code != ERR_OK) {
		BUG_IF(!str_eq(buf_view(&after), text)); /* untouched */
		BUG_IF(code != ERR_CORRUPT && code != ERR_NEWER && code != ERR_NOT_FOUND);
		return;
	}
	BUG_IF(reading->end != LOG_END_WHOLE && reading->end != LOG_END_TORN);
	BUG_IF(!str_eq(buf_view(&seen.lines), buf_view(&read->lines)));
	BUG_IF(!str_eq(buf_view(&after), str_cut(text, 0, reading->head.offset_bytes)));
	BUG_IF(torn.bytes != text.len - reading->head.offset_bytes);
	if (torn.bytes > 0)
		check_torn(disk, reading, text);
	append(disk, log, buf_view(&after));
}

/* The good prefix is lines that end with the chain that is computed here. */
static void check_chain(const struct seen *seen, struct str run_id,
			const struct log_reading *reading)
{
	AUTO(buf_fini) struct buf mended = BUF_INIT;
	char h[LOG_H_BYTES + 1] = "";

	mend(buf_view(&seen->lines), run_id, &mended, h);
	BUG_IF(!str_eq(buf_view(&mended), buf_view(&seen->lines)));
	BUG_IF(seen->count > 0 && strcmp(h, reading->head.h) != 0);
}

static void judge(struct str run_id, struct str text)
{
	AUTO(disk_free) struct disk disk;
	AUTO(buf_fini) struct buf after = BUF_INIT;
	AUTO(seen_fini) struct seen seen = {.count = 0};
	struct log_reading reading;
	struct err err = ERR_INIT;

	disk_make(&disk, text);
	if (log_read(&disk.vfs, disk.dir, &disk.limits, 0, see, &seen, &reading, &err) == ERR_OK) {
		BUG_IF(reading.end != LOG_END_NEWER && reading.head.seq != seen.count);
		BUG_IF(reading.head.offset_bytes > text.len);
		BUG_IF((reading.end == LOG_END_WHOLE) !=
		       (reading.head.offset_bytes == text.len && reading.problem.code == ERR_OK));
		if (reading.end == LOG_END_WHOLE || reading.end == LOG_END_TORN)
			check_chain(&seen, run_id, &reading);
	} else {
		BUG_IF(err.code != ERR_NOT_FOUND || seen.count > 0);
	}
	file_read(&disk, LOG_FILE, &after);
	BUG_IF(!str_eq(buf_view(&after), text)); /* a reader writes nothing */
	own(&disk, run_id, text, &reading, &seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_fini) struct buf mended = BUF_INIT;
	struct str text = str_from((const char *)data, size);
	char h[LOG_H_BYTES + 1] = "";

	judge(STR("run_1"), text);
	mend(text, STR("run_1"), &mended, h);
	judge(STR("run_1"), buf_view(&mended));
	return 0;
}
