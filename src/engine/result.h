/* result.h - the result file of a command ($SLUICE_OUTPUT): bytes to outputs, updates, events,
 * class.
 *
 * First non-blank byte `{` = JSON:
 * {"outputs":{},"context_updates":{},"quality":{},"events":[{"type":"x-..",
 * "data":{}}],"error_class":"","reason":""}; else lines `key=value`: text, which a declared type
 * converts. Pure: bytes in, texts out. */
#ifndef ENGINE_RESULT_H
#define ENGINE_RESULT_H

#include "base/buf.h"
#include "core/event.h"
#include "core/model.h"
#include "core/quality.h"

#define RESULT_EVENTS_MAX 64

struct result_file {
	struct buf outputs;             /* compact JSON object; empty = none */
	struct buf updates;             /* compact JSON object; empty = none */
	struct quality_figures quality; /* custom in `texts` */
	struct str error_class;         /* in `texts` */
	struct str reason;
	struct event *events; /* x- events with data; in `texts`; NULL without any */
	size_t events_count;
	struct arena texts;
};

/* Empty: nothing was reported. */
void result_init(struct result_file *result);
/* Frees its texts; an empty one is fine. */
void result_fini(struct result_file *result);

/* Read one. INVALID with what is wrong, for a person: not UTF-8, malformed, an unknown key, a
 * declared output of another type, a name that is none, a NUL byte. MEMORY. */
MUST_CHECK enum err_code result_parse(struct str text, const struct step *step,
				      struct result_file *result, struct err *err);

/* Does it have every output that the step requires? INVALID names the first that is missing. */
MUST_CHECK enum err_code result_check_required(const struct result_file *result,
					       const struct step *step, struct err *err);

/* May an event of a step's own have this type? `x-` and something behind it, at most 128 bytes. */
bool result_event_type_valid(struct str type);

/* Append a checked JSON value without the blanks between its tokens. */
void json_put_compact(struct buf *out, struct str value);

#endif
