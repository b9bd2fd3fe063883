/* proc_texts.c - what the kernel says in /proc and in the files of control groups, read by
 * sys/proc.c and sys/cgroup.c. The linker hands every open() of theirs to this file, which answers
 * with a text of the input. Each text is also read here, by proc(5), cgroups(7) and cgroup-v2.rst.
 *
 * The readers rely on the kernel for the form of a text. Where an input has another form there may
 * be no right answer: then it is asked for no more than that nothing breaks and all is closed. */
#include "base/mem.h"
#include "fuzz.h"
#include "sys/cgroup.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_BYTES   ((size_t)1 << 17)
#define PATH_ROOM    8192
#define STAT_BYTES   1023 /* no more of it is read: the name has 64, the numbers 20 each */
#define LINE_BYTES   4095 /* a longer line is passed over ... */
#define PATH_BYTES   2047 /* ... and so is a line with a longer path */
#define EVENTS_BYTES 127
#define OOM_BYTES    511

enum { PIECE_END = 0xfe, AGAIN = 0xff };

struct text {
	size_t len;
	char bytes[TEXT_BYTES];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
	size_t room = TEXT_BYTES - text->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text->bytes + text->len, room, format, args);
	va_end(args);
	BUG_IF(len < 0);
	if ((size_t)len < room) /* or it is left out as a whole */
		text->len += (size_t)len;
}

static struct str view(const struct text *text)
{
	return str_from(text->bytes, text->len);
}

/* Bytes of the input up to PIECE_END. AGAIN, a count and a byte are that byte many times: the
 * limits of the readers are further off than an input is long. */
static void piece_next(struct bytes *bytes, struct text *text)
{
	text->len = 0;
	while (bytes->left) {
		uint8_t byte = byte_next(bytes);
		size_t count = 1;

		if (byte == PIECE_END)
			break;
		if (byte == AGAIN) {
			count += (size_t)byte_next(bytes) * 32;
			byte = byte_next(bytes);
		}
		count = count < TEXT_BYTES - text->len ? count : TEXT_BYTES - text->len;
		memset(text->bytes + text->len, byte, count);
		text->len += count;
	}
}

/* A piece as a text that the kernel could have: without NUL and newline, and not too long. */
static const char *name_next(struct bytes *bytes, size_t max)
{
	static struct text piece;
	size_t len = 0;

	piece_next(bytes, &piece);
	for (size_t i = 0; i < piece.len && len < max; i++)
		if (piece.bytes[i] && piece.bytes[i] != '\n')
			piece.bytes[len++] = piece.bytes[i];
	piece.bytes[len < TEXT_BYTES ? len : TEXT_BYTES - 1] = '\0';
	return piece.bytes;
}

static uint64_t number_next(struct bytes *bytes, size_t count)
{
	uint64_t number = 0;

	for (size_t i = 0; i < count; i++)
		number = number << 8 | byte_next(bytes);
	return number;
}

/* What is there to be opened, and what was. */

struct file {
	const char *path;
	int dir;
	const struct text *text;  /* NULL: it is left out */
	const struct text *later; /* once it was opened and had nothing to say */
	size_t opens;
};

struct other {
	char path[PATH_ROOM];
	int flags;
	int fd; /* -1: there is none */
};

static struct world {
	bool is_on;
	int error; /* of what is left out */
	struct file files[2];
	size_t file_count;
	unsigned present; /* bit i: the other path that is asked for as number i is there */
	struct other others[4];
	size_t other_count;
	int fds[32];
	size_t fd_count;
} world;

static int given(const struct text *text)
{
	int fd = text ? memfd_create("text", MFD_CLOEXEC) : -1;

	if (!text) {
		errno = world.error;
		return -1;
	}
	BUG_IF(fd < 0 || write(fd, text->bytes, text->len) != (ssize_t)text->len);
	BUG_IF(lseek(fd, 0, SEEK_SET) != 0 || world.fd_count >= ARRAY_LEN(world.fds));
	world.fds[world.fd_count++] = fd;
	return fd;
}

