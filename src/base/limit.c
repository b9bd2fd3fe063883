/* limit.c - see limit.h */
#include "base/limit.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <stddef.h>

struct limit_row {
	const char *name;
	size_t offset; /* in struct limits */
	bool is_bytes;
};

#define unit_is_bytes true
#define unit_is_count false
static const struct limit_row rows[] = {
#define LIMIT(name, value, unit, text) {#name, offsetof(struct limits, name), unit_is_##unit},
#include "base/limit.def"
};

static const char *const names[] = {
#define LIMIT(name, value, unit, text) #name,
#include "base/limit.def"
};

void limits_default(struct limits *limits)
{
	*limits = (struct limits){
#define LIMIT(name, value, unit, text) .name = (value),
#include "base/limit.def"
	};
}

enum err_code limits_set(struct limits *limits, struct str assignment, struct err *err)
{
	size_t equals = str_find(assignment, "=", 0);
	struct str name = str_cut(assignment, 0, equals);
	struct str text =
	    str_cut(assignment, equals == SIZE_MAX ? assignment.len : equals + 1, assignment.len);
	uint64_t value;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_is(name, rows[i].name))
			continue;
		if (!str_to_u64(text, &value) && !(rows[i].is_bytes && size_read(text, &value)))
			return err_set(err, ERR_USAGE, "limit '%s': '%.*s' is not a %s",
				       rows[i].name, STR_ARG(text),
				       rows[i].is_bytes ? "size (64MiB)" : "number");
		if (value > LIMIT_VALUE_MAX)
			value = LIMIT_VALUE_MAX;
		*(uint64_t *)(void *)((char *)limits + rows[i].offset) = value;
		return ERR_OK;
	}
	(void)err_set(err, ERR_USAGE, "there is no limit '%.*s'", STR_ARG(name));
	if (str_nearest(name, names, ARRAY_LEN(names)))
		(void)err_hint(err, "did you mean '%s'?",
			       str_nearest(name, names, ARRAY_LEN(names)));
	return err->code;
}

const char *limit_name(size_t index)
{
	return index < ARRAY_LEN(names) ? names[index] : NULL;
}
