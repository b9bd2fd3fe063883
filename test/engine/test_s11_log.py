"""S11: the log on disk: chain, damage, torn tails, newer formats, readers."""
import hashlib
import json
import re
import subprocess

import pytest

from support.checker import FIELDS, chain, check_bytes, forge, split_lines
from support.sluice import until


@pytest.fixture
def half(sluice):
    """A run that failed: its log may be changed and resumed."""
    sluice.go({"a": 'echo n=1 >"$SLUICE_OUTPUT"', "b": '[ -e ok ] || exit 1', "c": "true"}, code=1)
    (sluice.root / "ok").touch()
    return sluice


def write(sluice, raw):
    sluice.rewrite(raw)


def test_s11_1_numbers_times_actors_and_the_chain_over_resumes(sluice):
    """Computed here from the rule alone."""
    sluice.go({"a": "[ -e ok ]", "m": {"gate": "manual", "run": "true"}}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=4)
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "yes", code=0)
    sluice("resume", sluice.id, "--as", "bob", code=0)
    hashed = hashlib.sha256(sluice.id.encode()).digest()
    lines = sluice.raw().split(b"\n")
    assert lines.pop() == b""
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        assert list(event)[0] == "event_id" and event["event_id"] == f"evt_{number}" and event["run_id"] == sluice.id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp_utc"])
        assert re.fullmatch(r"runner|manual:.+", event["actor"]) and None not in event.values()
        hashed = hashlib.sha256(hashed + line[:-24]).digest()
        assert line[-24:] == b',"h":"' + hashed.hex()[:16].encode() + b'"}'
    assert sluice.log().of("gate.approved")[0]["actor"] == "manual:anna"


