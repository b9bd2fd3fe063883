/* layout_test.c - what must hold of every layout: checked on many random graphs and on the
 * extremes */
#include "support/unit.h"

#include "base/mem.h"
#include "report/layout.h"

#include <stdlib.h>
#include <string.h>

struct drawn {
	struct layout layout;
	size_t lines_capacity;
};

static void drawn_open(struct drawn *drawn, uint32_t boxes, size_t lines_max)
{
	*drawn = (struct drawn){.lines_capacity = lines_max};
	drawn->layout.boxes = mem_new(boxes + 1, sizeof(*drawn->layout.boxes));
	drawn->layout.lines = mem_new(lines_max + 1, sizeof(*drawn->layout.lines));
	assert_non_null(drawn->layout.boxes);
	assert_non_null(drawn->layout.lines);
	drawn->layout.boxes_count = boxes;
	drawn->layout.gap_x = 3;
	drawn->layout.gap_y = 4;
	drawn->layout.bend_width = 1;
	for (uint32_t i = 0; i < boxes; i++) {
		drawn->layout.boxes[i].width = 5 + (int32_t)(i * 7 % 20);
		drawn->layout.boxes[i].height = 3 + (int32_t)(i % 2);
	}
}

static void drawn_close(struct drawn *drawn)
{
	layout_fini(&drawn->layout);
	mem_free(drawn->layout.boxes);
	mem_free(drawn->layout.lines);
}

static void join(struct drawn *drawn, uint32_t from, uint32_t to)
{
	struct layout_line *line = &drawn->layout.lines[drawn->layout.lines_count++];

	assert_true(drawn->layout.lines_count <= drawn->lines_capacity);
	line->from = from;
	line->to = to;
}

static const struct layout *sorting;

static int by_layer_and_x(const void *a, const void *b)
{
	const struct layout_box *left = &sorting->boxes[*(const uint32_t *)a];
	const struct layout_box *right = &sorting->boxes[*(const uint32_t *)b];

	if (left->layer != right->layer)
		return left->layer < right->layer ? -1 : 1;
	return (left->x > right->x) - (left->x < right->x);
}

static void check_boxes(const struct layout *layout)
{
	uint32_t *order = mem_new(layout->boxes_count + 1, sizeof(*order));

	assert_non_null(order);
	for (uint32_t i = 0; i < layout->boxes_count; i++) {
		const struct layout_box *box = &layout->boxes[i];

		order[i] = i;
		assert_true(box->x >= 0 && box->y >= 0);
		assert_true(box->x + box->width <= layout->width);
		assert_true(box->y + box->height <= layout->height);
		assert_true(box->layer < layout->layers_count);
	}
	sorting = layout;
	qsort(order, layout->boxes_count, sizeof(*order), by_layer_and_x);
	for (uint32_t i = 1; i < layout->boxes_count; i++) {
		const struct layout_box *left = &layout->boxes[order[i - 1]];
		const struct layout_box *right = &layout->boxes[order[i]];

		if (left->layer == right->layer) {
			assert_true(left->x + left->width + layout->gap_x <= right->x);
			assert_true(left->place < right->place);
		} else {
			assert_true(left->y + left->height < right->y);
		}
	}
	mem_free(order);
}

static void check_lines(const struct layout *layout)
{
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		const struct layout_line *line = &layout->lines[i];
		const struct layout_box *from = &layout->boxes[line->from];
		const struct layout_box *to = &layout->boxes[line->to];
		const struct layout_point *points = layout->points + line->first;

		assert_true(from->layer < to->layer);
		assert_true(line->count >= 2 && line->first + line->count <= layout->points_count);
		assert_int_equal(points[0].y, from->y + from->height);
		assert_int_equal(points[0].x, from->x + from->width / 2);
		assert_int_equal(points[line->count - 1].x, to->x + to->width / 2);
		assert_int_equal(points[line->count - 1].y, to->y);
		for (uint32_t p = 1; p < line->count; p++) {
			assert_true(points[p].y > points[p - 1].y);
			assert_true(points[p].x >= 0 && points[p].x < layout->width);
			if (p % 2 == 0) /* straight through the layer */
				assert_int_equal(points[p].x, points[p - 1].x);
		}
	}
}

static void find(struct drawn *drawn)
{
	struct err err = ERR_INIT;

	assert_ok(layout_find(&drawn->layout, &err), &err);
	check_boxes(&drawn->layout);
	check_lines(&drawn->layout);
}

