/* yaml.c - nodes_read: libyaml's events to nodes, strictly.
 *
 * libyaml parses, this file composes, and refuses what would make a text mean something that is not
 * written at its place (anchors, aliases, tags, merge keys, duplicate keys). libyaml follows
 * YAML 1.1 where the versions differ: there the line ends U+0085, U+2028 and U+2029 are refused
 * before it sees them, and scalars are resolved by node.c under the core schema of 1.2. */
#include "lang/tree.h"

#include "base/hash.h"
#include "base/mem.h"

#include <string.h>
#include <yaml.h>

static void refuse_properties(struct tree *tree, const struct node *node, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	if (anchor) {
		diags_add(tree->diags, DIAG_ALIAS, node->line, node->column,
			  "anchors are not allowed: '&%s'", (const char *)anchor);
		diags_hint(tree->diags, "use `defaults:` for what steps share");
	}
	if (tag)
		diags_add(tree->diags, DIAG_TAG, node->line, node->column,
			  "tags are not allowed: '%s'", (const char *)tag);
}

static void refuse_key(struct tree *tree, const struct node *key, const char *what)
{
	diags_add(tree->diags, DIAG_KEY_FORM, key->line, key->column, "%s cannot be a key", what);
	diags_hint(tree->diags, "put a text that begins with `{` or `[` in quotes");
}

static uint32_t added(struct tree *tree, enum node_kind kind, const yaml_event_t *event)
{
	return tree_add(tree, kind, (uint32_t)event->start_mark.line + 1,
			(uint32_t)event->start_mark.column + 1);
}

static enum err_code scalar_add(struct tree *tree, const yaml_event_t *event)
{
	struct str text =
	    str_from((const char *)event->data.scalar.value, event->data.scalar.length);
	bool is_key = tree_wants_key(tree);
	uint32_t index = added(tree, NODE_TEXT, event);
	struct node *node;

	if (index == NODE_NONE)
		return tree->err->code;
	node = tree_node(tree, index);
	node->text = arena_str(&tree->nodes->arena, text);
	if (!node->text.ptr)
		return mem_err(tree->err);
	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	refuse_properties(tree, node, event->data.scalar.anchor, event->data.scalar.tag);
	if (str_has(text, '\0')) {
		diags_add(tree->diags, DIAG_TEXT, node->line, node->column,
			  "the text holds a NUL character");
		node->kind = NODE_BAD;
	} else if (is_key && node->is_plain && str_is(text, "<<")) {
		diags_add(tree->diags, DIAG_MERGE_KEY, node->line, node->column,
			  "merge keys are not allowed");
		diags_hint(tree->diags, "use `defaults:` for what steps share");
		node->kind = NODE_BAD;
	} else if (is_key && node->is_plain && text.len == 0) {
		refuse_key(tree, node, "nothing");
		node->kind = NODE_BAD;
	}
	return ERR_OK;
}

static enum err_code alias_add(struct tree *tree, const yaml_event_t *event)
{
	uint32_t index = added(tree, NODE_BAD, event);
	const struct node *node;

	if (index == NODE_NONE)
		return tree->err->code;
	node = tree_node(tree, index);
	diags_add(tree->diags, DIAG_ALIAS, node->line, node->column,
		  "aliases are not allowed: '*%s'", (const char *)event->data.alias.anchor);
	diags_hint(tree->diags, "a text that begins with `*` needs quotes");
	return ERR_OK;
}

static enum err_code collection_open(struct tree *tree, const yaml_event_t *event)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	bool is_key = tree_wants_key(tree);
	uint32_t index = added(tree, is_map ? NODE_MAP : NODE_LIST, event);
	struct node *node;

	if (index == NODE_NONE)
		return tree->err->code;
	node = tree_node(tree, index);
	if (is_map)
		refuse_properties(tree, node, event->data.mapping_start.anchor,
				  event->data.mapping_start.tag);
	else
		refuse_properties(tree, node, event->data.sequence_start.anchor,
				  event->data.sequence_start.tag);
	if (is_key) {
		refuse_key(tree, node, is_map ? "a mapping" : "a list");
		node->kind = NODE_BAD;
	}
	return tree_open(tree, index, is_map);
}

