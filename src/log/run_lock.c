/* run_lock.c - see run_lock.h
 *
 * The file is two lines of fixed width: the owner at 0, the synced head at HEAD_OFFSET, each
 * written by one pwrite. The head carries a checksum, because a reader may see half of an
 * update. */
#include "log/run_lock.h"

#include "base/hash.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

#define OWNER_BYTES 16 /* "pid 1234567890 \n" and a byte of air */
#define HEAD_OFFSET 16
#define HEAD_BYTES  51 /* "%020 %020 %08x\n" */
#define LOOKS_MAX   3  /* readings of a head that is being written */
#define TAKES_MAX   8  /* files that vanished while we locked them */

static int32_t owner_parse(const char *text)
{
	uint64_t pid;

	if (memcmp(text, "pid ", 4) != 0 || !str_to_u64(str_from(text + 4, 10), &pid) ||
	    pid > INT32_MAX)
		return 0;
	return (int32_t)pid;
}

static bool head_parse(const char *text, struct run_lock_info *info)
{
	char sum[9];
	uint64_t seq;
	uint64_t offset;

	(void)snprintf(sum, sizeof(sum), "%08x", (unsigned)crc32c(0, text, 41));
	if (memcmp(sum, text + 42, 8) != 0 || !str_to_u64(str_from(text, 20), &seq) ||
	    !str_to_u64(str_from(text + 21, 20), &offset))
		return false;
	info->synced_seq = seq;
	info->synced_offset_bytes = offset;
	return true;
}

static enum err_code info_read(const struct vfs *vfs, int fd, struct run_lock_info *info,
			       struct err *err)
{
	char text[HEAD_OFFSET + HEAD_BYTES];
	size_t len = 0;

	for (int look = 0; look < LOOKS_MAX; look++) {
		if (vfs_read(vfs, fd, text, sizeof(text), 0, &len, err) != ERR_OK)
			return err_while(err, "'%s'", RUN_LOCK_FILE);
		if (len >= HEAD_OFFSET)
			info->pid = owner_parse(text);
		if (len < sizeof(text) || head_parse(text + HEAD_OFFSET, info))
			break;
	}
	return ERR_OK;
}

static enum err_code owned(const struct vfs *vfs, int fd, struct err *err)
{
	struct run_lock_info info = {.pid = 0};
	struct err ignored = ERR_INIT;

	if (info_read(vfs, fd, &info, &ignored) == ERR_OK && info.pid > 0)
		(void)err_set(err, ERR_LOCKED, "the run is owned by process %d", info.pid);
	else
		(void)err_set(err, ERR_LOCKED, "the run is owned by another process");
	return err_hint(err, "wait for it, or stop it: sluice stop RUN");
}

/* A link, a pipe or a directory under the lock's name: the run directory is damaged. */
static enum err_code foreign(struct err *err)
{
	if (err->code == ERR_INVALID)
		err->code = ERR_CORRUPT;
	return err->code;
}

/* Lock the file of that name. *ret_fd is -1 when it lost its name meanwhile: then the lock is worth
 * nothing, for the next one would lock another file. */
static enum err_code take_once(const struct vfs *vfs, int dir, int *ret_fd, struct err *err)
{
	struct vfs_stat stat = {0};
	enum err_code code;
	int fd = -1;

	*ret_fd = -1;
	if (vfs_open(vfs, dir, RUN_LOCK_FILE, VFS_CREATE, &fd, err) != ERR_OK)
		return foreign(err);
	code = vfs_lock(vfs, fd, err);
	if (code == ERR_LOCKED)
		code = owned(vfs, fd, err);
	if (code == ERR_OK)
		code = vfs_stat(vfs, fd, &stat, err);
	if (code == ERR_OK && stat.links > 0)
		*ret_fd = fd;
	else
		vfs_close(vfs, fd);
	return code;
}

enum err_code run_lock_take(const struct vfs *vfs, int dir, struct run_lock *ret_lock,
			    struct err *err)
{
	char owner[OWNER_BYTES + 1];
	int fd = -1;

	for (int take = 0; fd < 0; take++) {
		if (take == TAKES_MAX)
			return err_set(err, ERR_LOCKED, "'%s' is removed again and again",
				       RUN_LOCK_FILE);
		if (take_once(vfs, dir, &fd, err) != ERR_OK)
			return err->code;
	}
	(void)snprintf(owner, sizeof(owner), "pid %010d \n", process_id());
	if (vfs_write_at(vfs, fd, owner, OWNER_BYTES, 0, err) != ERR_OK) {
		vfs_close(vfs, fd);
		return err_while(err, "'%s'", RUN_LOCK_FILE);
	}
	ret_lock->fd = fd;
	return ERR_OK;
}

void run_lock_release(const struct vfs *vfs, struct run_lock *lock)
{
	vfs_close(vfs, lock->fd);
	lock->fd = -1;
}

/* Twenty decimal digits. By hand: this is written at each commit. */
static void digits_put(char *at, uint64_t value)
{
	for (int i = 20; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
}

/* Eight hexadecimal digits. */
static void sum_put(char *at, uint32_t sum)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 8; i-- > 0; sum >>= 4)
		at[i] = digits[sum & 15];
}

enum err_code run_lock_publish(const struct vfs *vfs, const struct run_lock *lock, uint64_t seq,
			       uint64_t offset_bytes, struct err *err)
{
	char head[HEAD_BYTES];

	BUG_IF(lock->fd < 0);
	digits_put(head, seq);
	head[20] = ' ';
	digits_put(head + 21, offset_bytes);
	head[41] = ' ';
	sum_put(head + 42, crc32c(0, head, 41));
	head[50] = '\n';
	if (vfs_write_at(vfs, lock->fd, head, HEAD_BYTES, HEAD_OFFSET, err) != ERR_OK)
		return err_while(err, "'%s'", RUN_LOCK_FILE);
	return ERR_OK;
}

enum err_code run_lock_look(const struct vfs *vfs, int dir, struct run_lock_info *ret_info,
			    struct err *err)
{
	struct run_lock_info info = {.is_held = false};
	struct err problem = ERR_INIT;
	enum err_code code;
	int fd = -1;

	code = vfs_open(vfs, dir, RUN_LOCK_FILE, VFS_READ, &fd, &problem);
	if (code == ERR_NOT_FOUND) {
		*ret_info = info;
		return ERR_OK;
	}
	if (code != ERR_OK) {
		*err = problem;
		return foreign(err);
	}
	code = info_read(vfs, fd, &info, err);
	if (code == ERR_OK)
		code = vfs_lock_held(vfs, fd, &info.is_held, err);
	vfs_close(vfs, fd);
	if (code == ERR_OK)
		*ret_info = info;
	return code;
}
