/* processor.c - see processor.h */
#include "sys/processor.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

uint32_t processor_count(void)
{
	cpu_set_t set;
	long count = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = CPU_COUNT(&set);
	if (count <= 0) /* more processors than a cpu_set_t has */
		count = sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 ? (uint32_t)count : 1;
}

int64_t processor_time_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		return 0; /* cannot fail on Linux; a bound in it then never ends */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
