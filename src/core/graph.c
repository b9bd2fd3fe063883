/* graph.c - see graph.h */
#include "core/graph.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>

static size_t edges_of(const struct step *step)
{
	return (size_t)step->needs_count + step->needs_any_count;
}

static uint32_t edge_at(const struct step *step, size_t i)
{
	return i < step->needs_count ? step->needs[i] : step->needs_any[i - step->needs_count];
}

/* Counting sort of the edges by the step that is needed. */
static enum err_code fill_dependents(struct model *model, struct err *err)
{
	size_t n = model->steps_count;
	size_t edges = 0;
	uint32_t *at;

	for (size_t i = 0; i < n; i++)
		edges += edges_of(&model->steps[i]);
	if (edges > UINT32_MAX) /* not reached: needs 16 GiB of definition */
		return err_set(err, ERR_LIMIT, "more than %u dependencies", UINT32_MAX);
	at = arena_new(&model->arena, n + 2, sizeof(*at));
	model->dependents = arena_new(&model->arena, edges + 1, sizeof(*model->dependents));
	model->dependent_is_any = arena_new(&model->arena, edges + 1, sizeof(bool));
	if (!at || !model->dependents || !model->dependent_is_any)
		return mem_err(err);
	for (size_t i = 0; i < n; i++) {
		for (size_t e = 0; e < edges_of(&model->steps[i]); e++)
			at[edge_at(&model->steps[i], e) + 2]++;
	}
	for (size_t i = 2; i < n + 2; i++)
		at[i] += at[i - 1];
	for (size_t i = 0; i < n; i++) {
		for (size_t e = 0; e < edges_of(&model->steps[i]); e++) {
			uint32_t slot = at[edge_at(&model->steps[i], e) + 1]++;

			model->dependents[slot] = (uint32_t)i;
			model->dependent_is_any[slot] = e >= model->steps[i].needs_count;
		}
	}
	model->dependents_at = at;
	return ERR_OK;
}

/* The first need of a step without an order that has none either. */
static uint32_t need_on_cycle(const struct step *step, const uint32_t *degree)
{
	size_t e = 0;

	while (!degree[edge_at(step, e)]) {
		e++;
		BUG_IF(e == edges_of(step)); /* what has no order needs something that has none */
	}
	return edge_at(step, e);
}

/* From a step on or behind a cycle walk needs that are themselves unordered until one comes twice:
 * that one is on the cycle. */
static uint32_t step_on_cycle(const struct model *model, uint32_t from, const uint32_t *degree,
			      uint8_t *seen)
{
	while (!seen[from]) {
		seen[from] = 1;
		from = need_on_cycle(&model->steps[from], degree);
	}
	return from;
}

static enum err_code report_cycle(const struct model *model, const uint32_t *degree, uint8_t *seen,
				  uint32_t *ret_cycle, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	uint32_t first = 0;
	uint32_t at;

	while (!degree[first])
		first++;
	first = step_on_cycle(model, first, degree, seen);
	at = first;
	buf_str(&text, model->steps[first].id);
	do { /* each step on the walk needs the next one */
		at = need_on_cycle(&model->steps[at], degree); /* as step_on_cycle: so it closes */
		buf_fmt(&text, " -> %.*s", STR_ARG(model->steps[at].id));
	} while (at != first);
	*ret_cycle = first;
	return err_set(err, ERR_INVALID, "steps need each other in a circle: %.*s",
		       STR_ARG(buf_view(&text)));
}

/* Kahn's algorithm; a step becomes ready in the order of the file. */
enum err_code graph_build(struct model *model, uint32_t *ret_cycle, struct err *err)
{
	size_t n = model->steps_count;
	AUTO(mem_drop) uint32_t *degree = mem_new(n, sizeof(*degree));
	AUTO(mem_drop) uint8_t *seen = mem_new(n, 1);
	size_t done = 0;
	size_t ready = 0;

	if (!degree || !seen)
		return mem_err(err);
	if (fill_dependents(model, err) != ERR_OK)
		return err->code;
	model->order = arena_new(&model->arena, n + 1, sizeof(*model->order));
	if (!model->order)
		return mem_err(err);
	for (uint32_t i = 0; i < n; i++) {
		degree[i] = (uint32_t)edges_of(&model->steps[i]);
		if (degree[i] == 0)
			model->order[ready++] = i;
	}
	while (done < ready) {
		uint32_t from = model->order[done++];

		for (uint32_t d = model->dependents_at[from]; d < model->dependents_at[from + 1];
		     d++) {
			if (--degree[model->dependents[d]] == 0)
				model->order[ready++] = model->dependents[d];
		}
	}
	return done == n ? ERR_OK : report_cycle(model, degree, seen, ret_cycle, err);
}

/* Mark a step that was not reached yet, and queue it. */
static void mark(uint32_t step, uint8_t *marks, uint32_t *queue, size_t *tail)
{
	if (marks[step])
		return;
	marks[step] = 1;
	queue[(*tail)++] = step;
}

void graph_mark_upstream(const struct model *model, uint32_t from, uint8_t *marks, uint32_t *queue)
{
	size_t head = 0;
	size_t tail = 0;

	mark(from, marks, queue, &tail);
	while (head < tail) {
		const struct step *step = &model->steps[queue[head++]];

		for (size_t e = 0; e < edges_of(step); e++)
			mark(edge_at(step, e), marks, queue, &tail);
	}
}

void graph_mark_downstream(const struct model *model, uint32_t from, uint8_t *marks,
			   uint32_t *queue)
{
	size_t head = 0;
	size_t tail = 0;

	mark(from, marks, queue, &tail);
	while (head < tail) {
		uint32_t at = queue[head++];

		for (uint32_t d = model->dependents_at[at]; d < model->dependents_at[at + 1]; d++)
			mark(model->dependents[d], marks, queue, &tail);
	}
}
