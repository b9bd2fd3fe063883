"""export and compare: a run for other programs, two runs side by side."""
import csv
import io
import json
import re
import subprocess

import pytest

from pipelines import APPROVAL, FAILING, GOOD, SLOW
from test_history import go

# The order of the ends is fixed: right fails, left ends, right ends.
MIXED = """\
pipeline: mixed
params:
  region: {type: string, default: eu}
  token: {type: secret, from: {env: TOKEN}}
steps:
  left:
    needs: []
    env: {TOKEN: "${params.token}"}
    run: |
      until grep -q step.retried ../home/runs/m/events.jsonl; do sleep 0.02; done
      echo '{"outputs": {"rows": 3}}' > "$SLUICE_OUTPUT"
      echo "$TRACEPARENT" > trace
    outputs: {rows: {type: int}}
  right:
    needs: []
    run: |
      [ "$SLUICE_ATTEMPT" = 1 ] || exit 75
      until grep -q 'step.succeeded.*"left"' ../home/runs/m/events.jsonl; do sleep 0.02; done
    retry: {max_attempts: 2, initial: 20ms}
  ask:
    needs: [left, right]
    gate: manual
    run: 'exit 3'
"""


@pytest.fixture
def mixed(sluice):
    sluice.env["TOKEN"] = "hunter2-secret"
    sluice.run("run", "-q", "--max-parallel", "2", sluice.write("m.yaml", MIXED), "--run-id", "m", check=4)
    sluice.run("approve", "m", "ask", "--as", "ann", "--reason", 'ok, "go"', check=0)
    sluice.run("resume", "-q", "m", check=1)
    return sluice


def export(sluice, run, form, check=0):
    return sluice.run("export", run, "--format", form, check=check).stdout


def stored(sluice, run):
    return [json.loads(line) for line in sluice.log(run).read_text().splitlines()]


def test_export_json_is_one_document_with_all_of_the_run(mixed):
    found = json.loads(export(mixed, "m", "json"))
    assert list(found) == ["run", "params", "steps", "attempts", "events"]
    assert found["events"] == stored(mixed, "m")
    assert found["run"]["receipt"] == found["events"][-1]["h"] and found["run"]["state"] == "failed"
    assert found["params"] == {"region": "eu", "token": {"secret": "TOKEN"}} or "token" in found["params"]
    assert [(a["step_id"], a["attempt"], a["state"]) for a in found["attempts"]] == [
        ("right", 0, "failed"), ("left", 0, "succeeded"), ("right", 1, "succeeded"), ("ask", 0, "failed")]
    steps = {step["step_id"]: step for step in found["steps"]}
    assert steps["left"]["outputs"] == {"rows": 3} and steps["ask"]["needs"] == ["left", "right"]
    assert steps["ask"]["gate"] == "manual" and steps["right"]["attempts"] == 2
    assert mixed.run("export", "m", check=0).stdout == export(mixed, "m", "json")


def test_s6_no_export_shows_a_secret(mixed):
    for form in ("json", "csv", "chrome-trace", "otlp"):
        assert "hunter2" not in export(mixed, "m", form)


def test_export_csv_is_a_row_an_attempt(mixed):
    table = list(csv.DictReader(io.StringIO(export(mixed, "m", "csv"))))
    assert [(row["step_id"], row["attempt"], row["state"], row["error_class"], row["exit_code"]) for row in table] == [
        ("right", "0", "failed", "transient_io", "75"), ("left", "0", "succeeded", "", "0"),
        ("right", "1", "succeeded", "", "0"), ("ask", "0", "failed", "unknown", "3")]
    assert all(row["started_at"] <= row["ended_at"] for row in table)