static int answer(int dir, const char *path, int flags)
{
	static const struct text empty;
	struct other *other = &world.others[world.other_count];

	BUG_IF((flags & O_ACCMODE) != O_RDONLY || !(flags & O_CLOEXEC));
	for (size_t i = 0; i < world.file_count; i++) {
		struct file *file = &world.files[i];
		bool is_later = file->opens > 0 && (!file->text || file->text->len == 0);

		if (file->dir != dir || strcmp(file->path, path) != 0)
			continue;
		file->opens++;
		return given(is_later ? file->later : file->text);
	}
	BUG_IF(world.other_count++ >= ARRAY_LEN(world.others) || strlen(path) >= PATH_ROOM);
	(void)strcpy(other->path, path);
	other->flags = flags;
	other->fd = given(world.present >> (world.other_count - 1) & 1 ? &empty : NULL);
	return other->fd;
}

#define WRAP(call, dir, declared, used) \
	int __real_##call declared; \
	int __wrap_##call declared; \
	int __wrap_##call declared \
	{ \
		mode_t mode = 0; \
		va_list args; \
\
		va_start(args, flags); \
		if (flags & (O_CREAT | __O_TMPFILE)) \
			mode = va_arg(args, mode_t); \
		va_end(args); \
		return world.is_on ? answer(dir, path, flags) : __real_##call used; \
	}

