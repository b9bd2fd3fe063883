/* inject.c - runs a program and makes system calls of it fail (seccomp user notification)
 *
 *	inject [--call NAME] [--error NAME | --short BYTES] [--nth N] [--for-ever]
 *	       [--role engine|keeper] [--below TEXT] [--record FILE] [--limit SECONDS]
 *	       -- PROGRAM [ARG]...
 *
 * The n-th such call fails with that error, or takes so many bytes only, in the engine or in the
 * keeper, for paths that hold TEXT. Without --call every call of the table is seen and none fails.
 * Static programs are reached as well as others, and all that they start. FILE gets a line for each
 * call that was counted:
 *
 *	ROLE CALL N seen|failed|short PATH
 *
 * and, at the end, `exit STATUS MILLISECONDS` and `tree MILLISECONDS`. The exit status is that of
 * the program; 124 when it took longer than the limit, 125 when something that it started did,
 * counted from its end: then all of it is killed. A moment after its end nothing fails any more, as
 * after a repair. What the dynamic loader does before main() is not counted, nor what the runtime
 * of a sanitizer asks for itself: that is no call of the program. A close that fails has closed.
 *
 * seccomp_unotify(2), seccomp(2), pidfd_getfd(2), close(2); linux/seccomp.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 4096
#define IMAGES_MAX    64
#define RUNTIMES_MAX  4
#define SHORT_MAX     65536
#define MENDED_MS     300 /* after its end: then nothing fails any more */
#define OVER_LIMIT    124
#define TREE_LIVES_ON 125
#define CANNOT        126

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* What the first arguments are. */
enum shape { ANY, FD, PATH, AT_PATH };

struct call {
	const char *name;
	int number;
	enum shape shape;
};

#define CALL(name, shape) \
	{ \
#name, SYS_##name, shape \
	}

static const struct call calls[] = {
    CALL(accept4, ANY),
    CALL(bind, ANY),
    CALL(brk, ANY),
    CALL(chdir, PATH),
    CALL(clone, ANY),
    CALL(clone3, ANY),
    CALL(close, FD),
    CALL(close_range, ANY),
    CALL(connect, ANY),
    CALL(copy_file_range, FD),
    CALL(dup, FD),
    CALL(dup3, FD),
    CALL(epoll_create1, ANY),
    CALL(epoll_ctl, ANY),
    CALL(epoll_pwait, ANY),
    CALL(eventfd2, ANY),
    CALL(execve, PATH),
    CALL(faccessat2, AT_PATH),
    CALL(fallocate, FD),
    CALL(fchmod, FD),
    CALL(fcntl, FD),
    CALL(fdatasync, FD),
    CALL(flock, FD),
    CALL(fstat, FD),
    CALL(fsync, FD),
    CALL(ftruncate, FD),
    CALL(getcwd, ANY),
    CALL(getdents64, FD),
    CALL(getrandom, ANY),
    CALL(getsockopt, ANY),
    CALL(inotify_add_watch, ANY),
    CALL(inotify_init1, ANY),
    CALL(ioctl, FD),
    CALL(kill, ANY),
    CALL(linkat, AT_PATH),
    CALL(listen, ANY),
    CALL(lseek, FD),
    CALL(madvise, ANY),
    CALL(memfd_create, ANY),
    CALL(mkdirat, AT_PATH),
    CALL(mmap, ANY),
    CALL(mprotect, ANY),
    CALL(mremap, ANY),
    CALL(newfstatat, AT_PATH),
    CALL(openat, AT_PATH),
    CALL(openat2, AT_PATH),
    CALL(pidfd_open, ANY),
    CALL(pipe2, ANY),
    CALL(ppoll, ANY),
    CALL(prctl, ANY),
    CALL(pread64, FD),
    CALL(prlimit64, ANY),
    CALL(pwrite64, FD),
    CALL(pwritev, FD),
    CALL(read, FD),
    CALL(readlinkat, AT_PATH),
    CALL(recvfrom, ANY),
    CALL(recvmsg, ANY),
    CALL(renameat, AT_PATH),
    CALL(renameat2, AT_PATH),
    CALL(rt_sigaction, ANY),
    CALL(rt_sigprocmask, ANY),
    CALL(sendmsg, ANY),
    CALL(sendto, ANY),
    CALL(setsid, ANY),
    CALL(setsockopt, ANY),
    CALL(signalfd4, ANY),
    CALL(socket, ANY),
    CALL(socketpair, ANY),
    CALL(statx, AT_PATH),
    CALL(timerfd_create, ANY),
    CALL(timerfd_settime, FD),
    CALL(unlinkat, AT_PATH),
    CALL(wait4, ANY),
    CALL(waitid, ANY),
    CALL(write, FD),
    CALL(writev, FD),
#ifdef SYS_open
    CALL(access, PATH),
    CALL(dup2, FD),
    CALL(epoll_wait, ANY),
    CALL(link, PATH),
    CALL(lstat, PATH),
    CALL(mkdir, PATH),
    CALL(open, PATH),
    CALL(poll, ANY),
    CALL(readlink, PATH),
    CALL(rename, PATH),
    CALL(rmdir, PATH),
    CALL(stat, PATH),
    CALL(unlink, PATH),
    CALL(vfork, ANY),
#endif
};

