/* sim_disk.h - a disk in memory, with a page cache, faults and power cuts.
 *
 * It keeps two truths of every file and directory: what processes see (the page cache) and what
 * would be there after a loss of power. The second follows only from syncs:
 *
 *   - a write, or a cut of the length, is durable after a sync of its file;
 *   - a name (made, removed, renamed) is durable after a sync of its directory;
 *   - a sync that fails has lost what it should have written, and the next one "succeeds" without
 *     writing it: the pages count as clean (fsync(2), NOTES);
 *   - a power cut keeps what is durable, and of the rest whatever chance lets through, a write torn
 * at any byte.
 *
 * Processes are handles of their own (struct sim_proc) with a struct vfs each. Killing one closes
 * its descriptors, and with them its locks; everything that it wrote stays in the page cache. A
 * process can be made to die inside its n-th call: before it, after it, or half way through a
 * write. From then on its calls do nothing, so that the code of a killed process can unwind without
 * effects.
 *
 * Memory that runs short ends the program: a simulator has nobody to report it to. */
#ifndef SIM_SIM_DISK_H
#define SIM_SIM_DISK_H

#include "sim/sim_rand.h"
#include "sys/vfs.h"

struct sim_disk;

/* Kinds of calls that can be made to fail. */
enum sim_call {
	SIM_CALL_OPEN, /* of something that has to be made */
	SIM_CALL_READ,
	SIM_CALL_WRITE,
	SIM_CALL_SYNC,
	SIM_CALL_TRUNCATE,
	SIM_CALL_RENAME,
	SIM_CALL_COUNT,
};

struct sim_disk_stats {
	uint64_t calls;
	uint64_t faults; /* failures, and what a process has to live with: short counts, EINTR */
	uint64_t failed_syncs;
	uint64_t power_cuts;
};

/* Everything is by chance from `seed`. The root directory is there and durable. */
struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);
const struct sim_disk_stats *sim_disk_stats(const struct sim_disk *disk);

/* From now on `failures` calls fail, each call with a chance of per_mille[its kind]; harmless short
 * counts and EINTR come with a chance of `annoy_per_mille` and without end. */
struct sim_disk_faults {
	uint32_t failures;
	uint32_t per_mille[SIM_CALL_COUNT];
	uint32_t annoy_per_mille;
	uint32_t full_calls; /* once ENOSPC came, so many more calls that need room get it too */
};
void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults);

/* ------------------------------------------------------------------------------- processes */

struct sim_proc {
	struct vfs vfs; /* what the process uses */
	struct sim_disk *disk;
	uint32_t id;
	bool is_dead;
	bool is_spared; /* nothing of its calls fails by chance */
	uint64_t calls;
	uint64_t dies_at;    /* the call that it does not survive, 0 = none */
	bool dies_in_commit; /* it does not survive the sync behind its first append */
	bool has_appended;
	uint64_t faults;      /* calls that failed by chance */
	uint64_t lossy_inode; /* its sync failed: this process must not touch it again; 0 = none */
};

/* A new process without descriptors; the disk is borrowed. */
void sim_proc_start(struct sim_proc *proc, struct sim_disk *disk);
/* Kill -9: its descriptors are closed, its locks gone. */
void sim_proc_kill(struct sim_proc *proc);
/* Descriptor and lock of another process become ours (a dup that was handed over). */
void sim_proc_take_fd(struct sim_proc *proc, int fd);

/* Has it descriptors that are open? One that ended by itself should have closed them. */
bool sim_proc_has_fds(const struct sim_proc *proc);

/* What becomes of a call: for what a process does beside the disk, too. */
enum sim_fate {
	SIM_FATE_GO,   /* it happens */
	SIM_FATE_LAST, /* it happens, and the process dies of it: nobody hears the answer */
	SIM_FATE_GONE, /* it does not happen: the process is dead */
};
enum sim_fate sim_proc_fate(struct sim_proc *proc);

/* ------------------------------------------------------------------------------- accidents */

/* Loss of power: page cache and descriptors are gone. With `keeps_order` of the unsynced writes of
 * a file only a beginning survives. */
void sim_disk_power_cut(struct sim_disk *disk, bool keeps_order);
/* The page cache gives up clean pages: after a failed sync, of whatever file (true), that shows
 * what is on the disk. */
bool sim_disk_drop_cache(struct sim_disk *disk);

/* ------------------------------------------------------------------ looking from the outside */

/* Content of a file by its absolute path: as processes see it, or as it would be after a power cut
 * that kept nothing unsynced. False when there is none. Borrowed until the disk changes. */
bool sim_disk_peek(const struct sim_disk *disk, const char *path, bool durable,
		   struct str *ret_content);
/* Write a whole file, as a command of a pipeline does: unsynced; its directory must be there. */
bool sim_disk_poke(struct sim_disk *disk, const char *path, struct str content);
/* Why a process has broken a rule of the disk ("S11.3 ..."), NULL if none has. */
const char *sim_disk_violation(const struct sim_disk *disk);

#endif
