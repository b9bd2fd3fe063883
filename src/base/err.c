/* err.c - see err.h */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct err_row {
	enum err_code code;
	int exit;
	int http;
	enum err_class class;
	const char *name;
	const char *about;
};

static const struct err_row rows[] = {
    {ERR_OK, 0, 200, ERR_CLASS_CALLER, "OK", "no error"},
#define ERR(name, value, exit, http, class, text) \
	{ERR_##name, exit, http, ERR_CLASS_##class, #name, text},
#include "base/err.def"
};

static const struct err_row *row_of(enum err_code code)
{
	static const struct err_row unknown = {ERR_OK,         10,        500,
					       ERR_CLASS_HALT, "UNKNOWN", "an unknown code"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].code == code)
			return &rows[i];
	}
	return &unknown;
}

const char *err_name(enum err_code code)
{
	return row_of(code)->name;
}

const char *err_about(enum err_code code)
{
	return row_of(code)->about;
}

int err_exit_status(enum err_code code)
{
	return row_of(code)->exit;
}

int err_http_status(enum err_code code)
{
	return row_of(code)->http;
}

enum err_class err_class(enum err_code code)
{
	return row_of(code)->class;
}

void err_reset(struct err *err)
{
	err->code = ERR_OK;
	err->sys = 0;
	err->text[0] = '\0';
	err->hint[0] = '\0';
}

static void raise_at(struct err *err, enum err_code code, int sys, const char *file, int line)
{
	BUG_IF(code == ERR_OK);
	err->code = code;
	err->sys = sys;
	err->file = file;
	err->line = line;
	err->hint[0] = '\0';
}

enum err_code err_set_at(struct err *err, enum err_code code, int sys, const char *file, int line,
			 const char *format, ...)
{
	va_list args;

	raise_at(err, code, sys, file, line);
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args); /* a cut text is still one */
	va_end(args);
	return code;
}

static enum err_code code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_FULL;
	case ENOMEM:
		return ERR_MEMORY;
	case ENOENT:
		return ERR_NOT_FOUND;
	default:
		return ERR_IO;
	}
}

static PRINTF_LIKE(5, 0) enum err_code sys_va(struct err *err, int number, const char *file,
					      int line, const char *format, va_list args)
{
	size_t len;

	raise_at(err, code_of_errno(number), number, file, line);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(number));
	return err->code;
}

enum err_code err_sys_at(struct err *err, const char *file, int line, const char *format, ...)
{
	int number = errno;
	va_list args;

	va_start(args, format);
	(void)sys_va(err, number, file, line, format, args);
	va_end(args);
	return err->code;
}

enum err_code err_sysno_at(struct err *err, int number, const char *file, int line,
			   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)sys_va(err, number, file, line, format, args);
	va_end(args);
	return err->code;
}

enum err_code err_while(struct err *err, const char *format, ...)
{
	char inner[ERR_TEXT_BYTES];
	va_list args;
	size_t len;

	BUG_IF(err->code == ERR_OK);
	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
	return err->code;
}

enum err_code err_hint(struct err *err, const char *format, ...)
{
	va_list args;

	BUG_IF(err->code == ERR_OK);
	va_start(args, format);
	(void)vsnprintf(err->hint, sizeof(err->hint), format, args);
	va_end(args);
	return err->code;
}

void bug_at(const char *condition, const char *file, int line)
{
	/* The one print of a library layer: the process ends with it. */
	fprintf(stderr, "sluice: internal error: %s (%s:%d)\n", condition, file, line);
	abort();
}
