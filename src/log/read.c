/* read.c - see read.h
 *
 * A line is good when its chain value, its place in the sequence, its run id, its grammar and its
 * fields are. The first line that is not ends the reading; what follows is not looked at. Bytes
 * after the last newline are no line, whatever they are (S11.4). */
#include "log/read.h"

#include "base/mem.h"
#include "log/line.h"

#include <string.h>

#define CHUNK_BYTES      ((size_t)65536)
#define RUN_ID_BYTES_MAX 128

struct reader {
	const struct read_plan *plan;
	struct log_reading reading;
	struct line_memo memo;
	struct buf scratch;
	char run_id_text[RUN_ID_BYTES_MAX];
	struct str run_id;
	bool is_newer_format;
	char *bytes; /* the window on the file */
	size_t capacity;
	size_t have;
	uint64_t offset; /* of bytes[0] in the file */
};

static bool is_newer(const struct event *event)
{
	if (event->type == EVENT_UNKNOWN)
		return true;
	return event->type == EVENT_RUN_CREATED &&
	       event_int(event, EVENT_FIELD_FORMAT, LOG_FORMAT) > LOG_FORMAT;
}

static enum err_code note_newer(struct reader *r, struct event *event, struct err *err)
{
	struct err problem = ERR_INIT;
	enum err_code code;

	if (event->type == EVENT_RUN_CREATED)
		code = err_set(&problem, ERR_NEWER, "its format is %lld, and %d is known here",
			       (long long)event_int(event, EVENT_FIELD_FORMAT, 0), LOG_FORMAT);
	else
		code = err_set(&problem, ERR_NEWER, "event type '%.*s' is not known here",
			       STR_ARG(event->type_text));
	if (event->type == EVENT_RUN_CREATED)
		r->is_newer_format = true;
	if (r->plan->for_writing) {
		*err = problem;
		return code;
	}
	if (r->reading.end != LOG_END_NEWER) {
		r->reading.end = LOG_END_NEWER;
		r->reading.problem = problem;
		(void)err_while(&r->reading.problem, "line %llu",
				(unsigned long long)r->reading.head.seq + 1);
	}
	return ERR_OK;
}

/* The event of a line, of this version or a newer one. */
static enum err_code decode(struct reader *r, struct str line, struct event *event, struct err *err)
{
	NOT_CLEARED struct err problem;
	enum err_code code;

	err_reset(&problem);
	code = line_decode(line, &r->memo, &r->scratch, event, &problem);
	if (code == ERR_CORRUPT) {
		code = line_decode_newer(line, &r->scratch, event, err);
		if (code == ERR_MEMORY)
			return code;
		if (code != ERR_OK || !(r->is_newer_format || is_newer(event))) {
			*err = problem;
			return ERR_CORRUPT;
		}
	} else if (code != ERR_OK) {
		*err = problem;
		return code;
	}
	if (event->type == EVENT_UNKNOWN || (is_newer(event) && r->plan->for_writing) ||
	    event_check(event, &problem) == ERR_OK)
		return ERR_OK;
	if (r->is_newer_format && event->type != EVENT_RUN_CREATED) {
		event->type = EVENT_UNKNOWN; /* not what we know under that name */
		return ERR_OK;
	}
	*err = problem;
	return problem.code;
}

static enum err_code first_check(struct reader *r, const struct event *event, struct err *err)
{
	struct str wanted = r->plan->run_id;

	if (event->type != EVENT_RUN_CREATED)
		return err_set(err, ERR_CORRUPT, "the first event is '%.*s', not run.created",
			       STR_ARG(event->type_text));
	if (event_int(event, EVENT_FIELD_FORMAT, 0) < 1)
		return err_set(err, ERR_CORRUPT, "its format is not a format");
	if (!id_valid(event->run_id))
		return err_set(err, ERR_CORRUPT, "'%.*s' is not a run id", STR_ARG(event->run_id));
	if (wanted.len && !str_eq(wanted, event->run_id))
		return err_set(err, ERR_CORRUPT, "it is of run '%.*s', not of '%.*s'",
			       STR_ARG(event->run_id), STR_ARG(wanted));
	memcpy(r->run_id_text, event->run_id.ptr, event->run_id.len);
	r->run_id = str_from(r->run_id_text, event->run_id.len);
	line_chain_start(r->run_id, r->reading.head.chain);
	return ERR_OK;
}

