/* Event lines and the JSON scanner: no input crashes them, and what our scanner takes for JSON is
 * what jansson takes for JSON. */
#include "base/json.h"
#include "base/mem.h"
#include "jansson_judge.h"
#include "log/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	struct err err = ERR_INIT;
	struct event event;

	compare_with_jansson(text);
	if (log_decode(text, &scratch, &event, &err) != ERR_OK)
		return 0;
	log_encode(&event, &line); /* whatever was read can be written */
	if (line.failed == ERR_OK && line.len == 0)
		abort();
	return 0;
}
