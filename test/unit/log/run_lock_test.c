/* run_lock_test.c - one owner a run: D23, D24, D25. */
#include "log/run_lock.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* D23: within a process too, for the lock belongs to the open file. */
static void the_second_owner_is_told_who_the_first_is(void **unused)
{
	struct temp_dir dir;
	struct run_lock first = {-1};
	struct run_lock second = {-1};
	struct err err = ERR_INIT;
	char pid[32];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &first, &err), ERR_OK);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &second, &err), ERR_LOCKED);
	assert_int_equal(second.fd, -1);
	(void)snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_true(err.hint[0]);
	run_lock_release(&vfs_os, &first);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &second, &err), ERR_OK);
	run_lock_release(&vfs_os, &second);
	temp_dir_remove(&dir);
}

/* S11.6 */
static void readers_see_the_owner_and_the_synced_head(void **unused)
{
	struct run_lock_info info = {.pid = 7};
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_false(info.is_held);
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &lock, &err), ERR_OK);
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_true(info.is_held);
	assert_int_equal(info.pid, getpid());
	assert_int_equal(info.synced_seq, 0);
	assert_int_equal(run_lock_publish(&vfs_os, &lock, 12, 3456, &err), ERR_OK);
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_int_equal(info.synced_seq, 12);
	assert_int_equal(info.synced_offset_bytes, 3456);
	assert_int_equal(run_lock_publish(&vfs_os, &lock, UINT64_MAX, UINT64_MAX, &err), ERR_OK);
	run_lock_release(&vfs_os, &lock);
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_false(info.is_held);
	assert_true(info.synced_seq == UINT64_MAX);
	temp_dir_remove(&dir);
}

static void a_head_that_is_not_ours_is_not_believed(void **unused)
{
	struct run_lock_info info;
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char text[80];

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, RUN_LOCK_FILE, "garbage", 7);
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_int_equal(info.pid, 0);
	memset(text, '9', sizeof(text));
	temp_dir_write(&dir, RUN_LOCK_FILE, text, sizeof(text));
	assert_int_equal(run_lock_look(&vfs_os, dir.fd, &info, &err), ERR_OK);
	assert_int_equal(info.synced_offset_bytes, 0);
	temp_dir_remove(&dir);
}

/* Takes the lock, starts a command that lives on, says which when it is executed, and waits to be
 * killed. */
static _Noreturn void own_and_start(const struct temp_dir *dir, int ready)
{
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	int execed[2]; /* closed by the exec */
	pid_t command;
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* with a test that failed */
	if (run_lock_take(&vfs_os, dir->fd, &lock, &err) != ERR_OK || pipe2(execed, O_CLOEXEC) < 0)
		_exit(1);
	command = fork();
	if (command == 0) {
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		(void)!write(execed[1], "", 1);
		_exit(1);
	}
	(void)close(execed[1]);
	if (read(execed[0], &byte, 1) != 0 ||
	    write(ready, &command, sizeof(command)) != sizeof(command))
		_exit(1);
	for (;;)
		(void)pause();
}

/* D25: a command that outlives its engine does not keep the run locked. */
static void the_lock_is_not_inherited_across_exec(void **unused)
{
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	struct temp_dir dir;
	pid_t owner, command;
	int ready[2];
	int status;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	if (owner == 0)
		own_and_start(&dir, ready[1]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &command, sizeof(command)), sizeof(command));
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &lock, &err), ERR_LOCKED);
	assert_int_equal(kill(owner, SIGKILL), 0);
	assert_int_equal(waitpid(owner, &status, 0), owner);
	assert_int_equal(kill(command, 0), 0); /* it lives */
	assert_int_equal(run_lock_take(&vfs_os, dir.fd, &lock, &err), ERR_OK);
	(void)kill(command, SIGKILL);
	(void)close(ready[0]);
	run_lock_release(&vfs_os, &lock);
	temp_dir_remove(&dir);
}

enum { STARTERS = 12 };

struct race {
	int go[2];   /* closed by all: they start */
	int told[2]; /* a byte of each: how it went */
	int hold[2]; /* closed: the winner may let go */
};

static _Noreturn void start_one(const struct temp_dir *dir, const struct race *race)
{
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	enum err_code code;
	char byte;

	(void)close(race->go[1]);
	(void)close(race->hold[1]);
	(void)!read(race->go[0], &byte, 1);
	code = run_lock_take(&vfs_os, dir->fd, &lock, &err);
	(void)!write(race->told[1], code == ERR_OK ? "w" : code == ERR_LOCKED ? "l" : "?", 1);
	(void)close(race->told[1]);
	if (code == ERR_OK)
		(void)!read(race->hold[0], &byte, 1);
	_exit(0);
}

/* D23: of many that race, one wins, whatever happens to the file's name. */
static void one_of_many_starters_wins(void **unused)
{
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	for (int round = 0; round < 10; round++) {
		struct race race;
		pid_t pids[STARTERS];
		int winners = 0, losers = 0;
		char byte;

		assert_int_equal(pipe2(race.go, O_CLOEXEC), 0);
		assert_int_equal(pipe2(race.told, O_CLOEXEC), 0);
		assert_int_equal(pipe2(race.hold, O_CLOEXEC), 0);
		for (size_t i = 0; i < STARTERS; i++) {
			pids[i] = fork();
			if (pids[i] == 0)
				start_one(&dir, &race);
		}
		(void)close(race.go[0]);
		(void)close(race.go[1]);
		(void)close(race.told[1]);
		(void)close(race.hold[0]);
		while (read(race.told[0], &byte, 1) == 1) {
			winners += byte == 'w';
			losers += byte == 'l';
		}
		(void)close(race.told[0]);
		(void)close(race.hold[1]);
		for (size_t i = 0; i < STARTERS; i++) {
			int status;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(winners, 1);
		assert_int_equal(losers, STARTERS - 1);
	}
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_second_owner_is_told_who_the_first_is),
	    cmocka_unit_test(readers_see_the_owner_and_the_synced_head),
	    cmocka_unit_test(a_head_that_is_not_ours_is_not_believed),
	    cmocka_unit_test(the_lock_is_not_inherited_across_exec),
	    cmocka_unit_test(one_of_many_starters_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
