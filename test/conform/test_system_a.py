"""The cases of the pipeline runner that Sluice replaces, by their names, on the real binary.

What cannot hold is in docs/compat.md; the tests here then prove the rule that holds instead and say so.
Below them: its known defects, each as a test that Sluice does not have it."""
import json
import re
import time

import pytest

from support.checker import RUN_MOVES, forge
from support.sluice import until

EIGHT = ["preflight_contract_check", "phase_benchmark", "stage_data_layout", "build_steward_bundle",
         "validate_bundle_quality", "build_minimal_deliverable", "verify_artifacts", "publish_internal"]
GATES = {"preflight_contract_check", "phase_benchmark", "validate_bundle_quality", "verify_artifacts"}
WAIT = "until [ -e go ]; do sleep 0.02; done"
RETRIES = {"phase_benchmark": 2, "stage_data_layout": 3, "build_steward_bundle": 2, "build_minimal_deliverable": 2}


def eight(**bodies):
    """The default steps; `bodies` replaces what some of them run. The last gate counts as given."""
    steps = {}
    for name in EIGHT:
        step = {"run": bodies.get(name, "true")}
        if name in GATES:
            step["gate"] = "hard"
        if name in RETRIES:
            step["retry"] = {"max_attempts": RETRIES[name] + 1, "initial": "1ms"}
        steps[name] = step
    return steps


# ------------------------------------------------------------------------------ states

LEGAL = [("created", "preflight_validated"), ("preflight_validated", "executing"), ("executing", "succeeded"),
         ("executing", "failed"), ("executing", "blocked"), ("blocked", "executing"), ("blocked", "failed"),
         ("blocked", "rolled_back"), ("failed", "rolled_back")]
ILLEGAL = [("created", "executing"), ("created", "succeeded"), ("succeeded", "executing"), ("rolled_back", "executing"),
           ("executing", "created")]
WAY = {"created": [], "preflight_validated": ["preflight_validated"], "executing": ["preflight_validated", "executing"],
       "blocked": ["preflight_validated", "executing", "blocked"], "failed": ["failed"],
       "succeeded": ["preflight_validated", "executing", "succeeded"],
       "rolled_back": ["preflight_validated", "executing", "blocked", "rolled_back"]}


def moved(sluice, old, new):
    """verify of a log in which the run goes to `old` and from there to `new`."""
    first = sluice.go({"a": "true"}).events[0]
    events, state = [first], "created"
    for to in [*WAY[old], new]:
        if to == "rolled_back" and state in ("blocked", "failed"):  # never without a rollback (S10)
            events.append({"event_type": "run.rollback_started", "run_id": sluice.id,
                           "timestamp_utc": first["timestamp_utc"], "actor": "runner", "attempt": 0})
        events.append({"event_type": "run.state_changed", "run_id": sluice.id, "timestamp_utc": first["timestamp_utc"],
                       "actor": "runner", "attempt": 0, "previous_state": state, "new_state": to})
        state = to
    sluice.rewrite(forge(sluice.id, events))
    return sluice("verify", sluice.id)


@pytest.mark.parametrize("old, new", LEGAL)
def test_run_state_valid_transitions(sluice, old, new):
    assert new in RUN_MOVES[old] and moved(sluice, old, new).code == 0


@pytest.mark.parametrize("old, new", ILLEGAL)
def test_run_state_invalid_transitions(sluice, old, new):
    assert moved(sluice, old, new).code == 7


def test_run_state_validate_raises(sluice):
    said = moved(sluice, "created", "succeeded")
    assert "created" in said.stderr + said.stdout and "succeeded" in said.stderr + said.stdout


STEP_EVENTS = {
    "step.started": {"new_state": "running"}, "step.succeeded": {"new_state": "succeeded"},
    "step.failed": {"error_class": "unknown", "new_state": "failed"}, "step.skipped": {"reason": "condition"},
}
STEP_WAY = {"pending": [], "running": ["step.started"], "succeeded": ["step.started", "step.succeeded"],
            "failed": ["step.started", "step.failed"], "skipped": ["step.skipped"]}


def step_moved(sluice, old, event):
    log = sluice.go({"a": "true", "b": "true"})
    base = [dict(e) for e in log.events[:3]]
    for kind in [*STEP_WAY[old], event]:
        own = dict(STEP_EVENTS[kind])
        line = {"event_type": kind, "run_id": sluice.id, "timestamp_utc": base[0]["timestamp_utc"], "actor": "runner",
                "attempt": 0, "step_id": "a"}
        for name in ("error_class", "reason", "new_state"):
            if name in own:
                line[name] = own[name]
        base.append(line)
    sluice.rewrite(forge(sluice.id, base))
    return sluice("verify", sluice.id).code


@pytest.mark.parametrize("old, event, legal", [
    ("pending", "step.started", True), ("pending", "step.skipped", True), ("running", "step.succeeded", True),
    ("running", "step.failed", True), ("pending", "step.succeeded", False), ("pending", "step.failed", False),
    ("running", "step.skipped", False), ("running", "step.started", False)])
def test_step_state_valid_transitions(sluice, old, event, legal):
    assert step_moved(sluice, old, event) == (0 if legal else 7)


@pytest.mark.parametrize("old", ["succeeded", "skipped"])
@pytest.mark.parametrize("event", sorted(STEP_EVENTS))
def test_step_state_terminal(sluice, old, event):
    assert step_moved(sluice, old, event) == 7


# ------------------------------------------------------------------------------- retry

