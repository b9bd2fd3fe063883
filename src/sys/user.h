/* user.h - users of this machine, by name (getpwnam_r(3), getgrouplist(3)).
 *
 * Only in programs that are linked dynamically: the C library may ask services for users. */
#ifndef SYS_USER_H
#define SYS_USER_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct user {
	char *name; /* owned, as all below */
	char *home;
	char *shell;
	uint32_t uid;
	uint32_t gid;
	uint32_t *groups; /* all of them, `gid` too */
	size_t groups_count;
};

/* Look a user up. INVALID when there is none, MEMORY, IO when it cannot be told. */
MUST_CHECK enum err_code user_find(const char *name, struct user *ret_user, struct err *err);
/* Accepts a zeroed one. */
void user_fini(struct user *user);

#endif
