"""Logs and what must be said of them. The oracle is a comparison with the log as it was: the chain lets
nothing stand as good but the lines that stood there, in their places."""
import contextlib
import os
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from support.sluice import ROOT

# Every way to look at all runs.
ALL = [["list"], ["stats"], ["gc", "--older-than", "1d"], ["verify", "--all"], ["reindex", "--all"]]


def judge_program():
    build = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
    program = build / "test/surgery/judge"
    if not program.is_file():
        raise FileNotFoundError(f"no {program}: set SLUICE_BUILD to where the tests were built")
    return program


@dataclass(frozen=True)
class Verdict:
    writer: int     # exit status of who would go on
    changes: int    # that it tried to make
    said: str
    reader: int     # exit status of who looks
    end: str        # how the log ends: whole, torn, damaged, newer; none
    seq: int        # the last good line
    shown: str      # to who looks


def verdicts(run_dir, cases, mode="fold"):
    """Of each of the logs (an iterator of bytes), in order."""
    judge = subprocess.Popen([judge_program(), mode, run_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        with contextlib.suppress(BrokenPipeError), judge.stdin:
            for raw in cases:
                judge.stdin.write(struct.pack("<I", len(raw)) + raw)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        for line in judge.stdout:
            writer, changes, said, reader, end, seq, shown = line.decode(errors="replace").rstrip("\n").split("\t")
            yield Verdict(int(writer), int(changes), said, int(reader), end, int(seq), shown)
        assert judge.wait() == 0, "the judge ended early"
    finally:
        judge.kill()
        judge.wait()
        judge.stdout.close()
        feeder.join()


def expected(lines, raw):
    """(how it ends, good lines) for a log whose lines were `lines`, with nothing beside it that has seen more."""
    given = raw.splitlines(True) if b"\r" not in raw else _split(raw)
    good = 0
    while good < len(given) and good < len(lines) and given[good] == lines[good]:
        good += 1
    rest = given[good:]
    if not good:
        return ("none" if all(not line.endswith(b"\n") for line in rest) else "first"), 0
    if not rest:
        return "whole", good
    if len(rest) == 1 and not rest[0].endswith(b"\n"):
        return "torn", good
    return "damaged", good


def _split(raw):
    parts = raw.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def objection(lines, raw, verdict, witness=0):
    """What is wrong with the verdict, or None. `witness`: the line that a checkpoint has seen."""
    end, good = expected(lines, raw)
    v = verdict
    if end == "none":      # S11.8: no whole first line, no run
        fine = v.writer == v.reader == 9 and not v.changes
    elif end == "first":   # the first line is damaged: nothing can be shown
        fine = v.writer == 7 and v.reader == 7 and not v.changes and "line 1" in v.said + v.shown
    elif end == "damaged":
        fine = (v.writer == 7 and not v.changes and f"line {good + 1}:" in v.said
                and (v.reader, v.end, v.seq) == (0, "damaged", good) and f"line {good + 1}:" in v.shown)
    elif good < witness:   # S9.4: it was cut
        fine = v.writer == 7 and not v.changes and (v.reader, v.end, v.seq) == (0, end, good)
    elif end == "torn":    # S11.4: it would be repaired
        fine = v.changes > 0 and v.writer == 10 and (v.reader, v.end, v.seq) == (0, "torn", good)
    else:
        fine = v.writer == 0 and not v.changes and (v.reader, v.end, v.seq) == (0, "whole", good)
    return None if fine else f"expected {end} after {good} lines (witness {witness}), got {v}"


def goes_on_among_noise(sluice, count, chance):
    """A good run goes to its end beside so many logs of noise, and who reads all runs reads it."""
    sluice.go({"a": "true"}, run_id="seed-of-all")
    raw = sluice.raw("seed-of-all")
    for i in range(count):
        folder = sluice.run_dir(f"noise-{i}")
        folder.mkdir()
        bad = bytearray(raw)
        for _ in range(chance.randint(1, 5)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        (folder / "events.jsonl").write_bytes(bytes(bad[:chance.randrange(len(bad))]))
    sluice.go({"a": "true", "b": "true"})
    for verb in ALL:
        done = sluice(*verb)
        assert done.code in (0, 7, 11), (verb, done.code, done.stderr[-1000:])
    assert sluice.id in sluice("list", code=(0, 7)).stdout
    sluice("verify", sluice.id, code=0)
