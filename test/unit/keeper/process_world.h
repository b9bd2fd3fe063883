/* process_world.h - a keeper of its own for each test: commands of all kinds, an engine's client,
 * and what must hold of them whatever fails.
 *
 * The keeper is the test program again, under the name that link_os.c gives it; what fails there is
 * in the file `plan` of the run directory. */
#ifndef TEST_KEEPER_PROCESS_WORLD_H
#define TEST_KEEPER_PROCESS_WORLD_H

#include "support/temp_dir.h"
#include "support/unit.h"

#include "faulty.h"

#include "keeper/client.h"
#include "keeper/link_os.h"

#define KEEPER_NAME "sluice-keeper"
#define PATIENCE_MS 20000
#define JOBS        20
#define ALL         ((1U << 17) - 1) /* but those that stand alone */

enum trait {
	IS_PUMPED = 1 << 0, /* its output passes through the keeper, in two files */
	HAS_TEXT = 1 << 1,  /* for it to read */
	HAS_HAND = 1 << 2,  /* a file of its own, and a user */
	LEAVES = 1 << 3,    /* what it leaves may live on */
	IS_CANCELLED = 1 << 4,
	IS_LIMITED = 1 << 5,
	IS_ABSENT = 1 << 6, /* there is no such program */
	IS_BOUND = 1 << 7,  /* in what it may write */
	IS_FOLDER = 1 << 8, /* its hand is */
	IS_PIPE = 1 << 9,   /* the same */
};

struct job {
	const char *path;
	unsigned traits;
	const char *script; /* behind the line of the witness */
};

extern const struct job jobs[JOBS];
extern const char *keeper_path; /* the real one */
extern char own_mark[32];       /* of this process: another one may run beside it */

struct world {
	struct temp_dir dir;
	struct keeper_client *client;
	uint64_t epoch;
	unsigned ends[JOBS]; /* terminal reports */
	struct exec_report end[JOBS];
	struct err err;
};

struct row {
	const char *call;
	int number;
	unsigned most; /* calls that are made to fail in turn */
	enum {
		IN_ANY,
		IN_GROUPS,  /* where the kernel has them */
		WITHOUT,    /* groups: trees are looked for in /proc */
		AFTER_LOSS, /* when a connection was lost */
	} where;
};

struct exec_token token_of(const struct job *job);
/* An engine of the next epoch. */
enum err_code client_open(struct world *world);
void world_make(struct world *world);
/* Until no keeper has the lock. */
void keeper_await(struct world *world);
void world_drop(struct world *world);
enum err_code job_start(struct world *world, const struct job *job);
/* Until each of the set has ended, or the client says why not. What is to be cancelled is told so
 * again and again: a connection that breaks may swallow it. */
enum err_code carry(struct world *world, unsigned set);
enum err_code jobs_run(struct world *world, unsigned set);
/* Another engine, for which nothing fails, asks for all of the set that have no end. */
void jobs_recover(struct world *world, unsigned set);
/* One end for each of the set, nothing that ran twice, no secret in a log. */
void assert_sound(struct world *world, unsigned set);

/* main() of a test program: the keeper when it is called so, else `tests`, with the path of the
 * real keeper as the only argument. */
int process_main(int argc, char **argv, int (*tests)(void));

#endif
