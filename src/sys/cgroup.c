/* cgroup.c - see cgroup.h */
#include "sys/cgroup.h"

#include "base/mem.h"
#include "sys/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Mount point of cgroup v2 from /proc/self/mountinfo (proc(5)): field 5, the type follows " - ". */
static bool mount_find(char *path, size_t bytes)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	bool is_found = false;

	if (!file)
		return false;
	while (!is_found && fgets(line, sizeof(line), file)) {
		const char *type = strstr(line, " - ");
		char point[2048];

		if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %2047s", point) != 1 || strchr(point, '\\'))
			continue;
		is_found = snprintf(path, bytes, "%s", point) < (int)bytes;
	}
	(void)fclose(file); /* only read from */
	return is_found;
}

/* The caller's group: the line "0::/path" of /proc/self/cgroup (cgroups(7)). */
static bool own_find(char *path, size_t bytes)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];
	bool is_found = false;

	if (!file)
		return false;
	while (!is_found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		is_found = snprintf(path, bytes, "%s", line + 3) < (int)bytes;
	}
	(void)fclose(file); /* only read from */
	return is_found;
}

int cgroup_base(void)
{
	char point[2048];
	char own[2048];
	char path[4097];
	int base;

	if (!mount_find(point, sizeof(point)) || !own_find(own, sizeof(own)))
		return -1;
	(void)snprintf(path, sizeof(path), "%s%s", point, own);
	base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* cgroup.kill is not in the root, but in every other group of a kernel that has it. */
	return base;
}

int cgroup_make(int base, const char *name)
{
	int group;

	/* One of this name that was left behind is of no use unless it is empty. */
	if (mkdirat(base, name, 0755) < 0 &&
	    (errno != EEXIST || unlinkat(base, name, AT_REMOVEDIR) < 0 ||
	     mkdirat(base, name, 0755) < 0))
		return -errno;
	group = cgroup_open(base, name);
	if (group >= 0 && faccessat(group, "cgroup.kill", W_OK, 0) < 0) {
		(void)close(group);
		(void)unlinkat(base, name, AT_REMOVEDIR);
		return -EOPNOTSUPP;
	}
	return group;
}

int cgroup_open(int base, const char *name)
{
	int group = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return group < 0 ? -errno : group;
}

bool cgroup_is_populated(int group)
{
	int fd = openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t len;
	bool is_gone;

	/* Only an empty group can be removed: in one whose files are gone nothing lives. */
	if (fd < 0)
		return errno != ENOENT;
	len = read(fd, text, sizeof(text) - 1);
	is_gone = len < 0 && errno == ENODEV;
	(void)close(fd); /* only read from */
	if (len < 0)
		return !is_gone;
	text[len] = '\0';
	return strstr(text, "populated 0") == NULL;
}

bool cgroup_kill(int group)
{
	int fd = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	bool is_done;

	if (fd < 0)
		return false;
	is_done = write(fd, "1", 1) == 1;
	(void)close(fd); /* the write was the act */
	return is_done;
}

typedef void member_fn(void *arg, int32_t pid);

static size_t members_each(int group, member_fn *visit, void *arg)
{
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[32];
	size_t count = 0;

	if (!file) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	while (fgets(line, sizeof(line), file)) {
		long pid = strtol(line, NULL, 10);

		if (pid <= 0)
			continue; /* 0: a process of another pid namespace */
		visit(arg, (int32_t)pid);
		count++;
	}
	(void)fclose(file); /* only read from */
	return count;
}

struct signalling {
	int group;
	int signal;
};

static void signal_one(void *arg, int32_t pid)
{
	const struct signalling *what = arg;
	struct proc_stat stat;

	if (proc_stat_read(pid, &stat))
		(void)proc_signal(pid, stat.start_ticks, what->signal);
}

size_t cgroup_signal(int group, int signal)
{
	struct signalling what = {group, signal};

	return members_each(group, signal_one, &what);
}

bool cgroup_remove(int base, const char *name)
{
	return unlinkat(base, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

void cgroup_clear(int base, const char *prefix)
{
	int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((item = readdir(dir)) != NULL) {
		long pid;

		if (strncmp(item->d_name, prefix, strlen(prefix)) != 0)
			continue;
		pid = strtol(item->d_name + strlen(prefix), NULL, 10);
		if (pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			(void)unlinkat(base, item->d_name, AT_REMOVEDIR); /* busy: it stays */
	}
	(void)closedir(dir);
}
