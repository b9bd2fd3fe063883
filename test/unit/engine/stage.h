/* stage.h - a run on disk, and a world for the engine that takes it over: clocks that stand, a disk
 * that fails on demand, an executor that says what it is told to say. */
#ifndef TEST_ENGINE_STAGE_H
#define TEST_ENGINE_STAGE_H

#include "support/made_run.h"
#include "support/vfs_fault.h"

#include "engine/engine.h"

/* Pieces of logs. */
#define STARTED(step)  "step.started " step " 0 new_state=running\n"
#define MOVE(from, to) "run.state_changed previous_state=" from " new_state=" to "\n"
#define BEGUN          MOVE("created", "preflight_validated") MOVE("preflight_validated", "executing")

struct stage {
	struct made_run made;
	struct buf log; /* as it was made */
	struct model *next;
	struct vfs_fault fault;
	struct clock clock;
	int64_t boot_ns, utc_ms;
	bool lacks; /* the program lacks what compensations need */
	struct engine_ports ports;
	const struct exec_report *reports; /* what the executor has to say */
	size_t reports_count;
	uint32_t starts, cancels; /* how often it was asked to */
	uint32_t started_attempt; /* the last one */
};

/* A run of that birth, with this log. Ends the test when something is refused. */
void stage_open_as(struct stage *stage, const struct made_birth *how, const char *lines);
void stage_close(struct stage *stage);

enum way { RESUME, ROLLBACK, IDLE };

/* How a run is taken over. */
struct wish {
	enum way way;
	const char *from, *override;
	const char *param;
	bool has_next;
	uint32_t max_parallel;
};

enum err_code stage_take(struct stage *stage, const struct wish *wish,
			 enum engine_resumed *ret_resumed, struct engine **ret_engine,
			 struct err *err);

#endif
