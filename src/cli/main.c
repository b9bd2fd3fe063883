/* main.c - sluice: the command line, and the place to begin reading.
 *
 * The map of the source, from the bottom up; a folder knows only those above it in this list:
 *
 *   base/     the dialect: errors, memory, texts, buffers, time as text, hashes, JSON
 *   sys/      the only system calls: files, clocks, processes, cgroups, sockets, terminal
 *   core/     what a run is, pure: events (event.def), states (run.def, step.def), model, decide,
 * apply lang/     a pipeline file to a model: YAML, checks (diag.def), expressions log/
 * events.jsonl: append, chain, verify, repair; who owns a run rundir/   a run on disk: birth,
 * frozen definition, blobs, and the fold of its log to its state keeper/   the small process that
 * owns a run's children exec/     an attempt through the keeper store/    projections: what can be
 * rebuilt from logs report/   answers for people and programs, made from the fold engine/   inbox,
 * decide, commit, apply, effects: the life of a run api/      libsluice: include/sluice/sluice.h
 *   cli/      this command: a client of libsluice. It uses base/ for texts and sys/ for the
 * terminal, and nothing between them
 *
 * One command: main() finds the verb (verbs.c) and reads its options (options.c, option.def); the
 * verb's file makes one call of the library; print.c is the only way to the screen. `run` and
 * `resume` share carry.c, which follows the run with progress.c. Called as `runner` the command
 * behaves as system A's did: runner.c. */
#include "base/str.h"
#include "cli/settings.h"
#include "sys/proc.h"
#include "sys/terminal.h"

#include <stdio.h>
#include <string.h>

/* Verbs of the manual that this version does not have. */
static const char *const later_verbs[] = {
    "signal", "serve", "flow", "keeper", "test", "debug",
};

static bool is_later(const char *name)
{
	for (size_t i = 0; i < sizeof(later_verbs) / sizeof(later_verbs[0]); i++) {
		if (strcmp(name, later_verbs[i]) == 0)
			return true;
	}
	return false;
}

/* A file that was given where a verb belongs. */
static bool is_pipeline(const char *name)
{
	struct str word = str_of(name);

	return str_ends(word, ".yaml") || str_ends(word, ".yml") || str_ends(word, ".json");
}

static int refuse_verb(struct cli *cli, const char *name)
{
	const char *names[64];
	size_t count = 0;
	const char *nearest;
	char text[160];
	char hint[160];

	if (is_later(name)) {
		(void)snprintf(text, sizeof(text), "`sluice %s` is not in this version", name);
		return cli_usage(cli, text, "`sluice help` lists the verbs that are");
	}
	while (cli_verbs[count]) {
		names[count] = cli_verbs[count]->name;
		count++;
	}
	(void)snprintf(text, sizeof(text), "there is no verb '%.80s'", name);
	if (strcmp(name, "version") == 0)
		return cli_usage(cli, text, "`sluice --version` tells it");
	if (is_pipeline(name)) {
		(void)snprintf(hint, sizeof(hint), "to run the pipeline: `sluice run %.120s`",
			       name);
		return cli_usage(cli, text, hint);
	}
	nearest = str_nearest(str_of(name), names, count);
	if (!nearest)
		return cli_usage(cli, text, "`sluice help` lists them");
	(void)snprintf(hint, sizeof(hint), "did you mean `sluice %s`?", nearest);
	return cli_usage(cli, text, hint);
}

/* Is the first word of the verb a run? */
static bool is_about_run(const struct cli_verb *verb)
{
	return strncmp(verb->usage, "RUN", strlen("RUN")) == 0;
}

/* The options are read: carry the verb out. */
static int carry_out(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;
	enum sluice_format format;
	char text[160];
	int status;

	if (!print_init(cli->options.value[OPT_COLOR], cli->options.given[OPT_PLAIN]))
		return cli_usage(cli, "'--color' takes auto, always or never", NULL);
	if (cli->options.given[OPT_HELP]) {
		cli_help_verb(verb);
		return CLI_OK;
	}
	if (cli->options.words_count < verb->words_min ||
	    cli->options.words_count > verb->words_max) {
		(void)snprintf(text, sizeof(text), "`sluice %s` is used as: %s %s", verb->name,
			       verb->name, verb->usage);
		if (cli->options.words_count == 0 && is_about_run(verb))
			return cli_usage(cli, text,
					 "RUN is an id, the beginning of one, @latest or @failed; "
					 "`sluice list` shows them");
		return cli_usage(cli, text, NULL);
	}
	if (cli->options.words_count > 0 && is_about_run(verb))
		print_about(cli->options.words[0]);
	if (!verb->is_unset && !settings_apply(cli, &status))
		return status;
	/* What the settings say of colours is checked. */
	(void)print_init(cli->options.value[OPT_COLOR], cli->options.given[OPT_PLAIN]);
	if (verb->formats && !cli_format(cli, &format))
		return CLI_USAGE;
	if (verb->opens && !cli_open(cli, &status))
		return status;
	status = verb->run(cli);
	sluice_close(cli->sluice);
	return status;
}

static int refuse_options(const struct cli *cli, const struct option_error *wrong)
{
	if (!wrong->is_memory)
		return cli_usage(cli, wrong->text, wrong->hint);
	print_problem(wrong->text, NULL);
	return CLI_STORAGE;
}

static int sluice_main(struct cli *cli, int argc, char **argv)
{
	static const enum option top[] = {OPT_VERSION, OPT_END};
	const enum option *before[] = {top, cli_globals, NULL};
	const enum option *after[] = {NULL, cli_globals, NULL};
	struct option_error wrong;
	int at = 1;

	(void)print_init(NULL, false);
	if (!options_read(&cli->options, before, argc, argv, &at, true, &wrong))
		return refuse_options(cli, &wrong);
	if (cli->options.given[OPT_VERSION]) {
		print_out("sluice ");
		print_out(sluice_version());
		print_out("\n");
		return CLI_OK;
	}
	if (at == argc) {
		cli_help_all();
		return cli->options.given[OPT_HELP] ? CLI_OK : CLI_USAGE;
	}
	cli->verb = cli_verb_find(argv[at]);
	if (!cli->verb)
		return refuse_verb(cli, argv[at]);
	at++;
	after[0] = cli->verb->options;
	if (!options_read(&cli->options, after, argc, argv, &at, false, &wrong))
		return refuse_options(cli, &wrong);
	return carry_out(cli);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	struct cli cli = {.verb = NULL};
	int status;

	if (!terminal_keep_standard())
		return CLI_STORAGE; /* and there is nowhere to say it */
	terminal_ignore_pipe();
	proc_core_off();
	if (argc > 0 && strcmp(base_name(argv[0]), "runner") == 0) {
		status = runner_main(argc, argv);
	} else {
		status = sluice_main(&cli, argc, argv);
		sluice_settings_free(cli.settings);
		options_fini(&cli.options);
	}
	if (!print_end() && status == CLI_OK)
		status = CLI_STORAGE;
	return status;
}
