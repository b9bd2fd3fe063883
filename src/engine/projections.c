/* projections.c - checkpoint.json and audit.jsonl, behind the log and never before it (S9.4). */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "keeper/record.h"
#include "keeper/witness.h"
#include "store/audit.h"
#include "store/rebuild.h"

#define EVERY_LEAST     1000 /* ends of attempts between two checkpoints that nobody asked for */
#define AUDIT_BYTES_MAX ((size_t)256 << 10) /* kept in memory */

enum err_code projections_look(struct engine *engine, struct err *err)
{
	struct projections *p = &engine->projections;
	const struct vfs *vfs = engine->ports.vfs;
	struct err own = ERR_INIT;
	bool is_whole;

	checkpoint_mark_read(vfs, rundir_fd(engine->dir), rundir_id(engine->dir), &p->mark);
	p->checked_seq = p->mark.seq;
	if (audit_last(vfs, rundir_fd(engine->dir), &p->audit_seq, &is_whole, &own) != ERR_OK ||
	    !is_whole) {
		p->audit_seq = 0;
		p->is_audit_anew = true;
	}
	return witness_read(vfs, rundir_fd(engine->dir), record_boot(engine->ports.boot_id),
			    &p->epoch, err);
}

enum err_code projections_visit(void *arg, const struct run_state *state, const struct event *event,
				struct str line, struct err *err)
{
	struct engine *engine = arg;
	struct projections *p = &engine->projections;

	(void)err;
	if (state->model->sync == SYNC_NEVER) /* a power cut may have taken the end */
		p->mark.seq = 0;
	if (event->seq > p->audit_seq)
		audit_put(&p->audit, state, event);
	if (event->seq == p->mark.seq)
		log_line_h(line, p->h_at_mark);
	return ERR_OK;
}

enum err_code projections_accept(void *arg, const struct log_head *head, struct err *err)
{
	struct engine *engine = arg;
	const struct projections *p = &engine->projections;

	if (checkpoint_check(&p->mark, head, p->h_at_mark[0] ? str_of(p->h_at_mark) : STR_NONE,
			     err) != ERR_OK)
		return err->code;
	return witness_check(p->epoch, head->seq, err);
}

enum err_code projections_check(struct engine *engine, struct err *err)
{
	struct projections *p = &engine->projections;
	const struct log_head *head = log_head(engine->log);

	if (p->audit_seq <= head->seq)
		return ERR_OK;
	p->is_audit_anew = true; /* it is of another log */
	p->audit_seq = 0;
	buf_clear(&p->audit);
	return projections_audit(engine->dir, engine->ports.limits, &p->audit, err);
}

void projections_note(struct engine *engine, const struct event *event)
{
	struct projections *p = &engine->projections;
	size_t before = p->audit.len;

	if (!p->has_audit_failed)
		audit_put(&p->audit, &engine->fold.state, event);
	p->ends += p->audit.len > before || event->type == EVENT_STEP_COMPENSATED;
}

/* ---------------------------------------------------------------------------------- writing */

static bool rests(const struct run_state *run)
{
	return run->is_completed || run->state == RUN_BLOCKED;
}

/* A checkpoint of a log whose end is not on the disk would say that it was cut, after a power
 * cut. */
static bool wants_checkpoint(const struct engine *engine)
{
	const struct projections *p = &engine->projections;
	const struct model *model = engine->fold.model;
	uint64_t every = model->checkpoint_every;

	if (model->has_no_checkpoint || p->has_checkpoint_failed || engine->commit.is_unsynced ||
	    model->sync == SYNC_NEVER || p->checked_seq == log_head(engine->log)->seq)
		return false;
	if (!every)
		every = model->steps_count > EVERY_LEAST ? model->steps_count : EVERY_LEAST;
	return rests(&engine->fold.state) || p->ends >= every;
}

static enum err_code fail(struct engine *engine, const char *which, const struct err *why,
			  struct err *err)
{
	struct input input = {
	    .kind = INPUT_PROJECTION_FAILED,
	    .text = str_of(which),
	    .error = str_of(why->text),
	};

	if (engine_feed(engine, &input, err) != ERR_OK)
		return err->code;
	return engine_commit(engine, err);
}

static enum err_code write_audit(struct engine *engine, struct err *err)
{
	struct projections *p = &engine->projections;
	struct err own = ERR_INIT;

	if (p->has_audit_failed || (!p->audit.len && !p->is_audit_anew))
		return ERR_OK;
	if (buf_check(&p->audit, AUDIT_FILE, &own) == ERR_OK &&
	    audit_write(engine->ports.vfs, rundir_fd(engine->dir), buf_view(&p->audit),
			p->is_audit_anew, &own) == ERR_OK) {
		p->is_audit_anew = false;
		buf_clear(&p->audit);
		return ERR_OK;
	}
	p->has_audit_failed = true;
	buf_fini(&p->audit);
	return fail(engine, AUDIT_FILE, &own, err);
}

static enum err_code write_checkpoint(struct engine *engine, struct err *err)
{
	struct projections *p = &engine->projections;
	const struct log_head *head = log_head(engine->log);
	struct err own = ERR_INIT;

	p->ends = 0;
	if (checkpoint_write(engine->ports.vfs, rundir_fd(engine->dir), &engine->fold.state, head,
			     &own) == ERR_OK) {
		p->checked_seq = head->seq;
		return ERR_OK;
	}
	p->has_checkpoint_failed = true;
	return fail(engine, CHECKPOINT_FILE, &own, err);
}

enum err_code projections_write(struct engine *engine, struct err *err)
{
	const struct projections *p = &engine->projections;

	if (!wants_checkpoint(engine) && !rests(&engine->fold.state) &&
	    p->audit.len < AUDIT_BYTES_MAX)
		return ERR_OK;
	if (write_audit(engine, err) != ERR_OK)
		return err->code;
	return wants_checkpoint(engine) ? write_checkpoint(engine, err) : ERR_OK;
}
