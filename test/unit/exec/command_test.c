/* command_test.c - the executor of commands with a real keeper, seen from outside (S8, P..). */
#include "fixture.h"

#include "support/unit.h"

#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static struct place *opened(void **state)
{
	engine_open(*state, 1);
	return *state;
}

/* P11 */
static void every_exit_code_comes_back_as_it_is(void **state)
{
	struct place *place = opened(state);

	for (int code = 0; code < 256; code++) {
		char path[16];
		char script[32];
		struct exec_report report;

		(void)snprintf(path, sizeof(path), "s%d", code);
		(void)snprintf(script, sizeof(script), "exit %d", code);
		report = run(place, path, script);
		assert_int_equal(report.kind, EXEC_ENDED);
		assert_int_equal(report.end, EXEC_END_EXITED);
		assert_int_equal(report.exit_code, code);
		assert_int_equal(report.cause, EXEC_CAUSE_NONE);
		assert_true(report.duration_ns > 0);
	}
}

/* P11: separate fields, never 128 + n. */
static void every_signal_comes_back_as_it_is(void **state)
{
	struct place *place = opened(state);
	struct rlimit limit;

	for (int number = 1; number <= 64; number++) {
		char path[16];
		char script[64];
		struct exec_report report;

		/* Ignored, stopping, or the C library's own. */
		if (number == SIGCHLD || number == SIGCONT || number == SIGURG ||
		    number == SIGWINCH || number == SIGSTOP || number == SIGTSTP ||
		    number == SIGTTIN || number == SIGTTOU || number == 32 || number == 33)
			continue;
		(void)snprintf(path, sizeof(path), "s%d", number);
		(void)snprintf(script, sizeof(script), "ulimit -c 0; kill -%d $$", number);
		report = run(place, path, script);
		assert_int_equal(report.end, EXEC_END_SIGNALLED);
		assert_int_equal(report.signal, number);
		assert_false(report.core);
	}
	(void)getrlimit(RLIMIT_CORE, &limit);
	if (limit.rlim_max == 0)
		skip();
}

/* P12: the errno of whatever kept the command from running. */
static void what_cannot_be_executed_says_why(void **state)
{
	static const struct {
		const char *program;
		int number;
	} rows[] = {
	    {"/nonexistent/program", ENOENT},
	    {"no-such-program-anywhere", ENOENT},
	    {"/tmp", EACCES},
	    {"/etc/passwd", EACCES},
	    {"/etc/passwd/x", ENOTDIR},
	    {"", ENOENT},
	};
	struct place *place = opened(state);
	char name[80];
	FILE *file;
	struct exec_report report;
	struct exec_start what;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "s%zu", i);
		what = start_of(path, "");
		start_argv[0] = (char *)(uintptr_t)rows[i].program;
		start(place, &what);
		report = wait_end(place);
		assert_int_equal(report.kind, EXEC_ENDED);
		assert_int_equal(report.end, EXEC_END_SPAWN_FAILED);
		assert_int_equal(report.errno_value, rows[i].number);
	}
	(void)snprintf(name, sizeof(name), "%s/text", place->path);
	file = fopen(name, "w");
	assert_non_null(file);
	(void)fputs("no program at all\n", file);
	(void)fchmod(fileno(file), 0755);
	(void)fclose(file);
	what = start_of("noexec", "");
	start_argv[0] = name;
	start(place, &what);
	assert_int_equal(wait_end(place).errno_value, ENOEXEC);
	what = start_of("cwd", "true");
	what.cwd = "/nonexistent";
	start(place, &what);
	assert_int_equal(wait_end(place).errno_value, ENOENT);
}

/* P12 */
static void arguments_that_are_too_long_are_the_steps_fault(void **state)
{
	static const size_t sizes[] = {200000, 9000000}; /* the kernel's limit, the frame's */
	struct place *place = opened(state);

	for (size_t i = 0; i < 2; i++) {
		char *big = malloc(sizes[i] + 1);
		struct exec_start what = start_of(i ? "huge" : "big", "true");
		struct exec_report report;

		memset(big, 'x', sizes[i]);
		big[sizes[i]] = '\0';
		start_argv[2] = big;
		start(place, &what);
		report = wait_end(place);
		assert_int_equal(report.end, EXEC_END_SPAWN_FAILED);
		assert_int_equal(report.errno_value, E2BIG);
		free(big);
	}
}

