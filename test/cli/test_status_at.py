"""status --at: a run as it was, at any point of its log."""
import json

import pytest

from pipelines import FAILING, GOOD


@pytest.fixture
def failed(sluice):
    sluice.write("a.yaml", FAILING)
    sluice.run("run", "a.yaml", "--run-id", "r1", check=1)
    return [json.loads(line) for line in sluice.log("r1").read_text().splitlines()]


def at(sluice, point, check=0):
    return json.loads(sluice.run("status", "r1", "--at", point, "--json", check=check).stdout)


def test_s1_1_every_point_of_the_log_is_the_fold_up_to_it(sluice, failed):
    states, run = {"first": "pending", "second": "pending", "third": "pending"}, None
    for event in failed:
        if "step_id" in event:
            states[event["step_id"]] = {"step.started": "running", "step.succeeded": "succeeded",
                                        "step.failed": "failed", "step.skipped": "skipped"}[event["event_type"]]
        elif event["event_type"] != "run.completed":
            run = event["new_state"]
        seq = int(event["event_id"][4:])
        shown = at(sluice, str(seq))
        assert {s["step_id"]: s["state"] for s in shown["steps"]} == states
        assert shown["state"] == run and shown["seq"] == seq and shown["receipt"] == event["h"]
        assert shown["at"]["event_type"] == event["event_type"]
        assert shown["at"]["step_id"] == event.get("step_id")
        assert shown["at"]["head_seq"] == len(failed) and not shown["at"]["beyond_head"]
        assert shown["owner_pid"] is None and shown["next"] == []
        assert at(sluice, event["event_id"]) == shown


def test_a_time_means_what_had_happened_by_then(sluice, failed):
    for event in failed:
        shown = at(sluice, event["timestamp_utc"])
        last = max(int(e["event_id"][4:]) for e in failed
                   if e["timestamp_utc"] <= event["timestamp_utc"])
        assert shown["seq"] == last


def test_text_says_which_point_it_is(sluice, failed):
    out = sluice.run("status", "r1", "--at", "evt_5", check=0).stdout
    assert out.startswith("Run ID: r1\nState: executing\n")
    event = failed[4]
    assert out.endswith(f"As of: event 5 of {len(failed)}, {event['timestamp_utc']}, "
                        f"{event['event_type']} [{event['step_id']}]\n")
    assert "Next:" not in out and "Owner:" not in out


def test_beyond_the_head_is_the_head_and_is_said(sluice, failed):
    shown = at(sluice, "9999")
    assert shown["state"] == "failed" and shown["seq"] == len(failed) and shown["at"]["beyond_head"]
    assert "this is its end" in sluice.run("status", "r1", "--at", "9999", check=0).stdout
    assert at(sluice, "2999-01-01T00:00:00Z")["seq"] == len(failed)
    assert at(sluice, "-0s")["seq"] == len(failed)


def test_before_the_run_there_is_nothing_to_show(sluice, failed):
    for point in ("2001-01-01T00:00:00Z", "-9000d"):
        done = sluice.run("status", "r1", "--at", point, check=9)
        assert "did not exist then" in done.stderr and failed[0]["timestamp_utc"] in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("point", ["", "x", "0", "evt_0", "evt_", "-", "-x", "-10", "10m", "1.5", "-1",
                                   "99999999999999999999", "2026-01-31", "evt_-1", "2026-13-01T00:00:00Z"])
def test_s13_a_point_that_is_none_is_refused_with_the_forms(sluice, failed, point):
    done = sluice.run("status", "r1", "--at", point, check=2)
    assert "hint:" in done.stderr and done.stdout == ""


def test_s13_without_a_value_or_a_run(sluice):
    assert "needs a value" in sluice.run("status", "r1", "--at", check=2).stderr
    sluice.run("status", "r1", "--at", "1", check=9)


def test_s11_4_a_damaged_log_shows_what_lies_before_the_damage(sluice, failed):
    lines = sluice.log("r1").read_bytes().splitlines(keepends=True)
    lines[7] = b"x" + lines[7]
    sluice.log("r1").write_bytes(b"".join(lines))
    shown = at(sluice, "5", check=7)
    assert shown["seq"] == 5 and shown["at"]["head_seq"] == 7 and "damaged" in shown["note"]
    assert at(sluice, "8", check=7)["at"]["beyond_head"]


def test_nothing_is_written(sluice):
    sluice.write("a.yaml", GOOD)
    sluice.run("run", "a.yaml", "--run-id", "r1", check=0)
    folder = sluice.home / "runs" / "r1"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    at(sluice, "3")
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
