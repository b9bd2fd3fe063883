/* sim_check_intern.h - what the files of the oracle share; nobody else includes it. */
#ifndef SIM_SIM_CHECK_INTERN_H
#define SIM_SIM_CHECK_INTERN_H

#include "sim/sim_check.h"
#include "sim/sim_scan.h"

#define ATTEMPTS_MAX 512
#define END_BYTES    24   /* the end of a line, which no two lines share */
#define LOSSES_MAX   5    /* in a row, under on_lost: rerun (S8.4) */
#define SEQ_MAX      8192 /* events of a run whose overrides are told apart */
#define PEOPLE       4    /* anna, bert, cora, and whoever else */

/* What the durable lines say of one step. */
struct fact {
	char state;       /* P R W S F K C */
	char skip;        /* K: first letter of its reason */
	uint32_t attempt; /* the last one started */
	uint32_t started; /* how many were */
	bool is_running;
	bool is_gate_bad;      /* a gate that said no for good, and nobody waived it */
	bool is_gate_closed;   /* its last attempt did not pass, for whatever reason */
	bool is_override_open; /* waived for another definition, and its run.resumed is to come */
	bool is_judged;        /* quality.recorded came for the attempt that runs */
	uint32_t failures;     /* that used the budget of retries */
	bool is_passed;        /* gate.passed came for the attempt that runs */
	bool has_approved[PEOPLE];
	bool is_rejected;
	bool is_lost; /* the last end was a loss */
	uint32_t lost;
	uint32_t lost_in_row;
	uint8_t ended[ATTEMPTS_MAX];
	bool is_undo_wanted;    /* it failed under `compensate`, and may ask for a rollback */
	bool is_undo_due;       /* it must: nobody has to decide anything about it */
	uint32_t undos;         /* compensation.started */
	uint32_t undo_failures; /* in this rollback */
	uint32_t successes;
	uint64_t outputs; /* a hash of those of its last success */
	uint64_t figures; /* of the quality of the attempt that runs */
	uint64_t updates; /* and of its context updates; 0 = it made none */
};

/* What the durable lines say of the run. */
struct facts {
	size_t bytes;        /* of the log, taken in */
	char end[END_BYTES]; /* the last of them */
	uint64_t seq;
	struct fact steps[SIM_STEPS_MAX];
	char state[24];                         /* of the run */
	char outcome[16];                       /* of the last run.completed */
	char first_end[2 * SIM_STEPS_MAX + 64]; /* how it came to rest the first time */
	char hash[17];   /* the beginning of the hash of the definition in force */
	bool is_changed; /* that is the second one */
	bool is_completed;
	bool is_stopping;
	bool is_failing;
	uint32_t stops;
	bool is_rolling_back; /* run.rollback_started, at some time */
	bool is_undo_over;    /* in this rollback a compensation failed for good */
	uint32_t undoing;     /* the step whose compensation runs, STEP_NONE */
	uint64_t taken;       /* successes of an earlier run that stand for a step */
};

/* What a command got. */
struct origin {
	uint32_t step, attempt;
	uint64_t definition;            /* the step's text and the parameter */
	uint64_t inputs[SIM_STEPS_MAX]; /* from each step above; 0 = cannot be told */
};

/* A line that an observer was told. */
struct ack {
	uint64_t seq;
	uint64_t hash;
};

/* HANDED_WELL: when the turn was over in which an engine did it, no failed gate stood above. */
enum handed { HANDED_NOT, HANDED_NOW, HANDED_WELL };

struct sim_check {
	const struct sim_plan *plan;
	const struct sim_disk *disk;
	char log_path[128];
	struct str run_id;
	struct facts facts;
	uint8_t executed[SIM_STEPS_MAX][ATTEMPTS_MAX];
	uint8_t undone[SIM_STEPS_MAX][ATTEMPTS_MAX]; /* compensations that were executed */
	uint8_t handed[SIM_STEPS_MAX][ATTEMPTS_MAX]; /* enum handed */
	bool is_handing;                             /* one of them is HANDED_NOW */
	uint64_t execs;
	uint64_t undos;
	struct ack *acks;
	size_t acks_count, acks_capacity;
	uint8_t
	    meant[SEQ_MAX]; /* by the number of an override: for which definition it was given */
	enum sim_meant meaning; /* of overrides that were not seen yet */
	struct origin *origins; /* of all that was executed */
	size_t origins_count, origins_capacity;
	struct buf log;                  /* sim_check_keep */
	const struct sim_check *earlier; /* NULL = there was no run before */
	bool is_vague; /* the log lost a tail: not all that was executed is known any more */
	bool has_failed;
	char failure[400];
};

/* sim_check.c: the number of a person, below PEOPLE, by the actor of an event. */
uint32_t sim_check_person(struct str actor);

/* sim_check.c: what the override with this number was given for. */
enum sim_meant sim_check_meant(struct sim_check *check, uint64_t seq);

/* sim_check_step.c: S5.6, a step behind a manual gate runs only when enough people approved it. */
void sim_check_approvals(struct sim_check *check, uint32_t step, uint32_t attempt);

/* sim_check_step.c: by its line, the step succeeded and can be undone. */
bool sim_check_is_to_undo(const struct sim_check *check, uint32_t step);

/* sim_check_step.c: take in a line about a step; a line of any other kind changes nothing. */
void sim_check_read_step(struct sim_check *check, uint32_t step, const struct sim_line *line);

/* sim_check_step.c: by what it did the attempt may have succeeded. */
bool sim_check_may_succeed(const struct sim_plan *plan, uint32_t step, uint32_t attempt);

/* sim_check_cache.c: a command is executed, with what it gets by the log. */
void sim_check_note_origin(struct sim_check *check, uint32_t step, uint32_t attempt);
/* What a success hands on. */
void sim_check_note_values(struct sim_check *check, uint32_t step, const struct sim_line *line);
/* A success that is another's: of equal definition and inputs, whole, and not undone. */
void sim_check_read_taken(struct sim_check *check, uint32_t step, const struct sim_line *line);

/* sim_check_run.c: take in the next line of the log. */
void sim_check_read(struct sim_check *check, const struct sim_line *line);

#endif
