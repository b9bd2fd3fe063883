/* yaml.c - nodes_read: libyaml's events to nodes, strictly.
 *
 * libyaml parses, this file composes: it keeps its own stack, so that nesting costs no C stack, and
 * refuses what would make a text mean something that is not written at its place (anchors, aliases,
 * tags, merge keys, duplicate keys). libyaml follows YAML 1.1 where the versions differ: there the
 * line ends U+0085, U+2028 and U+2029 are refused before it sees them, and scalars are resolved by
 * node.c under the core schema of 1.2. */
#include "lang/node.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <string.h>
#include <yaml.h>

/* Mappings up to this many keys are compared pair by pair. */
#define FEW_KEYS 12

struct frame {
	uint32_t node;
	uint32_t last; /* child added last */
	bool is_map;
	bool wants_value; /* of a mapping: the key is there */
};

struct reader {
	struct nodes *nodes;
	struct diags *diags;
	struct err *err;
	struct frame *frames;
	size_t depth, frames_capacity;
	uint64_t depth_max, nodes_max;
	uint64_t seed;
	uint32_t documents;
	bool is_stopped; /* a limit was reached */
};

/* The characters that YAML 1.2 (5.1) does not allow, or that libyaml takes for line ends. */
static bool char_is_refused(const unsigned char *p, size_t len)
{
	if (len == 1)
		return (p[0] < 0x20 && p[0] != '\t' && p[0] != '\n' && p[0] != '\r') ||
		       p[0] == 0x7F;
	if (len == 2)
		return p[0] == 0xC2 && p[1] < 0xA0;
	if (len == 3 && p[0] == 0xE2)
		return p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9);
	if (len == 3 && p[0] == 0xEF)
		return (p[1] == 0xBB && p[2] == 0xBF) || (p[1] == 0xBF && p[2] >= 0xBE);
	return false;
}

/* Report the first byte that is no text. */
static bool encoding_check(struct str source, struct diags *diags)
{
	const unsigned char *p = (const unsigned char *)source.ptr;
	uint32_t line = 1;
	uint32_t column = 1;

	for (size_t at = 0; at < source.len;) {
		size_t len = p[at] < 0x80 ? 1 : utf8_len(str_cut(source, at, source.len));

		if (len == 0 && at == 0 && source.len > 1 && (p[0] ^ p[1]) == 1 && p[0] >= 0xFE) {
			diags_add(diags, DIAG_ENCODING, 1, 1, "the file is UTF-16, not UTF-8");
			return false;
		}
		if (len == 0) {
			diags_add(diags, DIAG_ENCODING, line, column,
				  "byte 0x%02X is not UTF-8 here", p[at]);
			return false;
		}
		if (char_is_refused(p + at, len)) {
			diags_add(diags, DIAG_ENCODING, line, column,
				  "a control character is not allowed in the file");
			diags_hint(diags,
				   "in double quotes it can be written as an escape: \"\\x07\"");
			return false;
		}
		if (p[at] == '\n' ||
		    (p[at] == '\r' && (at + 1 == source.len || p[at + 1] != '\n'))) {
			line++;
			column = 1;
		} else {
			column++;
		}
		at += len;
	}
	return true;
}

static struct node *node_at(struct reader *reader, uint32_t index)
{
	return &reader->nodes->items[index];
}

