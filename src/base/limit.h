/* limit.h - the named limits (limit.def) as one struct of values that travels with a definition. */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* A larger limit counts as this one, so that no sum or small product of limits goes past its
 * type. */
#define LIMIT_VALUE_MAX (UINT64_C(1) << 60)

struct limits {
#define LIMIT(name, value, unit, text) uint64_t name;
#include "base/limit.def"
};

/* The values of limit.def. */
void limits_default(struct limits *limits);
/* Set one from "name=value"; sizes take units ("64MiB"). USAGE for an unknown name (with the
 * nearest one as hint) or a malformed value. A value over LIMIT_VALUE_MAX counts as that. */
MUST_CHECK enum err_code limits_set(struct limits *limits, struct str assignment, struct err *err);

/* Name of limit number `index`, counted from 0; NULL behind the last one. */
const char *limit_name(size_t index);

#endif
