/* template.h - texts with `${expression}` parts: where the parts lie.
 *
 * The end of a part is found by the words of Lua, so that `}` in a string or a table is none. */
#ifndef LANG_TEMPLATE_H
#define LANG_TEMPLATE_H

#include "core/model.h"

struct template_part {
	struct str literal;    /* text before the expression, may be empty */
	struct str expression; /* between `${` and `}`; ptr NULL at the end of the text */
	bool is_open;          /* a `${` without its `}`: literal ends where it begins */
};

/* The next part: start with *at = 0; false at the end. */
bool template_next(struct str text, size_t *at, struct template_part *ret_part);

/* Is the whole text one `${params.NAME}` of a parameter of type secret? Its index, else UINT32_MAX.
 * Only such a text may carry a secret, and only as a value of `env`; who fills it reads the secret
 * from its source. */
uint32_t template_secret(const struct model *model, const struct tmpl *tmpl);

#endif
