/* run_files.c - any bytes as a file of a run or of its state directory, and all that the library
 * can be asked about it; then the calls that write.
 *
 * An input: which file, which calls, the bytes. The files that are not meant are those of a run
 * that went through retries, gates, an override and a rollback (base_log.jsonl,
 * base_pipeline.yaml).
 *
 * Judged: readers write nothing and leave nothing open; what should be JSON is JSON to jansson; the
 * receipt is that of a chain that is computed here; writers leave the good part of the log as it
 * was, and what they appended is good. */
#include "../unit/api/memory_storage.h"
#include "base/hash.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "lang/lang.h"
#include "mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HOME "/state"
#define RUN  HOME "/runs/run_1"
#define LOG  RUN "/events.jsonl"

static const char *const places[] = {
    [0] = LOG, /* with its chain set right */
    [1] = LOG,
    [2] = RUN "/pipeline.json",
    [3] = RUN "/checkpoint.json",
    [4] = RUN "/audit.jsonl",
    [5] = RUN "/attempts.log",
    [6] = RUN "/run.lock",
    [7] = HOME "/runs.jsonl",
    [8] = HOME "/cache.jsonl",
    [9] = RUN "/pipeline.yaml",
};

/* What every input begins with. */
static struct {
	struct buf source;
	struct buf frozen;
	struct buf log; /* chain set right */
	char h[MEND_H_BYTES + 1];
	char hash[SHA256_HEX_BYTES + 1];
} base;

static void file_read(const char *name, struct buf *out)
{
	char path[512];
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/%s", FUZZ_FOLDER, name);
	file = fopen(path, "rb");
	BUG_IF(!file);
	while ((len = fread(buf_room(out, 4096), 1, 4096, file)) > 0)
		buf_added(out, len);
	(void)fclose(file); /* only read from */
}

/* The lines, with the hash of the definition wherever `"definition_hash":"@"` stands. */
static void log_make(struct str lines, struct buf *out, char h[MEND_H_BYTES + 1])
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	static const char mark[] = "\"definition_hash\":\"";
	size_t at = 0;

	for (;;) {
		size_t next = str_find(lines, "\"definition_hash\":\"@\"", at);

		buf_str(&text, str_cut(lines, at, next));
		if (next >= lines.len)
			break;
		buf_fmt(&text, "%s%s\"", mark, base.hash);
		at = next + sizeof(mark) + 1;
	}
	mend(buf_view(&text), STR("run_1"), out, h);
}

static void base_make(void)
{
	AUTO(buf_fini) struct buf lines = BUF_INIT;
	AUTO(diags_fini) struct diags diags;
	AUTO(model_drop) struct model *model = NULL;
	uint8_t digest[SHA256_BYTES];
	struct err err = ERR_INIT;
	struct limits limits;

	limits_default(&limits);
	diags_init(&diags, 10);
	file_read("base_pipeline.yaml", &base.source);
	file_read("base_log.jsonl", &lines);
	BUG_IF(lang_load(buf_view(&base.source), STR("/srv"), &limits, &diags, &model, &err) !=
	       ERR_OK);
	BUG_IF(lang_freeze(model, &base.frozen, &err) != ERR_OK);
	sha256_of(base.frozen.ptr, base.frozen.len, digest);
	sha256_hex(digest, base.hash);
	log_make(buf_view(&lines), &base.log, base.h);
	BUG_IF(clearenv() != 0 || setenv("USER", "anna", 1) != 0);
}

struct world {
	struct memory_storage *storage;
	struct sluice *sluice;
	struct sluice_error err;
	struct buf before; /* the log at first */
	struct buf sunk;
};

static struct str log_of(const struct world *world)
{
	struct str text;

	text.ptr = memory_storage_bytes(world->storage, LOG, &text.len);
	return text;
}

/* The answer of a reader, and that it left everything as it was. */
static void check(struct world *world, enum sluice_code code, char *text, bool is_json)
{
	BUG_IF(code == SLUICE_OK && !text);
	BUG_IF(code != SLUICE_OK && !world->err.text[0]);
	BUG_IF(code == SLUICE_MEMORY || code == SLUICE_CONFLICT);
	BUG_IF(text && is_json && !jansson_takes(text, strlen(text)));
	BUG_IF(memory_storage_open_files(world->storage) != 0);
	BUG_IF(!str_eq(log_of(world), buf_view(&world->before)));
	sluice_free(text);
}

static bool sink(void *arg, const char *bytes, size_t len)
{
	struct world *world = arg;

	buf_put(&world->sunk, bytes, len);
	return true;
}

