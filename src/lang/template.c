/* template.c - see template.h */
#include "lang/template.h"

#include "lang/token.h"

/* The `}` that ends the expression that begins at `from`; SIZE_MAX if there is none. */
static size_t expression_end(struct str text, size_t from)
{
	size_t at = from;
	size_t depth = 0;

	for (;;) {
		struct token token = token_next(text, &at);

		if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
			return SIZE_MAX;
		if (token.kind != TOKEN_SYMBOL)
			continue;
		if (str_is(token.text, "{"))
			depth++;
		if (str_is(token.text, "}") && depth-- == 0)
			return token.at;
	}
}

bool template_next(struct str text, size_t *at, struct template_part *ret_part)
{
	size_t open;
	size_t close;

	if (*at >= text.len)
		return false;
	*ret_part = (struct template_part){.literal = str_cut(text, *at, text.len)};
	open = str_find(text, "${", *at);
	if (open == SIZE_MAX) {
		*at = text.len;
		return true;
	}
	ret_part->literal = str_cut(text, *at, open);
	close = expression_end(text, open + 2);
	ret_part->is_open = close == SIZE_MAX;
	if (!ret_part->is_open)
		ret_part->expression = str_cut(text, open + 2, close);
	*at = ret_part->is_open ? text.len : close + 1;
	return true;
}

uint32_t template_secret(const struct model *model, const struct tmpl *tmpl)
{
	struct template_part part;
	struct token words[4];
	size_t at = 0;

	if (!tmpl->is_dynamic || !template_next(tmpl->text, &at, &part) || part.literal.len > 0 ||
	    !part.expression.ptr || at != tmpl->text.len)
		return UINT32_MAX;
	at = 0;
	for (size_t i = 0; i < 4; i++)
		words[i] = token_next(part.expression, &at);
	if (!str_is(words[0].text, "params") || !str_is(words[1].text, ".") ||
	    words[2].kind != TOKEN_NAME || words[3].kind != TOKEN_END)
		return UINT32_MAX;
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (model->params[i].type == VALUE_SECRET &&
		    str_eq(model->params[i].name, words[2].text))
			return i;
	}
	return UINT32_MAX;
}
