/* program.c - an input is a program of public calls: pipelines are built, runs started, carried on
 * a bit, let go of, resumed, decided on, stopped, looked at, while the storage (in memory) fails
 * and heals.
 *
 * Judged, after each call, from the outside (S1): a line that an observer was told of stays in the
 * log; a function is called once for each attempt, behind a durable step.started; behind a failed
 * hard gate nothing starts before a resume; a log that is not being written to is whole and
 * verifies. */
#include "../unit/api/memory_storage.h"
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOME         "/state"
#define RUNS         3
#define PIPELINES    2
#define STEPS        5
#define ATTEMPTS_MAX 40
#define CALLS_MAX    64
#define JOBS_MAX     96

enum behaviour {
	DO_NOTHING,
	DO_OUTPUTS,
	DO_FAIL_ONCE,
	DO_FAIL_TRANSIENT,
	DO_FAIL_FOR_GOOD,
	DO_BAD_OUTPUT,
	DO_PRINT_AND_EMIT,
	DO_WAIT,
	BEHAVIOURS
};

/* What becomes of a command that the executor gets. */
enum fate {
	FATE_SUCCEEDS,
	FATE_TRANSIENT,
	FATE_FAILS,
	FATE_GOES_ON,
	FATE_REFUSED,
	FATE_LOST,
	FATES
};

struct job {
	char token[420];
	bool has_ended;
	struct sluice_attempt_end end;
};

struct world;

struct slot {
	struct world *world;
	const char *id;
	struct sluice_run *run; /* that we own; NULL = none */
	struct buf told;        /* lines that the observer heard */
	atomic_uint calls[STEPS][ATTEMPTS_MAX];
};

struct world {
	struct memory_storage *storage;
	struct sluice_storage_def def;
	struct sluice *sluice;
	struct sluice_pipeline *pipelines[PIPELINES];
	unsigned steps[PIPELINES];
	struct slot slots[RUNS];
	struct sluice_error err;
	atomic_bool is_failing;
	struct job jobs[JOBS_MAX]; /* the executor's memory */
	size_t jobs_count;
	bool ends_at_once; /* nothing goes on */
};

/* There is one at a time; functions find it here. */
static struct world *the_world;

static const char *const step_names[STEPS] = {"s0", "s1", "s2", "s3", "s4"};
static const char *const run_ids[RUNS] = {"r0", "r1", "r2"};

/* The log of a run, through the operations of the storage, which several threads may use. */
static bool log_read_all(struct world *world, const char *id, struct buf *out)
{
	const struct sluice_storage_ops *ops = &world->def.ops;
	int64_t len = 0;
	char path[64];
	int root = ops->root(world->storage, HOME, false);
	int fd;

	(void)snprintf(path, sizeof(path), "runs/%s/events.jsonl", id);
	fd = root < 0 ? root : ops->open(world->storage, root, path, SLUICE_OPEN_READ);
	while (fd >= 0) {
		char *room = buf_room(out, 4096);

		BUG_IF(!room);
		len = ops->read(world->storage, fd, room, 4096, out->len);
		if (len <= 0)
			break;
		buf_added(out, (size_t)len);
	}
	if (fd >= 0)
		(void)ops->close(world->storage, fd);
	if (root >= 0)
		(void)ops->close(world->storage, root);
	return fd >= 0 && len == 0;
}

static bool line_has(struct str line, const char *text)
{
	return str_find(line, text, 0) != SIZE_MAX;
}

/* ------------------------------------------------------------------------------ functions */

static size_t step_index(const char *name)
{
	for (size_t i = 0; i < STEPS; i++) {
		if (strcmp(step_names[i], name) == 0)
			return i;
	}
	BUG_IF(true);
	return 0;
}

/* First durable, then done (S1.2). */
static void check_started(const char *id, const char *step, unsigned attempt)
{
	AUTO(buf_fini) struct buf log = BUF_INIT;
	struct bytes lines;
	char of_step[32];
	char of_attempt[32];
	bool is_there = false;

	if (!log_read_all(the_world, id, &log))
		return; /* the storage fails */
	(void)snprintf(of_step, sizeof(of_step), "\"step_id\":\"%s\"", step);
	(void)snprintf(of_attempt, sizeof(of_attempt), "\"attempt\":%u,", attempt);
	lines = (struct bytes){(const uint8_t *)log.ptr, log.len};
	while (lines.left > 0 && !is_there) {
		struct str line = line_next(&lines);

		is_there = line_has(line, "\"event_type\":\"step.started\"") &&
			   line_has(line, of_step) && line_has(line, of_attempt);
	}
	BUG_IF(!is_there);
}

