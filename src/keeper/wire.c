/* wire.c - see wire.h */
#include "keeper/wire.h"

#include "base/mem.h"
#include "keeper/bytes.h"
#include "keeper/record.h"

#include <string.h>

#define HEAD_BYTES 5 /* length and type */

/* Arrays of a START of version 2. */
struct wire_more {
	uint32_t *groups; /* owned */
	struct resource_limit limits[RESOURCE_KINDS];
	const char *hands[EXEC_HANDS_MAX];
};

/* --- writing --- */

static void put32(struct buf *out, uint32_t value)
{
	unsigned char bytes[4];

	bytes_put32(bytes, value);
	buf_put(out, bytes, sizeof(bytes));
}

static void put64(struct buf *out, uint64_t value)
{
	unsigned char bytes[8];

	bytes_put64(bytes, value);
	buf_put(out, bytes, sizeof(bytes));
}

static void put_text(struct buf *out, struct str text)
{
	put32(out, (uint32_t)text.len);
	buf_str(out, text);
	buf_byte(out, '\0');
}

static void put_token(struct buf *out, const struct exec_token *token)
{
	put_text(out, token->path);
	buf_byte(out, (char)token->role);
	put32(out, token->attempt);
}

static size_t frame_begin(struct buf *out, enum wire_type type)
{
	size_t at = out->len;

	put32(out, 0);
	buf_byte(out, (char)type);
	return at;
}

static void frame_end(struct buf *out, size_t at)
{
	if (out->failed == ERR_OK)
		bytes_put32((unsigned char *)out->ptr + at, (uint32_t)(out->len - at - 4));
}

void wire_hello(struct buf *out, uint32_t version, uint64_t epoch)
{
	size_t at = frame_begin(out, WIRE_HELLO);

	put32(out, version);
	put64(out, epoch);
	frame_end(out, at);
}

void wire_hello_ok(struct buf *out, uint32_t version, int32_t pid, uint32_t count)
{
	size_t at = frame_begin(out, WIRE_HELLO_OK);

	put32(out, version);
	put32(out, (uint32_t)pid);
	put32(out, count);
	frame_end(out, at);
}

void wire_hello_no(struct buf *out, uint32_t version, uint64_t epoch)
{
	size_t at = frame_begin(out, WIRE_HELLO_NO);

	put32(out, version);
	put64(out, epoch);
	frame_end(out, at);
}

static uint32_t list_count(char *const *list)
{
	uint32_t count = 0;

	while (list[count])
		count++;
	return count;
}

static void put_list(struct buf *out, char *const *list)
{
	put32(out, list_count(list));
	for (size_t i = 0; list[i]; i++)
		put_text(out, str_of(list[i]));
}

uint32_t wire_start_version(const struct exec_start *start)
{
	bool is_more = start->log_err || start->stdin_path || start->stdin_text.ptr ||
		       start->user || start->limits_count || start->hands_count ||
		       start->allows_orphans;

	return is_more ? 2 : 1;
}

static void put_optional(struct buf *out, const char *text)
{
	put_text(out, text ? str_of(text) : STR(""));
}

/* What version 2 added. */
static void put_more(struct buf *out, const struct exec_start *start)
{
	static const struct exec_user nobody = {.uid = 0};
	const struct exec_user *user = start->user ? start->user : &nobody;

	put_optional(out, start->log_err);
	put_optional(out, start->stdin_path);
	buf_byte(out, (char)(start->stdin_text.ptr != NULL));
	put_text(out, start->stdin_text.ptr ? start->stdin_text : STR(""));
	buf_byte(out, (char)(start->user != NULL));
	put32(out, user->uid);
	put32(out, user->gid);
	put32(out, (uint32_t)user->groups_count);
	for (size_t i = 0; i < user->groups_count; i++)
		put32(out, user->groups[i]);
	put32(out, (uint32_t)start->limits_count);
	for (size_t i = 0; i < start->limits_count; i++) {
		buf_byte(out, (char)start->limits[i].kind);
		put64(out, start->limits[i].value);
	}
	put32(out, (uint32_t)start->hands_count);
	for (size_t i = 0; i < start->hands_count; i++)
		put_text(out, str_of(start->hands[i]));
	buf_byte(out, (char)start->allows_orphans);
}

