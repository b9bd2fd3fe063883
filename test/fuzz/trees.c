/* trees.c - the two readers of pipeline texts, that of YAML and the quick one of frozen forms: what
 * the quick one takes, the other takes without a word, and both make the same tree of it. */
#include "base/mem.h"
#include "fuzz.h"
#include "lang/node.h"

static bool is_same(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && a->line == b->line && a->column == b->column &&
	       a->has_child == b->has_child && a->next == b->next && a->is_plain == b->is_plain &&
	       (a->kind == NODE_TEXT ? str_eq(a->text, b->text) : a->count == b->count);
}

/* Every node is reached once from the root, over first children and `next`. */
static size_t reached(const struct nodes *nodes, uint32_t index, size_t depth)
{
	size_t count = 0;

	BUG_IF(depth > 300);
	for (; index != NODE_NONE && count <= nodes->count; index = nodes->items[index].next) {
		const struct node *node = &nodes->items[index];
		uint32_t child = node->has_child ? index + 1 : NODE_NONE;
		uint32_t children = 0;

		BUG_IF(index >= nodes->count || node->line == 0 || node->column == 0);
		count += 1 + reached(nodes, child, depth + 1);
		for (uint32_t at = child; at != NODE_NONE; at = nodes->items[at].next)
			children++;
		BUG_IF(node->kind == NODE_LIST && children != node->count);
		BUG_IF(node->kind == NODE_MAP && children != 2 * node->count);
		BUG_IF(node->kind == NODE_TEXT && (children > 0 || !utf8_valid(node->text)));
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	uint64_t depth_max = byte_next(&bytes);
	uint64_t nodes_max = byte_next(&bytes) * UINT64_C(4) + 1;
	struct str text = text_next(&bytes, bytes.left);
	AUTO(nodes_fini) struct nodes quick;
	AUTO(nodes_fini) struct nodes slow;
	AUTO(diags_fini) struct diags diags;
	struct err err = ERR_INIT;
	bool is_frozen = false;
	bool is_whole = false;

	nodes_init(&quick);
	nodes_init(&slow);
	diags_init(&diags, 10);
	BUG_IF(nodes_read_frozen(&quick, text, NULL, depth_max, nodes_max, &is_frozen, &err) !=
	       ERR_OK);
	BUG_IF(nodes_read(&slow, text, depth_max, nodes_max, &diags, &is_whole, &err) != ERR_OK);
	BUG_IF(!is_whole && diags.count == 0);
	if (is_whole && slow.count > 0)
		BUG_IF(reached(&slow, 0, 0) != slow.count || slow.count > nodes_max);
	if (!is_frozen) {
		BUG_IF(quick.count > 0);
		return 0;
	}
	BUG_IF(!is_whole || diags.count > 0 || quick.count != slow.count);
	for (size_t i = 0; i < quick.count; i++)
		BUG_IF(!is_same(&quick.items[i], &slow.items[i]));
	return 0;
}
