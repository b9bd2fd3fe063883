/* vfs_os.c - the operating system's files: the real driver of vfs.h.
 *
 * Every path is resolved by openat2(2) with RESOLVE_BENEATH, so that no name in a run directory can
 * lead out of it. There is no fallback for a kernel without openat2 (before 5.6): ENOSYS is
 * answered, and nothing is opened. Calls that have no such form (mkdirat, renameat2, unlinkat) get
 * the last name only, in a directory that was opened that way. */
#include "sys/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_MODE  0600
#define DIR_MODE   0700
#define PATH_BYTES 4096

/* A file of ours is never 0, 1 or 2: in a process that was started with one of them closed,
 * whatever anybody writes to stdout or stderr would go into it. Answers the descriptor or -errno;
 * `fd` is taken. */
static int above_standard(int fd)
{
	int higher;

	if (fd > STDERR_FILENO)
		return fd;
	higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (higher < 0)
		higher = -errno;
	(void)close(fd);
	return higher;
}

static int beneath(int dir, const char *path, uint64_t flags)
{
	struct open_how how = {
	    .flags = flags | O_CLOEXEC | O_NOFOLLOW | (flags & O_PATH ? 0 : O_NOCTTY),
	    .mode = flags & O_CREAT ? FILE_MODE : 0,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : above_standard((int)fd);
}

/* O_NONBLOCK: opening a pipe must not wait for its other end; plain files ignore it. */
static const struct {
	uint64_t flags;
	bool makes;
	bool is_alone; /* with another name it may be a file that is none of ours */
} modes[] = {
    [VFS_READ] = {O_RDONLY | O_NONBLOCK, false, false},
    [VFS_READ_WRITE] = {O_RDWR | O_NONBLOCK, false, true},
    [VFS_APPEND] = {O_RDWR | O_APPEND | O_NONBLOCK, false, false}, /* the log looks itself */
    [VFS_NEW] = {O_RDWR | O_CREAT | O_EXCL, true, false},
    [VFS_CREATE] = {O_RDWR | O_CREAT | O_NONBLOCK, true, true},
    [VFS_CREATE_APPEND] = {O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK, true, true},
    [VFS_DIR] = {O_RDONLY | O_DIRECTORY, false, false},
};

/* It may be interrupted on a file system of the network or of a process: the file is open by then,
 * and a VFS_NEW that was begun again would meet itself. */
static int stat_open(int fd, struct stat *ret_st)
{
	int answer;

	do {
		answer = fstat(fd, ret_st);
	} while (answer < 0 && errno == EINTR);
	return answer;
}

static int os_open(void *self, int dir, const char *path, enum vfs_mode mode)
{
	int fd = beneath(dir, path, modes[mode].flags);
	struct stat st;
	int failed = 0;

	(void)self;
	if (fd < 0 || mode == VFS_DIR)
		return fd;
	if (stat_open(fd, &st) < 0)
		failed = errno;
	else if (!S_ISREG(st.st_mode))
		failed = ENXIO;
	else if (modes[mode].is_alone && st.st_nlink > 1)
		failed = EMLINK;
	else if (modes[mode].makes && (st.st_mode & FILE_MODE) != FILE_MODE &&
		 fchmod(fd, FILE_MODE) < 0) /* a umask that takes from the owner */
		failed = errno;
	if (!failed)
		return fd;
	(void)close(fd);
	return -failed;
}

static int os_close(void *self, int fd)
{
	(void)self;
	return close(fd) < 0 ? -errno : 0;
}

static ssize_t os_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	ssize_t got = pread(fd, bytes, len, (off_t)offset);

	(void)self;
	return got < 0 ? -errno : got;
}

static ssize_t os_write(void *self, int fd, const void *bytes, size_t len)
{
	ssize_t put = write(fd, bytes, len);

	(void)self;
	return put < 0 ? -errno : put;
}

static ssize_t os_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	ssize_t put = pwrite(fd, bytes, len, (off_t)offset);

	(void)self;
	return put < 0 ? -errno : put;
}

static int os_sync_data(void *self, int fd)
{
	(void)self;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int os_sync(void *self, int fd)
{
	(void)self;
	return fsync(fd) < 0 ? -errno : 0;
}

static int os_truncate(void *self, int fd, uint64_t size)
{
	(void)self;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static struct vfs_stat stat_of(const struct stat *st)
{
	return (struct vfs_stat){
	    .size_bytes = (uint64_t)st->st_size,
	    .inode = st->st_ino,
	    .device = st->st_dev,
	    .links = (uint32_t)st->st_nlink,
	    .is_file = S_ISREG(st->st_mode),
	    .is_dir = S_ISDIR(st->st_mode),
	    .modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
	};
}

static int os_stat(void *self, int fd, struct vfs_stat *ret_stat)
{
	struct stat st;

	(void)self;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_stat = stat_of(&st);
	return 0;
}

static int os_stat_at(void *self, int dir, const char *name, struct vfs_stat *ret_stat)
{
	struct stat st;

	(void)self;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_stat = stat_of(&st);
	return 0;
}

/* The directory that holds the last name of a path. */
struct place {
	int dir;
	bool opened;
	const char *name;
};

static int place_open(int dir, const char *path, struct place *place)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_BYTES];
	int fd;

	*place = (struct place){.dir = dir, .name = slash ? slash + 1 : path};
	if (!place->name[0] || !strcmp(place->name, ".") || !strcmp(place->name, ".."))
		return -EINVAL;
	if (!slash)
		return 0;
	if ((size_t)(slash - path) >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	do { /* here, as what is asked of the place may not be asked again */
		fd = beneath(dir, slash == path ? "/" : parent, O_PATH | O_DIRECTORY);
	} while (fd == -EINTR);
	if (fd < 0)
		return fd;
	place->dir = fd;
	place->opened = true;
	return 0;
}

static void place_close(struct place *place)
{
	if (place->opened)
		(void)close(place->dir);
}

static int move(int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	struct place source;
	struct place target;
	int answer = place_open(dir, from, &source);

	if (answer < 0)
		return answer;
	answer = place_open(to_dir, to, &target);
	if (answer == 0) {
		if (renameat2(source.dir, source.name, target.dir, target.name, flags) < 0)
			answer = -errno;
		place_close(&target);
	}
	place_close(&source);
	return answer;
}

static int os_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	(void)self;
	return move(dir, from, to_dir, to, 0);
}

