/* vfs_test.c - files below a directory descriptor, on the real system (S12, D18, D31). */
#include "base/mem.h"
#include "support/temp_dir.h"
#include "support/vfs_fault.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static enum err_code opens(int dir, const char *path, enum vfs_mode mode)
{
	struct err err = ERR_INIT;
	int fd = -1;
	enum err_code code = vfs_open(&vfs_os, dir, path, mode, &fd, &err);

	vfs_close(&vfs_os, fd);
	return code;
}

static void no_path_leads_out_of_its_directory(void **unused)
{
	struct temp_dir dir;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "plain", "x", 1);
	assert_int_equal(mkdirat(dir.fd, "sub", 0700), 0);
	assert_int_equal(symlinkat("plain", dir.fd, "link"), 0);
	assert_int_equal(symlinkat("sub", dir.fd, "sublink"), 0);
	assert_int_equal(symlinkat("/etc", dir.fd, "away"), 0);
	assert_int_equal(opens(dir.fd, "plain", VFS_READ), ERR_OK);
	assert_int_equal(opens(dir.fd, "sub/../plain", VFS_READ), ERR_OK);
	assert_int_equal(opens(dir.fd, "../plain", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "/etc/passwd", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "link", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "away/passwd", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "sublink/new", VFS_NEW), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "link", VFS_CREATE), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "plain/x", VFS_READ), ERR_INVALID);
	assert_int_equal(opens(dir.fd, "none", VFS_READ), ERR_NOT_FOUND);
	assert_int_equal(opens(dir.fd, "plain", VFS_NEW), ERR_EXISTS);
	assert_int_not_equal(vfs_rename(&vfs_os, dir.fd, "plain", dir.fd, "../plain", &err),
			     ERR_OK);
	assert_int_not_equal(vfs_unlink(&vfs_os, dir.fd, "away/passwd", &err), ERR_OK);
	assert_int_not_equal(vfs_make_dir(&vfs_os, dir.fd, "../beside", &err), ERR_OK);
	assert_int_not_equal(vfs_make_dir(&vfs_os, dir.fd, "..", &err), ERR_OK);
	assert_int_equal(vfs_make_dir(&vfs_os, dir.fd, "sub", &err), ERR_OK);
	assert_int_equal(vfs_make_dir(&vfs_os, dir.fd, "sub/below.0", &err), ERR_OK);
	assert_int_equal(vfs_make_dir(&vfs_os, dir.fd, "sub/below.0", &err), ERR_OK);
	assert_int_not_equal(vfs_make_dir(&vfs_os, dir.fd, "sublink", &err), ERR_OK);
	assert_int_not_equal(vfs_make_dir(&vfs_os, dir.fd, "plain", &err), ERR_OK);
	temp_dir_remove(&dir);
}

static void only_plain_files_are_opened_and_nothing_waits(void **unused)
{
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(mkfifoat(dir.fd, "pipe", 0600), 0);
	assert_int_equal(mkdirat(dir.fd, "sub", 0700), 0);
	for (enum vfs_mode mode = VFS_READ; mode < VFS_DIR; mode++) {
		if (mode == VFS_NEW)
			continue;
		assert_int_equal(opens(dir.fd, "pipe", mode), ERR_INVALID);
		assert_int_equal(opens(dir.fd, "sub", mode), ERR_INVALID);
	}
	assert_int_equal(opens(dir.fd, "pipe", VFS_DIR), ERR_INVALID);
	assert_int_equal(opens(dir.fd, ".", VFS_DIR), ERR_OK);
	temp_dir_remove(&dir);
}

