/* fixture.c - see fixture.h */
#include "fixture.h"

#include <ftw.h>
#include <unistd.h>

const char *world_keeper;

static void open_again(struct world *world)
{
	char state[80];
	struct sluice_state_opts options = {.state_dir = state, .keeper_path = world_keeper};

	(void)snprintf(state, sizeof(state), "%s/state", world->dir);
	assert_code(sluice_open(&options, &world->sluice, &world->err), SLUICE_OK);
}

void world_open(struct world *world)
{
	memset(world, 0, sizeof(*world));
	(void)snprintf(world->dir, sizeof(world->dir), "%s/sluice-api-XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(world->dir));
	open_again(world);
}

void world_reopen(struct world *world)
{
	sluice_close(world->sluice);
	open_again(world);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
	(void)stat;
	(void)type;
	(void)at;
	return remove(path);
}

void world_close(struct world *world)
{
	sluice_close(world->sluice);
	assert_int_equal(nftw(world->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static enum sluice_code load(struct world *world, const char *text,
			     struct sluice_pipeline **ret_pipeline, char **ret_diagnostics)
{
	char path[80];
	FILE *file;

	assert_true(world->dir[0]); /* of this test alone: others run beside it */
	(void)snprintf(path, sizeof(path), "%s/pipeline.yaml", world->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return sluice_pipeline_load(world->sluice, path, ret_pipeline, ret_diagnostics,
				    &world->err);
}

struct sluice_pipeline *world_load(struct world *world, const char *text)
{
	struct sluice_pipeline *pipeline = NULL;
	char *diagnostics = NULL;

	if (load(world, text, &pipeline, &diagnostics) != SLUICE_OK)
		print_error("%s\n%s\n", world->err.text, diagnostics ? diagnostics : "");
	sluice_free(diagnostics);
	assert_non_null(pipeline);
	return pipeline;
}

char *world_refused(struct world *world, const char *text)
{
	struct sluice_pipeline *pipeline = NULL;
	char *diagnostics = NULL;

	assert_code(load(world, text, &pipeline, &diagnostics), SLUICE_INVALID);
	assert_null(pipeline);
	assert_non_null(diagnostics);
	return diagnostics;
}

enum sluice_run_state world_run(struct world *world, const char *text, const char *run_id)
{
	struct sluice_pipeline *pipeline = world_load(world, text);
	struct sluice_run_opts options = {.run_id = run_id};
	struct sluice_run *run = NULL;
	enum sluice_run_state state;

	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline); /* a run needs it no more */
	state = sluice_run_wait(run, &world->err);
	if (state == SLUICE_RUN_UNKNOWN)
		print_error("%s\n", world->err.text);
	sluice_run_free(run);
	return state;
}

enum sluice_run_state world_resume(struct world *world, const char *run_id)
{
	struct sluice_run *run = NULL;
	enum sluice_run_state state;
	int status = -1;

	assert_code(sluice_run_resume(world->sluice, run_id, NULL, &run, &status, &world->err),
		    SLUICE_OK);
	assert_non_null(run);
	state = sluice_run_wait(run, &world->err);
	sluice_run_free(run);
	return state;
}

char *world_file(struct world *world, const char *path)
{
	char whole[512];
	FILE *file;
	char *text;
	long len;

	(void)snprintf(whole, sizeof(whole), "%s/state/%s", world->dir, path);
	file = fopen(whole, "r");
	if (!file)
		return NULL;
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	len = ftell(file);
	assert_true(len >= 0);
	rewind(file);
	text = calloc((size_t)len + 1, 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)len, file), len);
	(void)fclose(file);
	return text;
}

char *world_log(struct world *world, const char *run_id)
{
	char path[200];
	char *text;

	(void)snprintf(path, sizeof(path), "runs/%s/events.jsonl", run_id);
	text = world_file(world, path);
	assert_non_null(text);
	return text;
}

bool log_has(const char *log, ...)
{
	for (const char *line = log; *line;) {
		const char *end = strchr(line, '\n');
		size_t len = end ? (size_t)(end - line) : strlen(line);
		const char *part;
		bool has_all = true;
		va_list parts;

		va_start(parts, log);
		while ((part = va_arg(parts, const char *)))
			has_all = has_all && memmem(line, len, part, strlen(part));
		va_end(parts);
		if (has_all)
			return true;
		line += end ? len + 1 : len;
	}
	print_message("# no such line in:\n%s", strlen(log) > 900 ? log + strlen(log) - 900 : log);
	return false;
}

int world_main(int argc, char **argv, int (*tests)(void))
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s KEEPER\n", argv[0]);
		return 2;
	}
	world_keeper = argv[1];
	return tests();
}
