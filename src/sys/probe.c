/* probe.c - see probe.h */
#include "sys/probe.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/clock.h"
#include "sys/spawn.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLUSHES      15
#define FLUSH_BYTES  512
#define NAME_BYTES   32
#define PATH_BYTES   4096
#define PATIENCE_MS  5000
#define HEADER_BYTES 4096

void probe_close(int *dir)
{
	if (*dir >= 0)
		(void)close(*dir);
	*dir = -1;
}

enum err_code probe_open(const char *path, int *ret_dir, bool *ret_is_there, struct err *err)
{
	char at[PATH_BYTES];
	size_t len = strlen(path);
	bool is_there = true;

	if (path[0] != '/' || len >= sizeof(at))
		return err_set(err, ERR_INVALID, "'%s' is not an absolute path", path);
	memcpy(at, path, len + 1);
	for (;;) {
		int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0) {
			*ret_dir = fd;
			*ret_is_there = is_there;
			return ERR_OK;
		}
		if (errno == ENOTDIR)
			return err_set(err, ERR_INVALID, "'%s' is not a directory", at);
		if (errno != ENOENT || strcmp(at, "/") == 0)
			return err_sys(err, "open '%s'", at);
		is_there = false;
		while (len > 1 && at[len - 1] != '/')
			len--;
		while (len > 1 && at[len - 1] == '/')
			len--;
		at[len] = '\0';
	}
}

/* ------------------------------------------------------------------------------ the place */

static const struct file_system {
	uint32_t magic; /* statfs(2) */
	const char *name;
	bool is_remote, is_memory;
} file_systems[] = {
    {0xEF53, "ext4", false, false},      {0x58465342, "xfs", false, false},
    {0x9123683E, "btrfs", false, false}, {0xF2F52010, "f2fs", false, false},
    {0x2FC12FC1, "zfs", false, false},   {0x794C7630, "overlay", false, false},
    {0x01021994, "tmpfs", false, true},  {0x858458F6, "ramfs", false, true},
    {0x6969, "nfs", true, false},        {0xFF534D42, "cifs", true, false},
    {0xFE534D42, "smb2", true, false},   {0x01021997, "9p", true, false},
    {0x65735546, "fuse", true, false},   {0x00C36400, "ceph", true, false},
    {0x5346414F, "afs", true, false},    {0x01161970, "gfs2", true, false},
};

enum err_code probe_place(int dir, struct probe_place *ret_place, struct err *err)
{
	struct probe_place place = {.kind = ""};
	struct statvfs room;
	struct statfs kind;
	struct stat st;

	if (fstatfs(dir, &kind) < 0 || fstatvfs(dir, &room) < 0 || fstat(dir, &st) < 0)
		return err_sys(err, "look at the file system");
	for (size_t i = 0; i < ARRAY_LEN(file_systems); i++) {
		if ((uint32_t)kind.f_type != file_systems[i].magic)
			continue;
		place.kind = file_systems[i].name;
		place.is_remote = file_systems[i].is_remote;
		place.is_memory = file_systems[i].is_memory;
	}
	place.uid = st.st_uid;
	place.mode = st.st_mode & 07777;
	place.is_ours = st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
	place.is_readable_by_others = st.st_mode & (S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
	place.bytes_free = room.f_bavail * room.f_frsize;
	place.bytes = room.f_blocks * room.f_frsize;
	place.inodes_free = room.f_favail;
	place.inodes = room.f_files;
	*ret_place = place;
	return ERR_OK;
}

/* A name that nobody else has. */
static enum err_code name_make(char name[NAME_BYTES], struct err *err)
{
	uint64_t random;

