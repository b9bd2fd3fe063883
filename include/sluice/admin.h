/* admin.h - looking after an installation: old runs, the schema of pipeline files */
#ifndef SLUICE_ADMIN_H
#define SLUICE_ADMIN_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The pipeline file as a JSON Schema (draft 2020-12), for editors and for programs that write pipeline
 * files. It judges form: names that must exist, expressions and cycles are sluice_pipeline_load's. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_schema(char **ret_text,
							    struct sluice_error *err);

struct sluice_gc_opts {
	int64_t older_than_ms; /* since a run's last event; 0 = whatever the age: needs `keep` */
	uint64_t keep;         /* the newest runs of each pipeline that stay; 0 = none for this alone */
	const char *result;    /* only runs that ended so: success, partial, failed, stopped or
				* rolled_back */
	const char *pipeline;  /* only runs of it */
	bool damaged;          /* runs whose log is damaged too */
	bool dry_run;          /* only tell; nothing is written */
	enum sluice_format format; /* SLUICE_TEXT or SLUICE_JSON */
};

/* Remove runs that ended long enough ago, and what cut-short starts and removals left. A run is moved
 * into <state>/trash first: it is whole or gone, whenever this is cut short. Runs that somebody owns,
 * that are blocked or could go on, or whose log is damaged, stay and are told of; runs.jsonl keeps its
 * lines. REFUSED when a directory is not what a run directory is (links, mounts, other people's
 * files): it stays, the others were removed, and the text is returned all the same. USAGE when neither
 * an age nor `keep` is given. LOCKED while another removal is under way. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_gc(struct sluice *sluice,
							const struct sluice_gc_opts *options,
							char **ret_text,
							struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
