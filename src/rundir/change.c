/* change.c - see change.h */
#include "rundir/change.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/lang.h"

#include <string.h>

void change_fini(struct change *change)
{
	model_drop(&change->next);
	buf_fini(&change->frozen);
	buf_fini(&change->changes);
}

/* ------------------------------------------------------------------------ what differs */

static void key_put(struct buf *out, struct str key)
{
	buf_fmt(out, "%s%.*s", out->len ? ", " : "", STR_ARG(key));
}

/* Keys of `a` that `b` lacks or has otherwise; with `is_back` only those that it lacks. */
static void differing_keys(struct str a, struct str b, bool is_back, struct str except,
			   struct buf *out)
{
	AUTO(buf_fini) struct buf key = BUF_INIT;
	struct str name;
	struct str value;
	size_t at = 0;

	while (json_member(a, &at, &name, &value)) {
		struct str other;

		buf_clear(&key);
		buf_str(&key, name);
		buf_byte(&key, 0);
		if (key.failed != ERR_OK) {
			out->failed = key.failed;
			return;
		}
		other = json_get(b, key.ptr);
		if (!str_eq(name, except) && (!other.ptr || (!is_back && !str_eq(value, other))))
			key_put(out, name);
	}
}

static void differing(struct str old, struct str next, struct str except, struct buf *out)
{
	differing_keys(old, next, false, except, out);
	differing_keys(next, old, true, except, out);
}

static bool has_same_list(const struct model *old, const uint32_t *a, uint32_t a_count,
			  const struct model *next, const uint32_t *b, uint32_t b_count)
{
	if (a_count != b_count)
		return false;
	for (uint32_t i = 0; i < a_count; i++) {
		if (!str_eq(old->steps[a[i]].id, next->steps[b[i]].id))
			return false;
	}
	return true;
}

/* By name: the need on the step written before is not in the frozen form, and another step may be
 * there. */
static bool has_same_needs(const struct model *old, const struct step *a, const struct model *next,
			   const struct step *b)
{
	return has_same_list(old, a->needs, a->needs_count, next, b->needs, b->needs_count) &&
	       has_same_list(old, a->needs_any, a->needs_any_count, next, b->needs_any,
			     b->needs_any_count);
}

static bool has_same_env(const struct model *old, const struct model *next)
{
	if (old->env_count != next->env_count)
		return false;
	for (uint32_t i = 0; i < old->env_count; i++) {
		const struct env_entry *a = &old->env[i];
		const struct env_entry *b = &next->env[i];

		if (!str_eq(a->name, b->name) || a->from_env != b->from_env ||
		    !str_eq(a->value.text, b->value.text))
			return false;
	}
	return true;
}

/* The object of the only member of a frozen step. */
static struct str step_body(const struct buf *frozen)
{
	struct str name;
	struct str value = STR_NONE;
	size_t at = 0;

	return json_member(buf_view(frozen), &at, &name, &value) ? value : STR_NONE;
}

void change_step_keys(const struct model *old, const struct model *next, struct str id,
		      struct buf *out)
{
	AUTO(buf_fini) struct buf before = BUF_INIT;
	AUTO(buf_fini) struct buf after = BUF_INIT;
	AUTO(buf_fini) struct buf keys = BUF_INIT;
	const struct step *a = &old->steps[model_find(old, id)];
	const struct step *b = &next->steps[model_find(next, id)];

	lang_freeze_step(old, a, &before);
	lang_freeze_step(next, b, &after);
	if (before.failed != ERR_OK || after.failed != ERR_OK) {
		out->failed = ERR_MEMORY;
		return;
	}
	differing(step_body(&before), step_body(&after), STR_NONE, &keys);
	if (!keys.len && !has_same_needs(old, a, next, b))
		key_put(&keys, STR("needs"));
	if ((a->command || a->compensate) && (b->command || b->compensate) &&
	    !has_same_env(old, next))
		key_put(&keys, STR("env of the pipeline"));
	if (keys.failed != ERR_OK)
		out->failed = keys.failed;
	buf_str(out, buf_view(&keys));
}

