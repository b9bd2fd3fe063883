/* str.h - a borrowed slice of bytes, and the few questions that we ask of text.
 *
 * A slice owns nothing and need not end in NUL; who made the bytes says how long they live. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr; /* may be NULL when len is 0: "absent" */
	size_t len;
};

#define STR_NONE \
	(struct str) \
	{ \
		NULL, 0 \
	}
#define STR(literal) \
	(struct str) \
	{ \
		("" literal), sizeof(literal) - 1 \
	}
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(slice) ((int)(slice).len), ((slice).ptr ? (slice).ptr : "")

/* The shortest questions are answered in place: a definition asks them a hundred times a step,
 * mostly of a text whose length the compiler knows. */

/* The slice of a NUL-ended text; NULL gives STR_NONE. */
static inline struct str str_of(const char *text)
{
	return text ? (struct str){text, strlen(text)} : STR_NONE;
}

/* The slice of `len` bytes. */
static inline struct str str_from(const char *ptr, size_t len)
{
	return (struct str){ptr, len};
}

/* Are they the same bytes? No letters: nothing here looks at a locale. An absent text equals an
 * empty one. */
static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The same beside a NUL-ended text. */
static inline bool str_is(struct str a, const char *text)
{
	if (!text || !text[0])
		return a.len == 0;
	/* In a list of words the first letter nearly always says no. */
	return a.len > 0 && a.ptr[0] == text[0] && str_eq(a, str_of(text));
}

/* Its beginning, its end, its order (that of bytes, for qsort), a byte of it. */
bool str_starts(struct str a, const char *prefix);
bool str_ends(struct str a, const char *suffix);
int str_cmp(struct str a, struct str b);
bool str_has(struct str a, char byte);
/* Offset of the first occurrence of `needle` at or after `from`; SIZE_MAX if none. */
size_t str_find(struct str a, const char *needle, size_t from);
struct str str_cut(struct str a, size_t from, size_t to); /* bounds are clamped */
struct str str_trim(struct str a);                        /* spaces, tabs, CR, LF at both ends */

/* Whole slice as a decimal number; false when it is not one or does not fit. */
bool str_to_i64(struct str a, int64_t *ret_value);
bool str_to_u64(struct str a, uint64_t *ret_value);
/* Finite decimal floating point, C locale whatever the process has. */
bool str_to_double(struct str a, double *ret_value);

/* Two lower-case hexadecimal digits a byte, and a NUL: `text` has room for 2 * len + 1
 * characters. */
void hex_write(const void *bytes, size_t len, char *text);

/* Well-formed UTF-8 without surrogates and overlong forms (Unicode 15, table 3-7). */
bool utf8_valid(struct str a);
/* Length of the well-formed sequence at the start of `a` (1..4), 0 if it is malformed or cut. */
size_t utf8_len(struct str a);
/* The first `bytes_max` bytes at most, up to three fewer where they would end within a well-formed
 * sequence. Malformed bytes are cut like any others. */
struct str utf8_cut(struct str a, size_t bytes_max);

/* `[A-Za-z_][A-Za-z0-9_]{0,63}`: names of steps, params, outputs, artifacts. */
bool name_valid(struct str a);
/* `[A-Za-z0-9][A-Za-z0-9._-]{0,127}` without "..": pipelines, run ids. */
bool id_valid(struct str a);

/* Of `count` candidates the one that a person most likely meant by `word`: smallest edit distance,
 * at most a third of its length and one more (two swapped letters are one edit), the first of
 * equals; NULL if none is near. */
const char *str_nearest(struct str word, const char *const *candidates, size_t count);

#endif
