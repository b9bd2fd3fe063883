/* line.c - events to lines and back: see line.h and log.h
 *
 * Reading goes once over the bytes and allocates nothing; texts are borrowed from the line unless
 * they have escapes. Members are expected in the order in which we write them, so that finding a
 * name is mostly one comparison. */
#include "log/line.h"

#include "base/json.h"
#include "base/json_special.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include <string.h>

/* ---- names ---- */

/* The members that every line has come before the fields of field.def. */
enum member {
	MEMBER_EVENT_ID,
	MEMBER_EVENT_TYPE,
	MEMBER_RUN_ID,
	MEMBER_TIMESTAMP,
	MEMBER_ACTOR,
	MEMBER_ATTEMPT,
	MEMBER_FIELDS, /* + enum event_field */
	MEMBER_COUNT = MEMBER_FIELDS + EVENT_FIELD_COUNT
};

#define MEMBERS_REQUIRED ((1u << MEMBER_FIELDS) - 1)

struct name {
	const char *text;
	size_t len;
};

#define NAME(literal) \
	{ \
		literal, sizeof(literal) - 1 \
	}

static const struct name members[] = {
    NAME("event_id"),      NAME("event_type"), NAME("run_id"),
    NAME("timestamp_utc"), NAME("actor"),      NAME("attempt"),
#define FIELD(name, text, kind) NAME(text),
#include "core/field.def"
};

/* With the comma before and the colon behind: for writing, and for one comparison when reading. */
#define HEAD(text) NAME(",\"" text "\":")
static const struct name heads[] = {
    HEAD("event_id"),      HEAD("event_type"), HEAD("run_id"),
    HEAD("timestamp_utc"), HEAD("actor"),      HEAD("attempt"),
#define FIELD(name, text, kind) HEAD(text),
#include "core/field.def"
};

static const enum event_field_kind field_kinds[] = {
#define FIELD(name, text, kind) EVENT_KIND_##kind,
#include "core/field.def"
};

static const struct name type_names[] = {
    [EVENT_NONE] = NAME(""),
#define EVENT(name, text, about, required, optional, what) [EVENT_##name] = NAME(text),
#include "core/event.def"
};

_Static_assert(ARRAY_LEN(members) == MEMBER_COUNT, "a name for each member");
_Static_assert(MEMBER_COUNT < LINE_MEMBERS && EVENT_UNKNOWN < LINE_TYPES, "room in the memo");

/* memcmp() for short texts, without a call: words that overlap at the end. */
static inline bool same(const char *a, const char *b, size_t len)
{
	uint64_t x;
	uint64_t y;
	uint32_t p;
	uint32_t q;
	size_t at = 0;

	if (len < 8) {
		if (len < 4)
			return memcmp(a, b, len) == 0;
		memcpy(&p, a, 4);
		memcpy(&q, b, 4);
		if (p != q)
			return false;
		memcpy(&p, a + len - 4, 4);
		memcpy(&q, b + len - 4, 4);
		return p == q;
	}
	for (; at + 8 <= len; at += 8) {
		memcpy(&x, a + at, 8);
		memcpy(&y, b + at, 8);
		if (x != y)
			return false;
	}
	memcpy(&x, a + len - 8, 8);
	memcpy(&y, b + len - 8, 8);
	return x == y;
}

static bool is_name(const struct name *name, struct str text)
{
	return name->len == text.len && same(name->text, text.ptr, text.len);
}

/* MEMBER_COUNT when there is none of that name. */
static unsigned member_of(struct str name)
{
	unsigned i = 0;

	while (i < MEMBER_COUNT && !is_name(&members[i], name))
		i++;
	return i;
}

static bool is_head(const struct name *head, const char *at, const char *end)
{
	return (size_t)(end - at) >= head->len - 1 && same(at, head->text + 1, head->len - 1);
}

/* The member whose `"name":` stands at `at`: most likely the one that came after `before` last
 * time. MEMBER_COUNT when there is none. */
static unsigned member_at(const char *at, const char *end, unsigned before, struct line_memo *memo)
{
	unsigned guess = memo->member_after[before];

	if (guess && is_head(&heads[guess - 1], at, end))
		return guess - 1;
	for (unsigned i = 0; i < MEMBER_COUNT; i++) {
		if (is_head(&heads[i], at, end)) {
			memo->member_after[before] = (uint8_t)(i + 1);
			return i;
		}
	}
	return MEMBER_COUNT;
}

