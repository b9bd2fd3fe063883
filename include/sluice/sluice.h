/* sluice.h - the public interface of Sluice: load pipelines, run and resume them, act on runs, and
 * ask about them. The command line is a client of this header and of nothing else.
 *
 * C99 and C++ safe. Handles are opaque. Functions return an enum sluice_code: 0 is OK; on failure
 * `err` (may be NULL) is filled and nothing else is touched. NULL where something is needed is
 * SLUICE_USAGE. Texts that a function returns in a
 * `char **ret_*` are NUL-ended, owned by the caller, and freed with sluice_free. Option structs are
 * zero-initialised by the caller: 0 and NULL mean the default. Nothing here prints, installs a
 * signal handler or changes the process's working directory, locale or umask.
 *
 * Threads: several may use one struct sluice at once, but for the calls that change it: what is
 * registered with it (functions, kinds, middleware, executors) is registered before, and it is
 * closed after. A run, a pipeline and settings belong to one thread at a time; pipelines that were
 * read from a text may be shared by those who start runs of them. Any thread may call
 * sluice_run_stop, sluice_executor_report and sluice_ctx_is_cancelled. Functions of `call` and of
 * kinds of steps are called on threads of the library, with every signal blocked but those of
 * faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT). */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/error.h>
#include <sluice/storage.h>
#include <sluice/state.h>
#include <sluice/pipeline.h>
#include <sluice/run.h>
#include <sluice/step.h>
#include <sluice/executor.h>
#include <sluice/act.h>
#include <sluice/query.h>
#include <sluice/admin.h>
#include <sluice/graph.h>

#endif
