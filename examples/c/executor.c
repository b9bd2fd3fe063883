/* executor.c - commands that are carried out by this program's own executor, and found again after
 * a crash
 *
 *   cc -std=c99 executor.c -o executor $(pkg-config --cflags --libs sluice)
 *
 *   ./executor RUN_ID SPOOL 'echo one' 'sleep 5; echo two'
 *
 * Each command is a step, one after the other. The same command line goes on with a run that was
 * cut off, by kill -9 too: what the executor had started goes on without this program, and is asked
 * about.
 *
 * The executor keeps a folder for each attempt, SPOOL/<token>: made before anything is started, so
 * that no token is started twice. A shell carries the command out in a session of its own and holds
 * a lock on `alive` while it lives; its last act is to write `end`. So whoever looks knows: no
 * folder or nothing `begun` and no lock: absent; `end`: ended; the lock is held: running; else
 * lost. */
#define _GNU_SOURCE
#include <sluice/sluice.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 1000
#define LOOK_MS   20

/* An attempt that is under way. */
struct attempt {
	struct attempt *next;
	char token[401];
	char log[1024];      /* empty after a crash: then the size of the output is not known */
	pid_t child;         /* the shell, when this process started it; else 0 */
	int64_t deadline_ms; /* of CLOCK_BOOTTIME; 0 = none */
	int64_t kill_at_ms;  /* it was asked to end, and has until then; 0 = it was not */
	int64_t grace_ms;
	uint64_t log_max;
	enum sluice_end_cause cause;
};

