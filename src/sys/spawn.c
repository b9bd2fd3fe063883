/* spawn.c - see spawn.h
 *
 * The child runs in the caller's memory on a stack of its own while the caller sleeps: it may only
 * make system calls and write to its stack and to `struct child`. */
#include "sys/spawn.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES       32768
#define SIGNAL_LAST       64
#define CLOSE_RANGE_SPLIT (1U << 1) /* CLOSE_RANGE_UNSHARE */

/* What runs in the child never returns through its frames, so the sanitizer's marks on its stack
 * would stay behind in the memory that it shares with the caller. */
#define IN_CHILD __attribute__((no_sanitize("address"), noinline))

struct child {
	const struct spawn_plan *plan;
	pid_t caller;
	int32_t pid;       /* of a detached one */
	int failure;       /* errno, 0 while all is well */
	char *inner_stack; /* for the second child of a detached start */
};

typedef int child_fn(void *child);

#if defined(__x86_64__) || defined(__aarch64__)
/* clone3(2) with a stack needs a call on the new stack straight after the system call: no C library
 * of this age offers it. */
static long clone3_call(struct clone_args *args, child_fn *run, void *arg)
{
#if defined(__x86_64__)
	register child_fn *run_at __asm__("rdx") = run;
	register void *arg_at __asm__("r8") = arg;
	long result;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r8, %%rdi\n\t"
			 "call *%%rdx\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "1:"
			 : "=a"(result)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(run_at),
			   "r"(arg_at), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory", "cc");
	return result;
#else
	register long number __asm__("x8") = SYS_clone3;
	register long first __asm__("x0") = (long)args;
	register long second __asm__("x1") = sizeof(*args);
	register child_fn *run_at __asm__("x2") = run;
	register void *arg_at __asm__("x3") = arg;

	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, #0\n\t"
			 "mov x0, x3\n\t"
			 "blr x2\n\t"
			 "mov x8, %[exit]\n\t"
			 "svc #0\n\t"
			 "1:"
			 : "+r"(first)
			 : "r"(number), "r"(second), "r"(run_at), "r"(arg_at), [exit] "i"(SYS_exit)
			 : "memory", "cc");
	return first;
#endif
}

#else
static long clone3_call(struct clone_args *args, child_fn *run, void *arg)
{
	(void)args;
	(void)run;
	(void)arg;
	return -ENOSYS;
}
#endif

/* Process id, or -errno. ENOSYS where a cgroup is asked for and clone3 is not to be had. */
IN_CHILD static long child_start(child_fn *run, struct child *child, char *stack, uint64_t flags,
				 int exit_signal)
{
	struct clone_args args = {
	    .flags = (uint64_t)(CLONE_VM | CLONE_VFORK) | flags,
	    .exit_signal = (uint64_t)(unsigned)exit_signal,
	    .stack = (uint64_t)(uintptr_t)stack,
	    .stack_size = STACK_BYTES,
	};
	long pid;

	if (child->plan->cgroup_fd >= 0) {
		args.flags |= (uint64_t)CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned)child->plan->cgroup_fd;
	}
	pid = clone3_call(&args, run, child);
	if (pid != -ENOSYS || child->plan->cgroup_fd >= 0)
		return pid;
	pid = clone(run, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | (int)flags | exit_signal,
		    child);
	return pid < 0 ? -errno : pid;
}

IN_CHILD static void signals_reset(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	for (int i = 1; i <= SIGNAL_LAST; i++)
		(void)sigaction(i, &action, NULL); /* KILL, STOP and the library's two refuse */
}

/* The child's descriptors; -1 with errno. */
IN_CHILD static int fds_place(const struct spawn_plan *plan)
{
	int from[SPAWN_FDS_MAX];
	int count = (int)plan->fds_count;

	if (!plan->fds)
		return (int)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_SPLIT);
	for (int i = 0; i < count; i++) {
		from[i] = plan->fds[i];
		if (from[i] < count)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, count);
		if (from[i] < 0)
			return -1;
	}
	for (int i = 0; i < count; i++) {
		if (dup2(from[i], i) < 0)
			return -1;
	}
	return (int)syscall(SYS_close_range, (unsigned)count, ~0U, 0U);
}

IN_CHILD static const char *env_path(char *const *envp)
{
	for (size_t i = 0; envp[i]; i++) {
		if (strncmp(envp[i], "PATH=", 5) == 0)
			return envp[i] + 5;
	}
	return "/usr/local/bin:/usr/bin:/bin"; /* execvp(3) has a like default */
}

