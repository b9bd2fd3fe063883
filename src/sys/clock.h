/* clock.h - what time it is, behind an interface: the machine's clocks, the host's, or virtual
 * ones.
 *
 * Order never comes from here (it comes from seq). Deadlines use boot time, which goes on during
 * suspend and never jumps; stamps use UTC. */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include "base/err.h"

#include <stdint.h>

#define BOOT_ID_BYTES 36 /* a UUID as text */

struct clock_ops {
	const char *name;
	int64_t (*boot_ns)(void *self); /* CLOCK_BOOTTIME */
	int64_t (*utc_ms)(void *self);  /* CLOCK_REALTIME */
};

struct clock {
	const struct clock_ops *ops;
	void *self;
};

extern const struct clock clock_os;

/* Nanoseconds since the machine started, suspend included; milliseconds since 1970 in UTC. */
int64_t clock_boot_ns(const struct clock *clock);
int64_t clock_utc_ms(const struct clock *clock);

/* The kernel's boot id (/proc/sys/kernel/random/boot_id). IO when it cannot be read. */
MUST_CHECK enum err_code boot_id_read(char boot_id[BOOT_ID_BYTES + 1], struct err *err);

/* Wait for about so long; a signal may end it early (nanosleep(2)). For what nobody wakes, such as
 * a file lock of another process. */
void nap_ms(int64_t ms);

/* The calling process's id (getpid(2)). */
int32_t process_id(void);

/* Random bytes from the kernel (getrandom). */
MUST_CHECK enum err_code random_bytes(void *bytes, size_t len, struct err *err);

#endif