static enum event_type type_of(struct str name, struct line_memo *memo)
{
	/* Not by what came before: steps that run beside each other start and end in any order. */
	size_t key = name.len < 3 ? 0 : (name.len + (unsigned char)name.ptr[name.len - 3]);
	uint8_t *guess = &memo->type_by[key % LINE_TYPES];
	enum event_type type = (enum event_type) * guess;

	if (type == EVENT_NONE || !is_name(&type_names[type], name)) {
		for (type = EVENT_NONE + 1; type < ARRAY_LEN(type_names); type++) {
			if (is_name(&type_names[type], name))
				break;
		}
		if (type == ARRAY_LEN(type_names))
			return event_type_of(name);
		*guess = (uint8_t)type;
	}
	return type;
}

/* ---- writing ---- */

static void put_name(struct buf *out, const struct name *name)
{
	buf_put(out, name->text, name->len);
}

static void put_field(const struct event *event, enum event_field field, struct buf *out)
{
	const union event_value *value = &event->field[field];

	put_name(out, &heads[MEMBER_FIELDS + field]);
	switch (field_kinds[field]) {
	case EVENT_KIND_TEXT:
		json_put_str(out, value->text);
		break;
	case EVENT_KIND_INT:
		buf_i64(out, value->number);
		break;
	case EVENT_KIND_FLAG:
		buf_put(out, "true", 4);
		break;
	case EVENT_KIND_RAW:
		buf_str(out, value->text);
		break;
	}
}

#define PUT(out, literal) buf_put(out, literal, sizeof(literal) - 1)

void log_encode(const struct event *event, struct buf *out)
{
	char stamp[STAMP_BYTES + 1];
	uint64_t left = event->has;

	stamp_write(event->time_utc_ms, stamp);
	PUT(out, "{\"event_id\":\"evt_");
	buf_u64(out, event->seq);
	PUT(out, "\",\"event_type\":");
	json_put_str(out, event->type_text);
	PUT(out, ",\"run_id\":");
	json_put_str(out, event->run_id);
	PUT(out, ",\"timestamp_utc\":\"");
	buf_put(out, stamp, STAMP_BYTES);
	PUT(out, "\",\"actor\":");
	json_put_str(out, event->actor);
	PUT(out, ",\"attempt\":");
	buf_u64(out, event->attempt);
	while (left) {
		put_field(event, (enum event_field)__builtin_ctzll(left), out);
		left &= left - 1;
	}
}

/* ---- chain ---- */

void line_chain_start(struct str run_id, uint8_t chain[SHA256_BYTES])
{
	sha256_of(run_id.ptr ? run_id.ptr : "", run_id.len, chain);
}

void line_chain_next(struct str body, uint8_t chain[SHA256_BYTES])
{
	NOT_CLEARED struct sha256 sha;

	sha256_start(&sha);
	sha256_add(&sha, chain, SHA256_BYTES);
	sha256_add(&sha, body.ptr, body.len);
	sha256_end(&sha, chain);
}

void line_chain_print(const uint8_t chain[SHA256_BYTES], char h[LOG_H_BYTES + 1])
{
	hex_write(chain, LINE_H_BYTES, h);
}

void log_line_h(struct str line, char h[LOG_H_BYTES + 1])
{
	BUG_IF(line.len < LOG_H_BYTES + 2);                            /* it has been checked */
	memcpy(h, line.ptr + line.len - LOG_H_BYTES - 2, LOG_H_BYTES); /* before `"}` */
	h[LOG_H_BYTES] = '\0';
}

/* The value + 1 of a lower-case hex digit; 0 for any other byte. */
static const uint8_t hex_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool line_body(struct str line, struct str *ret_body, uint8_t ret_h[LINE_H_BYTES])
{
	const char *end;
	unsigned all = 0;

	if (line.len < LINE_END_BYTES + 1)
		return false;
	end = line.ptr + line.len - LINE_END_BYTES;
	if (memcmp(end, ",\"h\":\"", 6) != 0 || end[22] != '"' || end[23] != '}')
		return false;
	for (size_t i = 0; i < LINE_H_BYTES; i++) {
		unsigned high = hex_values[(unsigned char)end[6 + 2 * i]] - 1u;
		unsigned low = hex_values[(unsigned char)end[7 + 2 * i]] - 1u;

		all |= high | low;
		ret_h[i] = (uint8_t)(high << 4 | low);
	}
	if (all > 0xF) /* 0 - 1: one of them is no digit */
		return false;
	*ret_body = str_from(line.ptr, line.len - LINE_END_BYTES);
	return true;
}

/* ---- reading ---- */

