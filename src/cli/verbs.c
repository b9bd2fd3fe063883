/* verbs.c - the table of verbs, and what they share */
#include "cli/settings.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define PARAMS_FILE_BYTES_MAX ((size_t)16 << 20)

const struct cli_verb *const cli_verbs[] = {
#define VERB(name) &verb_##name,
#include "cli/verb.def"
    NULL,
};

const enum option cli_globals[] = {OPT_HELP,  OPT_DIR,   OPT_CONFIG,  OPT_LIMIT_SET, OPT_COLOR,
				   OPT_PLAIN, OPT_QUIET, OPT_VERBOSE, OPT_END};

const struct cli_verb *cli_verb_find(const char *name)
{
	for (size_t i = 0; cli_verbs[i]; i++) {
		const struct cli_verb *verb = cli_verbs[i];

		if (strcmp(name, verb->name) == 0 ||
		    (verb->alias && strcmp(name, verb->alias) == 0))
			return verb;
	}
	return NULL;
}

bool cli_open(struct cli *cli, int *ret_status)
{
	struct sluice_state_opts options = {
	    .state_dir = cli->options.value[OPT_DIR],
	    .keeper_path = sluice_setting(cli->settings, "keeper", NULL),
	    .limits = (const char *const *)cli->options.many[OPT_LIMIT_SET],
	    .step_timeout_ms = settings_span_ms(cli, "step_timeout"),
	    .run_timeout_ms = settings_span_ms(cli, "run_timeout")};
	struct sluice_error err;

	if (sluice_open(&options, &cli->sluice, &err) == SLUICE_OK)
		return true;
	if (cli->verb && cli->verb->is_homeless && !options.state_dir) {
		options.state_dir =
		    "/"; /* HOME and the like may be unset; other errors come again */
		if (sluice_open(&options, &cli->sluice, &err) == SLUICE_OK)
			return true;
	}
	*ret_status = print_error(&err);
	return false;
}

int cli_usage(const struct cli *cli, const char *text, const char *hint)
{
	char help[64];

	if (!hint || !hint[0]) {
		(void)snprintf(help, sizeof(help), "`sluice %s -h` shows how it is used",
			       cli->verb ? cli->verb->name : "help");
		hint = help;
	}
	print_problem(text, hint);
	return CLI_USAGE;
}

/* ------------------------------------------------------------------------------- formats */

static const struct format_name {
	const char *name;
	enum sluice_format format;
} format_names[] = {
    {"text", SLUICE_TEXT},   {"table", SLUICE_TEXT}, {"json", SLUICE_JSON},
    {"jsonl", SLUICE_JSONL}, {"csv", SLUICE_CSV},
};

void cli_formats_put(struct buf *out, const struct cli_verb *verb)
{
	unsigned left = verb->formats;

	for (size_t i = 0; i < ARRAY_LEN(format_names) && left; i++) {
		unsigned bit = 1U << format_names[i].format;

		if (!(left & bit))
			continue;
		left &= ~bit;
		if (left != (verb->formats & ~bit))
			buf_text(out, left ? ", " : " or ");
		buf_text(out, format_names[i].name);
	}
}

bool cli_format(const struct cli *cli, enum sluice_format *ret_format)
{
	const char *name = cli->options.value[OPT_OUTPUT];
	AUTO(buf_fini) struct buf formats = BUF_INIT;
	AUTO(buf_fini) struct buf hint = BUF_INIT;
	char text[160];

	if (!name)
		name = cli->options.given[OPT_JSON] ? "json" : "text";
	for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
		if (strcmp(name, format_names[i].name) == 0 &&
		    (cli->verb->formats & 1U << format_names[i].format)) {
			*ret_format = format_names[i].format;
			return true;
		}
	}
	(void)snprintf(text, sizeof(text), "'-o %.60s' is not a format of `sluice %s`", name,
		       cli->verb->name);
	cli_formats_put(&formats, cli->verb);
	buf_fmt(&hint, "it has %.*s", STR_ARG(buf_view(&formats)));
	(void)cli_usage(cli, text, hint.ptr);
	return false;
}

/* ------------------------------------------------------------------------------- history */

bool cli_since(const struct cli *cli, int64_t *ret_utc_ms)
{
	const char *text = cli->options.value[OPT_SINCE];
	int64_t ago_ns;

	*ret_utc_ms = 0;
	if (!text || stamp_read(str_of(text), ret_utc_ms))
		return true;
	if (duration_read(str_of(text), &ago_ns)) {
		*ret_utc_ms = clock_utc_ms(&clock_os) - ago_ns / NS_PER_MS;
		return true;
	}
	(void)cli_usage(cli, "'--since' takes a time span or a time",
			"such as 24h, 30m, 2026-01-31T12:00:00Z");
	return false;
}

void cli_note(const struct cli *cli)
{
	const char *note = sluice_note(cli->sluice);

	if (note[0] && !cli->options.given[OPT_QUIET])
		print_note("sluice: note: %s\n", note);
}

/* ------------------------------------------------------------------------------- answers */

void cli_answer(char *text)
{
	if (text)
		print_out(text);
	sluice_free(text);
}

bool cli_load(const struct cli *cli, const char *file, struct sluice_pipeline **ret_pipeline,
	      int *ret_status)
{
	struct sluice_error err;
	char *diagnostics = NULL;

	if (sluice_pipeline_load(cli->sluice, file, ret_pipeline, &diagnostics, &err) == SLUICE_OK)
		return true;
	if (diagnostics)
		print_note("%s", diagnostics);
	sluice_free(diagnostics);
	*ret_status = print_error(&err);
	return false;
}

int cli_answer_or_error(enum sluice_code code, char *text, const struct sluice_error *err)
{
	cli_answer(text);
	return code == SLUICE_OK ? CLI_OK : print_error(err);
}

bool cli_params_file(const struct cli *cli, char **ret_json, int *ret_status)
{
	return cli_text_file(cli, OPT_PARAMS_FILE, ret_json, ret_status);
}

bool cli_text_file(const struct cli *cli, enum option option, char **ret_json, int *ret_status)
{
	const char *path = cli->options.value[option];
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	*ret_json = NULL;
	if (!path)
		return true;
	buf_init(&text, PARAMS_FILE_BYTES_MAX);
	if (file_read(path, PARAMS_FILE_BYTES_MAX + 1, &text, &err) == ERR_OK && text.len > 0 &&
	    memchr(text.ptr, '\0', text.len))
		(void)err_set(&err, ERR_INVALID, "'%s' holds a NUL byte", path);
	if (err.code == ERR_OK && text.len == 0)
		(void)err_set(&err, ERR_INVALID, "'%s' is empty: a JSON object is expected", path);
	if (err.code != ERR_OK) {
		print_problem(err.text, err.hint);
		*ret_status = err_exit_status(err.code);
		return false;
	}
	*ret_json = TAKE(text.ptr, NULL);
	return true;
}
