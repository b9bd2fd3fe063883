/* program.c - see program.h */
#include "sys/program.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* folder/name, or the name alone when it is absolute. */
static bool is_executable(struct str folder, struct str name)
{
	char path[PATH_MAX];
	struct stat st;
	int len;

	if (str_starts(name, "/"))
		folder = STR_NONE;
	len = snprintf(path, sizeof(path), "%.*s%s%.*s", STR_ARG(folder), folder.len ? "/" : "",
		       STR_ARG(name));
	if (len <= 0 || (size_t)len >= sizeof(path))
		return false;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

bool program_exists(struct str name, struct str folder)
{
	struct str path = str_of(getenv("PATH"));
	size_t from = 0;

	if (name.len == 0 || str_has(name, '\0'))
		return false;
	if (str_has(name, '/'))
		return is_executable(folder, name);
	if (!path.ptr)
		path = STR("/bin:/usr/bin");
	for (;;) {
		size_t to = str_find(path, ":", from);
		struct str part = str_cut(path, from, to);

		if (is_executable(part.len ? part : folder, name))
			return true;
		if (to == SIZE_MAX)
			return false;
		from = to + 1;
	}
}