enum err_code change_pipeline_keys(const struct model *old, const struct model *next,
				   struct buf *out, struct err *err)
{
	AUTO(buf_fini) struct buf before = BUF_INIT;
	AUTO(buf_fini) struct buf after = BUF_INIT;
	AUTO(buf_fini) struct buf keys = BUF_INIT;
	struct model same = *next; /* shallow: only read */

	same.folder = old->folder;
	same.sync = old->sync;
	same.sync_interval_ns = old->sync_interval_ns;
	if (lang_freeze(old, &before, err) != ERR_OK || lang_freeze(&same, &after, err) != ERR_OK)
		return err->code;
	differing(buf_view(&before), buf_view(&after), STR("steps"), &keys);
	if (buf_check(&keys, "a difference", err) != ERR_OK)
		return err->code;
	buf_str(out, buf_view(&keys));
	return ERR_OK;
}

/* ------------------------------------------------------------------------ the event's lists */

static void id_put(struct buf *out, struct str id)
{
	if (out->ptr[out->len - 1] != '[')
		buf_byte(out, ',');
	json_put_str(out, id);
}

static enum err_code put_changes(const struct model *old, const struct model *next, struct buf *out,
				 struct err *err)
{
	buf_text(out, "{\"changed\":[");
	for (uint32_t i = 0; out->failed == ERR_OK && i < next->steps_count; i++) {
		AUTO(buf_fini) struct buf keys = BUF_INIT;
		struct str id = next->steps[i].id;

		if (model_find(old, id) == STEP_NONE)
			continue;
		change_step_keys(old, next, id, &keys);
		if (buf_check(&keys, "a difference", err) != ERR_OK)
			return err->code;
		if (keys.len)
			id_put(out, id);
	}
	buf_text(out, "],\"added\":[");
	for (uint32_t i = 0; out->failed == ERR_OK && i < next->steps_count; i++) {
		if (model_find(old, next->steps[i].id) == STEP_NONE)
			id_put(out, next->steps[i].id);
	}
	buf_text(out, "],\"removed\":[");
	for (uint32_t i = 0; out->failed == ERR_OK && i < old->steps_count; i++) {
		if (model_find(next, old->steps[i].id) == STEP_NONE)
			id_put(out, old->steps[i].id);
	}
	buf_text(out, "]}");
	return buf_check(out, "the changes", err);
}

/* The frozen form as this run would have it: what was settled at its birth stays. */
static enum err_code freeze_next(const struct run_state *run, const struct model *definition,
				 struct change *change, struct err *err)
{
	struct model next = *definition; /* shallow: only read */
	uint8_t digest[SHA256_BYTES];

	next.folder = run->model->folder;
	next.sync = run->model->sync;
	next.sync_interval_ns = run->model->sync_interval_ns;
	if (lang_freeze(&next, &change->frozen, err) != ERR_OK)
		return err->code;
	sha256_of(change->frozen.ptr, change->frozen.len, digest);
	sha256_hex(digest, change->hash);
	return ERR_OK;
}

enum err_code change_make(const struct run_state *run, const struct model *definition,
			  struct change *ret_change, struct err *err)
{
	AUTO(change_fini) struct change change = {.next = NULL};

	if (!str_eq(run->model->pipeline, definition->pipeline)) {
		(void)err_set(err, ERR_REFUSED,
			      "the run is one of the pipeline '%.*s', the file is '%.*s'",
			      STR_ARG(run->model->pipeline), STR_ARG(definition->pipeline));
		return err_hint(err, "start another run: run FILE");
	}
	if (freeze_next(run, definition, &change, err) != ERR_OK)
		return err->code;
	if (!str_is(run->definition_hash, change.hash) &&
	    (lang_thaw(buf_view(&change.frozen), &change.next, err) != ERR_OK ||
	     put_changes(run->model, change.next, &change.changes, err) != ERR_OK))
		return err->code;
	*ret_change = change;
	change = (struct change){.next = NULL};
	return ERR_OK;
}
