/* mock.c - see mock.h */
#include "exec/mock.h"

#include "base/arena.h"
#include "base/mem.h"
#include "sys/wake.h"

struct ended {
	struct exec_token token; /* its path is in `paths` */
};

struct mock {
	int wake_fd;
	struct ended *items;
	size_t count, capacity;
	size_t told; /* of them */
	struct arena paths;
};

static enum err_code mock_start(void *self, const struct exec_start *start, struct err *err)
{
	struct mock *mock = self;
	struct ended item = {.token = start->token};
	void *list = mock->items;

	item.token.path = arena_str(&mock->paths, start->token.path);
	if (!item.token.path.ptr)
		return mem_err(err);
	if (mem_grow(&list, &mock->capacity, mock->count + 1, sizeof(item), err) != ERR_OK)
		return err->code;
	mock->items = list;
	mock->items[mock->count++] = item;
	wake_raise(mock->wake_fd);
	return ERR_OK;
}

static enum err_code mock_cancel(void *self, const struct exec_token *token, bool now,
				 struct err *err)
{
	(void)self; /* it has ended already */
	(void)token;
	(void)now;
	(void)err;
	return ERR_OK;
}

static enum err_code mock_recover(void *self, const struct exec_token *tokens,
				  const bool *same_boot, size_t count, struct err *err)
{
	(void)self;
	(void)tokens;
	(void)same_boot;
	if (count)
		return err_set(err, ERR_REFUSED, "a dry run cannot be resumed");
	return ERR_OK;
}

static bool mock_next(void *self, struct exec_report *ret_report)
{
	struct mock *mock = self;

	if (mock->told == mock->count)
		return false;
	*ret_report = (struct exec_report){
	    .kind = EXEC_ENDED,
	    .token = mock->items[mock->told++].token,
	    .end = EXEC_END_EXITED,
	};
	return true;
}

static int mock_fd(void *self)
{
	const struct mock *mock = self;

	return mock->wake_fd;
}

/* Every report of before was taken, so what it borrowed may go. */
static enum err_code mock_pump(void *self, struct err *err)
{
	struct mock *mock = self;

	(void)err;
	wake_clear(mock->wake_fd);
	if (mock->told < mock->count)
		return ERR_OK;
	mock->told = 0;
	mock->count = 0;
	arena_clear(&mock->paths);
	return ERR_OK;
}

static void mock_close(void *self)
{
	struct mock *mock = self;

	wake_close(&mock->wake_fd);
	arena_fini(&mock->paths);
	mem_free(mock->items);
	mem_free(mock);
}

static const struct exec_ops mock_ops = {
    .name = "mock",
    .start = mock_start,
    .cancel = mock_cancel,
    .recover = mock_recover,
    .next = mock_next,
    .fd = mock_fd,
    .pump = mock_pump,
    .close = mock_close,
};

enum err_code exec_mock_open(struct exec *ret_exec, struct err *err)
{
	struct mock *mock = mem_new(1, sizeof(*mock));

	if (!mock)
		return mem_err(err);
	if (wake_open(&mock->wake_fd, err) != ERR_OK) {
		mem_free(mock);
		return err->code;
	}
	*ret_exec = (struct exec){&mock_ops, mock};
	return ERR_OK;
}
