"""D23, D24: one run has one owner, however many want it."""
import os
import signal
import time

import pytest

from support.sluice import until

STARTERS = 12


@pytest.mark.parametrize("attempt", range(3))
def test_d23_many_starters_of_one_run_id(sluice, attempt):
    path = sluice.pipeline({"a": "echo x >>count", "b": "sleep 0.2"})
    crowd = [sluice.start("run", path, "--run-id", sluice.id) for _ in range(STARTERS)]
    codes = sorted(process.wait(60) for process in crowd)
    assert codes == [0] + [3] * (STARTERS - 1)
    assert (sluice.root / "count").read_text() == "x\n"
    sluice.log(ended="succeeded")
    assert os.listdir(sluice.home / "runs") == [sluice.id], "no temporary names are left"


@pytest.mark.parametrize("attempt", range(3))
def test_d23_many_resumers_of_a_run_that_was_cut_off(sluice, attempt):
    path = sluice.pipeline({"a": "echo x >>count; sleep 0.5", "b": "echo x >>count; sleep 0.3"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "count").exists(), of="a")
    sluice.cut(engine)
    crowd = [sluice.start("resume", sluice.id) for _ in range(STARTERS)]
    codes = [process.wait(60) for process in crowd]
    assert set(codes) <= {0, 8} and codes.count(0) >= 1, codes
    log = sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "x\nx\n" and len(log.of("run.resumed")) == 1


def test_d24_an_engine_that_wakes_up_after_its_keeper_was_killed(sluice):
    path = sluice.pipeline({"a": {"run": "echo x >>count; [ $SLUICE_ATTEMPT != 0 ] || sleep 30", "on_lost": "rerun"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "count").exists(), of="a")
    os.kill(engine.pid, signal.SIGSTOP)
    for pid in sluice.keepers():
        os.kill(pid, signal.SIGKILL)
    assert sluice("resume", sluice.id).code == 8
    time.sleep(0.2)
    os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(30) == 0
    assert sluice.log(ended="succeeded").steps["a"].started == [0, 1]


def test_d24_a_paused_keeper_is_waited_for_and_nothing_runs_twice(sluice):
    path = sluice.pipeline({"a": "echo x >>count; sleep 0.5", "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "count").exists(), of="a")
    keeper, = sluice.keepers()
    os.kill(keeper, signal.SIGSTOP)
    sluice.cut(engine)
    second = sluice.start("resume", sluice.id)
    time.sleep(1)
    os.kill(keeper, signal.SIGCONT)
    assert second.wait(30) in (0, 10), second.communicate()
    sluice.resume_to_end()
    sluice.log(ended="succeeded")
    assert (sluice.root / "count").read_text() == "x\n"


def test_d25_an_engine_that_was_killed_leaves_no_lock(sluice):
    path = sluice.pipeline({"a": "sleep 1"})
    for _ in range(5):
        begin = ("run", path, "--run-id", sluice.id) if not sluice.run_dir().exists() else ("resume", sluice.id)
        engine = sluice.start(*begin)
        until(lambda: (sluice.run_dir() / "events.jsonl").exists())
        time.sleep(0.1)
        sluice.cut(engine)
    sluice("resume", sluice.id, code=0)
    assert sluice.log(ended="succeeded").steps["a"].started == [0]