/* P13 */
static void a_command_has_three_descriptors_whatever_we_have(void **state)
{
	struct place *place = opened(state);
	int fds[1000];

	for (size_t i = 0; i < 1000; i++)
		fds[i] = open("/dev/null", O_RDONLY); /* not close-on-exec */
	assert_int_equal(run(place, "fds",
			     "i=0; while test $i -lt 1100; do"
			     " test -e /proc/$$/fd/$i && echo $i; i=$((i+1)); done; true")
			     .exit_code,
			 0);
	assert_string_equal(log_text(place, "fds"), "0\n1\n2\n");
	for (size_t i = 0; i < 1000; i++)
		(void)close(fds[i]);
}

/* P16 */
static void signals_are_as_new_whatever_the_host_did(void **state)
{
	struct place *place = *state;
	sigset_t all, before;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	engine_open(place, 1);
	assert_int_equal(run(place, "sig", "grep -E '^Sig(Blk|Ign)' /proc/self/status").exit_code,
			 0);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	assert_string_equal(log_text(place, "sig"), "SigBlk:\t0000000000000000\n"
						    "SigIgn:\t0000000000000000\n");
}

/* P10, P15, S8.6 */
static void a_command_starts_in_a_known_state(void **state)
{
	struct place *place = *state;
	mode_t before = umask(0177);

	engine_open(place, 1);
	assert_int_equal(run(place, "state",
			     "umask; cat; cat /proc/self/oom_score_adj; pwd;"
			     "read -r p c s pp g sid tty rest < /proc/$$/stat;"
			     "test $sid = $$ && test $g = $$ && test $tty = 0 && echo leader;"
			     "echo /${SLUICE_TOKEN#*/}")
			     .exit_code,
			 0);
	(void)umask(before);
	assert_string_equal(log_text(place, "state"), "0022\n500\n/tmp\nleader\n/state/run/0\n");
}

static void both_streams_go_to_one_log_in_order(void **state)
{
	struct place *place = opened(state);
	struct stat stat;

	(void)run(place, "out", "echo a; echo b >&2; echo c");
	assert_string_equal(log_text(place, "out"), "a\nb\nc\n");
	assert_int_equal(fstatat(place->dir, "logs/out.0.log", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 0777, 0600);
}

/* P04 */
static void a_command_that_ignores_term_is_killed_after_the_grace(void **state)
{
	struct place *place = opened(state);
	struct exec_start what =
	    start_of("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done");
	struct exec_report report;
	int64_t from_ms;

	what.grace_ns = INT64_C(300000000);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	log_await(place, "deaf", "up\n");
	from_ms = now_ms();
	cancel(place, "deaf", false);
	report = wait_end(place);
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.cause, EXEC_CAUSE_CANCELLED);
	assert_int_equal(report.signal, SIGKILL);
	assert_true(now_ms() - from_ms >= 290);
}

