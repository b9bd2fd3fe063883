/* frozen_test.c - the fast reader of frozen definitions reads what the reader of YAML reads, or
 * leaves it to that one (S9.3) */
#include "base/buf.h"
#include "base/mem.h"
#include "lang/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

struct both {
	struct nodes fast, slow;
	bool is_frozen; /* the fast one took it */
	bool is_whole;  /* the slow one took it, without a complaint */
};

static void both_read(struct both *both, struct str text)
{
	struct err err = ERR_INIT;
	struct diags diags;

	nodes_init(&both->fast);
	nodes_init(&both->slow);
	diags_init(&diags, 10);
	assert_int_equal(nodes_read_frozen(&both->fast, text, NULL, UINT32_MAX, UINT32_MAX,
					   &both->is_frozen, &err),
			 ERR_OK);
	assert_int_equal(
	    nodes_read(&both->slow, text, UINT32_MAX, UINT32_MAX, &diags, &both->is_whole, &err),
	    ERR_OK);
	both->is_whole = both->is_whole && diags.count == 0;
	diags_fini(&diags);
}

static void both_fini(struct both *both)
{
	nodes_fini(&both->fast);
	nodes_fini(&both->slow);
}

static bool is_same(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && a->line == b->line && a->column == b->column &&
	       a->has_child == b->has_child && a->next == b->next && a->is_plain == b->is_plain &&
	       (a->kind == NODE_TEXT ? str_eq(a->text, b->text) : a->count == b->count);
}

/* Are the nodes those of `whole` from *at on? Moves *at. */
static void same_kinds(const struct nodes *nodes, const struct nodes *whole, size_t *at)
{
	for (size_t i = 0; i < nodes->count; i++, (*at)++) {
		const struct node *a = &nodes->items[i];
		const struct node *b = &whole->items[*at];

		if (*at >= whole->count)
			continue;
		assert_true(a->kind == b->kind && a->line == b->line && a->column == b->column &&
			    (a->kind == NODE_TEXT ? str_eq(a->text, b->text)
						  : a->has_child == b->has_child));
	}
}

/* The nodes, and what is folded among them, are those of `whole`; *at is how many they are. False
 * when something folded is not of the form. */
static bool unfolds_to(const struct nodes *nodes, const struct nodes *whole, size_t *at)
{
	AUTO(nodes_fini) struct nodes part;
	struct err err = ERR_INIT;
	bool is_frozen = true;

	nodes_init(&part);
	for (size_t i = 0; i < nodes->count && is_frozen; i++) {
		if (nodes->items[i].kind == NODE_FOLDED) {
			assert_int_equal(nodes_unfold(&part, &nodes->items[i], 1, &is_frozen, &err),
					 ERR_OK);
			if (is_frozen)
				same_kinds(&part, whole, at);
		} else {
			const struct nodes one = {.items = &nodes->items[i], .count = 1};

			same_kinds(&one, whole, at);
		}
	}
	return is_frozen;
}

/* Folded and unfolded again it is the same; lines may not end in what is folded. */
static void folds(const struct both *both, struct str text)
{
	AUTO(nodes_fini) struct nodes nodes;
	struct err err = ERR_INIT;
	bool is_frozen;
	size_t at = 0;

	nodes_init(&nodes);
	assert_int_equal(
	    nodes_read_frozen(&nodes, text, "steps", UINT32_MAX, UINT32_MAX, &is_frozen, &err),
	    ERR_OK);
	is_frozen = is_frozen && unfolds_to(&nodes, &both->fast, &at);
	if (is_frozen && (!both->is_frozen || at != both->fast.count))
		fail_msg("differs when it is folded: %.*s", STR_ARG(text));
	if (!is_frozen && both->is_frozen && !str_has(text, '\n'))
		fail_msg("not taken when it is folded: %.*s", STR_ARG(text));
}

/* What the fast one takes the slow one takes, and reads the same. */
static void agree(const struct both *both, struct str text)
{
	folds(both, text);
	if (!both->is_frozen) {
		assert_int_equal(both->fast.count, 0);
		return;
	}
	if (!both->is_whole || both->fast.count != both->slow.count)
		fail_msg("the readers differ: %.*s", STR_ARG(text));
	for (size_t i = 0; i < both->fast.count; i++) {
		if (!is_same(&both->fast.items[i], &both->slow.items[i]))
			fail_msg("node %zu differs: %.*s", i, STR_ARG(text));
	}
}

static const char *const frozen[] = {
    "{}",
    "{\"a\":1}",
    "{\"a\":\"\",\"b\":[],\"c\":{},\"d\":[[],{},[{}]],\"e\":{\"f\":{\"g\":[1,2]}}}",
    "{\"a\":[true,false,null,0,-1,1.5,-2.5e+300,1e16,9007199254740993]}",
    "{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u0085\\u2028\\ufeff\\uffff\"}",
    "{\"\xC3\xA9\":\"\xE2\x82\xAC\xF0\x9F\x98\x80\",\"b\":\"\xC3\xA9\\n\",\"c\":{\"d\":true}}",
    "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,"
    "\"l\":12,\"m\":13,\"n\":14}",
    "{\"p\":1,\"steps\":{\"a\":{\"run\":\"}{\\\"{\",\"n\":{\"m\":[{}]}},\"b\":[{}],\"\xC3\xA9\":{},"
    "\"c\":{\"d\":\"\xC3\xA9\",\"e\":1}},\"q\":{\"r\":{}}}",
    "{\"steps\":{\"a\":{\"steps\":{\"b\":{}}},\n\"c\":{\"d\":[1,\n2]}}}",
    "{\n\"a\":1,\n\"b\":{\n\"\xC3\xA9\":[\n1,\n\n2],\"d\":3}\n}\n\n",
    "{\"<<\":1,\"x\":{\"<<\":[\"<<\"]},\"\":\"\",\"~\":null,\"run\":\"echo '${run.id}' # no: "
    "comment, {x}\"}",
};

