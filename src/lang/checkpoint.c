/* checkpoint.c - `checkpoint:` of the pipeline (S9.4) */
#include "lang/build.h"

#include "base/mem.h"

#define EVERY_MAX 1000000

void key_checkpoint_store(struct build *build, void *target, const struct node *key,
			  const struct node *value)
{
	static const char *const later[] = {"sqlite", "postgresql", "redis"};
	static const char *const words[] = {"file"};
	uint32_t index;

	(void)target;
	for (size_t i = 0; value->kind == NODE_TEXT && i < ARRAY_LEN(later); i++) {
		if (!str_is(value->text, later[i]))
			continue;
		build_report(build, DIAG_LATER_KEY, value,
			     "'store: %s' is not in this version of sluice", later[i]);
		diags_hint(build->diags,
			   "leave it out: the checkpoint is a file in the run directory");
		return;
	}
	(void)take_word(build, key, value, words, ARRAY_LEN(words), &index);
}

void key_checkpoint_every(struct build *build, void *target, const struct node *key,
			  const struct node *value)
{
	struct model *model = target;
	uint32_t every;

	if (value->kind == NODE_TEXT && str_is(value->text, "step"))
		model->checkpoint_every = 1;
	else if (take_u32(build, key, value, 1, EVERY_MAX, &every))
		model->checkpoint_every = every;
}

void key_checkpoint_off(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	struct model *model = target;

	(void)take_bool(build, key, value, &model->has_no_checkpoint);
}

void key_top_checkpoint(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	(void)target;
	if (build_expect(build, key, value, NODE_MAP, "a mapping such as {every: step}"))
		build_map(build, SCOPE_checkpoint, value, build->model, NULL, KEY_checkpoint_store);
}