static void note_call(const struct sluice_step_ctx *ctx)
{
	const char *id = sluice_ctx_run_id(ctx);
	const char *step = sluice_ctx_step(ctx);
	unsigned attempt = sluice_ctx_attempt(ctx);

	if (sluice_ctx_is_dry_run(ctx))
		return;
	for (size_t i = 0; i < RUNS; i++) {
		if (strcmp(run_ids[i], id) != 0 || attempt >= ATTEMPTS_MAX)
			continue;
		BUG_IF(atomic_fetch_add(&the_world->slots[i].calls[step_index(step)][attempt], 1) !=
		       0);
	}
	check_started(id, step, attempt);
}

static int act(struct sluice_step_ctx *ctx, void *arg)
{
	enum behaviour what = *(const uint8_t *)arg % BEHAVIOURS;

	note_call(ctx);
	switch (what) {
	case DO_OUTPUTS:
		(void)sluice_ctx_set_output_int(ctx, "n", 7);
		(void)sluice_ctx_set_output_bool(ctx, "ok", *(const uint8_t *)arg & 64);
		(void)sluice_ctx_set_update(ctx, "seen", sluice_ctx_step(ctx));
		return 0;
	case DO_FAIL_ONCE:
		if (sluice_ctx_attempt(ctx) > 0)
			return 0;
		return sluice_ctx_fail(ctx, "transient_io", "once");
	case DO_FAIL_TRANSIENT:
		return sluice_ctx_fail(ctx, "transient_io", "always");
	case DO_FAIL_FOR_GOOD:
		return 1;
	case DO_BAD_OUTPUT:
		(void)sluice_ctx_set_output_json(ctx, "n", "{\"a\":");
		return 0;
	case DO_PRINT_AND_EMIT:
		(void)sluice_ctx_print(ctx, "%s\n", sluice_ctx_params_json(ctx));
		(void)sluice_ctx_emit(ctx, "x-mine", "{\"a\":[1,null]}");
		return 0;
	case DO_WAIT:
		for (int i = 0; i < 3 && !sluice_ctx_is_cancelled(ctx); i++)
			(void)poll(NULL, 0, 1);
		return sluice_ctx_is_cancelled(ctx);
	case DO_NOTHING:
	case BEHAVIOURS:
		break;
	}
	return 0;
}

/* ------------------------------------------------------------------------------- executor */

static struct job *job_find(struct world *world, const char *token)
{
	for (size_t i = 0; i < world->jobs_count; i++) {
		if (strcmp(world->jobs[i].token, token) == 0)
			return &world->jobs[i];
	}
	return NULL;
}

static void job_end(struct world *world, struct job *job, struct sluice_attempt_end end)
{
	struct sluice_error ignored;

	if (job->has_ended)
		return;
	job->has_ended = true;
	job->end = end;
	/* NOT_FOUND: the run was let go of, and asks when it is resumed. */
	(void)!sluice_executor_report(world->sluice, job->token, &job->end, &ignored);
}

static enum sluice_code job_start(void *self, const struct sluice_executor_start *start,
				  struct sluice_error *err)
{
	static const char *const results[] = {"n=7\nok=true\n", NULL, "{\"outputs\":"};
	struct world *world = self;
	enum fate fate = (enum fate)((unsigned)(start->argv[1][0] - '0') % FATES);
	struct job *job = &world->jobs[world->jobs_count];

	BUG_IF(job_find(world, start->token)); /* at most once (S8.2) */
	check_started(start->run_id, start->step, start->attempt);
	if (fate == FATE_REFUSED || world->jobs_count + 1 >= JOBS_MAX) {
		err->code = SLUICE_IO;
		(void)snprintf(err->text, sizeof(err->text), "no room");
		return SLUICE_IO;
	}
	world->jobs_count++;
	(void)snprintf(job->token, sizeof(job->token), "%s", start->token);
	job->has_ended = false;
	if (fate == FATE_GOES_ON && !world->ends_at_once)
		return SLUICE_OK;
	job_end(world, job,
		(struct sluice_attempt_end){
		    .exit_code = fate == FATE_TRANSIENT ? 75 : fate == FATE_FAILS,
		    .is_lost = fate == FATE_LOST,
		    .result_text = results[world->jobs_count % ARRAY_LEN(results)],
		});
	return SLUICE_OK;
}

static enum sluice_look job_look_up(void *self, const char *token,
				    struct sluice_attempt_end *ret_end)
{
	struct job *job = job_find(self, token);

	if (!job)
		return SLUICE_LOOK_ABSENT;
	if (!job->has_ended)
		return SLUICE_LOOK_RUNNING;
	*ret_end = job->end;
	return SLUICE_LOOK_ENDED;
}

