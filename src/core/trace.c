/* trace.c - see trace.h */
#include "core/trace.h"

#include <stdio.h>

/* Lower case only, as the recommendation has it. */
static bool is_hex(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		bool is_digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';

		if (!is_digit && !(text.ptr[i] >= 'a' && text.ptr[i] <= 'f'))
			return false;
	}
	return true;
}

static bool is_id(struct str text)
{
	bool is_zero = true;

	for (size_t i = 0; i < text.len; i++)
		is_zero = is_zero && text.ptr[i] == '0';
	return is_hex(text) && !is_zero;
}

bool trace_id_valid(struct str text)
{
	return text.len == 32 && is_id(text);
}

bool trace_parent_read(struct str text, struct trace_parent *ret_parent)
{
	struct str version;
	struct str trace_id;
	struct str span_id;
	struct str flags;

	if (text.len < TRACE_PARENT_BYTES)
		return false;
	version = str_cut(text, 0, 2);
	trace_id = str_cut(text, 3, 35);
	span_id = str_cut(text, 36, 52);
	flags = str_cut(text, 53, 55);
	if (text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-' || !is_hex(version) ||
	    !is_hex(flags) || str_is(version, "ff"))
		return false;
	if (text.len > TRACE_PARENT_BYTES &&
	    (str_is(version, "00") || text.ptr[TRACE_PARENT_BYTES] != '-'))
		return false;
	if (!is_id(trace_id) || !is_id(span_id))
		return false;
	/* The lowest bit: every second digit has it, 1 3 5 7 9 b d f. */
	*ret_parent = (struct trace_parent){
	    .trace_id = trace_id,
	    .span_id = span_id,
	    .is_sampled = str_has(STR("13579bdf"), flags.ptr[1]),
	};
	return true;
}

void trace_parent_write(struct str trace_id, uint64_t span_id, bool is_sampled,
			char text[TRACE_PARENT_BYTES + 1])
{
	(void)snprintf(text, TRACE_PARENT_BYTES + 1, "00-%.*s-%016llx-%s", STR_ARG(trace_id),
		       (unsigned long long)span_id, is_sampled ? "01" : "00");
}
