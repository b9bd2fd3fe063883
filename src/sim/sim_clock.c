/* sim_clock.c - see sim_clock.h */
#include "sim/sim_clock.h"

#include "base/timefmt.h"

#include <stdio.h>

#define UTC_START_MS INT64_C(1790000000000) /* September 2026 */
#define BOOT_AGE_NS  (7 * NS_PER_S)         /* of a machine whose services come up */

static int64_t boot_of(void *self)
{
	return sim_clock_boot_ns(self);
}

static int64_t utc_of(void *self)
{
	const struct sim_clock *clock = self;

	return UTC_START_MS + clock->now_ns / NS_PER_MS + clock->utc_shift_ms;
}

static const struct clock_ops ops = {
    .name = "sim",
    .boot_ns = boot_of,
    .utc_ms = utc_of,
};

void sim_clock_init(struct sim_clock *clock)
{
	*clock = (struct sim_clock){.clock = {&ops, clock}};
	sim_clock_reboot(clock);
}

int64_t sim_clock_boot_ns(const struct sim_clock *clock)
{
	return clock->now_ns - clock->booted_ns;
}

int64_t sim_clock_from_boot(const struct sim_clock *clock, int64_t boot_ns)
{
	return boot_ns > INT64_MAX - clock->now_ns ? INT64_MAX : boot_ns + clock->booted_ns;
}

void sim_clock_advance(struct sim_clock *clock, int64_t to_ns)
{
	if (to_ns > clock->now_ns)
		clock->now_ns = to_ns;
}

void sim_clock_reboot(struct sim_clock *clock)
{
	clock->boot++;
	clock->booted_ns = clock->now_ns - BOOT_AGE_NS;
	(void)snprintf(clock->boot_id, sizeof(clock->boot_id), "00000000-0000-4000-8000-%012u",
		       clock->boot);
}
