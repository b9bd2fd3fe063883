"""S10: compensation and rollback, and what a resume may not forget of a stop (S1.5)."""
import json
import os
import signal

import pytest

from support.sluice import until

UNDO = {"run": 'echo "undo $SLUICE_STEP" >>count'}


def two(sluice, last="exit 1", code=1, undo_b=None, **top):
    """a, b and what fails after them; answers the log."""
    return sluice.go({
        "a": {"run": "echo a >>count", "compensate": UNDO},
        "b": {"run": "echo b >>count", "compensate": undo_b or UNDO},
        "c": last}, code=code, **top)


def count(sluice):
    return (sluice.root / "count").read_text().split("\n")[:-1]


def test_s10_1_a_failure_under_compensate_undoes_what_succeeded_last_first(sluice):
    log = two(sluice, last={"run": "exit 1", "on_failure": "compensate"})
    assert log.outcome == "rolled_back" and count(sluice) == ["a", "b", "undo b", "undo a"]
    assert log.types()[-7:] == ["run.rollback_started", "compensation.started", "step.compensated",
                                "compensation.started", "step.compensated", "run.state_changed",
                                "run.completed"]
    record = json.loads((sluice.home / "runs.jsonl").read_text())
    assert record["result"] == "failed" and record["metadata"]["outcome"] == "rolled_back"
    assert "rolled_back" in sluice("list", code=0).stdout
    assert "compensated" in sluice("status", sluice.id, code=0).stdout
    sluice("resume", sluice.id, code=3)
    sluice("verify", sluice.id, code=0)


def test_s10_1_rollback_by_a_person_is_recorded_and_exits_0(sluice):
    two(sluice)
    assert "sluice rollback" in sluice("status", sluice.id).stdout
    sluice("rollback", sluice.id, "--reason", "wrong input", "--as", "anna", code=0)
    log = sluice.log(ended="rolled_back")
    event = log.of("run.rollback_started")[0]
    assert event["actor"] == "manual:anna" and event["reason"] == "wrong input" and event["peer_pid"]
    assert count(sluice) == ["a", "b", "undo b", "undo a"]


def test_s10_2_a_compensation_sees_the_outputs_of_its_step_and_its_own_keys(sluice):
    (sluice.root / "sub").mkdir()
    sluice.go({
        "a": {"run": 'echo n=7 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}, "cwd": "sub",
              "env": {"OF_STEP": "s", "BOTH": "step"},
              "compensate": {
                  "run": 'echo "$OUTPUT_a_n $PARAM_p $OF_STEP $BOTH $PWD $SLUICE_ATTEMPT '
                         '$SLUICE_IDEMPOTENCY_KEY" >>../seen',
                  "env": {"BOTH": "undo"}, "shell": ["bash", "-ec"]}},
        "b": {"argv": ["true"], "compensate": {"argv": ["sh", "-c", 'echo "$0 $PWD" >>seen', "${outputs.a.n + 1}"],
                                               "cwd": "."}},
        "c": {"run": "exit 1", "on_failure": "compensate"}},
        code=1, params={"p": {"type": "string", "default": "q"}})
    assert (sluice.root / "seen").read_text() == \
        f"8 {sluice.root}\n7 q s undo {sluice.root}/sub 0 {sluice.id}/a.comp\n"


def test_s10_4_a_failed_compensation_is_retried_then_told_and_rollback_goes_on_from_it(sluice):
    undo = {"run": 'echo "try $SLUICE_ATTEMPT" >>count; [ -e ok ] || exit 75',
            "retry": {"max_attempts": 2, "initial": "1ms"}}
    log = two(sluice, last={"run": "exit 1", "on_failure": "compensate"}, undo_b=undo)
    assert log.outcome == "failed" and log.steps["a"].state == log.steps["b"].state == "succeeded"
    assert log.of("run.completed")[-1]["reason"] == "Compensation failed: b"
    assert [e["error_class"] for e in log.of("compensation.failed", "b")] == ["transient_io"] * 2
    assert "compensation 1 of b failed: exit code 75" in sluice("status", sluice.id).stdout
    assert sluice("resume", sluice.id, code=3).stderr.count("rollback")
    sluice("rollback", sluice.id, code=1)
    (sluice.root / "ok").touch()
    sluice("rollback", sluice.id, code=0)
    sluice.log(ended="rolled_back")
    assert count(sluice) == ["a", "b", "try 0", "try 1", "try 2", "try 3", "try 4", "undo a"]