/* The executor: a spool folder, and a thread that looks at what is under way. */
struct spool {
	struct sluice *sluice;
	const char *folder;
	pthread_mutex_t lock;
	struct attempt *attempts;
	bool is_over;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------------------ the spool
 * folder */

static void path_of(const struct spool *spool, const char *token, const char *name, char path[1024])
{
	snprintf(path, 1024, "%s/%s/%s", spool->folder, token, name);
}

static bool has_file(const struct spool *spool, const char *token, const char *name)
{
	char path[1024];

	path_of(spool, token, name, path);
	return access(path, F_OK) == 0;
}

/* A number that a file holds; `otherwise` when there is none. */
static long long read_number(const struct spool *spool, const char *token, const char *name,
			     long long otherwise)
{
	char path[1024];
	long long number = otherwise;
	FILE *file;

	path_of(spool, token, name, path);
	file = fopen(path, "re");
	if (!file)
		return otherwise;
	if (fscanf(file, "%lld", &number) != 1)
		number = otherwise;
	fclose(file);
	return number;
}

static bool write_number(const struct spool *spool, const char *token, const char *name,
			 long long number)
{
	char path[1024];
	FILE *file;
	bool ok;

	path_of(spool, token, name, path);
	file = fopen(path, "we");
	if (!file)
		return false;
	ok = fprintf(file, "%lld\n", number) > 0;
	return fclose(file) == 0 && ok;
}

/* Does anybody carry the attempt out? */
static bool is_alive(const struct spool *spool, const char *token)
{
	char path[1024];
	bool is_held;
	int fd;

	path_of(spool, token, "alive", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	is_held = flock(fd, LOCK_SH | LOCK_NB) < 0; /* shared: lookers do not see each other */
	close(fd);
	return is_held;
}

/* The folder of the token, and a lock that goes over to the shell. -1 when it was there already. */
static int claim(const struct spool *spool, const char *token)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", spool->folder, token);
	for (char *slash = path + strlen(spool->folder); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700); /* the folders above may be there */
		*slash = '/';
	}
	if (mkdir(path, 0700) < 0)
		return -1;
	path_of(spool, token, "alive", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ------------------------------------------------------------------------------------ the
 * thread */

static void end_of(long long code, struct sluice_attempt_end *end)
{
	end->signal = code > 128 && code < 256 ? (int)code - 128 : 0;
	end->exit_code = end->signal ? 0 : (int)code;
}

/* Signal the whole session, as long as it is surely the attempt's. */
static void send(const struct spool *spool, const char *token, int number)
{
	long long pid = read_number(spool, token, "pid", 0);

	if (pid > 1 && is_alive(spool, token))
		kill((pid_t)-pid, number);
}

static void ask_to_end(const struct spool *spool, struct attempt *attempt,
		       enum sluice_end_cause cause, bool now)
{
	if (attempt->cause == SLUICE_CAUSE_NONE)
		attempt->cause = cause;
	if (!attempt->kill_at_ms)
		attempt->kill_at_ms = now_ms() + attempt->grace_ms;
	send(spool, attempt->token, now ? SIGKILL : SIGTERM);
}

/* Is it over? Then *end says how. */
static bool look_at(const struct spool *spool, struct attempt *attempt,
		    struct sluice_attempt_end *end)
{
	bool was_alive =
	    is_alive(spool, attempt->token); /* asked first: the end comes before the lock goes */
	long long code = read_number(spool, attempt->token, "end", -1);

	memset(end, 0, sizeof(*end));
	end->cause = attempt->cause;
	if (code < 0 && was_alive)
		return false;
	if (code >= 0) {
		end_of(code, end);
	} else if (attempt->cause != SLUICE_CAUSE_NONE) {
		end->signal = SIGKILL; /* the shell went with its command */
	} else {
		end->is_lost = true;
	}
	return true;
}

static void keep_limits(const struct spool *spool, struct attempt *attempt)
{
	struct stat info;

	if (attempt->kill_at_ms) {
		if (now_ms() >= attempt->kill_at_ms)
			send(spool, attempt->token, SIGKILL);
	} else if (attempt->deadline_ms && now_ms() >= attempt->deadline_ms) {
		ask_to_end(spool, attempt, SLUICE_CAUSE_TIMEOUT, false);
	} else if (attempt->log[0] && stat(attempt->log, &info) == 0 &&
		   (uint64_t)info.st_size > attempt->log_max) {
		ask_to_end(spool, attempt, SLUICE_CAUSE_OUTPUT_LIMIT, false);
	}
}

static void *watch(void *arg)
{
	struct spool *spool = arg;
	struct timespec pause = {0, LOOK_MS * 1000 * 1000};

	pthread_mutex_lock(&spool->lock);
	while (!spool->is_over) {
		struct attempt **at = &spool->attempts;

		while (*at) {
			struct attempt *attempt = *at;
			struct sluice_attempt_end end;
			struct sluice_error err;

			if (!look_at(spool, attempt, &end)) {
				keep_limits(spool, attempt);
				at = &attempt->next;
				continue;
			}
			*at = attempt->next;
			if (attempt->child)
				waitpid(attempt->child, NULL, 0);
			pthread_mutex_unlock(&spool->lock);
			/* NOT_FOUND: nobody waits for it now; whoever resumes the run asks
			 * look_up. */
			if (sluice_executor_report(spool->sluice, attempt->token, &end, &err) &&
			    err.code != SLUICE_NOT_FOUND)
				fprintf(stderr, "%s\n", err.text);
			free(attempt);
			pthread_mutex_lock(&spool->lock);
			at = &spool->attempts; /* it may have changed meanwhile */
		}
		pthread_mutex_unlock(&spool->lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&spool->lock);
	}
	pthread_mutex_unlock(&spool->lock);
	return NULL;
}

/* ------------------------------------------------------------------------------- the executor's
 * ops */

static enum sluice_code refuse(struct sluice_error *err, enum sluice_code code, const char *text)
{
	err->code = code;
	snprintf(err->text, sizeof(err->text), "spool: %s", text);
	return code;
}

/* Start the shell that carries the command out; 0 or an errno. */
static int spawn(const struct spool *spool, const struct sluice_executor_start *start, int lock,
		 pid_t *ret_child)
{
	static const char script[] =
	    "dir=$1; echo $$ >\"$dir/pid\"; : >\"$dir/begun\"; cd \"$2\" || exit; shift 2\n"
	    "\"$@\"\n"
	    "echo $? >\"$dir/end.draft\"; mv \"$dir/end.draft\" \"$dir/end\"";
	const char *argv[WORDS_MAX + 8] = {"sh", "-c", script, "sh"};
	char folder[1024];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int count = 4;
	int failure;

	path_of(spool, start->token, ".", folder);
	argv[count++] = folder;
	argv[count++] = start->cwd;
	for (int i = 0; start->argv[i]; i++) {
		if (i == WORDS_MAX)
			return E2BIG;
		argv[count++] = start->argv[i];
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, start->log_path,
					 O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	posix_spawn_file_actions_adddup2(&actions, lock, 9); /* as long as any of it lives */
	failure = posix_spawn(ret_child, "/bin/sh", &actions, &attributes, (char *const *)argv,
			      (char *const *)start->envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failure;
}

static struct attempt *attempt_new(const char *token)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));

	if (attempt)
		snprintf(attempt->token, sizeof(attempt->token), "%s", token);
	return attempt;
}

static void attempt_add(struct spool *spool, struct attempt *attempt)
{
	pthread_mutex_lock(&spool->lock);
	attempt->next = spool->attempts;
	spool->attempts = attempt;
	pthread_mutex_unlock(&spool->lock);
}

static enum sluice_code spool_start(void *self, const struct sluice_executor_start *start,
				    struct sluice_error *err)
{
	struct spool *spool = self;
	struct attempt *attempt;
	int failure;
	int lock;

