/* fold_test.c - a log to its state: what it names by reference, a definition that a resume brought,
 * events that the tables refuse, points to stop at, and a disk or a memory that fails at any moment
 * (S9.3, S11.3, S11.6, D21). */
#include "support/made_run.h"
#include "support/vfs_fault.h"

#include "base/mem.h"
#include "rundir/fold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD    "pipeline: demo\nsteps:\n  first: {run: 'true'}\n"
#define GIVEN   "{\"first\":{\"n\":1}}"
#define OUTPUTS "{\"rows\":12}"
#define UPDATES "{\"day\":\"friday\"}"
#define PART    "{\"from\":\"last\"}"

static const char definition[] = HEAD "  last: {run: 'false', needs: [first]}\n";
static const char changed[] = HEAD "  last: {run: 'true', needs: [first]}\n";

/* The whole log behind run.created: `first` succeeds, the engine is killed, `last` fails, and the
 * run is resumed by a definition in which it succeeds. */
static const char *const whole[] = {
    "run.state_changed previous_state=created new_state=preflight_validated",
    "run.state_changed previous_state=preflight_validated new_state=executing",
    "step.started first 0 new_state=running",
    "step.succeeded first 0 new_state=succeeded outputs_ref=@" OUTPUTS,
    "run.resumed definition_hash=@birth boot_id=" MADE_BOOT,
    "step.started last 0 new_state=running",
    "step.failed last 0 new_state=failed error_class=unknown",
    "run.state_changed previous_state=executing new_state=failed",
    "run.completed new_state=failed outcome=failed duration_ms=1",
    "run.resumed definition_hash=@next boot_id=" MADE_BOOT
    " changes={\"changed\":[\"last\"],\"added\":[],\"removed\":[]}",
    "run.state_changed previous_state=failed new_state=executing",
    "step.started last 1 new_state=running",
    "step.succeeded last 1 new_state=succeeded context_updates_ref=@" UPDATES,
    "run.state_changed previous_state=executing new_state=succeeded",
    "run.completed new_state=succeeded outcome=success duration_ms=1",
};

enum {
	EVENTS = ARRAY_LEN(whole) + 1,
	BY_OUTPUTS = 5, /* the number of the event that names the blob */
	BY_UPDATES = 14,
	CHANGED = 11, /* of the run.resumed with another definition */
};

static const struct made_birth plain = {.definition = definition, .next = changed};
static const struct made_birth part = {.definition = definition, .selection = PART, .given = GIVEN};

/* Events behind those that there are, up to a number. */
static void tell_to(struct made_run *made, unsigned upto)
{
	while (log_head(made->log)->seq < upto)
		made_run_tell(made, whole[log_head(made->log)->seq - 1]);
}

static void open_to(struct made_run *made, unsigned upto)
{
	made_run_open(made, &plain);
	tell_to(made, upto);
}

/* An attempt that does not run cannot succeed: the tables refuse it. */
static const char nonsense[] = "step.succeeded last 7 new_state=succeeded";
/* A kind of event that this version reserves is one of a newer version (S11.5). */
static const char reserved[] = "signal.received name=go";

static enum err_code count_event(void *arg, const struct run_state *state,
				 const struct event *event, struct str line, struct err *err)
{
	unsigned *count = arg;

	(void)err;
	assert_int_equal(state->seq, event->seq);
	assert_true(line.len > 0);
	(*count)++;
	return ERR_OK;
}

static const struct step_state *step_of(const struct fold_run *fold, const char *id)
{
	uint32_t index = model_find(fold->model, str_of(id));

	assert_int_not_equal(index, STEP_NONE);
	return &fold->state.steps[index];
}

static void outputs_and_updates_are_those_of_the_blobs(void **unused)
{
	struct fold_run fold;
	struct made_run made;
	unsigned visited = 0;

	(void)unused;
	open_to(&made, EVENTS);
	assert_ok(fold_read(made.dir, &made.limits, count_event, &visited, &fold, &made.err),
		  &made.err);
	assert_int_equal(visited, EVENTS);
	assert_int_equal(fold.state.seq, EVENTS);
	assert_int_equal(fold.reading.end, LOG_END_WHOLE);
	assert_int_equal(fold.state.state, RUN_SUCCEEDED);
	assert_text(step_of(&fold, "first")->outputs, OUTPUTS);
	assert_int_equal(fold.state.updates_count, 1);
	assert_text(fold.state.updates[0].value, "\"friday\"");
	fold_fini(&fold);
	made_run_close(&made);
}

