/* query.c - how one run stands: status, summary, verify. Readers: no lock, nothing is written */
#include "api/api.h"

#include "keeper/record.h"
#include "keeper/witness.h"
#include "report/attempt_log.h"
#include "report/explain_step.h"
#include "report/run_report.h"
#include "report/verify.h"
#include "store/checkpoint.h"
#include "sys/clock.h"

#include <string.h>

enum err_code api_check_reading(const struct fold_run *fold, struct err *err)
{
	if (fold->reading.end != LOG_END_DAMAGED)
		return ERR_OK;
	*err = fold->reading.problem;
	err->code = ERR_CORRUPT;
	return err_while(err, "log of '%.*s', after event %llu", STR_ARG(fold->state.run_id),
			 (unsigned long long)fold->reading.head.seq);
}

typedef enum err_code report_fn(const struct fold_run *fold, const struct run_lock_info *owner,
				enum sluice_format format, struct buf *out, struct err *err);

static enum err_code report_status(const struct fold_run *fold, const struct run_lock_info *owner,
				   enum sluice_format format, struct buf *out, struct err *err)
{
	return format == SLUICE_JSON ? status_json(fold, owner, out, err)
				     : status_text(fold, owner, out, err);
}

static enum err_code report_summary(const struct fold_run *fold, const struct run_lock_info *owner,
				    enum sluice_format format, struct buf *out, struct err *err)
{
	(void)owner;
	return format == SLUICE_JSON ? summary_json(fold, out, err) : summary_text(fold, out, err);
}

/* The checkpoint that was there before the log was read, what the log has in its place, and the
 * newest epoch that attempts.log had seen. */
struct witness {
	struct checkpoint_mark mark;
	char h[LOG_H_BYTES + 1];
	uint64_t epoch;
};

/* What cannot be read is no evidence for who only looks. */
static uint64_t epoch_read(const struct rundir *dir)
{
	char boot_id[BOOT_ID_BYTES + 1];
	uint64_t epoch = 0;
	struct err own = ERR_INIT;

	if (boot_id_read(boot_id, &own) != ERR_OK ||
	    witness_read(rundir_vfs(dir), rundir_fd(dir), record_boot(str_of(boot_id)), &epoch,
			 &own) != ERR_OK)
		return 0;
	return epoch;
}

static enum err_code see_line(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	struct witness *witness = arg;

	(void)state;
	(void)err;
	if (event->seq == witness->mark.seq)
		log_line_h(line, witness->h);
	return ERR_OK;
}

/* A log that ends too early reads as damaged (S9.4). */
static void judge(const struct witness *witness, struct fold_run *fold)
{
	const struct log_head *head = &fold->reading.head;
	struct str h = witness->h[0] ? str_of(witness->h) : STR_NONE;
	struct err cut = ERR_INIT;

	if (fold->reading.end != LOG_END_WHOLE && fold->reading.end != LOG_END_TORN)
		return;
	if ((fold->model->sync == SYNC_NEVER ||
	     checkpoint_check(&witness->mark, head, h, &cut) == ERR_OK) &&
	    witness_check(witness->epoch, head->seq, &cut) == ERR_OK)
		return;
	fold->reading.end = LOG_END_DAMAGED;
	fold->reading.problem = cut;
}

enum err_code api_fold_dir(const struct sluice *sluice, const struct rundir *dir,
			   struct fold_run *ret_fold, struct err *err)
{
	struct witness witness = {.mark = {.seq = 0}};

	checkpoint_mark_read(rundir_vfs(dir), rundir_fd(dir), rundir_id(dir), &witness.mark);
	witness.epoch = epoch_read(dir);
	if (fold_read(dir, &sluice->limits, witness.mark.seq ? see_line : NULL, &witness, ret_fold,
		      err) != ERR_OK)
		return err->code;
	judge(&witness, ret_fold);
	return ERR_OK;
}

enum err_code api_fold_run(const struct sluice *sluice, const char *run_name,
			   struct fold_run *ret_fold, struct run_lock_info *ret_owner,
			   struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), ret_owner, err) != ERR_OK ||
	    api_fold_dir(sluice, dir, ret_fold, err) != ERR_OK)
		return err->code;
	if (ret_fold->state.state == RUN_FAILED)
		ret_fold->is_mute = attempt_log_is_mute(dir, &ret_fold->state);
	return ERR_OK;
}

static enum err_code verify(const struct sluice *sluice, const struct rundir *dir,
			    struct str receipt, struct buf *out, struct err *err)
{
	struct checkpoint_mark mark;
	struct verify_witness witness = {.seq = 0};
	uint64_t epoch = epoch_read(dir);