static void document_open(struct tree *tree, const yaml_event_t *event)
{
	const yaml_version_directive_t *version = event->data.document_start.version_directive;
	uint32_t line = (uint32_t)event->start_mark.line + 1;

	if (++tree->documents > 1) {
		diags_add(tree->diags, DIAG_DOCUMENTS, line, 1, "a second document begins here");
		diags_hint(tree->diags, "one pipeline is one file");
		tree->is_stopped = true;
	}
	if (version && (version->major != 1 || version->minor != 2))
		diags_add(tree->diags, DIAG_TAG, line, 1, "the file is read as YAML 1.2, not %d.%d",
			  version->major, version->minor);
	if (event->data.document_start.tag_directives.start !=
	    event->data.document_start.tag_directives.end)
		diags_add(tree->diags, DIAG_TAG, line, 1, "tag directives are not allowed");
}

static enum err_code event_take(struct tree *tree, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		document_open(tree, event);
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		return alias_add(tree, event);
	case YAML_SCALAR_EVENT:
		return scalar_add(tree, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return collection_open(tree, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return tree_close(tree);
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

static enum err_code syntax_error(struct tree *tree, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "cannot be read";
	uint32_t line = (uint32_t)parser->problem_mark.line + 1;
	uint32_t column = (uint32_t)parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return mem_err(tree->err);
	if (strstr(problem, " tag")) {
		diags_add(tree->diags, DIAG_TAG, line, column, "tags are not allowed: %s", problem);
		return ERR_OK;
	}
	diags_add(tree->diags, DIAG_SYNTAX, line, column, "%s%s%s", problem,
		  parser->context ? " " : "", parser->context ? parser->context : "");
	for (size_t i = 0; i < ARRAY_LEN(syntax_hints); i++) {
		if (strstr(problem, syntax_hints[i].problem)) {
			diags_hint(tree->diags, "%s", syntax_hints[i].hint);
			break;
		}
	}
	return ERR_OK;
}

/* *ret_at_end: the stream was read to its end. */
static enum err_code events_read(struct tree *tree, yaml_parser_t *parser, bool *ret_at_end)
{
	bool at_end = false;

	while (!at_end && !tree->is_stopped) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return syntax_error(tree, parser);
		at_end = event.type == YAML_STREAM_END_EVENT;
		(void)event_take(tree, &event); /* a failure is in tree->err */
		yaml_event_delete(&event);
		if (tree->err->code != ERR_OK)
			return tree->err->code;
	}
	*ret_at_end = at_end;
	return ERR_OK;
}

enum err_code nodes_read(struct nodes *nodes, struct str source, uint64_t depth_max,
			 uint64_t nodes_max, struct diags *diags, bool *ret_is_whole,
			 struct err *err)
{
	struct tree tree = {.nodes = nodes,
			    .diags = diags,
			    .err = err,
			    .depth_max = depth_max,
			    .nodes_max = nodes_max};
	yaml_parser_t parser;
	bool at_end = false;

	*ret_is_whole = false;
	if (str_starts(source, "\xEF\xBB\xBF"))
		source = str_cut(source, 3, source.len);
	if (!source_is_text(source, diags))
		return ERR_OK;
	/* Unknown to who wrote the file: keys cannot be chosen to collide. */
	tree.seed = hash_text((uint64_t)(uintptr_t)&tree ^ (uint64_t)(uintptr_t)source.ptr,
			      str_cut(source, 0, 256));
	if (!yaml_parser_initialize(&parser))
		return mem_err(err);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(source.ptr ? source.ptr : ""),
				     source.len);
	(void)events_read(&tree, &parser, &at_end); /* a failure is in err */
	yaml_parser_delete(&parser);
	tree_fini(&tree);
	if (err->code != ERR_OK)
		return err->code;
	if (at_end && nodes->count == 0)
		diags_add(diags, DIAG_EMPTY, 0, 0, "the file is empty");
	*ret_is_whole = at_end && nodes->count > 0;
	return ERR_OK;
}
