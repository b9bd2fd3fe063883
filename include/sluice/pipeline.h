/* pipeline.h - pipelines: read from a file, checked, planned */
#ifndef SLUICE_PIPELINE_H
#define SLUICE_PIPELINE_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_pipeline;

/* Read and check a pipeline file. INVALID: *ret_diagnostics (may be NULL if not wanted) has every error
 * as `file:line:col: error[SLUnnn]: text` with caret and hint. NOT_FOUND: no such file. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_load(struct sluice *sluice, const char *path, struct sluice_pipeline **ret_pipeline,
		     char **ret_diagnostics, struct sluice_error *err);
SLUICE_API void sluice_pipeline_free(struct sluice_pipeline *pipeline);
SLUICE_API const char *sluice_pipeline_name(const struct sluice_pipeline *pipeline);
SLUICE_API size_t sluice_pipeline_steps(const struct sluice_pipeline *pipeline);

/* What would run, in what order and why, with resolved values (secrets as ***). Executes nothing.
 * `params` are "name=value" texts, NULL-ended; may be NULL. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_plan(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		     const char *const *params, const char *params_file_json,
		     enum sluice_format format, char **ret_text, struct sluice_error *err);

/* Explanation of an error number of pipeline files ("SLU031"); NOT_FOUND for an unknown one. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_explain_code(const char *code, char **ret_text,
								  struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
