"""D08 to D13, C11: lines and tails of the long log, by the built program and every verb that reads runs."""
import random
import shutil
import subprocess

import pytest
from judging import ALL, expected, goes_on_among_noise
from shapes import long_log

from support.checker import chain, forge
from support.sluice import Sluice

# Every way to look at one run, and every way to go on with it.
LOOKS = [["status"], ["summary"], ["explain"], ["events"], ["events", "--json"], ["logs"], ["graph"], ["export"], ["verify"],
         ["compare"]]
ACTS = [["resume"], ["resume", "--check"], ["rollback"], ["stop"], ["approve", "wait", "--reason", "r"],
        ["reject", "wait", "--reason", "r"], ["rerun"]]


def words(world, verb):
    more = [world.id + "-old"] if verb[0] == "compare" else ["tried"] if verb == ["explain"] else []
    return [verb[0], world.id, *verb[1:], *more]


def state(folder):
    """What a run directory holds; in run.lock there is the number of who took the lock last, a hint."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() and path.name != "run.lock" else None
            for path in sorted(folder.rglob("*"))}


def edits(raw):
    lines = raw.splitlines(True)
    for i, line in enumerate(lines):
        if i + 1 < len(lines):
            yield f"line {i + 1} deleted", lines[:i] + lines[i + 1:]
            yield f"lines {i + 1} and {i + 2} swapped", [*lines[:i], lines[i + 1], line, *lines[i + 2:]]
        yield f"line {i + 1} doubled", lines[:i + 1] + lines[i:]
        yield f"line {i + 1} again at the end", [*lines, line]
        yield f"line {i + 1} ends in CR LF", [*lines[:i], line[:-1] + b"\r\n", *lines[i + 1:]]
        yield f"line {i + 1} with a CR for its end", [*lines[:i], line[:-1] + b"\r", *lines[i + 1:]]
        yield f"a BOM before line {i + 1}", [*lines[:i], b"\xef\xbb\xbf", *lines[i:]]
        yield f"a NUL before line {i + 1}", [*lines[:i], b"\0", *lines[i:]]
        yield f"line {i + 1} is empty", [*lines[:i], b"\n", *lines[i:]]


def refused(world, raw, why, act=("resume",)):
    """Damage: exit 7 with line and next step, by who goes on and by who looks; nothing is written."""
    lines = whole_lines(world)
    end, good = expected(lines, raw)
    assert end in ("damaged", "first"), why
    world.rewrite(raw)
    before = state(world.run_dir())
    done = world(act[0], world.id, *act[1:])
    assert done.code == 7 and f"line {good + 1}:" in done.stderr and "hint:" in done.stderr, (why, done)
    assert state(world.run_dir()) == before, why


def whole_lines(world):
    return world.whole.splitlines(True)


@pytest.fixture
def cuttable(long):
    long.whole = long.raw()
    return long


@pytest.mark.slow
def test_d11_every_edit_of_every_line_is_refused_with_its_line_and_nothing_is_written(cuttable):
    count = 0
    for why, lines in edits(cuttable.whole):
        raw = b"".join(lines)
        if expected(whole_lines(cuttable), raw)[0] in ("damaged", "first"):
            refused(cuttable, raw, why)
            count += 1
    assert count > 450


@pytest.mark.slow
def test_d10_a_sample_of_flipped_bits_is_refused_by_the_built_program(cuttable):
    chance = random.Random(7)
    for at in chance.sample(range(len(cuttable.whole) - 1), 120):
        raw = bytearray(cuttable.whole)
        raw[at] ^= 1 << chance.randrange(8)
        refused(cuttable, bytes(raw), f"byte {at}")


def test_d10_every_verb_refuses_a_damaged_log_and_no_look_writes(cuttable):
    lines = whole_lines(cuttable)
    cuttable.rewrite(b"".join([*lines[:20], lines[20].replace(b"evt_", b"evt_0"), *lines[21:]]))
    before = state(cuttable.run_dir())
    for verb in [*LOOKS, *ACTS]:
        done = cuttable(*words(cuttable, verb))
        assert done.code == 7, (verb, done)
        assert "line 21" in done.stdout + done.stderr, (verb, done)
        assert state(cuttable.run_dir()) == before, verb


TAILS = {
    "a byte": b"x", "NULs": b"\0" * 4096, "half a line": b'{"event_id":"evt_99","event_type":"step.', "a whole object": b"{}",
    "half a letter": '{"event_id":"evt_99","reason":"\u00e4'.encode()[:-1], "a CR": b"\r", "a BOM": b"\xef\xbb\xbf",
    "random bytes": random.Random(3).randbytes(3000).replace(b"\n", b""),
    "another file": b"#!/bin/sh and what else a disk may have held" * 40,
    "two MiB without an end": b"y" * (2 << 20),
}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_d08_d09_a_tail_that_was_never_acknowledged_is_kept_aside_and_the_end_is_the_same(cuttable, tail):
    raw = b"".join(whole_lines(cuttable)[:40])
    cuttable.rewrite(raw + tail)
    (cuttable.run_dir() / "attempts.log").unlink()  # it has seen more than these lines
    before = state(cuttable.run_dir())
    for verb in LOOKS:
        done = cuttable(*words(cuttable, verb))
        assert done.code in (0, 5), (verb, done)  # compare: they differ
        assert state(cuttable.run_dir()) == before, verb
    cuttable("resume", cuttable.id, code=(0, 1, 4))
    log = cuttable.log()
    assert log.state == "failed" and log.of("log.repaired")[-1]["bytes"] == len(tail)
    assert cuttable.raw().startswith(raw)
    torn = cuttable.run_dir() / f"events.torn-{len(raw)}"
    assert torn.read_bytes() == tail


def test_d09_a_whole_line_of_a_foreign_file_is_damage(cuttable):
    for tail in (b"\r\n", b"\xef\xbb\xbf\n", b"\0\n", b"{}\n", b"\xc3\n", b"text\n", b"[" * 100000 + b"\n"):
        refused(cuttable, cuttable.whole + tail, tail[:20])


def test_d11_two_logs_spliced_are_refused_at_the_joint(cuttable):
    other = (cuttable.run_dir(cuttable.id + "-old") / "events.jsonl").read_bytes().splitlines(True)
    lines = whole_lines(cuttable)
    for i in range(1, min(len(other), len(lines))):
        refused(cuttable, b"".join(lines[:i] + other[i:]), f"spliced at line {i + 1}")
        refused(cuttable, b"".join(lines[:i] + other[i:] + lines[i:]), f"put in at line {i + 1}")


def test_d11_the_log_of_another_run_in_its_place_is_refused(cuttable):
    shutil.copy(cuttable.run_dir(cuttable.id + "-old") / "events.jsonl", cuttable.run_dir() / "events.jsonl")
    for verb in (["resume"], ["verify"], ["status"]):
        done = cuttable(*words(cuttable, verb))
        assert done.code in (7, 9), (verb, done)


def cut_points(lines):
    return range(1, len(lines))


WITNESSES = {"checkpoint": ("checkpoint.json",), "receipt": ()}


@pytest.mark.slow
def test_d12_a_cut_at_every_line_end_is_found_by_the_checkpoint_and_by_the_receipt(cuttable):
    lines = whole_lines(cuttable)
    receipt = list(chain(cuttable.id, [line[:-1] for line in lines]))[-1]
    log, mark = cuttable.run_dir() / "events.jsonl", cuttable.run_dir() / "checkpoint.json"
    seen = mark.read_bytes()
    (cuttable.run_dir() / "attempts.log").unlink()  # a witness of its own, of some of the cuts: see below
    for cut in cut_points(lines):
        raw = b"".join(lines[:cut])
        log.write_bytes(raw)
        for verb in (["resume"], ["verify"], ["status"]):
            done = cuttable(*words(cuttable, verb), code=7)
            assert "the log was cut" in done.stdout + done.stderr, (cut, verb, done)
        mark.unlink()
        cuttable("verify", cuttable.id, "--receipt", receipt, code=7)
        cuttable("verify", cuttable.id, code=0)  # nothing that has seen more: a legal log
        assert log.read_bytes() == raw
        mark.write_bytes(seen)


def test_d13_a_chain_that_was_written_anew_is_found_by_who_has_seen_the_old_one(cuttable):
    log, mark = cuttable.run_dir() / "events.jsonl", cuttable.run_dir() / "checkpoint.json"
    good = cuttable.log()
    for at, field, value in ((3, "timestamp_utc", "2026-01-01T00:00:00.000Z"), (len(good.events) - 1, "actor", "manual:eve"),
                             (0, "seed", 1)):
        events = [dict(event) for event in good.events]
        events[at][field] = value
        raw = forge(cuttable.id, events)
        seen = mark.read_bytes()
        log.write_bytes(raw)
        for verb in (["resume"], ["verify"], ["status"], ["rollback"]):
            done = cuttable(*words(cuttable, verb), code=7)
            assert "another history" in done.stdout + done.stderr, (field, verb, done)
        assert log.read_bytes() == raw
        mark.unlink()
        cuttable("verify", cuttable.id, "--receipt", good.receipt, code=7)
        cuttable("verify", cuttable.id, code=0)  # without a witness nobody can tell
        mark.write_bytes(seen)


def poison(world, name, raw):
    folder = world.run_dir(name)
    shutil.copytree(world.run_dir(), folder)
    (folder / "events.jsonl").write_bytes(raw)


def test_c11_damaged_runs_do_not_stop_what_reads_all_runs(cuttable):
    lines = whole_lines(cuttable)
    chance = random.Random(11)
    bad = {"first": cuttable.whole[:100].replace(b"run", b"ruN") + cuttable.whole[100:], "cut": b"".join(lines[:9]),
           "nothing": b"", "zeros": b"\0" * 9000, "middle": b"".join(lines[:9] + lines[10:]),
           "newer": cuttable.whole.replace(b'"format":1', b'"format":9'), "text": b"not a log\n" * 50,
           "deep": b"[" * 200000, "noise": chance.randbytes(20000)}
    for name, raw in bad.items():
        poison(cuttable, f"bad-{name}", raw)
    (cuttable.home / "runs" / "bad-file").write_text("no directory")
    (cuttable.home / "runs" / "bad-link").symlink_to("/nonexistent")
    before = {name: state(cuttable.run_dir(f"bad-{name}")) for name in bad}
    for _ in range(2):
        for verb in ALL:
            done = cuttable(*verb)
            assert done.code in ((0, 3) if verb[0] == "gc" else (0, 7, 11)), (verb, done)
        assert cuttable.id in cuttable("list", code=(0, 7)).stdout
    for name, files in before.items():
        after = state(cuttable.run_dir(f"bad-{name}"))
        assert after["events.jsonl"] == files["events.jsonl"], name
    cuttable("verify", cuttable.id, code=0)
    cuttable.go({"a": "true"}, run_id=cuttable.id + "-new")


@pytest.mark.slow
def test_c11_a_good_run_goes_to_its_end_among_logs_of_noise(sluice):
    """Some hundreds; campaign.py makes ten thousand, where it has the time."""
    goes_on_among_noise(sluice, 300, random.Random(5))


def resumed_twice(sluice):
    """A run with two epochs, and the line of the second."""
    sluice.go({"a": "true", "b": "[ -e ok ]", "c": "true"}, code=1)
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    lines = sluice.raw().splitlines(True)
    return lines, next(i for i, line in enumerate(lines) if b'"run.resumed"' in line)


def test_d12_a_cut_behind_what_the_keeper_has_seen_is_found_without_a_checkpoint(sluice):
    """S9.4: commands were armed after a run.resumed that the log does not have."""
    lines, at = resumed_twice(sluice)
    (sluice.run_dir() / "checkpoint.json").unlink()
    log = sluice.run_dir() / "events.jsonl"
    for cut in range(1, len(lines)):
        for tail in (b"", b'{"event_id'):
            log.write_bytes(b"".join(lines[:cut]) + tail)
            before = state(sluice.run_dir())
            for verb in (["status"], ["summary"], ["verify"], ["resume", "--check"], ["resume"], ["rollback"]) if cut <= at else (["verify"],):
                done = sluice(*words(sluice, verb), code=7 if cut <= at else 0)
                assert cut > at or "attempts.log has seen event" in done.stdout + done.stderr, (cut, verb, done)
                assert state(sluice.run_dir()) == before, (cut, verb)
    log.write_bytes(b"".join(lines[:at]))
    (sluice.run_dir() / "attempts.log").unlink()
    sluice("resume", sluice.id, code=0)


def test_d12_what_a_keeper_of_another_boot_has_seen_is_no_evidence(sluice, need_root):
    """record.h: nobody syncs attempts.log; after a loss of power it may hold anything."""
    lines, at = resumed_twice(sluice)
    sluice.rewrite(b"".join(lines[:at]))
    (sluice.root / "boot_id").write_text("11111111-2222-4333-8444-555555555555\n")
    sluice("resume", sluice.id, code=0, prefix=(
        "unshare", "-m", "sh", "-c", f"mount --bind {sluice.root}/boot_id /proc/sys/kernel/random/boot_id && exec \"$@\"", "sh"))
