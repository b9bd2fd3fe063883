/* cgroup.h - groups of processes that nothing can leave: cgroup v2, below the caller's own.
 *
 * Used to see and to end whole trees (cgroup.events, cgroup.kill: Linux 5.14), not to limit
 * resources, so no controller is needed and a hybrid mount (/sys/fs/cgroup/unified) will do. Where
 * groups cannot be made (no mount, no right) cgroup_base or cgroup_make says so and callers do
 * without.
 * See the kernel's Documentation/admin-guide/cgroup-v2.rst. */
#ifndef SYS_CGROUP_H
#define SYS_CGROUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Directory of the caller's own group, below which groups may be made, or -1 where there is none,
 * or only a part of the hierarchy is mounted. The caller closes it. */
int cgroup_base(void);

/* Make a group (again, if an empty one is there that nobody owns); a directory descriptor, or
 * -errno, EBUSY when somebody does. `name` is a plain file name. The caller owns it until it closes
 * the descriptor. */
int cgroup_make(int base, const char *name);

/* An existing group; a directory descriptor, or -errno. */
int cgroup_open(int base, const char *name);

/* Does a process that is not a zombie live in it or below? True when that cannot be read, false
 * when the group was removed meanwhile, by whoever else uses this hierarchy. */
bool cgroup_is_populated(int group);

/* KILL for everything in it and below, at once; false when it was refused. The group is not to be
 * used again: there are kernels (seen: 6.18) on which what is born in it later is killed, too. */
bool cgroup_kill(int group);

/* Send a signal to each process in it; returns how many there were. */
size_t cgroup_signal(int group, int signal);

/* Remove an empty group; false when it is still in use. */
bool cgroup_remove(int base, const char *name);

/* Remove an empty group, and wait for it a moment: it stays busy after its last process was reaped.
 * False when somebody lives in it. */
bool cgroup_remove_soon(int base, const char *name);

/* Remove the empty groups whose names begin with `prefix` and whose maker is no more: what a killed
 * owner left. */
void cgroup_clear(int base, const char *prefix);

/* cgroup_base, and the count of processes that the kernel killed for want of memory in the caller's
 * own group and below (memory.events of cgroup v2; in v1 memory.oom_control, without what is
 * below): a descriptor for cgroup_oom_kills. With one look at /proc for both; -1 where there is
 * none. The caller closes them. */
void cgroup_own_open(int *ret_base, int *ret_oom_fd);
/* What it counts now; 0 when it cannot be read, or fd is -1. */
uint64_t cgroup_oom_kills(int fd);

#endif
