/* host.c - the smallest host: C99, nothing but the public header */
#include <sluice/sluice.h>

#include <stdio.h>

static void count_lines(void *arg, const char *line, size_t len)
{
	unsigned *lines = arg;

	(void)line;
	(void)len;
	*lines += 1;
}

int main(void)
{
	struct sluice_error err;
	struct sluice *sluice = NULL;
	struct sluice_pipeline *pipeline = sluice_pipeline_new("hosted");
	struct sluice_run *run = NULL;
	struct sluice_run_opts options = {.run_id = "hosted_1", .reason = "a host"};
	struct sluice_end end;
	unsigned lines = 0;
	enum sluice_run_state state;

	options.observer.on_event = count_lines;
	options.observer.arg = &lines;
	sluice_pipeline_step(
	    pipeline,
	    &(struct sluice_step_def){.id = "check", .noop = true, .gate = SLUICE_GATE_HARD}, &err);
	sluice_pipeline_step(
	    pipeline,
	    &(struct sluice_step_def){.id = "work", .argv = SLUICE_LIST("sh", "-c", "exit 0")},
	    &err);
	if (sluice_open(NULL, &sluice, &err) ||
	    sluice_run_start(sluice, pipeline, &options, &run, &err)) {
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
		sluice_pipeline_free(pipeline);
		sluice_close(sluice);
		return sluice_exit_status(err.code);
	}
	state = sluice_run_wait(run, &err);
	sluice_run_end(run, &end);
	printf("%s %s %u lines, state %d\n", sluice_run_id(run), end.outcome, lines, (int)state);
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
	return end.exit_status;
}