def test_retry_policy_transient_io(sluice):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 4, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == [0, 1, 2, 3], "budget 3: after attempts 0 and 2 yes, after 3 no"


def test_retry_policy_hard_gate_no_retry(sluice):
    log = sluice.go({"a": {"gate": "hard", "run": 'echo n=1 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}},
                           "pass": "output.n > 1", "retry": {"max_attempts": 4, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == [0]


def test_retry_policy_contract_missing_no_retry(sluice):
    log = sluice.go({"a": {"run": "exit 66", "exit_codes": {"66": "contract_input_missing"},
                           "retry": {"max_attempts": 4, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == [0]


def test_backoff_exponential(sluice):
    """The defaults, a hundred times faster: 2 s -> 20 ms, 60 s -> 600 ms."""
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 4, "initial": "20ms"}}}, code=1)
    for n, event in enumerate(log.of("step.retried")):
        assert 20 * 2 ** n <= event["delay_ms"] <= 22 * 2 ** n


def test_backoff_defaults_are_those_of_the_predecessor(sluice):
    path = sluice.pipeline({"a": {"run": "exit 75", "retry": {"max_attempts": 2}}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried")
    sluice.cut(engine)
    assert 2000 <= sluice.log().of("step.retried")[0]["delay_ms"] <= 2200


def test_backoff_max_delay(sluice):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 8, "initial": "10ms", "max": "30ms"}}}, code=1)
    assert max(e["delay_ms"] for e in log.of("step.retried")) <= 33


# --------------------------------------------------------------------------------- DAG

def test_dag_step_order(sluice):
    log = sluice.go(eight())
    assert [e["step_id"] for e in log.of("step.started")] == EIGHT


def test_dag_upstream_dependencies(sluice):
    """0, 1 and 7 upstream: no step starts before all above it ended."""
    log = sluice.go(eight(), concurrency=8)
    done = 0
    for event in log.events:
        if event["event_type"] == "step.started":
            assert done == EIGHT.index(event["step_id"])
        done += event["event_type"] == "step.succeeded"


def test_dag_downstream_steps(sluice):
    """7 and 0 downstream: a failed gate takes with it all below it and nothing else."""
    for at in (0, 7):
        run_id = f"{sluice.id}-{at}"
        steps = eight(**{EIGHT[at]: "exit 1"})
        steps[EIGHT[at]]["gate"] = "hard"
        log = sluice.go(steps, code=1, run_id=run_id)
        assert [e["step_id"] for e in log.of("step.skipped")] == EIGHT[at + 1:]


def test_dag_can_execute_happy_path(sluice):
    assert sluice.go(eight()).state == "succeeded"


def test_dag_can_execute_fail_closed_hard_gate(sluice):
    log = sluice.go(eight(phase_benchmark="exit 1"), code=1)
    assert [e["reason"] for e in log.of("step.skipped")] == ["gate_failed"] * 6


def test_dag_can_execute_partial_completion(sluice):
    """Cannot jump ahead."""
    sluice.go(eight(stage_data_layout="exit 1"), code=1)
    assert sluice("resume", sluice.id, "--from", "build_minimal_deliverable").code == 3


# --------------------------------------------------------------------------- event log

def test_event_log_append(sluice):
    """Parents made; whole lines."""
    sluice("run", sluice.pipeline({"a": "true"}), "--run-id", sluice.id, "--dir", sluice.root / "not/yet/there", code=0)
    assert len((sluice.root / "not/yet/there/runs" / sluice.id / "events.jsonl").read_text().splitlines()) == 7


def test_event_log_compact_jsonl(sluice):
    sluice.go({"a": "true"})
    for line in sluice.raw().splitlines():
        assert json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False).encode() == line
        assert b'": ' not in line and b', "' not in line


def test_event_log_streaming_safe(sluice):
    sluice.go({"a": f"grep -c step.started {sluice.home}/runs/$SLUICE_RUN_ID/events.jsonl >seen"})
    assert (sluice.root / "seen").read_text() == "1\n", "readable at once by a second handle"


def test_event_log_read_all(sluice):
    log = sluice.go({"a": "true"})
    said = sluice("events", sluice.id, "--json", code=0).stdout.splitlines()
    assert [json.loads(line)["event_id"] for line in said] == [e["event_id"] for e in log.events]


def test_event_log_tail(sluice):
    log = sluice.go({"a": "true", "b": "true"})
    said = sluice("events", sluice.id, "--json", "--tail", "3", code=0).stdout.splitlines()
    assert [json.loads(line)["event_id"] for line in said] == [e["event_id"] for e in log.events[-3:]]


def test_event_log_empty(sluice):
    """An empty log is no run: exit 9 (S11.8), where the predecessor gave empty lists."""
    sluice.go({"a": "true"})
    sluice.rewrite(b"")
    assert sluice("events", sluice.id).code == 9


def test_event_log_stream_handle(sluice):
    sluice.go({"a": "true"})
    assert sluice("events", sluice.id, "--follow", "--json", code=0).stdout.encode() == sluice.raw()


def test_event_log_append_only_immutable(sluice):
    sluice.go({"a": "[ -e ok ]"}, code=1)
    before = sluice.raw()
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    assert sluice.raw().startswith(before)


# ---------------------------------------------------------------------------- executor

def test_executor_happy_path(sluice):
    log = sluice.go({"a": "true", "b": "true"})
    assert log.state == "succeeded" and {n for n, s in log.steps.items() if s.state == "succeeded"} == {"a", "b"}
    assert {"run.created", "run.state_changed", "step.started", "step.succeeded", "run.completed"} == set(log.types())
    assert len(log.events) == 9


def test_executor_hard_gate_failure(sluice):
    log = sluice.go({"a": "true", "g": {"gate": "hard", "run": "exit 1"}, "c": "touch called"}, code=1)
    assert log.state == "failed" and log.steps["c"].state == "skipped" and not (sluice.root / "called").exists()
    assert len(log.of("gate.failed")) == 1
    kinds = log.types()
    assert kinds[kinds.index("gate.failed") - 1] == "step.failed" and kinds[-2:] == ["run.state_changed", "run.completed"]


def test_executor_retry_transient(sluice):
    log = sluice.go({"a": {"run": "echo $SLUICE_ATTEMPT >>seen; [ $SLUICE_ATTEMPT = 2 ] || exit 75",
                           "retry": {"max_attempts": 4, "initial": "1ms"}}})
    assert (sluice.root / "seen").read_text().split() == ["0", "1", "2"] and len(log.of("step.retried")) == 2


def test_executor_retry_exhausted(sluice):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 3, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].state == "failed" and len(log.of("step.retried")) == 2


