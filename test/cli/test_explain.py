"""sluice explain RUN [STEP]: every reason that the contract knows, with the event that proves it."""
import json
import time

import pytest

from pipelines import UNDO
from support.checker import forge

CLASSES = ["transient_io", "timeout", "dependency", "contract_input_missing", "configuration",
           "validation_failed", "data_quality", "infrastructure", "unknown"]


def start(sluice, text, code, *options, run="r1"):
    sluice.write("a.yaml", text)
    sluice.run("run", "a.yaml", "--run-id", run, *options, check=code)
    return events(sluice, run)


def events(sluice, run="r1"):
    return [json.loads(line) for line in sluice.log(run).read_text().splitlines()]


def explain(sluice, step=None, run="r1", check=0):
    """The facts by code; text and JSON say the same."""
    words = [run] + ([step] if step else [])
    told = json.loads(sluice.run("explain", *words, "--json", check=check).stdout)
    text = sluice.run("explain", *words, check=check).stdout.splitlines()
    for fact, line in zip(told["facts"], text):
        event = f" ({fact['event_id']})" if fact["event_id"] else ""
        assert line == "  " * fact["depth"] + fact["text"] + event
    rest = [f"next: {command}" for command in told["next"]]
    assert text[len(told["facts"]):len(told["facts"]) + len(rest)] == rest
    assert told["run_id"] == run and told.get("step_id") == step
    return told


def fact(told, code, step=None):
    found = [f for f in told["facts"] if f["code"] == code and step in (None, f["step_id"])]
    assert found, (code, told["facts"])
    return found[0]


def proves(sluice, told_fact, event_type, run="r1"):
    """The event of the fact is of the type and about the step."""
    event = events(sluice, run)[int(told_fact["event_id"][4:]) - 1]
    assert event["event_type"] == event_type and event.get("step_id") == told_fact["step_id"]
    return event


def step(body, run="true"):
    return f"{{run: '{run}', {body}}}" if body else f"{{run: '{run}'}}"


# ------------------------------------------------------------------------------------- skips

def test_s4_skip_condition_has_the_values_that_it_was_decided_by(sluice):
    start(sluice, """\
pipeline: p
params: {full: {type: bool, default: false}, key: {type: string, default: "x"}}
steps:
  count: {run: 'printf "rows=3\\n" >"$SLUICE_OUTPUT"', outputs: {rows: {type: int}}}
  big: {noop: true, when: 'params.full or outputs.count.rows > 100'}
  after: {noop: true, needs: [big]}
  through: {noop: true}
""", 0)
    told = explain(sluice, "big")
    proves(sluice, fact(told, "skipped"), "step.skipped")
    assert fact(told, "condition_false")["text"].endswith(
        "[params.full = false, outputs.count.rows = 3]")
    assert "leave" not in " ".join(f["code"] for f in told["facts"])  # the run succeeded: no resume
    told = explain(sluice, "after")
    assert [(f["depth"], f["code"], f["step_id"]) for f in told["facts"]] == [
        (0, "skipped", "after"), (1, "skipped", "big"), (2, "condition_false", "big")]


def test_s5_3_a_condition_that_errors_is_a_failure(sluice):
    start(sluice, "pipeline: p\nparams: {a: {type: int, default: 1}}\n"
          "steps:\n  bad: {noop: true, when: 'params.a'}\n", 1)
    told = explain(sluice, "bad")
    assert told["error_class"] == "configuration"
    assert "when:" in fact(told, "failed")["text"]
    assert "never retried" in fact(told, "not_retried")["text"]


