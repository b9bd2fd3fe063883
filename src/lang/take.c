/* take.c - single values of the pipeline file: texts, numbers, units, names */
#include "lang/build.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/token.h"
#include "lang/lang.h"

#include <math.h>
#include <string.h>

static bool refuse(struct build *build, const struct node *key, const struct node *value,
		   const char *expected)
{
	char about[80];

	build_report(build, DIAG_VALUE_FORM, value, "'%.*s' must be %s, not %s", STR_ARG(key->text),
		     expected, node_about(value, about, sizeof(about)));
	return false;
}

bool take_text(struct build *build, const struct node *key, const struct node *value,
	       unsigned flags, struct str *ret_text)
{
	if (!build_expect(build, key, value, NODE_TEXT, "a text"))
		return false;
	if (node_is_null(value))
		return refuse(build, key, value, "a text");
	if (value->text.len == 0 && !(flags & TAKE_EMPTY)) {
		build_report(build, DIAG_TEXT, value, "'%.*s' must not be empty",
			     STR_ARG(key->text));
		return false;
	}
	*ret_text = value->text;
	return true;
}

bool take_bool(struct build *build, const struct node *key, const struct node *value,
	       bool *ret_value)
{
	if (!build_expect(build, key, value, NODE_TEXT, "true or false"))
		return false;
	if (node_bool(value, ret_value))
		return true;
	return refuse(build, key, value, "true or false");
}

static bool out_of_range(struct build *build, const struct node *key, const struct node *value,
			 int64_t least, int64_t most)
{
	build_report(build, DIAG_RANGE, value, "'%.*s' must be %lld to %lld, not %.*s",
		     STR_ARG(key->text), (long long)least, (long long)most,
		     STR_ARG(str_cut(value->text, 0, 40)));
	return false;
}

bool take_i64(struct build *build, const struct node *key, const struct node *value, int64_t least,
	      int64_t most, int64_t *ret_value)
{
	int64_t number;

	if (!build_expect(build, key, value, NODE_TEXT, "a whole number"))
		return false;
	if (node_scalar(value) != SCALAR_INT)
		return refuse(build, key, value, "a whole number");
	if (!node_i64(value, &number) || number < least || number > most)
		return out_of_range(build, key, value, least, most);
	*ret_value = number;
	return true;
}

bool take_u32(struct build *build, const struct node *key, const struct node *value, uint32_t least,
	      uint32_t most, uint32_t *ret_value)
{
	int64_t number;

	if (!take_i64(build, key, value, least, most, &number))
		return false;
	*ret_value = (uint32_t)number;
	return true;
}

bool take_i32(struct build *build, const struct node *key, const struct node *value, int32_t least,
	      int32_t most, int32_t *ret_value)
{
	int64_t number;

	if (!take_i64(build, key, value, least, most, &number))
		return false;
	*ret_value = (int32_t)number;
	return true;
}

bool take_double(struct build *build, const struct node *key, const struct node *value,
		 double *ret_value)
{
	enum scalar scalar;

	if (!build_expect(build, key, value, NODE_TEXT, "a number"))
		return false;
	scalar = node_scalar(value);
	if (scalar != SCALAR_INT && scalar != SCALAR_FLOAT)
		return refuse(build, key, value, "a number");
	if (node_double(value, ret_value))
		return true;
	build_report(build, DIAG_RANGE, value, "'%.*s' is not a finite number that can be kept",
		     STR_ARG(key->text));
	return false;
}

/* A value with a unit that was written without, or badly. */
static bool refuse_unit(struct build *build, const struct node *key, const struct node *value,
			const char *kind, const char *example)
{
	enum scalar scalar = node_scalar(value);

	if (scalar == SCALAR_INT || scalar == SCALAR_FLOAT) {
		build_report(build, DIAG_UNIT, value, "'%.*s' needs a unit: %s", STR_ARG(key->text),
			     example);
		return false;
	}
	build_report(build, DIAG_UNIT, value, "'%.*s' must be %s such as %s, not '%.*s'",
		     STR_ARG(key->text), kind, example, STR_ARG(str_cut(value->text, 0, 40)));
	return false;
}

bool take_duration(struct build *build, const struct node *key, const struct node *value,
		   int64_t least_ns, int64_t *ret_ns)
{
	int64_t ns;

	if (!build_expect(build, key, value, NODE_TEXT, "a duration"))
		return false;
	if (!duration_read(value->text, &ns))
		return refuse_unit(build, key, value, "a duration", "30s");
	if (ns < least_ns) {
		build_report(build, DIAG_RANGE, value, "'%.*s' must be longer than zero",
			     STR_ARG(key->text));
		return false;
	}
	*ret_ns = ns;
	return true;
}

