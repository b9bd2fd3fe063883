/* tree.c - see tree.h */
#include "cli/live/tree.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/member.h"

#define LEAD_BYTES_MAX 96 /* deeper branches are drawn at the same place */

/* -------------------------------------------------------------------------------- reading */

static bool needs_read(struct live_node *node, const struct map *index, struct str list)
{
	struct str item, id;
	size_t at = 0;

	while (list.ptr && json_item(list, &at, &item)) {
		uint32_t need = json_plain(item, &id) ? map_get(index, id) : MAP_NONE;

		if (need == MAP_NONE)
			return false;
		node->needs[node->needs_count++] = need;
	}
	return true;
}

static bool ids_read(struct live_tree *tree, struct arena *arena, struct map *index,
		     struct str steps)
{
	struct err ignored = ERR_INIT; /* short memory, or an id twice: no tree */
	struct str object;
	size_t at = 0;

	while (json_item(steps, &at, &object)) {
		int64_t position = member_number(object, "position", -1);
		struct live_node *node;

		if (position < 0 || position >= tree->count || tree->nodes[position].id.ptr)
			return false;
		node = &tree->nodes[position];
		node->id = member_text(arena, object, "step_id");
		if (!node->id.ptr ||
		    map_add(index, node->id, (uint32_t)position, &ignored) != ERR_OK)
			return false;
	}
	return true;
}

bool live_tree_read(struct live_tree *tree, struct arena *arena, struct map *index,
		    struct str steps)
{
	struct str object;
	size_t at = 0;

	tree->count = (uint32_t)item_count(steps);
	tree->nodes = arena_new(arena, (size_t)tree->count + 1, sizeof(*tree->nodes));
	if (!tree->nodes || !ids_read(tree, arena, index, steps))
		return false;
	while (json_item(steps, &at, &object)) {
		struct live_node *node = &tree->nodes[member_number(object, "position", 0)];
		struct str needs = json_get(object, "needs");
		struct str any = json_get(object, "needs_any");

		node->needs =
		    arena_new(arena, item_count(needs) + item_count(any) + 1, sizeof(*node->needs));
		if (!node->needs || !needs_read(node, index, needs) ||
		    !needs_read(node, index, any))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------------- the shape */

/* What is needed on the way; indexes of steps, `count` stands for the beginning of the run. */
struct shape {
	struct live_tree *tree;
	struct arena *arena;
	uint32_t *parent; /* the immediate dominator: every way to the step goes through it */
	uint32_t *depth;  /* below the beginning, by parents */
	uint32_t *first;  /* of the children of a step, in topological order: next[first] ... */
	uint32_t *last;
	uint32_t *next;
	bool *is_branch; /* needs its parent and nothing else */
	const char *const *parts;
};

enum part { PART_FORK, PART_LAST, PART_BAR, PART_BLANK };

static const char *const utf8_parts[] = {"\u251c\u2500 ", "\u2514\u2500 ", "\u2502  ", "   "};
static const char *const ascii_parts[] = {"|- ", "`- ", "|  ", "   "};

#define NO_STEP UINT32_MAX

/* Kahn's algorithm; what becomes free goes to the end, so steps without needs keep their order. */
static enum err_code sort(struct live_tree *tree, struct arena *arena, struct err *err)
{
	uint32_t *missing = arena_new(arena, tree->count + 1, sizeof(*missing));
	uint32_t *at = arena_new(arena, tree->count + 2, sizeof(*at));
	uint32_t *dependents;
	uint32_t edges = 0;
	uint32_t taken = 0;

	if (!missing || !at)
		return mem_err(err);
	for (uint32_t i = 0; i < tree->count; i++) {
		missing[i] = tree->nodes[i].needs_count;
		edges += missing[i];
		for (uint32_t n = 0; n < missing[i]; n++)
			at[tree->nodes[i].needs[n] + 2]++;
	}
	dependents = arena_new(arena, edges + 1, sizeof(*dependents));
	if (!dependents)
		return mem_err(err);
	for (uint32_t i = 0; i < tree->count; i++)
		at[i + 1] += at[i];
	for (uint32_t i = 0; i < tree->count; i++) {
		for (uint32_t n = 0; n < tree->nodes[i].needs_count; n++)
			dependents[at[tree->nodes[i].needs[n] + 1]++] = i;
		if (!missing[i])
			tree->order[taken++] = i;
	}
	for (uint32_t done = 0; done < taken; done++) {
		uint32_t step = tree->order[done];

		for (uint32_t d = at[step]; d < at[step + 1]; d++) {
			if (--missing[dependents[d]] == 0)
				tree->order[taken++] = dependents[d];
		}
	}
	return taken == tree->count ? ERR_OK : err_set(err, ERR_CORRUPT, "steps need each other");
}

/* The step that every way to both goes through. */
static uint32_t common(const struct shape *shape, uint32_t a, uint32_t b)
{
	while (a != b) {
		if (shape->depth[a] >= shape->depth[b])
			a = shape->parent[a];
		else
			b = shape->parent[b];
	}
	return a;
}

static void adopt(struct shape *shape, uint32_t parent, uint32_t child)
{
	if (shape->first[parent] == NO_STEP)
		shape->first[parent] = child;
	else
		shape->next[shape->last[parent]] = child;
	shape->last[parent] = child;
	shape->next[child] = NO_STEP;
}

/* Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm"; a graph without circles needs one
 * pass. */
static void find_parents(struct shape *shape)
{
	const struct live_tree *tree = shape->tree;
	uint32_t root = tree->count;

	shape->parent[root] = root;
	for (uint32_t i = 0; i <= tree->count; i++)
		shape->first[i] = NO_STEP;
	for (uint32_t i = 0; i < tree->count; i++) {
		uint32_t step = tree->order[i];
		const struct live_node *node = &tree->nodes[step];
		uint32_t parent = node->needs_count ? node->needs[0] : root;

		for (uint32_t n = 1; n < node->needs_count; n++)
			parent = common(shape, parent, node->needs[n]);
		shape->parent[step] = parent;
		shape->depth[step] = shape->depth[parent] + 1;
		shape->is_branch[step] = node->needs_count <= 1;
		adopt(shape, parent, step);
	}
}

/* A step to be drawn, with what stands before its own line and before those that follow in its
 * place. */
struct pending {
	uint32_t step;
	struct str own;
	struct str rest;
};

static struct str lengthen(const struct shape *shape, struct str lead, enum part part)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (lead.len > LEAD_BYTES_MAX)
		return lead;
	buf_str(&text, lead);
	buf_text(&text, shape->parts[part]);
	return arena_str(shape->arena, buf_view(&text));
}

/* Put the children of a step on the stack, so that the first one is on top: branches, then what
 * joins them. False when memory is short. */
static bool push_children(const struct shape *shape, const struct pending *of,
			  struct pending *stack, uint32_t *depth)
{
	uint32_t branches = 0;
	uint32_t children = 0;
	uint32_t branch_at, join_at;

