/* attempt_log.c - see attempt_log.h */
#include "report/attempt_log.h"

bool attempt_chosen(const struct run_state *run, uint32_t step, const struct attempt_choice *choice,
		    uint32_t *ret_attempt)
{
	const struct step_state *at = &run->steps[step];
	/* step.retried announces an attempt that has not begun. */
	uint32_t last = at->is_retry && at->attempt > 0 ? at->attempt - 1 : at->attempt;

	if (choice->step.ptr && !str_eq(choice->step, run->model->steps[step].id))
		return false;
	if (at->attempts == 0 || (choice->failed && at->state != STEP_FAILED))
		return false;
	if (choice->attempt > (int64_t)last)
		return false;
	*ret_attempt = choice->attempt >= 0 ? (uint32_t)choice->attempt : last;
	return true;
}

void attempt_log_path(struct buf *out, struct str step, uint32_t attempt)
{
	buf_fmt(out, "logs/%.*s.%u.log", STR_ARG(step), attempt);
}

void attempt_log_heading(struct buf *out, const struct run_state *run, uint32_t step,
			 uint32_t attempt)
{
	buf_fmt(out, "==> %.*s (attempt %u, %s) <==\n", STR_ARG(run->model->steps[step].id),
		attempt, step_state_name(run->steps[step].state));
}