static void s9_5_what_was_given_is_that_of_the_blob(void **unused)
{
	struct fold_run fold;
	struct made_run made;

	(void)unused;
	made_run_open(&made, &part);
	assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err), &made.err);
	assert_text(step_of(&fold, "first")->outputs, "{\"n\":1}");
	fold_fini(&fold);
	made_run_close(&made);
}

static void s11_6_a_reader_stops_where_the_owner_has_synced(void **unused)
{
	struct fold_run fold;
	struct made_run made;
	uint64_t offset;

	(void)unused;
	open_to(&made, 4);
	offset = log_head(made.log)->offset_bytes;
	tell_to(&made, 8);
	assert_ok(run_lock_publish(&vfs_os, &made.lock, 4, offset, &made.err), &made.err);
	assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err), &made.err);
	assert_int_equal(fold.state.seq, 4);
	fold_fini(&fold);
	made_run_release(&made);
	assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err), &made.err);
	assert_int_equal(fold.state.seq, 8);
	fold_fini(&fold);
	made_run_close(&made);
}

static void a_fold_stops_at_a_number_or_a_time(void **unused)
{
	static const struct {
		struct fold_until until;
		uint64_t seq;
	} points[] = {
	    {{UINT64_MAX, INT64_MAX}, EVENTS},
	    {{5, INT64_MAX}, 5},
	    {{UINT64_MAX, MADE_T0_MS + 6000}, 7},
	    {{5, MADE_T0_MS + 2500}, 3},
	    {{0, INT64_MAX}, 1}, /* run.created is folded always */
	    {{UINT64_MAX, 0}, 1},
	};
	struct made_run made;

	(void)unused;
	open_to(&made, EVENTS);
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		struct fold_run fold;
		unsigned visited = 0;

		assert_ok(fold_read_until(made.dir, &made.limits, &points[i].until, count_event,
					  &visited, &fold, &made.err),
			  &made.err);
		assert_int_equal(fold.state.seq, points[i].seq);
		assert_int_equal(visited, points[i].seq);
		assert_int_equal(fold.reading.head.seq, EVENTS); /* the rest is verified too */
		fold_fini(&fold);
	}
	made_run_close(&made);
}

static enum err_code refuse(void *arg, const struct log_head *head, struct err *err)
{
	(void)arg;
	return err_set(err, ERR_CORRUPT, "not with %u events", (unsigned)head->seq);
}

static void an_owner_is_asked_before_the_log_is_its_own(void **unused)
{
	struct fold_run fold = {.model = NULL};
	struct made_run made;
	struct log_torn torn;
	struct log *log = NULL;

	(void)unused;
	open_to(&made, 8);
	log_drop(&made.log);
	assert_int_equal(
	    fold_open(made.dir, &made.limits, NULL, refuse, NULL, &fold, &log, &torn, &made.err),
	    ERR_CORRUPT);
	assert_null(fold.model);
	assert_null(log);
	err_reset(&made.err);
	assert_ok(
	    fold_open(made.dir, &made.limits, NULL, NULL, NULL, &fold, &log, &torn, &made.err),
	    &made.err);
	assert_int_equal(fold.state.seq, 8);
	assert_int_equal(fold.reading.head.seq, 8);
	fold_fini(&fold);
	log_drop(&log);
	made_run_close(&made);
}

/* --------------------------------------------------------------------------------- damage */

/* How a blob is no longer what its event named. */
enum harm { HARM_GONE, HARM_LINK, HARM_CONTENT, HARMS };

static void do_harm(const struct made_run *made, const char *content, enum harm harm)
{
	char ref[SHA256_HEX_BYTES + 1];
	char path[100];

	made_run_hash(str_of(content), ref);
	(void)snprintf(path, sizeof(path), "blobs/%s", ref);
	assert_int_equal(unlinkat(made->run.fd, path, 0), 0);
	if (harm == HARM_LINK)
		assert_int_equal(symlinkat("elsewhere", made->run.fd, path), 0);
	if (harm == HARM_CONTENT)
		temp_dir_write(&made->run, path, "[]", 2);
}

/* A blob was durable before its event: one that is not what it was is damage, and the log counts up
 * to that event. */