/* Add a node below the innermost frame. NODE_NONE when it could not. */
static uint32_t node_add(struct reader *reader, enum node_kind kind, const yaml_mark_t *mark)
{
	struct nodes *nodes = reader->nodes;
	uint32_t index = (uint32_t)nodes->count;
	uint32_t line = (uint32_t)mark->line + 1;
	uint32_t column = (uint32_t)mark->column + 1;
	struct frame *frame = reader->depth ? &reader->frames[reader->depth - 1] : NULL;

	if (nodes->count >= reader->nodes_max || nodes->count >= NODE_NONE) {
		diags_add(reader->diags, DIAG_NODES, line, column,
			  "the file has more than %llu values",
			  (unsigned long long)reader->nodes_max);
		diags_hint(reader->diags, "the limit is `definition_nodes`");
		reader->is_stopped = true;
		return NODE_NONE;
	}
	if (mem_grow((void **)&nodes->items, &nodes->capacity, nodes->count + 1,
		     sizeof(*nodes->items), reader->err) != ERR_OK)
		return NODE_NONE;
	nodes->items[nodes->count++] = (struct node){.line = line,
						     .column = column,
						     .child = NODE_NONE,
						     .next = NODE_NONE,
						     .kind = (uint8_t)kind};
	if (!frame)
		return index;
	if (frame->last == NODE_NONE)
		node_at(reader, frame->node)->child = index;
	else
		node_at(reader, frame->last)->next = index;
	frame->last = index;
	if (!frame->is_map || frame->wants_value)
		node_at(reader, frame->node)->count++;
	frame->wants_value = frame->is_map && !frame->wants_value;
	return index;
}

/* Is the node that comes next a key? */
static bool wants_key(const struct reader *reader)
{
	return reader->depth && reader->frames[reader->depth - 1].is_map &&
	       !reader->frames[reader->depth - 1].wants_value;
}

static void refuse_properties(struct reader *reader, const struct node *node,
			      const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor) {
		diags_add(reader->diags, DIAG_ALIAS, node->line, node->column,
			  "anchors are not allowed: '&%s'", (const char *)anchor);
		diags_hint(reader->diags, "use `defaults:` for what steps share");
	}
	if (tag)
		diags_add(reader->diags, DIAG_TAG, node->line, node->column,
			  "tags are not allowed: '%s'", (const char *)tag);
}

static void refuse_key(struct reader *reader, const struct node *key, const char *what)
{
	diags_add(reader->diags, DIAG_KEY_FORM, key->line, key->column, "%s cannot be a key", what);
	diags_hint(reader->diags, "put a text that begins with `{` or `[` in quotes");
}

static enum err_code scalar_add(struct reader *reader, const yaml_event_t *event)
{
	struct str text =
	    str_from((const char *)event->data.scalar.value, event->data.scalar.length);
	bool is_key = wants_key(reader);
	uint32_t index = node_add(reader, NODE_TEXT, &event->start_mark);
	struct node *node;

	if (index == NODE_NONE)
		return reader->err->code;
	node = node_at(reader, index);
	node->text = arena_str(&reader->nodes->arena, text);
	if (!node->text.ptr)
		return mem_err(reader->err);
	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	refuse_properties(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
	if (str_has(text, '\0')) {
		diags_add(reader->diags, DIAG_TEXT, node->line, node->column,
			  "the text holds a NUL character");
		node->kind = NODE_BAD;
	} else if (is_key && node->is_plain && str_is(text, "<<")) {
		diags_add(reader->diags, DIAG_MERGE_KEY, node->line, node->column,
			  "merge keys are not allowed");
		diags_hint(reader->diags, "use `defaults:` for what steps share");
		node->kind = NODE_BAD;
	} else if (is_key && node->is_plain && text.len == 0) {
		refuse_key(reader, node, "nothing");
		node->kind = NODE_BAD;
	}
	return ERR_OK;
}

static enum err_code alias_add(struct reader *reader, const yaml_event_t *event)
{
	uint32_t index = node_add(reader, NODE_BAD, &event->start_mark);
	const struct node *node;

	if (index == NODE_NONE)
		return reader->err->code;
	node = node_at(reader, index);
	diags_add(reader->diags, DIAG_ALIAS, node->line, node->column,
		  "aliases are not allowed: '*%s'", (const char *)event->data.alias.anchor);
	diags_hint(reader->diags, "a text that begins with `*` needs quotes");
	return ERR_OK;
}

static enum err_code collection_open(struct reader *reader, const yaml_event_t *event)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	bool is_key = wants_key(reader);
	uint32_t index = node_add(reader, is_map ? NODE_MAP : NODE_LIST, &event->start_mark);
	struct node *node;