static void modes_do_not_depend_on_the_umask(void **unused)
{
	static const mode_t masks[] = {0, 022, 077, 0277, 0777};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		mode_t before = umask(0);
		struct err err = ERR_INIT;
		struct temp_dir dir;
		struct stat st;
		char path[512];
		int fd = -1;

		temp_dir_make(&dir);
		(void)snprintf(path, sizeof(path), "%s/a/b/c", dir.path);
		(void)umask(masks[i]);
		assert_int_equal(opens(dir.fd, "file", VFS_NEW), ERR_OK);
		assert_int_equal(vfs_make_dir(&vfs_os, dir.fd, "sub", &err), ERR_OK);
		assert_int_equal(vfs_root(&vfs_os, path, true, &fd, &err), ERR_OK);
		(void)umask(before);
		vfs_close(&vfs_os, fd);
		assert_int_equal(fstatat(dir.fd, "file", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(fstatat(dir.fd, "sub", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(fstatat(dir.fd, "a/b/c", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		temp_dir_remove(&dir);
	}
}

static void descriptors_are_closed_on_exec(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "file", "", 0);
	for (enum vfs_mode mode = VFS_READ; mode <= VFS_DIR; mode++) {
		int fd = -1;

		assert_int_equal(vfs_open(&vfs_os, dir.fd,
					  mode == VFS_NEW   ? "new"
					  : mode == VFS_DIR ? "."
							    : "file",
					  mode, &fd, &err),
				 ERR_OK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		vfs_close(&vfs_os, fd);
	}
	temp_dir_remove(&dir);
}

static void roots_are_made_with_parents_and_may_lie_behind_links(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char path[512];
	int fd = -1;

	(void)unused;
	temp_dir_make(&dir);
	(void)snprintf(path, sizeof(path), "%s//one/two/", dir.path);
	assert_int_equal(vfs_root(&vfs_os, path, false, &fd, &err), ERR_NOT_FOUND);
	assert_int_equal(vfs_root(&vfs_os, path, true, &fd, &err), ERR_OK);
	vfs_close(&vfs_os, fd);
	assert_int_equal(symlinkat("one", dir.fd, "link"), 0);
	(void)snprintf(path, sizeof(path), "%s/link/three", dir.path);
	assert_int_equal(vfs_root(&vfs_os, path, true, &fd, &err), ERR_OK);
	vfs_close(&vfs_os, fd);
	assert_true(temp_dir_has(&dir, "one/three"));
	temp_dir_write(&dir, "file", "", 0);
	(void)snprintf(path, sizeof(path), "%s/file/four", dir.path);
	assert_int_equal(vfs_root(&vfs_os, path, true, &fd, &err), ERR_INVALID);
	assert_int_not_equal(vfs_root(&vfs_os, "relative", true, &fd, &err), ERR_OK);
	temp_dir_remove(&dir);
}

static enum err_code count_visit(void *arg, const char *name, struct err *err)
{
	unsigned char *seen = arg;
	unsigned number = 0;

	(void)err;
	assert_int_equal(sscanf(name, "file-%u", &number), 1);
	seen[number]++;
	return ERR_OK;
}

static void every_name_is_listed_once(void **unused)
{
	unsigned char seen[500] = {0};
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char name[VFS_NAME_BYTES];

	(void)unused;
	temp_dir_make(&dir);
	for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
		int len = snprintf(name, sizeof(name), "file-%u-", i);

		for (; len < (int)(i % 255) && len < 255; len++)
			name[len] = 'x';
		name[len] = '\0';
		temp_dir_write(&dir, name, "", 0);
	}
	assert_int_equal(vfs_list(&vfs_os, dir.fd, count_visit, seen, &err), ERR_OK);
	for (unsigned i = 0; i < ARRAY_LEN(seen); i++)
		assert_int_equal(seen[i], 1);
	temp_dir_remove(&dir);
}

/* S11.4: asking takes nothing. */
static void a_lock_can_be_asked_for(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	bool held = true;
	int owner = -1;
	int other = -1;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(vfs_open(&vfs_os, dir.fd, "l", VFS_CREATE, &owner, &err), ERR_OK);
	assert_int_equal(vfs_open(&vfs_os, dir.fd, "l", VFS_READ, &other, &err), ERR_OK);
	assert_int_equal(vfs_lock_held(&vfs_os, other, &held, &err), ERR_OK);
	assert_false(held);
	assert_int_equal(vfs_lock(&vfs_os, owner, &err), ERR_OK);
	assert_int_equal(vfs_lock_held(&vfs_os, other, &held, &err), ERR_OK);
	assert_true(held);
	vfs_close(&vfs_os, other);
	assert_int_equal(vfs_open(&vfs_os, dir.fd, "l", VFS_READ_WRITE, &other, &err), ERR_OK);
	assert_int_equal(vfs_lock(&vfs_os, other, &err), ERR_LOCKED);
	vfs_close(&vfs_os, owner);
	assert_int_equal(vfs_lock(&vfs_os, other, &err), ERR_OK);
	vfs_close(&vfs_os, other);
	temp_dir_remove(&dir);
}

static void a_name_is_looked_at_without_following_it(void **unused)
{
	struct temp_dir dir;
	struct vfs_stat stat;
	struct err err = ERR_INIT;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "file", "abc", 3);
	assert_int_equal(symlinkat("file", dir.fd, "link"), 0);
	assert_int_equal(vfs_stat_at(&vfs_os, dir.fd, "file", &stat, &err), ERR_OK);
	assert_true(stat.is_file && stat.size_bytes == 3 && stat.links == 1);
	assert_int_equal(vfs_stat_at(&vfs_os, dir.fd, "link", &stat, &err), ERR_OK);
	assert_false(stat.is_file);
	assert_int_equal(vfs_stat_at(&vfs_os, dir.fd, "gone", &stat, &err), ERR_NOT_FOUND);
	err_reset(&err);
	assert_int_equal(vfs_stat_at(&vfs_os, dir.fd, "../x", &stat, &err), ERR_USAGE);
	err_reset(&err);
	assert_int_equal(vfs_stat_at(&vfs_os, dir.fd, "", &stat, &err), ERR_USAGE);
	temp_dir_remove(&dir);
}

static void reading_stops_at_the_limit(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "f", "0123456789", 10);
	buf_text(&text, "keep");
	assert_int_equal(vfs_read_all(&vfs_os, dir.fd, "f", 9, &text, &err), ERR_LIMIT);
	assert_string_equal(text.ptr, "keep");
	assert_int_equal(vfs_read_all(&vfs_os, dir.fd, "f", 10, &text, &err), ERR_OK);
	assert_string_equal(text.ptr, "keep0123456789");
	/* a file that says it is empty and is not */
	buf_clear(&text);
	{
		int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_int_equal(vfs_read_all(&vfs_os, proc, "stat", 4096, &text, &err), ERR_OK);
		assert_true(text.len > 20);
		(void)close(proc);
	}
	temp_dir_remove(&dir);
}

/* D16: a replaced file is the old one or the new one, and nothing is left beside it. */
static void replace_is_all_or_nothing(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		AUTO(buf_fini) struct buf text = BUF_INIT;
		struct err err = ERR_INIT;
		struct vfs_fault fault;
		struct temp_dir dir;
		enum err_code code;

		temp_dir_make(&dir);
		temp_dir_write(&dir, "f", "old", 3);
		temp_dir_write(&dir, "f.new", "left by a crash", 15);
		vfs_fault_init(&fault, &vfs_os);
		vfs_fault_plan(&fault, VFS_CALL_ANY, nth, false, EIO);
		code = vfs_replace(&fault.vfs, dir.fd, "f", "new", 3, &err);
		assert_int_equal(code == ERR_OK, !vfs_fault_fired(&fault));
		temp_dir_read(&dir, "f", &text);
		assert_true(str_is(buf_view(&text), "old") || str_is(buf_view(&text), "new"));
		assert_int_equal(fault.open_files, 0);
		if (code == ERR_OK) {
			assert_string_equal(text.ptr, "new");
			assert_int_equal(temp_dir_count(&dir), 1);
		}
		temp_dir_remove(&dir);
		if (code == ERR_OK)
			break;
	}
}

/* S1.5: the bytes, then the directory that has the name; each sync that fails is an error. */
static void what_is_put_is_synced_with_its_name(void **unused)
{
	static const char *const names[] = {"new", "sub/new"};

	(void)unused;
	for (size_t i = 0; i < 2 * ARRAY_LEN(names); i++) {
		for (uint64_t nth = 1; nth <= 3; nth++) {
			struct err err = ERR_INIT;
			struct vfs_fault fault;
			struct temp_dir dir;
			enum err_code code;

			temp_dir_make(&dir);
			assert_int_equal(mkdirat(dir.fd, "sub", 0700), 0);
			vfs_fault_init(&fault, &vfs_os);
			vfs_fault_plan(&fault, VFS_CALL_SYNC, nth, false, EIO);
			code = i % 2 ? vfs_replace(&fault.vfs, dir.fd, names[i / 2], "x", 1, &err)
				     : vfs_put_new(&fault.vfs, dir.fd, names[i / 2], "x", 1, &err);
			assert_int_equal(vfs_fault_fired(&fault), nth <= 2);
			assert_int_equal(code, nth <= 2 ? ERR_IO : ERR_OK);
			temp_dir_remove(&dir);
		}
	}
}

static void paths_of_the_user_are_followed_but_must_be_files(void **unused)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char name[512];
	int fd = -1;

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "file", "x", 1);
	assert_int_equal(symlinkat("file", dir.fd, "link"), 0);
	assert_int_equal(mkfifoat(dir.fd, "pipe", 0600), 0);
	(void)snprintf(name, sizeof(name), "%s/link", dir.path);
	assert_int_equal(path_open(name, &fd, &err), ERR_OK);
	vfs_close(&vfs_os, fd);
	(void)snprintf(name, sizeof(name), "%s/pipe", dir.path);
	assert_int_equal(path_open(name, &fd, &err), ERR_INVALID);
	assert_int_equal(path_open("/nowhere/at/all", &fd, &err), ERR_NOT_FOUND);
	assert_int_equal(path_absolute("/a/b", &path, &err), ERR_OK);
	assert_string_equal(path.ptr, "/a/b");
	buf_clear(&path);
	assert_int_equal(path_absolute("b", &path, &err), ERR_OK);
	assert_int_equal(path.ptr[0], '/');
	assert_true(str_ends(buf_view(&path), "/b"));
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_path_leads_out_of_its_directory),
	    cmocka_unit_test(only_plain_files_are_opened_and_nothing_waits),
	    cmocka_unit_test(modes_do_not_depend_on_the_umask),
	    cmocka_unit_test(descriptors_are_closed_on_exec),
	    cmocka_unit_test(roots_are_made_with_parents_and_may_lie_behind_links),
	    cmocka_unit_test(every_name_is_listed_once),
	    cmocka_unit_test(a_lock_can_be_asked_for),
	    cmocka_unit_test(a_name_is_looked_at_without_following_it),
	    cmocka_unit_test(reading_stops_at_the_limit),
	    cmocka_unit_test(replace_is_all_or_nothing),
	    cmocka_unit_test(what_is_put_is_synced_with_its_name),
	    cmocka_unit_test(paths_of_the_user_are_followed_but_must_be_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
