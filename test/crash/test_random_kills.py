"""D04: engine and keeper are killed at random moments, one to five times a run, and paused.

SLUICE_KILLS: how many runs (300; 20 with -m quick). SLUICE_SEED: where the seeds begin; a failure names
its own seed, and SLUICE_SEED=<seed> SLUICE_KILLS=1 does it again (times still vary)."""
import contextlib
import os
import random
import shutil
import signal
import time

import pytest

from support.checker import Ledger, is_kept
from support.kills import World, eight_steps, sweep

RUNS = int(os.environ.get("SLUICE_KILLS", "300"))
SEED = int(os.environ.get("SLUICE_SEED", "1"))
PARTS = 10


def pids_of(world, engine, chance):
    if chance.random() < 0.35:
        return world.keepers() or [engine.pid]
    return [engine.pid]


def disturb(world, engine, chance):
    """Kill, or pause and go on."""
    for pid in pids_of(world, engine, chance):
        with contextlib.suppress(ProcessLookupError):
            if chance.random() < 0.2:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(chance.random() * 0.05)
                os.kill(pid, signal.SIGCONT)
            else:
                os.kill(pid, signal.SIGKILL)


def campaign(tmp_path, program, seed):
    chance = random.Random(seed)
    world = World(tmp_path / f"seed-{seed}", program, on_lost="rerun", steps=eight_steps())
    known = b""
    try:
        for time_ in range(chance.randint(1, 5)):
            born = (world.run_dir() / "events.jsonl").exists()
            engine = world.start(*(("resume", world.id) if born else ("run", world.file, "--run-id", world.id)))
            time.sleep(chance.random() * (0.2 if time_ == 0 else 0.1))
            disturb(world, engine, chance)
            if chance.random() < 0.6:  # else the next engine comes while this one may still live
                with contextlib.suppress(ProcessLookupError):
                    engine.kill()
                engine.wait(20)
            now = world.lines()
            assert is_kept(known, now), "S1.5: an acknowledged line is gone"
            known = now
        for process in world.open:
            if process.poll() is None:
                process.wait(30)
        world.finish()
    except BaseException as problem:
        problem.args = (f"seed {seed}: {problem}",)
        raise
    finally:
        world.close()
    shutil.rmtree(world.root)


@pytest.mark.quick
def test_some_random_kills(tmp_path, sluice_program):
    sweep(range(SEED, SEED + min(RUNS, 20)), campaign, tmp_path, sluice_program)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_kills(tmp_path, sluice_program, part):
    sweep(range(SEED + part, SEED + RUNS, PARTS), campaign, tmp_path, sluice_program)


def test_the_ledger_itself_finds_a_second_execution(sluice):
    """Guards the guard."""
    ledger = Ledger(sluice.root)
    path = sluice.pipeline({"a": Ledger.SCRIPT}, env={name: {"from": "env"} for name in ledger.env})
    sluice("run", path, "--run-id", sluice.id, env=ledger.env, code=0)
    log = sluice.log()
    ledger.check(log)
    whole = ledger.witness.read_text()
    for bad in (whole * 2, whole + f"{sluice.id} a 1\n", ""):
        ledger.witness.write_text(bad)
        with pytest.raises(AssertionError):
            ledger.check(log)
