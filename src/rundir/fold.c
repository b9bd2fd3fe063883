/* fold.c - see fold.h */
#include "rundir/fold.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/apply.h"
#include "lang/lang.h"

/* One reading of a log. */
struct folding {
	const struct rundir *dir;
	const struct limits *limits;
	struct fold_run *fold;
	struct buf outputs; /* content of the blobs that the event at hand names */
	struct buf updates;
	fold_visit_fn *visit;  /* may be NULL */
	log_accept_fn *accept; /* may be NULL */
	void *arg;
	struct fold_until until;
	bool is_over;   /* the point until which is folded was passed */
	bool is_spoilt; /* the state is no longer that of a prefix: apply failed half way */
};

static void folding_fini(struct folding *folding)
{
	buf_fini(&folding->outputs);
	buf_fini(&folding->updates);
}

/* run.created names the frozen definition by its hash: with it the state can begin. */
static enum err_code begin(struct folding *folding, const struct event *created, struct err *err)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct fold_run *fold = folding->fold;
	struct str folder = event_text(created, EVENT_FIELD_CWD);

	if (created->type != EVENT_RUN_CREATED) /* not reached: the log refuses such a beginning */
		return err_set(err, ERR_CORRUPT, "the log does not begin with run.created");
	if (rundir_frozen(folding->dir, event_text(created, EVENT_FIELD_DEFINITION_HASH), &frozen,
			  err) != ERR_OK ||
	    lang_thaw(buf_view(&frozen), &fold->model, err) != ERR_OK)
		return err_while(err, "read the frozen definition");
	fold->model->folder = arena_str(&fold->model->arena, folder);
	if (!fold->model->folder.ptr)
		return mem_err(err);
	return run_state_init(&fold->state, fold->model, err);
}

/* run.resumed brings another definition (S9.3): thaw it. That of before stays for as long as the
 * fold does: whoever is told of events has texts of it. */
static enum err_code read_next(struct folding *folding, const struct event *event, struct err *err)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct fold_run *fold = folding->fold;
	struct model *next = NULL;

	if (rundir_frozen(folding->dir, event_text(event, EVENT_FIELD_DEFINITION_HASH), &frozen,
			  err) != ERR_OK ||
	    lang_thaw(buf_view(&frozen), &next, err) != ERR_OK)
		return err_while(err, "read the definition of event %llu",
				 (unsigned long long)event->seq);
	model_replace(next, fold->model);
	fold->model = next;
	return ERR_OK;
}

/* Put the content of a blob in the place of its name. A blob was durable before its event was
 * (S11.2): one that is not there, or is not JSON, is damage. */
static enum err_code resolve(struct folding *folding, struct event *event, enum event_field ref,
			     enum event_field field, struct buf *content, struct err *err)
{
	if (!event_has(event, ref))
		return ERR_OK;
	buf_clear(content);
	if (rundir_blob_get(folding->dir, event_text(event, ref), folding->limits, content, err) !=
	    ERR_OK) {
		if (err->code == ERR_NOT_FOUND ||
		    err->code == ERR_INVALID) /* gone; a link, a pipe */
			err->code = ERR_CORRUPT;
		return err_while(err, "%s of event %llu", event_field_name(ref),
				 (unsigned long long)event->seq);
	}
	if (json_check(buf_view(content), JSON_DEPTH_MAX, err) != ERR_OK) {
		err->code = ERR_CORRUPT;
		return err_while(err, "blob '%.*s'", STR_ARG(event_text(event, ref)));
	}
	event_put_text(event, field, buf_view(content));
	return ERR_OK;
}

static enum err_code change_state(struct folding *folding, const struct event *event,
				  const struct model *next, struct err *err)
{
	if (apply_next(&folding->fold->state, event, next, ERR_CORRUPT, err) == ERR_OK)
		return ERR_OK;
	folding->is_spoilt = true;
	return err->code;
}

static bool names_blobs(const struct event *event)
{
	return event_has(event, EVENT_FIELD_OUTPUTS_REF) ||
	       event_has(event, EVENT_FIELD_CONTEXT_UPDATES_REF) ||
	       event_has(event, EVENT_FIELD_GIVEN_REF);
}

/* The same for an event that names blobs: with what is in them. */
static enum err_code change_by_blobs(struct folding *folding, const struct event *event,
				     const struct model *next, struct err *err)
{
	struct event whole = *event;

	if (resolve(folding, &whole, EVENT_FIELD_OUTPUTS_REF, EVENT_FIELD_OUTPUTS,
		    &folding->outputs, err) != ERR_OK ||
	    resolve(folding, &whole, EVENT_FIELD_CONTEXT_UPDATES_REF, EVENT_FIELD_CONTEXT_UPDATES,
		    &folding->updates, err) != ERR_OK ||
	    resolve(folding, &whole, EVENT_FIELD_GIVEN_REF, EVENT_FIELD_GIVEN, &folding->outputs,
		    err) != ERR_OK)
		return err->code;
	return change_state(folding, &whole, next, err);
}

static bool is_beyond(const struct folding *folding, const struct event *event)
{
	return event->seq > 1 &&
	       (event->seq > folding->until.seq || event->time_utc_ms > folding->until.utc_ms);
}

static enum err_code on_event(void *arg, const struct event *event, struct str line,
			      struct err *err)
{
	struct folding *folding = arg;
	const struct run_state *state = &folding->fold->state;
	const struct model *next = NULL;

