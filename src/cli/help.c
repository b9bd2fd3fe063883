/* help.c - help texts, made from the tables of verbs and options */
#include "cli/cli.h"

#include "base/mem.h"

static const struct exit_code {
	int code;
	const char *means;
} exit_codes[] = {
    {0, "succeeded; the question was answered, the command was accepted"},
    {1, "the run failed"},
    {2, "wrong command line or invalid definition; nothing was written"},
    {3, "refused by a guard or by the run's state; the run id exists already"},
    {4, "blocked: a person is needed"},
    {5, "partial: something failed and the rest was allowed to go on"},
    {6, "stopped"},
    {7, "the log is corrupt"},
    {8, "locked: another process owns the run"},
    {9, "not found: file, run or step"},
    {10, "storage failed; a run can be resumed when there is room again"},
    {11, "the log was written by a newer version"},
};

void cli_help_exit_codes(void)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(exit_codes); i++)
		buf_fmt(&out, "%3d  %s\n", exit_codes[i].code, exit_codes[i].means);
	buf_text(
	    &out,
	    "\n`run` and `resume` exit with the run's end, and with 4 as soon as nothing can run\n"
	    "without a person. `status`, `summary`, `events` and `list` exit with 0 whatever the\n"
	    "run's state. Called as `runner` the codes are 0, 1 and 2.\n");
	print_bytes(out.ptr, out.len);
}

/* What the option means; that of -o depends on the verb. */
static void meaning_put(struct buf *out, enum option option, const struct cli_verb *verb)
{
	if (option == OPT_OUTPUT)
		cli_formats_put(out, verb);
	else
		buf_text(out, option_help(option));
}

static void options_put(struct buf *out, const enum option *list, const struct cli_verb *verb)
{
	for (; *list != OPT_END; list++) {
		AUTO(buf_fini) struct buf name = BUF_INIT;

		if (option_letter(*list))
			buf_fmt(&name, "-%c, ", option_letter(*list));
		else
			buf_text(&name, "    ");
		buf_fmt(&name, "--%s", option_name(*list));
		if (option_value(*list))
			buf_fmt(&name, " %s", option_value(*list));
		buf_fmt(out, "  %-28.*s ", STR_ARG(buf_view(&name)));
		meaning_put(out, *list, verb);
		buf_byte(out, '\n');
	}
}

void cli_help_verb(const struct cli_verb *verb)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	buf_fmt(&out, "sluice %s - %s\n\n%s\nUsage: sluice %s %s\n", verb->name, verb->summary,
		verb->help, verb->name, verb->usage);
	if (verb->alias)
		buf_fmt(&out, "Also: sluice %s\n", verb->alias);
	if (verb->options[0] != OPT_END) {
		buf_text(&out, "\nOptions:\n");
		options_put(&out, verb->options, verb);
	}
	buf_text(&out, "\nOptions of every verb:\n");
	options_put(&out, cli_globals, verb);
	print_bytes(out.ptr, out.len);
}

void cli_help_all(void)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	buf_text(&out, "sluice - run pipelines, fail closed, and never forget what happened\n\n"
		       "  sluice lint deliverable.yaml\n"
		       "  sluice run deliverable.yaml -p dataset=in.csv\n"
		       "  sluice status @latest\n"
		       "  sluice resume @failed\n\n"
		       "Verbs:\n");
	for (size_t i = 0; cli_verbs[i]; i++)
		buf_fmt(&out, "  %-10s  %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
	buf_text(&out, "\n`sluice help VERB` or `sluice VERB -h` shows examples and options,\n"
		       "`sluice help exit-codes` what the exit status means.\n");
	print_bytes(out.ptr, out.len);
}
