/* registry.c - see registry.h; and the public calls that add to it. */
#include "api/registry.h"

#include "core/exec.h"

#include <string.h>

/* ----------------------------------------------------------------------------------- tables */

const struct sluice_call_def *registry_call(const struct registry *registry, struct str name)
{
	for (size_t i = 0; registry && i < registry->calls_count; i++) {
		if (str_is(name, registry->calls[i].name))
			return &registry->calls[i];
	}
	return NULL;
}

const struct sluice_kind_def *registry_kind(const struct registry *registry, struct str name)
{
	for (size_t i = 0; registry && i < registry->kinds_count; i++) {
		if (str_is(name, registry->kinds[i].name))
			return &registry->kinds[i];
	}
	return NULL;
}

const struct sluice_executor_def *registry_executor(const struct registry *registry,
						    struct str name)
{
	for (size_t i = 0; registry && i < registry->executors_count; i++) {
		if (str_is(name, registry->executors[i].name))
			return &registry->executors[i];
	}
	return NULL;
}

/* Room for one more, and an owned copy of its name. */
static enum err_code make_room(void **list, size_t *capacity, size_t count, size_t size,
			       const char *name, char **ret_name, struct err *err)
{
	if (mem_grow(list, capacity, count + 1, size, err) != ERR_OK)
		return err->code;
	if (!name)
		return ERR_OK;
	*ret_name = mem_text(name, strlen(name));
	return *ret_name ? ERR_OK : mem_err(err);
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < registry->calls_count; i++)
		mem_free((char *)(uintptr_t)registry->calls[i].name);
	mem_free(registry->calls);
	for (size_t i = 0; i < registry->kinds_count; i++)
		mem_free((char *)(uintptr_t)registry->kinds[i].name);
	mem_free(registry->kinds);
	for (size_t i = 0; i < registry->executors_count; i++)
		mem_free((char *)(uintptr_t)registry->executors[i].name);
	mem_free(registry->executors);
	(void)pthread_mutex_destroy(&registry->lock);
	mem_free(registry->chain);
	mem_free(registry);
}

/* NULL, and an error, when memory is short. */
static struct registry *registry_of(struct sluice *sluice, struct err *err)
{
	if (!sluice->registry) {
		sluice->registry = mem_new(1, sizeof(*sluice->registry));
		if (!sluice->registry) {
			(void)mem_err(err);
			return NULL;
		}
		/* Cannot fail as it is asked. */
		BUG_IF(pthread_mutex_init(&sluice->registry->lock, NULL) != 0);
	}
	return sluice->registry;
}

/* ------------------------------------------------------------------------------ for the
 * language */

static bool has_call(void *arg, struct str name)
{
	struct api_names *names = arg;

	return (names->pipeline && api_pipeline_call(names->pipeline, name, &names->likely_call)) ||
	       registry_call(names->sluice->registry, name);
}

static bool has_kind(void *arg, struct str name)
{
	const struct api_names *names = arg;

	return registry_kind(names->sluice->registry, name) != NULL;
}

static bool has_executor(void *arg, struct str name)
{
	const struct api_names *names = arg;

	return registry_executor(names->sluice->registry, name) != NULL;
}

#define WHY_BYTES 480

static bool check_kind(void *arg, struct str name, struct str config, struct buf *why)
{
	const struct api_names *names = arg;
	const struct sluice_kind_def *kind = registry_kind(names->sluice->registry, name);
	AUTO(mem_drop) char *json = mem_text(config.ptr, config.len);
	char text[WHY_BYTES] = "";

	if (kind && !kind->check)
		return true;
	if (kind && json && kind->check(json, kind->arg, text, sizeof(text)))
		return true;
	text[sizeof(text) - 1] = '\0';
	buf_text(why, text[0] && utf8_valid(str_of(text)) ? text : "the config is not accepted");
	return false;
}

static const char *call_name(void *arg, size_t i)
{
	const struct api_names *names = arg;
	const struct registry *registry = names->sluice->registry;

	return registry && i < registry->calls_count ? registry->calls[i].name : NULL;
}

static const char *executor_name(void *arg, size_t i)
{
	const struct api_names *names = arg;
	const struct registry *registry = names->sluice->registry;

	if (i == 0)
		return "local";
	return registry && i - 1 < registry->executors_count ? registry->executors[i - 1].name
							     : NULL;
}

struct lang_host api_lang_host(struct api_names *names)
{
	return (struct lang_host){
	    .has_call = has_call,
	    .has_kind = has_kind,
	    .has_executor = has_executor,
	    .check_kind = check_kind,
	    .call_name = call_name,
	    .executor_name = executor_name,
	    .arg = names,
	};
}

/* ------------------------------------------------------------------------------- public calls */

static enum err_code call_add(struct registry *registry, const struct sluice_call_def *def,
			      struct err *err)
{
	void *list = registry->calls;
	char *name = NULL;
	enum err_code code;

