/* member.h - members of the JSON that the public interface answers with
 *
 * Every object must be a checked one (json_check), as what the library answers always is. An absent
 * object (ptr NULL) has no members. */
#ifndef CLI_MEMBER_H
#define CLI_MEMBER_H

#include "base/arena.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* The decoded text of a member, from the arena; empty when it is absent or no text, ptr NULL when
 * memory is short. */
struct str member_text(struct arena *arena, struct str object, const char *key);
/* The same, borrowed from the object; ptr NULL when it is absent, no text, or has escapes. */
struct str member_plain(struct str object, const char *key);
/* An integer, or `otherwise` when it is absent or none. */
int64_t member_number(struct str object, const char *key, int64_t otherwise);
/* A time stamp as UTC milliseconds since 1970; 0 when it is absent or none. */
int64_t member_stamp(struct str object, const char *key);
/* How many items an array has; 0 for an absent one (ptr NULL). */
size_t item_count(struct str list);

#endif
