"""S5.4 - S5.6: gates. A gate passes only on an explicit, recorded, well-formed pass."""
import json
import os
import time

import pytest

from support.sluice import until

WRITE = 'echo n={} >"$SLUICE_OUTPUT"'
GATE = {"gate": "hard", "outputs": {"n": {"type": "int"}}, "pass": "output.n > 5"}
MANUAL = {"gate": "manual", "run": "touch done"}


def test_a_pass_is_recorded_with_its_evidence(sluice):
    log = sluice.go({"a": {**GATE, "run": WRITE.format(7)}})
    evidence = log.of("gate.passed", "a")[0]["evidence"]
    assert "output.n > 5" in json.dumps(evidence) and "7" in json.dumps(evidence)
    assert [t for t, _ in log.sequence("a")] == ["step.started", "gate.passed", "step.succeeded"]


def test_a_hard_gate_without_pass_writes_no_extra_line(sluice):
    log = sluice.go({"a": {"gate": "hard", "run": "true"}})
    assert [t for t, _ in log.sequence("a")] == ["step.started", "step.succeeded"]


def test_s1_4_nothing_below_a_failed_hard_gate_runs(sluice):
    log = sluice.go({
        "a": {**GATE, "run": WRITE.format(3), "reason": "n is ${output.n}"},
        "b": "touch ran", "c": {"needs": [], "run": "sleep 0.5"}, "d": {"needs": ["c"], "run": "touch ran"}},
        code=1, concurrency=2)
    assert not (sluice.root / "ran").exists()
    failed, gate = log.of("step.failed", "a")[0], log.of("gate.failed", "a")[0]
    assert failed["error_class"] == gate["error_class"] == "hard_gate_failed"
    assert failed["reason"] == gate["reason"] == "n is 3"
    assert "3" in json.dumps(gate["evidence"])
    assert {e["step_id"]: e["reason"] for e in log.of("step.skipped")} == {"b": "gate_failed", "d": "run_stopped"}
    assert sluice("resume", sluice.id, code=3).stderr
    assert sluice.log().events == log.events, "refused: nothing written"


@pytest.mark.parametrize("policy", ["continue", "ignore", "skip_downstream"])
def test_s5_4_a_hard_gate_stops_whatever_its_policy_says(sluice, policy):
    log = sluice.go({"a": {**GATE, "run": WRITE.format(3), "on_failure": policy}, "b": "touch ran"}, code=1)
    assert not (sluice.root / "ran").exists() and log.state == "failed" and log.outcome == "failed"


def deadline(what):
    """Only for what would not end by itself: all others end as they say, however slow the machine is."""
    return {"timeout": "500ms", "grace": "100ms"} if what.startswith("sleep") else {}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("what", [
    "exit 1", "exit 75", "exit 255", "kill -9 $$", "kill -SEGV $$", "sleep 10",
    "true",                                          # no result at all
    ': >"$SLUICE_OUTPUT"', 'echo n=x >"$SLUICE_OUTPUT"', 'echo garbage >"$SLUICE_OUTPUT"',
    'echo "{" >"$SLUICE_OUTPUT"', 'printf "n=\\xff" >"$SLUICE_OUTPUT"',
    'echo \'{"outputs":{"n":"7"}}\' >"$SLUICE_OUTPUT"', 'echo \'{"outputs":[]}\' >"$SLUICE_OUTPUT"',
    'echo \'{"outputs":{"n":7}}x\' >"$SLUICE_OUTPUT"', 'echo \'{"outputs":{"n":7,"n":8}}\' >"$SLUICE_OUTPUT"',
    'mkdir "$SLUICE_OUTPUT"', 'ln -s /etc/passwd "$SLUICE_OUTPUT"', 'mkfifo "$SLUICE_OUTPUT"',
    'head -c 2000000 /dev/zero | tr "\\0" 7 >"$SLUICE_OUTPUT"',
])
def test_s5_5_whatever_is_no_explicit_pass_does_not_pass(sluice, what):
    log = sluice.go({"a": {**GATE, "run": what, **deadline(what)}, "b": "touch ran"}, code=1)
    assert not (sluice.root / "ran").exists()
    assert not log.of("gate.passed") and len(log.of("gate.failed", "a")) == 1
    sluice("resume", sluice.id, code=3)


@pytest.mark.parametrize("what", ["exit 1", "exit 75", "kill -9 $$", "sleep 10", "no_such_command"])
def test_s5_5_a_gate_without_an_expression_passes_by_exit_0_alone(sluice, what):
    log = sluice.go({"a": {"gate": "hard", "run": what, **deadline(what)}, "b": "touch ran"}, code=1)
    assert not (sluice.root / "ran").exists()
    assert len(log.of("gate.failed", "a")) == 1 and not log.of("step.succeeded")
    sluice("resume", sluice.id, code=3)


