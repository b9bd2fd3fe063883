"""One fault in one run: what it made of it, and what a resume without the fault makes of that."""
import collections
import errno
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from support.checker import Damage, Ledger, check_bytes, is_kept, split_lines
from support.kills import World, copy_of
from support.observed import FINDING, install_observed, keeper_words, sanitizer_options, take_said  # noqa: F401
from support.sluice import ROOT, until

import fault_table

LIMIT_S = 10
OVER_LIMIT, TREE_LIVES_ON = 124, 125
TORN = b'{"event_id":"evt_'  # what a power loss leaves at the end of a log
AS = ("--as", "anna", "--reason", "looked at")
ROOT_NAME = "<root>"  # in paths of a record
BIG = 20000  # bytes of an output: more than what stands in an event (S11)


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
    """A hard gate with evidence, a retry, an artifact, a context, outputs that another step uses, one in a blob."""
    run = Ledger.SCRIPT
    uses = f'[ "$OUTPUT_rows_rows ${{#OUTPUT_rows_big}}" = "7 {BIG}" ] && grep -q big "$SLUICE_CONTEXT"'
    return {
        "gate": {"gate": "hard", "run": run + '; echo ok=1 >"$SLUICE_OUTPUT"',
                 "outputs": {"ok": {"type": "int", "required": True}}, "pass": "output.ok == 1"},
        "again": {"run": run + '; [ "$SLUICE_ATTEMPT" != 0 ] || exit 75',
                  "retry": {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}},
        "rows": {"run": run + f'; printf "rows=7\nbig=%0{BIG}d\n" 0 >"$SLUICE_OUTPUT"; echo x >out.$SLUICE_RUN_ID',
                 "needs": ["gate"], "outputs": {"rows": {"type": "int", "required": True}, "big": {"type": "string"}},
                 "artifacts": [{"name": "out", "path": "out.${run.id}"}]},
        "last": {"run": f"{run}; {uses}", "needs": ["again", "rows"], "context": True},
    }


def asking_steps():
    return {"first": {"run": Ledger.SCRIPT}, "ask": {"gate": "manual", "run": Ledger.SCRIPT}}


def failing_steps():
    one = {"run": Ledger.SCRIPT, "compensate": {"run": Ledger.UNDO}}
    return {"first": one, "second": one, "fails": {"run": Ledger.SCRIPT + "; exit 1"}}


class Fault(collections.namedtuple("Fault", "role call error nth for_ever command", defaults=("run",))):
    """The n-th such call of that program fails, or is cut to so many bytes when `error` is a number, in a command of
    COMMANDS."""

    def __str__(self):
        command = "" if self.command == "run" else f"{self.command} "
        return f"{command}{self.role} {self.call} {self.error} {self.nth}{' for ever' if self.for_ever else ''}"

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


# What the sweeps try: its words, the state that it ends in, and an event that is there when it has answered 0.
COMMANDS = {
    "run": (("run", "{file}", "--run-id", "{id}", "-v"), "succeeded", "run.completed"),
    "resume": (("resume", "{id}", "-v"), "succeeded", "run.resumed"),
    "approve": (("approve", "{id}", "ask", *AS), None, "gate.approved"),
    "rollback": (("rollback", "{id}"), "rolled_back", "run.rollback_started"),
}


class FaultWorld(World):
    """A state directory, a ledger and the small pipeline."""

    def __init__(self, root, program, of_steps=None):
        super().__init__(root, program, on_lost="rerun", steps=of_steps or steps())
        self.record = self.root / "record"

    def close(self):
        """Its keepers have ended, too: what a sanitizer found in them is there."""
        super().close()
        said = take_said(self.program)
        if said:
            raise Damage(f"a keeper: {said[:4000]}")

    def try_below(self, command, options=()):
        """The command below inject; what it wrote and what was seen."""
        prefix = (injector(), "--limit", LIMIT_S, "--record", self.record, *options, "--")
        words = [word.format(file=self.file, id=self.id) for word in COMMANDS[command][0]]
        result = self(*words, prefix=prefix, timeout=120)
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

    def finish_up(self, end="succeeded"):
        """Bring it to its end as a person would, without the fault."""
        for _ in range(10):
            if not self.is_born():
                result = self("run", self.file, "--run-id", self.id)
            elif end == "rolled_back" and self.log(torn=True).state == end:
                return self.log(ended=end)
            else:
                result = self("rollback" if end == "rolled_back" else "resume", self.id)
            if result.code == 3 and self.barred():
                gate = self.barred()
                result = self("resume", self.id, "--override", gate, "--reason", "the fault is gone", "--from", gate)
            if result.code == 0:
                return self.log(ended=end)
            if result.code == 4:
                self("approve", self.id, "ask", *AS, code=0)
            else:
                assert result.code in (1, 8), f"the {result.args[1]}: {result}"
        raise AssertionError(f"it does not end: {result}")


def half_a_run(folder, program):
    """A run whose engine was killed while a step ran, in the middle of a line (S11.4), and before it could tell that its
    last lines are synced: the log is copied (D17)."""
    world = FaultWorld(Path(folder) / "half", program)
    text = world.file.read_text()
    world.file.write_text(text.replace("; echo x >out", "; [ $SLUICE_ATTEMPT != 0 ] || sleep 30; echo x >out"))
    engine = world.start("run", world.file, "--run-id", world.id)
    try:
        until(lambda: f"{world.id} rows 0" in world.ledger.executions(), 20, of="rows begins")
        world.kill_machine(engine)
    finally:
        world.close()
    with open(world.run_dir() / "events.jsonl", "ab") as log:
        log.write(TORN)
    (world.run_dir() / "run.lock").write_bytes(b"")
    return world


