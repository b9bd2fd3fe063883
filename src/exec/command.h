/* command.h - the executor of commands: real processes, through the run's keeper.
 *
 * Implements core/exec.h on the client side of the keeper protocol. The keeper is started on first
 * need; an engine that finds keeper.lock held connects to the living one. */
#ifndef EXEC_COMMAND_H
#define EXEC_COMMAND_H

#include "core/exec.h"

struct exec_command_options {
	struct str run_id; /* for people: tokens name the run by its directory */
	int run_dir;       /* descriptor of the run directory; borrowed for the driver's life */
	uint64_t epoch;    /* seq of the run.created or run.resumed of this engine (durable) */
	const char *keeper_path; /* the sluice-keeper executable, absolute; NULL = no command can be
				    started */
};

/* Nothing is started yet. */
MUST_CHECK enum err_code exec_command_open(const struct exec_command_options *options,
					   struct exec *ret_exec, struct err *err);

/* Is the calling process, or the peer process `pid`, a descendant of the run's keeper or a carrier
 * of its token (S5.6: a step cannot approve its own gate)? Reads keeper.lock's published pid, the
 * parent chain in /proc, and SLUICE_RUN_ID in the peer's environment. */
MUST_CHECK enum err_code exec_command_is_own_step(int run_dir, struct str run_id, int32_t pid,
						  bool *ret_is, struct err *err);

#endif
