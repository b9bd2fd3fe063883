/* live_tree_test.c - the shape of the live tree */
#include "cli/live/tree.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define STEPS_MAX 26
#define NEEDS_MAX 8

/* "a b:a c:a d:bc": steps of one letter, with the letters that they need. The lines, as they are
 * drawn. */
static char *drawn(const char *steps, char text[1024])
{
	static struct live_node nodes[STEPS_MAX];
	static uint32_t needs[STEPS_MAX][NEEDS_MAX];
	static char ids[STEPS_MAX];
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct live_tree tree = {.nodes = nodes};
	struct err err = ERR_INIT;

	memset(nodes, 0, sizeof(nodes));
	for (const char *at = steps; *at; at += *at == ' ') {
		uint32_t step = tree.count++;

		ids[step] = *at++;
		nodes[step] =
		    (struct live_node){.id = str_from(&ids[step], 1), .needs = needs[step]};
		for (at += *at == ':'; *at && *at != ' '; at++) {
			const char *need = memchr(ids, *at, sizeof(ids));

			nodes[step].needs[nodes[step].needs_count++] = (uint32_t)(need - ids);
		}
	}
	if (live_tree_build(&tree, &arena, false, &err) != ERR_OK)
		return strcpy(text, err_name(err.code));
	text[0] = '\0';
	for (uint32_t i = 0; i < tree.count; i++) {
		const struct live_node *node = &nodes[tree.lines[i]];

		(void)strncat(text, node->lead.ptr, node->lead.len);
		(void)strncat(text, node->id.ptr, 1);
		(void)strcat(text, "\n");
	}
	return text;
}

#define assert_drawn(steps, lines) \
	do { \
		char text_[1024]; \
		assert_string_equal(drawn(steps, text_), lines); \
	} while (0)

static void a_chain_stays_at_the_edge(void **state)
{
	(void)state;
	assert_drawn("a b:a c:b", "a\nb\nc\n");
}

static void steps_without_needs_stay_at_the_edge(void **state)
{
	(void)state;
	assert_drawn("a b c:a", "a\nc\nb\n");
}

static void what_follows_one_step_is_its_branches(void **state)
{
	(void)state;
	assert_drawn("a b:a c:a d:b", "a\n|- b\n|  d\n`- c\n");
}

static void what_joins_branches_stands_where_they_parted(void **state)
{
	(void)state;
	assert_drawn("a b:a c:a d:bc e:d", "a\n|- b\n`- c\nd\ne\n");
	assert_drawn("a b:a c:a d:b e:b f:de g:fc", "a\n|- b\n|  |- d\n|  `- e\n|  f\n`- c\ng\n");
}

static void a_join_of_roots_follows_them(void **state)
{
	(void)state;
	assert_drawn("a b c:ab", "a\nb\nc\n");
}

static void a_step_and_what_it_needs_may_both_be_needed(void **state)
{
	(void)state;
	assert_drawn("a b:a c:ab", "a\nb\nc\n");
}

static void the_order_of_the_file_does_not_matter_for_needs(void **state)
{
	(void)state;
	assert_drawn("a b:a", "a\nb\n");
	assert_drawn("", "");
}

static void a_circle_is_refused(void **state)
{
	(void)state;
	assert_drawn("a:a", "CORRUPT");
}

/* Each step has a line, whatever the graph: the leads of a chain of forks stop growing. */
static void every_step_has_one_line(void **state)
{
	enum { DEEP = 400 };
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct live_node *nodes = calloc(2 * DEEP, sizeof(*nodes));
	uint32_t *needs = calloc(2 * DEEP, sizeof(*needs));
	bool seen[2 * DEEP] = {false};
	struct live_tree tree = {.nodes = nodes, .count = 2 * DEEP};
	struct err err = ERR_INIT;

	(void)state;
	for (uint32_t i = 0; i < 2 * DEEP; i++) {
		needs[i] = i < 2 ? 0 : (i / 2 - 1) * 2;
		nodes[i] = (struct live_node){STR("s"), &needs[i], i > 0, STR_NONE};
	}
	assert_int_equal(live_tree_build(&tree, &arena, true, &err), ERR_OK);
	for (uint32_t i = 0; i < 2 * DEEP; i++) {
		assert_false(seen[tree.lines[i]]);
		seen[tree.lines[i]] = true;
		assert_true(nodes[i].lead.len < 128);
	}
	free(nodes);
	free(needs);
}

