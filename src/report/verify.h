/* verify.h - is the log of a run whole, and does it end where its receipt says? (S11.7) */
#ifndef REPORT_VERIFY_H
#define REPORT_VERIFY_H

#include "rundir/fold.h"

/* What something outside of the log has seen of it. */
struct verify_witness {
	uint64_t seq;            /* in: of the line that it has seen; 0 = none */
	char h[LOG_H_BYTES + 1]; /* out: of that line; empty = the log has none of that number */
	struct log_head head;    /* out: where the good part ends */
};

/* Read the whole run again: chain, frozen definition, blobs, fold. The findings are appended to
 * `out` whatever they are. `receipt` may be STR_NONE, `witness` NULL. CORRUPT: the log is damaged,
 * or the receipt is not that of its last event (also when it is that of an earlier one: what came
 * after it was not witnessed); NEWER. A torn tail is noted and no error (S11.4). */
MUST_CHECK enum err_code verify_run(const struct rundir *dir, const struct limits *limits,
				    struct str receipt, struct verify_witness *witness,
				    struct buf *out, struct err *err);

#endif
