/* diag.h - what is wrong with a pipeline file: every error of one pass, with its place.
 *
 * Codes SLUnnn are listed in diag.def with a title and an explanation (`sluice explain SLU014`). */
#ifndef LANG_DIAG_H
#define LANG_DIAG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

enum diag_code {
#define DIAG(number, name, title, text) DIAG_##name = (number),
#include "lang/diag.def"
};

struct diag {
	enum diag_code code;
	uint32_t line;   /* 1-based; 0 = the file as a whole */
	uint32_t column; /* 1-based, in code points */
	struct str text;
	struct str hint; /* may be empty */
};

struct diags {
	struct arena arena; /* owns the texts */
	struct diag *items; /* in order of place */
	size_t count, capacity;
	size_t limit; /* further ones are only counted */
	size_t dropped;
	bool is_short_of_memory;
};

/* Empty; as many as `limit` are kept, further ones are counted. */
void diags_init(struct diags *diags, size_t limit);
/* Frees them and their texts. */
void diags_fini(struct diags *diags);
/* One more, without a hint. When memory is short it is lost, and is_short_of_memory says so. */
void diags_add(struct diags *diags, enum diag_code code, uint32_t line, uint32_t column,
	       const char *format, ...) PRINTF_LIKE(5, 6);
/* Of the last one added. */
void diags_hint(struct diags *diags, const char *format, ...) PRINTF_LIKE(2, 3);
void diags_sort(struct diags *diags);
/* `file:line:col: error[SLUnnn]: text`, the source line, a caret line, `hint: ...`. Control
 * characters of the source line are shown as `\xNN`. */
void diags_print(const struct diags *diags, struct str file, struct str source, struct buf *out);

/* "SLU014"; title; explanation. NULL for an unknown number. */
const char *diag_title(uint32_t number);
const char *diag_explanation(uint32_t number);

#endif