static void a_cancel_lets_a_command_end_by_itself(void **state)
{
	struct place *place = opened(state);
	struct exec_start what =
	    start_of("kind", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.02; done");
	struct exec_report report;

	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	log_await(place, "kind", "up\n");
	cancel(place, "kind", false);
	report = wait_end(place);
	assert_int_equal(report.end, EXEC_END_EXITED);
	assert_int_equal(report.exit_code, 7);
	assert_int_equal(report.cause, EXEC_CAUSE_CANCELLED);
}

static bool is_stopped(int32_t pid)
{
	struct proc_stat stat;

	return proc_stat_read(pid, &stat) && stat.state == 'T';
}

/* P05 */
static void a_stopped_command_is_woken_and_ended(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("stopped", "kill -STOP $$; sleep 100");
	int64_t end_ms = now_ms() + PATIENCE_MS;
	struct exec_report report;

	what.grace_ns = INT64_C(300000000000); /* CONT lets TERM through: no KILL is needed */
	start(place, &what);
	report = wait_report(place);
	assert_int_equal(report.kind, EXEC_STARTED);
	while (!is_stopped(report.pid) && now_ms() < end_ms)
		nap(2);
	assert_true(is_stopped(report.pid));
	cancel(place, "stopped", false);
	assert_int_equal(wait_end(place).signal, SIGTERM);
}

static void cancel_now_kills_at_once(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("now", "trap '' TERM; sleep 100");

	what.grace_ns = INT64_C(300000000000);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	cancel(place, "now", true);
	assert_int_equal(wait_end(place).signal, SIGKILL);
}

/* P02: a daemon that left its parents and its session is ended with the step. */
static void a_daemon_does_not_outlive_its_step(void **state)
{
	struct place *place = opened(state);
	char script[512];
	struct exec_report report;
	int pid;

	(void)snprintf(script, sizeof(script),
		       "(setsid sh -c 'echo $$ > %s/daemon; exec sleep 300' > /dev/null 2>&1 &) ; "
		       "while ! test -s %s/daemon; do sleep 0.01; done; exit 3",
		       place->path, place->path);
	report = run(place, "daemon", script);
	assert_int_equal(report.exit_code, 3);
	pid = pid_await(place, "daemon");
	assert_false(is_alive(pid));
}

/* The same while others run: their processes are left alone. */
static void a_daemon_is_told_apart_from_other_steps(void **state)
{
	struct place *place = opened(state);
	char script[512];
	struct exec_start other = start_of("other", "sleep 100 & wait");
	struct exec_report report;
	int pid;

	start(place, &other);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	(void)snprintf(script, sizeof(script),
		       "(setsid sh -c 'echo $$ > %s/daemon; exec sleep 300' > /dev/null 2>&1 &) ; "
		       "while ! test -s %s/daemon; do sleep 0.01; done; exit 3",
		       place->path, place->path);
	report = run(place, "daemon", script);
	assert_true(str_is(report.token.path, "daemon"));
	assert_int_equal(report.exit_code, 3);
	pid = pid_await(place, "daemon");
	assert_false(is_alive(pid));
	assert_false(has_report(place, 50));
	cancel(place, "other", false);
	report = wait_end(place);
	assert_true(str_is(report.token.path, "other"));
	assert_int_equal(report.signal, SIGTERM);
}

/* P02: two commands end at the same moment. Without groups nobody can tell whose it was. */
static void what_hides_from_two_steps_ends_with_the_keeper(void **state)
{
	struct place *place = opened(state);
	char script[512], plain[256];
	struct exec_start what;
	int hidden, first, second;

	(void)snprintf(script, sizeof(script),
		       "(exec env -i setsid /bin/sleep 300) & echo $! > %s/hidden;"
		       " echo $$ > %s/first; exec sleep 300",
		       place->path, place->path);
	(void)snprintf(plain, sizeof(plain), "echo $$ > %s/second; exec sleep 300", place->path);
	what = start_of("hides", script);
	what.grace_ns = 0;
	start(place, &what);
	what = start_of("other", plain);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	hidden = pid_await(place, "hidden");
	first = pid_await(place, "first");
	second = pid_await(place, "second");
	assert_int_equal(kill(keeper_pid(place), SIGSTOP), 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_int_equal(kill(second, SIGKILL), 0);
	assert_true(wait_gone(first) && wait_gone(second));
	assert_int_equal(kill(keeper_pid(place), SIGCONT), 0);
	assert_int_equal(wait_end(place).signal, SIGKILL);
	assert_int_equal(wait_end(place).signal, SIGKILL);
	engine_close(place); /* nothing is left to do for the keeper: it goes */
	assert_true(wait_gone(hidden));
}

/* P03 */
static void a_grandchild_that_holds_stdout_does_not_hold_the_step(void **state)
{
	struct place *place = opened(state);

	assert_int_equal(run(place, "holds", "sleep 300 & exit 0").exit_code, 0);
}

/* P07 */
static void a_storm_of_sessions_is_ended(void **state)
{
	struct place *place = opened(state);
	struct exec_start what;
	char path[32]; /* of this process: others may run beside it */
	char command[128];
	char value[64];
	FILE *pipe;

	(void)snprintf(path, sizeof(path), "storm%d", (int)getpid());
	what = start_of(path, "trap '' TERM; i=0; while test $i -lt 100; do"
			      " setsid sh -c \"trap '' TERM; sleep 300\" & i=$((i+1)); done;"
			      " echo up; wait");
	what.grace_ns = INT64_C(200000000);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	log_await(place, path, "up\n");
	cancel(place, path, false);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
	(void)snprintf(command, sizeof(command),
		       "grep -lsz '^SLUICE_TOKEN=[0-9a-f-]*/%s/' /proc/[0-9]*/environ | wc -l",
		       path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(value, sizeof(value), pipe));
	(void)pclose(pipe);
	assert_int_equal(atoi(value), 0);
}

/* S7.4 */
static void the_deadline_ends_a_command(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("late", "sleep 300");
	struct exec_report report;
	int64_t from_ms = now_ms();

	what.timeout_ns = INT64_C(200000000);
	start(place, &what);
	report = wait_end(place);
	assert_int_equal(report.cause, EXEC_CAUSE_TIMEOUT);
	assert_int_equal(report.signal, SIGTERM);
	assert_true(now_ms() - from_ms >= 190);
}

/* S7.4 */
static void silence_ends_a_command(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("still", "echo up; sleep 300");

	what.silence_ns = INT64_C(300000000);
	start(place, &what);
	assert_int_equal(wait_end(place).cause, EXEC_CAUSE_SILENCE);
}

/* S7.4: a machine may be too busy for a word in that time: then a longer one must do. */
static void output_at_times_is_no_silence(void **state)
{
	struct place *place = opened(state);
	struct exec_report report = {.cause = EXEC_CAUSE_SILENCE};

	for (int ms = 400; ms <= 12800 && report.cause == EXEC_CAUSE_SILENCE; ms *= 2) {
		char path[16], script[80];
		struct exec_start what;

		(void)snprintf(path, sizeof(path), "busy%d", ms);
		(void)snprintf(script, sizeof(script),
			       "for i in 1 2 3 4 5 6; do echo $i; sleep %d.%03d; done",
			       ms / 4 / 1000, ms / 4 % 1000);
		what = start_of(path, script);
		what.silence_ns = ms * INT64_C(1000000);
		start(place, &what);
		report = wait_end(place);
		assert_true(report.cause == EXEC_CAUSE_SILENCE ||
			    report.duration_ns > what.silence_ns);
	}
	assert_int_equal(report.cause, EXEC_CAUSE_NONE);
	assert_int_equal(report.exit_code, 0);
}

/* P08, S8.7 */
static void too_much_output_ends_a_command(void **state)
{
	static const char *const scripts[] = {
	    "while :; do yes | head -c 200000; sleep 0.1; done",
	    "while :; do head -c 200000 /dev/zero; sleep 0.1; done",
	    "while :; do tr -d '\\n' < /dev/urandom | head -c 200000; sleep 0.1; done",
	};
	struct place *place = opened(state);

	for (size_t i = 0; i < 3; i++) { /* at once: a look comes once in a second */
		char path[16];
		struct exec_start what;

		(void)snprintf(path, sizeof(path), "flood%zu", i);
		what = start_of(path, scripts[i]);
		what.output_limit_bytes = 100000;
		start(place, &what);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(wait_end(place).cause, EXEC_CAUSE_OUTPUT_LIMIT);
}

/* S8.7: masked output is bounded on disk as well. */
static void secrets_do_not_reach_the_log(void **state)
{
	struct place *place = opened(state);
	struct str masks[] = {STR("hunter2-secret"), STR("pw1")};
	struct exec_start what =
	    start_of("mask", "echo a hunter2-secret b; printf hunter2-; sleep 0.1; echo secret;"
			     "echo aHVudGVyMi1zZWNyZXQ=; echo xpw1x; printf 'ends in hunter2-'");
	struct exec_report report;

	what.masks = masks;
	what.masks_count = 2;
	start(place, &what);
	report = wait_end(place);
	assert_int_equal(report.exit_code, 0);
	assert_string_equal(log_text(place, "mask"), "a *** b\n***\n***\nx***x\nends in hunter2-");
	what = start_of("maskflood", "yes hunter2-secret");
	what.masks = masks;
	what.masks_count = 2;
	what.output_limit_bytes = 100000;
	start(place, &what);
	report = wait_end(place);
	assert_int_equal(report.cause, EXEC_CAUSE_OUTPUT_LIMIT);
	assert_true(strlen(log_text(place, "maskflood")) < 300000);
}

/* S8.2 */
static void a_token_is_executed_once(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("once", "echo ran");
	int keeper;

	start(place, &what);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
	start(place, &what);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
	keeper = keeper_pid(place);
	engine_close(place);
	assert_true(keeper > 0 && wait_gone(keeper));
	engine_open(place, 2); /* and not by a later keeper either */
	start(place, &what);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
	assert_string_equal(log_text(place, "once"), "ran\n");
}

static struct exec_report recover_one(struct place *place, const char *path, bool same_boot)
{
	struct exec_token token = token_of(path);

	if (place->exec.ops->recover(place->exec.self, &token, &same_boot, 1, &place->err) !=
	    ERR_OK)
		fail_msg("%s", place->err.text);
	return wait_report(place);
}

/* S8.3 */
static void what_was_never_armed_may_be_started(void **state)
{
	struct place *place = opened(state);

	assert_int_equal(recover_one(place, "none", true).kind, EXEC_ABSENT);
	assert_int_equal(run(place, "none", "exit 5").exit_code, 5);
}

/* S8.3: power loss. */
static void another_boot_means_lost(void **state)
{
	struct place *place = opened(state);

	assert_int_equal(recover_one(place, "old", false).kind, EXEC_LOST);
}

static void many_of_both_kinds_are_recovered(void **state)
{
	enum { MANY = 100 };
	struct place *place = opened(state);
	static char paths[MANY][16];
	struct exec_token tokens[MANY];
	bool same_boot[MANY];
	unsigned lost = 0;
	unsigned absent = 0;

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "m%d", i);
		tokens[i] = token_of(paths[i]);
		same_boot[i] = i % 7 == 0;
	}
	assert_int_equal(
	    place->exec.ops->recover(place->exec.self, tokens, same_boot, MANY, &place->err),
	    ERR_OK);
	for (int i = 0; i < MANY; i++) {
		struct exec_report report = wait_report(place);

		lost += report.kind == EXEC_LOST;
		absent += report.kind == EXEC_ABSENT;
	}
	assert_int_equal(absent, 15);
	assert_int_equal(lost, 85);
	assert_false(has_report(place, 20));
}

/* A script that waits for the file `go`, then does the rest. */
static const char *until_go(const struct place *place, char script[160], const char *rest)
{
	(void)snprintf(script, 160, "while ! test -e %s/go; do sleep 0.02; done; %s", place->path,
		       rest);
	return script;
}

/* S8.3: an engine that comes back finds its commands running. */
static void a_new_engine_attaches_to_what_runs(void **state)
{
	struct place *place = opened(state);
	struct exec_start what;
	struct exec_report report;
	char script[160];

	what = start_of("long", until_go(place, script, "exit 9"));
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	engine_close(place);
	nap(50); /* long enough, most times, for the keeper to notice */
	engine_open(place, 2);
	report = recover_one(place, "long", true);
	assert_int_equal(report.kind, EXEC_STARTED);
	assert_true(report.pid > 0);
	file_make(place, "go");
	report = wait_end(place);
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.exit_code, 9);
}

