/* resource.h - bounds of a command's process: the rows of resource.def. */
#ifndef CORE_RESOURCE_H
#define CORE_RESOURCE_H

#include <stdint.h>

/* Sent to keepers: values are stable. */
enum resource_kind {
#define RESOURCE(name, rlimit, value, unit, what) RESOURCE_##name = (value),
#include "core/resource.def"
};

#define RESOURCE_KINDS 9

struct resource_limit {
	enum resource_kind kind;
	uint64_t value; /* bytes, seconds or a count */
};

#endif