	checkpoint_mark_read(rundir_vfs(dir), rundir_fd(dir), rundir_id(dir), &mark);
	witness.seq = mark.seq;
	if (verify_run(dir, &sluice->limits, receipt, &witness, out, err) != ERR_OK)
		return err->code;
	if (checkpoint_check(&mark, &witness.head, witness.h[0] ? str_of(witness.h) : STR_NONE,
			     err) != ERR_OK) {
		buf_fmt(out, "Checkpoint: %s\n", err->text);
		return err->code;
	}
	if (witness_check(epoch, witness.head.seq, err) != ERR_OK)
		buf_fmt(out, "Attempts: %s\n", err->text);
	return err->code;
}

static enum sluice_code answer(struct sluice *sluice, const char *run_name,
			       enum sluice_format format, report_fn *report, char **ret_text,
			       struct sluice_error *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct run_lock_info owner;
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !ret_text)
		return api_usage(err, "the call needs a handle, the name of a run and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON)
		return api_usage(err, "the answer is text or json");
	if (api_fold_run(sluice, run_name, &fold, &owner, &cause) != ERR_OK ||
	    report(&fold, &owner, format, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return SLUICE_MEMORY;
	return api_check_reading(&fold, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}

enum sluice_code sluice_status(struct sluice *sluice, const char *run_name,
			       enum sluice_format format, char **ret_text, struct sluice_error *err)
{
	return answer(sluice, run_name, format, report_status, ret_text, err);
}

static enum err_code fold_at(const struct sluice *sluice, const char *run_name, const char *at,
			     struct fold_run *ret_fold, struct at_view *ret_view, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct fold_until until;

	if (at_read(str_of(at), clock_utc_ms(sluice->clock), &until, err) != ERR_OK ||
	    api_find_run(sluice, run_name, &dir, err) != ERR_OK)
		return err->code;
	return at_fold(dir, &sluice->limits, &until, ret_fold, ret_view, err);
}

enum sluice_code sluice_status_at(struct sluice *sluice, const char *run_name, const char *at,
				  enum sluice_format format, char **ret_text,
				  struct sluice_error *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(at_view_fini) struct at_view view = {.head_seq = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;
	enum err_code code;

	if (!sluice || !run_name || !at || !ret_text)
		return api_usage(err, "sluice_status_at needs a handle, the name of a run, a point "
				      "and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON)
		return api_usage(err, "the answer is text or json");
	if (fold_at(sluice, run_name, at, &fold, &view, &cause) != ERR_OK)
		return api_err(err, &cause);
	code = format == SLUICE_JSON ? status_at_json(&fold, &view, &out, &cause)
				     : status_at_text(&fold, &view, &out, &cause);
	if (code != ERR_OK)
		return api_err(err, &cause);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return SLUICE_MEMORY;
	return api_check_reading(&fold, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}

static enum err_code explain_named(const struct sluice *sluice, const char *run_name,
				   struct str step, enum sluice_format format, struct trail *trail,
				   struct buf *out, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct run_lock_info owner;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), &owner, err) != ERR_OK ||
	    trail_read(dir, &sluice->limits, step, trail, err) != ERR_OK)
		return err->code;
	if (trail->fold.state.state == RUN_FAILED)
		trail->fold.is_mute = attempt_log_is_mute(dir, &trail->fold.state);
	return format == SLUICE_JSON ? explain_json(trail, &owner, out, err)
				     : explain_text(trail, &owner, out, err);
}

enum sluice_code sluice_explain(struct sluice *sluice, const char *run_name, const char *step,
				enum sluice_format format, char **ret_text,
				struct sluice_error *err)
{
	AUTO(trail_fini) struct trail trail = {.steps = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !ret_text)
		return api_usage(err,
				 "sluice_explain needs a handle, the name of a run and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON)
		return api_usage(err, "the answer is text or json");
	if (explain_named(sluice, run_name, str_of(step), format, &trail, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return err->code;
	return api_check_reading(&trail.fold, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}

enum sluice_code sluice_summary(struct sluice *sluice, const char *run_name,
				enum sluice_format format, char **ret_text,
				struct sluice_error *err)
{
	return answer(sluice, run_name, format, report_summary, ret_text, err);
}

static bool is_receipt(struct str text)
{
	if (text.len != 16)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!strchr("0123456789abcdef", text.ptr[i]) || !text.ptr[i])
			return false;
	}
	return true;
}

enum sluice_code sluice_verify(struct sluice *sluice, const char *run_name, const char *receipt,
			       char **ret_text, struct sluice_error *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;
	enum err_code code;

	if (!sluice || !run_name || !ret_text)
		return api_usage(err,
				 "sluice_verify needs a handle, the name of a run and an answer");
	if (receipt && !is_receipt(str_of(receipt)))
		return api_usage(err, "a receipt is 16 digits of 0-9 and a-f, "
				      "as the end of the run printed them");
	if (api_find_run(sluice, run_name, &dir, &cause) != ERR_OK)
		return api_err(err, &cause);
	code = verify(sluice, dir, str_of(receipt), &out, &cause);
	if (out.len > 0 && api_text(&out, ret_text, err) != SLUICE_OK)
		return SLUICE_MEMORY;
	return code == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}