@pytest.mark.parametrize("expression", ["output.n", "output.missing", "nil", "output.n > nil", "1 + {}",
                                        "(function() while true do end end)()"])
def test_s5_5_an_expression_that_errs_or_is_no_boolean_does_not_pass(sluice, expression):
    path = sluice.pipeline({"a": {**GATE, "pass": expression, "run": WRITE.format(9)}, "b": "touch ran"})
    result = sluice("run", path, "--run-id", sluice.id, code=(1, 2))
    assert not (sluice.root / "ran").exists()
    if result.code == 1:
        assert len(sluice.log().of("gate.failed", "a")) == 1


def test_s5_4_a_soft_gate_warns(sluice):
    log = sluice.go({"a": {**GATE, "gate": "soft", "run": WRITE.format(1)}, "b": "true"})
    gate = log.of("gate.failed", "a")[0]
    assert gate["soft"] is True and log.steps["a"].state == "succeeded" and log.steps["b"].state == "succeeded"
    assert log.of("run.completed")[0]["warnings"] == 1


def test_s5_4_a_soft_gate_whose_command_fails_follows_on_failure(sluice):
    log = sluice.go({"a": {**GATE, "gate": "soft", "run": "exit 1"}, "b": "touch ran"}, code=1)
    assert log.steps["b"].state == "skipped" and not (sluice.root / "ran").exists()


def test_s5_4_gate_failed_has_the_number_of_the_attempt(sluice):
    log = sluice.go({"a": {"gate": "hard", "run": "exit 75", "retry": {"max_attempts": 3, "initial": "1ms"}}}, code=1)
    assert log.of("gate.failed", "a")[0]["attempt"] == 2
    assert len(log.of("step.failed", "a")) == 3 and len(log.of("gate.failed")) == 1


def test_s7_3_a_hard_gate_retries_what_is_retryable_only(sluice):
    once = 'if [ "$SLUICE_ATTEMPT" = 0 ]; then exit 75; fi; ' + WRITE.format(3)
    log = sluice.go({"a": {**GATE, "run": once, "retry": {"max_attempts": 5, "initial": "1ms"}}}, code=1)
    assert [e["error_class"] for e in log.of("step.failed", "a")] == ["transient_io", "hard_gate_failed"]


# ----------------------------------------------------------------------------------- people

def test_s5_6_approve_on_a_run_that_nobody_owns(sluice):
    sluice.go({"a": "true", "m": MANUAL, "z": "true"}, code=4)
    assert not (sluice.root / "done").exists()
    sluice("resume", sluice.id, code=4)
    before = sluice.raw()
    sluice("approve", sluice.id, "m", "--as", "anna", code=(2, 3))
    assert sluice.raw() == before, "an approval needs a reason"
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "looks good", code=0)
    approved = sluice.log().of("gate.approved", "m")[0]
    assert approved["actor"] == "manual:anna" and approved["reason"] == "looks good"
    assert approved["peer_uid"] == 0 or approved["peer_uid"] > 0
    assert approved["peer_pid"] > 1
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "done").exists()
    log = sluice.log(ended="succeeded")
    assert ("blocked", "executing") in [(e["previous_state"], e["new_state"]) for e in log.of("run.state_changed")]


def live_gate(sluice, **approve):
    """A run that goes on while its gate waits: another branch keeps it alive."""
    gate = {**MANUAL, "needs": []}
    if approve:
        gate["approve"] = approve
    path = sluice.pipeline({"m": gate, "busy": {"needs": [], "run": "while [ ! -e done ] && [ ! -e end ]; do sleep 0.05; done"}},
                           concurrency=2)
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.waiting", "m")
    sluice.wait_event("step.started", "busy")
    return engine


def test_s5_6_approve_through_the_socket_of_a_live_run(sluice):
    engine = live_gate(sluice)
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "ok", code=0)
    assert sluice.has_event("gate.approved", "m"), "answered when durable"
    assert engine.wait(20) == 0
    log = sluice.log(ended="succeeded")
    assert log.of("gate.approved", "m")[0]["actor"] == "manual:anna" and not log.of("run.resumed")


def test_s5_6_reject_through_the_socket_of_a_live_run(sluice):
    engine = live_gate(sluice)
    sluice("reject", sluice.id, "m", "--as", "anna", "--reason", "no", code=0)
    (sluice.root / "end").touch()
    assert engine.wait(20) == 1
    log = sluice.log(ended="failed")
    assert log.of("gate.rejected", "m")[0]["actor"] == "manual:anna"
    assert log.of("step.failed", "m")[0]["error_class"] == "hard_gate_failed"
    assert not (sluice.root / "done").exists()


