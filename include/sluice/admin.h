/* admin.h - looking after an installation: the schema of pipeline files */
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

#ifdef __cplusplus
}
#endif

#endif
