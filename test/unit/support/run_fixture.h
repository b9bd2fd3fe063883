/* run_fixture.h - a run in memory: a model made from a line of text, its state, its decider, and
 * what happened so far.
 *
 * Time is a number, results are told by the test, queries are answered at once. Every event is
 * checked against event.def, kept for replay, and held against S1.4: nothing downstream of a failed
 * hard gate starts without an override. */
#ifndef TEST_SUPPORT_RUN_FIXTURE_H
#define TEST_SUPPORT_RUN_FIXTURE_H

#include "support/unit.h"

#include "base/buf.h"
#include "core/apply.h"
#include "core/decide.h"
#include "core/graph.h"

/* How a query of a step is answered. */
enum fixture_answer { ANSWER_YES, ANSWER_NO, ANSWER_ERROR, ANSWER_NEVER };

struct fixture {
	struct model *model;
	struct run_state run;
	struct decider decider;
	struct event *items; /* DECIDE_EVENTS_MAX: of the last input */
	struct arena texts;  /* of the kept events */
	struct event **log;
	size_t log_count, log_capacity;
	size_t seen;     /* events that fixture_expect has compared */
	int64_t now_ms;  /* UTC */
	uint8_t *when;   /* enum fixture_answer, by step */
	uint8_t *inputs; /* enum fixture_answer, by step */
	uint8_t *barred; /* by step: a hard gate that failed and was not overridden */
	uint8_t *marks;
	uint32_t *scratch;
	const char *selection;        /* JSON for run.created; NULL = none */
	const char *given;            /* the same */
	uint32_t started_with_effect; /* step.started events that had EFFECT_START */
	struct err err;
};

/* A model from steps divided by `;`, each an id and words:
 *
 *   needs=a,b (needs= : a root)  any=a,b  gate=hard|soft|manual
 * on=stop|skip|continue|ignore|compensate undo=N (compensate, N attempts)  lost=fail|rerun|ask
 * retry=N  when  pass  inputs  prio=N  count=N by=anna,ben  timeout=MS
 *
 * Retries are of transient_io and timeout, 2 s, doubled, at most 60 s, 10 % jitter. The run takes
 * 1000 steps at once; change model->concurrency before the first event. */
void fixture_open(struct fixture *f, const char *steps);
/* The same, when the model may be refused by graph_build: the code and the cycle's step. */
enum err_code fixture_model(const char *steps, struct model **ret_model, uint32_t *ret_cycle,
			    struct err *err);
void fixture_close(struct fixture *f);

/* run.created, and what follows. */
void fixture_start(struct fixture *f);
/* All that follows from the state alone; fails when it does not come to an end. */
void fixture_settle(struct fixture *f);
/* Tell one input, apply its events, do not settle. */
enum err_code fixture_tell(struct fixture *f, const struct input *input);
/* Tell and settle. */
enum err_code fixture_feed(struct fixture *f, const struct input *input);

/* Results of the attempt that runs. They settle, and fail the test when they are refused. */
void fixture_ok(struct fixture *f, const char *step);
void fixture_fail(struct fixture *f, const char *step, enum error_class class);
void fixture_verdict(struct fixture *f, const char *step, enum gate_verdict verdict);
void fixture_lose(struct fixture *f, const char *step);
void fixture_leftovers(struct fixture *f, const char *step);
void fixture_retry_due(struct fixture *f, const char *step);
void fixture_wait_over(struct fixture *f, const char *step);
void fixture_deadline(struct fixture *f);
/* Acts of people. They settle and give the code; the text is in f->err. */
enum err_code fixture_approve(struct fixture *f, const char *step, const char *name);
enum err_code fixture_reject(struct fixture *f, const char *step, const char *name);
enum err_code fixture_stop(struct fixture *f, bool now);
/* from and override may be NULL. */
enum err_code fixture_resume(struct fixture *f, const char *from, const char *override);

enum err_code fixture_rollback(struct fixture *f);
/* Ends of the compensation that runs. */
void fixture_undo_ok(struct fixture *f);
void fixture_undo_fail(struct fixture *f, enum error_class class);
void fixture_undo_lose(struct fixture *f);
void fixture_undo_leftovers(struct fixture *f);
void fixture_undo_due(struct fixture *f);

/* The events since the last call, a line each without the last line end: "step.failed a 0 unknown",
 * "run.state_changed failed", "step.skipped b run_stopped", "run.completed failed partial". */
void fixture_expect(struct fixture *f, const char *lines);
/* Compare nothing of what was so far. */
void fixture_forget(struct fixture *f);
/* Line `i` of the log in that form, appended to `out`. */
void fixture_line(const struct fixture *f, size_t i, struct buf *out);

const struct step_state *fixture_step(const struct fixture *f, const char *step);
/* The last event of the log. */
const struct event *fixture_last(const struct fixture *f);
/* How many events of a type there are. */
size_t fixture_count(const struct fixture *f, enum event_type type);

/* A fresh fixture of the same text, with the first `count` events of `f` replayed. */
void fixture_replay(struct fixture *fresh, const char *steps, const struct fixture *f,
		    size_t count);
/* The whole state as text: two states are equal when their dumps are. */
void fixture_dump(const struct run_state *run, struct buf *out);

#endif
