/* machine.h - the keeper's logic, pure: inputs in, outputs out, time comes with the input.
 *
 * The executable (main.c) and the simulator drive it alike: give it one input, then carry out all
 * its outputs in order, giving back what they say, until there are none; then the next input. Texts
 * of a START frame are borrowed until the outputs of that input are used up. Attempts are named by
 * their index, which never changes; the tables are in keeper.def. */
#ifndef KEEPER_MACHINE_H
#define KEEPER_MACHINE_H

#include "keeper/record.h"
#include "keeper/wire.h"

#define KEEPER_LOOK_NS     INT64_C(1000000000)  /* between two looks at the size of a log */
#define KEEPER_ORPHAN_NS   INT64_C(5000000000)  /* at most, for what a command left behind */
#define KEEPER_KILL_NS     INT64_C(100000000)   /* between two passes of KILL */
#define KEEPER_TREE_NS     INT64_C(1000000)     /* before a second look at a tree; then doubled */
#define KEEPER_PATIENCE_NS INT64_C(60000000000) /* after KILL, before a survivor is reported */
#define KEEPER_RETRY_NS    INT64_C(1000000000)  /* before an unwritten end is tried again */
#define KEEPER_GIVE_UP_NS  INT64_C(10000000000) /* of tries against our own file size limit */

enum keeper_state {
#define STATE(name, value, kind, what) KEEPER_##name = (value),
#define EVENT(name, what)
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
};

enum keeper_event {
#define STATE(name, value, kind, what)
#define EVENT(name, what) KEEPER_EVENT_##name,
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
	KEEPER_EVENTS,
};

#define KEEPER_STATES 15

/* Names as in keeper.def, static; "UNKNOWN" for what is not in it. */
const char *keeper_state_name(enum keeper_state state);
const char *keeper_event_name(enum keeper_event event);
/* Where `event` leads from `state`; false when the table refuses it. */
bool keeper_row_find(enum keeper_state state, enum keeper_event event, enum keeper_state *ret_to);

enum machine_input_kind {
	MACHINE_IN_RECORD,  /* record of an earlier keeper, before anything else */
	MACHINE_IN_OPENED,  /* conn */
	MACHINE_IN_FRAME,   /* conn, frame */
	MACHINE_IN_CLOSED,  /* conn: the peer is gone or broken */
	MACHINE_IN_ARMED,   /* attempt, errno_value 0; else neither log nor record: REFUSED */
	MACHINE_IN_SPAWNED, /* attempt, pid and errno_value 0; or errno_value */
	MACHINE_IN_EXITED,  /* attempt: the command was reaped; end ... resident_kib, is_left */
	MACHINE_IN_TREE,    /* attempt in SWEEPING or later: is_left */
	MACHINE_IN_SIZE,    /* attempt: size_bytes of its output */
	MACHINE_IN_WRITTEN, /* attempt: errno_value 0, or the end could not be written */
	MACHINE_IN_TICK,    /* machine_due has come */
	MACHINE_IN_GONE,    /* the run directory is no more */
};

struct machine_input {
	enum machine_input_kind kind;
	int64_t now_ns; /* boot time */
	uint32_t conn;
	uint32_t attempt;
	const struct wire_frame *frame;
	const struct record *record;
	int errno_value;
	int32_t pid;
	enum exec_end end; /* EXITED: EXITED or SIGNALLED */
	int exit_code;
	int signal;
	bool core;
	bool is_oom;  /* the kernel killed it, or what it waited for, for want of memory */
	bool is_left; /* some of its tree lives */
	int64_t user_us;
	int64_t system_us;
	uint32_t resident_kib;
	uint64_t size_bytes;
};

enum machine_output_kind {
	MACHINE_OUT_ARM,    /* attempt: make the log file, write the armed record; -> ARMED */
	MACHINE_OUT_SPAWN,  /* attempt: execute; -> SPAWNED */
	MACHINE_OUT_NOTE,   /* attempt: write the spawned record; nothing depends on it */
	MACHINE_OUT_SIGNAL, /* attempt, signal: MACHINE_TERM or MACHINE_KILL for its tree */
	MACHINE_OUT_TREE,   /* attempt: look at its tree; -> TREE */
	MACHINE_OUT_LOOK,   /* attempt: look at its output; -> SIZE */
	MACHINE_OUT_RECORD, /* attempt: write the ended record; -> WRITTEN */
	MACHINE_OUT_FORGET, /* attempt: release what was kept for it */
	MACHINE_OUT_HELLO,  /* conn: HELLO_OK, machine_report of every attempt below machine_count,
			     * TABLE_END */
	MACHINE_OUT_NO,     /* conn: HELLO_NO with machine_epoch */
	MACHINE_OUT_REPORT, /* conn, report; soon, or at leisure when is_lazy */
	MACHINE_OUT_CLOSE,  /* conn: close it and discard what is unread */
};

enum machine_signal { MACHINE_TERM, MACHINE_KILL }; /* TERM is followed by CONT */

struct machine_output {
	enum machine_output_kind kind;
	uint32_t conn;
	uint32_t attempt;
	enum machine_signal signal;
	bool is_lazy;
	uint32_t version;          /* HELLO: the engine's; NO: the engine's, else ours */
	struct exec_report report; /* path valid until the machine is freed */
};

struct machine;

/* Without attempts; free it with machine_free, which accepts NULL. MEMORY. */
MUST_CHECK enum err_code machine_new(struct machine **ret_machine, struct err *err);
void machine_free(struct machine *machine);

/* Take one input. MEMORY: the input had no effect (a START is answered REFUSED instead). CONFLICT:
 * the driver broke the order; the table has no such row. */
MUST_CHECK enum err_code machine_take(struct machine *machine, const struct machine_input *input,
				      struct err *err);

/* The next thing to do, false when there is none. */
bool machine_next(struct machine *machine, struct machine_output *ret_output);

/* When the next TICK is due, INT64_MAX if none is. May be earlier than needed, never later. */
int64_t machine_due(const struct machine *machine);

/* No engine is connected, nothing lives, every end is written. */
bool machine_is_idle(const struct machine *machine);

/* The highest epoch of an engine so far (0 = none); how many attempts there are; how many live, and
 * which. */
uint64_t machine_epoch(const struct machine *machine);
uint32_t machine_count(const struct machine *machine);
size_t machine_live(const struct machine *machine);                /* attempts in a LIVE state */
uint32_t machine_live_at(const struct machine *machine, size_t i); /* order may change */
enum keeper_state machine_state(const struct machine *machine, uint32_t attempt);
/* Index of a token, UINT32_MAX if it is not known. */
uint32_t machine_find(const struct machine *machine, const struct exec_token *token);
struct exec_token machine_token(const struct machine *machine, uint32_t attempt);

/* The record of this kind for an attempt, as known now (pid, slot, boot and keeper_pid are the
 * driver's).
 */
struct record machine_record(const struct machine *machine, uint32_t attempt,
			     enum record_kind kind);

/* What is known of an attempt; false when that is nothing (state NONE). */
bool machine_report(const struct machine *machine, uint32_t attempt,
		    struct exec_report *ret_report);

#endif
