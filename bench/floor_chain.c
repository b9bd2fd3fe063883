/* floor_chain.c - floor of P1: N programs one after the other.
 *
 *   floor_chain N always|never      in an empty working directory
 *
 * Per step: one log file, vfork + exec + wait, two event lines in one write (the end of this step,
 * the start of the next) and, with `always`, one fdatasync before the next one starts. */
#include "floor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	unsigned long steps = floor_number(argv[1]);
	bool sync = strcmp(argv[2], "always") == 0;
	int events = floor_create(AT_FDCWD, "events.jsonl");

	if (mkdir("logs", 0700) < 0)
		floor_die("mkdir");
	int logs = open("logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (logs < 0)
		floor_die("open");

	floor_lines(events, 1, sync);
	for (unsigned long step = 0; step < steps; step++) {
		(void)floor_wait(floor_step(logs, step), true);
		floor_lines(events, 2, sync);
	}
	return 0;
}
