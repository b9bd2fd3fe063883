"""Killing at system calls: record which ones a process makes, then end it at each of them."""
import collections
import os
import re
import shutil
import signal
from pathlib import Path

from .checker import Ledger, is_kept, split_lines
from .sluice import Sluice, install, until

CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")


def thin(points, most=120):
    """A search through /proc makes thousands of calls that are all alike: of each call that occurs so
    often, the first, the last, and some between."""
    total = collections.Counter(call for call, _ in points)
    seen = collections.Counter()
    kept = []
    for call, n in points:
        seen[call] += 1
        at, count = seen[call], total[call]
        if count <= most or at <= most // 3 or at > count - most // 3 or at % (3 * count // most) == 0:
            kept.append((call, n))
    return kept


def read_trace(path, after=""):
    """[(system call, n)] of a trace, in order; only those after the first line that holds `after`."""
    counts = collections.Counter()
    points, begun = [], not after
    for line in Path(path).read_text(errors="replace").splitlines():
        call = CALL.match(line)
        if not call:
            continue
        counts[call[1]] += 1
        begun = begun or after in line
        if begun and call[1] not in ("execve", "exit_group", "restart_syscall"):
            points.append((call[1], counts[call[1]]))
    return thin(points)


def kill_at(point):
    """strace that kills what it runs at the n-th such call, and no child of it."""
    call, n = point
    return ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:signal=SIGKILL:when={n}")


def keeper_script(folder, options):
    """An installation whose keeper runs under strace; `options` are those of strace."""
    folder = Path(folder)
    real = folder / "real-keeper"
    text = "#!/bin/sh\n" + f"exec {shutil.which('strace')} {options} {real} \"$@\"\n"
    program = install(folder, keeper_text=text)
    from .sluice import keeper
    shutil.copy2(keeper(), real)
    return program


# Eight steps of some milliseconds: a gate with evidence, a retry, two branches, outputs, an artifact.
def eight_steps(on_lost="fail"):
    run = Ledger.SCRIPT
    once = '; [ "$SLUICE_ATTEMPT" != 0 ] || exit 75'
    return {
        "preflight": {"gate": "hard", "run": run + '; echo ok=1 >"$SLUICE_OUTPUT"',
                      "outputs": {"ok": {"type": "int", "required": True}}, "pass": "output.ok == 1"},
        "benchmark": {"gate": "hard", "run": run},
        "stage": {"run": run + once, "retry": {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}},
        "left": {"run": run + '; echo rows=7 >"$SLUICE_OUTPUT"',
                 "outputs": {"rows": {"type": "int", "required": True}}, "needs": ["stage"]},
        "right": {"run": run, "needs": ["stage"]},
        "join": {"run": run + '; [ "$OUTPUT_left_rows" = 7 ]', "needs": ["left", "right"]},
        "verify": {"gate": "hard", "run": run + "; echo x >out.$SLUICE_RUN_ID",
                   "artifacts": [{"name": "out", "path": "out.${run.id}"}]},
        "publish": {"run": run},
    }


def undo_steps(on_failure="compensate"):
    """A diamond of five steps that can be undone, one that cannot, and one that fails."""
    def step(**more):
        return {"run": Ledger.SCRIPT, "compensate": {"run": Ledger.UNDO}, **more}
    return {
        "first": step(), "left": step(needs=["first"]), "right": step(needs=["first"]),
        "join": step(needs=["left", "right"]), "kept": {"run": Ledger.SCRIPT}, "last": step(),
        "fails": {"run": Ledger.SCRIPT + "; exit 1", "on_failure": on_failure},
    }


UNDONE = ["first", "left", "right", "join", "last"]
DEFAULTS = {"on_lost": "fail", "grace": "200ms"}


