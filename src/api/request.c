/* request.c - see request.h */
#include "api/request.h"

#include "base/json.h"
#include "lang/lang.h"

/* What run.created of the first request says, compared with the second. */
struct comparing {
	const struct starting *starting;
	const char *difference; /* NULL = none was found */
};

static bool is_same_text(const struct event *event, enum event_field field, struct str text)
{
	return str_eq(event_text(event, field), text);
}

static bool has_same_params(const struct starting *starting, const struct event *created)
{
	struct str params = event_text(created, EVENT_FIELD_PARAMS);

	for (uint32_t i = 0; i < starting->model.params_count; i++) {
		struct str value = STR_NONE;

		if (params.ptr)
			value = json_get(params, starting->model.params[i].name.ptr);
		if (!str_eq(value, starting->params[i]))
			return false;
	}
	return true;
}

static bool has_same_selection(const struct starting *starting, const struct run_state *state,
			       struct err *err)
{
	AUTO(buf_fini) struct buf own = BUF_INIT;

	if (selection_is_given(&starting->start.selection))
		selection_put(&starting->start.selection, &own);
	return buf_check(&own, "a selection", err) == ERR_OK &&
	       str_eq(state->selection, buf_view(&own)) &&
	       str_eq(state->given, starting->start.given);
}

/* The definition, but for how many steps run at once and how the log is synced: both may differ. */
static enum err_code has_same_definition(const struct starting *starting,
					 const struct run_state *state, const struct event *created,
					 bool *ret_same, struct err *err)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct model model = starting->model;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];

	model.concurrency = state->model->concurrency;
	model.sync = state->model->sync;
	model.sync_interval_ns = state->model->sync_interval_ns;
	if (lang_freeze(&model, &frozen, err) != ERR_OK)
		return err->code;
	sha256_of(frozen.ptr, frozen.len, digest);
	sha256_hex(digest, hex);
	*ret_same = is_same_text(created, EVENT_FIELD_DEFINITION_HASH, str_of(hex));
	return ERR_OK;
}

/* Only the first event counts: what later resumes changed was no part of the request. */
static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	struct comparing *comparing = arg;
	const struct starting *starting = comparing->starting;
	bool is_same = false;

	(void)line;
	if (event->type != EVENT_RUN_CREATED)
		return ERR_OK;
	if (!is_same_text(event, EVENT_FIELD_IDEMPOTENCY_KEY, starting->start.key))
		comparing->difference = "no such key";
	else if (has_same_definition(starting, state, event, &is_same, err) != ERR_OK)
		return err->code;
	else if (!is_same)
		comparing->difference = "another definition";
	else if (!has_same_params(starting, event))
		comparing->difference = "other parameters";
	else if (!is_same_text(event, EVENT_FIELD_PARTITION, starting->start.partition))
		comparing->difference = "another partition";
	else if (!has_same_selection(starting, state, err))
		comparing->difference = "another part of the pipeline";
	return err->code;
}

static enum err_code compare(const struct starting *starting, struct err *err)
{
	const struct sluice *sluice = starting->sluice;
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct comparing comparing = {.starting = starting};

	buf_fmt(&path, "%s/runs/%s", sluice->home, starting->id);
	if (buf_check(&path, "a path", err) != ERR_OK ||
	    rundir_open(sluice->vfs, path.ptr, &dir, err) != ERR_OK ||
	    fold_read(dir, &sluice->limits, on_event, &comparing, &fold, err) != ERR_OK)
		return err->code;
	if (!comparing.difference)
		return ERR_OK;
	(void)err_set(
	    err, ERR_REFUSED,
	    "the idempotency key '%.*s' belongs to the run '%s', which was started with %s",
	    STR_ARG(str_cut(starting->start.key, 0, 80)), starting->id, comparing.difference);
	return err_hint(err, "another request needs another key");
}

enum err_code request_is_new(const struct starting *starting, struct err *err)
{
	if (compare(starting, err) == ERR_OK) {
		(void)err_set(err, ERR_EXISTS,
			      "the idempotency key has started the run '%s' already", starting->id);
		return err_hint(err, "status %s", starting->id);
	}
	if (err->code != ERR_NOT_FOUND)
		return err->code;
	err_reset(err);
	return ERR_OK;
}

enum err_code request_find(const struct starting *starting, struct buf *out_id, struct err *err)
{
	if (compare(starting, err) != ERR_OK)
		return err->code;
	buf_text(out_id, starting->id);
	return buf_check(out_id, "an id", err);
}
