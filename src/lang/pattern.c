/* pattern.c - see pattern.h
 *
 * A pattern is read into items. An item is matched by match_from, which calls itself once for each
 * item that leaves a choice, so the depth is at most PATTERN_ITEMS_MAX, whatever the subject. */
#include "lang/pattern.h"

#include "base/mem.h"

#include <string.h>

enum item_kind {
	ITEM_BYTE,     /* x */
	ITEM_ANY,      /* . */
	ITEM_CLASS,    /* %a: x is the letter */
	ITEM_SET,      /* [...] */
	ITEM_OPEN,     /* ( of capture x */
	ITEM_POSITION, /* () as capture x */
	ITEM_CLOSE,    /* ) of capture x */
	ITEM_BALANCE,  /* %bxy */
	ITEM_FRONTIER, /* %f[...] */
	ITEM_BACK,     /* %1: the text of capture x */
	ITEM_END,      /* $ at the end */
};

#define CAPTURE_OPEN (SIZE_MAX - 1)

/* --- characters: ASCII, whatever the locale */

static bool in_range(unsigned char c, char low, char high)
{
	return c >= (unsigned char)low && c <= (unsigned char)high;
}

static bool is_alnum(unsigned char c)
{
	return in_range(c, '0', '9') || in_range(c, 'a', 'z') || in_range(c, 'A', 'Z');
}

/* Does `c` belong to the class of the letter? Upper case is the complement; another sign is
 * itself. */
static bool class_has(unsigned char letter, unsigned char c)
{
	unsigned char lower = (unsigned char)(letter | 0x20);
	bool has;

	if (!in_range(lower, 'a', 'z') || !is_alnum(letter))
		return letter == c;
	switch (lower) {
	case 'a':
		has = is_alnum(c) && !in_range(c, '0', '9');
		break;
	case 'c':
		has = c < 0x20 || c == 0x7F;
		break;
	case 'd':
		has = in_range(c, '0', '9');
		break;
	case 'g':
		has = c > 0x20 && c < 0x7F;
		break;
	case 'l':
		has = in_range(c, 'a', 'z');
		break;
	case 'p':
		has = c > 0x20 && c < 0x7F && !is_alnum(c);
		break;
	case 's':
		has = c == ' ' || in_range(c, '\t', '\r');
		break;
	case 'u':
		has = in_range(c, 'A', 'Z');
		break;
	case 'w':
		has = is_alnum(c);
		break;
	case 'x':
		has = in_range(c, '0', '9') || in_range(c, 'a', 'f') || in_range(c, 'A', 'F');
		break;
	case 'z': /* as before Lua 5.2: the NUL byte */
		has = c == 0;
		break;
	default:
		return letter == c;
	}
	return letter == lower ? has : !has;
}

static bool set_has(struct str set, unsigned char c)
{
	bool is_negated = set.len && set.ptr[0] == '^';

	for (size_t at = is_negated; at < set.len; at++) {
		unsigned char first = (unsigned char)set.ptr[at];

		if (first == '%') {
			/* Behind a range it may be the last one: it takes the ] as a member, as in
			 * Lua. */
			if (class_has((unsigned char)set.ptr[++at], c))
				return !is_negated;
		} else if (at + 2 < set.len && set.ptr[at + 1] == '-') {
			if (c >= first && c <= (unsigned char)set.ptr[at + 2])
				return !is_negated;
			at += 2;
		} else if (first == c) {
			return !is_negated;
		}
	}
	return is_negated;
}

/* --- reading */

struct reader {
	struct str text;
	size_t at;
	struct pattern *pattern;
	uint32_t open[PATTERN_CAPTURES_MAX];
	uint32_t open_count;
	bool is_closed[PATTERN_CAPTURES_MAX];
	struct err *err;
};

static enum err_code bad(struct reader *reader, const char *what)
{
	return err_set(reader->err, ERR_INVALID, "%s", what);
}

/* A set that begins at [; the reader moves behind its ]. */
static enum err_code set_read(struct reader *reader, struct str *ret_set)
{
	struct str text = reader->text;
	size_t from = reader->at + 1;
	size_t at = from;