	for (uint32_t c = shape->first[of->step]; c != NO_STEP; c = shape->next[c]) {
		branches += shape->is_branch[c];
		children++;
	}
	branch_at = *depth + children; /* the stack's top is its end */
	join_at = *depth + children - branches;
	*depth += children;
	for (uint32_t c = shape->first[of->step], seen = 0; c != NO_STEP; c = shape->next[c]) {
		struct pending *to = &stack[shape->is_branch[c] ? --branch_at : --join_at];
		bool forks = shape->is_branch[c] && branches > 1 && of->step != shape->tree->count;
		bool is_last = shape->is_branch[c] && ++seen == branches;

		*to = (struct pending){c, of->rest, of->rest};
		if (!forks)
			continue;
		to->own = lengthen(shape, of->rest, is_last ? PART_LAST : PART_FORK);
		to->rest = lengthen(shape, of->rest, is_last ? PART_BLANK : PART_BAR);
		if (!to->own.ptr || !to->rest.ptr)
			return false;
	}
	return true;
}

static enum err_code draw_order(const struct shape *shape, struct err *err)
{
	struct live_tree *tree = shape->tree;
	struct pending *stack = arena_new(shape->arena, tree->count + 1, sizeof(*stack));
	struct pending root = {tree->count, STR(""), STR("")};
	uint32_t depth = 0;
	uint32_t lines = 0;

	if (!stack || !push_children(shape, &root, stack, &depth))
		return mem_err(err);
	while (depth) {
		struct pending top = stack[--depth];

		tree->lines[lines++] = top.step;
		tree->nodes[top.step].lead = top.own;
		if (!push_children(shape, &top, stack, &depth))
			return mem_err(err);
	}
	BUG_IF(lines != tree->count);
	return ERR_OK;
}

enum err_code live_tree_build(struct live_tree *tree, struct arena *arena, bool is_utf8,
			      struct err *err)
{
	size_t count = (size_t)tree->count + 1;
	struct shape shape = {
	    .tree = tree,
	    .arena = arena,
	    .parent = arena_new(arena, count, sizeof(*shape.parent)),
	    .depth = arena_new(arena, count, sizeof(*shape.depth)),
	    .first = arena_new(arena, count, sizeof(*shape.first)),
	    .last = arena_new(arena, count, sizeof(*shape.last)),
	    .next = arena_new(arena, count, sizeof(*shape.next)),
	    .is_branch = arena_new(arena, count, sizeof(*shape.is_branch)),
	    .parts = is_utf8 ? utf8_parts : ascii_parts,
	};

	tree->order = arena_new(arena, count, sizeof(*tree->order));
	tree->lines = arena_new(arena, count, sizeof(*tree->lines));
	if (!shape.parent || !shape.depth || !shape.first || !shape.last || !shape.next ||
	    !shape.is_branch || !tree->order || !tree->lines)
		return mem_err(err);
	if (sort(tree, arena, err) != ERR_OK)
		return err->code;
	find_parents(&shape);
	return draw_order(&shape, err);
}
