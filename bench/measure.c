/* measure.c - run a command, and print how long it took and how much memory it had.
 *
 *   measure PROGRAM [ARGUMENT]...
 *
 * One line on stdout: `<exit status> <wall ns> <peak resident KiB>`; 128 + n for signal n. The
 * command has stdin, stdout and stderr on /dev/null. A small program of its own because a child's
 * peak counts the memory of the process that started it: from an interpreter no figure below its
 * own size can be seen. */
#include "floor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		floor_die("clock_gettime");
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 2)
		return 2;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		floor_die("/dev/null");

	int64_t start = now_ns();
	pid_t pid = vfork();
	if (pid < 0)
		floor_die("vfork");
	if (pid == 0) {
		if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		    dup2(null, STDERR_FILENO) < 0)
			_exit(126);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		floor_die("wait4");
	int64_t wall = now_ns() - start;

	printf("%d %" PRId64 " %ld\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), wall,
	       usage.ru_maxrss);
	return 0;
}