@pytest.mark.parametrize("undo, error_class", [
    ({"argv": ["/no/such/program"]}, "configuration"),
    ({"argv": ["echo", "${outputs.b.nothing.at.all}"]}, "configuration"),
    ({"run": "sleep 60", "timeout": "20ms", "grace": "0s"}, "timeout"),
    ({"run": 'echo \'{"error_class": "dependency", "reason": "no peer"}\' >"$SLUICE_OUTPUT"; exit 3'}, "dependency"),
    ({"run": "kill -9 $$"}, "unknown"),
    ({"run": "true", "cwd": "/no/such/folder"}, "configuration"),
], ids=["program", "expression", "timeout", "own-words", "signal", "cwd"])
def test_s10_3_however_a_compensation_fails_the_run_stays_failed(sluice, undo, error_class):
    log = two(sluice, last={"run": "exit 1", "on_failure": "compensate"}, undo_b=undo)
    assert log.outcome == "failed" and log.of("compensation.failed", "b")[0]["error_class"] == error_class
    assert count(sluice) == ["a", "b"]


def test_s10_5_a_stopped_and_a_blocked_run_are_rolled_back(sluice):
    run = sluice.start("run", sluice.pipeline({
        "a": {"run": "echo a >>count", "compensate": UNDO}, "b": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "b")
    sluice("stop", sluice.id, "--now", code=0)
    assert run.wait() == 6
    sluice("rollback", sluice.id, code=0)
    assert count(sluice) == ["a", "undo a"]
    sluice.log(ended="rolled_back")

    sluice.go({"a": {"run": "echo x >>count", "compensate": UNDO}, "m": {"gate": "manual", "run": "true"}},
              run_id="blocked", code=4)
    sluice("rollback", "blocked", code=0)
    sluice.log("blocked", ended="rolled_back")
    sluice("approve", "blocked", "m", "--reason", "late", code=3)
    assert "Next:" not in sluice("status", "blocked").stdout


def test_s10_1_a_run_with_a_failed_gate_is_rolled_back_without_an_override(sluice):
    sluice.go({"a": {"run": "echo a >>count", "compensate": UNDO}, "g": {"gate": "hard", "run": "false"},
               "z": "echo z >>count"}, code=1)
    sluice("rollback", sluice.id, code=0)
    assert count(sluice) == ["a", "undo a"]


def test_s10_1_what_cannot_be_rolled_back_is_refused_and_nothing_is_written(sluice):
    sluice.go({"a": {"run": "true", "compensate": UNDO}})
    before = sluice.raw()
    assert "succeeded" in sluice("rollback", sluice.id, code=3).stderr
    sluice("rollback", "nobody", code=9)
    sluice("rollback", code=2)
    sluice("rollback", sluice.id, "--force", code=2)
    sluice("rollback", sluice.id, "extra", code=2)
    sluice("rollback", sluice.id, "--as", "x" * 300, code=2)
    sluice("rollback", sluice.id, "--reason", "\udcff", code=2)
    assert sluice.raw() == before


def test_s10_1_a_live_run_is_locked(sluice):
    sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    before = sluice.raw()
    sluice("rollback", sluice.id, code=8)
    assert sluice.raw() == before


def test_s10_1_a_damaged_log_is_not_rolled_back(sluice):
    two(sluice)
    path = sluice.run_dir() / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"exit_code":1', b'"exit_code":2'))
    before = sluice.raw()
    sluice("rollback", sluice.id, code=7)
    assert sluice.raw() == before


def test_s8_3_a_compensation_outlives_its_engine_and_runs_once(sluice):
    undo = {"run": 'echo "undo $SLUICE_STEP" >>count; until [ -e go ]; do sleep 0.01; done'}
    two(sluice, undo_b=undo)
    engine = sluice.start("rollback", sluice.id)
    until(lambda: count(sluice)[-1:] == ["undo b"])
    sluice.cut(engine)
    (sluice.root / "go").touch()
    assert sluice("resume", sluice.id, code=1)  # it goes on with the rollback; the run's end is 1
    assert sluice.log(ended="rolled_back").resumes == 1
    assert count(sluice) == ["a", "b", "undo b", "undo a"]


def test_s8_3_a_lost_compensation_waits_for_a_person(sluice):
    undo = {"run": 'echo "undo $SLUICE_ATTEMPT" >>count; [ "$SLUICE_ATTEMPT" = 1 ] || sleep 60'}
    two(sluice, undo_b=undo)
    engine = sluice.start("rollback", sluice.id)
    until(lambda: count(sluice)[-1:] == ["undo 0"])
    sluice.kill_machine(engine)
    sluice("rollback", sluice.id, code=1)
    assert sluice.log().of("compensation.failed", "b")[0]["error_class"] == "lost"
    sluice("rollback", sluice.id, code=0)
    assert count(sluice) == ["a", "b", "undo 0", "undo 1", "undo a"]


def test_s10_4_a_stop_ends_the_rollback_and_another_one_goes_on(sluice):
    undo = {"run": 'echo "undo $SLUICE_STEP" >>count; until [ -e go ]; do sleep 0.01; done'}
    two(sluice, undo_b=undo)
    engine = sluice.start("rollback", sluice.id)
    until(lambda: count(sluice)[-1:] == ["undo b"])
    sluice("stop", sluice.id, code=0)
    (sluice.root / "go").touch()
    assert engine.wait() == 1
    log = sluice.log()
    assert log.state == "failed" and log.steps["b"].state == "compensated"
    sluice("rollback", sluice.id, code=0)
    assert count(sluice) == ["a", "b", "undo b", "undo a"]


def test_s10_2_output_of_a_compensation_is_in_a_log_of_its_own(sluice):
    two(sluice, undo_b={"run": "echo took it back"})
    sluice("rollback", sluice.id, code=0)
    assert sluice.output("b.comp") == b"took it back\n"


def test_s1_5_a_stop_that_was_acknowledged_stays_when_its_engine_dies(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "until [ -e go ]; do sleep 0.01; done", "b": "touch late"}),
                          "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    sluice("stop", sluice.id, code=0)
    sluice.cut(engine)
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, "--from", "a", code=3)
    sluice("resume", sluice.id, code=6)
    assert sluice.log().state == "stopped" and not (sluice.root / "late").exists()
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")