/* The same for what went into the sink. */
static void check_sunk(struct world *world, enum sluice_code code, bool is_json)
{
	char *text = mem_text(world->sunk.ptr, world->sunk.len);

	if (world->sunk.len == 0)
		is_json = false;
	buf_clear(&world->sunk);
	check(world, code, text, is_json);
}

static void ask_state(struct world *world)
{
	static const enum sluice_format formats[] = {SLUICE_TEXT, SLUICE_JSON};
	struct sluice *sluice = world->sluice;
	struct sluice_error *err = &world->err;
	char *text;

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		enum sluice_format format = formats[i];

		text = NULL;
		check(world, sluice_status(sluice, "run_1", format, &text, err), text, i);
		text = NULL;
		check(world, sluice_status_at(sluice, "run_1", "9", format, &text, err), text, i);
		text = NULL;
		check(world, sluice_summary(sluice, "run_1", format, &text, err), text, i);
	}
	text = NULL;
	check(world, sluice_compare(sluice, "run_1", "run_1", SLUICE_JSON, &text, err), text, true);
	text = NULL;
	check(world, sluice_compare(sluice, "run_1", "run_1", SLUICE_TEXT, &text, err), text,
	      false);
}

static void ask_explain(struct world *world)
{
	static const char *const steps[] = {NULL, "extract", "left", "ask", "gate", "last"};
	char *text;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		text = NULL;
		check(world,
		      sluice_explain(world->sluice, "run_1", steps[i], SLUICE_TEXT, &text,
				     &world->err),
		      text, false);
		text = NULL;
		check(world,
		      sluice_explain(world->sluice, "run_1", steps[i], SLUICE_JSON, &text,
				     &world->err),
		      text, true);
	}
}

static void ask_export(struct world *world)
{
	struct sluice_events_opts stored = {.raw = true};
	struct sluice_logs_opts logs = {.attempt = -1};

	for (int format = SLUICE_EXPORT_JSON; format <= SLUICE_EXPORT_OTLP; format++)
		check_sunk(world,
			   sluice_export(world->sluice, "run_1", (enum sluice_export_format)format,
					 sink, world, &world->err),
			   format != SLUICE_EXPORT_CSV);
	check_sunk(world, sluice_events(world->sluice, "run_1", NULL, sink, world, &world->err),
		   false);
	check_sunk(world, sluice_events(world->sluice, "run_1", &stored, sink, world, &world->err),
		   false);
	check_sunk(world, sluice_logs(world->sluice, "run_1", &logs, sink, world, &world->err),
		   false);
}

static void ask_lists(struct world *world)
{
	struct sluice_list_opts list = {.removed = true};
	struct sluice_stats_opts stats = {.format = SLUICE_TEXT};
	struct sluice_step_times times = {.count = 0};
	struct sluice_gc_opts gc = {.keep = 1, .dry_run = true, .format = SLUICE_JSON};
	char *text;

	for (int format = SLUICE_TEXT; format <= SLUICE_CSV; format++) {
		bool is_json = format == SLUICE_JSON;

		text = NULL;
		list.format = (enum sluice_format)format;
		check(world, sluice_list(world->sluice, &list, &text, &world->err), text, is_json);
		if (format == SLUICE_JSONL)
			continue;
		text = NULL;
		stats.format = (enum sluice_format)format;
		check(world, sluice_stats(world->sluice, &stats, &text, &world->err), text,
		      is_json);
	}
	text = NULL;
	stats = (struct sluice_stats_opts){.prometheus = true};
	check(world, sluice_stats(world->sluice, &stats, &text, &world->err), text, false);
	text = NULL;
	check(world, sluice_gc(world->sluice, &gc, &text, &world->err), text, true);
	if (sluice_step_history(world->sluice, "run", &times, &world->err) == SLUICE_OK)
		sluice_step_history_free(&times);
}

static void ask_graph(struct world *world)
{
	char *text;

	for (int format = SLUICE_GRAPH_ASCII; format <= SLUICE_GRAPH_JSON; format++) {
		struct sluice_graph_opts options = {.format = (enum sluice_graph_format)format};

		text = NULL;
		check(world, sluice_run_graph(world->sluice, "run_1", &options, &text, &world->err),
		      text, format == SLUICE_GRAPH_JSON);
	}
	text = NULL;
	check(world, sluice_resume_check(world->sluice, "run_1", NULL, &text, &world->err), text,
	      false);
}

