/* sim_disk_intern.h - the inside of the virtual disk, shared by its files; nobody else includes it.
 *
 *   sim_disk.c        inodes, names, syncs, power cuts
 *   sim_disk_vfs.c    the calls of processes: struct vfs_ops, faults, deaths */
#ifndef SIM_SIM_DISK_INTERN_H
#define SIM_SIM_DISK_INTERN_H

#include "sim/sim_disk.h"

/* A write, or a cut of the length, that no sync has covered. */
struct sim_op {
	uint64_t offset;
	bool is_cut; /* the length becomes `offset` */
	char *bytes; /* owned */
	size_t len;
};

struct sim_entry {
	char name[VFS_NAME_BYTES];
	uint32_t inode;
};

struct sim_names {
	struct sim_entry *items;
	size_t count, capacity;
};

/* A change of names that no sync of the directory has covered. A rename is one change. */
struct sim_change {
	char from[VFS_NAME_BYTES]; /* removed; empty = nothing is */
	char to[VFS_NAME_BYTES];   /* made or replaced; empty = nothing is */
	uint32_t inode;
};

struct sim_inode {
	bool is_dir;
	struct buf seen;    /* what processes see */
	struct buf durable; /* what a power cut leaves for certain */
	struct sim_op *ops; /* from `durable` to `seen`, unless a failed sync lost some */
	size_t ops_count, ops_capacity;
	bool is_synced; /* at least once: somebody cares in which order it reaches the disk */
	bool is_lossy;  /* a sync failed: `seen` has what `durable` and `ops` have not */
	struct sim_names names;
	struct sim_names durable_names;
	struct sim_change *changes;
	size_t changes_count, changes_capacity;
	int lock_fd; /* the descriptor that holds the lock, -1 = none */
};

struct sim_fd {
	uint32_t inode;
	uint32_t proc; /* 0 = free */
	bool is_append;
};

#define SIM_FD_BASE 1000 /* so that a descriptor of the system is never taken for one of ours */
#define SIM_ROOT    1    /* inode of "/" */

struct sim_disk {
	struct sim_rand rand;
	struct sim_inode *inodes; /* index 0 is nothing */
	size_t inodes_count, inodes_capacity;
	struct sim_fd *fds;
	size_t fds_count, fds_capacity;
	struct sim_disk_faults faults;
	struct sim_disk_stats stats;
	uint32_t procs;
	uint32_t full_left; /* calls that still get ENOSPC */
	const char *violation;
};

/* NULL for a number that is no inode. */
struct sim_inode *sim_inode_at(const struct sim_disk *disk, uint32_t inode);
/* Of a number that is one. */
struct sim_inode *sim_inode_get(const struct sim_disk *disk, uint32_t inode)
    __attribute__((returns_nonnull));
uint32_t sim_inode_new(struct sim_disk *disk, bool is_dir);
/* How many names lead to it. */
uint32_t sim_inode_links(const struct sim_disk *disk, uint32_t inode);
/* 0 when the name is not there. */
uint32_t sim_names_find(const struct sim_names *names, struct str name);
void sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *bytes, size_t len);
void sim_inode_cut(struct sim_inode *inode, uint64_t size);
void sim_inode_sync(struct sim_inode *inode);
/* The sync that fails: what it should have written is lost, or some of it. */
void sim_inode_sync_fail(struct sim_disk *disk, struct sim_inode *inode);
/* Change names in a directory: remove `from` (may be empty), make `to` (may be empty). */
void sim_inode_rename(struct sim_inode *dir, struct str from, struct str to, uint32_t inode);
/* Follow a path from an inode, up to but without its last name (0 = a part is missing, or no
 * directory). A path without a slash is the last name. */
uint32_t sim_path_parent(const struct sim_disk *disk, uint32_t from, const char *path, bool durable,
			 struct str *ret_last);
int sim_fd_new(struct sim_disk *disk, uint32_t inode, uint32_t proc, bool is_append);
void sim_fd_close(struct sim_disk *disk, int fd);
struct sim_fd *sim_fd_at(const struct sim_disk *disk, int fd);

extern const struct vfs_ops sim_disk_vfs_ops;

#endif
