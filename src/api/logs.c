/* logs.c - what the commands of a run wrote: once, or as it comes */
#include "api/api.h"

#include "report/attempt_log.h"
#include "sys/watch.h"

#define PIECE_BYTES ((size_t)65536)

/* How far an output was shown. */
struct shown {
	bool is_begun;
	uint32_t attempt;
	uint64_t offsets[ATTEMPT_LOGS];
};

struct reader {
	const struct sluice *sluice;
	const struct rundir *dir;
	struct attempt_choice choice;
	sluice_sink_fn *sink;
	void *arg;
	/* By stream: the number of a step is its own output, that behind all steps its
	 * compensation's. */
	struct shown *shown;
	struct fold_run seen; /* by the last look: whose steps `shown` has; model NULL = none was */
	struct attempt_undo *undos; /* by step; made again by each look */
	const struct model *noted;  /* that `undos` is of; only compared */
	uint32_t last;              /* the stream that was shown last; STEP_NONE at the start */
	bool is_over;               /* the sink wants no more */
	bool has_chosen;            /* some attempt was meant */
	struct buf bytes;
	uint64_t tail_bytes; /* 0 = from the beginning */
};

static void reader_fini(struct reader *reader)
{
	mem_free(reader->shown);
	mem_free(reader->undos);
	fold_fini(&reader->seen);
	buf_fini(&reader->bytes);
}

static void give(struct reader *reader, const char *bytes, size_t len)
{
	if (!reader->is_over && len > 0 && !reader->sink(reader->arg, bytes, len))
		reader->is_over = true;
}

/* Whose output follows: with one step asked for that is known, but for its compensation. */
static enum err_code give_heading(struct reader *reader, const struct run_state *run,
				  uint32_t stream, struct err *err)
{
	AUTO(buf_fini) struct buf heading = BUF_INIT;
	uint32_t steps = run->model->steps_count;
	uint32_t attempt = reader->shown[stream].attempt;

	if (reader->last == stream)
		return ERR_OK;
	if (reader->last != STEP_NONE)
		buf_byte(&heading, '\n');
	if (stream >= steps)
		attempt_undo_heading(&heading, &run->model->steps[stream - steps],
				     &reader->undos[stream - steps], attempt);
	else
		attempt_log_heading(&heading, run, stream, attempt);
	if (buf_check(&heading, "heading", err) != ERR_OK)
		return err->code;
	if (stream >= steps || !reader->choice.step.ptr)
		give(reader, heading.ptr, heading.len);
	reader->last = stream;
	return ERR_OK;
}

/* Show what the file has beyond what was shown. */
static enum err_code give_open(struct reader *reader, const struct run_state *run, uint32_t stream,
			       unsigned file, int fd, struct err *err)
{
	uint64_t *offset = &reader->shown[stream].offsets[file];
	size_t got = PIECE_BYTES;

	while (got > 0 && !reader->is_over) {
		char *room;

		buf_clear(&reader->bytes);
		room = buf_room(&reader->bytes, PIECE_BYTES);
		if (!room)
			return buf_check(&reader->bytes, "output", err);
		if (vfs_read(rundir_vfs(reader->dir), fd, room, PIECE_BYTES, *offset, &got, err) !=
		    ERR_OK)
			return err->code;
		if (got > 0 && give_heading(reader, run, stream, err) != ERR_OK)
			return err->code;
		give(reader, room, got);
		*offset += got;
	}
	return ERR_OK;
}

static enum err_code skip_to_tail(const struct reader *reader, uint64_t *offset, int fd,
				  struct err *err)
{
	struct vfs_stat stat;

	if (!reader->tail_bytes || *offset)
		return ERR_OK;
	if (vfs_stat(rundir_vfs(reader->dir), fd, &stat, err) != ERR_OK)
		return err->code;
	if (stat.size_bytes > reader->tail_bytes)
		*offset = stat.size_bytes - reader->tail_bytes;
	return ERR_OK;
}

/* False when a stream has no such file. Of a step all are tried that an attempt can have: how it
 * wrote is that of the definition of its time. */
