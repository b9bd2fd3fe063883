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
			(void)close(fd); /* only read from */
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

bool proc_environ_get(int32_t pid, const char *name, char *value, size_t value_bytes)
{
	size_t name_len = strlen(name);
	char path[64];
	AUTO(mem_drop) char *text = NULL;
	size_t bytes = 16384;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	for (;;) {
		char *grown = mem_resize(text, bytes, 1);

		if (!grown)
			return false;
		text = grown;
		len = text_read(path, text, bytes);
		if (len < 0)
			return false;
		if ((size_t)len < bytes - 1 || bytes >= ENVIRON_BYTES_MAX)
			break;
		bytes *= 4;
	}
	for (const char *at = text; at < text + len; at += strlen(at) + 1) {
		if (strncmp(at, name, name_len) != 0 || at[name_len] != '=')
			continue;
		if (strlen(at + name_len + 1) >= value_bytes)
			return false;
		memcpy(value, at + name_len + 1, strlen(at + name_len + 1) + 1);
		return true;
	}
	return false;
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

size_t proc_children(int32_t *pids, size_t pids_max)
{
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char text[4096];
	size_t held = 0;
	size_t count = 0;

	if (fd < 0)
		return SIZE_MAX;
	for (;;) {
		ssize_t got = read(fd, text + held, sizeof(text) - 1 - held);
		char *at = text;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		text[held + (size_t)got] = '\0';
		for (char *end; (end = strchr(at, ' ')) != NULL; at = end + 1) {
			if (count < pids_max)
				pids[count++] = (int32_t)strtol(at, NULL, 10);
		}
		held = strlen(at);
		memmove(text, at, held);
	}
	(void)close(fd); /* only read from */
	return count;
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

struct entry {
	struct proc_stat stat;
	bool is_member;
	bool is_below;
};

struct table {
	struct entry *entries; /* by pid, as /proc lists them */
	size_t count;
	size_t capacity;
};

static void table_fini(struct table *table)
{
	mem_free(table->entries);
}

static enum err_code table_read(struct table *table, struct err *err)
{
	DIR *dir = opendir("/proc");
	const struct dirent *item;

	if (!dir)
		return err_sys(err, "open '/proc'");
	while ((item = readdir(dir)) != NULL) {
		struct proc_stat stat;
		char *end;
		long pid = strtol(item->d_name, &end, 10);

		if (*end || pid <= 0 || !proc_stat_read((int32_t)pid, &stat))
			continue;
		if (mem_grow((void **)&table->entries, &table->capacity, table->count + 1,
			     sizeof(*table->entries), err) != ERR_OK) {
			(void)closedir(dir);
			return err->code;
		}
		table->entries[table->count++] = (struct entry){.stat = stat};
	}
	(void)closedir(dir);
	return ERR_OK;
}

static bool is_alive(const struct proc_stat *stat)
{
	return stat->state != 'Z' && stat->state != 'X';
}

/* Whoever descends from a marked process is marked too. One round marks at least one more level;
 * process ids mostly grow downwards, so few rounds are needed. */
static void mark_down(struct table *table, size_t offset)
{
	bool grew = true;

	while (grew) {
		grew = false;
		for (size_t i = 0; i < table->count; i++) {
			struct entry *entry = &table->entries[i];
			bool *mark = (bool *)(void *)((char *)entry + offset);

			for (size_t j = 0; !*mark && j < table->count; j++) {
				const struct entry *parent = &table->entries[j];

				if (parent->stat.pid != entry->stat.parent)
					continue;
				*mark =
				    *(const bool *)(const void *)((const char *)parent + offset);
				grew = grew || *mark;
				break;
			}
		}
	}
}

static bool carries(const struct proc_tree *tree, int32_t pid)
{
	char value[512];

	if (!tree->value || !proc_environ_get(pid, tree->name, value, sizeof(value)))
		return false;
	if (tree->is_prefix)
		return strncmp(value, tree->value, strlen(tree->value)) == 0;
	return strcmp(value, tree->value) == 0;
}

static void members_mark(const struct proc_tree *tree, struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		table->entries[i].is_below =
		    tree->below == 0 || table->entries[i].stat.pid == tree->below;
	mark_down(table, offsetof(struct entry, is_below));
	for (size_t i = 0; i < table->count; i++) {
		struct entry *entry = &table->entries[i];

		if (entry->stat.pid == (int32_t)getpid())
			continue;
		if (tree->leader && entry->is_below &&
		    (entry->stat.session == tree->leader || entry->stat.pid == tree->leader))
			entry->is_member = true;
		else if (carries(tree, entry->stat.pid))
			entry->is_member = true;
	}
	mark_down(table, offsetof(struct entry, is_member));
}

enum err_code proc_tree_pass(const struct proc_tree *tree, int signal, proc_visit_fn *visit,
			     void *arg, size_t *ret_count, struct err *err)
{
	AUTO(table_fini) struct table table = {.entries = NULL};
	size_t count = 0;

	if (table_read(&table, err) != ERR_OK)
		return err_while(err, "look for processes");
	members_mark(tree, &table);
	for (size_t i = 0; i < table.count; i++) {
		const struct entry *entry = &table.entries[i];

		if (!entry->is_member || !is_alive(&entry->stat) ||
		    entry->stat.pid == (int32_t)getpid())
			continue;
		count++;
		if (signal)
			(void)proc_signal(entry->stat.pid, entry->stat.start_ticks, signal);
		if (visit)
			visit(arg, &entry->stat);
	}
	*ret_count = count;
	return ERR_OK;
}
