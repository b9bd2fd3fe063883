/* decided.c - after a decision on a run: what it came to, and what to type next */
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"

#include <string.h>

static void next_put(struct str status)
{
	struct str list = json_get(status, "next");
	struct str item;
	size_t at = 0;

	while (list.ptr && json_item(list, &at, &item)) {
		AUTO(buf_fini) struct buf command = BUF_INIT;

		json_decode(item, &command);
		print_note("next: %.*s\n", STR_ARG(buf_view(&command)));
	}
}

void cli_next(const struct cli *cli, const char *run_name)
{
	struct sluice_error ignored; /* advice only */
	char *status = NULL;

	if (sluice_status(cli->sluice, run_name, SLUICE_JSON, &status, &ignored) == SLUICE_OK)
		next_put(str_of(status));
	sluice_free(status);
}

/* The member of the list "steps" that is the step; ptr NULL when it is not there. */
static struct str step_in(struct str status, const char *step)
{
	struct str list = json_get(status, "steps");
	struct str item;
	size_t at = 0;

	while (list.ptr && json_item(list, &at, &item)) {
		AUTO(buf_fini) struct buf id = BUF_INIT;

		json_decode(json_get(item, "step_id"), &id);
		if (str_is(buf_view(&id), step))
			return item;
	}
	return STR_NONE;
}

static uint64_t items_in(struct str list)
{
	struct str item;
	size_t at = 0;
	uint64_t count = 0;

	while (list.ptr && json_item(list, &at, &item))
		count++;
	return count;
}

/* " by 1 of 2" while more people are asked for. */
static void answers_put(struct buf *out, struct str step)
{
	struct str needed = json_get(step, "approvals_needed");
	uint64_t given = items_in(json_get(step, "approved_by"));
	uint64_t count;

	if (str_to_u64(needed, &count) && given > 0 && given < count)
		buf_fmt(out, " by %llu of %llu", (unsigned long long)given,
			(unsigned long long)count);
}

void cli_decided(const struct cli *cli, const char *run_name, const char *step, const char *what)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	struct sluice_error ignored; /* the decision is durable; the rest is advice */
	char *status = NULL;
	struct str text;

	if (cli->options.given[OPT_QUIET])
		return;
	if (sluice_status(cli->sluice, run_name, SLUICE_JSON, &status, &ignored) != SLUICE_OK)
		status = NULL;
	text = status ? str_of(status) : STR_NONE;
	buf_fmt(&line, "%s%s%s", step ? step : "", step ? " " : "", what);
	if (step && strcmp(what, "approved") == 0)
		answers_put(&line, step_in(text, step));
	print_note("%.*s\n", STR_ARG(buf_view(&line)));
	if (str_is(json_get(text, "owner_pid"), "null"))
		next_put(text);
	sluice_free(status);
}

int cli_decide(struct cli *cli, cli_decide_fn *decide, const char *what)
{
	const struct options *given = &cli->options;
	const struct sluice_act_opts options = {.as = given->value[OPT_AS],
						.reason = given->value[OPT_REASON]};
	struct sluice_error err;

	if (!options.reason || !options.reason[0])
		return cli_usage(cli, "a decision needs a reason",
				 "add --reason TEXT; it is recorded in the log");
	if (decide(cli->sluice, given->words[0], given->words[1], &options, &err) != SLUICE_OK)
		return print_error(&err);
	cli_decided(cli, given->words[0], given->words[1], what);
	return CLI_OK;
}