/* S8.1, S8.3 */
static void an_end_while_nobody_was_there_is_not_lost(void **state)
{
	struct place *place = opened(state);
	struct exec_start what;
	struct exec_report report;
	char script[160];
	int keeper;

	what = start_of("away", until_go(place, script, "kill -9 $$"));
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	keeper = keeper_pid(place);
	engine_close(place);
	file_make(place, "go");
	assert_true(keeper > 0 && wait_gone(keeper)); /* nothing left to do: it went */
	engine_open(place, 2);
	report = recover_one(place, "away", true);
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.signal, 9);
}

/* S8.1: the deadline holds while no engine lives. */
static void deadlines_hold_without_an_engine(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("alone", "sleep 300");
	struct exec_report report;
	int keeper;

	what.timeout_ns = INT64_C(300000000);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	keeper = keeper_pid(place);
	engine_close(place);
	assert_true(keeper > 0 && wait_gone(keeper));
	engine_open(place, 2);
	report = recover_one(place, "alone", true);
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.exit_code, 0);
	assert_int_equal(report.signal, SIGTERM);
	assert_int_equal(report.cause, EXEC_CAUSE_TIMEOUT);
}

/* P18, S8.3: the tree dies with its keeper, and nobody pretends to know the outcome. */
static void a_killed_keeper_means_lost_and_nothing_left(void **state)
{
	struct place *place = opened(state);
	char script[256];
	struct exec_start what;
	struct exec_report report;
	int pid;
	int keeper;

	(void)snprintf(script, sizeof(script),
		       "setsid sh -c 'echo $$ > %s/inner; sleep 300' & wait", place->path);
	what = start_of("victim", script);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	pid = pid_await(place, "inner");
	keeper = keeper_pid(place);
	assert_true(keeper > 0);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	report = wait_end(place);
	assert_int_equal(report.kind, EXEC_LOST);
	assert_true(str_is(report.token.path, "victim"));
	assert_false(is_alive(pid));
	/* And the next start has a new keeper. */
	assert_int_equal(run(place, "after", "exit 4").exit_code, 4);
	assert_int_not_equal(keeper_pid(place), keeper);
}

