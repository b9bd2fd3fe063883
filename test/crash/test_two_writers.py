"""D23, D24, D25: one run has one owner, however many want it."""
import os
import signal
import time
from pathlib import Path

import pytest

from owner_races import KINDS, Races
from support.kills import sweep
from support.sluice import processes, until

TURNS = 5  # of each kind in each part
PATIENCE = 10  # seconds that an engine waits for a keeper that lives (CLIENT_PATIENCE_NS)


def held(step):
    """A step that leaves its name, and ends when the file `go` is there."""
    return f"echo {step} >>count; until [ -e go ]; do sleep 0.02; done"


def count(sluice):
    path = sluice.root / "count"
    return path.read_text().split() if path.exists() else []


@pytest.fixture(scope="module")
def races(place, sluice_program):
    (place / "races").mkdir()
    return Races(place / "races", sluice_program)


@pytest.mark.sweep(len(KINDS))
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_d23_many_starters_and_resumers_at_once(races, kind, part):
    races.figures.clear()
    sweep(range(part * TURNS, (part + 1) * TURNS), lambda turn: races.one(kind, turn))
    assert races.figures["refused by the owner"] or kind == "starters", races.figures


def test_d24_an_engine_that_wakes_up_after_its_keeper_was_killed(sluice):
    path = sluice.pipeline({"a": {"run": '[ "$SLUICE_ATTEMPT" = 0 ] || touch go; ' + held("a"), "on_lost": "rerun"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: count(sluice), of="a")
    os.kill(engine.pid, signal.SIGSTOP)
    for pid in sluice.keepers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not processes(f"SLUICE_RUN_ID={sluice.id}"), of="the end of what it ran")
    assert sluice("resume", sluice.id).code == 8
    os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(30) == 0
    assert sluice.log(ended="succeeded").steps["a"].started == [0, 1] and count(sluice) == ["a", "a"]


@pytest.fixture
def paused(sluice):
    """The keeper of a run whose engine was killed: it is paused while it has a step."""
    path = sluice.pipeline({"a": held("a") + "; touch end", "b": "echo b >>count"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: count(sluice), of="a")
    keeper, = sluice.keepers()
    os.kill(keeper, signal.SIGSTOP)
    sluice.cut(engine)
    return keeper


def connections(sluice):
    """How many there are to the socket of its keeper, taken by it or not."""
    socket = (sluice.run_dir() / "keeper.lock").read_text().split()[1]
    return Path("/proc/net/unix").read_text().count(f" {socket}\n")


@pytest.mark.parametrize("ends", ["while it is paused", "afterwards"])
def test_d24_a_paused_keeper_is_waited_for_and_nothing_runs_twice(sluice, paused, ends):
    before, begun = connections(sluice), time.monotonic()
    second = sluice.start("resume", sluice.id)
    until(lambda: connections(sluice) > before, of="a resume that asks the keeper")
    if ends == "while it is paused":
        (sluice.root / "go").touch()
        until((sluice.root / "end").exists, of="the end of a")
    time.sleep(1)
    os.kill(paused, signal.SIGCONT)
    (sluice.root / "go").touch()
    code = second.wait(60)
    # On a machine that did not let us go on for so long, it was right to give up.
    assert code == 0 or code == 10 and time.monotonic() - begun > PATIENCE, second.communicate()
    sluice.resume_to_end()
    assert not sluice.log(ended="succeeded").of("step.lost") and count(sluice) == ["a", "b"]


@pytest.mark.slow
def test_d24_a_keeper_that_stays_paused_is_given_up_and_what_it_has_is_not(sluice, paused):
    begun = time.monotonic()
    result = sluice("resume", sluice.id, code=10)
    assert time.monotonic() - begun >= PATIENCE and "keeper does not answer" in result.stderr
    (sluice.root / "go").touch()
    os.kill(paused, signal.SIGCONT)
    sluice.resume_to_end()
    assert not sluice.log(ended="succeeded").of("step.lost") and count(sluice) == ["a", "b"]


def test_d25_an_engine_that_was_killed_leaves_no_lock(sluice):
    """Neither to its keeper nor to the step, which runs until all is over; wherever in its beginning it was killed."""
    path = sluice.pipeline({"a": held("a")})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: count(sluice), of="a")
    sluice.cut(engine)
    for has_begun in (sluice.is_owned, lambda: sluice.raw().count(b'"run.resumed"') > before) * 3:
        before = sluice.raw().count(b'"run.resumed"')
        engine = sluice.start("resume", sluice.id)
        until(has_begun, of="a resume")
        sluice.cut(engine)
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    assert sluice.log(ended="succeeded").steps["a"].started == [0] and count(sluice) == ["a"]
