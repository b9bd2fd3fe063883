/* frozen.c - nodes_read_frozen, nodes_unfold: the canonical JSON that freeze.c writes, to nodes,
 * whole or step by step. Lines may end where api/writing.c ends them.
 *
 * A frozen definition is read at each birth, resume and fold of a run, as is the text of a pipeline
 * that a program built, and libyaml spends most of that time looking for what this form does not
 * have. What differs from it, be it by one blank, is left to nodes_read, which reads JSON too and
 * says what is wrong and where. */
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_special.h"
#include "base/mem.h"
#include "lang/tree.h"

#include <string.h>

struct frozen {
	struct tree tree;
	struct str text;
	bool is_ascii; /* all of it: a byte is a column */
	size_t at;
	size_t column_at; /* where `column` was counted */
	uint32_t line, column;
	const char *folded; /* the key of the root whose mappings stay folded; NULL = none */
	bool folds;         /* they come next, two levels deep */
	struct buf decoded; /* a text that has escapes */
};

static bool next_is(const struct frozen *frozen, char c)
{
	return frozen->at < frozen->text.len && frozen->text.ptr[frozen->at] == c;
}

static bool take(struct frozen *frozen, char c)
{
	bool is_there = next_is(frozen, c);

	frozen->at += is_there;
	return is_there;
}

/* After an opening bracket or a comma, before a closing one, and at the end. */
static void line_ends_skip(struct frozen *frozen)
{
	while (take(frozen, '\n')) {
		frozen->line++;
		frozen->column = 1;
		frozen->column_at = frozen->at;
	}
}

/* Of the byte at `at`, in code points; it never goes back. */
static uint32_t column_of(struct frozen *frozen, size_t at)
{
	if (frozen->is_ascii)
		return frozen->column + (uint32_t)(at - frozen->column_at);
	for (; frozen->column_at < at; frozen->column_at++)
		frozen->column +=
		    ((unsigned char)frozen->text.ptr[frozen->column_at] & 0xC0) != 0x80;
	return frozen->column;
}

/* Surrogates are not read alike by JSON and YAML, and never written. */
static bool has_surrogate(struct str literal)
{
	for (size_t at = str_find(literal, "\\u", 0); at != SIZE_MAX;
	     at = str_find(literal, "\\u", at + 2)) {
		if (at + 2 < literal.len && (literal.ptr[at + 2] | 0x20) == 'd')
			return true;
	}
	return false;
}

/* A text that has escapes, without them: a copy in the arena. */
static bool text_decode(struct frozen *frozen, struct str *text)
{
	if (has_surrogate(*text))
		return false;
	buf_clear(&frozen->decoded);
	json_decode(*text, &frozen->decoded);
	if (buf_check(&frozen->decoded, "text", frozen->tree.err) != ERR_OK ||
	    str_has(buf_view(&frozen->decoded), '\0'))
		return false;
	*text = arena_str(&frozen->tree.nodes->arena, buf_view(&frozen->decoded));
	if (!text->ptr)
		(void)mem_err(frozen->tree.err);
	return text->ptr != NULL;
}

static bool text_take(struct frozen *frozen, struct str *ret_text)
{
	const char *end = frozen->text.ptr + frozen->text.len;
	size_t from = frozen->at + 1;
	const char *close;
	bool is_plain = true;

	if (!next_is(frozen, '"'))
		return false;
	close = json_special(frozen->text.ptr + from, end);
	if (close < end && *close == '"')
		frozen->at = (size_t)(close + 1 - frozen->text.ptr);
	else if (!json_scan_string(frozen->text, &frozen->at, &is_plain))
		return false;
	*ret_text = str_from(frozen->text.ptr + from, frozen->at - 1 - from);
	return is_plain || text_decode(frozen, ret_text);
}

static bool text_add(struct frozen *frozen)
{
	size_t from = frozen->at;
	struct str text;
	uint32_t index;

	if (!text_take(frozen, &text))
		return false;
	index = tree_add(&frozen->tree, NODE_TEXT, frozen->line, column_of(frozen, from));
	if (index == NODE_NONE)
		return false;
	tree_node(&frozen->tree, index)->text = text;
	return true;
}

/* A number, true, false or null. */
static bool plain_add(struct frozen *frozen)
{
	NOT_CLEARED struct err ignored; /* written when it fails, as it does nearly never */
	size_t from = frozen->at;
	uint32_t index;

	if (json_scan(frozen->text, &frozen->at, 0, &ignored) != ERR_OK)
		return false;
	index = tree_add(&frozen->tree, NODE_TEXT, frozen->line, column_of(frozen, from));
	if (index == NODE_NONE)
		return false;
	tree_node(&frozen->tree, index)->text = str_cut(frozen->text, from, frozen->at);
	tree_node(&frozen->tree, index)->is_plain = true;
	return true;
}

/* The closing quote of a text with escapes, or with more than ASCII; NULL if there is none. */
static SELDOM const char *odd_text_close(const char *open, const char *end)
{
	struct str rest = str_from(open, (size_t)(end - open));
	size_t at = 0;
	bool ignored;

	return json_scan_string(rest, &at, &ignored) ? open + at - 1 : NULL;
}

/* Behind the mapping that opens at `at`; only its brackets and quotes are looked at. NULL when it
 * does not end on this line. */
static const char *map_end(const char *at, const char *end)
{
	size_t depth = 0;

	for (; at < end; at++) {
		const char *close;

		switch (*at) {
		case '"':
			close = json_special(at + 1, end);
			if (close == end || *close != '"')
				close = odd_text_close(at, end);
			if (!close)
				return NULL;
			at = close;
			break;
		case '{':
			depth++;
			break;
		case '}':
			if (--depth == 0)
				return at + 1;
			break;
		case '\n':
			return NULL;
		default:
			break;
		}
	}
	return NULL;
}