def test_s7_5_a_stop_now_reaches_what_runs_after_its_engine_died(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "touch begun; sleep 60"}), "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    os.kill(engine.pid, signal.SIGSTOP)
    sluice.cut(engine)
    sluice("stop", sluice.id, "--now", code=0)
    sluice("resume", sluice.id, code=6)
    log = sluice.log()
    assert log.state == "stopped" and log.of("step.failed", "a")[0]["error_class"] == "cancelled"


@pytest.mark.parametrize("gate", ["hard", "manual"])
@pytest.mark.parametrize("where", ["step", "defaults"])
def test_s10_1_a_gate_that_a_person_decides_on_is_not_undone_by_itself(sluice, gate, where):
    """Whatever the step says (S5.4, S5.7)."""
    steps = {"a": {"run": "true", "compensate": UNDO}, "g": {"run": "exit 1", "gate": gate}}
    top = {"defaults": {"on_failure": "compensate"}} if where == "defaults" else {}
    if where == "step":
        steps["g"]["on_failure"] = "compensate"
    sluice.go(steps, code=4 if gate == "manual" else 1, **top)
    if gate == "manual":
        sluice("reject", sluice.id, "g", "--reason", "no", code=0)
        sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert not log.of("run.rollback_started") and log.steps["a"].state == "succeeded"


