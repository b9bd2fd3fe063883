/* replay_bench.c - how fast a run is folded from its log (P7): read, verify, decode, apply.
 *
 *   replay_bench RUN_DIRECTORY
 *
 * The definition is read when the first event comes and its time is left out: it is the pipeline's,
 * not the log's. So the clock runs from the end of that event on, and what an empty state of the
 * run costs is added. The floor is nettle's SHA-256 chained over the same bytes, as in log_bench.
 * Best of three, on one thread. */
#include "base/mem.h"
#include "lang/lang.h"
#include "rundir/fold.h"
#include "sys/clock.h"
#include "sys/vfs.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define ROUNDS 3

static double seconds(void)
{
	return (double)clock_boot_ns(&clock_os) / 1e9;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "replay_bench: %s\n", err->text);
	return 1;
}

/* What verifying the chain costs at least: every line through SHA-256, with the digest before
 * it. */
static double hash(struct str log)
{
	double began = seconds();
	uint8_t digest[SHA256_DIGEST_SIZE] = {0};
	struct sha256_ctx ctx;

	for (size_t at = 0; at < log.len;) {
		const char *end = memchr(log.ptr + at, '\n', log.len - at);
		size_t len = (end ? (size_t)(end - log.ptr) : log.len) - at;

		sha256_init(&ctx);
		sha256_update(&ctx, sizeof(digest), digest);
		sha256_update(&ctx, len, (const uint8_t *)log.ptr + at);
		sha256_digest(&ctx, sizeof(digest), digest);
		at += len + 1;
	}
	return seconds() - began;
}

/* The empty state of a run of the definition, which is made between the two. */
static enum err_code empty_state(const struct rundir *dir, double *ret_s, struct err *err)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	AUTO(model_drop) struct model *model = NULL;
	struct run_state state;
	double began;

	if (rundir_frozen(dir, STR_NONE, &frozen, err) != ERR_OK ||
	    lang_thaw(buf_view(&frozen), &model, err) != ERR_OK)
		return err->code;
	*ret_s = 1e9;
	for (int i = 0; i < ROUNDS; i++) {
		double one;

		began = seconds();
		if (run_state_init(&state, model, err) != ERR_OK)
			return err->code;
		one = seconds() - began;
		*ret_s = one < *ret_s ? one : *ret_s;
		run_state_fini(&state);
	}
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	double *ret_began = arg;

	(void)state;
	(void)line;
	(void)err;
	if (event->seq == 1)
		*ret_began = seconds();
	return ERR_OK;
}

static enum err_code fold(const struct rundir *dir, const struct limits *limits, double *ret_s,
			  double *ret_thaw_s, uint64_t *ret_events, struct err *err)
{
	AUTO(fold_fini) struct fold_run run = {.model = NULL};
	double opened = seconds();
	double began = 0;

	if (fold_read(dir, limits, on_event, &began, &run, err) != ERR_OK)
		return err->code;
	*ret_s = seconds() - began;
	*ret_thaw_s = began - opened;
	*ret_events = run.reading.head.seq;
	return ERR_OK;
}

int main(int argc, char **argv)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(buf_fini) struct buf log = BUF_INIT;
	double best_thaw = 1e9, best_fold = 1e9, best_hash = 1e9, empty = 0;
	struct err err = ERR_INIT;
	struct limits limits;
	struct rusage usage;
	uint64_t events = 0;

	if (argc != 2) {
		fputs("usage: replay_bench RUN_DIRECTORY\n", stderr);
		return 2;
	}
	limits_default(&limits);
	if (rundir_open(&vfs_os, argv[1], &dir, &err) != ERR_OK ||
	    vfs_read_all(&vfs_os, rundir_fd(dir), LOG_FILE, (size_t)4 << 30, &log, &err) !=
		ERR_OK ||
	    empty_state(dir, &empty, &err) != ERR_OK)
		return fail(&err);
	for (int i = 0; i < ROUNDS; i++) {
		double thaw_s = 0, fold_s = 0, hash_s = hash(buf_view(&log));

		if (fold(dir, &limits, &fold_s, &thaw_s, &events, &err) != ERR_OK)
			return fail(&err);
		best_thaw = thaw_s < best_thaw ? thaw_s : best_thaw;
		best_fold = fold_s < best_fold ? fold_s : best_fold;
		best_hash = hash_s < best_hash ? hash_s : best_hash;
	}
	(void)getrusage(RUSAGE_SELF, &usage);
	best_fold += empty;
	printf("events %llu, %zu bytes\n", (unsigned long long)events, log.len);
	printf("definition %.3f s (left out)\n", best_thaw);
	printf("fold       %6.0f MB/s %7.0f ns an event\n", (double)log.len / best_fold / 1e6,
	       best_fold * 1e9 / (double)events);
	printf("sha        %6.0f MB/s\n", (double)log.len / best_hash / 1e6);
	printf("ratio      %.2f          (goal 0.35)\n", best_hash / best_fold);
	printf("peak memory %ld KiB, the log itself %zu KiB of it\n", usage.ru_maxrss,
	       log.len / 1024);
	return 0;
}