static enum err_code place_check(struct reader *r, const struct event *event, struct err *err)
{
	uint64_t seq = r->reading.head.seq + 1;

	if (event->seq != seq)
		return err_set(err, ERR_CORRUPT, "it is evt_%llu where evt_%llu belongs",
			       (unsigned long long)event->seq, (unsigned long long)seq);
	if (seq == 1)
		return first_check(r, event, err);
	if (event->type == EVENT_RUN_CREATED)
		return err_set(err, ERR_CORRUPT, "a second run.created");
	if (!str_eq(event->run_id, r->run_id))
		return err_set(err, ERR_CORRUPT, "it is of run '%.*s', not of '%.*s'",
			       STR_ARG(event->run_id), STR_ARG(r->run_id));
	return ERR_OK;
}

/* One line without its newline. CORRUPT and NEWER end the reading. */
static enum err_code line_take(struct reader *r, struct str line, struct err *err)
{
	struct log_head *head = &r->reading.head;
	NOT_CLEARED struct event event;
	uint8_t chain[SHA256_BYTES];
	struct str body;
	uint8_t h[LINE_H_BYTES];

	if (line.len > r->plan->limits->line_bytes)
		return err_set(err, ERR_CORRUPT, "it is over line_bytes=%llu",
			       (unsigned long long)r->plan->limits->line_bytes);
	if (!line_body(line, &body, h))
		return err_set(err, ERR_CORRUPT, "it does not end in its `h`");
	if (decode(r, line, &event, err) != ERR_OK)
		return err->code;
	if (place_check(r, &event, err) != ERR_OK)
		return err->code;
	memcpy(chain, head->chain, sizeof(chain));
	line_chain_next(body, chain);
	if (memcmp(chain, h, sizeof(h)) != 0)
		return err_set(err, ERR_CORRUPT, "its `h` is not that of the chain");
	/* Behind the chain: an event type with a flipped bit is not a newer one. */
	if (is_newer(&event) && note_newer(r, &event, err) != ERR_OK)
		return err->code;
	if (r->plan->visit && r->plan->visit(r->plan->arg, &event, line, err) != ERR_OK)
		return err->code;
	memcpy(head->chain, chain, sizeof(chain));
	memcpy(head->h, line.ptr + line.len - LINE_END_BYTES + 6,
	       LOG_H_BYTES); /* the same, printed */
	head->seq++;
	head->offset_bytes += line.len + 1;
	return ERR_OK;
}

/* All whole lines in the window; then the window begins at the first byte that is left. */
static enum err_code window_take(struct reader *r, struct err *err)
{
	size_t at = 0;

	for (;;) {
		const char *newline = memchr(r->bytes + at, '\n', r->have - at);

		if (!newline)
			break;
		if (line_take(r, str_from(r->bytes + at, (size_t)(newline - r->bytes) - at), err) !=
		    ERR_OK)
			return err_while(err, "line %llu",
					 (unsigned long long)r->reading.head.seq + 1);
		at = (size_t)(newline - r->bytes) + 1;
	}
	memmove(r->bytes, r->bytes + at, r->have - at);
	r->offset += at;
	r->have -= at;
	return ERR_OK;
}

/* Read behind what the window holds; *ret_more false at the end. */
static enum err_code window_fill(struct reader *r, bool *ret_more, struct err *err)
{
	size_t limit = (size_t)r->plan->limits->line_bytes + CHUNK_BYTES;
	uint64_t from = r->offset + r->have;
	size_t want;
	size_t got = 0;

