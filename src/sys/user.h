/* user.h - users of this machine, by name, and who uses this process (getpwnam_r(3), getuid(2)).
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

#define USER_NAME_BYTES 256

/* The user who started this process, and the one whose rights it has (getuid(2), geteuid(2)). */
uint32_t user_id(void);
uint32_t user_effective_id(void);

/* The name of user_id(), NUL-ended: "uid1000" when the machine knows none. A longer one is cut. */
void user_own_name(char name[USER_NAME_BYTES]);

#endif