	if (at < text.len && text.ptr[at] == '^')
		at++;
	do { /* a ] at the beginning is a member */
		if (at >= text.len)
			return bad(reader, "a [set] is not closed");
		if (text.ptr[at] == '%')
			at++;
		at++;
	} while (at >= text.len || text.ptr[at] != ']');
	*ret_set = str_cut(text, from, at);
	reader->at = at + 1;
	return ERR_OK;
}

static enum err_code capture_read(struct reader *reader, struct pattern_item *item)
{
	struct pattern *pattern = reader->pattern;

	if (reader->text.ptr[reader->at] == ')') {
		if (reader->open_count == 0)
			return bad(reader, "')' without '('");
		item->kind = ITEM_CLOSE;
		item->x = (uint8_t)reader->open[--reader->open_count];
		reader->is_closed[item->x] = true;
		reader->at++;
		return ERR_OK;
	}
	if (pattern->captures >= PATTERN_CAPTURES_MAX)
		return bad(reader, "too many captures");
	item->x = (uint8_t)pattern->captures++;
	reader->at++;
	if (reader->at < reader->text.len && reader->text.ptr[reader->at] == ')') {
		item->kind = ITEM_POSITION;
		reader->is_closed[item->x] = true;
		reader->at++;
		return ERR_OK;
	}
	item->kind = ITEM_OPEN;
	reader->open[reader->open_count++] = item->x;
	return ERR_OK;
}

/* What follows a %. */
static enum err_code percent_read(struct reader *reader, struct pattern_item *item)
{
	struct str text = reader->text;
	size_t left = text.len - reader->at - 1;
	char c = left ? text.ptr[reader->at + 1] : '\0';

	if (left == 0)
		return bad(reader, "ends with %");
	reader->at += 2;
	if (c == 'b') {
		if (left < 3)
			return bad(reader, "%b needs two characters");
		*item = (struct pattern_item){.kind = ITEM_BALANCE,
					      .x = (uint8_t)text.ptr[reader->at],
					      .y = (uint8_t)text.ptr[reader->at + 1]};
		reader->at += 2;
	} else if (c == 'f') {
		item->kind = ITEM_FRONTIER;
		if (left < 2 || text.ptr[reader->at] != '[')
			return bad(reader, "%f needs a [set]");
		return set_read(reader, &item->set);
	} else if (c >= '0' && c <= '9') {
		item->kind = ITEM_BACK;
		item->x = (uint8_t)(c - '1');
		if (c == '0' || item->x >= reader->pattern->captures || !reader->is_closed[item->x])
			return bad(reader, "%1 to %9 must name a capture that is closed");
	} else {
		item->kind = ITEM_CLASS;
		item->x = (uint8_t)c;
	}
	return ERR_OK;
}

static enum err_code item_read(struct reader *reader, struct pattern_item *item)
{
	char c = reader->text.ptr[reader->at];

	if (c == '(' || c == ')')
		return capture_read(reader, item);
	if (c == '$' && reader->at + 1 == reader->text.len) {
		item->kind = ITEM_END;
		reader->at++;
		return ERR_OK;
	}
	if (c == '%') {
		if (percent_read(reader, item) != ERR_OK)
			return reader->err->code;
	} else if (c == '[') {
		item->kind = ITEM_SET;
		if (set_read(reader, &item->set) != ERR_OK)
			return reader->err->code;
	} else {
		item->kind = c == '.' ? ITEM_ANY : ITEM_BYTE;
		item->x = (uint8_t)c;
		reader->at++;
	}
	if (item->kind <= ITEM_SET && reader->at < reader->text.len &&
	    memchr("?*+-", reader->text.ptr[reader->at], 4))
		item->repeat = (uint8_t)reader->text.ptr[reader->at++];
	return ERR_OK;
}

enum err_code pattern_read(struct str text, bool is_literal_caret, struct pattern *ret_pattern,
			   struct err *err)
{
	struct reader reader = {.text = text, .pattern = ret_pattern, .err = err};

