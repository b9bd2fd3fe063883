/* log.h - the event log of a run, events.jsonl (S11): the only truth, and only this folder writes
 * it.
 *
 * A writer collects the events of a tick in memory (log_add) and makes them durable as one append:
 * one write of whole lines, one fdatasync (log_commit). A failed write or sync poisons the writer
 * for good: what reached the disk is unknown until the log is opened and read again. ENOSPC on the
 * write is cut back to the last synced batch first, and so leaves the log resumable.
 *
 * Lines carry a chain: h = first 16 hex digits of H(n) = SHA-256(H(n-1) as 32 raw bytes || the
 * line's bytes before its fixed 24-byte end `,"h":"<16 hex>"}`), H(0) = SHA-256(run_id).
 *
 * One thread at a time. Diagnostics: CORRUPT, NEWER and IO are HALT for the run. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/hash.h"
#include "base/limit.h"
#include "core/event.h"
#include "sys/vfs.h"

#define LOG_FILE      "events.jsonl"
#define LOG_COPY_FILE "events.jsonl.new" /* of a log that is written anew; never read */
#define LOG_H_BYTES   16
#define LOG_FORMAT    1 /* `format` of run.created: what this version writes and can go on with */

struct log; /* a writer */

/* Where a log ends: the last good line. */
struct log_head {
	uint64_t seq;                /* 0 = no line */
	uint64_t offset_bytes;       /* end of the last good line */
	uint8_t chain[SHA256_BYTES]; /* H(seq), whole */
	char h[LOG_H_BYTES + 1];     /* as printed: the receipt */
};

enum log_end {
	LOG_END_WHOLE,   /* the last byte is the newline of a good line */
	LOG_END_TORN,    /* bytes after the last newline: never acknowledged */
	LOG_END_DAMAGED, /* anything else wrong: chain, gap, bad JSON, illegal event */
	LOG_END_NEWER,   /* an unknown event type or format */
};

struct log_reading {
	struct log_head head; /* of the good prefix */
	enum log_end end;
	uint64_t torn_bytes; /* TORN */
	struct err problem;  /* DAMAGED, NEWER: which line and why */
};

/* Called for each good line in order: the event (borrowed) and the line as stored, without its
 * newline. An error ends the reading as DAMAGED (code CORRUPT) or NEWER at that line, or fails it
 * (other codes). What a newer version wrote is shown too, as far as it can be read (S11.5): unknown
 * types as EVENT_UNKNOWN, unknown members left out; the reading then ends as NEWER. */
typedef enum err_code log_visit_fn(void *arg, const struct event *event, struct str line,
				   struct err *err);

/* Start the log of a new run in `dir`: makes events.jsonl with `first` (run.created, seq 1) and
 * syncs the file (not the directory: the caller syncs it before it renames it into place). EXISTS
 * if it is there. The limits are copied; `dir` is borrowed for the writer's life: before each
 * append the log must still have its name there. */
MUST_CHECK enum err_code log_create(const struct vfs *vfs, int dir, struct str run_id,
				    const struct limits *limits, struct event *first,
				    struct log **ret_log, struct err *err);

/* Open for writing. The caller holds run.lock. The whole file is verified and visited; bytes after
 * the last newline are saved to `events.torn-<offset>` (synced), cut off, and *ret_torn tells of
 * them so that the caller appends log.repaired; the file and its directory are synced before it
 * answers. NOT_FOUND no whole first line. CORRUPT and NEWER leave the file untouched. */
struct log_torn {
	uint64_t bytes; /* 0 = the log was whole */
	char sha256[SHA256_HEX_BYTES + 1];
};
/* Asked by log_open when all lines were visited and nothing is written yet: may the log be used
 * that ends so? An error is the answer of log_open, which leaves everything as it is. */
typedef enum err_code log_accept_fn(void *arg, const struct log_head *head, struct err *err);
/* `visit` and `accept` may be NULL; both get `arg`. */
MUST_CHECK enum err_code log_open(const struct vfs *vfs, int dir, struct str run_id,
				  const struct limits *limits, log_visit_fn *visit,
				  log_accept_fn *accept, void *arg, struct log **ret_log,
				  struct log_torn *ret_torn, struct err *err);

/* Accepts NULL. Events that were added and not committed are dropped. */
void log_close(struct log *log);
void log_drop(struct log **log);

/* Give the event its seq, run id and line, and keep the line for the next commit. Sets event->seq
 * and event->run_id. LIMIT when the line would be over limits.line_bytes (nothing is added). */
MUST_CHECK enum err_code log_add(struct log *log, struct event *event, struct err *err);

/* Write what was added, and fdatasync when `sync`. FULL: cut back, the batch is dropped and the log
 * takes no more; IO: poisoned. Before the write, size, inode and link count must be as known, else
 * CORRUPT. No-op when nothing was added. */
MUST_CHECK enum err_code log_commit(struct log *log, bool sync, struct err *err);

/* fdatasync what earlier commits left unsynced (sync: interval). */
MUST_CHECK enum err_code log_sync(struct log *log, struct err *err);

/* Head of what is committed; lines that are only added do not count. */
const struct log_head *log_head(const struct log *log);
/* Lines added since the last commit, for followers: valid until the next add or commit. */
struct str log_pending(const struct log *log);

/* NOT_FOUND when there is no file or no whole first line: then it is no run (S11.8).
 *
 * Read without writing anything: visits the good prefix and says how it ends. `upto_bytes` bounds
 * what is read (0 = all): followers stop at the synced offset while the owner lives. */
MUST_CHECK enum err_code log_read(const struct vfs *vfs, int dir, const struct limits *limits,
				  uint64_t upto_bytes, log_visit_fn *visit, void *arg,
				  struct log_reading *ret_reading, struct err *err);

/* One line: encode without the chain's end (event->seq, run_id, time set), and decode a whole line
 * with it. The decoded event borrows from `line` and, where a text had escapes, from `scratch`.
 * Exposed for tests, fuzzers and reports. */
void log_encode(const struct event *event, struct buf *out);
/* The `h` that a good line ends with. */
void log_line_h(struct str line, char h[LOG_H_BYTES + 1]);
MUST_CHECK enum err_code log_decode(struct str line, struct buf *scratch, struct event *ret_event,
				    struct err *err);

#endif
