/* user.c - see user.h */
#include "sys/user.h"

#include "base/mem.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define ENTRY_BYTES_MAX ((size_t)1 << 20)
#define GROUPS_MAX      65536 /* NGROUPS_MAX of Linux */

void user_fini(struct user *user)
{
	mem_free(user->name);
	mem_free(user->home);
	mem_free(user->shell);
	mem_free(user->groups);
	*user = (struct user){.name = NULL};
}

static enum err_code groups_of(struct user *user, struct err *err)
{
	int count = 32;

	_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "groups are read into uint32_t");
	for (;;) {
		int room = count;
		uint32_t *groups = mem_new((size_t)room, sizeof(*groups));

		if (!groups)
			return mem_err(err);
		mem_free(user->groups);
		user->groups = groups;
		if (getgrouplist(user->name, user->gid, groups, &count) >= 0) {
			user->groups_count = (size_t)count;
			return ERR_OK;
		}
		if (count <= room || count > GROUPS_MAX)
			return err_set(err, ERR_IO, "the groups of user '%s' cannot be read",
				       user->name);
	}
}

static enum err_code user_fill(struct user *user, const struct passwd *entry, struct err *err)
{
	user->name = mem_text(entry->pw_name, strlen(entry->pw_name));
	user->home = mem_text(entry->pw_dir, strlen(entry->pw_dir));
	user->shell = mem_text(entry->pw_shell, strlen(entry->pw_shell));
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	if (!user->name || !user->home || !user->shell)
		return mem_err(err);
	return groups_of(user, err);
}

enum err_code user_find(const char *name, struct user *ret_user, struct err *err)
{
	struct user user = {.name = NULL};
	struct passwd entry;
	struct passwd *found = NULL;
	size_t bytes = 1024;
	int failure;

	for (;;) {
		AUTO(mem_drop) char *text = mem_new(bytes, 1);

		if (!text)
			return mem_err(err);
		failure = getpwnam_r(name, &entry, text, bytes, &found);
		if (failure == EINTR)
			continue;
		if (failure == ERANGE && bytes < ENTRY_BYTES_MAX) {
			bytes *= 4;
			continue;
		}
		if (found && user_fill(&user, found, err) != ERR_OK) {
			user_fini(&user);
			return err->code;
		}
		break;
	}
	if (!found && (failure == 0 || failure == ENOENT || failure == ESRCH))
		return err_set(err, ERR_INVALID, "there is no user '%.80s'", name);
	if (!found)
		return err_sysno(err, failure, "look up the user '%.80s'", name);
	*ret_user = user;
	return ERR_OK;
}

uint32_t user_id(void)
{
	return getuid();
}

uint32_t user_effective_id(void)
{
	return geteuid();
}

void user_own_name(char name[USER_NAME_BYTES])
{
	struct passwd entry;
	struct passwd *found = NULL;
	char text[1024];

	if (getpwuid_r(getuid(), &entry, text, sizeof(text), &found) == 0 && found)
		(void)snprintf(name, USER_NAME_BYTES, "%s", found->pw_name);
	else
		(void)snprintf(name, USER_NAME_BYTES, "uid%u", (unsigned)getuid());
}
