/* registry.h - what a program has added to its handle: functions, kinds of steps, middleware,
 * executors. Nothing is ever taken out, so that whatever was found stays valid as long as the
 * handle. */
#ifndef API_REGISTRY_H
#define API_REGISTRY_H

#include "api/api.h"

#include <pthread.h>

struct middleware {
	sluice_middleware_fn *fn;
	void *arg;
};

struct registry {
	struct sluice_call_def *calls; /* names are owned */
	size_t calls_count, calls_capacity;
	struct sluice_kind_def *kinds; /* names are owned */
	size_t kinds_count, kinds_capacity;
	struct middleware *chain; /* the outermost first */
	size_t chain_count, chain_capacity;
	struct sluice_executor_def *executors; /* names are owned */
	size_t executors_count, executors_capacity;
	pthread_mutex_t lock;  /* guards `hosted` and the attempts of each of them */
	struct hosted *hosted; /* executors of runs of this handle, see executor.c */
};

/* NULL when there is none of that name; `registry` may be NULL. */
const struct sluice_call_def *registry_call(const struct registry *registry, struct str name);
const struct sluice_executor_def *registry_executor(const struct registry *registry,
						    struct str name);
const struct sluice_kind_def *registry_kind(const struct registry *registry, struct str name);

#endif
