/* history.c - see history.h */
#include "api/history.h"

#include "base/mem.h"
#include "report/run_report.h"

#include <stdio.h>
#include <string.h>

/* Threads may share a handle: each has the note of its own last question. */
static _Thread_local struct {
	uint64_t of; /* the number of the handle; 0 = none */
	char text[400];
} note;

void history_note_clear(const struct sluice *sluice)
{
	note.of = sluice->number;
	note.text[0] = '\0';
}

void history_note_torn(const struct sluice *sluice, struct str run_id,
		       const struct log_reading *reading, bool is_held)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	size_t used = strlen(note.text);

	if (note.of != sluice->number || reading->end != LOG_END_TORN || is_held)
		return;
	reading_note(reading, &text);
	(void)snprintf(note.text + used, sizeof(note.text) - used, "%s%.*s: %.*s",
		       used > 0 ? "; " : "", STR_ARG(run_id), STR_ARG(buf_view(&text)));
}

/* What the logs can answer as well, only slower. */
static bool is_avoidable(enum err_code code)
{
	switch ((int)code) {
	case ERR_UNSUPPORTED:
	case ERR_LOCKED:
	case ERR_CORRUPT:
	case ERR_FULL:
	case ERR_IO:
		return true;
	default:
		return false;
	}
}

static enum err_code ask_index(struct sluice *sluice, enum index_scope scope, history_fn *ask,
			       void *arg, struct err *err)
{
	AUTO(run_index_drop) struct run_index *index = NULL;

	if (run_index_open(sluice->home, &sluice->limits, sluice->clock, false, &index, err) !=
		ERR_OK ||
	    run_index_update(index, scope, err) != ERR_OK)
		return err->code;
	return ask(arg, index, err);
}

enum err_code history_ask(struct sluice *sluice, enum index_scope scope, history_fn *ask, void *arg,
			  struct err *err)
{
	struct err problem = ERR_INIT;
	struct err again = ERR_INIT;
	enum err_code code;

	if (sluice->vfs != &vfs_os)
		return ask(arg, NULL, err); /* runs that are no files of this machine */
	code = ask_index(sluice, scope, ask, arg, &problem);
	if (code == ERR_CORRUPT && run_index_discard(sluice->home, &again) == ERR_OK) {
		err_reset(&problem);
		code = ask_index(sluice, scope, ask, arg, &problem);
	}
	if (code == ERR_OK)
		return ERR_OK;
	if (code == ERR_NOT_FOUND)
		return ask(arg, NULL, err); /* there is no state directory yet */
	if (!is_avoidable(code)) {
		*err = problem;
		return code;
	}
	(void)snprintf(note.text, sizeof(note.text),
		       "%.200s; every log was read, which is slower%s%.60s", problem.text,
		       problem.hint[0] ? ": " : "", problem.hint);
	return ask(arg, NULL, err);
}

enum err_code history_read(const struct sluice *sluice, run_event_fn *on_event,
			   history_run_fn *visit, void *arg, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str *ids;
	size_t count;

	if (rundir_list(sluice->vfs, sluice->home, &arena, &ids, &count, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		AUTO(run_facts_fini) struct run_facts facts = {.steps = NULL};
		AUTO(buf_fini) struct buf path = BUF_INIT;
		struct err problem = ERR_INIT;

		buf_fmt(&path, "%s/runs/%.*s", sluice->home, STR_ARG(ids[i]));
		if (buf_check(&path, "path", err) != ERR_OK)
			return err->code;
		if (run_facts_read(sluice->vfs, path.ptr, &sluice->limits, on_event, arg, &facts,
				   &problem) != ERR_OK) {
			if (problem.code == ERR_NOT_FOUND)
				continue; /* never born, or gone by now */
			*err = problem;
			return err->code;
		}
		if (visit(arg, &facts, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

bool history_has_dir(const struct sluice *sluice, struct str run_id)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err ignored = ERR_INIT; /* what cannot be looked at is not there to be shown */
	int home = -1;
	int dir = -1;
	bool is_found = false;

	buf_fmt(&path, "runs/%.*s", STR_ARG(run_id));
	if (path.failed == ERR_OK &&
	    vfs_root(sluice->vfs, sluice->home, false, &home, &ignored) == ERR_OK)
		is_found = vfs_open(sluice->vfs, home, path.ptr, VFS_DIR, &dir, &ignored) == ERR_OK;
	vfs_close(sluice->vfs, dir);
	vfs_close(sluice->vfs, home);
	return is_found;
}

const char *sluice_note(const struct sluice *sluice)
{
	return sluice && note.of == sluice->number ? note.text : "";
}
