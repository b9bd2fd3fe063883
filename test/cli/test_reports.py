"""status, summary, events, logs, list, verify, and the same through system A's runner."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD, SLOW, UNDO


def events_of(sluice, run):
    return [json.loads(line) for line in sluice.log(run).read_text().splitlines()]


@pytest.fixture
def failed(sluice):
    sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    return sluice


def test_summary_text_is_that_of_system_a_A_1_10(failed):
    lines = failed.run("summary", "r", check=0).stdout.splitlines()
    assert lines[0] == "Run Summary: r" and lines[1] == "=" * 60
    assert lines[2] == "Status: \u2717 FAILED"
    assert re.fullmatch(r"Created: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[3])
    assert re.fullmatch(r"Completed: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[4])
    assert re.fullmatch(r"Duration: \d+\.\d\ds", lines[5]) and lines[6] == ""
    assert lines[7] == "Steps: 3 total (1 completed, 1 failed, 1 skipped)"
    assert lines[8:12] == ["Retries: 0", "", "Steps:", "-" * 60]
    assert lines[12] == "  \u2713 " + "first".ljust(30) + " succeeded"
    assert lines[13] == "  \u2717 " + "second".ljust(30) + " failed"
    assert lines[14] == "      Error: exit code 3"
    assert lines[15] == "  \u2298 " + "third".ljust(30) + " skipped (run_stopped)"


def test_summary_json_is_that_of_system_a_A_1_10(failed):
    text = failed.run("summary", "r", "--json", check=0).stdout
    summary = json.loads(text)
    assert list(summary) == ["run_id", "final_state", "created_at", "completed_at", "duration_ms", "steps",
                             "stats", "failed_hard_gates", "outcome", "warnings"]
    assert text == json.dumps(summary, indent=2) + "\n"
    assert summary["final_state"] == "failed" and summary["outcome"] == "failed"
    assert [step["step_id"] for step in summary["steps"]] == ["first", "second", "third"]
    first, second, third = summary["steps"]
    assert list(first) == ["step_id", "state", "attempts", "error_class", "error_reason", "duration_ms"]
    assert first["error_class"] is None and isinstance(first["duration_ms"], int)
    assert second["error_class"] == "unknown" and second["error_reason"] == "exit code 3"
    assert third["state"] == "skipped" and third["attempts"] == 0 and third["duration_ms"] is None
    assert summary["stats"] == {"total_steps": 3, "completed": 1, "failed": 1, "skipped": 1,
                                "total_attempts": 2, "total_retries": 0}


def test_retries_are_counted_A_1_10(sluice):
    text = ("pipeline: flaky\nsteps:\n  flaky:\n    retry: {max_attempts: 3, initial: 10ms}\n"
            "    run: 'test \"$SLUICE_ATTEMPT\" = 2 || exit 75'\n")
    sluice.run("run", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    summary = json.loads(sluice.run("summary", "r", "-o", "json", check=0).stdout)
    assert summary["stats"]["total_retries"] == 2 and summary["steps"][0]["attempts"] == 3
    assert "(attempts: 3)" in sluice.run("summary", "r", check=0).stdout
    assert re.search(r"^  flaky {25} succeeded \(attempt 2\)$", sluice.run("status", "r").stdout, re.M)


def test_failed_hard_gates_are_listed_A_1_10(sluice):
    sluice.run("run", sluice.write("p.yaml", GATE), "--run-id", "r", check=1)
    assert "\nHard gate failures: check\n" in sluice.run("summary", "r", check=0).stdout
    assert "\nFailed hard gates: check\n" in sluice.run("status", "r", check=0).stdout
    assert json.loads(sluice.run("summary", "r", "--json").stdout)["failed_hard_gates"] == ["check"]
    assert "sluice resume r --override check --reason TEXT" in sluice.run("status", "r").stdout


def test_status_A_1_11(failed):
    lines = failed.run("status", "r", check=0).stdout.splitlines()
    assert lines[:3] == ["Run ID: r", "State: failed", "Steps:"]
    assert lines[3] == "  " + "first".ljust(30) + " succeeded"
    assert lines[6] == "Completed: 1"
    status = json.loads(failed.run("status", "r", "--json", check=0).stdout)
    assert status["state"] == "failed" and status["steps"][2]["skip_reason"] == "run_stopped"
    assert status["receipt"] == events_of(failed, "r")[-1]["h"]
    assert status["next"] == ["sluice logs r --failed", "sluice resume r"]


def test_events_text_A_1_11(failed):
    lines = failed.run("events", "r", check=0).stdout.splitlines()
    stored = events_of(failed, "r")
    assert len(lines) == len(stored)
    for line, event in zip(lines, stored):
        want = f"{event['timestamp_utc'][:19]} {event['event_type']}"
        want += f" [{event['step_id']}]" if "step_id" in event else ""
        want += f" error={event['error_class']}" if "error_class" in event else ""
        want += f" reason=\"{event['reason']}\"" if "reason" in event else ""
        assert line == want


def test_events_json_are_the_stored_lines(failed):
    stored = failed.log("r").read_bytes()
    assert failed.run("events", "r", "--json", check=0, text=False).stdout == stored
    assert failed.run("events", "r", "--tail", "0", "--json", text=False).stdout == stored
    tail = failed.run("events", "r", "--tail", "2", "--json", text=False).stdout
    assert tail == b"".join(stored.splitlines(True)[-2:])
    assert failed.run("events", "r", "--tail", "999", "--json", text=False).stdout == stored


def test_events_filters(failed):
    lines = failed.run("events", "r", "--type", "step.started").stdout.splitlines()
    assert len(lines) == 2
    lines = failed.run("events", "r", "--step", "second", "--tail", "1").stdout.splitlines()
    assert len(lines) == 1 and "step.failed [second]" in lines[0]


def test_events_follow_ends_when_the_run_rests_S11_6(sluice):
    text = "pipeline: p\nsteps: {a: {run: 'sleep 1'}, b: {run: 'true'}}\n"
    run = sluice.run("run", "--detach", sluice.write("p.yaml", text), check=0).stdout.strip()
    done = sluice.run("events", run, "-f", "--json", check=0, timeout=20)
    assert done.stdout == sluice.log(run).read_text()
    assert json.loads(done.stdout.splitlines()[-1])["event_type"] == "run.completed"


def test_events_follow_waits_for_a_resume_S11_6(sluice):
    """A run that was cut off goes on being followed; the follower sees what the next owner writes."""
    process = sluice.start("run", sluice.write("p.yaml", SLOW.replace("sleep 30", "sleep 2")), "--run-id", "r")
    sluice.wait_for("r", "executing")
    process.kill()
    process.communicate()
    follower = sluice.start("events", "r", "-f", "--json")
    sluice.run("resume", "r", check=0)
    out, _ = follower.communicate(timeout=20)
    assert out == sluice.log("r").read_bytes() and b'"run.resumed"' in out


def test_logs(failed):
    assert failed.run("logs", "r", "first", check=0).stdout == "first\n"
    text = failed.run("logs", "r", check=0).stdout
    assert text == ("==> first (attempt 0, succeeded) <==\nfirst\n\n"
                    "==> second (attempt 0, failed) <==\nbroken\n")
    assert failed.run("logs", "r", "--failed").stdout == "==> second (attempt 0, failed) <==\nbroken\n"
    assert "has no attempt 1" in failed.run("logs", "r", "first", "--attempt", "1", check=9).stderr


def test_s10_logs_show_what_a_compensation_wrote(sluice):
    sluice.run("run", sluice.write("u.yaml", UNDO), "--run-id", "u", check=1)
    of_b = "==> b, compensation (attempt 1, failed) <==\ntry 1\n"
    assert sluice.run("logs", "u", "b").stdout == "made b\n\n" + of_b
    assert sluice.run("logs", "u", "b", "--attempt", "1").stdout == of_b
    assert sluice.run("logs", "u", "b", "--attempt", "0").stdout == (
        "made b\n\n==> b, compensation (attempt 0, failed) <==\ntry 0\n")
    assert sluice.run("logs", "u", "b", "--attempt", "2", check=9).stdout == ""
    assert sluice.run("logs", "u", "--failed").stdout == of_b
    assert sluice.run("logs", "u", "a").stdout == "made a\n"
    (sluice.work / "ok").touch()
    sluice.run("rollback", "u", check=0)
    assert sluice.run("logs", "u").stdout == (
        "==> a (attempt 0, compensated) <==\nmade a\n\n==> b (attempt 0, compensated) <==\nmade b\n\n"
        "==> b, compensation (attempt 2, succeeded) <==\ntry 2\n\n"
        "==> a, compensation (attempt 0, succeeded) <==\nundoing a\n")
    assert sluice.run("logs", "u", "--failed").stdout == ""


def test_s10_logs_follow_a_step_while_it_is_undone(sluice):
    text = UNDO.replace("echo undoing a", "echo undoing a; touch there; until [ -e go ]; do sleep 0.02; done; echo done")
    (sluice.work / "ok").touch()
    sluice.run("run", sluice.write("u.yaml", text), "--run-id", "u", "--detach", check=0)
    end = time.monotonic() + 20
    while not (sluice.work / "there").exists() and time.monotonic() < end:
        time.sleep(0.02)
    follower = sluice.start("logs", "u", "a", "-f")
    for line in (b"made a\n", b"\n", b"==> a, compensation (attempt 0, running) <==\n", b"undoing a\n"):
        assert follower.stdout.readline() == line
    (sluice.work / "go").touch()
    assert follower.communicate(timeout=20)[0] == b"done\n" and follower.returncode == 0


def test_s10_summary_says_why_a_compensation_failed(sluice):
    sluice.run("run", sluice.write("u.yaml", UNDO), "--run-id", "u", check=1)
    lines = sluice.run("summary", "u", check=0).stdout.splitlines()
    at = lines.index("      Compensation failed (attempt 1, transient_io): exit code 75")
    assert lines[at - 1].split()[1] == "b"
    steps = {step["step_id"]: step for step in json.loads(sluice.run("summary", "u", "--json").stdout)["steps"]}
    assert steps["b"]["compensation_error"] == {"attempt": 1, "error_class": "transient_io", "error_reason": "exit code 75"}
    assert "compensation_error" not in steps["a"]
    (sluice.work / "ok").touch()
    sluice.run("rollback", "u", check=0)
    assert "Compensation failed" not in sluice.run("summary", "u").stdout


def test_logs_follow_shows_what_comes(sluice):
    text = "pipeline: p\nsteps: {a: {run: 'echo one; sleep 1; echo two'}}\n"
    run = sluice.run("run", "--detach", sluice.write("p.yaml", text), check=0).stdout.strip()
    assert sluice.run("logs", run, "a", "-f", check=0, timeout=20).stdout == "one\ntwo\n"


def test_logs_are_bytes_when_not_on_a_terminal(sluice):
    text = "pipeline: p\nsteps: {a: {run: 'printf \"\\\\033[31m\\\\377\\\\000x\"'}}\n"
    sluice.run("run", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    assert sluice.run("logs", "r", "a", text=False).stdout == b"\033[31m\377\000x"


def test_list(sluice):
    assert sluice.run("list", check=0).stdout.startswith("RUN ")
    good = sluice.write("good.yaml", GOOD)
    sluice.run("run", good, "--run-id", "one", check=0)
    sluice.run("run", sluice.write("bad.yaml", FAILING), "--run-id", "two", check=1)
    sluice.run("run", sluice.write("ask.yaml", APPROVAL), "--run-id", "three", check=4)
    runs = json.loads(sluice.run("list", "--json", check=0).stdout)
    assert runs["total"] == runs["matched"] == 3
    assert [run["run_id"] for run in runs["runs"]] == ["three", "two", "one"]
    three, two, one = runs["runs"]
    assert list(one) == ["run_id", "started_at", "ended_at", "result", "failure_reason", "stages_executed",
                         "stages_failed", "retry_count", "metadata", "state", "duration_ms"]
    assert one["result"] == "success" and one["stages_executed"] == ["hello", "world"]
    assert two["result"] == "failed" and two["stages_failed"] == ["second"]
    assert three["result"] is None and three["ended_at"] is None and three["state"] == "blocked"

    def ids(*words):
        return [json.loads(line)["run_id"] for line in
                sluice.run("list", "-o", "jsonl", *words, check=0).stdout.splitlines()]
    assert ids("--result", "success") == ["one"] and ids("--result", "failed") == ["two"]
    assert ids("--result", "blocked") == ["three"] and ids("--result", "active") == []
    assert ids("--pipeline", "demo") == ["one"] and ids("--limit", "1") == ["three"]
    assert ids("--since", "1h") == ["three", "two", "one"] and ids("--since", "2999-01-01T00:00:00Z") == []
    csv = sluice.run("ls", "-o", "csv", check=0).stdout.splitlines()
    assert csv[0].startswith("run_id,pipeline,state,") and len(csv) == 4


def test_list_shows_a_run_that_was_resumed_as_what_it_is_now(sluice):
    text = FAILING.replace("exit 3", "test -e fixed")
    sluice.run("run", sluice.write("p.yaml", text), "--run-id", "r", check=1)
    (sluice.work / "fixed").write_text("")
    sluice.run("resume", "r", check=0)
    (run,) = json.loads(sluice.run("list", "--json").stdout)["runs"]
    assert run["result"] == "success" and run["state"] == "succeeded"


def test_list_shows_an_interrupted_run_and_a_broken_one(sluice):
    process = sluice.start("run", sluice.write("p.yaml", SLOW.replace("30", "1")), "--run-id", "cut")
    sluice.wait_for("cut", "executing")
    process.kill()
    process.communicate()
    sluice.run("run", sluice.write("g.yaml", GOOD), "--run-id", "broken", check=0)
    (sluice.home / "runs" / "broken" / "pipeline.json").write_text("{}")
    (sluice.home / "runs.jsonl").unlink(missing_ok=True)
    rows = {row["run_id"]: row for row in json.loads(sluice.run("list", "--json", check=0).stdout)["runs"]}
    assert rows["cut"]["state"] == "interrupted" and rows["broken"]["state"] == "corrupt"
    assert "interrupted" in sluice.run("status", "cut", check=0).stdout
    sluice.run("resume", "cut", check=0)


def test_bad_lines_of_the_index_are_passed_over_D_4_1(sluice):
    sluice.run("run", sluice.write("g.yaml", GOOD), "--run-id", "one", check=0)
    with (sluice.home / "runs.jsonl").open("a") as index:
        index.write('\n{"run_id": "x"\n[]\n{"run_id": "old", "started_at": "2020-01-01T00:00:00+00:00", '
                    '"ended_at": null, "result": "stopped", "failure_reason": null, "stages_executed": [], '
                    '"stages_failed": [], "retry_count": 1, "metadata": {}, "unknown": 1}\n{"torn')
    rows = json.loads(sluice.run("list", "--removed", "--json", check=0).stdout)["runs"]
    assert [row["run_id"] for row in rows] == ["one", "old"] and rows[1]["retry_count"] == 1
    assert rows[1]["state"] == "removed" and rows[1]["result"] == "stopped"
    assert sluice.run("list", "-o", "jsonl", check=0).stdout.count("\n") == 1


def test_verify_and_its_receipt_S11_7(sluice):
    done = sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    receipt = re.search(r"Receipt: ([0-9a-f]{16})", done.stdout).group(1)
    assert "matches" in sluice.run("verify", "r", "--receipt", receipt, check=0).stdout
    sluice.run("verify", "r", "--receipt", "0" * 16, check=7)
    lines = sluice.log("r").read_bytes().splitlines(True)
    sluice.log("r").write_bytes(b"".join(lines[:-1]))  # cut at the end of a line
    assert "the log was cut" in sluice.run("verify", "r", check=7).stdout  # S9.4
    checkpoint = sluice.log("r").parent / "checkpoint.json"
    checkpoint.unlink()
    sluice.run("verify", "r", check=0)
    sluice.run("verify", "r", "--receipt", receipt, check=7)
    sluice.log("r").write_bytes(b"".join(lines))
    sluice.run("resume", "r", check=1)
    assert "came after it" in sluice.run("verify", "r", "--receipt", receipt, check=7).stdout


def test_a_changed_definition_is_found_S9_3(failed):
    path = failed.home / "runs" / "r" / "pipeline.json"
    path.write_text(path.read_text().replace("exit 3", "exit 0"))
    failed.run("verify", "r", check=7)


def test_names_of_runs(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", path, "--run-id", "alpha-1", check=0)
    sluice.run("run", path, "--run-id", "alpha-2", check=0)
    for name in ("alpha-2", "@latest", str(sluice.home / "runs" / "alpha-2"), "../home/runs/alpha-2"):
        assert "Run ID: alpha-2" in sluice.run("status", name, check=0).stdout
    assert "alpha-1" in sluice.run("status", "alpha", check=3).stderr
    assert "Run ID: alpha-1" in sluice.run("status", "--dir", str(sluice.home), "alpha-1", check=0).stdout


# ------------------------------------------------------------------------------- system A


def runner(sluice, *args, cwd=None):
    link = sluice.folder / "runner"
    if not link.exists():
        link.symlink_to(sluice.binary)
    return subprocess.run([str(link), *args], env=sluice.env, cwd=cwd or sluice.home / "runs",
                          capture_output=True, text=True, timeout=60)


def test_runner_queries_A_1_11(failed):
    done = runner(failed, "status", "r")
    assert done.returncode == 0 and done.stdout.startswith("Run ID: r\nState: failed\nSteps:\n")
    assert runner(failed, "summary", "r").stdout == failed.run("summary", "r").stdout
    assert runner(failed, "summary", "r", "--json").stdout == failed.run("summary", "r", "--json").stdout
    assert runner(failed, "events", "r", "--json").stdout == failed.log("r").read_text()
    assert len(runner(failed, "events", "r", "--tail", "3", "--follow").stdout.splitlines()) == 3


def test_runner_resume_only_checks_A_1_11(failed):
    log = failed.log("r").read_bytes()
    done = runner(failed, "resume", "r")
    assert done.returncode == 0
    for line in ("Run ID: r", "Current state: failed", "Completed steps: 1", "Run is resumable"):
        assert line in done.stdout.splitlines()
    assert failed.log("r").read_bytes() == log


def test_runner_refusals_A_1_9(sluice):
    sluice.run("run", sluice.write("p.yaml", GATE), "--run-id", "gate", check=1)
    sluice.run("run", sluice.write("g.yaml", GOOD), "--run-id", "good", check=0)
    done = runner(sluice, "resume", "gate")
    assert done.returncode == 1 and "Error: " in done.stderr and "Hard gate failures" in done.stderr
    done = runner(sluice, "resume", "good")
    assert done.returncode == 1 and "terminal state" in done.stderr


def test_runner_exit_codes_A_1_11(sluice):
    (sluice.home / "runs").mkdir(parents=True)
    done = runner(sluice)
    assert done.returncode == 1 and "usage: runner" in done.stdout
    assert runner(sluice, "status", "--nonsense", "x").returncode == 2
    assert runner(sluice, "nonsense").returncode == 2
    done = runner(sluice, "status", "nothing")
    assert done.returncode == 1 and "No run found at" in done.stderr
    assert runner(sluice, "events", "nothing").returncode == 1
    assert runner(sluice, "start", "nothing", "--run-id", "x", "--reason", "y").returncode == 1
