/* api.h - what the files of the public library share: the handles, and the way from our errors to
 * the caller's.
 *
 * The layer checks arguments and makes one call down; what it decides itself is only which file is
 * meant. Nothing here prints. */
#ifndef API_API_H
#define API_API_H

#include "base/limit.h"
#include "base/mem.h"
#include "core/model.h"
#include "rundir/fold.h"
#include "rundir/rundir.h"
#include "sluice/sluice.h"
#include "sys/clock.h"

/* An open state directory. */
struct sluice {
	const struct vfs *vfs;     /* of the operating system */
	const struct clock *clock; /* of the machine */
	char *home;                /* absolute; need not exist yet */
	char *keeper_path;         /* NULL when no keeper was found: runs cannot start commands */
	struct limits limits;
};

/* A pipeline that was read and accepted. */
struct sluice_pipeline {
	struct model *model;
	struct buf source; /* as written */
	char *path;        /* as given by the caller */
};

/* Fill the caller's error from ours and return its code. The values of the two enums are the same.
 */
enum sluice_code api_err(struct sluice_error *to, const struct err *from);
/* USAGE: the call breaks the contract of the function. */
enum sluice_code api_usage(struct sluice_error *to, const char *text);
/* Hand a text over to the caller: `text` is empty afterwards; never NULL on success. */
enum sluice_code api_text(struct buf *text, char **ret_text, struct sluice_error *err);

/* The run that a person named: found, opened, nothing locked. */
MUST_CHECK enum err_code api_find_run(const struct sluice *sluice, const char *run_name,
				      struct rundir **ret_dir, struct err *err);

/* "name=value" texts, NULL-ended (may be NULL), as slices; free with mem_free. */
MUST_CHECK enum err_code api_texts(const char *const *texts, struct str **ret_texts,
				   size_t *ret_count, struct err *err);

/* The name of the person who uses this process: its login name, else "uid<number>". */
struct str api_login_name(char name[256]);

/* For AUTO(). */
void api_fold_drop(struct fold_run *fold);

#endif
