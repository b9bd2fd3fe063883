/* settings.c - settings stand in for options that were not given
 *
 * A setting counts for a verb that takes the option it stands for; the option wins. */
#include "cli/settings.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/timefmt.h"

#include <string.h>

static const struct stand_in {
	const char *key;
	enum option option;
} stand_ins[] = {
    {"state_dir", OPT_DIR},
    {"color", OPT_COLOR},
    {"output", OPT_OUTPUT},
    {"sync", OPT_SYNC},
    {"max_parallel", OPT_MAX_PARALLEL},
    {"as", OPT_AS},
    {"gc.older_than", OPT_OLDER_THAN},
    {"gc.keep", OPT_KEEP},
    {"list.limit", OPT_COUNT},
};

bool settings_takes(const struct cli_verb *verb, enum option option)
{
	const enum option *lists[] = {verb->options, cli_globals};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (const enum option *at = lists[i]; *at != OPT_END; at++) {
			if (*at == option)
				return true;
		}
	}
	return false;
}

/* An answer's form that was given in another way, or a name that nothing is done with. The id that
 * --detach prints is what scripts take: no setting changes its form. */
static bool is_void(const struct cli *cli, enum option option)
{
	if (option == OPT_OUTPUT)
		return cli->options.given[OPT_JSON] || cli->options.given[OPT_DETACH];
	return option == OPT_AS && settings_takes(cli->verb, OPT_OVERRIDE) &&
	       !cli->options.given[OPT_OVERRIDE];
}

static void stand_in(struct cli *cli)
{
	for (size_t i = 0; i < ARRAY_LEN(stand_ins); i++) {
		enum option option = stand_ins[i].option;
		const char *value = sluice_setting(cli->settings, stand_ins[i].key, NULL);

		if (value && !cli->options.given[option] && settings_takes(cli->verb, option) &&
		    !is_void(cli, option))
			cli->options.value[option] = value;
	}
}

/* The limits of the files, then those of the command line: the later one wins. */
static bool limits_join(struct cli *cli)
{
	const char *const *first = sluice_settings_limits(cli->settings);
	const char **given = cli->options.many[OPT_LIMIT_SET];
	const char **all;
	size_t count = 0;
	size_t at = 0;

	if (!first)
		return true;
	for (size_t i = 0; first[i]; i++)
		count++;
	for (size_t i = 0; given && given[i]; i++)
		count++;
	all = mem_new(count + 1, sizeof(*all));
	if (!all)
		return false;
	for (size_t i = 0; first[i]; i++)
		all[at++] = first[i];
	for (size_t i = 0; given && given[i]; i++)
		all[at++] = given[i];
	mem_free(cli->options.many[OPT_LIMIT_SET]);
	cli->options.many[OPT_LIMIT_SET] = all;
	return true;
}

/* A reason that the settings ask for and nobody gave. */
static bool lacks_reason(const struct cli *cli)
{
	const char *asked = sluice_setting(cli->settings, "require_reason", NULL);

	return asked && strcmp(asked, "true") == 0 && settings_takes(cli->verb, OPT_REASON) &&
	       !cli->options.given[OPT_REASON] && !cli->options.given[OPT_CHECK] &&
	       !cli->options.given[OPT_DRY_RUN];
}

bool settings_apply(struct cli *cli, int *ret_status)
{
	struct sluice_error err;
	char *diagnostics = NULL;
	enum sluice_code code = sluice_settings_read(cli->options.value[OPT_CONFIG], &cli->settings,
						     &diagnostics, &err);

	if (code != SLUICE_OK) {
		if (diagnostics)
			print_note("%s", diagnostics);
		sluice_free(diagnostics);
		*ret_status = print_error(&err);
		return false;
	}
	stand_in(cli);
	if (!limits_join(cli)) {
		print_problem("memory is short", NULL);
		*ret_status = CLI_STORAGE;
		return false;
	}
	if (lacks_reason(cli)) {
		*ret_status = cli_usage(cli, "a reason is required here",
					"give it with --reason; the setting is require_reason");
		return false;
	}
	return true;
}

int64_t settings_span_ms(const struct cli *cli, const char *key)
{
	const char *text = sluice_setting(cli->settings, key, NULL);
	int64_t ns = 0;

	return text && duration_read(str_of(text), &ns) ? ns / NS_PER_MS : 0;
}
