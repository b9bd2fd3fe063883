/* open.c - a state directory, the errors of the library, and the small things that all calls
 * share */
#include "api/api.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "sys/file.h"
#include "sys/path.h"

#include <stdatomic.h>
#include <string.h>

#define SPAN_MS_MAX (INT64_MAX / NS_PER_MS)

#define CODE(name) \
	_Static_assert((int)SLUICE_##name == (int)ERR_##name, "the public codes are our own")
CODE(OK);
CODE(USAGE);
CODE(INVALID);
CODE(REFUSED);
CODE(EXISTS);
CODE(CONFLICT);
CODE(NOT_FOUND);
CODE(LOCKED);
CODE(LIMIT);
CODE(MEMORY);
CODE(IO);
CODE(FULL);
CODE(CORRUPT);
CODE(NEWER);
CODE(GONE);
CODE(UNSUPPORTED);
#undef CODE

const char *sluice_code_name(enum sluice_code code)
{
	return err_name((enum err_code)code);
}

int sluice_exit_status(enum sluice_code code)
{
	return err_exit_status((enum err_code)code);
}

const char *sluice_version(void)
{
	return SLUICE_VERSION;
}

void sluice_free(void *text)
{
	mem_free(text);
}

enum sluice_code api_err(struct sluice_error *to, const struct err *from)
{
	_Static_assert(sizeof(to->text) >= sizeof(from->text), "texts of errors fit");
	_Static_assert(sizeof(to->hint) >= sizeof(from->hint), "hints of errors fit");
	BUG_IF(from->code == ERR_OK);
	if (!to) /* wrong use, and not worth a crash */
		return (enum sluice_code)from->code;
	to->code = (enum sluice_code)from->code;
	to->system_errno = from->sys;
	memcpy(to->text, from->text, sizeof(from->text));
	memcpy(to->hint, from->hint, sizeof(from->hint));
	return to->code;
}

enum sluice_code api_usage(struct sluice_error *to, const char *text)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_USAGE, "%s", text);
	return api_err(to, &err);
}

enum sluice_code api_text(struct buf *text, char **ret_text, struct sluice_error *err)
{
	struct err cause = ERR_INIT;

	if (buf_check(text, "answer", &cause) != ERR_OK)
		return api_err(err, &cause);
	if (!text->ptr) {
		text->ptr = mem_text("", 0);
		if (!text->ptr) {
			(void)mem_err(&cause);
			return api_err(err, &cause);
		}
	}
	*ret_text = TAKE(text->ptr, NULL);
	buf_init(text, 0);
	return SLUICE_OK;
}

void api_fold_drop(struct fold_run *fold)
{
	fold_fini(fold);
}

enum err_code api_find_path(const struct sluice *sluice, const char *run_name, struct buf *out_path,
			    struct err *err)
{
	if (!run_name[0]) {
		(void)err_set(err, ERR_USAGE, "the name of the run is empty");
		return err_hint(err, "an id, its beginning, a path, @latest or @failed");
	}
	if (rundir_find(sluice->vfs, sluice->home, str_of(run_name), out_path, err) != ERR_OK)
		return err->code;
	return buf_check(out_path, "a path", err);
}

enum err_code api_find_run(const struct sluice *sluice, const char *run_name,
			   struct rundir **ret_dir, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;

	if (api_find_path(sluice, run_name, &path, err) != ERR_OK)
		return err->code;
	return rundir_open(sluice->vfs, path.ptr, ret_dir, err);
}

enum err_code api_log_err(const char *path, struct err *err)
{
	const char *name = strrchr(path, '/');

	if (err->code == ERR_CORRUPT || err->code == ERR_NEWER)
		return err_while(err, "run '%s'", name ? name + 1 : path);
	return err->code;
}

enum err_code api_parallel_check(uint32_t max_parallel, struct err *err)
{
	if (max_parallel > CONCURRENCY_MAX)
		return err_set(err, ERR_USAGE, "max_parallel is at most %d, not %u",
			       CONCURRENCY_MAX, max_parallel);
	return ERR_OK;
}

enum err_code api_texts(const char *const *texts, struct str **ret_texts, size_t *ret_count,
			struct err *err)
{
	size_t count = 0;
	struct str *slices;

	while (texts && texts[count])
		count++;
	slices = mem_new(count + 1, sizeof(*slices));
	if (!slices)
		return mem_err(err);
	for (size_t i = 0; i < count; i++)
		slices[i] = str_of(texts[i]);
	*ret_texts = slices;
	*ret_count = count;
	return ERR_OK;
}

enum err_code api_person_check(const struct sluice *sluice, const char *as,
			       const struct decide_person *person, struct err *err)
{
	if (as && !as[0])
		return err_set(err, ERR_USAGE, "the name of who decides is empty");
	if (utf8_valid(person->name) && utf8_valid(person->reason) && person->name.len <= 128 &&
	    person->reason.len <= sluice->limits.reason_bytes)
		return ERR_OK;
	return err_set(err, ERR_USAGE, "the name or the reason is too long or not UTF-8");
}