def test_s10_1_what_is_cancelled_or_asked_to_stop_is_not_undone_by_itself(sluice):
    steps = {"a": {"run": "true", "compensate": UNDO},
             "b": {"run": "until [ -e go ]; do sleep 0.01; done; exit 1", "on_failure": "compensate"}}
    for run_id, order in (("cancelled", ["--now"]), ("asked", [])):
        run = sluice.start("run", sluice.pipeline(steps), "--run-id", run_id)
        sluice.wait_event("step.started", "b", run_id=run_id)
        sluice("stop", run_id, *order, code=0)
        (sluice.root / "go").touch()
        run.wait()
        (sluice.root / "go").unlink()
        log = sluice.log(run_id)
        assert not log.of("run.rollback_started") and log.steps["a"].state == "succeeded", run_id
        assert log.state == ("stopped" if run_id == "cancelled" else log.state)
        sluice("rollback", run_id, code=0)
        sluice.log(run_id, ended="rolled_back")


def test_s10_1_only_the_last_failure_undoes(sluice):
    """A retry comes first."""
    log = two(sluice, last={"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "on_failure": "compensate",
                            "retry": {"max_attempts": 2, "initial": "1ms"}}, code=0)
    assert log.state == "succeeded" and count(sluice) == ["a", "b"]


def test_s10_2_what_failed_or_has_no_compensation_is_left_as_it_is(sluice):
    log = sluice.go({
        "a": {"run": "true", "compensate": UNDO}, "plain": "true",
        "bad": {"run": "exit 1", "on_failure": "continue", "compensate": UNDO},
        "left": {"needs": ["a"], "run": "true", "compensate": UNDO}, "right": {"needs": ["a"], "run": "true", "compensate": UNDO},
        "last": {"needs": ["left", "right", "plain", "bad"], "run": "exit 1", "on_failure": "compensate"}}, code=1)
    undone = [e["step_id"] for e in log.of("step.compensated")]
    assert sorted(undone) == ["a", "left", "right"] and undone[-1] == "a", "reverse topological order"
    assert log.steps["plain"].state == "succeeded" and log.steps["bad"].state == "failed"
    assert count(sluice) == [f"undo {name}" for name in undone]


def test_s10_2_what_was_given_was_not_done_here_and_is_not_undone(sluice):
    context = sluice.root / "context.json"
    context.write_text('{"outputs": {"a": {}}}')
    log = sluice.go({
        "a": {"run": "echo a >>count", "compensate": UNDO},
        "b": {"run": "echo b >>count", "compensate": UNDO},
        "c": {"run": "exit 1", "on_failure": "compensate"}}, "--from", "b", "--context", context, code=1)
    assert log.outcome == "rolled_back" and count(sluice) == ["b", "undo b"]
    told = sluice("explain", sluice.id, "a", code=0).stdout
    assert "was not executed: its outputs were given" in told


def test_s10_2_a_retry_of_a_compensation_is_announced_with_its_delay(sluice):
    undo = {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "30ms", "jitter": "0%"}}
    log = two(sluice, last={"run": "exit 1", "on_failure": "compensate"}, undo_b=undo)
    assert log.outcome == "rolled_back"
    assert [e.get("delay_ms") for e in log.of("compensation.failed", "b")] == [30]
    assert [e["attempt"] for e in log.of("compensation.started", "b")] == [0, 1]


def test_s10_2_the_deadline_of_the_run_does_not_bound_a_compensation(sluice):
    for seconds in (1, 5, 25):  # the first that is enough for `a`, however slow the machine is
        run_id = f"{sluice.id}-{seconds}"
        undo = {"run": f"sleep {seconds}.2; echo undone >>count"}
        path = sluice.pipeline({"a": {"run": "true", "compensate": undo}, "b": "sleep 60"}, timeout=f"{seconds}s")
        sluice("run", path, "--run-id", run_id, code=1)
        if sluice.log(run_id).steps["a"].state == "succeeded":
            break
    sluice("rollback", run_id, code=0)
    assert count(sluice) == ["undone"]


@pytest.mark.parametrize("undo, where", [({"run": "exit 3"}, "failed"), ({"run": "true"}, "rolled_back")])
def test_s10_3_exit_codes_and_the_reason(sluice, undo, where):
    log = two(sluice, undo_b=undo)
    done = sluice("rollback", sluice.id, code=0 if where == "rolled_back" else 1)
    log = sluice.log(ended=where)
    assert log.outcome == where
    if where == "failed":
        assert log.of("run.completed")[-1]["reason"] == "Compensation failed: b" and "b" in done.stderr
        assert log.steps["a"].state == "succeeded"


