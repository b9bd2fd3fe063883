/* read.h - the one reader of event logs, inside the folder: streams a file through a bounded
 * buffer, verifies chain, order and grammar, and says how the log ends. */
#ifndef LOG_READ_H
#define LOG_READ_H

#include "log/log.h"

struct read_plan {
	const struct vfs *vfs;
	int fd;
	const struct limits *limits;
	uint64_t upto_bytes; /* 0 = to the end */
	struct str run_id;   /* expected; empty = whatever run.created says */
	bool for_writing;    /* stop at what a newer version wrote */
	log_visit_fn *visit;
	void *arg;
};

/* NOT_FOUND no whole first line; IO, MEMORY, and what `visit` answered. Damage is not an error: the
 * reading says so. */
MUST_CHECK enum err_code read_log(const struct read_plan *plan, struct log_reading *ret_reading,
				  struct err *err);

#endif
