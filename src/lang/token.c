/* token.c - see token.h */
#include "lang/token.h"

#include "base/mem.h"

#include <string.h>

static const struct str keywords[] = {
#define WORD(text) \
	{ \
		text, sizeof(text) - 1 \
	}
    WORD("and"),   WORD("break"), WORD("do"),       WORD("else"),  WORD("elseif"), WORD("end"),
    WORD("false"), WORD("for"),   WORD("function"), WORD("goto"),  WORD("if"),     WORD("in"),
    WORD("local"), WORD("nil"),   WORD("not"),      WORD("or"),    WORD("repeat"), WORD("return"),
    WORD("then"),  WORD("true"),  WORD("until"),    WORD("while"),
#undef WORD
};

bool token_is_keyword(struct str word)
{
	/* The length and the second letter tell nearly always that it is none. */
	if (word.len < 2 || word.len > 8 || !strchr("aefhinolru", word.ptr[1]))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (word.len == keywords[i].len && word.ptr[0] == keywords[i].ptr[0] &&
		    str_eq(word, keywords[i]))
			return true;
	}
	return false;
}

static char byte_at(struct str source, size_t at)
{
	return at < source.len ? source.ptr[at] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

/* Level of a long bracket that opens at `at`: [[ is 0, [=[ is 1; SIZE_MAX if there is none. */
static size_t bracket_level(struct str source, size_t at)
{
	size_t level = 0;

	if (byte_at(source, at) != '[')
		return SIZE_MAX;
	while (byte_at(source, at + 1 + level) == '=')
		level++;
	return byte_at(source, at + 1 + level) == '[' ? level : SIZE_MAX;
}

/* Behind the closing bracket of that level; SIZE_MAX if it does not close. */
static size_t bracket_end(struct str source, size_t at, size_t level)
{
	for (at += level + 2; at < source.len; at++) {
		size_t equals = 0;

		if (source.ptr[at] != ']')
			continue;
		while (byte_at(source, at + 1 + equals) == '=')
			equals++;
		if (equals == level && byte_at(source, at + 1 + equals) == ']')
			return at + level + 2;
		at += equals;
	}
	return SIZE_MAX;
}

static size_t quoted_end(struct str source, size_t at)
{
	char quote = source.ptr[at];

	for (at++; at < source.len; at++) {
		char c = source.ptr[at];

		if (c == '\\')
			at++; /* whatever follows is no end */
		else if (c == quote)
			return at + 1;
		else if (c == '\n')
			return SIZE_MAX;
	}
	return SIZE_MAX;
}

static size_t number_end(struct str source, size_t at)
{
	for (; at < source.len; at++) {
		char c = source.ptr[at];
		char before = source.ptr[at ? at - 1 : 0];
		bool is_exponent = (c == '+' || c == '-') && (before == 'e' || before == 'E' ||
							      before == 'p' || before == 'P');

		if (!is_name(c) && c != '.' && !is_exponent)
			break;
	}
	return at;
}

static size_t symbol_end(struct str source, size_t at)
{
	static const char *const symbols[] = {
	    "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};

	for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
		if (str_starts(str_cut(source, at, source.len), symbols[i]))
			return at + str_of(symbols[i]).len;
	}
	return at + 1;
}

/* Behind blanks and comments; SIZE_MAX if a comment does not end. */
static size_t blanks_end(struct str source, size_t at)
{
	while (at < source.len) {
		char c = source.ptr[at];

		if (c == ' ' || (c >= '\t' && c <= '\r')) {
			at++;
		} else if (c == '-' && byte_at(source, at + 1) == '-') {
			size_t level = bracket_level(source, at + 2);

			if (level != SIZE_MAX) {
				at = bracket_end(source, at + 2, level);
				if (at == SIZE_MAX)
					return SIZE_MAX;
			} else {
				while (at < source.len && source.ptr[at] != '\n')
					at++;
			}
		} else {
			break;
		}
	}
	return at;
}

struct token token_next(struct str source, size_t *at)
{
	size_t from = blanks_end(source, *at);
	enum token_kind kind = TOKEN_SYMBOL;
	size_t end;
	char c;

	if (from == SIZE_MAX) {
		*at = source.len;
		return (struct token){TOKEN_BAD, STR_NONE, source.len};
	}
	if (from >= source.len) {
		*at = source.len;
		return (struct token){TOKEN_END, STR_NONE, source.len};
	}
	c = source.ptr[from];
	if (is_name_start(c)) {
		kind = TOKEN_NAME;
		for (end = from + 1; end < source.len && is_name(source.ptr[end]);)
			end++;
	} else if (is_digit(c) || (c == '.' && is_digit(byte_at(source, from + 1)))) {
		kind = TOKEN_NUMBER;
		end = number_end(source, from + 1);
	} else if (c == '"' || c == '\'') {
		kind = TOKEN_STRING;
		end = quoted_end(source, from);
	} else if (bracket_level(source, from) != SIZE_MAX) {
		kind = TOKEN_STRING;
		end = bracket_end(source, from, bracket_level(source, from));
	} else {
		end = symbol_end(source, from);
	}
	if (end > source.len) { /* SIZE_MAX: it does not end */
		*at = source.len;
		return (struct token){TOKEN_BAD, str_cut(source, from, source.len), from};
	}
	*at = end;
	return (struct token){kind, str_cut(source, from, end), from};
}
