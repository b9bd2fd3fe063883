/* floor_spawn.c - floor of P8 without files: vfork + exec + wait of one program. */
#include "floor.h"

#include <unistd.h>

int main(void)
{
	(void)floor_wait(floor_spawn(STDOUT_FILENO), true);
	return 0;
}
