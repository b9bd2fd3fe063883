/* unknown_key.c - a key that the format does not have: what was meant by it */
#include "lang/build.h"

#include "base/buf.h"
#include "base/mem.h"

/* Scopes with more keys than this are for the manual page, not for a hint. */
#define LISTED_MAX 10

struct foreign_row {
	enum key_scope scope;
	struct str word;
	enum key_id key;
};

static const struct foreign_row foreign_rows[] = {
#define FOREIGN(scope, word, key) {SCOPE_##scope, {#word, sizeof(#word) - 1}, KEY_##scope##_##key},
#include "lang/foreign.def"
};

static char plain_char(char byte)
{
	if (byte == '-')
		return '_';
	return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static bool is_word(struct str text, struct str word)
{
	if (text.len != word.len)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (plain_char(text.ptr[i]) != word.ptr[i])
			return false;
	}
	return true;
}

static const struct foreign_row *foreign_find(enum key_scope scope, struct str text)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign_rows); i++) {
		if (foreign_rows[i].scope == scope && is_word(text, foreign_rows[i].word))
			return &foreign_rows[i];
	}
	return NULL;
}

static void list_keys(struct build *build, const char *const *names, size_t count)
{
	AUTO(buf_fini) struct buf list = {0};

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_text(&list, i + 1 < count ? ", " : " and ");
		buf_fmt(&list, "'%s'", names[i]);
	}
	if (buf_check(&list, "the hint", &build->err) == ERR_OK)
		diags_hint(build->diags, "its keys are %.*s", STR_ARG(buf_view(&list)));
}

void build_unknown_key(struct build *build, enum key_scope scope, const struct node *key)
{
	const struct foreign_row *foreign = foreign_find(scope, key->text);
	const char *names[KEY_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (key_rows[i].scope == scope && key_rows[i].support == SUPPORT_NOW)
			names[count++] = key_rows[i].name.ptr;
	}
	build->has_unknown_key = true;
	build_report(build, DIAG_UNKNOWN_KEY, key, "there is no key '%.*s' here",
		     STR_ARG(str_cut(key->text, 0, 80)));
	if (foreign)
		diags_hint(build->diags, "it is called '%s' here", key_rows[foreign->key].name.ptr);
	else if (!build_nearest(build, key->text, names, count) && count <= LISTED_MAX)
		list_keys(build, names, count);
}