static bool fold(struct frozen *frozen)
{
	const char *from = frozen->text.ptr + frozen->at;
	const char *to = map_end(from, frozen->text.ptr + frozen->text.len);
	uint32_t index;

	if (!to)
		return false;
	index = tree_add(&frozen->tree, NODE_FOLDED, frozen->line, column_of(frozen, frozen->at));
	if (index == NODE_NONE)
		return false;
	tree_node(&frozen->tree, index)->text = str_from(from, (size_t)(to - from));
	frozen->at += (size_t)(to - from);
	return true;
}

static bool open(struct frozen *frozen, bool is_map)
{
	uint32_t index = tree_add(&frozen->tree, is_map ? NODE_MAP : NODE_LIST, frozen->line,
				  column_of(frozen, frozen->at));

	if (frozen->tree.depth == 1 && index != NODE_NONE)
		frozen->folds = frozen->folded && is_map &&
				str_is(tree_node(&frozen->tree, index - 1)->text, frozen->folded);
	frozen->at++;
	line_ends_skip(frozen);
	return index != NODE_NONE && tree_open(&frozen->tree, index, is_map) == ERR_OK;
}

/* Behind a value: close what ends here. False when something else is there than what may be. */
static bool value_end(struct frozen *frozen)
{
	while (frozen->tree.depth) {
		const struct tree_frame *frame = &frozen->tree.frames[frozen->tree.depth - 1];

		if (take(frozen, ',')) {
			line_ends_skip(frozen);
			return !next_is(frozen, '}') && !next_is(frozen, ']');
		}
		line_ends_skip(frozen);
		if (!take(frozen, frame->is_map ? '}' : ']') || tree_close(&frozen->tree) != ERR_OK)
			return false;
	}
	line_ends_skip(frozen);
	return frozen->at == frozen->text.len;
}

/* One value with its key, or the opening of one. */
static bool value_add(struct frozen *frozen)
{
	bool is_map;

	if (tree_wants_key(&frozen->tree) && (!text_add(frozen) || !take(frozen, ':')))
		return false;
	is_map = next_is(frozen, '{');
	if (!is_map && !next_is(frozen, '['))
		return (next_is(frozen, '"') ? text_add(frozen) : plain_add(frozen)) &&
		       value_end(frozen);
	if (is_map && frozen->folds && frozen->tree.depth == 2)
		return fold(frozen) && value_end(frozen);
	if (!open(frozen, is_map))
		return false;
	return next_is(frozen, is_map ? '}' : ']') ? value_end(frozen) : true;
}

static bool is_ascii(struct str text)
{
	unsigned char bits = 0;

	for (size_t i = 0; i < text.len; i++)
		bits |= (unsigned char)text.ptr[i];
	return bits < 0x80;
}

static bool document_read(struct frozen *frozen)
{
	do {
		if (!value_add(frozen))
			return false;
	} while (frozen->tree.depth);
	return frozen->tree.diags->count == 0;
}

/* Read the text of `frozen` into the tree; *ret_is_frozen as of nodes_read_frozen. */
static enum err_code read_all(struct frozen *frozen, bool *ret_is_frozen)
{
	AUTO(diags_fini) struct diags diags;
	bool is_frozen;

	diags_init(&diags, 1);
	frozen->tree.diags = &diags;
	is_frozen = next_is(frozen, '{') && document_read(frozen);
	tree_fini(&frozen->tree);
	buf_fini(&frozen->decoded);
	if (frozen->tree.err->code == ERR_OK)
		*ret_is_frozen = is_frozen;
	return frozen->tree.err->code;
}

static bool is_text(struct str source)
{
	AUTO(diags_fini) struct diags diags;

	diags_init(&diags, 1);
	return source_is_text(source, &diags);
}

enum err_code nodes_read_frozen(struct nodes *nodes, struct str source, const char *folded,
				uint64_t depth_max, uint64_t nodes_max, bool *ret_is_frozen,
				struct err *err)
{
	struct frozen frozen = {
	    .tree = {.nodes = nodes, .err = err, .depth_max = depth_max, .nodes_max = nodes_max},
	    .text = source,
	    .is_ascii = is_ascii(source),
	    .line = 1,
	    .column = 1,
	    .folded = folded,
	    .decoded = BUF_INIT};
	bool is_frozen = false;

	/* Unknown to who wrote the file: keys cannot be chosen to collide. */
	frozen.tree.seed = hash_text((uint64_t)(uintptr_t)&frozen ^ (uint64_t)(uintptr_t)source.ptr,
				     str_cut(source, 0, 256));
	if (is_text(source) && read_all(&frozen, &is_frozen) != ERR_OK)
		return err->code;
	if (!is_frozen) {
		nodes_fini(nodes);
		nodes_init(nodes);
	}
	*ret_is_frozen = is_frozen;
	return ERR_OK;
}

enum err_code nodes_unfold(struct nodes *nodes, const struct node *node, uint64_t seed,
			   bool *ret_is_frozen, struct err *err)
{
	struct frozen frozen = {.tree = {.nodes = nodes,
					 .err = err,
					 .depth_max = UINT32_MAX,
					 .nodes_max = UINT32_MAX,
					 .seed = seed},
				.text = node->text,
				.is_ascii = is_ascii(node->text),
				.line = node->line,
				.column = node->column,
				.decoded = BUF_INIT};

	BUG_IF(node->kind != NODE_FOLDED);
	nodes->count = 0;
	return read_all(&frozen, ret_is_frozen);
}