/* P18 with a new engine, too. */
static void a_keeper_killed_while_nobody_was_there_means_lost(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("both", "sleep 300");
	int keeper;

	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	keeper = keeper_pid(place);
	engine_close(place);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	assert_true(wait_gone(keeper));
	engine_open(place, 2);
	assert_int_equal(recover_one(place, "both", true).kind, EXEC_LOST);
}

/* S8.3: older engines are cut off, and refused when they come back. */
static void an_older_engine_is_refused(void **state)
{
	struct place *place = opened(state);
	struct exec_command_options options = {
	    .run_dir = place->dir, .run_id = STR(RUN_ID), .epoch = 5, .keeper_path = keeper_path};
	struct exec_start what = start_of("hold", "sleep 300");
	struct exec_token token = token_of("hold");
	int64_t end_ms = now_ms() + PATIENCE_MS;
	bool same_boot = true;
	struct exec newer;
	struct err err = ERR_INIT;

	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	assert_int_equal(exec_command_open(&options, &newer, &err), ERR_OK);
	assert_int_equal(newer.ops->recover(newer.self, &token, &same_boot, 1, &err), ERR_OK);
	while (place->exec.ops->pump(place->exec.self, &place->err) == ERR_OK && now_ms() < end_ms)
		nap(2);
	assert_int_equal(place->err.code, ERR_REFUSED);
	engine_close(place);
	place->exec = newer;
	place->is_open = true;
	err_reset(&place->err);
	cancel(place, "hold", true);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
}

