/* settings.h - sluice.conf and the environment stand in for options that were not given. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli/cli.h"

/* Read the settings and put them where the command has no option of its own. False: told,
 * *ret_status is the exit status. cli->settings is the caller's to free. */
bool settings_apply(struct cli *cli, int *ret_status);
/* Does the verb take the option? */
bool settings_takes(const struct cli_verb *verb, enum option option);
/* A time span among the settings, in ms; 0 when nobody set it. */
int64_t settings_span_ms(const struct cli *cli, const char *key);

#endif
