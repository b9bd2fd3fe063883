/* floor_append.c - floor of P5: durable lines without any process.
 *
 *   floor_append N BATCH [MS]      in an empty working directory
 *
 * Appends N event lines, BATCH of them per write, one fdatasync after each write; with MS (the
 * floor of P4) after the first write that is so many milliseconds behind the last fdatasync, and at
 * the end. */
#include "floor.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		floor_die("clock_gettime");
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4)
		return 2;
	unsigned long lines = floor_number(argv[1]);
	unsigned long batch = floor_number(argv[2]);
	double interval_ms = argc == 4 ? (double)floor_number(argv[3]) : 0;
	double synced_ms = now_ms();
	int events = floor_create(AT_FDCWD, "events.jsonl");

	for (unsigned long done = 0; done < lines; done += batch) {
		bool sync = interval_ms == 0 || now_ms() - synced_ms >= interval_ms;

		floor_lines(events, batch < lines - done ? batch : lines - done, sync);
		if (sync && interval_ms > 0)
			synced_ms = now_ms();
	}
	if (interval_ms > 0 && fdatasync(events) < 0)
		floor_die("fdatasync");
	return 0;
}