/* Records in attempts.log: armed, spawned and ended of each token. */
static int log_records(const struct place *place)
{
	struct stat stat;

	return fstatat(place->dir, "attempts.log", &stat, 0) == 0 ? (int)(stat.st_size / 256) : 0;
}

static void many_tokens_at_once_end_once_each(void **state)
{
	enum { MANY = 1000 };
	const int many = is_quick() ? 300 : MANY;
	struct place *place = opened(state);
	bool ended[MANY] = {false};

	for (int i = 0; i < many; i++) {
		char path[32];
		struct exec_start what;

		(void)snprintf(path, sizeof(path), "m%d", i);
		what = start_of(path, "");
		start_argv[0] = (char *)(uintptr_t) "/bin/true";
		start_argv[1] = NULL;
		start(place, &what);
	}
	for (int i = 0; i < many; i++) {
		struct exec_report report = wait_end(place);
		int64_t number;

		assert_int_equal(report.kind, EXEC_ENDED);
		assert_int_equal(report.exit_code, 0);
		assert_true(
		    str_to_i64(str_cut(report.token.path, 1, report.token.path.len), &number));
		assert_false(ended[number]);
		ended[number] = true;
	}
	assert_false(has_report(place, 50));
}

/* More reports than the socket holds wait in the keeper until the engine reads again. */
static void reports_that_nobody_reads_come_later(void **state)
{
	const int many = is_quick() ? 800 : 2000;
	struct place *place = opened(state);
	int records = 0;

	for (int i = 0; i < many; i++) {
		char path[160];
		struct exec_start what;

		(void)snprintf(path, sizeof(path), "%0150d", i);
		what = start_of(path, "");
		start_argv[0] = (char *)(uintptr_t) "/bin/true";
		start_argv[1] = NULL;
		start(place, &what);
	}
	/* Until the keeper stands still: it takes no more than it can tell. */
	for (int looks = 0, still = 0; still < 10 && looks < 400; looks++) {
		int before = records;

		nap(50);
		records = log_records(place);
		still = records == before ? still + 1 : 0;
	}
	for (int i = 0; i < many; i++)
		assert_int_equal(wait_end(place).kind, EXEC_ENDED);
	assert_false(has_report(place, 50));
}

