/* link_os.h - the real way to a keeper: keeper.lock, a process, a socket (S8.1). */
#ifndef KEEPER_LINK_OS_H
#define KEEPER_LINK_OS_H

#include "keeper/client.h"
#include "keeper/witness.h"

struct link_os_options {
	int run_dir;             /* borrowed for the life of the link */
	struct str mark;         /* in every token; of this run directory alone (id_valid) */
	struct str run_id;       /* for people who look at ps */
	const char *keeper_path; /* absolute: the environment has no say in it; NULL = none can be
				    started */
};

/* Nothing is started or connected yet; the texts are copied. Closed by the client that it is given
 * to. USAGE: the path is not absolute. IO, MEMORY. */
MUST_CHECK enum err_code link_os_open(const struct link_os_options *options,
				      struct keeper_link *ret_link, struct err *err);

/* The pid that the living keeper of the run published, 0 when none lives. */
MUST_CHECK enum err_code link_os_keeper_pid(int run_dir, int32_t *ret_pid, struct err *err);

#endif
