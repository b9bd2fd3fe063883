/* vfs_mem.h - files in memory, for what must leave no trace: a dry run (S14). Plain files and
 * directories; a sync has nothing to do. One thread. */
#ifndef SYS_VFS_MEM_H
#define SYS_VFS_MEM_H

#include "sys/vfs.h"

struct vfs_mem;

/* An empty file system. */
MUST_CHECK enum err_code vfs_mem_new(struct vfs_mem **ret_mem, struct err *err);
/* With all that is in it; descriptors of it must not be used any more. Accepts NULL. */
void vfs_mem_free(struct vfs_mem *mem);
/* The interface; valid as long as `mem`. */
struct vfs vfs_mem_vfs(struct vfs_mem *mem);

#endif
