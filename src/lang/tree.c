/* tree.c - see tree.h */
#include "lang/tree.h"

#include "base/map.h"
#include "base/mem.h"

#include <string.h>

/* Mappings up to this many keys are compared pair by pair. */
#define FEW_KEYS 12
/* Keys of larger ones that are prefetched while others are looked up. */
#define KEYS_AHEAD 8

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

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Are the eight bytes at `p` all printable ASCII? */
static bool is_printable_8(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	/* The highest bit of a byte is set by 0x20 less if it is below, by one more from DEL on,
	 * and beyond ASCII it is set already. */
	return !((word | (word - EACH_BYTE(0x20)) | (word + EACH_BYTE(1))) & EACH_BYTE(0x80));
}

/* How many printable ASCII characters are at `at`: nearly all of every file. */
static size_t printable_run(struct str source, size_t at)
{
	size_t end = at;

	while (source.len - end >= 8 && is_printable_8(source.ptr + end))
		end += 8;
	while (end < source.len && source.ptr[end] >= 0x20 && source.ptr[end] < 0x7F)
		end++;
	return end - at;
}

bool source_is_text(struct str source, struct diags *diags)
{
	const unsigned char *p = (const unsigned char *)source.ptr;
	uint32_t line = 1;
	uint32_t column = 1;

	for (size_t at = 0; at < source.len;) {
		size_t printable = printable_run(source, at);
		size_t len;

		at += printable;
		column += (uint32_t)printable;
		if (at == source.len)
			break;
		len = p[at] < 0x80 ? 1 : utf8_len(str_cut(source, at, source.len));

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

void tree_fini(struct tree *tree)
{
	mem_free(tree->frames);
	tree->frames = NULL;
}

static SELDOM uint32_t too_many(struct tree *tree, uint32_t line, uint32_t column)
{
	diags_add(tree->diags, DIAG_NODES, line, column, "the file has more than %llu values",
		  (unsigned long long)tree->nodes_max);
	diags_hint(tree->diags, "the limit is `definition_nodes`");
	tree->is_stopped = true;
	return NODE_NONE;
}

static SELDOM enum err_code grow(struct tree *tree)
{
	struct nodes *nodes = tree->nodes;

	return mem_grow((void **)&nodes->items, &nodes->capacity, nodes->count + 1,
			sizeof(*nodes->items), tree->err);
}

/* Put a new node below the collection that is open. */
static void adopt(struct tree *tree, struct tree_frame *frame, uint32_t index)
{
	struct node *parent = tree_node(tree, frame->node);

	if (frame->last == NODE_NONE)
		parent->has_child = true;
	else
		tree_node(tree, frame->last)->next = index;
	frame->last = index;
	if (!frame->is_map || frame->wants_value)
		parent->count++;
	frame->wants_value = frame->is_map && !frame->wants_value;
}

uint32_t tree_add(struct tree *tree, enum node_kind kind, uint32_t line, uint32_t column)
{
	struct nodes *nodes = tree->nodes;
	uint32_t index = (uint32_t)nodes->count;
	struct node *node;

	if (nodes->count >= tree->nodes_max || nodes->count >= NODE_NONE)
		return too_many(tree, line, column);
	if (nodes->count == nodes->capacity && grow(tree) != ERR_OK)
		return NODE_NONE;
	node = &nodes->items[nodes->count++];
	node->text = STR_NONE;
	node->line = line;
	node->column = column;
	node->next = NODE_NONE;
	node->has_child = false;
	node->kind = (uint8_t)kind;
	node->is_plain = false;
	if (tree->depth)
		adopt(tree, &tree->frames[tree->depth - 1], index);
	return index;
}

enum err_code tree_open(struct tree *tree, uint32_t index, bool is_map)
{
	if (tree->depth >= tree->depth_max) {
		const struct node *node = tree_node(tree, index);

		diags_add(tree->diags, DIAG_DEPTH, node->line, node->column,
			  "nested deeper than %llu levels", (unsigned long long)tree->depth_max);
		diags_hint(tree->diags, "the limit is `definition_depth`");
		tree->is_stopped = true;
		return ERR_OK;
	}
	if (tree->depth == tree->frames_capacity &&
	    mem_grow((void **)&tree->frames, &tree->frames_capacity, tree->depth + 1,
		     sizeof(*tree->frames), tree->err) != ERR_OK)
		return tree->err->code;
	tree->frames[tree->depth++] =
	    (struct tree_frame){.node = index, .last = NODE_NONE, .is_map = is_map};
	return ERR_OK;
}

static void twice(struct tree *tree, uint32_t first, uint32_t second)
{
	struct node *key = tree_node(tree, second);

	diags_add(tree->diags, DIAG_DUPLICATE_KEY, key->line, key->column,
		  "the key '%.*s' is there already, in line %u", STR_ARG(str_cut(key->text, 0, 80)),
		  (unsigned)tree_node(tree, first)->line);
	key->kind = NODE_BAD;
}

static uint32_t first_key(const struct tree *tree, uint32_t map)
{
	return tree_node(tree, map)->has_child ? map + 1 : NODE_NONE;
}

static uint32_t key_after(struct tree *tree, uint32_t key)
{
	uint32_t value = tree_node(tree, key)->next;

	return value == NODE_NONE ? NODE_NONE : tree_node(tree, value)->next;
}

/* One of 64 bits, by the length and both ends: keys of different bits differ. */
static uint64_t key_bit(struct str key)
{
	unsigned ends =
	    key.len ? (unsigned char)key.ptr[0] * 5u + (unsigned char)key.ptr[key.len - 1] * 11u
		    : 0;

	return UINT64_C(1) << ((ends + key.len) % 64);
}

/* The one of `keys` that has the text of `key`; NODE_NONE if none has. */
static uint32_t same_key(const struct tree *tree, const uint32_t *keys, size_t count,
			 const struct node *key)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(key->text, tree_node(tree, keys[i])->text))
			return keys[i];
	}
	return NODE_NONE;
}

