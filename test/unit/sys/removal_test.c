/* removal_test.c - a tree goes whole, nothing outside of it, and short memory is told */
#include "base/mem.h"
#include "sys/removal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder; /* of a test */

static int setup(void **state)
{
	static char path[32];

	(void)strcpy(path, "/tmp/removal-XXXXXX");
	*state = mkdtemp(path);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)close(folder);
	return rmdir(*state); /* fails when a test left something */
}

static void file_make(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
}

/* top/{a,b/{c,d/e}}, many/0..299 */
static void tree_make(void)
{
	char name[32];

	assert_int_equal(mkdirat(folder, "top", 0700), 0);
	file_make(folder, "top/a");
	assert_int_equal(mkdirat(folder, "top/b", 0700), 0);
	file_make(folder, "top/b/c");
	assert_int_equal(mkdirat(folder, "top/b/d", 0700), 0);
	file_make(folder, "top/b/d/e");
	assert_int_equal(mkdirat(folder, "top/many", 0700), 0);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "top/many/%d", i);
		if (i % 3)
			file_make(folder, name);
		else
			assert_int_equal(mkdirat(folder, name, 0700), 0);
	}
}

static int top_open(void)
{
	int fd = openat(folder, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void a_tree_is_counted_and_goes_whole(void **state)
{
	struct removal_sum sum;
	struct err err = ERR_INIT;
	int fd;

	(void)state;
	tree_make();
	fd = top_open();
	assert_int_equal(removal_look(fd, NULL, &sum, &err), ERR_OK);
	assert_int_equal(sum.entries, 306);
	(void)close(fd);
	assert_int_equal(removal_delete(folder, "top", &err), ERR_OK);
	assert_int_equal(faccessat(folder, "top", F_OK, 0), -1);
	assert_int_equal(removal_delete(folder, "top", &err), ERR_OK); /* again */
}

static void a_link_is_removed_and_not_followed(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(mkdirat(folder, "outside", 0700), 0);
	file_make(folder, "outside/precious");
	assert_int_equal(mkdirat(folder, "top", 0700), 0);
	assert_int_equal(symlinkat("../outside", folder, "top/link"), 0);
	assert_int_equal(removal_delete(folder, "top", &err), ERR_OK);
	assert_int_equal(symlinkat("outside", folder, "top"), 0);
	assert_int_equal(removal_delete(folder, "top", &err), ERR_OK);
	assert_int_equal(faccessat(folder, "outside/precious", F_OK, 0), 0);
	assert_int_equal(removal_delete(folder, "outside", &err), ERR_OK);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {"", ".", "..", "../x", "a/b", "/tmp"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(removal_delete(folder, names[i], &err), ERR_USAGE);
	}
}

static void what_is_too_deep_is_refused_in_both_ways(void **state)
{
	struct removal_sum sum;
	struct err err = ERR_INIT;
	struct err again = ERR_INIT;
	int at;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(folder, "top", 0700), 0);
	fd = top_open();
	at = dup(fd);
	for (int i = 0; i < REMOVAL_DEPTH_MAX + 2; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0700), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		(void)close(at);
		at = next;
	}
	assert_int_equal(removal_look(fd, NULL, &sum, &err), ERR_REFUSED);
	assert_int_equal(removal_delete(folder, "top", &again), ERR_REFUSED);
	(void)close(at);
	/* One level less will do. */
	assert_int_equal(renameat(fd, "d", folder, "rest"), 0);
	err = again = (struct err)ERR_INIT;
	assert_int_equal(removal_delete(folder, "top", &err), ERR_OK);
	assert_int_equal(removal_delete(folder, "rest", &again), ERR_OK);
	(void)close(fd);
}

static void short_memory_is_told_and_nothing_leaks(void **state)
{
	struct removal_sum sum;
	int fd;

	(void)state;
	tree_make();
	fd = top_open();
	for (uint64_t nth = 1; nth < 1000; nth++) {
		struct err err = ERR_INIT;
		enum err_code code;

		mem_fail_at(nth, 0);
		code = removal_look(fd, NULL, &sum, &err);
		mem_fail_at(0, 0);
		if (code == ERR_OK)
			break;
		assert_int_equal(code, ERR_MEMORY);
		assert_true(nth < 999);
	}
	(void)close(fd);
	for (uint64_t nth = 1; nth < 1000; nth++) {
		struct err err = ERR_INIT;
		enum err_code code;

		mem_fail_at(nth, 0);
		code = removal_delete(folder, "top", &err);
		mem_fail_at(0, 0);
		if (code == ERR_OK)
			break;
		assert_int_equal(code, ERR_MEMORY);
	}
	assert_int_equal(faccessat(folder, "top", F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_tree_is_counted_and_goes_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_link_is_removed_and_not_followed, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_that_lead_elsewhere_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_too_deep_is_refused_in_both_ways, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(short_memory_is_told_and_nothing_leaks, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