static bool path_of(const struct reader *reader, const struct run_state *run, uint32_t stream,
		    unsigned file, struct buf *out)
{
	uint32_t steps = run->model->steps_count;
	uint32_t attempt = reader->shown[stream].attempt;

	if (stream < steps)
		attempt_log_path(out, &run->model->steps[stream], attempt, file);
	else if (file == 0)
		attempt_undo_path(out, &run->model->steps[stream - steps], attempt);
	return stream < steps || file == 0;
}

static enum err_code give_file(struct reader *reader, const struct run_state *run, uint32_t stream,
			       unsigned file, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	const struct vfs *vfs = rundir_vfs(reader->dir);
	struct err missing = ERR_INIT;
	enum err_code code;
	int fd;

	if (!path_of(reader, run, stream, file, &path))
		return ERR_OK;
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	if (vfs_open(vfs, rundir_fd(reader->dir), path.ptr, VFS_READ, &fd, &missing) != ERR_OK) {
		/* A step without a command, or one that has not begun to write, has no file. */
		if (missing.code == ERR_NOT_FOUND)
			return ERR_OK;
		*err = missing;
		return err->code;
	}
	code = skip_to_tail(reader, &reader->shown[stream].offsets[file], fd, err);
	if (code == ERR_OK)
		code = give_open(reader, run, stream, file, fd, err);
	vfs_close(vfs, fd);
	return code;
}

