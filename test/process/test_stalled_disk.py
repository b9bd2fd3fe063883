"""D28: a disk that answers late. Nothing goes on before the disk has; nothing is lost, and readers are not held up."""
import time

import pytest

from support.checker import Ledger
from support.sluice import until

STALL = 3  # seconds


def stalled(sluice, number, steps, *args, **top):
    """Start a run whose fdatasync of that number stalls."""
    path = sluice.pipeline(steps, **top)
    strace = ("strace", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
              f"inject=fdatasync:delay_enter={STALL * 1_000_000}:when={number}")
    return sluice.start("run", path, "--run-id", sluice.id, *args, prefix=strace)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 7))
def test_d28_nothing_goes_on_before_the_disk_has_answered(sluice, need_strace, number):
    """Whatever sync it is: no step begins that the log does not tell durably, and the end is the ordinary one."""
    ledger = Ledger(sluice.root)
    sluice.env.update(ledger.env)
    steps = {"a": Ledger.SCRIPT, "g": {"gate": "hard", "run": Ledger.SCRIPT, "needs": ["a"]},
             "b": {"run": Ledger.SCRIPT, "needs": ["g"]}}
    engine = stalled(sluice, number, steps, env={name: {"from": "env"} for name in ledger.env})
    assert engine.wait(40) == 0
    log = sluice.log()
    ledger.check(log)
    assert log.state == "succeeded"


@pytest.mark.slow
def test_d28_readers_and_deadlines_do_not_wait_for_the_disk(sluice, need_strace):
    """While the engine hangs in a sync a step of its keeper still ends at its deadline, and every reader answers."""
    steps = {"a": "sleep 0.5; echo did >a", "late": {"run": "echo $(date +%s.%N) >begun; trap '' TERM; sleep 60", "timeout": "1s", "grace": "100ms"},
             "b": {"run": "true", "needs": ["a"]}}
    # Born, started: the third sync is that of the end of `a`.
    engine = stalled(sluice, 3, steps)
    until(lambda: (sluice.root / "a").exists(), of="a")
    time.sleep(0.3)
    before = time.monotonic()
    for verb in ("status", "summary", "logs", "verify"):
        words = (verb, sluice.id) if verb != "logs" else (verb, sluice.id, "a")
        sluice(*words, code=(0, 1, 4, 9))
    sluice("list", code=0)
    assert time.monotonic() - before < STALL * 10  # they end; how fast is not judged on a loaded machine
    assert engine.wait(40) == 1
    log = sluice.log()
    (failed,) = log.of("step.failed", "late")
    assert failed["error_class"] == "timeout" and failed["duration_ms"] < 10_000