	if (random_bytes(&random, sizeof(random), err) != ERR_OK)
		return err->code;
	(void)snprintf(name, NAME_BYTES, ".doctor-%016llx", (unsigned long long)random);
	return ERR_OK;
}

static int by_value(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

static enum err_code flush_all(int fd, int64_t *spent_ns, struct err *err)
{
	char bytes[FLUSH_BYTES];

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < FLUSHES; i++) {
		int64_t begin_ns;

		if (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
			return err_sys(err, "write a file");
		begin_ns = clock_boot_ns(&clock_os);
		if (fdatasync(fd) < 0)
			return err_sys(err, "flush a file");
		spent_ns[i] = clock_boot_ns(&clock_os) - begin_ns;
	}
	return ERR_OK;
}

enum err_code probe_flush(int dir, int64_t *ret_median_ns, struct err *err)
{
	int64_t spent_ns[FLUSHES];
	char name[NAME_BYTES];
	enum err_code code;
	int fd;

	if (name_make(name, err) != ERR_OK)
		return err->code;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "make a file");
	(void)unlinkat(dir, name, 0); /* it needs no name */
	code = flush_all(fd, spent_ns, err);
	(void)close(fd);
	if (code != ERR_OK)
		return code;
	qsort(spent_ns, FLUSHES, sizeof(spent_ns[0]), by_value);
	*ret_median_ns = spent_ns[FLUSHES / 2];
	return ERR_OK;
}

static enum err_code lock_check(int one, int other, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(one, F_OFD_SETLK, &lock) < 0)
		return err_set(err, ERR_UNSUPPORTED, "a file cannot be locked: %s",
			       strerror(errno));
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(other, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return err_set(err, ERR_UNSUPPORTED, "a lock that is held is not seen");
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(other, F_OFD_SETLK, &lock) == 0)
		return err_set(err, ERR_UNSUPPORTED, "a lock was given twice");
	return ERR_OK;
}

enum err_code probe_lock(int dir, struct err *err)
{
	char name[NAME_BYTES];
	enum err_code code;
	int other = -1;
	int one;

	if (name_make(name, err) != ERR_OK)
		return err->code;
	one = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (one < 0)
		return err_sys(err, "make a file");
	other = openat(dir, name, O_RDWR | O_CLOEXEC);
	code = other < 0 ? err_sys(err, "open a file again") : lock_check(one, other, err);
	(void)unlinkat(dir, name, 0);
	probe_close(&one);
	probe_close(&other);
	return code;
}

enum err_code probe_rename(int dir, struct err *err)
{
	char from[NAME_BYTES];
	char to[NAME_BYTES];
	enum err_code code = ERR_OK;

	if (name_make(from, err) != ERR_OK || name_make(to, err) != ERR_OK)
		return err->code;
	if (mkdirat(dir, from, 0700) < 0)
		return err_sys(err, "make a directory");
	if (mkdirat(dir, to, 0700) < 0)
		code = err_sys(err, "make a directory");
	else if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0 || errno != EEXIST)
		code = err_set(err, ERR_UNSUPPORTED,
			       "a rename that must not replace is not refused as it should: %s",
			       strerror(errno));
	else if (unlinkat(dir, to, AT_REMOVEDIR) < 0 ||
		 renameat2(dir, from, dir, to, RENAME_NOREPLACE) < 0)
		code = err_sys(err, "rename a directory");
	else if (fsync(dir) < 0)
		code = err_sys(err, "flush a directory");
	(void)unlinkat(dir, from, AT_REMOVEDIR);
	(void)unlinkat(dir, to, AT_REMOVEDIR);
	return code;
}

/* ---------------------------------------------------------------------------- the machine */

