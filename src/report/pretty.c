/* pretty.c - see pretty.h */
#include "report/pretty.h"

#include "base/json.h"
#include "base/timefmt.h"

void field_comma(struct buf *out)
{
	char last = out->len > 0 ? out->ptr[out->len - 1] : '{';

	if (last != '{' && last != '[')
		buf_byte(out, ',');
}

static void name_put(struct buf *out, const char *name)
{
	field_comma(out);
	json_put_str(out, str_of(name));
	buf_byte(out, ':');
}

void field_null(struct buf *out, const char *name)
{
	name_put(out, name);
	buf_text(out, "null");
}

void field_str(struct buf *out, const char *name, struct str value)
{
	if (!value.ptr) {
		field_null(out, name);
		return;
	}
	name_put(out, name);
	json_put_str(out, value);
}

void field_raw(struct buf *out, const char *name, struct str json)
{
	if (!json.ptr) {
		field_null(out, name);
		return;
	}
	name_put(out, name);
	buf_str(out, json);
}

void field_i64(struct buf *out, const char *name, int64_t value)
{
	name_put(out, name);
	buf_i64(out, value);
}

void field_known(struct buf *out, const char *name, int64_t value)
{
	if (value < 0)
		field_null(out, name);
	else
		field_i64(out, name, value);
}

void field_bool(struct buf *out, const char *name, bool value)
{
	name_put(out, name);
	buf_text(out, value ? "true" : "false");
}

void field_stamp(struct buf *out, const char *name, int64_t utc_ms)
{
	char stamp[STAMP_BYTES + 1];

	if (utc_ms == 0) {
		field_null(out, name);
		return;
	}
	stamp_write(utc_ms, stamp);
	field_str(out, name, str_of(stamp));
}

void field_open(struct buf *out, const char *name, char bracket)
{
	name_put(out, name);
	buf_byte(out, bracket);
}

static void line_put(struct buf *out, size_t depth)
{
	buf_byte(out, '\n');
	for (size_t i = 0; i < depth; i++)
		buf_text(out, "  ");
}

/* Outside of strings: one byte of structure. */
static void structure_put(struct buf *out, char byte, char next, size_t *depth)
{
	if (byte == '{' || byte == '[') {
		buf_byte(out, byte);
		(*depth)++;
		if (next != '}' && next != ']')
			line_put(out, *depth);
		return;
	}
	if (byte == '}' || byte == ']') {
		char last = out->len > 0 ? out->ptr[out->len - 1] : '\0';

		(*depth)--;
		if (last != '{' && last != '[')
			line_put(out, *depth);
		buf_byte(out, byte);
		return;
	}
	buf_byte(out, byte);
	if (byte == ',')
		line_put(out, *depth);
	else if (byte == ':')
		buf_byte(out, ' ');
}

void pretty_json(struct buf *out, struct str compact)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < compact.len; i++) {
		char byte = compact.ptr[i];

		if (in_string) {
			buf_byte(out, byte);
			if (byte == '\\' && i + 1 < compact.len)
				buf_byte(out, compact.ptr[++i]);
			else if (byte == '"')
				in_string = false;
		} else if (byte == '"') {
			in_string = true;
			buf_byte(out, byte);
		} else {
			structure_put(out, byte, i + 1 < compact.len ? compact.ptr[i + 1] : '\0',
				      &depth);
		}
	}
}

void pretty_answer(struct buf *out, const struct buf *json)
{
	if (json->failed != ERR_OK) {
		out->failed = json->failed;
		return;
	}
	pretty_json(out, buf_view(json));
	buf_byte(out, '\n');
}
