/* progress.c - see progress.h */
#include "cli/progress.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/print.h"
#include "sys/clock.h"
#include "sys/terminal.h"

#include <string.h>

#define ERR_FD         2
#define LIVE_LINES_MAX 10 /* further running steps are only counted */
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
	unsigned drawn; /* live lines on the screen */
	bool is_live;
	struct buf text;
};

/* What an event line says, as far as progress cares. The texts are decoded. */
struct said {
	struct buf type, step, class, reason, state, actor, outcome;
	int64_t attempt, delay_ms, duration_ms, exit_code, signal;
	int64_t utc_ms;
	bool is_soft;
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
	buf_fini(&progress->text);
	mem_free(progress);
}

void progress_drop(struct progress **progress)
{
	progress_free(*progress);
}

const char *progress_failed(const struct progress *progress, size_t i)
{
	return i < progress->failed_count ? progress->failed[i] : NULL;
}

/* ------------------------------------------------------------------------------- reading */

static void said_fini(struct said *said)
{
	buf_fini(&said->type);
	buf_fini(&said->step);
	buf_fini(&said->class);
	buf_fini(&said->reason);
	buf_fini(&said->state);
	buf_fini(&said->actor);
	buf_fini(&said->outcome);
}

static void read_text(struct str line, const char *key, struct buf *out)
{
	struct str value = json_get(line, key);

	if (value.ptr && json_type_of(value) == JSON_STRING)
		json_decode(value, out);
}

static int64_t read_number(struct str line, const char *key)
{
	struct str value = json_get(line, key);
	int64_t number;

	return value.ptr && json_to_i64(value, &number) ? number : -1;
}

static void said_read(struct said *said, struct str line)
{
	AUTO(buf_fini) struct buf stamp = BUF_INIT;

	read_text(line, "event_type", &said->type);
	read_text(line, "step_id", &said->step);
	read_text(line, "error_class", &said->class);
	read_text(line, "reason", &said->reason);
	read_text(line, "new_state", &said->state);
	read_text(line, "actor", &said->actor);
	read_text(line, "outcome", &said->outcome);
	read_text(line, "timestamp_utc", &stamp);
	if (!stamp_read(buf_view(&stamp), &said->utc_ms))
		said->utc_ms = 0;
	said->attempt = read_number(line, "attempt");
	said->delay_ms = read_number(line, "delay_ms");
	said->duration_ms = read_number(line, "duration_ms");
	said->exit_code = read_number(line, "exit_code");
	said->signal = read_number(line, "signal");
	said->is_soft = json_get(line, "soft").ptr != NULL;
}

static bool is(const struct said *said, const char *type)
{
	return str_is(buf_view(&said->type), type);
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

	drop_active(progress, buf_view(&said->step));
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
	if (is(said, "step.started"))
		add_active(progress, said, false);
	else if (is(said, "step.waiting"))
		add_active(progress, said, true);
	else if (is(said, "step.succeeded") || is(said, "step.failed") ||
		 is(said, "step.skipped") || is(said, "step.retried") || is(said, "step.lost"))
		drop_active(progress, buf_view(&said->step));
	if (is(said, "step.failed") || is(said, "step.lost"))
		add_failed(progress, buf_view(&said->step));
	else if (is(said, "step.retried") || is(said, "step.succeeded"))
		drop_failed(progress, buf_view(&said->step));
}

/* -------------------------------------------------------------------------- plain lines */

static void clock_put(struct buf *out, int64_t utc_ms)
{
	char stamp[STAMP_BYTES + 1];

	stamp_write(utc_ms, stamp);
	buf_put(out, stamp + sizeof("2026-01-31T") - 1, sizeof("12:00:00") - 1);
}

/* On one line, escaped for the terminal. */
static void reason_put(struct buf *out, const struct said *said)
{
	size_t from = out->len;

	if (said->reason.len == 0)
		return;
	buf_text(out, ": ");
	print_outside(out, buf_view(&said->reason));
	for (size_t i = from; i < out->len; i++) {
		if (out->ptr[i] == '\n')
			out->ptr[i] = ' ';
	}
}

static void duration_put(struct buf *out, const struct said *said)
{
	if (said->duration_ms < 0)
		return;
	buf_text(out, " in ");
	duration_human(out, said->duration_ms * NS_PER_MS);
}

static void started_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, " started (attempt %lld)", (long long)said->attempt);
}

static void succeeded_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_GOOD, STR(" succeeded"));
	duration_put(out, said);
}

static void failed_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_BAD, STR(" failed"));
	duration_put(out, said);
	buf_fmt(out, " [%.*s]", STR_ARG(buf_view(&said->class)));
	reason_put(out, said);
}

static void retried_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, " retries as attempt %lld in ", (long long)said->attempt);
	duration_human(out, (said->delay_ms > 0 ? said->delay_ms : 0) * NS_PER_MS);
}

static void waiting_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_WARN, STR(" waits"));
	reason_put(out, said);
}

static void skipped_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_DIM, STR(" skipped"));
	reason_put(out, said);
}

static void lost_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_BAD, STR(" lost"));
	reason_put(out, said);
}

static void gate_failed_put(struct buf *out, const struct said *said)
{
	print_style(out, said->is_soft ? STYLE_WARN : STYLE_BAD,
		    said->is_soft ? STR(" soft gate failed") : STR(" gate failed"));
	reason_put(out, said);
}

