/* progress.c - see progress.h */
#include "cli/live/progress.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/live/live.h"
#include "cli/live/phrase.h"
#include "cli/print.h"
#include "cli/live/row.h"
#include "sys/clock.h"
#include "sys/terminal.h"

#include <string.h>

#define ERR_FD         2
#define ROWS_MAX       200
#define LIVE_LINES_MAX 10 /* without a tree: further running steps are only counted */
#define SHORTEST_LINE  20
#define ID_BYTES_MAX   64 /* of a step, without indexes of a map */

struct active {
	char *step;
	uint32_t attempt;
	int64_t since_ns; /* boot time */
	bool is_waiting;  /* for a person */
};

struct progress {
	enum progress_kind kind;
	struct active *active; /* in the order in which they started */
	size_t active_count, active_capacity;
	char **failed;
	size_t failed_count, failed_capacity;
	struct live *live;         /* the tree; NULL: running steps are told of in lines */
	unsigned widths[ROWS_MAX]; /* of the live lines on the screen */
	unsigned drawn;            /* how many there are */
	bool is_live;
	struct buf text;
};

struct progress *progress_new(enum progress_kind kind)
{
	struct progress *progress = mem_new(1, sizeof(*progress));

	if (!progress)
		return NULL;
	progress->kind = kind;
	progress->is_live = kind == PROGRESS_USUAL && print_is_live();
	return progress;
}

void progress_free(struct progress *progress)
{
	if (!progress)
		return;
	for (size_t i = 0; i < progress->active_count; i++)
		mem_free(progress->active[i].step);
	for (size_t i = 0; i < progress->failed_count; i++)
		mem_free(progress->failed[i]);
	mem_free(progress->active);
	mem_free(progress->failed);
	live_free(progress->live);
	buf_fini(&progress->text);
	mem_free(progress);
}

const char *progress_failed(const struct progress *progress, size_t i)
{
	return i < progress->failed_count ? progress->failed[i] : NULL;
}

/* ------------------------------------------------------------------------ what is active */

static size_t find_active(const struct progress *progress, struct str step)
{
	size_t i = 0;

	while (i < progress->active_count && !str_is(step, progress->active[i].step))
		i++;
	return i;
}

static void drop_active(struct progress *progress, struct str step)
{
	size_t i = find_active(progress, step);

	if (i == progress->active_count)
		return;
	mem_free(progress->active[i].step);
	memmove(&progress->active[i], &progress->active[i + 1],
		(progress->active_count - i - 1) * sizeof(*progress->active));
	progress->active_count--;
}

/* Progress is a comfort: without memory a step is not shown, and the run goes on. */
static void add_active(struct progress *progress, const struct said *said, bool is_waiting)
{
	struct err ignored = ERR_INIT;
	void *items = progress->active;
	struct active active = {.step = mem_text(said->step.ptr, said->step.len),
				.attempt = said->attempt > 0 ? (uint32_t)said->attempt : 0,
				.since_ns = clock_boot_ns(&clock_os),
				.is_waiting = is_waiting};

	drop_active(progress, said->step);
	if (!active.step || mem_grow(&items, &progress->active_capacity, progress->active_count + 1,
				     sizeof(*progress->active), &ignored) != ERR_OK) {
		mem_free(active.step);
		return;
	}
	progress->active = items;
	progress->active[progress->active_count++] = active;
}

static void drop_failed(struct progress *progress, struct str step)
{
	for (size_t i = 0; i < progress->failed_count; i++) {
		if (!str_is(step, progress->failed[i]))
			continue;
		mem_free(progress->failed[i]);
		memmove(&progress->failed[i], &progress->failed[i + 1],
			(progress->failed_count - i - 1) * sizeof(*progress->failed));
		progress->failed_count--;
		return;
	}
}

static void add_failed(struct progress *progress, struct str step)
{
	struct err ignored = ERR_INIT;
	void *items = progress->failed;
	char *copy = mem_text(step.ptr, step.len);

	drop_failed(progress, step);
	if (!copy || mem_grow(&items, &progress->failed_capacity, progress->failed_count + 1,
			      sizeof(*progress->failed), &ignored) != ERR_OK) {
		mem_free(copy);
		return;
	}
	progress->failed = items;
	progress->failed[progress->failed_count++] = copy;
}

static void follow_steps(struct progress *progress, const struct said *said)
{
	if (said->step.len == 0)
		return;
	if (said_is(said, "step.started"))
		add_active(progress, said, false);
	else if (said_is(said, "compensation.started"))
		add_active(progress, said, false);
	else if (said_is(said, "step.waiting"))
		add_active(progress, said, true);
	else if (said_is(said, "step.succeeded") || said_is(said, "step.failed") ||
		 said_is(said, "step.skipped") || said_is(said, "step.retried") ||
		 said_is(said, "step.lost") || said_is(said, "step.compensated") ||
		 said_is(said, "compensation.failed"))
		drop_active(progress, said->step);
	if (said_is(said, "step.failed") || said_is(said, "step.lost"))
		add_failed(progress, said->step);
	else if (said_is(said, "step.retried") || said_is(said, "step.succeeded"))
		drop_failed(progress, said->step);
}

