/* run.c - runs that this process owns: what the engine gets of the world, carry on, stop, let
 * go. */
#include "api/run_intern.h"

#include "base/timefmt.h"
#include "sys/environment.h"
#include "sys/file.h"

#include <limits.h>
#include <stdio.h>

#define FILES_NEEDED 24 /* of a run under way: log, lock, loop, sockets, keeper's start */

/* ---------------------------------------------------------------------------------- ports */

struct engine_ports run_ports(struct sluice_run *run)
{
	const struct sluice *sluice = run->sluice;

	return (struct engine_ports){
	    .vfs = run->memory ? &run->vfs : sluice->vfs,
	    .is_dry = run->memory != NULL,
	    .clock = sluice->clock,
	    .boot_id = str_of(run->boot_id),
	    .open_exec = run_host_open_exec,
	    .accept = run_host_accept,
	    .is_dry_run_safe = run_host_is_dry_run_safe,
	    .arg = &run->host,
	    .home = sluice->home,
	    .env = environment_all(),
	    .limits = &sluice->limits,
	};
}

struct sluice_run *run_new(struct sluice *sluice, const struct sluice_observer *observer,
			   struct err *err)
{
	struct sluice_run *run = mem_new(1, sizeof(*run));

	if (!run) {
		(void)mem_err(err);
		return NULL;
	}
	run->sluice = sluice;
	run->host.sluice = sluice;
	if (file_room_check(FILES_NEEDED, err) != ERR_OK ||
	    boot_id_read(run->boot_id, err) != ERR_OK ||
	    run_observers_add(run, observer, err) != ERR_OK) {
		mem_free(run);
		return NULL;
	}
	return run;
}

void run_drop(struct sluice_run **run)
{
	sluice_run_free(*run);
}

/* ------------------------------------------------------------------------------- carry on */

int run_exit_status(const struct run_state *run, bool is_rollback)
{
	if (run->state == RUN_BLOCKED)
		return 4;
	switch (run->outcome) {
	case OUTCOME_SUCCESS:
		return 0;
	case OUTCOME_PARTIAL:
		return 5;
	case OUTCOME_STOPPED:
		return 6;
	case OUTCOME_ROLLED_BACK:
		return is_rollback ? 0 : 1;
	case OUTCOME_NONE:
	case OUTCOME_FAILED:
		break;
	}
	return 1;
}

enum sluice_run_state sluice_run_wait(struct sluice_run *run, struct sluice_error *err)
{
	struct err own = ERR_INIT;

	if (!run) {
		(void)api_usage(err, "sluice_run_wait: the run is missing");
		return SLUICE_RUN_UNKNOWN;
	}
	if (drive_run(run->drive, run_tick_ns(run), run_tick_ns(run) < 0 ? NULL : run_tick, run,
		      &own) != ERR_OK) {
		(void)api_err(err, &own);
		return SLUICE_RUN_UNKNOWN;
	}
	return (enum sluice_run_state)engine_state(run->engine)->state;
}

int sluice_run_fd(const struct sluice_run *run)
{
	return run ? drive_fd(run->drive) : -1;
}

int sluice_run_timeout_ms(const struct sluice_run *run)
{
	int64_t wait_ns = run ? drive_wait_ns(run->drive) : -1;

	if (wait_ns < 0)
		return -1;
	/* Rounded up: a host that wakes too early would only ask again. */
	return wait_ns / NS_PER_MS < INT_MAX ? (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS)
					     : INT_MAX;
}

enum sluice_code sluice_run_dispatch(struct sluice_run *run, bool *ret_is_over,
				     struct sluice_error *err)
{
	struct err own = ERR_INIT;

	if (!run || !ret_is_over)
		return api_usage(err, "sluice_run_dispatch needs a run and an answer");
	if (drive_step(run->drive, ret_is_over, &own) != ERR_OK)
		return api_err(err, &own);
	return SLUICE_OK;
}

void run_fill_end(const struct run_state *state, const char *h, bool is_rollback,
		  struct sluice_end *ret_end)
{
	*ret_end = (struct sluice_end){
	    .state = (enum sluice_run_state)state->state,
	    .exit_status = run_exit_status(state, is_rollback),
	};
	if (state->state != RUN_BLOCKED)
		(void)snprintf(ret_end->outcome, sizeof(ret_end->outcome), "%s",
			       outcome_name(state->outcome));
	(void)snprintf(ret_end->receipt, sizeof(ret_end->receipt), "%s", h);
}

void sluice_run_end(const struct sluice_run *run, struct sluice_end *ret_end)
{
	if (!ret_end)
		return;
	if (!run) {
		*ret_end = (struct sluice_end){.exit_status = sluice_exit_status(SLUICE_USAGE)};
		return;
	}
	run_fill_end(engine_state(run->engine), engine_head(run->engine)->h, run->is_rollback,
		     ret_end);
}

_Static_assert((int)SLUICE_RUN_ROLLED_BACK == (int)RUN_ROLLED_BACK, "public states are our own");

void sluice_run_stop(struct sluice_run *run, bool now)
{
	if (run)
		drive_stop(run->drive, now);
}

const char *sluice_run_id(const struct sluice_run *run)
{
	return run ? engine_state(run->engine)->run_id.ptr
		   : NULL; /* kept NUL-ended by the fold's arena */
}

const char *sluice_run_dir(const struct sluice_run *run)
{
	return run ? rundir_path(engine_dir(run->engine)) : NULL;
}

void sluice_run_free(struct sluice_run *run)
{
	if (!run)
		return;
	drive_close(run->drive);
	engine_free(run->engine); /* waits for functions that still run */
	run_host_fini(&run->host);
	mem_free(run->observers);
	vfs_mem_free(run->memory);
	mem_free(run);
}
