/* proc.c - see proc.h */
#include "sys/proc.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENVIRON_BYTES_MAX ((size_t)4 << 20)
#define CHAIN_MAX         4096 /* parents looked at: a guard against a cycle made by reuse */

/* Read a whole small file of /proc; -1 on failure. */
static ssize_t text_read(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -1;
	while (len < bytes - 1) {
		ssize_t got = read(fd, text + len, bytes - 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int number = errno;

			(void)close(fd); /* only read from */
			errno = number;
			return -1;
		}
		if (got == 0)
			break;
		len += (size_t)got;
	}
	(void)close(fd); /* only read from */
	text[len] = '\0';
	return (ssize_t)len;
}

bool proc_stat_read(int32_t pid, struct proc_stat *ret_stat)
{
	char path[64];
	char text[1024];
	const char *rest;
	struct proc_stat stat = {.pid = pid};
	unsigned long long start;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (text_read(path, text, sizeof(text)) <= 0)
		return false;
	rest = strrchr(text, ')'); /* the name before it may hold anything */
	if (!rest)
		return false;
	if (sscanf(rest + 1,
		   " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &stat.state, &stat.parent, &stat.session, &start) != 4)
		return false;
	stat.start_ticks = start;
	*ret_stat = stat;
	return true;
}

bool proc_is_alive(const struct proc_stat *stat)
{
	return stat->state != 'Z' && stat->state != 'X';
}

/* The whole environment into *ret_text (the caller frees it); bytes, -1 with errno when it cannot
 * be read. */
static ssize_t environ_read(int32_t pid, char **ret_text)
{
	char path[64];
	size_t bytes = 16384;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	for (;;) {
		char *grown = mem_resize(*ret_text, bytes, 1);

		if (!grown)
			return -1;
		*ret_text = grown;
		len = text_read(path, grown, bytes);
		if (len < 0 || (size_t)len < bytes - 1 || bytes >= ENVIRON_BYTES_MAX)
			return len;
		bytes *= 4;
	}
}

static bool shows_arguments(int32_t pid)
{
	char path[64];
	char text[2];

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	return text_read(path, text, sizeof(text)) > 0;
}

enum proc_environ proc_environ_get(int32_t pid, const char *name, char *value, size_t value_bytes)
{
	AUTO(mem_drop) char *text = NULL;
	size_t name_len = strlen(name);
	ssize_t len = environ_read(pid, &text);

	/* Without memory, late in its end, a process is shown as root's: then it has no arguments
	 * either. (What changed its user shows them.) */
	if (len <= 0 && !shows_arguments(pid))
		return PROC_ENVIRON_UNCLEAR;
	if (len <= 0)
		len = environ_read(pid, &text); /* the exec may have ended between the two */
	for (const char *at = text; len > 0 && at < text + len; at += strlen(at) + 1) {
		if (strncmp(at, name, name_len) != 0 || at[name_len] != '=')
			continue;
		if (strlen(at + name_len + 1) >= value_bytes)
			return PROC_ENVIRON_HAS_NOT;
		memcpy(value, at + name_len + 1, strlen(at + name_len + 1) + 1);
		return PROC_ENVIRON_HAS;
	}
	return PROC_ENVIRON_HAS_NOT;
}

bool proc_descends(int32_t pid, int32_t ancestor)
{
	struct proc_stat stat;

	for (int i = 0; i < CHAIN_MAX && pid > 0; i++) {
		if (pid == ancestor)
			return true;
		if (!proc_stat_read(pid, &stat))
			return false;
		pid = stat.parent;
	}
	return false;
}

bool proc_children(proc_child_fn *visit, void *arg)
{
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char text[4096];
	size_t held = 0;

	if (fd < 0)
		return false;
	for (;;) {
		ssize_t got = read(fd, text + held, sizeof(text) - 1 - held);
		char *at = text;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		text[held + (size_t)got] = '\0';
		for (char *end; (end = strchr(at, ' ')) != NULL; at = end + 1)
			visit(arg, (int32_t)strtol(at, NULL, 10));
		held = strlen(at);
		memmove(text, at, held);
	}
	(void)close(fd); /* only read from */
	return true;
}

static int pidfd_of(int32_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0U);
}

bool proc_signal(int32_t pid, uint64_t start_ticks, int signal)
{
	int fd = pidfd_of(pid);
	struct proc_stat stat;
	bool is_sent;

	if (fd < 0)
		return false;
	is_sent = proc_stat_read(pid, &stat) && stat.start_ticks == start_ticks &&
		  syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0U) == 0;
	(void)close(fd); /* only a handle */
	return is_sent;
}

void proc_table_fini(struct proc_table *table)
{
	mem_free(table->items);
	*table = (struct proc_table){.items = NULL};
}

static int by_pid(const void *a, const void *b)
{
	int32_t left = ((const struct proc_stat *)a)->pid;
	int32_t right = ((const struct proc_stat *)b)->pid;

	return (left > right) - (left < right);
}

