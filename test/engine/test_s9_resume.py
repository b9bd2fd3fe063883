"""S9: resume, overrides, changed definitions, two processes."""
import os
import signal

import pytest

from support.sluice import until

FLAKY = '[ -e ok ] || exit 1'


def test_s9_1_succeeded_nothing_to_do(sluice):
    sluice.go({"a": "echo x >>count"})
    before = sluice.raw()
    sluice("resume", sluice.id, code=0)
    assert sluice.raw() == before and (sluice.root / "count").read_text() == "x\n"


def test_s9_1_blocked_and_nothing_decided(sluice):
    sluice.go({"m": {"gate": "manual", "run": "true"}}, code=4)
    before = sluice.raw()
    sluice("resume", sluice.id, code=4)
    assert sluice.raw() == before


def test_s9_2_failed_and_skipped_steps_run_again_succeeded_ones_do_not(sluice):
    log = sluice.go({"a": "echo a >>count", "b": FLAKY, "c": "echo c >>count",
                     "d": {"when": "false", "run": "echo d >>count"}}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "a\nc\n"
    assert len(log.of("run.resumed")) == 1 and log.steps["b"].started == [0, 1]
    assert log.of("run.completed")[-1]["reason"].endswith("(resume)")


def test_s9_2_the_context_is_rebuilt(sluice):
    sluice.go({"a": {"run": 'echo n=41 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}},
               "b": FLAKY, "c": {"argv": ["test", "${outputs.a.n + 1}", "=", "42"]}}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)


def test_s9_2_params_are_overridden_and_recorded(sluice):
    params = {"n": {"type": "int", "default": 1}, "m": {"type": "int", "default": 5}}
    sluice.go({"a": '[ "$PARAM_n" = 2 ] && [ "$PARAM_m" = 5 ]'}, code=1, params=params)
    sluice("resume", sluice.id, "-p", "n=two", code=2)
    sluice("resume", sluice.id, "-p", "nobody=2", code=2)
    assert not sluice.log().of("run.resumed")
    sluice("resume", sluice.id, "-p", "n=2", code=0)
    assert sluice.log(ended="succeeded").of("run.resumed")[0]["params"] == {"n": 2}


def test_s9_2_params_of_an_earlier_resume_stay(sluice):
    sluice.go({"a": '[ "$PARAM_n" = 2 ]; [ -e ok ]'}, code=1, params={"n": {"type": "int", "default": 1}})
    sluice("resume", sluice.id, "-p", "n=2", code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)


def test_s9_2_from_runs_a_step_and_all_downstream_again(sluice):
    steps = {s: f"echo {s} >>count" for s in "abc"} | {"side": {"needs": ["a"], "run": "echo side >>count"}} | \
        {"last": {"needs": ["c", "side"], "run": "echo last >>count; " + FLAKY}}
    sluice.go(steps, code=1)
    (sluice.root / "ok").touch()
    (sluice.root / "count").write_text("")
    sluice("resume", sluice.id, "--from", "b", code=0)
    assert sorted((sluice.root / "count").read_text().split()) == ["b", "c", "last"]
    log = sluice.log(ended="succeeded")
    assert log.of("run.resumed")[0]["from"] == "b" and log.steps["b"].started == [0, 1]


def test_s7_3_a_retry_that_was_to_come_waits_for_what_the_resume_opened(sluice):
    """S9.2, S3.2: the gate is asked again, and nothing is due until then: the run is blocked, and does not hang."""
    path = sluice.pipeline({"gate": {"gate": "manual", "on_failure": "continue", "run": "exit 1"},
                            "later": {"run": "[ -e ok ] || exit 75", "retry": {"max_attempts": 3, "initial": "60s"}}})
    sluice("run", path, "--run-id", sluice.id, code=4)
    sluice("approve", sluice.id, "gate", "--as", "ann", "--reason", "go", code=0)
    engine = sluice.start("resume", sluice.id)
    until(lambda: sluice.has_event("step.retried", "later"))
    sluice("stop", sluice.id, code=0)
    assert engine.wait(20) == 6
    sluice("resume", sluice.id, code=4, timeout=20)
    assert sluice.log(ended="blocked").of("run.state_changed")[-1]["reason"] == "waiting for approval"
    (sluice.root / "ok").touch()
    sluice("approve", sluice.id, "gate", "--as", "ann", "--reason", "again", code=0)
    sluice("resume", sluice.id, code=5, timeout=20)
    log = sluice.log(ended="failed")
    assert log.steps["later"].started == [0, 1] and log.steps["later"].state == "succeeded"


def test_s9_2_from_needs_that_all_it_needs_succeeded(sluice):
    sluice.go({"a": FLAKY, "b": "true", "c": "true"}, code=1)
    before = sluice.raw()
    sluice("resume", sluice.id, "--from", "c", code=3)
    sluice("resume", sluice.id, "--from", "nobody", code=9)
    assert sluice.raw() == before


def test_s9_2_from_cannot_go_past_a_failed_gate(sluice):
    sluice.go({"a": "true", "g": {"gate": "hard", "run": "exit 1"}, "z": "touch ran"}, code=1)
    for step in "agz":
        sluice("resume", sluice.id, "--from", step, code=3)
    assert not (sluice.root / "ran").exists()


def test_s9_3_the_definition_is_frozen(sluice):
    sluice.go({"a": FLAKY, "b": "echo old >which"}, code=1)
    sluice.pipeline({"a": "false", "b": "echo new >which"})
    (sluice.root / "ok").touch()
    result = sluice("resume", sluice.id, code=0)
    assert (sluice.root / "which").read_text() == "old\n", result
    (sluice.root / "pipeline.yaml").unlink()
    sluice("resume", sluice.id, code=0)


def test_s9_3_a_frozen_definition_that_was_changed_is_refused(sluice):
    sluice.go({"a": "false", "b": "true"}, code=1)
    frozen = sluice.run_dir() / "pipeline.json"
    frozen.chmod(0o600)
    frozen.write_text(frozen.read_text().replace('"false"', '"true"'))
    before = sluice.raw()
    sluice("resume", sluice.id, code=7)
    assert sluice.raw() == before


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_s9_3_a_frozen_definition_that_is_gone_is_an_error(sluice, damage):
    sluice.go({"a": "false"}, code=1)
    frozen = sluice.run_dir() / "pipeline.json"
    if damage == "missing":
        frozen.unlink()
    else:
        frozen.write_text("")
    sluice("resume", sluice.id, code=(7, 9))


def test_s9_resume_check_tells_and_writes_nothing(sluice):
    sluice.go({"a": "true", "b": FLAKY, "c": "true"}, code=1)
    before = sluice.raw()
    result = sluice("resume", sluice.id, "--check", code=0)
    assert "resumable" in result.stdout and "b" in result.stdout
    assert sluice.raw() == before


def test_s13_two_processes_on_one_run(sluice):
    path = sluice.pipeline({"a": "while [ ! -e ok ]; do sleep 0.05; done"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    before = sluice.raw()
    sluice("resume", sluice.id, code=8)
    sluice("run", path, "--run-id", sluice.id, code=(3, 8))
    for verb in ("status", "summary", "events", "verify"):
        sluice(verb, sluice.id, code=0)
    assert sluice.raw() == before
    (sluice.root / "ok").touch()
    assert engine.wait(20) == 0
    sluice.log(ended="succeeded")


def test_s13_a_run_id_that_exists_is_refused(sluice):
    sluice.go({"a": "echo x >>count"})
    before = sluice.raw()
    sluice("run", sluice.root / "pipeline.yaml", "--run-id", sluice.id, code=3)
    assert sluice.raw() == before and (sluice.root / "count").read_text() == "x\n"


def test_d24_a_paused_engine_still_owns_its_run(sluice):
    path = sluice.pipeline({"a": "touch begun; while [ ! -e ok ]; do sleep 0.05; done", "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    os.kill(engine.pid, signal.SIGSTOP)
    sluice("resume", sluice.id, code=8)
    record = sluice.run_dir() / "attempts.log"
    size = record.stat().st_size
    (sluice.root / "ok").touch()
    until(lambda: record.stat().st_size > size, of="the end of a")
    os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(20) == 0
    sluice.log(ended="succeeded")


def test_d25_the_lock_is_not_inherited_by_a_step(sluice):
    path = sluice.pipeline({"a": "while [ ! -e ok ]; do sleep 0.05; done", "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    until(lambda: sluice.keepers(), of="a keeper")
    sluice.cut(engine)
    second = sluice.start("resume", sluice.id)
    sluice.wait_event("run.resumed")
    (sluice.root / "ok").touch()
    assert second.wait(20) == 0, second.communicate()
    assert sluice.log(ended="succeeded").steps["a"].started == [0]
