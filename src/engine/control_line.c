/* control_line.c - see control_line.h */
#include "engine/control_line.h"

#include "base/json.h"
#include "base/mem.h"

#define LINE_DEPTH_MAX 4

static const char *const verbs[] = {
    [ENGINE_ASK_STOP] = "stop",
    [ENGINE_ASK_APPROVE] = "approve",
    [ENGINE_ASK_REJECT] = "reject",
};

/* Append a member, with what stands before it. */
static void put_member(struct buf *out, const char *name, struct str text)
{
	buf_fmt(out, "%c\"%s\":", out->len ? ',' : '{', name);
	json_put_str(out, text);
}

static enum err_code take_text(struct str object, const char *name, struct buf *out,
			       struct str *ret_text, struct err *err)
{
	struct str value = json_get(object, name);
	size_t at = out->len;

	*ret_text = STR_NONE;
	if (!value.ptr)
		return ERR_OK;
	if (json_type_of(value) != JSON_STRING)
		return err_set(err, ERR_USAGE, "'%s' is not a text", name);
	json_decode(value, out);
	if (buf_check(out, "a line of the control socket", err) != ERR_OK)
		return err->code;
	*ret_text = str_cut(buf_view(out), at, out->len);
	return ERR_OK;
}

/* An object, and room for all of its texts, so that none moves while others point into it. */
static enum err_code take_line(struct str line, const char *what, struct buf *texts,
			       struct err *err)
{
	if (json_check(line, LINE_DEPTH_MAX, err) != ERR_OK)
		return err_while(err, "%s", what);
	if (json_type_of(line) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "%s is not an object", what);
	return buf_room(texts, 4 * line.len) ? ERR_OK : mem_err(err);
}

void control_request_put(struct buf *out, const struct engine_ask *ask)
{
	put_member(out, "verb", str_of(verbs[ask->kind]));
	if (ask->step.len)
		put_member(out, "step", ask->step);
	if (ask->person.name.len)
		put_member(out, "name", ask->person.name);
	if (ask->person.reason.len)
		put_member(out, "reason", ask->person.reason);
	buf_fmt(out, ",\"now\":%s}\n", ask->now ? "true" : "false");
}

enum err_code control_request_read(struct str request, struct buf *texts, struct engine_ask *ask,
				   struct err *err)
{
	struct str verb;
	struct str now;

	if (take_line(request, "the request", texts, err) != ERR_OK ||
	    take_text(request, "verb", texts, &verb, err) != ERR_OK ||
	    take_text(request, "step", texts, &ask->step, err) != ERR_OK ||
	    take_text(request, "name", texts, &ask->person.name, err) != ERR_OK ||
	    take_text(request, "reason", texts, &ask->person.reason, err) != ERR_OK)
		return err->code;
	now = json_get(request, "now");
	ask->now = now.ptr && json_type_of(now) == JSON_TRUE;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		ask->kind = (enum engine_ask_kind)i;
		if (str_is(verb, verbs[i]))
			return ERR_OK;
	}
	return err_set(err, ERR_USAGE, "there is no request '%.*s'", STR_ARG(verb));
}

void control_answer_put(struct buf *out, const struct err *answer)
{
	put_member(out, "code", str_of(err_name(answer->code)));
	if (answer->code != ERR_OK)
		put_member(out, "text", str_of(answer->text));
	if (answer->code != ERR_OK && answer->hint[0])
		put_member(out, "hint", str_of(answer->hint));
	buf_text(out, "}\n");
}

static enum err_code code_of(struct str name)
{
	for (enum err_code code = ERR_OK; code <= ERR_UNSUPPORTED; code++) {
		if (str_is(name, err_name(code)))
			return code;
	}
	return ERR_GONE;
}

enum err_code control_answer_read(struct str line, struct err *err)
{
	AUTO(buf_fini) struct buf texts = BUF_INIT;
	struct str name;
	struct str text;
	struct str hint;

	if (take_line(line, "the owner's answer", &texts, err) != ERR_OK ||
	    take_text(line, "code", &texts, &name, err) != ERR_OK ||
	    take_text(line, "text", &texts, &text, err) != ERR_OK ||
	    take_text(line, "hint", &texts, &hint, err) != ERR_OK)
		return err->code;
	if (code_of(name) == ERR_OK)
		return ERR_OK;
	(void)err_set(err, code_of(name), "%.*s", STR_ARG(text));
	return hint.len ? err_hint(err, "%.*s", STR_ARG(hint)) : err->code;
}
