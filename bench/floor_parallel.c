/* floor_parallel.c - floor of P2: N independent programs, K at a time, with group commit.
 *
 *   floor_parallel N K always|never      in an empty working directory
 *
 * Whatever ended since the last look is one group: its ends and the starts that follow from them
 * are one write and, with `always`, one fdatasync; only then are the next programs started. */
#include "floor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	unsigned long steps = floor_number(argv[1]);
	unsigned long slots = floor_number(argv[2]);
	bool sync = strcmp(argv[3], "always") == 0;
	unsigned long started = 0, ended = 0;
	int events = floor_create(AT_FDCWD, "events.jsonl");

	if (mkdir("logs", 0700) < 0)
		floor_die("mkdir");
	int logs = open("logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (logs < 0)
		floor_die("open");

	while (ended < steps) {
		unsigned long ends = 0;
		if (started > ended) {
			(void)floor_wait(-1, true);
			ends = 1;
			while (started > ended + ends && floor_wait(-1, false) > 0)
				ends++;
		}
		ended += ends;

		unsigned long starts = slots - (started - ended);
		if (starts > steps - started)
			starts = steps - started;
		floor_lines(events, ends + starts, sync);
		while (starts-- > 0)
			(void)floor_step(logs, started++);
	}
	return 0;
}