static void s11_2_a_blob_that_is_not_what_it_was_is_damage(void **unused)
{
	static const struct {
		const char *content;
		uint64_t seq;
	} blobs[] = {{OUTPUTS, BY_OUTPUTS}, {UPDATES, BY_UPDATES}, {GIVEN, 1}};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(blobs) * HARMS; i++) {
		uint64_t seq = blobs[i / HARMS].seq;
		struct fold_run fold;
		struct made_run made;

		if (seq == 1)
			made_run_open(&made, &part);
		else
			open_to(&made, EVENTS);
		made_run_release(&made);
		do_harm(&made, blobs[i / HARMS].content, (enum harm)(i % HARMS));
		if (seq == 1) { /* nothing is left of it */
			assert_int_equal(
			    fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err),
			    ERR_CORRUPT);
		} else {
			assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err),
				  &made.err);
			assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
			assert_int_equal(fold.state.seq, seq - 1);
			fold_fini(&fold);
		}
		made_run_close(&made);
	}
}

/* S11.8, S12: a run whose beginning is not right is none, and it is told why. */
static void s12_a_beginning_that_is_not_right_is_told(void **unused)
{
	static const struct {
		struct made_birth birth;
		const char *why;
	} births[] = {
	    {{.frozen = "no definition"}, "definition"},
	    {{.frozen = "that of a later version", .later = 1}, "definition"},
	    {{.selection = "{\"from\":\"nowhere\"}"}, "nowhere"},
	    {{.selection = PART, .given = "{\"nowhere\":{}}"}, "nowhere"},
	    {{.selection = PART, .given = "{\"first\":"}, "blob"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(births); i++) {
		struct made_birth birth = births[i].birth;
		struct fold_run fold;
		struct made_run made;

		birth.definition = definition;
		made_run_open(&made, &birth);
		made_run_release(&made);
		assert_int_equal(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err),
				 ERR_CORRUPT);
		assert_non_null(strstr(made.err.text, births[i].why));
		made_run_close(&made);
	}
}

/* S9.3: the definition that a resume brought is there and is one, or the log ends before it. */
static void s9_3_a_definition_that_a_resume_named_is_needed(void **unused)
{
	static const char *const resumes[] = {
	    "run.resumed definition_hash=8000000000000000000000000000000000000000000000000000000000000000"
	    " boot_id=" MADE_BOOT " changes={\"changed\":[],\"added\":[],\"removed\":[]}",
	    "run.resumed definition_hash=@nothing boot_id=" MADE_BOOT
	    " changes={\"changed\":[],\"added\":[],\"removed\":[]}",
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(resumes); i++) {
		struct fold_run fold;
		struct made_run made;

		open_to(&made, CHANGED - 1);
		made_run_tell(&made, resumes[i]);
		made_run_release(&made);
		assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, &fold, &made.err),
			  &made.err);
		assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
		assert_int_equal(fold.state.seq, CHANGED - 1);
		fold_fini(&fold);
		made_run_close(&made);
	}
}

/* S11: an event that the tables refuse is damage. The state is that of the events before it, by the
 * definition of that moment, and each of them was shown once. */
static void s11_the_state_is_that_of_the_events_before_the_damage(void **unused)
{
	static const unsigned ends[] = {1, 4, CHANGED - 1, CHANGED, EVENTS - 2};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct fold_run fold;
		struct made_run made;
		unsigned visited = 0;

		open_to(&made, ends[i]);
		made_run_tell(&made, nonsense);
		tell_to(&made, ends[i] + 2);
		made_run_release(&made);
		assert_ok(
		    fold_read(made.dir, &made.limits, count_event, &visited, &fold, &made.err),
		    &made.err);
		assert_int_equal(fold.reading.end, LOG_END_DAMAGED);
		assert_int_equal(fold.state.seq, ends[i]);
		assert_int_equal(visited, ends[i]);
		assert_int_equal(fold.model->older != NULL, ends[i] >= CHANGED);
		fold_fini(&fold);
		made_run_close(&made);
	}
}

/* The first line is no longer what it was when the log is read again; the window of the first
 * reading has it already. */
static enum err_code spoil_first_line(void *arg, const struct run_state *state,
				      const struct event *event, struct str line, struct err *err)
{
	const struct made_run *made = arg;
	int fd = openat(made->run.fd, LOG_FILE, O_WRONLY | O_CLOEXEC);

	(void)state;
	(void)event;
	(void)line;
	(void)err;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "#", 1, 5), 1);
	assert_int_equal(close(fd), 0);
	return ERR_OK;
}