	ret_pattern->count = 0;
	ret_pattern->captures = 0;
	ret_pattern->is_anchored = !is_literal_caret && text.len && text.ptr[0] == '^';
	if (ret_pattern->is_anchored)
		reader.at = 1;
	while (reader.at < text.len) {
		struct pattern_item *item = &ret_pattern->items[ret_pattern->count];

		if (ret_pattern->count >= PATTERN_ITEMS_MAX)
			return bad(&reader, "the pattern is too long");
		*item = (struct pattern_item){.kind = ITEM_BYTE};
		if (item_read(&reader, item) != ERR_OK)
			return err->code;
		ret_pattern->count++;
	}
	if (reader.open_count)
		return bad(&reader, "'(' without ')'");
	return ERR_OK;
}

/* --- matching */

struct matcher {
	const struct pattern *pattern;
	struct str subject;
	uint64_t *steps;
	bool is_over; /* the budget is used up */
	struct pattern_match *match;
};

static bool step_count(struct matcher *matcher, uint64_t steps)
{
	if (*matcher->steps < steps) {
		*matcher->steps = 0;
		matcher->is_over = true;
		return false;
	}
	*matcher->steps -= steps;
	return true;
}

static bool one_matches(struct matcher *matcher, const struct pattern_item *item, size_t at)
{
	unsigned char c;

	if (!step_count(matcher, 1 + item->set.len / 4) || at >= matcher->subject.len)
		return false;
	c = (unsigned char)matcher->subject.ptr[at];
	switch ((enum item_kind)item->kind) {
	case ITEM_BYTE:
		return item->x == c;
	case ITEM_ANY:
		return true;
	case ITEM_CLASS:
		return class_has(item->x, c);
	case ITEM_SET:
		return set_has(item->set, c);
	case ITEM_OPEN:
	case ITEM_POSITION:
	case ITEM_CLOSE:
	case ITEM_BALANCE:
	case ITEM_FRONTIER:
	case ITEM_BACK:
	case ITEM_END:
		break;
	}
	return false;
}

/* Behind the balanced text at `at`; SIZE_MAX if there is none. */
static size_t balance_end(struct matcher *matcher, const struct pattern_item *item, size_t at)
{
	struct str subject = matcher->subject;
	size_t depth = 1;

	if (at >= subject.len || (uint8_t)subject.ptr[at] != item->x)
		return SIZE_MAX;
	for (at++; at < subject.len && step_count(matcher, 1); at++) {
		uint8_t c = (uint8_t)subject.ptr[at];

		if (c == item->y) {
			if (--depth == 0)
				return at + 1;
		} else if (c == item->x) {
			depth++;
		}
	}
	return SIZE_MAX;
}

static bool is_frontier(const struct matcher *matcher, const struct pattern_item *item, size_t at)
{
	struct str subject = matcher->subject;
	unsigned char before = at ? (unsigned char)subject.ptr[at - 1] : 0;
	unsigned char after = at < subject.len ? (unsigned char)subject.ptr[at] : 0;

	return !set_has(item->set, before) && set_has(item->set, after);
}

/* Items that leave no choice: where the match goes on, SIZE_MAX if it does not. */
static size_t fixed_end(struct matcher *matcher, const struct pattern_item *item, size_t at)
{
	struct pattern_match *match = matcher->match;
	struct str subject = matcher->subject;

	switch ((enum item_kind)item->kind) {
	case ITEM_POSITION:
		match->captures[item->x].from = at;
		match->captures[item->x].len = CAPTURE_POSITION;
		return at;
	case ITEM_OPEN:
		match->captures[item->x].from = at;
		match->captures[item->x].len = CAPTURE_OPEN;
		return at;
	case ITEM_CLOSE:
		match->captures[item->x].len = at - match->captures[item->x].from;
		return at;
	case ITEM_BALANCE:
		return balance_end(matcher, item, at);
	case ITEM_FRONTIER:
		return step_count(matcher, 1 + item->set.len / 4) && is_frontier(matcher, item, at)
			   ? at
			   : SIZE_MAX;
	case ITEM_BACK: {
		struct str old =
		    str_cut(subject, match->captures[item->x].from,
			    match->captures[item->x].from + match->captures[item->x].len);

		if (match->captures[item->x].len == CAPTURE_POSITION)
			return SIZE_MAX;
		if (!step_count(matcher, 1 + old.len / 16) || old.len > subject.len - at ||
		    !str_eq(old, str_cut(subject, at, at + old.len)))
			return SIZE_MAX;
		return at + old.len;
	}
	case ITEM_END:
		return at == subject.len ? at : SIZE_MAX;
	case ITEM_BYTE:
	case ITEM_ANY:
	case ITEM_CLASS:
	case ITEM_SET:
		break;
	}
	return one_matches(matcher, item, at) ? at + 1 : SIZE_MAX;
}

