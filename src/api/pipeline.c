/* pipeline.c - pipelines: read from a file or from memory, checked, planned */
#include "api/api.h"

#include "lang/defaults.h"
#include "lang/lang.h"
#include "report/plan.h"
#include "sys/file.h"

#include <string.h>

static void pipeline_drop(struct sluice_pipeline **pipeline)
{
	sluice_pipeline_free(*pipeline);
}

/* Every error of the file, one after the other, for the caller. */
static void tell_errors(const struct diags *diags, const struct sluice_pipeline *pipeline,
			char **ret_diagnostics)
{
	struct sluice_error ignored;
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (!ret_diagnostics)
		return;
	diags_print(diags, str_of(pipeline->path), buf_view(&pipeline->definition->source), &text);
	/* Without memory for the details there is still the error itself. */
	if (api_text(&text, ret_diagnostics, &ignored) != SLUICE_OK)
		*ret_diagnostics = NULL;
}

enum err_code api_definition_read(const struct sluice *sluice,
				  const struct sluice_pipeline *pipeline, struct str folder,
				  struct diags *diags, struct err *err)
{
	struct definition *definition = pipeline->definition;
	struct api_names names = {.sluice = sluice, .pipeline = pipeline};
	struct lang_host host = api_lang_host(&names);

	if (lang_load_for(buf_view(&definition->source), folder, &sluice->limits, &host, diags,
			  &definition->model, err) == ERR_OK)
		return defaults_fill(definition->model, sluice->step_timeout_ns,
				     sluice->run_timeout_ns, err);
	if (diags->count > 0)
		(void)err_hint(err, "`sluice explain SLU%03d` says more",
			       (int)diags->items[0].code);
	return err->code;
}

static enum err_code read_text(const struct sluice *sluice, struct sluice_pipeline *pipeline,
			       struct str folder, char **ret_diagnostics, struct err *err)
{
	AUTO(diags_fini) struct diags diags;

	diags_init(&diags, sluice->limits.diagnostics);
	if (api_definition_read(sluice, pipeline, folder, &diags, err) != ERR_OK) {
		if (diags.count > 0)
			tell_errors(&diags, pipeline, ret_diagnostics);
		return err_while(err, "%s", pipeline->path);
	}
	return ERR_OK;
}

/* Where it was read from, to be recorded; a path that is not UTF-8 cannot be. */
static enum err_code keep_file(struct sluice_pipeline *pipeline, struct str folder, struct err *err)
{
	AUTO(buf_fini) struct buf file = BUF_INIT;
	const char *slash = strrchr(pipeline->path, '/');

	buf_str(&file, folder);
	if (!str_is(folder, "/"))
		buf_byte(&file, '/');
	buf_text(&file, slash ? slash + 1 : pipeline->path);
	if (buf_check(&file, "a path", err) != ERR_OK)
		return err->code;
	if (!utf8_valid(buf_view(&file)))
		return ERR_OK;
	pipeline->file = mem_text(file.ptr, file.len);
	return pipeline->file ? ERR_OK : mem_err(err);
}

static enum err_code load(const struct sluice *sluice, struct sluice_pipeline *pipeline,
			  char **ret_diagnostics, struct err *err)
{
	AUTO(buf_fini) struct buf folder = BUF_INIT;

	/* One byte more than allowed: lang_load says that it is too much. */
	if (file_read(pipeline->path, sluice->limits.definition_bytes + 1,
		      &pipeline->definition->source, err) != ERR_OK ||
	    file_folder(pipeline->path, &folder, err) != ERR_OK ||
	    keep_file(pipeline, buf_view(&folder), err) != ERR_OK)
		return err->code;
	return read_text(sluice, pipeline, buf_view(&folder), ret_diagnostics, err);
}

struct sluice_pipeline *api_pipeline_room(const char *path)
{
	struct sluice_pipeline *pipeline = mem_new(1, sizeof(*pipeline));

	if (!pipeline)
		return NULL;
	pipeline->definition = mem_new(1, sizeof(*pipeline->definition));
	pipeline->path = mem_text(path, strlen(path));
	if (pipeline->definition && pipeline->path)
		return pipeline;
	sluice_pipeline_free(pipeline);
	return NULL;
}

enum sluice_code sluice_pipeline_load(struct sluice *sluice, const char *path,
				      struct sluice_pipeline **ret_pipeline, char **ret_diagnostics,
				      struct sluice_error *err)
{
	AUTO(pipeline_drop) struct sluice_pipeline *pipeline = NULL;
	struct err cause = ERR_INIT;

	if (!sluice || !path || !ret_pipeline)
		return api_usage(err, "sluice_pipeline_load needs a handle, a path and an answer");
	pipeline = api_pipeline_room(path);
	if (!pipeline) {
		(void)mem_err(&cause);
		return api_err(err, &cause);
	}
	if (load(sluice, pipeline, ret_diagnostics, &cause) != ERR_OK)
		return api_err(err, &cause);
	*ret_pipeline = TAKE(pipeline, NULL);
	return SLUICE_OK;
}

static enum err_code read_memory(const struct sluice *sluice, struct sluice_pipeline *pipeline,
				 struct str text, const char *folder, char **ret_diagnostics,
				 struct err *err)
{
	AUTO(buf_fini) struct buf absolute = BUF_INIT;

