/* change.c - another definition for a run that is there already: what would change. */
#include "api/api.h"

#include "report/change.h"
#include "sys/file.h"

/* The file that the run was started from, or that its definition was last changed by, has another
 * text now. One that is not there any more, or cannot be read, says nothing: a run needs it no
 * longer. */
static enum err_code tell_file(const struct sluice *sluice, const struct rundir *dir,
			       const struct run_state *run, struct buf *text, struct err *err)
{
	AUTO(buf_fini) struct buf source = BUF_INIT;
	AUTO(buf_fini) struct buf now = BUF_INIT;
	AUTO(mem_drop) char *path = NULL;
	struct err ignored = ERR_INIT;

	if (!run->file.ptr)
		return ERR_OK;
	path = mem_text(run->file.ptr, run->file.len);
	if (!path)
		return mem_err(err);
	if (file_read(path, sluice->limits.definition_bytes + 1, &now, &ignored) != ERR_OK)
		return ERR_OK;
	if (rundir_source(dir, run->source_ref, &source, err) != ERR_OK)
		return err->code;
	if (!str_eq(buf_view(&source), buf_view(&now)))
		buf_fmt(text,
			"%s has changed since; the run goes on with the definition that it froze\n",
			path);
	return buf_check(text, "a note", err);
}

enum err_code api_settle(const struct sluice *sluice, const struct rundir *dir,
			 const struct run_state *run, const struct sluice_pipeline *given_by,
			 const struct model *given, struct model *ret_model, struct err *err)
{
	struct api_names names = {.sluice = sluice, .pipeline = given_by};
	struct lang_host host = api_lang_host(&names);
	AUTO(buf_fini) struct buf source = BUF_INIT;
	AUTO(diags_fini) struct diags diags;
	AUTO(model_drop) struct model *was = NULL;
	struct err unread = ERR_INIT;

	diags_init(&diags, 1);
	*ret_model = *given;
	if (given->concurrency == run->model->concurrency)
		return ERR_OK;
	if (rundir_source(dir, run->source_ref, &source, err) != ERR_OK)
		return err->code;
	/* What was written may not be valid any more (a shell that is gone): then it differs. */
	if (lang_load_for(buf_view(&source), run->model->folder, &sluice->limits, &host, &diags,
			  &was, &unread) != ERR_OK) {
		if (unread.code == ERR_MEMORY)
			*err = unread;
		return err->code;
	}
	if (was->concurrency == given->concurrency)
		ret_model->concurrency = run->model->concurrency;
	return ERR_OK;
}

static enum err_code tell(struct sluice *sluice, const char *run_name,
			  const struct sluice_resume_opts *options, struct buf *text,
			  struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	AUTO(change_fini) struct change change = {.next = NULL};
	const struct definition *given;
	struct model settled;

	if (options->definition &&
	    api_pipeline_check(sluice, options->definition, NULL, &given, err) != ERR_OK)
		return err->code;
	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    api_fold_dir(sluice, dir, &fold, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return err->code;
	}
	if (!options->definition)
		return tell_file(sluice, dir, &fold.state, text, err);
	if (api_settle(sluice, dir, &fold.state, options->definition, given->model, &settled,
		       err) != ERR_OK ||
	    change_make(&fold.state, &settled, &change, err) != ERR_OK)
		return err->code;
	return change.next ? change_text(&fold.state, &change, str_of(options->from), text, err)
			   : ERR_OK;
}

enum sluice_code sluice_resume_changes(struct sluice *sluice, const char *run_name,
				       const struct sluice_resume_opts *options, char **ret_text,
				       struct sluice_error *err)
{
	static const struct sluice_resume_opts defaults;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_text)
		return api_usage(err, "sluice_resume_changes: an argument is missing");
	if (tell(sluice, run_name, options ? options : &defaults, &text, &own) != ERR_OK)
		return api_err(err, &own);
	if (!text.len) {
		*ret_text = NULL;
		return SLUICE_OK;
	}
	return api_text(&text, ret_text, err);
}
