/* at.c - see at.h */
#include "report/at.h"

#include "base/mem.h"
#include "base/timefmt.h"

#define CHAIN_END_BYTES 18 /* <16 hex>"} */

enum err_code at_read(struct str text, int64_t now_ms, struct fold_until *ret_until,
		      struct err *err)
{
	struct fold_until until = {UINT64_MAX, INT64_MAX};
	struct str number = str_starts(text, "evt_") ? str_cut(text, 4, text.len) : text;
	int64_t ago_ns;

	if (str_to_u64(number, &until.seq)) {
		if (until.seq == 0) {
			(void)err_set(err, ERR_USAGE, "there is no event 0");
			return err_hint(err, "the first event is 1, run.created");
		}
	} else if (text.len > 1 && text.ptr[0] == '-' &&
		   duration_read(str_cut(text, 1, text.len), &ago_ns)) {
		until.seq = UINT64_MAX;
		until.utc_ms = now_ms - ago_ns / NS_PER_MS;
	} else if (stamp_read(text, &until.utc_ms)) {
		until.seq = UINT64_MAX;
	} else {
		(void)err_set(err, ERR_USAGE, "'%.*s' is no point of a log",
			      (int)(text.len < 80 ? text.len : 80), text.ptr ? text.ptr : "");
		return err_hint(err, "such as 17, evt_17, 2026-01-31T12:00:00Z or -10m");
	}
	*ret_until = until;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	struct at_view *view = arg;
	struct str h = str_cut(line, line.len - CHAIN_END_BYTES, line.len - 2);

	(void)state;
	(void)err;
	view->time_ms = event->time_utc_ms;
	for (size_t i = 0; i < LOG_H_BYTES; i++) /* a line that was read ends with its h */
		view->h[i] = h.ptr[i];
	/* The line is gone after the last event: its texts are kept, those before are not. */
	arena_clear(&view->arena);
	view->event = arena_str(&view->arena, event->type_text);
	view->step = event_has(event, EVENT_FIELD_STEP_ID)
			 ? arena_str(&view->arena, event_text(event, EVENT_FIELD_STEP_ID))
			 : STR_NONE;
	return ERR_OK;
}

void at_view_fini(struct at_view *view)
{
	arena_fini(&view->arena);
}

static enum err_code check_born(const struct fold_run *fold, const struct fold_until *until,
				struct err *err)
{
	char stamp[STAMP_BYTES + 1];

	if (until->utc_ms >= fold->state.created_ms)
		return ERR_OK;
	stamp_write(fold->state.created_ms, stamp);
	(void)err_set(err, ERR_NOT_FOUND, "run '%.*s' did not exist then",
		      STR_ARG(fold->state.run_id));
	return err_hint(err, "it was created at %s", stamp);
}

enum err_code at_fold(const struct rundir *dir, const struct limits *limits,
		      const struct fold_until *until, struct fold_run *ret_fold,
		      struct at_view *ret_view, struct err *err)
{
	struct at_view view = {.head_seq = 0};
	struct fold_run fold;

	if (fold_read_until(dir, limits, until, on_event, &view, &fold, err) != ERR_OK) {
		at_view_fini(&view);
		return err->code;
	}
	if (check_born(&fold, until, err) != ERR_OK) {
		at_view_fini(&view);
		fold_fini(&fold);
		return err->code;
	}
	view.head_seq = fold.reading.head.seq;
	view.is_beyond = until->seq != UINT64_MAX && until->seq > view.head_seq;
	*ret_fold = fold;
	*ret_view = view;
	return ERR_OK;
}
