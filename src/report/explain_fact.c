/* explain_fact.c - see explain_fact.h */
#include "report/explain_fact.h"

#include "base/json.h"
#include "base/mem.h"
#include "report/pretty.h"

void facts_fini(struct facts *facts)
{
	arena_fini(&facts->arena);
	mem_free(facts->items);
}

static void keep(struct facts *facts, struct fact *fact, struct str step, struct buf *text)
{
	struct err err = ERR_INIT;
	void *list = facts->items;

	for (size_t i = 0; i < text->len; i++) {
		if ((unsigned char)text->ptr[i] < 0x20 || text->ptr[i] == 0x7f)
			text->ptr[i] = ' ';
	}
	if (buf_check(text, "fact", &err) != ERR_OK ||
	    mem_grow(&list, &facts->capacity, facts->count + 1, sizeof(*fact), &err) != ERR_OK) {
		facts->failed = err.code;
		return;
	}
	facts->items = list;
	fact->text = arena_str(&facts->arena, buf_view(text));
	fact->step = step.ptr ? arena_str(&facts->arena, step) : STR_NONE;
	if (!fact->text.ptr || (step.ptr && !fact->step.ptr)) {
		facts->failed = ERR_MEMORY;
		return;
	}
	facts->items[facts->count++] = *fact;
}

void facts_add(struct facts *facts, unsigned depth, const char *code, struct str step,
	       uint64_t event, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct fact fact = {.depth = depth, .code = code, .event = event};
	va_list args;

	if (facts->failed != ERR_OK)
		return;
	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	keep(facts, &fact, step, &text);
}

enum err_code facts_check(const struct facts *facts, struct err *err)
{
	return facts->failed == ERR_OK ? ERR_OK : mem_err(err);
}

struct str facts_view(struct facts *facts, const struct buf *text)
{
	if (text->failed != ERR_OK)
		facts->failed = text->failed;
	return buf_view(text);
}

void facts_text(const struct facts *facts, struct buf *out)
{
	for (size_t i = 0; i < facts->count; i++) {
		const struct fact *fact = &facts->items[i];

		for (unsigned d = 0; d < fact->depth; d++)
			buf_text(out, "  ");
		buf_str(out, fact->text);
		if (fact->event > 0)
			buf_fmt(out, " (evt_%llu)", (unsigned long long)fact->event);
		buf_byte(out, '\n');
	}
}

void facts_member(const struct facts *facts, struct buf *out)
{
	field_open(out, "facts", '[');
	for (size_t i = 0; i < facts->count; i++) {
		const struct fact *fact = &facts->items[i];

		field_comma(out);
		buf_byte(out, '{');
		field_i64(out, "depth", fact->depth);
		field_str(out, "code", str_of(fact->code));
		field_str(out, "step_id", fact->step);
		if (fact->event > 0) {
			buf_text(out, ",\"event_id\":\"evt_");
			buf_u64(out, fact->event);
			buf_byte(out, '"');
		} else {
			field_null(out, "event_id");
		}
		field_str(out, "text", fact->text);
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
}
