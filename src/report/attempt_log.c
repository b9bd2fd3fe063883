/* attempt_log.c - see attempt_log.h */
#include "report/attempt_log.h"

#include "base/mem.h"

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

void attempt_log_path(struct buf *out, const struct step *step, uint32_t attempt, unsigned file)
{
	static const char *const kinds[ATTEMPT_LOGS] = {"out", "err", "log"};

	buf_fmt(out, "logs/%.*s.%u.%s", STR_ARG(step->id), attempt, kinds[file]);
}

/* Is there nothing in a file of the run directory? A file that nobody has begun to write is not
 * there. */
static bool is_empty(const struct rundir *dir, const char *path)
{
	const struct vfs *vfs = rundir_vfs(dir);
	struct vfs_stat stat = {.size_bytes = 1};
	struct err ignored = ERR_INIT;
	int fd;

	if (vfs_open(vfs, rundir_fd(dir), path, VFS_READ, &fd, &ignored) != ERR_OK)
		return ignored.code == ERR_NOT_FOUND;
	if (vfs_stat(vfs, fd, &stat, &ignored) != ERR_OK)
		stat.size_bytes = 1; /* not known: `sluice logs` will say why */
	vfs_close(vfs, fd);
	return stat.size_bytes == 0;
}

bool attempt_log_is_mute(const struct rundir *dir, const struct run_state *run)
{
	static const struct attempt_choice last = {.attempt = -1, .failed = true};

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		uint32_t attempt;

		if (!attempt_chosen(run, i, &last, &attempt))
			continue;
		for (unsigned file = 0; file < ATTEMPT_LOGS; file++) {
			AUTO(buf_fini) struct buf path = BUF_INIT;

			attempt_log_path(&path, &run->model->steps[i], attempt, file);
			if (path.failed != ERR_OK || !is_empty(dir, path.ptr))
				return false;
		}
	}
	return !run->undo.is_begun; /* what compensations wrote is not looked at */
}

void attempt_log_heading(struct buf *out, const struct run_state *run, uint32_t step,
			 uint32_t attempt)
{
	buf_fmt(out, "==> %.*s (attempt %u, %s) <==\n", STR_ARG(run->model->steps[step].id),
		attempt, step_state_name(run->steps[step].state));
}

void attempt_undo_note(struct attempt_undo *undos, const struct run_state *run,
		       const struct event *event)
{
	bool is_start = event->type == EVENT_COMPENSATION_STARTED;
	struct attempt_undo *undo;
	uint32_t step;

	if (!is_start && event->type != EVENT_COMPENSATION_FAILED &&
	    event->type != EVENT_STEP_COMPENSATED)
		return;
	step = model_find(run->model, event_text(event, EVENT_FIELD_STEP_ID));
	BUG_IF(step == STEP_NONE); /* apply has found it */
	undo = &undos[step];
	undo->is_running = is_start;
	if (is_start)
		undo->count = event->attempt + 1;
	else
		undo->is_failed = event->type == EVENT_COMPENSATION_FAILED;
}

bool attempt_undo_chosen(const struct run_state *run, uint32_t step,
			 const struct attempt_undo *undo, const struct attempt_choice *choice,
			 uint32_t *ret_attempt)
{
	if (choice->step.ptr && !str_eq(choice->step, run->model->steps[step].id))
		return false;
	if (undo->count == 0 || (choice->failed && (undo->is_running || !undo->is_failed)) ||
	    choice->attempt >= (int64_t)undo->count)
		return false;
	*ret_attempt = choice->attempt >= 0 ? (uint32_t)choice->attempt : undo->count - 1;
	return true;
}

void attempt_undo_path(struct buf *out, const struct step *step, uint32_t attempt)
{
	buf_fmt(out, "logs/%.*s.comp.%u.log", STR_ARG(step->id), attempt);
}

void attempt_undo_heading(struct buf *out, const struct step *step, const struct attempt_undo *undo,
			  uint32_t attempt)
{
	bool is_last = attempt + 1 == undo->count;

	/* One after which there was another has failed. */
	buf_fmt(out, "==> %.*s, compensation (attempt %u, %s) <==\n", STR_ARG(step->id), attempt,
		is_last && undo->is_running   ? "running"
		: is_last && !undo->is_failed ? "succeeded"
					      : "failed");
}
