/* member.c - see member.h */
#include "cli/member.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"

struct str member_text(struct arena *arena, struct str object, const char *key)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct str value = object.ptr ? json_get(object, key) : STR_NONE;

	if (!value.ptr || json_type_of(value) != JSON_STRING)
		return STR("");
	json_decode(value, &text);
	return text.failed == ERR_OK ? arena_str(arena, buf_view(&text)) : STR_NONE;
}

struct str member_plain(struct str object, const char *key)
{
	struct str value = object.ptr ? json_get(object, key) : STR_NONE;
	struct str text;

	if (!value.ptr || json_type_of(value) != JSON_STRING || !json_plain(value, &text))
		return STR_NONE;
	return text;
}

int64_t member_number(struct str object, const char *key, int64_t otherwise)
{
	struct str value = object.ptr ? json_get(object, key) : STR_NONE;
	int64_t number;

	return value.ptr && json_to_i64(value, &number) ? number : otherwise;
}

int64_t member_stamp(struct str object, const char *key)
{
	struct str text = member_plain(object, key); /* a stamp has no character that is escaped */
	int64_t utc_ms;

	return text.ptr && stamp_read(text, &utc_ms) ? utc_ms : 0;
}

size_t item_count(struct str list)
{
	struct str item;
	size_t at = 0;
	size_t count = 0;

	while (list.ptr && json_item(list, &at, &item))
		count++;
	return count;
}