/* S12: without a place for the record nothing is executed. */
static void a_start_that_cannot_be_recorded_is_refused(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("norecord", "echo ran");
	struct exec_report report;

	assert_int_equal(symlinkat("/nonexistent", place->dir, "logs"), 0);
	start(place, &what);
	report = wait_end(place);
	assert_int_equal(report.kind, EXEC_REFUSED);
	assert_true(report.errno_value != 0);
	assert_int_equal(unlinkat(place->dir, "logs", 0), 0);
	/* Nothing was executed: it may be tried again. */
	assert_int_equal((start(place, &what), wait_end(place)).kind, EXEC_ENDED);
	assert_string_equal(log_text(place, "norecord"), "ran\n");
}

/* S8.1 */
static void the_keeper_goes_when_its_directory_is_gone(void **state)
{
	struct place *place = opened(state);
	struct exec_start what = start_of("gone", "sleep 300");
	char command[128];
	int keeper;

	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	keeper = keeper_pid(place);
	engine_close(place);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", place->path);
	assert_int_equal(system(command), 0);
	assert_true(wait_gone(keeper));
}

/* The host neither sees nor has to reap the keeper. */
static void the_keeper_is_no_child_of_ours(void **state)
{
	struct place *place = opened(state);

	assert_int_equal(run(place, "one", "true").exit_code, 0);
	assert_true(keeper_pid(place) > 0);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, 0x40000000 /* __WALL */), -1);
	assert_int_equal(errno, ECHILD);
}

/* S5.6 */
static void a_step_is_known_as_one(void **state)
{
	struct place *place = opened(state);
	char script[128];
	struct exec_start what;
	bool is_own = true;
	int pid;

	(void)snprintf(script, sizeof(script),
		       "env -i sh -c 'echo $$ > %s/inner; sleep 300' & wait", place->path);
	what = start_of("self", script);
	start(place, &what);
	assert_int_equal(wait_report(place).kind, EXEC_STARTED);
	pid = pid_await(place, "inner");
	assert_int_equal(exec_command_is_own_step(place->dir, STR(RUN_ID), (int32_t)getpid(),
						  &is_own, &place->err),
			 ERR_OK);
	assert_false(is_own);
	assert_int_equal(
	    exec_command_is_own_step(place->dir, STR(RUN_ID), pid, &is_own, &place->err), ERR_OK);
	assert_true(is_own);
	cancel(place, "self", true);
	assert_int_equal(wait_end(place).kind, EXEC_ENDED);
}