@pytest.mark.parametrize("live", [False, True])
def test_s5_6_count_needs_distinct_names_out_of_by(sluice, live):
    approve = {"by": ["anna", "ben", "carl"], "count": 2}
    if live:
        engine = live_gate(sluice, **approve)
    else:
        sluice.go({"m": {**MANUAL, "approve": approve}}, code=4)
    say = ("approve", sluice.id, "m", "--reason", "ok", "--as")
    sluice(*say, "mallory", code=3)
    sluice(*say, "", code=(2, 3))
    sluice(*say, "anna", code=0)
    sluice(*say, "anna", code=3)
    assert not (sluice.root / "done").exists()
    sluice(*say, "ben", code=0)
    if live:
        assert engine.wait(20) == 0
    else:
        sluice("resume", sluice.id, code=0)
    assert [e["actor"] for e in sluice.log(ended="succeeded").of("gate.approved")] == ["manual:anna", "manual:ben"]


def test_s5_6_reject_on_a_run_that_nobody_owns_then_override_asks_again(sluice):
    sluice.go({"m": MANUAL, "z": "touch after"}, code=4)
    sluice("reject", sluice.id, "m", "--as", "anna", "--reason", "no", code=0)
    sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert [t for t, _ in log.sequence("m")] == ["step.waiting", "gate.rejected", "step.failed", "gate.failed"]
    sluice("resume", sluice.id, code=3)
    sluice("resume", sluice.id, "--override", "m", "--as", "anna", code=(2, 3))
    sluice("resume", sluice.id, "--override", "m", "--reason", "changed my mind", "--as", "anna", code=4)
    log = sluice.log()
    assert log.of("run.override_applied")[0]["actor"] == "manual:anna"
    assert len(log.of("step.waiting", "m")) == 2
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "yes", code=0)
    sluice("resume", sluice.id, code=(0, 5))
    assert (sluice.root / "done").exists() and (sluice.root / "after").exists()


@pytest.mark.parametrize("owned", [True, False])
def test_s7_6_an_approval_that_nobody_gives_in_time_is_rejected(sluice, owned):
    gate = {**MANUAL, "approve": {"timeout": "700ms", "on_timeout": "reject"}}
    if owned:
        log = sluice.go({"m": {**gate, "needs": []}, "busy": {"needs": [], "run": "sleep 1.5"}}, code=1, concurrency=2)
    else:
        log = sluice.go({"m": gate}, code=4)
        assert log.of("step.waiting")[0]["until"] > log.of("step.waiting")[0]["timestamp_utc"]
        time.sleep(0.8)
        sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "late", code=3)
        sluice("resume", sluice.id, code=1)
        log = sluice.log(ended="failed")
    assert not (sluice.root / "done").exists()
    assert log.of("gate.rejected", "m")[0]["actor"] == "runner"
    assert log.of("step.failed", "m")[0]["error_class"] == "hard_gate_failed"


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_s5_6_a_step_cannot_decide_its_own_gate(sluice, verb):
    where = f"SLUICE_HOME={sluice.home} XDG_RUNTIME_DIR={sluice.sockets}"
    say = f"{where} {sluice.program} {verb} {sluice.id} m --as anna --reason me"
    script = "\n".join(f"{how} {say} >said{i} 2>&1; echo $? >code{i}" if not how else
                       f"{how} env {say} >said{i} 2>&1; echo $? >code{i}"
                       for i, how in enumerate(["", "setsid", "env -i HOME=/", "setsid -f -w"]))
    path = sluice.pipeline({"m": {**MANUAL, "needs": []}, "evil": {"needs": [], "run": "set +e\n" + script}},
                           concurrency=2)
    sluice("run", path, "--run-id", sluice.id, code=4)
    log = sluice.log()
    for name in ("code0", "code1", "code2", "code3"):
        said = (sluice.root / name.replace("code", "said")).read_text()
        assert (sluice.root / name).read_text() == "3\n", (name, said)
    assert not log.of("gate.approved") and not log.of("gate.rejected")
    assert not (sluice.root / "done").exists()


