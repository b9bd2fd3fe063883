/* defaults.h - what a file left open and the settings of a machine fill in.
 *
 * Done once, before a definition is frozen: a run keeps what it began with (S9.3). */
#ifndef LANG_DEFAULTS_H
#define LANG_DEFAULTS_H

#include "core/model.h"

#include "base/err.h"

/* Timeouts for whatever has none: `step_ns` for the attempts of each step that runs a command,
 * `run_ns` for the run; 0 = none. MEMORY, and then nothing is changed that matters: the model is to
 * be dropped. */
MUST_CHECK enum err_code defaults_fill(struct model *model, int64_t step_ns, int64_t run_ns,
				       struct err *err);

#endif
