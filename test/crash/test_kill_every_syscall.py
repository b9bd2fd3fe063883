"""D01, D02, D03, P18, X01: engines, keepers, and whoever gives an order are killed at every system call that they make.

Every: from where a command opens what it works on; of a call that is made more than 120 times, as in a search through
/proc, at about 120 of them, the first, the last and some between. All these points of one kind of pipeline, some of the
four others; all of all in script/campaign. At three quarters of them at least somebody must have been killed, as no two
runs make quite the same calls. Afterwards somebody goes on until the run is at its end. Then the log must be one that
the rules allow, nothing that was in it may be missing, no token may have been executed twice, and as long as the keeper
lived no step more often than its policy says."""
import zlib

import pytest

import kill_sweep
from support.kills import spread, sweep

pytestmark = pytest.mark.usefixtures("need_strace")

WHOLE = "linear"
SOME = 24
SLICES = 8
QUICK = 6
RECORDINGS = 5


def named(*words):
    return [name for name in kill_sweep.sweeps() if any(name.endswith(f"-{word}") for word in words)]


def killed(sweep_of, name, choose):
    """Kills at the points that `choose` takes of all; answers how often it did what.

    Whoever looks for what a lost engine left makes as many calls as there are processes, or control groups of others.
    Where these were more when points were recorded than they are now, points are missed: they are recorded anew."""
    one, points = sweep_of(name)
    one.figures.clear()
    one.killed.clear()
    for _ in range(RECORDINGS):
        chosen = choose(points)
        assert chosen, f"nothing of {len(points)} points"
        sweep([point for point in chosen if point not in one.killed], one.one)
        if len(one.killed.intersection(chosen)) >= len(chosen) * 3 / 4:
            return one.figures
        points = one.points()
    raise AssertionError(f"of {len(chosen)} points of the last of {RECORDINGS} recordings: {one.figures}")


def some(sweep_of, name, most=SOME):
    return killed(sweep_of, name, lambda points: spread(points, most))


def share_of(point):
    """Of a point by itself: each process that runs tests records points of its own, and not all have the same."""
    return zlib.crc32("{} {}".format(*point).encode()) % SLICES


def whole(sweep_of, name, part):
    return killed(sweep_of, name, lambda points: [point for point in points if share_of(point) == part])


@pytest.mark.quick
@pytest.mark.parametrize("name", ["linear-run", "linear-resume", "linear-keeper"])
def test_d01_p18_engine_and_keeper_killed_at_some_system_calls(sweep_of, name):
    some(sweep_of, name, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_d01_engine_killed_at_every_system_call(sweep_of, part):
    whole(sweep_of, f"{WHOLE}-run", part)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_d03_resume_killed_at_every_system_call_and_the_resume_of_it_too(sweep_of, part):
    figures = whole(sweep_of, f"{WHOLE}-resume", part)
    assert figures["killed again"] >= figures["killed"] / 4, figures


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_p18_keeper_killed_at_every_system_call(sweep_of, part):
    whole(sweep_of, f"{WHOLE}-keeper", part)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_rollback_killed_at_every_system_call_undoes_each_step_once(sweep_of, part):
    whole(sweep_of, "undone-rollback", part)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in named("run", "resume", "keeper") if not name.startswith(WHOLE)])
def test_d01_p18_engines_and_keepers_of_other_shapes_killed_at_some_system_calls(sweep_of, name):
    figures = some(sweep_of, name)
    assert figures["killed again"] or not name.endswith("-resume"), figures


@pytest.mark.slow
@pytest.mark.parametrize("name", named("owner", "approve", "stop", "approve-live", "stop-live"))
def test_a_decision_that_was_accepted_stays_whoever_is_killed(sweep_of, name):
    some(sweep_of, name)


@pytest.mark.slow
def test_gc_killed_at_some_system_calls_leaves_runs_whole_or_gone(sweep_of):
    some(sweep_of, "caches-gc")
