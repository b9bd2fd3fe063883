/* decide_person.c - what a person asks of a run: a stop, an approval, a rejection (S5.6, S7.5) */
#include "core/decide_intern.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>

void ask_put_actor(const struct ask *ask, struct event *event, struct str name)
{
	AUTO(buf_fini) struct buf actor = BUF_INIT;

	buf_fmt(&actor, "manual:%.*s", STR_ARG(name));
	event->actor = arena_str(&ask->decider->texts, buf_view(&actor));
	if (actor.failed != ERR_OK || !event->actor.ptr)
		ask->decider->is_nameless = true;
}

void ask_put_person(struct ask const *ask, struct event *event)
{
	const struct decide_person *person = ask->in->person;

	ask_put_actor(ask, event, person->name);
	ask_put_some(event, EVENT_FIELD_REASON, person->reason);
	if (person->uid >= 0)
		event_put_int(event, EVENT_FIELD_PEER_UID, person->uid);
	if (person->pid >= 0)
		event_put_int(event, EVENT_FIELD_PEER_PID, person->pid);
}

enum err_code decide_on_stop(const struct ask *ask, struct err *err)
{
	struct event *event;

	if (run_state_is_end(ask->run->state) && !ask->run->is_resuming &&
	    !run_is_undoing(ask->run))
		return err_set(err, ERR_REFUSED, "the run is %s already",
			       run_state_name(ask->run->state));
	if (ask->run->is_stopping && (ask->run->is_stop_now || !ask->in->is_true))
		return ERR_OK; /* nothing new is asked */
	event = ask_add(ask, EVENT_RUN_STOP_REQUESTED);
	if (ask->in->is_true)
		event_put_flag(event, EVENT_FIELD_NOW);
	if (ask->in->person)
		ask_put_person(ask, event);
	return ERR_OK;
}

static enum err_code check_person(const struct ask *ask, struct err *err)
{
	const struct decide_person *person = ask->in->person;

	if (!person->name.len)
		return err_set(err, ERR_REFUSED, "a decision on a gate needs a name (--as NAME)");
	if (!person->reason.len)
		return err_set(err, ERR_REFUSED,
			       "a decision on a gate needs a reason (--reason TEXT)");
	return ERR_OK;
}

/* Is there something to decide: an approval that is asked for, or a lost attempt that is held? */
static enum err_code check_asked(const struct ask *ask, struct err *err)
{
	const struct step_state *at = ask_state(ask);
	bool is_asked = (at->state == STEP_WAITING && !at->is_rejected && !at->is_approved) ||
			(at->is_held && !at->is_approved);

	if (is_asked && at->due_ms && ask->now_ms >= at->due_ms)
		return err_set(
		    err, ERR_REFUSED, "the time to decide on '%.*s' is over",
		    STR_ARG(ask_step(ask)->id)); /* S7.6: whoever owns the run next rejects */
	if (ask->run->undo.is_begun)
		return err_set(err, ERR_REFUSED,
			       "the run is being rolled back, or was: '%.*s' waits for no decision",
			       STR_ARG(ask_step(ask)->id));
	if (is_asked && run_state_is_end(ask->run->state) && !ask->run->is_resuming)
		return err_set(err, ERR_REFUSED,
			       "the run is %s: '%.*s' waits for no decision until it is resumed",
			       run_state_name(ask->run->state), STR_ARG(ask_step(ask)->id));
	if (is_asked)
		return ERR_OK;
	return err_set(err, ERR_REFUSED, "step '%.*s' is %s and waits for no decision",
		       STR_ARG(ask_step(ask)->id),
		       at->is_approved ? "approved already" : step_state_name(at->state));
}

static bool has_approved(const struct ask *ask, struct str name)
{
	for (const struct approver *other = ask_state(ask)->approvers; other; other = other->next) {
		if (str_eq(str_cut(other->name, strlen("manual:"), other->name.len), name))
			return true;
	}
	return false;
}

/* Say who may decide and has not yet; nothing when that is anybody. */
static enum err_code hint_approvers(const struct ask *ask, struct err *err)
{
	const struct approval *approval = ask_step(ask)->approval;
	AUTO(buf_fini) struct buf names = BUF_INIT;

	/* not reached: no `approval`, as then nobody is refused, and one person is enough */
	for (uint32_t i = 0; approval && i < approval->by_count; i++) {
		if (!has_approved(ask, approval->by[i]))
			buf_fmt(&names, "%s%.*s", names.len > 0 ? ", " : "",
				STR_ARG(approval->by[i]));
	}
	return names.len > 0 ? err_hint(err, "who may: %.*s (--as NAME)", STR_ARG(buf_view(&names)))
			     : err->code;
}

static enum err_code check_may_approve(const struct ask *ask, struct err *err)
{
	const struct approval *approval = ask_step(ask)->approval;
	const struct decide_person *person = ask->in->person;
	bool is_allowed = !approval || approval->by_count == 0;

	for (uint32_t i = 0; approval && i < approval->by_count; i++)
		is_allowed = is_allowed || str_eq(approval->by[i], person->name);
	if (is_allowed)
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "'%.*s' is not among those who may decide on '%.*s'",
		      STR_ARG(person->name), STR_ARG(ask_step(ask)->id));
	return hint_approvers(ask, err);
}

enum err_code decide_on_approve(const struct ask *ask, struct err *err)
{
	const struct decide_person *person = ask->in->person;

	if (check_person(ask, err) != ERR_OK || check_asked(ask, err) != ERR_OK ||
	    check_may_approve(ask, err) != ERR_OK)
		return err->code;
	if (has_approved(ask, person->name)) {
		(void)err_set(err, ERR_REFUSED, "'%.*s' has approved '%.*s' already",
			      STR_ARG(person->name), STR_ARG(ask_step(ask)->id));
		return hint_approvers(ask, err);
	}
	ask_put_person(ask, ask_add_step(ask, EVENT_GATE_APPROVED));
	return ERR_OK;
}

enum err_code decide_on_reject(const struct ask *ask, struct err *err)
{
	if (check_person(ask, err) != ERR_OK || check_asked(ask, err) != ERR_OK ||
	    check_may_approve(ask, err) != ERR_OK)
		return err->code;
	ask_put_person(ask, ask_add_step(ask, EVENT_GATE_REJECTED));
	return ERR_OK;
}