/* ---------------------------------------------------------------------------- live lines */

/* Rows that the live lines take now: a window that was made narrower has broken the long ones. */
static unsigned rows_drawn(const struct progress *progress, unsigned columns)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < progress->drawn; i++)
		rows += progress->widths[i] > columns
			    ? (progress->widths[i] + columns - 1) / columns
			    : 1;
	return rows;
}

static void erase_put(struct progress *progress)
{
	if (progress->drawn > 0)
		buf_fmt(&progress->text, "\r\033[%uA\033[J",
			rows_drawn(progress, terminal_columns(ERR_FD)));
	progress->drawn = 0;
}

static void active_put(struct row *row, const struct active *active, int64_t now_ns)
{
	AUTO(buf_fini) struct buf taken = BUF_INIT;

	duration_human(&taken, (now_ns - active->since_ns) / NS_PER_MS);
	row_fmt(row, STYLE_PLAIN, "  %s %-.*s  %.*s", active->is_waiting ? "?" : ">", ID_BYTES_MAX,
		active->step, STR_ARG(buf_view(&taken)));
	if (active->is_waiting)
		row_text(row, STYLE_PLAIN, "  waits for a decision");
	else if (active->attempt > 0)
		row_fmt(row, STYLE_PLAIN, "  (attempt %u)", active->attempt);
}

static unsigned active_draw(struct progress *progress, int64_t now_ns, unsigned columns)
{
	size_t count = progress->active_count;
	size_t shown = count < LIVE_LINES_MAX ? count : LIVE_LINES_MAX;
	struct row row = {.out = &progress->text, .limit = columns};
	unsigned drawn = 0;

	for (size_t i = 0; i < shown; i++) {
		row.width = 0;
		active_put(&row, &progress->active[i], now_ns);
		progress->widths[drawn++] = row_end(&row);
	}
	if (count > shown) {
		row.width = 0;
		row_fmt(&row, STYLE_DIM, "  + %zu more", count - shown);
		progress->widths[drawn++] = row_end(&row);
	}
	return drawn;
}

static void draw_put(struct progress *progress)
{
	unsigned columns = terminal_columns(ERR_FD);
	unsigned rows = terminal_rows(ERR_FD) - 1; /* the cursor's own */
	int64_t now_ns = clock_boot_ns(&clock_os);

	if (columns <= SHORTEST_LINE)
		columns = SHORTEST_LINE;
	if (progress->live)
		progress->drawn =
		    live_draw(progress->live, now_ns, rows < ROWS_MAX ? rows : ROWS_MAX,
			      columns - 1, progress->widths, &progress->text);
	else
		progress->drawn = active_draw(progress, now_ns, columns - 1);
}

void progress_tree(struct progress *progress, struct str status)
{
	if (progress->is_live && !progress->live)
		progress->live = live_new(status);
}

bool progress_wants_tree(const struct progress *progress)
{
	return progress->is_live;
}

void progress_expect(struct progress *progress, struct str step, int64_t usual_ms)
{
	if (progress->live)
		live_expect(progress->live, step, usual_ms);
}

/* -------------------------------------------------------------------------------- events */

static void show_raw(struct progress *progress, struct str line)
{
	buf_clear(&progress->text);
	print_outside(&progress->text, line);
	buf_byte(&progress->text, '\n');
	print_raw(buf_view(&progress->text));
}

/* What only changes the tree is seen at the next tick: a fast run is not slowed down by its
 * picture. */
static void show(struct progress *progress, const struct said *said)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;

	if (!phrase_put(&line, said, progress->live != NULL))
		return;
	buf_clear(&progress->text);
	if (progress->is_live)
		erase_put(progress);
	buf_str(&progress->text, buf_view(&line));
	if (progress->is_live)
		draw_put(progress);
	print_raw(buf_view(&progress->text));
}

void progress_event(void *arg, const char *line, size_t len)
{
	struct progress *progress = arg;
	AUTO(said_fini) struct said said = {.attempt = -1};

	if (progress->kind == PROGRESS_NONE)
		return;
	said_read(&said, str_from(line, len));
	follow_steps(progress, &said);
	if (progress->live)
		live_event(progress->live, &said, clock_boot_ns(&clock_os));
	if (progress->kind == PROGRESS_EVERYTHING)
		show_raw(progress, str_from(line, len));
	else
		show(progress, &said);
}

void progress_tick(void *arg)
{
	struct progress *progress = arg;

	if (!progress->is_live || (!progress->live && progress->active_count == 0))
		return;
	buf_clear(&progress->text);
	erase_put(progress);
	draw_put(progress);
	print_raw(buf_view(&progress->text));
}

void progress_end(struct progress *progress)
{
	buf_clear(&progress->text);
	erase_put(progress);
	print_raw(buf_view(&progress->text));
	progress->is_live = false;
}
