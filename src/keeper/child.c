/* child.c - the keeper's hands: log files, records, commands, trees. See host.h.
 *
 * The keeper is one executable without a library, so what it does with the system is written out
 * here and in main.c; src/sys has what others need too (spawn, proc, cgroup). */
#include "keeper/host.h"

#include "base/mem.h"
#include "keeper/token_table.h"
#include "sys/cgroup.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUMP_BYTES       65536
#define OOM_ADJUST       "500"
#define OOM_ADJUST_VALUE 500

/* Attempt + 1 of a command that was not reaped, by process id. Zero pages cost nothing. */
static uint32_t by_pid[HOST_PIDS];

static void pid_set(int32_t pid, uint32_t value)
{
	BUG_IF(pid <= 0 || (size_t)pid >= HOST_PIDS);
	by_pid[pid] = value;
}

uint32_t child_by_pid(int32_t pid)
{
	return pid > 0 && (size_t)pid < HOST_PIDS ? by_pid[pid] : 0;
}

struct child *child_of(const struct host *host, uint32_t attempt)
{
	BUG_IF(attempt >= host->children_capacity || !host->children[attempt]);
	return host->children[attempt];
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing here has to last */
	*fd = -1;
}

/* --- records --- */

int record_append(struct host *host, const struct record *record)
{
	unsigned char bytes[RECORD_BYTES];
	ssize_t written = 0;

	record_encode(record, bytes);
	/* A short write is gone on with: what stops it says why. A torn record will be written
	 * over. */
	for (size_t done = 0; done < sizeof(bytes); done += (size_t)written) {
		written = pwrite(HOST_FD_LOG, bytes + done, sizeof(bytes) - done,
				 (off_t)(host->records * RECORD_BYTES + done));
		if (written < 0 && errno == EINTR)
			written = 0;
		if (written < 0)
			return errno;
	}
	host->records++;
	return 0;
}

static int attempt_append(struct host *host, uint32_t attempt, enum record_kind kind)
{
	const struct child *child = child_of(host, attempt);
	struct record record = machine_record(host->machine, attempt, kind);

	record.keeper_pid = host->pid;
	record.boot = host->boot;
	record.slot = child->slot;
	return record_append(host, &record);
}

void child_note(struct host *host, uint32_t attempt)
{
	/* A hint for whoever has to clear up after us; the token in the environment is enough. */
	(void)attempt_append(host, attempt, RECORD_SPAWNED);
}

void child_record(struct host *host, uint32_t attempt)
{
	host_input(host, &(struct machine_input){
			     .kind = MACHINE_IN_WRITTEN,
			     .now_ns = host_now(),
			     .attempt = attempt,
			     .errno_value = attempt_append(host, attempt, RECORD_ENDED),
			 });
}

/* --- arming --- */

static void pump_free(struct pump *pump)
{
	if (!pump)
		return;
	fd_close(&pump->from_fd);
	fd_close(&pump->log_fd);
	mask_free(pump->mask);
	buf_fini(&pump->out);
	mem_free(pump);
}

static void child_free(struct child *child)
{
	for (int i = 0; i < STREAMS; i++) {
		fd_close(&child->log_fds[i]);
		pump_free(child->pumps[i]);
		mem_free(child->logs[i]);
	}
	mem_free(child);
}

static struct child *child_new(struct host *host, uint32_t attempt, const struct exec_start *start)
{
	struct err err = ERR_INIT;
	struct child *child;
	size_t before = host->children_capacity;

	if (mem_grow((void **)&host->children, &host->children_capacity, (size_t)attempt + 1,
		     sizeof(*host->children), &err) != ERR_OK)
		return NULL;
	memset(host->children + before, 0,
	       (host->children_capacity - before) * sizeof(*host->children));
	child = mem_new(1, sizeof(*child));
	if (!child)
		return NULL;
	*child = (struct child){
	    .log_fds = {-1, -1}, .slot = RECORD_NO_SLOT, .allows_orphans = start->allows_orphans};
	child->logs[0] = mem_text(start->log, strlen(start->log));
	if (start->log_err)
		child->logs[1] = mem_text(start->log_err, strlen(start->log_err));
	if (!child->logs[0] || (start->log_err && !child->logs[1])) {
		child_free(child);
		return NULL;
	}
	host->children[attempt] = child;
	return child;
}

