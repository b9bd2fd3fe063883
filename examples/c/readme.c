/* readme.c - the eight steps of an internal deliverable as functions of this program
 *
 *   cc -std=c99 readme.c -o readme $(pkg-config --cflags --libs sluice)
 *
 *   ./readme RUN_ID data.csv work                  starts the run; stops at the manual gate: exit 4
 *   ./readme RUN_ID data.csv work approve ann      ann agrees, and the run goes on: exit 0
 *
 * The same command line starts a run that is not there and resumes one that is: after a kill -9,
 * too. data.csv has lines `label,prediction`. A fourth word that is a number is a pause in every
 * step, in milliseconds: time to pull the plug. */
#define _POSIX_C_SOURCE 200809L
#include <sluice/sluice.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the functions share. Each attempt runs on a thread of the library, so it is only read. */
struct job {
	const char *data;
	const char *work;
	long pause_ms;
};

/* ------------------------------------------------------------------------------------- helpers */

/* Every step begins here: it leaves a trace in the step's log, and gives up when it is told to. */
static int begin(struct sluice_step_ctx *ctx, const struct job *job)
{
	long left = job->pause_ms;

	sluice_ctx_print(ctx, "%s, attempt %u, on %s\n", sluice_ctx_step(ctx),
			 (unsigned)sluice_ctx_attempt(ctx), job->data);
	for (; left > 0 && !sluice_ctx_is_cancelled(ctx); left -= 10) {
		struct timespec pause = {0, 10 * 1000 * 1000};

		nanosleep(&pause, NULL);
	}
	return sluice_ctx_is_cancelled(ctx) ? sluice_ctx_fail(ctx, "cancelled", "told to stop") : 0;
}

static void path_of(const struct job *job, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", job->work, name);
}

/* Write a file whole or not at all: a step that was cut off can be repeated. */
static int write_file(struct sluice_step_ctx *ctx, const struct job *job, const char *name,
		      const char *text)
{
	char path[512], draft[520];
	FILE *file;
	int bad;

	path_of(job, name, path);
	snprintf(draft, sizeof(draft), "%s.draft", path);
	file = fopen(draft, "w");
	if (!file)
		return sluice_ctx_fail(ctx, "infrastructure", "cannot write %s", draft);
	bad = fputs(text, file) < 0;
	bad |= fclose(file) != 0;
	if (bad || rename(draft, path) != 0)
		return sluice_ctx_fail(ctx, "infrastructure", "cannot write %s", path);
	return 0;
}

/* Count the rows of the data, and those whose prediction is right. */
static int count_rows(struct sluice_step_ctx *ctx, const struct job *job, long *ret_rows,
		      long *ret_right)
{
	char line[1024];
	FILE *file = fopen(job->data, "r");

	if (!file)
		return sluice_ctx_fail(ctx, "contract_input_missing", "%s cannot be read",
				       job->data);
	*ret_rows = *ret_right = 0;
	while (fgets(line, sizeof(line), file)) {
		char *comma = strchr(line, ',');

		line[strcspn(line, "\n")] = '\0';
		if (!comma) {
			fclose(file);
			return sluice_ctx_fail(ctx, "validation_failed", "line %ld has no comma",
					       *ret_rows + 1);
		}
		*comma = '\0';
		*ret_rows += 1;
		*ret_right += strcmp(line, comma + 1) == 0;
	}
	fclose(file);
	return 0;
}

/* --------------------------------------------------------------------------------------- steps */

static int preflight_contract_check(struct sluice_step_ctx *ctx, void *arg)
{
	const struct job *job = arg;
	long rows, right;

	if (begin(ctx, job) || count_rows(ctx, job, &rows, &right))
		return 1;
	if (rows == 0)
		return sluice_ctx_fail(ctx, "contract_input_missing", "%s is empty", job->data);
	return 0;
}

static int phase_benchmark(struct sluice_step_ctx *ctx, void *arg)
{
	const struct job *job = arg;
	long rows, right;

	if (begin(ctx, job) || count_rows(ctx, job, &rows, &right))
		return 1;
	sluice_ctx_set_output_double(ctx, "accuracy", 100.0 * (double)right / (double)rows);
	return 0; /* whether that is enough says the gate's `pass` */
}

