/* sim_clock.h - virtual time: boot time that only goes on, UTC that people and daemons set. */
#ifndef SIM_SIM_CLOCK_H
#define SIM_SIM_CLOCK_H

#include "sys/clock.h"

struct sim_clock {
	struct clock clock;   /* what the engine uses */
	int64_t now_ns;       /* since the scenario began; goes on over reboots */
	int64_t booted_ns;    /* `now_ns` at which boot time was 0 */
	int64_t utc_shift_ms; /* sum of all jumps */
	uint32_t boot;        /* how many boots there were */
	char boot_id[BOOT_ID_BYTES + 1];
};

/* The beginning of time, in the first boot. */
void sim_clock_init(struct sim_clock *clock);
/* Boot time of a moment, and the moment of a boot time (INT64_MAX stays). */
int64_t sim_clock_boot_ns(const struct sim_clock *clock);
int64_t sim_clock_from_boot(const struct sim_clock *clock, int64_t boot_ns);
/* Time never goes back: a moment that has passed changes nothing. */
void sim_clock_advance(struct sim_clock *clock, int64_t to_ns);
/* Another boot id, boot time begins anew; UTC goes on. */
void sim_clock_reboot(struct sim_clock *clock);

#endif