bool take_size(struct build *build, const struct node *key, const struct node *value,
	       uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (!build_expect(build, key, value, NODE_TEXT, "a size"))
		return false;
	if (!size_read(value->text, &bytes))
		return refuse_unit(build, key, value, "a size", "64KiB");
	if (bytes == 0) {
		build_report(build, DIAG_RANGE, value, "'%.*s' must be larger than zero",
			     STR_ARG(key->text));
		return false;
	}
	*ret_bytes = bytes;
	return true;
}

/* Up to three digits behind the point, so that freezing gives back the same share. */
bool take_percent(struct build *build, const struct node *key, const struct node *value,
		  double *ret_share)
{
	struct str text = value->text;
	double percent;

	if (!build_expect(build, key, value, NODE_TEXT, "a percentage"))
		return false;
	if (!str_ends(text, "%") || !str_to_double(str_cut(text, 0, text.len - 1), &percent))
		return refuse_unit(build, key, value, "a percentage", "10%");
	if (!(percent >= 0 && percent <= 100)) {
		build_report(build, DIAG_RANGE, value, "'%.*s' must be 0%% to 100%%",
			     STR_ARG(key->text));
		return false;
	}
	*ret_share = round(percent * 1000) / 100000;
	return true;
}

static void refuse_word(struct build *build, const struct node *key, const struct node *value,
			const char *const *words, size_t count)
{
	AUTO(buf_fini) struct buf list = BUF_INIT;
	struct str text = value->text;

	for (size_t i = 0; i < count; i++)
		buf_fmt(&list, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);
	build_report(build, DIAG_NOT_ONE_OF, value, "'%.*s' must be %.*s, not '%.*s'",
		     STR_ARG(key->text), STR_ARG(buf_view(&list)), STR_ARG(str_cut(text, 0, 40)));
	build_nearest(build, text, words, count);
}

bool take_word(struct build *build, const struct node *key, const struct node *value,
	       const char *const *words, size_t count, uint32_t *ret_index)
{
	struct str text;

	if (!take_text(build, key, value, 0, &text))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (str_is(text, words[i])) {
			*ret_index = (uint32_t)i;
			return true;
		}
	}
	refuse_word(build, key, value, words, count);
	return false;
}

/* What a name may be, and the nearest one that may: `my_step` for `my-step`. */
static void hint_name(struct build *build, const struct node *value)
{
	static const char rule[] =
	    "letters, digits and '_', not beginning with a digit, at most 64";
	char near[64];
	size_t len = value->text.len <= sizeof(near) ? value->text.len : 0;

	for (size_t i = 0; i < len; i++)
		near[i] = strchr("-. ", value->text.ptr[i]) ? '_' : value->text.ptr[i];
	if (len > 0 && name_valid(str_from(near, len)) && !token_is_keyword(str_from(near, len)))
		diags_hint(build->diags, "such as '%.*s': %s", (int)len, near, rule);
	else
		diags_hint(build->diags, "%s", rule);
}

bool take_name(struct build *build, const struct node *value, const char *what,
	       struct str *ret_name)
{
	if (value->kind == NODE_BAD)
		return false;
	if (value->kind == NODE_TEXT && name_valid(value->text) && !token_is_keyword(value->text)) {
		*ret_name = value->text;
		return true;
	}
	if (value->kind == NODE_TEXT && token_is_keyword(value->text)) {
		build_report(build, DIAG_NAME, value, "'%.*s' is a word of Lua and cannot name %s",
			     STR_ARG(value->text), what);
		return false;
	}
	build_report(build, DIAG_NAME, value, "'%.*s' cannot be the name of %s",
		     STR_ARG(str_cut(value->text, 0, 80)), what);
	hint_name(build, value);
	return false;
}

static bool texts_differ(struct build *build, const struct node *key, const struct node *list)
{
	AUTO(map_fini) struct map seen;
	bool ok = true;

	map_init(&seen, build->seed);
	for (const struct node *item = build_child(build, list); item;
	     item = build_next(build, item)) {
		struct err err = ERR_INIT;

		if (item->kind != NODE_TEXT)
			continue;
		if (map_add(&seen, item->text, 0, &err) == ERR_OK)
			continue;
		if (err.code == ERR_MEMORY) {
			build->err = err;
			return false;
		}
		build_report(build, DIAG_TWICE, item, "'%.*s' is there twice in '%.*s'",
			     STR_ARG(str_cut(item->text, 0, 80)), STR_ARG(key->text));
		ok = false;
	}
	return ok;
}

