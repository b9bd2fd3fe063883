/* said.c - see said.h */
#include "cli/live/said.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include <stddef.h>
#include <string.h>

#define TEXTS_BYTES_MAX ((size_t)2 << 20) /* more than a line may have */

enum said_kind { SAID_TEXT, SAID_NUMBER, SAID_STAMP, SAID_FLAG };

static const struct said_member {
	const char *key;
	enum said_kind kind;
	size_t offset; /* in struct said */
} members[] = {
    {"event_type", SAID_TEXT, offsetof(struct said, type)},
    {"timestamp_utc", SAID_STAMP, offsetof(struct said, utc_ms)},
    {"actor", SAID_TEXT, offsetof(struct said, actor)},
    {"attempt", SAID_NUMBER, offsetof(struct said, attempt)},
    {"step_id", SAID_TEXT, offsetof(struct said, step)},
    {"error_class", SAID_TEXT, offsetof(struct said, class)},
    {"reason", SAID_TEXT, offsetof(struct said, reason)},
    {"which", SAID_TEXT, offsetof(struct said, which)},
    {"new_state", SAID_TEXT, offsetof(struct said, state)},
    {"outcome", SAID_TEXT, offsetof(struct said, outcome)},
    {"sync", SAID_TEXT, offsetof(struct said, sync)},
    {"delay_ms", SAID_NUMBER, offsetof(struct said, delay_ms)},
    {"duration_ms", SAID_NUMBER, offsetof(struct said, duration_ms)},
    {"exit_code", SAID_NUMBER, offsetof(struct said, exit_code)},
    {"signal", SAID_NUMBER, offsetof(struct said, signal)},
    {"soft", SAID_FLAG, offsetof(struct said, is_soft)},
    {"now", SAID_FLAG, offsetof(struct said, is_now)},
    {"cached_from", SAID_FLAG, offsetof(struct said, is_cached)},
};

/* The buffer has room from the start, so that it does not move under the texts. */
static struct str text_of(struct said *said, struct str value)
{
	struct str text;
	size_t at = said->decoded.len;

	if (json_type_of(value) != JSON_STRING)
		return STR_NONE;
	if (json_plain(value, &text))
		return text;
	json_decode(value, &said->decoded);
	if (said->decoded.failed != ERR_OK)
		return STR_NONE;
	return str_cut(buf_view(&said->decoded), at, said->decoded.len);
}

static void member_read(struct said *said, const struct said_member *member, struct str value)
{
	char *to = (char *)said + member->offset;
	int64_t *number = (int64_t *)(void *)to;

	switch (member->kind) {
	case SAID_TEXT:
		*(struct str *)(void *)to = text_of(said, value);
		break;
	case SAID_NUMBER:
		if (!json_to_i64(value, number))
			*number = -1;
		break;
	case SAID_STAMP:
		if (!stamp_read(text_of(said, value), number))
			*number = 0;
		break;
	case SAID_FLAG:
		*(bool *)(void *)to = true;
		break;
	}
}

void said_read(struct said *said, struct str line)
{
	struct str key, value;
	size_t at = 0;

	*said = (struct said){
	    .attempt = -1, .delay_ms = -1, .duration_ms = -1, .exit_code = -1, .signal = -1};
	buf_init(&said->decoded, TEXTS_BYTES_MAX);
	if (memchr(line.ptr, '\\', line.len))
		(void)buf_room(&said->decoded, line.len); /* failure is remembered by the buffer */
	while (json_member(line, &at, &key, &value)) {
		for (size_t i = 0; i < ARRAY_LEN(members); i++) {
			if (str_is(key, members[i].key)) {
				member_read(said, &members[i], value);
				break;
			}
		}
	}
}

void said_fini(struct said *said)
{
	buf_fini(&said->decoded);
}

bool said_is(const struct said *said, const char *type)
{
	return str_is(said->type, type);
}
