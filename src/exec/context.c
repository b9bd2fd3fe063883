/* context.c - see context.h */
#include "exec/context.h"

#include "base/json.h"
#include "base/mem.h"

#include <pthread.h>

struct told {
	struct str name; /* of an update */
	struct str json;
	uint64_t seq;
};

struct exec_context {
	struct exec_context_options options;
	pthread_mutex_t lock; /* guards what follows */
	struct told *outputs; /* by step */
	struct told *updates; /* in order of events */
	size_t updates_count, updates_capacity;
};

enum err_code exec_context_new(const struct exec_context_options *options,
			       struct exec_context **ret_context, struct err *err)
{
	struct exec_context *context = mem_new(1, sizeof(*context));

	if (!context)
		return mem_err(err);
	context->options = *options;
	context->outputs = mem_new(options->model->steps_count, sizeof(*context->outputs));
	if (!context->outputs) {
		mem_free(context);
		return mem_err(err);
	}
	BUG_IF(pthread_mutex_init(&context->lock, NULL) != 0); /* cannot fail as it is asked */
	*ret_context = context;
	return ERR_OK;
}

void exec_context_free(struct exec_context *context)
{
	if (!context)
		return;
	(void)pthread_mutex_destroy(&context->lock);
	mem_free(context->outputs);
	mem_free(context->updates);
	mem_free(context);
}

const struct exec_context_options *exec_context_options(const struct exec_context *context)
{
	return &context->options;
}

void exec_context_put_outputs(struct exec_context *context, uint32_t step, struct str outputs,
			      uint64_t seq)
{
	(void)pthread_mutex_lock(&context->lock);
	context->outputs[step] = (struct told){.json = outputs, .seq = seq};
	(void)pthread_mutex_unlock(&context->lock);
}

enum err_code exec_context_put_update(struct exec_context *context, struct str name,
				      struct str value, uint64_t seq, struct err *err)
{
	enum err_code code;
	void *list;

	(void)pthread_mutex_lock(&context->lock);
	list = context->updates;
	code = mem_grow(&list, &context->updates_capacity, context->updates_count + 1,
			sizeof(*context->updates), err);
	if (code == ERR_OK) {
		context->updates = list;
		context->updates[context->updates_count++] = (struct told){name, value, seq};
	}
	(void)pthread_mutex_unlock(&context->lock);
	return code;
}

struct str exec_context_outputs(struct exec_context *context, uint64_t seq, uint32_t step)
{
	struct told told;

	(void)pthread_mutex_lock(&context->lock);
	told = context->outputs[step];
	(void)pthread_mutex_unlock(&context->lock);
	return told.json.ptr && told.seq <= seq ? told.json : STR_NONE;
}

/* The newest update of the name; ptr NULL if there is none. The lock is held. */
static struct str update_of(const struct exec_context *context, uint64_t seq, struct str name)
{
	for (size_t i = context->updates_count; i > 0; i--) {
		const struct told *update = &context->updates[i - 1];

		if (update->seq <= seq && str_eq(update->name, name))
			return update->json;
	}
	return STR_NONE;
}

struct str exec_context_param(struct exec_context *context, uint64_t seq, struct str name)
{
	const struct model *model = context->options.model;
	struct str json;

	(void)pthread_mutex_lock(&context->lock);
	json = update_of(context, seq, name);
	(void)pthread_mutex_unlock(&context->lock);
	for (uint32_t i = 0; !json.ptr && i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name))
			return context->options.params[i];
	}
	return json;
}

static void put_member(struct buf *out, struct str name, struct str json, bool *is_first)
{
	if (!*is_first)
		buf_byte(out, ',');
	*is_first = false;
	json_put_str(out, name);
	buf_byte(out, ':');
	buf_str(out, json);
}

static bool is_param(const struct model *model, struct str name)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name))
			return true;
	}
	return false;
}

void exec_context_params(struct exec_context *context, uint64_t seq, struct buf *out)
{
	const struct model *model = context->options.model;
	bool is_first = true;

	buf_byte(out, '{');
	(void)pthread_mutex_lock(&context->lock);
	for (uint32_t i = 0; i < model->params_count; i++) {
		struct str json = update_of(context, seq, model->params[i].name);

		if (!json.ptr)
			json = context->options.params[i];
		if (json.ptr)
			put_member(out, model->params[i].name, json, &is_first);
	}
	for (size_t i = 0; i < context->updates_count; i++) {
		struct str name = context->updates[i].name;
		struct str newest = update_of(context, seq, name);

		/* each name once, at its newest */
		if (!is_param(model, name) && newest.ptr &&
		    newest.ptr == context->updates[i].json.ptr)
			put_member(out, name, newest, &is_first);
	}
	(void)pthread_mutex_unlock(&context->lock);
	buf_byte(out, '}');
}
