/* escape.h - bytes that a terminal would obey, made visible.
 *
 * What a command wrote, or a file is called, may hold anything: sequences that rewrite the screen,
 * set the clipboard or turn the direction of text. On a terminal they are shown as `\xNN`. */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include "base/buf.h"

/* Append `text` with these bytes written as `\xNN`: C0 but \n and \t, DEL, C1 (U+0080 .. U+009F),
 * the bidirectional controls (U+061C, U+200E, U+200F, U+202A .. U+202E, U+2066 .. U+2069), and
 * malformed UTF-8. Returns how many bytes of `text` were used: all of them when `is_end`, else a
 * sequence that is cut at its end (at most 3 bytes) may be left for the next piece. */
size_t escape_put(struct buf *out, struct str text, bool is_end);

#endif
