/* host.h - the keeper's outside: what the executable's files share. Not for anybody else. */
#ifndef KEEPER_HOST_H
#define KEEPER_HOST_H

#include "keeper/machine.h"
#include "keeper/mask.h"

#include <sys/resource.h>

/* Descriptors that the engine hands over by exec, above stdio on /dev/null. */
enum host_fd {
	HOST_FD_LOCK = 3,     /* keeper.lock, exclusively locked */
	HOST_FD_LISTENER = 4, /* the bound, listening socket */
	HOST_FD_DIR = 5,      /* the run directory */
	HOST_FD_LOG = 6,      /* attempts.log, read and write */
	HOST_FDS = 7,
};

#define HOST_PIDS  ((size_t)1 << 22) /* PID_MAX_LIMIT of 64-bit Linux */
#define HOST_SLOTS 64                /* cgroups at most; more commands at once do without */

/* A child of ours that is no command: its parent ended. */
struct stray {
	int32_t pid;
	uint32_t owner; /* attempt, UINT32_MAX = cannot be told */
};

/* A secret-masking pump: the command's output passes through us. */
struct pump {
	int from_fd; /* our end of the pipe */
	int log_fd;
	struct mask *mask;
	struct buf out;
	uint64_t written_bytes;
	uint64_t limit_bytes; /* further bytes are dropped: the command is about to be killed */
};

#define STREAMS 2 /* stdout and stderr */

/* What is kept for an attempt that is not over. */
struct child {
	char *logs[STREAMS];  /* file names below logs/; the second is NULL unless they are split */
	int log_fds[STREAMS]; /* between ARM and SPAWN, else -1 */
	int32_t pid;
	bool is_reaped;
	uint64_t oom_kills;     /* counted when it was started */
	unsigned unclear_looks; /* at processes that might be of its tree */
	bool is_told;           /* `told` has to reach the rest of its tree */
	enum machine_signal told;
	uint32_t slot;               /* cgroup, RECORD_NO_SLOT = none */
	struct pump *pumps[STREAMS]; /* NULL: straight to the file */
	bool allows_orphans;
	bool keeps_slot; /* orphans live in it: it is nobody else's any more */
};

struct conn {
	uint32_t id;
	int fd;
	struct buf in;
	struct buf out;
	size_t out_sent;
	bool is_urgent; /* `out` waits for nothing */
	bool is_polled_out;
	bool is_closing; /* after what it still has to be told */
};

#define HOST_CONNS 16

/* Soft limits that we change for ourselves, and put back for commands: many of those, a record that
 * always finds room, no core file. */
enum host_limit { HOST_NOFILE, HOST_FSIZE, HOST_CORE, HOST_LIMITS };

struct host {
	struct machine *machine;
	struct str mark; /* of the run directory: the first part of every token */
	const char *socket_path;
	int epoll_fd;
	int signal_fd;
	int logs_fd;    /* logs/, -1 until first needed */
	int results_fd; /* out/, -1 while there is none */
	int32_t pid;
	int oom_kills_fd;                  /* cgroup_oom_open */
	int oom_fd;                        /* our oom_score_adj, -1: not to be had */
	char oom_text[16];                 /* its value as we got it */
	uint32_t boot;                     /* record_boot */
	uint64_t records;                  /* the number of the next one in attempts.log */
	struct rlimit limits[HOST_LIMITS]; /* as we got them, for the commands */
	bool is_changed[HOST_LIMITS];
	bool has_spawned;               /* or tried to: there may be processes below us */
	bool has_orphans;               /* some command left processes behind that may live on */
	const struct wire_frame *frame; /* the START being taken */
	struct child **children;        /* by attempt, NULL when it is over */
	size_t children_capacity;
	int cgroup_base;       /* -1: none to be had */
	bool cgroup_refused;   /* no further ones */
	int slots[HOST_SLOTS]; /* directory descriptors, -1: not made */
	bool slots_used[HOST_SLOTS];
	/* Its group was killed as a whole: there are kernels (seen: 6.18) on which what is born in
	 * it afterwards is killed too, so nothing is. */
	bool slots_spent[HOST_SLOTS];
	bool is_draining;     /* host_input is at work */
	bool is_telling;      /* some child is_told */
	struct stray *strays; /* adopted processes, as known */
	size_t strays_count;
	size_t strays_capacity;
	bool strays_known;
	struct conn conns[HOST_CONNS];
	size_t conns_count;
	uint32_t conn_last_id;
	int64_t lazy_ns; /* when lazy reports have to go out, INT64_MAX: none */
};

/* Boot time in ns: it goes on while the machine sleeps. */
int64_t host_now(void);
/* Give the machine an input and carry out what follows. */
void host_input(struct host *host, const struct machine_input *input);

/* Outputs about attempts; each answers the machine itself. */
void child_arm(struct host *host, uint32_t attempt);
void child_spawn(struct host *host, uint32_t attempt);
void child_note(struct host *host, uint32_t attempt);
void child_tree(struct host *host, uint32_t attempt);
void child_look(struct host *host, uint32_t attempt);
void child_record(struct host *host, uint32_t attempt);
void child_forget(struct host *host, uint32_t attempt);

/* SIGCHLD: reap everything that ended. */
void child_reap(struct host *host);
/* The pipe of an attempt has something. */
void child_pump(struct host *host, uint32_t attempt);
/* At the start. */
void child_init(struct host *host);
/* Before the end: kill what nobody could be blamed for, remove the groups. */
void child_fini(struct host *host);

/* What is kept for an attempt that is not over, borrowed. */
struct child *child_of(const struct host *host, uint32_t attempt);
/* Attempt + 1 of the command with this pid that is not over, else 0. */
uint32_t child_by_pid(int32_t pid);

/* tree.c: does something of the attempt live, beside the command itself? */
bool tree_is_left(struct host *host, uint32_t attempt);
void tree_stale(struct host *host); /* what is known of adopted processes is old */
void tree_signal(struct host *host, uint32_t attempt, enum machine_signal signal);
/* Signals that have to go to more than a process group, all in one pass over /proc. */
void tree_signals_run(struct host *host);
void tree_end(struct host *host);

/* 0 or errno. */
int record_append(struct host *host, const struct record *record);

/* epoll data: what is ready, and which one. */
enum host_ready { READY_SIGNAL, READY_LISTENER, READY_CONN, READY_PUMP };

#endif
