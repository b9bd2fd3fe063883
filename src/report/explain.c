/* explain.c - see explain.h */
#include "report/explain.h"

#include "lang/diag.h"

#include <string.h>
#include <strings.h>

#define TEXT_COLUMNS 80

void text_wrap(struct buf *out, struct str text, const char *indent, size_t columns)
{
	size_t room = columns - strlen(indent);
	size_t at = 0;

	while (at < text.len) {
		size_t end = at + room < text.len ? at + room : text.len;
		size_t cut = end;

		while (end < text.len && cut > at && text.ptr[cut] != ' ')
			cut--;
		if (cut == at)
			cut = end; /* a word longer than a line */
		buf_text(out, indent);
		buf_put(out, text.ptr + at, cut - at);
		buf_byte(out, '\n');
		at = cut;
		while (at < text.len && text.ptr[at] == ' ')
			at++;
	}
}

enum err_code explain_code(struct str code, struct buf *out, struct err *err)
{
	struct str digits = code;
	uint64_t number;

	if (code.len > 3 && strncasecmp(code.ptr, "SLU", 3) == 0)
		digits = str_cut(code, 3, code.len);
	if (!str_to_u64(digits, &number) || number > UINT32_MAX || !diag_title((uint32_t)number)) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no error number '%.*s'", STR_ARG(code));
		return err_hint(err,
				"error numbers look like SLU031; `sluice lint FILE` prints them");
	}
	buf_fmt(out, "SLU%03u: %s\n\n", (unsigned)number, diag_title((uint32_t)number));
	text_wrap(out, str_of(diag_explanation((uint32_t)number)), "", TEXT_COLUMNS);
	return buf_check(out, "explanation", err);
}