static void few_keys_check(struct tree *tree, uint32_t map)
{
	NOT_CLEARED uint32_t keys[FEW_KEYS];
	uint64_t bits = 0; /* of the keys so far: mostly a new one has a bit of its own */
	size_t count = 0;

	for (uint32_t at = first_key(tree, map); at != NODE_NONE; at = key_after(tree, at)) {
		const struct node *key = tree_node(tree, at);
		uint32_t first = NODE_NONE;
		uint64_t bit;

		if (key->kind != NODE_TEXT)
			continue;
		bit = key_bit(key->text);
		if (bits & bit)
			first = same_key(tree, keys, count, key);
		if (first != NODE_NONE) {
			twice(tree, first, at);
			continue;
		}
		bits |= bit;
		keys[count++] = at;
	}
}

static enum err_code many_keys_check(struct tree *tree, uint32_t map)
{
	AUTO(map_fini) struct map seen;
	uint32_t ahead = first_key(tree, map);

	map_init(&seen, tree->seed);
	if (map_reserve(&seen, tree_node(tree, map)->count, tree->err) != ERR_OK)
		return tree->err->code;
	for (int i = 0; i < KEYS_AHEAD && ahead != NODE_NONE; i++)
		ahead = key_after(tree, ahead);
	for (uint32_t key = first_key(tree, map); key != NODE_NONE; key = key_after(tree, key)) {
		uint32_t first;

		if (ahead != NODE_NONE) {
			map_prefetch(&seen, tree_node(tree, ahead)->text);
			ahead = key_after(tree, ahead);
		}
		if (tree_node(tree, key)->kind != NODE_TEXT)
			continue;
		if (map_get_or_add(&seen, tree_node(tree, key)->text, key, &first, tree->err) !=
		    ERR_OK)
			return tree->err->code;
		if (first != MAP_NONE)
			twice(tree, first, key);
	}
	if (seen.count > tree->nodes->keys.count) {
		map_fini(&tree->nodes->keys);
		tree->nodes->keys = TAKE(seen, (struct map){.seed = 0});
		tree->nodes->keys_of = map;
	}
	return ERR_OK;
}

static enum err_code keys_check(struct tree *tree, uint32_t map)
{
	if (tree_node(tree, map)->count > FEW_KEYS)
		return many_keys_check(tree, map);
	few_keys_check(tree, map);
	return ERR_OK;
}

enum err_code tree_close(struct tree *tree)
{
	const struct tree_frame *frame = &tree->frames[--tree->depth];

	return frame->is_map ? keys_check(tree, frame->node) : ERR_OK;
}
