/* misuse_query_test.c - wrong use of what acts on runs, asks about them and looks after them */
#include "misuse.h"

static bool take(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	(void)bytes;
	(void)len;
	return true;
}

/* --------------------------------------------------------------------------------------- act.h */

static void use_sluice_stop(void)
{
	USAGE(sluice_stop(NULL, RUN_ID, NULL, err));
	USAGE(sluice_stop(sluice, NULL, NULL, err));
	USAGE(sluice_stop(sluice, RUN_ID, &(struct sluice_act_opts){.as = "\xFF"}, err));
	USAGE(sluice_stop(sluice, RUN_ID, &(struct sluice_act_opts){.as = long_text}, err));
	USAGE(sluice_stop(sluice, RUN_ID, &(struct sluice_act_opts){.reason = long_text}, err));
	FOR_NAMES(name)
	REFUSED(sluice_stop(sluice, name, NULL, err));
}

static void use_sluice_approve(void)
{
	static const struct sluice_act_opts why = {.reason = "why"};

	USAGE(sluice_approve(NULL, RUN_ID, "a", &why, err));
	USAGE(sluice_approve(sluice, NULL, "a", &why, err));
	USAGE(sluice_approve(sluice, RUN_ID, NULL, &why, err));
	USAGE(
	    sluice_approve(sluice, RUN_ID, "a", &(struct sluice_act_opts){.reason = "\xFF"}, err));
	REFUSED(sluice_approve(sluice, RUN_ID, "", &why, err));
	REFUSED(sluice_approve(sluice, RUN_ID, long_text, &why, err));
	FOR_NAMES(name)
	REFUSED(sluice_approve(sluice, name, "a", &why, err));
}

static void use_sluice_reject(void)
{
	static const struct sluice_act_opts why = {.reason = "why"};

	USAGE(sluice_reject(NULL, RUN_ID, "a", &why, err));
	USAGE(sluice_reject(sluice, NULL, "a", &why, err));
	USAGE(sluice_reject(sluice, RUN_ID, NULL, &why, err));
	REFUSED(sluice_reject(sluice, RUN_ID, "\xFF", &why, err));
	FOR_NAMES(name)
	REFUSED(sluice_reject(sluice, name, "a", &why, err));
}

/* ------------------------------------------------------------------------------------- query.h */

