/* processor.h - how many processors there are, and how much of one was used. */
#ifndef SYS_PROCESSOR_H
#define SYS_PROCESSOR_H

#include <stdint.h>

/* Processors that this process may use (sched_getaffinity(2)), at least 1. */
uint32_t processor_count(void);

/* Processor time of the calling thread (CLOCK_THREAD_CPUTIME_ID). It does not go on while the
 * thread waits, so a bound in it does not depend on what else the machine does. */
int64_t processor_time_ns(void);

#endif