	if (file_folder_at(folder ? folder : ".", &absolute, err) != ERR_OK)
		return err->code;
	buf_str(&pipeline->definition->source, text);
	if (buf_check(&pipeline->definition->source, "the pipeline", err) != ERR_OK)
		return err->code;
	return read_text(sluice, pipeline, buf_view(&absolute), ret_diagnostics, err);
}

enum sluice_code sluice_pipeline_read(struct sluice *sluice, const char *text, size_t len,
				      const char *folder, struct sluice_pipeline **ret_pipeline,
				      char **ret_diagnostics, struct sluice_error *err)
{
	AUTO(pipeline_drop) struct sluice_pipeline *pipeline = NULL;
	struct err cause = ERR_INIT;

	if (!sluice || !ret_pipeline || (!text && len > 0))
		return api_usage(err, "sluice_pipeline_read needs a handle, a text and an answer");
	pipeline = api_pipeline_room("pipeline");
	if (!pipeline) {
		(void)mem_err(&cause);
		return api_err(err, &cause);
	}
	if (read_memory(sluice, pipeline, str_from(text, len), folder, ret_diagnostics, &cause) !=
	    ERR_OK)
		return api_err(err, &cause);
	*ret_pipeline = TAKE(pipeline, NULL);
	return SLUICE_OK;
}

enum sluice_code sluice_pipeline_check(struct sluice *sluice,
				       const struct sluice_pipeline *pipeline,
				       char **ret_diagnostics, struct sluice_error *err)
{
	const struct definition *definition;
	struct err cause = ERR_INIT;

	if (!sluice || !pipeline)
		return api_usage(err, "sluice_pipeline_check needs a handle and a pipeline");
	if (api_pipeline_check(sluice, pipeline, ret_diagnostics, &definition, &cause) != ERR_OK)
		return api_err(err, &cause);
	return SLUICE_OK;
}

void sluice_pipeline_free(struct sluice_pipeline *pipeline)
{
	if (!pipeline)
		return;
	api_building_free(pipeline->building);
	if (pipeline->definition) {
		model_free(pipeline->definition->model);
		buf_fini(&pipeline->definition->source);
	}
	mem_free(pipeline->definition);
	mem_free(pipeline->path);
	mem_free(pipeline->file);
	mem_free(pipeline);
}

const char *sluice_pipeline_name(const struct sluice_pipeline *pipeline)
{
	if (!pipeline)
		return NULL;
	if (pipeline->building)
		return api_building_name(pipeline->building);
	return pipeline->definition->model->pipeline.ptr;
}

size_t sluice_pipeline_steps(const struct sluice_pipeline *pipeline)
{
	if (!pipeline)
		return 0;
	if (pipeline->building)
		return api_building_steps(pipeline->building);
	return pipeline->definition->model->steps_count;
}

/* ---------------------------------------------------------------------------------- plan */

/* The parameters that a plan is made with: as given; when none are given at all, the defaults, and
 * `note` says what a run would still need. */
static enum err_code plan_params(const struct sluice *sluice, const struct model *model,
				 const char *const *texts, const char *json, struct arena *arena,
				 struct str *params, struct buf *note, struct err *err)
{
	AUTO(mem_drop) struct str *given = NULL;
	size_t count;
	struct err missing = ERR_INIT;

	if (api_texts(texts, &given, &count, err) != ERR_OK)
		return err->code;
	if (lang_params(model, given, count, str_of(json), &sluice->limits, arena, params,
			&missing) == ERR_OK)
		return ERR_OK;
	if (count > 0 || json || missing.code != ERR_USAGE) {
		*err = missing;
		return err->code;
	}
	for (uint32_t i = 0; i < model->params_count; i++)
		params[i] = model->params[i].fallback;
	buf_text(note, missing.text);
	return ERR_OK;
}

static enum err_code plan(const struct sluice *sluice, const struct model *model,
			  const char *const *texts, const char *json, enum sluice_format format,
			  struct buf *out, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(buf_fini) struct buf note = BUF_INIT;
	AUTO(mem_drop) struct str *params = mem_new(model->params_count + 1, sizeof(*params));
	struct plan_request request = {.model = model, .params = params, .limits = &sluice->limits};

	if (!params)
		return mem_err(err);
	if (plan_params(sluice, model, texts, json, &arena, params, &note, err) != ERR_OK)
		return err->code;
	request.note = buf_view(&note);
	return format == SLUICE_JSON ? plan_json(&request, out, err)
				     : plan_text(&request, out, err);
}

enum sluice_code sluice_pipeline_plan(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				      const char *const *params, const char *params_file_json,
				      enum sluice_format format, char **ret_text,
				      struct sluice_error *err)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	const struct definition *definition;
	struct err cause = ERR_INIT;

	if (!sluice || !pipeline || !ret_text)
		return api_usage(err,
				 "sluice_pipeline_plan needs a handle, a pipeline and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON)
		return api_usage(err, "a plan is text or json");
	if (api_pipeline_check(sluice, pipeline, NULL, &definition, &cause) != ERR_OK ||
	    plan(sluice, definition->model, params, params_file_json, format, &out, &cause) !=
		ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}