static void random_graph(struct drawn *drawn, uint64_t seed)
{
	uint32_t boxes = 1 + (uint32_t)(random_next(&seed) % 60);
	size_t lines = random_next(&seed) % 120;

	drawn_open(drawn, boxes, lines);
	for (size_t i = 0; i < lines && boxes > 1; i++) {
		uint32_t to = 1 + (uint32_t)(random_next(&seed) % (boxes - 1));

		join(drawn, (uint32_t)(random_next(&seed) % to), to);
	}
}

static void random_graphs_have_no_overlaps_and_lines_that_go_down(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct drawn drawn;

		random_graph(&drawn, seed);
		find(&drawn);
		drawn_close(&drawn);
	}
}

static void the_same_graph_gives_the_same_layout(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct drawn a;
		struct drawn b;

		random_graph(&a, seed);
		random_graph(&b, seed);
		find(&a);
		find(&b);
		assert_memory_equal(a.layout.boxes, b.layout.boxes,
				    a.layout.boxes_count * sizeof(*a.layout.boxes));
		assert_int_equal(a.layout.points_count, b.layout.points_count);
		if (a.layout.points_count > 0)
			assert_memory_equal(a.layout.points, b.layout.points,
					    a.layout.points_count * sizeof(*a.layout.points));
		drawn_close(&a);
		drawn_close(&b);
	}
}

static void a_chain_is_one_straight_line(void **unused)
{
	struct drawn drawn;

	(void)unused;
	drawn_open(&drawn, 3000, 3000);
	for (uint32_t i = 0; i < 3000; i++)
		drawn.layout.boxes[i].width = 9;
	for (uint32_t i = 1; i < 3000; i++)
		join(&drawn, i - 1, i);
	find(&drawn);
	assert_int_equal(drawn.layout.layers_count, 3000);
	assert_int_equal(drawn.layout.width, 9);
	drawn_close(&drawn);
}

static void a_line_that_passes_layers_is_straight_there(void **unused)
{
	struct drawn drawn;
	const struct layout_line *line;

	(void)unused;
	drawn_open(&drawn, 8, 8);
	for (uint32_t i = 1; i < 8; i++)
		join(&drawn, i - 1, i);
	join(&drawn, 0, 7);
	find(&drawn);
	line = &drawn.layout.lines[7];
	assert_int_equal(line->count, 2 + 2 * 6);
	for (uint32_t p = 1; p + 1 < line->count; p++)
		assert_int_equal(drawn.layout.points[line->first + p].x,
				 drawn.layout.points[line->first + 1].x);
	drawn_close(&drawn);
}

static void a_wide_fan_is_in_order_below_its_middle(void **unused)
{
	struct drawn drawn;

	(void)unused;
	drawn_open(&drawn, 1002, 2000);
	for (uint32_t i = 1; i <= 1000; i++) {
		join(&drawn, 0, i);
		join(&drawn, i, 1001);
	}
	find(&drawn);
	assert_int_equal(drawn.layout.layers_count, 3);
	for (uint32_t i = 2; i <= 1000; i++)
		assert_true(drawn.layout.boxes[i].x > drawn.layout.boxes[i - 1].x);
	assert_in_range(drawn.layout.boxes[0].x, drawn.layout.width / 2 - 40,
			drawn.layout.width / 2 + 40);
	drawn_close(&drawn);
}

static uint64_t crossings(const struct layout *layout)
{
	uint64_t count = 0;

	for (uint32_t a = 0; a < layout->lines_count; a++) {
		for (uint32_t b = 0; b < a; b++) {
			const struct layout_line *x = &layout->lines[a];
			const struct layout_line *y = &layout->lines[b];
			int64_t above = (int64_t)layout->boxes[x->from].place -
					(int64_t)layout->boxes[y->from].place;
			int64_t below = (int64_t)layout->boxes[x->to].place -
					(int64_t)layout->boxes[y->to].place;

			count += above * below < 0;
		}
	}
	return count;
}

