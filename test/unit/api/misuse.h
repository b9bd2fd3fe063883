/* misuse.h - wrong use of every public function is an error and never a crash (S13: usage, nothing
 * was written); under sanitizers too. What the tables of misuse_*_test.c share. test/structure
 * checks that no function is missing from them. */
#ifndef TEST_API_MISUSE_H
#define TEST_API_MISUSE_H

#include "base/mem.h"
#include "sluice/sluice.h"
#include "support/temp_dir.h"
#include "support/unit.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct temp_dir folder;
static struct sluice *sluice;            /* a good handle */
static struct sluice_pipeline *pipeline; /* a good pipeline, read from a text */
static struct sluice_run *run;           /* a run that has ended, and its id */
static char *text;                       /* what no function may set when it fails */
static char *long_text;                  /* 1 MiB of 'x' */
static const char *endless[70001];       /* a list whose end is far */

#define RUN_ID "fine"

/* The call fails with the code, says why, and does the same for a caller that wants no error. */
#define FAILS(want, ...) \
	do { \
		struct sluice_error room_; \
		struct sluice_error *err = &room_; \
		memset(&room_, 0, sizeof(room_)); \
		if ((int)(__VA_ARGS__) != (int)(want)) \
			fail_msg("%s: %s, not %s (%s)", #__VA_ARGS__, \
				 sluice_code_name(room_.code), sluice_code_name(want), \
				 room_.text); \
		assert_int_equal(room_.code, (want)); \
		assert_true(room_.text[0] != '\0'); \
		err = NULL; \
		assert_int_equal((__VA_ARGS__), (want)); \
		assert_null(text); \
	} while (0)
#define USAGE(...) FAILS(SLUICE_USAGE, __VA_ARGS__)
/* The call fails, whatever it says. */
#define REFUSED(...) \
	do { \
		struct sluice_error room_; \
		struct sluice_error *err = &room_; \
		memset(&room_, 0, sizeof(room_)); \
		if ((__VA_ARGS__) == SLUICE_OK) \
			fail_msg("%s: it was accepted", #__VA_ARGS__); \
		assert_true(room_.text[0] != '\0'); \
		err = NULL; \
		assert_int_not_equal((__VA_ARGS__), SLUICE_OK); \
		if (text) \
			fail_msg("%s: it answered %s", #__VA_ARGS__, text); \
	} while (0)

/* Names that no run has. */
static const char *const names[] = {
    "",     "..",     "/",          "../../etc",   "no such run", "\xFF\xFE",
    "a\nb", "@never", "@latest\n",  "/etc/passwd", "/dev/null",   "\x1b[2J",
    "%s%n", "fine/",  "./fine\x01", "fine\xC0\x80"};

#define FOR_NAMES(name) \
	for (size_t i_ = 0; i_ <= ARRAY_LEN(names); i_++) \
		for (const char *name = i_ < ARRAY_LEN(names) ? names[i_] : long_text; name; \
		     name = NULL)

/* A function, and its wrong uses. */
struct misuse {
	const char *function;
	void (*use)(void);
};
#define ROW(function) \
	{ \
#function, use_##function \
	}

static inline void misuse_all(const struct misuse *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		print_message("%s\n", rows[i].function);
		rows[i].use();
	}
}

static void s13_wrong_use_writes_nothing(void **state)
{
	struct sluice_error err;
	char *list = NULL;

	(void)state;
	assert_int_equal(
	    sluice_list(sluice, &(struct sluice_list_opts){.format = SLUICE_JSONL}, &list, &err),
	    SLUICE_OK);
	assert_non_null(strstr(list, "\"" RUN_ID "\""));
	assert_ptr_equal(strchr(list, '\n'), list + strlen(list) - 1); /* the one run, still */
	sluice_free(list);
}

static int make(void **state)
{
	static const char yaml[] = "pipeline: p\nsteps: {a: {noop: true}}\n";
	struct sluice_state_opts options = {.state_dir = folder.path};
	struct sluice_error err;

	(void)state;
	temp_dir_make(&folder);
	long_text = malloc((size_t)1 << 20);
	memset(long_text, 'x', ((size_t)1 << 20) - 1);
	long_text[((size_t)1 << 20) - 1] = '\0';
	for (size_t i = 0; i + 1 < ARRAY_LEN(endless); i++)
		endless[i] = "x";
	if (sluice_open(&options, &sluice, &err) != SLUICE_OK ||
	    sluice_pipeline_read(sluice, yaml, sizeof(yaml) - 1, NULL, &pipeline, NULL, &err) !=
		SLUICE_OK ||
	    sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.run_id = RUN_ID}, &run,
			     &err) != SLUICE_OK)
		return -1;
	return sluice_run_wait(run, &err) == SLUICE_RUN_SUCCEEDED ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
	sluice_close(sluice);
	free(long_text);
	temp_dir_remove(&folder);
	return 0;
}

#endif
