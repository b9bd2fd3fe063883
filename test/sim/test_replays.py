"""X05: a log gives the same state each time it is replayed, and in every build."""
import functools
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
from support.sluice import Sluice  # noqa: E402

BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
OTHERS = ("asan", "clang")
SEEDS = 1000


def other(name):
    """The folder of another build. Skips where nobody made it; one that is not whole is a failure."""
    folder = ROOT / "build" / name
    if not (folder / "build.ninja").exists():
        pytest.skip(f"build/{name} is not there: script/test makes it")
    return folder


@functools.cache
def hash_of_seeds(folder, turn=1):
    """`turn`: another number is another process."""
    done = subprocess.run([folder / "src/sim/sluice-sim", "--seeds", str(SEEDS), "--hash"], capture_output=True,
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
    assert hash_of_seeds(BUILD) == hash_of_seeds(BUILD, turn=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_x05_other_builds_come_to_the_same_logs_and_states(name):
    assert hash_of_seeds(BUILD) == hash_of_seeds(other(name))


@pytest.fixture(scope="module")
def cuts(tmp_path_factory, sluice_program):
    """Runs: one with most types of events, cut off behind each of its lines; and their states by this build."""
    sluice = Sluice(tmp_path_factory.mktemp("recorded"), sluice_program)
    try:
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
    finally:
        sluice.close()
    return folders, hashes(BUILD, folders)


@pytest.mark.slow
def test_x05_a_recorded_run_has_another_state_behind_each_event_and_the_same_one_twice(cuts):
    folders, first = cuts
    assert len(set(first)) == len(folders) > 50, "each event changes the state"
    assert [int(line.split()[1]) for line in first] == list(range(1, len(folders) + 1))
    assert hashes(BUILD, folders) == first


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_x05_a_recorded_run_gives_the_same_state_at_every_event_in_every_build(cuts, name):
    folders, first = cuts
    assert hashes(other(name), folders) == first
