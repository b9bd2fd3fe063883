/* node.c - see node.h */
#include "lang/node.h"

#include "base/mem.h"

#include <stdio.h>

void nodes_init(struct nodes *nodes)
{
	*nodes = (struct nodes){.arena = ARENA_INIT, .keys_of = NODE_NONE};
}

void nodes_fini(struct nodes *nodes)
{
	mem_free(nodes->items);
	map_fini(&nodes->keys);
	arena_fini(&nodes->arena);
	nodes_init(nodes);
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static size_t skip_digits(struct str text, size_t at)
{
	while (at < text.len && is_digit(text.ptr[at]))
		at++;
	return at;
}

static size_t skip_sign(struct str text, size_t at)
{
	return at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+') ? at + 1 : at;
}

/* 0o17, 0xFF: the digits' base, 0 when it is neither. */
static unsigned base_of(struct str text)
{
	unsigned base;

	if (text.len < 3 || text.ptr[0] != '0')
		return 0;
	base = text.ptr[1] == 'o' ? 8 : text.ptr[1] == 'x' ? 16 : 0;
	for (size_t i = 2; base && i < text.len; i++) {
		char c = text.ptr[i];
		bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		if (base == 8 ? c < '0' || c > '7' : !is_hex)
			return 0;
	}
	return base;
}

static bool is_int(struct str text)
{
	size_t from = skip_sign(text, 0);

	return base_of(text) || (from < text.len && skip_digits(text, from) == text.len);
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_finite_float(struct str text)
{
	size_t at = skip_sign(text, 0);
	size_t whole = skip_digits(text, at);
	bool has_digits = whole > at;

	at = whole;
	if (at < text.len && text.ptr[at] == '.') {
		size_t end = skip_digits(text, at + 1);

		if (!has_digits && end == at + 1)
			return false;
		has_digits = true;
		at = end;
	}
	if (!has_digits)
		return false;
	if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
		size_t from = skip_sign(text, at + 1);

		at = skip_digits(text, from);
		if (at == from)
			return false;
	}
	return at == text.len;
}

static bool is_word(struct str text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_is(text, words[i]))
			return true;
	}
	return false;
}

static const char *const null_words[] = {"", "~", "null", "Null", "NULL"};
static const char *const true_words[] = {"true", "True", "TRUE"};
static const char *const false_words[] = {"false", "False", "FALSE"};
static const char *const float_words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};

enum scalar node_scalar(const struct node *node)
{
	struct str text = node->text;

	if (node->kind != NODE_TEXT || !node->is_plain)
		return SCALAR_TEXT;
	if (is_word(text, null_words, ARRAY_LEN(null_words)))
		return SCALAR_NULL;
	if (is_word(text, true_words, ARRAY_LEN(true_words)) ||
	    is_word(text, false_words, ARRAY_LEN(false_words)))
		return SCALAR_BOOL;
	if (is_int(text))
		return SCALAR_INT;
	if (is_finite_float(text) || is_word(str_cut(text, skip_sign(text, 0), text.len),
					     float_words, ARRAY_LEN(float_words)))
		return SCALAR_FLOAT;
	return SCALAR_TEXT;
}

bool node_is_null(const struct node *node)
{
	return node->kind == NODE_TEXT && node->is_plain &&
	       is_word(node->text, null_words, ARRAY_LEN(null_words));
}

bool node_bool(const struct node *node, bool *ret_value)
{
	if (node_scalar(node) != SCALAR_BOOL)
		return false;
	*ret_value = is_word(node->text, true_words, ARRAY_LEN(true_words));
	return true;
}

bool node_i64(const struct node *node, int64_t *ret_value)
{
	struct str text = node->text;
	unsigned base;
	uint64_t value = 0;

	if (node_scalar(node) != SCALAR_INT)
		return false;
	base = base_of(text);
	if (!base) {
		if (text.ptr[0] == '+')
			text = str_cut(text, 1, text.len);
		return str_to_i64(text, ret_value);
	}
	for (size_t i = 2; i < text.len; i++) {
		char c = text.ptr[i];
		int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;

		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (unsigned)digit, &value))
			return false;
	}
	if (value > INT64_MAX)
		return false;
	*ret_value = (int64_t)value;
	return true;
}

bool node_double(const struct node *node, double *ret_value)
{
	int64_t whole;

	switch (node_scalar(node)) {
	case SCALAR_INT:
		if (!node_i64(node, &whole))
			return false;
		*ret_value = (double)whole;
		return true;
	case SCALAR_FLOAT:
		return str_to_double(node->text, ret_value);
	case SCALAR_NULL:
	case SCALAR_BOOL:
	case SCALAR_TEXT:
		break;
	}
	return false;
}

const char *node_about(const struct node *node, char *room, size_t room_bytes)
{
	struct str text = str_cut(node->text, 0, 40);

	if (node->kind == NODE_LIST)
		return "a list";
	if (node->kind == NODE_MAP)
		return "a mapping";
	while (text.len && text.len < node->text.len &&
	       ((unsigned char)node->text.ptr[text.len] & 0xC0) == 0x80)
		text.len--;
	switch (node_scalar(node)) {
	case SCALAR_NULL:
		return "nothing";
	case SCALAR_BOOL:
		(void)snprintf(room, room_bytes, "%.*s", STR_ARG(text));
		break;
	case SCALAR_INT:
	case SCALAR_FLOAT:
		(void)snprintf(room, room_bytes, "the number %.*s", STR_ARG(text));
		break;
	case SCALAR_TEXT:
		(void)snprintf(room, room_bytes, "the text '%.*s'", STR_ARG(text));
		break;
	}
	return room;
}
