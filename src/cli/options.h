/* options.h - the words after a verb: options by the verb's own list, and the rest.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`, flags together as `-qv`; `--` ends
 * options; a lone `-` is a word. Nothing is abbreviated. The texts belong to argv. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
#define OPTION(id, name, letter, kind, value, help) OPT_##id,
#include "cli/option.def"
	OPT_COUNT_OF
};
/* Most steps at once that --max-parallel can ask for, as in a pipeline file. */
#define PARALLEL_MAX 65536

#define OPT_END OPT_COUNT_OF /* ends a verb's list */

struct options {
	bool given[OPT_COUNT_OF];
	const char *value[OPT_COUNT_OF]; /* VALUE: the last one; NULL = not given */
	const char **many[OPT_COUNT_OF]; /* MANY: NULL-ended; NULL = none */
	const char **words;              /* what is no option, in order */
	size_t words_count;
};

/* What is wrong, for a person. */
struct option_error {
	char text[240];
	char hint[160];
	bool is_memory; /* nothing is wrong with the words: memory is short */
};

/* Read argv[*at] and on into `options` (zero at the start). `lists` are lists that end with
 * OPT_END, themselves NULL-ended. With `stop` it stops before the first word. False: `error` says
 * what is wrong. */
bool options_read(struct options *options, const enum option *const *lists, int argc, char **argv,
		  int *at, bool stop, struct option_error *error);
void options_fini(struct options *options);

/* A whole number from `min` to `max` given for `option`; `otherwise` when it is not given. False:
 * `error`. */
bool options_number(const struct options *options, enum option option, uint64_t min, uint64_t max,
		    uint64_t otherwise, uint64_t *ret_number, struct option_error *error);

/* "-p, --param NAME=VALUE" and its help. */
const char *option_name(enum option option);
char option_letter(enum option option);
const char *option_value(enum option option);
const char *option_help(enum option option);

#endif
