/* rundir_test.c - runs on disk: birth, finding, blobs, results, artifacts (S11.8, S12). */
#include "base/arena.h"
#include "base/mem.h"
#include "rundir/rundir.h"
#include "support/temp_dir.h"
#include "support/vfs_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct limits limits;

static int setup(void **unused)
{
	(void)unused;
	limits_default(&limits);
	return 0;
}

static void created(struct event *event, int64_t utc_ms)
{
	event_init(event, EVENT_RUN_CREATED);
	event->time_utc_ms = utc_ms;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, LOG_FORMAT);
	event_put_text(event, EVENT_FIELD_PIPELINE, STR("demo"));
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, STR("00"));
	event_put_text(event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(event, EVENT_FIELD_SEED, 1);
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR("b"));
	event_put_text(event, EVENT_FIELD_CWD, STR("/"));
}

struct born {
	struct rundir *dir;
	struct run_lock lock;
	struct log *log;
};

static enum err_code bear(const struct vfs *vfs, const char *home, const char *id, int64_t utc_ms,
			  struct born *born, struct err *err)
{
	struct event event;
	const struct rundir_birth birth = {
	    .home = home,
	    .run_id = str_of(id),
	    .source = STR("pipeline: demo\n"),
	    .frozen = STR("{\"pipeline\":\"demo\"}"),
	    .created = &event,
	    .limits = &limits,
	};

	created(&event, utc_ms);
	return rundir_create(vfs, &birth, &born->dir, &born->lock, &born->log, err);
}

static void born_drop(struct born *born)
{
	log_drop(&born->log);
	run_lock_release(rundir_vfs(born->dir), &born->lock);
	rundir_drop(&born->dir);
}

static void make_run(const char *home, const char *id, int64_t utc_ms, bool failed)
{
	struct err err = ERR_INIT;
	struct born born;
	struct event event;

	assert_int_equal(bear(&vfs_os, home, id, utc_ms, &born, &err), ERR_OK);
	if (failed) {
		event_init(&event, EVENT_RUN_STATE_CHANGED);
		event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, STR("executing"));
		event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("failed"));
		assert_int_equal(log_add(born.log, &event, &err), ERR_OK);
		assert_int_equal(log_commit(born.log, true, &err), ERR_OK);
	}
	born_drop(&born);
}

