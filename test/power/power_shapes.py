"""Pipelines of different kinds, and how each of them is brought to its end from wherever it stands."""
import collections
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import threading
import uuid
from pathlib import Path

from support.checker import Damage, Ledger, chain, check_bytes, is_kept, split_lines
from support.sluice import Result, Sluice

import disk

# The number is read before anything is done, so no earlier cut can have seen this effect.
MARK = ('read -r n <"$COUNT"; '
        'echo "$n $SLUICE_RUN_ID $SLUICE_STEP{} $SLUICE_ATTEMPT" >>"$WITNESS"').format
STEP, UNDO = MARK(""), MARK(".comp")
OUT = '; echo rows=7 >"$SLUICE_OUTPUT"'
ROWS = {"rows": {"type": "int", "required": True}}
BIG = '; { printf text=; head -c 20000 /dev/zero | tr "\\0" "$SLUICE_ATTEMPT"; echo; } >"$SLUICE_OUTPUT"'


def linear(_folder):
    """One after the other: a hard gate with evidence, a retry, outputs."""
    return {
        "gate": {"gate": "hard", "run": STEP + '; echo ok=1 >"$SLUICE_OUTPUT"',
                 "outputs": {"ok": {"type": "int", "required": True}}, "pass": "output.ok == 1"},
        "again": {"run": STEP + '; [ "$SLUICE_ATTEMPT" != 0 ] || exit 75',
                  "retry": {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}},
        "rows": {"run": STEP + OUT, "outputs": ROWS},
        "use": {"run": STEP + '; [ "$OUTPUT_rows_rows" = 7 ]', "needs": ["rows"]},
        "last": {"run": STEP},
    }


def fan(_folder):
    """Six at once, then one that needs them."""
    names = [f"part{i}" for i in range(6)]
    return {"split": {"run": STEP},
            **{name: {"run": STEP + OUT, "outputs": ROWS, "needs": ["split"]} for name in names},
            "join": {"run": STEP, "needs": names}}


def cache(folder):
    """Large outputs, an artifact, and a second run that takes both from the first."""
    return {
        "make": {"run": STEP + BIG, "outputs": {"text": {"type": "string", "required": True}},
                 "inputs": [], "cache": True},
        "file": {"run": STEP + f'; seq 400 >{folder}/file.txt', "inputs": [], "cache": True,
                 "artifacts": [{"name": "file", "path": f"{folder}/file.txt"}]},
        "use": {"run": STEP, "needs": ["make", "file"]},
    }


def approval(_folder):
    return {"before": {"run": STEP}, "sign": {"gate": "manual", "run": STEP, "needs": ["before"]},
            "after": {"run": STEP, "needs": ["sign"]}, "last": {"run": STEP}}


def compensation(_folder):
    def step(**more):
        return {"run": STEP, "compensate": {"run": UNDO}, **more}
    return {"first": step(), "left": step(needs=["first"]), "right": step(needs=["first"]),
            "join": step(needs=["left", "right"]),
            "fails": {"run": STEP + "; exit 1", "on_failure": "compensate"}}


HANG = 30  # seconds: no shape takes one

# name: (steps, how many runs, the state at the end)
SHAPES = {
    "linear": (linear, 1, "succeeded"),
    "fan": (fan, 1, "succeeded"),
    "cache": (cache, 2, "succeeded"),
    "approval": (approval, 1, "succeeded"),
    "compensation": (compensation, 1, "rolled_back"),
}


class PowerLedger(Ledger):
    """The witness, with the number that each effect has seen. One file for all runs of a world."""

    def __init__(self, witness):
        self.witness = witness

    def executions(self):
        """Without the number that stands in front."""
        return collections.Counter(line.split(" ", 1)[1] for line in self.witness.read_text().splitlines())

    def rows(self):
        return self.executions()


class Told:
    """Something that somebody was told when so many records had reached the disk."""

    def __init__(self, count, run_id, kind, value=None):
        self.count, self.run_id, self.kind, self.value = count, run_id, kind, value

    def check(self, lines):
        """`lines`: the whole lines of the log that is there now."""
        text = {"born": lambda: bool(lines), "line": lambda: self.value in lines,
                "receipt": lambda: any(line.endswith(f'"h":"{self.value}"}}'.encode()) for line in lines),
                "approved": lambda: any(b'"event_type":"gate.approved"' in line for line in lines)}
        if not text[self.kind]():
            raise Damage(f"S1.5: told of ({self.kind} {self.value}) at record {self.count}, and it is gone "
                         f"from {self.run_id}: {len(lines)} lines")