static const struct {
	const char *name;
	int value;
} errors[] = {
    {"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"EDQUOT", EDQUOT},   {"EFBIG", EFBIG},
    {"EINTR", EINTR},   {"EIO", EIO},       {"EMFILE", EMFILE},   {"ENFILE", ENFILE},
    {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC},   {"ENOSYS", ENOSYS},
    {"EPERM", EPERM},   {"EROFS", EROFS},   {"ETXTBSY", ETXTBSY}, {"E2BIG", E2BIG},
};

enum role { OTHER, ENGINE, KEEPER, ROLES };

static const char *const role_names[ROLES] = {"other", "engine", "keeper"};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* What is asked for. */
struct wish {
	const struct call *call; /* NULL: all of them are seen */
	enum role role;          /* OTHER: engine and keeper */
	int error;               /* 0: none */
	long short_bytes;        /* -1: none */
	unsigned long nth;
	bool for_ever;
	const char *below; /* NULL: everywhere */
	FILE *record;
	int limit_s;
};

/* A program as it lies in memory: of a process and its forks, until one of them executes another.
 */
struct image {
	uint64_t place[3]; /* its entry, its random bytes, its vdso: the kernel puts no two alike */
	bool is_loaded;    /* its loader is through: before that nothing counts */
	struct {
		uint64_t from, to;
	} runtimes[RUNTIMES_MAX]; /* the code of sanitizers */
	size_t runtimes_count;
};

/* What has been seen. */
struct world {
	struct wish wish;
	int notify_fd;
	pid_t engine;
	unsigned long counts[ROLES][CALLS];
	pid_t processes[PROCESSES_MAX];
	size_t processes_count;
	struct image images[IMAGES_MAX]; /* the oldest gives way */
	size_t images_count;
	struct timespec begun;
	long ended_ms; /* 0: the program runs */
};

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(CANNOT);
}

static const struct call *call_of(int number)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].number == number)
			return &calls[i];
	}
	return NULL;
}

static long elapsed_ms(const struct world *world)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		die("clock");
	return (now.tv_sec - world->begun.tv_sec) * 1000 +
	       (now.tv_nsec - world->begun.tv_nsec) / 1000000;
}

/* --- the filter --- */

/* The filter sends these calls to us; munmap as well, which says that the loader is through. */
static int filter_load(const struct wish *wish)
{
	struct sock_filter code[2 * CALLS + 4];
	unsigned count = 0;
	struct sock_fprog program;
	long fd;

	code[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						     offsetof(struct seccomp_data, nr));
	code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 1);
	code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	for (size_t i = 0; i < CALLS; i++) {
		if (wish->call && wish->call != &calls[i])
			continue;
		code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							     (unsigned)calls[i].number, 0, 1);
		code[count++] =
		    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program = (struct sock_fprog){.len = (unsigned short)count, .filter = code};
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		     &program);
	if (fd < 0)
		die("seccomp");
	return (int)fd;
}

/* What parent and child share until the program begins. No system call can tell of the descriptor:
 * the filter may already stop it. */
struct handover {
	_Atomic int notify_fd; /* 0: not yet */
	_Atomic int is_taken;
};

/* The child has our table of descriptors until it executes the program, so what it opens is ours
 * too. */
