/* sim_check.h - the oracle: what must hold whatever happens, told of every fact and knowing none of
 * the engine's code.
 *
 * It keeps a ledger of every virtual exec by token, every line that an observer was told, every
 * request that was answered OK; and it reads the log on the virtual disk with a scanner of its own.
 * The first rule that is broken is kept with its id; the rest of the scenario is worth nothing
 * then. */
#ifndef SIM_SIM_CHECK_H
#define SIM_SIM_CHECK_H

#include "sim/sim_clock.h"
#include "sim/sim_disk.h"
#include "sim/sim_plan.h"

/* What a person means an override for: the definition that the run has, or the second one. */
enum sim_meant { SIM_MEANT_UNKNOWN, SIM_MEANT_AS_IS, SIM_MEANT_CHANGED };

struct sim_check;

/* The oracle for one scenario; plan, disk and run_id are borrowed. */
struct sim_check *sim_check_new(const struct sim_plan *plan, const struct sim_disk *disk,
				const char *run_path, struct str run_id);
/* Accepts NULL. */
void sim_check_free(struct sim_check *check);

/* Break a rule: "S8.2", and what happened. Only the first is kept. */
void sim_check_fail(struct sim_check *check, const char *rule, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* "S8.2: text", NULL while all rules hold. */
const char *sim_check_failure(const struct sim_check *check);

/* sim_check_cache.c: this run is over for good; later ones may take what its log has by now. */
void sim_check_keep(struct sim_check *check);
/* The run may take from an earlier one, whose oracle lives as long and is borrowed. */
void sim_check_follow(struct sim_check *check, const struct sim_check *earlier);
/* How many successes were taken, by the log. */
uint64_t sim_check_taken(const struct sim_check *check);

/* An engine hands an attempt over to a keeper; and the turn in which it does so is over, and what
 * it has found out by then is in the log. */
void sim_check_hand_over(struct sim_check *check, uint32_t step, uint32_t attempt);
void sim_check_tick(struct sim_check *check);
/* A process is about to be made for an attempt: its intent must be durable, it must not have run
 * before, nothing of the step may be alive, no failed gate may stand above it (S1.2, S1.4, S8.2),
 * unless that failed while what an engine had handed over was on its way. */
void sim_check_exec(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside);
/* The same for an attempt to undo a step; `is_alive_beside`: anything of the run lives (S10.2,
 * S10.5).
 */
void sim_check_undo(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside);
/* What is about to be executed is of the second definition, or not (S9.3). */
void sim_check_definition(struct sim_check *check, uint32_t step, bool is_next);
/* Overrides that come from now on are meant so (S1.4, S9.3). */
void sim_check_mean(struct sim_check *check, enum sim_meant meaning);
/* An engine is about to say hello(epoch) to a keeper: that event must be durable (S8.3). */
void sim_check_hello(struct sim_check *check, uint64_t epoch);
/* The observer of a living engine was told a line (S1.5). */
void sim_check_line(struct sim_check *check, struct str line);
/* A person was answered: the event is durable (S5.6). `step` may be STEP_NONE (stop). */
void sim_check_answer(struct sim_check *check, const char *event_type, uint32_t step,
		      const char *actor);
/* After every step of the simulation: new lines of the log keep its rules (S7.1, S8.4, S9.1). */
void sim_check_step(struct sim_check *check);
/* After an accident, and at the end: chain and sequence are whole, nothing acknowledged is gone. A
 * power cut under a weaker sync may take a tail. */
void sim_check_log(struct sim_check *check, bool may_lose_tail);

/* How the steps stood when the run came to rest for the first time, one letter each ("SSFKu"), then
 * state and outcome: to compare two runs. Empty when it never did. */
const char *sim_check_first_end(const struct sim_check *check);
/* Does a gate bar a resume; has the run come to rest; what its log says of a step: P R W S F K C,
 * and of the run: its state. */
bool sim_check_is_gate_bad(const struct sim_check *check, uint32_t step);
bool sim_check_is_completed(const struct sim_check *check);
char sim_check_step_state(const struct sim_check *check, uint32_t step);
const char *sim_check_run_state(const struct sim_check *check);
/* The run goes by the second definition. */
bool sim_check_is_changed(const struct sim_check *check);
/* Its last attempt was lost, and nothing came after. */
bool sim_check_is_lost(const struct sim_check *check, uint32_t step);
/* run.rollback_started came, at some time: nothing goes forward any more. */
bool sim_check_is_undone(const struct sim_check *check);
/* The compensation that runs by the log: false, or its step and attempt. */
bool sim_check_undo_runs(const struct sim_check *check, uint32_t *ret_step, uint32_t *ret_attempt);
uint64_t sim_check_undos(const struct sim_check *check);
bool sim_check_has_stop(const struct sim_check *check);
bool sim_check_has_lost(const struct sim_check *check);
uint64_t sim_check_execs(const struct sim_check *check);

#endif
