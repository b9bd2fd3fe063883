/* content.c - what a run's events name by hash or by path: the frozen definition, blobs, results,
 * artifacts. See rundir.h */
#include "base/mem.h"
#include "rundir/intern.h"
#include "sys/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUARANTINE_DIR        "quarantine"
#define FROZEN_BYTES_MAX      ((size_t)1 << 28)
#define COPY_BYTES            ((size_t)1 << 17)
#define QUARANTINE_COPIES_MAX 1000

enum err_code folder_open(const struct vfs *vfs, int dir, const char *name, int *ret_fd,
			  struct err *err)
{
	struct err problem = ERR_INIT;
	enum err_code code = vfs_open(vfs, dir, name, VFS_DIR, ret_fd, &problem);

	if (code == ERR_OK)
		return ERR_OK;
	if (code != ERR_NOT_FOUND) {
		*err = problem;
		return code;
	}
	if (vfs_make_dir(vfs, dir, name, err) != ERR_OK || vfs_sync(vfs, dir, err) != ERR_OK)
		return err->code;
	return vfs_open(vfs, dir, name, VFS_DIR, ret_fd, err);
}

/* Does `text` hash to these 64 hex digits? */
static bool hashes_to(struct str text, struct str hex)
{
	uint8_t digest[SHA256_BYTES];
	char own[SHA256_HEX_BYTES + 1];

	sha256_of(text.ptr ? text.ptr : "", text.len, digest);
	sha256_hex(digest, own);
	return str_is(hex, own);
}

static bool is_ref(struct str ref)
{
	if (ref.len != SHA256_HEX_BYTES)
		return false;
	for (size_t i = 0; i < ref.len; i++) {
		if (!((ref.ptr[i] >= '0' && ref.ptr[i] <= '9') ||
		      (ref.ptr[i] >= 'a' && ref.ptr[i] <= 'f')))
			return false;
	}
	return true;
}

static enum err_code blob_read(const struct rundir *dir, struct str ref, size_t bytes_max,
			       struct buf *out, struct err *err)
{
	char path[sizeof(BLOBS_DIR) + SHA256_HEX_BYTES + 1];
	size_t before = out->len;

	if (!is_ref(ref))
		return err_set(err, ERR_CORRUPT, "'%.*s' is not the name of a blob", STR_ARG(ref));
	(void)snprintf(path, sizeof(path), "%s/%.*s", BLOBS_DIR, STR_ARG(ref));
	if (vfs_read_all(&dir->vfs, dir->fd, path, bytes_max, out, err) != ERR_OK)
		return err_while(err, "blob");
	if (hashes_to(str_cut(buf_view(out), before, out->len), ref))
		return ERR_OK;
	buf_cut(out, before);
	return err_set(err, ERR_CORRUPT, "blob '%.*s' has another content", STR_ARG(ref));
}

enum err_code rundir_frozen(const struct rundir *dir, struct str definition_hash, struct buf *out,
			    struct err *err)
{
	struct err problem = ERR_INIT;
	size_t before = out->len;

	if (vfs_read_all(&dir->vfs, dir->fd, FROZEN_FILE, FROZEN_BYTES_MAX, out, err) != ERR_OK) {
		if (err->code != ERR_IO && err->code != ERR_MEMORY && err->code != ERR_FULL)
			err->code = ERR_CORRUPT; /* it was there when the run was born */
		return err->code;
	}
	if (definition_hash.len == 0 ||
	    hashes_to(str_cut(buf_view(out), before, out->len), definition_hash))
		return ERR_OK;
	buf_cut(out, before);
	if (blob_read(dir, definition_hash, FROZEN_BYTES_MAX, out, &problem) == ERR_OK)
		return ERR_OK; /* that of a resume with --accept-changes */
	if (problem.code != ERR_NOT_FOUND) {
		*err = problem;
		return err->code;
	}
	return err_set(err, ERR_CORRUPT, "%s is not what the log names: its hash differs",
		       FROZEN_FILE);
}

enum err_code rundir_source(const struct rundir *dir, struct str ref, struct buf *out,
			    struct err *err)
{
	if (ref.len)
		return blob_read(dir, ref, FROZEN_BYTES_MAX, out, err);
	return vfs_read_all(&dir->vfs, dir->fd, SOURCE_FILE, FROZEN_BYTES_MAX, out, err);
}

/* ---- blobs ---- */

/* Is the whole blob there already? Then it is made sure of: an earlier put may have been cut short
 * between its name and the sync of it. */
