"""S9.4: checkpoint.json, a cache and a witness, and audit.jsonl beside it."""
import json
import os

import pytest

from support.sluice import until

STEPS = {"a": {"run": 'echo n=7 >"$SLUICE_OUTPUT"', "outputs": {"n": {"type": "int"}}}, "b": "[ -e ok ]"}


def checkpoint(sluice):
    return json.loads((sluice.run_dir() / "checkpoint.json").read_text())


def audit(sluice):
    return [json.loads(line) for line in (sluice.run_dir() / "audit.jsonl").read_text().splitlines()]


def test_s9_4_the_checkpoint_has_the_end_of_the_log_and_the_state(sluice):
    log = sluice.go(STEPS, code=1, params={"p": {"type": "int", "default": 3},
                                           "k": {"type": "secret", "from": {"env": "K"}}}, env={"K": "hidden"})
    seen = checkpoint(sluice)
    assert seen["seq"] == len(log.events) and seen["chain"].startswith(log.receipt)
    assert seen["state"]["state"] == "failed" and seen["state"]["params"] == {"p": 3}
    assert seen["state"]["steps"]["a"]["outputs"] == {"n": 7}
    assert seen["state"]["steps"]["b"]["error_class"] == "unknown"
    assert "hidden" not in (sluice.run_dir() / "checkpoint.json").read_text()
    assert (sluice.run_dir() / "checkpoint.json").stat().st_mode & 0o777 == 0o600


def test_the_audit_has_an_entry_for_each_end_and_pause_with_nulls_written(sluice):
    log = sluice.go({**STEPS, "m": {"gate": "manual", "needs": ["a"], "noop": True}}, code=(1, 4))
    first = audit(sluice)
    assert list(first[0]) == ["pipeline_name", "run_id", "node_id", "sequence", "visit", "started_at",
                              "completed_at", "latency_ms", "status", "inputs_snapshot", "outputs_snapshot",
                              "error_message", "pause_reason"]
    by_status = {entry["status"]: entry for entry in first}
    assert by_status["success"]["outputs_snapshot"] == {"output": {"n": 7}}
    assert by_status["success"]["error_message"] is None and by_status["success"]["pause_reason"] is None
    assert by_status["error"]["error_message"] == "exit code 1" and by_status["error"]["outputs_snapshot"] == {}
    assert by_status["paused"]["pause_reason"] == "approval"
    assert [log.events[entry["sequence"] - 1]["step_id"] for entry in first] == [e["node_id"] for e in first]


def test_the_audit_goes_on_over_a_resume_and_is_made_anew_when_it_is_damaged(sluice):
    sluice.go(STEPS, code=1)
    before = audit(sluice)
    sluice("resume", sluice.id, code=1)
    after = audit(sluice)
    assert after[:len(before)] == before and after[-1]["visit"] == 2 and after[-1]["status"] == "error"
    for damage in (b"", b"garbage", (sluice.run_dir() / "audit.jsonl").read_bytes()[:-20], None):
        path = sluice.run_dir() / "audit.jsonl"
        path.unlink() if damage is None else path.write_bytes(damage)
        sluice("resume", sluice.id, code=1)
        again = audit(sluice)
        assert again[:len(after)] == after and len(again) == len(after) + 1
        after = again


def test_s9_4_a_log_that_was_cut_is_refused_and_readers_say_so(sluice):
    sluice.go(STEPS, code=1)
    whole = sluice.raw()
    path = sluice.run_dir() / "events.jsonl"
    path.write_bytes(b"".join(whole.splitlines(True)[:-2]))
    cut = sluice.raw()
    for words in (["resume", sluice.id], ["rollback", sluice.id], ["stop", sluice.id],
                  ["status", sluice.id], ["summary", sluice.id], ["verify", sluice.id]):
        assert "the log was cut" in sluice(*words, code=7).stderr, words
    assert sluice.raw() == cut
    path.write_bytes(whole)
    sluice("verify", sluice.id, code=0)


def test_s9_4_a_log_with_another_history_is_refused(sluice):
    sluice.go(STEPS, code=1)
    old = (sluice.run_dir() / "checkpoint.json").read_bytes()
    sluice.rewrite(b"".join(sluice.raw().splitlines(True)[:-1]))
    sluice("resume", sluice.id, code=1)
    (sluice.run_dir() / "checkpoint.json").write_bytes(old)
    assert "another history" in sluice("resume", sluice.id, code=7).stderr
    assert "another history" in sluice("status", sluice.id, code=7).stderr
    assert "another history" in sluice("verify", sluice.id, code=7).stdout