def test_export_chrome_trace_has_a_lane_a_slot_waits_and_gates(mixed):
    found = json.loads(export(mixed, "m", "chrome-trace"))
    events = found["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "i"} and found["displayTimeUnit"] == "ms"
    slices = [event for event in events if event["ph"] == "X"]
    for event in slices:
        assert event["ts"] >= 0 and event["dur"] >= 0 and isinstance(event["ts"], int)
        named = [e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"
                 and (e["pid"], e["tid"]) == (event["pid"], event["tid"])]
        assert len(named) == 1
    for pid, tid in {(event["pid"], event["tid"]) for event in slices}:
        lane = sorted((e["ts"], e["ts"] + e["dur"]) for e in slices if (e["pid"], e["tid"]) == (pid, tid))
        assert all(one[1] <= two[0] for one, two in zip(lane, lane[1:])), "slices of a lane overlap"
    assert {event["tid"] for event in slices if event["pid"] == 1} == {1, 2}
    assert [(event["name"], event["cat"]) for event in slices if event["pid"] == 2] == [
        ("right", "retry"), ("ask", "wait")]
    assert [event["name"] for event in events if event["ph"] == "i"] == ["gate.approved ask", "run.resumed"]


def test_export_otlp_is_a_trace_of_spans_that_commands_hang_theirs_below(mixed):
    (resource,) = json.loads(export(mixed, "m", "otlp"))["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    root, *spans = scope["spans"]
    assert {"key": "sluice.run_id", "value": {"stringValue": "m"}} in resource["resource"]["attributes"]
    assert root["traceId"] == stored(mixed, "m")[0]["trace_id"] and "parentSpanId" not in root
    assert len(spans) == 4 and len({span["spanId"] for span in [root, *spans]}) == 5
    for span in [root, *spans]:
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"]) and span["traceId"] == root["traceId"]
        assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    assert all(span["parentSpanId"] == root["spanId"] for span in spans)
    assert [span["status"]["code"] for span in spans] == [2, 1, 1, 2] and root["status"]["code"] == 2
    assert "gate.approved" in [event["name"] for event in root["events"]]
    left = next(span for span in spans if span["name"] == "left")
    assert (mixed.work / "trace").read_text().split("-")[1:3] == [root["traceId"], left["spanId"]]


def test_export_otlp_hangs_the_run_below_the_span_that_it_was_started_in(sluice):
    sluice.env["TRACEPARENT"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    go(sluice, GOOD, "r", 0)
    root = json.loads(export(sluice, "r", "otlp"))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert root["traceId"] == "0af7651916cd43dd8448eb211c80319c" and root["parentSpanId"] == "b7ad6b7169203331"
    assert root["spanId"] != root["parentSpanId"]


@pytest.mark.parametrize("form", ["json", "csv", "chrome-trace", "otlp"])
def test_s11_6_a_run_that_goes_on_is_exported_as_it_is(sluice, form):
    process = sluice.start("run", sluice.write("s.yaml", SLOW), "--run-id", "live")
    sluice.wait_for("live", "executing")
    text = export(sluice, "live", form)
    assert form == "csv" or json.loads(text)
    assert "long" not in text or "running" in text
    sluice.run("stop", "live", "--now")
    process.communicate(timeout=20)


@pytest.mark.parametrize("form", ["json", "csv", "chrome-trace", "otlp"])
def test_s11_4_the_good_part_of_a_damaged_log_is_exported_and_said(sluice, form):
    go(sluice, GOOD, "r", 0)
    log = sluice.log("r")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:5]) + lines[5].replace(b"runner", b"runnes") + b"".join(lines[6:]))
    done = sluice.run("export", "r", "--format", form, check=7)
    assert form == "csv" or json.loads(done.stdout)
    assert "after event 5" in done.stderr and "hello" in done.stdout


