/* defaults.c - see defaults.h */
#include "lang/defaults.h"

#include "base/mem.h"

enum err_code defaults_fill(struct model *model, int64_t step_ns, int64_t run_ns, struct err *err)
{
	if (model->timeout_ns == 0)
		model->timeout_ns = run_ns;
	for (uint32_t i = 0; i < model->steps_count && step_ns > 0; i++) {
		struct step *step = &model->steps[i];
		struct command *command;

		if (!step->command || step->command->timeout_ns > 0)
			continue;
		command = arena_new(&model->arena, 1, sizeof(*command));
		if (!command)
			return mem_err(err);
		*command = *step->command;
		command->timeout_ns = step_ns;
		step->command = command;
	}
	return ERR_OK;
}
