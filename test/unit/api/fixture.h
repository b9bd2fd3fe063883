/* fixture.h - a program that embeds the library: a handle with a state directory of its own,
 * pipelines from a text, runs carried to their end, and their logs. */
#ifndef TEST_API_FIXTURE_H
#define TEST_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
	char dir[64]; /* of its own: the state, and pipeline files */
	struct sluice *sluice;
	struct sluice_error err;
};

/* The keeper is the test program's first argument. */
extern const char *world_keeper;

void world_open(struct world *world);
/* Let go of the handle and open the same state again, as another program would. */
void world_reopen(struct world *world);
void world_close(struct world *world);

#define assert_code(call, code) \
	do { \
		enum sluice_code got_ = (call); \
		if (got_ != (code)) \
			print_error("%s: %s\n", sluice_code_name(got_), world->err.text); \
		assert_int_equal(got_, code); \
	} while (0)

/* Load a pipeline of this text; it must be right. */
struct sluice_pipeline *world_load(struct world *world, const char *text);
/* It must be wrong: the diagnostics, to be freed with sluice_free. */
char *world_refused(struct world *world, const char *text);

/* Start a run of the pipeline and carry it to its end; how it ended. */
enum sluice_run_state world_run(struct world *world, const char *text, const char *run_id);
enum sluice_run_state world_resume(struct world *world, const char *run_id);

/* The log of a run; to be freed with free(). */
char *world_log(struct world *world, const char *run_id);
/* Has the log a line with all of these texts (NULL-ended)? */
bool log_has(const char *log, ...) __attribute__((sentinel));
/* Text of a file below the state directory, NULL when there is none; free(). */
char *world_file(struct world *world, const char *path);

/* main() of a test program: takes the keeper's path, then runs `tests`. */
int world_main(int argc, char **argv, int (*tests)(void));

#endif