static void use_sluice_status(void)
{
	USAGE(sluice_status(NULL, RUN_ID, SLUICE_TEXT, &text, err));
	USAGE(sluice_status(sluice, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_status(sluice, RUN_ID, SLUICE_TEXT, NULL, err));
	USAGE(sluice_status(sluice, RUN_ID, (enum sluice_format) - 1, &text, err));
	FOR_NAMES(name)
	REFUSED(sluice_status(sluice, name, SLUICE_TEXT, &text, err));
}

static void use_sluice_summary(void)
{
	USAGE(sluice_summary(NULL, RUN_ID, SLUICE_TEXT, &text, err));
	USAGE(sluice_summary(sluice, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_summary(sluice, RUN_ID, SLUICE_TEXT, NULL, err));
	USAGE(sluice_summary(sluice, RUN_ID, SLUICE_CSV, &text, err));
	FOR_NAMES(name)
	REFUSED(sluice_summary(sluice, name, SLUICE_JSON, &text, err));
}

static void use_sluice_events(void)
{
	USAGE(sluice_events(NULL, RUN_ID, NULL, take, NULL, err));
	USAGE(sluice_events(sluice, NULL, NULL, take, NULL, err));
	USAGE(sluice_events(sluice, RUN_ID, NULL, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_events(sluice, name, NULL, take, NULL, err));
}

static void use_sluice_logs(void)
{
	USAGE(sluice_logs(NULL, RUN_ID, NULL, take, NULL, err));
	USAGE(sluice_logs(sluice, NULL, NULL, take, NULL, err));
	USAGE(sluice_logs(sluice, RUN_ID, NULL, NULL, NULL, err));
	REFUSED(sluice_logs(sluice, RUN_ID, &(struct sluice_logs_opts){.step = "\xFF"}, take, NULL,
			    err));
	REFUSED(sluice_logs(sluice, RUN_ID, &(struct sluice_logs_opts){.step = "a/../b"}, take,
			    NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_logs(sluice, name, NULL, take, NULL, err));
}

static void use_sluice_list(void)
{
	USAGE(sluice_list(NULL, NULL, &text, err));
	USAGE(sluice_list(sluice, NULL, NULL, err));
	USAGE(sluice_list(sluice, &(struct sluice_list_opts){.format = (enum sluice_format)99},
			  &text, err));
	USAGE(sluice_list(sluice, &(struct sluice_list_opts){.result = "splendid"}, &text, err));
}

static void use_sluice_compare(void)
{
	USAGE(sluice_compare(NULL, RUN_ID, RUN_ID, SLUICE_TEXT, &text, err));
	USAGE(sluice_compare(sluice, NULL, RUN_ID, SLUICE_TEXT, &text, err));
	USAGE(sluice_compare(sluice, RUN_ID, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_compare(sluice, RUN_ID, RUN_ID, SLUICE_TEXT, NULL, err));
	USAGE(sluice_compare(sluice, RUN_ID, RUN_ID, (enum sluice_format) - 1, &text, err));
	FOR_NAMES(name)
	{
		REFUSED(sluice_compare(sluice, name, RUN_ID, SLUICE_TEXT, &text, err));
		REFUSED(sluice_compare(sluice, RUN_ID, name, SLUICE_JSON, &text, err));
	}
}

static void use_sluice_export(void)
{
	const enum sluice_export_format first = (enum sluice_export_format)0;

	USAGE(sluice_export(NULL, RUN_ID, first, take, NULL, err));
	USAGE(sluice_export(sluice, NULL, first, take, NULL, err));
	USAGE(sluice_export(sluice, RUN_ID, first, NULL, NULL, err));
	USAGE(sluice_export(sluice, RUN_ID, (enum sluice_export_format)99, take, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_export(sluice, name, first, take, NULL, err));
}

static void use_sluice_verify(void)
{
	USAGE(sluice_verify(NULL, RUN_ID, NULL, &text, err));
	USAGE(sluice_verify(sluice, NULL, NULL, &text, err));
	USAGE(sluice_verify(sluice, RUN_ID, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_verify(sluice, name, NULL, &text, err));
}

static void use_sluice_verify_all(void)
{
	USAGE(sluice_verify_all(NULL, take, NULL, err));
	USAGE(sluice_verify_all(sluice, NULL, NULL, err));
}

static void use_sluice_status_at(void)
{
	static const char *const wrong[] = {"",
					    "x",
					    "-1",
					    "evt_",
					    "evt_-1",
					    "\xFF",
					    "99999999999999999999999",
					    "2020-13-01T00:00:00Z",
					    "-10"};

	USAGE(sluice_status_at(NULL, RUN_ID, "1", SLUICE_TEXT, &text, err));
	USAGE(sluice_status_at(sluice, NULL, "1", SLUICE_TEXT, &text, err));
	USAGE(sluice_status_at(sluice, RUN_ID, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_status_at(sluice, RUN_ID, "1", SLUICE_TEXT, NULL, err));
	USAGE(sluice_status_at(sluice, RUN_ID, "1", SLUICE_CSV, &text, err));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		USAGE(sluice_status_at(sluice, RUN_ID, wrong[i], SLUICE_TEXT, &text, err));
	USAGE(sluice_status_at(sluice, RUN_ID, long_text, SLUICE_TEXT, &text, err));
}

static void use_sluice_explain(void)
{
	USAGE(sluice_explain(NULL, RUN_ID, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_explain(sluice, NULL, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_explain(sluice, RUN_ID, NULL, SLUICE_TEXT, NULL, err));
	USAGE(sluice_explain(sluice, RUN_ID, NULL, SLUICE_CSV, &text, err));
	FAILS(SLUICE_NOT_FOUND, sluice_explain(sluice, RUN_ID, "", SLUICE_TEXT, &text, err));
	FAILS(SLUICE_NOT_FOUND, sluice_explain(sluice, RUN_ID, "\xFF", SLUICE_JSON, &text, err));
	FAILS(SLUICE_NOT_FOUND, sluice_explain(sluice, RUN_ID, long_text, SLUICE_TEXT, &text, err));
	FOR_NAMES(name)
	REFUSED(sluice_explain(sluice, name, NULL, SLUICE_TEXT, &text, err));
}

static void use_sluice_stats(void)
{
	USAGE(sluice_stats(NULL, NULL, &text, err));
	USAGE(sluice_stats(sluice, NULL, NULL, err));
	USAGE(sluice_stats(sluice, &(struct sluice_stats_opts){.format = (enum sluice_format) - 1},
			   &text, err));
	FAILS(SLUICE_NOT_FOUND,
	      sluice_stats(sluice, &(struct sluice_stats_opts){.pipeline = "\xFF"}, &text, err));
}

static void use_sluice_step_history(void)
{
	struct sluice_step_times times = {.count = 0};

	USAGE(sluice_step_history(NULL, "p", &times, err));
	USAGE(sluice_step_history(sluice, NULL, &times, err));
	USAGE(sluice_step_history(sluice, "p", NULL, err));
}

static void use_sluice_step_history_free(void)
{
	sluice_step_history_free(NULL);
}

static void use_sluice_note(void)
{
	(void)sluice_note(NULL);
}

static void use_sluice_pipeline_graph(void)
{
	USAGE(sluice_pipeline_graph(NULL, pipeline, NULL, &text, err));
	USAGE(sluice_pipeline_graph(sluice, NULL, NULL, &text, err));
	USAGE(sluice_pipeline_graph(sluice, pipeline, NULL, NULL, err));
	USAGE(sluice_pipeline_graph(sluice, pipeline, &(struct sluice_graph_opts){.columns = 7},
				    &text, err));
	USAGE(sluice_pipeline_graph(
	    sluice, pipeline, &(struct sluice_graph_opts){.format = (enum sluice_graph_format)99},
	    &text, err));
}

static void use_sluice_run_graph(void)
{
	USAGE(sluice_run_graph(NULL, RUN_ID, NULL, &text, err));
	USAGE(sluice_run_graph(sluice, NULL, NULL, &text, err));
	USAGE(sluice_run_graph(sluice, RUN_ID, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_run_graph(sluice, name, NULL, &text, err));
}

/* ------------------------------------------------------------------------------------- admin.h */

static void use_sluice_gc(void)
{
	USAGE(sluice_gc(NULL, &(struct sluice_gc_opts){.keep = 1, .dry_run = true}, &text, err));
	USAGE(sluice_gc(sluice, &(struct sluice_gc_opts){.keep = 1, .dry_run = true}, NULL, err));
	USAGE(sluice_gc(sluice, NULL, &text, err));
	USAGE(sluice_gc(sluice, &(struct sluice_gc_opts){.dry_run = true}, &text, err));
	USAGE(sluice_gc(sluice, &(struct sluice_gc_opts){.keep = 1, .result = "splendid"}, &text,
			err));
	USAGE(sluice_gc(sluice, &(struct sluice_gc_opts){.older_than_ms = -1}, &text, err));
	USAGE(sluice_gc(sluice,
			&(struct sluice_gc_opts){.keep = 1, .format = (enum sluice_format)9}, &text,
			err));
}

static void use_sluice_reindex_all(void)
{
	USAGE(sluice_reindex_all(NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_reindex_all(sluice, SLUICE_TEXT, NULL, err));
	USAGE(sluice_reindex_all(sluice, (enum sluice_format) - 1, &text, err));
}

static void use_sluice_reindex(void)
{
	USAGE(sluice_reindex(NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_reindex(sluice, SLUICE_TEXT, NULL, err));
	USAGE(sluice_reindex(sluice, (enum sluice_format) - 1, &text, err));
}

static void use_sluice_doctor(void)
{
	const struct sluice_doctor_opts good = {.state_dir = folder.path};
	const struct sluice_doctor_opts wrong = {.state_dir = folder.path,
						 .format = (enum sluice_format)44};
	unsigned problems = 77;

	USAGE(sluice_doctor(&good, NULL, &text, err));
	USAGE(sluice_doctor(&good, &problems, NULL, err));
	USAGE(sluice_doctor(&wrong, &problems, &text, err));
	assert_int_equal(problems, 77);
}

static void use_sluice_settings_read(void)
{
	struct sluice_settings *settings = NULL;

	USAGE(sluice_settings_read("", NULL, NULL, err));
	REFUSED(sluice_settings_read("/no/such/file", &settings, &text, err));
	REFUSED(sluice_settings_read(folder.path, &settings, &text, err));
	REFUSED(sluice_settings_read(long_text, &settings, &text, err));
	assert_null(settings);
}

static void use_sluice_settings_free(void)
{
	sluice_settings_free(NULL);
}

static void use_sluice_setting(void)
{
	assert_null(sluice_setting(NULL, "gc.keep", NULL));
	assert_null(sluice_setting(NULL, NULL, NULL));
}

static void use_sluice_settings_limits(void)
{
	assert_null(sluice_settings_limits(NULL));
}

static void use_sluice_setting_about(void)
{
	assert_null(sluice_setting_about(SIZE_MAX));
}

static void use_sluice_schema(void)
{
	USAGE(sluice_schema(NULL, err));
}

/* ---------------------------------------------------------------------------------- the table */

static const struct misuse rows[] = {
    ROW(sluice_explain),       ROW(sluice_stop),
    ROW(sluice_approve),       ROW(sluice_reject),
    ROW(sluice_status),        ROW(sluice_summary),
    ROW(sluice_events),        ROW(sluice_logs),
    ROW(sluice_list),          ROW(sluice_verify),
    ROW(sluice_compare),       ROW(sluice_export),
    ROW(sluice_schema),        ROW(sluice_status_at),
    ROW(sluice_explain),       ROW(sluice_stats),
    ROW(sluice_step_history),  ROW(sluice_step_history_free),
    ROW(sluice_note),          ROW(sluice_pipeline_graph),
    ROW(sluice_run_graph),     ROW(sluice_gc),
    ROW(sluice_reindex),       ROW(sluice_doctor),
    ROW(sluice_reindex_all),   ROW(sluice_verify_all),
    ROW(sluice_settings_read), ROW(sluice_settings_free),
    ROW(sluice_setting),       ROW(sluice_settings_limits),
    ROW(sluice_setting_about),
};

static void s13_wrong_use_is_an_error_and_never_a_crash(void **state)
{
	(void)state;
	sluice_run_free(
	    TAKE(run, NULL)); /* nobody owns it: to act on one's own run needs another thread */
	misuse_all(rows, ARRAY_LEN(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s13_wrong_use_is_an_error_and_never_a_crash),
	    cmocka_unit_test(s13_wrong_use_writes_nothing),
	};

	return cmocka_run_group_tests(tests, make, clear);
}
