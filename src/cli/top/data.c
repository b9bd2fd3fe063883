/* data.c - see data.h */
#include "cli/top/data.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "cli/member.h"
#include "sys/vfs.h"

#include <string.h>

#define ACTIVE_BYTES_MAX 200

/* What a run's status said when its log had this size. */
struct seen {
	char *id;
	uint64_t log_bytes;
	uint32_t steps, done, failed, running, waiting;
	char active[ACTIVE_BYTES_MAX];
	bool is_used; /* by the last reading */
};

static enum sluice_code short_of_memory(struct sluice_error *err)
{
	*err = (struct sluice_error){.code = SLUICE_MEMORY, .text = "memory is short"};
	return err->code;
}

/* ----------------------------------------------------------------------- steps of a run */

static uint64_t log_bytes(const struct sluice *sluice, struct str id)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct vfs_stat stat = {.size_bytes = 0};
	struct err ignored = ERR_INIT; /* read anew then */
	int home, fd;

	buf_fmt(&path, "runs/%.*s/events.jsonl", STR_ARG(id));
	if (buf_check(&path, "path", &ignored) != ERR_OK ||
	    vfs_root(&vfs_os, sluice_state_dir(sluice), false, &home, &ignored) != ERR_OK)
		return 0;
	if (vfs_open(&vfs_os, home, path.ptr, VFS_READ, &fd, &ignored) == ERR_OK) {
		if (vfs_stat(&vfs_os, fd, &stat, &ignored) != ERR_OK)
			stat.size_bytes = 0;
		vfs_close(&vfs_os, fd);
	}
	vfs_close(&vfs_os, home);
	return stat.size_bytes;
}

static void add_active(struct seen *seen, struct str id)
{
	size_t at = strlen(seen->active);
	size_t room = sizeof(seen->active) - at;

	if (id.len + sizeof(" ") > room)
		return;
	memcpy(seen->active + at, at ? " " : "", at ? 1 : 0);
	at += at ? 1 : 0;
	memcpy(seen->active + at, id.ptr, id.len);
	seen->active[at + id.len] = '\0';
}

static void count_steps(struct seen *seen, struct str status)
{
	struct str list = json_get(status, "steps");
	struct str step, id;
	size_t at = 0;

	while (list.ptr && json_item(list, &at, &step)) {
		struct str state;

		if (!json_plain(json_get(step, "state"), &state) ||
		    !json_plain(json_get(step, "step_id"), &id))
			continue;
		seen->steps++;
		seen->done += str_is(state, "succeeded") || str_is(state, "skipped") ||
			      str_is(state, "compensated");
		seen->failed += str_is(state, "failed");
		seen->running += str_is(state, "running");
		seen->waiting += str_is(state, "waiting");
		if (str_is(state, "running") || str_is(state, "waiting"))
			add_active(seen, id);
	}
}

static struct seen *find_seen(struct top_runs *runs, struct str id)
{
	struct err ignored = ERR_INIT;
	void *list = runs->seen;
	struct seen fresh = {.log_bytes = UINT64_MAX};

	for (size_t i = 0; i < runs->seen_count; i++) {
		if (str_is(id, runs->seen[i].id))
			return &runs->seen[i];
	}
	fresh.id = mem_text(id.ptr, id.len);
	if (!fresh.id || mem_grow(&list, &runs->seen_capacity, runs->seen_count + 1,
				  sizeof(*runs->seen), &ignored) != ERR_OK) {
		mem_free(fresh.id);
		return NULL;
	}
	runs->seen = list;
	runs->seen[runs->seen_count] = fresh;
	return &runs->seen[runs->seen_count++];
}

static void look_at_steps(struct top_runs *runs, struct sluice *sluice, struct top_run *run)
{
	struct seen *seen = find_seen(runs, run->id);
	uint64_t bytes = log_bytes(sluice, run->id);
	struct sluice_error ignored; /* the run is listed all the same */
	char *status = NULL;

	if (!seen)
		return;
	seen->is_used = true;
	if (seen->log_bytes != bytes) {
		*seen = (struct seen){.id = seen->id, .log_bytes = bytes, .is_used = true};
		if (sluice_status(sluice, seen->id, SLUICE_JSON, &status, &ignored) == SLUICE_OK ||
		    status)
			count_steps(seen, str_of(status));
		sluice_free(status);
	}
	run->steps = seen->steps;
	run->done = seen->done;
	run->failed = seen->failed;
	run->running = seen->running;
	run->waiting = seen->waiting;
	run->active = arena_str(&runs->arena, str_of(seen->active));
}

/* ----------------------------------------------------------------------------------- runs */

static void forget_unused(struct top_runs *runs)
{
	size_t kept = 0;

	for (size_t i = 0; i < runs->seen_count; i++) {
		if (!runs->seen[i].is_used) {
			mem_free(runs->seen[i].id);
			continue;
		}
		runs->seen[kept] = runs->seen[i];
		runs->seen[kept++].is_used = false;
	}
	runs->seen_count = kept;
}

static void run_read(struct top_runs *runs, struct sluice *sluice, struct str object,
		     struct top_run *run)
{
	struct str result = member_text(&runs->arena, object, "result");
	struct str metadata = json_get(object, "metadata");