@pytest.mark.parametrize("damage", [b"", b"garbage", b"{}", b'{"format":1,"run_id":"other","seq":9}', None, "cut", "flip"])
def test_d32_s9_4_a_checkpoint_that_is_missing_or_damaged_is_made_anew(sluice, damage):
    sluice.go(STEPS, code=1)
    path = sluice.run_dir() / "checkpoint.json"
    text = path.read_bytes()
    if damage is None:
        path.unlink()
    elif damage == "cut":
        path.write_bytes(text[:90])
    elif damage == "flip":
        path.write_bytes(text.replace(b'"seq":', b'"seq":9'))
    else:
        path.write_bytes(damage)
    sluice("status", sluice.id, code=0)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    assert checkpoint(sluice)["seq"] == len(sluice.log().events)


def test_s9_4_a_crash_leaves_it_behind_and_that_is_nothing(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "true", "b": "until [ -e go ]; do sleep 0.01; done"}),
                          "--run-id", sluice.id)
    sluice.wait_event("step.started", "b")
    sluice.cut(engine)
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    assert [entry["node_id"] for entry in audit(sluice)] == ["a", "b"]


@pytest.mark.parametrize("checkpoint, written", [({"every": "step"}, True), ({"every": 2, "store": "file"}, True),
                                                 ({"off": True}, False)])
def test_the_key_says_how_often(sluice, checkpoint, written):
    engine = sluice.start("run", sluice.pipeline({"a": "true", "b": "true", "c": "sleep 60"}, checkpoint=checkpoint),
                          "--run-id", sluice.id)
    sluice.wait_event("step.started", "c")
    until(lambda: (sluice.run_dir() / "checkpoint.json").exists() == written, of="a checkpoint")
    engine.kill()


@pytest.mark.parametrize("value, hint", [({"store": "redis"}, "is not in this version"), ({"every": 0}, "every"),
                                         ({"every": "day"}, "every"), ({"of": True}, "did you mean 'off'"),
                                         ("step", "a mapping")])
def test_the_key_refuses_what_it_does_not_know(sluice, value, hint):
    assert hint in sluice("lint", sluice.pipeline({"a": "true"}, checkpoint=value), code=2).stdout + \
        sluice("lint", sluice.pipeline({"a": "true"}, checkpoint=value), code=2).stderr


@pytest.mark.parametrize("which", ["checkpoint.json", "audit.jsonl"])
def test_s12_what_cannot_be_written_is_an_event_and_the_run_goes_on(sluice, which):
    sluice.go({"a": "true", "m": {"gate": "manual", "noop": True}}, code=4)
    path = sluice.run_dir() / which
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    sluice("approve", sluice.id, "m", "--reason", "fine", code=0)
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert {event["which"] for event in log.of("projection.failed")} == {which}


def test_s11_2_a_log_that_is_never_synced_has_no_witness(sluice):
    sluice.go(STEPS, "--sync", "never", code=1)
    assert not (sluice.run_dir() / "checkpoint.json").exists()
    assert os.path.exists(sluice.run_dir() / "audit.jsonl")


def files(sluice):
    """What is in the run directory, without who looked at it last."""
    return {path.relative_to(sluice.run_dir()): path.read_bytes() for path in sluice.run_dir().rglob("*")
            if path.is_file() and path.name != "run.lock"}


@pytest.mark.parametrize("tail", [b"", b"x", b'{"event_id":"evt_9","event_type":"step.st', b"\0" * 5000],
                         ids=["whole", "a byte", "half a line", "zeros"])
def test_s9_4_a_log_that_was_cut_is_refused_before_its_torn_tail_is_moved(sluice, tail):
    sluice.go(STEPS, code=1)
    lines = sluice.raw().splitlines(keepends=True)
    (sluice.run_dir() / "events.jsonl").write_bytes(b"".join(lines[:-2]) + tail)
    before = files(sluice)
    for act in (["resume", sluice.id], ["stop", sluice.id], ["rollback", sluice.id],
                ["resume", sluice.id, "--from", "a"]):
        done = sluice(*act, code=7)
        assert "checkpoint" in done.stderr or "cut" in done.stderr, done.stderr
        assert files(sluice) == before
    for look in (["verify", sluice.id], ["status", sluice.id], ["events", sluice.id]):
        sluice(*look)
        assert files(sluice) == before
    sluice("verify", sluice.id, code=7)
    assert files(sluice) == before


def test_s11_4_a_torn_tail_behind_what_the_checkpoint_saw_is_moved(sluice):
    sluice.go(STEPS, code=1)
    log = sluice.run_dir() / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"event_id":')
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    assert [path.read_bytes() for path in sluice.run_dir().glob("events.torn-*")] == [b'{"event_id":']
    assert sluice.has_event("log.repaired")
