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


def test_s10_a_failure_under_compensate_undoes_what_succeeded_last_first(sluice):
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


def test_s10_rollback_by_a_person_is_recorded_and_exits_0(sluice):
    two(sluice)
    assert "sluice rollback" in sluice("status", sluice.id).stdout
    sluice("rollback", sluice.id, "--reason", "wrong input", "--as", "anna", code=0)
    log = sluice.log(ended="rolled_back")
    event = log.of("run.rollback_started")[0]
    assert event["actor"] == "manual:anna" and event["reason"] == "wrong input" and event["peer_pid"]
    assert count(sluice) == ["a", "b", "undo b", "undo a"]


def test_s10_a_compensation_sees_the_outputs_of_its_step_and_its_own_keys(sluice):
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


def test_s10_a_failed_compensation_is_retried_then_told_and_rollback_goes_on_from_it(sluice):
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
def test_s10_however_a_compensation_fails_the_run_stays_failed(sluice, undo, error_class):
    log = two(sluice, last={"run": "exit 1", "on_failure": "compensate"}, undo_b=undo)
    assert log.outcome == "failed" and log.of("compensation.failed", "b")[0]["error_class"] == error_class
    assert count(sluice) == ["a", "b"]


def test_s10_a_stopped_and_a_blocked_run_are_rolled_back(sluice):
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


def test_s10_a_run_with_a_failed_gate_is_rolled_back_without_an_override(sluice):
    sluice.go({"a": {"run": "echo a >>count", "compensate": UNDO}, "g": {"gate": "hard", "run": "false"},
               "z": "echo z >>count"}, code=1)
    sluice("rollback", sluice.id, code=0)
    assert count(sluice) == ["a", "undo a"]


def test_s10_what_cannot_be_rolled_back_is_refused_and_nothing_is_written(sluice):
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


def test_s10_a_live_run_is_locked(sluice):
    sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    before = sluice.raw()
    sluice("rollback", sluice.id, code=8)
    assert sluice.raw() == before


def test_s10_a_damaged_log_is_not_rolled_back(sluice):
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


def test_s10_a_stop_ends_the_rollback_and_another_one_goes_on(sluice):
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


def test_s10_output_of_a_compensation_is_in_a_log_of_its_own(sluice):
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
    engine = sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    os.kill(engine.pid, signal.SIGSTOP)
    sluice.cut(engine)
    sluice("stop", sluice.id, "--now", code=0)
    sluice("resume", sluice.id, code=6)
    log = sluice.log()
    assert log.state == "stopped" and log.of("step.failed", "a")[0]["error_class"] == "cancelled"
