/* gate.c - gates: who or what says that a run may go on (S5.4 to S5.6) */
#include "lang/build.h"

#include "base/mem.h"

#define APPROVALS_MAX 1000

void key_step_gate(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	static const char *const words[] = {"hard", "soft", "manual"};
	struct draft *draft = target;
	uint32_t index;

	if (take_word(build, key, value, words, ARRAY_LEN(words), &index))
		draft->step.gate = (enum gate_kind)(GATE_HARD + index);
}

void key_step_pass(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct draft *draft = target;

	(void)use_expression(build, key, value, USES_OUTPUT, &draft->step.pass);
}

void key_step_reason(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	struct draft *draft = target;

	(void)use_template(build, key, value, USES_OUTPUT, &draft->step.reason);
}

void key_approve_by(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct approval *approval = target;

	(void)take_texts(build, key, value, 0, true, &approval->by, &approval->by_count);
}

void key_approve_count(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct approval *approval = target;

	(void)take_u32(build, key, value, 1, APPROVALS_MAX, &approval->count);
}

void key_approve_timeout(struct build *build, void *target, const struct node *key,
			 const struct node *value)
{
	struct approval *approval = target;

	(void)take_duration(build, key, value, 1, &approval->timeout_ns);
}

void key_approve_on_timeout(struct build *build, void *target, const struct node *key,
			    const struct node *value)
{
	static const char *const words[] = {"reject"};
	uint32_t index;

	(void)target; /* there is no other way to end */
	(void)take_word(build, key, value, words, ARRAY_LEN(words), &index);
}

void key_step_approve(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct draft *draft = target;
	struct approval *approval;

	if (!build_expect(build, key, value, NODE_MAP, "a mapping such as {by: [release]}"))
		return;
	approval = build_new(build, 1, sizeof(*approval));
	if (!approval)
		return;
	approval->count = 1;
	build_map(build, SCOPE_approve, value, approval, NULL, KEY_approve_by);
	if (approval->by_count && approval->count > approval->by_count)
		build_report(build, DIAG_APPROVE, key,
			     "%u approvals are needed, but 'by' has %u name%s", approval->count,
			     approval->by_count, approval->by_count == 1 ? "" : "s");
	draft->step.approval = approval;
}

static bool needs_gate(struct build *build, struct draft *draft, enum key_id id, const char *gates)
{
	uint32_t at = draft->at[id - KEY_STEP_FIRST];
	const struct node *key;

	if (!at)
		return false;
	key = build_node(build, at - 1);
	build_report(build, DIAG_GATE, key, "'%.*s' needs %s", STR_ARG(key->text), gates);
	return true;
}

/* One approval of anybody, for gates that do not say more. */
static const struct approval *approval_any(struct build *build)
{
	struct approval *approval;

	if (!build->approval_any) {
		approval = build_new(build, 1, sizeof(*approval));
		if (approval)
			approval->count = 1;
		build->approval_any = approval;
	}
	return build->approval_any;
}

void gate_finish(struct build *build, struct draft *draft, const struct node *name)
{
	struct step *step = &draft->step;
	bool is_judged = step->gate == GATE_HARD || step->gate == GATE_SOFT;

	(void)name;
	/* What comes from `defaults` reaches only the steps that can use it. A gate whose own word
	 * was refused is not told that it has none. */
	if (!is_judged) {
		step->pass = STR_NONE;
		if (step->gate == GATE_MANUAL || !draft->at[KEY_step_gate - KEY_STEP_FIRST])
			(void)needs_gate(build, draft, KEY_step_pass,
					 "`gate: hard` or `gate: soft`");
	}
	if (step->gate == GATE_NONE) {
		step->reason = (struct tmpl){.text = STR_NONE};
		if (!draft->at[KEY_step_gate - KEY_STEP_FIRST])
			(void)needs_gate(build, draft, KEY_step_reason,
					 "a gate: hard, soft or manual");
	}
	if (step->gate != GATE_MANUAL) {
		step->approval = NULL;
		if (is_judged || !draft->at[KEY_step_gate - KEY_STEP_FIRST])
			(void)needs_gate(build, draft, KEY_step_approve, "`gate: manual`");
	} else if (!step->approval) {
		step->approval = approval_any(build);
	}
}