	if (index == NODE_NONE)
		return reader->err->code;
	node = node_at(reader, index);
	if (is_map)
		refuse_properties(reader, node, event->data.mapping_start.anchor,
				  event->data.mapping_start.tag);
	else
		refuse_properties(reader, node, event->data.sequence_start.anchor,
				  event->data.sequence_start.tag);
	if (is_key) {
		refuse_key(reader, node, is_map ? "a mapping" : "a list");
		node->kind = NODE_BAD;
	}
	if (reader->depth >= reader->depth_max) {
		diags_add(reader->diags, DIAG_DEPTH, node->line, node->column,
			  "nested deeper than %llu levels", (unsigned long long)reader->depth_max);
		diags_hint(reader->diags, "the limit is `definition_depth`");
		reader->is_stopped = true;
		return ERR_OK;
	}
	if (mem_grow((void **)&reader->frames, &reader->frames_capacity, reader->depth + 1,
		     sizeof(*reader->frames), reader->err) != ERR_OK)
		return reader->err->code;
	reader->frames[reader->depth++] =
	    (struct frame){.node = index, .last = NODE_NONE, .is_map = is_map};
	return ERR_OK;
}

static void twice(struct reader *reader, uint32_t first, uint32_t second)
{
	struct node *key = node_at(reader, second);

	diags_add(reader->diags, DIAG_DUPLICATE_KEY, key->line, key->column,
		  "the key '%.*s' is there already, in line %u", STR_ARG(str_cut(key->text, 0, 80)),
		  (unsigned)node_at(reader, first)->line);
	key->kind = NODE_BAD;
}

static uint32_t key_after(struct reader *reader, uint32_t key)
{
	uint32_t value = node_at(reader, key)->next;

	return value == NODE_NONE ? NODE_NONE : node_at(reader, value)->next;
}

static void few_keys_check(struct reader *reader, uint32_t map)
{
	uint32_t first = node_at(reader, map)->child;

	for (uint32_t key = first; key != NODE_NONE; key = key_after(reader, key)) {
		for (uint32_t old = first; old != key; old = key_after(reader, old)) {
			if (node_at(reader, key)->kind == NODE_TEXT &&
			    node_at(reader, old)->kind == NODE_TEXT &&
			    str_eq(node_at(reader, key)->text, node_at(reader, old)->text))
				twice(reader, old, key);
		}
	}
}

static enum err_code keys_check(struct reader *reader, uint32_t map)
{
	AUTO(map_fini) struct map seen;

	map_init(&seen, reader->seed);
	if (node_at(reader, map)->count <= FEW_KEYS) {
		few_keys_check(reader, map);
		return ERR_OK;
	}
	for (uint32_t key = node_at(reader, map)->child; key != NODE_NONE;
	     key = key_after(reader, key)) {
		struct str text = node_at(reader, key)->text;
		uint32_t first;

		if (node_at(reader, key)->kind != NODE_TEXT)
			continue;
		first = map_get(&seen, text);
		if (first != MAP_NONE)
			twice(reader, first, key);
		else if (map_add(&seen, text, key, reader->err) != ERR_OK)
			return reader->err->code;
	}
	return ERR_OK;
}

static enum err_code collection_close(struct reader *reader)
{
	const struct frame *frame = &reader->frames[--reader->depth];

	return frame->is_map ? keys_check(reader, frame->node) : ERR_OK;
}

static void document_open(struct reader *reader, const yaml_event_t *event)
{
	const yaml_version_directive_t *version = event->data.document_start.version_directive;
	uint32_t line = (uint32_t)event->start_mark.line + 1;

	if (++reader->documents > 1) {
		diags_add(reader->diags, DIAG_DOCUMENTS, line, 1, "a second document begins here");
		diags_hint(reader->diags, "one pipeline is one file");
		reader->is_stopped = true;
	}
	if (version && (version->major != 1 || version->minor != 2))
		diags_add(reader->diags, DIAG_TAG, line, 1,
			  "the file is read as YAML 1.2, not %d.%d", version->major,
			  version->minor);
	if (event->data.document_start.tag_directives.start !=
	    event->data.document_start.tag_directives.end)
		diags_add(reader->diags, DIAG_TAG, line, 1, "tag directives are not allowed");
}

