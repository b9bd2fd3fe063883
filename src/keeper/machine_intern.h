/* machine_intern.h - what the files of the machine, machine*.c, share; nobody else includes it. */
#ifndef KEEPER_MACHINE_INTERN_H
#define KEEPER_MACHINE_INTERN_H

#include "keeper/machine.h"
#include "keeper/token_table.h"

/* What a row of keeper.def has done: effect_run in machine_act.c. */
enum effect {
	DO_NONE,
	DO_ARM,
	DO_SPAWN,
	DO_REFUSE,
	DO_BEGIN,
	DO_TERM,
	DO_KILL,
	DO_SWEEP,
	DO_FINISH,
	DO_RECORD,
	DO_LEFTOVER,
	DO_RETRY,
	DO_FORGET,
};

struct row {
	enum keeper_state from;
	enum keeper_event event;
	enum keeper_state to;
	enum effect effect;
};

/* What only an attempt that is not over needs. */
struct live {
	int64_t deadline_ns;   /* absolute, 0 = none */
	int64_t due_ns;        /* the next TIMER, 0 = none */
	int64_t tree_ns;       /* the next look at what is left of the tree, 0 = none */
	int64_t tree_every_ns; /* between two looks */
	int64_t grace_ns;
	int64_t silence_ns; /* 0 = none */
	int64_t changed_ns; /* when its output was last seen to grow */
	int64_t spawned_ns;
	int64_t asked_ns;     /* before the spawn */
	int64_t killed_ns;    /* first KILL, 0 = none */
	int64_t unwritten_ns; /* when its end could not be written first, 0 = it was not tried */
	int64_t user_us;
	int64_t system_us;
	uint64_t size_bytes;
	uint64_t output_limit_bytes;
	size_t place; /* in machine->lives */
	uint32_t resident_kib;
};

/* One attempt, for as long as the keeper lives. */
struct attempt {
	char *path;        /* owned; also borrowed by the token table */
	struct live *live; /* owned, NULL when it is over */
	int64_t duration_ns;
	uint32_t number;
	int32_t pid;
	int exit_code;
	int signal;
	int errno_value;
	uint8_t path_len;
	uint8_t role;
	uint8_t state;
	uint8_t cause;
	uint8_t end;
	bool core;
	bool is_reported; /* its terminal report was given */
};

#define CONNS_MAX 64

/* A connection, of an engine or of somebody who has not said yet. */
struct conn {
	uint32_t id;
	bool is_engine; /* said HELLO, and nobody newer did */
};

/* See machine.h. */
struct machine {
	struct attempt *attempts;
	size_t count;
	size_t capacity;
	struct token_table table;
	uint32_t *lives;
	size_t lives_count;
	size_t lives_capacity;
	struct machine_output *outputs;
	size_t outputs_count;
	size_t outputs_taken;
	size_t outputs_capacity;
	struct conn conns[CONNS_MAX];
	size_t conns_count;
	uint64_t epoch;
	int64_t due_ns;
	int64_t look_ns; /* the next look at all outputs, 0 = none */
	int64_t look_every_ns;
	bool is_gone; /* the run directory */
};

/* machine_table.c: the row for a state and an event; NULL = refused. */
const struct row *machine_row(enum keeper_state state, enum keeper_event event);

/* machine_view.c: an attempt by its index, which is below machine_count. */
struct attempt *machine_at(const struct machine *machine, uint32_t index);

/* machine_view.c: its token; the path is borrowed from the attempt. */
struct exec_token attempt_token(const struct attempt *attempt);

/* machine_act.c: room for all outputs of one input: at most three a live attempt, a close for each
 * connection and a few more. Made before anything changes, so that no output can fail. MEMORY. */
MUST_CHECK enum err_code machine_reserve(struct machine *machine, struct err *err);

/* machine_act.c: one more output, borrowed until the next input; its room was reserved. */
struct machine_output *machine_put(struct machine *machine, enum machine_output_kind kind,
				   uint32_t attempt);

/* machine_act.c: the same for an output about a connection. */
void machine_put_conn(struct machine *machine, enum machine_output_kind kind, uint32_t conn);

/* machine_act.c: a tick is due then at the latest; 0 = none is. */
void machine_due_by(struct machine *machine, int64_t due_ns);

/* machine_act.c: a point in time after another; far spans are cut, a sum never overflows. */
int64_t machine_after(int64_t now_ns, int64_t span_ns);

/* machine_act.c: to the engine that is connected, if there is one. */
void machine_tell(struct machine *machine, const struct exec_report *report, bool is_lazy);

/* machine_act.c: tell it what is known of an attempt. */
void machine_tell_state(struct machine *machine, uint32_t index);

/* machine_act.c: move an attempt by its row, and do what the row says. CONFLICT without a row. */
MUST_CHECK enum err_code machine_step(struct machine *machine, uint32_t index,
				      enum keeper_event event, const struct machine_input *input,
				      struct err *err);

/* machine_act.c: the same for an end that we make, for a reason: the first one counts. */
MUST_CHECK enum err_code machine_end_for(struct machine *machine, uint32_t index,
					 enum exec_cause cause, enum keeper_event event,
					 const struct machine_input *input, struct err *err);

#endif