def test_executor_no_retry_contract_missing(sluice):
    log = sluice.go({"a": {"inputs": ["not-there"], "run": "touch called", "retry": {"max_attempts": 4, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == [0] and not (sluice.root / "called").exists()
    assert log.of("step.failed")[0]["error_class"] == "contract_input_missing"


def test_executor_event_streaming(sluice):
    log = sluice.go({"a": f"grep -q 'step.started.*\"a\"' {sluice.home}/runs/$SLUICE_RUN_ID/events.jsonl"})
    assert log.events[0]["event_type"] == "run.created" and log.events[-1]["event_type"] == "run.completed"


# ------------------------------------------------------------------------ replay, resume

def test_reconstruct_from_events(sluice):
    log = sluice.go({"a": "true", "b": "exit 1", "c": "true"}, code=1)
    told = json.loads(sluice("status", sluice.id, "--json", code=0).stdout)
    assert log.state in json.dumps(told)
    states = {s["step_id"]: s["state"] for s in json.loads(sluice("summary", sluice.id, "--json", code=0).stdout)["steps"]}
    assert states == {name: step.state for name, step in log.steps.items()}


def test_reconstruct_from_events_empty_log(sluice):
    sluice.go({"a": "true"})
    sluice.rewrite(b"")
    for verb in ("status", "summary", "resume", "verify"):
        assert sluice(verb, sluice.id).code in (7, 9)


def test_resume_guard_terminal_state(sluice):
    sluice.go({"a": "true"})
    said = sluice.runner("resume", sluice.run_dir(), code=1)
    assert "terminal state" in said.stdout + said.stderr
    sluice("resume", sluice.id, code=0)


def test_resume_guard_hard_gate_blocked(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}}, code=1)
    said = sluice.runner("resume", sluice.run_dir(), code=1)
    assert "Hard gate failures" in said.stdout + said.stderr
    sluice("resume", sluice.id, code=3)


def test_resume_guard_transient_failure(sluice):
    log = sluice.go({"a": "exit 75"}, code=1)
    assert not log.of("gate.failed")
    assert "resumable" in sluice.runner("resume", sluice.run_dir(), code=0).stdout


def test_resume_guard_blocked_state(sluice):
    sluice.go({"m": {"gate": "manual", "run": "true"}}, code=4)
    assert "resumable" in sluice.runner("resume", sluice.run_dir(), code=0).stdout


def test_resume_guard_executing_state(sluice):
    sluice.go({"a": "true", "b": "true"})
    sluice.rewrite(b"".join(sluice.raw().splitlines(True)[:5]))
    assert "resumable" in sluice.runner("resume", sluice.run_dir(), code=0).stdout


def test_resume_point_detection(sluice):
    sluice.go({"a": "true", "b": "exit 1", "c": "true"}, code=1)
    assert re.search(r"\bb\b", sluice("resume", sluice.id, "--check", code=0).stdout.splitlines()[-1])


def test_resume_point_all_complete(sluice):
    """All succeeded, the log cut before its end: nothing runs again."""
    sluice.go({"a": "echo x >>count"})
    sluice.rewrite(b"".join(sluice.raw().splitlines(True)[:5]))
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "count").read_text() == "x\n"
    sluice.log(ended="succeeded")


def test_resume_execution(sluice):
    log = sluice.go({"a": "echo a >>count", "b": "echo b >>count; [ $SLUICE_ATTEMPT = 1 ]", "c": "true"}, code=1)
    assert log.state == "failed"
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "count").read_text().split() == ["a", "b", "b"]
    assert sluice.log(ended="succeeded").of("run.completed")[-1]["reason"] == "All steps succeeded (resume)"


def test_resume_from_specific_step(sluice):
    sluice.go({"a": "echo a >>count", "b": "echo b >>count", "c": "echo c >>count; [ -e ok ]"}, code=1)
    (sluice.root / "ok").touch()
    (sluice.root / "count").write_text("")
    sluice("resume", sluice.id, "--from", "b", code=0)
    assert (sluice.root / "count").read_text().split() == ["b", "c"]


def test_resume_function(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}}, code=1)
    assert sluice("resume", sluice.id, code=3).stderr and sluice.runner("resume", sluice.run_dir(), code=1)


def test_resume_missing_event_log(sluice):
    (sluice.root / "nothing").mkdir()
    said = sluice.runner("resume", sluice.root / "nothing", code=1)
    assert said.stdout + said.stderr
    sluice("resume", sluice.root / "nothing", code=9)