bool take_texts(struct build *build, const struct node *key, const struct node *value, size_t least,
		bool must_differ, struct str **ret_texts, uint32_t *ret_count)
{
	struct str *texts;
	uint32_t count = 0;
	bool ok = true;

	if (!build_expect(build, key, value, NODE_LIST, "a list of texts"))
		return false;
	if (value->count < least) {
		build_report(build, DIAG_TEXT, value, "'%.*s' must not be empty",
			     STR_ARG(key->text));
		return false;
	}
	texts = build_new(build, value->count, sizeof(*texts));
	if (!texts)
		return false;
	for (const struct node *item = build_child(build, value); item;
	     item = build_next(build, item)) {
		struct str text;

		if (take_text(build, key, item, 0, &text))
			texts[count++] = build_keep(build, text);
		else
			ok = false;
	}
	if (must_differ && !texts_differ(build, key, value))
		ok = false;
	*ret_texts = texts;
	*ret_count = count;
	return ok;
}

static bool scalar_json(struct build *build, const struct node *value, struct buf *out)
{
	bool flag = false;
	int64_t whole;
	double number;

	switch (node_scalar(value)) {
	case SCALAR_NULL:
		buf_text(out, "null");
		return true;
	case SCALAR_BOOL:
		(void)node_bool(value, &flag); /* it is one */
		buf_text(out, flag ? "true" : "false");
		return true;
	case SCALAR_INT:
		if (!node_i64(value, &whole))
			break;
		buf_i64(out, whole);
		return true;
	case SCALAR_FLOAT:
		if (!node_double(value, &number))
			break;
		json_put_double(out, number == 0 ? 0 : number);
		return true;
	case SCALAR_TEXT:
		frozen_put_str(out, value->text);
		return true;
	}
	build_report(build, DIAG_RANGE, value, "the number %.*s cannot be kept exactly",
		     STR_ARG(str_cut(value->text, 0, 40)));
	return false;
}

struct json_frame {
	const struct node *parent;
	const struct node *next; /* child to write, in a mapping the key */
};

/* Keys of objects, so that the frozen form stays below YAML's bound for keys (1024 characters). */
#define JSON_KEY_BYTES_MAX 160

/* Write what stands before the next child; the child. */
static const struct node *json_child(struct build *build, struct json_frame *frame, struct buf *out,
				     bool *ok)
{
	const struct node *child = frame->next;

	if (child != build_child(build, frame->parent))
		buf_byte(out, ',');
	if (frame->parent->kind == NODE_MAP) {
		if (child->text.len > JSON_KEY_BYTES_MAX) {
			build_report(build, DIAG_TEXT, child,
				     "a key of an object may have %d bytes", JSON_KEY_BYTES_MAX);
			*ok = false;
		}
		*ok = *ok && child->kind == NODE_TEXT;
		frozen_put_str(out, child->text); /* a key is a text, plain or not */
		buf_byte(out, ':');
		child = build_value(build, child);
	}
	frame->next = build_next(build, child);
	return child;
}

bool take_json(struct build *build, const struct node *value, struct buf *out)
{
	struct json_frame *frames = NULL; /* a stack of our own: the depth is the file's */
	size_t capacity = 0;
	size_t depth = 0;
	bool ok = true;

	for (;;) {
		if (value->kind == NODE_TEXT) {
			ok = scalar_json(build, value, out) && ok;
		} else if (value->kind == NODE_BAD) {
			ok = false;
		} else {
			if (mem_grow((void **)&frames, &capacity, depth + 1, sizeof(*frames),
				     &build->err) != ERR_OK)
				break;
			buf_byte(out, value->kind == NODE_MAP ? '{' : '[');
			frames[depth++] = (struct json_frame){value, build_child(build, value)};
		}
		while (depth && !frames[depth - 1].next) {
			buf_byte(out, frames[depth - 1].parent->kind == NODE_MAP ? '}' : ']');
			depth--;
		}
		if (depth == 0)
			break;
		value = json_child(build, &frames[depth - 1], out, &ok);
	}
	mem_free(frames);
	return ok && build->err.code == ERR_OK;
}
