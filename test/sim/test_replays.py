"""X05: a log gives the same state each time it is replayed, and in every build."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surgery"))

from shapes import long_log  # noqa: E402
from sim_hunt import ROOT  # noqa: E402

BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
OTHERS = {"asan": 100, "clang": 1000}  # seeds: the sanitizers are slow


def built(*names):
    """The build folders that have all of these programs, by name."""
    folders = {name: ROOT / "build" / name for name in OTHERS}
    return {name: folder for name, folder in folders.items() if all((folder / path).exists() for path in names)}


def hash_of_seeds(folder, seeds):
    done = subprocess.run([folder / "src/sim/sluice-sim", "--seeds", str(seeds), "--hash"], capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    return re.search(r"^hash (\w{64})$", done.stdout, re.M).group(1)


def hashes(folder, paths):
    done = subprocess.run([folder / "test/sim/state_hash", *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.slow
def test_x05_a_thousand_logs_give_the_same_state_twice():
    """Each seed replays its log twice in itself; the whole is done twice, in processes of their own."""
    assert hash_of_seeds(BUILD, 1000) == hash_of_seeds(BUILD, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_x05_other_builds_come_to_the_same_logs_and_states(name):
    if name not in built("src/sim/sluice-sim"):
        pytest.skip(f"build/{name} is not built: script/test makes it")
    assert hash_of_seeds(BUILD, OTHERS[name]) == hash_of_seeds(built("src/sim/sluice-sim")[name], OTHERS[name])


@pytest.mark.slow
def test_x05_a_recorded_run_gives_the_same_state_at_every_event_in_every_build(sluice):
    """A run with most types of events, cut off behind each of its lines."""
    long_log(sluice)
    lines = sluice.raw().splitlines(True)
    whole = sluice.run_dir()
    folders = []
    for n in range(1, len(lines) + 1):
        folder = sluice.root / "cut" / str(n) / whole.name  # the chain begins with the name
        shutil.copytree(whole, folder, ignore=shutil.ignore_patterns(
            "events*", "checkpoint.json", "logs", "out", "artifacts", "quarantine", "*.sock"))
        (folder / "events.jsonl").write_bytes(b"".join(lines[:n]))
        folders.append(folder)
    first = hashes(BUILD, folders)
    assert len(set(first)) == len(lines) > 50, "each event changes the state"
    assert [int(line.split()[1]) for line in first] == list(range(1, len(lines) + 1))
    assert hashes(BUILD, folders) == first
    others = built("test/sim/state_hash")
    for name, folder in others.items():
        assert hashes(folder, folders) == first, name
    print(json.dumps({"logs": len(folders), "builds": ["gcc", *others]}))
