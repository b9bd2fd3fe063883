/* compensate.c - `compensate:` of a step (S10): a command with keys of its own */
#include "lang/build.h"

#define KEY_COUNT_HERE (KEY_compensate_limits - KEY_compensate_run + 1)

/* What the keys do is what they do for a step: the target is a draft too. */
#define SAME_AS_STEP(name) \
	void key_compensate_##name(struct build *build, void *target, const struct node *key, \
				   const struct node *value) \
	{ \
		key_step_##name(build, target, key, value); \
	}
SAME_AS_STEP(run)
SAME_AS_STEP(argv)
SAME_AS_STEP(retry)
SAME_AS_STEP(timeout)
SAME_AS_STEP(silence_timeout)
SAME_AS_STEP(grace)
SAME_AS_STEP(output_limit)
SAME_AS_STEP(exit_codes)
SAME_AS_STEP(shell)
SAME_AS_STEP(env)
SAME_AS_STEP(cwd)
SAME_AS_STEP(context)
SAME_AS_STEP(user)
SAME_AS_STEP(limits)

static bool kind_check(struct build *build, const struct node *key, const uint32_t *at)
{
	uint32_t run = at[KEY_compensate_run - KEY_compensate_run];
	uint32_t argv = at[KEY_compensate_argv - KEY_compensate_run];
	uint32_t shell = at[KEY_compensate_shell - KEY_compensate_run];

	if (run && argv) {
		build_report(build, DIAG_KIND_MANY, build_node(build, argv - 1),
			     "the compensation has 'run' and 'argv'");
		diags_hint(build->diags, "it does one thing: put both into one script");
		return false;
	}
	if (!run && !argv) {
		build_report(build, DIAG_KIND_MISSING, key, "the compensation does nothing");
		diags_hint(build->diags,
			   "give it one of run and argv: compensate: {run: ./undo.sh}");
		return false;
	}
	if (shell && !run) {
		build_report(build, DIAG_KEY_OF_KIND, build_node(build, shell - 1),
			     "'shell' means nothing for a compensation without `run`");
		return false;
	}
	return true;
}

void key_step_compensate(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	struct draft *draft = target;
	uint32_t at[KEY_COUNT_HERE] = {0};
	struct draft *undo;

	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {run: ./undo.sh}"))
		return;
	undo = build_new(build, 1, sizeof(*undo));
	if (!undo)
		return;
	undo->command.grace_ns = -1;
	build_map(build, SCOPE_compensate, value, undo, at, KEY_compensate_run);
	if (kind_check(build, key, at))
		draft->undo = undo;
}

void compensate_check(struct build *build)
{
	const struct model *model = build->model;

	if (!build->undo_node || build->is_frozen)
		return;
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (model->steps[i].compensate)
			return;
	}
	build_report(build, DIAG_MISSING_KEY, build_node(build, build->undo_node - 1),
		     "'on_failure: compensate', and no step has `compensate`");
	diags_hint(build->diags, "say how to undo a step: compensate: {run: ./undo.sh}");
}
