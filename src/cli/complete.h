/* complete.h - what may stand next on a command line: for the completion of shells.
 *
 * Made from the tables: verbs and what their `usage` names (FILE, RUN, STEP ...), options, and the
 * values that an option's help begins with (`auto, always or never`). Quiet: whatever cannot be
 * found out is left out. Nothing is offered that a shell would have to quote. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "base/buf.h"

/* Append the candidates for the last of `words` (what was typed of it so far, maybe empty); the
 * words before it are the command line without the program's name. A line each, `word<TAB>meaning`,
 * the most likely first; a line `:files` or `:folders` asks the shell for those too. */
void complete_put(struct buf *out, const char *const *words, size_t count);

#endif
