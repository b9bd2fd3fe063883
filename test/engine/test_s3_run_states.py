"""S3: states of a run, seen from outside."""
import json
import signal

import pytest

from support.checker import OUTCOMES, RUN_MOVES, Damage, check_bytes, forge


def head(**fields):
    return {"event_type": "run.created", "run_id": "f", "timestamp_utc": "2026-01-01T00:00:00.000Z",
            "actor": "runner", "attempt": 0, **fields}


def moves(log):
    return [(e["previous_state"], e["new_state"]) for e in log.of("run.state_changed")]


def test_a_clean_run_of_n_steps_writes_2n_plus_5_lines(sluice):
    log = sluice.go({f"s{i}": "true" for i in range(5)})
    assert len(log.events) == 2 * 5 + 5
    assert moves(log) == [("created", "preflight_validated"), ("preflight_validated", "executing"),
                          ("executing", "succeeded")]
    assert log.outcome == "success"
    assert log.of("run.completed")[0].get("warnings", 0) == 0


def test_s3_2_blocked_means_that_a_person_must_act(sluice):
    log = sluice.go({"ask": {"gate": "manual", "run": "true"}}, code=4)
    assert log.state == "blocked" and not log.completed


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "stop"])
def test_s3_3_a_stop_ends_in_stopped(sluice, how):
    path = sluice.pipeline({"a": {"run": "sleep 20", "on_stop": "cancel", "grace": "200ms"}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    if how == "stop":
        sluice("stop", sluice.id, code=0)
    else:
        engine.send_signal(getattr(signal, how))
    assert engine.wait(20) == 6
    log = sluice.log(ended="stopped")
    assert log.outcome == "stopped"
    assert log.of("step.failed", "a")[0]["error_class"] == "cancelled"
    assert not log.sequence("b"), "S4: what did not start stays pending, without events"


def test_s3_3_a_failure_never_ends_in_stopped(sluice):
    log = sluice.go({"a": "exit 3"}, code=1)
    assert log.state == "failed" and log.outcome == "failed"


def test_s3_3_on_stop_wait_lets_the_step_end(sluice):
    path = sluice.pipeline({"a": "until [ -e go ]; do sleep 0.02; done; echo done", "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    engine.send_signal(signal.SIGINT)
    sluice.wait_event("run.stop_requested")
    (sluice.root / "go").touch()
    assert engine.wait(20) == 6
    log = sluice.log(ended="stopped")
    assert log.steps["a"].state == "succeeded" and sluice.output("a") == b"done\n"


def test_s7_5_a_second_signal_kills(sluice):
    path = sluice.pipeline({"a": {"run": "trap '' TERM; sleep 30 & wait; sleep 30", "grace": "300ms"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    engine.send_signal(signal.SIGINT)
    sluice.wait_event("run.stop_requested")
    engine.send_signal(signal.SIGINT)
    assert engine.wait(20) == 6
    assert sluice.log(ended="stopped").of("step.failed", "a")[0]["error_class"] == "cancelled"


def test_s3_4_a_pipeline_without_steps_is_refused_and_leaves_nothing(sluice):
    path = sluice.pipeline({})
    sluice("run", path, "--run-id", sluice.id, code=2)
    assert not sluice.run_dir().exists()


def test_s3_4_all_skipped_by_conditions_is_success(sluice):
    log = sluice.go({"a": {"when": "false", "run": "true"}})
    assert log.state == "succeeded" and log.steps["a"].state == "skipped"


def test_s3_5_partial_when_the_rest_went_on(sluice):
    log = sluice.go({"a": {"run": "exit 1", "on_failure": "continue"}, "b": "true"}, code=5)
    assert (log.state, log.outcome) == ("failed", "partial")
    assert log.steps["b"].state == "succeeded"


def test_s3_5_tolerated_failures_and_soft_gates_are_warnings(sluice):
    log = sluice.go({
        "a": {"run": "exit 1", "on_failure": "ignore"},
        "b": {"gate": "soft", "run": 'echo n=1 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}},
              "pass": "output.n > 1"},
        "c": "true"})
    assert (log.state, log.outcome) == ("succeeded", "success")
    assert log.of("run.completed")[0]["warnings"] == 2


@pytest.mark.sweep(3)
@pytest.mark.parametrize("old", sorted(RUN_MOVES))
def test_s3_1_a_log_with_a_move_that_is_not_listed_is_refused(sluice, old):
    """Every unlisted pair out of each state, in a log with a whole chain: exit 7, file untouched."""
    base = sluice.go({"a": "true"})
    reach = {"created": [], "preflight_validated": ["preflight_validated"],
             "executing": ["preflight_validated", "executing"],
             "blocked": ["preflight_validated", "executing", "blocked"],
             "failed": ["failed"], "stopped": ["stopped"],
             "rolled_back": ["preflight_validated", "executing", "blocked", "rolled_back"],
             "succeeded": ["preflight_validated", "executing", "succeeded"]}[old]
    created = dict(base.events[0])
    path = sluice.run_dir() / "events.jsonl"
    for new in sorted(RUN_MOVES):
        events, state = [created], "created"
        for to in [*reach, new]:
            if to == "rolled_back" and state in ("failed", "stopped", "blocked"):  # S10: never without
                events.append({"event_type": "run.rollback_started", "run_id": sluice.id,
                               "timestamp_utc": created["timestamp_utc"], "actor": "runner", "attempt": 0})
            events.append({"event_type": "run.state_changed", "run_id": sluice.id, "actor": "runner",
                           "timestamp_utc": created["timestamp_utc"], "attempt": 0,
                           "previous_state": state, "new_state": to})
            events[-1] = {k: events[-1][k] for k in
                          ("event_type", "run_id", "timestamp_utc", "actor", "attempt", "previous_state",
                           "new_state")}
            state = to
        raw = forge(sluice.id, events)
        sluice.rewrite(raw)
        result = sluice("verify", sluice.id)
        if new in RUN_MOVES[old]:
            assert result.code == 0, (old, new, result)
        else:
            assert result.code == 7, (old, new, result)
            assert sluice("resume", sluice.id).code == 7, (old, new)
            assert path.read_bytes() == raw
            assert old in result.stdout + result.stderr and new in result.stdout + result.stderr


def test_the_checker_itself_finds_damage(sluice):
    """Guards the guard: the checker must not accept everything."""
    log = sluice.go({"a": "true"})
    raw = sluice.raw()
    for bad in (raw[:-1], raw[:40] + b" " + raw[40:], raw + raw.splitlines(True)[-1],
                b"".join(raw.splitlines(True)[1:]), raw.replace(b"succeeded", b"succeedet")):
        with pytest.raises(Damage):
            check_bytes(bad, sluice.id)
    swapped = [json.loads(x) for x in raw.splitlines()]
    swapped[3], swapped[4] = swapped[4], swapped[3]
    with pytest.raises(Damage):
        check_bytes(forge(sluice.id, swapped), sluice.id)
    assert check_bytes(forge(sluice.id, log.events), sluice.id).receipt == log.receipt
    assert set(OUTCOMES) < set(RUN_MOVES)


def test_s4_what_did_not_start_stays_pending_without_an_event_when_a_person_stops(sluice):
    run = sluice.start("run", sluice.pipeline({"a": "sleep 60", "b": "true", "c": {"when": "false", "run": "true"}}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    sluice("stop", sluice.id, "--now", code=0)
    assert run.wait() == 6
    log = sluice.log(ended="stopped")
    assert log.sequence("b") == log.sequence("c") == []
    states = {s["step_id"]: s["state"] for s in json.loads(sluice("summary", sluice.id, "--json", code=0).stdout)["steps"]}
    assert states == {"a": "failed", "b": "pending", "c": "pending"}


def test_s4_a_resume_opens_again_what_failed_or_was_skipped_for_it_and_nothing_else(sluice):
    log = sluice.go({"a": "[ -e ok ]", "b": "true", "c": {"needs": [], "when": "false", "run": "true"}}, code=1)
    assert {n: s.state for n, s in log.steps.items()} == {"a": "failed", "b": "skipped", "c": "skipped"}
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert {n: s.state for n, s in log.steps.items()} == {"a": "succeeded", "b": "succeeded", "c": "skipped"}
    assert len(log.of("step.skipped", "c")) == 1, "a condition is not asked again"
