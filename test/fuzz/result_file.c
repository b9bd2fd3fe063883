/* Result files: no input crashes the reader, and what it makes of one is JSON on one line; of a
 * file that is JSON it is what jansson finds there. */
#include "base/json.h"
#include "base/mem.h"
#include "engine/result.h"
#include "fuzz.h"
#include "jansson_judge.h"

#include <stdlib.h>
#include <string.h>

static void must_be_json(const struct buf *text)
{
	struct err err = ERR_INIT;

	if (!text->len)
		return;
	if (json_check(buf_view(text), JSON_DEPTH_MAX, &err) != ERR_OK ||
	    memchr(text->ptr, '\n', text->len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct output outputs[] = {
	    {.name = STR("rows"), .type = VALUE_INT, .is_required = true},
	    {.name = STR("rate"), .type = VALUE_NUMBER},
	    {.name = STR("ok"), .type = VALUE_BOOL},
	    {.name = STR("wait"), .type = VALUE_DURATION},
	    {.name = STR("size"), .type = VALUE_SIZE},
	    {.name = STR("items"), .type = VALUE_LIST},
	    {.name = STR("tree"), .type = VALUE_OBJECT},
	    {.name = STR("path"), .type = VALUE_PATH},
	};
	struct step step = {.outputs = outputs, .outputs_count = ARRAY_LEN(outputs)};
	AUTO(result_fini) struct result_file result;
	struct str text = str_from((const char *)data, size);
	struct err err = ERR_INIT;

	result_init(&result);
	if (result_parse(text, &step, &result, &err) != ERR_OK)
		return 0;
	must_be_json(&result.outputs);
	must_be_json(&result.updates);
	if (str_starts(str_trim(text), "{")) {
		BUG_IF(!jansson_same_member(text, "outputs", buf_view(&result.outputs)));
		BUG_IF(!jansson_same_member(text, "context_updates", buf_view(&result.updates)));
	}
	err_reset(&err);
	(void)result_check_required(&result, &step, &err); /* either answer is right */
	return 0;
}
