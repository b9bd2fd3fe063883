"""Memory that is short at one allocation of a program (D21).

Allocations are tried by place: of those with the same stack of calls the first; or each of them, in an order that
somebody gives. Each fails alone, and with all that follow."""
import collections
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from support.checker import Damage, is_kept
from support.kills import keeper_under
from support.sluice import ROOT, Result, keeper

from fault_world import FINDING, FaultWorld, another, half_a_run, keeper_words

LATE = ":verify_asan_link_order=0"  # so that something stands before the allocator of a sanitizer
WAITS_S = 3  # for a run of a tenth of a second
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))

# What is read by people and changes nothing; `{file}` and `{id}` are filled in.
VERBS = ("status {id}", "status {id} --json", "summary {id}", "summary {id} --json", "explain {id}", "explain {id} rows",
         "list", "list --json", "events {id}", "verify {id}", "graph {file}", "graph {id} --format svg",
         "graph {file} --format mermaid", "lint {file}", "plan {file}", "plan {file} --json", "logs {id}", "stats",
         "compare {id} {id}", "export {id}")


def library():
    """What LD_PRELOAD takes; None when it is not built."""
    place = BUILD / "test/faults/libshort_memory.so"
    return place if place.is_file() else None


class Short(collections.namedtuple("Short", "verb nth for_ever")):
    def __str__(self):
        return f"{self.verb}: allocation {self.nth}{' and later' if self.for_ever else ''}"

    def text(self):
        return f"{self.nth}{'+' if self.for_ever else ''}"

    def env(self):
        return {**preload(), "SHORT_MEMORY": self.text()}


def preload():
    options = os.environ.get("ASAN_OPTIONS", "detect_leaks=1")
    return {"LD_PRELOAD": str(library()), "ASAN_OPTIONS": options + LATE}


def places(world, words, each=False):
    """Numbers of the first allocation from each place of a command, or of each; it must go well."""
    record = world.root / "memory"
    world(*words, env={**preload(), "SHORT_MEMORY_RECORD": str(record)}, code=0)
    numbers = [line.split() for line in record.read_text().splitlines()]
    assert numbers and numbers[-1][0] == "all", "the record is whole"
    return [*range(1, int(numbers[-1][1]) + 1)] if each else [int(words[0]) for words in numbers[:-1]]


def shots(verb, numbers):
    return [Short(verb, nth, for_ever) for nth in numbers for for_ever in (False, True)]


def fingerprint(folder):
    """What is in it, but for the history, which `list` brings up to date (S12)."""
    found = {}
    for path in sorted(set(folder.rglob("*")) - set(folder.glob("sluice.db*"))):
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found


def words_of(verb, world):
    return verb.format(file=world.file, id=world.id).split()


def check_words(result, allowed=(0, 10), has_loop=False):
    """It ends in order, and says so. The library of the event loop ends the program where it finds no memory for its
    table of descriptors: without a word, and as if it had been killed."""
    if has_loop and result.code == -signal.SIGABRT and not result.stderr.strip():
        return
    if result.code not in allowed or "internal error" in result.stderr or FINDING.search(result.stderr):
        raise Damage(f"exit {result.code}: {result.stderr[-3000:]}")
    if result.code and not result.stderr.strip():
        raise Damage(f"exit {result.code}, and not a word")


def read_short(world, short, whole, before):
    """A command that only reads: the whole answer, or an error; and nothing changed."""
    result = world(*words_of(short.verb, world), env=short.env(), timeout=30)
    check_words(result)
    if result.code == 0 and result.stdout != whole:
        raise Damage(f"exit 0, and another answer: {result.stdout[:500]!r}, not {whole[:500]!r}")
    if fingerprint(world.home) != before:
        raise Damage("it changed something")
    return result.code


def finish_and_check(world, result):
    known = world.lines() if world.is_born() else b""
    if world.is_born():
        world.log(torn=True, ended="succeeded" if result.code == 0 else None)
    elif result.code == 0:
        raise Damage("exit 0, and no run")
    log = world.finish_up()
    if not is_kept(known, world.raw()):
        raise Damage("S1.5: a line that was acknowledged is gone after the resume")
    world.ledger.check(log)


def run_short(folder, program, short):
    world = FaultWorld(Path(folder) / f"run-{short.nth}-{short.for_ever:d}", program)
    try:
        result = world("run", world.file, "--run-id", world.id, env=short.env(), timeout=30)
        check_words(result, has_loop=True)
        finish_and_check(world, result)
    finally:
        world.close()
    shutil.rmtree(world.root)
    return result.code