class PowerWorld(Sluice):
    """A state directory on a disk of its own; ledger, working folder and boot id are outside of it."""

    def __init__(self, root, program, shape, sync=None):
        Path(root).mkdir(parents=True, exist_ok=True)
        super().__init__(root, program)
        self.disk = self.root / "disk"
        self.disk.mkdir()
        self.home = self.disk / "state"
        self.env["SLUICE_HOME"] = str(self.home)
        self.witness, self.count_file = self.root / "witness", self.root / "count"
        self.env |= {"COUNT": str(self.count_file), "WITNESS": str(self.witness)}
        self.witness.touch()
        steps, runs, self.end = SHAPES[shape]
        self.shape = shape
        self.ids = [f"{self.id}-{n}" for n in range(runs)]
        self.file = self.pipeline(steps(self.disk), env={name: {"from": "env"} for name in ("COUNT", "WITNESS")},
                                  concurrency=6, defaults={"on_lost": "rerun", "grace": "200ms"})
        self.sync = ("--sync", sync) if sync else ()
        self.count = None  # a function, while records are counted
        self.told = []
        self.unordered = False  # blocks of one sync may arrive in any order
        self.refused = set()  # runs whose log has a damaged line that nobody was told of
        self.halted = False  # the disk is gone: nothing is started any more
        self.new_boot(first=True)

    def new_boot(self, first=False):
        """From now on it is another boot of the machine."""
        boot = self.root / "boot_id"
        boot.write_text(f"{uuid.uuid4()}\n")
        if first:
            disk.bind(boot, "/proc/sys/kernel/random/boot_id")

    def listen(self, stream, run_id, text):
        for raw in stream:
            count = self.count() if self.count else 0
            line = raw.rstrip(b"\n")
            text.append(raw)
            if line.startswith(b'{"event_id"'):
                self.told.append(Told(count, json.loads(line)["run_id"], "line", line))
            elif line == b"run " + run_id.encode():
                self.told.append(Told(count, run_id, "born"))
            elif line.startswith(b"Receipt: "):
                self.told.append(Told(count, run_id, "receipt", line.split()[1].decode()))

    def tell(self, verb, run_id, *args):
        """Run to its end, noting what it tells and when."""
        words = self.command(verb, *args)
        process = subprocess.Popen(words, env=self.environ(None, ()), cwd=self.root, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.open = [process]
        texts = [], []
        ears = [threading.Thread(target=self.listen, args=(stream, run_id, text), daemon=True)
                for stream, text in zip((process.stdout, process.stderr), texts)]
        for ear in ears:
            ear.start()
        try:
            code = process.wait(HANG)
        except subprocess.TimeoutExpired:
            state = self.state_of(process.pid, run_id)
            process.kill()
            process.wait()
            raise Damage(f"{verb} does not end: {state}") from None
        count = self.count() if self.count else 0
        for ear in ears:
            ear.join()
        process.stdout.close()
        process.stderr.close()
        self.open = []
        if verb == "approve" and code == 0:
            self.told.append(Told(count, run_id, "approved"))
        return Result(words, code, *(b"".join(text).decode(errors="replace") for text in texts))

    def state_of(self, pid, run_id):
        """What is known of a process that hangs."""
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/wchan")]
        events = [(e["event_type"], e.get("step_id")) for e in map(json.loads, self.lines(run_id))]
        return f"threads in {threads}; {events}; {disk.processes()}"

    def lines(self, run_id):
        """The whole lines of a log; none when there is no run."""
        path = self.run_dir(run_id) / "events.jsonl"
        with contextlib.suppress(FileNotFoundError):
            return split_lines(path.read_bytes())[0]
        return []

    def kept_lines(self, run_id):
        """Where blocks of one sync arrive in any order (no journal, no order of data and size), a batch that nobody
        was told of may be there with zeros within: the lines before it. The program must refuse the rest, and
        not touch it (S11.4)."""
        lines = self.lines(run_id)
        good = [line for line, h in zip(lines, chain(run_id, lines)) if line.endswith(b',"h":"' + h.encode() + b'"}')]
        if not good or len(good) == len(lines):
            return lines
        if good != lines[:len(good)] or b"\0" not in lines[len(good)]:
            raise Damage(f"{run_id}: line {len(good) + 1} is damaged, and not by a block that did not arrive")
        raw = self.raw(run_id)
        for verb in ("verify", "resume"):
            result = self(verb, run_id)
            if result.code != 7 or f"line {len(good) + 1}:" not in result.stderr or self.raw(run_id) != raw:
                raise Damage(f"S11.4: {verb} of a log with a damaged line {len(good) + 1}: {result}")
        self.refused.add(run_id)
        return good

    def next_verb(self, run_id):
        """What somebody does who wants it at its end; None when it is there."""
        if not self.lines(run_id):
            return ("run", str(self.file), "--run-id", run_id, "-v", *self.sync)
        log = self.log(run_id, torn=True)
        if log.state == self.end and log.completed:
            return None
        if self.end == "rolled_back" and log.state == "failed" and log.completed:
            return ("rollback", run_id, "-v")
        if log.steps["sign"].state == "waiting" and log.state == "blocked":
            if not log.of("gate.approved"):
                return ("approve", run_id, "sign", "--as", "anna", "--reason", "read")
        return ("resume", run_id, "-v")

    def drive(self):
        """Bring all runs to their end."""
        for run_id in self.ids:
            for _ in range(15):
                if self.halted:
                    return
                words = self.next_verb(run_id)
                if words is None:
                    break
                result = self.tell(words[0], run_id, *words[1:])
                if self.halted:
                    return
                if result.code not in (0, 1, 4, 8) or result.code == 4 and self.shape != "approval":
                    raise Damage(f"{words[0]}: {result}")
            else:
                raise Damage(f"it does not end: {result}")

    def figures(self):
        """What two worlds with the same end have alike."""
        found = {}
        for run_id in self.ids:
            log = self.log(run_id, ended=self.end)
            PowerLedger(self.witness).check(log)
            outputs = {e["step_id"]: e.get("outputs") for e in log.of("step.succeeded")}
            found[run_id] = (log.outcome, {name: step.state for name, step in log.steps.items()}, outputs)
        return found

    def check_content(self, run_id, lines):
        """S11.2: what an event names is there, whole."""
        for line in lines:
            event = json.loads(line)
            for ref in (event.get("outputs_ref"), event.get("context_updates_ref")):
                if ref:
                    self.check_file(self.run_dir(run_id) / "blobs" / ref, ref, event)
            if event["event_type"] == "artifact.emitted":
                path = Path(event["artifact_path"])
                self.check_file(path if path.is_absolute() else self.run_dir(run_id) / path,
                                event["outputs_hash"], event)

    def check_file(self, path, digest, event):
        content = path.read_bytes() if path.exists() else None
        if content is None or hashlib.sha256(content).hexdigest() != digest.removeprefix("sha256:"):
            raise Damage(f"S11.2: {event['event_id']} names {path.name}: "
                         f"{'it is not there' if content is None else f'{len(content)} other bytes'}")

    def seen(self, limit):
        """The witness as it was when so many records had reached the disk."""
        return [line for line in self.witness.read_text().splitlines() if int(line.split(" ", 1)[0]) <= limit]

    def check_cut(self, limit, told, witness, final):
        """The disk as it is mounted now, against what was known outside. `final`: {run: its log in the end}."""
        by_run = self.check_told([fact for fact in told if fact.count <= limit], witness)
        for run_id, lines in by_run.items():
            if not is_kept(b"".join(line + b"\n" for line in lines), final[run_id]):
                raise Damage(f"{run_id}: {len(lines)} whole lines are not those that were written")
        return by_run

    def check_told(self, told, witness):
        """Is all there that somebody was told of, or that was done? Answers {run: its whole lines}."""
        self.refused = set()
        by_run = {run_id: self.kept_lines(run_id) if self.unordered else self.lines(run_id) for run_id in self.ids}
        for run_id, lines in by_run.items():
            if lines:
                check_bytes(b"".join(line + b"\n" for line in lines), run_id, hard_gates=self.hard_gates(run_id))
                self.check_content(run_id, lines)
        for fact in told:
            fact.check(by_run[fact.run_id])
        for line in witness:
            _, run_id, step, attempt = line.split(" ")
            kind, name = ("compensation.started", step[:-5]) if step.endswith(".comp") else ("step.started", step)
            if not any(event["event_type"] == kind and event["step_id"] == name and event["attempt"] == int(attempt)
                       for event in map(json.loads, by_run[run_id])):
                raise Damage(f"S1.2: '{line}' was executed, and its {kind} is not durable")
        return by_run

    def remove(self):
        self.close()
        disk.drop(self.disk)
        disk.unmount("/proc/sys/kernel/random/boot_id")
        shutil.rmtree(self.root)


def cpu_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
