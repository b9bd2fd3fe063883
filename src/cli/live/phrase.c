/* phrase.c - see phrase.h */
#include "cli/live/phrase.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/print.h"

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
	print_outside(out, said->reason);
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
	duration_human(out, said->duration_ms);
}

static void started_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, " started (attempt %lld)", (long long)said->attempt);
}

static void succeeded_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_GOOD, STR(" succeeded"));
	if (said->is_cached) { /* nothing was executed that could have taken time */
		buf_text(out, " (cached)");
		return;
	}
	duration_put(out, said);
}

static void failed_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_BAD, STR(" failed"));
	duration_put(out, said);
	buf_fmt(out, " [%.*s]", STR_ARG(said->class));
	reason_put(out, said);
}

static void retried_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, " retries as attempt %lld in ", (long long)said->attempt);
	duration_human(out, said->delay_ms);
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

static void undo_started_put(struct buf *out, const struct said *said)
{
	buf_fmt(out, " is undone (attempt %lld)", (long long)said->attempt);
}

static void undone_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_GOOD, STR(" undone"));
	duration_put(out, said);
}

static void undo_failed_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_BAD, STR(" could not be undone"));
	duration_put(out, said);
	buf_fmt(out, " [%.*s]", STR_ARG(said->class));
	reason_put(out, said);
	if (said->delay_ms < 0)
		return;
	buf_text(out, ", again in ");
	duration_human(out, said->delay_ms);
}

static void rollback_put(struct buf *out, const struct said *said)
{
	buf_text(out, "rollback");
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
	print_outside(out, said->actor);
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
	buf_fmt(out, "run %.*s", STR_ARG(said->state));
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
	if (said->is_now)
		buf_text(out, ", what runs is killed");
	else if (str_is(said->actor, "runner")) /* by a signal: a second one kills (S7.5) */
		buf_text(out, ": what runs may end; press Ctrl-C again to kill it");
}

static void repaired_put(struct buf *out, const struct said *said)
{
	(void)said;
	buf_text(out, "the log's torn tail was moved aside");
}

static void projection_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_WARN, STR("a projection could not be written: "));
	print_outside(out, said->which);
	reason_put(out, said);
}

/* S11.2: who runs with less than the default is told so. */
static bool is_weaker(const struct said *said)
{
	return said->sync.len > 0 && !str_is(said->sync, "always");
}

static void created_put(struct buf *out, const struct said *said)
{
	print_style(out, STYLE_WARN, STR("sync: "));
	print_outside(out, said->sync);
	buf_text(out, ": a power cut may take the last events");
}

/* What each event says; the step's name comes before the text of the rows that are about one. On a
 * terminal the live tree already says what the rows with `live` false would. */
static const struct phrase {
	const char *type;
	bool is_step;
	bool live;
	void (*put)(struct buf *out, const struct said *said);
	bool (*when)(const struct said *said); /* NULL = always */
} phrases[] = {
    {"run.created", false, true, created_put, is_weaker},
    {"step.started", true, false, started_put, NULL},
    {"step.succeeded", true, false, succeeded_put, NULL},
    {"step.failed", true, true, failed_put, NULL},
    {"step.retried", true, true, retried_put, NULL},
    {"step.waiting", true, true, waiting_put, NULL},
    {"step.skipped", true, false, skipped_put, NULL},
    {"step.lost", true, true, lost_put, NULL},
    {"gate.failed", true, true, gate_failed_put, NULL},
    {"gate.passed", true, false, gate_passed_put, NULL},
    {"gate.approved", true, true, approved_put, NULL},
    {"gate.rejected", true, true, rejected_put, NULL},
    {"run.state_changed", false, false, state_put, NULL},
    {"run.rollback_started", false, true, rollback_put, NULL},
    {"compensation.started", true, false, undo_started_put, NULL},
    {"step.compensated", true, true, undone_put, NULL},
    {"compensation.failed", true, true, undo_failed_put, NULL},
    {"run.resumed", false, true, resumed_put, NULL},
    {"run.stop_requested", false, true, stop_put, NULL},
    {"log.repaired", false, true, repaired_put, NULL},
    {"projection.failed", false, true, projection_put, NULL},
};

bool phrase_put(struct buf *out, const struct said *said, bool is_live)
{
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (!said_is(said, phrases[i].type))
			continue;
		if ((is_live && !phrases[i].live) || (phrases[i].when && !phrases[i].when(said)))
			return false;
		clock_put(out, said->utc_ms);
		buf_byte(out, ' ');
		if (phrases[i].is_step)
			print_outside(out, said->step);
		phrases[i].put(out, said);
		buf_byte(out, '\n');
		return true;
	}
	return false;
}
