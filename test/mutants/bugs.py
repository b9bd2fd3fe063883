"""Bugs to plant: one exact edit of one file each, and the rule that it breaks.

`old` must stand in the file exactly once: a bug that no longer fits the source is an error, not a pass.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    name: str
    rule: str
    file: str
    old: str
    new: str


BUGS = [
    Bug("no-sync-of-the-log", "S1.5: acknowledged means on the disk", "src/log/log.c",
        "	if (sync && sync_now(log, err) != ERR_OK)",
        "	if (sync && !log && sync_now(log, err) != ERR_OK)"),
    Bug("effects-before-the-commit", "S1.2: nothing before its event is durable", "src/engine/engine.c",
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK) /* 5 */\n"
        "		return err->code;\n"
        "	if (engine_perform(engine, err) != ERR_OK) /* 6 */\n"
        "		return err->code;\n",
        "	if (engine_perform(engine, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK)\n"
        "		return err->code;\n"),
    Bug("a-failed-sync-is-tried-again", "S11.3: no retry of the sync", "src/log/log.c",
        "	if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK)\n		return give_up(log, ERR_IO, err);",
        "	if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK) {\n		err_reset(err);\n"
        "		if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK)\n"
        "			return give_up(log, ERR_IO, err);\n	}"),
    Bug("the-torn-tail-stays", "S11.4: never append behind a torn tail", "src/log/log.c",
        "	return vfs_truncate(vfs, fd, reading->head.offset_bytes, err);",
        "	return vfs && fd >= 0 ? ERR_OK : vfs_truncate(vfs, fd, reading->head.offset_bytes, err);"),
    Bug("what-the-cache-has-counts", "S1.5: recovery does not trust the page cache", "src/log/log.c",
        "	if (renew(vfs, dir, &reading->head",
        "	if (!vfs && renew(vfs, dir, &reading->head"),
    Bug("the-new-name-is-not-synced", "S11.8: a run is born whole", "src/rundir/rundir.c",
        "	return vfs_sync(birth->vfs, birth->runs_fd, err);",
        "	return birth ? ERR_OK : vfs_sync(birth->vfs, birth->runs_fd, err);"),
    Bug("starting-is-not-idempotent", "S8.2: a token is executed at most once", "src/keeper/machine.c",
        "	if (machine->attempts[index].state != KEEPER_NONE) {",
        "	if (machine->attempts[index].state == KEEPER_ENDED)\n"
        "		machine->attempts[index].state = KEEPER_NONE;\n"
        "	if (machine->attempts[index].state != KEEPER_NONE) {"),
    Bug("lower-epochs-are-welcome", "S8.3: a newer engine cuts the older one off", "src/keeper/machine.c",
        "	if (!is_spoken || frame->epoch < machine->epoch) {",
        "	if (!is_spoken) {"),
    Bug("a-reboot-is-not-noticed", "S8.3: of another boot = lost", "src/engine/attempts.c",
        "		same_boot[count++] = str_eq(run->steps[i].boot_id, engine->ports.boot_id);",
        "		same_boot[count++] = true;"),
    Bug("lost-means-rerun", "S8.4: on_lost defaults to fail", "src/core/run_state.c",
        "		return def->on_lost == ON_LOST_RERUN &&",
        "		return def->on_lost != ON_LOST_ASK &&"),
    Bug("a-hard-gate-does-not-bar", "S1.4: nothing below a failed hard gate runs", "src/core/apply_step.c",
        "	return def->gate == GATE_HARD && step->class != CLASS_CANCELLED &&",
        "	return false && def->gate == GATE_HARD && step->class != CLASS_CANCELLED &&"),
    Bug("a-late-approval-passes", "S5.5: a time-out is not a pass", "src/core/decide_input.c",
        "	event = ask_add_step(ask, EVENT_GATE_REJECTED);\n"
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"nobody approved in time\"));",
        "	event = ask_add_step(ask, EVENT_GATE_APPROVED);\n"
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"nobody approved in time\"));"),
    Bug("executed-before-it-is-armed", "S8.1: armed before exec", "src/keeper/keeper.def",
        "ROW(NONE,        START,        ARMING,      ARM,  ",
        "ROW(NONE,        START,        SPAWNING,    SPAWN,"),
    Bug("the-records-are-not-read", "S8.3: armed and ended -> take the result", "src/keeper/client.c",
        "	flight->is_known = true;\n	flight->is_spawned",
        "	flight->is_known = false;\n	flight->is_spawned"),
    Bug("hello-before-its-event", "S8.3: the epoch is durable before hello", "src/engine/recover.c",
        "	if (engine_commit(engine, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	engine->effects_count = 0; /* what runs",
        "	engine->effects_count = 0; /* what runs"),
    Bug("a-stop-starts-what-is-ready", "S7.5: start nothing new", "src/core/decide.c",
        "	if (!run->is_stopping && !run->is_failing) {\n		answer = decide_start_ready(",
        "	if (!run->is_failing) {\n		answer = decide_start_ready("),
    Bug("a-skip-goes-no-further", "S5.2: a skipped need skips the step", "src/core/apply_step.c",
        "	f->step->skip = skip;\n	f->step->due_ms = 0;\n	run_state_resolve(f->run, f->index);\n",
        "	f->step->skip = skip;\n	f->step->due_ms = 0;\n"),
    Bug("the-name-of-a-birth-is-forgotten", "S11.8: a birth that was cut short", "src/engine/recover.c",
        "	    (engine->fold.state.seq == 1 && ",
        "	    (engine->fold.state.seq == 0 && "),
    Bug("hello-before-its-event", "S8.3: run.resumed is durable before hello", "src/engine/recover.c",
        "	if (engine_commit(engine, err) != ERR_OK)\n		return err->code;\n	engine->effects_count = 0;",
        "	engine->effects_count = 0;"),
    Bug("skips-do-not-cascade", "S5.2: a skipped need skips the step", "src/core/run_state.c",
        "		if (is_implicit && at->skip == SKIP_CONDITION)\n			return NEED_MET;",
        "		if (at->skip != SKIP_GATE_FAILED)\n			return NEED_MET;"),
    Bug("one-attempt-too-many", "S7.1: max_attempts counts all", "src/core/run_state.c",
        "at->failures < def->retry->max_attempts;",
        "at->failures <= def->retry->max_attempts;"),
    Bug("a-lost-compensation-is-repeated", "S10.3: what is lost is not run again unasked", "src/core/decide_undo.c",
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"the outcome cannot be known\"));\n	return ERR_OK;\n}\n\n"
        "enum err_code decide_on_undo_leftovers(",
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"the outcome cannot be known\"));\n"
        "	event_put_int(event, EVENT_FIELD_DELAY_MS, 1);\n	return ERR_OK;\n}\n\n"
        "enum err_code decide_on_undo_leftovers("),
    Bug("one-step-undone-is-enough", "S10.3: rolled_back means all of it", "src/core/decide_undo.c",
        "	if (run_undo_next(run) == STEP_NONE)\n",
        "	if (run_undo_next(run) == STEP_NONE || run->count[STEP_COMPENSATED])\n"),
    Bug("a-failure-asks-for-no-rollback", "S10.1: on_failure: compensate", "src/core/apply_step.c",
        "		run->undo.is_wanted = true;",
        "		run->undo.is_wanted = false;"),
    Bug("a-closed-gate-rolls-back", "S10.1: after a hard gate a person decides", "src/core/apply_step.c",
        "	if (def->on_failure == ON_FAILURE_COMPENSATE && def->gate != GATE_HARD &&\n"
        "	    !step->is_gate_failed && ",
        "	if (def->on_failure == ON_FAILURE_COMPENSATE && "),
    Bug("one-compensation-too-many", "S10.2: max_attempts of a compensation", "src/core/run_state.c",
        "failures + 1 < retry->max_attempts;",
        "failures < retry->max_attempts;"),
    Bug("undone-from-the-front", "S10.2: reverse topological order", "src/core/run_state.c",
        "	return run->undo.left ? run->model->order[run->undo.left - 1] : STEP_NONE;\n",
        "	for (uint32_t i = 0; i < run->undo.left; i++) {\n"
        "		uint32_t step = run->model->order[i];\n\n"
        "		if (run->steps[step].state == STEP_SUCCEEDED && run->model->steps[step].compensate)\n"
        "			return step;\n	}\n	return STEP_NONE;\n"),
    Bug("a-lost-compensation-is-undone", "S10.3: whether it took effect is not known", "src/core/decide_undo.c",
        "	event = add_undo(ask, EVENT_COMPENSATION_FAILED);\n	event_put_text(event, EVENT_FIELD_ERROR_CLASS, str",
        "	event = add_undo(ask, EVENT_STEP_COMPENSATED);\n	return ERR_OK;\n"
        "	event_put_text(event, EVENT_FIELD_ERROR_CLASS, str"),
]
