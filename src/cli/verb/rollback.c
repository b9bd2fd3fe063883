/* rollback.c - sluice rollback: undo what succeeded in a run */
#include "cli/carry.h"

static int run(struct cli *cli)
{
	struct sluice_rollback_opts options = {.reason = cli->options.value[OPT_REASON],
					       .as = cli->options.value[OPT_AS]};
	struct sluice_run *rolled = NULL;
	struct sluice_error err;
	struct carry carry;
	int status;

	if (!carry_begin(&carry, cli, false, &options.observer, &status))
		return status;
	if (sluice_run_rollback(cli->sluice, cli->options.words[0], &options, &rolled, &err) !=
	    SLUICE_OK)
		status = print_error(&err);
	else
		status = carry_on(&carry, rolled);
	carry_fini(&carry);
	return status;
}

static const enum option rollback_options[] = {OPT_REASON, OPT_AS, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_rollback = {
    .name = "rollback",
    .usage = "RUN [--reason TEXT] [--as NAME]",
    .summary = "undo what succeeded in a run",
    .help = "  sluice rollback @failed\n"
	    "  sluice rollback nightly --reason 'wrong input' --as anna\n"
	    "\n"
	    "Each step that succeeded and has `compensate` is undone, the last one first. The run "
	    "must have\n"
	    "failed, have been stopped or be blocked; afterwards it is rolled_back, and cannot be "
	    "resumed.\n"
	    "If a compensation fails the rollback ends there (exit 1); the same command goes on "
	    "from it.\n",
    .options = rollback_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
