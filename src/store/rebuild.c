/* rebuild.c - see rebuild.h */
#include "store/rebuild.h"

#include "base/mem.h"
#include "rundir/fold.h"
#include "store/audit.h"
#include "store/checkpoint.h"

/* What is gathered from the log on the way. */
struct gathering {
	struct checkpoint_mark mark;
	char h[LOG_H_BYTES + 1]; /* of the line that the checkpoint has seen */
	struct buf *audit;
};

static enum err_code visit(void *arg, const struct run_state *state, const struct event *event,
			   struct str line, struct err *err)
{
	struct gathering *gathering = arg;

	audit_put(gathering->audit, state, event);
	if (event->seq == gathering->mark.seq)
		log_line_h(line, gathering->h);
	return buf_check(gathering->audit, AUDIT_FILE, err);
}

static enum err_code gather(const struct rundir *dir, const struct limits *limits,
			    struct gathering *gathering, struct fold_run *ret_fold, struct err *err)
{
	struct fold_run fold = {.model = NULL};
	enum err_code code = ERR_OK;

	if (fold_read(dir, limits, visit, gathering, &fold, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		code = err->code;
	}
	if (code != ERR_OK) {
		fold_fini(&fold);
		return code;
	}
	*ret_fold = fold;
	return ERR_OK;
}

enum err_code projections_audit(const struct rundir *dir, const struct limits *limits,
				struct buf *out, struct err *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct gathering gathering = {.audit = out};

	return gather(dir, limits, &gathering, &fold, err);
}

enum err_code projections_rebuild(const struct rundir *dir, const struct limits *limits,
				  struct err *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf audit = BUF_INIT;
	struct gathering gathering = {.audit = &audit};
	const struct vfs *vfs = rundir_vfs(dir);
	const struct log_head *head = &fold.reading.head;

	checkpoint_mark_read(vfs, rundir_fd(dir), rundir_id(dir), &gathering.mark);
	if (gather(dir, limits, &gathering, &fold, err) != ERR_OK)
		return err->code;
	if (checkpoint_check(&gathering.mark, head, gathering.h[0] ? str_of(gathering.h) : STR_NONE,
			     err) != ERR_OK ||
	    audit_write(vfs, rundir_fd(dir), buf_view(&audit), true, err) != ERR_OK)
		return err->code;
	if (fold.model->has_no_checkpoint || fold.model->sync == SYNC_NEVER)
		return ERR_OK;
	return checkpoint_write(vfs, rundir_fd(dir), &fold.state, head, err);
}
