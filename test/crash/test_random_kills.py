"""D04, X01: engine, keeper, steps, and whoever gives an order are killed at random moments, one to five times a run,
or paused. Each kind of victim must have been hit in each part.

SLUICE_KILLS: how many runs (1000). SLUICE_SEED: where the seeds begin; a failure names its own, and
SLUICE_SEED=<seed> SLUICE_KILLS=1 does it again (times still vary)."""
import os
import sqlite3
import subprocess

import pytest

from kill_storm import Storm
from support.checker import Ledger
from support.kills import sweep

RUNS = int(os.environ.get("SLUICE_KILLS", "1000"))
SEED = int(os.environ.get("SLUICE_SEED", "1"))
PARTS = 20
ENOUGH = 25  # runs of a part: below these, a kind of victim may be missed


@pytest.fixture(scope="module")
def storm(place, sluice_program):
    (place / "storm").mkdir()
    return Storm(place / "storm", sluice_program)


@pytest.mark.quick
def test_d04_some_random_kills(storm):
    sweep(range(SEED, SEED + min(RUNS, 12)), storm.one)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_d04_x01_random_kills(storm, part):
    seeds = range(SEED + part, SEED + RUNS, PARTS)
    storm.figures.clear()
    sweep(seeds, storm.one)
    if len(seeds) >= ENOUGH:
        for seed in range(SEED + RUNS + part, SEED + 2 * RUNS, PARTS):
            if not storm.not_hit():
                break
            sweep([seed], storm.one)
        assert not storm.not_hit(), storm.figures


@pytest.fixture
def told(sluice):
    """A run of two steps with its ledger."""
    ledger = Ledger(sluice.root)
    path = sluice.pipeline({"a": Ledger.SCRIPT, "b": Ledger.SCRIPT},
                           env={name: {"from": "env"} for name in ledger.env})
    sluice("run", path, "--run-id", sluice.id, env=ledger.env, code=0)
    ledger.check(sluice.log())
    return ledger


def test_x01_the_ledger_itself_finds_a_second_execution(sluice, told):
    """Guards the guard."""
    log = sluice.log()
    whole = told.witness.read_text()
    for bad in (whole * 2, whole + f"{sluice.id} a 1\n", ""):
        told.witness.write_text(bad)
        with pytest.raises(AssertionError):
            told.check(log)


@pytest.mark.parametrize("statement", [
    "DELETE FROM ledger", "DELETE FROM ledger WHERE token LIKE '% b 0'", "INSERT INTO ledger VALUES ('{} c 0')",
    "INSERT INTO late VALUES ('{} a 0')"])
def test_x01_the_ledger_itself_finds_rows_that_are_missing_or_too_many(sluice, told, statement):
    with sqlite3.connect(told.database) as db:
        db.execute(statement.format(sluice.id))
    db.close()
    with pytest.raises(AssertionError):
        told.check(sluice.log())


@pytest.mark.parametrize("attempt, fence, code, text", [
    ("0", "9", 99, "was executed before"), ("1", "0", 99, "after a later attempt"), ("1", "9", 0, "")])
def test_what_steps_run_finds_a_token_twice_and_an_attempt_that_comes_late(sluice, told, attempt, fence, code, text):
    env = {**told.env, "SLUICE_RUN_ID": sluice.id, "SLUICE_STEP": "a", "SLUICE_ATTEMPT": attempt, "SLUICE_FENCE": fence}
    done = subprocess.run([told.env["TELL"]], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code and text in done.stderr, done


def test_a_step_that_is_opened_again_and_skipped_had_no_further_attempt(sluice):
    """Both fail; then the first one fails again, and ends the run before the second one's turn."""
    ledger = Ledger(sluice.root)
    both = f"{Ledger.SCRIPT}; touch begun.$SLUICE_STEP; until [ -e begun.a -a -e begun.b ]; do sleep 0.02; done; [ -e good ]"
    path = sluice.pipeline({name: {"run": both, "needs": []} for name in "ab"}, concurrency=2,
                           env={name: {"from": "env"} for name in ledger.env})
    sluice("run", path, "--run-id", sluice.id, env=ledger.env, code=1)
    sluice("resume", sluice.id, "--max-parallel", "1", env=ledger.env, code=1)
    (sluice.root / "good").touch()
    sluice("resume", sluice.id, env=ledger.env, code=0)
    log = sluice.log(ended="succeeded")
    assert [log.steps[name].started for name in "ab"] == [[0, 1, 2], [0, 1]] and log.of("step.skipped", "b")
    ledger.check(log)


def test_a_cached_step_that_is_executed_all_the_same_is_found(sluice, told):
    log = sluice.log()
    log.steps["a"].cached.add(0)
    with pytest.raises(AssertionError, match="cached and executed"):
        told.check(log)
