/* node.h - the values of a YAML file as a tree in one array, each with its place.
 *
 * Made by yaml_read, read by the builder. A node is its index; children are chained by `next`. A
 * mapping's children alternate: key, value, key, value. */
#ifndef LANG_NODE_H
#define LANG_NODE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "lang/diag.h"

#include <stdbool.h>
#include <stdint.h>

#define NODE_NONE UINT32_MAX

enum node_kind {
	NODE_TEXT, /* a scalar */
	NODE_LIST,
	NODE_MAP,
	NODE_BAD,    /* was refused and reported; whoever meets it stays silent */
	NODE_FOLDED, /* a mapping that is not read yet, as its text: see nodes_unfold */
};

struct node {
	union {
		struct str text; /* a scalar or what is folded; need not end in NUL */
		uint32_t count;  /* items of a list, pairs of a mapping */
	};
	uint32_t line, column; /* of its first character, from 1; column in code points */
	uint32_t next;         /* sibling, NODE_NONE at the end */
	bool has_child;        /* the node behind this one is its first child */
	uint8_t kind;          /* enum node_kind */
	bool is_plain;         /* a scalar without quotes: may be a number, a boolean or null */
};

/* There are tens of them for each step of a pipeline. */
_Static_assert(sizeof(struct node) <= 32, "two nodes in a line of the cache");

struct nodes {
	struct arena arena; /* owns the texts that are not in the source as they are */
	struct node *items; /* in order of the file; the root is 0 */
	size_t count, capacity;
	struct map keys;  /* of the mapping with most of them, in their order: key -> its node */
	uint32_t keys_of; /* that mapping; NODE_NONE while all are small */
};

/* An empty tree. */
void nodes_init(struct nodes *nodes);
/* Frees the nodes, and the texts that it owns. */
void nodes_fini(struct nodes *nodes);

/* Read one YAML document. Everything that is wrong goes into `diags`. *ret_is_whole is false when
 * reading stopped before the end (syntax, a limit): then the tree must not be judged. In a whole
 * tree refused values are NODE_BAD, keys of mappings are NODE_TEXT or NODE_BAD, and no text has a
 * NUL. MEMORY. */
MUST_CHECK enum err_code nodes_read(struct nodes *nodes, struct str source, uint64_t depth_max,
				    uint64_t nodes_max, struct diags *diags, bool *ret_is_whole,
				    struct err *err);

/* The same for what lang_freeze writes, many times faster: JSON in its canonical form, without
 * blanks; texts are borrowed from `source`; lines may end behind an opening bracket or a comma, and
 * before a closing bracket. *ret_is_frozen is false, and the tree is empty, when the text is not
 * exactly of that form, or over a limit; nodes_read then reads it, or says what is wrong. MEMORY.
 *
 * `folded`: a key of the root, or NULL. The mappings in the mapping that it has, each on one line,
 * stay NODE_FOLDED: of a million steps the tree has only the names. */
MUST_CHECK enum err_code nodes_read_frozen(struct nodes *nodes, struct str source,
					   const char *folded, uint64_t depth_max,
					   uint64_t nodes_max, bool *ret_is_frozen,
					   struct err *err);

/* Read what is folded in `node` of another tree, a mapping, in the place of all that `nodes` has;
 * its memory stays. *ret_is_frozen is false when the text is not of the form. MEMORY. */
MUST_CHECK enum err_code nodes_unfold(struct nodes *nodes, const struct node *node, uint64_t seed,
				      bool *ret_is_frozen, struct err *err);

/* What a scalar is under the core schema of YAML 1.2 (section 10.3.2). */
enum scalar { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_TEXT };

/* By its text; SCALAR_TEXT when it is quoted, or no scalar. */
enum scalar node_scalar(const struct node *node);
/* A scalar that is null: `~`, `null`, or nothing. */
bool node_is_null(const struct node *node);
/* False when it is no boolean. */
bool node_bool(const struct node *node, bool *ret_value);
/* An integer in decimal, `0o` octal or `0x` hexadecimal that fits int64. */
bool node_i64(const struct node *node, int64_t *ret_value);
/* An integer or a finite float. */
bool node_double(const struct node *node, double *ret_value);
/* For messages: "a list", "the number 3", "the text 'x'". Borrowed from `room`. */
const char *node_about(const struct node *node, char *room, size_t room_bytes);

#endif