def test_export_to_a_reader_that_has_enough_is_quiet(mixed):
    with subprocess.Popen(mixed.command("export", "m"), cwd=mixed.work, env=mixed.env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(timeout=20) == 0


@pytest.mark.slow
def test_export_of_many_events_is_whole_though_written_in_pieces(sluice):
    steps = "".join(f"  s{n}: {{noop: true, needs: []}}\n" for n in range(3000))
    sluice.run("run", "-q", sluice.write("n.yaml", "pipeline: n\nsteps:\n" + steps), "--sync", "never",
               "--run-id", "n", check=0)
    found = json.loads(export(sluice, "n", "json"))
    assert len(found["events"]) == 6005 and len(found["attempts"]) == 3000


def test_compare_finds_where_two_runs_diverge(sluice):
    go(sluice, FAILING.replace("exit 3", "true").replace("failing", "one"), "a", 0)
    go(sluice, FAILING.replace("failing", "one"), "b", 1)
    found = json.loads(sluice.run("compare", "a", "b", "--json", check=0).stdout)
    assert found["first_divergence"] == "second" and found["pipeline_changed"] == []
    first, second, third = found["steps"]
    assert not first["diverges"] and first["definition_changed"] == []
    assert second["definition_changed"] == ["run"] and second["b"]["error_class"] == "unknown"
    assert third["b"]["skip_reason"] == "run_stopped" and third["b"]["duration_ms"] is None
    assert found["duration_change_ms"] == found["b"]["duration_ms"] - found["a"]["duration_ms"]
    text = sluice.run("compare", "a", "b", check=0).stdout
    assert "\nFirst divergence: second: definition (run), state\n" in text
    table = list(csv.DictReader(io.StringIO(sluice.run("compare", "a", "b", "-o", "csv", check=0).stdout)))
    assert [row["diverges"] for row in table] == ["false", "true", "true"]


def test_compare_of_a_run_with_itself_finds_nothing(mixed):
    text = mixed.run("compare", "m", "m", check=0).stdout
    assert "No divergence" in text
    found = json.loads(mixed.run("compare", "m", "m", "--json", check=0).stdout)
    assert found["first_divergence"] is None and found["steps"][0]["outputs"] in ("same", "none")


def test_compare_sees_parameters_outputs_attempts_needs_and_steps(sluice):
    text = """\
pipeline: p
params: {n: {type: int, default: 1}}
steps:
  a: {env: {N: "${params.n}"}, run: 'echo "{\\"outputs\\": {\\"n\\": $N}}" > "$SLUICE_OUTPUT"', outputs: {n: {type: int}}}
  b: {run: 'true'}
  c: {run: 'true'}
"""
    path = sluice.write("p.yaml", text)
    sluice.run("run", "-q", path, "--run-id", "one", check=0)
    sluice.run("run", "-q", path, "--run-id", "two", "-p", "n=2", check=0)
    found = json.loads(sluice.run("compare", "one", "two", "--json", check=0).stdout)
    assert found["params_changed"] == [{"name": "n", "a": 1, "b": 2}]
    assert found["first_divergence"] == "a" and found["steps"][0]["outputs"] == "differ"
    assert "\nParameter n: 1 -> 2\n" in sluice.run("compare", "one", "two", check=0).stdout
    lines = text.splitlines(keepends=True)
    moved = "".join(lines[:3] + [lines[3], lines[5], lines[4], "  d: {run: 'true'}\n"])
    sluice.run("run", "-q", sluice.write("q.yaml", moved), "--run-id", "three", check=0)
    found = {step["step_id"]: step for step in
             json.loads(sluice.run("compare", "one", "three", "--json", check=0).stdout)["steps"]}
    assert found["b"]["definition_changed"] == ["needs"] == found["c"]["definition_changed"]
    assert found["d"]["a"] is None and found["d"]["diverges"] and not found["a"]["diverges"]


@pytest.mark.parametrize("words, status, text", [
    (["export"], 2, "is used as"), (["export", "r", "--format", "xml"], 2, "json, csv, chrome-trace or otlp"),
    (["export", "nobody"], 9, "no run 'nobody'"), (["export", "\x1b[31m"], 9, "no run"),
    (["export", "./no/such"], 9, "no/such"), (["export", ""], 2, "empty"),
    (["compare", "r"], 2, "is used as"), (["compare", "r", "nobody"], 9, "no run 'nobody'"),
    (["compare", "r", "r", "-o", "jsonl"], 2, "not a format"), (["compare", "", "r"], 2, "empty")])
def test_s13_wrong_words_are_refused_with_a_reason(sluice, words, status, text):
    go(sluice, GOOD, "r", 0)
    done = sluice.run(*words, check=status)
    assert text in done.stderr and done.stdout == ""


def test_s3_a_gate_that_was_rejected_took_no_slot(sluice):
    go(sluice, APPROVAL, "r", 4)
    sluice.run("reject", "r", "ask", "--as", "ann", "--reason", "no", check=0)
    sluice.run("resume", "r")
    events = json.loads(export(sluice, "r", "chrome-trace"))["traceEvents"]
    assert "gate.rejected ask" in [event["name"] for event in events if event["ph"] == "i"]
    assert [event["pid"] for event in events if event["ph"] == "X"] == [2]
