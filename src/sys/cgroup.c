/* cgroup.c - see cgroup.h */
#include "sys/cgroup.h"

#include "base/buf.h"
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
#include <sys/syscall.h>
#include <unistd.h>

#define READ_BYTES    4096
#define LINE_BYTES    4096
#define MAKE_TRIES    4
#define REMOVE_TRIES  50
#define REMOVE_NAP_US 2000

/* What /proc says of the caller: its mounts and its groups. */
struct own {
	struct buf mounts, groups;
};

static void text_read(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : 1;

	while (len > 0) {
		char *room = buf_room(out, READ_BYTES);

		len = room ? read(fd, room, READ_BYTES) : 0;
		if (len > 0)
			buf_added(out, (size_t)len);
	}
	if (fd >= 0)
		(void)close(fd); /* only read from */
}

static void own_read(struct own *own)
{
	*own = (struct own){.mounts = BUF_INIT, .groups = BUF_INIT};
	text_read("/proc/self/mountinfo", &own->mounts);
	text_read("/proc/self/cgroup", &own->groups);
}

static void own_fini(struct own *own)
{
	buf_fini(&own->mounts);
	buf_fini(&own->groups);
}

/* The next line of the text, without its end; false behind the last one. It fits into `line`. */
static bool line_next(struct str text, size_t *at, char line[LINE_BYTES])
{
	struct str rest = str_cut(text, *at, text.len);
	size_t len;

	if (rest.len == 0)
		return false;
	len = str_find(rest, "\n", 0);
	len = len == SIZE_MAX ? rest.len : len;
	*at += len + 1;
	(void)snprintf(line, LINE_BYTES, "%.*s", (int)(len < LINE_BYTES ? len : 0), rest.ptr);
	return true;
}

/* Is `name` in the list "a,b,c"? */
static bool list_has(struct str list, const char *name)
{
	for (size_t at = 0; at < list.len;) {
		size_t end = str_find(list, ",", at);

		if (str_is(str_cut(list, at, end), name))
			return true;
		at = end == SIZE_MAX ? list.len : end + 1;
	}
	return false;
}

/* The mount point in a line of /proc/self/mountinfo (proc(5)): field 5, behind the root of the
 * mount. NULL when that is another than the root of the hierarchy, or of the namespace: what
 * /proc/self/cgroup says is no path below such a mount (cgroup_namespaces(7)). Only spaces part
 * fields, a path may hold other white space. */
static const char *point_of(const char *line)
{
	for (int field = 1; line && field < 4; field++) {
		line = strchr(line, ' ');
		line = line ? line + 1 : NULL;
	}
	return line && strncmp(line, "/ ", 2) == 0 ? line + 2 : NULL;
}

/* Mount point of a hierarchy, of v1 that of a controller, which is NULL for v2. The type, the
 * source and the options of a mount follow " - ". */
static bool mount_find(const struct own *own, const char *type_text, const char *controller,
		       char *path, size_t bytes)
{
	NOT_CLEARED char line[LINE_BYTES];
	bool is_found = false;
	size_t at = 0;

	while (!is_found && line_next(buf_view(&own->mounts), &at, line)) {
		const char *type = strstr(line, " - ");
		const char *point = point_of(line);
		int len;

		if (!type || !point || strncmp(type + 3, type_text, strlen(type_text)) != 0 ||
		    (controller && !list_has(str_of(strrchr(line, ' ') + 1), controller)))
			continue;
		len = (int)strcspn(point, " ");
		if (!memchr(point, '\\', (size_t)len))
			is_found = snprintf(path, bytes, "%.*s", len, point) < (int)bytes;
	}
	return is_found;
}

/* The caller's group: the line "<number>:<controllers>:/path" of /proc/self/cgroup (cgroups(7)),
 * "0::/path" for v2. */
static bool own_find(const struct own *own, const char *controller, char *path, size_t bytes)
{
	NOT_CLEARED char line[LINE_BYTES];
	bool is_found = false;
	size_t at = 0;

	while (!is_found && line_next(buf_view(&own->groups), &at, line)) {
		const char *list = line + strspn(line, "0123456789");
		size_t len = *list == ':' ? strcspn(++list, ":") : 0;

		if (strncmp(list + len, ":/", 2) == 0 &&
		    (controller ? list_has(str_from(list, len), controller) : len == 0))
			is_found = snprintf(path, bytes, "%s", list + len + 1) < (int)bytes;
	}
	return is_found;
}

