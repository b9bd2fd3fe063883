/* spawn.h - start a program, at the same price whatever the size of the caller.
 *
 * clone3(CLONE_VM | CLONE_VFORK [| CLONE_INTO_CGROUP]): no page table is copied, the caller sleeps
 * until the program runs or the attempt failed, and the errno of whatever failed comes back exactly
 * (clone(2), execve(2)). Nothing of the caller leaks: descriptors from the first unlisted one on
 * are closed, the signal mask is empty, dispositions are the default ones, the session is new. */
#ifndef SYS_SPAWN_H
#define SYS_SPAWN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#define SPAWN_FDS_MAX 16

struct spawn_limit {
	int resource; /* RLIMIT_... */
	struct rlimit limit;
};

/* Credentials to take on (setgroups(2), setresgid(2), setresuid(2)). */
struct spawn_user {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t groups_count;
};

struct spawn_plan {
	const char *path;  /* program, or NULL: argv[0], looked up in the PATH of envp */
	char *const *argv; /* NULL-ended */
	char *const *envp; /* NULL-ended */
	const char *cwd;   /* NULL: the caller's */

	/* Child descriptor i becomes a copy of fds[i]; all others are closed. NULL: 0, 1 and 2 are
	 * the caller's, and the table is shared until the child has its own: the cheap form, for a
	 * caller of one thread that holds many descriptors. */
	const int *fds;
	size_t fds_count; /* <= SPAWN_FDS_MAX */

	int cgroup_fd; /* directory of the cgroup it is born in, -1: the caller's */

	bool resets_signals; /* false: the caller has no handler, ignores nothing and blocks all */
	bool dies_with_caller;            /* PDEATHSIG = KILL: only for a caller of one thread */
	bool is_detached;                 /* not a child of the caller: nobody has to reap it */
	const struct spawn_limit *limits; /* set in order, before the user is changed */
	size_t limits_count;
	const struct spawn_user *user; /* NULL: the caller's; needs its rights */
	const char *stdin_path;        /* plain file, from cwd, opened as `user`; NULL: see fds */
};

/* Start it. 0 and *ret_pid, or the errno that kept the program from running; then no process is
 * left. A child that is not detached must be reaped by the caller (wait4). Blocks until the
 * exec. */
MUST_CHECK int spawn_start(const struct spawn_plan *plan, int32_t *ret_pid);

/* /dev/null for reading and writing, close-on-exec; -1 with errno. */
int spawn_null_open(void);

#endif
