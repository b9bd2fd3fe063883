"""S10 under D01 to D04: engine and keeper are killed while a run is rolled back, at system calls and at random
moments.

Afterwards the rollback goes on until it ends. Then the log must be one that the rules allow, no attempt to
undo a step may have run twice, and each step is undone, last first. As long as the keeper lives each of
them is undone exactly once; if it dies with a compensation in its hands, nobody knows how far that came:
the rollback ends, and a person asks for it again."""
import contextlib
import os
import random
import shutil
import signal
import time

import pytest

from support.checker import is_kept
from support.kills import World, copy_of, keeper_script, kill_at, read_trace, spread, sweep, undo_steps

pytestmark = pytest.mark.usefixtures("need_strace")

SLICES = 8
QUICK = 24
RUNS = int(os.environ.get("SLUICE_KILLS", "100"))
SEED = int(os.environ.get("SLUICE_SEED", "1"))


def failed_run(tmp_path, program):
    """A run that failed, and that nobody has rolled back."""
    world = World(tmp_path / "half", program, steps=undo_steps(on_failure="stop"))
    try:
        world.run(code=1)
    finally:
        world.close()
    return world


def trace_of_rollback(tmp_path, half, program):
    world = copy_of(half, tmp_path / "traced", program)
    trace = world.root / "trace"
    try:
        world("rollback", world.id, prefix=("strace", "-qq", "-o", trace), code=0)
        world.finish_undo()
    finally:
        world.close()
    return read_trace(trace, after="events.jsonl")


def kill_the_rollback(tmp_path, program, half, point):
    """Only the engine dies, and then the one that goes on, at the same place."""
    world = copy_of(half, tmp_path / "{}-{}".format(*point), program)
    try:
        world("rollback", world.id, prefix=kill_at(point), code=(0, -9))
        log = world.log(torn=True)
        if log.rolling_back and not log.completed:
            world("resume", world.id, prefix=kill_at(point), code=(1, -9, 8))
        log = world.finish_undo()
        assert not log.of("compensation.failed"), "S8.3: the keeper lived"
    except BaseException as problem:
        problem.args = (f"killed at {point}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(world.root)


@pytest.mark.quick
def test_rollback_killed_at_some_system_calls_undoes_each_step_once(tmp_path, sluice_program):
    half = failed_run(tmp_path, sluice_program)
    points = spread(trace_of_rollback(tmp_path, half, sluice_program), QUICK)
    sweep(points, kill_the_rollback, tmp_path, sluice_program, half)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_rollback_killed_at_every_system_call_undoes_each_step_once(tmp_path, sluice_program, part):
    half = failed_run(tmp_path, sluice_program)
    points = trace_of_rollback(tmp_path, half, sluice_program)
    sweep(points[part::SLICES], kill_the_rollback, tmp_path, sluice_program, half)


# ------------------------------------------------------------------------------- the keeper

def trace_of_keeper(tmp_path, half):
    trace = tmp_path / "keeper.trace"
    world = copy_of(half, tmp_path / "keeper-traced",
                    keeper_script(tmp_path / "keeper-traced-bin", f"-qq -o {trace}"))
    try:
        world("rollback", world.id, code=0)
        world.finish_undo()
    finally:
        world.close()
    return read_trace(trace)


def kill_the_keeper(tmp_path, half, point):
    """Only the first keeper: the script removes its own injection."""
    call, n = point
    folder = tmp_path / "keeper-{}-{}".format(*point)
    once = folder / "bin/once"
    program = keeper_script(folder / "bin", "")
    once.write_text("")
    (folder / "bin/sluice-keeper").write_text(
        "#!/bin/sh\n"
        f"if [ -e {once} ]; then /bin/rm {once}; "
        f"exec {shutil.which('strace')} -qq -o /dev/null -e trace={call} "
        f"-e inject={call}:signal=SIGKILL:when={n} {folder}/bin/real-keeper \"$@\"; fi\n"
        f"exec {folder}/bin/real-keeper \"$@\"\n")
    world = copy_of(half, folder / "world", program)
    try:
        result = world("rollback", world.id)
        assert result.code in (0, 1, 10), result  # a keeper that cannot start is a storage failure
        log = world.finish_undo(most=2)
        assert all(event["error_class"] == "lost" for event in log.of("compensation.failed"))
    except BaseException as problem:
        problem.args = (f"keeper killed at {point}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(folder)


@pytest.mark.quick
def test_rollback_whose_keeper_is_killed_at_some_system_calls(tmp_path, sluice_program):
    half = failed_run(tmp_path, sluice_program)
    sweep(spread(trace_of_keeper(tmp_path, half), QUICK), kill_the_keeper, tmp_path, half)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_rollback_whose_keeper_is_killed_at_every_system_call(tmp_path, sluice_program, part):
    half = failed_run(tmp_path, sluice_program)
    sweep(trace_of_keeper(tmp_path, half)[part::SLICES], kill_the_keeper, tmp_path, half)


# --------------------------------------------------------------------------- at random moments

def victims(world, engine, chance):
    if chance.random() < 0.35:
        return world.keepers() or [engine.pid]
    return [engine.pid]


def begin(world):
    if not (world.run_dir() / "events.jsonl").exists():
        return world.start("run", world.file, "--run-id", world.id)
    log = world.log(torn=True)
    return world.start("rollback" if log.completed and log.state != "rolled_back" else "resume", world.id)


def campaign(tmp_path, program, seed):
    """A run that fails under `on_failure: compensate`: forward and backward are both cut."""
    chance = random.Random(seed)
    # What a keeper's death lost of the way forward runs again, so that there is a way back.
    world = World(tmp_path / f"seed-{seed}", program, on_lost="rerun", steps=undo_steps())
    known = b""
    try:
        for _ in range(chance.randint(1, 5)):
            engine = begin(world)
            time.sleep(chance.random() * 0.25)
            for pid in victims(world, engine, chance):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            engine.wait(30)
            now = world.lines()
            assert is_kept(known, now), "S1.5: an acknowledged line is gone"
            known = now
        log = world.finish_undo(most=6)
        lost = [event for event in log.of("compensation.failed")]
        assert all(event["error_class"] == "lost" for event in lost)
        assert sum(step.undos for step in log.steps.values()) == 5 + len(lost)
    except BaseException as problem:
        problem.args = (f"seed {seed}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(world.root)


@pytest.mark.quick
def test_some_random_kills_of_a_run_that_rolls_itself_back(tmp_path, sluice_program):
    sweep(range(SEED, SEED + min(RUNS, 10)), campaign, tmp_path, sluice_program)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_random_kills_of_a_run_that_rolls_itself_back(tmp_path, sluice_program, part):
    sweep(range(SEED + part, SEED + RUNS, SLICES), campaign, tmp_path, sluice_program)
