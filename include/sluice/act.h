/* act.h - acting on a run from outside, also one that another process owns */
#ifndef SLUICE_ACT_H
#define SLUICE_ACT_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_act_opts {
	const char *as;     /* who; default: the login name */
	const char *reason; /* needed for approve and reject */
	bool now;           /* stop: kill running steps */
};

/* These go to the live process that owns the run and return when the event is durable; on a run
 * that nobody owns they take its lock and write the event themselves. REFUSED: the state does not
 * allow it, the name may not decide, or the caller descends from the run's own keeper. A run of
 * this process is asked like any other: some other thread must carry it on meanwhile, else the call
 * waits for an answer in vain (a minute) and fails. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_stop(struct sluice *sluice,
							  const char *run_name,
							  const struct sluice_act_opts *options,
							  struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_approve(struct sluice *sluice,
							     const char *run_name, const char *step,
							     const struct sluice_act_opts *options,
							     struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_reject(struct sluice *sluice,
							    const char *run_name, const char *step,
							    const struct sluice_act_opts *options,
							    struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
