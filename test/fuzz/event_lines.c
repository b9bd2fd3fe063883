/* Event lines: no input crashes their reader; what it reads is JSON to jansson; and what was read
 * is written, read again and written as the same. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "log/log.h"

#include <stdlib.h>

static void compare_with_jansson(struct str text)
{
	struct err err = ERR_INIT;

	if (json_check(text, JSON_DEPTH_MAX, &err) == ERR_OK && !jansson_takes(text.ptr, text.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(buf_fini) struct buf again_scratch = BUF_INIT;
	AUTO(buf_fini) struct buf again_line = BUF_INIT;
	AUTO(buf_fini) struct buf again_written = BUF_INIT;
	struct err err = ERR_INIT;
	struct event event;
	struct event again;
	struct str whole;

	compare_with_jansson(text);
	if (log_decode(text, &scratch, &event, &err) != ERR_OK)
		return 0;
	BUG_IF(!jansson_takes(text.ptr, text.len));
	log_encode(&event, &line); /* whatever was read can be written */
	BUG_IF(line.failed != ERR_OK || line.len == 0);
	whole = buf_view(&line);
	buf_str(&again_line, whole);
	buf_text(&again_line, ",\"h\":\"0123456789abcdef\"}");
	BUG_IF(log_decode(buf_view(&again_line), &again_scratch, &again, &err) != ERR_OK);
	BUG_IF(again.type != event.type || again.has != event.has || again.seq != event.seq);
	log_encode(&again, &again_written);
	BUG_IF(!str_eq(buf_view(&again_written), whole));
	return 0;
}