/* There is no state without a beginning: what made it read again is told. */
static void a_log_that_changes_while_it_is_read_gives_no_state(void **unused)
{
	static const struct {
		const char *last;
		enum err_code code;
	} logs[] = {{nonsense, ERR_CORRUPT}, {reserved, ERR_NEWER}};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		struct fold_run fold;
		struct made_run made;

		open_to(&made, 4);
		made_run_tell(&made, logs[i].last);
		made_run_release(&made);
		assert_int_equal(
		    fold_read(made.dir, &made.limits, spoil_first_line, &made, &fold, &made.err),
		    logs[i].code);
		assert_non_null(strstr(made.err.text, "line 5"));
		made_run_close(&made);
	}
}

/* ----------------------------------------------------------------------- of memory and disk */

enum way { READ, READ_TWICE, OPEN, WAYS };

/* The whole log, of a folder whose name takes memory of its own; or one that a reader has to fold
 * again, for its last event is none. */
static void make_log(struct made_run *made, enum way way)
{
	static char folder[100000] = "/";
	struct made_birth birth = plain;

	memset(folder + 1, 'f', sizeof(folder) - 2);
	birth.folder = folder;
	made_run_open(made, &birth);
	tell_to(made, way == READ_TWICE ? CHANGED + 1 : EVENTS);
	if (way == READ_TWICE)
		made_run_tell(made, nonsense);
	made_run_release(made);
}

/* A fold by descriptors of its own: OK, or an error with a text and nothing given. */
static enum err_code fold_once(struct made_run *made, const struct vfs *vfs, enum way way)
{
	struct fold_run fold = {.model = NULL};
	struct rundir *dir = NULL;
	struct log_torn torn;
	struct log *log = NULL;
	struct err *err = &made->err;
	enum err_code code;

	err_reset(err);
	code = rundir_open(vfs, made->run.path, &dir, err);
	if (code == ERR_OK && way == OPEN)
		code = fold_open(dir, &made->limits, NULL, NULL, NULL, &fold, &log, &torn, err);
	else if (code == ERR_OK)
		code = fold_read(dir, &made->limits, NULL, NULL, &fold, err);
	assert_int_equal(fold.model != NULL, code == ERR_OK);
	assert_int_equal(log != NULL, code == ERR_OK && way == OPEN);
	assert_int_equal(err->text[0] != '\0', code != ERR_OK);
	fold_fini(&fold);
	log_drop(&log);
	rundir_drop(&dir);
	return code;
}

static void d21_a_fold_without_memory_is_told(void **unused)
{
	(void)unused;
	for (enum way way = 0; way < WAYS; way++) {
		bool is_through = false;
		struct made_run made;

		make_log(&made, way);
		for (uint64_t nth = 1; !is_through; nth++) {
			enum err_code code;

			mem_fail_at(nth, 0);
			code = fold_once(&made, &vfs_os, way);
			is_through = mem_calls() < nth;
			mem_fail_at(0, 0);
			assert_int_equal(code, is_through ? ERR_OK : ERR_MEMORY);
		}
		made_run_close(&made);
	}
}

static void s11_3_a_fold_on_a_bad_disk_is_told(void **unused)
{
	(void)unused;
	for (enum way way = 0; way < WAYS; way++) {
		bool is_through = false;
		struct made_run made;

		make_log(&made, way);
		for (uint64_t nth = 1; !is_through; nth++) {
			struct vfs_fault fault;
			enum err_code code;

			vfs_fault_init(&fault, &vfs_os);
			vfs_fault_plan(&fault, VFS_CALL_ANY, nth, false, EIO);
			code = fold_once(&made, &fault.vfs, way);
			is_through = !vfs_fault_fired(&fault);
			assert_int_equal(fault.open_files, 0);
			assert_int_equal(code, is_through ? ERR_OK : ERR_IO);
		}
		made_run_close(&made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(outputs_and_updates_are_those_of_the_blobs),
	    cmocka_unit_test(s9_5_what_was_given_is_that_of_the_blob),
	    cmocka_unit_test(s11_6_a_reader_stops_where_the_owner_has_synced),
	    cmocka_unit_test(a_fold_stops_at_a_number_or_a_time),
	    cmocka_unit_test(an_owner_is_asked_before_the_log_is_its_own),
	    cmocka_unit_test(s11_2_a_blob_that_is_not_what_it_was_is_damage),
	    cmocka_unit_test(s12_a_beginning_that_is_not_right_is_told),
	    cmocka_unit_test(s9_3_a_definition_that_a_resume_named_is_needed),
	    cmocka_unit_test(s11_the_state_is_that_of_the_events_before_the_damage),
	    cmocka_unit_test(a_log_that_changes_while_it_is_read_gives_no_state),
	    cmocka_unit_test(d21_a_fold_without_memory_is_told),
	    cmocka_unit_test(s11_3_a_fold_on_a_bad_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
