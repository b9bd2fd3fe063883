/* sim_world.h - everything outside of an engine: disk, clocks, the keeper, commands, connections.
 *
 * One world holds one run; a second run may follow in a world of its own with the same disk. The
 * engine that is under test is driven by sim_run.c; the world goes on
 * by itself whenever time is let pass, also inside a call of the engine that waits for its
 * keeper. */
#ifndef SIM_SIM_WORLD_H
#define SIM_SIM_WORLD_H

#include "keeper/client.h"
#include "keeper/machine.h"
#include "sim/sim_check.h"
#include "sim/sim_clock.h"
#include "sim/sim_disk.h"
#include "sim/sim_plan.h"

#define SIM_CHILDREN_MAX 64
#define SIM_CONNS_MAX    12
#define SIM_HOME         "/sim"

/* A virtual command: its main process, and what else it made. */
struct sim_child {
	bool is_used;
	uint32_t step, number; /* its attempt */
	bool is_undo;          /* it is one to undo the step */
	uint32_t attempt;      /* the index in its keeper's machine */
	uint32_t keeper;       /* which keeper made it */
	int32_t pid;
	struct sim_act act;
	int64_t spawned_ns;
	int64_t ends_ns; /* the main process */
	bool is_main_alive;
	bool is_reaped;
	bool is_ended_early; /* by a signal of somebody: no result file */
	enum exec_end end;
	int exit_code;
	int signal;
	bool is_tree_alive;
	int64_t tree_ends_ns;  /* INT64_MAX: not before the main process ended */
	int64_t kill_works_ns; /* KILL takes effect from then on */
	bool is_killed;        /* was sent KILL */
};

/* Bytes on the way between two processes. */
struct sim_pipe {
	struct buf bytes;
	size_t taken;
	int64_t ready_ns; /* when the rest can be read */
	bool is_ended;    /* by who writes */
};

struct sim_conn {
	bool is_used;
	uint32_t id;
	struct sim_pipe to_keeper;
	struct sim_pipe to_engine;
	bool is_accepted;
	bool is_refused;     /* a keeper died with it in its backlog, or closed it */
	bool has_engine_end; /* the engine holds its end */
	struct buf in;       /* the keeper's */
	struct buf out;
	bool is_urgent;
	bool is_closing;
};

enum sim_keeper_state { SIM_KEEPER_NONE, SIM_KEEPER_STARTING, SIM_KEEPER_RUNS, SIM_KEEPER_ENDING };

struct sim_keeper {
	enum sim_keeper_state state;
	uint32_t generation;
	struct sim_proc proc;
	struct machine *machine;
	int lock_fd, log_fd, dir_fd;
	uint64_t records;
	int64_t next_ns; /* STARTING: when it is up; ENDING: when it is gone */
	int64_t lazy_ns; /* when lazy reports go out, INT64_MAX = none */
	bool was_asked;  /* the backlog was looked at since it is idle */
	bool is_draining;
	const struct wire_frame *frame; /* the START being taken */
};

struct sim_world {
	const char *run_id;
	char run_path[32];
	const struct sim_plan *plan;
	struct sim_rand rand; /* delays, cuts of streams, accidents */
	struct sim_clock clock;
	struct sim_disk *disk;
	struct sim_check *check;
	struct sim_proc engine; /* the process that owns the run, or did last */
	struct sim_keeper keeper;
	struct sim_child children[SIM_CHILDREN_MAX];
	struct sim_conn conns[SIM_CONNS_MAX];
	uint32_t conn_last_id;
	int32_t pid_last;
	bool is_rough;          /* delays, partial frames, broken connections */
	uint32_t keeper_deaths; /* how many keepers may still be killed */
	uint32_t duplicates;    /* START frames that may still come twice */
	uint32_t breaks;        /* connections that may still break */
	bool is_traced;
	uint64_t steps; /* events carried out */
	uint64_t keeper_kills;
};

/* A line with the virtual time on stdout, when the scenario is traced. */
void sim_trace(const struct sim_world *world, const char *format, ...) PRINTF_LIKE(2, 3);

/* When something happens by itself next, INT64_MAX = never. */
int64_t sim_world_due(const struct sim_world *world);
/* Carry out everything that is due at this moment. */
void sim_world_run(struct sim_world *world);

/* sim_child.c: processes */
struct sim_child *sim_child_new(struct sim_world *world, uint32_t step, uint32_t number,
				bool is_undo);
int64_t sim_children_due(const struct sim_world *world);
/* Those whose time has come end; results are written. */
void sim_children_run(struct sim_world *world);
void sim_child_term(struct sim_world *world, struct sim_child *child);
void sim_child_kill(struct sim_world *world, struct sim_child *child);
/* Their keeper was killed: PDEATHSIG. */
void sim_children_orphan(struct sim_world *world, uint32_t keeper);
/* Loss of power. */
void sim_children_vanish(struct sim_world *world);
bool sim_child_lives(const struct sim_child *child);
/* Something of an attempt of the step lives; with STEP_NONE, of any step. */
bool sim_step_lives(const struct sim_world *world, uint32_t step);

/* sim_keeper.c: the keeper's process */
int64_t sim_keeper_due(const struct sim_world *world);
void sim_keeper_run(struct sim_world *world);
void sim_keeper_kill(struct sim_world *world);
/* An engine of before, that was frozen and comes to life: says HELLO with an old epoch and starts
 * what `token` names. */
void sim_keeper_haunt(struct sim_world *world, uint64_t epoch, const struct exec_token *token);

/* sim_conn.c: connections */
/* NULL when there are too many. */
struct sim_conn *sim_conn_new(struct sim_world *world);
void sim_pipe_put(struct sim_world *world, struct sim_pipe *pipe, const void *bytes, size_t len);
/* 0 = nothing is ready, -1 = the end. */
ssize_t sim_pipe_take(struct sim_world *world, struct sim_pipe *pipe, void *bytes, size_t len);
bool sim_pipe_is_ready(const struct sim_world *world, const struct sim_pipe *pipe);
/* When it becomes readable, INT64_MAX = not by itself. */
int64_t sim_pipe_due(const struct sim_world *world, const struct sim_pipe *pipe);
void sim_conn_close_engine(struct sim_world *world, struct sim_conn *conn);
void sim_conn_close_keeper(struct sim_world *world, struct sim_conn *conn);

/* sim_link.c: the engine's way to the keeper */
struct sim_link;
MUST_CHECK enum err_code sim_link_open(struct sim_world *world, struct sim_proc *proc, int run_dir,
				       struct sim_link **ret_link,
				       struct keeper_link *ret_keeper_link, struct err *err);
/* Has the engine something to pump? */
bool sim_link_is_ready(const struct sim_link *link);
/* When it will have, INT64_MAX = not by itself. */
int64_t sim_link_due(const struct sim_link *link);
/* The connection breaks: what is unread is gone. */
void sim_link_break(struct sim_link *link);

#endif
