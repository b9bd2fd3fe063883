/* rundir.h - a run on disk (S12): birth, the frozen definition, the fold of its log, blobs,
 * artifacts.
 *
 *   <home>/runs/<run_id>/ events.jsonl pipeline.yaml pipeline.json run.lock keeper.lock
 * attempts.log logs/ out/ artifacts/ quarantine/ blobs/      (only when used)
 *
 * A run is born whole (S11.8): built under a temporary name, synced with run.created in it, then
 * renamed and the parent synced. Nothing outside the run's directory is touched, whatever the
 * names. */
#ifndef RUNDIR_RUNDIR_H
#define RUNDIR_RUNDIR_H

#include "core/run_state.h"
#include "log/log.h"
#include "log/run_lock.h"

struct rundir; /* an open run directory: a descriptor, its path, its id */

/* <state>: $SLUICE_HOME, else $XDG_STATE_HOME/sluice, else ~/.local/state/sluice. `override` (from
 * --dir; may be NULL) wins. Appends the absolute path. */
MUST_CHECK enum err_code rundir_home(const char *override, struct buf *out_path, struct err *err);

/* A fresh run id: time-sortable and unique, e.g. 20261121T041502-7f3a9c (UTC time, 24 random bits
 * or more). */
MUST_CHECK enum err_code rundir_new_id(int64_t utc_ms, char id[64], struct err *err);

struct rundir_birth {
	const char *home; /* made with its parents if absent (0700) */
	struct str run_id;
	struct str source;     /* pipeline.yaml as written */
	struct str frozen;     /* pipeline.json */
	struct event *created; /* run.created */
	struct str given;      /* content of its given_ref; ptr NULL = it has none */
	const struct limits *limits;
};
/* EXISTS when the id is taken. On any failure nothing of it is left. On success the caller owns the
 * directory, the held lock and the open log (seq 1 is durable). */
MUST_CHECK enum err_code rundir_create(const struct vfs *vfs, const struct rundir_birth *birth,
				       struct rundir **ret_dir, struct run_lock *ret_lock,
				       struct log **ret_log, struct err *err);

/* Open the run directory at `path` (absolute or relative to the working directory). NOT_FOUND when
 * there is no whole run.created line. Takes no lock. */
MUST_CHECK enum err_code rundir_open(const struct vfs *vfs, const char *path,
				     struct rundir **ret_dir, struct err *err);
void rundir_close(struct rundir *dir);
void rundir_drop(struct rundir **dir);

/* Make the name of the directory durable in its parent: a birth that was cut short may have left it
 * unsynced (S11.8). To be done before anything is written behind run.created. */
MUST_CHECK enum err_code rundir_sync_name(const struct rundir *dir, struct err *err);

/* Its descriptor, the storage that it is on, its path and its run id: borrowed, until it is
 * closed. */
int rundir_fd(const struct rundir *dir);
const struct vfs *rundir_vfs(const struct rundir *dir);
const char *rundir_path(const struct rundir *dir); /* absolute */
struct str rundir_id(const struct rundir *dir);    /* of its run.created */

/* RUN as a person writes it: a run id, a unique prefix, a path (has a '/'), @latest, @failed (by
 * time of creation). Appends the path of the run directory. NOT_FOUND (nearest id as hint), REFUSED
 * for an ambiguous prefix (with the matches). */
MUST_CHECK enum err_code rundir_find(const struct vfs *vfs, const char *home, struct str name,
				     struct buf *out_path, struct err *err);
/* Names of all runs below home, newest first by id; arena holds them. */
MUST_CHECK enum err_code rundir_list(const struct vfs *vfs, const char *home, struct arena *arena,
				     struct str **ret_ids, size_t *ret_count, struct err *err);

/* The frozen definition with that hash as bytes: of the birth (also when the hash is empty), or of
 * a resume that changed it, which is a blob. CORRUPT when there is none. */
MUST_CHECK enum err_code rundir_frozen(const struct rundir *dir, struct str definition_hash,
				       struct buf *out, struct err *err);

/* The pipeline as it was written: at the birth when `ref` is empty, else for the resume that names
 * it. */
MUST_CHECK enum err_code rundir_source(const struct rundir *dir, struct str ref, struct buf *out,
				       struct err *err);

/* Told of the run.created of a run, as far as it is whole (nothing is verified but the line
 * itself). */
typedef enum err_code rundir_born_fn(void *arg, struct str id, const struct event *created,
				     struct err *err);
/* Visit that of one run. */
MUST_CHECK enum err_code rundir_born(const struct rundir *dir, rundir_born_fn *visit, void *arg,
				     struct err *err);
/* Visit every run below home whose first line has the text `needle`. What is no run is left out. */
MUST_CHECK enum err_code rundir_each_born(const struct vfs *vfs, const char *home,
					  const char *needle, rundir_born_fn *visit, void *arg,
					  struct err *err);

/* Blobs: content by hash, synced with the directory when it returns. ref is 64 hex digits. */
MUST_CHECK enum err_code rundir_blob_put(const struct rundir *dir, struct str content,
					 char ref[SHA256_HEX_BYTES + 1], struct err *err);
/* CORRUPT when the content does not hash to its name. */
MUST_CHECK enum err_code rundir_blob_get(const struct rundir *dir, struct str ref,
					 const struct limits *limits, struct buf *out,
					 struct err *err);

/* Hash a file anywhere (artifacts, inputs): follows the path as the step's command would, must be a
 * plain file. `sync` also syncs the file and its directory. NOT_FOUND, IO. */
struct file_digest {
	char sha256[SHA256_HEX_BYTES + 1];
	uint64_t bytes;
};
MUST_CHECK enum err_code rundir_digest(const char *path, bool sync, struct file_digest *ret_digest,
				       struct err *err);
/* Move a file into quarantine/<step>.<attempt>/ (copy when it is on another device). */
MUST_CHECK enum err_code rundir_quarantine(const struct rundir *dir, const char *path,
					   struct str step, uint32_t attempt, struct err *err);

/* The result file of an attempt, out/<step>.<attempt>.json: false when the command made none. LIMIT
 * when it is larger than limits->result_bytes. A symbolic link or anything but a plain file is
 * INVALID. */
MUST_CHECK enum err_code rundir_result(const struct rundir *dir, struct str step, uint32_t attempt,
				       const struct limits *limits, struct buf *out,
				       bool *ret_found, struct err *err);

#endif
