/* doctor.c - sluice doctor: is this machine fit? */
#include "cli/cli.h"

#define DOCTOR_PROBLEM 1

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_doctor_opts options = {.state_dir = given->value[OPT_DIR],
					     .config = given->value[OPT_CONFIG],
					     .settings = given->given[OPT_VERBOSE]};
	struct sluice_error err;
	unsigned problems = 0;
	char *text = NULL;

	if (!cli_format(cli, &options.format))
		return CLI_USAGE;
	if (sluice_doctor(&options, &problems, &text, &err) != SLUICE_OK)
		return print_error(&err);
	cli_answer(text);
	return problems > 0 ? DOCTOR_PROBLEM : CLI_OK;
}

static const enum option doctor_options[] = {OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_doctor = {
    .name = "doctor",
    .usage = "[-v] [-o text|json]",
    .summary = "is this machine fit to run pipelines?",
    .help = "  sluice doctor\n"
	    "  sluice doctor -v                # the settings too, and who said them\n"
	    "  sluice doctor --dir /srv/runs --json\n"
	    "\n"
	    "Looks at the disk under the state directory (flush, locks, renames, room), the "
	    "keeper, the\n"
	    "kernel, clocks, limits, cgroups, sockets, the shell, SQLite and the settings. Each "
	    "finding "
	    "is ok,\n"
	    "a note or a problem with the next step. Exit 1 when there is a problem.\n",
    .options = doctor_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 0,
    .words_max = 0,
    .is_unset = true,
    .run = run,
};
