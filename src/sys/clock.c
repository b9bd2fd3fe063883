/* clock.c - see clock.h */
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t os_boot_ns(void *self)
{
	struct timespec now;

	(void)self;
	BUG_IF(clock_gettime(CLOCK_BOOTTIME, &now) != 0);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t os_utc_ms(void *self)
{
	struct timespec now;

	(void)self;
	BUG_IF(clock_gettime(CLOCK_REALTIME, &now) != 0);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static const struct clock_ops os_ops = {
    .name = "os",
    .boot_ns = os_boot_ns,
    .utc_ms = os_utc_ms,
};

const struct clock clock_os = {&os_ops, NULL};

int64_t clock_boot_ns(const struct clock *clock)
{
	return clock->ops->boot_ns(clock->self);
}

int64_t clock_utc_ms(const struct clock *clock)
{
	return clock->ops->utc_ms(clock->self);
}

enum err_code boot_id_read(char boot_id[BOOT_ID_BYTES + 1], struct err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return err_sys(err, "open '%s'", path);
	do {
		len = read(fd, boot_id, BOOT_ID_BYTES);
	} while (len < 0 && errno == EINTR);
	(void)close(fd); /* only read from */
	if (len != BOOT_ID_BYTES)
		return err_set(err, ERR_IO, "'%s' is not a boot id", path);
	boot_id[BOOT_ID_BYTES] = '\0';
	return ERR_OK;
}

enum err_code random_bytes(void *bytes, size_t len, struct err *err)
{
	char *at = bytes;

	while (len) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "read random bytes");
		at += got;
		len -= (size_t)got;
	}
	return ERR_OK;
}

void nap_ms(int64_t ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&pause, NULL); /* an early end only means an early look */
}

int32_t process_id(void)
{
	return (int32_t)getpid();
}