/* --------------------------------------------------------------------------- the handle */

/* Is there a keeper at `folder` + `rest`? */
static enum err_code try_keeper(struct str folder, const char *rest, char **ret_path,
				struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;

	buf_str(&path, folder);
	buf_text(&path, rest);
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	if (!*ret_path && file_is_program(path.ptr)) {
		*ret_path = mem_text(path.ptr, path.len);
		if (!*ret_path)
			return mem_err(err);
	}
	return ERR_OK;
}

static struct str folder_of(struct str path)
{
	while (path.len > 0 && path.ptr[path.len - 1] != '/')
		path.len--;
	return path;
}

/* In order: beside the executable (a build), in its ../libexec/sluice (an installed command line),
 * where it lies from the installed library, and where it was installed to (a host that is linked
 * statically).
 */
static enum err_code find_keeper(char **ret_path, struct err *err)
{
	static const char here; /* in the library */
	AUTO(buf_fini) struct buf self = BUF_INIT;
	AUTO(buf_fini) struct buf library = BUF_INIT;
	struct err unknown = ERR_INIT;
	struct str folder;

	if (file_self(&self, err) != ERR_OK)
		return err->code;
	folder = folder_of(buf_view(&self));
	if (try_keeper(folder, "sluice-keeper", ret_path, err) != ERR_OK ||
	    try_keeper(folder, "../libexec/sluice/sluice-keeper", ret_path, err) != ERR_OK)
		return err->code;
	if (SLUICE_KEEPER_FROM_LIBRARY[0] && file_of_address(&here, &library, &unknown) == ERR_OK &&
	    try_keeper(folder_of(buf_view(&library)), SLUICE_KEEPER_FROM_LIBRARY, ret_path, err) !=
		ERR_OK)
		return err->code;
	return try_keeper(STR_NONE, SLUICE_KEEPER_INSTALLED, ret_path, err);
}

static enum err_code fill(struct sluice *sluice, const struct sluice_state_opts *options,
			  struct err *err)
{
	AUTO(buf_fini) struct buf home = BUF_INIT;
	AUTO(buf_fini) struct buf keeper = BUF_INIT;

	if (api_outside(sluice, options, err) != ERR_OK)
		return err->code;
	limits_default(&sluice->limits);
	if (options->step_timeout_ms < 0 || options->step_timeout_ms > SPAN_MS_MAX ||
	    options->run_timeout_ms < 0 || options->run_timeout_ms > SPAN_MS_MAX)
		return err_set(err, ERR_USAGE, "a timeout is not negative, and at most %lld ms",
			       (long long)SPAN_MS_MAX);
	sluice->step_timeout_ns = options->step_timeout_ms * NS_PER_MS;
	sluice->run_timeout_ns = options->run_timeout_ms * NS_PER_MS;
	for (size_t i = 0; options->limits && options->limits[i]; i++) {
		if (limits_set(&sluice->limits, str_of(options->limits[i]), err) != ERR_OK)
			return err->code;
	}
	if (options->state_dir && !options->state_dir[0])
		return err_set(err, ERR_USAGE, "the path of the state directory is empty");
	if (rundir_home(options->state_dir, &home, err) != ERR_OK)
		return err_while(err, "find the state directory");
	sluice->home = mem_text(home.ptr, home.len);
	if (!sluice->home)
		return mem_err(err);
	if (!options->keeper_path)
		return find_keeper(&sluice->keeper_path, err);
	if (!file_is_program(options->keeper_path))
		return err_set(err, ERR_NOT_FOUND, "'%s' is not a program", options->keeper_path);
	if (path_absolute(options->keeper_path, &keeper, err) != ERR_OK)
		return err->code;
	sluice->keeper_path = mem_text(keeper.ptr, keeper.len);
	return sluice->keeper_path ? ERR_OK : mem_err(err);
}

enum sluice_code sluice_open(const struct sluice_state_opts *options, struct sluice **ret_sluice,
			     struct sluice_error *err)
{
	static const struct sluice_state_opts defaults = {.state_dir = NULL};
	static _Atomic uint64_t handles;
	struct err cause = ERR_INIT;
	struct sluice *sluice;

	if (!ret_sluice)
		return api_usage(err, "sluice_open needs an answer");
	sluice = mem_new(1, sizeof(*sluice));
	if (!sluice) {
		(void)mem_err(&cause);
		return api_err(err, &cause);
	}
	sluice->number = atomic_fetch_add(&handles, 1) + 1;
	if (fill(sluice, options ? options : &defaults, &cause) != ERR_OK) {
		sluice_close(sluice);
		return api_err(err, &cause);
	}
	*ret_sluice = sluice;
	return SLUICE_OK;
}

void sluice_close(struct sluice *sluice)
{
	if (!sluice)
		return;
	registry_free(sluice->registry);
	mem_free(sluice->home);
	mem_free(sluice->keeper_path);
	mem_free(sluice);
}

const char *sluice_state_dir(const struct sluice *sluice)
{
	return sluice ? sluice->home : NULL;
}