def test_s10_3_a_stopped_run_stays_stopped_when_a_compensation_fails(sluice):
    run = sluice.start("run", sluice.pipeline({"a": {"run": "true", "compensate": {"run": "exit 3"}}, "b": "sleep 60"}),
                       "--run-id", sluice.id)
    sluice.wait_event("step.started", "b")
    sluice("stop", sluice.id, "--now", code=0)
    assert run.wait() == 6
    sluice("rollback", sluice.id, code=1)
    log = sluice.log()
    assert log.state == "stopped" and log.outcome == "failed"


def test_s10_4_a_rollback_that_was_cut_off_takes_nothing_new(sluice):
    undo = {"run": 'echo "undo $SLUICE_STEP" >>count; until [ -e go ]; do sleep 0.01; done'}
    log = sluice.go({"a": {"run": "echo a >>count", "compensate": undo}, "g": {"gate": "hard", "run": "exit 1"}}, code=1,
                    params={"p": {"type": "int", "default": 1}})
    engine = sluice.start("rollback", sluice.id)
    until(lambda: count(sluice)[-1:] == ["undo a"])
    sluice.cut(engine)
    (sluice.root / "go").touch()
    for words in (["--from", "a"], ["-p", "p=2"], ["--override", "g", "--reason", "x"]):
        before = sluice.raw()
        assert "roll" in sluice("resume", sluice.id, *words, code=3).stderr
        assert sluice.raw() == before
    sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="rolled_back")
    assert count(sluice) == ["a", "undo a"]
    assert "rolled_back" in sluice("rollback", sluice.id, code=3).stderr and sluice("resume", sluice.id, code=3)
    assert log.events == sluice.log().events


def test_s10_4_stop_now_kills_a_compensation_and_starts_no_other(sluice):
    undo = {"run": 'echo "undo $SLUICE_STEP" >>count; sleep 60'}
    two(sluice, undo_b=undo)
    engine = sluice.start("rollback", sluice.id)
    until(lambda: count(sluice)[-1:] == ["undo b"])
    sluice("stop", sluice.id, "--now", code=0)
    assert engine.wait() == 1
    assert count(sluice) == ["a", "b", "undo b"] and sluice.log().steps["a"].state == "succeeded"


def test_s10_5_what_still_runs_ends_first_and_the_rest_has_no_events(sluice):
    failed = f"""grep -q '"step.failed".*"bad"' {sluice.run_dir()}/events.jsonl"""
    log = sluice.go({
        "a": {"needs": [], "run": "true", "compensate": UNDO},
        "long": {"needs": [], "run": f"until {failed}; do sleep 0.02; done; echo long >>count", "compensate": UNDO},
        "bad": {"needs": ["a"], "run": "exit 1", "on_failure": "compensate"},
        "never": {"needs": ["long"], "run": "echo never >>count"}}, code=1, concurrency=4)
    assert log.outcome == "rolled_back" and count(sluice)[0] == "long" and sorted(count(sluice)[1:]) == ["undo a", "undo long"]
    kinds = log.types()
    assert kinds.index("run.rollback_started") < kinds.index("compensation.started")
    at = [i for i, e in enumerate(log.events) if e.get("step_id") == "long" and e["event_type"] == "step.succeeded"][0]
    assert at < kinds.index("compensation.started") and not log.of("step.started", "never")


def test_s10_5_a_blocked_run_that_is_rolled_back_asks_nobody(sluice):
    sluice.go({"a": {"run": "true", "compensate": UNDO}, "m": {"gate": "manual", "run": "true"}, "z": "true"}, code=4)
    sluice("rollback", sluice.id, code=0)
    log = sluice.log(ended="rolled_back")
    before = sluice.raw()
    for verb in ("approve", "reject"):
        assert "rolled back" in sluice(verb, sluice.id, "m", "--reason", "x", code=3).stderr
    assert sluice.raw() == before and log.sequence("z") == []