static void program_start(struct world *world, char **argv)
{
	struct handover *handover = mmap(NULL, sizeof(*handover), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long pid;

	if (handover == MAP_FAILED)
		die("mmap");
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		handover->notify_fd = filter_load(&world->wish);
		while (!handover->is_taken)
			continue;
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	while (!handover->notify_fd) {
		if (waitpid((pid_t)pid, NULL, WNOHANG) != 0)
			exit(CANNOT);
	}
	world->engine = (pid_t)pid;
	world->notify_fd = handover->notify_fd;
	handover->is_taken = 1;
}

/* --- who calls, and with what --- */

/* A descriptor of a process, or, with -1, what it executes. */
static bool link_read(char *ret_text, size_t size, pid_t pid, int fd)
{
	char path[64];
	ssize_t len;

	if (fd < 0)
		snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	len = readlink(path, ret_text, size - 1);
	ret_text[len > 0 ? len : 0] = 0;
	return len > 0;
}

static enum role role_of(pid_t pid)
{
	char path[PATH_MAX];
	const char *name;

	if (!link_read(path, sizeof(path), pid, -1))
		return OTHER;
	name = strrchr(path, '/') + 1;
	if (strcmp(name, "sluice-keeper") == 0)
		return KEEPER;
	return strcmp(name, "sluice") == 0 ? ENGINE : OTHER;
}

static FILE *proc_open(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

/* Where the kernel has put what it executes, and whether that has an interpreter. */
static bool image_look(struct image *ret_image, pid_t pid)
{
	struct image image = {.is_loaded = true};
	FILE *file = proc_open(pid, "auxv");
	Elf64_auxv_t entry;

	while (file && fread(&entry, sizeof(entry), 1, file) == 1) {
		if (entry.a_type == AT_ENTRY)
			image.place[0] = entry.a_un.a_val;
		else if (entry.a_type == AT_RANDOM)
			image.place[1] = entry.a_un.a_val;
		else if (entry.a_type == AT_SYSINFO_EHDR)
			image.place[2] = entry.a_un.a_val;
		else if (entry.a_type == AT_BASE)
			image.is_loaded = entry.a_un.a_val == 0;
	}
	if (file)
		fclose(file);
	*ret_image = image;
	return image.place[0] != 0;
}

/* That of the process; NULL when it is gone. */
static struct image *image_of(struct world *world, pid_t pid)
{
	struct image image;
	size_t most = world->images_count < IMAGES_MAX ? world->images_count : IMAGES_MAX;

	if (!image_look(&image, pid))
		return NULL;
	for (size_t i = 0; i < most; i++) {
		if (memcmp(world->images[i].place, image.place, sizeof(image.place)) == 0)
			return &world->images[i];
	}
	most = world->images_count++ % IMAGES_MAX;
	world->images[most] = image;
	return &world->images[most];
}

static bool is_runtime(const char *path)
{
	static const char *const names[] = {"/libasan.so", "/libubsan.so", "/liblsan.so",
					    "/libtsan.so"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(path, names[i]))
			return true;
	}
	return false;
}

/* Its loader is through, so all that it needs is in its place. */
static void image_loaded(struct image *image, pid_t pid)
{
	FILE *file = proc_open(pid, "maps");
	char line[PATH_MAX + 128], rights[8];
	unsigned long from, to;

	image->is_loaded = true;
	while (file && image->runtimes_count < RUNTIMES_MAX && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && rights[2] == 'x' &&
		    is_runtime(line)) {
			image->runtimes[image->runtimes_count].from = from;
			image->runtimes[image->runtimes_count++].to = to;
		}
	}
	if (file)
		fclose(file);
}

/* Does the runtime of a sanitizer make this call, and not the program by way of libc? */
static bool is_of_runtime(const struct image *image, uint64_t instruction)
{
	for (size_t i = 0; i < image->runtimes_count; i++) {
		if (instruction >= image->runtimes[i].from && instruction <= image->runtimes[i].to)
			return true;
	}
	return false;
}

/* The process of a thread: what pidfd_open(2) wants. */
static pid_t process_of(pid_t thread)
{
	FILE *file = proc_open(thread, "status");
	char line[256];
	int pid = thread;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	}
	if (file)
		fclose(file);
	return pid;
}

static void process_note(struct world *world, pid_t pid)
{
	for (size_t i = 0; i < world->processes_count; i++) {
		if (world->processes[i] == pid)
			return;
	}
	if (world->processes_count < PROCESSES_MAX)
		world->processes[world->processes_count++] = pid;
}

static void text_read(pid_t pid, uint64_t from, char *ret_text, size_t size)
{
	struct iovec here = {ret_text, size - 1};
	struct iovec there = {(void *)(uintptr_t)from, size - 1};
	ssize_t len;

	/* Not beyond the page: the next one may be missing. */
	for (; there.iov_len; there.iov_len = here.iov_len = there.iov_len / 2) {
		len = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (len > 0) {
			ret_text[len] = 0;
			return;
		}
	}
	ret_text[0] = 0;
}

