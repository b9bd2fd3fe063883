/* attempts_test.c - what an engine does with what its executor says of an attempt that it found
 * under way, in whatever order that comes within one turn: a token is handed over when it provably
 * never ran and nothing else was heard of it, and never twice (S1.4, S8.2, S8.3, S8.5). */
#include "stage.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <string.h>

static const struct made_birth birth = {
    .definition = "pipeline: demo\n"
		  "steps:\n"
		  "  first: {run: 'true', on_lost: rerun, on_stop: cancel}\n"
		  "  second: {run: 'true'}\n",
    .next = "pipeline: demo\nsteps: {first: {run: 'true'}}\n",
};

#define TURNS_MAX   3
#define REPORTS_MAX 3

/* What the executor says of first.0, a sign a report; a space ends the turn:
 *   a ABSENT   s STARTED   e ENDED   l LOST   o LEFTOVERS   ! a person asks to stop, beside it */
static const struct hearing {
	const char *said;
	uint32_t starts;          /* tokens handed over */
	uint32_t started_attempt; /* the last of them */
	uint32_t cancels;         /* asked of the executor */
	enum step_state_id state;
	uint32_t attempt;
} hearings[] = {
    {"s", 0, 0, 0, STEP_RUNNING, 0},
    {"e", 1, 0, 0, STEP_SUCCEEDED, 0},  /* first.0 ended before; it is `second` that begins */
    {"a", 1, 0, 0, STEP_RUNNING, 0},    /* it never ran: the same token */
    {"aa", 1, 0, 0, STEP_RUNNING, 0},   /* said twice: once */
    {"a a", 2, 0, 0, STEP_RUNNING, 0},  /* handed over, and the executor died before it armed it */
    {"as", 0, 0, 0, STEP_RUNNING, 0},   /* it runs after all */
    {"ae", 1, 0, 0, STEP_SUCCEEDED, 0}, /* it has run after all; `second` begins */
    {"ao", 0, 0, 0, STEP_RUNNING, 0},   /* something of it lives */
    {"al", 1, 1, 0, STEP_RUNNING, 1},   /* it may have run: the next token, and it alone */
    {"a l", 2, 1, 0, STEP_RUNNING, 1},
    {"a al", 2, 1, 0, STEP_RUNNING, 1},
    {"ll", 1, 1, 0, STEP_RUNNING, 1}, /* the second is about what is over */
    {"la", 1, 1, 0, STEP_RUNNING, 1},
    {"a!", 0, 0, 0, STEP_FAILED, 0}, /* nothing begins in a run that stops */
    {"! a", 0, 0, 0, STEP_FAILED, 0},
    {"a !", 1, 0, 1, STEP_RUNNING, 0},
    {"a !a", 1, 0, 0, STEP_FAILED, 0},
    {"a ! a", 1, 0, 1, STEP_FAILED, 0},
    {"a ! e", 1, 0, 1, STEP_SUCCEEDED, 0}, /* it was faster */
    {"s !", 0, 0, 1, STEP_RUNNING, 0},     /* its end is still to come */
};

static enum exec_report_kind kind_of(char sign)
{
	switch (sign) {
	case 'a':
		return EXEC_ABSENT;
	case 's':
		return EXEC_STARTED;
	case 'e':
		return EXEC_ENDED;
	case 'l':
		return EXEC_LOST;
	default:
		assert_int_equal(sign, 'o');
		return EXEC_LEFTOVERS;
	}
}

static void stop(struct engine *engine)
{
	const struct engine_ask ask = {
	    .kind = ENGINE_ASK_STOP,
	    .person = {.name = STR("anna"), .reason = STR("it is late"), .uid = 1, .pid = 1},
	};
	struct err err = ERR_INIT;

	assert_ok(engine_ask(engine, &ask, &err), &err);
}

/* One turn, with all that is said before the next space; returns what is left. */
static const char *take_turn(struct stage *stage, struct engine *engine, const char *said)
{
	struct exec_report reports[REPORTS_MAX];
	struct err err = ERR_INIT;
	size_t count = 0;

	for (; *said && *said != ' '; said++) {
		if (*said == '!') {
			stop(engine);
			continue;
		}
		assert_in_range(count, 0, REPORTS_MAX - 1);
		reports[count++] = (struct exec_report){
		    .kind = kind_of(*said),
		    .token = {.path = STR("first"), .role = EXEC_ROLE_RUN},
		    .pid = 1,
		};
	}
	stage->reports = reports;
	stage->reports_count = count;
	do
		assert_ok(engine_tick(engine, &err), &err);
	while (engine_wait_ns(engine) == 0);
	assert_int_equal(stage->reports_count, 0);
	return *said ? said + 1 : said;
}

static void s8_2_a_token_is_handed_over_when_it_never_ran_and_never_twice(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(hearings); i++) {
		const struct hearing *hearing = &hearings[i];
		const struct wish wish = {RESUME};
		const char *said = hearing->said;
		const struct step_state *first;
		struct engine *engine = NULL;
		struct err err = ERR_INIT;
		enum engine_resumed resumed;
		struct stage stage;

		stage_open_as(&stage, &birth, BEGUN STARTED("first"));
		assert_ok(stage_take(&stage, &wish, &resumed, &engine, &err), &err);
		while (*said)
			said = take_turn(&stage, engine, said);
		first = &engine_state(engine)->steps[0];
		if (stage.starts != hearing->starts || stage.cancels != hearing->cancels ||
		    stage.started_attempt != hearing->started_attempt ||
		    first->state != hearing->state || first->attempt != hearing->attempt)
			fail_msg("'%s': %u handed over, the last of attempt %u; %u cancelled; "
				 "first.%u is %s",
				 hearing->said, stage.starts, stage.started_attempt, stage.cancels,
				 first->attempt, step_state_name(first->state));
		engine_free(engine);
		stage_close(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s8_2_a_token_is_handed_over_when_it_never_ran_and_never_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
