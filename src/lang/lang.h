/* lang.h - bytes of a pipeline file to a model, and a model to its frozen form.
 *
 * YAML 1.2 (so JSON too), read by libyaml's events into nodes that know their place; one pass
 * reports every error. The frozen form (pipeline.json) is the same language with every default
 * filled in, as canonical JSON: it is read back by the same reader, and its SHA-256 is the
 * definition hash. */
#ifndef LANG_LANG_H
#define LANG_LANG_H

#include "base/limit.h"
#include "core/model.h"
#include "lang/diag.h"

/* Build a model. `folder` is the absolute folder of the file. INVALID when `diags` got at least one
 * error (the text names their number), LIMIT for a file over limits->definition_bytes (a diagnostic
 * too), MEMORY. Nothing is read or written but `source`; PATH is searched for the shells of
 * `run`. */
MUST_CHECK enum err_code lang_load(struct str source, struct str folder,
				   const struct limits *limits, struct diags *diags,
				   struct model **ret_model, struct err *err);

/* What the program that loads a pipeline offers to it: functions for `call`, kinds of steps,
 * executors. All members are required. */
struct lang_host {
	bool (*has_call)(void *arg, struct str name);
	bool (*has_kind)(void *arg, struct str name);
	bool (*has_executor)(void *arg, struct str name);
	/* Is the config of a step of that kind right? `config` is JSON with its `${}` unfilled.
	 * False with a text for a person in `why`. */
	bool (*check_kind)(void *arg, struct str name, struct str config, struct buf *why);
	/* Names for "did you mean": the i-th function, kind or executor, NULL at the end. */
	const char *(*call_name)(void *arg, size_t i);
	const char *(*executor_name)(void *arg, size_t i);
	void *arg;
};

/* The same as lang_load, for a host (borrowed for the call) that offers something of its own. */
MUST_CHECK enum err_code lang_load_for(struct str source, struct str folder,
				       const struct limits *limits, const struct lang_host *host,
				       struct diags *diags, struct model **ret_model,
				       struct err *err);

/* May a host register a kind of step or a function under that name? A kind is a key of a step, so
 * its name is a plain name and none that the format has, in this version or another. Functions and
 * executors have names of 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter, a digit or
 * `_`. */
bool lang_kind_name_is_free(struct str name);
bool lang_host_name_valid(struct str name);

/* The frozen form. Deterministic: the same model gives the same bytes. */
MUST_CHECK enum err_code lang_freeze(const struct model *model, struct buf *out, struct err *err);
/* The same of one step: `{"id":{...}}`. The buffer keeps a failure. */
void lang_freeze_step(const struct model *model, const struct step *step, struct buf *out);
/* Read it back. CORRUPT when it is not one. Size limits do not apply: it was accepted once. */
MUST_CHECK enum err_code lang_thaw(struct str frozen, struct model **ret_model, struct err *err);

/* Append a JSON text that this reader takes back unchanged: as json_put_str, and what libyaml
 * refuses in raw form is escaped too. `text` is UTF-8: the caller checked it. */
void frozen_put_str(struct buf *out, struct str text);

/* Parameters as given: `-p name=value` texts (converted by the declared type) over a JSON object of
 * `--params-file`. Fills ret_params[model->params_count] with compact JSON (arena) or ptr NULL;
 * secrets are `{"secret":"name"}`. USAGE names the parameter, what is wrong, and what is expected:
 * unknown name (with the nearest one), missing required, wrong type, out of range, not in the
 * enum, pattern not matched, a secret given by -p, NUL or malformed UTF-8, over
 * limits->param_bytes. */
MUST_CHECK enum err_code lang_params(const struct model *model, const struct str *assignments,
				     size_t assignments_count, struct str params_file_json,
				     const struct limits *limits, struct arena *arena,
				     struct str *ret_params, struct err *err);
/* The same for `resume --param`: only what is assigned is filled, the others stay ptr NULL. */
MUST_CHECK enum err_code lang_params_override(const struct model *model,
					      const struct str *assignments,
					      size_t assignments_count, const struct limits *limits,
					      struct arena *arena, struct str *ret_params,
					      struct err *err);
/* Checks again params that were recorded (run.created, run.resumed). */
MUST_CHECK enum err_code lang_params_check(const struct model *model, const struct str *params,
					   struct err *err);

/* Does one JSON value fit a parameter: type, range, values, pattern? INVALID, the text names the
 * parameter. */
MUST_CHECK enum err_code lang_param_check(const struct param *param, struct str json,
					  struct err *err);

/* Convert a text to the JSON of a declared type (params, outputs as `key=value`). False when it
 * does not convert. */
bool lang_convert(struct str text, enum value_type type, struct buf *out_json);
/* Is this JSON value of the type? Strings of durations and sizes must carry their unit; a path is
 * not empty; a secret is `{"secret":"name"}`. */
bool lang_has_type(struct str json, enum value_type type);

#endif