static void job_cancel(void *self, const char *token, bool now)
{
	struct job *job = job_find(self, token);

	(void)now;
	if (job)
		job_end(self, job,
			(struct sluice_attempt_end){.signal = 15, .cause = SLUICE_CAUSE_CANCELLED});
}

static void jobs_end(struct world *world)
{
	for (size_t i = 0; i < world->jobs_count; i++)
		job_end(world, &world->jobs[i], (struct sluice_attempt_end){.exit_code = 0});
}

/* ------------------------------------------------------------------------------- judging */

/* Every line that was told is in the log, in this order. */
static void check_told(const struct slot *slot, struct str log)
{
	struct bytes told = {(const uint8_t *)slot->told.ptr, slot->told.len};
	struct bytes lines = {(const uint8_t *)log.ptr, log.len};

	while (told.left > 0) {
		struct str want = line_next(&told);
		bool is_there = false;

		while (lines.left > 0 && !is_there)
			is_there = str_eq(line_next(&lines), want);
		BUG_IF(!is_there);
	}
}

static void check_order(struct str log)
{
	struct bytes lines = {(const uint8_t *)log.ptr, log.len};
	bool is_barred = false;
	bool is_first = true;

	while (lines.left > 0) {
		struct str line = line_next(&lines);

		BUG_IF(is_first && !line_has(line, "\"event_type\":\"run.created\""));
		is_first = false;
		if (line_has(line, "\"event_type\":\"gate.failed\"") &&
		    !line_has(line, "\"soft\":true"))
			is_barred = true;
		if (line_has(line, "\"event_type\":\"run.resumed\""))
			is_barred = false;
		BUG_IF(is_barred && line_has(line, "\"event_type\":\"step.started\""));
		BUG_IF(!jansson_takes(line.ptr, line.len));
	}
}

static void check_slot(struct world *world, const struct slot *slot)
{
	AUTO(buf_fini) struct buf log = BUF_INIT;
	char *text = NULL;

	if (!log_read_all(world, slot->id, &log)) {
		BUG_IF(slot->told.len > 0);
		return;
	}
	check_told(slot, buf_view(&log));
	check_order(buf_view(&log));
	if (slot->run)
		return;
	BUG_IF(sluice_verify(world->sluice, slot->id, NULL, &text, &world->err) != SLUICE_OK);
	sluice_free(text);
}

static void check_all(struct world *world)
{
	bool is_owned = false;

	if (atomic_load(&world->is_failing))
		return;
	for (size_t i = 0; i < RUNS; i++) {
		check_slot(world, &world->slots[i]);
		is_owned = is_owned || world->slots[i].run;
	}
	BUG_IF(!is_owned && memory_storage_open_files(world->storage) != 0);
}

static void hear(void *arg, const char *line, size_t len)
{
	struct slot *slot = arg;

	buf_put(&slot->told, line, len);
	buf_byte(&slot->told, '\n');
}

/* -------------------------------------------------------------------------------- the calls */

static void open_again(struct world *world)
{
	struct sluice_state_opts options = {.state_dir = HOME, .storage = &world->def};
	const struct sluice_executor_def executor = {
	    .name = "ex", .ops = {job_start, job_look_up, job_cancel}, .self = world};

	for (size_t i = 0; i < RUNS; i++) {
		if (world->slots[i].run)
			return;
	}
	sluice_close(world->sluice);
	BUG_IF(sluice_open(&options, &world->sluice, &world->err) != SLUICE_OK);
	BUG_IF(sluice_executor_register(world->sluice, &executor, &world->err) != SLUICE_OK);
}

/* Behaviours outlive the pipelines that name them. */
static uint8_t behaviours[256];

