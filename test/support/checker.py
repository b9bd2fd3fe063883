"""An independent reading of the contract (docs/semantics.md): is this log one that the rules allow?

Written from the rules, not from the program, and sharing no code with it. `check_log` raises Damage
with the number of the line and the rule that it breaks. `Ledger` compares what steps really did with
what the log says that they did."""
import collections
import hashlib
import json
import os
import re
import sqlite3
from pathlib import Path

HEAD = ["event_id", "event_type", "run_id", "timestamp_utc", "actor", "attempt"]
COMMON = ["step_id", "error_class", "reason", "inputs_hash", "outputs_hash", "artifact_path",
          "previous_state", "new_state", "override_reason"]

# S11: required fields beyond the head, then those that may be there.
FIELDS = {
    "run.created": ("new_state format pipeline definition_hash sync seed boot_id cwd",
                    "version params partition idempotency_key dry_run selection given given_ref file trace_id traceparent reason"),
    "run.state_changed": ("previous_state new_state", "reason"),
    "run.completed": ("new_state outcome duration_ms", "reason warnings"),
    "run.resumed": ("definition_hash boot_id", "from params reason changes source_ref file"),
    "run.stop_requested": ("", "now reason peer_uid peer_pid"),
    "run.override_applied": ("gate override_reason", "definition_hash"),
    "step.started": ("step_id new_state", "inputs_hash error_class reason"),
    "step.succeeded": ("step_id new_state", "outputs outputs_ref outputs_hash context_updates "
                       "context_updates_ref exit_code duration_ms cached_from cache_key mocked"),
    "step.failed": ("step_id new_state error_class", "reason exit_code signal core errno duration_ms"),
    "step.retried": ("step_id error_class delay_ms", "reason boot_ms"),
    "step.waiting": ("step_id reason", "until"),
    "step.skipped": ("step_id reason", "cause"),
    "step.lost": ("step_id", "error_class reason"),
    "run.rollback_started": ("", "boot_id reason peer_uid peer_pid"),
    "compensation.started": ("step_id", ""),
    "compensation.failed": ("step_id error_class", "reason exit_code signal core errno duration_ms delay_ms boot_ms"),
    "step.compensated": ("step_id", "exit_code duration_ms"),
    "gate.passed": ("step_id evidence", ""),
    "gate.failed": ("step_id error_class", "reason evidence soft"),
    "gate.approved": ("step_id", "reason peer_uid peer_pid"),
    "gate.rejected": ("step_id", "reason peer_uid peer_pid"),
    "quality.recorded": ("step_id data", "reason soft"),
    "artifact.emitted": ("step_id artifact_path outputs_hash bytes", "name"),
    "artifact.quarantined": ("step_id artifact_path", "outputs_hash bytes reason name"),
    "projection.failed": ("which reason", ""),
    "log.repaired": ("bytes sha256", ""),
}

# S3
RUN_MOVES = {
    "created": {"preflight_validated", "failed", "stopped"},
    "preflight_validated": {"executing", "failed", "stopped"},
    "executing": {"blocked", "succeeded", "failed", "stopped"},
    "blocked": {"executing", "failed", "rolled_back", "stopped"},
    "failed": {"rolled_back"},
    "stopped": {"rolled_back"},
    "succeeded": set(),
    "rolled_back": set(),
}
OUTCOMES = {"succeeded": {"success"}, "failed": {"failed", "partial"}, "stopped": {"stopped", "failed"},
            "rolled_back": {"rolled_back"}}
SKIP_REASONS = {"condition", "choice_not_taken", "upstream_failed", "gate_failed", "run_stopped"}
# S6
CLASSES = {"transient_io", "timeout", "dependency", "contract_input_missing", "configuration",
           "validation_failed", "data_quality", "hard_gate_failed", "infrastructure", "interrupted",
           "cancelled", "lost", "internal", "unknown"}
# S4
STEP_MOVES = {
    "pending": {"running", "waiting", "skipped"},
    "waiting": {"running", "succeeded", "failed", "skipped"},
    "running": {"succeeded", "failed", "waiting"},
    "failed": {"pending", "compensated"},
    "succeeded": {"compensated", "pending"},
    "skipped": {"pending"},
    "compensated": set(),
}
LINE_MAX = 1 << 20
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
ACTOR = re.compile(r"runner\Z|schedule\Z|manual:.+\Z|api:.+\Z", re.S)
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Damage(AssertionError):
    """The log, or what happened, breaks a rule."""


