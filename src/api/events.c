/* events.c - the events of a run: all, the last few, and those to come */
#include "api/history.h"
#include "api/run_intern.h"

#include "base/timefmt.h"
#include "log/log.h"
#include "report/event_text.h"
#include "report/run_report.h"
#include "sys/watch.h"

#define LEAVE_NS (1 * NS_PER_S) /* for the owner of a run that has ended */

/* A reader of one log. */
struct stream {
	const struct sluice *sluice;
	const struct sluice_events_opts *options;
	const struct rundir *dir;
	sluice_sink_fn *sink;
	void *arg;
	uint64_t skip;    /* events to pass over before the first that is shown */
	uint64_t matched; /* that the filters let through */
	uint64_t seq;     /* of the last event read */
	uint64_t offset;  /* bytes read: the end of that event's line */
	uint64_t inode;   /* of the file that `offset` is in */
	bool is_count;    /* only count what matches */
	bool is_resting;  /* nothing more comes unless the run is resumed */
	bool is_ended;    /* resting, and at its end: not blocked */
	int64_t ended_ns; /* boot time at which that was first seen; 0 = not yet */
	bool is_over;     /* the sink wants no more */
	bool needs_owner; /* a run that nobody carries on is an error, not waited for */
	const struct sluice_observer *observer; /* its on_tick; may be NULL */
	struct buf text;                        /* of the line being shown */
	struct buf bytes;                       /* what was read of the file and not shown yet */
	struct buf scratch;
};

static void stream_fini(struct stream *stream)
{
	buf_fini(&stream->text);
	buf_fini(&stream->bytes);
	buf_fini(&stream->scratch);
}

static bool matches(const struct stream *stream, const struct event *event)
{
	const struct sluice_events_opts *options = stream->options;

	if (options->type && !str_is(event->type_text, options->type))
		return false;
	return !options->step || str_is(event_text(event, EVENT_FIELD_STEP_ID), options->step);
}

/* What the event says about whether more will come. */
static void note_rest(struct stream *stream, const struct event *event)
{
	enum run_state_id state;

	if (event->type == EVENT_RUN_COMPLETED)
		stream->is_resting = true;
	else if (event->type == EVENT_RUN_RESUMED)
		stream->is_resting = false;
	else if (event->type == EVENT_RUN_STATE_CHANGED &&
		 run_state_of(event_text(event, EVENT_FIELD_NEW_STATE), &state))
		stream->is_resting = run_state_is_end(state) || state == RUN_BLOCKED;
	if (event->type == EVENT_RUN_COMPLETED)
		stream->is_ended = true;
	else if (event->type == EVENT_RUN_RESUMED || event->type == EVENT_RUN_ROLLBACK_STARTED)
		stream->is_ended = false;
	if (!stream->is_ended)
		stream->ended_ns = 0;
}

static enum err_code show(struct stream *stream, const struct event *event, struct str line,
			  struct err *err)
{
	buf_clear(&stream->text);
	if (stream->options->raw) {
		buf_str(&stream->text, line);
		buf_byte(&stream->text, '\n');
	} else {
		event_text_line(event, &stream->text);
	}
	if (buf_check(&stream->text, "event", err) != ERR_OK)
		return err->code;
	if (!stream->sink(stream->arg, stream->text.ptr, stream->text.len))
		stream->is_over = true;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct event *event, struct str line,
			      struct err *err)
{
	struct stream *stream = arg;

	stream->seq = event->seq;
	note_rest(stream, event);
	if (stream->is_over || !matches(stream, event))
		return ERR_OK;
	stream->matched++;
	if (stream->is_count || stream->matched <= stream->skip)
		return ERR_OK;
	return show(stream, event, line, err);
}

/* ------------------------------------------------------------------------ what is there */

static enum err_code read_log(struct stream *stream, uint64_t upto, struct log_reading *ret_reading,
			      struct err *err)
{
	stream->matched = 0;
	return log_read(rundir_vfs(stream->dir), rundir_fd(stream->dir), &stream->sluice->limits,
			upto, on_event, stream, ret_reading, err);
}

