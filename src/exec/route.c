/* route.c - see route.h */
#include "exec/route.h"

#include "base/arena.h"
#include "base/mem.h"
#include "sys/poller.h"

struct entry {
	struct str name; /* ptr NULL = commands */
	struct exec exec;
};

struct route {
	struct entry *entries;
	size_t count, capacity;
	size_t at; /* whose reports come next: each in turn, so that none waits for ever */
	struct poller poller;
	struct arena names;
};

enum err_code route_new(struct route **ret_route, struct err *err)
{
	struct route *route = mem_new(1, sizeof(*route));

	if (!route)
		return mem_err(err);
	route->poller = (struct poller)POLLER_NONE;
	if (poller_open(&route->poller, err) != ERR_OK) {
		mem_free(route);
		return err->code;
	}
	*ret_route = route;
	return ERR_OK;
}

void route_free(struct route *route)
{
	if (!route)
		return;
	for (size_t i = 0; i < route->count; i++) {
		struct exec *exec = &route->entries[i].exec;

		if (exec->ops->fd(exec->self) >= 0)
			poller_unwatch(&route->poller, exec->ops->fd(exec->self));
		exec->ops->close(exec->self);
	}
	poller_close(&route->poller);
	mem_free(route->entries);
	arena_fini(&route->names);
	mem_free(route);
}

static struct entry *entry_of(const struct route *route, struct str name)
{
	for (size_t i = 0; i < route->count; i++) {
		if (str_eq(route->entries[i].name, name))
			return &route->entries[i];
	}
	return NULL;
}

static enum err_code add(struct route *route, struct str name, struct exec exec, struct err *err)
{
	struct entry entry = {.exec = exec};
	void *list = route->entries;
	int fd = exec.ops->fd(exec.self);

	if (entry_of(route, name))
		return err_set(err, ERR_EXISTS, "there is an executor '%.*s' already",
			       STR_ARG(name));
	if (name.ptr) {
		entry.name = arena_str(&route->names, name);
		if (!entry.name.ptr)
			return mem_err(err);
	}
	if (mem_grow(&list, &route->capacity, route->count + 1, sizeof(entry), err) != ERR_OK)
		return err->code;
	route->entries = list;
	if (fd >= 0 && poller_watch(&route->poller, fd, false, err) != ERR_OK)
		return err->code;
	route->entries[route->count++] = entry;
	return ERR_OK;
}

enum err_code route_add(struct route *route, struct str name, struct exec exec, struct err *err)
{
	if (add(route, name, exec, err) != ERR_OK)
		exec.ops->close(exec.self);
	return err->code;
}

/* ------------------------------------------------------------------------------- as one
 * executor */

/* NULL, and an error, when there is none. */
static const struct exec *find(const struct route *route, const struct exec_token *token,
			       struct err *err)
{
	const struct entry *entry = entry_of(route, token->driver);

	if (!entry)
		(void)err_set(err, ERR_CONFLICT, "step '%.*s' has no executor '%.*s'",
			      STR_ARG(token->path), STR_ARG(token->driver));
	return entry ? &entry->exec : NULL;
}

static void on_warm_up(void *self)
{
	const struct route *route = self;

	for (size_t i = 0; i < route->count; i++) {
		const struct exec *exec = &route->entries[i].exec;

		if (exec->ops->warm_up)
			exec->ops->warm_up(exec->self);
	}
}

static enum err_code on_start(void *self, const struct exec_start *start, struct err *err)
{
	const struct exec *exec = find(self, &start->token, err);

	return exec ? exec->ops->start(exec->self, start, err) : err->code;
}

static void on_flush(void *self)
{
	const struct route *route = self;

	for (size_t i = 0; i < route->count; i++) {
		const struct exec *exec = &route->entries[i].exec;

		if (exec->ops->flush)
			exec->ops->flush(exec->self);
	}
}

static enum err_code on_cancel(void *self, const struct exec_token *token, bool now,
			       struct err *err)
{
	const struct exec *exec = find(self, token, err);

	return exec ? exec->ops->cancel(exec->self, token, now, err) : err->code;
}

/* Each driver is asked once, with all that is its own. */
static enum err_code on_recover(void *self, const struct exec_token *tokens, const bool *same_boot,
				size_t count, struct err *err)
{
	const struct route *route = self;
	AUTO(mem_drop) struct exec_token *some = mem_new(count + 1, sizeof(*some));
	AUTO(mem_drop) bool *some_boot = mem_new(count + 1, sizeof(*some_boot));
	size_t told = 0;

	if (!some || !some_boot)
		return mem_err(err);
	for (size_t i = 0; i < count; i++) {
		if (!find(route, &tokens[i], err))
			return err->code;
	}
	for (size_t d = 0; d < route->count; d++) {
		const struct entry *entry = &route->entries[d];
		size_t mine = 0;

		for (size_t i = 0; i < count; i++) {
			if (!str_eq(tokens[i].driver, entry->name))
				continue;
			some[mine] = tokens[i];
			some_boot[mine++] = same_boot[i];
		}
		told += mine;
		if (mine && entry->exec.ops->recover(entry->exec.self, some, some_boot, mine,
						     err) != ERR_OK)
			return err->code;
	}
	BUG_IF(told != count);
	return ERR_OK;
}

static bool on_next(void *self, struct exec_report *ret_report)
{
	struct route *route = self;

	for (size_t tries = 0; tries < route->count; tries++) {
		const struct exec *exec = &route->entries[route->at].exec;

		if (exec->ops->next(exec->self, ret_report))
			return true;
		route->at = (route->at + 1) % route->count;
	}
	return false;
}

static int on_fd(void *self)
{
	return ((const struct route *)self)->poller.fd;
}

static enum err_code on_pump(void *self, struct err *err)
{
	const struct route *route = self;

	for (size_t i = 0; i < route->count; i++) {
		const struct exec *exec = &route->entries[i].exec;

		if (exec->ops->pump(exec->self, err) != ERR_OK)
			return err_while(err, "executor '%s'", exec->ops->name);
	}
	return ERR_OK;
}

static void on_close(void *self)
{
	route_free(self);
}

static const struct exec_ops route_ops = {
    .name = "route",
    .warm_up = on_warm_up,
    .start = on_start,
    .flush = on_flush,
    .cancel = on_cancel,
    .recover = on_recover,
    .next = on_next,
    .fd = on_fd,
    .pump = on_pump,
    .close = on_close,
};

struct exec route_exec(struct route *route)
{
	return (struct exec){&route_ops, route};
}