static void crossings_that_can_be_avoided_are(void **unused)
{
	struct drawn drawn;

	(void)unused;
	drawn_open(&drawn, 20, 10); /* ten pairs, written crosswise */
	for (uint32_t i = 0; i < 10; i++)
		join(&drawn, i, 19 - i);
	find(&drawn);
	assert_int_equal(crossings(&drawn.layout), 0);
	drawn_close(&drawn);
	drawn_open(&drawn, 15, 14); /* a tree whose children come in a mixed order */
	for (uint32_t i = 1; i < 15; i++)
		join(&drawn, (i * 5 % 14) / 2 < i ? (i - 1) / 2 : 0, i);
	find(&drawn);
	assert_int_equal(crossings(&drawn.layout), 0);
	drawn_close(&drawn);
}

static void a_source_lies_just_above_what_needs_it(void **unused)
{
	struct drawn drawn;

	(void)unused;
	drawn_open(&drawn, 5, 4);
	join(&drawn, 0, 1);
	join(&drawn, 1, 2);
	join(&drawn, 2, 3);
	join(&drawn, 4, 3);
	find(&drawn);
	assert_int_equal(drawn.layout.boxes[4].layer, 2);
	drawn_close(&drawn);
}

/* Lines over all layers of a deep graph: bends are bounded, what has none is still drawn. */
static void memory_is_bounded_when_every_line_is_long(void **unused)
{
	struct drawn drawn;
	const uint32_t boxes = 4000;

	(void)unused;
	drawn_open(&drawn, boxes, 2 * boxes);
	for (uint32_t i = 1; i < boxes; i++) {
		join(&drawn, i - 1, i);
		join(&drawn, 0, i);
	}
	find(&drawn);
	assert_true(drawn.layout.points_count <= 2 * (LAYOUT_BENDS_MAX + 2 * boxes));
	drawn_close(&drawn);
}

static void nothing_and_one_box_are_drawn(void **unused)
{
	struct drawn drawn;

	(void)unused;
	drawn_open(&drawn, 0, 0);
	find(&drawn);
	assert_int_equal(drawn.layout.width, 0);
	assert_int_equal(drawn.layout.height, 0);
	drawn_close(&drawn);
	drawn_open(&drawn, 1, 0);
	find(&drawn);
	assert_int_equal(drawn.layout.width, drawn.layout.boxes[0].width);
	drawn_close(&drawn);
}

static void circles_and_lines_to_nowhere_are_refused(void **unused)
{
	struct drawn drawn;
	struct err err = ERR_INIT;

	(void)unused;
	drawn_open(&drawn, 3, 3);
	join(&drawn, 0, 1);
	join(&drawn, 1, 2);
	join(&drawn, 2, 0);
	assert_int_equal(layout_find(&drawn.layout, &err), ERR_USAGE);
	drawn.layout.lines[2].to = 3;
	err_reset(&err);
	assert_int_equal(layout_find(&drawn.layout, &err), ERR_USAGE);
	drawn.layout.lines[2].to = 2;
	drawn.layout.lines[2].from = 2; /* to itself */
	err_reset(&err);
	assert_int_equal(layout_find(&drawn.layout, &err), ERR_USAGE);
	drawn.layout.lines_count = 0;
	drawn.layout.boxes_count = LAYOUT_BOXES_MAX + 1;
	err_reset(&err);
	assert_int_equal(layout_find(&drawn.layout, &err), ERR_LIMIT);
	drawn_close(&drawn);
}

static void short_memory_is_an_error_at_every_allocation(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		struct drawn drawn;
		struct err err = ERR_INIT;
		enum err_code code;

		random_graph(&drawn, 7);
		mem_fail_at(nth, 0);
		code = layout_find(&drawn.layout, &err);
		mem_fail_at(0, 0);
		drawn_close(&drawn);
		if (code == ERR_OK) {
			assert_true(nth > 10);
			return;
		}
		assert_int_equal(code, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_graphs_have_no_overlaps_and_lines_that_go_down),
	    cmocka_unit_test(the_same_graph_gives_the_same_layout),
	    cmocka_unit_test(a_chain_is_one_straight_line),
	    cmocka_unit_test(a_line_that_passes_layers_is_straight_there),
	    cmocka_unit_test(a_wide_fan_is_in_order_below_its_middle),
	    cmocka_unit_test(crossings_that_can_be_avoided_are),
	    cmocka_unit_test(a_source_lies_just_above_what_needs_it),
	    cmocka_unit_test(memory_is_bounded_when_every_line_is_long),
	    cmocka_unit_test(nothing_and_one_box_are_drawn),
	    cmocka_unit_test(circles_and_lines_to_nowhere_are_refused),
	    cmocka_unit_test(short_memory_is_an_error_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
