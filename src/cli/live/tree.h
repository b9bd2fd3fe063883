/* tree.h - the shape in which the steps of a run are drawn; see live.h for the rule.
 *
 * Pure: from who needs whom to an order of lines and what stands before each. */
#ifndef CLI_LIVE_TREE_H
#define CLI_LIVE_TREE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct live_node {
	struct str id;
	uint32_t *needs; /* indexes; those of needs and of needs_any */
	uint32_t needs_count;
	struct str lead; /* set by live_tree_build: branches and bars before the step's line */
};

struct live_tree {
	struct live_node *nodes;
	uint32_t count;
	uint32_t *order; /* topological, made by live_tree_build */
	uint32_t *lines; /* the step of each line, made by live_tree_build */
};

/* Read the steps out of a status: `steps` is the value of its member "steps", checked JSON. Sets
 * nodes (ids and needs, from the arena; `index` may not outlive it) in the order of the file, and
 * count, 0 when the value is absent. `index`, empty before, gets id -> position. False when this is
 * not what this version writes, or memory is short; the tree is of no use then. */
MUST_CHECK bool live_tree_read(struct live_tree *tree, struct arena *arena, struct map *index,
			       struct str steps);

/* Make order, lines and leads, from the arena. `is_utf8`: box drawing characters may be used.
 * CORRUPT when the needs go round in a circle, MEMORY. */
MUST_CHECK enum err_code live_tree_build(struct live_tree *tree, struct arena *arena, bool is_utf8,
					 struct err *err);

#endif
