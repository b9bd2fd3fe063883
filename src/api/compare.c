/* compare.c - two runs side by side */
#include "api/history.h"

#include "report/compare.h"

static enum err_code read_side(const struct sluice *sluice, const char *run_name,
			       struct compare_side *side, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;

	struct run_lock_info owner;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), &owner, err) != ERR_OK ||
	    compare_read(dir, &sluice->limits, side, err) != ERR_OK)
		return err->code;
	history_note_torn(sluice, side->fold.state.run_id, &side->fold.reading, owner.is_held);
	return ERR_OK;
}

enum sluice_code sluice_compare(struct sluice *sluice, const char *run_a, const char *run_b,
				enum sluice_format format, char **ret_text,
				struct sluice_error *err)
{
	AUTO(compare_side_fini) struct compare_side a = {.hashes_count = 0};
	AUTO(compare_side_fini) struct compare_side b = {.hashes_count = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;
	enum err_code code;

	if (!sluice || !run_a || !run_b || !ret_text)
		return api_usage(err, "sluice_compare needs a handle, two runs and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON && format != SLUICE_CSV)
		return api_usage(err, "the answer is text, json or csv");
	history_note_clear(sluice);
	if (read_side(sluice, run_a, &a, &cause) != ERR_OK ||
	    read_side(sluice, run_b, &b, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (format == SLUICE_JSON)
		code = compare_json(&a, &b, &out, &cause);
	else if (format == SLUICE_CSV)
		code = compare_csv(&a, &b, &out, &cause);
	else
		code = compare_text(&a, &b, &out, &cause);
	if (code != ERR_OK)
		return api_err(err, &cause);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return err->code;
	if (api_check_reading(&a.fold, &cause) != ERR_OK ||
	    api_check_reading(&b.fold, &cause) != ERR_OK)
		return api_err(err, &cause);
	return SLUICE_OK;
}