def resting_run(folder, program, of_steps, code):
    """A run that waits for a person."""
    world = FaultWorld(Path(folder) / "resting", program, of_steps)
    try:
        world.run(code=code)
    finally:
        world.close()
    return world


@functools.cache
def before(folder, program, command):
    """The world that such a command begins in: to be copied."""
    folder = Path(folder) / f"before-{command}"
    if command == "resume":
        return half_a_run(folder, program)
    return resting_run(folder, program, *((asking_steps(), 4) if command == "approve" else (failing_steps(), 1)))


def another(world, root):
    """A copy of it."""
    copy = copy_of(world, root, world.program)
    copy.__class__ = FaultWorld
    copy.record = copy.root / "record"
    return copy


def begin(folder, program, command, name):
    """A world in which such a command can be tried."""
    root = Path(folder) / name
    return FaultWorld(root, program) if command == "run" else another(before(folder, program, command), root)


def rests(process):
    """Has it ended, or does it wait for something?"""
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state in "SZX"


def synced_again(seen):
    """S11.3: a sync of a file or directory after one of it that failed. A projection is made anew."""
    syncs = [one for one in seen
             if one.call in ("fdatasync", "fsync") and not re.search(fault_table.PROJECTION, one.path)]
    failed = next((i for i, one in enumerate(syncs) if one.what == "failed"), None)
    return [] if failed is None else [one for one in syncs[failed + 1:] if one.path == syncs[failed].path]


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
    if result.code not in (0, fault_table.ABORTED) and not result.stderr.strip() and not silenced:
        raise Damage(f"exit {result.code}, and not a word")
    if synced_again(seen):
        raise Damage(f"S11.3: synced again after a failure: {synced_again(seen)}")
    told = world.told(result)
    events, errors = [], []
    if world.is_born():
        _, end, proof = COMMANDS[fault.command]
        log = world.log(torn=True, ended=end if result.code == 0 else None)
        if result.code == 0 and not log.of(proof):
            raise Damage(f"exit 0, and no {proof}")
        events = log.types()
        errors = [(e.get("error_class"), e.get("errno"), e.get("reason"))
                  for e in (*log.of("step.failed"), *log.of("compensation.failed"))]
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
            raise Damage(f"D22: no failure with errno {number}: {outcome.errors}")


def fail_once(folder, program, fault):
    """One case from beginning to end; answers the outcome of the command with the fault."""
    world = begin(folder, program, fault.command, str(fault).replace(" ", "-"))
    try:
        known = world.lines()
        result, seen = world.try_below(fault.command, fault.options(world.root))
        outcome = judge(world, fault, result, seen)
        check_expected(fault, outcome)
        if not is_kept(known, world.lines()):
            raise Damage("S1.5: a line of before is gone")
        told, known = world.told(result), world.lines()
        log = world.finish_up(COMMANDS[fault.command][1] or "succeeded")
        if not is_kept(known, world.raw()) or [line for line in told if line not in split_lines(world.raw())[0]]:
            raise Damage("S1.5: a line that was acknowledged is gone after the resume")
        world.ledger.check(log)
    finally:
        world.close()
    shutil.rmtree(world.root)
    return outcome


def record_calls(folder, program, command="run"):
    """What is seen of such a command when nothing fails."""
    world = begin(folder, program, command, f"recorded-{command}")
    try:
        result, seen = world.try_below(command)
        assert result.code == 0, result
        world.ledger.check(world.finish_up(COMMANDS[command][1] or "succeeded"))
    finally:
        world.close()
    shutil.rmtree(world.root)
    return [one._replace(path=one.path.replace(str(world.root), ROOT_NAME)) for one in seen]


def how_often(seen):
    """{(role, call): how often}"""
    return collections.Counter((one.role, one.call) for one in seen)


def all_faults(seen, command="run"):
    """Every call, error and number; once, and for ever. A search through /proc is as long as the table of processes."""
    if command != "run":
        seen = [one for one in seen if not one.path.startswith(("/proc", "/sys"))]
    return [Fault(one.role, one.call, error, one.n, for_ever, command)
            for one in sorted(seen)
            for error in (*fault_table.ERRORS, *fault_table.SHORT) if fault_table.is_real(one.call, error)
            for for_ever in (False, True) if not for_ever or fault_table.can_last(one.call, error)]


def is_of_a_file(one):
    """Does it change a file or a directory of ours, or make that last?"""
    return one.path.startswith(ROOT_NAME) and re.fullmatch(fault_table.CHANGES, one.call)


def file_faults(seen, command):
    """D16: each of these calls with each of these errors, and each close of what was written."""
    written = {one.path for one in seen if re.fullmatch("write|pwrite64", one.call)}
    return [Fault(one.role, one.call, error, one.n, False, command)
            for error in ("EIO", "ENOSPC") for one in seen
            if is_of_a_file(one) or one.call == "close" and error == "EIO" and one.path in written]


def unready_faults(seen):
    """D18: everything that is not ready once, as a socket or a counter of events can be."""
    return [Fault(one.role, one.call, "EAGAIN", one.n, False)
            for one in seen if fault_table.can_be_unready(one.call, one.path)]


def some_faults(seen):
    """Of each call and each error one: the first, the last or one between, once or for ever, in turn."""
    found = {}
    for fault in all_faults(seen):
        found.setdefault((fault.role, fault.call, fault.error), []).append(fault)
    chosen = []
    for turn, faults in enumerate(found.values()):
        most = max(fault.nth for fault in faults)
        nth = (1, most, (most + 1) // 2, (most + 3) // 4, (3 * most + 3) // 4)[turn % 5]
        fits = [fault for fault in faults if fault.nth == nth]
        chosen.append(fits[turn // 5 % len(fits)])
    return chosen