	if (r->have == r->capacity) {
		size_t twice = r->capacity ? 2 * r->capacity : CHUNK_BYTES;
		char *grown = mem_resize(r->bytes, twice < limit ? twice : limit, 1);

		if (!grown)
			return mem_err(err);
		r->bytes = grown;
		r->capacity = twice < limit ? twice : limit;
	}
	want = r->capacity - r->have;
	if (r->plan->upto_bytes) {
		uint64_t left = r->plan->upto_bytes > from ? r->plan->upto_bytes - from : 0;

		want = left < want ? (size_t)left : want;
	}
	if (vfs_read(r->plan->vfs, r->plan->fd, r->bytes + r->have, want, from, &got, err) !=
	    ERR_OK)
		return err->code;
	r->have += got;
	*ret_more = got == want && want > 0;
	return ERR_OK;
}

/* The window holds more than a line may have and no newline: a torn end however long, or a line
 * that is too long. Looks for the newline without keeping the bytes. */
static enum err_code overlong(struct reader *r, struct err *err)
{
	bool more = true;

	while (more) {
		if (memchr(r->bytes, '\n', r->have))
			return err_set(err, ERR_CORRUPT, "line %llu: it is over line_bytes=%llu",
				       (unsigned long long)r->reading.head.seq + 1,
				       (unsigned long long)r->plan->limits->line_bytes);
		r->offset += r->have;
		r->have = 0;
		if (window_fill(r, &more, err) != ERR_OK)
			return err->code;
	}
	if (memchr(r->bytes, '\n', r->have))
		return err_set(err, ERR_CORRUPT, "line %llu: it is over line_bytes=%llu",
			       (unsigned long long)r->reading.head.seq + 1,
			       (unsigned long long)r->plan->limits->line_bytes);
	return ERR_OK;
}

static enum err_code stream(struct reader *r, struct err *err)
{
	bool more = true;

	while (more) {
		if (window_fill(r, &more, err) != ERR_OK || window_take(r, err) != ERR_OK)
			return err->code;
		if (r->have > r->plan->limits->line_bytes) {
			if (overlong(r, err) != ERR_OK)
				return err->code;
			more = false;
		}
	}
	r->reading.torn_bytes = r->offset + r->have - r->reading.head.offset_bytes;
	if (r->reading.torn_bytes && r->reading.end == LOG_END_WHOLE)
		r->reading.end = LOG_END_TORN;
	if (r->reading.head.seq == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no whole run.created in the log");
	return ERR_OK;
}

enum err_code read_log(const struct read_plan *plan, struct log_reading *ret_reading,
		       struct err *err)
{
	struct reader r = {.plan = plan, .reading = {.end = LOG_END_WHOLE}};
	enum err_code code = stream(&r, err);

	mem_free(r.bytes);
	buf_fini(&r.scratch);
	if (code == ERR_CORRUPT || code == ERR_NEWER) {
		r.reading.end = code == ERR_NEWER ? LOG_END_NEWER : LOG_END_DAMAGED;
		r.reading.problem = *err;
		err_reset(err);
		code = ERR_OK;
	}
	if (code == ERR_OK)
		*ret_reading = r.reading;
	return code;
}

enum err_code log_read(const struct vfs *vfs, int dir, const struct limits *limits,
		       uint64_t upto_bytes, log_visit_fn *visit, void *arg,
		       struct log_reading *ret_reading, struct err *err)
{
	struct read_plan plan = {
	    .vfs = vfs,
	    .limits = limits,
	    .upto_bytes = upto_bytes,
	    .visit = visit,
	    .arg = arg,
	};
	enum err_code code;

	if (vfs_open(vfs, dir, LOG_FILE, VFS_READ, &plan.fd, err) != ERR_OK) {
		if (err->code == ERR_INVALID) /* a link, a pipe, a directory */
			err->code = ERR_CORRUPT;
		return err->code;
	}
	code = read_log(&plan, ret_reading, err);
	vfs_close(vfs, plan.fd);
	return code;
}
