/* blockrec - what a disk gets to see: a FUSE file system of one image that records each block
 *write, flush and discard, in order.
 *
 *	blockrec IMAGE RECORD MOUNTPOINT
 *
 * `disk` is the image, to be used through a loop device. `count` reads as the number of records so
 * far, as text: whoever notes it says "this many had reached the disk by then". RECORD is a row of
 * struct record, each followed by its `len` bytes when it is a write. Numbers are in native order.
 *
 * One thread serves all requests (-s), so the order of the records is the order in
 * which requests were answered. It stays in the foreground until MOUNTPOINT is unmounted; exit 1
 *and a line on stderr when something fails. A record that cannot be written ends the process: every
 * later request fails, and no image is made of half a recording. */

#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD_WRITE = 1, RECORD_FLUSH = 2, RECORD_DISCARD = 3 };

struct record {
	uint64_t kind;
	uint64_t offset_bytes;
	uint64_t len;
};

static struct {
	int image_fd;
	int record_fd;
	uint64_t count;
} disk = {-1, -1, 0};

static void record_put(uint64_t kind, off_t offset, size_t len, const char *data)
{
	struct record record = {kind, (uint64_t)offset, len};
	struct iovec parts[2] = {{&record, sizeof(record)},
				 {(void *)(uintptr_t)data, data ? len : 0}};
	ssize_t whole = (ssize_t)(parts[0].iov_len + parts[1].iov_len);

	if (writev(disk.record_fd, parts, 2) != whole) {
		perror("blockrec: write of the record");
		_exit(1);
	}
	disk.count++;
}

static int is_disk(const char *path)
{
	return strcmp(path, "/disk") == 0;
}

static int is_count(const char *path)
{
	return strcmp(path, "/count") == 0;
}

static int disk_getattr(const char *path, struct stat *stat, struct fuse_file_info *file)
{
	(void)file;
	memset(stat, 0, sizeof(*stat));
	if (strcmp(path, "/") == 0) {
		stat->st_mode = S_IFDIR | 0755;
		stat->st_nlink = 2;
		return 0;
	}
	stat->st_nlink = 1;
	if (is_count(path)) {
		stat->st_mode = S_IFREG | 0444;
		return 0;
	}
	if (!is_disk(path))
		return -ENOENT;
	if (fstat(disk.image_fd, stat) != 0)
		return -errno;
	stat->st_mode = S_IFREG | 0600;
	return 0;
}

static int disk_open(const char *path, struct fuse_file_info *file)
{
	if (!is_disk(path) && !is_count(path))
		return -ENOENT;
	file->direct_io = 1; /* no cache between the loop device and the record */
	return 0;
}

static int disk_read(const char *path, char *to, size_t len, off_t offset,
		     struct fuse_file_info *file)
{
	ssize_t got;

	(void)file;
	if (is_count(path)) {
		char text[32];
		int all = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)disk.count);

		if (offset >= all)
			return 0;
		got = all - offset < (off_t)len ? all - offset : (ssize_t)len;
		memcpy(to, text + offset, (size_t)got);
		return (int)got;
	}
	got = pread(disk.image_fd, to, len, offset);
	return got < 0 ? -errno : (int)got;
}

static int disk_write(const char *path, const char *from, size_t len, off_t offset,
		      struct fuse_file_info *file)
{
	ssize_t put;

	(void)file;
	if (!is_disk(path))
		return -EROFS;
	put = pwrite(disk.image_fd, from, len, offset);
	if (put < 0)
		return -errno;
	record_put(RECORD_WRITE, offset, (size_t)put, from);
	return (int)put;
}

static int disk_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
	(void)data_only;
	(void)file;
	if (is_disk(path))
		record_put(RECORD_FLUSH, 0, 0, NULL);
	return 0;
}

/* Discards come as holes, and read as zeros afterwards. */
static int disk_fallocate(const char *path, int mode, off_t offset, off_t len,
			  struct fuse_file_info *file)
{
	(void)file;
	if (!is_disk(path) ||
	    (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) && mode != FALLOC_FL_ZERO_RANGE &&
	     mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (fallocate(disk.image_fd, mode, offset, len) != 0)
		return -errno;
	record_put(RECORD_DISCARD, offset, (size_t)len, NULL);
	return 0;
}

static int disk_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
	(void)path;
	(void)size;
	(void)file;
	return -EPERM;
}

static const struct fuse_operations operations = {
    .getattr = disk_getattr,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
    .fallocate = disk_fallocate,
    .truncate = disk_truncate,
};

int main(int argc, char **argv)
{
	char name[] = "blockrec", foreground[] = "-f", single[] = "-s";
	char *words[] = {name, foreground, single, NULL, NULL};

	if (argc != 4) {
		(void)fprintf(stderr, "usage: blockrec IMAGE RECORD MOUNTPOINT\n");
		return 1;
	}
	disk.image_fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (disk.image_fd < 0) {
		perror(argv[1]);
		return 1;
	}
	disk.record_fd = open(argv[2], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (disk.record_fd < 0) {
		perror(argv[2]);
		return 1;
	}
	words[3] = argv[3];
	return fuse_main(4, words, &operations, NULL) ? 1 : 0;
}
