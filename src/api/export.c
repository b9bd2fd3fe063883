/* export.c - a run for other programs */
#include "api/api.h"

#include "report/export.h"

#define FORMAT(name) \
	_Static_assert((int)SLUICE_EXPORT_##name == (int)EXPORT_##name, "one list of formats")
FORMAT(JSON);
FORMAT(CSV);
FORMAT(CHROME_TRACE);
FORMAT(OTLP);
#undef FORMAT

enum sluice_code sluice_export(struct sluice *sluice, const char *run_name,
			       enum sluice_export_format format, sluice_sink_fn *sink, void *arg,
			       struct sluice_error *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct fold_run end = {.model = NULL};
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !sink)
		return api_usage(err, "sluice_export needs a handle, the name of a run and a sink");
	if ((unsigned)format > SLUICE_EXPORT_OTLP)
		return api_usage(err, "an export is json, csv, chrome-trace or otlp");
	if (api_find_run(sluice, run_name, &dir, &cause) != ERR_OK ||
	    export_run(dir, &sluice->limits, (enum export_format)format, sink, arg, &end.reading,
		       &cause) != ERR_OK)
		return api_err(err, &cause);
	if (end.reading.end != LOG_END_DAMAGED)
		return SLUICE_OK;
	cause = end.reading.problem;
	cause.code = ERR_CORRUPT;
	(void)err_while(&cause, "log of '%s', after event %llu", run_name,
			(unsigned long long)end.reading.head.seq);
	return api_err(err, &cause);
}
