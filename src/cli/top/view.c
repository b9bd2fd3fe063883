/* view.c - see view.h */
#include "cli/top/view.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/escape.h"

#include <stdarg.h>

#define PIPELINE_COLUMNS 20
#define RUN_COLUMNS      26
#define STATE_COLUMNS    12
#define STEP_COLUMNS     34
#define BAR_CELLS        10
#define WIDE_COLUMNS     100 /* from here on there are bars */
#define SMALL_COLUMNS    70  /* below there are no names of pipelines */

static void put_fmt(const struct top_out *out, enum top_style style, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void put_fmt(const struct top_out *out, enum top_style style, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	out->put(out->arg, style, buf_view(&text));
}

/* On one line, as a terminal may show it. */
static void put_outside(const struct top_out *out, enum top_style style, struct str text)
{
	AUTO(buf_fini) struct buf shown = BUF_INIT;

	(void)escape_put(&shown, text, true);
	for (size_t i = 0; i < shown.len; i++) {
		if (shown.ptr[i] == '\n' || shown.ptr[i] == '\t')
			shown.ptr[i] = ' ';
	}
	out->put(out->arg, style, buf_view(&shown));
}

/* A name of ours (ASCII), in a column: cut, or followed by blanks. */
static void put_column(const struct top_out *out, enum top_style style, struct str text,
		       int columns)
{
	size_t len = text.len < (size_t)columns - 1 ? text.len : (size_t)columns - 1;

	put_fmt(out, style, "%-*.*s", columns, (int)len, text.ptr);
}

static void put_taken(const struct top_out *out, enum top_style style, int64_t ms)
{
	int64_t seconds = ms > 0 ? ms / 1000 : 0;

	if (seconds < 60)
		put_fmt(out, style, "%6llds  ", (long long)seconds);
	else if (seconds < 3600)
		put_fmt(out, style, "%3lldm%02llds  ", (long long)seconds / 60,
			(long long)seconds % 60);
	else
		put_fmt(out, style, "%3lldh%02lldm  ", (long long)seconds / 3600,
			(long long)seconds / 60 % 60);
}

static const struct {
	const char *state;
	enum top_style style;
	const char *utf8, *ascii; /* of a step */
} states[] = {
    {"success", TOP_GOOD, "", ""},     {"partial", TOP_WARN, "", ""},
    {"stopped", TOP_DIM, "", ""},      {"rolled_back", TOP_DIM, "", ""},
    {"blocked", TOP_WARN, "", ""},     {"interrupted", TOP_BAD, "", ""},
    {"corrupt", TOP_BAD, "", ""},      {"executing", TOP_BOLD, "", ""},
    {"succeeded", TOP_GOOD, "✓", "+"}, {"failed", TOP_BAD, "✗", "x"},
    {"running", TOP_BOLD, "▸", ">"},   {"waiting", TOP_WARN, "?", "?"},
    {"skipped", TOP_DIM, "–", "-"},    {"compensated", TOP_DIM, "↶", "<"},
    {"pending", TOP_DIM, "·", "."},
};

static size_t find_state(struct str state)
{
	size_t i = 0;

	while (i < ARRAY_LEN(states) - 1 && !str_is(state, states[i].state))
		i++;
	return i;
}

/* A screen of usual width has no place for bars, a small one none for the names of pipelines. */
static bool has_bars(const struct top_out *out)
{
	return out->columns == 0 || out->columns >= WIDE_COLUMNS;
}

static int pipeline_columns(const struct top_out *out)
{
	if (has_bars(out))
		return PIPELINE_COLUMNS;
	return out->columns >= SMALL_COLUMNS ? PIPELINE_COLUMNS - 8 : 0;
}

void top_view_heading(const struct top_out *out)
{
	put_fmt(out, TOP_DIM, "%-*s", RUN_COLUMNS, "RUN");
	if (pipeline_columns(out) > 0)
		put_fmt(out, TOP_DIM, "%-*s", pipeline_columns(out), "PIPELINE");
	put_fmt(out, TOP_DIM, "%-*s%7s  %-*s%s", STATE_COLUMNS, "STATE", "TIME",
		has_bars(out) ? BAR_CELLS + 9 : 8, "STEPS", "NOW");
}

/* Done steps as part of a bar, then as numbers. */
static void put_bar(const struct top_out *out, const struct top_run *run)
{
	uint32_t over = run->done + run->failed;
	uint32_t cells = run->steps ? (uint32_t)((uint64_t)over * BAR_CELLS / run->steps) : 0;

	for (uint32_t i = 0; has_bars(out) && i < BAR_CELLS; i++)
		put_fmt(out, i < cells ? TOP_GOOD : TOP_DIM, "%s",
			i < cells      ? out->is_utf8 ? "█" : "#"
			: out->is_utf8 ? "░"
				       : ".");
	put_fmt(out, TOP_PLAIN, has_bars(out) ? " %3u/%-3u " : "%3u/%-3u ", over, run->steps);
	if (run->failed)
		put_fmt(out, TOP_BAD, "%u failed ", run->failed);
}

void top_view_run(const struct top_out *out, const struct top_run *run)
{
	size_t state = find_state(run->state);

	put_column(out, TOP_PLAIN, run->id, RUN_COLUMNS);
	if (pipeline_columns(out) > 0)
		put_column(out, TOP_PLAIN, run->pipeline, pipeline_columns(out));
	put_column(out, states[state].style, run->state, STATE_COLUMNS);
	put_taken(out, TOP_PLAIN,
		  run->is_active ? out->now_ms - run->started_ms : run->duration_ms);
	if (run->is_active) {
		put_bar(out, run);
		put_outside(out, TOP_PLAIN, run->active);
		return;
	}
	put_outside(out, TOP_DIM, run->reason);
}

void top_view_detail(const struct top_out *out, const struct top_detail *detail)
{
	put_outside(out, TOP_BOLD, detail->pipeline);
	put_fmt(out, states[find_state(detail->state)].style, "  %.*s", STR_ARG(detail->state));
	put_fmt(out, TOP_PLAIN, "  ");
	put_outside(out, TOP_DIM, detail->reason);
}

void top_view_step(const struct top_out *out, const struct top_detail *detail, uint32_t index)
{
	const struct live_node *node = &detail->tree.nodes[index];
	const struct top_step *step = &detail->steps[index];
	size_t state = find_state(step->state);
	bool is_running = str_is(step->state, "running");
	int columns = STEP_COLUMNS;

	for (size_t i = 0; i < node->lead.len; i++)
		columns -= ((unsigned char)node->lead.ptr[i] & 0xc0) != 0x80;
	out->put(out->arg, TOP_DIM, node->lead);
	put_fmt(out, states[state].style, "%s ",
		out->is_utf8 ? states[state].utf8 : states[state].ascii);
	put_column(out, TOP_PLAIN, node->id, columns > 12 ? columns : 12);
	put_column(out, states[state].style, step->state, STATE_COLUMNS);
	if (is_running && step->started_ms)
		put_taken(out, TOP_PLAIN, out->now_ms - step->started_ms);
	else if (step->duration_ms >= 0)
		put_taken(out, TOP_DIM, step->duration_ms);
	if (step->attempt)
		put_fmt(out, TOP_PLAIN, "attempt %u  ", step->attempt);
	if (step->error_class.len)
		put_fmt(out, TOP_BAD, "[%.*s] ", STR_ARG(step->error_class));
	put_outside(out, TOP_DIM, step->reason);
}

void top_view_output(const struct top_out *out, struct str line)
{
	put_outside(out, TOP_PLAIN, line);
}