/* As execvp(3), but a file that is no program is ENOEXEC, not a shell script. */
IN_CHILD static int exec_search(const struct spawn_plan *plan)
{
	const char *name = plan->argv[0];
	size_t name_len = strlen(name);
	const char *at = env_path(plan->envp);
	NOT_CLEARED char path[PATH_MAX];
	bool was_refused = false;

	if (name_len == 0)
		return ENOENT;
	if (strchr(name, '/')) {
		(void)execve(name, plan->argv, plan->envp);
		return errno;
	}
	for (;;) {
		size_t len = strcspn(at, ":");

		if (len + 1 + name_len < sizeof(path)) {
			memcpy(path, at, len);
			if (len)
				path[len] = '/';
			memcpy(path + len + (len > 0), name, name_len + 1);
			(void)execve(path, plan->argv, plan->envp);
			if (errno == EACCES)
				was_refused = true;
			else if (errno != ENOENT && errno != ENOTDIR)
				return errno;
		}
		if (!at[len])
			return was_refused ? EACCES : ENOENT;
		at += len + 1;
	}
}

IN_CHILD static int fail(struct child *child)
{
	child->failure = errno;
	return 127;
}

/* The library's calls would change every thread of the memory that this child borrows: these change
 * the caller alone. */
IN_CHILD static int user_change(const struct spawn_user *user)
{
	if (syscall(SYS_setgroups, user->groups_count, user->groups) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0)
		return -1;
	return (int)syscall(SYS_setresuid, user->uid, user->uid, user->uid);
}

IN_CHILD static int limit_set(const struct spawn_limit *limit)
{
	return (int)syscall(SYS_prlimit64, 0, limit->resource, &limit->limit, NULL);
}

IN_CHILD static int stdin_open(const char *path)
{
	struct stat stat;
	int fd =
	    open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe is not waited for */

	if (fd < 0 || fstat(fd, &stat) < 0)
		return -1;
	if (!S_ISREG(stat.st_mode)) {
		errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	return fcntl(fd, F_SETFL, 0) < 0 ? -1 : dup2(fd, STDIN_FILENO);
}

IN_CHILD static int child_run(void *arg)
{
	struct child *child = arg;
	const struct spawn_plan *plan = child->plan;
	sigset_t none;

	(void)setsid(); /* fails only for a leader of a group, which a new process is not */
	if (plan->resets_signals)
		signals_reset();
	if (fds_place(plan) < 0)
		return fail(child);
	for (size_t i = 0; i < plan->limits_count; i++) {
		if (limit_set(&plan->limits[i]) < 0)
			return fail(child);
	}
	if (plan->user && user_change(plan->user) < 0)
		return fail(child);
	/* After the change of user: that clears it (prctl(2)). */
	if (plan->dies_with_caller) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			return fail(child);
		if (getppid() != child->caller)
			return 127; /* it died before that took effect */
	}
	if (plan->cwd && chdir(plan->cwd) < 0)
		return fail(child);
	if (plan->stdin_path && stdin_open(plan->stdin_path) < 0)
		return fail(child);
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return fail(child);
	if (plan->path) {
		(void)execve(plan->path, plan->argv, plan->envp);
		return fail(child);
	}
	child->failure = exec_search(plan);
	return 127;
}

/* Between the caller and a detached program: ends at once, so that init adopts the program. */
IN_CHILD static int detach_run(void *arg)
{
	struct child *child = arg;
	long pid;

	child->caller = getpid();
	pid = child_start(child_run, child, child->inner_stack, 0, SIGCHLD);
	if (pid < 0)
		child->failure = (int)-pid;
	else
		child->pid = (int32_t)pid;
	return 0;
}

int spawn_start(const struct spawn_plan *plan, int32_t *ret_pid)
{
	/* On the heap: of a large frame the compiler touches each page. */
	AUTO(mem_drop) char *stack = mem_resize(NULL, 2 * STACK_BYTES, 1);
	struct child child = {.plan = plan, .caller = getpid()};
	sigset_t all, before;
	long pid;

	BUG_IF(plan->fds_count > SPAWN_FDS_MAX);
	if (!stack)
		return ENOMEM;
	child.inner_stack = stack + STACK_BYTES;
	if (plan->resets_signals) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	}
	if (plan->is_detached)
		/* No exit signal: a host that waits for any child, or ignores SIGCHLD, never sees
		 * the one between. */
		pid = child_start(detach_run, &child, stack, 0, 0);
	else
		pid = child_start(child_run, &child, stack, plan->fds ? 0 : CLONE_FILES, SIGCHLD);
	if (plan->resets_signals)
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return (int)-pid;
	if (child.failure || plan->is_detached) {
		while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
			continue;
	}
	if (child.failure)
		return child.failure;
	*ret_pid = plan->is_detached ? child.pid : (int32_t)pid;
	return 0;
}

int spawn_null_open(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}