	if (registry_call(registry, str_of(def->name)))
		return err_set(err, ERR_EXISTS, "there is a function '%s' already", def->name);
	code = make_room(&list, &registry->calls_capacity, registry->calls_count,
			 sizeof(*registry->calls), def->name, &name, err);
	registry->calls = list;
	if (code != ERR_OK)
		return code;
	registry->calls[registry->calls_count] = *def;
	registry->calls[registry->calls_count++].name = name;
	return ERR_OK;
}

enum sluice_code sluice_call_register(struct sluice *sluice, const struct sluice_call_def *def,
				      struct sluice_error *err)
{
	struct registry *registry;
	struct err own = ERR_INIT;

	if (!sluice || !def || !def->name || !def->call)
		return api_usage(err, "sluice_call_register needs a handle, a name and a function");
	if (!lang_host_name_valid(str_of(def->name)))
		return api_usage(err, "the name of a function is 1 to 128 of A-Z a-z 0-9 . _ -");
	registry = registry_of(sluice, &own);
	if (!registry || call_add(registry, def, &own) != ERR_OK)
		return api_err(err, &own);
	return SLUICE_OK;
}

static enum err_code kind_add(struct registry *registry, const struct sluice_kind_def *def,
			      struct err *err)
{
	void *list = registry->kinds;
	char *name = NULL;
	enum err_code code;

	if (!lang_kind_name_is_free(str_of(def->name)))
		return err_set(err, ERR_REFUSED, "'%.80s' is a key of the pipeline format",
			       def->name);
	if (registry_kind(registry, str_of(def->name)))
		return err_set(err, ERR_EXISTS, "there is a kind of step '%s' already", def->name);
	code = make_room(&list, &registry->kinds_capacity, registry->kinds_count,
			 sizeof(*registry->kinds), def->name, &name, err);
	registry->kinds = list;
	if (code != ERR_OK)
		return code;
	registry->kinds[registry->kinds_count] = *def;
	registry->kinds[registry->kinds_count++].name = name;
	return ERR_OK;
}

enum sluice_code sluice_kind_register(struct sluice *sluice, const struct sluice_kind_def *def,
				      struct sluice_error *err)
{
	struct registry *registry;
	struct err own = ERR_INIT;

	if (!sluice || !def || !def->name || !def->run)
		return api_usage(err, "sluice_kind_register needs a handle, a name and a function");
	if (!name_valid(str_of(def->name)))
		return api_usage(err, "the name of a kind is [A-Za-z_][A-Za-z0-9_]{0,63}");
	registry = registry_of(sluice, &own);
	if (!registry || kind_add(registry, def, &own) != ERR_OK)
		return api_err(err, &own);
	return SLUICE_OK;
}

enum sluice_code sluice_middleware_add(struct sluice *sluice, sluice_middleware_fn *fn, void *arg,
				       struct sluice_error *err)
{
	struct registry *registry;
	struct err own = ERR_INIT;
	void *list;

	if (!sluice || !fn)
		return api_usage(err, "sluice_middleware_add needs a handle and a function");
	registry = registry_of(sluice, &own);
	if (!registry)
		return api_err(err, &own);
	list = registry->chain;
	if (make_room(&list, &registry->chain_capacity, registry->chain_count,
		      sizeof(*registry->chain), NULL, NULL, &own) != ERR_OK)
		return api_err(err, &own);
	registry->chain = list;
	registry->chain[registry->chain_count++] = (struct middleware){fn, arg};
	return SLUICE_OK;
}

static enum err_code executor_add(struct registry *registry, const struct sluice_executor_def *def,
				  struct err *err)
{
	void *list = registry->executors;
	char *name = NULL;
	enum err_code code;

	if (registry_executor(registry, str_of(def->name)) || strcmp(def->name, "local") == 0 ||
	    strcmp(def->name, EXEC_DRIVER_CALL) == 0)
		return err_set(err, ERR_EXISTS, "there is an executor '%s' already", def->name);
	code = make_room(&list, &registry->executors_capacity, registry->executors_count,
			 sizeof(*registry->executors), def->name, &name, err);
	registry->executors = list;
	if (code != ERR_OK)
		return code;
	registry->executors[registry->executors_count] = *def;
	registry->executors[registry->executors_count++].name = name;
	return ERR_OK;
}

enum sluice_code sluice_executor_register(struct sluice *sluice,
					  const struct sluice_executor_def *def,
					  struct sluice_error *err)
{
	struct registry *registry;
	struct err own = ERR_INIT;

	if (!sluice || !def || !def->name || !def->ops.start || !def->ops.look_up ||
	    !def->ops.cancel)
		return api_usage(err, "sluice_executor_register needs a handle, a name and all "
				      "operations");
	if (!lang_host_name_valid(str_of(def->name)))
		return api_usage(err, "the name of an executor is 1 to 128 of A-Z a-z 0-9 . _ -");
	registry = registry_of(sluice, &own);
	if (!registry || executor_add(registry, def, &own) != ERR_OK)
		return api_err(err, &own);
	return SLUICE_OK;
}
