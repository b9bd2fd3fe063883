/* admin.h - looking after an installation: old runs, projections, settings, what a machine can do,
 * the schema of pipeline files */
#ifndef SLUICE_ADMIN_H
#define SLUICE_ADMIN_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The pipeline file as a JSON Schema (draft 2020-12), for editors and for programs that write
 * pipeline files. It judges form: names that must exist, expressions and cycles are
 * sluice_pipeline_load's. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_schema(char **ret_text,
							    struct sluice_error *err);

struct sluice_gc_opts {
	int64_t older_than_ms; /* since a run's last event; 0 = whatever the age: needs `keep` */
	uint64_t keep; /* the newest runs of each pipeline that stay; 0 = none for this alone */
	const char *result;        /* only runs that ended so: success, partial, failed, stopped or
				    * rolled_back */
	const char *pipeline;      /* only runs of it */
	bool damaged;              /* runs whose log is damaged too */
	bool dry_run;              /* only tell; nothing is written */
	enum sluice_format format; /* SLUICE_TEXT or SLUICE_JSON */
};

/* Remove runs that ended long enough ago, and what cut-short starts and removals left. A run is
 * moved into <state>/trash first: it is whole or gone, whenever this is cut short. Runs that
 * somebody owns, that are blocked or could go on, or whose log is damaged, stay and are told of;
 * runs.jsonl keeps its lines. Partitions, idempotency keys and the cache look at logs and forget a
 * removed run; the text says how many counted for one. REFUSED when a directory is not what a run
 * directory is (links, mounts, other people's files): it stays, the others were removed, and the
 * text is returned all the same. USAGE when neither an age nor `keep` is given. LOCKED while
 * another removal is under way. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_gc(struct sluice *sluice,
							const struct sluice_gc_opts *options,
							char **ret_text, struct sluice_error *err);

struct sluice_settings; /* sluice.conf and the environment */

/* Read the settings: `file`, else $SLUICE_CONFIG, else /etc/sluice/sluice.conf and over it the
 * user's $XDG_CONFIG_HOME/sluice/sluice.conf (~/.config/...); over all of them the environment. An
 * empty `file` reads no file. The library reads settings nowhere else: the caller passes on what it
 * wants. INVALID: a file cannot be read or is wrong; *ret_diagnostics (may be NULL if not wanted)
 * has every error with its place then, or is untouched. Free with sluice_settings_free. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_settings_read(const char *file, struct sluice_settings **ret_settings,
		     char **ret_diagnostics, struct sluice_error *err);
/* Accepts NULL. */
SLUICE_API void sluice_settings_free(struct sluice_settings *settings);
/* The value of a setting ("gc.keep"); NULL when nobody set it, or there is none of that name.
 * *ret_origin (may be NULL if not wanted) says who did: "<file>:<line>" or "environment:
 * <variable>". Both belong to `settings`. */
SLUICE_API const char *sluice_setting(const struct sluice_settings *settings, const char *key,
				      const char **ret_origin);
/* The limits as sluice_state_opts takes them: "name=value", NULL-ended; NULL when there are
 * none. */
SLUICE_API const char *const *sluice_settings_limits(const struct sluice_settings *settings);

/* What there is to set; texts are static, empty where there is none. */
struct sluice_setting_about {
	const char *key;
	const char *variable; /* of the environment */
	const char *flag;     /* of the command line */
	const char *fallback; /* what holds when nobody sets it, for people */
	const char *text;     /* what it is for */
};
/* Setting number `index`, from 0; NULL behind the last one. */
SLUICE_API const struct sluice_setting_about *sluice_setting_about(size_t index);
/* Make anew, from the logs, what is kept beside the runs for quick answers: runs.jsonl (a record of
 * each run that ended; records of runs whose directory is gone stay, and what live runs append
 * meanwhile) and the history database. The text (SLUICE_TEXT or SLUICE_JSON) says what was done.
 * CORRUPT when the log of a run is damaged: it is named, the others are done, and the text is
 * returned all the same. sluice_note: why there is no database. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_reindex(struct sluice *sluice,
							     enum sluice_format format,
							     char **ret_text,
							     struct sluice_error *err);
/* The same, and checkpoint.json and audit.jsonl in the directory of each run, under its lock for
 * that moment: a run that somebody owns is left alone, which the text says. A run in which they
 * cannot be made anew is named and the others are done; the text is returned all the same. CORRUPT:
 * its log is damaged, or its checkpoint says that the log was cut or forked (nothing is written in
 * it then). IO: its directory cannot be written. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_reindex_all(struct sluice *sluice,
								 enum sluice_format format,
								 char **ret_text,
								 struct sluice_error *err);

struct sluice_doctor_opts {
	const char *state_dir;     /* as in sluice_state_opts; default: what the settings say */
	const char *config;        /* as in sluice_settings_read */
	bool settings;             /* show the settings too: value, and who said it */
	enum sluice_format format; /* SLUICE_TEXT or SLUICE_JSON */
};

/* Find out whether this machine is fit to run pipelines: the disk under the state directory (flush,
 * locks, renames, room), the keeper, the kernel, clocks, limits, cgroups, sockets, the shell,
 * SQLite, the settings. Each finding is `ok`, `note` or `problem`, with the next step.
 * *ret_problems counts the problems. Small files are made and removed again in the state directory,
 * or in the nearest one above it that exists; nothing else is written. Findings are no errors: the
 * call fails only for want of memory.
 */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_doctor(const struct sluice_doctor_opts *options, unsigned *ret_problems, char **ret_text,
	      struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
