/* sim_world.c - see sim_world.h: what happens next */
#include "sim/sim_world.h"

#include "base/timefmt.h"

#include <stdarg.h>
#include <stdio.h>

void sim_trace(const struct sim_world *world, const char *format, ...)
{
	va_list args;

	if (!world->is_traced)
		return;
	(void)printf("%12.6f  ", (double)world->clock.now_ns / (double)NS_PER_S);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf("\n");
}

int64_t sim_world_due(const struct sim_world *world)
{
	int64_t children_ns = sim_children_due(world);
	int64_t keeper_ns = sim_keeper_due(world);

	return children_ns < keeper_ns ? children_ns : keeper_ns;
}

void sim_world_run(struct sim_world *world)
{
	sim_children_run(world);
	sim_keeper_run(world);
	sim_children_run(world); /* a signal may have ended one at once */
}
