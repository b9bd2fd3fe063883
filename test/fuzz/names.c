/* names.c - names of runs and steps, the ids of a trace, and the tokens in the environment of
 * commands, against regular expressions of the C library; and RUN as a person writes it, looked for
 * in a state directory in memory. */
#include "base/mem.h"
#include "core/trace.h"
#include "fuzz.h"
#include "keeper/token_table.h"
#include "rundir/rundir.h"
#include "sys/vfs_mem.h"

#include <regex.h>
#include <string.h>

#define HOME "/state"

/* Does the whole text match? A text with a NUL matches nothing here. */
static bool matches(struct str text, const char *pattern)
{
	char *ended = mem_text(text.ptr, text.len);
	regex_t regex;
	bool is_match;

	BUG_IF(!ended || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0);
	is_match = strlen(ended) == text.len && !strchr(ended, '\n') &&
		   regexec(&regex, ended, 0, NULL, 0) == 0;
	regfree(&regex);
	mem_free(ended);
	return is_match;
}

static void trace(struct str text)
{
	struct trace_parent parent = {.is_sampled = false};
	char again[TRACE_PARENT_BYTES + 1];
	bool is_one = matches(text, "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$") &&
		      !matches(text, "^ff") && !matches(text, "^00.{53}.") &&
		      !matches(text, "^...0{32}") && !matches(text, "^.{36}0{16}");

	/* Behind the parts that are known a later version may have any bytes. */
	if (memchr(text.ptr, '\0', text.len) || memchr(text.ptr, '\n', text.len))
		is_one = is_one || trace_parent_read(text, &parent);
	BUG_IF(trace_parent_read(text, &parent) != is_one);
	if (!is_one)
		return;
	BUG_IF(!trace_id_valid(parent.trace_id));
	BUG_IF(parent.is_sampled != matches(str_cut(text, 53, 55), "[13579bdf]$"));
	trace_parent_write(parent.trace_id, 0x0123456789abcdef, parent.is_sampled, again);
	BUG_IF(strlen(again) != TRACE_PARENT_BYTES || !trace_parent_read(str_of(again), &parent));
	BUG_IF(!str_is(parent.span_id, "0123456789abcdef"));
}

/* The digits at the end, UINT64_MAX when they are more than 32 bits. */
static uint64_t number_of(struct str text)
{
	uint64_t value = 0;
	size_t at = text.len;

	while (at > 0 && text.ptr[at - 1] >= '0' && text.ptr[at - 1] <= '9')
		at--;
	for (; at < text.len && value != UINT64_MAX; at++) {
		value = value * 10 + (uint64_t)(text.ptr[at] - '0');
		value = value > UINT32_MAX ? UINT64_MAX : value;
	}
	return value;
}

/* What a process says in SLUICE_TOKEN: it may be a stranger's. */
static void token(struct str text)
{
	struct exec_token token = {.path = STR_NONE};
	char again[TOKEN_TEXT_BYTES];
	bool is_ours = token_parse(STR("run_1"), text, &token);

	if (memchr(text.ptr, '\n', text.len) || memchr(text.ptr, '\0', text.len))
		return; /* it can be a path, and the judge knows no such texts */
	BUG_IF(is_ours !=
	       (matches(text, "^run_1/.+/(run|comp)/[0-9]+$") && number_of(text) <= UINT32_MAX));
	if (!is_ours || text.len >= TOKEN_TEXT_BYTES || matches(text, "/0[0-9]+$"))
		return;
	token_text(STR("run_1"), &token, again);
	BUG_IF(!str_is(text, again));
}

static void put(const struct vfs *vfs, int dir, const char *path, struct str bytes)
{
	struct err err = ERR_INIT;
	int fd = -1;

	BUG_IF(vfs_open(vfs, dir, path, VFS_NEW, &fd, &err) != ERR_OK);
	BUG_IF(vfs_write(vfs, fd, bytes.ptr, bytes.len, &err) != ERR_OK);
	vfs_close(vfs, fd);
}

/* What is found lies in `runs`, unless the text is a path (has a '/'). */
static void find(struct str text, struct str content)
{
	static const char *const ids[] = {"a", "ab", "abc-1", "abc-2", "20260101T000000-7f3a9c"};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	struct vfs_mem *mem = NULL;
	struct vfs vfs;
	int dir = -1;

	BUG_IF(vfs_mem_new(&mem, &err) != ERR_OK);
	vfs = vfs_mem_vfs(mem);
	BUG_IF(vfs_root(&vfs, HOME "/runs", true, &dir, &err) != ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char name[64] = "";

		BUG_IF(vfs_make_dir(&vfs, dir, ids[i], &err) != ERR_OK);
		(void)strcat(strcpy(name, ids[i]), "/events.jsonl");
		put(&vfs, dir, name, content);
	}
	if (rundir_find(&vfs, HOME, text, &path, &err) == ERR_OK) {
		BUG_IF(path.len == 0 || path.ptr[0] != '/' || strlen(path.ptr) != path.len);
		if (!str_has(text, '/'))
			BUG_IF(!str_starts(buf_view(&path), HOME "/runs/") ||
			       str_find(buf_view(&path), "/../", 0) != SIZE_MAX ||
			       str_ends(buf_view(&path), "/.."));
	} else {
		BUG_IF(!err.text[0]);
	}
	vfs_close(&vfs, dir);
	vfs_mem_free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct str text = line_next(&bytes);

	BUG_IF(name_valid(text) != matches(text, "^[A-Za-z_][A-Za-z0-9_]{0,63}$"));
	BUG_IF(id_valid(text) !=
	       (matches(text, "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$") && !matches(text, "\\.\\.")));
	BUG_IF(trace_id_valid(text) !=
	       (matches(text, "^[0-9a-f]{32}$") && !matches(text, "^0{32}$")));
	trace(text);
	token(text);
	find(text, text_next(&bytes, bytes.left));
	return 0;
}
