/* cgroup_test.c - which group is the caller's own, by texts of /proc that stand here, and what
 * files of a group say. */
#include "base/mem.h"
#include "sys/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *mounts, *groups; /* NULL: open() is as it is */
static char asked[8192];            /* paths of all else, a line each */

static int text_open(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int answer(const char *path)
{
	if (strcmp(path, "/proc/self/mountinfo") == 0)
		return text_open(mounts);
	if (strcmp(path, "/proc/self/cgroup") == 0)
		return text_open(groups);
	assert_true(strlen(asked) + strlen(path) + 2 < sizeof(asked));
	(void)strcat(strcat(asked, path), "\n");
	errno = ENOENT;
	return -1;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return mounts ? answer(path) : __real_open64(path, flags, mode);
}

/* Its name where flags are looked at as the program runs (_FORTIFY_SOURCE). */
int __wrap___open64_2(const char *path, int flags);
int __wrap___open64_2(const char *path, int flags)
{
	return mounts ? answer(path) : __real_open64(path, flags);
}

/* The paths that are asked for with these texts. */
static void assert_asked(const char *of_mounts, const char *of_groups, const char *expected)
{
	int base, oom;

	asked[0] = '\0';
	mounts = of_mounts;
	groups = of_groups;
	cgroup_own_open(&base, &oom);
	mounts = groups = NULL;
	assert_int_equal(base, -1);
	assert_int_equal(oom, -1);
	assert_string_equal(asked, expected);
}

static void the_own_group_is_below_its_mount(void **state)
{
	(void)state;
	assert_asked("25 21 0:23 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		     "0::/a:b.scope\n",
		     "/sys/fs/cgroup/a:b.scope/.\n/sys/fs/cgroup/a:b.scope/memory.events\n");
	assert_asked("35 31 0:32 / /m rw - cgroup cgroup rw,memory\n",
		     "4:memory:/a\n1:cpu:/b\n0::/c\n", "/m/a/memory.oom_control\n");
}

static void a_mount_of_another_root_is_passed_over(void **state)
{
	(void)state;
	assert_asked("25 21 0:23 /../.. /outer rw - cgroup2 none rw\n"
		     "26 21 0:23 / /inner rw - cgroup2 none rw\n",
		     "0::/\n", "/inner//.\n/inner//memory.events\n");
	assert_asked("25 21 0:23 /a /part rw - cgroup2 none rw\n", "0::/b\n", "");
}

static void only_spaces_part_the_fields_of_a_mount(void **state)
{
	(void)state;
	assert_asked("25 21 0:23 / /a\rb rw - cgroup2 none rw\n", "0::/c\n",
		     "/a\rb/c/.\n/a\rb/c/memory.events\n");
}

static void a_mount_point_is_taken_whole_or_not(void **state)
{
	NOT_CLEARED char text[4096];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "25 21 0:23 / /%03000d rw - cgroup2 none rw\n"
		       "26 21 0:24 / /b rw - cgroup2 none rw\n",
		       0);
	assert_asked(text, "0::/c\n", "/b/c/.\n/b/c/memory.events\n");
}

static void the_memory_controller_may_share_its_hierarchy(void **state)
{
	(void)state;
	assert_asked("35 31 0:32 / /m rw - cgroup cgroup rw,cpu,memory\n", "4:cpu,memory:/a\n",
		     "/m/a/memory.oom_control\n");
	assert_asked("35 31 0:32 / /m rw - cgroup cgroup rw,memory,pids\n", "4:memory,pids:/a\n",
		     "/m/a/memory.oom_control\n");
	/* A source may be called anything. */
	assert_asked("35 31 0:32 / /c rw - cgroup x,memory rw,cpu\n"
		     "36 31 0:33 / /m rw - cgroup none rw,memory\n",
		     "4:cpu:/a\n3:memory:/b\n", "/m/b/memory.oom_control\n");
}

static bool populated(const char *text)
{
	char folder[] = "/tmp/cgroup-XXXXXX";
	bool is_populated;
	int dir, fd;

	assert_non_null(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "cgroup.events", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	is_populated = cgroup_is_populated(dir);
	assert_int_equal(unlinkat(dir, "cgroup.events", 0), 0);
	assert_false(cgroup_is_populated(dir));
	(void)close(dir);
	assert_int_equal(rmdir(folder), 0);
	return is_populated;
}

static void a_group_is_populated_unless_its_file_says_no(void **state)
{
	(void)state;
	assert_true(populated("populated 1\nfrozen 0\n"));
	assert_false(populated("frozen 0\npopulated 0\n"));
	assert_true(populated(""));
	assert_true(populated("unpopulated 0\npopulated 1\n"));
}

static uint64_t kills(const char *text)
{
	int fd = text_open(text);
	uint64_t count = cgroup_oom_kills(fd);

	(void)close(fd);
	return count;
}

static void kills_for_want_of_memory_are_counted(void **state)
{
	(void)state;
	assert_int_equal(kills("oom 3\noom_kill 2\noom_group_kill 1\n"), 2);
	assert_int_equal(kills("oom_kill_disable 7\nunder_oom 0\noom_kill 12\n"), 12);
	assert_int_equal(kills("oom_kill 5\n"), 5);
	assert_int_equal(kills("oom 3\n"), 0);
	assert_int_equal(cgroup_oom_kills(-1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_own_group_is_below_its_mount),
	    cmocka_unit_test(a_mount_of_another_root_is_passed_over),
	    cmocka_unit_test(only_spaces_part_the_fields_of_a_mount),
	    cmocka_unit_test(a_mount_point_is_taken_whole_or_not),
	    cmocka_unit_test(the_memory_controller_may_share_its_hierarchy),
	    cmocka_unit_test(a_group_is_populated_unless_its_file_says_no),
	    cmocka_unit_test(kills_for_want_of_memory_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
