/* sim_scan.c - see sim_scan.h */
#include "sim/sim_scan.h"

#include <stdio.h>
#include <string.h>

#define END_BYTES 24 /* ,"h":"0123456789abcdef"} */
#define H_BYTES   16

/* What follows `"name":` up to the end of a string, or of a number. */
static struct str value_of(struct str line, const char *name)
{
	char key[40];
	size_t at;
	size_t end;

	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = str_find(line, key, 0);
	if (at == SIZE_MAX)
		return STR_NONE;
	at += strlen(key);
	if (at < line.len && line.ptr[at] == '"') {
		end = ++at;
		while (end < line.len && line.ptr[end] != '"')
			end += line.ptr[end] == '\\' ? 2 : 1;
	} else {
		end = at;
		while (end < line.len && line.ptr[end] != ',' && line.ptr[end] != '}')
			end++;
	}
	return str_cut(line, at, end);
}

static uint64_t number_of(struct str text)
{
	uint64_t number = 0;

	return str_to_u64(text, &number) ? number : 0;
}

bool sim_scan_line(struct str content, size_t *at, struct sim_line *ret_line)
{
	size_t end = str_find(content, "\n", *at);
	struct str text;

	if (*at >= content.len || end == SIZE_MAX)
		return false;
	text = str_cut(content, *at, end);
	*at = end + 1;
	*ret_line = (struct sim_line){
	    .text = text,
	    .seq = number_of(str_cut(value_of(text, "event_id"), 4, SIZE_MAX)),
	    .type = value_of(text, "event_type"),
	    .actor = value_of(text, "actor"),
	    .step = value_of(text, "step_id"),
	    .attempt = (uint32_t)number_of(value_of(text, "attempt")),
	    .class = value_of(text, "error_class"),
	    .reason = value_of(text, "reason"),
	    .new_state = value_of(text, "new_state"),
	    .outcome = value_of(text, "outcome"),
	    .gate = value_of(text, "gate"),
	    .is_soft = str_is(value_of(text, "soft"), "true"),
	    .has_delay = value_of(text, "delay_ms").len > 0,
	    .hash = value_of(text, "definition_hash"),
	    .has_changes = value_of(text, "changes").len > 0,
	    .cached_from = value_of(text, "cached_from"),
	};
	return true;
}

struct str sim_scan_object(struct str line, const char *name)
{
	char key[40];
	size_t begin;
	size_t end;
	int depth = 0;

	(void)snprintf(key, sizeof(key), "\"%s\":{", name);
	begin = str_find(line, key, 0);
	if (begin == SIZE_MAX)
		return STR_NONE;
	begin += strlen(key) - 1;
	for (end = begin; end < line.len; end++) {
		depth += (line.ptr[end] == '{') - (line.ptr[end] == '}');
		if (depth == 0)
			break;
	}
	return str_cut(line, begin, end + 1);
}

/* H(n) from H(n-1) and a line; false when the line does not carry it. */
static bool chain_next(struct str line, uint8_t chain[SHA256_BYTES])
{
	char hex[SHA256_HEX_BYTES + 1];
	struct sha256 sha;

	if (line.len <= END_BYTES)
		return false;
	sha256_start(&sha);
	sha256_add(&sha, chain, SHA256_BYTES);
	sha256_add(&sha, line.ptr, line.len - END_BYTES);
	sha256_end(&sha, chain);
	sha256_hex(chain, hex);
	return memcmp(line.ptr + line.len - END_BYTES, ",\"h\":\"", 6) == 0 &&
	       memcmp(line.ptr + line.len - END_BYTES + 6, hex, H_BYTES) == 0 &&
	       memcmp(line.ptr + line.len - 2, "\"}", 2) == 0;
}

const char *sim_scan_chain(struct str content, struct str run_id, size_t *ret_bytes)
{
	uint8_t chain[SHA256_BYTES];
	struct sim_line line;
	uint64_t seq = 0;
	size_t at = 0;

	*ret_bytes = 0;
	sha256_of(run_id.ptr, run_id.len, chain);
	while (sim_scan_line(content, &at, &line)) {
		if (line.seq != ++seq)
			return "the sequence has a gap";
		if (!chain_next(line.text, chain))
			return "the chain is broken";
		*ret_bytes = at;
	}
	return NULL;
}