static size_t more_bytes(const struct exec_start *start)
{
	size_t bytes = 5 + 5 + 1 + 5 + 1 + 4 + 4 + 4 + 4 + 4 + 1;

	bytes += start->log_err ? strlen(start->log_err) : 0;
	bytes += start->stdin_path ? strlen(start->stdin_path) : 0;
	bytes += start->stdin_text.len + start->limits_count * 9;
	bytes += start->user ? start->user->groups_count * 4 : 0;
	for (size_t i = 0; i < start->hands_count; i++)
		bytes += 5 + strlen(start->hands[i]);
	return bytes;
}

void wire_start(struct buf *out, const struct exec_start *start)
{
	size_t at = frame_begin(out, WIRE_START);

	put_token(out, &start->token);
	put64(out, (uint64_t)start->timeout_ns);
	put64(out, (uint64_t)start->silence_ns);
	put64(out, (uint64_t)start->grace_ns);
	put64(out, start->output_limit_bytes);
	put_text(out, str_of(start->log));
	put_text(out, str_of(start->cwd));
	put_list(out, start->argv);
	put_list(out, start->envp);
	put32(out, (uint32_t)start->masks_count);
	for (size_t i = 0; i < start->masks_count; i++)
		put_text(out, start->masks[i]);
	if (wire_start_version(start) > 1)
		put_more(out, start);
	frame_end(out, at);
}

static size_t list_bytes(char *const *list)
{
	size_t bytes = 4;

	for (size_t i = 0; list[i]; i++)
		bytes += 5 + strlen(list[i]);
	return bytes;
}

size_t wire_start_bytes(const struct exec_start *start)
{
	size_t bytes = HEAD_BYTES + 5 + start->token.path.len + 5 + 4 * 8;

	bytes += 5 + strlen(start->log) + 5 + strlen(start->cwd);
	bytes += list_bytes(start->argv) + list_bytes(start->envp) + 4;
	for (size_t i = 0; i < start->masks_count; i++)
		bytes += 5 + start->masks[i].len;
	if (wire_start_version(start) > 1)
		bytes += more_bytes(start);
	return bytes;
}

void wire_cancel(struct buf *out, const struct exec_token *token, bool now)
{
	size_t at = frame_begin(out, WIRE_CANCEL);

	put_token(out, token);
	buf_byte(out, (char)now);
	frame_end(out, at);
}

void wire_report(struct buf *out, const struct exec_report *report)
{
	size_t at = frame_begin(out, WIRE_REPORT);

	put_token(out, &report->token);
	buf_byte(out, (char)report->kind);
	buf_byte(out, (char)report->end);
	buf_byte(out, (char)report->cause);
	buf_byte(out, (char)report->core);
	put32(out, (uint32_t)report->exit_code);
	put32(out, (uint32_t)report->signal);
	put32(out, (uint32_t)report->errno_value);
	put64(out, (uint64_t)report->duration_ns);
	put32(out, (uint32_t)report->pid);
	frame_end(out, at);
}

void wire_table_end(struct buf *out)
{
	frame_end(out, frame_begin(out, WIRE_TABLE_END));
}

/* --- reading: a cursor that remembers its first failure --- */

struct cursor {
	const unsigned char *at;
	size_t left;
	bool is_bad;
};

static const unsigned char *take(struct cursor *in, size_t len)
{
	const unsigned char *at = in->at;

	if (in->is_bad || in->left < len) {
		in->is_bad = true;
		return NULL;
	}
	in->at += len;
	in->left -= len;
	return at;
}

static uint8_t take8(struct cursor *in)
{
	const unsigned char *at = take(in, 1);

	return at ? *at : 0;
}

static uint32_t take32(struct cursor *in)
{
	const unsigned char *at = take(in, 4);

	return at ? bytes_get32(at) : 0;
}

static uint64_t take64(struct cursor *in)
{
	const unsigned char *at = take(in, 8);

	return at ? bytes_get64(at) : 0;
}

static int64_t take_span(struct cursor *in)
{
	int64_t value = (int64_t)take64(in);

	if (value < 0)
		in->is_bad = true;
	return value;
}

static uint8_t take_upto(struct cursor *in, uint8_t max)
{
	uint8_t value = take8(in);

	if (value > max)
		in->is_bad = true;
	return value;
}

/* Bytes that may hold NULs; the NUL after them is checked. */
static struct str take_bytes(struct cursor *in)
{
	uint32_t len = take32(in);
	const unsigned char *at = take(in, len);
	const unsigned char *end = take(in, 1);

	if (!at || !end || *end) {
		in->is_bad = true;
		return STR("");
	}
	return (struct str){(const char *)at, len};
}

static struct str take_text(struct cursor *in)
{
	struct str text = take_bytes(in);

	if (strlen(text.ptr) != text.len)
		in->is_bad = true;
	return text;
}

