/*
 * killat CALL N PROGRAM [ARG]...: runs PROGRAM and ends it with SIGKILL as it enters its N-th
 * system call of this name, counted from the execve of PROGRAM on, in its first thread; no child of
 * it. Exit status and signal are those of PROGRAM.
 *
 * killat --plan FILE PROGRAM [ARG]...: CALL and N stand in FILE, and the kill belongs to whoever
 * can remove it; without FILE PROGRAM just runs. FILE.hit is made when the kill takes place.
 *
 * Counts as `strace -e inject=CALL:signal=SIGKILL:when=N` does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* clang-format off */
#define CALLS(X) \
	X(accept4) X(brk) X(clock_gettime) X(clone3) X(close) X(close_range) X(connect) X(copy_file_range) \
	X(dup2) X(dup3) X(epoll_create1) X(epoll_ctl) X(epoll_pwait) X(eventfd2) \
	X(faccessat2) X(fallocate) X(fchdir) X(fchmod) X(fchmodat) X(fchown) X(fcntl) \
	X(fdatasync) X(flock) X(fstat) X(fstatfs) X(fsync) X(ftruncate) X(futex) X(getcwd) \
	X(getdents64) X(getpeername) X(getpid) X(getppid) X(getrandom) X(getsockname) \
	X(getsockopt) X(gettid) X(geteuid) X(getegid) X(getgid) X(getuid) X(ioctl) X(kill) \
	X(linkat) X(listen) X(lseek) X(madvise) X(mkdirat) X(mmap) X(mprotect) X(mremap) \
	X(munmap) X(newfstatat) X(openat) X(openat2) X(pidfd_open) X(pidfd_send_signal) \
	X(pipe2) X(ppoll) X(prctl) X(pread64) X(prlimit64) X(pwrite64) X(pwritev) X(read) \
	X(readlinkat) X(readv) X(recvfrom) X(recvmsg) X(renameat) X(renameat2) X(rseq) \
	X(rt_sigaction) X(rt_sigprocmask) X(rt_sigreturn) X(sched_getaffinity) X(sendmsg) \
	X(sendto) X(set_robust_list) X(set_tid_address) X(setsid) X(setsockopt) X(shutdown) \
	X(sigaltstack) X(signalfd4) X(bind) X(socket) X(socketpair) X(statfs) X(statx) X(symlinkat) \
	X(sysinfo) X(tgkill) X(timerfd_create) X(timerfd_settime) X(umask) X(uname) \
	X(unlinkat) X(utimensat) X(wait4) X(waitid) X(write) X(writev)
/* Those that newer machines do not have. */
#if defined(__x86_64__)
#define OLD_CALLS(X) \
	X(access) X(alarm) X(arch_prctl) X(chdir) X(chmod) X(clone) X(creat) X(dup) \
	X(epoll_wait) X(fork) X(getpgrp) X(link) X(lstat) X(mkdir) X(open) X(pause) X(pipe) \
	X(poll) X(readlink) X(rename) X(rmdir) X(select) X(stat) X(symlink) X(time) \
	X(unlink) X(vfork)
#else
#define OLD_CALLS(X)
#endif
/* clang-format on */

static const struct {
	const char *name;
	long number;
} TABLE[] = {
#define ROW(name) {#name, SYS_##name},
    CALLS(ROW) OLD_CALLS(ROW)
#undef ROW
};

static long number_of(const char *name)
{
	for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
		if (strcmp(TABLE[i].name, name) == 0) {
			return TABLE[i].number;
		}
	}
	fprintf(stderr, "killat: no system call '%s' in its table\n", name);
	exit(125);
}

static void fail(const char *what)
{
	fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void run(char **command)
{
	execv(*command, command);
	fail(*command);
}

/* Ends as the program did. */
static void end_as(int status)
{
	if (WIFSIGNALED(status)) {
		const struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		signal(WTERMSIG(status), SIG_DFL);
		kill(getpid(), WTERMSIG(status));
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			fail("wait");
		}
	}
	if (!WIFSTOPPED(status)) {
		end_as(status);
	}
	return status;
}

static void go_on(pid_t pid, int signal_number)
{
	if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal_number) < 0 && errno != ESRCH) {
		fail("ptrace");
	}
}

static bool enters(pid_t pid, long number)
{
	struct __ptrace_syscall_info info;
	const long n = ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info);
	return n > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
	       info.entry.nr == (unsigned long)number;
}

/* The sign comes first: who sees what the kill did sees it too. */
static void end_it(pid_t pid, const char *sign)
{
	if (*sign) {
		const int fd = open(sign, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0) {
			fail(sign);
		}
		close(fd);
	}
	kill(pid, SIGKILL);
}

static void follow(pid_t pid, long number, long at, const char *sign)
{
	for (;;) {
		const int status = wait_for(pid);
		const int stop = WSTOPSIG(status);
		if (stop == (SIGTRAP | 0x80)) {
			if (enters(pid, number) && --at == 0) {
				end_it(pid, sign);
				continue;
			}
			go_on(pid, 0);
		} else if (status >> 16 == PTRACE_EVENT_STOP) {
			/* It was stopped by SIGSTOP or its like, and stays so until it is told to
			 * go on. */
			if (stop == SIGTRAP) {
				go_on(pid, 0);
			} else {
				ptrace(PTRACE_LISTEN, pid, NULL, NULL);
			}
		} else {
			go_on(pid, status >> 16 ? 0 : stop);
		}
	}
}

/* The plan that is in FILE, if it could be taken. One that names no call of ours stays. */
static bool take_plan(const char *path, char *call, long *at)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		return false;
	}
	const bool is_plan = fscanf(file, "%31s %ld", call, at) == 2;
	fclose(file);
	return is_plan && number_of(call) >= 0 && unlink(path) == 0;
}

int main(int argc, char **argv)
{
	char call[32];
	char sign[PATH_MAX] = "";
	long at = 0;
	if (argc < 4) {
		fprintf(
		    stderr,
		    "usage: killat CALL N PROGRAM [ARG]...\n       killat --plan FILE PROGRAM [ARG]...\n");
		return 125;
	}
	if (strcmp(argv[1], "--plan") != 0) {
		snprintf(call, sizeof call, "%s", argv[1]);
		at = atol(argv[2]);
	} else if (!take_plan(argv[2], call, &at)) {
		run(argv + 3);
	} else {
		snprintf(sign, sizeof sign, "%s.hit", argv[2]);
	}
	if (at < 1) {
		fprintf(stderr, "killat: N is 1 or more\n");
		return 125;
	}
	const long number = number_of(call);
	const pid_t pid = fork();
	if (pid < 0) {
		fail("fork");
	}
	if (pid == 0) {
		raise(SIGSTOP);
		run(argv + 3);
	}
	/* What it was given is not held open here: locks and sockets are its own. */
	close_range(3, ~0U, 0);
	for (int i = 1; i < NSIG; i++) {
		if (i != SIGCHLD) {
			signal(i, SIG_IGN);
		}
	}
	const int options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;
	if (waitpid(pid, &status, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)options) < 0 || kill(pid, SIGCONT) < 0) {
		fail("ptrace");
	}
	/* Up to its execve nothing counts. */
	for (;;) {
		status = wait_for(pid);
		const int event = status >> 16;
		if (ptrace(event == PTRACE_EVENT_EXEC ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL,
			   NULL) < 0) {
			fail("ptrace");
		}
		if (event == PTRACE_EVENT_EXEC) {
			break;
		}
	}
	follow(pid, number, at, sign);
}