static void ask_verify(struct world *world, const char *h)
{
	char *text = NULL;
	enum sluice_code code = sluice_verify(world->sluice, "run_1", NULL, &text, &world->err);

	/* A whole log ends with the chain that was computed here. */
	BUG_IF(code == SLUICE_OK && h && !strstr(text, "torn") && !strstr(text, h));
	check(world, code, text, false);
	check_sunk(world, sluice_verify_all(world->sluice, sink, world, &world->err), false);
}

/* The good part of the log is a beginning of what is there now, which is good. */
static void wrote(struct world *world, enum sluice_code code)
{
	struct str after = log_of(world);
	char *text = NULL;

	BUG_IF(memory_storage_open_files(world->storage) != 0);
	if (code != SLUICE_OK) {
		BUG_IF(!world->err.text[0]);
		return;
	}
	/* A torn end may have been moved aside. */
	for (size_t len = world->before.len; len > 0; len--) {
		if (world->before.ptr[len - 1] != '\n')
			continue;
		BUG_IF(!str_eq(str_cut(after, 0, len), str_cut(buf_view(&world->before), 0, len)));
		break;
	}
	BUG_IF(sluice_verify(world->sluice, "run_1", NULL, &text, &world->err) != SLUICE_OK);
	sluice_free(text);
}

static void act(struct world *world, uint8_t which)
{
	static const char *const overrides[] = {"gate", NULL};
	struct sluice_act_opts options = {.as = "anna", .reason = "why"};
	struct sluice_resume_opts resume = {
	    .overrides = overrides, .reason = "why", .as = "anna", .again = true};
	struct sluice_gc_opts gc = {.keep = 1};
	struct sluice *sluice = world->sluice;
	struct sluice_run *run = NULL;
	char *text = NULL;
	int status = 0;

	switch (which % 7) {
	case 0:
		wrote(world, sluice_approve(sluice, "run_1", "ask", &options, &world->err));
		break;
	case 1:
		wrote(world, sluice_reject(sluice, "run_1", "ask", &options, &world->err));
		break;
	case 2:
		wrote(world, sluice_stop(sluice, "run_1", &options, &world->err));
		break;
	case 3: /* commands cannot run here: it is refused, or there is nothing to run */
	case 4:
		(void)!sluice_run_resume(sluice, "run_1", which % 7 == 3 ? &resume : NULL, &run,
					 &status, &world->err);
		sluice_run_free(run);
		break;
	case 5:
		(void)!sluice_reindex_all(sluice, SLUICE_JSON, &text, &world->err);
		BUG_IF(text && !jansson_takes(text, strlen(text)));
		BUG_IF(!str_eq(log_of(world), buf_view(&world->before)));
		break;
	default:
		(void)!sluice_gc(sluice, &gc, &text, &world->err);
		break;
	}
	BUG_IF(memory_storage_open_files(world->storage) != 0);
	sluice_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_fini) struct buf mended = BUF_INIT;
	struct bytes bytes = {data, size};
	uint8_t place = byte_next(&bytes) % ARRAY_LEN(places);
	uint8_t calls = byte_next(&bytes);
	struct str text = text_next(&bytes, bytes.left);
	struct world world = {.storage = memory_storage_new()};
	struct sluice_storage_def def = memory_storage_def(world.storage);
	struct sluice_state_opts options = {.state_dir = HOME, .storage = &def};
	char h[MEND_H_BYTES + 1] = "";

	if (base.log.len == 0)
		base_make();
	memory_storage_put(world.storage, LOG, base.log.ptr, base.log.len);
	memory_storage_put(world.storage, RUN "/pipeline.json", base.frozen.ptr, base.frozen.len);
	memory_storage_put(world.storage, RUN "/pipeline.yaml", base.source.ptr, base.source.len);
	if (place == 0) {
		log_make(text, &mended, h);
		text = buf_view(&mended);
	}
	memory_storage_put(world.storage, places[place], text.ptr, text.len);
	buf_str(&world.before, log_of(&world));
	BUG_IF(sluice_open(&options, &world.sluice, &world.err) != SLUICE_OK);
	switch (calls % 7) {
	case 0:
		ask_state(&world);
		break;
	case 1:
		ask_explain(&world);
		break;
	case 2:
		ask_export(&world);
		break;
	case 3:
		ask_lists(&world);
		break;
	case 4:
		ask_graph(&world);
		break;
	case 5:
		ask_verify(&world, place == 1 ? NULL : place == 0 ? h : base.h);
		break;
	default:
		act(&world, calls / 7);
		break;
	}
	sluice_close(world.sluice);
	buf_fini(&world.before);
	buf_fini(&world.sunk);
	memory_storage_free(world.storage);
	return 0;
}
