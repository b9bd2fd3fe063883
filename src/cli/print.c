/* print.c - see print.h */
#include "cli/print.h"

#include "base/mem.h"
#include "cli/escape.h"
#include "sys/environment.h"
#include "sys/terminal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OUT_FD           1
#define ERR_FD           2
#define OUT_GATHER_BYTES ((size_t)65536)
#define SEQUENCE_BYTES   4 /* the longest in UTF-8 */

static struct {
	bool is_out_terminal;
	bool is_err_terminal;
	bool is_live; /* stderr can be redrawn */
	bool is_utf8;
	bool is_coloured;
	bool is_at_once;
	bool is_runner;
	const char *about;        /* the run of hints; NULL = none */
	bool is_gone;             /* nobody reads stdout any more */
	int failed;               /* errno of a write that failed otherwise */
	struct buf out;           /* gathered */
	char cut[SEQUENCE_BYTES]; /* the beginning of a character that the last piece ended in */
	size_t cut_len;
} screen;

static bool is_set(const char *variable)
{
	const char *value = environment_get(variable);

	return value && value[0];
}

/* The first of the three that is set decides (locale(7)). */
static bool locale_is_utf8(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	size_t i = 0;
	struct str locale;

	while (i < ARRAY_LEN(variables) && !is_set(variables[i]))
		i++;
	if (i == ARRAY_LEN(variables))
		return false;
	locale = str_of(environment_get(variables[i]));
	return str_find(locale, "UTF-8", 0) != SIZE_MAX || str_find(locale, "utf8", 0) != SIZE_MAX;
}

bool print_init(const char *color, bool is_plain)
{
	const char *term = environment_get("TERM");
	bool is_dumb = is_plain || !term || !term[0] || strcmp(term, "dumb") == 0;

	screen.is_out_terminal = terminal_is(OUT_FD);
	screen.is_err_terminal = terminal_is(ERR_FD);
	screen.is_live = screen.is_err_terminal && !is_dumb;
	screen.is_utf8 = !is_dumb && locale_is_utf8();
	if (!color || strcmp(color, "auto") == 0)
		screen.is_coloured = screen.is_live && !is_set("NO_COLOR");
	else if (strcmp(color, "always") == 0)
		screen.is_coloured = true;
	else if (strcmp(color, "never") == 0)
		screen.is_coloured = false;
	else
		return false;
	return true;
}

/* ------------------------------------------------------------------------------- stdout */

static void flush_out(void)
{
	if (screen.out.len > 0 && !screen.is_gone && screen.failed == 0 &&
	    !terminal_write(OUT_FD, screen.out.ptr, screen.out.len)) {
		if (errno == EPIPE)
			screen.is_gone = true;
		else
			screen.failed = errno;
	}
	buf_clear(&screen.out);
}

/* Escaped; a character cut at the end of the piece waits for its rest. */
static void put_escaped(const char *bytes, size_t len)
{
	while (screen.cut_len > 0 && len > 0) {
		struct str held;
		size_t used;

		screen.cut[screen.cut_len++] = *bytes++;
		len--;
		held = str_from(screen.cut, screen.cut_len);
		used = escape_put(&screen.out, held, screen.cut_len == SEQUENCE_BYTES);
		memmove(screen.cut, screen.cut + used, screen.cut_len - used);
		screen.cut_len -= used;
	}
	if (len > 0) {
		size_t used = escape_put(&screen.out, str_from(bytes, len), false);

		screen.cut_len = len - used;
		memcpy(screen.cut, bytes + used, screen.cut_len);
	}
}

void print_bytes(const char *bytes, size_t len)
{
	if (screen.is_out_terminal)
		put_escaped(bytes, len);
	else
		buf_put(&screen.out, bytes, len);
	if (screen.out.failed != ERR_OK)
		screen.failed = ENOMEM;
	if (screen.is_at_once || screen.out.len >= OUT_GATHER_BYTES)
		flush_out();
}

void print_out(const char *text)
{
	print_bytes(text, strlen(text));
}

bool print_sink(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	print_bytes(bytes, len);
	return !screen.is_gone && screen.failed == 0;
}

void print_at_once(void)
{
	screen.is_at_once = true;
	flush_out();
}

bool print_end(void)
{
	if (screen.cut_len > 0)
		(void)escape_put(&screen.out, str_from(screen.cut, screen.cut_len), true);
	screen.cut_len = 0;
	flush_out();
	buf_fini(&screen.out);
	if (screen.failed == 0)
		return true;
	print_note("sluice: write the answer: %s\n", strerror(screen.failed));
	return false;
}

/* ------------------------------------------------------------------------------- stderr */