struct reading {
	struct str body;
	const char *line_end; /* of the line that the body is of: it may be looked at up to here */
	size_t at;
	size_t scratch_need; /* room for all texts of the line that have escapes */
	struct line_memo *memo;
	struct buf *scratch;
	struct event *event;
	unsigned seen; /* set of the required members */
};

/* A text that has escapes, or more than ASCII; or none. */
static SELDOM bool read_odd_text(struct reading *r, struct str *ret_text)
{
	size_t from = r->at;
	size_t kept;
	bool plain;

	if (!json_scan_string(r->body, &r->at, &plain))
		return false;
	if (plain) {
		*ret_text = str_from(r->body.ptr + from + 1, r->at - from - 2);
		return true;
	}
	/* The first one makes room for the whole line, so that no text moves afterwards. */
	if (!r->scratch->len && !buf_room(r->scratch, r->scratch_need))
		return false;
	kept = r->scratch->len;
	json_decode(str_from(r->body.ptr + from, r->at - from), r->scratch);
	*ret_text = str_from(r->scratch->ptr + kept, r->scratch->len - kept);
	return r->scratch->failed == ERR_OK;
}

/* The text of a string literal at `at`, decoded if need be. */
static inline bool read_text(struct reading *r, struct str *ret_text)
{
	const char *from = r->body.ptr + r->at + 1;
	const char *end = r->body.ptr + r->body.len;
	const char *close;

	if (from > end || from[-1] != '"')
		return false;
	close = json_special(from, r->line_end);
	if (close >= end || *close != '"')
		return read_odd_text(r, ret_text);
	*ret_text = str_from(from, (size_t)(close - from));
	r->at = (size_t)(close + 1 - r->body.ptr);
	return true;
}

/* Digits without leading zeros. */
static bool read_u64(struct reading *r, uint64_t *ret_value)
{
	const char *from = r->body.ptr + r->at;
	const char *end = r->body.ptr + r->body.len;
	const char *at = from;
	uint64_t value = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (unsigned)(*at - '0'), &value))
			return false;
	}
	if (at == from || (*from == '0' && at - from > 1))
		return false;
	r->at += (size_t)(at - from);
	*ret_value = value;
	return true;
}

static bool read_i64(struct reading *r, int64_t *ret_value)
{
	bool negative = r->at < r->body.len && r->body.ptr[r->at] == '-';
	uint64_t size;

	r->at += negative;
	if (!read_u64(r, &size) || size > (uint64_t)INT64_MAX + negative)
		return false;
	*ret_value = negative ? (int64_t)(0 - size) : (int64_t)size;
	return true;
}