static void add_step(struct world *world, struct bytes *bytes)
{
	static const char *const conditions[] = {NULL, "true", "outputs.s0.n == 7", "1 +", "5"};
	const struct sluice_retry_def retry = {
	    .max_attempts = 2, .initial_ms = 1, .no_jitter = true};
	const struct sluice_approve_def approve = {.count = 1};
	uint8_t what = byte_next(bytes);
	uint8_t how = byte_next(bytes);
	uint8_t needs = byte_next(bytes);
	size_t which = what % PIPELINES;
	unsigned index = world->steps[which];
	const char *list[STEPS + 1] = {NULL};
	struct sluice_step_def step = {.id = step_names[index % STEPS]};
	char fate[2] = {(char)('0' + what / PIPELINES % FATES), '\0'};
	const char *const argv[] = {"x", fate, NULL};
	size_t count = 0;

	if (index >= STEPS)
		return;
	behaviours[what] = what / PIPELINES;
	step.noop = how % 4 == 0;
	step.argv = how % 4 == 3 ? argv : NULL;
	step.executor = step.argv ? "ex" : NULL;
	step.on_lost = step.argv ? (enum sluice_on_lost)(needs / 64) : SLUICE_ON_LOST_DEFAULT;
	step.call = step.noop || step.argv ? NULL : act;
	step.arg = step.call ? &behaviours[what] : NULL;
	step.gate = (enum sluice_gate)(how / 4 % 8 < 4 ? how / 4 % 8 : 0);
	step.approve = step.gate == SLUICE_GATE_MANUAL ? &approve : NULL;
	step.pass = step.gate == SLUICE_GATE_HARD && how & 128 && !step.noop ? "output.ok" : NULL;
	step.on_failure = (enum sluice_on_failure)(how / 32 % 6);
	step.retry = needs & 128 ? &retry : NULL;
	step.when = conditions[needs / 32 % 4 + (needs == 0xff)];
	for (unsigned i = 0; i < index; i++) {
		if (needs >> i & 1)
			list[count++] = step_names[i];
	}
	step.needs = needs & 32 || count ? list : NULL;
	(void)sluice_pipeline_step(world->pipelines[which], &step, &world->err);
	world->steps[which]++;
}

static void renew(struct world *world, size_t which)
{
	for (size_t i = 0; i < RUNS; i++) {
		if (world->slots[i].run)
			return; /* it may have lent its functions */
	}
	sluice_pipeline_free(world->pipelines[which]);
	world->pipelines[which] = sluice_pipeline_new(which ? "two" : "one");
	world->steps[which] = 0;
	BUG_IF(!world->pipelines[which]);
}

static void start(struct world *world, struct slot *slot, uint8_t how)
{
	struct sluice_run_opts options = {
	    .run_id = slot->id,
	    .max_parallel = how & 8 ? 2 : 0,
	    .sync = how & 16 ? "never" : NULL,
	    .only = how & 32 ? "s1" : NULL,
	    .partition = how & 64 ? "p" : NULL,
	    .dry_run = how & 128,
	    .observer = {.on_event = how & 128 ? NULL : hear, .arg = slot},
	};

	if (!slot->run)
		(void)!sluice_run_start(world->sluice, world->pipelines[how % PIPELINES], &options,
					&slot->run, &world->err);
}

static void resume(struct world *world, struct slot *slot, uint8_t how)
{
	static const char *const overrides[] = {"s0", NULL};
	struct sluice_resume_opts options = {
	    .from = how & 4 ? step_names[how / 8 % STEPS] : NULL,
	    .overrides = how & 64 ? overrides : NULL,
	    .reason = "why",
	    .as = "anna",
	    .observer = {.on_event = hear, .arg = slot},
	    .pipeline = world->pipelines[how % PIPELINES],
	    .again = true,
	};
	struct sluice_rollback_opts back = {
	    .reason = "why", .as = "anna", .observer = {.on_event = hear, .arg = slot}};
	enum sluice_code code;
	int status = -1;

	if (slot->run)
		return;
	if (how & 128) {
		(void)!sluice_run_rollback(world->sluice, slot->id, &back, &slot->run, &world->err);
		return;
	}
	code =
	    sluice_run_resume(world->sluice, slot->id, &options, &slot->run, &status, &world->err);
	BUG_IF(code == SLUICE_OK && !slot->run && status != 0 && status != 4);
	BUG_IF(code != SLUICE_OK && slot->run);
}

static void carry_on(struct world *world, struct slot *slot, unsigned times)
{
	bool is_over = false;

	if (!slot->run)
		return;
	for (; times > 0 && !is_over; times--) {
		struct pollfd ready = {.fd = sluice_run_fd(slot->run), .events = POLLIN};
		int ms = sluice_run_timeout_ms(slot->run);

		(void)poll(&ready, 1, ms < 0 || ms > 5 ? 5 : ms);
		if (sluice_run_dispatch(slot->run, &is_over, &world->err) != SLUICE_OK)
			break;
	}
}

static void wait_for(struct world *world, struct slot *slot)
{
	enum sluice_run_state state;
	struct sluice_end end;

	if (!slot->run)
		return;
	world->ends_at_once = true;
	jobs_end(world);
	state = sluice_run_wait(slot->run, &world->err);
	sluice_run_end(slot->run, &end);
	BUG_IF(state == SLUICE_RUN_EXECUTING || state == SLUICE_RUN_CREATED);
	BUG_IF(state != SLUICE_RUN_UNKNOWN && end.state != state);
	BUG_IF(state == SLUICE_RUN_UNKNOWN && !atomic_load(&world->is_failing));
	BUG_IF(state == SLUICE_RUN_SUCCEEDED && end.exit_status != 0);
	world->ends_at_once = false;
}

