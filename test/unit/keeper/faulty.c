/* faulty.c - see faulty.h */
#include "faulty.h"

#include "base/mem.h"
#include "keeper/mask.h"
#include "keeper/wire.h"
#include "sys/poller.h"
#include "sys/proc.h"
#include "sys/spawn.h"
#include "sys/unix_socket.h"
#include "sys/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct fault plan[FAULTS_MAX];
static unsigned seen[FAULTS_MAX];
static bool fired[FAULTS_MAX];
static size_t plan_count;
static char names[FAULTS_MAX][32];
static time_t ahead_s; /* of the clock */

void faulty_plan(const struct fault *faults, size_t count)
{
	plan_count = 0;
	ahead_s = 0;
	mem_fail_at(0, 0);
	for (size_t i = 0; i < count; i++) {
		plan[i] = faults[i];
		seen[i] = 0;
		fired[i] = false;
		if (strcmp(plan[i].call, "memory") == 0)
			mem_fail_at(plan[i].nth, plan[i].for_ever);
	}
	plan_count = count;
}

bool faulty_fired(void)
{
	bool all = true;

	for (size_t i = 0; i < plan_count; i++) {
		if (strcmp(plan[i].call, "memory") == 0)
			all = all && mem_calls() >= plan[i].nth;
		else
			all = all && fired[i];
	}
	return all;
}

void faulty_write(int dir, const struct fault *faults, size_t count)
{
	char text[512];
	int len = 0;
	int fd = openat(dir, "plan", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (size_t i = 0; i < count; i++)
		len +=
		    snprintf(text + len, sizeof(text) - (size_t)len, "%s %d %u %d\n",
			     faults[i].call, faults[i].number, faults[i].nth, faults[i].for_ever);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		perror("plan");
	(void)close(fd);
}

void faulty_read(int dir)
{
	struct fault faults[FAULTS_MAX];
	size_t count = 0;
	bool stays = false;
	char text[512];
	char *at = text;
	ssize_t got;
	int used;
	int fd = openat(dir, "plan", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	got = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[got > 0 ? got : 0] = '\0';
	while (count < FAULTS_MAX) {
		int for_ever = 0;

		if (sscanf(at, "%31s %d %u %d%n", names[count], &faults[count].number,
			   &faults[count].nth, &for_ever, &used) != 4)
			break;
		faults[count].call = names[count];
		faults[count].for_ever = for_ever;
		stays = stays || for_ever;
		count++;
		at += used;
	}
	if (!stays)
		(void)unlinkat(dir, "plan", 0);
	faulty_plan(faults, count);
}

static const struct fault *due(const char *call)
{
	const struct fault *found = NULL;

	for (size_t i = 0; i < plan_count; i++) {
		if (strcmp(plan[i].call, call) != 0)
			continue;
		seen[i]++;
		if (seen[i] != plan[i].nth && !(plan[i].for_ever && seen[i] > plan[i].nth))
			continue;
		fired[i] = true;
		found = &plan[i];
	}
	if (found)
		errno = found->number;
	return found;
}

static enum err_code told(struct err *err, const char *call)
{
	return err_sysno(err, errno, "%s", call);
}

/* A call that answers -1 and errno, or whatever `bad` is. */
#define WRAP(type, call, parameters, arguments, bad) \
	type __real_##call parameters; \
	type __wrap_##call parameters; \
	type __wrap_##call parameters \
	{ \
		return due(#call) ? (bad) : __real_##call arguments; \
	}
#include "faulty.def"

/* The ones with something to note. */
void __real_cgroup_own_open(int *base, int *oom);
void __wrap_cgroup_own_open(int *base, int *oom);
void __wrap_cgroup_own_open(int *base, int *oom)
{
	if (due("cgroup_own_open")) {
		*base = -1;
		*oom = -1;
		return;
	}
	__real_cgroup_own_open(base, oom);
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	const struct fault *jump = due("clock_gettime");
	int answer = __real_clock_gettime(clock, now);

	ahead_s += jump ? jump->number : 0;
	now->tv_sec += ahead_s;
	return answer;
}

/* Somebody else's process, or one of which no number is known. */
enum err_code __real_socket_peer(int fd, struct socket_peer *peer, struct err *err);
enum err_code __wrap_socket_peer(int fd, struct socket_peer *peer, struct err *err);
enum err_code __wrap_socket_peer(int fd, struct socket_peer *peer, struct err *err)
{
	const struct fault *fault = due("socket_peer");
	enum err_code code = __real_socket_peer(fd, peer, err);

	if (!fault || code != ERR_OK)
		return code;
	if (fault->number == EPERM)
		peer->uid = 65534;
	else if (fault->number == ESRCH)
		peer->pid = 0;
	else
		return told(err, "socket_peer");
	return ERR_OK;
}

/* A tree that no signal ends, one that cannot be told, or no answer. */
enum err_code __real_proc_tree_pass(const struct proc_tree *tree, int signal, proc_visit_fn *visit,
				    void *arg, size_t *count, size_t *unclear, struct err *err);
enum err_code __wrap_proc_tree_pass(const struct proc_tree *tree, int signal, proc_visit_fn *visit,
				    void *arg, size_t *count, size_t *unclear, struct err *err);
enum err_code __wrap_proc_tree_pass(const struct proc_tree *tree, int signal, proc_visit_fn *visit,
				    void *arg, size_t *count, size_t *unclear, struct err *err)
{
	const struct fault *fault = due("proc_tree_pass");

	if (!fault)
		return __real_proc_tree_pass(tree, signal, visit, arg, count, unclear, err);
	if (fault->number == EIO)
		return told(err, "proc_tree_pass");
	*count = fault->number == EPERM;
	*unclear = fault->number == EAGAIN;
	return ERR_OK;
}

/* Five words, whatever the first one asks. */
int __real_prctl(int act, ...);
int __wrap_prctl(int act, ...);
int __wrap_prctl(int act, ...)
{
	unsigned long words[4];
	va_list rest;

	va_start(rest, act);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(rest, unsigned long);
	va_end(rest);
	return due("prctl") ? -1 : __real_prctl(act, words[0], words[1], words[2], words[3]);
}

/* Flags decide whether there is a mode. */
int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	if (flags & O_CREAT) {
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	return due("openat64") ? -1 : __real_openat64(dir, path, flags, mode);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	if (flags & O_CREAT) {
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	return due("open64") ? -1 : __real_open64(path, flags, mode);
}

int __real_fcntl64(int fd, int act, ...);
int __wrap_fcntl64(int fd, int act, ...);
int __wrap_fcntl64(int fd, int act, ...)
{
	va_list rest;
	long value;

	va_start(rest, act);
	value = va_arg(rest, long);
	va_end(rest);
	return due("fcntl64") ? -1 : __real_fcntl64(fd, act, value);
}
