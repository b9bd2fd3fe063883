/* graph.c - pictures of pipelines and runs */
#include "api/history.h"

#include "report/graph.h"

#define COLUMNS_DEFAULT 80

#define FORM(name) \
	_Static_assert((int)SLUICE_GRAPH_##name == (int)GRAPH_##name, \
		       "the public forms are our own")
FORM(ASCII);
FORM(DOT);
FORM(MERMAID);
FORM(SVG);
FORM(JSON);
#undef FORM

static bool read_options(const struct sluice_graph_opts *options, struct graph_request *request,
			 struct sluice_error *err)
{
	request->columns = COLUMNS_DEFAULT;
	if (!options)
		return true;
	if ((unsigned)options->format > SLUICE_GRAPH_JSON) {
		(void)api_usage(err, "a graph is ascii, dot, mermaid, svg or json");
		return false;
	}
	if (options->columns > 0 &&
	    (options->columns < GRAPH_COLUMNS_MIN || options->columns > GRAPH_COLUMNS_MAX)) {
		(void)api_usage(err, "a graph has 20 to 2000 columns");
		return false;
	}
	request->format = (enum graph_format)options->format;
	request->columns = options->columns > 0 ? options->columns : COLUMNS_DEFAULT;
	request->is_plain = options->plain;
	return true;
}

enum sluice_code sluice_pipeline_graph(struct sluice *sluice,
				       const struct sluice_pipeline *pipeline,
				       const struct sluice_graph_opts *options, char **ret_text,
				       struct sluice_error *err)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct graph_request request = {.format = GRAPH_ASCII};
	const struct definition *definition;
	struct err cause = ERR_INIT;

	if (!sluice || !pipeline || !ret_text)
		return api_usage(err,
				 "sluice_pipeline_graph needs a handle, a pipeline and an answer");
	if (!read_options(options, &request, err))
		return SLUICE_USAGE;
	if (api_pipeline_check(sluice, pipeline, NULL, &definition, &cause) != ERR_OK)
		return api_err(err, &cause);
	request.model = definition->model;
	if (graph_draw(&request, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}

enum sluice_code sluice_run_graph(struct sluice *sluice, const char *run_name,
				  const struct sluice_graph_opts *options, char **ret_text,
				  struct sluice_error *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct graph_request request = {.format = GRAPH_ASCII};
	struct run_lock_info owner;
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !ret_text)
		return api_usage(
		    err, "sluice_run_graph needs a handle, the name of a run and an answer");
	if (!read_options(options, &request, err))
		return SLUICE_USAGE;
	history_note_clear(sluice);
	if (api_fold_run(sluice, run_name, &fold, &owner, &cause) != ERR_OK)
		return api_err(err, &cause);
	history_note_torn(sluice, fold.state.run_id, &fold.reading, owner.is_held);
	request.model = fold.model;
	request.run = &fold.state;
	if (graph_draw(&request, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return SLUICE_MEMORY;
	return api_check_reading(&fold, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}
