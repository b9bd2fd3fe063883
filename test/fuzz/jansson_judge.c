/* jansson_judge.c - see jansson_judge.h */
#include "jansson_judge.h"

#include <jansson.h>
#include <string.h>

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL)

static json_t *load(struct str text, json_error_t *error)
{
	error->text[0] = '\0';
	return json_loadb(text.ptr ? text.ptr : "", text.len, FLAGS, error);
}

/* Did it refuse for a limit of its own? */
static bool is_limit(const json_error_t *error)
{
	return strstr(error->text, "too big") || strstr(error->text, "overflow") ||
	       strstr(error->text, "NUL");
}

bool jansson_takes(const char *text, size_t len)
{
	json_error_t error;
	json_t *tree = load(str_from(text, len), &error);
	bool is_taken = tree != NULL;

	json_decref(tree);
	return is_taken || is_limit(&error);
}

static unsigned depth_of(json_t *tree)
{
	unsigned deepest = 0;
	const char *key;
	json_t *item;
	size_t i;

	json_object_foreach(tree, key, item)
	{
		unsigned depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	json_array_foreach(tree, i, item)
	{
		unsigned depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + (json_is_object(tree) || json_is_array(tree));
}

bool jansson_takes_at_once(const char *text, size_t len, unsigned depth_max)
{
	json_error_t error;
	json_t *tree = load(str_from(text, len), &error);
	/* A NUL behind the value is the end of the text to it. */
	bool is_taken = tree && depth_of(tree) <= depth_max && !memchr(text, '\0', len);

	json_decref(tree);
	return is_taken;
}

bool jansson_same(struct str a, struct str b)
{
	json_error_t error;
	json_t *left = load(a, &error);
	json_t *right = load(b, &error);
	bool is_same = left && right ? json_equal(left, right) : !left == !right;

	json_decref(left);
	json_decref(right);
	return is_same;
}

bool jansson_same_member(struct str object, const char *key, struct str value)
{
	json_error_t error;
	json_t *whole = load(object, &error);
	json_t *member = json_object_get(whole, key);
	json_t *given = value.len > 0 ? load(value, &error) : NULL;
	bool is_same = !whole || (value.len > 0 ? given && json_equal(member, given)
						: !member || json_object_size(member) == 0);

	json_decref(whole);
	json_decref(given);
	return is_same;
}

bool jansson_same_text(struct str literal, struct str text)
{
	json_error_t error;
	json_t *tree = load(literal, &error);
	bool is_same = json_is_string(tree) && json_string_length(tree) == text.len &&
		       (text.len == 0 || memcmp(json_string_value(tree), text.ptr, text.len) == 0);

	json_decref(tree);
	return is_same;
}

bool jansson_same_integer(struct str literal, int64_t value)
{
	json_error_t error;
	json_t *tree = load(literal, &error);
	bool is_same = json_is_integer(tree) && json_integer_value(tree) == value;

	json_decref(tree);
	return is_same;
}

bool jansson_same_double(struct str literal, double value)
{
	json_error_t error;
	json_t *tree = load(literal, &error);
	double judged = json_number_value(tree);
	bool is_same = json_is_number(tree) ? judged >= value && judged <= value
					    : strstr(error.text, "too big") !=
						  NULL; /* integer, or negative integer */

	json_decref(tree);
	return is_same;
}