static struct exec_token take_token(struct cursor *in)
{
	struct exec_token token = {.path = take_text(in)};
	uint8_t role = take8(in);

	token.role = (enum exec_role)role;
	token.attempt = take32(in);
	if (token.path.len == 0 || token.path.len > RECORD_PATH_BYTES ||
	    (role != EXEC_ROLE_RUN && role != EXEC_ROLE_COMP))
		in->is_bad = true;
	return token;
}

static void take_report(struct cursor *in, struct exec_report *report)
{
	report->token = take_token(in);
	report->kind = (enum exec_report_kind)take_upto(in, EXEC_REFUSED);
	report->end = (enum exec_end)take_upto(in, EXEC_END_SPAWN_FAILED);
	report->cause = (enum exec_cause)take_upto(in, EXEC_CAUSES - 1);
	report->core = take_upto(in, 1);
	report->exit_code = (int)take32(in);
	report->signal = (int)take32(in);
	report->errno_value = (int)take32(in);
	report->duration_ns = take_span(in);
	report->pid = (int32_t)take32(in);
}

/* A plain file name: no way out of the folder that it will be opened in. */
static bool is_file_name(struct str name)
{
	return name.len > 0 && name.len <= 255 && !str_has(name, '/') && !str_is(name, ".") &&
	       !str_is(name, "..");
}

/* Step over a list without storing it; its count. */
static uint32_t list_skip(struct cursor *in, bool is_text)
{
	uint32_t count = take32(in);

	for (uint32_t i = 0; i < count && !in->is_bad; i++)
		(void)(is_text ? take_text(in) : take_bytes(in));
	return in->is_bad ? 0 : count;
}

static char **list_take(struct cursor *in, char ***at)
{
	uint32_t count = take32(in);
	char **list = *at;

	for (uint32_t i = 0; i < count; i++)
		list[i] = (char *)(uintptr_t)take_text(in).ptr; /* argv is char ** by tradition */
	list[count] = NULL;
	*at += count + 1;
	return list;
}

/* A path below the run directory: names, no way up. */
static bool is_below(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (!is_file_name(str_from(path, len)))
			return false;
		path += len;
		if (*path && !*++path)
			return false;
	}
	return true;
}

static void take_limits(struct cursor *in, struct resource_limit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		limits[i].kind = (enum resource_kind)take_upto(in, RESOURCE_KINDS);
		limits[i].value = take64(in);
		if (!limits[i].kind)
			in->is_bad = true;
	}
}

/* How many of `bytes` each: no more than there can be. */
static size_t take_count(struct cursor *in, size_t bytes, size_t most)
{
	uint32_t count = take32(in);

	if (count > most || count > in->left / bytes)
		in->is_bad = true;
	return in->is_bad ? 0 : count;
}

/* What version 2 added. Its arrays have their own place: START of version 1 pays nothing for
 * them. */
static enum wire_take take_more(struct cursor *in, struct wire_frame *frame, struct wire_more *more)
{
	struct exec_start *start = &frame->start;
	const char *log_err = take_text(in).ptr;
	const char *path = take_text(in).ptr;
	bool has_text = take_upto(in, 1);
	struct str text = take_bytes(in);
	bool has_user = take_upto(in, 1);

	frame->user.uid = take32(in);
	frame->user.gid = take32(in);
	frame->user.groups_count = take_count(in, 4, EXEC_GROUPS_MAX);
	more->groups = mem_new(frame->user.groups_count + 1, sizeof(*more->groups));
	if (!more->groups)
		return WIRE_SHORT;
	for (size_t i = 0; i < frame->user.groups_count; i++)
		more->groups[i] = take32(in);
	start->limits_count = take_count(in, 9, RESOURCE_KINDS);
	take_limits(in, more->limits, start->limits_count);
	start->hands_count = take_count(in, 5, EXEC_HANDS_MAX);
	for (size_t i = 0; i < start->hands_count; i++) {
		more->hands[i] = take_text(in).ptr;
		if (!in->is_bad && (!more->hands[i][0] || !is_below(more->hands[i])))
			in->is_bad = true;
	}
	start->allows_orphans = take_upto(in, 1);
	if (in->is_bad || (log_err[0] && !is_file_name(str_of(log_err))) ||
	    (start->hands_count && !has_user))
		return WIRE_BROKEN;
	start->log_err = log_err[0] ? log_err : NULL;
	start->stdin_path = path[0] ? path : NULL;
	if (has_text)
		start->stdin_text = text;
	frame->user.groups = more->groups;
	if (has_user)
		start->user = &frame->user;
	start->limits = more->limits;
	start->hands = more->hands;
	return WIRE_GOT;
}