def chain(run_id, lines):
    """The chain of S11.1 over lines without their newlines: 16 hex digits for each."""
    h = hashlib.sha256(run_id.encode()).digest()
    for line in lines:
        h = hashlib.sha256(h + line[:-24]).digest()
        yield h.hex()[:16]


def forge(run_id, events):
    """Lines for events (dicts without `event_id` and `h`), with right numbers and a right chain."""
    h = hashlib.sha256(run_id.encode()).digest()
    out = []
    for seq, event in enumerate(events, 1):
        event = {"event_id": f"evt_{seq}", **{k: v for k, v in event.items() if k not in ("event_id", "h")}}
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
        h = hashlib.sha256(h + body).digest()
        out.append(body + b',"h":"' + h.hex()[:16].encode() + b'"}\n')
    return b"".join(out)


def _unique(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise Damage(f"a key twice in {keys}")
    return dict(pairs)


class Step:
    def __init__(self):
        self.state = "pending"
        self.attempt = -1        # of the last step.started
        self.started = []        # attempts
        self.ends = {}           # attempt -> event type
        self.cached = set()      # attempts that were not executed, as an earlier success stood for them
        self.announced = None    # attempt of a step.retried that has not started
        self.retried = 0
        self.lost = 0
        self.undos = 0           # compensation.started
        self.undo_ends = {}      # attempt -> the type of its end
        self.is_reopened = False # by a resume, after an attempt, and no other has begun since
        self.reopened = 0        # for a further attempt
        self.gate_barred = False
        self.override_for = None  # the definition whose run.resumed makes an override count
        self.may_reopen = False
        self.cannot_begin = None # class of a start that executes nothing
        self.open_end = None     # the event that must follow, for a hard gate


class Log:
    """A checked log: events as dicts, and the fold of them."""

    def __init__(self, run_id):
        self.run_id = run_id
        self.events = []
        self.lines = []
        self.state = None
        self.outcome = None
        self.completed = False
        self.resumes = 0
        self.resuming = False
        self.stopping = False
        self.rolling_back = False
        self.compensating = None
        self.is_undo_over = False  # a compensation failed for good, and nobody has asked again
        self.steps = collections.defaultdict(Step)
        self.receipt = None

    def types(self, *, steps=True):
        return [e["event_type"] for e in self.events if steps or e["event_type"].startswith("run.")]

    def of(self, event_type, step=None):
        return [e for e in self.events
                if e["event_type"] == event_type and (step is None or e.get("step_id") == step)]

    def sequence(self, step):
        """[(type, attempt)] of one step."""
        return [(e["event_type"], e["attempt"]) for e in self.events if e.get("step_id") == step]

    # ------------------------------------------------------------------------- one line

    def take(self, number, line, hard_gates):
        try:
            text = line.decode("utf-8")
            event = json.loads(text, object_pairs_hook=_unique)
        except (UnicodeDecodeError, json.JSONDecodeError) as problem:
            raise Damage(f"line {number}: {problem}") from problem
        try:
            self.check_form(number, line, event)
            self.fold(event, hard_gates)
        except Damage as problem:
            raise Damage(f"line {number}: {problem}: {text[:300]}") from None
        self.events.append(event)
        self.lines.append(line)

    def check_form(self, number, line, event):
        if len(line) + 1 > LINE_MAX:
            raise Damage("S11: longer than 1 MiB")
        if re.search(rb"\s", STRING.sub(b'""', line)):
            raise Damage("S11: not compact")
        keys = list(event)
        if keys[:6] != HEAD or keys[-1] != "h":
            raise Damage("S11: order of the first six fields and h")
        if event["event_id"] != f"evt_{number}":
            raise Damage(f"S11.1: {event['event_id']} in place {number}")
        if event["run_id"] != self.run_id:
            raise Damage("S11: another run's event")
        if not STAMP.match(event["timestamp_utc"]) or not ACTOR.match(event["actor"]):
            raise Damage("S11.1: form of time or actor")
        if type(event["attempt"]) is not int or event["attempt"] < 0:
            raise Damage("S7.1: attempt")
        if any(value is None for value in event.values()):
            raise Damage("S11: nulls are omitted")
        kind = event["event_type"]
        own = keys[6:-1]
        if kind.startswith("x-"):
            return
        if kind not in FIELDS:
            raise Damage(f"S11: unknown event {kind}")
        needed, allowed = (set(f.split()) for f in FIELDS[kind])
        if needed - set(own) or set(own) - needed - allowed:
            raise Damage(f"S11: {kind} lacks {needed - set(own)}, has {set(own) - needed - allowed}")
        common = [key for key in own if key in COMMON]
        if common != sorted(common, key=COMMON.index) or own[:len(common)] != common:
            raise Damage("S11: order of fields")
        if event.get("duration_ms", 0) < 0 or event.get("delay_ms", 0) < 0:
            raise Damage("S7.6: negative time")
        if "error_class" in event and event["error_class"] not in CLASSES and kind not in (
                "step.failed", "gate.failed", "compensation.failed"):
            raise Damage("S6: a class that only a command could have given")

    # ----------------------------------------------------------------------------- fold

    def fold(self, event, hard_gates):
        kind = event["event_type"]
        if (self.state is None) != (kind == "run.created"):
            raise Damage("S11: run.created is first, and only first")
        if self.completed and kind not in ("run.resumed", "run.override_applied", "run.rollback_started",
                                           "log.repaired", "projection.failed"):
            raise Damage(f"S11.4: {kind} after run.completed")
        for name, step in self.steps.items():
            if step.open_end and not (kind == "gate.failed" and event["step_id"] == name) \
                    and kind not in ("run.resumed", "log.repaired", "run.stop_requested"):
                raise Damage(f"S5.4: gate.failed of {name} must follow at once")
        method = getattr(self, "on_" + kind.replace(".", "_"), None)
        if method:
            step = self.steps[event["step_id"]] if "step_id" in event else None
            method(event, step, event.get("step_id") in hard_gates)

    def move(self, step, to):
        if to not in STEP_MOVES[step.state]:
            raise Damage(f"S4: {step.state} -> {to}")
        step.state = to

    def on_run_created(self, event, _step, _gate):
        if event["new_state"] != "created":
            raise Damage("S3: a run begins as created")
        self.state = "created"

    def on_run_state_changed(self, event, _step, _gate):
        old, new = event["previous_state"], event["new_state"]
        if old != self.state:
            raise Damage(f"S3: the run is {self.state}")
        guarded = old in ("failed", "stopped") and new == "executing" and self.resuming
        if new not in RUN_MOVES[old] and not guarded:
            raise Damage(f"S3: {old} -> {new}")
        if new == "stopped" and not self.stopping:
            raise Damage("S3.3: stopped without a stop")
        if new == "succeeded" and any(s.gate_barred for s in self.steps.values()):
            raise Damage("S5.4: success above a failed hard gate")
        if new in ("succeeded", "stopped", "rolled_back"):
            running = [n for n, s in self.steps.items() if s.state == "running"]
            if running:
                raise Damage(f"S3: {new} while {running} run")
        self.state = new
        self.resuming = False

    def on_run_completed(self, event, _step, _gate):
        if event["new_state"] != self.state or event["outcome"] not in OUTCOMES.get(self.state, ()):
            raise Damage(f"S3: completed as {event['new_state']}/{event['outcome']}, is {self.state}")
        running = [n for n, s in self.steps.items() if s.state == "running"]
        if running:
            raise Damage(f"completed while {running} run")
        self.completed = True
        self.outcome = event["outcome"]

    def on_run_resumed(self, event, _step, _gate):
        if self.state in ("succeeded", "rolled_back"):
            raise Damage(f"S9.1: a run that is {self.state} was resumed")
        at_rest = self.state in ("failed", "stopped")
        for step in self.steps.values():
            if step.override_for == event["definition_hash"]:
                step.gate_barred = False
            step.override_for = None
        self.resumes += 1
        self.resuming = at_rest
        self.completed = False
        if at_rest:
            self.stopping = False
        if self.rolling_back:
            return
        self.outcome = None
        changes = event.get("changes")
        for name in changes["removed"] if changes else ():
            gone = self.steps[name]
            if gone.state in ("running", "waiting") or gone.gate_barred:
                raise Damage(f"S9.3: {name} is {gone.state} and was removed")
            gone.state, gone.may_reopen, gone.announced = "pending", False, None
        for step in self.steps.values():
            if changes and step.state == "running":
                raise Damage("S9.3: the definition changed while a step ran")
            if changes and step.state in ("failed", "skipped", "succeeded"):
                step.may_reopen = True
            if at_rest and step.state in ("failed", "skipped"):
                step.may_reopen = True
            if event.get("from") and step.state in ("failed", "skipped", "succeeded"):
                step.may_reopen = True
            if at_rest:
                step.open_end = None

    def on_run_rollback_started(self, _event, _step, _gate):
        if self.state not in ("failed", "stopped", "blocked"):
            raise Damage(f"S10: a run that is {self.state} is rolled back")
        self.rolling_back = True
        self.compensating = None
        self.is_undo_over = False
        self.completed = False
        self.stopping = False
        self.outcome = None

    def on_compensation_started(self, event, step, _gate):
        if not self.rolling_back or self.compensating or self.stopping:
            raise Damage("S10: a compensation starts that must not")
        if self.is_undo_over:
            raise Damage("S10.3: a compensation starts though one failed for good, and nobody asked")
        if step.state != "succeeded" or event["attempt"] != step.undos:
            raise Damage(f"S10: attempt {event['attempt']} to undo a step that is {step.state}")
        step.undos += 1
        self.compensating = event["step_id"]

    def end_compensation(self, event, step):
        if self.compensating != event["step_id"] or event["attempt"] != step.undos - 1:
            raise Damage("S10: the end of a compensation that does not run")
        self.compensating = None
        step.undo_ends[event["attempt"]] = event["event_type"]

    def on_step_compensated(self, event, step, _gate):
        self.end_compensation(event, step)
        self.move(step, "compensated")

    def on_compensation_failed(self, event, step, _gate):
        self.end_compensation(event, step)
        if event["error_class"] == "lost" and "delay_ms" in event:
            raise Damage("S10.3: a compensation that was lost is run again, and nobody asked")
        self.is_undo_over = "delay_ms" not in event

    def on_run_stop_requested(self, _event, _step, _gate):
        self.stopping = True

    def on_run_override_applied(self, event, _step, _gate):
        step = self.steps[event["gate"]]
        if not event["override_reason"].strip() or not event["actor"].startswith("manual:"):
            raise Damage("S1.4: an override has a name and a reason")
        if not step.gate_barred:
            raise Damage("an override of a gate that did not fail")
        step.open_end = None
        if "definition_hash" in event:
            step.override_for = event["definition_hash"]
        else:
            step.gate_barred = False

    def reopen(self, step):
        """Resumes open steps without an event of their own: take that into account when one moves."""
        if step.may_reopen:
            step.may_reopen = False
            if step.state in ("failed", "succeeded", "skipped"):
                step.is_reopened = bool(step.started)
                step.state = "pending"
                step.gate_barred = False

    def on_step_started(self, event, step, _gate):
        self.reopen(step)
        if event["new_state"] != "running":
            raise Damage("step.started says running")
        barred = [n for n, s in self.steps.items() if s.gate_barred]
        if barred:
            raise Damage(f"S1.4: a step starts though {barred} failed")
        if self.rolling_back:
            raise Damage("S10: a step starts in a run that is rolled back")
        if self.state != "executing":
            raise Damage(f"a step starts in a run that is {self.state}")
        expected = step.attempt + 1
        if event["attempt"] != expected:
            raise Damage(f"S7.1: attempt {event['attempt']}, expected {expected}")
        if step.announced is not None and event["attempt"] != step.announced:
            raise Damage("S7.1: not the attempt that was announced")
        self.move(step, "running")
        step.announced = None
        step.reopened += step.is_reopened
        step.is_reopened = False
        step.attempt = event["attempt"]
        step.started.append(event["attempt"])
        step.cannot_begin = event.get("error_class")

    def end(self, event, step):
        """The end of an attempt; a step that waited for a person may fail without one."""
        attempt = event["attempt"]
        if step.state == "running":
            if attempt != step.attempt:
                raise Damage(f"end of attempt {attempt}, {step.attempt} runs")
            if attempt in step.ends:
                raise Damage("S8.2: two ends of one attempt")
            step.ends[attempt] = event["event_type"]

    def on_step_succeeded(self, event, step, _gate):
        self.end(event, step)
        self.move(step, "succeeded")
        if event["new_state"] != "succeeded" or step.cannot_begin:
            raise Damage("step.succeeded says succeeded, of a step that began")
        if "cached_from" in event:
            step.cached.add(event["attempt"])

    def on_step_failed(self, event, step, gate):
        self.end(event, step)
        self.move(step, "failed")
        if event["new_state"] != "failed":
            raise Damage("step.failed says failed")
        if step.cannot_begin and event["error_class"] != step.cannot_begin:
            raise Damage(f"it could not begin for {step.cannot_begin}")
        if gate and event["error_class"] == "hard_gate_failed":
            step.open_end = event

    def on_step_lost(self, event, step, _gate):
        self.end(event, step)
        self.move(step, "failed")
        step.lost += 1

    def on_step_retried(self, event, step, _gate):
        if event["attempt"] != step.attempt + 1:
            raise Damage(f"S7.1: retry number {event['attempt']} after {step.attempt}")
        self.move(step, "pending")
        step.announced = event["attempt"]
        step.retried += 1

    def on_step_waiting(self, _event, step, _gate):
        self.reopen(step)
        self.move(step, "waiting")

    def on_step_skipped(self, event, step, _gate):
        self.reopen(step)
        if event["reason"] not in SKIP_REASONS:
            raise Damage("S4: reason of a skip")
        self.move(step, "skipped")
        if step.announced is not None:
            step.retried -= 1
            step.attempt = step.announced  # announced, never executed: the number is used up
            step.announced = None

    def on_quality_recorded(self, event, step, _gate):
        if step.state != "running":
            raise Damage(f"quality.recorded of a step that is {step.state}")
        if event.get("soft") and "reason" not in event:
            raise Damage("quality.recorded: soft, but it misses nothing")

    def on_gate_failed(self, event, step, _gate):
        if event.get("soft"):
            return
        if step.state != "failed":
            raise Damage(f"gate.failed of a step that is {step.state}")
        if step.started and event["attempt"] != step.attempt:
            raise Damage("S5.4: gate.failed has the number of the attempt that failed")
        step.open_end = None
        step.gate_barred = True

    def on_gate_approved(self, event, _step, _gate):
        if not event["actor"].startswith("manual:") or not event.get("reason"):
            raise Damage("S5.6: an approval has a name and a reason")


def split_lines(raw):
    """(whole lines without newline, torn rest)"""
    parts = raw.split(b"\n")
    return parts[:-1], parts[-1]


def check_bytes(raw, run_id, *, hard_gates=(), torn=False):
    lines, rest = split_lines(raw)
    if rest and not torn:
        raise Damage(f"S11.4: {len(rest)} bytes after the last newline")
    log = Log(run_id)
    for number, (line, h) in enumerate(zip(lines, chain(run_id, lines)), 1):
        if not line.endswith(b',"h":"' + h.encode() + b'"}'):
            raise Damage(f"line {number}: S11.1: the chain says {h}: {line[-60:]!r}")
        log.take(number, line, hard_gates)
        log.receipt = h
    if not log.events:
        raise Damage("S11.8: a run without run.created")
    return log


def check_log(run_dir, run_id=None, *, hard_gates=(), torn=False, ended=None):
    """Check <run_dir>/events.jsonl; answers the Log. `ended`: the state that the run must have reached."""
    run_dir = Path(run_dir)
    raw = (run_dir / "events.jsonl").read_bytes()
    log = check_bytes(raw, run_id or run_dir.name, hard_gates=hard_gates, torn=torn)
    if ended is not None:
        if log.state != ended:
            raise Damage(f"the run is {log.state}, not {ended}: {log.events[-1]}")
        if ended != "blocked" and not log.completed:
            raise Damage(f"the run is {ended} without run.completed")
        for name, step in log.steps.items():
            if set(step.started) != set(step.ends):
                raise Damage(f"{name}: attempts {step.started}, ends {step.ends}")
    return log


def teller():
    """The program by which steps leave their traces (test/support/tell.c)."""
    build = Path(os.environ.get("SLUICE_BUILD", Path(__file__).resolve().parents[2] / "build"))
    path = build / "test/support/tell"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: it is built where libsqlite3-dev is installed")
    return path.resolve()


class Ledger:
    """Where steps leave what they did: a witness file and a SQLite database (test/support/tell.c)."""

    SCRIPT = '"$TELL"'
    UNDO = '"$TELL" undo'  # of what undoes a step

    def __init__(self, folder):
        self.witness = Path(folder) / "witness"
        self.database = Path(folder) / "ledger.db"
        self.witness.touch()
        if not self.database.exists():
            with sqlite3.connect(self.database) as db:
                db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE ledger (token TEXT PRIMARY KEY);"
                                 "CREATE TABLE effects (key TEXT PRIMARY KEY, fence INTEGER NOT NULL);"
                                 "CREATE TABLE late (token TEXT NOT NULL);")
            db.close()

    @property
    def env(self):
        return {"WITNESS": str(self.witness), "LEDGER": str(self.database), "TELL": str(teller())}

    def executions(self):
        """Counter of tokens, by the witness."""
        return collections.Counter(self.witness.read_text().splitlines())

    def rows(self):
        """The same by the database, in which a token stands once at most."""
        db = sqlite3.connect(self.database)
        try:
            late = [token for (token,) in db.execute("SELECT token FROM late")]
            if late:
                raise Damage(f"S8.6: executed behind the fence of a later attempt: {late}")
            return collections.Counter(token for (token,) in db.execute("SELECT token FROM ledger"))
        finally:
            db.close()

    def check_intents(self, log, run_id=None):
        """S1.2: whatever was executed so far is in this log, also while the run goes on. `log`: None before its birth."""
        intents = set()
        for name, step in log.steps.items() if log else ():
            intents |= {f"{log.run_id} {name} {attempt}" for attempt in step.started}
            intents |= {f"{log.run_id} {name}.comp {attempt}" for attempt in range(step.undos)}
        done = {token for token in self.executions() if token.split(" ")[0] == (run_id or log.run_id)}
        if done - intents:
            raise Damage(f"S1.2: executed without an intent: {done - intents}")

    def check(self, log):
        """Compare with a checked log of a run that has ended; answers what it executed."""
        seen, rows = ({token: times for token, times in tokens.items() if token.split(" ")[0] == log.run_id}
                      for tokens in (self.executions(), self.rows()))
        seen, rows = collections.Counter(seen), collections.Counter(rows)
        for token, times in (seen + rows).items():
            if seen[token] > 1 or rows[token] > 1:
                raise Damage(f"S8.2: '{token}' was executed {times} times")
        if set(rows) - set(seen):
            raise Damage(f"in the ledger, not in the witness: {set(rows) - set(seen)}")
        self.check_intents(log)
        for name, step in log.steps.items():
            again = len(step.started) - 1
            if step.started and again != step.retried + step.reopened:
                raise Damage(f"{name}: {again} further attempts, {step.retried} retried, "
                             f"{step.reopened} reopened")
            for attempt, end in step.ends.items():
                token = f"{log.run_id} {name} {attempt}"
                if attempt in step.cached and (seen[token] or rows[token]):
                    raise Damage(f"'{token}' was cached and executed all the same")
                if end == "step.succeeded" and attempt not in step.cached and not seen[token] == rows[token] == 1:
                    raise Damage(f"'{token}' succeeded and left no trace")
            for attempt, end in step.undo_ends.items():
                token = f"{log.run_id} {name}.comp {attempt}"
                if end == "step.compensated" and (seen[token] != 1 or rows[token] != 1):
                    raise Damage(f"S10.2: '{token}' is undone and left no trace")
        return seen


def is_kept(acknowledged, raw):
    """S1.5: lines that somebody was told of are still there, in front."""
    return raw.startswith(acknowledged)
