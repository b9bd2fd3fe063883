"""D28: a disk that answers late. Nothing goes on before the disk has; nothing is lost, and readers are not held up."""
import json
import re
from pathlib import Path

import pytest

from support.checker import Ledger, check_bytes
from support.sluice import alive, until

STALL = 300  # seconds: no test waits for its end
# Calls on the log: when, which, the path, and what came of it. What hangs has no end yet.
CALL = re.compile(r"^(\d+\.\d+) (\w+)\(\d+<([^>\n]*/events\.jsonl)>(?:.* = (\d+))?", re.M)


class Stall:
    """A run whose fdatasync of that number hangs until the test ends it."""

    def __init__(self, sluice, number, steps, **top):
        self.sluice, self.number, self.trace = sluice, number, sluice.root / "trace"
        strace = ("strace", "-qq", "-y", "-ttt", "-s", "0", "-o", self.trace, "-e", "trace=fdatasync,write,pwrite64,writev,pwritev,pwritev2",
                  "-e", f"inject=fdatasync:delay_enter={STALL * 1_000_000}:when={number}")
        self.engine = sluice.start("run", sluice.pipeline(steps, **top), "--run-id", sluice.id, prefix=strace)
        until(self.hangs, 60, of=f"sync {number}, which hangs")
        self.begun, _, path, _ = self.calls()[-1]
        self.path = Path(path)
        self.raw = self.path.read_bytes()
        assert len(self.raw) == sum(self.writes()), "the trace tells all that was written"

    def calls(self):
        return CALL.findall(self.trace.read_text() if self.trace.exists() else "")

    def hangs(self):
        """Is it in that call? A call that is over has a result."""
        calls = self.calls()
        syncs = [result for _, call, _, result in calls if call == "fdatasync"]
        return len(syncs) == self.number and calls[-1][1] == "fdatasync" and not syncs[-1]

    def writes(self, before=None):
        return [int(result) for _, call, _, result in self.calls()[:before] if call != "fdatasync"]

    def durable(self):
        """The log as the last sync that answered left it; None when there was none."""
        syncs = [at for at, call in enumerate(self.calls()) if call[1] == "fdatasync"]
        return check_bytes(self.raw[:sum(self.writes(syncs[-2]))], self.sluice.id) if len(syncs) > 1 else None

    def check(self):
        """The engine has done nothing since, and the call hangs still."""
        assert self.path.read_bytes() == self.raw
        assert self.hangs()

    def end(self):
        """The disk answers: the kernel lets go of who was traced. Answers what the engine said."""
        self.engine.kill()
        return self.engine.communicate(timeout=60)


@pytest.mark.parametrize("number", range(1, 6))
def test_d28_nothing_goes_on_before_the_disk_has_answered(sluice, need_strace, number):
    """Whatever sync it is: no step begins that the log does not tell durably, and the end is the ordinary one."""
    ledger = Ledger(sluice.root)
    sluice.env.update(ledger.env)
    steps = {"a": Ledger.SCRIPT, "g": {"gate": "hard", "run": Ledger.SCRIPT, "needs": ["a"]},
             "b": {"run": Ledger.SCRIPT, "needs": ["g"]}}
    env = {name: {"from": "env"} for name in ledger.env}
    stall = Stall(sluice, number, steps, env=env)
    # Another run of the same steps comes to its end meanwhile: there was time enough to begin one.
    sluice("run", "pipeline.yaml", "--run-id", f"{sluice.id}-other", code=0)
    stall.check()
    ledger.check_intents(stall.durable(), sluice.id)
    stall.end()
    log = sluice.log(ended="succeeded")
    ledger.check(log)
    assert sluice.raw().startswith(stall.raw)


@pytest.mark.slow
def test_d28_readers_and_deadlines_do_not_wait_for_the_disk(sluice, need_strace):
    """While the engine hangs in a sync a step of its keeper still ends at its deadline, and every reader answers."""
    steps = {"a": {"run": "while [ ! -e begun ]; do sleep 0.02; done", "needs": []},
             "late": {"run": "trap '' TERM; echo $$ $(date +%s.%N) >new; mv new begun; sleep 600", "needs": [], "timeout": "5s", "grace": "100ms"},
             "b": {"run": "touch b", "needs": ["a"]}}
    # Born, started: the third sync is that of the end of `a`.
    stall = Stall(sluice, 3, steps, concurrency=2)
    pid, begun = (sluice.root / "begun").read_text().split()
    assert 0 < float(stall.begun) - float(begun) < 5, "the deadline is in the stall"
    for words in (["status", sluice.id], ["summary", sluice.id], ["logs", sluice.id, "a"], ["verify", sluice.id], ["list"]):
        sluice(*words, code=0)
    seq = json.loads(sluice("status", sluice.id, "--json", code=0).stdout)["seq"]
    told = sluice("events", sluice.id, "--json", code=0).stdout.splitlines()
    assert seq == len(told) == len(stall.durable().events), "S11.6: what is not durable is not told"
    until(lambda: not alive(int(pid)), 60, of="the end of `late`")
    stall.check()
    assert not (sluice.root / "b").exists()
    stall.end()
    log = sluice.log(ended="failed")
    (failed,) = log.of("step.failed", "late")
    assert failed["error_class"] == "timeout" and 5000 <= failed["duration_ms"] < 60_000
