/* tree.h - how the nodes of node.h are put together: what its readers share.
 *
 * A reader adds values in the order of the text; the tree keeps its own stack, so that nesting
 * costs no C stack. */
#ifndef LANG_TREE_H
#define LANG_TREE_H

#include "lang/node.h"

struct tree_frame {
	uint32_t node;
	uint32_t last; /* child added last */
	bool is_map;
	bool wants_value; /* of a mapping: the key is there */
};

struct tree {
	struct nodes *nodes;
	struct diags *diags;
	struct err *err;
	struct tree_frame *frames; /* of the collections that are open; owned */
	size_t depth, frames_capacity;
	uint64_t depth_max, nodes_max;
	uint64_t seed; /* nobody can choose keys that collide */
	uint32_t documents;
	bool is_stopped; /* a limit was reached */
};

/* Frees the stack; the nodes stay. */
void tree_fini(struct tree *tree);

/* Borrowed until the next value is added. */
static inline struct node *tree_node(const struct tree *tree, uint32_t index)
{
	return &tree->nodes->items[index];
}
/* Is the node that comes next a key? */
static inline bool tree_wants_key(const struct tree *tree)
{
	return tree->depth && tree->frames[tree->depth - 1].is_map &&
	       !tree->frames[tree->depth - 1].wants_value;
}

/* Add a node below the innermost open collection. NODE_NONE when it could not: tree->is_stopped
 * (a limit, reported), or MEMORY in tree->err. */
uint32_t tree_add(struct tree *tree, enum node_kind kind, uint32_t line, uint32_t column);
/* What follows belongs to the list or mapping `index`. At the limit of depth it is reported, and
 * tree->is_stopped. MEMORY in tree->err. */
enum err_code tree_open(struct tree *tree, uint32_t index, bool is_map);
/* The innermost collection is whole; keys that are there twice are reported. MEMORY in tree->err.
 */
enum err_code tree_close(struct tree *tree);

/* Report the first byte that is no text, or no character of a YAML file (1.2, 5.1), or one that
 * libyaml takes for a line end; false then. */
bool source_is_text(struct str source, struct diags *diags);

#endif
