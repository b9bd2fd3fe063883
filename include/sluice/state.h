/* state.h - an open state directory: where runs live, and what the program brings along */
#ifndef SLUICE_STATE_H
#define SLUICE_STATE_H

#include <sluice/storage.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice; /* an open state directory: <state> of the manual */

struct sluice_state_opts {
	const char
	    *state_dir; /* default: $SLUICE_HOME, $XDG_STATE_HOME/sluice, ~/.local/state/sluice */
	const char *keeper_path;   /* the sluice-keeper executable; default: the one beside the
				    * program's   executable, in its ../libexec/sluice, or where it
				    * was   installed   with the library */
	const char *const *limits; /* "name=value" texts, NULL-ended */
	int64_t
	    step_timeout_ms; /* of an attempt, for steps of pipelines that do not say; 0 = none */
	int64_t run_timeout_ms; /* of a run, for pipelines that do not say; 0 = none */
	const struct sluice_clock_def *clock; /* copied; NULL = the machine's */
	/* Where runs are kept; copied; NULL = the file system. In another storage nothing but this
	 * program sees them: local commands are refused (their keeper needs files), and a run that
	 * is carried on has no control socket. Pipeline files, inputs and artifacts are in the file
	 * system as ever. */
	const struct sluice_storage_def *storage;
};

/* Open a state directory; it need not exist yet, and nothing is written before a run starts.
 * `options` may be NULL. Close it with sluice_close, after the runs that were started with it.
 * USAGE: an unknown limit, or no directory can be found (no home). NOT_FOUND: keeper_path. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_open(const struct sluice_state_opts *options,
							  struct sluice **ret_sluice,
							  struct sluice_error *err);
/* Close it; accepts NULL. */
SLUICE_API void sluice_close(struct sluice *sluice);
/* Its absolute path, borrowed; NULL without a handle. */
SLUICE_API const char *sluice_state_dir(const struct sluice *sluice);
/* What is worth knowing about how this thread's last call that reads history (sluice_list,
 * sluice_stats, sluice_reindex) or whose answer has no room for it (sluice_events, sluice_compare,
 * sluice_run_graph, sluice_resume_check) came to its answer, such as why it could not use its
 * database, or that a log has a torn tail; empty when there is nothing, or when that call was of
 * another handle. Good until the thread's next such call. */
SLUICE_API const char *sluice_note(const struct sluice *sluice);

#ifdef __cplusplus
}
#endif

#endif
