/* model.c - see model.h */
#include "core/model.h"

#include "base/mem.h"

struct model *model_new(void)
{
	return mem_new(1, sizeof(struct model));
}

void model_free(struct model *model)
{
	while (model) {
		struct model *older = model->older;

		map_fini(&model->step_index);
		arena_fini(&model->arena);
		mem_free(model);
		model = older;
	}
}

void model_replace(struct model *next, struct model *old)
{
	next->older = old;
	next->folder = old->folder;
	next->sync = old->sync;
	next->sync_interval_ns = old->sync_interval_ns;
}

void model_drop(struct model **model)
{
	model_free(*model);
}

uint32_t model_find(const struct model *model, struct str id)
{
	return map_get(&model->step_index, id); /* MAP_NONE == STEP_NONE */
}

uint32_t model_find_near(const struct model *model, struct str id, uint32_t *likely)
{
	uint32_t step = *likely;

	if (step >= model->steps_count || !str_eq(id, model->steps[step].id))
		step = model_find(model, id);
	if (step != STEP_NONE)
		*likely = step + 1;
	return step;
}

_Static_assert(STEP_NONE == MAP_NONE, "an absent step is an absent key");

int64_t step_timeout_ns(const struct step *step)
{
	if (step->command)
		return step->command->timeout_ns;
	return step->call ? step->call->timeout_ns : 0;
}

uint64_t step_output_limit_bytes(const struct step *step)
{
	if (step->command)
		return step->command->output_limit_bytes;
	return step->call ? step->call->output_limit_bytes : 0;
}

static const char *const value_types[] = {
    [VALUE_STRING] = "string",     [VALUE_INT] = "int",       [VALUE_NUMBER] = "number",
    [VALUE_BOOL] = "bool",         [VALUE_ENUM] = "enum",     [VALUE_PATH] = "path",
    [VALUE_DURATION] = "duration", [VALUE_SIZE] = "size",     [VALUE_LIST] = "list",
    [VALUE_OBJECT] = "object",     [VALUE_SECRET] = "secret",
};

const char *value_type_name(enum value_type type)
{
	return value_types[type];
}

bool value_type_of(struct str name, enum value_type *ret_type)
{
	for (size_t i = 0; i < ARRAY_LEN(value_types); i++) {
		if (str_is(name, value_types[i])) {
			*ret_type = (enum value_type)i;
			return true;
		}
	}
	return false;
}

enum class_retry { RETRY_DEFAULT, RETRY_LISTED, RETRY_NEVER, RETRY_RESUME };

struct class_row {
	const char *name;
	enum class_retry retry;
};

static const struct class_row classes[] = {
#define CLASS(name, text, retry, cause) [CLASS_##name] = {text, RETRY_##retry},
#include "core/error_class.def"
};

const char *error_class_name(enum error_class class)
{
	return classes[class].name;
}

bool error_class_of(struct str name, enum error_class *ret_class)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (str_is(name, classes[i].name)) {
			*ret_class = (enum error_class)i;
			return true;
		}
	}
	return false;
}

bool error_class_retried_by_default(enum error_class class)
{
	return classes[class].retry == RETRY_DEFAULT;
}

bool error_class_may_be_listed(enum error_class class)
{
	return classes[class].retry == RETRY_DEFAULT || classes[class].retry == RETRY_LISTED;
}

const char *gate_kind_name(enum gate_kind gate)
{
	static const char *const names[] = {"none", "hard", "soft", "manual"};

	return names[gate];
}

const char *on_failure_name(enum on_failure on_failure)
{
	static const char *const names[] = {"stop", "skip_downstream", "continue", "ignore",
					    "compensate"};

	return names[on_failure];
}
