/* vfs_fault.h - a driver of vfs.h that wraps another one and makes chosen calls fail.
 *
 * `fault.vfs` is given to the code under test. A plan says which kinds of call count, which of them
 * fails (the n-th, 1 = the next), once or for ever, and with which errno. Loop n = 1, 2, ... until
 * vfs_fault_fired() is false: then every call of the scenario has failed once. */
#ifndef TEST_VFS_FAULT_H
#define TEST_VFS_FAULT_H

#include "sys/vfs.h"

/* Kinds of calls, as bits of a set. */
enum vfs_call {
	VFS_CALL_OPEN = 1 << 0, /* root too */
	VFS_CALL_READ = 1 << 1,
	VFS_CALL_WRITE = 1 << 2, /* at an offset too */
	VFS_CALL_SYNC = 1 << 3,  /* data only too */
	VFS_CALL_TRUNCATE = 1 << 4,
	VFS_CALL_STAT = 1 << 5,
	VFS_CALL_RENAME = 1 << 6, /* rename_new too */
	VFS_CALL_UNLINK = 1 << 7,
	VFS_CALL_MAKE_DIR = 1 << 8,
	VFS_CALL_LIST = 1 << 9,
	VFS_CALL_LOCK = 1 << 10, /* lock_held too */
	VFS_CALL_ANY = (1 << 11) - 1,
};

struct vfs_fault {
	struct vfs vfs; /* what the code under test uses */
	struct vfs under;
	uint32_t calls; /* set of enum vfs_call that count */
	uint64_t nth;   /* 0 = nothing fails */
	bool for_ever;  /* and every later one */
	bool is_short;  /* a write or read takes half and answers that: no failure */
	int number;     /* errno of the failure */
	bool half;      /* a write that fails has written half before */
	uint64_t count; /* of counting calls since the plan was made */
	uint64_t fired;
	uint64_t seen_syncs; /* all syncs that reached the disk below */
	int open_files;      /* opened and not closed */
};

/* Everything passes until a plan is made. The struct must not move afterwards. */
void vfs_fault_init(struct vfs_fault *fault, const struct vfs *under);
/* Fail call number `nth` of the kinds in `calls` with `number`; resets the counts. */
void vfs_fault_plan(struct vfs_fault *fault, uint32_t calls, uint64_t nth, bool for_ever,
		    int number);
bool vfs_fault_fired(const struct vfs_fault *fault);

#endif
