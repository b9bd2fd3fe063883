"""Killing at system calls: record which ones a process makes, then end it at each of them, or of a call that it makes
very often at some."""
import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from .checker import Ledger, split_lines, teller
from .observed import keeper_words
from .sluice import Sluice, has_sanitizers, install, is_locked, keeper, until

CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
FAILURES = (AssertionError, TimeoutError, subprocess.TimeoutExpired)  # of a case: the others go on


def thin(points, most=120):
    """A search through /proc makes thousands of calls that are all alike: of a call that is made more often than `most`
    stay the first and the last third of so many, and about as many between. Nobody is killed at the others."""
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
    """[(system call, n)] of a trace, in order; only those after the first line that holds `after`, and of very many of
    one kind only some (`thin`)."""
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


def killer():
    """The program that ends another at a system call (test/support/killat.c)."""
    return teller().with_name("killat")


def kill_at(point):
    """What is put before a command so that it is killed at the n-th such call, and no child of it."""
    return (killer(), *map(str, point))


def keeper_script(folder, options):
    """An installation whose keeper runs under strace; `options` are those of strace."""
    return keeper_under(folder, f"{shutil.which('strace')} {options}")


def keeper_with_plan(folder):
    """An installation; the file in which somebody may write when its next keeper is killed, `CALL N`; and the file that is
    there when it was."""
    plan = Path(folder) / "plan"
    return keeper_under(folder, f"{killer()} --plan {plan}"), plan, plan.with_name("plan.hit")


def keeper_under(folder, command):
    """An installation whose keeper runs under that command. What sanitizers find in it is kept (observed.py), but for
    leaks: what looks for them may be killed, and is waited for."""
    real = Path(folder) / "real-keeper"
    words = keeper_words(folder, finds_leaks=False) if has_sanitizers(keeper()) else ""
    program = install(folder, keeper_text=f"#!/bin/sh\nexec {words} {command} {real} \"$@\"\n")
    shutil.copy2(keeper(), real)
    return program


DEFAULTS = {"on_lost": "fail", "grace": "200ms"}


class World(Sluice):
    """A state directory with a ledger, and a pipeline whose steps leave their traces in it."""

    def __init__(self, root, program, steps, on_lost="fail"):
        Path(root).mkdir(parents=True, exist_ok=True)
        super().__init__(root, program)
        self.ledger = Ledger(self.root)
        env = {name: {"from": "env"} for name in self.ledger.env}
        self.env.update(self.ledger.env)
        self.file = self.pipeline(steps, env=env, concurrency=2,
                                  defaults={**DEFAULTS, "on_lost": on_lost})

    def begin(self):
        return ("run", self.file, "--run-id", self.id)

    def run(self, prefix=(), **kwargs):
        return self(*self.begin(), prefix=prefix, **kwargs)

    def lines(self):
        """The whole lines of the log: what must never be missing again."""
        path = self.run_dir() / "events.jsonl"
        if not path.exists():
            return b""
        whole, _ = split_lines(path.read_bytes())
        return b"".join(line + b"\n" for line in whole)

    def leave(self):
        """As close() where all went well: its processes have ended, and its keeper ends by itself. Nobody
        looks for others: whoever leaves many worlds does that once, for all of them."""
        for process in self.open:
            process.communicate(timeout=30)
        until_gone(self)
        shutil.rmtree(self.sockets, ignore_errors=True)
        shutil.rmtree(self.root)

    def close(self):
        try:
            until_gone(self)
        finally:
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


def has_keeper(world):
    """Does anybody hold keeper.lock (S8.1)?"""
    with contextlib.suppress(FileNotFoundError):
        return is_locked(world.run_dir() / "keeper.lock")
    return False


def until_gone(world, timeout=30):
    """Keepers end by themselves when nothing is left to do (S8.1)."""
    try:
        until(lambda: not has_keeper(world), timeout, of="the keeper's own end")
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
        except FAILURES as problem:
            failures.append(f"{item}: {str(problem)[:1500]}")
    assert not failures, f"{len(failures)} of {len(items)}:\n" + "\n".join(failures[:5])