static void gate_passed_put(struct buf *out, const struct said *said)
{
	(void)said;
	buf_text(out, " gate passed");
}

/* "manual:anna" did it. */
static void actor_put(struct buf *out, const struct said *said)
{
	buf_text(out, " by ");
	print_outside(out, buf_view(&said->actor));
	reason_put(out, said);
}

static void approved_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_GOOD, STR(" approved"));
	actor_put(out, said);
}

static void rejected_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_BAD, STR(" rejected"));
	actor_put(out, said);
}

static void state_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, "run %.*s", STR_ARG(buf_view(&said->state)));
	reason_put(out, said);
}

static void resumed_put(struct buf *out, const struct said *said)
{
	buf_text(out, "run resumed");
	reason_put(out, said);
}

static void stop_put(struct buf *out, const struct said *said)
{
	buf_text(out, "stop requested");
	actor_put(out, said);
}

static void repaired_put(struct buf *out, const struct said *said)
{
	(void)said;
	buf_text(out, "the log's torn tail was moved aside");
}

static void projection_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_WARN, STR("a projection could not be written"));
	reason_put(out, said);
}

/* What each event says; the step's name comes before the text of the rows that are about one. On a
 * terminal the live lines already say what the rows with `live` false would. */
static const struct phrase {
	const char *type;
	bool is_step;
	bool live;
	void (*put)(struct buf *out, const struct said *said);
} phrases[] = {
    {"step.started", true, false, started_put},
    {"step.succeeded", true, true, succeeded_put},
    {"step.failed", true, true, failed_put},
    {"step.retried", true, true, retried_put},
    {"step.waiting", true, true, waiting_put},
    {"step.skipped", true, true, skipped_put},
    {"step.lost", true, true, lost_put},
    {"gate.failed", true, true, gate_failed_put},
    {"gate.passed", true, false, gate_passed_put},
    {"gate.approved", true, true, approved_put},
    {"gate.rejected", true, true, rejected_put},
    {"run.state_changed", false, false, state_put},
    {"run.resumed", false, true, resumed_put},
    {"run.stop_requested", false, true, stop_put},
    {"log.repaired", false, true, repaired_put},
    {"projection.failed", false, true, projection_put},
};

/* Append the line of an event; false when it has none. */
static bool line_put(struct progress *progress, const struct said *said)
{
	struct buf *out = &progress->text;

	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (!is(said, phrases[i].type))
			continue;
		if (progress->is_live && !phrases[i].live)
			return false;
		clock_put(out, said->utc_ms);
		buf_byte(out, ' ');
		if (phrases[i].is_step)
			print_outside(out, buf_view(&said->step));
		phrases[i].put(out, said);
		buf_byte(out, '\n');
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------------------- live lines */

static void erase_put(struct progress *progress)
{
	if (progress->drawn > 0)
		buf_fmt(&progress->text, "\r\033[%uA\033[J", progress->drawn);
	progress->drawn = 0;
}

static void active_put(struct buf *out, const struct active *active, unsigned columns)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	int64_t taken = clock_boot_ns(&clock_os) - active->since_ns;

	buf_fmt(&line, "  %s %-.*s  ", active->is_waiting ? "?" : ">", ID_BYTES_MAX, active->step);
	duration_human(&line, taken > 0 ? taken : 0);
	if (active->is_waiting)
		buf_text(&line, "  waits for a decision");
	else if (active->attempt > 0)
		buf_fmt(&line, "  (attempt %u)", active->attempt);
	if (columns < SHORTEST_LINE)
		columns = SHORTEST_LINE;
	buf_cut(&line, line.len < columns ? line.len : columns - 1);
	buf_str(out, buf_view(&line));
	buf_byte(out, '\n');
}

static void draw_put(struct progress *progress)
{
	unsigned columns = terminal_columns(ERR_FD);
	size_t shown =
	    progress->active_count < LIVE_LINES_MAX ? progress->active_count : LIVE_LINES_MAX;

	for (size_t i = 0; i < shown; i++)
		active_put(&progress->text, &progress->active[i], columns);
	if (progress->active_count > shown)
		buf_fmt(&progress->text, "  + %zu more\n", progress->active_count - shown);
	progress->drawn = (unsigned)shown + (progress->active_count > shown);
}

void progress_event(void *arg, const char *line, size_t len)
{
	struct progress *progress = arg;
	AUTO(said_fini) struct said said = {.attempt = -1};
	bool has_line;

	said_read(&said, str_from(line, len));
	follow_steps(progress, &said);
	if (progress->kind == PROGRESS_NONE)
		return;
	buf_clear(&progress->text);
	if (progress->kind == PROGRESS_EVERYTHING) {
		print_outside(&progress->text, str_from(line, len));
		buf_byte(&progress->text, '\n');
		print_raw(buf_view(&progress->text));
		return;
	}
	if (progress->is_live)
		erase_put(progress);
	has_line = line_put(progress, &said);
	if (progress->is_live)
		draw_put(progress);
	if (has_line || progress->is_live)
		print_raw(buf_view(&progress->text));
}

void progress_tick(void *arg)
{
	struct progress *progress = arg;

	if (!progress->is_live || progress->active_count == 0)
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
