/* checkpoint.h - <run directory>/checkpoint.json: where the log ended when it was last looked at,
 * and the folded state there (S9.4).
 *
 * A cache for readers, made again whenever it is missing, damaged or behind; and a witness: a log
 * that ends before it, or has another line at its place, was cut or forked. It is written after the
 * log was synced, without a sync of its own: the witness has a checksum, so that what a power cut
 * leaves of the file is damage and no evidence. */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "core/run_state.h"
#include "log/log.h"

#define CHECKPOINT_FILE "checkpoint.json"

struct checkpoint_mark {
	uint64_t seq;                     /* 0 = there is none: no file, damaged, of another run */
	char chain[SHA256_HEX_BYTES + 1]; /* H(seq) */
};

/* Replace the checkpoint. `head` is durable, `run` is the fold up to it. */
MUST_CHECK enum err_code checkpoint_write(const struct vfs *vfs, int dir,
					  const struct run_state *run, const struct log_head *head,
					  struct err *err);

/* The witness. To be read before the log, which may grow meanwhile. Never an error: what cannot be
 * read is no evidence. */
void checkpoint_mark_read(const struct vfs *vfs, int dir, struct str run_id,
			  struct checkpoint_mark *ret_mark);

/* Does a log that ends with `head` agree? `h_at_mark` is the `h` of its line number mark->seq
 * (STR_NONE when it is not known, or the log ends before it). CORRUPT: it was cut, or is another
 * history. */
MUST_CHECK enum err_code checkpoint_check(const struct checkpoint_mark *mark,
					  const struct log_head *head, struct str h_at_mark,
					  struct err *err);

/* The state as one JSON object: states, attempts, outputs and parameters by name. */
void checkpoint_put_state(struct buf *out, const struct run_state *run);

#endif
