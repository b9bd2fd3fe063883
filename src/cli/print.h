/* print.h - the only way to the screen: answers to stdout, everything else to stderr.
 *
 * Text from outside is escaped when it goes to a terminal (escape.h) and left as it is when it goes
 * to a file or pipe. Colours are ours alone. A reader of stdout that went away ends the command
 * quietly; a stdout that cannot be written otherwise is told of at the end (print_end). */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "base/buf.h"
#include "sluice/sluice.h"

#include <stdbool.h>

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_DIM, STYLE_BOLD };

/* `color`: "auto", "always", "never"; NULL = auto. `is_plain`: nothing is redrawn, and no box
 * drawing or other signs, for screen readers and logs; no colours either, unless they are asked
 * for. False when `color` is none of its words. */
bool print_init(const char *color, bool is_plain);
/* Flush; false when stdout could not be written (the disk is full ...), told on stderr. */
bool print_end(void);

/* Answers. A piece may end inside of a character. */
void print_out(const char *text);
void print_bytes(const char *bytes, size_t len);
/* For sluice_sink_fn: the same; false when nobody reads any more. */
bool print_sink(void *arg, const char *bytes, size_t len);
/* Answers are shown at once from now on: the command follows something. */
void print_at_once(void);

/* Everything else. */
void print_note(const char *format, ...) PRINTF_LIKE(1, 2);
/* `sluice: <text>` and `hint: <hint>` (NULL or empty = none). */
void print_problem(const char *text, const char *hint);
/* Say in an error what else may be done, before what its hint says already. */
void print_hint_add(struct sluice_error *err, const char *hint);
/* The run that the command is about: hints of print_error that say RUN name it. Borrowed; NULL =
 * none. */
void print_about(const char *run);
/* print_problem for an error of the library; returns its exit status. */
int print_error(const struct sluice_error *err);

/* Called as `runner`: problems begin with `Error: ` as system A's did. */
void print_as_runner(void);

/* To stderr as it is: for text that is ours or was escaped already (progress lines). */
void print_raw(struct str text);
bool print_is_live(void); /* stderr is a terminal that can be redrawn */
bool print_is_utf8(void); /* signs beyond ASCII may be shown: the locale says so (locale(7)) */
/* Append `text` in a style to a line for stderr; plain when colours are off. */
void print_style(struct buf *out, enum style style, struct str text);
/* Append text from outside, escaped if stderr is a terminal. */
void print_outside(struct buf *out, struct str text);

#endif
