/* spool.c - see spool.h */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKENS_MAX 256

struct watched {
	char token[512];
	bool is_cancelled;
};

struct spool {
	struct sluice *sluice;
	char folder[200];
	pthread_t watcher;
	atomic_bool is_closing;
	pthread_mutex_t lock;
	struct watched watched[TOKENS_MAX];
	size_t count;
	enum sluice_code refusal;
	char refusal_text[100];
	bool has_forgotten;
	int dies;
};

static void path_of(const struct spool *spool, const char *token, const char *name, char path[800])
{
	size_t len = (size_t)snprintf(path, 800, "%s/", spool->folder);

	for (; *token; token++)
		path[len++] = (char)(*token == '/' ? '%' : *token);
	(void)snprintf(path + len, 800 - len, "%s%s", name[0] ? "/" : "", name);
}

/* The lock goes with the descriptor through a fork: it is held as long as the process lives. */
static bool lock_take(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static void watch(struct spool *spool, const char *token)
{
	struct watched watched = {.is_cancelled = false};

	(void)snprintf(watched.token, sizeof(watched.token), "%s", token);
	(void)pthread_mutex_lock(&spool->lock);
	if (spool->count < TOKENS_MAX)
		spool->watched[spool->count++] = watched;
	(void)pthread_mutex_unlock(&spool->lock);
}

static bool end_read(const struct spool *spool, const char *token, struct sluice_attempt_end *end)
{
	char path[800];
	FILE *file;
	bool is_whole;

	path_of(spool, token, "end", path);
	file = fopen(path, "re");
	if (!file)
		return false;
	is_whole = fscanf(file, "exit %d", &end->exit_code) == 1 ||
		   fscanf(file, "signal %d", &end->signal) == 1;
	(void)fclose(file);
	return is_whole;
}

/* The process of an attempt: carries it out and writes down how it ended. Of the program's open
 * files, the lock of its run among them, it keeps none but its own lock. */
static _Noreturn void carry_out(const struct spool *spool,
				const struct sluice_executor_start *start, int lock)
{
	char path[800];
	char whole[800];
	char text[40];
	int status = 0;
	int fd;
	pid_t child;
	char pid_path[800];

	(void)setsid();
	if ((lock != 3 && dup3(lock, 3, O_CLOEXEC) < 0) ||
	    syscall(SYS_close_range, 4U, ~0U, 0U) < 0)
		_exit(1);
	child = fork();
	if (child == 0) {
		(void)setpgid(0, 0);
		fd = open(start->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0 || chdir(start->cwd) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(126);
		(void)execvpe(start->argv[0], (char *const *)(uintptr_t)start->argv,
			      (char *const *)(uintptr_t)start->envp);
		_exit(127);
	}
	path_of(spool, start->token, "pid", pid_path);
	fd = open(pid_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)snprintf(text, sizeof(text), "%d", (int)child);
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	(void)snprintf(text, sizeof(text), WIFSIGNALED(status) ? "signal %d" : "exit %d",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	path_of(spool, start->token, "end.new", path);
	path_of(spool, start->token, "end", whole);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
	(void)rename(path, whole);
	_exit(0);
}

static enum sluice_code spool_start(void *self, const struct sluice_executor_start *start,
				    struct sluice_error *err)
{
	struct spool *spool = self;
	char path[800];
	pid_t child;
	int status;
	int lock;

	if (spool->refusal) {
		(void)snprintf(err->text, sizeof(err->text), "%s", spool->refusal_text);
		return spool->refusal;
	}
	path_of(spool, start->token, "", path);
	if (mkdir(path, 0700) < 0) { /* never a second time */
		(void)snprintf(err->text, sizeof(err->text), "%.200s: %s", path, strerror(errno));
		return SLUICE_CONFLICT;
	}
	path_of(spool, start->token, "lock", path);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || !lock_take(lock))
		return SLUICE_IO;
	if (spool->dies == 1)
		(void)kill(getpid(), SIGKILL);
	child = fork();
	if (child == 0) { /* twice, so that nobody has to wait for it */
		if (fork() == 0)
			carry_out(spool, start, lock);
		_exit(0);
	}
	(void)close(lock); /* the process has it */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (spool->dies == 2)
		(void)kill(getpid(), SIGKILL);
	watch(spool, start->token);
	return SLUICE_OK;
}

static enum sluice_look spool_look_up(void *self, const char *token,
				      struct sluice_attempt_end *ret_end)
{
	struct spool *spool = self;
	char path[800];
	bool is_running;
	int lock;

	if (spool->has_forgotten)
		return SLUICE_LOOK_LOST;
	if (end_read(spool, token, ret_end)) /* its process may take a moment more to go */
		return SLUICE_LOOK_ENDED;
	path_of(spool, token, "lock", path);
	lock = open(path, O_RDWR | O_CLOEXEC);
	if (lock < 0) {
		path_of(spool, token, "", path);
		return access(path, F_OK) == 0 ? SLUICE_LOOK_LOST : SLUICE_LOOK_ABSENT;
	}
	is_running = !lock_take(lock);
	(void)close(lock);
	if (is_running) {
		watch(spool, token);
		return SLUICE_LOOK_RUNNING;
	}
	return end_read(spool, token, ret_end) ? SLUICE_LOOK_ENDED : SLUICE_LOOK_LOST;
}

static void spool_cancel(void *self, const char *token, bool now)
{
	struct spool *spool = self;
	char path[800];
	FILE *file = NULL;
	int pid = 0;

	(void)pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < spool->count; i++) {
		if (strcmp(spool->watched[i].token, token) == 0)
			spool->watched[i].is_cancelled = true;
	}
	(void)pthread_mutex_unlock(&spool->lock);
	path_of(spool, token, "pid", path);
	for (int i = 0; i < 20000 && pid <= 0; i++) {
		static const struct timespec ms = {0, 1000000};

		file = fopen(path, "re");
		if (file && fscanf(file, "%d", &pid) != 1)
			pid = 0;
		if (file)
			(void)fclose(file);
		if (pid <= 0)
			(void)nanosleep(&ms, NULL);
	}
	if (pid > 0) {
		(void)kill(pid, now ? SIGKILL : SIGTERM);
		(void)kill(-pid, now ? SIGKILL : SIGTERM);
	}
}

static void *watcher_main(void *arg)
{
	static const struct timespec pause = {0, 2000000};
	struct spool *spool = arg;

	while (!atomic_load(&spool->is_closing)) {
		(void)pthread_mutex_lock(&spool->lock);
		for (size_t i = 0; i < spool->count; i++) {
			struct sluice_attempt_end end = {.exit_code = 0};
			struct sluice_error err;

			if (!end_read(spool, spool->watched[i].token, &end))
				continue;
			if (spool->watched[i].is_cancelled)
				end.cause = SLUICE_CAUSE_CANCELLED;
			/* NOT_FOUND: the run was let go of, and will ask. */
			(void)!sluice_executor_report(spool->sluice, spool->watched[i].token, &end,
						      &err);
			spool->watched[i--] = spool->watched[--spool->count];
		}
		(void)pthread_mutex_unlock(&spool->lock);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

struct spool *spool_new(struct sluice *sluice, const char *name, const char *folder)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	struct sluice_executor_def def = {
	    .name = name, .ops = {spool_start, spool_look_up, spool_cancel}, .self = spool};
	struct sluice_error err;

	if (!spool)
		abort();
	spool->sluice = sluice;
	(void)snprintf(spool->folder, sizeof(spool->folder), "%s", folder);
	(void)mkdir(folder, 0700);
	(void)pthread_mutex_init(&spool->lock, NULL);
	if (sluice_executor_register(sluice, &def, &err) != SLUICE_OK ||
	    pthread_create(&spool->watcher, NULL, watcher_main, spool) != 0)
		abort();
	return spool;
}

void spool_free(struct spool *spool)
{
	atomic_store(&spool->is_closing, true);
	(void)pthread_join(spool->watcher, NULL);
	(void)pthread_mutex_destroy(&spool->lock);
	free(spool);
}

void spool_refuse(struct spool *spool, enum sluice_code code, const char *text)
{
	spool->refusal = code;
	(void)snprintf(spool->refusal_text, sizeof(spool->refusal_text), "%s", text);
}

void spool_forget(struct spool *spool)
{
	spool->has_forgotten = true;
}

void spool_die(struct spool *spool, int where)
{
	spool->dies = where;
}
