/* yaml.c - any bytes as a pipeline file: never a crash; what is accepted freezes and thaws to
 * itself; what is refused has at least one error with a place that can be shown */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "lang/lang.h"

static void frozen_check(const struct model *model)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	AUTO(buf_fini) struct buf again = BUF_INIT;
	AUTO(model_drop) struct model *thawed = NULL;
	struct err err = ERR_INIT;

	BUG_IF(lang_freeze(model, &frozen, &err) != ERR_OK);
	BUG_IF(json_check(buf_view(&frozen), JSON_DEPTH_MAX, &err) != ERR_OK);
	BUG_IF(lang_thaw(buf_view(&frozen), &thawed, &err) != ERR_OK);
	BUG_IF(lang_freeze(thawed, &again, &err) != ERR_OK);
	BUG_IF(!str_eq(buf_view(&frozen), buf_view(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_fini) struct buf shown = BUF_INIT;
	AUTO(model_drop) struct model *model = NULL;
	AUTO(diags_fini) struct diags diags;
	struct str text = str_from((const char *)data, size);
	struct err err = ERR_INIT;
	struct limits limits;

	limits_default(&limits);
	diags_init(&diags, limits.diagnostics);
	if (lang_load(text, STR("/srv"), &limits, &diags, &model, &err) == ERR_OK) {
		BUG_IF(diags.count > 0);
		frozen_check(model);
		return 0;
	}
	BUG_IF(model || diags.count == 0);
	diags_print(&diags, STR("fuzz"), text, &shown);
	BUG_IF(shown.failed != ERR_OK || !utf8_valid(buf_view(&shown)));
	return 0;
}