/* S11.8, S12 */
static void a_run_is_born_with_four_files(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct born born;
	struct rundir *again = NULL;
	char home[300];
	char path[400];
	struct stat st;

	(void)unused;
	temp_dir_make(&dir);
	(void)snprintf(home, sizeof(home), "%s/deep/home", dir.path);
	assert_int_equal(bear(&vfs_os, home, "r1", 1000, &born, &err), ERR_OK);
	(void)snprintf(path, sizeof(path), "%s/runs/r1", home);
	assert_string_equal(rundir_path(born.dir), path);
	assert_true(str_is(rundir_id(born.dir), "r1"));
	assert_int_equal(log_head(born.log)->seq, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	{
		struct temp_dir run = {.fd = rundir_fd(born.dir)};

		(void)snprintf(run.path, sizeof(run.path), "%.255s", path);
		assert_int_equal(temp_dir_count(&run), 4);
		assert_true(temp_dir_has(&run, "pipeline.yaml"));
		assert_true(temp_dir_has(&run, "pipeline.json"));
		assert_true(temp_dir_has(&run, LOG_FILE));
		assert_true(temp_dir_has(&run, RUN_LOCK_FILE));
		(void)snprintf(run.path, sizeof(run.path), "%.250s/runs", home);
		assert_int_equal(temp_dir_count(&run), 1); /* no `.new-` */
	}
	{
		struct run_lock_info info;

		assert_int_equal(run_lock_look(&vfs_os, rundir_fd(born.dir), &info, &err), ERR_OK);
		assert_true(info.is_held);
	}
	assert_int_equal(rundir_open(&vfs_os, path, &again, &err), ERR_OK);
	assert_true(str_is(rundir_id(again), "r1"));
	rundir_drop(&again);
	born_drop(&born);
	temp_dir_remove(&dir);
}

static void an_id_that_is_taken_or_no_id_is_refused(void **unused)
{
	static const char *const ids[] = {"", "..", "a/b", ".new-x", "a..b", "-x", "\xC3\xA4"};
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct temp_dir runs;
	struct born born;

	(void)unused;
	temp_dir_make(&dir);
	make_run(dir.path, "r1", 1000, false);
	assert_int_equal(bear(&vfs_os, dir.path, "r1", 2000, &born, &err), ERR_EXISTS);
	assert_true(err.hint[0]);
	(void)snprintf(runs.path, sizeof(runs.path), "%.200s/runs", dir.path);
	assert_int_equal(temp_dir_count(&runs), 1);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assert_int_equal(bear(&vfs_os, dir.path, ids[i], 1, &born, &err), ERR_USAGE);
	temp_dir_remove(&dir);
}

/* S11.8, D16: any call may fail; nothing that looks like a run stays. */
static void a_birth_that_fails_leaves_nothing(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct vfs_fault fault;
		struct temp_dir dir;
		struct born born;
		struct str *ids;
		size_t count;
		enum err_code code;

		temp_dir_make(&dir);
		vfs_fault_init(&fault, &vfs_os);
		vfs_fault_plan(&fault, VFS_CALL_ANY, nth, false, nth % 2 ? EIO : ENOSPC);
		code = bear(&fault.vfs, dir.path, "r1", 1000, &born, &err);
		assert_int_equal(code == ERR_OK, !vfs_fault_fired(&fault));
		if (code == ERR_OK)
			born_drop(&born);
		assert_int_equal(fault.open_files, 0);
		assert_int_equal(rundir_list(&vfs_os, dir.path, &arena, &ids, &count, &err),
				 ERR_OK);
		assert_int_equal(count, code == ERR_OK);
		if (code != ERR_OK && temp_dir_has(&dir, "runs")) {
			struct temp_dir runs;

			(void)snprintf(runs.path, sizeof(runs.path), "%.200s/runs", dir.path);
			assert_int_equal(temp_dir_count(&runs), 0);
		}
		arena_fini(&arena);
		temp_dir_remove(&dir);
		if (code == ERR_OK)
			break;
	}
}

/* S11.8 */
static void a_directory_without_run_created_is_no_run(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct rundir *run = NULL;
	char path[400];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(rundir_open(&vfs_os, dir.path, &run, &err), ERR_NOT_FOUND);
	temp_dir_write(&dir, LOG_FILE, "{\"event_id\":\"evt_1\"", 19);
	assert_int_equal(rundir_open(&vfs_os, dir.path, &run, &err), ERR_NOT_FOUND);
	temp_dir_write(&dir, LOG_FILE, "{\"event_id\":\"evt_1\"}\n", 21);
	assert_int_equal(rundir_open(&vfs_os, dir.path, &run, &err), ERR_CORRUPT);
	(void)snprintf(path, sizeof(path), "%s/" LOG_FILE, dir.path);
	assert_int_equal(rundir_open(&vfs_os, path, &run, &err), ERR_NOT_FOUND);
	assert_int_equal(rundir_open(&vfs_os, "/nowhere/at/all", &run, &err), ERR_NOT_FOUND);
	temp_dir_remove(&dir);
}

static enum err_code find(const char *home, const char *name, char found[512], struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	enum err_code code;

	err_reset(err);
	found[0] = '\0';
	code = rundir_find(&vfs_os, home, str_of(name), &path, err);
	if (code == ERR_OK) {
		const char *slash = strrchr(path.ptr, '/');

		assert_int_equal(path.ptr[0], '/');
		(void)snprintf(found, 512, "%s", slash + 1);
	}
	return code;
}