def test_d07_every_prefix_of_the_last_line_is_repaired(half):
    whole = half.raw()
    last = whole.splitlines(True)[-1]
    head = whole[:-len(last)]
    attempts = half.run_dir() / "attempts.log"
    seen = attempts.read_bytes()
    for cut in sorted({1, 2, 10, 30, len(last) // 2, len(last) - 26, len(last) - 2, len(last) - 1}):
        write(half, head + last[:cut])
        attempts.write_bytes(seen)  # S9.4: it must not have seen the resume of the last pass
        shown = half("status", half.id, code=0)
        assert half.raw() == head + last[:cut], "readers never write"
        assert shown.stdout
        half("verify", half.id, code=0)
        half("events", half.id, "--json", code=0)
        for old in half.run_dir().glob("events.torn-*"):
            old.unlink()
        # First the log gets the end that it lacks, then the run goes on.
        half.resume_to_end()
        log = half.log(ended="succeeded")
        repaired = log.of("log.repaired")[0]
        assert repaired["bytes"] == cut
        torn, = half.run_dir().glob("events.torn-*")
        assert torn.read_bytes() == last[:cut] and torn.name == f"events.torn-{len(head)}"
        assert half.raw().startswith(head)


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff\xfe garbage", b"{}", b'{"event_id":"evt_99"}', b"\r", b" "])
def test_d08_other_torn_tails(half, tail):
    whole = half.raw()
    write(half, whole + tail)
    half("status", half.id, code=0)
    half("resume", half.id, code=0)
    assert half.log(ended="succeeded").of("log.repaired")[0]["bytes"] == len(tail)
    assert half.raw().startswith(whole)


@pytest.mark.parametrize("tail", [b"\n", b"\0\n", b"{}\n", b"garbage\n", b"\xef\xbb\xbf\n", b"\r\n"])
def test_s11_4_a_whole_line_that_is_none_is_damage(half, tail):
    raw = half.raw() + tail
    write(half, raw)
    half("resume", half.id, code=7)
    half("verify", half.id, code=7)
    assert half.raw() == raw


def edits(raw):
    lines = raw.splitlines(True)
    for i in range(len(lines)):
        yield f"delete {i}", lines[:i] + lines[i + 1:]
        yield f"double {i}", lines[:i + 1] + lines[i:]
        if i + 1 < len(lines):
            yield f"swap {i}", lines[:i] + [lines[i + 1], lines[i]] + lines[i + 2:]
        yield f"replay {i}", lines + [lines[i]]
        yield f"blank {i}", lines[:i] + [b"\n"] + lines[i:]
        yield f"crlf {i}", lines[:i] + [lines[i][:-1] + b"\r\n"] + lines[i + 1:]
        yield f"space {i}", lines[:i] + [lines[i].replace(b",", b", ", 1)] + lines[i + 1:]
    yield "bom", [b"\xef\xbb\xbf"] + lines


def test_d11_every_edit_of_a_line_is_found_and_the_file_untouched(half):
    raw = half.raw()
    whole = len(raw.splitlines())
    for what, lines in edits(raw):
        bad = b"".join(lines)
        if what == f"delete {whole - 1}":
            continue  # D12: a cut at the end of a line needs a receipt
        write(half, bad)
        result = half("resume", half.id)
        assert result.code == 7, (what, result)
        assert half.raw() == bad, what
        assert half("verify", half.id).code == 7, what
    assert not list(half.run_dir().glob("events.torn-*"))


@pytest.mark.slow
def test_d10_every_flipped_bit_is_found(half):
    """One bit of each byte (all eight are in the unit tests of the log)."""
    raw = half.raw()
    found = 0
    for at in range(0, len(raw) - 1, 7):
        bad = bytearray(raw)
        bad[at] ^= 1 << at % 8
        write(half, bytes(bad))
        result = half("verify", half.id)
        if bytes(bad).endswith(b"\n"):
            assert result.code in (7, 11), (at, raw[max(0, at - 20):at + 20], result)
        found += 1
    assert found > 100


def test_d12_a_cut_at_the_end_of_a_line_is_found_by_the_receipt(half):
    log = half.log()
    half("verify", half.id, "--receipt", log.receipt, code=0)
    half("verify", half.id, "--receipt", "0" * 16, code=7)
    lines = half.raw().splitlines(True)
    write(half, b"".join(lines[:-1]))
    half("verify", half.id, "--receipt", log.receipt, code=7)
    half("verify", half.id, code=0)


def test_d13_a_forged_chain_is_found_by_the_receipt_only(half):
    log = half.log()
    events = [dict(e) for e in log.events]
    events[0]["pipeline"] = "another"
    write(half, forge(half.id, events))
    assert half("verify", half.id, "--receipt", log.receipt).code == 7


def test_the_receipt_is_printed_at_the_end(sluice):
    path = sluice.pipeline({"a": "true"})
    result = sluice("run", path, "--run-id", sluice.id, code=0)
    assert sluice.log().receipt in result.stdout


@pytest.mark.parametrize("change, code", [
    ({"event_type": "step.invented"}, 11), ({"event_type": "x-mine", "data": {"a": 1}}, 0)])
def test_d30_s11_5_events_that_this_version_does_not_know(half, change, code):
    log = half.log()
    extra = {**{k: log.events[-1][k] for k in ("event_type", "run_id", "timestamp_utc", "actor", "attempt")}, **change}
    raw = forge(half.id, [*log.events, extra] if code else [*log.events[:4], extra, *log.events[4:]])
    write(half, raw)
    result = half("resume", half.id, code=code)
    if code:
        assert half.raw() == raw, result
    half("events", half.id, code=(0, 11) if code else 0)


def test_d30_d37_s11_5_a_newer_format(half):
    log = half.log()
    events = [{**log.events[0], "format": 2}, *log.events[1:]]
    raw = forge(half.id, events)
    write(half, raw)
    half("resume", half.id, code=11)
    assert half.raw() == raw
    half("events", half.id, "--json")


def gated(sluice):
    """One gate passed, one failed, one waived."""
    rows = 'echo n=1 >"$SLUICE_OUTPUT"'
    gate = {"run": rows, "outputs": {"n": {"type": "int"}}, "gate": "hard"}
    sluice.go({"a": {**gate, "pass": "output.n == 1"}, "b": {**gate, "pass": "output.n == 2"}, "c": "true"}, code=1)
    sluice("resume", sluice.id, "--override", "b", "--reason", "known", "--as", "anna", code=5)


def decided(answer):
    def scene(sluice):
        sluice.go({"m": {"gate": "manual", "noop": True}}, code=4)
        sluice(answer, sluice.id, "m", "--reason", "seen", "--as", "anna", code=(0, 1))
    return scene


def undone(sluice):
    """A compensation that failed once."""
    sluice.go({"a": {"run": "true", "compensate": {"run": "[ -e tried ] || { touch tried; exit 75; }",
                                                   "retry": {"max_attempts": 2, "initial": "1ms"}}},
               "b": {"run": "exit 1", "on_failure": "compensate"}}, code=1)


def kept(sluice):
    """A retry, quality figures, an artifact, and one that is missing."""
    (sluice.root / "figures").write_text(json.dumps({"quality": {"record_count": 10, "valid_count": 10, "null_count": 0}}))
    run = 'echo x >file; [ -e tried ] || { touch tried; exit 75; }; cat figures >"$SLUICE_OUTPUT"'
    sluice.go({"a": {"run": run, "artifacts": [{"name": "file", "path": "file"}],
                     "retry": {"max_attempts": 2, "initial": "1ms"}},
               "b": {"run": "true", "artifacts": [{"name": "none", "path": "none"}]}}, code=1)


def stopped(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started")
    sluice("stop", sluice.id, "--now", "--reason", "enough", "--as", "anna", code=(0, 5))
    engine.wait(20)


def lost(sluice):
    """The machine went down, and the log got its torn tail from that."""
    engine = sluice.start("run", sluice.pipeline({"a": {"run": "touch begun; [ -e ok ] || sleep 60", "on_lost": "rerun"}}),
                          "--run-id", sluice.id)
    until((sluice.root / "begun").exists, of="a")
    sluice.kill_machine(engine)
    (sluice.root / "ok").touch()
    events = [dict(json.loads(line)) for line in sluice.raw().splitlines()]
    events[0]["boot_id"] = "00000000-0000-4000-8000-000000000000"
    sluice.rewrite(forge(sluice.id, events) + b'{"event_id')
    sluice("resume", sluice.id, code=0)


def unprojected(sluice):
    (sluice.home / "runs.jsonl").mkdir(parents=True)
    sluice.go({"a": {"run": "true"}})


# How a log comes to hold an event of the type; every other type is in the log of `half`.
SCENES = {
    "run.resumed": gated, "run.override_applied": gated, "gate.passed": gated, "gate.failed": gated,
    "step.waiting": decided("approve"), "gate.approved": decided("approve"), "gate.rejected": decided("reject"),
    "run.rollback_started": undone, "compensation.started": undone, "compensation.failed": undone,
    "step.compensated": undone, "artifact.emitted": kept, "artifact.quarantined": kept, "quality.recorded": kept,
    "step.retried": kept, "run.stop_requested": stopped, "step.lost": lost, "log.repaired": lost,
    "projection.failed": unprojected,
}


def failed(sluice):
    sluice.go({"a": "true", "b": "exit 1", "c": "true"}, code=1)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("event_type", sorted(FIELDS))
def test_s11_a_missing_or_foreign_field_is_damage(sluice, event_type):
    SCENES.get(event_type, failed)(sluice)
    log = sluice.log()
    at = next(i for i, e in enumerate(log.events) if e["event_type"] == event_type)
    for name in FIELDS[event_type][0].split():
        events = [dict(e) for e in log.events]
        del events[at][name]
        write(sluice, forge(sluice.id, events))
        assert sluice("verify", sluice.id).code == 7, name
    write(sluice, forge(sluice.id, [{**e, "foreign": 1} if i == at else e for i, e in enumerate(log.events)]))
    assert sluice("verify", sluice.id).code == 7


@pytest.mark.parametrize("event_type, fields", [
    ("choice.taken", {"step_id": "a"}), ("map.expanded", {"step_id": "a"}),
    ("signal.received", {"name": "go"})])
def test_s11_5_reserved_events_are_read_and_refused_for_writing(half, event_type, fields):
    log = half.log()
    head = {k: log.events[4][k] for k in ("event_type", "run_id", "timestamp_utc", "actor", "attempt")}

    def put(fields):
        event = {**head, "event_type": event_type, **fields}
        raw = forge(half.id, [*log.events[:4], event, *log.events[4:]])
        write(half, raw)
        return raw

    raw = put({**fields, "data": [1]})
    half("resume", half.id, code=11)
    half("verify", half.id, code=11)
    assert half.raw() == raw
    assert event_type in half("events", half.id, "--json", code=(0, 11)).stdout
    for wrong in [*({k: v for k, v in fields.items() if k != name} for name in fields), {**fields, "foreign": 1}]:
        put(wrong)
        half("verify", half.id, code=7)


def test_user_events(sluice):
    text = '{"outputs":{},"events":[{"type":"x-note","data":{"k":[1,"\\u0007"]}}]}'
    (sluice.root / "text").write_text(text)
    log = sluice.go({"a": 'cat text >"$SLUICE_OUTPUT"'})
    note = log.of("x-note")[0]
    assert note["data"] == {"k": [1, "\u0007"]} and note["step_id"] == "a"


@pytest.mark.parametrize("kind", ["step.succeeded", "X-note", "x-" + "a" * 5000, "", "x-\u0000"])
def test_user_events_cannot_pretend(sluice, kind):
    (sluice.root / "text").write_text(json.dumps({"events": [{"type": kind, "data": {}}]}))
    path = sluice.pipeline({"a": 'cat text >"$SLUICE_OUTPUT"'})
    sluice("run", path, "--run-id", sluice.id, code=(0, 1))
    log = sluice.log()
    assert len(log.of("step.succeeded")) <= 1


def test_s11_6_tail_and_jq_work_while_it_is_written(sluice):
    path = sluice.pipeline({"s": "until [ -e go ]; do sleep 0.02; done"} | {f"s{i}": "sleep 0.05" for i in range(10)})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    log = sluice.run_dir() / "events.jsonl"
    until(log.exists)
    tail = subprocess.Popen(["tail", "-n", "+1", "-f", log], stdout=subprocess.PIPE)
    try:
        got = tail.stdout.read1(65536)
        (sluice.root / "go").touch()
        assert engine.wait(60) == 0
        whole = sluice.raw()
        while len(got) < len(whole):
            got += tail.stdout.read1(65536)
        assert got == whole
    finally:
        tail.kill()
        tail.wait()


def test_s11_6_our_followers_see_every_line_once_and_end(sluice):
    path = sluice.pipeline({"s": "until [ -e go ]; do sleep 0.02; done"} | {f"s{i}": "sleep 0.05" for i in range(10)})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.run_dir() / "events.jsonl").exists())
    seen = sluice.root / "seen"
    with seen.open("wb") as file:
        follower = sluice.start("events", sluice.id, "--follow", "--json", stdout=file)
    until(seen.read_bytes, of="the first lines")
    (sluice.root / "go").touch()
    assert engine.wait(60) == 0
    assert follower.wait(60) == 0, follower.communicate()
    assert seen.read_bytes() == sluice.raw()


def test_s11_7_verify_and_events_json_agree_with_the_file(half):
    result = half("events", half.id, "--json", code=0)
    assert result.stdout.encode() == half.raw()
    lines, rest = split_lines(half.raw())
    assert not rest and list(chain(half.id, lines))[-1] in half("verify", half.id, code=0).stdout


def test_d02_s11_2_every_prefix_of_a_log_is_a_legal_log(sluice):
    """Cut at every line end: deciding on the recovered state yields what is missing."""
    sluice.go({"a": 'echo n=1 >"$SLUICE_OUTPUT"', "g": {"gate": "hard", "run": "true"},
               "r": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}},
               "z": "true"})
    lines = sluice.raw().splitlines(True)
    for cut in range(1, len(lines) + 1):
        write(sluice, b"".join(lines[:cut]))
        sluice("resume", sluice.id, code=0)
        log = sluice.log(ended="succeeded")
        assert all(step.state == "succeeded" for step in log.steps.values()), cut
        assert sluice.raw().startswith(b"".join(lines[:cut]))


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo", "missing", "hardlink"])
def test_d31_a_log_that_is_something_else(half, kind):
    path = half.run_dir() / "events.jsonl"
    raw = path.read_bytes()
    aside = half.root / "aside"
    path.rename(aside)
    if kind == "symlink":
        path.symlink_to(aside)
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        subprocess.run(["mkfifo", path], check=True)
    elif kind == "hardlink":
        path.hardlink_to(aside)
    result = half("resume", half.id, timeout=20)
    assert result.code in (3, 7, 9, 10), result
    assert aside.read_bytes() == raw


