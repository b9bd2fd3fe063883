/* graph.h - the dependencies of a pipeline or run as a picture */
#ifndef SLUICE_GRAPH_H
#define SLUICE_GRAPH_H

#include <sluice/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_graph_format {
	SLUICE_GRAPH_ASCII,   /* boxes of characters; a list of layers when that is wider than
				 `columns` */
	SLUICE_GRAPH_DOT,     /* for Graphviz */
	SLUICE_GRAPH_MERMAID, /* for Markdown that draws Mermaid */
	SLUICE_GRAPH_SVG,     /* a picture that needs nothing else, light and dark */
	SLUICE_GRAPH_JSON /* nodes with layer and place, edges with points, in pixels of the SVG */
};

struct sluice_graph_opts {
	enum sluice_graph_format format;
	uint32_t columns; /* SLUICE_GRAPH_ASCII: 20 to 2000; 0 = 80 */
	bool plain;       /* SLUICE_GRAPH_ASCII: no characters beyond ASCII */
};

/* Draw what needs what. `options` may be NULL: characters, 80 columns. USAGE for a form or width
 * that there is not; LIMIT for more steps than can be drawn. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_graph(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		      const struct sluice_graph_opts *options, char **ret_text,
		      struct sluice_error *err);

/* The same of a run's frozen definition, with the state, attempts and time of each step. A damaged
 * log gives the good prefix and CORRUPT (the text is returned all the same). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_graph(struct sluice *sluice, const char *run_name,
		 const struct sluice_graph_opts *options, char **ret_text,
		 struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