static enum wire_take take_rest(struct cursor *in, struct wire_frame *frame)
{
	enum wire_take taken;

	if (!in->left)
		return WIRE_GOT; /* of version 1 */
	frame->more = mem_new(1, sizeof(*frame->more));
	if (!frame->more)
		return WIRE_SHORT;
	taken = take_more(in, frame, frame->more);
	return taken == WIRE_GOT && in->left ? WIRE_BROKEN : taken;
}

static enum wire_take take_start(struct cursor *in, struct wire_frame *frame)
{
	struct exec_start *start = &frame->start;
	struct cursor lists;
	size_t pointers;
	size_t masks;
	struct str *mask_at;
	char **at;

	start->token = take_token(in);
	start->timeout_ns = take_span(in);
	start->silence_ns = take_span(in);
	start->grace_ns = take_span(in);
	start->output_limit_bytes = take64(in);
	start->log = take_text(in).ptr;
	start->cwd = take_text(in).ptr;
	if (in->is_bad || !is_file_name(str_of(start->log)) || start->cwd[0] != '/')
		return WIRE_BROKEN;
	lists = *in;
	pointers = list_skip(in, true);
	if (pointers == 0)
		return WIRE_BROKEN; /* there is no command without argv[0] */
	pointers += (size_t)list_skip(in, true) + 2;
	masks = list_skip(in, false);
	if (in->is_bad)
		return WIRE_BROKEN;
	frame->arrays = mem_new(pointers * sizeof(char *) + masks * sizeof(struct str), 1);
	if (!frame->arrays)
		return WIRE_SHORT;
	mask_at = frame->arrays;
	at = (char **)(void *)(mask_at + masks);
	start->argv = list_take(&lists, &at);
	start->envp = list_take(&lists, &at);
	start->masks = mask_at;
	start->masks_count = take32(&lists);
	for (size_t i = 0; i < masks; i++)
		mask_at[i] = take_bytes(&lists);
	return take_rest(in, frame);
}

static enum wire_take body_take(struct cursor *in, struct wire_frame *frame)
{
	switch (frame->type) {
	case WIRE_HELLO:
	case WIRE_HELLO_NO:
		frame->version = take32(in);
		/* Whatever follows in another version is not ours to judge. */
		if (frame->version < WIRE_VERSION_LEAST || frame->version > WIRE_VERSION)
			return in->is_bad ? WIRE_BROKEN : WIRE_GOT;
		frame->epoch = take64(in);
		break;
	case WIRE_HELLO_OK:
		frame->version = take32(in);
		frame->pid = (int32_t)take32(in);
		frame->count = take32(in);
		break;
	case WIRE_START:
		return take_start(in, frame); /* which looks at what is left */
	case WIRE_CANCEL:
		frame->token = take_token(in);
		frame->now = take_upto(in, 1);
		break;
	case WIRE_REPORT:
		take_report(in, &frame->report);
		break;
	case WIRE_TABLE_END:
		break;
	default:
		return WIRE_BROKEN;
	}
	return in->is_bad || in->left ? WIRE_BROKEN : WIRE_GOT;
}

void wire_frame_fini(struct wire_frame *frame)
{
	if (frame->more)
		mem_free(frame->more->groups);
	mem_free(frame->more);
	mem_free(frame->arrays);
	frame->more = NULL;
	frame->arrays = NULL;
}

enum wire_take wire_decode(struct str bytes, struct wire_frame *ret_frame, size_t *ret_used)
{
	const unsigned char *at = (const unsigned char *)bytes.ptr;
	struct wire_frame frame = {.arrays = NULL};
	struct cursor in;
	enum wire_take taken;
	uint32_t len;

	if (bytes.len < HEAD_BYTES)
		return WIRE_MORE;
	len = bytes_get32(at);
	if (len == 0 || len > WIRE_FRAME_BYTES_MAX)
		return WIRE_BROKEN;
	if (bytes.len - 4 < len)
		return WIRE_MORE;
	frame.type = (enum wire_type)at[4];
	in = (struct cursor){at + HEAD_BYTES, len - 1, false};
	taken = body_take(&in, &frame);
	if (taken != WIRE_GOT) {
		wire_frame_fini(&frame);
		return taken;
	}
	*ret_frame = frame;
	if (frame.start.user)
		ret_frame->start.user = &ret_frame->user;
	*ret_used = 4 + (size_t)len;
	return WIRE_GOT;
}