static void runs_are_found_by_what_a_person_writes(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char found[512];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(find(dir.path, "@latest", found, &err), ERR_NOT_FOUND);
	make_run(dir.path, "zebra", 1000, true);
	make_run(dir.path, "apple-1", 3000, false);
	make_run(dir.path, "apple-2", 2000, true);
	make_run(dir.path, "apple", 1500, false);
	(void)snprintf(found, sizeof(found), "%s/runs/.new-crashed-00", dir.path);
	assert_int_equal(mkdir(found, 0700), 0);
	(void)snprintf(found, sizeof(found), "%s/runs/empty", dir.path);
	assert_int_equal(mkdir(found, 0700), 0);
	assert_int_equal(find(dir.path, "apple", found, &err), ERR_OK);
	assert_string_equal(found, "apple");
	assert_int_equal(find(dir.path, "z", found, &err), ERR_OK);
	assert_string_equal(found, "zebra");
	assert_int_equal(find(dir.path, "appl", found, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "apple-1"));
	assert_non_null(strstr(err.text, "3 runs"));
	assert_int_equal(find(dir.path, "zebro", found, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.hint, "zebra"));
	assert_int_equal(find(dir.path, "", found, &err), ERR_NOT_FOUND);
	assert_int_equal(find(dir.path, ".new-crashed-00", found, &err), ERR_NOT_FOUND);
	assert_int_equal(find(dir.path, "@latest", found, &err), ERR_OK);
	assert_string_equal(found, "apple-1");
	assert_int_equal(find(dir.path, "@failed", found, &err), ERR_OK);
	assert_string_equal(found, "apple-2");
	assert_int_equal(find(dir.path, "some/path", found, &err), ERR_OK);
	assert_string_equal(found, "path");
	temp_dir_remove(&dir);
}

static void ids_sort_by_time_and_differ(void **unused)
{
	struct err err = ERR_INIT;
	char earlier[64];
	char later[64];
	char other[64];

	(void)unused;
	assert_int_equal(rundir_new_id(INT64_C(1795234502123), earlier, &err), ERR_OK);
	assert_int_equal(rundir_new_id(INT64_C(1795234502124), later, &err), ERR_OK);
	assert_int_equal(rundir_new_id(INT64_C(1795234502124), other, &err), ERR_OK);
	assert_true(strcmp(earlier, later) < 0);
	assert_string_not_equal(later, other);
	assert_true(id_valid(str_of(earlier)));
	assert_memory_equal(earlier, "20261121T", 9);
}