void print_raw(struct str text)
{
	/* There is nobody left to tell when stderr itself fails. */
	(void)terminal_write(ERR_FD, text.ptr, text.len);
}

bool print_is_live(void)
{
	return screen.is_live;
}

bool print_is_utf8(void)
{
	return screen.is_utf8;
}

void print_outside(struct buf *out, struct str text)
{
	if (screen.is_err_terminal)
		(void)escape_put(out, text, true);
	else
		buf_str(out, text);
}

void print_style(struct buf *out, enum style style, struct str text)
{
	static const char *const codes[] = {
	    [STYLE_PLAIN] = "",        [STYLE_GOOD] = "\033[32m", [STYLE_BAD] = "\033[31m",
	    [STYLE_WARN] = "\033[33m", [STYLE_DIM] = "\033[2m",   [STYLE_BOLD] = "\033[1m"};

	if (!screen.is_coloured || style == STYLE_PLAIN) {
		buf_str(out, text);
		return;
	}
	buf_text(out, codes[style]);
	buf_str(out, text);
	buf_text(out, "\033[0m");
}

/* To stderr, in the order in which it was said. When memory is too short for the text, that is
 * said. */
static void say(const struct buf *text)
{
	flush_out();
	print_raw(text->failed == ERR_OK ? buf_view(text) : STR("sluice: memory is short\n"));
}

void print_note(const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf shown = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	print_outside(&shown, buf_view(&text));
	say(text.failed == ERR_OK ? &shown : &text);
}

void print_as_runner(void)
{
	screen.is_runner = true;
}

void print_problem(const char *text, const char *hint)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;

	print_style(&line, STYLE_BAD, screen.is_runner ? STR("Error:") : STR("sluice:"));
	buf_byte(&line, ' ');
	print_outside(&line, str_of(text));
	buf_byte(&line, '\n');
	if (hint && hint[0]) {
		print_style(&line, STYLE_BOLD, STR("hint:"));
		buf_byte(&line, ' ');
		print_outside(&line, str_of(hint));
		buf_byte(&line, '\n');
	}
	say(&line);
}

void print_hint_add(struct sluice_error *err, const char *hint)
{
	AUTO(buf_fini) struct buf both = BUF_INIT;

	buf_text(&both, hint);
	if (err->hint[0]) {
		buf_text(&both, "; ");
		buf_text(&both, err->hint);
	}
	if (both.failed == ERR_OK)
		(void)snprintf(err->hint, sizeof(err->hint), "%.*s", STR_ARG(buf_view(&both)));
}

/* What to do next about errors that do not say it themselves. */
static const char *hint_of(const struct sluice_error *err)
{
	static const char *const hints[] = {
	    [SLUICE_LOCKED] = "wait for it, or ask it: `sluice status RUN`, `sluice stop RUN`",
	    [SLUICE_IO] = "`sluice doctor` looks at the place; a run that was cut off goes on with "
			  "`sluice resume RUN`",
	    [SLUICE_FULL] = "make room; then `sluice resume RUN` goes on",
	    [SLUICE_CORRUPT] =
		"nothing was changed; `sluice verify RUN` tells how far the log is good",
	    [SLUICE_NEWER] = "use the version that wrote it, or a later one",
	};

	if (err->hint[0] || (size_t)err->code >= ARRAY_LEN(hints))
		return err->hint;
	return hints[err->code];
}

void print_about(const char *run)
{
	bool is_word = run && run[0] != '-' && run[0] &&
		       strspn(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._/@-") == strlen(run);

	screen.about = is_word ? run : NULL;
}

/* The hint with the run for each RUN that stands as a word of its own. */
static void hint_fill(struct buf *out, struct str hint)
{
	size_t from = 0;

	while (from < hint.len) {
		size_t at = screen.about ? str_find(hint, " RUN", from) : SIZE_MAX;
		size_t end = at == SIZE_MAX ? hint.len : at + strlen(" RUN");

		buf_str(out, str_cut(hint, from, at == SIZE_MAX ? hint.len : at + 1));
		if (at != SIZE_MAX)
			buf_text(out, end < hint.len && (isalnum((unsigned char)hint.ptr[end]) ||
							 hint.ptr[end] == '_')
					  ? "RUN"
					  : screen.about);
		from = end;
	}
}

int print_error(const struct sluice_error *err)
{
	AUTO(buf_fini) struct buf hint = BUF_INIT;

	hint_fill(&hint, str_of(hint_of(err)));
	print_problem(err->text, hint.failed == ERR_OK ? hint.ptr : hint_of(err));
	return sluice_exit_status(err->code);
}