/* The path that a call is about, as far as it has one. */
static void path_of(const struct seccomp_notif *request, const struct call *call, char *ret_path,
		    size_t size)
{
	pid_t pid = (pid_t)request->pid;
	const uint64_t *args = (const uint64_t *)request->data.args;
	char name[PATH_MAX];
	size_t len = 0;

	ret_path[0] = 0;
	if (call->shape == FD) {
		(void)link_read(ret_path, size, pid, (int)args[0]);
		return;
	}
	if (call->shape == ANY)
		return;
	text_read(pid, args[call->shape == AT_PATH], name, sizeof(name));
	if (call->shape == AT_PATH && name[0] != '/' && (int)args[0] >= 0 &&
	    link_read(ret_path, size, pid, (int)args[0])) {
		len = strlen(ret_path);
		ret_path[len++] = '/';
	}
	snprintf(ret_path + len, size - len, "%s", name);
}

/* --- answers --- */

/* What the call would have done, for its first bytes only; false when that cannot be done for it.
 */
static bool transfer_short(const struct world *world, const struct seccomp_notif *request,
			   const struct call *call, __s64 *ret_value)
{
	static char bytes[SHORT_MAX];
	const uint64_t *args = (const uint64_t *)request->data.args;
	size_t asked = (size_t)args[2], count = (size_t)world->wish.short_bytes;
	struct iovec here = {bytes, count}, there = {(void *)(uintptr_t)args[1], count};
	bool writes = call->number == SYS_write || call->number == SYS_pwrite64;
	bool has_place = call->number == SYS_pread64 || call->number == SYS_pwrite64;
	pid_t pid = process_of((pid_t)request->pid);
	int process, fd;
	ssize_t done = -1;

	if (asked <= count || count > SHORT_MAX)
		return false;
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	fd = (int)syscall(SYS_pidfd_getfd, process, (int)args[0], 0);
	if (fd >= 0 && writes && process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)count)
		done =
		    has_place ? pwrite(fd, bytes, count, (off_t)args[3]) : write(fd, bytes, count);
	else if (fd >= 0 && !writes)
		done = has_place ? pread(fd, bytes, count, (off_t)args[3]) : read(fd, bytes, count);
	if (done > 0 && !writes) {
		here.iov_len = there.iov_len = (size_t)done;
		if (process_vm_writev(pid, &here, 1, &there, 1, 0) != done)
			done = -1;
	}
	if (fd >= 0)
		(void)close(fd);
	if (process >= 0)
		(void)close(process);
	*ret_value = done;
	return done >= 0;
}

/* Linux has closed it whatever close(2) says: here something that is nobody's takes its place. */
static void close_for(const struct world *world, const struct seccomp_notif *request)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct seccomp_notif_addfd put = {
	    .id = request->id,
	    .flags = SECCOMP_ADDFD_FLAG_SETFD,
	    .srcfd = (__u32)nothing,
	    .newfd = (__u32)request->data.args[0],
	    .newfd_flags = O_CLOEXEC,
	};

	if (nothing < 0)
		die("/dev/null");
	(void)ioctl(world->notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &put); /* or it died meanwhile */
	(void)close(nothing);
}

static bool is_mended(const struct world *world)
{
	return world->ended_ms && elapsed_ms(world) - world->ended_ms > MENDED_MS;
}

/* Counts the call and decides on it. */
static void answer(struct world *world, const struct seccomp_notif *request,
		   struct seccomp_notif_resp *ret_response)
{
	const struct wish *wish = &world->wish;
	const struct call *call = call_of(request->data.nr);
	enum role role = role_of((pid_t)request->pid);
	char path[2 * PATH_MAX] = "";
	const char *what = "seen";
	struct image *image;
	unsigned long n;

	ret_response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	process_note(world, (pid_t)request->pid);
	if (role == OTHER)
		return;
	image = image_of(world, (pid_t)request->pid);
	if (image && !image->is_loaded && !call)
		image_loaded(image, (pid_t)request->pid);
	if (!call || !image || !image->is_loaded ||
	    is_of_runtime(image, request->data.instruction_pointer))
		return;
	if (wish->role != OTHER && wish->role != role)
		return;
	if (wish->record || wish->below)
		path_of(request, call, path, sizeof(path));
	if (wish->below && !strstr(path, wish->below))
		return;
	n = ++world->counts[role][call - calls];
	if (wish->call && !is_mended(world) &&
	    (n == wish->nth || (wish->for_ever && n > wish->nth))) {
		if (wish->error) {
			if (call->number == SYS_close)
				close_for(world, request);
			*ret_response =
			    (struct seccomp_notif_resp){.id = request->id, .error = -wish->error};
			what = "failed";
		} else if (wish->short_bytes >= 0 &&
			   transfer_short(world, request, call, &ret_response->val)) {
			ret_response->flags = 0;
			what = "short";
		}
	}
	if (wish->record)
		fprintf(wish->record, "%s %s %lu %s %s\n", role_names[role], call->name, n, what,
			path);
}