/* Everything up to what is durable, verified. Damage is an error after the good prefix was
 * shown. */
static enum err_code read_present(struct stream *stream, struct err *err)
{
	struct run_lock_info owner;
	struct log_reading reading;
	uint64_t upto;

	if (run_lock_look(rundir_vfs(stream->dir), rundir_fd(stream->dir), &owner, err) != ERR_OK)
		return err->code;
	upto = owner.is_held ? owner.synced_offset_bytes : 0;
	if (stream->options->tail > 0) {
		/* Count first, so that no more than one line is held in memory. */
		stream->is_count = true;
		if (read_log(stream, upto, &reading, err) != ERR_OK)
			return err->code;
		stream->is_count = false;
		if (stream->matched > stream->options->tail)
			stream->skip = stream->matched - stream->options->tail;
		upto = reading.head.offset_bytes;
		if (reading.end != LOG_END_WHOLE)
			upto = owner.is_held ? owner.synced_offset_bytes : 0;
	}
	if (read_log(stream, upto, &reading, err) != ERR_OK)
		return err->code;
	stream->skip = 0;
	stream->offset = reading.head.offset_bytes;
	if (reading.end == LOG_END_WHOLE || stream->is_over)
		return ERR_OK;
	if (reading.end == LOG_END_DAMAGED) {
		*err = reading.problem;
		err->code = ERR_CORRUPT;
		return err_while(err, "log of '%.*s', after event %llu",
				 STR_ARG(rundir_id(stream->dir)),
				 (unsigned long long)reading.head.seq);
	}
	if (stream->options->raw || stream->options->follow) {
		history_note_torn(stream->sluice, rundir_id(stream->dir), &reading, owner.is_held);
		return ERR_OK;
	}
	buf_clear(&stream->text);
	buf_text(&stream->text, "note: ");
	reading_note(&reading, &stream->text);
	buf_byte(&stream->text, '\n');
	if (buf_check(&stream->text, "note", err) != ERR_OK)
		return err->code;
	(void)stream->sink(stream->arg, stream->text.ptr, stream->text.len); /* the last call */
	return ERR_OK;
}

/* ----------------------------------------------------------------------- what is to come */

#define FOLLOW_STEP_BYTES ((size_t)262144)

/* Show the whole lines in `bytes` and drop them from it. */
static enum err_code show_lines(struct stream *stream, struct err *err)
{
	size_t from = 0;

	for (size_t i = 0; i < stream->bytes.len && !stream->is_over; i++) {
		struct str line = str_from(stream->bytes.ptr + from, i - from);
		struct event event;

		if (stream->bytes.ptr[i] != '\n')
			continue;
		buf_clear(&stream->scratch);
		if (log_decode(line, &stream->scratch, &event, err) != ERR_OK)
			return err_while(err, "after event %llu", (unsigned long long)stream->seq);
		/* A log that was replaced is read again from its start. */
		if (event.seq > stream->seq && on_event(stream, &event, line, err) != ERR_OK)
			return err->code;
		from = i + 1;
	}
	stream->offset += from;
	return ERR_OK;
}

/* The next piece of the file, whole lines of it shown. A piece is longer than the longest line. */
static enum err_code read_piece(struct stream *stream, int fd, uint64_t upto, struct err *err)
{
	size_t want = FOLLOW_STEP_BYTES + (size_t)stream->sluice->limits.line_bytes;
	size_t got;
	char *room;

	if (want > upto - stream->offset)
		want = (size_t)(upto - stream->offset);
	buf_clear(&stream->bytes);
	room = buf_room(&stream->bytes, want);
	if (!room)
		return buf_check(&stream->bytes, "events", err);
	if (vfs_read(rundir_vfs(stream->dir), fd, room, want, stream->offset, &got, err) != ERR_OK)
		return err->code;
	buf_added(&stream->bytes, got);
	return show_lines(stream, err);
}