static void the_fast_reader_reads_what_the_reader_of_yaml_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frozen); i++) {
		struct str text = str_of(frozen[i]);
		struct both both;

		both_read(&both, text);
		if (!both.is_frozen || !both.is_whole)
			fail_msg("not taken: %s", frozen[i]);
		agree(&both, text);
		both_fini(&both);
	}
}

/* Each byte of each text replaced, left out, put in twice; each start of it. */
static void a_damaged_frozen_form_is_never_read_differently(void **state)
{
	static const char bytes[] = "{}[]:,\"\\ \n\t#&*!|>'%@`~-0a\x01\x7F\xC3\xA9\xFF";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frozen); i++) {
		size_t len = strlen(frozen[i]);
		char text[512];

		assert_true(len + 1 < sizeof(text));
		for (size_t at = 0; at < len; at++) {
			struct both both;

			for (size_t edit = 0; edit < sizeof(bytes) + 2; edit++) {
				size_t now = len;

				memcpy(text, frozen[i], len + 1);
				if (edit < sizeof(bytes)) {
					text[at] = bytes[edit];
				} else if (edit == sizeof(bytes)) {
					memmove(text + at, text + at + 1, len - at);
					now--;
				} else {
					memmove(text + at + 1, text + at, len - at + 1);
					now++;
				}
				both_read(&both, str_from(text, now));
				agree(&both, str_from(text, now));
				both_fini(&both);
			}
			both_read(&both, str_from(frozen[i], at));
			agree(&both, str_from(frozen[i], at));
			assert_true(!both.is_frozen || frozen[i][at] == '\n');
			both_fini(&both);
		}
	}
}

static void what_is_not_canonical_is_left_to_the_reader_of_yaml(void **state)
{
	static const char *const texts[] = {
	    "",
	    " {}",
	    "{} ",
	    "\n{}",
	    "{\"a\"\n:1}",
	    "{\"a\":\n1}",
	    "{\"a\":1\n,\"b\":2}",
	    "{\"a\":1,\n \"b\":2}",
	    "{\"a\":\"\n\"}",
	    "{\"a\": 1}",
	    "{\"a\":1 }",
	    "{\"a\":1,}",
	    "{\"a\":[1,]}",
	    "{a:1}",
	    "{\"a\":b}",
	    "{\"a\":'b'}",
	    "[1]",
	    "{\"a\":1,\"a\":2}",
	    "{\"a\":1,\"\\u0061\":2}",
	    "{\"a\":\"\\u0000\"}",
	    "{\"a\":\"\\ud83d\\ude00\"}",
	    "{\"a\":\"\\ud800\"}",
	    "{\"a\":\"\xE2\x80\xA8\"}",
	    "{\"a\":1}{}",
	    "{\"a\"}",
	    "{1:2}",
	    "{\"a\":01}",
	    "a: 1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct both both;

		both_read(&both, str_of(texts[i]));
		if (both.is_frozen)
			fail_msg("taken: %s", texts[i]);
		agree(&both, str_of(texts[i]));
		both_fini(&both);
	}
}

static void a_deep_frozen_form_costs_no_stack(void **state)
{
	const size_t depth = 5000;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct both both;

	(void)state;
	buf_text(&text, "{\"a\":");
	for (size_t i = 0; i < depth; i++)
		buf_byte(&text, '[');
	for (size_t i = 0; i < depth; i++)
		buf_byte(&text, ']');
	buf_byte(&text, '}');
	both_read(&both, buf_view(&text));
	assert_true(both.is_frozen);
	assert_int_equal(both.fast.count, depth + 2);
	both_fini(&both);
}

static void what_is_over_a_limit_is_left_to_the_reader_of_yaml(void **state)
{
	struct str text = STR("{\"a\":[[1]]}"); /* five nodes, three levels */
	struct err err = ERR_INIT;

	(void)state;
	for (uint64_t nodes_max = 1; nodes_max < 8; nodes_max++) {
		for (uint64_t depth_max = 1; depth_max < 6; depth_max++) {
			struct nodes nodes;
			bool is_frozen;

			nodes_init(&nodes);
			assert_int_equal(nodes_read_frozen(&nodes, text, NULL, depth_max, nodes_max,
							   &is_frozen, &err),
					 ERR_OK);
			assert_int_equal(is_frozen, nodes_max >= 5 && depth_max >= 3);
			assert_int_equal(nodes.count, is_frozen ? 5 : 0);
			nodes_fini(&nodes);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_fast_reader_reads_what_the_reader_of_yaml_reads),
	    cmocka_unit_test(a_damaged_frozen_form_is_never_read_differently),
	    cmocka_unit_test(what_is_not_canonical_is_left_to_the_reader_of_yaml),
	    cmocka_unit_test(what_is_over_a_limit_is_left_to_the_reader_of_yaml),
	    cmocka_unit_test(a_deep_frozen_form_costs_no_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
