/* frozen.c - any bytes as the frozen form of a pipeline (pipeline.json): damage, or a model whose
 * own frozen form reads back to the same bytes. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "lang/lang.h"

static void again(const struct model *model)
{
	AUTO(buf_fini) struct buf first = BUF_INIT;
	AUTO(buf_fini) struct buf second = BUF_INIT;
	AUTO(model_drop) struct model *thawed = NULL;
	struct err err = ERR_INIT;

	BUG_IF(lang_freeze(model, &first, &err) != ERR_OK);
	BUG_IF(!jansson_takes(first.ptr, first.len));
	BUG_IF(lang_thaw(buf_view(&first), &thawed, &err) != ERR_OK);
	BUG_IF(lang_freeze(thawed, &second, &err) != ERR_OK);
	BUG_IF(!str_eq(buf_view(&first), buf_view(&second)));
}

/* What apply and decide rely on. */
static void check(const struct model *model)
{
	BUG_IF(model->steps_count == 0 || model->concurrency == 0);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		const struct step *step = &model->steps[i];

		BUG_IF(!name_valid(step->id) || model_find(model, step->id) != i || !step->retry);
		BUG_IF(step->retry->max_attempts == 0);
		BUG_IF((step->gate == GATE_MANUAL) != (step->approval != NULL));
		for (uint32_t k = 0; k < step->needs_count; k++)
			BUG_IF(step->needs[k] >= model->steps_count || step->needs[k] == i);
		for (uint32_t k = 0; k < step->needs_any_count; k++)
			BUG_IF(step->needs_any[k] >= model->steps_count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;

	if (lang_thaw(str_from((const char *)data, size), &model, &err) != ERR_OK) {
		BUG_IF(model || err.code != ERR_CORRUPT || !err.text[0]);
		return 0;
	}
	check(model);
	again(model);
	return 0;
}
