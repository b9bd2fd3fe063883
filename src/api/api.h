/* api.h - what the files of the public library share: the handles, and the way from our errors to
 * the caller's.
 *
 * The layer checks arguments and makes one call down; what it decides itself is only which file is
 * meant. Nothing here prints. */
#ifndef API_API_H
#define API_API_H

#include "base/limit.h"
#include "base/mem.h"
#include "core/decide.h"
#include "lang/diag.h"
#include "lang/lang.h"
#include "rundir/fold.h"
#include "rundir/rundir.h"
#include "sluice/sluice.h"
#include "sys/clock.h"
#include "sys/user.h"

/* An open state directory. */
struct sluice {
	const struct vfs *vfs;     /* of the operating system */
	const struct clock *clock; /* of the machine */
	char *home;                /* absolute; need not exist yet */
	char *keeper_path;         /* NULL when no keeper was found: runs cannot start commands */
	struct limits limits;
	int64_t step_timeout_ns; /* for pipelines that do not say; 0 = none */
	int64_t run_timeout_ns;
	uint64_t number; /* unlike that of any other handle of this process; for sluice_note */
	struct sluice_clock_def host_clock_def; /* what the host brings along, see outside.c */
	struct clock host_clock;
	struct sluice_storage_def host_storage;
	struct vfs host_vfs;
	struct registry *registry; /* what the program has added; NULL = nothing yet */
};

/* What lang/ made of a text. */
struct definition {
	struct model *model; /* NULL: not read yet, or not accepted */
	struct buf source;   /* as written */
};

/* A function of this process, given to a step of a pipeline that is built in C. */
struct pipeline_call {
	sluice_call_fn *call;
	void *arg;
	bool dry_run_safe;
};

struct building; /* build.c */

struct sluice_pipeline {
	char *path; /* as given by the caller; of a built one its name */
	char *file; /* absolute and UTF-8; NULL: not read from one, or not known */
	struct definition *definition; /* never NULL; of a built one made by its check */
	struct building *building;     /* NULL: it was read from a text */
};

/* outside.c: clock and storage, the host's or the machine's. USAGE: one lacks an operation. */
MUST_CHECK enum err_code api_outside(struct sluice *sluice, const struct sluice_state_opts *options,
				     struct err *err);

void registry_free(struct registry *registry); /* accepts NULL */

/* What a pipeline may name when it is read: what the handle has, and functions of its own steps.
 * Both are borrowed for as long as the host is used. */
struct api_names {
	const struct sluice *sluice;
	const struct sluice_pipeline *pipeline;
	size_t likely_call; /* of the step that is read next */
};
struct lang_host api_lang_host(struct api_names *names);

/* Room for a pipeline; NULL when memory is short. */
struct sluice_pipeline *api_pipeline_room(const char *path);
/* Read `source` of the pipeline's definition; what is wrong goes into the diagnostics. */
MUST_CHECK enum err_code api_definition_read(const struct sluice *sluice,
					     const struct sluice_pipeline *pipeline,
					     struct str folder, struct diags *diags,
					     struct err *err);
/* The definition of a pipeline, accepted: a built one is checked first, if it was not since its
 * last change. *ret_diagnostics (may be NULL) as in sluice_pipeline_check. */
MUST_CHECK enum err_code api_pipeline_check(const struct sluice *sluice,
					    const struct sluice_pipeline *pipeline,
					    char **ret_diagnostics,
					    const struct definition **ret_definition,
					    struct err *err);
/* The function that was given to a step under the name that its `call` has; NULL if there is none.
 * Valid as long as the pipeline is not changed or freed. `likely`: 0 at first, as of map_get_near.
 */
const struct pipeline_call *api_pipeline_call(const struct sluice_pipeline *pipeline,
					      struct str name, size_t *likely);
void api_building_free(struct building *building);
const char *api_building_name(const struct building *building);
size_t api_building_steps(const struct building *building);

/* Fill the caller's error from ours and return its code. The values of the two enums are the
 * same. */
enum sluice_code api_err(struct sluice_error *to, const struct err *from);
/* USAGE: the call breaks the contract of the function. */
enum sluice_code api_usage(struct sluice_error *to, const char *text);
/* Hand a text over to the caller: `text` is empty afterwards; never NULL on success. */
enum sluice_code api_text(struct buf *text, char **ret_text, struct sluice_error *err);

/* Append the absolute path of the run directory that a person named: an id, its beginning, a path,
 * @latest or @failed. USAGE: the name is empty; else as rundir_find. */
MUST_CHECK enum err_code api_find_path(const struct sluice *sluice, const char *run_name,
				       struct buf *out_path, struct err *err);
/* Say in an error about a log (CORRUPT, NEWER) which run it is, by the path of its directory;
 * others stay. */
enum err_code api_log_err(const char *path, struct err *err);
/* The run that a person named: found, opened, nothing locked. */
MUST_CHECK enum err_code api_find_run(const struct sluice *sluice, const char *run_name,
				      struct rundir **ret_dir, struct err *err);

/* The fold of a run. A log that a witness has seen more of reads as damaged (S9.4). Free the fold
 * with fold_fini. */
MUST_CHECK enum err_code api_fold_dir(const struct sluice *sluice, const struct rundir *dir,
				      struct fold_run *ret_fold, struct err *err);
/* The fold of the run that a person named, and who owns it. Free the fold with fold_fini. */
MUST_CHECK enum err_code api_fold_run(const struct sluice *sluice, const char *run_name,
				      struct fold_run *ret_fold, struct run_lock_info *ret_owner,
				      struct err *err);
/* A damaged log: the good prefix was answered, and the call says CORRUPT all the same (S11.4). A
 * torn tail and a newer version are noted in the text only. */
MUST_CHECK enum err_code api_check_reading(const struct fold_run *fold, struct err *err);

/* "name=value" texts, NULL-ended (may be NULL), as slices; free with mem_free. */
MUST_CHECK enum err_code api_texts(const char *const *texts, struct str **ret_texts,
				   size_t *ret_count, struct err *err);

/* USAGE when no run may have so many steps at once; 0 is as the pipeline says. */
MUST_CHECK enum err_code api_parallel_check(uint32_t max_parallel, struct err *err);

/* The name of the person who uses this process: its login name, else "uid<number>". */
struct str api_login_name(char name[USER_NAME_BYTES]);

/* USAGE when a name or a reason is too long or not UTF-8, or the name `as` was given and is empty
 * (NULL: it was not). */
MUST_CHECK enum err_code api_person_check(const struct sluice *sluice, const char *as,
					  const struct decide_person *person, struct err *err);

/* `given` for a run that goes on by it: a definition that says of `concurrency` what the one of the
 * run said as it was written does not change it, though the run may have been started with another
 * (--max-parallel). *ret_model is a view of the given one and valid as long. */
MUST_CHECK enum err_code api_settle(const struct sluice *sluice, const struct rundir *dir,
				    const struct run_state *run,
				    const struct sluice_pipeline *given_by,
				    const struct model *given, struct model *ret_model,
				    struct err *err);

/* For AUTO(). */
void api_fold_drop(struct fold_run *fold);

#endif