	if (start->secrets && start->secrets[0])
		return refuse(err, SLUICE_UNSUPPORTED, "secrets cannot be masked here");
	if (start->silence_timeout_ms)
		return refuse(err, SLUICE_UNSUPPORTED, "there is no silence_timeout here");
	attempt = attempt_new(start->token);
	if (!attempt)
		return refuse(err, SLUICE_MEMORY, "memory is short");
	lock = claim(spool, start->token);
	if (lock < 0) {
		free(attempt);
		return refuse(err, SLUICE_EXISTS,
			      "the folder of the attempt cannot be made, or is there already");
	}
	snprintf(attempt->log, sizeof(attempt->log), "%s", start->log_path);
	attempt->deadline_ms = start->timeout_ms ? now_ms() + start->timeout_ms : 0;
	attempt->grace_ms = start->grace_ms;
	attempt->log_max = start->output_limit_bytes;
	failure = write_number(spool, start->token, "deadline", attempt->deadline_ms) &&
			  write_number(spool, start->token, "grace", attempt->grace_ms)
		      ? spawn(spool, start, lock, &attempt->child)
		      : EIO;
	close(lock); /* the shell has it now */
	if (failure) {
		free(attempt);
		return refuse(err, SLUICE_IO, strerror(failure));
	}
	attempt_add(spool, attempt);
	return SLUICE_OK;
}

static enum sluice_look spool_look_up(void *self, const char *token,
				      struct sluice_attempt_end *ret_end)
{
	struct spool *spool = self;
	struct attempt *attempt = attempt_new(token);
	bool is_done;
	bool was_begun;