WRAP(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
WRAP(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
WRAP(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
WRAP(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

static void world_file(int dir, const char *path, const struct text *text, const struct text *later)
{
	BUG_IF(world.file_count >= ARRAY_LEN(world.files));
	world.files[world.file_count++] = (struct file){path, dir, text, later, 0};
}

static void world_end(void)
{
	world.is_on = false;
	for (size_t i = 0; i < world.fd_count; i++)
		BUG_IF(fcntl(world.fds[i], F_GETFD) >= 0 || errno != EBADF);
	world.fd_count = world.file_count = world.other_count = 0;
	world.present = 0;
}

/* The judge's own ways with a text. */

static bool is(struct str text, const char *other)
{
	return text.len == strlen(other) &&
	       (text.len == 0 || memcmp(text.ptr, other, text.len) == 0);
}

/* What is before the next `end`, or all; it is taken off the text, and so is the end. */
static struct str part_next(struct str *text, char end)
{
	const char *at = text->len ? memchr(text->ptr, end, text->len) : NULL;
	struct str part = {text->ptr, at ? (size_t)(at - text->ptr) : text->len};
	size_t taken = part.len + (at ? 1 : 0);

	*text = (struct str){text->len ? text->ptr + taken : NULL, text->len - taken};
	return part;
}

static bool has_any(struct str text, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (text.len && memchr(text.ptr, bytes[i], text.len))
			return true;
	return false;
}

static bool has_member(struct str list, const char *name)
{
	while (list.len)
		if (is(part_next(&list, ','), name))
			return true;
	return false;
}

/* A number as the kernel writes it: digits and nothing else. False as well when 64 bits are too
 * few. */
static bool plain_number(struct str text, uint64_t *ret_number)
{
	*ret_number = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)text.ptr[i] - '0';

		if (text.ptr[i] < '0' || text.ptr[i] > '9' ||
		    __builtin_mul_overflow(*ret_number, 10, ret_number) ||
		    __builtin_add_overflow(*ret_number, digit, ret_number))
			return false;
	}
	return text.len > 0;
}

/* /proc/PID/stat */

/* One more number in the way of scanf(3): white space, a sign, digits. */
struct signed_number {
	bool is_minus;
	bool is_big; /* more than 64 bits hold */
	uint64_t size;
};

static void white_skip(struct str *text)
{
	while (text->len && strchr(" \t\n\v\f\r", text->ptr[0]))
		*text = (struct str){text->ptr + 1, text->len - 1};
}

static bool signed_next(struct str *text, struct signed_number *number)
{
	struct str digits;

	white_skip(text);
	*number = (struct signed_number){.is_minus = text->len && text->ptr[0] == '-'};
	if (text->len && (text->ptr[0] == '-' || text->ptr[0] == '+'))
		*text = (struct str){text->ptr + 1, text->len - 1};
	digits = (struct str){text->ptr, 0};
	while (digits.len < text->len && text->ptr[digits.len] >= '0' &&
	       text->ptr[digits.len] <= '9')
		digits.len++;
	number->is_big = !plain_number(digits, &number->size);
	*text = (struct str){text->ptr + digits.len, text->len - digits.len};
	return digits.len > 0;
}

/* A number that the field cannot hold is none of the kernel's. */
static bool differs(const struct signed_number *number, int32_t value)
{
	int64_t size = (int64_t)number->size;

	if (number->is_big || number->size > (uint64_t)INT32_MAX + number->is_minus)
		return false;
	return (number->is_minus ? -size : size) != value;
}

static bool stat_is_right(struct str text, bool is_read, const struct proc_stat *stat)
{
	struct signed_number numbers[19]; /* fields 4 to 22 of proc(5) */
	size_t count = 0;
	char state;

	text.len = strnlen(text.ptr, text.len < STAT_BYTES ? text.len : STAT_BYTES);
	for (size_t at = text.len;; at--) {
		if (at == 0)
			return !is_read;
		if (text.ptr[at - 1] != ')')
			continue;
		text = (struct str){text.ptr + at, text.len - at};
		break;
	}
	white_skip(&text);
	if (text.len == 0)
		return !is_read;
	state = text.ptr[0];
	text = (struct str){text.ptr + 1, text.len - 1};
	while (count < ARRAY_LEN(numbers) && signed_next(&text, &numbers[count]))
		count++;
	if (count < ARRAY_LEN(numbers) || !is_read)
		return is_read == (count == ARRAY_LEN(numbers));
	return stat->state == state && !differs(&numbers[0], stat->parent) &&
	       !differs(&numbers[2], stat->session) &&
	       (numbers[18].is_big || numbers[18].is_minus ||
		numbers[18].size == stat->start_ticks);
}

static bool stat_read(int32_t pid, const struct text *text, struct proc_stat *stat)
{
	char path[64];
	bool is_read;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	world_file(AT_FDCWD, path, text, text);
	world.is_on = true;
	is_read = proc_stat_read(pid, stat);
	BUG_IF(world.other_count != 0 || world.files[0].opens != 1);
	world_end();
	BUG_IF(is_read && stat->pid != pid);
	return is_read;
}

static void stat_any(struct bytes *bytes)
{
	static struct text text;
	struct proc_stat stat = {.pid = 0};
	int32_t pid = (int32_t)number_next(bytes, 2);
	bool is_read;

	BUG_IF(stat_read(pid, NULL, &stat));
	piece_next(bytes, &text);
	is_read = stat_read(pid, &text, &stat);
	BUG_IF(!stat_is_right(view(&text), is_read, &stat));
}

/* A name may hold any byte but NUL, newlines and brackets among them. */
static void stat_made(struct bytes *bytes)
{
	static const char states[] = "RSDZTtWXxKPI";
	static struct text name, text;
	struct proc_stat stat = {.pid = 0};
	int32_t pid = (int32_t)(number_next(bytes, 4) & INT32_MAX);
	char state = states[byte_next(bytes) % (sizeof(states) - 1)];
	int32_t parent = (int32_t)number_next(bytes, 4);
	int32_t session = (int32_t)number_next(bytes, 4);
	uint64_t start = number_next(bytes, 8);

	piece_next(bytes, &name);
	for (size_t i = 0; i < name.len; i++)
		name.bytes[i] = (char)(name.bytes[i] ? name.bytes[i] : '\n');
	text.len = 0;
	add(&text, "%d (%.*s) %c %d %d %d", pid, (int)(name.len < 64 ? name.len : 64), name.bytes,
	    state, parent, (int32_t)number_next(bytes, 4), session);
	for (size_t field = 7; field <= 21; field++)
		add(&text, field == 8 || field > 15 ? " %jd" : " %ju",
		    (intmax_t)number_next(bytes, 8));
	add(&text, " %ju", (uintmax_t)start);
	for (size_t field = 23; field <= 52; field++)
		add(&text, " %ju", (uintmax_t)number_next(bytes, 8));
	add(&text, "\n");
	BUG_IF(!stat_read(pid, &text, &stat));
	BUG_IF(stat.state != state || stat.parent != parent || stat.session != session);
	BUG_IF(stat.start_ticks != start);
	BUG_IF(proc_is_alive(&stat) == (state == 'Z' || state == 'X'));
}

/* /proc/PID/environ, /proc/PID/cmdline */

static bool environ_is_right(const struct text *text, const char *name, enum proc_environ found,
			     const char *value, size_t room)
{
	struct str rest = text ? view(text) : STR_NONE;
	size_t len = strlen(name);

	while (rest.len) {
		struct str entry = part_next(&rest, '\0');

		if (entry.len <= len || memcmp(entry.ptr, name, len) != 0 || entry.ptr[len] != '=')
			continue;
		entry = (struct str){entry.ptr + len + 1, entry.len - len - 1};
		if (entry.len >= room)
			return found == PROC_ENVIRON_HAS_NOT;
		return found == PROC_ENVIRON_HAS && value[entry.len] == '\0' && is(entry, value);
	}
	return found == PROC_ENVIRON_HAS_NOT;
}

static void environ_any(struct bytes *bytes)
{
	static struct text text, later, arguments;
	uint8_t flags = byte_next(bytes);
	size_t room = byte_next(bytes);
	const struct text *first = flags & 1 ? &text : NULL;
	const struct text *second = flags & 2 ? &later : NULL;
	bool is_shown = flags & 4;
	enum proc_environ found;
	char *value, *name;

	room = room == UINT8_MAX ? TEXT_BYTES : room;
	world.error = flags & 8 ? EACCES : ENOENT;
	name = strdup(name_next(bytes, 64));
	value = malloc(room ? room : 1); /* just as much: what is written behind it is seen */
	BUG_IF(!name || !value);
	piece_next(bytes, &text);
	piece_next(bytes, &arguments);
	piece_next(bytes, &later);
	world_file(AT_FDCWD, "/proc/7/environ", first, second);
	world_file(AT_FDCWD, "/proc/7/cmdline", is_shown ? &arguments : NULL, NULL);
	world.is_on = true;
	found = proc_environ_get(7, name, value, room);
	BUG_IF(world.other_count != 0);
	world_end();
	if (first && text.len > 0)
		BUG_IF(!environ_is_right(first, name, found, value, room));
	else if (is_shown && arguments.len > 0) /* an exec came to its end in between */
		BUG_IF(!environ_is_right(second, name, found, value, room));
	else
		BUG_IF(found != PROC_ENVIRON_UNCLEAR);
	free(value);
	free(name);
}

/* /proc/thread-self/children */

struct children {
	int32_t pids[TEXT_BYTES];
	size_t count;
};

static void child_take(void *arg, int32_t pid)
{
	struct children *children = arg;

	BUG_IF(children->count >= ARRAY_LEN(children->pids));
	children->pids[children->count++] = pid;
}

/* Each number has a space behind it, the last one too. */
static bool children_are_right(struct str text, const struct children *children)
{
	size_t count = 0;
	bool is_other = false;

	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == ' ';
	if (children->count > count)
		return false;
	if (text.len && text.ptr[text.len - 1] != ' ')
		return true;
	for (count = 0; text.len; count++) {
		uint64_t pid;

		if (!plain_number(part_next(&text, ' '), &pid) || pid > INT32_MAX)
			return true;
		is_other =
		    is_other || count >= children->count || children->pids[count] != (int32_t)pid;
	}
	return !is_other && count == children->count;
}

static void children_any(const struct text *text)
{
	static struct children children;
	bool is_told;

	children.count = 0;
	world_file(AT_FDCWD, "/proc/thread-self/children", text, text);
	world.is_on = true;
	is_told = proc_children(child_take, &children);
	BUG_IF(is_told != (text != NULL) || world.other_count != 0 || world.files[0].opens != 1);
	world_end();
	BUG_IF(!children_are_right(text ? view(text) : STR_NONE, &children));
}

static void children_made(struct bytes *bytes, struct text *text)
{
	while (bytes->left) {
		size_t count = (size_t)byte_next(bytes) + 1;
		uint32_t pid = (uint32_t)number_next(bytes, 4);

		for (; count; count--, pid++)
			add(text, "%u ", pid & INT32_MAX);
	}
}

/* /proc/self/mountinfo, /proc/self/cgroup */

/* One mount: 36 35 98:0 /root /point rw,noatime master:1 - type source rw,options */
struct mount {
	struct str point;
	struct str type;
	struct str options;
	bool is_whole; /* of another root paths of groups tell nothing: cgroup_namespaces(7) */
};

/* False when it is not of that form. */
static bool mount_part(struct str line, struct mount *mount)
{
	struct str field, root = STR_NONE;

	if (has_any(line, "\t\0", 2))
		return false;
	for (size_t i = 1; i <= 6; i++) {
		field = part_next(&line, ' ');
		if (field.len == 0 || is(field, "-"))
			return false;
		root = i == 4 ? field : root;
		mount->point = i == 5 ? field : mount->point;
	}
	do {
		field = part_next(&line, ' ');
		if (field.len == 0)
			return false;
	} while (!is(field, "-"));
	mount->type = part_next(&line, ' ');
	(void)part_next(&line, ' '); /* the source, which may be anything, even empty */
	mount->options = line;
	mount->is_whole = is(root, "/");
	field = part_next(&line, ',');
	return mount->point.ptr[0] == '/' && mount->type.len > 0 &&
	       (is(field, "rw") || is(field, "ro")) && !has_any(line, " ", 1);
}

/* Where a hierarchy is mounted and which of its groups is the own one. */
struct place {
	struct str point;
	struct str group;
};

struct places {
	struct place v2;
	struct place v1; /* of the memory controller */
};

static void place_take(struct str *place, struct str path)
{
	if (!place->ptr && path.len <= PATH_BYTES)
		*place = path;
}

static bool mounts_part(struct str text, struct places *places)
{
	while (text.len) {
		struct str line = part_next(&text, '\n');
		struct mount mount = {.point = STR_NONE};

		if (line.len > LINE_BYTES)
			continue;
		if (!mount_part(line, &mount))
			return false;
		if (!mount.is_whole || has_any(mount.point, "\\", 1))
			continue;
		if (is(mount.type, "cgroup2"))
			place_take(&places->v2.point, mount.point);
		if (is(mount.type, "cgroup") && has_member(mount.options, "memory"))
			place_take(&places->v1.point, mount.point);
	}
	return true;
}

/* number:controller,controller:/path, where 0 and no controller is of v2 */
static bool groups_part(struct str text, struct places *places)
{
	while (text.len) {
		struct str line = part_next(&text, '\n');
		struct str number, controllers;
		uint64_t value;

		if (line.len > LINE_BYTES)
			continue;
		if (has_any(line, "\0", 1))
			return false;
		number = part_next(&line, ':');
		controllers = part_next(&line, ':');
		if (!plain_number(number, &value) || line.len == 0 || line.ptr[0] != '/' ||
		    (value == 0) != (controllers.len == 0))
			return false;
		if (value == 0)
			place_take(&places->v2.group, line);
		if (has_member(controllers, "memory"))
			place_take(&places->v1.group, line);
	}
	return true;
}

/* The next other path that was asked for is this file of the group; its descriptor. */
static int other_next(size_t *at, const struct place *place, const char *name, int flags)
{
	const struct other *other = &world.others[*at];
	char path[PATH_ROOM];

	if (!place->point.ptr || !place->group.ptr)
		return -1;
	BUG_IF(*at >= world.other_count);
	(void)snprintf(path, sizeof(path), "%.*s%.*s/%s", STR_ARG(place->point),
		       STR_ARG(place->group), name);
	BUG_IF(strcmp(path, other->path) != 0 || (other->flags & O_DIRECTORY) != flags);
	++*at;
	return other->fd;
}

static bool is_of_others(int fd)
{
	for (size_t i = 0; i < world.other_count; i++)
		if (world.others[i].fd == fd)
			return true;
	return fd == -1;
}

static void own_open(const struct text *mounts, const struct text *groups, bool is_base)
{
	struct places places = {.v2 = {.point = STR_NONE}};
	size_t asked = 0;
	int base = -1, oom = -1;

	world_file(AT_FDCWD, "/proc/self/mountinfo", mounts, mounts);
	world_file(AT_FDCWD, "/proc/self/cgroup", groups, groups);
	world.is_on = true;
	if (is_base)
		base = cgroup_base();
	else
		cgroup_own_open(&base, &oom);
	world.is_on = false;
	BUG_IF(!is_of_others(base) || !is_of_others(oom));
	if (mounts_part(mounts ? view(mounts) : STR_NONE, &places) &&
	    groups_part(groups ? view(groups) : STR_NONE, &places)) {
		int of_memory = -1;

		BUG_IF(base != other_next(&asked, &places.v2, ".", O_DIRECTORY));
		if (!is_base)
			of_memory = other_next(&asked, &places.v2, "memory.events", 0);
		if (!is_base && of_memory < 0)
			of_memory = other_next(&asked, &places.v1, "memory.oom_control", 0);
		BUG_IF(oom != of_memory || asked != world.other_count);
	}
	BUG_IF((base >= 0 && close(base) != 0) || (oom >= 0 && close(oom) != 0));
	world_end();
}

static void own_any(struct bytes *bytes)
{
	static struct text mounts, groups;
	uint8_t flags = byte_next(bytes);

	world.present = flags;
	piece_next(bytes, &mounts);
	piece_next(bytes, &groups);
	own_open(flags & 16 ? NULL : &mounts, flags & 32 ? NULL : &groups, flags & 64);
}

/* As the kernel writes paths and sources: these four bytes in octal. */
static void add_escaped(struct text *text, const char *name)
{
	for (; *name; name++) {
		if (strchr(" \t\n\\", *name))
			add(text, "\\%03o", (unsigned int)*name);
		else if (text->len < TEXT_BYTES)
			text->bytes[text->len++] = *name;
	}
}

static void own_made(struct bytes *bytes)
{
	static const char *const types[] = {"cgroup2", "cgroup", "tmpfs", "cgroup2x"};
	static const char *const options[] = {"rw",
					      "rw,memory",
					      "ro,cpu,memory",
					      "rw,cpu,cpuacct",
					      "rw,nsdelegate,memory_recursiveprot",
					      "rw,xattr,name=systemd"};
	static const char *const tags[] = {"", "shared:3 ", "master:1 propagate_from:2 ",
					   "unbindable "};
	static const char *const controllers[] = {"memory",      "cpu,memory", "memory,cpu",
						  "cpu,cpuacct", "pids",       "name=systemd"};
	static struct text mounts, groups;
	uint8_t flags = byte_next(bytes);
	size_t mount_count = byte_next(bytes) % 8;
	size_t group_count = byte_next(bytes) % 8;

	world.present = flags;
	mounts.len = groups.len = 0;
	for (size_t i = 0; i < mount_count; i++) {
		uint8_t kind = byte_next(bytes);

		add(&mounts, "%zu 27 0:%zu /", i + 30, i + 21);
		add_escaped(&mounts, kind & 16 ? name_next(bytes, PATH_ROOM) : "");
		add(&mounts, " /");
		add_escaped(&mounts, name_next(bytes, PATH_ROOM));
		add(&mounts, " rw,relatime %s- %s ", tags[kind >> 2 & 3], types[kind & 3]);
		add_escaped(&mounts, kind & 32 ? name_next(bytes, PATH_ROOM) : "none");
		add(&mounts, " %s\n", options[byte_next(bytes) % ARRAY_LEN(options)]);
	}
	for (size_t i = 0; i < group_count; i++) {
		uint8_t kind = byte_next(bytes);

		if (kind & 1)
			add(&groups, "0::/%s\n", name_next(bytes, PATH_ROOM));
		else
			add(&groups, "%zu:%s:/%s\n", group_count - i,
			    controllers[(kind >> 1) % ARRAY_LEN(controllers)],
			    name_next(bytes, PATH_ROOM));
	}
	own_open(&mounts, &groups, flags & 64);
}

/* Files of a group: "key number" on each line. */

enum flat { FLAT_OTHER, FLAT_HAS_NOT, FLAT_HAS };

static enum flat flat_find(struct str text, size_t max, const char *key, uint64_t *ret_number)
{
	enum flat found = FLAT_HAS_NOT;

	if (text.len > max || has_any(text, "\0", 1))
		return FLAT_OTHER;
	while (text.len) {
		struct str number = part_next(&text, '\n');
		struct str of = part_next(&number, ' ');
		uint64_t value;

		if (of.len == 0 || !plain_number(number, &value) ||
		    (number.len > 1 && number.ptr[0] == '0'))
			return FLAT_OTHER;
		if (!is(of, key) || found == FLAT_HAS)
			continue;
		found = FLAT_HAS;
		*ret_number = value;
	}
	return found;
}

static void oom_kills(struct bytes *bytes)
{
	static struct text text;
	uint64_t kills = 0;
	enum flat found;
	int fd;

	piece_next(bytes, &text);
	found = flat_find(view(&text), OOM_BYTES, "oom_kill", &kills);
	fd = given(&text);
	for (int i = 0; i < 2; i++) /* each time from the beginning of the file */
		BUG_IF(cgroup_oom_kills(fd) != kills && found != FLAT_OTHER);
	BUG_IF(cgroup_oom_kills(-1) != 0 || close(fd) != 0);
	world_end();
}

static void populated(struct bytes *bytes)
{
	static struct text text;
	uint8_t flags = byte_next(bytes);
	bool is_absent = flags & 1;
	uint64_t value = 1;
	enum flat found;
	bool is_populated;

	world.error = flags & 2 ? EACCES : ENOENT;
	piece_next(bytes, &text);
	found = flat_find(view(&text), EVENTS_BYTES, "populated", &value);
	world_file(1000, "cgroup.events", is_absent ? NULL : &text, NULL);
	world.is_on = true;
	is_populated = cgroup_is_populated(1000);
	BUG_IF(world.other_count != 0 || world.files[0].opens != 1);
	world_end();
	if (is_absent)
		BUG_IF(is_populated != (world.error != ENOENT));
	else if (found != FLAT_OTHER)
		BUG_IF(is_populated != (value != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text text;
	struct bytes bytes = {data, size};
	uint8_t what = byte_next(&bytes);

	text.len = 0;
	world.error = ENOENT;
	switch (what % 9) {
	case 0:
		stat_any(&bytes);
		break;
	case 1:
		stat_made(&bytes);
		break;
	case 2:
		environ_any(&bytes);
		break;
	case 3:
		children_any(NULL);
		piece_next(&bytes, &text);
		children_any(&text);
		break;
	case 4:
		children_made(&bytes, &text);
		children_any(&text);
		break;
	case 5:
		own_any(&bytes);
		break;
	case 6:
		own_made(&bytes);
		break;
	case 7:
		oom_kills(&bytes);
		break;
	default:
		populated(&bytes);
		break;
	}
	return 0;
}
