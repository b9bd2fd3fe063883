/* control.c - any bytes as a line of the control socket, to the owner of a run and from it: refused
 * with a reason, or a request that is written and read again as the same. */
#include "base/json.h"
#include "base/mem.h"
#include "engine/control_line.h"
#include "fuzz.h"
#include "jansson_judge.h"

#include <string.h>

static void check_line(const struct buf *line)
{
	BUG_IF(line->failed != ERR_OK || line->len == 0 || line->ptr[line->len - 1] != '\n');
	BUG_IF(memchr(line->ptr, '\n', line->len) != line->ptr + line->len - 1);
	BUG_IF(!jansson_takes(line->ptr, line->len));
}

static void as_request(struct str text)
{
	AUTO(buf_fini) struct buf texts = BUF_INIT;
	AUTO(buf_fini) struct buf texts_again = BUF_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	struct engine_ask ask = {.kind = ENGINE_ASK_STOP};
	struct engine_ask again = {.kind = ENGINE_ASK_STOP};
	struct err err = ERR_INIT;

	if (control_request_read(text, &texts, &ask, &err) != ERR_OK) {
		BUG_IF((err.code != ERR_USAGE && err.code != ERR_INVALID) || !err.text[0]);
		control_answer_put(&line, &err);
		check_line(&line);
		return;
	}
	control_request_put(&line, &ask);
	check_line(&line);
	BUG_IF(control_request_read(str_trim(buf_view(&line)), &texts_again, &again, &err) !=
	       ERR_OK);
	BUG_IF(again.kind != ask.kind || again.now != ask.now || !str_eq(again.step, ask.step) ||
	       !str_eq(again.person.name, ask.person.name) ||
	       !str_eq(again.person.reason, ask.person.reason));
}

static void as_answer(struct str text)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	struct err err = ERR_INIT;
	struct err again = ERR_INIT;

	if (control_answer_read(text, &err) == ERR_OK) {
		BUG_IF(err.code != ERR_OK || json_check(text, JSON_DEPTH_MAX, &again) != ERR_OK);
		return;
	}
	control_answer_put(&line, &err);
	check_line(&line);
	BUG_IF(control_answer_read(str_trim(buf_view(&line)), &again) != err.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_request(str_from((const char *)data, size));
	as_answer(str_from((const char *)data, size));
	return 0;
}
