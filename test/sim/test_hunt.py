"""What hunts with the simulator finds what breaks a rule, keeps it, and goes on."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sim_hunt import KNOWN, PROGRAM, Hunt, known_seeds

HERE = Path(__file__).resolve().parent

# A stand-in for sluice-sim: fails with one seed, dies with another, and never ends with a third.
STAND_IN = """#!/usr/bin/python3
import os, sys, time
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
first = int(words.get("--seed", words.get("--from", 0)))
count = int(words.get("--seeds", 1))
for seed in range(first, first + count):
    if seed == 1003:
        print(f"FAILED seed {seed}: S1.4: gate\\n1 scenarios in 0.0 s")
        sys.exit(1)
    if seed == 1300:
        os.kill(os.getpid(), 11)
print(f"{count} scenarios in 0.1 s (9 a second), 0 compared with a run")
"""


@pytest.fixture
def hunt(tmp_path):
    program = tmp_path / "stand-in"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    known = tmp_path / "seeds.txt"
    known.write_text("# head\n7 # S1.2: once\n")
    return Hunt(program, tmp_path / "kept", known, jobs=2)


def test_a_seed_that_fails_or_kills_the_simulator_is_found_and_kept(hunt, tmp_path):
    hunt.run(1000, 320)
    found = {failure["seed"]: failure["what"] for failure in hunt.failures}
    assert set(found) == {1003, 1300}
    assert found[1003] == "S1.4: gate" and "-11" in found[1300]
    assert known_seeds(tmp_path / "seeds.txt")[0] == 7
    assert sorted(known_seeds(tmp_path / "seeds.txt")) == [7, 1003, 1300]
    assert "sluice-sim --seed 1003" in (tmp_path / "kept/sim-1003.txt").read_text()


def test_every_seed_is_run_once_behind_those_that_are_known(hunt):
    hunt.run(5000, 611)
    assert not hunt.failures
    assert hunt.figures["scenarios"] == 611 + 1


def test_the_known_seeds_are_numbers():
    assert all(isinstance(seed, int) for seed in known_seeds(KNOWN))


def test_the_campaign_prints_one_line_of_figures(tmp_path):
    if not PROGRAM.exists():
        pytest.skip("there is no sluice-sim in build/")
    done = subprocess.run([sys.executable, HERE / "campaign.py", "--seeds", "20", "--seed", "3", "--keep", tmp_path],
                          capture_output=True, text=True, timeout=300)
    figures = json.loads(done.stdout)
    assert done.returncode == 0 and not figures["failures"]
    assert figures["family"] == "sim" and figures["seed"] == 3
    assert figures["cases"] == 20 + len(known_seeds(KNOWN))


def test_second_runs_take_successes_of_the_first(tmp_path):
    if not PROGRAM.exists():
        pytest.skip("there is no sluice-sim in build/")
    hunt = Hunt(PROGRAM, tmp_path, tmp_path / "none", jobs=1)
    hunt.range(0, 100)
    assert not hunt.failures and hunt.figures["second_runs"] > 0 and hunt.figures["successes_taken"] > 0
