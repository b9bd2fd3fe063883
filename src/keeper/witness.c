/* witness.c - see witness.h */
#include "keeper/witness.h"

#include "base/mem.h"
#include "keeper/record.h"

#define CHUNK_RECORDS 256

enum err_code witness_foreign(struct err *err)
{
	if (err->code == ERR_INVALID)
		err->code = ERR_CORRUPT;
	return err->code;
}

static enum err_code lock_check(const struct vfs *vfs, int dir, struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat_at(vfs, dir, KEEPER_LOCK_FILE, &stat, err) != ERR_OK) {
		if (err->code != ERR_NOT_FOUND)
			return err->code;
		err_reset(err); /* no keeper was ever started */
		return ERR_OK;
	}
	if (!stat.is_file)
		return err_set(err, ERR_CORRUPT, "'%s' is not a plain file", KEEPER_LOCK_FILE);
	return ERR_OK;
}

/* The newest epoch in `count` records. True when no earlier record can have a newer one: engines
 * follow each other, and a keeper arms for the newest alone. */
static bool chunk_look(const unsigned char *bytes, size_t count, uint32_t boot, uint64_t *epoch)
{
	struct record record;

	for (size_t i = count; i-- > 0;) {
		if (!record_decode(bytes + i * RECORD_BYTES, &record))
			continue; /* torn; who settles attempts judges damage */
		if (record.boot != boot)
			return true;
		if (record.epoch > *epoch)
			*epoch = record.epoch;
		if (record.kind == RECORD_ARMED)
			return true;
	}
	return false;
}

static enum err_code file_look(const struct vfs *vfs, int fd, uint32_t boot, uint64_t *ret_epoch,
			       struct err *err)
{
	AUTO(mem_drop) unsigned char *bytes = mem_new(CHUNK_RECORDS, RECORD_BYTES);
	struct vfs_stat stat;
	uint64_t left;
	uint64_t epoch = 0;

	if (!bytes)
		return mem_err(err);
	if (vfs_stat(vfs, fd, &stat, err) != ERR_OK)
		return err->code;
	for (left = stat.size_bytes / RECORD_BYTES; left;) {
		size_t count = left < CHUNK_RECORDS ? (size_t)left : CHUNK_RECORDS;
		size_t got = 0;

		left -= count;
		if (vfs_read(vfs, fd, bytes, count * RECORD_BYTES, left * RECORD_BYTES, &got,
			     err) != ERR_OK)
			return err->code;
		if (chunk_look(bytes, got / RECORD_BYTES, boot, &epoch))
			break;
	}
	*ret_epoch = epoch;
	return ERR_OK;
}

enum err_code witness_read(const struct vfs *vfs, int dir, uint32_t boot, uint64_t *ret_epoch,
			   struct err *err)
{
	enum err_code code;
	int fd = -1;

	if (lock_check(vfs, dir, err) != ERR_OK)
		return err->code;
	if (vfs_open(vfs, dir, KEEPER_LOG_FILE, VFS_READ, &fd, err) != ERR_OK) {
		if (err->code != ERR_NOT_FOUND)
			return witness_foreign(err);
		err_reset(err); /* no command was ever started */
		*ret_epoch = 0;
		return ERR_OK;
	}
	code = file_look(vfs, fd, boot, ret_epoch, err);
	vfs_close(vfs, fd);
	return code;
}

enum err_code witness_check(uint64_t epoch, uint64_t last_seq, struct err *err)
{
	if (epoch <= last_seq)
		return ERR_OK;
	(void)err_set(err, ERR_CORRUPT,
		      "the log was cut: it ends with event %llu, and " KEEPER_LOG_FILE
		      " has seen event %llu",
		      (unsigned long long)last_seq, (unsigned long long)epoch);
	return err_hint(err,
			"put the whole log back; only if it cannot be had, remove " KEEPER_LOG_FILE
			" and go on: what is lost may run again");
}
