"""S11.2: every prefix of a log is a legal log. Cut at every line end, then resumed: the same end, for
every shape of a run; with what the keeper remembers, and without."""
import json
import shutil
import struct

import pytest
from shapes import SHAPES, event_types

from support.checker import Damage


def end_of(sluice):
    """What a run came to: its state and outcome, and those of its steps."""
    log = sluice.log()
    return log.state, log.outcome, {name: step.state for name, step in log.steps.items() if name in names_of(sluice)}


def names_of(sluice):
    document = json.loads(sluice("status", sluice.id, "--json").stdout)
    return {step["step_id"] for step in document["steps"]}


def put_back(sluice, kept, lines, *, keeper):
    """The run directory as it was, with a shorter log and nothing that has seen a longer one."""
    shutil.rmtree(sluice.run_dir())
    shutil.copytree(kept, sluice.run_dir(), symlinks=True)
    sluice.rewrite(b"".join(lines))
    if not keeper:
        (sluice.run_dir() / "attempts.log").unlink(missing_ok=True)
        shutil.rmtree(sluice.run_dir() / "out", ignore_errors=True)


def seen_by_keeper(run_dir):
    """The newest event that attempts.log names (its records: src/keeper/record.h)."""
    path = run_dir / "attempts.log"
    raw = path.read_bytes() if path.exists() else b""
    return max((struct.unpack_from("<Q", raw, at + 16)[0] for at in range(0, len(raw) - 255, 256)), default=0)


def refused(sluice, cut):
    """S9.4: a log that ends before what the keeper was started for was cut."""
    before = {path: path.read_bytes() for path in sluice.run_dir().rglob("*") if path.is_file() and path.name != "run.lock"}
    for verb in ("status", "resume"):
        done = sluice(verb, sluice.id)
        assert done.code == 7 and "the log was cut" in done.stderr, (cut, done)
    for path, content in before.items():
        assert path.read_bytes() == content, (cut, path)


# What the keeper remembers is never ahead of the log (S1.2): it can stand beside a shorter log only where
# nothing was said to the run in between.
CASES = [(shape, keeper) for shape in SHAPES for keeper in ((False,) if shape.is_told else (True, False))]


@pytest.mark.slow
@pytest.mark.parametrize("shape, keeper", CASES, ids=[
    f"{shape.name.replace(' ', '-')}-attempts-{'known' if keeper else 'forgotten'}" for shape, keeper in CASES])
def test_s11_2_cut_at_every_line_end_and_resumed_it_comes_to_the_same_end(sluice, shape, keeper):
    shape.make(sluice)
    wanted = end_of(sluice)
    assert wanted[0] == shape.state
    lines = sluice.raw().splitlines(True)
    kept = sluice.root / "kept"
    shutil.copytree(sluice.run_dir(), kept, symlinks=True)
    bad = []
    for cut in range(shape.first(lines), len(lines) + 1):
        put_back(sluice, kept, lines[:cut], keeper=keeper)
        try:
            if keeper and cut < seen_by_keeper(kept):
                refused(sluice, cut)
                continue
            shape.finish(sluice)
            got = end_of(sluice)
        except (AssertionError, Damage) as problem:
            bad.append(f"{cut} of {len(lines)} lines: {problem}")
            continue
        if got != wanted:
            bad.append(f"{cut} of {len(lines)} lines: {got}, not {wanted}: {event_types(sluice.raw().splitlines())}")
        if not sluice.raw().startswith(b"".join(lines[:cut])):
            bad.append(f"{cut} of {len(lines)} lines: what was there is gone")
    assert not bad, "\n".join(bad[:6])