static int logs_open(struct host *host)
{
	if (host->logs_fd >= 0)
		return 0;
	if (mkdirat(HOST_FD_DIR, "logs", 0700) < 0 && errno != EEXIST)
		return errno;
	host->logs_fd =
	    openat(HOST_FD_DIR, "logs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return host->logs_fd < 0 ? errno : 0;
}

/* A new file; or, for a token that is armed a second time, the one that the first time left, if
 * nothing else was put in its place: a pipe would keep us waiting. 0 or errno. */
static int log_open(const struct host *host, const char *name, int *ret_fd)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
	struct stat stat;
	int fd = openat(host->logs_fd, name, flags | O_EXCL, 0600);

	if (fd < 0 && errno == EEXIST) {
		if (fstatat(host->logs_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
			return errno;
		if (!S_ISREG(stat.st_mode) || stat.st_nlink > 1)
			return EEXIST;
		fd = openat(host->logs_fd, name, flags, 0600);
	}
	if (fd < 0)
		return errno;
	*ret_fd = fd;
	return 0;
}

static int results_open(struct host *host)
{
	if (host->results_fd < 0)
		host->results_fd =
		    openat(HOST_FD_DIR, "out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return host->results_fd < 0 ? errno : 0;
}

/* What has the name of its result by now is not its word, whoever left it there (S5.5): an engine
 * cannot tell, as it may have forgotten what we know to have ended. What another user gets is a new
 * file already. Not synced: an attempt that a power cut takes is lost. 0 or errno. */
static int result_clear(struct host *host, uint32_t attempt)
{
	struct exec_token token = machine_token(host->machine, attempt);
	char name[RECORD_PATH_BYTES + 32];
	int failure;

	if (host->frame->start.hands_count)
		return 0;
	failure = results_open(host);
	if (failure)
		return failure == ENOENT ? 0 : failure;
	(void)snprintf(name, sizeof(name), "%.*s%s.%u.json", STR_ARG(token.path),
		       token.role == EXEC_ROLE_COMP ? ".comp" : "", token.attempt);
	if (unlinkat(host->results_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR && unlinkat(host->results_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	return errno;
}

/* 0 or errno. The record comes last: it means that nothing but the exec is missing. */
static int arm(struct host *host, uint32_t attempt)
{
	struct child *child = child_new(host, attempt, &host->frame->start);
	int failure;

	if (!child)
		return ENOMEM;
	failure = logs_open(host);
	if (failure)
		return failure;
	for (int i = 0; i < STREAMS && child->logs[i]; i++) {
		failure = log_open(host, child->logs[i], &child->log_fds[i]);
		if (failure)
			return failure;
	}
	failure = result_clear(host, attempt);
	if (failure)
		return failure;
	return attempt_append(host, attempt, RECORD_ARMED);
}

void child_arm(struct host *host, uint32_t attempt)
{
	int failure = arm(host, attempt);

	host_input(host, &(struct machine_input){.kind = MACHINE_IN_ARMED,
						 .now_ns = host_now(),
						 .attempt = attempt,
						 .errno_value = failure});
}

/* --- cgroups: one a concurrency slot, made once, used again --- */

/* A group for this slot: the one that it has, or a new one. 0 or errno. */
static int slot_open(struct host *host, uint32_t slot)
{
	char name[RECORD_SLOT_NAME_BYTES];

	if (host->slots[slot] >= 0)
		return 0;
	record_slot_name(host->mark, host->pid, slot, name);
	host->slots[slot] = cgroup_make(host->cgroup_base, name);
	if (host->slots[slot] < 0)
		return -TAKE(host->slots[slot], -1);
	host->slots_spent[slot] = false;
	return 0;
}

static uint32_t slot_take(struct host *host)
{
	if (host->cgroup_base < 0 || host->cgroup_refused)
		return RECORD_NO_SLOT;
	for (uint32_t slot = 0; slot < HOST_SLOTS; slot++) {
		int failure;

		if (host->slots_used[slot])
			continue;
		failure = slot_open(host, slot);
		if (!failure) {
			host->slots_used[slot] = true;
			return slot;
		}
		/* A killed one is busy for a moment: another one will do. */
		if (failure != EBUSY || !host->slots_spent[slot]) {
			host->cgroup_refused = true;
			break;
		}
	}
	return RECORD_NO_SLOT;
}

/* One that was killed goes; if it is busy for a moment yet, when the slot is taken again. */
static void slot_release(struct host *host, uint32_t slot)
{
	char name[RECORD_SLOT_NAME_BYTES];

	if (slot == RECORD_NO_SLOT)
		return;
	host->slots_used[slot] = false;
	if (!host->slots_spent[slot])
		return;
	fd_close(&host->slots[slot]);
	record_slot_name(host->mark, host->pid, slot, name);
	(void)cgroup_remove(host->cgroup_base, name);
}

/* --- spawning --- */

/* Put a pipe between the command and its log; *ret_to_fd is the command's end. 0 or errno. */
static int pump_open(struct host *host, uint32_t attempt, int stream,
		     const struct exec_start *start, int *ret_to_fd)
{
	struct child *child = child_of(host, attempt);
	struct pump *pump = mem_new(1, sizeof(*pump));
	struct err err = ERR_INIT;
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = (uint64_t)attempt << 8 | READY_PUMP};
	int fds[2];

	if (!pump)
		return ENOMEM;
	*pump =
	    (struct pump){.from_fd = -1, .log_fd = -1, .limit_bytes = start->output_limit_bytes};
	child->pumps[stream] = pump;
	if (mask_new(start->masks, start->masks_count, &pump->mask, &err) != ERR_OK)
		return ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	pump->from_fd = fds[0];
	pump->log_fd = TAKE(child->log_fds[stream], -1);
	*ret_to_fd = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, fds[0], &event) < 0)
		return errno;
	return 0;
}

/* The engine's environment and the variable that marks the tree (S8.3). */
static char **environ_make(const struct exec_start *start, char *token)
{
	size_t count = 0;
	size_t kept = 0;
	char **envp;

	while (start->envp[count])
		count++;
	envp = mem_new(count + 2, sizeof(*envp));
	if (!envp)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(start->envp[i], TOKEN_VARIABLE "=", sizeof(TOKEN_VARIABLE)) != 0)
			envp[kept++] = start->envp[i];
	}
	envp[kept] = token;
	return envp;
}

/* Commands are the first to go when memory is short, we the last (S8.6). The score is inherited, so
 * ours is raised for the moment of the spawn: the child would have to open a file of its own in
 * /proc, which makes each command 40 us dearer. */
static void oom_set(const struct host *host, const char *text)
{
	/* A hint to the kernel: going back to a value that we had is always allowed. */
	if (host->oom_fd >= 0)
		(void)!pwrite(host->oom_fd, text, strlen(text), 0);
}

/* What a command gets beside its words: descriptors, limits, its user. */
struct outfit {
	int fds[SPAWN_FDS_MAX]; /* 0: its input, 1 and 2: its output, then its hands */
	size_t fds_count;
	bool is_plain; /* it reads from /dev/null, and has no hands */
	struct spawn_limit limits[HOST_LIMITS + RESOURCE_KINDS];
	size_t limits_count;
	struct spawn_user user;
};

static const int rlimits[] = {
#define RESOURCE(name, rlimit, value, unit, what) [value] = RLIMIT_##rlimit,
#include "core/resource.def"
};

/* What we changed for ourselves is put back first. */
static void limits_make(const struct host *host, const struct exec_start *start,
			struct outfit *outfit)
{
	static const int ours[] = {
	    [HOST_NOFILE] = RLIMIT_NOFILE, [HOST_FSIZE] = RLIMIT_FSIZE, [HOST_CORE] = RLIMIT_CORE};

	for (int i = 0; i < HOST_LIMITS; i++) {
		if (host->is_changed[i])
			outfit->limits[outfit->limits_count++] =
			    (struct spawn_limit){ours[i], host->limits[i]};
	}
	for (size_t i = 0; i < start->limits_count; i++) {
		struct spawn_limit limit = {rlimits[start->limits[i].kind],
					    {start->limits[i].value, start->limits[i].value}};
		struct rlimit now;

		/* At the soft limit of processor time a command is told, at the hard one killed. */
		if (limit.resource == RLIMIT_CPU && getrlimit(RLIMIT_CPU, &now) == 0 &&
		    now.rlim_max > limit.limit.rlim_cur)
			limit.limit.rlim_max++;
		outfit->limits[outfit->limits_count++] = limit;
	}
}

/* The text that it reads, in memory. 0 or errno. */
static int text_open(struct str text, int *ret_fd)
{
	size_t done = 0;
	int fd = memfd_create("stdin", MFD_CLOEXEC);

	if (fd < 0)
		return errno;
	while (done < text.len) {
		ssize_t written = pwrite(fd, text.ptr + done, text.len - done, (off_t)done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			int failure = errno;

			(void)close(fd);
			return failure;
		}
		done += (size_t)written;
	}
	*ret_fd = fd;
	return 0;
}

/* Give a file or directory of the run to its user, and open it for it. 0 or errno. */
static int hand_open(const char *path, const struct exec_user *user, int *ret_fd)
{
	struct stat stat;
	int failure = 0;
	int fd = openat(HOST_FD_DIR, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	if (fstat(fd, &stat) < 0)
		failure = errno;
	else if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
		failure = EINVAL;
	else if (fchown(fd, user->uid, user->gid) < 0)
		failure = errno;
	if (failure)
		(void)close(fd);
	else
		*ret_fd = fd;
	return failure;
}

static void outfit_close(struct outfit *outfit)
{
	if (outfit->fds[0] != STDIN_FILENO)
		fd_close(&outfit->fds[0]);
	for (size_t i = 1 + STREAMS; i < outfit->fds_count; i++)
		fd_close(&outfit->fds[i]);
}

static int outfit_make(const struct host *host, const struct exec_start *start,
		       struct outfit *outfit)
{
	int failure = 0;

	_Static_assert(1 + STREAMS + EXEC_HANDS_MAX <= SPAWN_FDS_MAX, "all its descriptors");
	*outfit = (struct outfit){.fds = {STDIN_FILENO, -1, -1}, .fds_count = 1 + STREAMS};
	limits_make(host, start, outfit);
	if (start->user)
		outfit->user = (struct spawn_user){start->user->uid, start->user->gid,
						   start->user->groups, start->user->groups_count};
	if (start->stdin_text.ptr)
		failure = text_open(start->stdin_text, &outfit->fds[0]);
	for (size_t i = 0; !failure && i < start->hands_count; i++) {
		failure = hand_open(start->hands[i], start->user, &outfit->fds[outfit->fds_count]);
		outfit->fds_count += !failure;
	}
	outfit->is_plain = outfit->fds[0] == STDIN_FILENO && start->hands_count == 0;
	if (failure)
		outfit_close(outfit);
	return failure;
}

/* A plain command inherits our 0, 1 and 2: 1 and 2 are its log for that moment. */
static int spawn_into(struct host *host, const struct exec_start *start, char **envp, uint32_t slot,
		      const struct outfit *outfit, int32_t *ret_pid)
{
	struct spawn_plan plan = {
	    .argv = start->argv,
	    .envp = envp,
	    .cwd = start->cwd,
	    .fds = outfit->is_plain ? NULL : outfit->fds,
	    .fds_count = outfit->is_plain ? 0 : outfit->fds_count,
	    .cgroup_fd = slot == RECORD_NO_SLOT ? -1 : host->slots[slot],
	    .dies_with_caller = true,
	    .limits = outfit->limits,
	    .limits_count = outfit->limits_count,
	    .user = start->user ? &outfit->user : NULL,
	    .stdin_path = start->stdin_path,
	};
	int failure;

	if (dup2(outfit->fds[1], STDOUT_FILENO) < 0 || dup2(outfit->fds[2], STDERR_FILENO) < 0)
		return errno;
	oom_set(host, OOM_ADJUST);
	host->has_spawned = true;
	failure = spawn_start(&plan, ret_pid);
	oom_set(host, host->oom_text);
	(void)dup2(STDIN_FILENO, STDOUT_FILENO); /* /dev/null again: cannot fail, nothing is made */
	(void)dup2(STDIN_FILENO, STDERR_FILENO);
	return failure;
}

static int spawn_in_slot(struct host *host, uint32_t attempt, char **envp,
			 const struct outfit *outfit, int32_t *ret_pid)
{
	const struct exec_start *start = &host->frame->start;
	struct child *child = child_of(host, attempt);
	int failure;

	child->slot = slot_take(host);
	failure = spawn_into(host, start, envp, child->slot, outfit, ret_pid);
	if (!failure || child->slot == RECORD_NO_SLOT)
		return failure;
	/* The group may be what was refused. Nothing was executed. */
	slot_release(host, TAKE(child->slot, RECORD_NO_SLOT));
	return spawn_into(host, start, envp, RECORD_NO_SLOT, outfit, ret_pid);
}

static int spawn_one(struct host *host, uint32_t attempt, int32_t *ret_pid)
{
	const struct exec_start *start = &host->frame->start;
	struct child *child = child_of(host, attempt);
	struct exec_token token = machine_token(host->machine, attempt);
	char variable[sizeof(TOKEN_VARIABLE) + TOKEN_TEXT_BYTES] = TOKEN_VARIABLE "=";
	AUTO(mem_drop) char **envp = NULL;
	int to_fds[STREAMS] = {-1, -1};
	struct outfit outfit;
	int failure;

	token_text(host->mark, &token, variable + sizeof(TOKEN_VARIABLE));
	envp = environ_make(start, variable);
	if (!envp)
		return ENOMEM;
	failure = outfit_make(host, start, &outfit);
	if (failure)
		return failure;
	for (int i = 0; !failure && start->masks_count && i < STREAMS && child->logs[i]; i++)
		failure = pump_open(host, attempt, i, start, &to_fds[i]);
	for (int i = 0; i < STREAMS; i++) {
		int stream = child->logs[i] ? i : 0;

		outfit.fds[1 + i] = to_fds[stream] < 0 ? child->log_fds[stream] : to_fds[stream];
	}
	if (!failure)
		failure = spawn_in_slot(host, attempt, envp, &outfit, ret_pid);
	outfit_close(&outfit);
	for (int i = 0; i < STREAMS; i++) {
		fd_close(&to_fds[i]);
		fd_close(&child->log_fds[i]);
	}
	return failure;
}

void child_spawn(struct host *host, uint32_t attempt)
{
	struct machine_input input = {.kind = MACHINE_IN_SPAWNED, .attempt = attempt};

	child_of(host, attempt)->oom_kills = cgroup_oom_kills(host->oom_kills_fd);
	input.errno_value = spawn_one(host, attempt, &input.pid);
	input.now_ns = host_now();
	if (!input.errno_value) {
		child_of(host, attempt)->pid = input.pid;
		pid_set(input.pid, attempt + 1);
	}
	host_input(host, &input);
}

void child_forget(struct host *host, uint32_t attempt)
{
	struct child *child;

	if (attempt >= host->children_capacity || !host->children[attempt])
		return; /* it was refused before there was anything */
	child = TAKE(host->children[attempt], NULL);
	/* not reached: another attempt's, as numbers come round no sooner than all were used */
	if (child->pid && child_by_pid(child->pid) == attempt + 1)
		pid_set(child->pid, 0);
	if (!child->keeps_slot)
		slot_release(host, child->slot);
	child_free(child);
}

/* --- output --- */

static void pump_write(struct pump *pump)
{
	size_t len = pump->out.len;
	size_t done = 0;

	if (pump->limit_bytes && pump->written_bytes + len > pump->limit_bytes + PUMP_BYTES)
		len = 0; /* the next look ends the command */
	while (done < len) {
		ssize_t written = write(pump->log_fd, pump->out.ptr + done, len - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			/* As if the command wrote to a full disk itself: it gets EPIPE. */
			fd_close(&pump->from_fd);
			break;
		}
		done += (size_t)written;
	}
	pump->written_bytes += done;
	buf_clear(&pump->out);
}

/* Everything that is there now; the last time with what was held back. */
static void pump_drain(struct pump *pump, bool is_last)
{
	NOT_CLEARED char bytes[PUMP_BYTES];

	while (pump->from_fd >= 0) {
		ssize_t got = read(pump->from_fd, bytes, sizeof(bytes));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break; /* EAGAIN */
		if (got == 0) {
			fd_close(&pump->from_fd);
			break;
		}
		mask_feed(pump->mask, str_from(bytes, (size_t)got), &pump->out);
		pump_write(pump);
		if (!is_last)
			return; /* others have a turn too */
	}
	if (!is_last)
		return;
	mask_end(pump->mask, &pump->out);
	pump_write(pump);
	fd_close(&pump->from_fd);
}

void child_pump(struct host *host, uint32_t attempt)
{
	struct child *child = attempt < host->children_capacity ? host->children[attempt] : NULL;

	for (int i = 0; child && i < STREAMS; i++) {
		if (child->pumps[i])
			pump_drain(child->pumps[i], false);
	}
}

void child_look(struct host *host, uint32_t attempt)
{
	const struct child *child = child_of(host, attempt);
	uint64_t bytes = 0;
	struct stat stat;

	for (int i = 0; i < STREAMS && child->logs[i]; i++) {
		/* Removed by hand: nothing grows that anybody can see. */
		if (fstatat(host->logs_fd, child->logs[i], &stat, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)stat.st_size;
	}
	host_input(host, &(struct machine_input){.kind = MACHINE_IN_SIZE,
						 .now_ns = host_now(),
						 .attempt = attempt,
						 .size_bytes = bytes});
}

/* --- ends --- */

/* The tree is gone: what is in the pipes is all that comes. */
static void pumps_end(struct child *child)
{
	for (int i = 0; i < STREAMS; i++) {
		if (child->pumps[i])
			pump_drain(child->pumps[i], true);
	}
}

static void tree_input(struct host *host, uint32_t attempt, bool is_left)
{
	if (!is_left)
		pumps_end(child_of(host, attempt));
	host_input(host, &(struct machine_input){.kind = MACHINE_IN_TREE,
						 .now_ns = host_now(),
						 .attempt = attempt,
						 .is_left = is_left});
}

static bool is_sweeping(enum keeper_state state)
{
	/* not reached: STUCK_REST, as that is a minute after a KILL that ends nothing */
	return state == KEEPER_SWEEPING || state == KEEPER_CLEARING || state == KEEPER_STUCK_REST;
}

void child_tree(struct host *host, uint32_t attempt)
{
	/* not reached: another state, as nothing but this answer ends a sweep */
	if (is_sweeping(machine_state(host->machine, attempt)))
		tree_input(host, attempt, tree_is_left(host, attempt));
}

/* Somebody ended: is that the last one of a tree that is being swept? */
static void sweeps_look(struct host *host)
{
	for (size_t i = machine_live(host->machine); i-- > 0;) {
		uint32_t attempt;

		if (i >= machine_live(host->machine))
			continue; /* not reached: one answer ends one attempt */
		attempt = machine_live_at(host->machine, i);
		if (is_sweeping(machine_state(host->machine, attempt)) &&
		    !tree_is_left(host, attempt))
			tree_input(host, attempt, false);
	}
}

struct ended {
	uint32_t attempt;
	int status;
	struct rusage usage;
};

#define ENDED_BATCH 256

static int64_t micros(const struct timeval *time)
{
	return time->tv_sec * INT64_C(1000000) + time->tv_usec;
}

/* Killed, or, as shells say it, what it ran was; and the kernel has killed for want of memory since
 * it was started. */
static bool is_oom(const struct host *host, const struct child *child, int status)
{
	bool is_killed = WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
					     : WEXITSTATUS(status) == 128 + SIGKILL;

	return is_killed && cgroup_oom_kills(host->oom_kills_fd) > child->oom_kills;
}

static void ended_input(struct host *host, const struct ended *ended, bool has_children)
{
	struct child *child = child_of(host, ended->attempt);
	bool is_left = has_children && tree_is_left(host, ended->attempt);
	struct machine_input input = {
	    .kind = MACHINE_IN_EXITED,
	    .now_ns = host_now(),
	    .attempt = ended->attempt,
	    .end = WIFSIGNALED(ended->status) ? EXEC_END_SIGNALLED : EXEC_END_EXITED,
	    .exit_code = WIFEXITED(ended->status) ? WEXITSTATUS(ended->status) : 0,
	    .signal = WIFSIGNALED(ended->status) ? WTERMSIG(ended->status) : 0,
	    .core = WIFSIGNALED(ended->status) && WCOREDUMP(ended->status),
	    .is_oom = is_oom(host, child, ended->status),
	    .is_left = is_left,
	    .user_us = micros(&ended->usage.ru_utime),
	    .system_us = micros(&ended->usage.ru_stime),
	    .resident_kib = (uint32_t)ended->usage.ru_maxrss,
	};

	/* Let alone, unless we were ending them. */
	if (is_left && child->allows_orphans &&
	    machine_state(host->machine, ended->attempt) == KEEPER_RUNNING) {
		child->keeps_slot = true;
		host->has_orphans = true;
		input.is_left = false;
	}
	if (!input.is_left)
		pumps_end(child);
	host_input(host, &input);
}

void child_reap(struct host *host)
{
	NOT_CLEARED struct ended batch[ENDED_BATCH];
	bool has_children = true;
	bool has_strays = false;
	size_t count;

	do {
		count = 0;
		while (count < ENDED_BATCH) {
			struct ended *ended = &batch[count];
			pid_t pid = wait4(-1, &ended->status, WNOHANG, &ended->usage);

			if (pid < 0 && errno == EINTR)
				continue;
			if (pid <= 0) {
				/* ECHILD: not even an adopted process is left, so every tree
				 * is empty, and this is all that it costs to know. */
				has_children = pid == 0;
				break;
			}
			/* not reached: reaped already, as numbers come round no sooner than all
			 * were used */
			if (!child_by_pid(pid) ||
			    child_of(host, child_by_pid(pid) - 1)->is_reaped) {
				has_strays = true;
				continue;
			}
			ended->attempt = child_by_pid(pid) - 1;
			child_of(host, ended->attempt)->is_reaped = true;
			count++;
		}
		tree_stale(host); /* orphans of this batch are ours by now */
		for (size_t i = 0; i < count; i++)
			ended_input(host, &batch[i], has_children);
	} while (count == ENDED_BATCH);
	if (has_strays || !has_children)
		sweeps_look(host);
}

void child_init(struct host *host)
{
	ssize_t len = -1;

	host->pid = (int32_t)getpid();
	cgroup_own_open(&host->cgroup_base, &host->oom_kills_fd);
	host->oom_fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (host->oom_fd >= 0)
		len = pread(host->oom_fd, host->oom_text, sizeof(host->oom_text) - 1, 0);
	if (len > 0)
		host->oom_text[len] = '\0';
	/* Whoever is ranked higher already stays there. */
	if (len <= 0 || strtol(host->oom_text, NULL, 10) >= OOM_ADJUST_VALUE)
		fd_close(&host->oom_fd);
}

void child_fini(struct host *host)
{
	char name[RECORD_SLOT_NAME_BYTES];

	tree_end(host);
	if (host->cgroup_base >= 0)
		cgroup_clear(host->cgroup_base, RECORD_SLOT_PREFIX);
	for (uint32_t i = 0; i < HOST_SLOTS; i++) {
		if (host->slots[i] < 0 && !host->slots_spent[i])
			continue;
		fd_close(&host->slots[i]);
		record_slot_name(host->mark, host->pid, i, name);
		/* In use: whoever is in it was reported, and stays. */
		(void)cgroup_remove_soon(host->cgroup_base, name);
	}
}
