/* scheduler.c - a host with a loop of its own: starts pipelines at given times, several in one
 * thread
 *
 *   cc -std=c99 scheduler.c -o scheduler $(pkg-config --cflags --libs sluice)
 *
 *   ./scheduler 0:load.yaml 0:index.yaml 2.5:report.yaml
 *
 * Each argument is `SECONDS:FILE`, seconds after the start. SIGTERM starts nothing more and lets
 * running steps end; a second one kills them. Exit: 0 all succeeded, 6 stopped, else 1.
 *
 * The id of a run follows from its place in the command line (load-1, index-2, report-3): the same
 * command line, given again after a kill -9, goes on with what was cut off and leaves alone what
 * has ended. */
#define _POSIX_C_SOURCE 200809L
#include <sluice/sluice.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64

enum phase { WAITING, RUNNING, OVER };

struct job {
	const char *file;
	char run_id[100];
	long due_ms; /* after the start */
	enum phase phase;
	struct sluice_run *run; /* while RUNNING */
	int status;             /* when OVER: as the command line's exit status */
};

static int signal_pipe[2]; /* a byte for each SIGTERM: the library has no handlers of its own */

static void on_term(int number)
{
	int before = errno;

	(void)number;
	if (write(signal_pipe[1], "t", 1) < 0) {
		/* full: it is known already */
	}
	errno = before;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static bool read_job(struct job *job, const char *text, int number)
{
	char *end;
	double seconds = strtod(text, &end);
	const char *name, *dot;

	if (end == text || *end != ':' || !end[1] || !(seconds >= 0 && seconds < 1e6))
		return false;
	job->file = end + 1;
	job->due_ms = (long)(seconds * 1000);
	name = strrchr(job->file, '/') ? strrchr(job->file, '/') + 1 : job->file;
	dot = strrchr(name, '.');
	snprintf(job->run_id, sizeof(job->run_id), "%.*s-%d", dot ? (int)(dot - name) : 64, name,
		 number);
	return true;
}

static void tell(struct job *job, int status, const char *text)
{
	job->phase = OVER;
	job->status = status;
	printf("%s %s\n", job->run_id, text);
	fflush(stdout);
}

/* Start the job's run, or go on with it when an earlier life of this program began it. */
static void start(struct sluice *sluice, struct job *job)
{
	struct sluice_pipeline *pipeline = NULL;
	struct sluice_run_opts options = {.run_id = job->run_id, .reason = "schedule"};
	struct sluice_error err;
	char *diagnostics = NULL;
	int status = 0;

	if (sluice_pipeline_load(sluice, job->file, &pipeline, &diagnostics, &err)) {
		fprintf(stderr, "%s\n", diagnostics ? diagnostics : err.text);
		sluice_free(diagnostics);
		tell(job, sluice_exit_status(err.code), "invalid");
		return;
	}
	if (sluice_run_start(sluice, pipeline, &options, &job->run, &err) == SLUICE_EXISTS &&
	    sluice_run_resume(sluice, job->run_id, NULL, &job->run, &status, &err) == SLUICE_OK &&
	    !job->run)
		tell(job, status, "is done already");
	else if (job->run)
		job->phase = RUNNING;
	else
		tell(job, sluice_exit_status(err.code), err.text);
	sluice_pipeline_free(pipeline);
}

/* What the run's turn brings; it never waits for more. */
static void dispatch(struct job *job)
{
	struct sluice_error err;
	struct sluice_end end;
	bool is_over = false;

	if (sluice_run_dispatch(job->run, &is_over, &err)) {
		tell(job, sluice_exit_status(err.code), err.text);
	} else if (is_over) {
		sluice_run_end(job->run, &end);
		tell(job, end.exit_status, end.outcome[0] ? end.outcome : "blocked");
	}
	if (job->phase == OVER) {
		sluice_run_free(job->run);
		job->run = NULL;
	}
}

/* The shorter of two waits; -1 is for ever. */
static int sooner(int a, long b)
{
	if (b < 0)
		return a;
	return a < 0 || b < a ? (int)b : a;
}

/* Wait for a signal, a run or a time. Returns how many signals came. */
static int wait_for_something(struct job *jobs, int count, long start_ms)
{
	struct pollfd fds[JOBS_MAX + 1] = {{.fd = signal_pipe[0], .events = POLLIN}};
	int timeout = -1;
	int used = 1;
	char bytes[16];
	ssize_t got;

	for (int i = 0; i < count; i++) {
		long left = jobs[i].due_ms - (now_ms() - start_ms);

		if (jobs[i].phase == WAITING)
			timeout = sooner(timeout, left > 0 ? left : 0);
		if (jobs[i].phase != RUNNING)
			continue;
		timeout = sooner(timeout, sluice_run_timeout_ms(jobs[i].run));
		fds[used++] = (struct pollfd){.fd = sluice_run_fd(jobs[i].run), .events = POLLIN};
	}
	if (poll(fds, (nfds_t)used, timeout) <= 0 || !fds[0].revents)
		return 0;
	got = read(signal_pipe[0], bytes, sizeof(bytes));
	return got > 0 ? (int)got : 0;
}

static bool is_all_over(const struct job *jobs, int count)
{
	for (int i = 0; i < count; i++) {
		if (jobs[i].phase != OVER)
			return false;
	}
	return true;
}

static void stop_all(struct job *jobs, int count, bool now)
{
	for (int i = 0; i < count; i++) {
		if (jobs[i].phase == WAITING)
			tell(&jobs[i], 6, "not started");
		else if (jobs[i].phase == RUNNING)
			sluice_run_stop(jobs[i].run, now);
	}
}

static void loop(struct sluice *sluice, struct job *jobs, int count)
{
	long start_ms = now_ms();
	int stops = 0;

	while (!is_all_over(jobs, count)) {
		int came = wait_for_something(jobs, count, start_ms);

		if (came > 0) {
			stops += came;
			stop_all(jobs, count, stops > 1);
		}
		for (int i = 0; i < count; i++) {
			if (jobs[i].phase == WAITING && now_ms() - start_ms >= jobs[i].due_ms)
				start(sluice, &jobs[i]);
			if (jobs[i].phase == RUNNING)
				dispatch(&jobs[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
	static struct job jobs[JOBS_MAX];
	struct sluice *sluice = NULL;
	struct sluice_error err;
	int count = argc - 1;
	int status = 0;

	for (int i = 0; i < count && count <= JOBS_MAX; i++) {
		if (!read_job(&jobs[i], argv[i + 1], i + 1))
			count = JOBS_MAX + 1;
	}
	if (count < 1 || count > JOBS_MAX) {
		fprintf(stderr, "usage: %s SECONDS:FILE... (at most %d)\n", argv[0], JOBS_MAX);
		return 2;
	}
	if (pipe(signal_pipe) || fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) ||
	    sigaction(SIGTERM, &action, NULL)) {
		perror(argv[0]);
		return 10;
	}
	if (sluice_open(NULL, &sluice, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return sluice_exit_status(err.code);
	}
	loop(sluice, jobs, count);
	sluice_close(sluice);
	for (int i = 0; i < count; i++) {
		if (jobs[i].status && status != 1)
			status = jobs[i].status == 6 ? 6 : 1;
	}
	return status;
}
