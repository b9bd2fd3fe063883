/* token.h - the words of a Lua expression: enough to find its end inside a text and the names that
 * it uses. Lua itself judges the grammar. */
#ifndef LANG_TOKEN_H
#define LANG_TOKEN_H

#include "base/str.h"

enum token_kind {
	TOKEN_END,
	TOKEN_NAME,   /* words of Lua included */
	TOKEN_STRING, /* quotes or long brackets included */
	TOKEN_NUMBER,
	TOKEN_SYMBOL,
	TOKEN_BAD, /* a string or comment that does not end, or a stray byte */
};

struct token {
	enum token_kind kind;
	struct str text;
	size_t at; /* offset in the source */
};

/* The token at or after *at (Lua 5.4 manual, 3.1), comments skipped; *at moves behind it. */
struct token token_next(struct str source, size_t *at);
/* Is it a word that Lua keeps for itself (`end`, `and` ...)? */
bool token_is_keyword(struct str word);

#endif
