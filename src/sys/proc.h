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
#include <sys/resource.h>

struct proc_stat {
	int32_t pid;
	int32_t parent;
	int32_t session;
	char state;           /* proc(5): R S D T Z X ... */
	uint64_t start_ticks; /* since boot, in clock ticks */
};

/* False when there is no such process. */
bool proc_stat_read(int32_t pid, struct proc_stat *ret_stat);

/* Not a zombie. */
bool proc_is_alive(const struct proc_stat *stat);

enum proc_environ {
	PROC_ENVIRON_HAS,
	PROC_ENVIRON_HAS_NOT, /* or it may not be read, or the value is longer than the room */
	PROC_ENVIRON_UNCLEAR, /* in the middle of an exec or of its end a process shows neither
			       * arguments nor environment: ask again a moment later. A thread of
			       * the kernel, and a program that wants to, looks like that for
			       * ever. */
};

/* Copy the value of `name` out of a process's environment, as it was at its exec, NUL-ended. */
enum proc_environ proc_environ_get(int32_t pid, const char *name, char *value, size_t value_bytes);

/* Is `pid` the process `ancestor` or does its chain of parents lead to it? */
bool proc_descends(int32_t pid, int32_t ancestor);

typedef void proc_child_fn(void *arg, int32_t pid);

/* Visit the children of the calling thread (/proc/thread-self/children); false where the kernel
 * does not offer that. */
bool proc_children(proc_child_fn *visit, void *arg);

/* All processes at one time, by pid. */
struct proc_table {
	struct proc_stat *items;
	size_t count;
	size_t capacity;
};

/* MEMORY; IO when /proc cannot be read. */
MUST_CHECK enum err_code proc_table_read(struct proc_table *table, struct err *err);
void proc_table_fini(struct proc_table *table);
/* Index of a pid, SIZE_MAX if it is not there. */
size_t proc_table_find(const struct proc_table *table, int32_t pid);

/* Which processes a tree is: those whose environment says so, and all descendants of those. */
struct proc_tree {
	const char *name;  /* environment variable ... */
	const char *value; /* ... whose value it has, or begins with when `is_prefix` */
	bool is_prefix;
};

typedef void proc_visit_fn(void *arg, const struct proc_stat *member);

/* One pass: visit the live members, and send each `signal` first unless it is 0. The calling
 * process is never a member. *ret_count: how many there were, *ret_unclear: how many others were
 * unclear. MEMORY; IO when /proc cannot be read.
 */
MUST_CHECK enum err_code proc_tree_pass(const struct proc_tree *tree, int signal,
					proc_visit_fn *visit, void *arg, size_t *ret_count,
					size_t *ret_unclear, struct err *err);

/* Send a signal to the process that had this start time when it was looked at. False when it is
 * gone or may not be signalled. */
bool proc_signal(int32_t pid, uint64_t start_ticks, int signal);

/* No core file of this process, whose memory may hold secrets: its soft limit becomes 0 (core(5)).
 * Programs that it starts get what it had by proc_core_limit. Not for a library: it is the
 * program's own decision. */
void proc_core_off(void);
/* The limit as it was before proc_core_off; false when that changed nothing. */
bool proc_core_limit(struct rlimit *ret_limit);

#endif