	if (!folding->fold->model && begin(folding, event, err) != ERR_OK)
		return err->code;
	folding->is_over = folding->is_over || is_beyond(folding, event);
	if (folding->is_over)
		return ERR_OK;
	if (event->type == EVENT_RUN_RESUMED && event_has(event, EVENT_FIELD_CHANGES)) {
		if (read_next(folding, event, err) != ERR_OK)
			return err->code;
		next = folding->fold->model;
	}
	if ((names_blobs(event) ? change_by_blobs(folding, event, next, err)
				: change_state(folding, event, next, err)) != ERR_OK)
		return err->code;
	return folding->visit ? folding->visit(folding->arg, state, event, line, err) : ERR_OK;
}

/* Readers stop at what the living owner made durable: the rest could still be lost (S11.6). */
static enum err_code readable_bytes(const struct rundir *dir, uint64_t *ret_upto, struct err *err)
{
	struct run_lock_info info;

	if (run_lock_look(rundir_vfs(dir), rundir_fd(dir), &info, err) != ERR_OK)
		return err->code;
	*ret_upto = info.is_held ? info.synced_offset_bytes : 0;
	return ERR_OK;
}

static enum err_code read_upto(struct folding *folding, uint64_t upto,
			       struct log_reading *ret_reading, struct err *err)
{
	folding->is_spoilt = false;
	folding->is_over = false;
	return log_read(rundir_vfs(folding->dir), rundir_fd(folding->dir), folding->limits, upto,
			on_event, folding, ret_reading, err);
}

/* Back to the definition that the run was born with. */
static void keep_oldest(struct fold_run *fold)
{
	while (fold->model->older) {
		struct model *newer = fold->model;

		fold->model = newer->older;
		newer->older = NULL;
		model_free(newer);
	}
}

static enum err_code read_all(struct folding *folding, struct err *err)
{
	struct fold_run *fold = folding->fold;
	struct log_reading prefix;
	uint64_t upto = 0;

	if (readable_bytes(folding->dir, &upto, err) != ERR_OK ||
	    read_upto(folding, upto, &fold->reading, err) != ERR_OK)
		return err->code;
	if (folding->is_spoilt && fold->reading.head.offset_bytes > 0) {
		/* The event that the tables refuse left a half-changed state behind: fold the good
		 * prefix again, without it. */
		run_state_fini(&fold->state);
		fold->state = (struct run_state){.seq = 0};
		folding->visit = NULL;
		keep_oldest(fold);
		if (run_state_init(&fold->state, fold->model, err) != ERR_OK ||
		    read_upto(folding, fold->reading.head.offset_bytes, &prefix, err) != ERR_OK)
			return err->code;
	}
	if (fold->model && fold->state.seq > 0)
		return ERR_OK;
	/* not reached: one of the two, as log_read itself says NOT_FOUND of a log that ends well
	 * without a first line */
	if (fold->reading.end == LOG_END_DAMAGED || fold->reading.end == LOG_END_NEWER) {
		*err = fold->reading.problem;
		return err->code;
	}
	return err_set(err, ERR_NOT_FOUND, "'%s' is no run: its log has no whole first line",
		       rundir_path(folding->dir));
}

enum err_code fold_read_until(const struct rundir *dir, const struct limits *limits,
			      const struct fold_until *until, fold_visit_fn *visit, void *arg,
			      struct fold_run *ret_fold, struct err *err)
{
	struct fold_run fold = {.model = NULL};
	AUTO(folding_fini)
	struct folding folding = {.dir = dir,
				  .limits = limits,
				  .fold = &fold,
				  .visit = visit,
				  .arg = arg,
				  .until = *until};

	if (read_all(&folding, err) != ERR_OK) {
		fold_fini(&fold);
		return err->code;
	}
	*ret_fold = fold;
	return ERR_OK;
}

enum err_code fold_read(const struct rundir *dir, const struct limits *limits, fold_visit_fn *visit,
			void *arg, struct fold_run *ret_fold, struct err *err)
{
	const struct fold_until all = {UINT64_MAX, INT64_MAX};

	return fold_read_until(dir, limits, &all, visit, arg, ret_fold, err);
}

static enum err_code on_end(void *arg, const struct log_head *head, struct err *err)
{
	const struct folding *folding = arg;

	return folding->accept ? folding->accept(folding->arg, head, err) : ERR_OK;
}

enum err_code fold_open(const struct rundir *dir, const struct limits *limits, fold_visit_fn *visit,
			log_accept_fn *accept, void *arg, struct fold_run *ret_fold,
			struct log **ret_log, struct log_torn *ret_torn, struct err *err)
{
	struct fold_run fold = {.model = NULL};
	AUTO(log_drop) struct log *log = NULL;
	struct log_torn torn;
	AUTO(folding_fini)
	struct folding folding = {.dir = dir,
				  .limits = limits,
				  .fold = &fold,
				  .visit = visit,
				  .accept = accept,
				  .arg = arg,
				  .until = {UINT64_MAX, INT64_MAX}};

	if (log_open(rundir_vfs(dir), rundir_fd(dir), rundir_id(dir), limits, on_event, on_end,
		     &folding, &log, &torn, err) != ERR_OK) {
		fold_fini(&fold);
		return err->code;
	}
	BUG_IF(!fold.model); /* log_open answers NOT_FOUND when there is no first line */
	fold.reading.head = *log_head(log);
	*ret_fold = fold;
	*ret_log = TAKE(log, NULL);
	*ret_torn = torn;
	return ERR_OK;
}

void fold_fini(struct fold_run *fold)
{
	if (fold->model)
		run_state_fini(&fold->state);
	model_drop(&fold->model);
}