# ----------------------------------------------------------------------------- summary

def summary(sluice):
    return json.loads(sluice.runner("summary", sluice.run_dir(), "--json", code=0).stdout)


def test_summary_successful_run(sluice):
    sluice.go({"a": "true", "b": "true"})
    told = summary(sluice)
    assert told["final_state"] == "succeeded" and told["failed_hard_gates"] == []
    assert told["stats"] == {"total_steps": 2, "completed": 2, "failed": 0, "skipped": 0, "total_attempts": 2, "total_retries": 0}


def test_summary_with_failures(sluice):
    """Skipped steps are listed (docs/compat.md)."""
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}, "z": "true"}, code=1)
    told = summary(sluice)
    assert told["failed_hard_gates"] == ["g"] and told["stats"]["failed"] == 1 and told["stats"]["skipped"] == 1
    assert [s["step_id"] for s in told["steps"]] == ["g", "z"] and told["steps"][0]["error_class"] == "unknown"


def test_summary_with_retries(sluice):
    sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 2 ] || exit 75", "retry": {"max_attempts": 3, "initial": "1ms"}}})
    told = summary(sluice)
    assert told["stats"]["total_retries"] == 2 and told["steps"][0]["attempts"] == 3


def test_summary_to_dict(sluice):
    sluice.go({"a": "true"})
    told = summary(sluice)
    assert set(told) >= {"run_id", "final_state", "created_at", "completed_at", "duration_ms", "steps", "stats", "failed_hard_gates"}
    assert set(told["steps"][0]) >= {"step_id", "state", "attempts", "error_class", "error_reason", "duration_ms"}
    assert told["steps"][0]["error_class"] is None, "nulls are written here"


def test_summary_to_text(sluice):
    sluice.go({"b": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}, "a": "true"})
    lines = sluice.runner("summary", sluice.run_dir(), code=0).stdout.splitlines()
    assert lines[0] == f"Run Summary: {sluice.id}" and lines[1] == "=" * 60
    assert lines[2] == "Status: \u2713 SUCCEEDED"
    assert [line.split(":")[0] for line in lines[3:6]] == ["Created", "Completed", "Duration"]
    assert "Steps: 2 total (2 completed, 0 failed, 0 skipped)" in lines and "Retries: 1" in lines
    steps = lines[lines.index("-" * 60) + 1:]
    assert steps[0] == "  \u2713 " + "a".ljust(30) + " succeeded"
    assert steps[1] == "  \u2713 " + "b".ljust(30) + " succeeded (attempts: 2)"


def test_summary_duration_calculation(sluice):
    # A step counts from the second of its records in attempts.log.
    counts = f"[ $(stat -c %s {sluice.run_dir()}/attempts.log) -ge 512 ]"
    sluice.go({"a": f"until {counts}; do sleep 0.02; done; sleep 0.2"})
    assert summary(sluice)["duration_ms"] >= 200 and summary(sluice)["steps"][0]["duration_ms"] >= 200


def test_summary_empty_log(sluice):
    sluice.go({"a": "true"})
    sluice.rewrite(b"")
    assert sluice.runner("summary", sluice.run_dir(), code=1).stderr


def test_summary_missing_log(sluice):
    assert sluice.runner("summary", sluice.root / "nothing", code=1).stderr


# --------------------------------------------------------------------------------- CLI

def test_cli_status(sluice):
    sluice.go({"b": "true", "a": {"gate": "hard", "run": "exit 1"}}, code=1)
    said = sluice.runner("status", sluice.run_dir(), code=0).stdout
    assert f"Run ID: {sluice.id}" in said and "State: failed" in said and "Completed: 1" in said
    assert "  " + "a".ljust(30) + " failed" in said and said.index("  a ") < said.index("  b ")
    assert re.search(r"Failed hard gates:.*\ba\b", said)


def test_cli_events_json(sluice):
    sluice.go({"a": "true"})
    assert sluice.runner("events", sluice.run_dir(), "--json", code=0).stdout.encode() == sluice.raw()


def test_cli_events_text(sluice):
    sluice.go({"a": "exit 1"}, code=1)
    line = next(x for x in sluice.runner("events", sluice.run_dir(), code=0).stdout.splitlines() if "step.failed" in x)
    assert re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d step\.failed \[a\] error=unknown reason="exit code 1"', line)


def test_cli_events_tail(sluice):
    sluice.go({"a": "true"})
    assert len(sluice.runner("events", sluice.run_dir(), "--tail", "2", code=0).stdout.splitlines()) == 2
    assert len(sluice.runner("events", sluice.run_dir(), "--tail", "0", code=0).stdout.splitlines()) == 7


def test_cli_summary_text(sluice):
    sluice.go({"a": "true"})
    assert "Run Summary" in sluice.runner("summary", sluice.run_dir(), code=0).stdout


def test_cli_summary_json(sluice):
    sluice.go({"a": "true"})
    assert sluice.runner("summary", sluice.run_dir(), "--json", code=0).stdout.startswith('{\n  "')


def test_cli_resume_check(sluice):
    sluice.go({"a": "true", "b": "exit 1"}, code=1)
    before = sluice.raw()
    said = sluice.runner("resume", sluice.run_dir(), code=0).stdout
    for text in (f"Run ID: {sluice.id}", "Current state: failed", "Completed steps: 1", "Run is resumable"):
        assert text in said
    assert sluice.raw() == before


