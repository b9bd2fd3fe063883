/* result.c - see result.h */
#include "engine/result.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

void result_init(struct result_file *result)
{
	memset(result, 0, sizeof(*result));
}

void result_fini(struct result_file *result)
{
	buf_fini(&result->outputs);
	buf_fini(&result->updates);
	arena_fini(&result->texts);
}

void json_put_compact(struct buf *out, struct str value)
{
	bool is_inside = false;
	size_t from = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (is_inside && c == '\\') {
			i++;
		} else if (c == '"') {
			is_inside = !is_inside;
		} else if (!is_inside && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
			buf_put(out, value.ptr + from, i - from);
			from = i + 1;
		}
	}
	buf_put(out, value.ptr + from, value.len - from);
}

static const struct output *output_of(const struct step *step, struct str name)
{
	for (uint32_t i = 0; i < step->outputs_count; i++) {
		if (str_eq(step->outputs[i].name, name))
			return &step->outputs[i];
	}
	return NULL;
}

static enum err_code decode_text(struct result_file *result, struct str literal,
				 struct str *ret_text, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	json_decode(literal, &text);
	if (buf_check(&text, "a text", err) != ERR_OK)
		return err->code;
	*ret_text = arena_str(&result->texts, buf_view(&text));
	return ret_text->ptr ? ERR_OK : mem_err(err);
}

static enum err_code add_member(struct buf *object, struct str name, struct str value,
				struct err *err)
{
	if (!name_valid(name))
		return err_set(err, ERR_INVALID, "'%.*s' is not a name for an output",
			       STR_ARG(name));
	buf_byte(object, object->len ? ',' : '{');
	json_put_str(object, name);
	buf_byte(object, ':');
	json_put_compact(object, value);
	return buf_check(object, "outputs", err);
}

/* ------------------------------------------------------------------------------ JSON form */