static enum err_code read_file(struct stream *stream, int fd, uint64_t upto, struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat(rundir_vfs(stream->dir), fd, &stat, err) != ERR_OK)
		return err->code;
	if ((stream->inode != 0 && stat.inode != stream->inode) || stat.size_bytes < stream->offset)
		stream->offset = 0;
	stream->inode = stat.inode;
	if (upto == 0 || upto > stat.size_bytes)
		upto = stat.size_bytes;
	while (stream->offset < upto && !stream->is_over) {
		uint64_t before = stream->offset;

		if (read_piece(stream, fd, upto, err) != ERR_OK)
			return err->code;
		if (stream->offset == before)
			break; /* no whole line yet */
	}
	return ERR_OK;
}

/* Show what was appended since the last time, up to `upto` (0 = to the end of the file). */
static enum err_code read_more(struct stream *stream, uint64_t upto, struct err *err)
{
	const struct vfs *vfs = rundir_vfs(stream->dir);
	enum err_code code;
	int fd;

	if (vfs_open(vfs, rundir_fd(stream->dir), LOG_FILE, VFS_READ, &fd, err) != ERR_OK)
		return err->code;
	code = read_file(stream, fd, upto, err);
	vfs_close(vfs, fd);
	return code;
}

/* The run has ended, and its owner had time enough to write what comes after the end and to let go.
 * One that is kept is not waited for. */
static bool is_left(struct stream *stream)
{
	int64_t now_ns =
	    clock_boot_ns(&clock_os); /* this process waits, whatever time its runs have */

	if (!stream->is_ended)
		return false;
	if (stream->ended_ns == 0)
		stream->ended_ns = now_ns;
	return now_ns - stream->ended_ns >= LEAVE_NS;
}

static enum err_code follow(struct stream *stream, struct watch *watch, struct err *err)
{
	while (!stream->is_over) {
		struct run_lock_info owner;

		/* Asked before the read: an owner that is gone by then has written all it ever
		 * will. */
		if (run_lock_look(rundir_vfs(stream->dir), rundir_fd(stream->dir), &owner, err) !=
		    ERR_OK)
			return err->code;
		if (read_more(stream, owner.is_held ? owner.synced_offset_bytes : 0, err) != ERR_OK)
			return err->code;
		if (stream->is_resting && (!owner.is_held || is_left(stream)))
			return ERR_OK;
		if (stream->needs_owner && !owner.is_held) {
			(void)err_set(err, ERR_GONE, "the process that carried '%.*s' on is gone",
				      STR_ARG(rundir_id(stream->dir)));
			return err_hint(err, "go on with it: sluice resume %.*s",
					STR_ARG(rundir_id(stream->dir)));
		}
		if (stream->observer && stream->observer->on_tick)
			stream->observer->on_tick(stream->observer->arg);
		if (!stream->is_over)
			watch_wait(watch);
	}
	return ERR_OK;
}

static enum err_code stream_run(struct stream *stream, const char *run_name, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(watch_end) struct watch watch = {.fd = -1};

	if (api_find_run(stream->sluice, run_name, &dir, err) != ERR_OK)
		return err->code;
	stream->dir = dir;
	if (stream->options->follow)
		watch_start(&watch, rundir_path(dir));
	if (read_present(stream, err) != ERR_OK || !stream->options->follow)
		return err->code;
	return follow(stream, &watch, err);
}

