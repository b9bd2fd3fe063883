/* loop.c - see loop.h */
#include "sys/loop.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	int timer_fd;
	struct loop_watch *timer;
};

struct loop_watch {
	uv_poll_t poll;
	loop_fn *fn;
	void *arg;
};

static enum err_code uv_err(struct err *err, int code, const char *what)
{
	return err_sysno(err, -code, "%s", what);
}

static void on_timer(void *arg)
{
	struct loop *loop = arg;
	uint64_t count;

	/* Disarms the readiness; EAGAIN when it was set anew in between. */
	(void)!read(loop->timer_fd, &count, sizeof(count));
}

/* uv_loop_init ends the program when the first loop of a process finds no descriptors for its pipe:
 * so they are looked for before. */
static enum err_code pipe_try(struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	(void)close(ends[0]);
	(void)close(ends[1]);
	return ERR_OK;
}

enum err_code loop_new(struct loop **ret_loop, struct err *err)
{
	struct loop *loop = mem_new(1, sizeof(*loop));
	int code;

	if (!loop)
		return mem_err(err);
	if (pipe_try(err) != ERR_OK) {
		mem_free(loop);
		return err->code;
	}
	loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->timer_fd < 0) {
		(void)err_sys(err, "make a timer");
		mem_free(loop);
		return err->code;
	}
	code = uv_loop_init(&loop->uv);
	if (code < 0) {
		(void)close(loop->timer_fd);
		mem_free(loop);
		return uv_err(err, code, "make a loop");
	}
	if (loop_watch(loop, loop->timer_fd, on_timer, loop, &loop->timer, err) != ERR_OK) {
		loop_free(loop);
		return err->code;
	}
	*ret_loop = loop;
	return ERR_OK;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_unwatch(loop->timer);
	while (uv_run(&loop->uv, UV_RUN_NOWAIT) > 0) /* let closing handles go */
		;
	BUG_IF(uv_loop_close(&loop->uv) != 0); /* a watch was left */
	(void)close(loop->timer_fd);
	mem_free(loop);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop_watch *watch = poll->data;

	(void)status; /* an error shows when the owner reads */
	(void)events;
	watch->fn(watch->arg);
}

enum err_code loop_watch(struct loop *loop, int fd, loop_fn *fn, void *arg,
			 struct loop_watch **ret_watch, struct err *err)
{
	struct loop_watch *watch = mem_new(1, sizeof(*watch));
	int code;

	if (!watch)
		return mem_err(err);
	watch->fn = fn;
	watch->arg = arg;
	watch->poll.data = watch;
	code = uv_poll_init(&loop->uv, &watch->poll, fd);
	if (code < 0) {
		mem_free(watch);
		return uv_err(err, code, "watch a descriptor");
	}
	code = uv_poll_start(&watch->poll, UV_READABLE | UV_DISCONNECT, on_poll);
	if (code < 0) {
		loop_unwatch(watch);
		return uv_err(err, code, "watch a descriptor");
	}
	*ret_watch = watch;
	return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
	mem_free(handle->data);
}

void loop_unwatch(struct loop_watch *watch)
{
	if (!watch)
		return;
	(void)uv_poll_stop(&watch->poll); /* cannot fail on an open handle */
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}

enum err_code loop_wait(struct loop *loop, int64_t timeout_ns, struct err *err)
{
	struct itimerspec when = {0};

	if (timeout_ns > 0) {
		when.it_value.tv_sec = timeout_ns / 1000000000;
		when.it_value.tv_nsec = timeout_ns % 1000000000;
	}
	if (timeout_ns > 0 && timerfd_settime(loop->timer_fd, 0, &when, NULL) < 0)
		return err_sys(err, "set a timer");
	(void)uv_run(&loop->uv, timeout_ns == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	return ERR_OK;
}

int loop_fd(const struct loop *loop)
{
	return uv_backend_fd(&loop->uv);
}
