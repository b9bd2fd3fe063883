"""Bugs to plant: one exact edit of one file each, the rule or fault that it is about, and what must find it.

`old` must stand in the file exactly once: a bug that no longer fits the source is an error, not a pass. `by` is the
narrowest test that fails when the bug is there; see run.py. `fast`: script/test plants it each time.
"""

from dataclasses import dataclass

SIM = ("sim",)  # the simulator


def unit(name):
    """A unit test: its folder, its program."""
    return ("unit", f"test/unit/{name}_test")


def black_box(name):
    """A test on the built programs: its file, its name and parameters."""
    return ("pytest", f"test/{name}")


def images(kind, shape):
    """Power cuts on a file system of that kind, of a run of that shape (test/power/campaign.py)."""
    return ("images", kind, shape)


@dataclass(frozen=True)
class Bug:
    name: str
    rule: str
    file: str
    old: str
    new: str
    by: tuple = SIM
    fast: bool = False


BUGS = [
    Bug("no-sync-of-the-log", "S1.5: acknowledged means on the disk", "src/log/log.c",
        "	if (sync && sync_now(log, err) != ERR_OK)",
        "	if (sync && !log && sync_now(log, err) != ERR_OK)",
        fast=True),
    Bug("effects-before-the-commit", "S1.2: nothing before its event is durable", "src/engine/engine.c",
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK) /* 5 */\n"
        "		return err->code;\n"
        "	if (engine_perform(engine, err) != ERR_OK) /* 6 */\n"
        "		return err->code;\n",
        "	if (engine_perform(engine, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK)\n"
        "		return err->code;\n",
        fast=True),
    Bug("a-failed-sync-is-tried-again", "S11.3: no retry of the sync", "src/log/log.c",
        "	if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK)\n		return give_up(log, ERR_IO, err);",
        "	if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK) {\n		err_reset(err);\n"
        "		if (vfs_sync_data(&log->vfs, log->fd, err) != ERR_OK)\n"
        "			return give_up(log, ERR_IO, err);\n	}"),
    Bug("the-torn-tail-stays", "S11.4: never append behind a torn tail", "src/log/log.c",
        "	return vfs_truncate(vfs, fd, reading->head.offset_bytes, err);",
        "	return vfs && fd >= 0 ? ERR_OK : vfs_truncate(vfs, fd, reading->head.offset_bytes, err);",
        fast=True),
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
        "	return false && def->gate == GATE_HARD && step->class != CLASS_CANCELLED &&",
        fast=True),
    Bug("a-late-approval-passes", "S5.5: a time-out is not a pass", "src/core/decide_input.c",
        "	event = ask_add_step(ask, EVENT_GATE_REJECTED);\n"
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"nobody approved in time\"));",
        "	event = ask_add_step(ask, EVENT_GATE_APPROVED);\n"
        "	event_put_text(event, EVENT_FIELD_REASON, STR(\"nobody approved in time\"));"),
    Bug("executed-before-it-is-armed", "S8.1: armed before exec", "src/keeper/keeper.def",
        "ROW(NONE,        START,        ARMING,      ARM,  ",
        "ROW(NONE,        START,        SPAWNING,    SPAWN,",
        fast=True),
    Bug("the-records-are-not-read", "S8.3: armed and ended -> take the result", "src/keeper/client.c",
        "	flight->is_known = true;\n	flight->is_spawned",
        "	flight->is_known = false;\n	flight->is_spawned"),
    Bug("hello-before-its-event", "S8.3: the epoch is durable before hello", "src/engine/recover.c",
        "	if (engine_commit(engine, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	engine->effects_count = 0; /* what runs",
        "	engine->effects_count = 0; /* what runs"),
    Bug("a-stop-starts-what-is-ready", "S7.5: start nothing new", "src/core/decide.c",
        "	if (!run_starts_nothing(run)) {\n		answer = decide_start_ready(",
        "	if (!run->is_failing) {\n		answer = decide_start_ready("),
    Bug("a-skip-goes-no-further", "S5.2: a skipped need skips the step", "src/core/apply_step.c",
        "	f->step->skip = skip;\n	f->step->due_ms = 0;\n	run_state_resolve(f->run, f->index);\n",
        "	f->step->skip = skip;\n	f->step->due_ms = 0;\n"),
    Bug("the-name-of-a-birth-is-forgotten", "S11.8: a birth that was cut short", "src/engine/recover.c",
        "	    (engine->fold.state.seq == 1 && ",
        "	    (engine->fold.state.seq == 0 && "),
    Bug("every-engine-is-the-first", "S8.3: a newer engine is known by its epoch", "src/engine/recover.c",
        "			     is_completing ? engine->fold.state.seq : engine->fold.state.epoch,",
        "			     is_completing ? engine->fold.state.seq : 1,"),
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

    # --- the log and its file
    Bug("synced-before-it-is-written", "S11.2: written, then synced", "src/log/log.c",
        "	if (vfs_write(&log->vfs, log->fd, log->pending.ptr, log->pending.len, err) != ERR_OK)\n"
        "		return err->code == ERR_FULL ? cut_back(log, err) : give_up(log, ERR_IO, err);\n"
        "	log->has_unsynced = true;\n"
        "	if (sync && sync_now(log, err) != ERR_OK)\n"
        "		return err->code;\n",
        "	if (sync && sync_now(log, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	if (vfs_write(&log->vfs, log->fd, log->pending.ptr, log->pending.len, err) != ERR_OK)\n"
        "		return err->code == ERR_FULL ? cut_back(log, err) : give_up(log, ERR_IO, err);\n"
        "	log->has_unsynced = true;\n"),
    Bug("the-renamed-log-is-not-synced", "S1.5: a name is durable when its directory is", "src/log/log.c",
        "	if (vfs_sync(vfs, plan->fd, err) != ERR_OK || vfs_sync(vfs, dir, err) != ERR_OK) {",
        "	if (vfs_sync(vfs, plan->fd, err) != ERR_OK) {"),
    Bug("replaced-without-a-sync-of-the-name", "S1.5: a name is durable when its directory is", "src/sys/vfs.c",
        "		(void)vfs->ops->unlink(vfs->self, dir, temp); /* best effort */\n"
        "		return err->code;\n"
        "	}\n"
        "	return sync_parent(vfs, dir, path, err);",
        "		(void)vfs->ops->unlink(vfs->self, dir, temp); /* best effort */\n"
        "		return err->code;\n"
        "	}\n"
        "	return ERR_OK;",
        unit("sys/sys_vfs")),
    Bug("made-without-a-sync-of-the-name", "S1.5: a name is durable when its directory is", "src/sys/vfs.c",
        "	if (file_new(vfs, dir, path, bytes, len, err) != ERR_OK)\n"
        "		return err->code;\n"
        "	return sync_parent(vfs, dir, path, err);",
        "	return file_new(vfs, dir, path, bytes, len, err);",
        unit("sys/sys_vfs")),
    Bug("a-short-write-is-a-whole-one", "D18: short writes are gone on with", "src/sys/vfs.c",
        "		done += (size_t)put;",
        "		done = put ? len : 0;",
        unit("log/log_fault"), fast=True),
    Bug("a-full-disk-keeps-half-a-line", "S11.3: a full disk is cut back to the last batch", "src/log/log.c",
        "		return err->code == ERR_FULL ? cut_back(log, err) : give_up(log, ERR_IO, err);",
        "		return give_up(log, err->code == ERR_FULL ? ERR_FULL : ERR_IO, err);",
        unit("log/log_fault")),
    Bug("a-log-that-failed-takes-more", "S11.3: after a failure nothing is appended", "src/log/log.c",
        "	log->failed = code;\n",
        "",
        unit("log/log_fault")),
    Bug("the-last-line-needs-no-newline", "S11.4: the newline is the commit mark", "src/log/read.c",
        "	r->reading.torn_bytes = r->offset + r->have - r->reading.head.offset_bytes;\n",
        "	if (r->have && line_take(r, str_from(r->bytes, r->have), err) == ERR_OK)\n"
        "		return ERR_OK;\n"
        "	err_reset(err);\n"
        "	r->reading.torn_bytes = r->offset + r->have - r->reading.head.offset_bytes;\n",
        unit("log/log_log")),
    Bug("the-first-line-needs-no-chain", "S11.1: each line is chained, the first too", "src/log/read.c",
        "	if (memcmp(chain, h, sizeof(h)) != 0)",
        "	if (head->seq && memcmp(chain, h, sizeof(h)) != 0)",
        unit("log/log_log")),
    Bug("the-last-line-needs-no-chain", "S11.1: each line is chained, the last too", "src/log/read.c",
        "	if (memcmp(chain, h, sizeof(h)) != 0)",
        "	if (line.ptr + line.len + 1 != r->bytes + r->have && memcmp(chain, h, sizeof(h)) != 0)",
        unit("log/log_log"), fast=True),
    Bug("a-bad-middle-is-cut-off", "S11.4: what is no torn tail is damage, and is not repaired", "src/log/read.c",
        "		r.reading.end = code == ERR_NEWER ? LOG_END_NEWER : LOG_END_DAMAGED;\n",
        "		r.reading.end = code == ERR_NEWER ? LOG_END_NEWER : LOG_END_TORN;\n"
        "		r.reading.torn_bytes = r.offset + r.have - r.reading.head.offset_bytes;\n",
        black_box("engine/test_s11_log.py::test_s11_4_a_whole_line_that_is_none_is_damage")),
    Bug("no-evidence-of-a-torn-tail", "S11.4: what is cut off is kept aside", "src/log/log.c",
        "	if (evidence_save(vfs, dir, fd, reading->head.offset_bytes, torn, err) != ERR_OK)\n"
        "		return err->code;\n",
        "	if (!vfs && evidence_save(vfs, dir, fd, reading->head.offset_bytes, torn, err) != ERR_OK)\n"
        "		return err->code;\n",
        unit("log/log_log")),
    Bug("whoever-touches-the-log-is-not-noticed", "S11.2: one writer", "src/log/log.c",
        "	if (place_check(log, err) != ERR_OK)",
        "	if (!log && place_check(log, err) != ERR_OK)",
        unit("log/log_log")),
    Bug("a-newline-is-written-as-it-is", "S21: a text is one string, whatever is in it", "src/base/json_write.c",
        "	found = memchr(from, c, sizeof(from) - 1);\n	if (found) {",
        "	found = memchr(from, c, sizeof(from) - 1);\n	if (c == '\\n') {\n		buf_byte(out, '\\n');\n"
        "	} else if (found) {",
        unit("log/log_line"), fast=True),
    # --- acknowledged
    Bug("answered-before-it-is-durable", "S5.6: a decision is answered when its event is durable", "src/engine/engine.c",
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK) /* 5 */\n",
        "	answer_asks(engine);\n"
        "	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK) /* 5 */\n"),
    # --- who owns a run
    Bug("a-lock-that-commands-inherit", "D25: descriptors are closed on exec", "src/sys/vfs_os.c",
        "	    .flags = flags | O_CLOEXEC | O_NOFOLLOW |",
        "	    .flags = flags | O_NOFOLLOW |",
        unit("sys/sys_vfs"), fast=True),
    Bug("a-lock-of-the-process", "S8.1: a lock is of one descriptor, and goes with that alone", "src/sys/vfs_os.c",
        "	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;",
        "	return fcntl(fd, F_SETLK, &lock) < 0 ? -errno : 0;",
        unit("sys/sys_vfs")),
    Bug("a-number-instead-of-a-lock", "D26: locks say who lives, not process ids", "src/log/run_lock.c",
        "	code = vfs_lock(vfs, fd, err);\n",
        "	struct run_lock_info other = {.pid = 0};\n	char name[32];\n	struct vfs_stat there;\n	int proc = -1;\n\n"
        "	code = info_read(vfs, fd, &other, err);\n"
        "	(void)snprintf(name, sizeof(name), \"%d\", (int)other.pid);\n"
        "	if (code == ERR_OK && other.pid > 0 && vfs_root(vfs, \"/proc\", false, &proc, err) == ERR_OK &&\n"
        "	    vfs_stat_at(vfs, proc, name, &there, err) == ERR_OK)\n"
        "		code = err_set(err, ERR_LOCKED, \"it lives\");\n"
        "	else\n		err_reset(err);\n"
        "	vfs_close(vfs, proc);\n",
        black_box("process/test_owners.py::test_d26_an_engine_whose_process_id_is_somebody_elses_is_dead")),
    Bug("a-step-decides-on-its-own-gate", "S5.6: refused from a step of the run", "src/engine/control.c",
        "	if (is_own)\n",
        "	if (is_own && pid < 0)\n",
        black_box("engine/test_s5_gates.py::test_s5_6_a_step_cannot_decide_its_own_gate")),
    Bug("a-path-leads-out-of-its-directory", "S12: nothing in a run directory leads out of it", "src/sys/vfs_os.c",
        "	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,",
        "	    .resolve = RESOLVE_NO_MAGICLINKS,",
        unit("sys/sys_vfs")),
    # --- attempts and their keeper
    Bug("executed-without-an-armed-record", "S8.1: armed, before the command is executed", "src/keeper/child.c",
        "	return attempt_append(host, attempt, RECORD_ARMED);",
        "	return 0;",
        black_box("crash/test_kill_every_syscall.py::test_p18_keeper_killed_at_every_system_call")),
    Bug("ended-without-a-record", "S8.1: an end is on record", "src/keeper/child.c",
        "			     .errno_value = attempt_append(host, attempt, RECORD_ENDED),",
        "			     .errno_value = 0,",
        black_box("engine/test_s8_attempts.py::test_s8_3_armed_and_ended_after_a_machine_that_did_not_reboot")),
    Bug("told-before-it-is-recorded", "S1.2: the outcome before anybody hears of it", "src/keeper/machine_act.c",
        "	machine_put(machine, MACHINE_OUT_RECORD, index);\n"
        "	machine_tell_state(machine, index);\n"
        "	attempt->is_reported = true;",
        "	machine_tell_state(machine, index);\n"
        "	machine_put(machine, MACHINE_OUT_RECORD, index);\n"
        "	attempt->is_reported = true;",
        unit("keeper/keeper_machine")),
    Bug("commands-outlive-their-keeper", "S8.3: what has neither keeper nor end is killed", "src/keeper/child.c",
        "	    .dies_with_caller = true,",
        "	    .dies_with_caller = false,",
        black_box("engine/test_s8_attempts.py::test_s8_4_a_killed_keeper[False-fail-1]")),
    Bug("only-the-command-is-ended", "S7.4: the whole tree is ended", "src/keeper/tree.c",
        "	if (child->slot != RECORD_NO_SLOT) {\n		slot_signal(host, child->slot, signal);\n		return;\n	}\n"
        "	if (!child->is_reaped) {",
        "	if (child->pid) {\n		(void)kill(child->pid, signal == MACHINE_KILL ? SIGKILL : SIGTERM);\n		return;\n	}\n"
        "	if (child->slot != RECORD_NO_SLOT) {\n		slot_signal(host, child->slot, signal);\n		return;\n	}\n"
        "	if (!child->is_reaped) {",
        black_box("engine/test_s6_s7_errors_retry_time.py::test_s7_4_timeout_kills_the_whole_tree")),
    Bug("a-descriptor-lost-with-each-step", "P01: nothing is left of a step", "src/keeper/child.c",
        "		fd_close(&to_fds[i]);\n		fd_close(&child->log_fds[i]);",
        "		fd_close(&to_fds[i]);\n		child->log_fds[i] = -1;",
        black_box("process/test_trees.py::test_p01_2000_short_steps_leave_no_zombie_and_no_descriptor")),
    Bug("a-secret-in-two-pieces-is-shown", "S14: secrets are masked over the ends of reads", "src/keeper/mask.c",
        "		buf_str(&mask->held, str_cut(bytes, used, bytes.len));",
        "		buf_str(out, str_cut(bytes, used, bytes.len));",
        unit("keeper/keeper_mask"), fast=True),
    Bug("a-secret-stays-in-the-result-file", "S14: a secret is nowhere", "src/engine/harvest.c",
        "	if (!g->engine->secrets.masks_count)\n		return ERR_OK;\n",
        "	if (g->engine)\n		return ERR_OK;\n",
        black_box("engine/test_s8_attempts.py::test_s14_a_secret_is_nowhere")),
    # --- what counts as a pass, and as time
    Bug("lost-is-run-again-by-default", "S8.4: on_lost defaults to fail", "src/core/model.h",
        "enum on_lost { ON_LOST_FAIL, ON_LOST_RERUN, ON_LOST_ASK };",
        "enum on_lost { ON_LOST_RERUN, ON_LOST_FAIL, ON_LOST_ASK };",
        black_box("engine/test_s8_attempts.py::test_s8_4_a_killed_keeper[True-None-1]")),
    Bug("a-gate-out-of-time-is-open", "S5.5: a time-out is not a pass", "src/engine/harvest.c",
        "	case EXEC_CAUSE_TIMEOUT:\n",
        "	case EXEC_CAUSE_TIMEOUT:\n"
        "		if (g->def->gate == GATE_HARD) {\n"
        "			g->result->is_ok = true;\n"
        "			return;\n"
        "		}\n",
        black_box("engine/test_s5_gates.py::test_s5_5_a_gate_without_an_expression_passes_by_exit_0_alone")),
    Bug("a-pass-that-errs-is-a-pass", "S5.5: an expression that errors does not pass", "src/engine/harvest.c",
        "	g->result->verdict = VERDICT_FAILED;\n	if (expr_eval_bool(",
        "	g->result->verdict = VERDICT_PASSED;\n	if (expr_eval_bool(",
        black_box("engine/test_s5_gates.py::test_s5_5_an_expression_that_errs_or_is_no_boolean_does_not_pass")),
    Bug("a-result-that-was-left-counts", "S5.5: what was there before the attempt is not its word", "src/keeper/child.c",
        "	failure = result_clear(host, attempt);\n",
        "	(void)result_clear;\n",
        black_box("engine/test_x04_gates.py::test_x04_a_result_that_was_left_for_it_is_no_pass")),
    Bug("deadlines-by-the-wall-clock", "S7.6: deadlines use a clock that nobody sets", "src/sys/clock.c",
        "	BUG_IF(clock_gettime(CLOCK_BOOTTIME, &now) != 0);",
        "	BUG_IF(clock_gettime(CLOCK_REALTIME, &now) != 0);",
        black_box("process/test_clocks.py::test_d27_a_wall_clock_that_jumps_within_a_delay_neither_loses_nor_hastens_it")),
    Bug("limits-of-the-keeper-by-the-wall-clock", "S7.6: deadlines use a clock that nobody sets", "src/keeper/main.c",
        "	BUG_IF(clock_gettime(CLOCK_BOOTTIME, &now) != 0);",
        "	BUG_IF(clock_gettime(CLOCK_REALTIME, &now) != 0);",
        black_box("process/test_clocks.py::test_d27_a_wall_clock_that_jumps_in_the_middle_changes_no_span[315360000]")),
    Bug("values-within-the-text-of-a-shell", "C02: values reach a shell by its environment alone", "src/lang/command.c",
        "	run_text_check(build, value);\n",
        "",
        unit("lang/lang_load")),
    Bug("arguments-go-through-a-shell", "C02: no shell sees the words of `argv`", "src/engine/command.c",
        "		prepared->argv[i] = (char *)(uintptr_t)text.ptr;\n	}\n	return ERR_OK;",
        "		prepared->argv[i] = (char *)(uintptr_t)text.ptr;\n	}\n"
        "	if (!is_shell) {\n"
        "		AUTO(buf_fini) struct buf all = BUF_INIT;\n"
        "		char **words = arena_new(&engine->tick, 4, sizeof(*words));\n\n"
        "		for (uint32_t i = 0; i < count; i++)\n"
        "			buf_fmt(&all, \"%s \", prepared->argv[i]);\n"
        "		if (!words || all.failed != ERR_OK)\n"
        "			return mem_err(err);\n"
        "		words[0] = (char *)(uintptr_t)\"sh\";\n"
        "		words[1] = (char *)(uintptr_t)\"-c\";\n"
        "		words[2] = (char *)(uintptr_t)arena_str(&engine->tick, buf_view(&all)).ptr;\n"
        "		prepared->argv = words;\n"
        "	}\n"
        "	return ERR_OK;",
        black_box("security/test_injection.py::test_c02_a_value_is_one_word_whatever_is_in_it")),
    # --- evidence
    Bug("a-record-needs-no-checksum", "S8.1: fixed records with a checksum", "src/keeper/record.c",
        "	if (bytes_get32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))",
        "	if (!bytes && bytes_get32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))",
        unit("keeper/keeper_record")),
    Bug("output-has-no-limit", "S8.7: above output_limit the attempt is ended", "src/keeper/machine.c",
        "	if (live->output_limit_bytes && input->size_bytes > live->output_limit_bytes)",
        "	if (live->output_limit_bytes && input->size_bytes > UINT64_MAX - live->output_limit_bytes)",
        unit("keeper/keeper_machine")),
    Bug("a-checkpoint-is-no-witness", "D12: a log that ends before its checkpoint was cut", "src/engine/projections.c",
        "	if (checkpoint_check(&p->mark,",
        "	if (!engine && checkpoint_check(&p->mark,",
        black_box("surgery/test_lines.py::test_d12_a_cut_at_every_line_end_is_found_by_the_checkpoint_and_by_the_receipt")),
    Bug("a-keeper-is-no-witness", "D12: a log that ends before its keeper's epoch was cut", "src/engine/projections.c",
        "	return witness_check(p->epoch, head->seq, err);",
        "	return witness_check(p->epoch ? 1 : 0, head->seq, err);",
        black_box("surgery/test_lines.py::test_d12_a_cut_behind_what_the_keeper_has_seen_is_found_without_a_checkpoint")),
    Bug("a-frozen-definition-is-not-checked", "S1.3: what cannot be trusted is refused", "src/rundir/content.c",
        "	return str_is(hex, own);",
        "	return hex.len || str_is(hex, own);",
        unit("rundir/rundir_rundir")),
    Bug("a-stop-is-forgotten-with-its-engine", "S7.5: a stop that was acknowledged stays", "src/core/apply_resume.c",
        "	if (was_at_rest) { /* a stop that was not carried out yet stays (S1.5) */",
        "	if (was_at_rest || run->is_stopping) {"),
    # --- seen by power cuts alone
    Bug("the-log-is-synced-later", "S1.2: nothing before its event is durable", "src/sys/vfs.c",
        "	int answer = vfs->ops->sync_data(vfs->self, fd);",
        "	static int often;\n	int answer = often++ % 2 ? 0 : vfs->ops->sync_data(vfs->self, fd);",
        images("ext4", "fan")),
    Bug("no-sync-of-the-log-on-a-disk", "S1.5: acknowledged means on the disk", "src/log/log.c",
        "	if (sync && sync_now(log, err) != ERR_OK)",
        "	if (sync && !log && sync_now(log, err) != ERR_OK)",
        images("ext4", "linear")),
    # Without a journal no sync brings along what others forgot.
    Bug("the-new-name-is-not-synced-on-a-disk", "S11.8: a run is born whole", "src/rundir/rundir.c",
        "	return vfs_sync(birth->vfs, birth->runs_fd, err);",
        "	return birth ? ERR_OK : vfs_sync(birth->vfs, birth->runs_fd, err);",
        images("ext4-plain", "linear")),

    # --- parts, changed definitions, quality, what was given
    Bug("an-override-of-another-definition-counts", "S1.4, S9.3: an override counts with its run.resumed",
        "src/core/apply_run.c",
        "	if (!hash.ptr || str_eq(hash, run->definition_hash)) {",
        "	if (!hash.ptr || hash.len) {"),
    Bug("what-was-given-is-undone", "S10.2: only what this run did is undone", "src/core/run_state.c",
        "	return at->state == STEP_SUCCEEDED && !at->is_given && run->model->steps[step].compensate;",
        "	return at->state == STEP_SUCCEEDED && run->model->steps[step].compensate;"),
    Bug("what-is-not-selected-runs", "S9.5: a part of a pipeline", "src/core/apply_run.c",
        "		run->steps[i].is_excluded = !marks[i];",
        "		run->steps[i].is_excluded = !marks[i] && !run->selection.ptr;"),
    Bug("poor-data-pass", "S5.5: figures that miss a threshold fail the step", "src/engine/harvest.c",
        "	else if (!g->def->quality->is_soft)\n		fail(g, CLASS_DATA_QUALITY,",
        "	else if (!g->def->quality)\n		fail(g, CLASS_DATA_QUALITY,"),
    Bug("what-changed-stays", "S9.3: changed steps run again", "src/core/apply_change.c",
        "		if (lists->is_changed[i] || lists->is_added[i])\n			graph_mark",
        "		if (lists->is_added[i])\n			graph_mark"),
    Bug("what-did-not-change-runs-again", "S9.3: what else succeeded stays", "src/core/apply_change.c",
        "		if (lists->is_changed[i] || lists->is_added[i])\n			graph_mark",
        "		if (lists->is_changed[i] || f->next)\n			graph_mark"),

    # --- what is taken from an earlier run
    Bug("what-was-undone-is-taken", "S10.2: what was undone stands for nothing", "src/engine/cache.c",
        "		if (str_eq(loading->cache->list[i]->step_id, id))",
        "		if (!id.ptr && str_eq(loading->cache->list[i]->step_id, id))"),
    Bug("the-index-of-the-cache-is-believed", "cache: what the index says is checked in the log", "src/engine/cache.c",
        "	if (cached->key.ptr && str_eq(cached->key, key) &&",
        "	if (cached->key.ptr &&"),
    Bug("the-key-is-without-inputs", "cache: parameters and outputs that it gets are in the key", "src/engine/cache.c",
        "		if (!is_own(sorted[i]))",
        "		if (!is_own(sorted[i]) && str_starts(str_of(sorted[i]), \"PATH=\"))"),
    Bug("the-key-is-without-the-definition", "cache: the step's definition is in the key", "src/engine/cache.c",
        "	add_text(sha, STR(KEY_VERSION));\n	add_text(sha, buf_view(&text));\n",
        "	add_text(sha, STR(KEY_VERSION));\n"),
    Bug("what-was-tolerated-is-taken", "cache: what passed with a warning is never taken", "src/engine/cache.c",
        "	if (!result->is_ok || result->verdict == VERDICT_FAILED || result->quality_reason.len)",
        "	if (!result->is_ok)"),
]