/* A filter that can let nothing through is a mistake, not an empty answer. */
static enum err_code check_filters(const struct stream *stream, const char *run_name,
				   struct err *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct str type = str_of(stream->options->type);
	struct str step = str_of(stream->options->step);
	const char *names[EVENT_USER - 1];
	const char *nearest;
	struct run_lock_info owner;

	if (type.ptr && event_type_of(type) == EVENT_UNKNOWN && !str_starts(type, "x-")) {
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			names[i] = event_type_name((enum event_type)(i + 1));
		nearest = str_nearest(type, names, ARRAY_LEN(names));
		(void)err_set(err, ERR_USAGE, "there is no event type '%.*s'", STR_ARG(type));
		return nearest ? err_hint(err, "did you mean '%s'?", nearest)
			       : err_hint(err, "such as step.failed, gate.failed, run.completed");
	}
	if (!step.ptr)
		return ERR_OK;
	if (api_fold_run(stream->sluice, run_name, &fold, &owner, err) != ERR_OK)
		return err->code;
	if (model_find(fold.model, step) != STEP_NONE)
		return ERR_OK;
	(void)err_set(err, ERR_NOT_FOUND, "there is no step '%.*s' in run '%.*s'", STR_ARG(step),
		      STR_ARG(fold.state.run_id));
	return err_hint(err, "`sluice status RUN` lists the steps");
}

enum sluice_code sluice_events(struct sluice *sluice, const char *run_name,
			       const struct sluice_events_opts *options, sluice_sink_fn *sink,
			       void *arg, struct sluice_error *err)
{
	static const struct sluice_events_opts defaults = {.tail = 0};
	AUTO(stream_fini)
	struct stream stream = {
	    .sluice = sluice, .options = options ? options : &defaults, .sink = sink, .arg = arg};
	struct err cause = ERR_INIT;

	if (!sluice || !run_name || !sink)
		return api_usage(err, "sluice_events needs a handle, the name of a run and a sink");
	history_note_clear(sluice);
	if (check_filters(&stream, run_name, &cause) != ERR_OK)
		return api_err(err, &cause);
	return stream_run(&stream, run_name, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}

/* ------------------------------------------------------------------- wait for another's run */

static bool tell_observer(void *arg, const char *bytes, size_t len)
{
	const struct sluice_observer *observer = arg;

	if (observer->on_event)
		observer->on_event(observer->arg, bytes, len - 1); /* without its newline */
	return true;
}

static enum err_code read_end(const struct sluice *sluice, const char *run_name, bool *ret_over,
			      struct sluice_end *ret_end, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	struct run_lock_info owner;

	if (api_find_run(sluice, run_name, &dir, err) != ERR_OK ||
	    run_lock_look(sluice->vfs, rundir_fd(dir), &owner, err) != ERR_OK ||
	    fold_read(dir, &sluice->limits, NULL, NULL, &fold, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return err->code;
	}
	*ret_over = !owner.is_held && (fold.state.is_completed || fold.state.state == RUN_BLOCKED);
	run_fill_end(&fold.state, fold.reading.head.h, false, ret_end);
	return ERR_OK;
}

static enum err_code wait_for_end(struct stream *stream, const char *run_name,
				  struct sluice_end *ret_end, struct err *err)
{
	struct sluice_end end;
	bool is_over = false;

	if (read_end(stream->sluice, run_name, &is_over, &end, err) != ERR_OK)
		return err->code;
	if (!is_over && (stream_run(stream, run_name, err) != ERR_OK ||
			 read_end(stream->sluice, run_name, &is_over, &end, err) != ERR_OK))
		return err->code;
	*ret_end = end;
	return ERR_OK;
}

enum sluice_code sluice_run_follow(struct sluice *sluice, const char *run_name,
				   const struct sluice_observer *observer,
				   struct sluice_end *ret_end, struct sluice_error *err)
{
	static const struct sluice_observer nobody;
	static const struct sluice_events_opts options = {.follow = true, .raw = true};
	struct sluice_observer told = observer ? *observer : nobody;
	AUTO(stream_fini)
	struct stream stream = {.sluice = sluice,
				.options = &options,
				.sink = tell_observer,
				.arg = &told,
				.needs_owner = true,
				.observer = &told};
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_end)
		return api_usage(err, "sluice_run_follow: an argument is missing");
	if (wait_for_end(&stream, run_name, ret_end, &own) != ERR_OK)
		return api_err(err, &own);
	return SLUICE_OK;
}