static enum err_code take_outputs(struct result_file *result, struct str object,
				  const struct step *step, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "'outputs' is not an object");
	while (json_member(object, &at, &key, &value)) {
		const struct output *output = output_of(step, key);

		if (output && !lang_has_type(value, output->type))
			return err_set(err, ERR_INVALID, "output '%.*s' is not a %s", STR_ARG(key),
				       value_type_name(output->type));
		if (add_member(&result->outputs, key, value, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code take_updates(struct result_file *result, struct str object, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "'context_updates' is not an object");
	while (json_member(object, &at, &key, &value)) {
		if (add_member(&result->updates, key, value, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

bool result_event_type_valid(struct str type)
{
	return str_starts(type, "x-") && type.len >= 3 && type.len <= 128;
}

static enum err_code take_event(struct result_file *result, struct str object, struct err *err)
{
	AUTO(buf_fini) struct buf compact = BUF_INIT;
	struct event *event;
	struct str type;
	struct str data;

	if (result->events_count == RESULT_EVENTS_MAX)
		return err_set(err, ERR_INVALID, "more than %d events", RESULT_EVENTS_MAX);
	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "an event is not an object");
	type = json_get(object, "type");
	data = json_get(object, "data");
	if (!type.ptr || json_type_of(type) != JSON_STRING)
		return err_set(err, ERR_INVALID, "an event has no 'type'");
	if (!result->events)
		result->events =
		    arena_new(&result->texts, RESULT_EVENTS_MAX, sizeof(*result->events));
	if (!result->events)
		return mem_err(err);
	event = &result->events[result->events_count];
	event_init(event, EVENT_USER);
	if (decode_text(result, type, &event->type_text, err) != ERR_OK)
		return err->code;
	if (!result_event_type_valid(event->type_text))
		return err_set(err, ERR_INVALID, "event type '%.*s' does not begin with 'x-'",
			       STR_ARG(event->type_text));
	if (data.ptr) {
		json_put_compact(&compact, data);
		if (buf_check(&compact, "an event", err) != ERR_OK)
			return err->code;
		data = arena_str(&result->texts, buf_view(&compact));
		if (!data.ptr)
			return mem_err(err);
		event_put_text(event, EVENT_FIELD_DATA, data);
	}
	result->events_count++;
	return ERR_OK;
}

static enum err_code take_events(struct result_file *result, struct str array, struct err *err)
{
	struct str item;
	size_t at = 0;

	if (json_type_of(array) != JSON_ARRAY)
		return err_set(err, ERR_INVALID, "'events' is not a list");
	while (json_item(array, &at, &item)) {
		if (take_event(result, item, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code take_custom(struct result_file *result, struct str object, struct err *err)
{
	AUTO(buf_fini) struct buf compact = BUF_INIT;

	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "quality: 'custom_metrics' is not an object");
	json_put_compact(&compact, object);
	if (buf_check(&compact, "quality", err) != ERR_OK)
		return err->code;
	result->quality.custom = arena_str(&result->texts, buf_view(&compact));
	return result->quality.custom.ptr ? ERR_OK : mem_err(err);
}

static enum err_code take_figure(struct result_file *result, struct str key, struct str value,
				 struct err *err)
{
	int64_t count;

	for (int i = 0; i < QUALITY_FIGURES; i++) {
		if (!str_is(key, quality_figure_name((enum quality_figure)i)))
			continue;
		if (!str_to_i64(value, &count) || count < 0)
			return err_set(err, ERR_INVALID, "quality: '%.*s' is not a count",
				       STR_ARG(key));
		result->quality.has[i] = true;
		result->quality.count[i] = count;
		return ERR_OK;
	}
	return err_set(err, ERR_INVALID, "quality: there is no figure '%.*s'", STR_ARG(key));
}

static enum err_code take_quality(struct result_file *result, struct str object, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "'quality' is not an object");
	result->quality.is_given = true;
	while (json_member(object, &at, &key, &value)) {
		if (str_is(key, "custom_metrics") ? take_custom(result, value, err) != ERR_OK
						  : take_figure(result, key, value, err) != ERR_OK)
			return err->code;
	}
	return quality_check(&result->quality, err);
}

static enum err_code take_text(struct result_file *result, struct str key, struct str value,
			       struct str *ret_text, struct err *err)
{
	if (json_type_of(value) == JSON_NULL)
		return ERR_OK;
	if (json_type_of(value) != JSON_STRING)
		return err_set(err, ERR_INVALID, "'%.*s' is not a text", STR_ARG(key));
	return decode_text(result, value, ret_text, err);
}

static enum err_code parse_json(struct str text, const struct step *step,
				struct result_file *result, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_check(text, JSON_DEPTH_MAX, err) != ERR_OK)
		return err_while(err, "the result file is not JSON");
	while (json_member(text, &at, &key, &value)) {
		enum err_code code;

		if (str_is(key, "outputs"))
			code = take_outputs(result, value, step, err);
		else if (str_is(key, "context_updates"))
			code = take_updates(result, value, err);
		else if (str_is(key, "quality"))
			code = take_quality(result, value, err);
		else if (str_is(key, "events"))
			code = take_events(result, value, err);
		else if (str_is(key, "error_class"))
			code = take_text(result, key, value, &result->error_class, err);
		else if (str_is(key, "reason"))
			code = take_text(result, key, value, &result->reason, err);
		else
			code = err_set(err, ERR_INVALID,
				       "the result file has an unknown key '%.*s'", STR_ARG(key));
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- lines form */

static enum err_code parse_line(struct str line, const struct step *step,
				struct result_file *result, struct map *seen, struct err *err)
{
	size_t equals = str_find(line, "=", 0);
	struct str key = str_trim(str_cut(line, 0, equals));
	struct str value = str_cut(line, equals + 1, line.len);
	AUTO(buf_fini) struct buf json = BUF_INIT;
	const struct output *output = output_of(step, key);

	if (equals == SIZE_MAX)
		return err_set(err, ERR_INVALID,
			       "the result file has a line that is not key=value");
	if (map_add(seen, key, 1, err) != ERR_OK)
		return err->code == ERR_EXISTS
			   ? err_set(err, ERR_INVALID, "output '%.*s' comes twice", STR_ARG(key))
			   : err->code;
	if (!output)
		json_put_str(&json, value);
	else if (!lang_convert(value, output->type, &json))
		return err_set(err, ERR_INVALID, "output '%.*s' is not a %s", STR_ARG(key),
			       value_type_name(output->type));
	if (buf_check(&json, "an output", err) != ERR_OK)
		return err->code;
	return add_member(&result->outputs, key, buf_view(&json), err);
}

static enum err_code parse_lines(struct str text, const struct step *step,
				 struct result_file *result, struct err *err)
{
	AUTO(map_fini) struct map seen;
	size_t at = 0;

	map_init(&seen,
		 (uint64_t)(uintptr_t)&seen); /* any seed: the keys are few and ours to bound */
	while (at < text.len) {
		size_t end = str_find(text, "\n", at);
		struct str line = str_cut(text, at, end);

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (str_trim(line).len && parse_line(line, step, result, &seen, err) != ERR_OK)
			return err->code;
		at = end == SIZE_MAX ? text.len : end + 1;
	}
	return ERR_OK;
}

static void close_object(struct buf *object)
{
	if (object->len)
		buf_byte(object, '}');
}

enum err_code result_parse(struct str text, const struct step *step, struct result_file *result,
			   struct err *err)
{
	struct str trimmed = str_trim(text);
	enum err_code code;

	if (!utf8_valid(text))
		return err_set(err, ERR_INVALID, "the result file is not UTF-8");
	if (str_has(text, '\0'))
		return err_set(err, ERR_INVALID, "the result file has a NUL byte");
	if (trimmed.len && trimmed.ptr[0] == '{')
		code = parse_json(trimmed, step, result, err);
	else
		code = parse_lines(text, step, result, err);
	if (code != ERR_OK)
		return code;
	close_object(&result->outputs);
	close_object(&result->updates);
	if (buf_check(&result->outputs, "outputs", err) != ERR_OK)
		return err->code;
	return buf_check(&result->updates, "context updates", err);
}

enum err_code result_check_required(const struct result_file *result, const struct step *step,
				    struct err *err)
{
	for (uint32_t i = 0; i < step->outputs_count; i++) {
		char name[65];

		if (!step->outputs[i].is_required)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", STR_ARG(step->outputs[i].name));
		if (!result->outputs.len || !json_get(buf_view(&result->outputs), name).ptr)
			return err_set(err, ERR_INVALID, "the required output '%s' is missing",
				       name);
	}
	return ERR_OK;
}