@pytest.mark.parametrize("what", [
    "removed", "renamed over", "linked", "grown", "cut", "moved aside", "moved away"])
def test_d31_a_log_that_somebody_touches_under_a_live_run(sluice, what):
    path = sluice.pipeline({"a": "while [ ! -e ok ]; do sleep 0.05; done", "b": "touch ran"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    log = sluice.run_dir() / "events.jsonl"
    copy = log.read_bytes()
    if what == "removed":
        log.unlink()
    elif what == "renamed over":
        (sluice.root / "other").write_bytes(copy)
        (sluice.root / "other").rename(log)
    elif what == "linked":
        (sluice.root / "other").hardlink_to(log)
    elif what == "grown":
        with log.open("ab") as f:
            f.write(b"x")
    elif what == "cut":
        with log.open("r+b") as f:
            f.truncate(len(copy) - 10)
    else:
        log.rename(sluice.root / "aside")
        if what == "moved aside":
            log.write_bytes(copy)
    (sluice.root / "ok").touch()
    assert engine.wait(20) in (7, 10)
    assert not (sluice.root / "ran").exists(), "S11.3: no more steps"


def test_d29_an_event_line_stays_below_1_mib(sluice):
    """A long reason, long params, long outputs: nothing makes a longer line, nothing is cut silently."""
    path = sluice.pipeline({"a": {"run": "true"}}, params={"p": {"type": "string", "default": ""}})
    sluice("run", path, "--run-id", sluice.id, "--reason", "r" * 5000, code=2)
    assert not sluice.run_dir().exists()
    log = sluice.go({"a": 'printf \'{"reason":"%s"}\' $(head -c 200000 /dev/zero | tr "\\0" r) >"$SLUICE_OUTPUT"; exit 1'}, code=1)
    assert len(log.of("step.failed")[0]["reason"]) <= 4096
    log = sluice.go({"a": 'printf \'{"reason":"%s"}\' $(for i in $(seq 3000); do printf "\\303\\244"; done) >"$SLUICE_OUTPUT"; exit 1'},
                    code=1, run_id=sluice.id + "u")
    assert set(log.of("step.failed")[0]["reason"]) == {"\u00e4"}


def test_s11_8_a_directory_without_a_whole_first_line_is_no_run(half):
    raw = half.raw()
    first = raw.splitlines(True)[0]
    for bad in (b"", first[:-1], first[:50]):
        write(half, bad)
        assert half("resume", half.id).code in (7, 9), bad
        assert half.raw() == bad


def test_d36_a_copied_run_directory_is_a_run(half):
    subprocess.run(["cp", "-r", half.run_dir(), half.root / half.id], check=True)
    half("verify", half.root / half.id, code=0)
    half("resume", half.root / half.id, code=0)
    check_bytes((half.root / half.id / "events.jsonl").read_bytes(), half.id)
    half.log()


@pytest.mark.parametrize("sync, recorded", [("always", "always"), ("interval:20ms", "interval:20"), ("never", "never")])
def test_s11_2_a_weaker_sync_is_said_at_the_start_and_recorded(sluice, sync, recorded):
    said = sluice("run", sluice.pipeline({"a": "true"}), "--run-id", sluice.id, "--sync", sync, code=0).stderr
    assert sluice.log().events[0]["sync"] == recorded
    assert (f"sync: {recorded}: a power cut may take" in said) == (sync != "always"), said
