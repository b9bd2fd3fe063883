/* vfs_mem_test.c - files in memory behave as files do. */
#include "support/unit.h"

#include "base/mem.h"
#include "sys/vfs_mem.h"

#include <string.h>

struct world {
	struct vfs_mem *mem;
	struct vfs vfs;
	int root;
	struct err err;
};

static void open_world(struct world *w)
{
	*w = (struct world){.err = ERR_INIT};
	assert_ok(vfs_mem_new(&w->mem, &w->err), &w->err);
	w->vfs = vfs_mem_vfs(w->mem);
	assert_ok(vfs_root(&w->vfs, "/a/b", true, &w->root, &w->err), &w->err);
}

static void close_world(struct world *w)
{
	vfs_close(&w->vfs, w->root);
	vfs_mem_free(w->mem);
}

static enum err_code opens(struct world *w, const char *path, enum vfs_mode mode)
{
	enum err_code code;
	int fd = -1;

	err_reset(&w->err);
	code = vfs_open(&w->vfs, w->root, path, mode, &fd, &w->err);
	if (code == ERR_OK)
		vfs_close(&w->vfs, fd);
	return code;
}

static void what_was_written_is_read(void **state)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct world w;

	(void)state;
	open_world(&w);
	assert_ok(vfs_put_new(&w.vfs, w.root, "f", "hello", 5, &w.err), &w.err);
	assert_int_equal(vfs_put_new(&w.vfs, w.root, "f", "x", 1, &w.err), ERR_EXISTS);
	err_reset(&w.err);
	assert_ok(vfs_replace(&w.vfs, w.root, "f", "hallo!", 6, &w.err), &w.err);
	assert_ok(vfs_read_all(&w.vfs, w.root, "f", 100, &text, &w.err), &w.err);
	assert_text(buf_view(&text), "hallo!");
	assert_int_equal(vfs_read_all(&w.vfs, w.root, "f", 5, &text, &w.err), ERR_LIMIT);
	close_world(&w);
}

static void places_and_sizes(void **state)
{
	char bytes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct vfs_stat stat;
	struct world w;
	size_t len;
	int fd;

	(void)state;
	open_world(&w);
	assert_ok(vfs_open(&w.vfs, w.root, "f", VFS_CREATE, &fd, &w.err), &w.err);
	assert_ok(vfs_write_at(&w.vfs, fd, "xy", 2, 3, &w.err), &w.err);
	assert_ok(vfs_stat(&w.vfs, fd, &stat, &w.err), &w.err);
	assert_true(stat.size_bytes == 5 && stat.is_file && stat.links == 1);
	assert_ok(vfs_read(&w.vfs, fd, bytes, 8, 0, &len, &w.err), &w.err);
	assert_int_equal(len, 5);
	assert_memory_equal(bytes, "\0\0\0xy", 5);
	assert_ok(vfs_truncate(&w.vfs, fd, 4, &w.err), &w.err);
	assert_ok(vfs_write(&w.vfs, fd, "!", 1, &w.err), &w.err);
	assert_ok(vfs_read(&w.vfs, fd, bytes, 8, 3, &len, &w.err), &w.err);
	assert_int_equal(len, 2);
	assert_memory_equal(bytes, "x!", 2);
	vfs_close(&w.vfs, fd);
	close_world(&w);
}

static void modes_and_names(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	assert_ok(vfs_make_dir(&w.vfs, w.root, "d", &w.err), &w.err);
	assert_ok(vfs_make_dir(&w.vfs, w.root, "d", &w.err), &w.err); /* there already */
	assert_int_equal(opens(&w, "f", VFS_READ), ERR_NOT_FOUND);
	assert_int_equal(opens(&w, "d/f", VFS_NEW), ERR_OK);
	assert_int_equal(opens(&w, "d/f", VFS_NEW), ERR_EXISTS);
	assert_int_equal(opens(&w, "d//./f", VFS_APPEND), ERR_OK);
	assert_int_equal(opens(&w, "d", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(&w, "d/f", VFS_DIR), ERR_INVALID);
	assert_int_equal(opens(&w, ".", VFS_DIR), ERR_OK);
	assert_int_equal(opens(&w, "d/../d/f", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(&w, "d/f/g", VFS_NEW), ERR_INVALID);
	close_world(&w);
}

static void renames_and_removals(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	assert_ok(vfs_make_dir(&w.vfs, w.root, ".new", &w.err), &w.err);
	assert_int_equal(opens(&w, ".new/f", VFS_NEW), ERR_OK);
	assert_ok(vfs_rename_new(&w.vfs, w.root, ".new", w.root, "run", &w.err), &w.err);
	assert_int_equal(opens(&w, "run/f", VFS_READ), ERR_OK);
	assert_int_equal(opens(&w, ".new/f", VFS_READ), ERR_NOT_FOUND);
	assert_int_equal(opens(&w, "g", VFS_NEW), ERR_OK);
	err_reset(&w.err);
	assert_int_equal(vfs_rename_new(&w.vfs, w.root, "g", w.root, "run", &w.err), ERR_EXISTS);
	err_reset(&w.err);
	assert_int_not_equal(vfs_unlink(&w.vfs, w.root, "run", &w.err), ERR_OK);
	err_reset(&w.err);
	assert_ok(vfs_unlink(&w.vfs, w.root, "run/f", &w.err), &w.err);
	assert_ok(vfs_unlink(&w.vfs, w.root, "run", &w.err), &w.err);
	assert_int_equal(opens(&w, "run", VFS_DIR), ERR_NOT_FOUND);
	close_world(&w);
}

static void a_lock_is_of_one_descriptor(void **state)
{
	struct world w;
	bool is_held = true;
	int first;
	int second;

	(void)state;
	open_world(&w);
	assert_ok(vfs_open(&w.vfs, w.root, "l", VFS_CREATE, &first, &w.err), &w.err);
	assert_ok(vfs_open(&w.vfs, w.root, "l", VFS_CREATE, &second, &w.err), &w.err);
	assert_ok(vfs_lock(&w.vfs, first, &w.err), &w.err);
	assert_int_equal(vfs_lock(&w.vfs, second, &w.err), ERR_LOCKED);
	err_reset(&w.err);
	assert_ok(vfs_lock_held(&w.vfs, first, &is_held, &w.err), &w.err);
	assert_false(is_held);
	vfs_close(&w.vfs, first);
	assert_ok(vfs_lock(&w.vfs, second, &w.err), &w.err);
	vfs_close(&w.vfs, second);
	close_world(&w);
}

static enum err_code count_name(void *arg, const char *name, struct err *err)
{
	(void)err;
	strcat(arg, name);
	return ERR_OK;
}

static void a_list_has_every_name_once(void **state)
{
	char names[32] = "";
	struct world w;

	(void)state;
	open_world(&w);
	assert_int_equal(opens(&w, "x", VFS_NEW), ERR_OK);
	assert_int_equal(opens(&w, "y", VFS_NEW), ERR_OK);
	assert_ok(vfs_make_dir(&w.vfs, w.root, "z", &w.err), &w.err);
	assert_int_equal(opens(&w, "z/in", VFS_NEW), ERR_OK);
	assert_ok(vfs_list(&w.vfs, w.root, count_name, names, &w.err), &w.err);
	assert_string_equal(names, "xyz");
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_written_is_read),
	    cmocka_unit_test(places_and_sizes),
	    cmocka_unit_test(modes_and_names),
	    cmocka_unit_test(renames_and_removals),
	    cmocka_unit_test(a_lock_is_of_one_descriptor),
	    cmocka_unit_test(a_list_has_every_name_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
