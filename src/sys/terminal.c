/* terminal.c - see terminal.h */
#include "sys/terminal.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is(int fd)
{
	return isatty(fd) == 1;
}

unsigned terminal_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

unsigned terminal_rows(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		return 24;
	return size.ws_row > 2 ? size.ws_row : 2;
}

static bool room_wait(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	return poll(&room, 1, -1) > 0 || errno == EINTR;
}

bool terminal_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, bytes, len);

		if (done < 0 && errno == EINTR)
			continue;
		/* Who has it with us may have made it one that does not wait. */
		if (done < 0 && errno == EAGAIN && room_wait(fd))
			continue;
		if (done < 0)
			return false;
		bytes += done;
		len -= (size_t)done;
	}
	return true;
}

/* ------------------------------------------------------------------------------- signals */

static void (*end_ask)(unsigned count);
static volatile sig_atomic_t end_count;

static void on_end_signal(int number)
{
	int saved = errno;

	(void)number;
	end_count++;
	if (end_ask)
		end_ask((unsigned)end_count);
	errno = saved;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct sigaction before;

	(void)sigemptyset(&action.sa_mask); /* cannot fail: the argument is valid */
	if (number != SIGTERM && sigaction(number, NULL, &before) == 0 &&
	    before.sa_handler == SIG_IGN)
		return;
	(void)sigaction(number, &action, NULL); /* cannot fail: the numbers are valid */
}

void terminal_on_end(void (*ask)(unsigned count))
{
	void (*handler)(int) = ask ? on_end_signal : SIG_DFL;

	end_ask = ask;
	handle(SIGINT, handler);
	handle(SIGTERM, handler);
	handle(SIGHUP, handler);
}

bool terminal_keep_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The other direction than it is used in; the lowest free number is `fd`. */
		int way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", way) != fd)
			return false;
	}
	return true;
}

static void on_pipe_signal(int number)
{
	(void)number;
}

void terminal_ignore_pipe(void)
{
	/* A handler, not SIG_IGN: commands that are executed later get the default back. */
	struct sigaction action = {.sa_handler = on_pipe_signal, .sa_flags = SA_RESTART};

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGPIPE, &action, NULL); /* cannot fail: the number is valid */
	(void)sigaction(SIGXFSZ, &action, NULL); /* RLIMIT_FSIZE: the write fails with EFBIG */
}

/* ---------------------------------------------------------------------------- background */

/* The child's side. Answers false when it could not be cut off from the terminal. */
static bool cut_off(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool is_done;

	is_done = null_fd >= 0 && setsid() >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
		  dup2(null_fd, STDOUT_FILENO) >= 0 && dup2(null_fd, STDERR_FILENO) >= 0;
	if (null_fd > STDERR_FILENO)
		(void)close(null_fd); /* a duplicate of what stays open */
	return is_done;
}

enum err_code terminal_detach(bool *ret_is_child, int *ret_fd, struct err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe to the background");
	pid = fork();
	if (pid < 0) {
		(void)err_sys(err, "go to the background");
		terminal_close(ends[0]);
		terminal_close(ends[1]);
		return err->code;
	}
	if (pid == 0) {
		terminal_close(ends[0]);
		*ret_is_child = true;
		*ret_fd = ends[1];
		return cut_off() ? ERR_OK : err_sys(err, "leave the terminal");
	}
	terminal_close(ends[1]);
	*ret_is_child = false;
	*ret_fd = ends[0];
	return ERR_OK;
}

enum err_code terminal_hear(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		char *room = buf_room(out, 1024);
		ssize_t got = room ? read(fd, room, 1024) : 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "hear from the background");
		if (got == 0)
			return buf_check(out, "report", err);
		buf_added(out, (size_t)got);
	}
}

void terminal_close(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* a pipe: nothing can be lost */
}

enum err_code terminal_become(char *const argv[], struct err *err)
{
	struct rlimit core;

	if (proc_core_limit(&core))
		(void)setrlimit(RLIMIT_CORE, &core); /* it was ours: this cannot be refused */
	(void)execv(argv[0], argv);
	return err_sys(err, "start '%s'", argv[0]);
}
