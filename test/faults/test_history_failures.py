"""D33: the history database is made from the logs, and nothing that happens to it changes an answer or a log."""
import collections
import hashlib

import pytest
from fault_world import FaultWorld, injector, read_record, why_not

from support.kills import kill_at, read_trace, spread, sweep

DATABASE = "sluice.db"
ERRORS = ("EIO", "ENOSPC", "EROFS", "EINTR", "EAGAIN", "ENOMEM")
LIMIT_S = 20
KILLS = 40


class History(FaultWorld):
    """Three runs that ended, and what a list says of them."""

    def __init__(self, root, program):
        super().__init__(root, program)
        for name in "abc":
            self("run", "-q", self.file, "--run-id", name, code=0)
        self.answer = self.list()
        self.logs = self.hashes()

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
    options = ("--call", call, "--error", error, "--nth", nth, "--below", DATABASE, *(["--for-ever"] if for_ever else []))
    done = world("list", "-o", "jsonl", prefix=(injector(), "--limit", LIMIT_S, *options, "--"))
    assert done.code in (0, 10), done
    assert done.code == 10 or done.stdout == world.answer, done
    assert done.code == 0 or done.stderr.strip(), "an error without a word"
    world.unharmed()


def fault_points(counts):
    """Of each call and error in turn: the first, one between or the last; once or for ever."""
    points = [(call, error, (1, (most + 1) // 2, most)[(turn + place) % 3], (turn + place) % 2 == 0)
              for turn, (call, most) in enumerate(sorted(counts.items())) for place, error in enumerate(ERRORS)]
    return [point for point in points if not (point[3] and point[1] in ("EINTR", "EAGAIN"))]


@pytest.mark.slow
@pytest.mark.parametrize("names", ["abc", "c"], ids=["made", "gone on with"])
def test_d33_a_failing_call_of_the_database_changes_no_answer_and_no_log(history, names):
    history.forget(names)
    counts = history.calls("list")
    assert {"openat", "pwrite64", "pread64", "fcntl"} <= set(counts)
    sweep(fault_points(counts), fail, history, names)


def kill(world, words, point):
    world.forget("abc")
    world.killed += world(*words, prefix=kill_at(point)).code != 0
    world.unharmed()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("list",), ("reindex",)], ids=" ".join)
def test_d33_killed_at_any_call_it_is_made_anew(history, words):
    trace = history.root / "trace"
    history.forget("abc")
    history(*words, prefix=("strace", "-o", trace), code=0)
    points = read_trace(trace, after=DATABASE)
    assert len(points) > KILLS
    history.killed = 0
    sweep(spread(points, KILLS), kill, history, words)
    assert history.killed > KILLS / 2