def test_cli_no_command(sluice):
    said = sluice.runner(code=1)
    assert "runner" in said.stdout + said.stderr


def test_cli_status_missing_run(sluice):
    said = sluice.runner("status", sluice.root / "nothing", code=1)
    assert "No run found at" in said.stdout + said.stderr


def test_cli_bad_flag(sluice):
    assert sluice.runner("status", "x", "--nonsense", code=2).stderr


def test_cli_missing_log(sluice):
    assert sluice.runner("events", sluice.root / "nothing", code=1).stderr


# ----------------------------------------------------------- contract (8 unseen upstream)

def test_contract_field_order(sluice):
    sluice.go({"a": "exit 1"}, code=1)
    order = ["event_id", "event_type", "run_id", "timestamp_utc", "actor", "attempt", "step_id", "error_class", "reason",
             "inputs_hash", "outputs_hash", "artifact_path", "previous_state", "new_state", "override_reason"]
    for line in sluice.raw().splitlines():
        keys = [k for k in json.loads(line) if k in order]
        assert keys == sorted(keys, key=order.index)


def test_contract_outputs_hash_is_16_hex_digits_and_deterministic(sluice):
    step = {"run": 'echo n=$PARAM_n >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}}
    hashes = []
    for i, n in enumerate((1, 1, 2)):
        log = sluice.go({"a": step}, f"-pn={n}", run_id=f"{sluice.id}-{i}", params={"n": {"type": "int", "default": 0}})
        hashes.append(log.of("step.succeeded")[0]["outputs_hash"])
    assert all(re.fullmatch("[0-9a-f]{16}", h) for h in hashes)
    assert hashes[0] == hashes[1] != hashes[2]


# ----------------------------------------------------------------------------- defects

def test_defect_a_a_the_step_table_is_consulted(sluice):
    """A step that cannot begin has both lines; pending -> failed is refused in a log."""
    log = sluice.go({"a": {"inputs": ["nothing"], "run": "true"}}, code=1)
    assert [t for t, _ in log.sequence("a")] == ["step.started", "step.failed"]
    assert step_moved(sluice_again(sluice), "pending", "step.failed") == 7


def sluice_again(sluice):
    sluice.id += "x"
    return sluice


def test_defect_a_b_a_hard_gate_retries_a_transient_error(sluice):
    log = sluice.go({"a": {"gate": "hard", "run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}})
    assert log.steps["a"].started == [0, 1]


def test_defect_a_c_a_failure_is_never_success(sluice):
    for policy, outcome in (("stop", "failed"), ("skip_downstream", "partial"), ("continue", "partial")):
        log = sluice.go({"a": {"run": "exit 1", "on_failure": policy}, "b": "true"}, code=(1, 5), run_id=f"{sluice.id}-{policy}")
        assert (log.state, log.outcome) == ("failed", outcome)


def test_defect_a_d_a_gate_that_does_nothing_cannot_be_loaded(sluice):
    said = sluice("run", sluice.pipeline({"a": {"gate": "hard"}}), "--run-id", sluice.id, code=2)
    assert "SLU023" in said.stderr and not sluice.run_dir().exists()


def test_defect_a_e_status_shows_the_runs_own_steps(sluice):
    sluice.go({"mine": "true"})
    said = sluice.runner("status", sluice.run_dir(), code=0).stdout
    assert "mine" in said and not any(name in said for name in EIGHT)


def test_defect_a_f_a_skip_is_an_event(sluice):
    log = sluice.go({"a": "exit 1", "b": "true"}, code=1)
    assert log.of("step.skipped")[0]["step_id"] == "b"
    told = summary(sluice)
    assert {s["step_id"]: s["state"] for s in told["steps"]}["b"] == "skipped"


def test_defect_a_g_a_failed_run_resumes(sluice):
    sluice.go({"a": "[ -e ok ]"}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    moves = [(e["previous_state"], e["new_state"]) for e in sluice.log(ended="succeeded").of("run.state_changed")]
    assert ("failed", "executing") in moves


def test_defect_a_h_a_step_that_a_crash_left_running_is_the_resume_point(sluice):
    path = sluice.pipeline({"a": "true", "b": WAIT, "c": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "b")
    sluice.cut(engine)
    point = sluice("resume", sluice.id, "--check", code=0).stdout.splitlines()[-1]
    assert re.search(r"\bb\b", point), point
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    assert sluice.log(ended="succeeded").steps["b"].started == [0]


def test_defect_a_i_a_resume_is_in_the_log(sluice):
    path = sluice.pipeline({"a": WAIT, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    sluice.cut(engine)
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    assert len(sluice.log(ended="succeeded").of("run.resumed")) == 1


def test_defect_a_j_follow_follows(sluice):
    path = sluice.pipeline({"a": WAIT, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    seen = sluice.root / "seen"
    with seen.open("wb") as file:
        follower = sluice.start("events", sluice.run_dir(), "--follow", "--json", name="runner", stdout=file)
    until(lambda: seen.read_bytes() == sluice.raw(), of="what is in the log so far")
    time.sleep(0.2)
    assert follower.poll() is None, "it does not stop at the end of the file"
    (sluice.root / "go").touch()
    assert engine.wait(60) == 0
    assert follower.wait(60) == 0, follower.communicate()
    assert seen.read_bytes() == sluice.raw()


# ------------------------------------------------- the rows of its manual that no test above has

@pytest.mark.parametrize("state", sorted(WAY))
def test_run_states_no_state_changes_to_itself(sluice, state):
    said = moved(sluice, state, state)
    assert said.code == 7 and (said.stdout + said.stderr).count(state) >= 2, "both states are named"


def test_step_state_failed_may_run_again(sluice):
    """failed -> running is a retry, with its own event between."""
    log = sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}})
    assert [kind for kind, _ in log.sequence("a")] == ["step.started", "step.failed", "step.retried", "step.started", "step.succeeded"]
    assert step_moved(sluice_again(sluice), "failed", "step.started") == 7, "not without"


@pytest.mark.parametrize("event", sorted(STEP_EVENTS))
def test_step_state_compensated_is_terminal(sluice, event):
    log = sluice.go({"a": {"run": "true", "compensate": {"run": "true"}}, "b": {"run": "exit 1", "on_failure": "compensate"}}, code=1)
    last = [e for e in log.events if e["event_type"] == "step.compensated"][0]
    line = {key: last[key] for key in ("run_id", "timestamp_utc", "actor", "attempt", "step_id")}
    line = {"event_type": event, **line, **STEP_EVENTS[event]}
    order = ["event_type", "run_id", "timestamp_utc", "actor", "attempt", "step_id", "error_class", "reason", "new_state"]
    events = log.events[:log.events.index(last) + 1]
    sluice.rewrite(forge(sluice.id, [dict(e) for e in events]))
    sluice("verify", sluice.id, code=0)
    sluice.rewrite(forge(sluice.id, [*(dict(e) for e in events), {key: line[key] for key in order if key in line}]))
    assert "line 12" in sluice("verify", sluice.id, code=7).stderr


@pytest.mark.parametrize("step, error_class, attempts", [
    ({"run": "exit 75"}, "transient_io", 3),
    ({"run": "true", "inputs": ["none"]}, "contract_input_missing", 1),
    ({"run": 'echo n=1 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}, "gate": "hard", "pass": "output.n > 1"},
     "hard_gate_failed", 1),
    ({"run": "true", "outputs": {"n": {"type": "int", "required": True}}}, "validation_failed", 1),
    ({"run": "exit 1"}, "unknown", 1),
    ({"run": "exit 75", "gate": "hard"}, "transient_io", 3),
], ids=["transient_io", "contract_input_missing", "hard_gate_failed", "validation_failed", "unknown", "a hard gate's transient_io"])
def test_error_classes_and_what_is_retried(sluice, step, error_class, attempts):
    log = sluice.go({"a": {**step, "retry": {"max_attempts": 3, "initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == list(range(attempts))
    assert {e["error_class"] for e in log.of("step.failed")} == {error_class}


def test_retry_order_and_reason(sluice):
    log = sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}})
    retried = log.of("step.retried")[0]
    assert retried["reason"] == "Retrying after transient_io" and retried["attempt"] == 1
    assert log.sequence("a") == [("step.started", 0), ("step.failed", 0), ("step.retried", 1), ("step.started", 1), ("step.succeeded", 1)]


def test_default_reason_of_a_failure(sluice):
    """What is known of the command, instead of `Step failed` (docs/compat.md); its own words when it gives any."""
    log = sluice.go({"a": {"run": "exit 1", "on_failure": "continue"},
                     "b": 'echo \'{"error_class": "dependency", "reason": "no peer"}\' >"$SLUICE_OUTPUT"; exit 1'}, code=(1, 5))
    assert [e["reason"] for e in log.of("step.failed")] == ["exit code 1", "no peer"]


EVENT_ROWS = {
    "run.created": {"new_state": "created", "reason": "by hand"},
    "run.state_changed": {"previous_state": "created", "new_state": "preflight_validated", "reason": "Pre-execution validation passed"},
    "step.started": {"step_id": "a", "attempt": 0, "new_state": "running"},
    "step.succeeded": {"step_id": "a", "attempt": 1, "new_state": "succeeded"},
    "step.failed": {"step_id": "a", "attempt": 0, "error_class": "transient_io", "reason": "exit code 75", "new_state": "failed"},
    "step.retried": {"step_id": "a", "attempt": 1, "reason": "Retrying after transient_io"},
    "gate.failed": {"step_id": "g", "error_class": "unknown", "reason": "exit code 1", "attempt": 0},
    "artifact.emitted": {"step_id": "a", "attempt": 1, "name": "made"},
    "run.completed": {"new_state": "failed", "reason": "Hard gate failed: g"},
    "run.override_applied": {"override_reason": "seen"},
}


@pytest.mark.parametrize("kind", EVENT_ROWS)
def test_events_and_their_fields(sluice, kind):
    sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75; echo x >made", "retry": {"max_attempts": 2, "initial": "1ms"},
                     "artifacts": [{"name": "made", "path": "made"}]},
               "g": {"gate": "hard", "run": "exit 1"}}, "--reason", "by hand", code=1)
    sluice("resume", sluice.id, "--override", "g", "--reason", "seen", "--as", "anna", code=(0, 5))
    event = sluice.log().of(kind)[0]
    assert {name: event.get(name) for name in EVENT_ROWS[kind]} == EVENT_ROWS[kind]
    assert re.fullmatch(r"runner|manual:.+", event["actor"]) and None not in event.values()
    if kind == "artifact.emitted":
        assert event["artifact_path"] == str(sluice.root / "made") and re.fullmatch("[0-9a-f]{64}", event["outputs_hash"])


def test_event_log_path_and_mode(sluice):
    sluice.go({"a": "true"})
    path = sluice.run_dir() / "events.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes().endswith(b"\n")


def test_event_log_torn_last_line_is_read_up_to_it(sluice):
    """The predecessor could read nothing of it (docs/compat.md)."""
    sluice.go({"a": "true"})
    whole = sluice.raw()
    sluice.rewrite(whole + b'{"event_id":"evt')
    said = sluice.runner("events", sluice.run_dir(), "--json", code=0)
    assert said.stdout.encode() == whole
    for verb in ("status", "events", "summary"):
        assert "torn tail" in sluice.runner(verb, sluice.run_dir(), code=0).stdout


def test_event_log_malformed_line_fails_closed(sluice):
    sluice.go({"a": "true"})
    lines = sluice.raw().splitlines(True)
    sluice.rewrite(b"".join([*lines[:3], b"{broken}\n", *lines[4:]]))
    for verb in ("status", "events", "summary", "resume"):
        assert "Error: " in sluice.runner(verb, sluice.run_dir(), code=1).stderr


def test_default_steps_with_the_manual_gate_at_their_end(sluice):
    """The predecessor never read the flag of a manual gate (docs/compat.md)."""
    steps = eight()
    steps["publish_internal"]["gate"] = "manual"
    log = sluice.go(steps, code=4)
    assert log.state == "blocked" and log.steps["verify_artifacts"].state == "succeeded"
    sluice("approve", sluice.id, "publish_internal", "--as", "anna", "--reason", "read", code=0)
    sluice("resume", sluice.id, code=0)
    assert [e["step_id"] for e in sluice.log(ended="succeeded").of("step.started")] == EIGHT


def test_dag_unknown_step(sluice):
    sluice.go(eight(publish_internal="exit 1"), code=1)
    assert "nobody" in sluice("resume", sluice.id, "--from", "nobody", code=9).stderr


def sequence(log):
    """Types with the attempt where there is a step: started0 failed0 ..."""
    return [e["event_type"].split(".")[1] + (str(e["attempt"]) if "step_id" in e else "") for e in log.events]


def test_sequence_of_n_steps_that_succeed(sluice):
    log = sluice.go({"a": "true", "b": "true", "c": "true"})
    assert sequence(log) == ["created", "state_changed", "state_changed"] + ["started0", "succeeded0"] * 3 + ["state_changed", "completed"]
    assert log.of("run.completed")[0]["reason"] == "All steps succeeded"


def test_sequence_of_a_gate_that_fails(sluice):
    """With an event for each step that is skipped (docs/compat.md)."""
    log = sluice.go({"a": "true", "g": {"gate": "hard", "run": "exit 1"}, "z": "true"}, code=1)
    kinds = [kind for kind in sequence(log) if kind != "skipped0"]
    assert kinds[-5:] == ["started0", "failed0", "failed0", "state_changed", "completed"]
    assert log.types()[-5:] == ["step.failed", "gate.failed", "step.skipped", "run.state_changed", "run.completed"]
    assert log.of("run.state_changed")[-1]["reason"] == "Hard gate failed: g"


def test_sequence_of_a_step_that_is_retried_twice(sluice):
    log = sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 2 ] || exit 75", "retry": {"max_attempts": 4, "initial": "1ms"}}})
    assert sequence(log)[3:-2] == ["started0", "failed0", "retried1", "started1", "failed1", "retried2", "started2", "succeeded2"]


def test_sequence_of_an_interruption(sluice):
    """step.started is the last line, the run stays executing, and it can be gone on with."""
    engine = sluice.start("run", sluice.pipeline({"a": WAIT}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    sluice.cut(engine)
    assert sequence(sluice.log())[-1] == "started0"
    assert "State: executing" in sluice.runner("status", sluice.run_dir(), code=0).stdout
    assert "Run is resumable" in sluice.runner("resume", sluice.run_dir(), code=0).stdout
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")


def test_replay_of_each_event(sluice):
    """The state of the step after each line of its log."""
    log = sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}})
    states = {"run.created": "pending", "step.started": "running", "step.failed": "failed", "step.retried": "pending",
              "step.succeeded": "succeeded"}
    expected, runs = "pending", None
    for number, event in enumerate(log.events, 1):
        expected = states.get(event["event_type"], expected)
        runs = event.get("new_state") if event["event_type"].startswith("run.") else runs
        said = sluice("status", sluice.id, "--at", number, code=0).stdout
        assert f"State: {runs}\n" in said and re.search(rf"^  a {{30}}{expected}\b", said, re.M), (number, said)


@pytest.mark.parametrize("verb", ["resume", "events", "summary"])
def test_replay_needs_a_log_and_its_first_event(sluice, verb):
    sluice.go({"a": "true"})
    lines = sluice.raw().splitlines(True)
    (sluice.root / "nothing").mkdir()
    for folder in ("nothing", "nowhere"):
        assert "Error: Event log not found" in sluice.runner(verb, sluice.root / folder, code=1).stderr
    sluice.rewrite(b"")
    assert "Error: Event log is empty" in sluice.runner(verb, sluice.run_dir(), code=1).stderr
    sluice.rewrite(b"".join(lines[1:]))
    assert "Error: " in sluice.runner(verb, sluice.run_dir(), code=1).stderr


@pytest.mark.parametrize("state, lines, code, text", [
    ("created", 1, 0, "Run is resumable"), ("preflight_validated", 2, 0, "Run is resumable"), ("executing", 3, 0, "Run is resumable"),
    ("succeeded", None, 1, "terminal state")])
def test_resume_guards_by_state(sluice, state, lines, code, text):
    sluice.go({"a": "true", "b": "true"})
    if lines:
        sluice.rewrite(b"".join(sluice.raw().splitlines(True)[:lines]))
    said = sluice.runner("resume", sluice.run_dir(), code=code)
    assert text in said.stdout + said.stderr and state in said.stdout + said.stderr
    if code == 0:
        sluice("resume", sluice.id, code=0)
        moves = [e["new_state"] for e in sluice.log(ended="succeeded").of("run.state_changed")]
        assert moves == ["preflight_validated", "executing", "succeeded"]


def test_resume_guard_rolled_back(sluice):
    sluice.go({"a": {"run": "true", "compensate": {"run": "true"}}, "b": "exit 1"}, code=1)
    sluice("rollback", sluice.id, code=0)
    assert "terminal state" in sluice.runner("resume", sluice.run_dir(), code=1).stderr


def test_resume_point_passes_over_what_succeeded_or_was_skipped(sluice):
    sluice.go({"a": "true", "b": {"when": "false", "run": "true"}, "c": "exit 1", "d": "true"}, code=1)
    assert "Resume point: c" in sluice.runner("resume", sluice.run_dir(), code=0).stdout


def test_summary_text_of_a_failure(sluice):
    sluice.go({"g": {"needs": [], "gate": "hard", "run": "exit 1"}, "z": "true"}, code=1)
    lines = sluice.runner("summary", sluice.run_dir(), code=0).stdout.splitlines()
    assert lines[2] == "Status: \u2717 FAILED" and re.fullmatch(r"Duration: \d+\.\d\ds", lines[5])
    assert lines[6:10] == ["", "Steps: 2 total (0 completed, 1 failed, 1 skipped)", "Retries: 0", "Hard gate failures: g"]
    assert lines[10:13] == ["", "Steps:", "-" * 60]
    assert lines[13] == "  \u2717 " + "g".ljust(30) + " failed" and lines[14] == "      Error: exit code 1"
    assert lines[15].startswith("  \u2298 " + "z".ljust(30) + " skipped")


def test_summary_text_of_a_run_that_is_rolled_back(sluice):
    sluice.go({"a": {"run": "true", "compensate": {"run": "true"}}, "b": {"run": "exit 1", "on_failure": "compensate"}}, code=1)
    text = sluice.runner("summary", sluice.run_dir(), code=0).stdout
    assert "Status: \u21ba ROLLED_BACK" in text and "  \u21ba " + "a".ljust(30) + " compensated" in text


def test_summary_of_a_run_that_is_not_at_its_end(sluice):
    log = sluice.go({"a": "true", "b": "true"})
    sluice.rewrite(b"".join(sluice.raw().splitlines(True)[:6]))
    told = summary(sluice)
    assert told["final_state"] == "executing" and told["created_at"] == log.events[0]["timestamp_utc"]
    assert [s["state"] for s in told["steps"]] == ["succeeded", "running"]
    text = sluice.runner("summary", sluice.run_dir(), code=0).stdout
    assert "Status: \u2022 EXECUTING" in text and "  \u2022 " + "b".ljust(30) + " running" in text


def test_summary_numbers_come_from_the_log(sluice):
    log = sluice.go({"b": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}},
                     "a": "true", "c": {"when": "false", "run": "true"}})
    told = summary(sluice)
    assert told["completed_at"] == log.of("run.completed")[-1]["timestamp_utc"]
    assert [s["step_id"] for s in told["steps"]] == ["a", "b", "c"], "sorted by id"
    assert told["stats"] == {"total_steps": 3, "completed": 2, "failed": 0, "skipped": 1, "total_attempts": 3, "total_retries": 1}
    assert [s["attempts"] for s in told["steps"]] == [1, 2, 0]


@pytest.mark.parametrize("place", ["into", "into/"])
def test_cli_start(sluice, place):
    """The run id is the name of the directory unless it is given; nothing is written, exit 1."""
    said = sluice.runner("start", place, "--reason", "by hand", code=1)
    assert "Run ID: into\n" in said.stdout and "no step implementations" in said.stderr
    assert "Run ID: mine\n" in sluice.runner("start", place, "--run-id", "mine", code=1).stdout
    assert not (sluice.root / "into").exists() and not sluice.home.exists()


def test_cli_resume_never_executes(sluice):
    sluice.go({"a": "echo x >>count; exit 1"}, code=1)
    sluice.runner("resume", sluice.run_dir(), code=0)
    assert (sluice.root / "count").read_text() == "x\n"
    assert sluice.runner("resume", sluice.run_dir(), "--from", "a", code=2).stderr


def test_cli_status_tells_attempts(sluice):
    sluice.go({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}})
    assert "  " + "a".ljust(30) + " succeeded (attempt 1)" in sluice.runner("status", sluice.run_dir(), code=0).stdout


def test_cli_events_tail_beats_follow(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    for follow in ("--follow", "-f"):
        assert len(sluice.runner("events", sluice.run_dir(), "--tail", "2", follow, code=0).stdout.splitlines()) == 2
    assert engine.poll() is None


@pytest.mark.parametrize("words", [["nonsense"], ["status"], ["status", "a", "b"], ["events", "a", "--tail"], ["events", "a", "--tail", "x"],
                                   ["resume", "a", "--run-id", "x"], ["summary", "a", "--tail", "2"], ["start"]], ids=" ".join)
def test_cli_wrong_words(sluice, words):
    said = sluice.runner(*words, code=2)
    assert said.stdout == "" and said.stderr