static inline bool read_word(struct reading *r, const char *word, size_t len)
{
	if (r->body.len - r->at < len || memcmp(r->body.ptr + r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

#define READ(r, literal) read_word(r, literal, sizeof(literal) - 1)

static bool read_event_id(struct reading *r)
{
	return READ(r, "\"evt_") && read_u64(r, &r->event->seq) && r->event->seq > 0 &&
	       READ(r, "\"");
}

static bool read_event_type(struct reading *r)
{
	if (!read_text(r, &r->event->type_text))
		return false;
	r->event->type = type_of(r->event->type_text, r->memo);
	return true;
}

static int digits2(const char *at)
{
	int high = at[0] - '0';
	int low = at[1] - '0';

	return high < 0 || high > 9 || low < 0 || low > 9 ? -1 : high * 10 + low;
}

/* Another minute than that of the line before: the calendar is asked. */
static SELDOM bool read_minute(const char *text, struct line_memo *memo)
{
	char zero[STAMP_BYTES + 1];
	char again[STAMP_BYTES + 1];
	int64_t minute_ms;

	memcpy(zero, text, LINE_MINUTE_BYTES);
	memcpy(zero + LINE_MINUTE_BYTES, "00.000Z", 8);
	if (!stamp_read(str_from(zero, STAMP_BYTES), &minute_ms))
		return false;
	stamp_write(minute_ms, again);
	if (memcmp(zero, again, STAMP_BYTES) != 0) /* no day of the calendar */
		return false; /* not reached: stamp_read knows the calendar too */
	memo->minute_ms = minute_ms;
	memcpy(memo->minute, text, LINE_MINUTE_BYTES);
	return true;
}

/* RFC 3339 in the one form that we write: milliseconds and `Z`. Lines of one minute are read
 * without the calendar. */
static bool read_stamp(struct reading *r)
{
	const char *text = r->body.ptr + r->at + 1;
	struct line_memo *memo = r->memo;
	int seconds;
	int hundredths;

	if (r->body.len - r->at < STAMP_BYTES + 2 || text[-1] != '"' || text[STAMP_BYTES] != '"' ||
	    text[10] != 'T' || text[16] != ':' || text[19] != '.' || text[23] != 'Z')
		return false;
	if (!same(memo->minute, text, LINE_MINUTE_BYTES) && !read_minute(text, memo))
		return false;
	seconds = digits2(text + 17);
	hundredths = digits2(text + 20);
	if (seconds < 0 || seconds > 59 || hundredths < 0 || text[22] < '0' || text[22] > '9')
		return false;
	r->event->time_utc_ms =
	    memo->minute_ms + seconds * 1000 + hundredths * 10 + (text[22] - '0');
	r->at += STAMP_BYTES + 2;
	return true;
}

static bool read_attempt(struct reading *r)
{
	uint64_t value;

	if (!read_u64(r, &value) || value > UINT32_MAX)
		return false;
	r->event->attempt = (uint32_t)value;
	return true;
}

static bool read_raw(struct reading *r, struct str *ret_text)
{
	NOT_CLEARED struct err problem;
	size_t from = r->at;

	switch ((int)json_scan(r->body, &r->at, LINE_RAW_DEPTH_MAX, &problem)) {
	case ERR_OK:
		break;
	case ERR_MEMORY:
		r->scratch->failed = ERR_MEMORY; /* not the line's fault */
		return false;
	default:
		return false;
	}
	if (r->body.ptr[from] == 'n') /* a null would have been left out */
		return false;
	*ret_text = str_from(r->body.ptr + from, r->at - from);
	return true;
}

static bool read_field(struct reading *r, enum event_field field)
{
	union event_value *value = &r->event->field[field];

	switch (field_kinds[field]) {
	case EVENT_KIND_TEXT:
		return read_text(r, &value->text);
	case EVENT_KIND_INT:
		return read_i64(r, &value->number);
	case EVENT_KIND_FLAG:
		value->number = 1;
		return READ(r, "true");
	case EVENT_KIND_RAW:
		return read_raw(r, &value->text);
	}
	return false;
}

/* The value of a member that was not seen yet. */
static bool read_member(struct reading *r, unsigned member)
{
	struct event *event = r->event;

	switch (member) {
	case MEMBER_EVENT_ID:
		return read_event_id(r);
	case MEMBER_EVENT_TYPE:
		return read_event_type(r);
	case MEMBER_RUN_ID:
		return read_text(r, &event->run_id);
	case MEMBER_TIMESTAMP:
		return read_stamp(r);
	case MEMBER_ACTOR:
		return read_text(r, &event->actor);
	case MEMBER_ATTEMPT:
		return read_attempt(r);
	default:
		return read_field(r, (enum event_field)(member - MEMBER_FIELDS));
	}
}

/* Note a member as seen; false when it was before. */
static bool see(struct reading *r, unsigned member)
{
	if (member < MEMBER_FIELDS) {
		bool again = r->seen >> member & 1;

		r->seen |= 1u << member;
		return !again;
	}
	if (event_has(r->event, (enum event_field)(member - MEMBER_FIELDS)))
		return false;
	r->event->has |= UINT64_C(1) << (member - MEMBER_FIELDS);
	return true;
}

static enum err_code bad(struct err *err, const struct reading *r, const char *why)
{
	return err_set(err, ERR_CORRUPT, "byte %zu: %s", r->at, why);
}

static enum err_code missing(struct err *err, const struct reading *r)
{
	unsigned member = (unsigned)__builtin_ctz(~r->seen);

	return err_set(err, ERR_CORRUPT, "'%s' is missing", members[member].text);
}

/* No member that we know begins here. */
static enum err_code refuse_name(struct err *err, struct reading *r)
{
	size_t from = r->at;
	bool plain;

	if (!json_scan_string(r->body, &r->at, &plain))
		return bad(err, r, "malformed member name");
	return err_set(err, ERR_CORRUPT, "byte %zu: unknown member %.*s", from, (int)(r->at - from),
		       r->body.ptr + from);
}

/* What every line has, in the order in which we write it: between two values all is known, and
 * compared at once. False for another order, and for what is malformed. */
static bool read_usual(struct reading *r)
{
	struct event *event = r->event;

	if (!READ(r, "{\"event_id\":") || !read_event_id(r) || !READ(r, ",\"event_type\":") ||
	    !read_event_type(r) || !READ(r, ",\"run_id\":") || !read_text(r, &event->run_id) ||
	    !READ(r, ",\"timestamp_utc\":") || !read_stamp(r) || !READ(r, ",\"actor\":") ||
	    !read_text(r, &event->actor) || !READ(r, ",\"attempt\":") || !read_attempt(r))
		return false;
	r->seen = MEMBERS_REQUIRED;
	return true;
}

/* The members from here to the end; `member` is the one before. */
static enum err_code read_members(struct reading *r, unsigned member, struct err *err)
{
	for (;;) {
		member = member_at(r->body.ptr + r->at, r->body.ptr + r->body.len, member, r->memo);
		if (member == MEMBER_COUNT)
			return refuse_name(err, r);
		if (!see(r, member))
			return err_set(err, ERR_CORRUPT, "'%s' is there twice",
				       members[member].text);
		r->at += heads[member].len - 1;
		if (!read_member(r, member)) {
			if (r->scratch->failed != ERR_OK)
				return buf_check(r->scratch, "a line", err);
			return err_set(err, ERR_CORRUPT, "byte %zu: malformed value of '%s'", r->at,
				       members[member].text);
		}
		if (r->at == r->body.len)
			break;
		if (!READ(r, ","))
			return bad(err, r, "',' is expected");
	}
	return r->seen == MEMBERS_REQUIRED ? ERR_OK : missing(err, r);
}

static void reading_start(struct reading *r, struct event *event)
{
	event->has = 0; /* all that every event has is read, or the line refused */
	if (r->scratch->len || r->scratch->failed != ERR_OK)
		buf_clear(r->scratch);
	r->event = event;
	r->at = 0;
}

enum err_code line_decode(struct str line, struct line_memo *memo, struct buf *scratch,
			  struct event *ret_event, struct err *err)
{
	struct reading r = {
	    .body = str_from(line.ptr, line.len - LINE_END_BYTES),
	    .line_end = line.ptr + line.len,
	    .scratch_need = line.len,
	    .memo = memo,
	    .scratch = scratch,
	};

	reading_start(&r, ret_event);
	if (read_usual(&r)) {
		if (r.at == r.body.len)
			return ERR_OK;
		if (READ(&r, ","))
			return read_members(&r, MEMBER_ATTEMPT, err);
	}
	r.seen = 0;
	reading_start(&r, ret_event);
	if (!READ(&r, "{"))
		return bad(err, &r, "'{' is expected");
	return read_members(&r, MEMBER_COUNT, err);
}

/* Only reached for lines that line_decode refused: speed does not matter. */
enum err_code line_decode_newer(struct str line, struct buf *scratch, struct event *ret_event,
				struct err *err)
{
	struct line_memo memo = {.minute_ms = 0};
	struct reading r = {
	    .body = line, .line_end = line.ptr + line.len, .scratch_need = line.len, .memo = &memo};
	struct str name;
	struct str value;
	size_t at = 0;

	r.scratch = scratch;
	reading_start(&r, ret_event);
	if (json_check(line, JSON_DEPTH_MAX, err) == ERR_MEMORY)
		return err->code;
	if (err->code != ERR_OK || line.ptr[0] != '{')
		return err_set(err, ERR_CORRUPT, "it is no JSON object");
	while (json_member(line, &at, &name, &value)) {
		unsigned member = member_of(name);
		uint64_t had = ret_event->has;

		if (member == MEMBER_COUNT)
			continue;
		(void)see(&r, member); /* json_check refused what is there twice */
		r.at = (size_t)(value.ptr - line.ptr);
		if (read_member(&r, member) && r.at == (size_t)(value.ptr - line.ptr) + value.len)
			continue;
		if (scratch->failed != ERR_OK)
			return buf_check(scratch, "a line", err);
		if (member < MEMBER_FIELDS)
			return err_set(err, ERR_CORRUPT, "malformed value of '%.*s'",
				       STR_ARG(name));
		ret_event->has = had;
	}
	if (r.seen != MEMBERS_REQUIRED)
		return missing(err, &r);
	return ERR_OK;
}

enum err_code log_decode(struct str line, struct buf *scratch, struct event *ret_event,
			 struct err *err)
{
	struct line_memo memo = {.minute_ms = 0};
	struct event event;
	struct str body;
	uint8_t h[LINE_H_BYTES];

	if (!line_body(line, &body, h))
		return err_set(err, ERR_CORRUPT, "it does not end in its `h`");
	if (line_decode(line, &memo, scratch, &event, err) != ERR_OK ||
	    event_check(&event, err) != ERR_OK)
		return err->code;
	*ret_event = event;
	return ERR_OK;
}
