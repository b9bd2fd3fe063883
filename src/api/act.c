/* act.c - decisions on a run from outside: to its live owner, or, when nobody owns it, into its
 * log. */
#include "api/api.h"

#include "engine/control.h"
#include "engine/engine.h"

#define LOOK_MS   10
#define TRIES_MAX 200 /* looks at an owner that is just starting or ending */

/* What becomes of a request that an idle engine decided. */
static void take_answer(void *arg, const struct err *err)
{
	*(struct err *)arg = *err;
}

/* Nobody owns the run: take the lock, write the event, let go; `resume` goes on (S5.6). */
static enum err_code decide_here(struct sluice *sluice, const struct rundir *dir,
				 struct engine_ask *ask, struct err *err)
{
	AUTO(engine_drop) struct engine *engine = NULL;
	char boot_id[BOOT_ID_BYTES + 1];
	struct err answer = ERR_INIT;
	struct engine_ports ports = {
	    .vfs = sluice->vfs,
	    .clock = sluice->clock,
	    .home = sluice->home,
	    .limits = &sluice->limits,
	};

	if (boot_id_read(boot_id, err) != ERR_OK)
		return err->code;
	ports.boot_id = str_of(boot_id);
	if (ask->kind != ENGINE_ASK_STOP && control_check_peer(dir, process_id(), err) != ERR_OK)
		return err->code;
	if (engine_open_idle(&ports, rundir_path(dir), &engine, err) != ERR_OK)
		return err->code;
	ask->answer = take_answer;
	ask->arg = &answer;
	if (engine_ask(engine, ask, err) != ERR_OK || engine_tick(engine, err) != ERR_OK)
		return err->code;
	if (answer.code != ERR_OK)
		*err = answer;
	return err->code;
}

/* The owner may begin or end between two looks, so look again for a while. */
static enum err_code act(struct sluice *sluice, const struct rundir *dir, struct engine_ask *ask,
			 struct err *err)
{
	for (int tries = 0;; tries++) {
		if (decide_here(sluice, dir, ask, err) != ERR_LOCKED)
			return err->code;
		err_reset(err);
		if (control_ask(dir, ask, err) != ERR_GONE || tries == TRIES_MAX)
			return err->code;
		err_reset(err);
		nap_ms(LOOK_MS);
	}
}

static enum sluice_code act_by_name(struct sluice *sluice, const char *run_name,
				    enum engine_ask_kind kind, const char *step,
				    const struct sluice_act_opts *options, struct sluice_error *err)
{
	static const struct sluice_act_opts defaults;
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct err own = ERR_INIT;
	char login[USER_NAME_BYTES];
	struct engine_ask ask = {.kind = kind, .step = str_of(step)};

	if (!sluice || !run_name || (kind != ENGINE_ASK_STOP && !step))
		return api_usage(err, "a run or step is missing");
	if (!options)
		options = &defaults;
	ask.now = options->now;
	ask.person = (struct decide_person){
	    .name = options->as ? str_of(options->as) : api_login_name(login),
	    .reason = str_of(options->reason),
	    .uid = (int64_t)user_id(),
	    .pid = process_id(),
	};
	if (api_person_check(sluice, options->as, &ask.person, &own) != ERR_OK ||
	    api_find_run(sluice, run_name, &dir, &own) != ERR_OK)
		return api_err(err, &own);
	if (act(sluice, dir, &ask, &own) != ERR_OK) {
		(void)api_log_err(rundir_path(dir), &own);
		return api_err(err, &own);
	}
	return SLUICE_OK;
}

enum sluice_code sluice_stop(struct sluice *sluice, const char *run_name,
			     const struct sluice_act_opts *options, struct sluice_error *err)
{
	return act_by_name(sluice, run_name, ENGINE_ASK_STOP, NULL, options, err);
}

enum sluice_code sluice_approve(struct sluice *sluice, const char *run_name, const char *step,
				const struct sluice_act_opts *options, struct sluice_error *err)
{
	return act_by_name(sluice, run_name, ENGINE_ASK_APPROVE, step, options, err);
}

enum sluice_code sluice_reject(struct sluice *sluice, const char *run_name, const char *step,
			       const struct sluice_act_opts *options, struct sluice_error *err)
{
	return act_by_name(sluice, run_name, ENGINE_ASK_REJECT, step, options, err);
}
