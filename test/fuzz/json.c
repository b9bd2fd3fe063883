/* json.c - any bytes as JSON: what our scanner takes and refuses is what jansson takes and refuses,
 * the values are the same, and what is written of them reads back. */
#include "base/json.h"
#include "base/mem.h"
#include "engine/result.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "report/pretty.h"

#include <math.h>

static void check_string(struct str value)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf again = BUF_INIT;
	AUTO(buf_fini) struct buf written = BUF_INIT;
	struct err err = ERR_INIT;

	json_decode(value, &text);
	BUG_IF(!utf8_valid(buf_view(&text)) || !jansson_same_text(value, buf_view(&text)));
	json_put_str(&written, buf_view(&text));
	BUG_IF(json_check(buf_view(&written), 1, &err) != ERR_OK);
	json_decode(buf_view(&written), &again);
	BUG_IF(!str_eq(buf_view(&text), buf_view(&again)));
}

static void check_number(struct str value)
{
	AUTO(buf_fini) struct buf written = BUF_INIT;
	double number = 0;
	double again = 0;
	int64_t whole = 0;

	if (json_to_i64(value, &whole))
		BUG_IF(!jansson_same_integer(value, whole));
	if (!json_to_double(value, &number))
		return;
	BUG_IF(!isfinite(number) || !jansson_same_double(value, number));
	json_put_double(&written, number);
	BUG_IF(!json_to_double(buf_view(&written), &again) || again < number || again > number);
}

/* Every value below `value`, which was checked. */
static void walk(struct str value)
{
	struct str item;
	struct str key;
	size_t at = 0;

	switch (json_type_of(value)) {
	case JSON_OBJECT:
		while (json_member(value, &at, &key, &item))
			walk(item);
		break;
	case JSON_ARRAY:
		while (json_item(value, &at, &item))
			walk(item);
		break;
	case JSON_STRING:
		check_string(value);
		break;
	case JSON_NUMBER:
		check_number(value);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
}

/* Malformed text becomes a text all the same, a byte at a time. */
static void write_any(struct str text)
{
	AUTO(buf_fini) struct buf written = BUF_INIT;
	struct err err = ERR_INIT;

	json_put_str(&written, text);
	BUG_IF(json_check(buf_view(&written), 1, &err) != ERR_OK);
	BUG_IF(!jansson_takes(written.ptr, written.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size);
	AUTO(buf_fini) struct buf compact = BUF_INIT;
	AUTO(buf_fini) struct buf pretty = BUF_INIT;
	struct err err = ERR_INIT;

	write_any(text);
	if (json_check(text, JSON_DEPTH_MAX, &err) != ERR_OK) {
		BUG_IF(jansson_takes_at_once(text.ptr, text.len, JSON_DEPTH_MAX));
		return 0;
	}
	BUG_IF(!jansson_takes(text.ptr, text.len));
	walk(str_trim(text));
	json_put_compact(&compact, str_trim(text));
	pretty_json(&pretty, buf_view(&compact));
	BUG_IF(json_check(buf_view(&compact), JSON_DEPTH_MAX, &err) != ERR_OK);
	BUG_IF(json_check(buf_view(&pretty), JSON_DEPTH_MAX, &err) != ERR_OK);
	BUG_IF(!jansson_same(text, buf_view(&pretty)));
	return 0;
}