/* A file or directory of the caller's own group; -1 when there is none. */
static int own_open(const struct own *own, const char *type, const char *controller,
		    const char *name, int flags)
{
	NOT_CLEARED char point[2048];
	NOT_CLEARED char group[2048];
	NOT_CLEARED char path[4160];

	if (!mount_find(own, type, controller, point, sizeof(point)) ||
	    !own_find(own, controller, group, sizeof(group)))
		return -1;
	(void)snprintf(path, sizeof(path), "%s%s/%s", point, group, name);
	return open(path, O_RDONLY | O_CLOEXEC | flags);
}

static int base_open(const struct own *own)
{
	/* cgroup.kill is not in the root, but in every other group of a kernel that has it. */
	return own_open(own, "cgroup2 ", NULL, ".", O_DIRECTORY);
}

int cgroup_base(void)
{
	AUTO(own_fini) struct own own;

	own_read(&own);
	return base_open(&own);
}

void cgroup_own_open(int *ret_base, int *ret_oom_fd)
{
	AUTO(own_fini) struct own own;

	own_read(&own);
	*ret_base = base_open(&own);
	*ret_oom_fd = own_open(&own, "cgroup2 ", NULL, "memory.events", 0);
	if (*ret_oom_fd < 0)
		*ret_oom_fd = own_open(&own, "cgroup ", "memory", "memory.oom_control", 0);
}

/* Where the number of a key is in a text with "key number" on each line; NULL when it has none. */
static const char *number_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text && (strncmp(text, key, len) != 0 || text[len] != ' ')) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text ? text + len + 1 : NULL;
}

uint64_t cgroup_oom_kills(int fd)
{
	char text[512];
	ssize_t len = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	const char *at;

	if (len <= 0)
		return 0;
	text[len] = '\0';
	at = number_of(text, "oom_kill");
	return at ? strtoull(at, NULL, 10) : 0;
}

/* Whoever made a group holds a lock on it for as long as it lives (flock(2)): process ids would not
 * do, one hierarchy may be seen from several namespaces of them. */
static bool is_mine(int group)
{
	/* By its number: flock() is declared in a header of the name of one of ours. */
	return syscall(SYS_flock, group, LOCK_EX | LOCK_NB) == 0;
}

int cgroup_make(int base, const char *name)
{
	for (int i = 0; i < MAKE_TRIES; i++) {
		bool is_new = mkdirat(base, name, 0755) == 0;
		int group;

		if (!is_new && errno != EEXIST)
			return -errno;
		group = cgroup_open(base, name);
		if (group == -ENOENT)
			continue; /* cleared in between */
		if (group < 0)
			return group;
		if (is_new && is_mine(group)) {
			if (faccessat(group, "cgroup.kill", W_OK, 0) == 0)
				return group;
			(void)close(group);
			(void)unlinkat(base, name, AT_REMOVEDIR);
			return -EOPNOTSUPP;
		}
		/* One that was left behind is of no use, unless it is empty and can go. */
		if (!is_new && (!is_mine(group) || unlinkat(base, name, AT_REMOVEDIR) < 0)) {
			(void)close(group);
			return -EBUSY;
		}
		(void)close(group);
	}
	return -EBUSY;
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
	const char *number;
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
	number = number_of(text, "populated");
	return !number || *number != '0';
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

bool cgroup_remove_soon(int base, const char *name)
{
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (cgroup_remove(base, name))
			return true;
		(void)usleep(REMOVE_NAP_US);
	}
	return false;
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
		int group;

		if (strncmp(item->d_name, prefix, strlen(prefix)) != 0)
			continue;
		group = cgroup_open(base, item->d_name);
		if (group < 0)
			continue;
		if (is_mine(group))
			(void)unlinkat(base, item->d_name, AT_REMOVEDIR); /* busy: it stays */
		(void)close(group);
	}
	(void)closedir(dir);
}