static enum err_code blob_is_there(const struct vfs *vfs, int blobs, const char *ref,
				   struct str content, bool *ret_there, struct err *err)
{
	AUTO(buf_fini) struct buf found = BUF_INIT;
	struct err problem = ERR_INIT;
	enum err_code code = vfs_read_all(vfs, blobs, ref, content.len, &found, &problem);
	int fd = -1;

	*ret_there = code == ERR_OK && str_eq(buf_view(&found), content);
	if (code != ERR_OK && code != ERR_NOT_FOUND && code != ERR_LIMIT) {
		*err = problem;
		return code;
	}
	if (!*ret_there)
		return ERR_OK;
	if (vfs_open(vfs, blobs, ref, VFS_READ, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_sync(vfs, fd, err);
	vfs_close(vfs, fd);
	return code == ERR_OK ? vfs_sync(vfs, blobs, err) : code;
}

enum err_code rundir_blob_put(const struct rundir *dir, struct str content,
			      char ref[SHA256_HEX_BYTES + 1], struct err *err)
{
	uint8_t digest[SHA256_BYTES];
	char name[SHA256_HEX_BYTES + 1];
	enum err_code code;
	bool is_there = false;
	int blobs = -1;

	sha256_of(content.ptr ? content.ptr : "", content.len, digest);
	sha256_hex(digest, name);
	if (folder_open(&dir->vfs, dir->fd, BLOBS_DIR, &blobs, err) != ERR_OK)
		return err->code;
	code = blob_is_there(&dir->vfs, blobs, name, content, &is_there, err);
	if (code == ERR_OK && !is_there)
		code = vfs_replace(&dir->vfs, blobs, name, content.ptr, content.len, err);
	vfs_close(&dir->vfs, blobs);
	if (code != ERR_OK)
		return err_while(err, "blob");
	memcpy(ref, name, sizeof(name));
	return ERR_OK;
}

enum err_code rundir_blob_get(const struct rundir *dir, struct str ref, const struct limits *limits,
			      struct buf *out, struct err *err)
{
	return blob_read(dir, ref, limits->blob_bytes, out, err);
}

/* ---- results ---- */

enum err_code rundir_result(const struct rundir *dir, struct str step, uint32_t attempt,
			    const struct limits *limits, struct buf *out, bool *ret_found,
			    struct err *err)
{
	struct err problem = ERR_INIT;
	char name[ENTRY_BYTES];
	enum err_code code;

	if (entry_name("out", step, attempt, ".json", name, err) != ERR_OK)
		return err->code;
	code = vfs_read_all(&dir->vfs, dir->fd, name, limits->result_bytes, out, &problem);
	if (code != ERR_OK && code != ERR_NOT_FOUND) {
		*err = problem;
		return code;
	}
	*ret_found = code == ERR_OK;
	return ERR_OK;
}

/* ---- files anywhere ---- */

/* The folder of an absolute path, and the last name in it. */
static enum err_code parent_open(const struct vfs *vfs, const char *path, int *ret_fd,
				 const char **ret_name, struct err *err)
{
	AUTO(buf_fini) struct buf folder = BUF_INIT;
	const char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return err_set(err, ERR_INVALID, "'%s' is not the path of a file", path);
	buf_put(&folder, path, slash == path ? 1 : (size_t)(slash - path));
	if (buf_check(&folder, "a path", err) != ERR_OK)
		return err->code;
	*ret_name = slash + 1;
	return vfs_root(vfs, folder.ptr, false, ret_fd, err);
}

/* Digest of an open file of the system, copied to `to` on the way unless that is -1. */
static enum err_code digest_copy(int fd, const struct vfs *to_vfs, int to,
				 struct file_digest *ret_digest, struct err *err)
{
	AUTO(mem_drop) char *room = mem_new(1, COPY_BYTES);
	uint8_t digest[SHA256_BYTES];
	struct sha256 sha;
	uint64_t bytes = 0;
	size_t got = COPY_BYTES;

	if (!room)
		return mem_err(err);
	sha256_start(&sha);
	while (got == COPY_BYTES) {
		if (vfs_read(&vfs_os, fd, room, COPY_BYTES, bytes, &got, err) != ERR_OK)
			return err->code;
		sha256_add(&sha, room, got);
		if (to >= 0 && vfs_write(to_vfs, to, room, got, err) != ERR_OK)
			return err->code;
		bytes += got;
	}
	sha256_end(&sha, digest);
	sha256_hex(digest, ret_digest->sha256);
	ret_digest->bytes = bytes;
	return ERR_OK;
}

static enum err_code sync_with_folder(const char *path, int fd, struct err *err)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	const char *name;
	enum err_code code;
	int folder = -1;

	if (vfs_sync(&vfs_os, fd, err) != ERR_OK || path_absolute(path, &whole, err) != ERR_OK ||
	    parent_open(&vfs_os, whole.ptr, &folder, &name, err) != ERR_OK)
		return err->code;
	code = vfs_sync(&vfs_os, folder, err);
	vfs_close(&vfs_os, folder);
	return code;
}

enum err_code rundir_digest(const char *path, bool sync, struct file_digest *ret_digest,
			    struct err *err)
{
	struct file_digest digest;
	enum err_code code;
	int fd = -1;

