/* json_intern.h - what the files of JSON, json_*.c, share; nobody else includes it. */
#ifndef BASE_JSON_INTERN_H
#define BASE_JSON_INTERN_H

#include "base/json.h"
#include "base/json_special.h"

/* Behind what RFC 8259 calls white space. */
static inline const char *json_blanks_skip(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* json_scan.c: the end of the escape whose backslash is at `at`; NULL when it is malformed. */
const char *json_escape_end(const char *at, const char *end);

/* json_scan.c: the value of the four hexadecimal digits at `at`, -1 when they are not. */
int json_hex(const char *at, const char *end);

#endif
