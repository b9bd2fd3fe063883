/* floor_append.c - floor of P5: durable lines without any process.
 *
 *   floor_append N BATCH      in an empty working directory
 *
 * Appends N event lines, BATCH of them per write, one fdatasync after each write. */
#include "floor.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	unsigned long lines = floor_number(argv[1]);
	unsigned long batch = floor_number(argv[2]);
	int events = floor_create(AT_FDCWD, "events.jsonl");

	for (unsigned long done = 0; done < lines; done += batch)
		floor_lines(events, batch < lines - done ? batch : lines - done, true);
	return 0;
}