class World(Sluice):
    """A state directory with a ledger and the eight steps, for one kill."""

    def __init__(self, root, program, on_lost="fail", steps=None):
        Path(root).mkdir(parents=True, exist_ok=True)
        super().__init__(root, program)
        self.ledger = Ledger(self.root)
        env = {name: {"from": "env"} for name in self.ledger.env}
        self.env.update(self.ledger.env)
        self.file = self.pipeline(steps or eight_steps(), env=env, concurrency=2,
                                  defaults={**DEFAULTS, "on_lost": on_lost})

    def run(self, prefix=(), **kwargs):
        return self("run", self.file, "--run-id", self.id, prefix=prefix, **kwargs)

    def lines(self):
        """The whole lines of the log: what must never be missing again."""
        path = self.run_dir() / "events.jsonl"
        if not path.exists():
            return b""
        whole, _ = split_lines(path.read_bytes())
        return b"".join(line + b"\n" for line in whole)

    def finish(self, ends=(0,)):
        """Go on after a kill until the run ends, and judge everything."""
        known = self.lines()
        for _ in range(15):
            if not (self.run_dir() / "events.jsonl").exists():
                result = self.run()
            else:
                result = self("resume", self.id)
            if result.code in ends:
                break
            assert result.code in (1, 8), result
        else:
            raise AssertionError(f"it does not end: {result}")
        raw = self.raw()
        assert is_kept(known, raw), "S1.5: an acknowledged line is gone"
        log = self.log(ended="succeeded" if result.code == 0 else None)
        self.ledger.check(log)
        return log

    def finish_undo(self, most=1):
        """Go on after a kill until the run is rolled back, and judge everything. `most`: how often each
        step may be undone; a compensation whose end is unknown is one that somebody asks for again."""
        known = self.lines()
        for _ in range(15):
            if not (self.run_dir() / "events.jsonl").exists():
                result = self.run()
            else:
                log = self.log(torn=True)
                if log.state == "rolled_back" and log.completed:
                    break
                is_cut = not log.completed
                result = self("resume" if is_cut else "rollback", self.id)
            assert result.code in (0, 1, 8), result
        else:
            raise AssertionError(f"it does not end: {result}")
        assert is_kept(known, self.raw()), "S1.5: an acknowledged line is gone"
        log = self.log(ended="rolled_back")
        seen = self.ledger.check(log)
        for name in UNDONE:
            times = sum(count for token, count in seen.items() if token.split()[1] == name + ".comp")
            assert 1 <= times <= most, f"S10.2: {name} was undone {times} times"
        order = [event["step_id"] for event in log.of("step.compensated")]
        assert sorted(order) == sorted(UNDONE) and order[:2] == ["last", "join"] and order[-1] == "first", order
        assert log.steps["kept"].state == "succeeded" and log.steps["fails"].state == "failed"
        return log

    def close(self):
        until_gone(self)
        super().close()


def copy_of(half, root, program):
    """The world as it is, in another place."""
    shutil.copytree(half.root, root)
    world = World.__new__(World)
    Sluice.__init__(world, root, program)
    world.id = half.id
    world.ledger = Ledger(root)
    world.env.update(world.ledger.env)
    world.file = root / "pipeline.yaml"
    return world


def until_gone(world, timeout=5):
    """Keepers end by themselves when nothing is left to do (S8.1)."""
    try:
        until(lambda: not world.keepers(), timeout, of="the keeper's own end")
    except TimeoutError:
        for pid in world.keepers():
            os.kill(pid, signal.SIGKILL)
        raise


def spread(items, most):
    """At most so many of them, evenly."""
    step = max(1, -(-len(items) // most))
    return items[::step]


def sweep(items, kill, *args):
    """Each of them, and then all that went wrong."""
    failures = []
    for item in items:
        try:
            kill(*args, item)
        except (AssertionError, TimeoutError) as problem:
            failures.append(f"{item}: {str(problem)[:1500]}")
    assert not failures, f"{len(failures)} of {len(items)}:\n" + "\n".join(failures[:5])
