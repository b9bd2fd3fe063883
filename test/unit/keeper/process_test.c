/* process_test.c - the keeper's executable while a call of it fails: each token has one terminal
 * report, no command runs twice, a secret is in no log (S8.2, S8.6, D16, D21). */
#include "process_world.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------ nothing fails */

static void s8_2_each_command_has_one_end(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, ALL), &world.err);
	assert_sound(&world, ALL);
	assert_int_equal(world.end[0].exit_code, 3);
	assert_int_equal(world.end[1].exit_code, 0);
	assert_int_equal(world.end[9].end, EXEC_END_SPAWN_FAILED);
	assert_int_equal(world.end[9].errno_value, ENOENT);
	world_drop(&world);
}

/* ------------------------------------------------------------------------ a call of the keeper */

static const struct row keeper_rows[] = {
    {"accept4", EMFILE, 1},
    {"dup2", EINTR, 2},
    {"epoll_create1", EMFILE, 1},
    {"epoll_ctl", ENOMEM, 5},
    {"fchown", EPERM, 1},
    {"fstat64", EIO, 2},
    {"fstatat64", ENOENT, 2},
    {"ftruncate64", EIO, 1},
    {"fcntl64", EBADF, 6},
    {"getrlimit64", EINVAL, 4},
    {"setrlimit64", EPERM, 2},
    {"memfd_create", ENOMEM, 1},
    {"mkdirat", ENOSPC, 1},
    {"mkdirat", EEXIST, 1},
    {"openat64", EMFILE, 4},
    {"openat64", EEXIST, 4},
    {"pipe2", EMFILE, 2},
    {"signalfd", EMFILE, 1},
    {"sigprocmask", EINVAL, 1},
    {"pread64", EIO, 3},
    {"pread64", EINTR, 3},
    {"pwrite64", EIO, 6},
    {"pwrite64", EINTR, 6},
    {"read", EINTR, 9},
    {"read", EIO, 9},
    {"recv", EINTR, 2},
    {"recv", EAGAIN, 2},
    {"recv", ECONNRESET, 3},
    {"send", EINTR, 2},
    {"send", EAGAIN, 2},
    {"send", EPIPE, 3},
    {"write", EINTR, 2},
    {"write", ENOSPC, 3},
    {"wait4", EINTR, 2},
    {"waitpid", ECHILD, 1},
    {"cgroup_own_open", 0, 1},
    {"cgroup_make", EBUSY, 2, IN_GROUPS},
    {"cgroup_make", EACCES, 2, IN_GROUPS},
    {"cgroup_kill", EOPNOTSUPP, 2, IN_GROUPS},
    {"cgroup_is_populated", 0, 2, IN_GROUPS},
    {"proc_children", ENOENT, 2, WITHOUT},
    {"proc_stat_read", ESRCH, 2, WITHOUT},
    {"proc_environ_get", EAGAIN, 3, WITHOUT},
    {"proc_environ_get", EACCES, 3, WITHOUT},
    {"proc_table_read", EIO, 2, WITHOUT},
    {"proc_descends", EPERM, 1, AFTER_LOSS},
    {"socket_peer", ESRCH, 1, AFTER_LOSS},
    {"memory", 0, 90, IN_ANY},
    {"open64", EACCES, 1},
    {"prctl", EPERM, 2},
    {"geteuid", 0, 1},
    {"spawn_start", EAGAIN, 3, IN_GROUPS},
    {"socket_peer", EPERM, 1},
    {"boot_id_read", EIO, 1},
    {"mask_new", ENOMEM, 2},
    {"socket_peer", ENOTCONN, 1},
    {"wire_decode", ENOMEM, 1},
    {"buf_room", ENOMEM, 2},
};

/* One run with a keeper in which these fail; true when they did. */
static bool run_faulty(const struct fault *faults, size_t count, unsigned set)
{
	struct world world;
	bool fired;

	world_make(&world);
	faulty_write(world.dir.fd, faults, count);
	assert_ok(client_open(&world), &world.err);
	if (jobs_run(&world, set) != ERR_OK) {
		assert_true(world.err.text[0]);
		jobs_recover(&world, set);
	}
	assert_sound(&world, set);
	client_free(world.client);
	world.client = NULL;
	keeper_await(&world);
	fired = temp_dir_has(&world.dir, "fired");
	world_drop(&world);
	return fired;
}

static void d16_a_call_of_the_keeper_that_fails_costs_one_report_at_most(void **state)
{
	unsigned runs = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keeper_rows); i++) {
		const struct row *row = &keeper_rows[i];
		unsigned step = !is_quick() ? 1 : row->most < 20 ? 1 + row->most / 2 : 9;

		for (unsigned nth = 1; nth <= row->most; nth += step) {
			struct fault faults[] = {{row->call, row->number, nth, false},
						 {"cgroup_own_open", 0, 1, true}};
			bool is_without =
			    row->where == WITHOUT || (row->where != IN_GROUPS && nth % 2);

			if (row->where == AFTER_LOSS)
				faults[1] = (struct fault){"recv", ECONNRESET, 2, false};
			runs +=
			    run_faulty(faults, is_without || row->where == AFTER_LOSS ? 2 : 1, ALL);
		}
	}
	assert_true(runs > 50);
}

