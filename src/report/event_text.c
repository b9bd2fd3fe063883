/* event_text.c - see event_text.h */
#include "report/event_text.h"

#include "base/json.h"
#include "base/timefmt.h"

#define SECONDS_COLUMNS 19 /* "2026-01-31T12:00:00" */

void event_text_line(const struct event *event, struct buf *out)
{
	char stamp[STAMP_BYTES + 1];
	struct str step = event_text(event, EVENT_FIELD_STEP_ID);
	struct str class = event_text(event, EVENT_FIELD_ERROR_CLASS);
	struct str reason = event_text(event, EVENT_FIELD_REASON);

	if (!reason.ptr)
		reason = event_text(event, EVENT_FIELD_OVERRIDE_REASON);
	stamp_write(event->time_utc_ms, stamp);
	buf_put(out, stamp, SECONDS_COLUMNS);
	buf_byte(out, ' ');
	buf_str(out, event->type_text);
	if (step.ptr)
		buf_fmt(out, " [%.*s]", STR_ARG(step));
	if (class.ptr)
		buf_fmt(out, " error=%.*s", STR_ARG(class));
	if (reason.ptr) {
		buf_text(out, " reason=");
		json_put_str(out, reason);
	}
	buf_byte(out, '\n');
}
