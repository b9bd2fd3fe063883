"""D01, D02, D03: the engine, a resume, and the keeper are killed at every system call that they make.

Afterwards the run is resumed until it ends. Then the log must be one that the rules allow, nothing that
was in it may be missing, and no token may have been executed twice."""
import shutil

import pytest

from support.kills import World, copy_of, keeper_script, kill_at, read_trace, spread, sweep
from support.sluice import until

pytestmark = pytest.mark.usefixtures("need_strace")

SLICES = 16
QUICK = 40


def trace_of_run(tmp_path, program):
    world = World(tmp_path / "traced", program)
    trace = world.root / "trace"
    try:
        world.run(prefix=("strace", "-qq", "-o", trace), code=0)
        world.ledger.check(world.log(ended="succeeded"))
    finally:
        world.close()
    return read_trace(trace, after="pipeline.yaml")


def kill_the_run(tmp_path, program, point):
    """Only the engine dies: its keeper holds the attempts, so that none may be lost."""
    world = World(tmp_path / "{}-{}".format(*point), program)
    try:
        world.run(prefix=kill_at(point), code=(0, -9))
        log = world.finish()
        assert not log.of("step.lost"), "S8.3: the keeper lived"
    except BaseException as problem:
        problem.args = (f"killed at {point}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(world.root)


@pytest.mark.quick
def test_engine_killed_at_some_system_calls(tmp_path, sluice_program):
    points = spread(trace_of_run(tmp_path, sluice_program), QUICK)
    sweep(points, kill_the_run, tmp_path, sluice_program)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_engine_killed_at_every_system_call(tmp_path, sluice_program, part):
    points = trace_of_run(tmp_path, sluice_program)
    sweep(points[part::SLICES], kill_the_run, tmp_path, sluice_program)


# ------------------------------------------------------------------------------- the resume

def half_a_run(tmp_path, program):
    """A state directory as a power cut in the middle of `left` and `right` leaves it."""
    world = World(tmp_path / "half", program, on_lost="rerun")
    steps = world.file.read_text()
    world.file.write_text(steps.replace('; echo rows=7', '; [ $SLUICE_ATTEMPT != 0 ] || sleep 30; echo rows=7'))
    engine = world.start("run", world.file, "--run-id", world.id)
    try:
        world.wait_event("step.started", "left", timeout=20)
        until(lambda: any(" left " in t for t in world.ledger.rows()), of="left runs")
        world.kill_machine(engine)
    finally:
        world.close()
    return world


def trace_of_resume(tmp_path, half, program):
    world = copy_of(half, tmp_path / "resume-traced", program)
    trace = world.root / "trace"
    try:
        world("resume", world.id, prefix=("strace", "-qq", "-o", trace), code=0)
        world.finish()
    finally:
        world.close()
    return read_trace(trace, after="events.jsonl")


def kill_the_resume(tmp_path, program, half, point):
    world = copy_of(half, tmp_path / "resume-{}-{}".format(*point), program)
    try:
        world("resume", world.id, prefix=kill_at(point), code=(0, -9))
        # Once more, at the same place: recovery of a recovery (D03).
        world("resume", world.id, prefix=kill_at(point), code=(0, -9, 8))
        world.finish()
    except BaseException as problem:
        problem.args = (f"killed at {point}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(world.root)


@pytest.mark.quick
def test_resume_killed_at_some_system_calls(tmp_path, sluice_program):
    half = half_a_run(tmp_path, sluice_program)
    points = spread(trace_of_resume(tmp_path, half, sluice_program), QUICK)
    sweep(points, kill_the_resume, tmp_path, sluice_program, half)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_resume_killed_at_every_system_call(tmp_path, sluice_program, part):
    half = half_a_run(tmp_path, sluice_program)
    points = trace_of_resume(tmp_path, half, sluice_program)
    sweep(points[part::SLICES], kill_the_resume, tmp_path, sluice_program, half)


# ------------------------------------------------------------------------------- the keeper

def trace_of_keeper(tmp_path):
    trace = tmp_path / "keeper.trace"
    program = keeper_script(tmp_path / "keeper-traced-bin", f"-qq -o {trace}")
    world = World(tmp_path / "keeper-traced", program)
    try:
        world.run(code=0)
        world.ledger.check(world.log(ended="succeeded"))
    finally:
        world.close()
    return read_trace(trace)


def kill_the_keeper(tmp_path, point):
    """What ran below it is killed with it, and nobody can know how far it came: on_lost: rerun. Only the
    first keeper is killed: the script removes its own injection."""
    call, n = point
    folder = tmp_path / "keeper-{}-{}".format(*point)
    once = folder / "bin" / "once"
    program = keeper_script(folder / "bin", "")
    once.write_text("")
    (folder / "bin/sluice-keeper").write_text(
        "#!/bin/sh\n"
        f"if [ -e {once} ]; then /bin/rm {once}; "
        f"exec {shutil.which('strace')} -qq -o /dev/null -e trace={call} "
        f"-e inject={call}:signal=SIGKILL:when={n} {folder}/bin/real-keeper \"$@\"; fi\n"
        f"exec {folder}/bin/real-keeper \"$@\"\n")
    world = World(folder / "world", program, on_lost="rerun")
    try:
        result = world.run()
        assert result.code in (0, 10), result  # a keeper that cannot start is a storage failure
        world.finish()
    except BaseException as problem:
        problem.args = (f"keeper killed at {point}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(folder)


@pytest.mark.quick
def test_keeper_killed_at_some_system_calls(tmp_path):
    points = spread(trace_of_keeper(tmp_path), QUICK)
    sweep(points, kill_the_keeper, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_keeper_killed_at_every_system_call(tmp_path, part):
    sweep(trace_of_keeper(tmp_path)[part::SLICES], kill_the_keeper, tmp_path)