static size_t match_from(struct matcher *matcher, uint32_t index, size_t at);

/* `*` and `+`: as many as there are, then fewer. */
static size_t match_most(struct matcher *matcher, uint32_t index, size_t at)
{
	const struct pattern_item *item = &matcher->pattern->items[index];
	size_t least = at + (item->repeat == '+');
	size_t most = at;

	while (one_matches(matcher, item, most))
		most++;
	for (;; most--) {
		size_t end;

		if (most < least || matcher->is_over)
			return SIZE_MAX;
		end = match_from(matcher, index + 1, most);
		if (end != SIZE_MAX || most == 0)
			return end;
	}
}

/* `-`: as few as possible, then more. */
static size_t match_least(struct matcher *matcher, uint32_t index, size_t at)
{
	const struct pattern_item *item = &matcher->pattern->items[index];

	for (;; at++) {
		size_t end = match_from(matcher, index + 1, at);

		if (end != SIZE_MAX || matcher->is_over)
			return matcher->is_over ? SIZE_MAX : end;
		if (!one_matches(matcher, item, at))
			return SIZE_MAX;
	}
}

/* The end of a match of the items from `index` on at `at`, or SIZE_MAX. */
static size_t match_from(struct matcher *matcher, uint32_t index, size_t at)
{
	if (!step_count(matcher, 1))
		return SIZE_MAX;
	for (; index < matcher->pattern->count; index++) {
		const struct pattern_item *item = &matcher->pattern->items[index];
		size_t end;

		switch (item->repeat) {
		case '*':
		case '+':
			return match_most(matcher, index, at);
		case '-':
			return match_least(matcher, index, at);
		case '?':
			if (one_matches(matcher, item, at)) {
				end = match_from(matcher, index + 1, at + 1);
				if (end != SIZE_MAX || matcher->is_over)
					return end;
			}
			break;
		default:
			at = fixed_end(matcher, item, at);
			if (at == SIZE_MAX)
				return SIZE_MAX;
			break;
		}
	}
	return at;
}

enum pattern_result pattern_find(const struct pattern *pattern, struct str subject, size_t from,
				 uint64_t *steps, struct pattern_match *ret_match)
{
	struct matcher matcher = {
	    .pattern = pattern, .subject = subject, .steps = steps, .match = ret_match};

	for (size_t at = from; at <= subject.len; at++) {
		size_t end = match_from(&matcher, 0, at);

		if (matcher.is_over)
			return PATTERN_TOO_LONG;
		if (end != SIZE_MAX) {
			ret_match->from = at;
			ret_match->to = end;
			ret_match->count = pattern->captures;
			return PATTERN_MATCH;
		}
		if (pattern->is_anchored)
			break;
	}
	return PATTERN_NONE;
}

enum err_code pattern_check(struct str text, struct err *err)
{
	struct pattern pattern;

	return pattern_read(text, false, &pattern, err);
}

enum pattern_result pattern_whole(struct str text, struct str subject)
{
	struct err err = ERR_INIT;
	struct pattern pattern;
	struct pattern_match match;
	uint64_t steps = PATTERN_STEPS;
	enum pattern_result result;

	if (pattern_read(text, false, &pattern, &err) != ERR_OK)
		return PATTERN_NONE;
	if (pattern.count == 0 || pattern.items[pattern.count - 1].kind != ITEM_END) {
		if (pattern.count >= PATTERN_ITEMS_MAX)
			return PATTERN_TOO_LONG;
		pattern.items[pattern.count++] = (struct pattern_item){.kind = ITEM_END};
	}
	pattern.is_anchored = true;
	result = pattern_find(&pattern, subject, 0, &steps, &match);
	return result;
}
