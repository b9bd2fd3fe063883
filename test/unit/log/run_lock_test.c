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

/* D25: a command that outlives its engine does not keep the run locked. */
static void the_lock_is_not_inherited_across_exec(void **unused)
{
	struct run_lock lock = {-1};
	struct err err = ERR_INIT;
	struct temp_dir dir;
	int status;
	int ready[2];

	pid_t owner;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	if (owner == 0) { /* takes the lock, starts a command that lives on, and is killed */
		pid_t command;

		if (run_lock_take(&vfs_os, dir.fd, &lock, &err) != ERR_OK)
			_exit(1);
		command = fork();
		if (command == 0) {
			execl("/bin/sleep", "sleep", "5", (char *)NULL);
			_exit(1);
		}
		usleep(100000); /* the exec */
		if (write(ready[1], &command, sizeof(command)) != sizeof(command))
			_exit(1);
		(void)pause();
	}
	{
		pid_t command;

		assert_int_equal(read(ready[0], &command, sizeof(command)), sizeof(command));
		assert_int_equal(run_lock_take(&vfs_os, dir.fd, &lock, &err), ERR_LOCKED);
		assert_int_equal(kill(owner, SIGKILL), 0);
		assert_int_equal(waitpid(owner, &status, 0), owner);
		assert_int_equal(kill(command, 0), 0); /* it lives */
		assert_int_equal(run_lock_take(&vfs_os, dir.fd, &lock, &err), ERR_OK);
		(void)kill(command, SIGKILL);
	}
	(void)close(ready[0]);
	(void)close(ready[1]);
	run_lock_release(&vfs_os, &lock);
	temp_dir_remove(&dir);
}

/* D23: of many that race, one wins, whatever happens to the file's name. */
static void one_of_many_starters_wins(void **unused)
{
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	for (int round = 0; round < 10; round++) {
		int winners = 0;
		int go[2];
		pid_t pids[12];

		assert_int_equal(pipe2(go, O_CLOEXEC), 0);
		for (size_t i = 0; i < 12; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				struct run_lock lock = {-1};
				struct err err = ERR_INIT;
				char byte;
				enum err_code code;

				(void)close(go[1]);
				(void)!read(go[0], &byte, 1);
				code = run_lock_take(&vfs_os, dir.fd, &lock, &err);
				if (code == ERR_OK)
					usleep(50000);
				_exit(code == ERR_OK ? 0 : code == ERR_LOCKED ? 8 : 1);
			}
		}
		(void)close(go[0]);
		(void)close(go[1]);
		for (size_t i = 0; i < 12; i++) {
			int status;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFEXITED(status));
			assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 8);
			winners += WEXITSTATUS(status) == 0;
		}
		assert_int_equal(winners, 1);
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