static int stage_data_layout(struct sluice_step_ctx *ctx, void *arg)
{
	const struct job *job = arg;
	long rows, right;

	if (begin(ctx, job) || count_rows(ctx, job, &rows, &right))
		return 1;
	sluice_ctx_set_output_int(ctx, "rows", rows);
	return 0;
}

static int build_steward_bundle(struct sluice_step_ctx *ctx, void *arg)
{
	const struct job *job = arg;
	char text[256];

	if (begin(ctx, job))
		return 1;
	snprintf(text, sizeof(text), "rows=%s\naccuracy=%s\n",
		 sluice_ctx_output(ctx, "stage_data_layout", "rows"),
		 sluice_ctx_output(ctx, "phase_benchmark", "accuracy"));
	return write_file(ctx, job, "bundle.txt", text);
}

static int validate_bundle_quality(struct sluice_step_ctx *ctx, void *arg)
{
	const struct job *job = arg;
	char path[512], line[256];
	FILE *file;
	int lines = 0;

	if (begin(ctx, job))
		return 1;
	path_of(job, "bundle.txt", path);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		lines++;
	if (file)
		fclose(file);
	return lines == 2
		   ? 0
		   : sluice_ctx_fail(ctx, "hard_gate_failed", "the bundle has %d lines", lines);
}

static int build_minimal_deliverable(struct sluice_step_ctx *ctx, void *arg)
{
	char text[256];

	if (begin(ctx, arg))
		return 1;
	snprintf(text, sizeof(text), "deliverable of %s\n", sluice_ctx_run_id(ctx));
	return write_file(ctx, arg, "deliverable.txt", text);
}

static int verify_artifacts(struct sluice_step_ctx *ctx, void *arg)
{
	static const char *const files[] = {"bundle.txt", "deliverable.txt"};
	char path[512];

	if (begin(ctx, arg))
		return 1;
	for (int i = 0; i < 2; i++) {
		FILE *file;

		path_of(arg, files[i], path);
		file = fopen(path, "r");
		if (!file)
			return sluice_ctx_fail(ctx, "hard_gate_failed", "%s is missing", files[i]);
		fclose(file);
	}
	return 0;
}

static int publish_internal(struct sluice_step_ctx *ctx, void *arg)
{
	if (begin(ctx, arg))
		return 1;
	return write_file(ctx, arg, "published.txt", "published\n");
}

/* ------------------------------------------------------------------------------------ pipeline */

/* Results of the calls are left alone: the first failure is told again when the run starts. */
static struct sluice_pipeline *describe(struct job *job)
{
	static const struct sluice_output_def accuracy[] = {{"accuracy", "number", true},
							    {NULL, NULL, false}};
	static const struct sluice_output_def rows[] = {{"rows", "int", true}, {NULL, NULL, false}};
	static const struct sluice_retry_def twice = {.max_attempts = 3, .initial_ms = 100};
	struct sluice_pipeline *p = sluice_pipeline_new("deliverable");

	/* What a kill -9 cuts off is done again: every step here can be repeated. */
	sluice_pipeline_defaults(p, &(struct sluice_step_def){.on_lost = SLUICE_ON_LOST_RERUN},
				 NULL);
	sluice_pipeline_param(
	    p,
	    &(struct sluice_param_def){.name = "threshold", .type = "number", .default_json = "97"},
	    NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "preflight_contract_check",
						       .gate = SLUICE_GATE_HARD,
						       .call = preflight_contract_check,
						       .arg = job},
			     NULL);
	sluice_pipeline_step(
	    p,
	    &(struct sluice_step_def){
		.id = "phase_benchmark",
		.gate = SLUICE_GATE_HARD,
		.call = phase_benchmark,
		.arg = job,
		.retry = &twice,
		.outputs = accuracy,
		.pass = "output.accuracy >= params.threshold",
		.reason = "Accuracy ${output.accuracy}% below threshold ${params.threshold}%"},
	    NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "stage_data_layout",
						       .call = stage_data_layout,
						       .arg = job,
						       .retry = &twice,
						       .outputs = rows},
			     NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "build_steward_bundle",
						       .call = build_steward_bundle,
						       .arg = job,
						       .retry = &twice},
			     NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "validate_bundle_quality",
						       .gate = SLUICE_GATE_HARD,
						       .call = validate_bundle_quality,
						       .arg = job},
			     NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "build_minimal_deliverable",
						       .call = build_minimal_deliverable,
						       .arg = job,
						       .retry = &twice},
			     NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "verify_artifacts",
						       .gate = SLUICE_GATE_HARD,
						       .call = verify_artifacts,
						       .arg = job},
			     NULL);
	sluice_pipeline_step(p,
			     &(struct sluice_step_def){.id = "publish_internal",
						       .gate = SLUICE_GATE_MANUAL,
						       .call = publish_internal,
						       .arg = job},
			     NULL);
	return p;
}

