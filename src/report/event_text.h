/* event_text.h - one event as one line for a person, in system A's form:
 *
 *   2026-01-31T12:00:00 step.failed [load] error=timeout reason="no output for 30s"
 */
#ifndef REPORT_EVENT_TEXT_H
#define REPORT_EVENT_TEXT_H

#include "base/buf.h"
#include "core/event.h"

/* Append the line and its newline. The reason is quoted and escaped as in JSON, so that an event is
 * one line whatever it says. */
void event_text_line(const struct event *event, struct buf *out);

#endif