def test_s9_1_override_needs_name_and_reason_and_ends_partial(sluice):
    sluice.go({"a": {**GATE, "run": WRITE.format(1)}, "b": "touch ran"}, code=1)
    sluice("resume", sluice.id, "--override", "a", code=(2, 3))
    sluice("resume", sluice.id, "--override", "a", "--reason", "", code=(2, 3))
    sluice("resume", sluice.id, "--override", "b", "--reason", "x", code=3)
    sluice("resume", sluice.id, "--override", "nobody", "--reason", "x", code=9)
    assert not (sluice.root / "ran").exists()
    sluice("resume", sluice.id, "--override", "a", "--reason", "checked by hand", "--as", "anna", code=5)
    log = sluice.log(ended="failed")
    applied = log.of("run.override_applied")[0]
    assert (applied["gate"], applied["override_reason"], applied["actor"]) == ("a", "checked by hand", "manual:anna")
    assert log.steps["a"].state == "failed" and log.outcome == "partial" and (sluice.root / "ran").exists()
    assert len(log.of("step.started", "a")) == 1, "S9.1: the step stays failed"


def test_s5_4_a_log_cut_after_the_gates_step_failed_does_not_let_a_resume_pass(sluice):
    sluice.go({"a": {**GATE, "run": WRITE.format(1)}, "b": "touch ran"}, code=1)
    lines = sluice.raw().splitlines(True)
    for i, line in enumerate(lines):
        if b'"step.failed"' in line:
            sluice.rewrite(b"".join(lines[:i + 1]))
    sluice("resume", sluice.id, code=(1, 3))
    sluice("resume", sluice.id, code=3)
    assert not (sluice.root / "ran").exists()
    assert len(sluice.log(ended="failed").of("gate.failed", "a")) == 1


def test_s5_5_a_gate_that_was_cancelled_did_not_fail_and_is_asked_again(sluice):
    run = sluice.start("run", sluice.pipeline({"g": {"gate": "hard", "run": "[ -e ok ] || sleep 60"}, "z": "touch after"}),
                       "--run-id", sluice.id)
    sluice.wait_event("step.started", "g")
    sluice("stop", sluice.id, "--now", code=0)
    assert run.wait() == 6
    log = sluice.log(ended="stopped")
    assert not log.of("gate.failed") and log.of("step.failed", "g")[0]["error_class"] == "cancelled"
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    assert sluice.log(ended="succeeded").steps["g"].started == [0, 1] and (sluice.root / "after").exists()


def test_s5_5_a_gate_whose_attempt_is_lost_failed(sluice):
    engine = sluice.start("run", sluice.pipeline({"g": {"gate": "hard", "run": "touch begun; sleep 60"}, "z": "touch after"}), "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="g")  # before that it may not be armed, and starts
    sluice.kill_machine(engine)
    sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert len(log.of("step.lost", "g")) == len(log.of("gate.failed", "g")) == 1 and log.of("gate.failed")[0]["error_class"] == "lost"
    sluice("resume", sluice.id, code=3)
    assert not (sluice.root / "after").exists()


def test_s5_6_who_decided_is_recorded(sluice):
    sluice.go({"m": MANUAL}, code=4)
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "read it", code=0)
    event = sluice.log().of("gate.approved")[0]
    assert (event["actor"], event["reason"], event["peer_uid"]) == ("manual:anna", "read it", os.getuid()) and event["peer_pid"] > 1


def test_s9_1_an_override_is_partial_until_the_gate_is_run_anew(sluice):
    sluice.go({"g": {"gate": "hard", "run": "[ -e ok ]"}, "z": "true"}, code=1)
    sluice("resume", sluice.id, "--override", "g", "--reason", "seen", "--as", "anna", code=5)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, "--from", "g", code=0)
    log = sluice.log(ended="succeeded")
    assert log.outcome == "success" and log.steps["g"].started == [0, 1]


def test_s9_1_an_override_is_partial_also_when_a_manual_gate_is_approved_after_it(sluice):
    sluice.go({"m": MANUAL, "z": "true"}, code=4)
    sluice("reject", sluice.id, "m", "--as", "anna", "--reason", "no", code=0)
    sluice("resume", sluice.id, code=1)
    sluice("resume", sluice.id, "--override", "m", "--reason", "changed my mind", "--as", "anna", code=4)
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "yes", code=0)
    sluice("resume", sluice.id, code=5)
    assert sluice.log(ended="failed").outcome == "partial"


def test_s9_2_an_override_opens_what_the_gate_skipped(sluice):
    log = sluice.go({"g": {"gate": "hard", "run": "exit 1"}, "below": "echo below >>count", "beside": {"needs": ["late"], "run": "echo beside >>count"},
                     "late": {"needs": [], "run": "sleep 0.2"}}, code=1, concurrency=2)
    assert {e["step_id"]: e["reason"] for e in log.of("step.skipped")} == {"below": "gate_failed", "beside": "run_stopped"}
    sluice("resume", sluice.id, "--override", "g", "--reason", "seen", "--as", "anna", code=5)
    assert sorted((sluice.root / "count").read_text().split()) == ["below", "beside"]