static bool is_read(const char *steps, struct live_tree *tree, struct arena *arena)
{
	struct map index;
	bool read;

	map_init(&index, 0);
	read = live_tree_read(tree, arena, &index, str_of(steps));
	map_fini(&index);
	return read;
}

static void steps_of_a_status_are_read_in_the_order_of_the_file(void **state)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct live_tree tree = {.nodes = NULL};

	(void)state;
	assert_true(is_read("[{\"step_id\":\"b\",\"position\":1,\"needs\":[\"a\"],"
			    "\"needs_any\":[\"c\"]},"
			    "{\"step_id\":\"a\",\"position\":0},"
			    "{\"step_id\":\"c\",\"position\":2}]",
			    &tree, &arena));
	assert_int_equal(tree.count, 3);
	assert_true(str_is(tree.nodes[0].id, "a"));
	assert_int_equal(tree.nodes[1].needs_count, 2);
	assert_int_equal(tree.nodes[1].needs[0], 0);
	assert_int_equal(tree.nodes[1].needs[1], 2);
	assert_true(is_read("[]", &tree, &arena));
	assert_int_equal(tree.count, 0);
	assert_true(is_read("", &tree, &arena));
}

static void steps_that_no_version_wrote_are_refused(void **state)
{
	static const char *const wrong[] = {
	    "[{\"step_id\":\"a\"}]",
	    "[{\"step_id\":\"a\",\"position\":1}]",
	    "[{\"step_id\":\"a\",\"position\":-1}]",
	    "[{\"step_id\":\"a\",\"position\":0},{\"step_id\":\"b\",\"position\":0}]",
	    "[{\"step_id\":\"a\",\"position\":0},{\"step_id\":\"a\",\"position\":1}]",
	    "[{\"step_id\":\"a\",\"position\":0,\"needs\":[\"b\"]}]",
	    "[{\"step_id\":\"a\",\"position\":0,\"needs\":[7]}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(arena_fini) struct arena arena = ARENA_INIT;
		struct live_tree tree = {.nodes = NULL};

		assert_false(is_read(wrong[i], &tree, &arena));
	}
}

static void members_are_read_or_have_a_value_that_says_so(void **state)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str object = STR("{\"text\":\"a\\nb\",\"plain\":\"c\",\"number\":-5,"
				"\"at\":\"1970-01-01T00:00:01.500Z\",\"none\":null}");

	(void)state;
	assert_true(str_is(member_text(&arena, object, "text"), "a\nb"));
	assert_true(str_is(member_text(&arena, object, "none"), ""));
	assert_non_null(member_text(&arena, STR_NONE, "text").ptr);
	assert_null(member_plain(object, "text").ptr);
	assert_true(str_is(member_plain(object, "plain"), "c"));
	assert_null(member_plain(STR_NONE, "plain").ptr);
	assert_int_equal(member_number(object, "number", 7), -5);
	assert_int_equal(member_number(object, "plain", 7), 7);
	assert_int_equal(member_number(STR_NONE, "number", 7), 7);
	assert_int_equal(member_stamp(object, "at"), 1500);
	assert_int_equal(member_stamp(object, "plain"), 0);
	assert_int_equal(item_count(STR("[1,[2,3],{}]")), 3);
	assert_int_equal(item_count(STR_NONE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_chain_stays_at_the_edge),
	    cmocka_unit_test(steps_without_needs_stay_at_the_edge),
	    cmocka_unit_test(what_follows_one_step_is_its_branches),
	    cmocka_unit_test(what_joins_branches_stands_where_they_parted),
	    cmocka_unit_test(a_join_of_roots_follows_them),
	    cmocka_unit_test(a_step_and_what_it_needs_may_both_be_needed),
	    cmocka_unit_test(the_order_of_the_file_does_not_matter_for_needs),
	    cmocka_unit_test(a_circle_is_refused),
	    cmocka_unit_test(every_step_has_one_line),
	    cmocka_unit_test(steps_of_a_status_are_read_in_the_order_of_the_file),
	    cmocka_unit_test(steps_that_no_version_wrote_are_refused),
	    cmocka_unit_test(members_are_read_or_have_a_value_that_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
