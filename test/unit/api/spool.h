/* spool.h - an executor for tests: each command is a process of its own that outlives the program,
 * and leaves its end in a folder, where another program finds it.
 *
 *   <folder>/<token, / as %>/   made before anything is started
 *     lock                      locked as long as the process lives
 *     end                       "exit 3" or "signal 9", appears whole */
#ifndef TEST_API_SPOOL_H
#define TEST_API_SPOOL_H

#include <sluice/sluice.h>

struct spool;

/* Registers itself as `name`. `folder` is made when it is not there. */
struct spool *spool_new(struct sluice *sluice, const char *name, const char *folder);
/* What runs goes on. After this nothing is reported any more. */
void spool_free(struct spool *spool);
/* The next start is refused with this code and text; SLUICE_OK = no more. */
void spool_refuse(struct spool *spool, enum sluice_code code, const char *text);
/* Forget what is known of every token: look_up can only say LOST. */
void spool_forget(struct spool *spool);
/* The program dies (SIGKILL) in the middle of the next start: before (1) or after (2) the process
 * is made. */
void spool_die(struct spool *spool, int where);

#endif
