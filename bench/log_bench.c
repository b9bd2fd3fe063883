/* log_bench.c - how fast an event log is written and verified (P7).
 *
 *   log_bench [lines]      default 1000000, in a directory of its own below $TMPDIR or /tmp
 *
 * The floor is nettle's SHA-256 chained over the same lines: whoever verifies the chain pays that.
 * Each figure is the best of three, on one thread, with the file in the page cache. */
#include "base/mem.h"
#include "log/log.h"
#include "sys/clock.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS 3

static int fail(const struct err *err)
{
	fprintf(stderr, "log_bench: %s\n", err->text);
	return 1;
}

static double seconds(void)
{
	return (double)clock_boot_ns(&clock_os) / 1e9;
}

static void created(struct event *event)
{
	event_init(event, EVENT_RUN_CREATED);
	event->time_utc_ms = clock_utc_ms(&clock_os);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, LOG_FORMAT);
	event_put_text(event, EVENT_FIELD_PIPELINE, STR("bench"));
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, STR("0123456789abcdef"));
	event_put_text(event, EVENT_FIELD_SYNC, STR("never"));
	event_put_int(event, EVENT_FIELD_SEED, 1);
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR("boot"));
	event_put_text(event, EVENT_FIELD_CWD, STR("/"));
}

/* Started and succeeded in turn, as a run writes them: about 250 bytes a line. */
static enum err_code add(struct log *log, unsigned i, struct err *err)
{
	struct event event;
	char step[32];
	int len = snprintf(step, sizeof(step), "transform_%06u", i / 2);

	event_init(&event, i % 2 ? EVENT_STEP_SUCCEEDED : EVENT_STEP_STARTED);
	event.time_utc_ms = INT64_C(1790000000000) + i;
	event_put_text(&event, EVENT_FIELD_STEP_ID, str_from(step, (size_t)len));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, i % 2 ? STR("succeeded") : STR("running"));
	if (i % 2) {
		event_put_int(&event, EVENT_FIELD_EXIT_CODE, 0);
		event_put_int(&event, EVENT_FIELD_DURATION_MS, i % 1000);
		event_put_text(&event, EVENT_FIELD_OUTPUTS, STR("{\"rows\":12345,\"ok\":true}"));
	}
	return log_add(log, &event, err);
}

static enum err_code write_log(int dir, const struct limits *limits, unsigned lines,
			       double *ret_seconds, struct err *err)
{
	AUTO(log_drop) struct log *log = NULL;
	struct event event;
	double start;

	created(&event);
	if (log_create(&vfs_os, dir, STR("bench-run-0001"), limits, &event, &log, err) != ERR_OK)
		return err->code;
	start = seconds();
	for (unsigned i = 0; i + 1 < lines; i++) {
		if (add(log, i, err) != ERR_OK || (i % 2 && log_commit(log, false, err) != ERR_OK))
			return err->code;
	}
	if (log_commit(log, false, err) != ERR_OK)
		return err->code;
	*ret_seconds = seconds() - start;
	return ERR_OK;
}

/* H(n) over the lines, and nothing else. */
static double floor_of(const char *bytes, size_t len)
{
	double start = seconds();
	uint8_t chain[32] = {0};
	const char *at = bytes;

	while (at < bytes + len) {
		const char *end = memchr(at, '\n', len - (size_t)(at - bytes));
		struct sha256_ctx sha;

		sha256_init(&sha);
		sha256_update(&sha, sizeof(chain), chain);
		sha256_update(&sha, (size_t)(end - at) - 24, (const uint8_t *)at);
		sha256_digest(&sha, sizeof(chain), chain);
		at = end + 1;
	}
	return seconds() - start;
}

static enum err_code measure(int dir, unsigned lines, struct err *err)
{
	AUTO(buf_fini) struct buf whole = {.limit = (size_t)1 << 34};
	struct log_reading reading;
	struct limits limits;
	struct rusage usage;
	double writing = 0;
	double verify = 1e9;
	double floor = 1e9;
	double bytes;

	limits_default(&limits);
	if (write_log(dir, &limits, lines, &writing, err) != ERR_OK)
		return err->code;
	for (int round = 0; round < ROUNDS; round++) {
		double start = seconds();

		if (log_read(&vfs_os, dir, &limits, 0, NULL, NULL, &reading, err) != ERR_OK)
			return err->code;
		start = seconds() - start;
		verify = start < verify ? start : verify;
	}
	if (reading.end != LOG_END_WHOLE || reading.head.seq != lines)
		return err_set(err, ERR_CORRUPT, "%s", reading.problem.text);
	(void)getrusage(RUSAGE_SELF, &usage);
	if (vfs_read_all(&vfs_os, dir, LOG_FILE, (size_t)1 << 33, &whole, err) != ERR_OK)
		return err->code;
	for (int round = 0; round < ROUNDS; round++) {
		double one = floor_of(whole.ptr, whole.len);

		floor = one < floor ? one : floor;
	}
	bytes = (double)whole.len;
	printf("lines %u, %.0f bytes a line\n", lines, bytes / lines);
	printf("write  %9.0f lines/s  %.2f us a line (two lines a commit, no sync)\n",
	       lines / writing, writing / lines * 1e6);
	printf("verify %9.0f MB/s     %.0f ns a line, peak memory %ld KiB\n", bytes / verify / 1e6,
	       verify / lines * 1e9, usage.ru_maxrss);
	printf("sha    %9.0f MB/s     %.0f ns a line\n", bytes / floor / 1e6, floor / lines * 1e9);
	printf("ratio  %9.2f          (goal 0.35)\n", floor / verify);
	return ERR_OK;
}

int main(int argc, char **argv)
{
	const char *base = getenv("TMPDIR");
	unsigned lines = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	struct err err = ERR_INIT;
	char path[256];
	enum err_code code;
	int dir = -1;

	(void)snprintf(path, sizeof(path), "%s/log-bench-XXXXXX", base ? base : "/tmp");
	if (lines < 2 || !mkdtemp(path)) {
		fprintf(stderr, "usage: log_bench [lines, 2 or more]\n");
		return 2;
	}
	code = vfs_root(&vfs_os, path, false, &dir, &err);
	if (code == ERR_OK)
		code = measure(dir, lines, &err);
	if (dir >= 0)
		(void)vfs_os.ops->unlink(vfs_os.self, dir, LOG_FILE);
	vfs_close(&vfs_os, dir);
	(void)rmdir(path);
	return code == ERR_OK ? 0 : fail(&err);
}