def resume_short(folder, half, short):
    world = another(half, Path(folder) / f"resume-{short.nth}-{short.for_ever:d}")
    try:
        known = world.lines()
        result = world("resume", world.id, env=short.env(), timeout=30)
        check_words(result, has_loop=True)
        if not is_kept(known, world.raw()):
            raise Damage("S1.5: a line that was acknowledged is gone")
        finish_and_check(world, result)
    finally:
        world.close()
    shutil.rmtree(world.root)
    return result.code


def keeper_program(folder, words):
    """An installation whose keeper is a dynamic one, with these variables in its environment."""
    program = keeper_under(folder, f"{keeper_words(folder, LATE)} LD_PRELOAD={library()} {words}")
    dynamic = BUILD / "test/faults/keeper-dynamic"
    shutil.copy2(dynamic if dynamic.is_file() else keeper(), folder / "real-keeper")
    return program


def keeper_places(folder):
    record = Path(folder) / "memory"
    world = FaultWorld(Path(folder) / "recorded", keeper_program(Path(folder) / "recorded-bin", f"SHORT_MEMORY_RECORD={record}"))
    try:
        world.run(code=0)
        world.finish_up()
    finally:
        world.close()
    return [int(line) for line in record.read_text().splitlines() if line.isdigit()]


def keeper_short(folder, short):
    """A keeper that has no memory for the end of a command waits for memory: nobody else has seen that end. So
    when its memory stays short it is killed, as the kernel would, and the next one has enough."""
    folder = Path(folder) / f"keeper-{short.nth}-{short.for_ever:d}"
    world = FaultWorld(folder / "world", keeper_program(folder / "bin", f"SHORT_MEMORY={short.text()}"))
    try:
        engine = world.start("run", world.file, "--run-id", world.id)
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(WAITS_S)
        (folder / "bin/sluice-keeper").write_text(
            f"#!/bin/sh\nexec {keeper_words(folder / 'bin')} {folder}/bin/real-keeper \"$@\"\n")
        if engine.poll() is None and short.for_ever:
            for pid in world.keepers():
                os.kill(pid, signal.SIGKILL)
        stdout, stderr = engine.communicate(timeout=20)
        result = Result(engine.args, engine.returncode, stdout, stderr)
        if result.code not in (0, 1, 10) or "internal error" in result.stderr:
            raise Damage(f"exit {result.code}: {result.stderr[-1500:]}")
        for pid in world.keepers() if short.for_ever else []:
            os.kill(pid, signal.SIGKILL)
        finish_and_check(world, result)
    finally:
        world.close()
    shutil.rmtree(folder)
    return result.code


def keep_going(shots_of, check):
    """(how often each exit status was seen, what went wrong)"""
    codes, failures = collections.Counter(), []
    for short in shots_of:
        try:
            codes[check(short)] += 1
        except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as problem:
            failures.append(f"{short}: {str(problem)[-1500:]}")
    return codes, failures


def sweep_verb(folder, program, verb, step=1, deadline=None):
    """A reading command at every `step`-th place."""
    world = FaultWorld(Path(folder) / "read", program)
    try:
        world.run(code=0)
        words = words_of(verb, world)
        world(*words, code=0)  # whatever is made at a first call
        whole, before = world(*words, code=0).stdout, fingerprint(world.home)
        tried = shots(verb, places(world, words))[::step]
        found = keep_going(in_time(tried, deadline), lambda short: read_short(world, short, whole, before))
        assert world(*words, code=0).stdout == whole
    finally:
        world.close()
    shutil.rmtree(world.root)
    return found


def sweep_run(folder, program, step=1, deadline=None, shuffle=None):
    world = FaultWorld(Path(folder) / "recorded", program)
    try:
        found = shots("run", places(world, ["run", world.file, "--run-id", world.id], each=shuffle))
    finally:
        world.close()
    if shuffle:
        shuffle(found)
    return keep_going(in_time(found[::step], deadline), lambda short: run_short(folder, program, short))


def sweep_resume(folder, program, step=1, deadline=None, shuffle=None):
    half = half_a_run(folder, program)
    world = another(half, Path(folder) / "recorded")
    try:
        found = shots("resume", places(world, ["resume", world.id], each=shuffle))
    finally:
        world.close()
    if shuffle:
        shuffle(found)
    return keep_going(in_time(found[::step], deadline), lambda short: resume_short(folder, half, short))


def sweep_keeper(folder, _program, step=1, deadline=None):
    return keep_going(in_time(shots("keeper", keeper_places(folder))[::step], deadline),
                      lambda short: keeper_short(folder, short))


def in_time(items, deadline):
    for item in items:
        if deadline and time.monotonic() > deadline:
            return
        yield item
