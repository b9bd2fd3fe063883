"""The example of docs, on real data, killed at random: it ends with all steps succeeded and the outputs
of a run that nobody disturbed."""
import hashlib
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from support.checker import is_kept
from support.sluice import ROOT, Sluice, until

EXAMPLE = ROOT / "examples/deliverable"
KILLS = int(os.environ.get("SLUICE_KILLS_EXAMPLE", "25"))
SEED = int(os.environ.get("SLUICE_SEED", "1"))
GATE = "publish_internal"


def prepare(root, program):
    for data in ("/usr/share/unicode/UnicodeData.txt", "/usr/share/iso-codes/json/iso_639-3.json"):
        if not Path(data).exists():
            pytest.skip(f"needs {data} (packages unicode-data, iso-codes)")
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(EXAMPLE, root / "example", ignore=shutil.ignore_patterns("work"))
    world = Sluice(root, program)
    world.file = root / "example/pipeline.yaml"
    # A killed keeper makes attempts whose end nobody knows: every step of the example may be repeated.
    text = world.file.read_text()
    world.file.write_text(text.replace("defaults:\n", "defaults:\n  on_lost: rerun\n", 1))
    return world


def finish(world):
    """Approve when asked, until it has succeeded."""
    for _ in range(12):
        result = world("resume", world.id)
        if result.code == 4:
            world("approve", world.id, GATE, "--as", "anna", "--reason", "checked", code=0)
        elif result.code == 0:
            return
        else:
            assert result.code == 8, result
            time.sleep(0.1)
    raise AssertionError(f"it does not end: {result}")


def results(world):
    """What a run made, without what differs by its nature (database file, times, paths)."""
    log = world.log(ended="succeeded")
    outputs = {}
    for event in log.of("step.succeeded"):
        outputs[event["step_id"]] = {k: v for k, v in event.get("outputs", {}).items()
                                     if not (isinstance(v, str) and v.startswith("/"))}
    work = world.file.parent / "work"
    sums = {}
    for path in sorted((work / "bundle").rglob("*")):
        if path.is_file():
            sums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    published = sorted(p.name for p in (work / "published" / world.id).iterdir())
    return log, {"outputs": outputs, "sums": sums, "published": published}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sluice_program):
    world = prepare(tmp_path_factory.mktemp("calm"), sluice_program)
    begin = time.monotonic()
    try:
        world("run", world.file, "--run-id", world.id, code=4, timeout=120)
        took = time.monotonic() - begin
        finish(world)
        log, made = results(world)
    finally:
        world.close()
    assert all(step.state == "succeeded" for step in log.steps.values()) and len(log.steps) == 8
    return took, made


def killed(root, program, undisturbed, seed):
    took, made = undisturbed
    chance = random.Random(seed)
    world = prepare(root, program)
    try:
        engine = world.start("run", world.file, "--run-id", world.id)
        until(lambda: (world.run_dir() / "events.jsonl").exists(), of="its birth")
        time.sleep(chance.random() * took)
        if chance.random() < 0.4:
            for pid in world.keepers():
                os.kill(pid, signal.SIGKILL)
            if chance.random() < 0.5:
                engine.kill()
        else:
            engine.kill()
        engine.wait(60)
        known = world.raw()[:world.raw().rfind(b"\n") + 1]
        finish(world)
        log, mine = results(world)
        assert is_kept(known, world.raw())
        assert all(step.state == "succeeded" for step in log.steps.values()) and len(log.steps) == 8
        assert mine == made, f"seed {seed}"
        assert json.loads(world("status", world.id, "--json", code=0).stdout)
    finally:
        world.close()
    shutil.rmtree(root)


@pytest.mark.quick
@pytest.mark.whole
def test_the_example_killed_three_times(tmp_path, sluice_program, undisturbed):
    for seed in range(SEED, SEED + 3):
        killed(tmp_path / str(seed), sluice_program, undisturbed, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + KILLS))
def test_d04_the_example_killed_at_random(tmp_path, sluice_program, undisturbed, seed):
    killed(tmp_path / "run", sluice_program, undisturbed, seed)