/* Two things at once, and clocks that run ahead: looks and patience come to their ends. */
static void a_keeper_that_cannot_see_trees_or_its_directory_still_ends(void **state)
{
	static const struct {
		struct fault faults[FAULTS_MAX];
		unsigned set;
	} rows[] = {
	    {{{"proc_children", ENOENT, 1, true}, {"cgroup_own_open", 0, 1, true}}, ALL},
	    {{{"proc_children", ENOENT, 1, true},
	      {"proc_table_read", EIO, 1, false},
	      {"cgroup_own_open", 0, 1, true}},
	     ALL},
	    {{{"proc_environ_get", EAGAIN, 1, true},
	      {"clock_gettime", 1, 40, true},
	      {"cgroup_own_open", 0, 1, true}},
	     1U << 5 | 1U << 7},
	    {{{"proc_environ_get", EAGAIN, 1, true}, {"cgroup_own_open", 0, 1, true}}, 1U << 5},
	    {{{"proc_environ_get", EAGAIN, 1, true},
	      {"clock_gettime", 1, 1, true},
	      {"cgroup_own_open", 0, 1, true}},
	     1U << 17 | 1U << 19},
	    {{{"clock_gettime", 1, 20, true}}, 1U << 1 | 1U << 10},
	    {{{"clock_gettime", 6, 4, false}, {"fstat64", EIO, 1, false}}, 1U | 1U << 7},
	    {{{"clock_gettime", 6, 4, false}, {"fstat64", EIO, 2, false}}, 1U | 1U << 7},
	    {{{"cgroup_make", EACCES, 1, false}}, ALL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t count = 0;

		while (count < FAULTS_MAX && rows[i].faults[count].call)
			count++;
		(void)run_faulty(rows[i].faults, count, rows[i].set);
	}
}

/* S8.6: a keeper that found other limits and another rank than usual gives its commands those. */
static void s8_6_limits_and_rank_of_before_are_kept(void **state)
{
	struct world world;
	struct rlimit files, now;

	(void)state;
	world_make(&world);
	temp_dir_write(&world.dir, "ranked", "", 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	now = files;
	now.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_ok(client_open(&world), &world.err);
	assert_ok(jobs_run(&world, 1U << 2), &world.err);
	assert_sound(&world, 1U << 2);
	for (unsigned nth = 1; nth < 4; nth++) {
		const struct fault fault = {"setrlimit64", EPERM, nth, false};

		(void)run_faulty(&fault, 1, 1U);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	world_drop(&world);
}

/* One command alone, so that it is known which of its calls fails. */
static void d16_a_command_that_is_alone_meets_each_failure(void **state)
{
	static const struct {
		struct fault faults[FAULTS_MAX];
		unsigned most;
		unsigned job;
	} rows[] = {
	    {{{"pwrite64", EINTR, 1, false}}, 8, 2},
	    {{{"pwrite64", EIO, 1, false}}, 8, 2},
	    {{{"openat64", EACCES, 1, false}}, 4, 3},
	    {{{"read", EINTR, 1, false}}, 6, 1},
	    {{{"read", EIO, 1, false}}, 6, 1},
	    {{{"cgroup_oom_kills", 0, 1, false}}, 3, 18},
	    {{{"send", EAGAIN, 1, false}, {"send", EPIPE, 2, false}}, 1, 0},
	    {{{"send", EAGAIN, 1, false}, {"send", EINTR, 2, false}}, 1, 0},
	    {{{"memory", 0, 1, false}}, 60, 1},
	    {{{"cgroup_own_open", 0, 1, true}}, 1, 5},
	    {{{"cgroup_own_open", 0, 1, true}}, 1, 13},
	    {{{"proc_environ_get", EAGAIN, 1, true},
	      {"clock_gettime", 1, 1, true},
	      {"cgroup_own_open", 0, 1, true}},
	     1,
	     16},
	    {{{"memory", 0, 1, false}, {"cgroup_own_open", 0, 1, true}}, 60, 8},
	    {{{"memory", 0, 1, false}, {"cgroup_own_open", 0, 1, true}}, 60, 5},
	    {{{"proc_table_read", EIO, 1, false},
	      {"proc_children", ENOENT, 1, true},
	      {"cgroup_own_open", 0, 1, true}},
	     2,
	     5},
	    {{{"proc_environ_get", EAGAIN, 1, true}, {"cgroup_own_open", 0, 1, true}}, 1, 16},
	    {{{"proc_environ_get", EAGAIN, 1, true},
	      {"clock_gettime", 1, 30, true},
	      {"cgroup_own_open", 0, 1, true}},
	     1,
	     16},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned step = is_quick() && rows[i].most > 20 ? 7 : 1;

		for (unsigned nth = 0; nth < rows[i].most; nth += step) {
			struct fault faults[FAULTS_MAX];
			size_t count = 0;

			memcpy(faults, rows[i].faults, sizeof(faults));
			while (count < FAULTS_MAX && faults[count].call)
				count++;
			faults[0].nth += nth;
			(void)run_faulty(faults, count, 1U << rows[i].job);
		}
	}
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
	    cmocka_unit_test(s8_2_each_command_has_one_end),
	    cmocka_unit_test(d16_a_call_of_the_keeper_that_fails_costs_one_report_at_most),
	    cmocka_unit_test(a_keeper_that_cannot_see_trees_or_its_directory_still_ends),
	    cmocka_unit_test(s8_6_limits_and_rank_of_before_are_kept),
	    cmocka_unit_test(d16_a_command_that_is_alone_meets_each_failure),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
	return process_main(argc, argv, tests);
}