static enum err_code event_take(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		document_open(reader, event);
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		return alias_add(reader, event);
	case YAML_SCALAR_EVENT:
		return scalar_add(reader, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return collection_open(reader, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return collection_close(reader);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return ERR_OK;
}

/* What helps with libyaml's more puzzling messages. */
static const struct {
	const char *problem;
	const char *hint;
} syntax_hints[] = {
    {"cannot start any token",
     "tabs cannot indent; a text that begins with @, ` or % needs quotes"},
    {"mapping values are not allowed",
     "a text with a colon and a blank needs quotes; or the line is indented too far"},
    {"did not find expected key", "look at the indentation of this line and the one before"},
    {"could not find expected ':'", "a key needs a colon, followed by a blank"},
    {"did not find expected ',' or", "a text with `${`, a brace or a comma needs quotes inside of "
				     "brackets; or they are not closed"},
    {"unexpected end of stream", "a quoted text is not closed"},
    {"did not find expected '-' indicator", "the items of a list must begin in the same column"},
};

static enum err_code syntax_error(struct reader *reader, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "cannot be read";
	uint32_t line = (uint32_t)parser->problem_mark.line + 1;
	uint32_t column = (uint32_t)parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return mem_err(reader->err);
	if (strstr(problem, " tag")) {
		diags_add(reader->diags, DIAG_TAG, line, column, "tags are not allowed: %s",
			  problem);
		return ERR_OK;
	}
	diags_add(reader->diags, DIAG_SYNTAX, line, column, "%s%s%s", problem,
		  parser->context ? " " : "", parser->context ? parser->context : "");
	for (size_t i = 0; i < ARRAY_LEN(syntax_hints); i++) {
		if (strstr(problem, syntax_hints[i].problem)) {
			diags_hint(reader->diags, "%s", syntax_hints[i].hint);
			break;
		}
	}
	return ERR_OK;
}

/* *ret_at_end: the stream was read to its end. */
static enum err_code events_read(struct reader *reader, yaml_parser_t *parser, bool *ret_at_end)
{
	bool at_end = false;

	while (!at_end && !reader->is_stopped) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return syntax_error(reader, parser);
		at_end = event.type == YAML_STREAM_END_EVENT;
		(void)event_take(reader, &event); /* a failure is in reader->err */
		yaml_event_delete(&event);
		if (reader->err->code != ERR_OK)
			return reader->err->code;
	}
	*ret_at_end = at_end;
	return ERR_OK;
}

enum err_code nodes_read(struct nodes *nodes, struct str source, uint64_t depth_max,
			 uint64_t nodes_max, struct diags *diags, bool *ret_is_whole,
			 struct err *err)
{
	struct reader reader = {.nodes = nodes,
				.diags = diags,
				.err = err,
				.depth_max = depth_max,
				.nodes_max = nodes_max};
	yaml_parser_t parser;
	bool at_end = false;

	*ret_is_whole = false;
	if (str_starts(source, "\xEF\xBB\xBF"))
		source = str_cut(source, 3, source.len);
	if (!encoding_check(source, diags))
		return ERR_OK;
	/* Unknown to who wrote the file: keys cannot be chosen to collide. */
	reader.seed = hash_text((uint64_t)(uintptr_t)&reader ^ (uint64_t)(uintptr_t)source.ptr,
				str_cut(source, 0, 256));
	if (!yaml_parser_initialize(&parser))
		return mem_err(err);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(source.ptr ? source.ptr : ""),
				     source.len);
	(void)events_read(&reader, &parser, &at_end); /* a failure is in err */
	yaml_parser_delete(&parser);
	mem_free(reader.frames);
	if (err->code != ERR_OK)
		return err->code;
	if (at_end && nodes->count == 0)
		diags_add(diags, DIAG_EMPTY, 0, 0, "the file is empty");
	*ret_is_whole = at_end && nodes->count > 0;
	return ERR_OK;
}
