/* expr.c - any bytes as an expression and as a pattern: never a crash, never for long, and what an
 * evaluation writes is JSON */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "lang/expr.h"
#include "lang/pattern.h"
#include "lang/template.h"

static struct expr *sandbox(void)
{
	static struct expr *expr;
	struct err err = ERR_INIT;
	struct limits limits;

	limits_default(&limits);
	limits.lua_instructions = 20000;
	if (!expr)
		BUG_IF(expr_new(&limits, &expr, &err) != ERR_OK);
	return expr;
}

static void evaluate(struct str source)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	const struct expr_scope scope = {.output = STR("{\"a\":1,\"b\":[\"x\",null]}")};
	const struct tmpl tmpl = {.text = source, .is_dynamic = true};
	struct err checked = ERR_INIT;
	struct err err = ERR_INIT;

	if (expr_check(sandbox(), source, &checked) == ERR_OK &&
	    expr_eval(sandbox(), source, &scope, &json, &err) == ERR_OK)
		BUG_IF(json_check(buf_view(&json), JSON_DEPTH_MAX, &err) != ERR_OK);
	err_reset(&err);
	if (expr_fill(sandbox(), &tmpl, &scope, &text, &err) != ERR_OK)
		BUG_IF(text.len > 0);
}

/* The parts of a template are the text. */
static void parts(struct str text)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	struct template_part part = {.is_open = false};
	size_t at = 0;

	while (template_next(text, &at, &part)) {
		BUG_IF(str_find(part.literal, "${", 0) != SIZE_MAX);
		buf_str(&whole, part.literal);
		if (part.expression.ptr) {
			buf_text(&whole, "${");
			buf_str(&whole, part.expression);
			buf_byte(&whole, '}');
		}
	}
	if (part.is_open)
		BUG_IF(!str_eq(buf_view(&whole), str_cut(text, 0, whole.len)) ||
		       str_find(text, "${", whole.len) != whole.len);
	else
		BUG_IF(!str_eq(buf_view(&whole), text));
}

static void match(struct str text)
{
	size_t half = text.len / 2;
	struct str pattern_text = str_cut(text, 0, half);
	struct str subject = str_cut(text, half, text.len);
	struct pattern_match found;
	struct pattern pattern;
	struct err err = ERR_INIT;
	uint64_t steps = PATTERN_STEPS;

	if (pattern_read(pattern_text, false, &pattern, &err) != ERR_OK)
		return;
	if (pattern_find(&pattern, subject, 0, &steps, &found) != PATTERN_MATCH)
		return;
	BUG_IF(found.from > found.to || found.to > subject.len);
	for (uint32_t i = 0; i < found.count; i++) {
		BUG_IF(found.captures[i].from > subject.len);
		BUG_IF(found.captures[i].len != CAPTURE_POSITION &&
		       found.captures[i].len > subject.len - found.captures[i].from);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	evaluate(str_from((const char *)data, size));
	if (size > 0)
		parts(str_from((const char *)data, size));
	match(str_from((const char *)data, size));
	return 0;
}