static int os_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	(void)self;
	return move(dir, from, to_dir, to, RENAME_NOREPLACE);
}

static int os_unlink(void *self, int dir, const char *path)
{
	struct place place;
	int answer = place_open(dir, path, &place);

	(void)self;
	if (answer < 0)
		return answer;
	if (unlinkat(place.dir, place.name, 0) < 0)
		answer = -errno;
	if (answer == -EISDIR)
		answer = unlinkat(place.dir, place.name, AT_REMOVEDIR) < 0 ? -errno : 0;
	place_close(&place);
	return answer;
}

/* One directory, with DIR_MODE whatever the umask. */
static int make_one(int dir, const char *name)
{
	struct stat st;

	if (mkdirat(dir, name, DIR_MODE) < 0)
		return -errno;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_mode & DIR_MODE) != DIR_MODE && fchmodat(dir, name, DIR_MODE, 0) < 0)
		return -errno;
	return 0;
}

static int os_make_dir(void *self, int dir, const char *path)
{
	struct place place;
	int answer = place_open(dir, path, &place);

	(void)self;
	if (answer < 0)
		return answer;
	answer = make_one(place.dir, place.name);
	place_close(&place);
	return answer;
}

/* Open the directory `name` in `dir`, made if absent; a made one is synced into its parent. */
static int step_into(int dir, const char *name, bool make)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int answer;

	if (fd >= 0)
		return fd;
	if (errno != ENOENT || !make)
		return -errno;
	answer = make_one(dir, name);
	if (answer < 0 && answer != -EEXIST)
		return answer;
	if (fsync(dir) < 0)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int os_root(void *self, const char *path, bool make)
{
	char name[PATH_BYTES];
	int dir;

	(void)self;
	if (path[0] != '/')
		return -EINVAL;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		return dir;
	if (errno != ENOENT || !make)
		return -errno;
	dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (dir >= 0) {
		size_t len;
		int next;

		path += strspn(path, "/");
		if (!*path)
			return dir;
		len = strcspn(path, "/");
		if (len >= sizeof(name)) {
			(void)close(dir);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		next = step_into(dir, name, make);
		(void)close(dir);
		if (next < 0)
			return next;
		dir = next;
	}
	return -errno;
}

static int names_copy(const char *entries, size_t len, uint64_t *place, char *names)
{
	int count = 0;

	for (size_t at = 0; at < len;) {
		const struct dirent64 *entry = (const void *)(entries + at);
		size_t name_len = strlen(entry->d_name);

		at += entry->d_reclen;
		*place = (uint64_t)entry->d_off;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		memcpy(names, entry->d_name, name_len + 1);
		names += name_len + 1;
		count++;
	}
	return count;
}

/* One getdents64(2), continued at d_off: no state is kept between calls. Names take less room than
 * their entries, so all of them fit. */
static int os_list(void *self, int dir, uint64_t *place, char *names)
{
	union {
		struct dirent64 entry;
		char bytes[VFS_LIST_BYTES];
	} room;
	int count;

	(void)self;
	do {
		ssize_t got;

		if (lseek(dir, (off_t)*place, SEEK_SET) < 0)
			return -errno;
		got = getdents64(dir, &room, sizeof(room));
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		count = names_copy(room.bytes, (size_t)got, place, names);
	} while (count == 0); /* "." and ".." alone */
	return count;
}

static int os_lock(void *self, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)self;
	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int os_lock_held(void *self, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)self;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

static const struct vfs_ops os_ops = {
    .name = "os",
    .open = os_open,
    .close = os_close,
    .read = os_read,
    .write = os_write,
    .write_at = os_write_at,
    .sync_data = os_sync_data,
    .sync = os_sync,
    .truncate = os_truncate,
    .stat = os_stat,
    .rename = os_rename,
    .unlink = os_unlink,
    .make_dir = os_make_dir,
    .root = os_root,
    .rename_new = os_rename_new,
    .list = os_list,
    .lock = os_lock,
    .lock_held = os_lock_held,
    .stat_at = os_stat_at,
};

const struct vfs vfs_os = {.ops = &os_ops, .self = NULL};
