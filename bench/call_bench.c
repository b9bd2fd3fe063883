/* call_bench.c - P4: steps that are a C function of the program itself, through libsluice.
 *
 *   call_bench STEPS CONCURRENCY      in an empty working directory
 *
 * Independent steps with an output each, `sync: interval:10`, from sluice_run_start until
 * sluice_run_wait returns; building the pipeline is left out. Writes the nanoseconds to the file
 * `clock`, and to `parts` what they are made of: the start (the definition is checked, frozen, read
 * back and written), the steps, and the processor time that the thread which carries the run on
 * needed for both. Prints the same. */
#include "floor.h"

#include <inttypes.h>
#include <stdint.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		floor_die("clock_gettime");
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void check(enum sluice_code code, const struct sluice_error *err)
{
	if (code == SLUICE_OK)
		return;
	(void)fprintf(stderr, "%s\n", err->text);
	exit(1);
}

static int answer(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return sluice_ctx_set_output_int(ctx, "n", 1) == SLUICE_OK ? 0 : 1;
}

static struct sluice_pipeline *pipeline_build(unsigned long steps, unsigned long concurrency)
{
	static const char *const no_needs[] = {NULL};
	static const struct sluice_output_def outputs[] = {{.name = "n", .type = "int"}, {0}};
	struct sluice_pipeline *pipeline = sluice_pipeline_new("bench");
	struct sluice_error err;
	char text[32];

	(void)snprintf(text, sizeof(text), "%lu", concurrency);
	check(sluice_pipeline_set_json(pipeline, "concurrency", text, &err), &err);
	check(sluice_pipeline_set(pipeline, "sync", "interval:10", &err), &err);
	for (unsigned long i = 0; i < steps; i++) {
		struct sluice_step_def step = {
		    .id = text, .call = answer, .needs = no_needs, .outputs = outputs};

		(void)snprintf(text, sizeof(text), "s%lu", i);
		check(sluice_pipeline_step(pipeline, &step, &err), &err);
	}
	return pipeline;
}

/* What the run took, in ns. */
struct taken {
	int64_t start, steps, thread_start, thread_steps;
};

static void taken_write(const struct taken *taken)
{
	FILE *clock = fopen("clock", "we");
	FILE *parts = fopen("parts", "we");

	if (!clock || fprintf(clock, "%" PRId64 "\n", taken->start + taken->steps) < 0 ||
	    fclose(clock) != 0)
		floor_die("clock");
	if (!parts ||
	    fprintf(parts,
		    "start %" PRId64 "\nsteps %" PRId64 "\nprocessor, start %" PRId64
		    "\nprocessor, steps %" PRId64 "\n",
		    taken->start, taken->steps, taken->thread_start, taken->thread_steps) < 0 ||
	    fclose(parts) != 0)
		floor_die("parts");
}

static void taken_print(const struct taken *taken, unsigned long steps)
{
	double each = 1e3 * (double)steps;

	printf("us a step: %.2f, of them start %.2f, steps %.2f; engine's thread: %.2f, of them "
	       "start %.2f, steps %.2f\n",
	       (double)(taken->start + taken->steps) / each, (double)taken->start / each,
	       (double)taken->steps / each,
	       (double)(taken->thread_start + taken->thread_steps) / each,
	       (double)taken->thread_start / each, (double)taken->thread_steps / each);
}

int main(int argc, char **argv)
{
	static const char *const limits[] = {"definition_bytes=1GiB", "definition_nodes=100000000",
					     "steps=10000000", NULL};
	struct sluice_state_opts opts = {.state_dir = "state", .limits = limits};
	struct sluice_run *run;
	struct sluice *sluice;
	struct sluice_error err;

	if (argc != 3)
		return 2;
	unsigned long steps = floor_number(argv[1]);
	unsigned long concurrency = floor_number(argv[2]);
	check(sluice_open(&opts, &sluice, &err), &err);
	struct sluice_pipeline *pipeline = pipeline_build(steps, concurrency);

	int64_t wall[3] = {now_ns(CLOCK_MONOTONIC)};
	int64_t cpu[3] = {now_ns(CLOCK_THREAD_CPUTIME_ID)};
	check(sluice_run_start(sluice, pipeline, NULL, &run, &err), &err);
	wall[1] = now_ns(CLOCK_MONOTONIC);
	cpu[1] = now_ns(CLOCK_THREAD_CPUTIME_ID);
	if (sluice_run_wait(run, &err) != SLUICE_RUN_SUCCEEDED) {
		(void)fprintf(stderr, "the run did not complete: %s\n", err.text);
		return 1;
	}
	wall[2] = now_ns(CLOCK_MONOTONIC);
	cpu[2] = now_ns(CLOCK_THREAD_CPUTIME_ID);
	struct taken taken = {wall[1] - wall[0], wall[2] - wall[1], cpu[1] - cpu[0],
			      cpu[2] - cpu[1]};
	taken_write(&taken);
	taken_print(&taken, steps);
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
	return 0;
}