static void let_go(struct slot *slot)
{
	sluice_run_free(slot->run);
	slot->run = NULL;
}

static void decide(struct world *world, struct slot *slot, uint8_t how)
{
	const struct sluice_act_opts options = {.as = how & 64 ? "bert" : "anna", .reason = "why"};
	const char *step = step_names[how / 4 % STEPS];

	if (slot->run) {
		sluice_run_stop(slot->run, how & 32);
		return;
	}
	if (how % 3 == 0)
		(void)!sluice_approve(world->sluice, slot->id, step, &options, &world->err);
	else if (how % 3 == 1)
		(void)!sluice_reject(world->sluice, slot->id, step, &options, &world->err);
	else
		(void)!sluice_stop(world->sluice, slot->id, &options, &world->err);
}

static void look(struct world *world, const struct slot *slot, uint8_t how)
{
	enum sluice_format format = how & 4 ? SLUICE_JSON : SLUICE_TEXT;
	enum sluice_code code;
	char *text = NULL;

	switch (how / 8 % 5) {
	case 0:
		code = sluice_status(world->sluice, slot->id, format, &text, &world->err);
		break;
	case 1:
		code = sluice_summary(world->sluice, slot->id, format, &text, &world->err);
		break;
	case 2:
		code = sluice_explain(world->sluice, slot->id, how & 64 ? "s1" : NULL, format,
				      &text, &world->err);
		break;
	case 3:
		code = sluice_list(world->sluice, &(struct sluice_list_opts){.format = format},
				   &text, &world->err);
		break;
	default:
		code = sluice_resume_check(world->sluice, slot->id, NULL, &text, &world->err);
		format = SLUICE_TEXT;
		break;
	}
	BUG_IF(code == SLUICE_OK &&
	       (!text || (format == SLUICE_JSON && !jansson_takes(text, strlen(text)))));
	sluice_free(text);
}

/* The storage fails at the n-th call from now on, or heals. */
static void fail(struct world *world, uint8_t how)
{
	static const int errors[] = {EIO, ENOSPC, EACCES, EMFILE};
	bool fails = how & 1;

	memory_storage_fail(world->storage, fails ? how / 8 + 1U : 0, errors[how / 2 % 4]);
	atomic_store(&world->is_failing, fails);
	/* What it was owner of while it failed, only a resume can tell. */
	for (size_t i = 0; i < RUNS && !fails; i++)
		let_go(&world->slots[i]);
}

static void call(struct world *world, struct bytes *bytes)
{
	uint8_t what = byte_next(bytes);
	struct slot *slot = &world->slots[what / 16 % RUNS];

	switch (what % 16) {
	case 0:
		open_again(world);
		break;
	case 1:
		if (what & 128)
			jobs_end(world);
		else
			renew(world, what / 16 % PIPELINES);
		break;
	case 2:
	case 3:
	case 4:
		add_step(world, bytes);
		break;
	case 5:
	case 6:
		start(world, slot, byte_next(bytes));
		break;
	case 7:
		carry_on(world, slot, byte_next(bytes) % 16U);
		break;
	case 8:
	case 9:
		wait_for(world, slot);
		break;
	case 10:
		let_go(slot);
		break;
	case 11:
	case 12:
		resume(world, slot, byte_next(bytes));
		break;
	case 13:
		decide(world, slot, byte_next(bytes));
		break;
	case 14:
		look(world, slot, byte_next(bytes));
		break;
	default:
		fail(world, byte_next(bytes));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct world *world = mem_new(1, sizeof(*world));

	BUG_IF(!world);
	the_world = world;
	world->storage = memory_storage_new();
	world->def = memory_storage_def(world->storage);
	for (size_t i = 0; i < RUNS; i++)
		world->slots[i] = (struct slot){.world = world, .id = run_ids[i]};
	for (size_t i = 0; i < PIPELINES; i++)
		renew(world, i);
	open_again(world);
	for (int i = 0; i < CALLS_MAX && bytes.left > 0; i++) {
		call(world, &bytes);
		check_all(world);
	}
	fail(world, 0);
	check_all(world);
	for (size_t i = 0; i < RUNS; i++)
		buf_fini(&world->slots[i].told);
	for (size_t i = 0; i < PIPELINES; i++)
		sluice_pipeline_free(world->pipelines[i]);
	sluice_close(world->sluice);
	memory_storage_free(world->storage);
	mem_free(world);
	return 0;
}
