/* environment.c - see environment.h */
#include "sys/environment.h"

#include <stdlib.h>
#include <unistd.h>

const char *environment_get(const char *name)
{
	return getenv(name);
}

char *const *environment_all(void)
{
	return environ;
}