/* ------------------------------------------------------------------------------------- the run */

static bool print_piece(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	return fwrite(bytes, 1, len, stdout) == len;
}

/* The last events, the summary, the receipt. */
static int tell(struct sluice *sluice, const char *run_id, struct sluice_error *err)
{
	char *summary = NULL;

	if (sluice_events(sluice, run_id, &(struct sluice_events_opts){.tail = 5}, print_piece,
			  NULL, err) ||
	    sluice_summary(sluice, run_id, SLUICE_TEXT, &summary, err))
		return 1;
	printf("\n%s", summary);
	sluice_free(summary);
	return 0;
}

/* Start the run, or go on with it when it is there already. *ret_run is NULL when there is nothing
 * to do. */
static int begin_or_resume(struct sluice *sluice, struct sluice_pipeline *p, const char *run_id,
			   struct sluice_run **ret_run, int *ret_status, struct sluice_error *err)
{
	struct sluice_run_opts fresh = {.run_id = run_id, .reason = "manual trigger"};
	/* The definition of the run is frozen; the pipeline only lends the functions. */
	struct sluice_resume_opts again = {.pipeline = p};

	if (sluice_run_start(sluice, p, &fresh, ret_run, err) == SLUICE_OK)
		return 0;
	if (err->code != SLUICE_EXISTS)
		return 1;
	return sluice_run_resume(sluice, run_id, &again, ret_run, ret_status, err) != SLUICE_OK;
}

static int carry_out(struct sluice *sluice, struct sluice_pipeline *p, int argc, char **argv,
		     struct sluice_error *err)
{
	struct sluice_run *run = NULL;
	struct sluice_end end;
	int status = 0;

	if (argc == 6 &&
	    sluice_approve(
		sluice, argv[1], "publish_internal",
		&(struct sluice_act_opts){.as = argv[5], .reason = "the bundle was read"}, err))
		return sluice_exit_status(err->code);
	if (begin_or_resume(sluice, p, argv[1], &run, &status, err))
		return sluice_exit_status(err->code);
	if (run) {
		if (sluice_run_wait(run, err) == SLUICE_RUN_UNKNOWN) {
			sluice_run_free(run);
			return sluice_exit_status(err->code);
		}
		sluice_run_end(run, &end);
		status = end.exit_status;
		sluice_run_free(run);
	}
	return tell(sluice, argv[1], err) ? sluice_exit_status(err->code) : status;
}

int main(int argc, char **argv)
{
	struct sluice_error err = {.code = SLUICE_OK};
	struct sluice *sluice = NULL;
	struct sluice_pipeline *p;
	struct job job;
	int status;

	if (argc < 4 || argc > 6 || (argc == 6 && strcmp(argv[4], "approve") != 0)) {
		fprintf(stderr, "usage: %s RUN_ID DATA WORK [PAUSE_MS | approve NAME]\n", argv[0]);
		return 2;
	}
	job = (struct job){argv[2], argv[3], argc == 5 ? strtol(argv[4], NULL, 10) : 0};
	p = describe(&job);
	status = sluice_open(NULL, &sluice, &err) ? sluice_exit_status(err.code)
						  : carry_out(sluice, p, argc, argv, &err);
	if (err.code != SLUICE_OK && err.code != SLUICE_EXISTS)
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	sluice_pipeline_free(p);
	sluice_close(sluice);
	return status;
}