	if (!attempt)
		return SLUICE_LOOK_LOST;
	attempt->deadline_ms = read_number(spool, token, "deadline", 0);
	attempt->grace_ms = read_number(spool, token, "grace", 0);
	is_done = look_at(spool, attempt, ret_end);
	was_begun = has_file(spool, token, "begun");
	if (!is_done) {
		attempt_add(spool, attempt);
		return SLUICE_LOOK_RUNNING;
	}
	free(attempt);
	if (!ret_end->is_lost)
		return SLUICE_LOOK_ENDED;
	if (was_begun)
		return SLUICE_LOOK_LOST;
	/* Nobody holds the lock and nothing was begun: it may be started, in a folder that is made
	 * anew. */
	{
		static const char *const names[] = {"alive", "deadline", "grace", "pid"};
		char path[1024];

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			path_of(spool, token, names[i], path);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s/%s", spool->folder, token);
		return rmdir(path) == 0 || errno == ENOENT ? SLUICE_LOOK_ABSENT : SLUICE_LOOK_LOST;
	}
}

static void spool_cancel(void *self, const char *token, bool now)
{
	struct spool *spool = self;

	pthread_mutex_lock(&spool->lock);
	for (struct attempt *attempt = spool->attempts; attempt; attempt = attempt->next) {
		if (strcmp(attempt->token, token) == 0)
			ask_to_end(spool, attempt, SLUICE_CAUSE_CANCELLED, now);
	}
	pthread_mutex_unlock(&spool->lock);
}

/* ---------------------------------------------------------------------------------------- the
 * run */

static struct sluice_run *volatile running; /* for the signal handler */
static volatile sig_atomic_t stops;

static void on_term(int number)
{
	(void)number;
	stops = stops + 1;
	if (running)
		sluice_run_stop(running, stops > 1); /* may be called here */
}

static struct sluice_pipeline *describe(char **commands, int count)
{
	struct sluice_pipeline *p = sluice_pipeline_new("spooled");

	sluice_pipeline_defaults(
	    p, &(struct sluice_step_def){.executor = "spool", .on_stop = SLUICE_ON_STOP_CANCEL},
	    NULL);
	for (int i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof(id), "step_%d", i + 1);
		sluice_pipeline_step(p, &(struct sluice_step_def){.id = id, .run = commands[i]},
				     NULL);
	}
	return p;
}

static int carry_out(struct sluice *sluice, const char *run_id, char **commands, int count,
		     struct sluice_error *err)
{
	struct sluice_pipeline *p = describe(commands, count);
	struct sluice_run_opts options = {.run_id = run_id, .reason = "spooled"};
	struct sluice_run *run = NULL;
	struct sluice_end end;
	int status = 0;
	enum sluice_code code = sluice_run_start(sluice, p, &options, &run, err);

	if (code == SLUICE_EXISTS)
		code = sluice_run_resume(sluice, run_id, NULL, &run, &status, err);
	sluice_pipeline_free(p);
	if (code)
		return sluice_exit_status(code);
	if (!run)
		return status;
	running = run;
	if (stops)
		sluice_run_stop(run, stops > 1);
	if (sluice_run_wait(run, err) == SLUICE_RUN_UNKNOWN) {
		status = sluice_exit_status(err->code);
	} else {
		sluice_run_end(run, &end);
		printf("%s %s\n", run_id, end.outcome);
		status = end.exit_status;
	}
	running = NULL;
	sluice_run_free(run);
	return status;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
	struct spool spool = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct sluice_executor_def def = {
	    .name = "spool", .ops = {spool_start, spool_look_up, spool_cancel}, .self = &spool};
	struct sluice_error err = {.code = SLUICE_OK};
	pthread_t thread;
	int status;

	if (argc < 4) {
		fprintf(stderr, "usage: %s RUN_ID SPOOL COMMAND...\n", argv[0]);
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	mkdir(argv[2], 0700); /* it may be there; a start says what is wrong with it */
	spool.folder = argv[2];
	if (sluice_open(NULL, &spool.sluice, &err) ||
	    sluice_executor_register(spool.sluice, &def, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return sluice_exit_status(err.code);
	}
	if (pthread_create(&thread, NULL, watch, &spool)) {
		perror(argv[0]);
		return 10;
	}
	status = carry_out(spool.sluice, argv[1], argv + 3, argc - 3, &err);
	if (status && err.text[0])
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	pthread_mutex_lock(&spool.lock);
	spool.is_over = true;
	pthread_mutex_unlock(&spool.lock);
	pthread_join(thread, NULL);
	sluice_close(spool.sluice);
	return status;
}