/* --- the whole --- */

static void kill_all(const struct world *world)
{
	for (size_t i = 0; i < world->processes_count; i++) {
		if (role_of(world->processes[i]) != OTHER || world->processes[i] == world->engine)
			(void)kill(world->processes[i], SIGKILL);
	}
}

/* The exit status of the program, as a shell has it. */
static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int serve(struct world *world)
{
	struct pollfd wait = {.fd = world->notify_fd, .events = POLLIN};
	int status = 0, exit_status = -1;

	for (;;) {
		struct seccomp_notif request = {0};
		struct seccomp_notif_resp response = {0};
		int ready = poll(&wait, 1, 50);

		if (exit_status < 0 && waitpid(world->engine, &status, WNOHANG) == world->engine) {
			exit_status = status_of(status);
			world->ended_ms = elapsed_ms(world);
			if (world->wish.record)
				fprintf(world->wish.record, "exit %d %ld\n", exit_status,
					world->ended_ms);
		}
		if (elapsed_ms(world) - world->ended_ms > world->wish.limit_s * 1000L) {
			kill_all(world);
			return exit_status < 0 ? OVER_LIMIT : TREE_LIVES_ON;
		}
		if (ready < 0 && errno != EINTR)
			die("poll");
		if (ready <= 0)
			continue;
		if (wait.revents & POLLIN) {
			if (ioctl(world->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
				continue; /* it died meanwhile */
			response.id = request.id;
			answer(world, &request, &response);
			(void)ioctl(world->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
			continue;
		}
		if (exit_status < 0 && waitpid(world->engine, &status, 0) == world->engine) {
			exit_status = status_of(status);
			if (world->wish.record)
				fprintf(world->wish.record, "exit %d %ld\n", exit_status,
					elapsed_ms(world));
		}
		if (world->wish.record)
			fprintf(world->wish.record, "tree %ld\n", elapsed_ms(world));
		return exit_status;
	}
}

static int usage(const char *what)
{
	fprintf(stderr, "inject: %s: see the head of inject.c\n", what);
	return CANNOT;
}

static bool call_named(const char *name, const struct call **ret_call)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (strcmp(calls[i].name, name) == 0) {
			*ret_call = &calls[i];
			return true;
		}
	}
	return false;
}

static bool error_named(const char *name, int *ret_error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(errors[i].name, name) == 0) {
			*ret_error = errors[i].value;
			return true;
		}
	}
	return false;
}

/* One option with its value; false when it is none. */
static bool option_take(struct wish *wish, const char *name, const char *value)
{
	if (strcmp(name, "--call") == 0)
		return call_named(value, &wish->call);
	if (strcmp(name, "--error") == 0)
		return error_named(value, &wish->error);
	if (strcmp(name, "--role") == 0)
		wish->role = strcmp(value, "keeper") == 0 ? KEEPER : ENGINE;
	else if (strcmp(name, "--nth") == 0)
		wish->nth = strtoul(value, NULL, 10);
	else if (strcmp(name, "--short") == 0)
		wish->short_bytes = strtol(value, NULL, 10);
	else if (strcmp(name, "--limit") == 0)
		wish->limit_s = (int)strtol(value, NULL, 10);
	else if (strcmp(name, "--below") == 0)
		wish->below = value;
	else if (strcmp(name, "--record") == 0)
		return (wish->record = fopen(value, "we")) != NULL;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	static struct world world = {.wish = {.short_bytes = -1, .nth = 1, .limit_s = 10}};
	int i = 1, status;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--for-ever") == 0)
			world.wish.for_ever = true;
		else if (i + 1 < argc && option_take(&world.wish, argv[i], argv[i + 1]))
			i++;
		else
			return usage(argv[i]);
	}
	if (i + 1 >= argc)
		return usage("no program");
	if (clock_gettime(CLOCK_MONOTONIC, &world.begun) < 0)
		die("clock");
	program_start(&world, argv + i + 1);
	status = serve(&world);
	if (world.wish.record && fclose(world.wish.record) != 0)
		die("record");
	return status;
}