	run->id = member_text(&runs->arena, object, "run_id");
	run->pipeline = member_text(&runs->arena, metadata, "pipeline");
	run->state = member_text(&runs->arena, object, "state");
	run->reason = member_text(&runs->arena, object, "failure_reason");
	run->started_ms = member_stamp(object, "started_at");
	run->duration_ms = member_number(object, "duration_ms", -1);
	run->is_active = result.len == 0;
	if (metadata.ptr && !run->is_active)
		run->state = member_text(&runs->arena, metadata, "outcome");
	if (run->is_active)
		look_at_steps(runs, sluice, run);
}

/* Active ones first; else as the list has them. */
static void order(struct top_runs *runs)
{
	size_t to = 0;

	for (size_t i = 0; i < runs->count; i++) {
		struct top_run run = runs->items[i];

		if (!run.is_active)
			continue;
		memmove(&runs->items[to + 1], &runs->items[to], (i - to) * sizeof(run));
		runs->items[to++] = run;
		runs->active++;
		runs->blocked += str_is(run.state, "blocked");
	}
}

static bool is_there(const struct top_runs *runs, struct str id)
{
	for (size_t i = 0; i < runs->count; i++) {
		if (str_eq(runs->items[i].id, id))
			return true;
	}
	return false;
}

/* Add the runs with a result that are not there yet; NULL = whatever it is. */
static enum sluice_code add_runs(struct top_runs *runs, struct sluice *sluice, const char *result,
				 size_t limit, struct sluice_error *err)
{
	const struct sluice_list_opts options = {
	    .result = result, .limit = limit, .format = SLUICE_JSON};
	char *text = NULL;
	struct str list, object, id;
	size_t at = 0;

	if (sluice_list(sluice, &options, &text, err) != SLUICE_OK) {
		sluice_free(text);
		return err->code;
	}
	list = json_get(str_of(text), "runs");
	while (list.ptr && runs->count < limit && json_item(list, &at, &object)) {
		if (json_plain(json_get(object, "run_id"), &id) && !is_there(runs, id))
			run_read(runs, sluice, object, &runs->items[runs->count++]);
	}
	sluice_free(text);
	return SLUICE_OK;
}

enum sluice_code top_runs_read(struct top_runs *runs, struct sluice *sluice, size_t limit,
			       struct sluice_error *err)
{
	static const char *const results[] = {"active", "blocked", NULL};

	arena_clear(&runs->arena);
	runs->count = runs->active = runs->blocked = 0;
	runs->items = arena_new(&runs->arena, limit, sizeof(*runs->items));
	if (!runs->items)
		return short_of_memory(err);
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		if (add_runs(runs, sluice, results[i], limit, err) != SLUICE_OK)
			return err->code;
	}
	order(runs);
	forget_unused(runs);
	return SLUICE_OK;
}

void top_runs_fini(struct top_runs *runs)
{
	for (size_t i = 0; i < runs->seen_count; i++)
		mem_free(runs->seen[i].id);
	mem_free(runs->seen);
	arena_fini(&runs->arena);
}

/* -------------------------------------------------------------------------------- one run */

static void step_read(struct top_detail *detail, struct str object, uint32_t position)
{
	struct arena *arena = &detail->arena;
	struct top_step *step = &detail->steps[position];

	step->state = member_text(arena, object, "state");
	step->reason = member_text(arena, object, "reason");
	step->error_class = member_text(arena, object, "error_class");
	step->started_ms = member_stamp(object, "started_at");
	step->duration_ms = member_number(object, "duration_ms", -1);
	step->attempt = (uint32_t)member_number(object, "attempt", 0);
}

static bool detail_read(struct top_detail *detail, struct str status, bool is_utf8)
{
	struct str list = json_get(status, "steps");
	struct err ignored = ERR_INIT;
	struct str object;
	struct map index;
	bool is_read;
	size_t at = 0;

	map_init(&index, 0);
	is_read = list.ptr && live_tree_read(&detail->tree, &detail->arena, &index, list) &&
		  live_tree_build(&detail->tree, &detail->arena, is_utf8, &ignored) == ERR_OK;
	map_fini(&index);
	if (!is_read)
		return false;
	detail->steps =
	    arena_new(&detail->arena, (size_t)detail->tree.count + 1, sizeof(*detail->steps));
	if (!detail->steps)
		return false;
	while (json_item(list, &at, &object))
		step_read(detail, object, (uint32_t)member_number(object, "position", 0));
	detail->pipeline = member_text(&detail->arena, status, "pipeline");
	detail->state = member_text(&detail->arena, status, "state");
	detail->reason = member_text(&detail->arena, status, "reason");
	detail->created_ms = member_stamp(status, "created_at");
	return true;
}

enum sluice_code top_detail_read(struct top_detail *detail, struct sluice *sluice, const char *run,
				 bool is_utf8, struct sluice_error *err)
{
	char *status = NULL;
	bool is_read;

	if (sluice_status(sluice, run, SLUICE_JSON, &status, err) != SLUICE_OK && !status)
		return err->code;
	arena_clear(&detail->arena);
	is_read = detail_read(detail, str_of(status), is_utf8);
	sluice_free(status);
	if (is_read)
		return SLUICE_OK;
	detail->tree.count = 0;
	return short_of_memory(err);
}

void top_detail_fini(struct top_detail *detail)
{
	arena_fini(&detail->arena);
}
