/* schema.c - see schema.h */
#include "lang/schema.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/build.h"

#define REF(name) "'$ref':'#/$defs/" #name "'"

/* Every key of now has its row: a missing one is an unknown name here. */
enum row_id {
#define SHARED(name, value)
#define SCOPE(scope, members)
#define SCHEMA(scope, name, value, fallback, text) ROW_##scope##_##name,
#include "lang/schema.def"
	ROW_COUNT
};

#define ROW_OF_NOW(scope, name)    ROW_##scope##_##name
#define ROW_OF_LATER(scope, name)  ROW_COUNT
#define ROW_OF_FROZEN(scope, name) ROW_COUNT
static const enum row_id row_of[KEY_COUNT] = {
#define KEY(scope, name, support, use) ROW_OF_##support(scope, name),
#include "lang/key.def"
};

static const struct row {
	const char *value;
	const char *fallback;
	const char *text;
} rows[] = {
#define SHARED(name, value)
#define SCOPE(scope, members)
#define SCHEMA(scope, name, value, fallback, text) {value, fallback, text},
#include "lang/schema.def"
};

static const struct shared {
	const char *name;
	const char *value;
} shared[] = {
#define SHARED(name, value) {#name, value},
#define SCOPE(scope, members)
#define SCHEMA(scope, name, value, fallback, text)
#include "lang/schema.def"
};

static const struct scope {
	enum key_scope scope;
	const char *name;
	const char *members;
} scopes[] = {
#define SHARED(name, value)
#define SCOPE(scope, members) {SCOPE_##scope, #scope, members},
#define SCHEMA(scope, name, value, fallback, text)
#include "lang/schema.def"
};

/* JSON of the tables: ' is ". */
static void put(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_byte(out, *text == '\'' ? '"' : *text);
}

static bool is_last(const struct buf *out, char byte)
{
	return out->len > 0 && out->ptr[out->len - 1] == byte;
}

/* A comma, unless the object or list at hand is empty. */
static void comma(struct buf *out)
{
	if (!is_last(out, '{') && !is_last(out, '['))
		buf_byte(out, ',');
}

static void key_put(struct buf *out, const struct key_row *key)
{
	const struct row *row = &rows[row_of[key - key_rows]];

	comma(out);
	json_put_str(out, key->name);
	buf_text(out, ":{");
	put(out, row->value);
	comma(out);
	buf_text(out, "\"description\":");
	json_put_str(out, str_of(row->text));
	if (row->fallback[0]) {
		buf_text(out, ",\"default\":");
		put(out, row->fallback);
	}
	buf_byte(out, '}');
}

/* Is it a key of `scope` in this version? `without` leaves out keys of these uses (bits). */
static bool is_taken(const struct key_row *key, enum key_scope scope, unsigned without)
{
	return key->scope == scope && key->support == SUPPORT_NOW && !(without & 1U << key->use);
}

static void properties_put(struct buf *out, enum key_scope scope, unsigned without)
{
	buf_text(out, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (is_taken(&key_rows[i], scope, without))
			key_put(out, &key_rows[i]);
	}
	buf_byte(out, '}');
}

/* Keys that mean nothing for this kind of step: false for each key of the use. */
static void refuse_put(struct buf *out, enum key_use use)
{
	buf_text(out, "{\"properties\":{");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (!is_taken(&key_rows[i], SCOPE_step, 0) || key_rows[i].use != use)
			continue;
		comma(out);
		json_put_str(out, key_rows[i].name);
		buf_text(out, ":false");
	}
	buf_text(out, "}}");
}

/* A step does exactly one thing, and has only the keys that mean something for it. */
static void kinds_put(struct buf *out)
{
	buf_text(out, ",\"oneOf\":[");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (!is_taken(&key_rows[i], SCOPE_step, 0) || key_rows[i].use != USE_KIND)
			continue;
		comma(out);
		buf_text(out, "{\"required\":[");
		json_put_str(out, key_rows[i].name);
		buf_text(out, "]}");
	}
	put(out,
	    "],'allOf':[{'if':{'anyOf':[{'required':['noop']},{'required':['call']}]},'then':");
	refuse_put(out, USE_PROCESS);
	put(out, "},{'if':{'required':['noop']},'then':");
	refuse_put(out, USE_WORK);
	put(out, "},{'if':{'not':{'required':['run']}},'then':");
	refuse_put(out, USE_SHELL);
	buf_text(out, "}]");
}

static void members_put(struct buf *out, const struct scope *scope)
{
	if (scope->members[0]) {
		buf_byte(out, ',');
		put(out, scope->members);
	}
	if (scope->scope == SCOPE_step)
		kinds_put(out);
}

static bool class_is_listed(enum error_class class)
{
	return error_class_may_be_listed(class);
}

static void classes_put(struct buf *out, const char *name, bool (*is_among)(enum error_class))
{
	comma(out);
	json_put_str(out, str_of(name));
	buf_text(out, ":{\"enum\":[");
	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		if (!is_among((enum error_class)i))
			continue;
		comma(out);
		json_put_str(out, str_of(error_class_name((enum error_class)i)));
	}
	buf_text(out, "]}");
}

static void definitions_put(struct buf *out)
{
	buf_text(out, ",\"$defs\":{");
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		if (scopes[i].scope == SCOPE_top)
			continue;
		comma(out);
		json_put_str(out, str_of(scopes[i].name));
		buf_text(out, ":{");
		properties_put(out, scopes[i].scope, 0);
		members_put(out, &scopes[i]);
		buf_byte(out, '}');
	}
	buf_text(out, ",\"defaults\":{");
	properties_put(out, SCOPE_step, 1U << USE_KIND | 1U << USE_ORDER);
	buf_byte(out, '}');
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		comma(out);
		json_put_str(out, str_of(shared[i].name));
		buf_text(out, ":{");
		put(out, shared[i].value);
		buf_byte(out, '}');
	}
	classes_put(out, "retry_class", class_is_listed);
	classes_put(out, "exit_class", error_class_is_for_exit);
	buf_byte(out, '}');
}

void schema_write(struct buf *out)
{
	buf_text(out, "{");
	put(out, "'$schema':'https://json-schema.org/draft/2020-12/schema','$id':'" SCHEMA_ID "',");
	properties_put(out, SCOPE_top, 0);
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		if (scopes[i].scope == SCOPE_top)
			members_put(out, &scopes[i]);
	}
	definitions_put(out);
	buf_byte(out, '}');
}