	if (path_open(path, &fd, err) != ERR_OK)
		return err->code;
	code = digest_copy(fd, NULL, -1, &digest, err);
	if (code == ERR_OK && sync)
		code = sync_with_folder(path, fd, err);
	vfs_close(&vfs_os, fd);
	if (code != ERR_OK)
		return err_while(err, "'%s'", path);
	*ret_digest = digest;
	return ERR_OK;
}

/* ---- quarantine ---- */

/* By name where it can be, else a copy that is durable before the original goes. */
static enum err_code move_into(const struct vfs *vfs, int from, const char *name, const char *path,
			       int to, const char *to_name, struct err *err)
{
	struct file_digest digest;
	struct err problem = ERR_INIT;
	enum err_code code;
	int source = -1;
	int copy = -1;

	/* A link is not moved: what it leads to is what was made. */
	if (vfs_open(vfs, from, name, VFS_READ, &source, &problem) == ERR_OK) {
		vfs_close(vfs, source);
		code = vfs_rename_new(vfs, from, name, to, to_name, &problem);
		if (code == ERR_OK)
			return ERR_OK;
		if (problem.sys != EXDEV) {
			*err = problem;
			return code;
		}
	} else if (problem.code != ERR_INVALID) {
		*err = problem;
		return problem.code;
	}
	if (path_open(path, &source, err) != ERR_OK)
		return err->code;
	code = vfs_open(vfs, to, to_name, VFS_NEW, &copy, err);
	if (code == ERR_OK)
		code = digest_copy(source, vfs, copy, &digest, err);
	if (code == ERR_OK)
		code = vfs_sync(vfs, copy, err);
	vfs_close(vfs, copy);
	vfs_close(&vfs_os, source);
	if (code == ERR_OK)
		return vfs_unlink(vfs, from, name, err);
	if (code != ERR_EXISTS)
		(void)vfs->ops->unlink(vfs->self, to, to_name); /* best effort: half a copy */
	return code;
}

static enum err_code quarantine_into(const struct vfs *vfs, int to, const char *path,
				     struct err *err)
{
	struct err problem = ERR_INIT;
	enum err_code code = ERR_EXISTS;
	const char *name = NULL;
	int from = -1;

	if (parent_open(vfs, path, &from, &name, err) != ERR_OK)
		return err->code;
	for (unsigned copy = 0; code == ERR_EXISTS && copy < QUARANTINE_COPIES_MAX; copy++) {
		char to_name[ENTRY_BYTES];

		(void)snprintf(to_name, sizeof(to_name), copy ? "%.200s.%u" : "%.255s", name, copy);
		code = move_into(vfs, from, name, path, to, to_name, &problem);
	}
	if (code == ERR_OK)
		code = vfs_sync(vfs, to, &problem);
	if (code == ERR_OK)
		code = vfs_sync(vfs, from, &problem);
	vfs_close(vfs, from);
	if (code != ERR_OK)
		*err = problem;
	return code;
}

enum err_code rundir_quarantine(const struct rundir *dir, const char *path, struct str step,
				uint32_t attempt, struct err *err)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	char name[ENTRY_BYTES];
	enum err_code code;
	int top = -1;
	int folder = -1;

	if (entry_name(QUARANTINE_DIR, step, attempt, "", name, err) != ERR_OK ||
	    path_absolute(path, &whole, err) != ERR_OK ||
	    folder_open(&dir->vfs, dir->fd, QUARANTINE_DIR, &top, err) != ERR_OK)
		return err->code;
	code = folder_open(&dir->vfs, top, name + sizeof(QUARANTINE_DIR), &folder, err);
	if (code == ERR_OK)
		code = quarantine_into(&dir->vfs, folder, whole.ptr, err);
	vfs_close(&dir->vfs, folder);
	vfs_close(&dir->vfs, top);
	return code == ERR_OK ? ERR_OK : err_while(err, "quarantine '%s'", path);
}