static uint64_t limit_of(__rlimit_resource_t which)
{
	struct rlimit limit;

	if (getrlimit(which, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

void probe_limits(struct probe_limits *ret_limits)
{
	struct probe_limits limits = {.open_files = limit_of(RLIMIT_NOFILE),
				      .processes = limit_of(RLIMIT_NPROC)};
	int fd = open("/proc/sys/fs/inotify/max_user_watches", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

	if (got > 0)
		(void)str_to_u64(str_trim(str_from(text, (size_t)got)), &limits.inotify_watches);
	probe_close(&fd);
	fd = inotify_init1(IN_CLOEXEC);
	limits.has_inotify = fd >= 0;
	probe_close(&fd);
	*ret_limits = limits;
}

static bool has_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root >= 0 ? (int)syscall(SYS_openat2, root, ".", &how, sizeof(how)) : -1;
	bool is_there = fd >= 0;

	probe_close(&fd);
	probe_close(&root);
	return is_there;
}

static bool has_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool is_there = fd >= 0;

	probe_close(&fd);
	return is_there;
}

/* Called wrongly on purpose: it is there if it says so. */
static bool has_clone3(void)
{
	return syscall(SYS_clone3, NULL, (size_t)0) < 0 && errno == EINVAL;
}

static bool has_close_range(void)
{
	return syscall(SYS_close_range, 2U, 1U, 0U) < 0 && errno == EINVAL;
}

void probe_kernel(char release[PROBE_TEXT_BYTES], char missing[PROBE_TEXT_BYTES])
{
	static const struct {
		const char *name;
		bool (*is_there)(void);
	} calls[] = {{"openat2", has_openat2},
		     {"pidfd_open", has_pidfd},
		     {"clone3", has_clone3},
		     {"close_range", has_close_range}};
	struct utsname name;
	size_t len = 0;

	(void)snprintf(release, PROBE_TEXT_BYTES, "%.*s", PROBE_TEXT_BYTES - 1,
		       uname(&name) == 0 ? name.release : "not known");
	missing[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!calls[i].is_there())
			len += (size_t)snprintf(missing + len, PROBE_TEXT_BYTES - len, "%s%s",
						len > 0 ? " " : "", calls[i].name);
	}
}

/* Has it no interpreter: a program of this machine's word size without shared libraries? */
static bool is_static(const char *bytes, size_t len)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (len < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
	    bytes[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&head, bytes, sizeof(head));
	for (size_t i = 0; i < head.e_phnum; i++) {
		size_t at = head.e_phoff + i * sizeof(part);

		if (head.e_phoff > len || at > len - sizeof(part))
			return false;
		memcpy(&part, bytes + at, sizeof(part));
		if (part.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* What comes through the pipe until its end, or the patience is over. */
static size_t hear(int fd, char *text, size_t room)
{
	int64_t end_ns = clock_boot_ns(&clock_os) + PATIENCE_MS * INT64_C(1000000);
	size_t len = 0;

	while (len < room) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left_ns = end_ns - clock_boot_ns(&clock_os);
		ssize_t got;

		if (left_ns <= 0 || poll(&wait, 1, (int)(left_ns / 1000000) + 1) <= 0)
			break;
		got = read(fd, text + len, room - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	return len;
}

static enum err_code ask(const char *path, char answer[PROBE_TEXT_BYTES], struct err *err)
{
	char name[] = "program";
	char word[] = "--version";
	char *argv[] = {name, word, NULL};
	char *envp[] = {NULL};
	int pipe_fds[2] = {-1, -1};
	int null = spawn_null_open();
	int fds[3];
	struct spawn_plan plan = {.path = path,
				  .argv = argv,
				  .envp = envp,
				  .cwd = "/",
				  .fds = fds,
				  .fds_count = 3,
				  .cgroup_fd = -1,
				  .resets_signals = true};
	int status = -1;
	int32_t pid = 0;
	int failure;
	size_t len;

	if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		(void)err_sys(err, "make a pipe");
		probe_close(&null);
		return err->code;
	}
	fds[0] = fds[2] = null;
	fds[1] = pipe_fds[1];
	failure = spawn_start(&plan, &pid);
	probe_close(&pipe_fds[1]);
	probe_close(&null);
	len = failure ? 0 : hear(pipe_fds[0], answer, PROBE_TEXT_BYTES - 1);
	probe_close(&pipe_fds[0]);
	if (failure)
		return err_sysno(err, failure, "run '%s'", path);
	(void)kill(pid, SIGKILL); /* it is our own child: it has ended, or does not want to */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	answer[len] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (!answer[0])
		return err_set(err, ERR_INVALID, "'%s' does not tell its version", path);
	return ERR_OK;
}

enum err_code probe_program(const char *path, char answer[PROBE_TEXT_BYTES], bool *ret_is_static,
			    struct err *err)
{
	char bytes[HEADER_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t got;

	if (fd < 0)
		return err_sys(err, "open '%s'", path);
	got = pread(fd, bytes, sizeof(bytes), 0);
	probe_close(&fd);
	if (got < 0)
		return err_sys(err, "read '%s'", path);
	if (ask(path, answer, err) != ERR_OK)
		return err->code;
	*ret_is_static = is_static(bytes, (size_t)got);
	return ERR_OK;
}