static void the_home_follows_the_environment(void **unused)
{
	struct err err = ERR_INIT;
	struct buf path = BUF_INIT;

	(void)unused;
	assert_int_equal(setenv("SLUICE_HOME", "/s", 1), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", "/x", 1), 0);
	assert_int_equal(setenv("HOME", "/h", 1), 0);
	assert_int_equal(rundir_home("/o", &path, &err), ERR_OK);
	assert_int_equal(rundir_home(NULL, &path, &err), ERR_OK);
	(void)unsetenv("SLUICE_HOME");
	assert_int_equal(rundir_home("", &path, &err), ERR_OK);
	assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
	assert_int_equal(rundir_home(NULL, &path, &err), ERR_OK);
	assert_string_equal(path.ptr, "/o/s/x/sluice/h/.local/state/sluice");
	(void)unsetenv("HOME");
	assert_int_equal(rundir_home(NULL, &path, &err), ERR_USAGE);
	buf_fini(&path);
}

static void the_frozen_definition_is_checked_against_its_hash(void **unused)
{
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;
	struct temp_dir dir;
	struct born born;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(bear(&vfs_os, dir.path, "r", 1, &born, &err), ERR_OK);
	sha256_of("{\"pipeline\":\"demo\"}", 19, digest);
	sha256_hex(digest, hex);
	assert_int_equal(rundir_frozen(born.dir, str_of(hex), &text, &err), ERR_OK);
	assert_int_equal(text.len, 19);
	hex[0] ^= 1;
	assert_int_equal(rundir_frozen(born.dir, str_of(hex), &text, &err), ERR_CORRUPT);
	assert_int_equal(text.len, 19);
	assert_int_equal(unlinkat(rundir_fd(born.dir), "pipeline.json", 0), 0);
	assert_int_equal(rundir_frozen(born.dir, STR(""), &text, &err), ERR_CORRUPT);
	buf_fini(&text);
	born_drop(&born);
	temp_dir_remove(&dir);
}

static void blobs_are_kept_by_content(void **unused)
{
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;
	struct temp_dir dir;
	struct born born;
	char ref[SHA256_HEX_BYTES + 1];
	char again[SHA256_HEX_BYTES + 1];
	char path[100];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(bear(&vfs_os, dir.path, "r", 1, &born, &err), ERR_OK);
	assert_int_equal(rundir_blob_put(born.dir, STR("content"), ref, &err), ERR_OK);
	assert_int_equal(rundir_blob_put(born.dir, STR("content"), again, &err), ERR_OK);
	assert_string_equal(ref, again);
	assert_int_equal(rundir_blob_get(born.dir, str_of(ref), &limits, &text, &err), ERR_OK);
	assert_string_equal(text.ptr, "content");
	{ /* damaged: found when read, mended when put again */
		struct temp_dir run = {.fd = rundir_fd(born.dir)};

		(void)snprintf(path, sizeof(path), "blobs/%s", ref);
		temp_dir_write(&run, path, "kontent", 7);
		assert_int_equal(rundir_blob_get(born.dir, str_of(ref), &limits, &text, &err),
				 ERR_CORRUPT);
		assert_int_equal(rundir_blob_put(born.dir, STR("content"), again, &err), ERR_OK);
		assert_int_equal(rundir_blob_get(born.dir, str_of(ref), &limits, &text, &err),
				 ERR_OK);
	}
	assert_int_equal(rundir_blob_get(born.dir, STR("../pipeline.json"), &limits, &text, &err),
			 ERR_CORRUPT);
	ref[5] = ref[5] == '0' ? '1' : '0';
	assert_int_equal(rundir_blob_get(born.dir, str_of(ref), &limits, &text, &err),
			 ERR_NOT_FOUND);
	buf_fini(&text);
	born_drop(&born);
	temp_dir_remove(&dir);
}

static void a_result_is_a_plain_file_within_its_limit(void **unused)
{
	struct limits tight = limits;
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;
	struct temp_dir dir;
	struct temp_dir run;
	struct born born;
	bool found = true;

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(bear(&vfs_os, dir.path, "r", 1, &born, &err), ERR_OK);
	run.fd = rundir_fd(born.dir);
	assert_int_equal(rundir_result(born.dir, STR("s"), 0, &limits, &text, &found, &err),
			 ERR_OK);
	assert_false(found);
	assert_int_equal(mkdirat(run.fd, "out", 0700), 0);
	temp_dir_write(&run, "out/s.0.json", "{\"a\":1}", 7);
	assert_int_equal(rundir_result(born.dir, STR("s"), 0, &limits, &text, &found, &err),
			 ERR_OK);
	assert_true(found);
	assert_string_equal(text.ptr, "{\"a\":1}");
	tight.result_bytes = 6;
	assert_int_equal(rundir_result(born.dir, STR("s"), 0, &tight, &text, &found, &err),
			 ERR_LIMIT);
	assert_int_equal(symlinkat("s.0.json", run.fd, "out/s.1.json"), 0);
	assert_int_equal(mkfifoat(run.fd, "out/s.2.json", 0600), 0);
	for (uint32_t attempt = 1; attempt <= 2; attempt++)
		assert_int_equal(
		    rundir_result(born.dir, STR("s"), attempt, &limits, &text, &found, &err),
		    ERR_INVALID);
	assert_int_equal(rundir_result(born.dir, STR("../x"), 0, &limits, &text, &found, &err),
			 ERR_USAGE);
	buf_fini(&text);
	born_drop(&born);
	temp_dir_remove(&dir);
}

static void files_anywhere_are_hashed_through_links(void **unused)
{
	struct file_digest digest;
	struct err err = ERR_INIT;
	struct temp_dir dir;
	char path[512];

	(void)unused;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "f", "abc", 3);
	assert_int_equal(symlinkat("f", dir.fd, "link"), 0);
	(void)snprintf(path, sizeof(path), "%s/link", dir.path);
	assert_int_equal(rundir_digest(path, true, &digest, &err), ERR_OK);
	assert_int_equal(digest.bytes, 3);
	/* FIPS 180-4, example of "abc" */
	assert_string_equal(digest.sha256,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(rundir_digest(dir.path, false, &digest, &err), ERR_INVALID);
	(void)snprintf(path, sizeof(path), "%s/none", dir.path);
	assert_int_equal(rundir_digest(path, false, &digest, &err), ERR_NOT_FOUND);
	temp_dir_remove(&dir);
}

static void quarantine_takes_the_file_away(void **unused)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct temp_dir run;
	struct buf text = BUF_INIT;
	struct born born;
	char path[512];

	(void)unused;
	temp_dir_make(&dir);
	assert_int_equal(bear(&vfs_os, dir.path, "r", 1, &born, &err), ERR_OK);
	run.fd = rundir_fd(born.dir);
	(void)snprintf(path, sizeof(path), "%s/made.csv", dir.path);
	for (int copy = 0; copy < 2; copy++) { /* two of one name: both are kept */
		temp_dir_write(&dir, "made.csv", copy ? "two" : "one", 3);
		assert_int_equal(rundir_quarantine(born.dir, path, STR("load"), 2, &err), ERR_OK);
		assert_false(temp_dir_has(&dir, "made.csv"));
	}
	temp_dir_read(&run, "quarantine/load.2/made.csv", &text);
	temp_dir_read(&run, "quarantine/load.2/made.csv.1", &text);
	assert_string_equal(text.ptr, "onetwo");
	/* a link: what it leads to is kept, the link goes, its target stays */
	temp_dir_write(&dir, "target", "three", 5);
	assert_int_equal(symlinkat("target", dir.fd, "made.csv"), 0);
	assert_int_equal(rundir_quarantine(born.dir, path, STR("load"), 3, &err), ERR_OK);
	assert_false(temp_dir_has(&dir, "made.csv"));
	assert_true(temp_dir_has(&dir, "target"));
	buf_clear(&text);
	temp_dir_read(&run, "quarantine/load.3/made.csv", &text);
	assert_string_equal(text.ptr, "three");
	assert_int_equal(rundir_quarantine(born.dir, path, STR("load"), 4, &err), ERR_NOT_FOUND);
	/* from another file system it is copied */
	if (access("/tmp", W_OK) == 0 && access("/dev/shm", W_OK) == 0) {
		(void)snprintf(path, sizeof(path), "%s/sluice-other-%d",
			       str_starts(str_of(dir.path), "/dev/shm") ? "/tmp" : "/dev/shm",
			       (int)getpid());
		{
			FILE *other = fopen(path, "we");

			assert_non_null(other);
			assert_int_equal(fputs("far", other) >= 0, 1);
			assert_int_equal(fclose(other), 0);
		}
		assert_int_equal(rundir_quarantine(born.dir, path, STR("load"), 5, &err), ERR_OK);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	buf_fini(&text);
	born_drop(&born);
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_run_is_born_with_four_files),
	    cmocka_unit_test(an_id_that_is_taken_or_no_id_is_refused),
	    cmocka_unit_test(a_birth_that_fails_leaves_nothing),
	    cmocka_unit_test(a_directory_without_run_created_is_no_run),
	    cmocka_unit_test(runs_are_found_by_what_a_person_writes),
	    cmocka_unit_test(ids_sort_by_time_and_differ),
	    cmocka_unit_test(the_home_follows_the_environment),
	    cmocka_unit_test(the_frozen_definition_is_checked_against_its_hash),
	    cmocka_unit_test(blobs_are_kept_by_content),
	    cmocka_unit_test(a_result_is_a_plain_file_within_its_limit),
	    cmocka_unit_test(files_anywhere_are_hashed_through_links),
	    cmocka_unit_test(quarantine_takes_the_file_away),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
