"""What approve, reject and stop answer: how far it came, who may, and what to type next."""
import json
import os
import signal
import time

import pytest

from support.sluice import until

TWO = """pipeline: release
steps:
  build: {run: 'true'}
  sign_off:
    gate: manual
    noop: true
    approve: {by: [anna, bert, cleo], count: 2}
  publish: {run: 'true'}
"""
LONG = "pipeline: long\nsteps:\n  a: {run: 'until test -e go; do sleep 0.05; done'}\n  b: {run: 'true'}\n"


@pytest.fixture
def blocked(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", TWO), "--run-id", "r", check=4)
    return sluice


def approve(sluice, name, check=0):
    return sluice.run("approve", "r", "sign_off", "--as", name, "--reason", "fine", check=check)


def test_the_first_of_two_approvals_says_that_another_one_is_missing_S5_6(blocked):
    told = approve(blocked, "anna").stderr
    assert told.splitlines()[0] == "sign_off approved by 1 of 2"
    assert "next: sluice approve r sign_off --reason TEXT\n" in told
    status = blocked.run("status", "r", check=0).stdout
    assert "Waiting: sign_off (approval) by anna, bert, cleo, 2 needed, so far approved by anna" in status
    step = next(s for s in json.loads(blocked.run("status", "r", "--json").stdout)["steps"] if s["step_id"] == "sign_off")
    assert step["approved_by"] == ["manual:anna"] and step["approvals_needed"] == 2


def test_the_last_approval_of_a_run_that_nobody_owns_says_how_it_goes_on_S5_6(blocked):
    approve(blocked, "anna")
    told = approve(blocked, "bert").stderr
    assert told == "sign_off approved\nnext: sluice resume r\n"
    assert ", 2 needed, approved by bert, anna\n" in blocked.run("status", "r").stdout
    assert "sign_off is waiting, approved" in blocked.run("explain", "r").stdout
    assert "it starts when a resume goes on with the run" in blocked.run("explain", "r", "sign_off").stdout
    blocked.run("resume", "-q", "r", check=0)


def test_who_may_not_decide_is_told_who_may_S5_6(blocked):
    assert "hint: who may: anna, bert, cleo (--as NAME)\n" in approve(blocked, "dora", check=3).stderr
    approve(blocked, "anna")
    told = approve(blocked, "anna", check=3).stderr
    assert "'anna' has approved 'sign_off' already" in told
    assert "hint: who may: bert, cleo (--as NAME)\n" in told


def test_a_live_owner_gives_the_same_hint_S5_6(sluice):
    text = TWO.replace("  publish:", "  long: {needs: [], run: sleep 20}\n  publish:")
    sluice.run("run", "--detach", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    end = time.monotonic() + 20
    while "Waiting: sign_off" not in sluice.run("status", "r").stdout and time.monotonic() < end:
        time.sleep(0.05)
    assert "who may: anna, bert, cleo" in approve(sluice, "dora", check=3).stderr
    assert approve(sluice, "anna").stderr == "sign_off approved by 1 of 2\n", "its owner goes on"
    assert sluice.run("stop", "r", "--now", check=0).stderr.startswith("stop requested\n")
    sluice.run("events", "r", "-f", timeout=20)


def test_a_rejected_gate_asks_nobody_any_more_S5_6(blocked):
    told = blocked.run("reject", "r", "sign_off", "--as", "cleo", "--reason", "no", check=0).stderr
    assert told == "sign_off rejected\nnext: sluice resume r\n"
    assert "\nRejected: sign_off (no)\n" in blocked.run("status", "r").stdout
    assert "sluice approve" not in blocked.run("explain", "r", "sign_off").stdout


def test_decisions_answer_with_the_status_as_json(blocked):
    told = blocked.run("approve", "r", "sign_off", "--as", "anna", "--reason", "x", "-o", "json", check=0)
    step = next(step for step in json.loads(told.stdout)["steps"] if step["step_id"] == "sign_off")
    assert step["approved_by"] == ["manual:anna"] and told.stderr == ""
    assert json.loads(blocked.run("stop", "r", "--json", "-q", check=0).stdout)["run_id"] == "r"
    assert blocked.run("reject", "r", "sign_off", "--reason", "x", "-o", "csv", check=2).stdout == ""
    wrong = blocked.run("approve", "r", "publish", "--reason", "x", "--json")
    assert wrong.returncode and wrong.stdout == "" and wrong.stderr.startswith("sluice: ")


def test_reject_answers_with_the_status_as_json(blocked):
    told = json.loads(blocked.run("reject", "r", "sign_off", "--as", "anna", "--reason", "x", "--json", check=0).stdout)
    assert told["run_id"] == "r"


def test_a_stop_of_a_run_that_nobody_owns_says_how_it_is_carried_out_S7_5(sluice):
    sluice.run("run", "--detach", sluice.write("p.yaml", LONG), "--run-id", "r", check=0)
    until(lambda: "step.started" in sluice.log("r").read_text())  # else there is nothing that could be waited for
    os.kill(json.loads(sluice.run("status", "r", "--json").stdout)["owner_pid"], signal.SIGKILL)
    told = sluice.run("stop", "r", "--reason", "why", check=0).stderr
    assert told == "stop requested\nnext: sluice resume r\n"
    assert "\nStop: requested\n" in sluice.run("status", "r").stdout
    (sluice.work / "go").touch()
    sluice.run("resume", "-q", "r", check=6)
    assert "Stop:" not in sluice.run("status", "r").stdout


def test_explain_of_a_stopped_run_blames_no_failure_policy_S7_5(sluice):
    text = LONG.replace("{run: 'until test -e go; do sleep 0.05; done'}", "{run: sleep 30, on_stop: cancel}")
    sluice.run("run", "--detach", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    sluice.run("stop", "r", check=0)
    sluice.run("events", "r", "-f", timeout=20)
    told = sluice.run("explain", "r", "a").stdout
    assert "a failed (cancelled)" in told and "on_failure" not in told


def test_a_soft_gate_that_failed_is_named_with_its_reason_S5_4(sluice):
    text = "pipeline: p\nsteps:\n  size: {gate: soft, noop: true, pass: '1 > 2', reason: too large by far}\n"
    sluice.run("run", "-q", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    assert "soft gate size failed: too large by far" in sluice.run("explain", "r").stdout
    told = sluice.run("summary", "r").stdout
    assert "\nRetries: 0\nSoft gate failures: size\n\nSteps:\n" in told
    assert json.loads(sluice.run("summary", "r", "--json").stdout)["failed_soft_gates"] == ["size"]
    good = text.replace("1 > 2", "1 < 2")
    sluice.run("run", "-q", sluice.write("p.yaml", good), "--run-id", "s", check=0)
    assert "Soft" not in sluice.run("summary", "s").stdout
    assert "which is a warning: too large by far: {" in sluice.run("explain", "r", "size").stdout
