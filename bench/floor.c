#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES_MAX 1024

extern char **environ;

_Noreturn void floor_die(const char *what)
{
	perror(what);
	exit(1);
}

unsigned long floor_number(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end || number == 0) {
		(void)fprintf(stderr, "'%s' is not a number of at least 1\n", text);
		exit(2);
	}
	return number;
}

int floor_create(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		floor_die(name);
	return fd;
}

void floor_write(int fd, const void *bytes, size_t len)
{
	ssize_t done = write(fd, bytes, len);

	if (done < 0 || (size_t)done != len)
		floor_die("write");
}

void floor_lines(int fd, unsigned long count, bool sync)
{
	static char lines[LINES_MAX * FLOOR_LINE_BYTES];

	if (!lines[0]) {
		memset(lines, 'x', sizeof(lines));
		for (size_t at = FLOOR_LINE_BYTES - 1; at < sizeof(lines); at += FLOOR_LINE_BYTES)
			lines[at] = '\n';
	}
	if (count > LINES_MAX) {
		errno = E2BIG;
		floor_die("lines");
	}
	floor_write(fd, lines, count * FLOOR_LINE_BYTES);
	if (sync && fdatasync(fd) < 0)
		floor_die("fdatasync");
}

pid_t floor_spawn(int log)
{
	static char program[] = FLOOR_PROGRAM;
	char *argv[] = {program, NULL};
	pid_t pid = vfork();

	if (pid < 0)
		floor_die("vfork");
	if (pid == 0) {
		if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
			_exit(126);
		execve(program, argv, environ);
		_exit(127);
	}
	return pid;
}

pid_t floor_wait(pid_t pid, bool block)
{
	int status;
	pid_t ended = waitpid(pid, &status, block ? 0 : WNOHANG);

	if (ended < 0)
		floor_die("waitpid");
	if (ended > 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		(void)fprintf(stderr, "%s failed\n", FLOOR_PROGRAM);
		exit(1);
	}
	return ended;
}

pid_t floor_step(int logs, unsigned long step)
{
	char name[64];
	pid_t pid;
	int log;

	(void)snprintf(name, sizeof(name), "s%lu.0.log", step);
	log = floor_create(logs, name);
	pid = floor_spawn(log);
	(void)close(log);
	return pid;
}