static enum err_code give_stream(struct reader *reader, const struct run_state *run,
				 uint32_t stream, uint32_t attempt, struct err *err)
{
	struct shown *shown = &reader->shown[stream];

	if (!shown->is_begun || shown->attempt != attempt) {
		*shown = (struct shown){.is_begun = true, .attempt = attempt};
		if (reader->last == stream)
			reader->last = STEP_NONE;
	}
	for (unsigned file = 0; file < ATTEMPT_LOGS; file++) {
		if (give_file(reader, run, stream, file, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code no_step(const struct reader *reader, const struct run_state *run,
			     struct err *err)
{
	(void)err_set(err, ERR_NOT_FOUND, "there is no step '%.*s' in run '%.*s'",
		      STR_ARG(reader->choice.step), STR_ARG(run->run_id));
	return err_hint(err, "`sluice status RUN` lists the steps");
}

static enum err_code no_attempt(const struct reader *reader, struct err *err)
{
	struct str step = reader->choice.step;

	if (step.ptr)
		(void)err_set(err, ERR_NOT_FOUND, "step '%.*s' has no attempt %lld", STR_ARG(step),
			      (long long)reader->choice.attempt);
	else
		(void)err_set(err, ERR_NOT_FOUND, "no step that is meant has an attempt %lld",
			      (long long)reader->choice.attempt);
	return err_hint(err, "`sluice summary RUN` counts them; the first one is 0");
}

static enum err_code note_event(void *arg, const struct run_state *run, const struct event *event,
				struct str line, struct err *err)
{
	struct reader *reader = arg;

	(void)line;
	if (run->model !=
	    reader->noted) { /* before a definition changes nothing is undone (S9.3) */
		mem_free(reader->undos);
		reader->undos = mem_new(run->model->steps_count, sizeof(*reader->undos));
		if (!reader->undos)
			return mem_err(err);
		reader->noted = run->model;
	}
	attempt_undo_note(reader->undos, run, event);
	return ERR_OK;
}

/* What the steps wrote, in their order; then what undid them, last step first. */
static enum err_code give_new(struct reader *reader, const struct run_state *run, struct err *err)
{
	uint32_t steps = run->model->steps_count;
	uint32_t attempt;

	for (uint32_t i = 0; i < 2 * steps && !reader->is_over; i++) {
		bool is_undo = i >= steps;
		uint32_t step = run->model->order[is_undo ? 2 * steps - 1 - i : i];

		if (!(is_undo ? attempt_undo_chosen(run, step, &reader->undos[step],
						    &reader->choice, &attempt)
			      : attempt_chosen(run, step, &reader->choice, &attempt)))
			continue;
		reader->has_chosen = true;
		if (give_stream(reader, run, is_undo ? steps + step : step, attempt, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Can the step still write: it, or what is about to undo it? */
static bool may_write(const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];

	return !step_is_resolved(at) || (at->state == STEP_SUCCEEDED && run_is_undoing(run) &&
					 run->model->steps[step].compensate);
}

/* The definition is another one since the last look, or this is the first: what was shown of its
 * steps stays shown. */
static enum err_code carry_shown(struct reader *reader, const struct model *model, struct err *err)
{
	const struct model *old = reader->seen.model;
	struct shown *shown = mem_new(2 * (size_t)model->steps_count, sizeof(*shown));

	if (!shown)
		return mem_err(err);
	for (uint32_t i = 0; old && i < model->steps_count; i++) {
		uint32_t from = model_find(old, model->steps[i].id);

		if (from == STEP_NONE)
			continue;
		shown[i] = reader->shown[from];
		shown[model->steps_count + i] = reader->shown[old->steps_count + from];
	}
	mem_free(reader->shown);
	reader->shown = shown;
	reader->last = STEP_NONE;
	return ERR_OK;
}

/* Read the run anew. */
static enum err_code read_again(struct reader *reader, struct err *err)
{
	struct fold_run fold;

	mem_free(reader->undos);
	reader->undos = NULL;
	reader->noted = NULL;
	if (fold_read(reader->dir, &reader->sluice->limits, note_event, reader, &fold, err) !=
	    ERR_OK)
		return err->code;
	if ((!reader->seen.model ||
	     !str_eq(reader->seen.state.definition_hash, fold.state.definition_hash)) &&
	    carry_shown(reader, fold.model, err) != ERR_OK) {
		fold_fini(&fold);
		return err->code;
	}
	fold_fini(&reader->seen);
	reader->seen = fold;
	return ERR_OK;
}

/* One look at the run: show what is new. *ret_is_done: nothing more can come. */
static enum err_code look(struct reader *reader, bool *ret_is_done, struct err *err)
{
	const struct run_state *run = &reader->seen.state;
	struct run_lock_info owner;
	bool is_at_rest;

	if (run_lock_look(rundir_vfs(reader->dir), rundir_fd(reader->dir), &owner, err) != ERR_OK ||
	    read_again(reader, err) != ERR_OK)
		return err->code;
	if (reader->choice.step.ptr && model_find(run->model, reader->choice.step) == STEP_NONE)
		return no_step(reader, run, err);
	if (give_new(reader, run, err) != ERR_OK || api_check_reading(&reader->seen, err) != ERR_OK)
		return err->code;
	is_at_rest = run->is_completed || run->state == RUN_BLOCKED;
	*ret_is_done = reader->is_over || (is_at_rest && !owner.is_held);
	if (reader->choice.step.ptr && !*ret_is_done)
		*ret_is_done = !may_write(run, model_find(run->model, reader->choice.step));
	return ERR_OK;
}

static enum err_code read_logs(struct reader *reader, const char *run_name, bool follow,
			       struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(watch_end) struct watch watch = {.fd = -1};
	AUTO(buf_fini) struct buf logs = BUF_INIT;
	bool is_done;

	if (api_find_run(reader->sluice, run_name, &dir, err) != ERR_OK)
		return err->code;
	reader->dir = dir;
	if (follow) {
		buf_fmt(&logs, "%s/logs", rundir_path(dir));
		if (buf_check(&logs, "path", err) != ERR_OK)
			return err->code;
		watch_start(&watch, logs.ptr);
	}
	for (;;) {
		if (look(reader, &is_done, err) != ERR_OK)
			return err->code;
		if (!follow || is_done)
			return reader->has_chosen || reader->choice.attempt < 0
				   ? ERR_OK
				   : no_attempt(reader, err);
		watch_wait(&watch);
	}
}

enum sluice_code sluice_logs(struct sluice *sluice, const char *run_name,
			     const struct sluice_logs_opts *options, sluice_sink_fn *sink,
			     void *arg, struct sluice_error *err)
{
	static const struct sluice_logs_opts defaults = {.attempt = -1};
	AUTO(reader_fini)
	struct reader reader = {.sluice = sluice, .sink = sink, .arg = arg, .last = STEP_NONE};
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !sink)
		return api_usage(err, "sluice_logs needs a handle, the name of a run and a sink");
	if (!options)
		options = &defaults;
	reader.choice = (struct attempt_choice){
	    .step = str_of(options->step), .attempt = options->attempt, .failed = options->failed};
	reader.tail_bytes = options->tail_bytes;
	return read_logs(&reader, run_name, options->follow, &cause) == ERR_OK
		   ? SLUICE_OK
		   : api_err(err, &cause);
}
