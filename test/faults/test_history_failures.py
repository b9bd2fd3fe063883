"""D33: the history database is made from the logs, and nothing that happens to it changes an answer or a log."""
import collections
import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from fault_world import FaultWorld, injector, read_record, rests, why_not

from support.kills import kill_at, read_trace, spread, sweep
from support.sluice import until

DATABASE = "sluice.db"
ERRORS = ("EIO", "ENOSPC", "EROFS", "EINTR", "EAGAIN", "ENOMEM")
LIMIT_S = 20
KILLS = 160


class History(FaultWorld):
    """Three runs that ended, and what a list says of them."""

    def __init__(self, root, program):
        super().__init__(root, program)
        for name in "abc":
            self("run", "-q", self.file, "--run-id", name, code=0)
        self.answer = self.list()
        self.logs = self.hashes()
        self.hits = 0

    def list(self, *prefix, **kwargs):
        return self("list", "-o", "jsonl", prefix=prefix, **(kwargs or {"code": 0})).stdout

    def hashes(self):
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(self.home.glob("runs/*/*")) if path.is_file()}

    def forget(self, names):
        """As if these had never been listed: `abc` has no database at all."""
        for path in self.home.glob(DATABASE + "*"):
            path.unlink()
        if names != "abc":
            for name in names:
                (self.home / "runs" / name).rename(self.root / name)
            self.list()
            for name in names:
                (self.root / name).rename(self.home / "runs" / name)

    def calls(self, *words):
        """[(call, how often)] that touch the database."""
        self(*words, prefix=(injector(), "--limit", LIMIT_S, "--record", self.record, "--below", DATABASE, "--"), code=0)
        return collections.Counter(seen.call for seen in read_record(self.record))

    def unharmed(self):
        assert self.list() == self.answer, "what is listed afterwards"
        assert self.hashes() == self.logs, "a file of a run changed"


@pytest.fixture(scope="module")
def history(tmp_path_factory, sluice_program):
    if why_not():
        pytest.skip(why_not())
    world = History(tmp_path_factory.mktemp("history"), sluice_program)
    yield world
    world.close()


def fail(world, names, point):
    """An answer is whole, or it is an error that says what happened."""
    call, error, nth, for_ever = point
    world.forget(names)
    options = ("--call", call, "--error", error, "--nth", nth, *(["--for-ever"] if for_ever else []))
    prefix = (injector(), "--limit", LIMIT_S, "--record", world.record, "--below", DATABASE, *options, "--")
    done = world("list", "-o", "jsonl", prefix=prefix)
    world.hits += any(seen.what == "failed" for seen in read_record(world.record))
    assert done.code in (0, 10), done
    assert done.code == 10 or done.stdout == world.answer, done
    assert done.code == 0 or done.stderr.strip(), "an error without a word"
    world.unharmed()


def fault_points(counts):
    """Of each call and error in turn: the first, one between or the last; once and for ever. A lock that cannot be had
    for ever is one that another has."""
    points = [(call, error, (1, (most + 1) // 2, most)[(turn + place + for_ever) % 3], for_ever)
              for turn, (call, most) in enumerate(sorted(counts.items())) for place, error in enumerate(ERRORS)
              for for_ever in (False, True)]
    return [point for point in points if not (point[3] and (point[1] in ("EINTR", "EAGAIN") or point[0] == "fcntl"))]


@pytest.mark.slow
@pytest.mark.parametrize("names", ["abc", "c"], ids=["made", "gone on with"])
def test_d33_a_failing_call_of_the_database_changes_no_answer_and_no_log(history, names):
    history.forget(names)
    counts = history.calls("list")
    assert {"openat", "pwrite64", "pread64", "fcntl"} <= set(counts)
    points = fault_points(counts)
    history.hits = 0
    sweep(points, fail, history, names)
    assert history.hits > len(points) * 2 / 3


def has_open(process, name):
    """Does it have such a file open?"""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(fd).endswith(name):
                    return True
    return False


@pytest.mark.parametrize("is_released", [
    pytest.param(True, id="for a while"), pytest.param(False, id="for ever", marks=pytest.mark.slow)])
def test_d33_a_database_that_another_writes_is_waited_for_and_then_done_without(history, is_released):
    """SQLITE_BUSY: after half a minute the logs are read."""
    history.forget("c")
    other = sqlite3.connect(history.home / DATABASE, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        asked = history.start("list", "-o", "jsonl")
        until(lambda: has_open(asked, DATABASE) and rests(asked) or asked.poll() is not None, 30, of="its wait")
        assert asked.poll() is None, asked.communicate()
        if is_released:
            other.execute("ROLLBACK")
        stdout, stderr = asked.communicate(timeout=90)
        assert (asked.returncode, stdout) == (0, history.answer), stderr
        assert is_released or "every log was read" in stderr
    finally:
        other.close()
    history.unharmed()


def kill(world, words, point):
    world.forget("abc")
    world.killed += world(*words, prefix=kill_at(point)).code != 0
    world.unharmed()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("list",), ("reindex",)], ids=" ".join)
def test_d33_killed_at_calls_from_its_first_to_its_last_it_is_made_anew(history, words):
    trace = history.root / "trace"
    history.forget("abc")
    history(*words, prefix=("strace", "-o", trace), code=0)
    points = read_trace(trace, after=DATABASE)
    assert len(points) > KILLS
    history.killed = 0
    sweep(spread(points, KILLS), kill, history, words)
    assert history.killed > KILLS / 2