/* P01 */
static void nothing_is_left_behind_by_many_short_steps(void **state)
{
	struct place *place = opened(state);
	char path[64];
	char line[128];
	int64_t end_ms;
	FILE *pipe;

	for (int i = 0; i < 300; i++) {
		(void)snprintf(path, sizeof(path), "z%d", i);
		assert_int_equal(run(place, path, "(true &) ; true").kind, EXEC_ENDED);
	}
	(void)snprintf(path, sizeof(path), "ls /proc/%d/fd | wc -l", keeper_pid(place));
	pipe = popen(path, "r");
	assert_non_null(fgets(line, sizeof(line), pipe));
	(void)pclose(pipe);
	assert_true(atoi(line) <= 15);
	end_ms = now_ms() + PATIENCE_MS;
	/* The last one may still wait to be reaped. */
	(void)snprintf(path, sizeof(path), "pgrep -P %d | wc -l", keeper_pid(place));
	do {
		pipe = popen(path, "r");
		assert_non_null(fgets(line, sizeof(line), pipe));
		(void)pclose(pipe);
	} while (atoi(line) > 0 && now_ms() < end_ms);
	assert_int_equal(atoi(line), 0);
}

#define KEEPER_TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    KEEPER_TEST(every_exit_code_comes_back_as_it_is),
	    KEEPER_TEST(every_signal_comes_back_as_it_is),
	    KEEPER_TEST(what_cannot_be_executed_says_why),
	    KEEPER_TEST(arguments_that_are_too_long_are_the_steps_fault),
	    KEEPER_TEST(a_command_has_three_descriptors_whatever_we_have),
	    KEEPER_TEST(signals_are_as_new_whatever_the_host_did),
	    KEEPER_TEST(a_command_starts_in_a_known_state),
	    KEEPER_TEST(both_streams_go_to_one_log_in_order),
	    KEEPER_TEST(a_command_that_ignores_term_is_killed_after_the_grace),
	    KEEPER_TEST(a_cancel_lets_a_command_end_by_itself),
	    KEEPER_TEST(a_stopped_command_is_woken_and_ended),
	    KEEPER_TEST(cancel_now_kills_at_once),
	    KEEPER_TEST(a_daemon_does_not_outlive_its_step),
	    KEEPER_TEST(a_daemon_is_told_apart_from_other_steps),
	    KEEPER_TEST(what_hides_from_two_steps_ends_with_the_keeper),
	    KEEPER_TEST(a_grandchild_that_holds_stdout_does_not_hold_the_step),
	    KEEPER_TEST(a_storm_of_sessions_is_ended),
	    KEEPER_TEST(the_deadline_ends_a_command),
	    KEEPER_TEST(silence_ends_a_command),
	    KEEPER_TEST(output_at_times_is_no_silence),
	    KEEPER_TEST(too_much_output_ends_a_command),
	    KEEPER_TEST(secrets_do_not_reach_the_log),
	    KEEPER_TEST(a_token_is_executed_once),
	    KEEPER_TEST(what_was_never_armed_may_be_started),
	    KEEPER_TEST(another_boot_means_lost),
	    KEEPER_TEST(many_of_both_kinds_are_recovered),
	    KEEPER_TEST(a_new_engine_attaches_to_what_runs),
	    KEEPER_TEST(an_end_while_nobody_was_there_is_not_lost),
	    KEEPER_TEST(deadlines_hold_without_an_engine),
	    KEEPER_TEST(a_killed_keeper_means_lost_and_nothing_left),
	    KEEPER_TEST(a_keeper_killed_while_nobody_was_there_means_lost),
	    KEEPER_TEST(an_older_engine_is_refused),
	    KEEPER_TEST(many_tokens_at_once_end_once_each),
	    KEEPER_TEST(reports_that_nobody_reads_come_later),
	    KEEPER_TEST(a_start_that_cannot_be_recorded_is_refused),
	    KEEPER_TEST(the_keeper_goes_when_its_directory_is_gone),
	    KEEPER_TEST(the_keeper_is_no_child_of_ours),
	    KEEPER_TEST(a_step_is_known_as_one),
	    KEEPER_TEST(nothing_is_left_behind_by_many_short_steps),
	};

	if (argc < 2)
		return 2;
	keeper_path = argv[1];
	/* Without the right to make cgroups the keeper finds trees by other means. */
	if (argc > 2 && strcmp(argv[2], "unprivileged") == 0) {
		if (geteuid() != 0) {
			printf("1..0 # skip: only root can become nobody\n");
			return 77;
		}
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			return 2;
	} else if (argc > 2) {
		cmocka_set_test_filter(argv[2]);
	}
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