enum err_code proc_table_read(struct proc_table *table, struct err *err)
{
	DIR *dir = opendir("/proc");
	const struct dirent *item;

	if (!dir)
		return err_sys(err, "open '/proc'");
	table->count = 0;
	while ((item = readdir(dir)) != NULL) {
		struct proc_stat stat;
		char *end;
		long pid = strtol(item->d_name, &end, 10);

		if (*end || pid <= 0 || !proc_stat_read((int32_t)pid, &stat))
			continue;
		if (mem_grow((void **)&table->items, &table->capacity, table->count + 1,
			     sizeof(*table->items), err) != ERR_OK) {
			(void)closedir(dir);
			return err->code;
		}
		table->items[table->count++] = stat;
	}
	(void)closedir(dir);
	if (table->count)
		qsort(table->items, table->count, sizeof(*table->items), by_pid);
	return ERR_OK;
}

size_t proc_table_find(const struct proc_table *table, int32_t pid)
{
	struct proc_stat key = {.pid = pid};
	const struct proc_stat *found =
	    table->count ? bsearch(&key, table->items, table->count, sizeof(key), by_pid) : NULL;

	return found ? (size_t)(found - table->items) : SIZE_MAX;
}

static enum proc_environ carries(const struct proc_tree *tree, int32_t pid)
{
	char value[512];
	enum proc_environ found = proc_environ_get(pid, tree->name, value, sizeof(value));
	size_t len = tree->is_prefix ? strlen(tree->value) : sizeof(value);

	if (found == PROC_ENVIRON_HAS && strncmp(value, tree->value, len) != 0)
		return PROC_ENVIRON_HAS_NOT;
	return found;
}

enum mark { MARK_UNKNOWN, MARK_NO, MARK_UNCLEAR, MARK_YES };

/* Threads of the kernel, the children of kthreadd, have no environment. */
static bool is_of_kernel(const struct proc_stat *stat)
{
	return stat->pid == 2 || stat->parent == 2 || !proc_is_alive(stat);
}

/* A member by itself, or through the nearest ancestor that is one. */
static enum mark mark_of(const struct proc_tree *tree, const struct proc_table *table,
			 enum mark *marks, size_t index)
{
	size_t at = index;
	enum mark mark = MARK_NO;

	for (size_t i = 0; i < CHAIN_MAX && at != SIZE_MAX; i++) {
		const struct proc_stat *stat = &table->items[at];
		enum proc_environ found;

		if (marks[at] != MARK_UNKNOWN) {
			mark = marks[at];
			break;
		}
		found = is_of_kernel(stat) ? PROC_ENVIRON_HAS_NOT : carries(tree, stat->pid);
		if (found != PROC_ENVIRON_HAS_NOT) {
			mark = found == PROC_ENVIRON_HAS ? MARK_YES : MARK_UNCLEAR;
			break;
		}
		at = proc_table_find(table, stat->parent);
	}
	for (size_t i = index; i != at; i = proc_table_find(table, table->items[i].parent))
		marks[i] = mark; /* all that hang below the one that decided */
	if (at != SIZE_MAX)
		marks[at] = mark;
	return mark;
}

enum err_code proc_tree_pass(const struct proc_tree *tree, int signal, proc_visit_fn *visit,
			     void *arg, size_t *ret_count, size_t *ret_unclear, struct err *err)
{
	AUTO(proc_table_fini) struct proc_table table = {.items = NULL};
	AUTO(mem_drop) enum mark *marks = NULL;
	size_t count = 0;
	size_t unclear = 0;
	size_t self;

	if (proc_table_read(&table, err) != ERR_OK)
		return err_while(err, "look for processes");
	marks = mem_new(table.count, sizeof(*marks));
	if (!marks)
		return mem_err(err);
	self = proc_table_find(&table, (int32_t)getpid());
	if (self != SIZE_MAX)
		marks[self] = MARK_NO;
	for (size_t i = 0; i < table.count; i++) {
		const struct proc_stat *stat = &table.items[i];

		enum mark mark = mark_of(tree, &table, marks, i);

		if (!proc_is_alive(stat) || mark == MARK_NO)
			continue;
		if (mark == MARK_UNCLEAR) {
			unclear++;
			continue;
		}
		count++;
		if (signal)
			(void)proc_signal(stat->pid, stat->start_ticks, signal);
		if (visit)
			visit(arg, stat);
	}
	*ret_count = count;
	*ret_unclear = unclear;
	return ERR_OK;
}

static struct rlimit core_before;
static bool is_core_off;

void proc_core_off(void)
{
	struct rlimit none;

	if (is_core_off || getrlimit(RLIMIT_CORE, &core_before) < 0 || core_before.rlim_cur == 0)
		return;
	none = (struct rlimit){0, core_before.rlim_max};
	is_core_off = setrlimit(RLIMIT_CORE, &none) == 0;
}

bool proc_core_limit(struct rlimit *ret_limit)
{
	if (is_core_off)
		*ret_limit = core_before;
	return is_core_off;
}
