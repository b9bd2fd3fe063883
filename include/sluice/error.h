/* error.h - what goes wrong, and the small things that every part of the interface uses */
#ifndef SLUICE_ERROR_H
#define SLUICE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SLUICE_API        __attribute__((visibility("default")))
#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define SLUICE_API
#define SLUICE_MUST_CHECK
#endif

/* Stable values; sluice_exit_status gives the exit status of the command line for each. */
enum sluice_code {
	SLUICE_OK = 0,
	SLUICE_USAGE = 1,
	SLUICE_INVALID = 2,
	SLUICE_REFUSED = 3,
	SLUICE_EXISTS = 4,
	SLUICE_CONFLICT = 5,
	SLUICE_NOT_FOUND = 6,
	SLUICE_LOCKED = 7,
	SLUICE_LIMIT = 8,
	SLUICE_MEMORY = 9,
	SLUICE_IO = 10,
	SLUICE_FULL = 11,
	SLUICE_CORRUPT = 12,
	SLUICE_NEWER = 13,
	SLUICE_GONE = 14,
	SLUICE_UNSUPPORTED = 15
};

struct sluice_error {
	enum sluice_code code;
	int system_errno; /* of the failed system call, 0 if none */
	char text[480];   /* "what: why", lower case, no full stop */
	char hint[240];   /* the next step, or empty */
};

/* Name of a code ("CORRUPT"), and the exit status of the command line for it (0 .. 11). A code that
 * does not exist has a name too, and exit status 10. */
SLUICE_API const char *sluice_code_name(enum sluice_code code);
SLUICE_API int sluice_exit_status(enum sluice_code code);

/* The version of the library, as "0.1.0". */
SLUICE_API const char *sluice_version(void);
/* Free a text that a function returned in a `char **ret_*`; accepts NULL. */
SLUICE_API void sluice_free(void *text);

/* Where text goes that is too long or endless for a string: called with consecutive pieces. Return
 * false to end the call early (it then returns SLUICE_OK). */
typedef bool sluice_sink_fn(void *arg, const char *bytes, size_t len);

/* How an answer is written; each call says which of them it knows. */
enum sluice_format { SLUICE_TEXT, SLUICE_JSON, SLUICE_JSONL, SLUICE_CSV };

#ifdef __cplusplus
}
#endif

#endif
