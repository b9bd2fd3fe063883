/* proc.h - what /proc tells about processes, and signals that never hit a stranger.
 *
 * Everything here is for rare acts (killing a tree, recovery, a guard): a pass over /proc costs
 * tens of microseconds a process. Signals go through a pidfd that was opened before the identity
 * was looked at again, so that a reused process id is never hit (pidfd_open(2)). */
#ifndef SYS_PROC_H
#define SYS_PROC_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proc_stat {
	int32_t pid;
	int32_t parent;
	int32_t session;
	char state;           /* proc(5): R S D T Z X ... */
	uint64_t start_ticks; /* since boot, in clock ticks */
};

/* False when there is no such process. */
bool proc_stat_read(int32_t pid, struct proc_stat *ret_stat);

/* Copy the value of `name` out of a process's environment, as it was at its exec, NUL-ended. False
 * when it is not there, is longer than the room, or may not be read. */
bool proc_environ_get(int32_t pid, const char *name, char *value, size_t value_bytes);

/* Is `pid` the process `ancestor` or does its chain of parents lead to it? */
bool proc_descends(int32_t pid, int32_t ancestor);

/* The process of the other end of a thread's children list: pids of the calling process's children
 * (/proc/thread-self/children), as many as fit; SIZE_MAX where the kernel does not offer it. */
size_t proc_children(int32_t *pids, size_t pids_max);

/* Which processes a tree is: every live (not zombie) process that fits one of the rules, and all
 * descendants of those. */
struct proc_tree {
	int32_t leader;   /* its session and itself; 0: no such rule */
	int32_t below;    /* the leader rule counts for descendants of this process only; 0: all */
	const char *name; /* environment variable ... */
	const char
	    *value; /* ... whose value it has, or begins with when `is_prefix`; NULL: no rule */
	bool is_prefix;
};

typedef void proc_visit_fn(void *arg, const struct proc_stat *member);

/* One pass: visit the members, and send each `signal` first unless it is 0. The calling process is
 * never a member. *ret_count: how many there were. MEMORY; IO when /proc cannot be read. */
MUST_CHECK enum err_code proc_tree_pass(const struct proc_tree *tree, int signal,
					proc_visit_fn *visit, void *arg, size_t *ret_count,
					struct err *err);

/* Send a signal to the process that had this start time when it was looked at. False when it is
 * gone or may not be signalled. */
bool proc_signal(int32_t pid, uint64_t start_ticks, int signal);

#endif
