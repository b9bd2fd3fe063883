/* decided.c - after a decision on a run: what it came to, and what to type next */
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/member.h"

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

/* ------------------------------------------------------------------------- without success */

static bool member_is(struct str object, const char *key, const char *json)
{
	return str_is(json_get(object, key), json);
}

/* What the step says about a run in this state: how early it counts, 0 = not at all. A gate that
 * bars the run says most, then what failed first; of a blocked run it is who waits. */
static int64_t weight_of(struct str step, struct str status)
{
	struct str gate = json_get(step, "gate");
	int64_t ended_ms = member_stamp(step, "ended_at");
	bool bars = str_is(gate, "\"hard\"") || str_is(gate, "\"manual\"");

	if (member_is(status, "state", "\"blocked\""))
		return member_is(step, "state", "\"waiting\"") ? 1 : 0;
	if (!member_is(step, "state", "\"failed\""))
		return 0;
	return bars && member_is(step, "waived", "false") ? 1 : ended_ms + 2;
}

/* The step that tells why the run rests where it does; ptr NULL when none does. */
static struct str culprit_in(struct str status)
{
	struct str list = json_get(status, "steps");
	struct str found = STR_NONE;
	int64_t least = INT64_MAX;
	struct str item;
	size_t at = 0;

	while (list.ptr && json_item(list, &at, &item)) {
		int64_t weight = weight_of(item, status);

		if (weight > 0 && weight < least) {
			found = item;
			least = weight;
		}
	}
	return found;
}

/* Text from outside on one line; true when there was any. */
static bool text_put(struct buf *out, const char *before, struct str json)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (!json.ptr || !str_starts(json, "\""))
		return false;
	json_decode(json, &text);
	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n' || text.ptr[i] == '\r')
			text.ptr[i] = ' ';
	}
	buf_text(out, before);
	print_outside(out, buf_view(&text));
	return true;
}

static void unsuccessful_put(struct buf *line, struct str status)
{
	bool is_partial = member_is(status, "outcome", "\"partial\"");
	struct str step = culprit_in(status);
	struct str next;
	size_t at = 0;

	(void)text_put(line, "sluice: run ", json_get(status, "run_id"));
	(void)text_put(line, " ", json_get(status, is_partial ? "outcome" : "state"));
	if (!step.ptr || !text_put(line, ": ", json_get(step, "step_id")) ||
	    !text_put(line, ": ", json_get(step, "reason")))
		(void)text_put(line, ": ", json_get(status, "reason"));
	if (json_get(status, "next").ptr && json_item(json_get(status, "next"), &at, &next))
		(void)text_put(line, "; next: ", next);
	buf_byte(line, '\n');
}

void cli_unsuccessful(const struct cli *cli, const char *run_name, int exit_status)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	struct sluice_error err;
	char *status = NULL;

	if (exit_status == CLI_OK)
		return;
	if (sluice_status(cli->sluice, run_name, SLUICE_JSON, &status, &err) != SLUICE_OK) {
		(void)print_error(&err); /* the exit status is that of the run */
	} else {
		unsuccessful_put(&line, str_of(status));
		print_raw(buf_view(&line));
	}
	sluice_free(status);
}

/* ------------------------------------------------------------------------------- decisions */

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
	enum sluice_format format = SLUICE_TEXT;
	struct sluice_error err; /* the decision is durable; the rest is advice */
	char *status = NULL;
	struct str text;

	(void)cli_format(cli, &format); /* checked before */
	if (cli->options.given[OPT_QUIET] && format != SLUICE_JSON)
		return;
	if (sluice_status(cli->sluice, run_name, SLUICE_JSON, &status, &err) != SLUICE_OK &&
	    format == SLUICE_JSON)
		(void)print_error(&err); /* the decision is durable all the same */
	if (format == SLUICE_JSON) {
		cli_answer(status);
		return;
	}
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