def test_s4_skip_not_selected(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {noop: true}\n  b: {noop: true}\n", 0, "--until", "a")
    assert "--until a" in fact(explain(sluice, "b"), "not_selected")["text"]


def test_s4_skip_upstream_failed_leads_to_the_failure(sluice):
    start(sluice, """\
pipeline: p
defaults: {on_failure: skip_downstream}
steps:
  a: {run: 'exit 9'}
  b: {noop: true}
  c: {noop: true}
""", 1 + 4)
    told = explain(sluice, "c")
    assert told["skip_reason"] == "upstream_failed"
    chain = [(f["depth"], f["code"], f["step_id"]) for f in told["facts"]][:3]
    assert chain[0] == (0, "skipped", "c") and chain[-1][2] in ("a", "b")
    failed = fact(told, "failed", "a")
    assert proves(sluice, failed, "step.failed")["exit_code"] == 9
    assert "skip_downstream" in fact(told, "on_failure", "a")["text"]
    assert "open it again" in fact(told, "resume")["text"]


def test_s5_4_skip_gate_failed_and_the_bar_on_a_resume(sluice):
    start(sluice, """\
pipeline: p
steps:
  gate: {gate: hard, run: 'true', pass: '1 > 2'}
  below: {noop: true}
  beside: {noop: true, needs: []}
  other: {run: 'sleep 0.1', needs: [beside]}
""", 1)
    told = explain(sluice, "below")
    assert told["skip_reason"] == "gate_failed"
    proves(sluice, fact(told, "gate_closed", "gate"), "gate.failed")
    assert '"value":false' in fact(told, "evidence", "gate")["text"]
    assert "--override gate" in fact(told, "resume_barred")["text"]
    own = explain(sluice, "gate")
    assert own["error_class"] == "hard_gate_failed" and "waive" in fact(own, "resume_barred")["text"]


def test_s5_7_skip_run_stopped_by_another_step(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {run: 'exit 1'}\n  b: {noop: true, needs: [a]}\n", 1)
    told = explain(sluice, "b")
    assert told["skip_reason"] == "run_stopped"
    assert fact(told, "failed", "a") and "nothing new" in fact(told, "on_failure", "a")["text"]


def test_s7_4_skip_run_stopped_by_the_runs_deadline(sluice):
    start(sluice, "pipeline: p\ntimeout: 200ms\nsteps:\n  a: {run: 'sleep 30', grace: 1s}\n"
          "  b: {noop: true}\n", 1)
    told = explain(sluice, "b")
    assert "deadline" in " ".join(f["text"] for f in told["facts"])


def test_s4_skip_choice_not_taken_in_a_log(sluice):
    log = start(sluice, "pipeline: p\nsteps:\n  a: {noop: true}\n  b: {noop: true, when: 'false'}\n", 0)
    for event in log:
        if event["event_type"] == "step.skipped":
            event["reason"] = "choice_not_taken"
    sluice.log("r1").write_bytes(forge("r1", log))
    assert explain(sluice, "b")["skip_reason"] == "choice_not_taken"


# ----------------------------------------------------------------------------------- failures

@pytest.mark.parametrize("error_class", CLASSES)
def test_s6_each_class_says_why_no_retry_follows(sluice, error_class):
    start(sluice, f"pipeline: p\nsteps:\n  a: {{run: 'exit 9', exit_codes: {{9: {error_class}}}}}\n", 1)
    told = explain(sluice, "a")
    assert told["error_class"] == error_class
    failed = fact(told, "failed")
    assert f"({error_class})" in failed["text"]
    proves(sluice, failed, "step.failed")
    reasons = [f for f in told["facts"] if f["code"] in ("not_retried", "retries_used")]
    assert len(reasons) == 1
    if error_class in ("transient_io", "timeout"):
        assert reasons[0]["code"] == "retries_used" and "one attempt" in reasons[0]["text"]
    elif error_class in ("dependency", "infrastructure"):
        assert "not among the classes" in reasons[0]["text"]
    else:
        assert "never retried" in reasons[0]["text"]
    assert "run it again" in fact(told, "resume")["text"]


def test_s7_1_each_attempt_with_its_retry(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {run: 'exit 75', "
          "retry: {max_attempts: 3, initial: 10ms, jitter: 0%}}\n", 1)
    told = explain(sluice, "a")
    attempts = [f for f in told["facts"] if f["code"] == "attempt"]
    retries = [f for f in told["facts"] if f["code"] == "retried"]
    assert len(attempts) == 3 and len(retries) == 2 and told["attempts"] == 3
    for told_attempt in attempts:
        assert "exit status 75" in told_attempt["text"]
        proves(sluice, told_attempt, "step.failed")
    for told_retry in retries:
        proves(sluice, told_retry, "step.retried")
    assert "0.02s" in retries[1]["text"] and fact(told, "retries_used")


def test_many_attempts_are_not_all_listed(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {run: 'exit 75', "
          "retry: {max_attempts: 12, initial: 1ms, multiplier: 1}}\n", 1)
    told = explain(sluice, "a")
    assert "attempts in between" in fact(told, "attempts_left_out")["text"]
    assert len([f for f in told["facts"] if f["code"] == "attempt"]) == 6
    assert "attempt 11" in [f for f in told["facts"] if f["code"] == "attempt"][-1]["text"]


@pytest.mark.parametrize("policy, code, words", [
    ("stop", 1, "nothing new"), ("continue", 5, "without its outputs"), ("ignore", 0, "without its outputs"),
    ("skip_downstream", 5, "was skipped")])
def test_s5_7_what_a_failure_does_to_the_rest(sluice, policy, code, words):
    start(sluice, f"pipeline: p\nsteps:\n  a: {{run: 'exit 1', on_failure: {policy}}}\n"
          "  b: {noop: true, needs: []}\n", code)
    assert words in fact(explain(sluice, "a"), "on_failure")["text"]


def test_killed_by_a_signal_and_not_executable(sluice):
    start(sluice, "pipeline: p\ndefaults: {on_failure: continue}\nsteps:\n"
          "  a: {run: 'kill -9 $$'}\n  b: {argv: [/nonexistent/x]}\n", 5)
    assert "killed by signal 9" in fact(explain(sluice, "a"), "attempt")["text"]
    assert explain(sluice, "b")["error_class"] == "configuration"


@pytest.mark.parametrize("policy, code", [("fail", "not_retried"), ("ask", "held"), ("rerun", "not_retried")])
def test_s8_4_lost_under_each_policy(sluice, policy, code):
    log = start(sluice, f"pipeline: p\nsteps:\n  a: {{run: 'exit 1', on_lost: {policy}}}\n", 1)
    at = next(i for i, e in enumerate(log) if e["event_type"] == "step.failed")
    head = {k: log[at][k] for k in ("run_id", "timestamp_utc", "actor", "attempt", "step_id")}
    lost = {"event_type": "step.lost", **head, "error_class": "lost", "reason": "the keeper was killed"}
    lines = log[:at] + [{"event_id": "", **lost}]
    if policy == "rerun":  # five in a row
        start_event = log[at - 1]
        lines = log[:at - 1]
        for attempt in range(5):
            lines += [{**start_event, "attempt": attempt}, {"event_id": "", **lost, "attempt": attempt}]
            if attempt < 4:
                lines += [{"event_id": "", "event_type": "step.retried", **head, "attempt": attempt + 1,
                           "error_class": "lost", "delay_ms": 0}]
    sluice.log("r1").write_bytes(forge("r1", lines))
    told = explain(sluice, "a")
    assert told["error_class"] == "lost" and "was lost" in fact(told, "attempt")["text"]
    proves(sluice, fact(told, "attempt"), "step.lost")
    assert policy in fact(told, code)["text"]
    if policy == "ask":
        assert told["next"][0] == "sluice approve r1 a --reason TEXT"


# -------------------------------------------------------------------------------------- gates

def test_s5_5_a_gate_that_passed_shows_its_evidence(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {gate: hard, run: 'true', pass: '2 > 1'}\n", 0)
    proves(sluice, fact(explain(sluice, "a"), "gate_passed"), "gate.passed")


def test_s5_4_a_soft_gate_that_failed_is_a_warning(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {gate: soft, run: 'true', pass: 'false'}\n", 0)
    told = explain(sluice, "a")
    assert told["step_state"] == "succeeded"
    proves(sluice, fact(told, "soft_gate_failed"), "gate.failed")


MANUAL = """\
pipeline: p
steps:
  ask: {gate: manual, run: 'true', approve: {by: [anna, bert, carl], count: 2, timeout: 1h}}
  next: {noop: true}
"""


def test_s5_6_which_approvals_are_missing_and_who_may_give_them(sluice):
    start(sluice, MANUAL, 4)
    told = explain(sluice, "ask")
    assert fact(told, "approval_missing")["text"].startswith("0 of 2")
    assert fact(told, "approvers")["text"] == "who may: anna, bert, carl"
    assert fact(told, "until")["text"].startswith("until 20")
    assert told["next"] == ["sluice approve r1 ask --reason TEXT"]
    sluice.run("approve", "r1", "ask", "--as", "anna", "--reason", "looks good", check=0)
    told = explain(sluice, "ask")
    assert fact(told, "approval_missing")["text"] == "1 of 2 approvals are given, by anna"
    sluice.run("approve", "r1", "ask", "--as", "bert", "--reason", "me too", check=0)
    told = explain(sluice, "ask")
    assert "bert" in fact(told, "approved")["text"] and told["next"] == []
    pending = explain(sluice, "next")
    proves(sluice, fact(pending, "waiting", "ask"), "step.waiting")
    sluice.run("resume", "r1", check=0)
    told = explain(sluice, "ask")
    texts = [f["text"] for f in told["facts"] if f["code"] == "approved"]
    assert texts == ["approved by anna: looks good", "approved by bert: me too"]


def test_s5_6_a_rejected_gate_says_who_rejected_it(sluice):
    start(sluice, MANUAL, 4)
    sluice.run("reject", "r1", "ask", "--as", "carl", "--reason", "not today", check=0)
    assert "carl" in fact(explain(sluice, "ask"), "rejected")["text"]
    sluice.run("resume", "r1", check=1)
    told = explain(sluice, "ask")
    assert told["error_class"] == "hard_gate_failed" and "not today" in fact(told, "failed")["text"]
    proves(sluice, fact(told, "rejected"), "gate.rejected")
    assert "not retried" in fact(told, "not_retried")["text"]
    assert explain(sluice, "next")["skip_reason"] == "gate_failed"


def test_s5_6_an_expired_approval(sluice):
    start(sluice, "pipeline: p\nsteps:\n  ask: {gate: manual, run: 'true', approve: {timeout: 50ms}}\n", 4)
    time.sleep(0.1)
    sluice.run("resume", "r1", check=1)
    assert "deadline of its approval" in fact(explain(sluice, "ask"), "rejected")["text"]


def test_s9_1_an_override_is_named_with_its_reason(sluice):
    start(sluice, "pipeline: p\nsteps:\n  g: {gate: hard, run: 'exit 1'}\n  a: {noop: true}\n", 1)
    sluice.run("resume", "r1", "--override", "g", "--reason", "known bad disk", "--as", "dora", check=5)
    told = explain(sluice, "g")
    assert fact(told, "overridden")["text"] == "its effect is waived by dora: known bad disk"
    event = events(sluice)[int(fact(told, "overridden")["event_id"][4:]) - 1]
    assert event["event_type"] == "run.override_applied"
    assert "its effect is waived" in fact(told, "resume")["text"]
    assert fact(explain(sluice), "overridden")["text"] == "1 override of failed gates"


# ------------------------------------------------------------- pending, running, stop, success

def test_pending_running_and_a_stop(sluice):
    sluice.write("a.yaml", """\
pipeline: p
concurrency: 1
steps:
  long: {run: 'sleep 60', on_stop: cancel, timeout: 5m}
  after: {noop: true}
  slot: {noop: true, needs: []}
""")
    process = sluice.start("run", "a.yaml", "--run-id", "r1", "-q")
    try:
        for _ in range(400):
            if sluice.log("r1").exists() and any(
                    e["event_type"] == "step.started" for e in events(sluice)):
                break
            time.sleep(0.02)
        told = explain(sluice, "long")
        proves(sluice, fact(told, "running"), "step.started")
        assert str(process.pid) in fact(told, "owned")["text"] and fact(told, "deadline")
        told = explain(sluice, "after")
        assert fact(told, "needs_open")["text"] == "it needs the step written before it:"
        proves(sluice, fact(told, "running", "long"), "step.started")
        assert fact(explain(sluice, "slot"), "no_slot")["text"] == "it waits for a slot: 1 of 1 are in use"
        assert "resume" not in [f["code"] for f in told["facts"]]  # it is owned
        sluice.run("stop", "r1", "--as", "emil", check=0)
    finally:
        process.terminate()
        process.wait(timeout=30)
    told = explain(sluice, "long")
    assert told["error_class"] == "cancelled" and "resume" in fact(told, "not_retried")["text"]
    told = explain(sluice, "slot")
    event = events(sluice)[int(fact(told, "run_stopped")["event_id"][4:]) - 1]
    assert event["event_type"] == "run.stop_requested"
    assert fact(explain(sluice), "stop_requested")


def test_s8_3_interrupted(sluice):
    log = start(sluice, "pipeline: p\nsteps:\n  a: {run: 'true'}\n  b: {noop: true}\n", 0)
    at = next(i for i, e in enumerate(log) if e["event_type"] == "step.succeeded")
    sluice.log("r1").write_bytes(forge("r1", log[:at]))
    told = explain(sluice, "a")
    assert "resume" in fact(told, "not_owned")["text"]
    assert "find out" in fact(told, "resume")["text"]
    assert fact(explain(sluice), "not_owned")
    sluice.log("r1").write_bytes(forge("r1", log[:3]))
    assert fact(explain(sluice, "a"), "not_owned")


def test_s7_1_a_retry_that_is_to_come(sluice):
    log = start(sluice, "pipeline: p\nsteps:\n  a: {run: 'exit 75', "
                "retry: {max_attempts: 2, initial: 1ms}}\n", 1)
    at = next(i for i, e in enumerate(log) if e["event_type"] == "step.retried")
    sluice.log("r1").write_bytes(forge("r1", log[:at + 1]))
    told = explain(sluice, "a")
    assert told["step_state"] == "pending" and told["error_class"] == "transient_io"
    proves(sluice, fact(told, "retry_due"), "step.retried")
    assert "1 of 2 attempts" in fact(told, "retry_due")["text"]


def test_why_it_ran(sluice):
    start(sluice, """\
pipeline: p
params: {go: {type: bool, default: true}}
steps:
  a: {noop: true}
  b: {noop: true, needs: []}
  c: {noop: true, needs: [a], needs_any: [b], when: 'params.go'}
""", 0)
    told = explain(sluice, "c")
    proves(sluice, fact(told, "succeeded", "c"), "step.succeeded")
    assert fact(told, "needs_met") and fact(told, "needs_any_met")
    assert "[params.go = true]" in fact(told, "condition_true")["text"]
    assert fact(explain(sluice, "a"), "needs_nothing")


def test_s9_5_a_given_step_was_not_executed(sluice):
    sluice.write("c.json", '{"outputs": {"a": {}}}')
    start(sluice, "pipeline: p\nsteps:\n  a: {noop: true}\n  b: {noop: true}\n", 0, "--from", "b",
          "--context", "c.json")
    assert fact(explain(sluice, "a"), "given")["event_id"] == "evt_1"
    assert "given at the start" in fact(explain(sluice, "b"), "succeeded", "a")["text"]


def test_secrets_of_conditions_are_masked_and_long_values_are_cut(sluice):
    start(sluice, f"""\
pipeline: p
params: {{long: {{type: string, default: "{'x' * 500}"}}}}
steps:
  a: {{noop: true, when: '#params.long < 3'}}
""", 0)
    text = fact(explain(sluice, "a"), "condition_false")["text"]
    assert "..." in text and len(text) < 300


# ------------------------------------------------------------------------------- runs, bad input

def test_a_run_in_at_most_15_lines(sluice):
    steps = "".join(f"  f{i}: {{run: 'exit 1', needs: []}}\n  w{i}: {{gate: manual, run: 'true', needs: []}}\n"
                    for i in range(8))
    start(sluice, "pipeline: p\ndefaults: {on_failure: continue}\nsteps:\n" + steps, 4,
          "--reason", "the nightly run")
    out = sluice.run("explain", "r1", check=0).stdout
    assert len(out.splitlines()) <= 15
    told = explain(sluice)
    assert fact(told, "blocked") and "the nightly run" in fact(told, "created")["text"]
    assert fact(told, "steps")["text"] == "16 steps: 8 waiting, 8 failed"
    assert fact(told, "and_more")["text"] == "and 6 more that are failed"


def test_a_run_that_succeeded_and_one_that_was_resumed(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {run: 'test -e there'}\n", 1)
    assert "Step failed: a" in fact(explain(sluice), "failed", None)["text"]
    sluice.write("there", "")
    sluice.run("resume", "r1", check=0)
    told = explain(sluice)
    assert fact(told, "resumed")["text"] == "resumed 1 time" and fact(told, "succeeded")
    assert told["next"] == []


@pytest.mark.parametrize("arguments, status, words", [
    (["nope"], 9, "SLU031"),
    (["r1", "nope"], 9, "status"),
    (["r1", "secnd"], 9, "did you mean 'second'"),
    (["r1", ""], 9, "no step"),
    (["", "a"], 2, "empty"),
    (["r1", "a", "b"], 2, ""),
    (["r1", "-o", "csv"], 2, "csv"),
    (["SLU031", "--json"], 2, "text"),
    (["r1", "\x1b[31m\n"], 9, "no step"),
])
def test_s13_wrong_use_says_what_to_do(sluice, arguments, status, words):
    start(sluice, "pipeline: p\nsteps:\n  first: {noop: true}\n  second: {noop: true}\n", 0)
    done = sluice.run("explain", *arguments, check=status)
    assert words in done.stderr and done.stdout == ""


def test_s11_4_a_damaged_log_explains_its_good_prefix(sluice):
    log = start(sluice, "pipeline: p\nsteps:\n  a: {noop: true}\n  b: {noop: true}\n", 0)
    lines = forge("r1", log).splitlines(keepends=True)
    lines[6] = b"{}\n"
    sluice.log("r1").write_bytes(b"".join(lines))
    told = explain(sluice, "b", check=7)
    assert "damaged after event 6" in told["note"]
    assert "note: damaged" in sluice.run("explain", "r1", "b", check=7).stdout


def test_a_reason_with_line_ends_is_one_line(sluice):
    start(sluice, "pipeline: p\nsteps:\n  a: {gate: hard, run: 'true', pass: 'false', "
          "reason: \"two\\nlines \\u001b[31m\"}\n", 1)
    out = sluice.run("explain", "r1", "a", check=0).stdout
    assert "two lines" in out and "\x1b" not in out


# ----------------------------------------------------------------------------------- rollbacks

def test_s10_a_compensation_that_failed_is_told_with_its_attempts(sluice):
    start(sluice, UNDO, 1)
    told = explain(sluice, "b")
    proves(sluice, fact(told, "compensation_failed"), "compensation.failed")
    assert fact(told, "rollback")["text"] == "a rollback began: on_failure: compensate"
    attempts = [f for f in told["facts"] if f["code"] == "compensation_attempt"]
    assert [f["text"].split(" (")[0] for f in attempts] == [f"compensation attempt {n} failed" for n in (0, 1)]
    proves(sluice, fact(told, "retried"), "compensation.failed")
    assert fact(told, "resume_refused") and told["next"][0] == "sluice rollback r1"
    sluice.run("resume", "r1", check=3)
    assert fact(explain(sluice, "a"), "not_undone")["text"].endswith("ended before its turn")
    assert fact(explain(sluice, "plain"), "no_compensation")
    assert "is to be undone" in fact(explain(sluice, "c"), "on_failure")["text"]
    whole = explain(sluice)
    assert fact(whole, "compensation_failed", "b")["text"] == "compensation of b failed (transient_io): exit code 75"
    (sluice.work / "ok").touch()
    sluice.run("rollback", "r1", "--reason", "mended", "--as", "anna", check=0)
    told = explain(sluice, "b")
    proves(sluice, fact(told, "compensated"), "step.compensated")
    assert fact(told, "rollback")["text"] == "a rollback began, asked for by anna: mended"
    assert len([f for f in told["facts"] if f["code"] == "compensation_attempt"]) == 3
    assert not [f for f in told["facts"] if f["code"].startswith("resume")]


def test_s10_a_rollback_that_was_cut_off_is_gone_on_with(sluice):
    process = sluice.start("run", sluice.write("u.yaml", UNDO.replace("[ -e ok ] || exit 75", "touch begun; sleep 30")),
                           "--run-id", "r1")
    end = time.monotonic() + 20
    while not (sluice.work / "begun").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert fact(explain(sluice, "b"), "compensation_running")["text"].endswith("attempt 0")
    told = explain(sluice, "a")
    assert fact(told, "not_undone")["text"] == "it is not undone yet: b comes first"
    assert fact(told, "resume")["text"] == "a resume would go on with the rollback, and undo this step"
    assert fact(explain(sluice, "c"), "resume")["text"].endswith("and leave this step as it is")
    sluice.run("stop", "r1", "--now")
    sluice.run("resume", "r1")


# ------------------------------------------------------------------------------ quality, cache

QUALITY = """\
pipeline: p
steps:
  q:
    run: 'echo "{\\"quality\\": {\\"record_count\\": 100, \\"null_count\\": 3}}" >"$SLUICE_OUTPUT"'
    quality: {min_record_count: 10, max_null_rate: 0.01, %s}
"""


@pytest.mark.parametrize("severity, code", [("hard", 1), ("soft", 0)])
def test_s6_data_are_told_threshold_by_threshold(sluice, severity, code):
    start(sluice, QUALITY % f"severity: {severity}", code)
    told = explain(sluice, "q")
    proves(sluice, fact(told, "quality"), "quality.recorded")
    assert fact(told, "quality")["text"] == "its data: record_count 100, null_count 3, null_rate 0.03"
    assert fact(told, "threshold_met")["text"] == "met: min_record_count 10"
    missed = fact(told, "threshold_missed")
    proves(sluice, missed, "quality.recorded")
    assert missed["text"] == ("missed: " if code else "missed, which is a warning: ") + \
        "max_null_rate: 3 of 100 records are null, 0.03 is above 0.01"


def test_a_threshold_without_its_figure_says_so(sluice):
    start(sluice, QUALITY % "min_valid_rate: 0.5", 1)
    assert any("min_valid_rate needs valid_count" in f["text"]
               for f in explain(sluice, "q")["facts"] if f["code"] == "threshold_missed")


def test_a_cached_success_leads_to_where_it_was_executed(sluice):
    text = "pipeline: p\nsteps:\n  a: {run: 'true', cache: true, inputs: []}\n"
    for run in ("r1", "r2", "r3"):
        start(sluice, text, 0, run=run)
    told = explain(sluice, "a", run="r3")
    assert fact(told, "cached")["text"] == "its result was taken from r1/a/0"
    assert fact(told, "cached_origin")["text"] == "a of run r1 executed it: the chain ends there"
    assert told["next"][0] == "sluice explain r1 a"
    assert not [f for f in explain(sluice, "a")["facts"] if f["code"].startswith("cached")]
