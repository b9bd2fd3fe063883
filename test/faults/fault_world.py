"""One fault in one run: what it made of it, and what a resume without the fault makes of that."""
import collections
import errno
import os
import shutil
import subprocess
from pathlib import Path

from support.checker import Damage, Ledger, check_bytes, is_kept, split_lines
from support.kills import World
from support.observed import FINDING, install_observed, keeper_words, sanitizer_options, take_said  # noqa: F401
from support.sluice import ROOT

import fault_table

LIMIT_S = 10
OVER_LIMIT, TREE_LIVES_ON = 124, 125


def injector():
    """The program that makes calls fail; None when it is not built."""
    place = Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "test/faults/inject"
    return place if place.is_file() else None


def why_not():
    """Why nothing can be injected here; None when it can."""
    if not injector():
        return "needs the program inject of the build folder"
    tried = subprocess.run([injector(), "--", "/bin/true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no seccomp notification here: {tried.stderr.strip()}"


def steps():
    """A hard gate with evidence, a retry, an artifact, an output that another step uses."""
    run = Ledger.SCRIPT
    return {
        "gate": {"gate": "hard", "run": run + '; echo ok=1 >"$SLUICE_OUTPUT"',
                 "outputs": {"ok": {"type": "int", "required": True}}, "pass": "output.ok == 1"},
        "again": {"run": run + '; [ "$SLUICE_ATTEMPT" != 0 ] || exit 75',
                  "retry": {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}},
        "rows": {"run": run + '; echo rows=7 >"$SLUICE_OUTPUT"; echo x >out.$SLUICE_RUN_ID', "needs": ["gate"],
                 "outputs": {"rows": {"type": "int", "required": True}},
                 "artifacts": [{"name": "out", "path": "out.${run.id}"}]},
        "last": {"run": run + '; [ "$OUTPUT_rows_rows" = 7 ]', "needs": ["again", "rows"]},
    }


class Fault(collections.namedtuple("Fault", "role call error nth for_ever")):
    """The n-th such call of that program fails, or is cut to so many bytes when `error` is a number."""

    def __str__(self):
        return f"{self.role} {self.call} {self.error} {self.nth}{' for ever' if self.for_ever else ''}"

    def options(self, below):
        """Files below that are read and written in pieces; /proc and descriptors of the kernel never are."""
        how = ("--short", self.error, "--below", below) if isinstance(self.error, int) else ("--error", self.error)
        return ("--role", self.role, "--call", self.call, *how, "--nth", self.nth,
                *(["--for-ever"] if self.for_ever else []))


class Seen(collections.namedtuple("Seen", "role call n what path")):
    """A line of what inject has seen."""


def read_record(path):
    found = []
    for line in path.read_text(errors="replace").splitlines():
        words = line.split(" ", 4)
        if len(words) == 5:
            found.append(Seen(words[0], words[1], int(words[2]), words[3], words[4]))
    return found


class FaultWorld(World):
    """A state directory, a ledger and the small pipeline."""

    def __init__(self, root, program):
        super().__init__(root, program, on_lost="rerun", steps=steps())
        self.record = self.root / "record"

    def close(self):
        """Its keepers have ended, too: what a sanitizer found in them is there."""
        super().close()
        said = take_said(self.program)
        if said:
            raise Damage(f"a keeper: {said[:4000]}")

    def run_with(self, options=(), *args):
        """The run below inject; what it wrote and what was seen."""
        prefix = (injector(), "--limit", LIMIT_S, "--record", self.record, *options, "--")
        result = self("run", self.file, "--run-id", self.id, "-v", *args, prefix=prefix, timeout=120)
        return result, read_record(self.record)

    def told(self, result):
        """The lines of the log that it printed: acknowledged."""
        return [line.encode() for line in (result.stderr + "\n" + result.stdout).splitlines()
                if line.startswith('{"event_id"') and line.endswith("}")]

    def is_born(self):
        return (self.run_dir() / "events.jsonl").exists()

    def barred(self):
        """The hard gate that failed, if one did."""
        log = check_bytes(self.lines(), self.id, hard_gates=self.hard_gates())
        return next((name for name, step in log.steps.items() if step.gate_barred or step.open_end), None)

    def finish_up(self):
        """Bring it to its end as a person would, without the fault."""
        for _ in range(10):
            if not self.is_born():
                result = self("run", self.file, "--run-id", self.id)
            else:
                result = self("resume", self.id)
            if result.code == 0:
                return self.log(ended="succeeded")
            if result.code == 3 and self.barred():
                gate = self.barred()
                result = self("resume", self.id, "--override", gate, "--reason", "the fault is gone", "--from", gate)
                if result.code == 0:
                    return self.log(ended="succeeded")
            assert result.code in (1, 8), f"the resume: {result}"
        raise AssertionError(f"it does not end: {result}")


def synced_again(seen):
    """S11.3: a sync of the log after one that failed."""
    failed = next((i for i, one in enumerate(seen) if one.what == "failed" and one.call in ("fdatasync", "fsync")
                   and one.path.endswith("/events.jsonl")), None)
    if failed is None:
        return []
    return [one for one in seen[failed + 1:] if one.path == seen[failed].path]


class Outcome(collections.namedtuple("Outcome", "code hit events errors stderr path")):
    """What one fault did: exit status, how often it hit, types of events, their errno, the path of the first."""


def judge(world, fault, result, seen):
    """Everything that holds whatever fails. Answers the outcome."""
    hits = [one for one in seen if one.what != "seen"]
    waits = fault_table.is_waited_for(fault, {one.path for one in hits})
    if result.code == OVER_LIMIT and not waits:
        raise Damage(f"hangs: {result.stderr[-400:]}")
    if result.code == TREE_LIVES_ON:
        raise Damage(f"something goes on after it: {result.stderr[-400:]}")
    if result.code >= 128 and result.code not in fault_table.expected(fault, hits[0].path if hits else "") or \
            "internal error" in result.stderr or FINDING.search(result.stderr):
        raise Damage(f"crash: {result.code} {result.stderr[-2000:]}")
    silenced = fault.call == "write" and fault.for_ever
    if result.code and not result.stderr.strip() and not silenced:
        raise Damage(f"exit {result.code}, and not a word")
    if synced_again(seen):
        raise Damage(f"S11.3: synced again after a failure: {synced_again(seen)}")
    told = world.told(result)
    events, errors = [], []
    if world.is_born():
        log = world.log(torn=True, ended="succeeded" if result.code == 0 else None)
        events = log.types()
        errors = [(e.get("error_class"), e.get("errno"), e.get("reason")) for e in log.of("step.failed")]
    kept = split_lines(world.raw())[0] if world.is_born() else []
    if [line for line in told if line not in kept]:
        raise Damage(f"S1.5: told, and not in the log: {len(told)} lines told, {len(kept)} there")
    return Outcome(result.code, len(hits), events, errors, result.stderr, hits[0].path if hits else "")


def check_expected(fault, outcome):
    """The table, and what an event must say of a command that could not be executed."""
    codes = fault_table.expected(fault, outcome.path) if outcome.hit else {0}
    if outcome.code == OVER_LIMIT:
        return  # judge() has allowed it; all was killed then
    if outcome.code not in codes:
        raise Damage(f"exit {outcome.code}, not {sorted(codes)}, at {outcome.path or 'no path'}: {outcome.stderr[-300:]}")
    if outcome.code == 1:
        number = getattr(errno, fault.error)
        if not any(found[1] == number and found[0] in ("infrastructure", "configuration") for found in outcome.errors):
            raise Damage(f"D22: no step.failed with errno {number}: {outcome.errors}")


def fail_once(folder, program, fault):
    """One case from beginning to end; answers the outcome of the run with the fault."""
    world = FaultWorld(Path(folder) / str(fault).replace(" ", "-"), program)
    try:
        result, seen = world.run_with(fault.options(world.root))
        outcome = judge(world, fault, result, seen)
        check_expected(fault, outcome)
        told, known = world.told(result), world.lines()
        log = world.finish_up()
        if not is_kept(known, world.raw()) or [line for line in told if line not in split_lines(world.raw())[0]]:
            raise Damage("S1.5: a line that was acknowledged is gone after the resume")
        world.ledger.check(log)
    finally:
        world.close()
    shutil.rmtree(world.root)
    return outcome


def record_run(folder, program):
    """{(role, call): how often} of a run in which nothing fails."""
    world = FaultWorld(Path(folder) / "recorded", program)
    try:
        result, seen = world.run_with()
        assert result.code == 0, result
        world.ledger.check(world.log(ended="succeeded"))
    finally:
        world.close()
    shutil.rmtree(world.root)
    return collections.Counter((one.role, one.call) for one in seen)


def all_faults(counts):
    """Every call, error and number; once, and for ever."""
    return [Fault(role, call, error, n, for_ever)
            for (role, call), most in sorted(counts.items())
            for error in (*fault_table.ERRORS, *fault_table.SHORT) if fault_table.is_real(call, error)
            for for_ever in (False, True) if not for_ever or fault_table.can_last(call, error)
            for n in range(1, most + 1)]


def some_faults(counts):
    """Of each call and each error one: the first, the last or one between, once or for ever, in turn."""
    found = {}
    for fault in all_faults(counts):
        found.setdefault((fault.role, fault.call, fault.error), []).append(fault)
    chosen = []
    for turn, faults in enumerate(found.values()):
        most = max(fault.nth for fault in faults)
        nth = (1, most, (most + 1) // 2, (most + 3) // 4, (3 * most + 3) // 4)[turn % 5]
        fits = [fault for fault in faults if fault.nth == nth]
        chosen.append(fits[turn // 5 % len(fits)])
    return chosen
