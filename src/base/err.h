/* err.h - the one error type: a code, where it was raised, and a text for a person.
 *
 * Every function that can fail returns enum err_code and takes `struct err *err` last. The rules:
 * 0 is OK; `err` is never NULL, is set exactly once, and is untouched on success; context is added
 * on the way up with err_while(). Reporting needs no memory: the struct lives on a caller's stack.
 * Texts are lower case, without a full stop, "what: why". */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#define MUST_CHECK               __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum err_code {
	ERR_OK = 0,
#define ERR(name, value, exit, http, class, text) ERR_##name = (value),
#include "base/err.def"
};

/* What a caller does about a code. Anything unknown is HALT. */
enum err_class { ERR_CLASS_CALLER, ERR_CLASS_RETRY, ERR_CLASS_HALT };

#define ERR_TEXT_BYTES 480
#define ERR_HINT_BYTES 240

struct err {
	enum err_code code;
	int sys;          /* errno of the failed call, 0 if none */
	const char *file; /* where it was raised; static text */
	int line;
	char text[ERR_TEXT_BYTES];
	char hint[ERR_HINT_BYTES]; /* the next step for a person; empty if there is none */
};

#define ERR_INIT \
	{ \
		.code = ERR_OK \
	}

/* Record a failure and return its code, so that `return err_set(...)` reads as one act. */
#define err_set(err, code, ...) err_set_at(err, code, 0, __FILE__, __LINE__, __VA_ARGS__)

/* Record a failed system call: errno decides between FULL (ENOSPC, EDQUOT, EFBIG), MEMORY
 * (ENOMEM), NOT_FOUND (ENOENT) and IO; its text is appended. */
#define err_sys(err, ...) err_sys_at(err, __FILE__, __LINE__, __VA_ARGS__)

/* The same for an explicit errno value. */
#define err_sysno(err, number, ...) err_sysno_at(err, number, __FILE__, __LINE__, __VA_ARGS__)

/* Prefix the text of a failure with what was being done ("append record 7: ..."). Returns its
 * code. */
enum err_code err_while(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Set the next step that a person can take. Returns the code of `err`. */
enum err_code err_hint(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Behind the macros: use those. */
enum err_code err_set_at(struct err *err, enum err_code code, int sys, const char *file, int line,
			 const char *format, ...) PRINTF_LIKE(6, 7);
enum err_code err_sys_at(struct err *err, const char *file, int line, const char *format, ...)
    PRINTF_LIKE(4, 5);
enum err_code err_sysno_at(struct err *err, int number, const char *file, int line,
			   const char *format, ...) PRINTF_LIKE(5, 6);

/* Name ("CORRUPT"), description, exit status (S13), HTTP status and class of a code. An unknown
 * code has class HALT and exit status 10. */
const char *err_name(enum err_code code);
const char *err_about(enum err_code code);
int err_exit_status(enum err_code code);
int err_http_status(enum err_code code);
enum err_class err_class(enum err_code code);

/* Back to "no error", for a value that is used again. */
void err_reset(struct err *err);

/* An invariant of ours is broken: nothing can be trusted, so stop. Always on, in release too;
 * the log is safe because an append is whole lines and recovery cuts what was not acknowledged.
 * Never for input, never for a mistake of the caller of the public API. */
#define BUG_IF(condition) \
	do { \
		if (__builtin_expect(!!(condition), 0)) \
			bug_at(#condition, __FILE__, __LINE__); \
	} while (0)

/* Behind BUG_IF: one line to stderr, then abort(3). */
_Noreturn void bug_at(const char *condition, const char *file, int line);

#endif
