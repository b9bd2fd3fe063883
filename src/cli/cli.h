/* cli.h - what the verbs share: the command at hand, the table of verbs, answers and refusals. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"
#include "cli/print.h"
#include "sluice/sluice.h"

/* Exit statuses that a verb gives itself; the rest come from sluice_exit_status (S13). */
#define CLI_OK      0
#define CLI_USAGE   2
#define CLI_BLOCKED 4
#define CLI_STORAGE 10

/* Formats of answers, as a set. */
#define CLI_TEXT  (1U << SLUICE_TEXT)
#define CLI_JSON  (1U << SLUICE_JSON)
#define CLI_JSONL (1U << SLUICE_JSONL)
#define CLI_CSV   (1U << SLUICE_CSV)

struct cli_verb;

/* The command at hand. */
struct cli {
	const struct cli_verb *verb;
	struct options options;
	struct sluice *sluice;            /* open if the verb asks for it */
	struct sluice_settings *settings; /* NULL: none were read */
	bool is_runner;                   /* called as system A's `runner` */
};

struct cli_verb {
	const char *name;
	const char *alias;   /* NULL = none */
	const char *usage;   /* the words after the name */
	const char *summary; /* one line */
	const char *help;    /* examples first, then what there is to know */
	const enum option *options;
	unsigned formats; /* of -o, a set of CLI_TEXT ...; 0 = it takes no -o */
	size_t words_min, words_max;
	bool opens;       /* needs the state directory */
	bool is_homeless; /* opens, but looks at no run: goes without a state directory */
	bool is_unset;    /* works without settings: a wrong file of them does not matter */
	int (*run)(struct cli *cli);
};

#define VERB(name) extern const struct cli_verb verb_##name;
#include "cli/verb.def"

/* All of them in the order of the help, NULL-ended. */
extern const struct cli_verb *const cli_verbs[];
const struct cli_verb *cli_verb_find(const char *name);
/* Options that every verb takes. */
extern const enum option cli_globals[];

/* Open the state directory of the options. False: told, *ret_status is the exit status. */
bool cli_open(struct cli *cli, int *ret_status);
/* Tell of a wrong command line; answers CLI_USAGE. `hint` NULL: how to get help. */
int cli_usage(const struct cli *cli, const char *text, const char *hint);

/* The format of -o or --json: one of the verb's, text when none is given. False: told. */
bool cli_format(const struct cli *cli, enum sluice_format *ret_format);
/* "text, json or csv": the formats of a verb. */
void cli_formats_put(struct buf *out, const struct cli_verb *verb);

/* The time that --since says, "24h" ago or RFC 3339, in UTC; 0 when it is not given. False:
 * told. */
bool cli_since(const struct cli *cli, int64_t *ret_utc_ms);
/* Tell what the library says about its last answer (sluice_note), unless --quiet. */
void cli_note(const struct cli *cli);

/* `next:` and the commands that move a run on, out of its status. */
void cli_next(const struct cli *cli, const char *run_name);
/* For --quiet: one line on stderr about a run that rests without success: which step, why, and the
 * next command. Nothing when the exit status is 0. */
void cli_unsuccessful(const struct cli *cli, const char *run_name, int exit_status);
typedef enum sluice_code cli_decide_fn(struct sluice *sluice, const char *run_name,
				       const char *step, const struct sluice_act_opts *options,
				       struct sluice_error *err);
/* Decide on the gate that the first two words name, with the options --as and --reason, and tell
 * what became of it (cli_decided with `what`); answers the exit status. */
int cli_decide(struct cli *cli, cli_decide_fn *decide, const char *what);
/* Tell what became of a decision on `step`, or, NULL, of a request to stop: what was decided
 * ("approved"), how many more answers it takes, and what to type next when nobody owns the run.
 * With -o json the status of the run instead. */
void cli_decided(const struct cli *cli, const char *run_name, const char *step, const char *what);

/* The pipeline of `file`, freed by the caller with sluice_pipeline_free. False: its diagnostics and
 * the error are told, *ret_status is the exit status. */
bool cli_load(const struct cli *cli, const char *file, struct sluice_pipeline **ret_pipeline,
	      int *ret_status);

/* Print a text of the library and free it; NULL prints nothing. */
void cli_answer(char *text);
/* Print it and the error, if any; answers the exit status. For calls that answer in spite of an
 * error. */
int cli_answer_or_error(enum sluice_code code, char *text, const struct sluice_error *err);

/* Help of a verb, of all verbs, of the exit codes; to stdout. */
void cli_help_verb(const struct cli_verb *verb);
void cli_help_all(void);
void cli_help_exit_codes(void);

/* The text of --params-file, freed by the caller with sluice_free; NULL when it is not given.
 * False: told, *ret_status is the exit status. */
bool cli_params_file(const struct cli *cli, char **ret_json, int *ret_status);
/* The text of the file that `option` names, in the same way. */
bool cli_text_file(const struct cli *cli, enum option option, char **ret_text, int *ret_status);

/* The command line of system A; argv[0] is "runner". */
int runner_main(int argc, char **argv);

#endif
