"""The planted bugs fit the source as it is, and name tests that are there; that those find them is shown by run.py."""
import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run  # noqa: E402
from bugs import BUGS, SIM, Bug, black_box, images, unit  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bug_fits_the_source(bug):
    assert (ROOT / bug.file).read_text().count(bug.old) == 1
    assert bug.old != bug.new


@pytest.mark.parametrize("by", sorted({bug.by for bug in BUGS}), ids=run.shown)
def test_what_must_find_it_is_there(by):
    if by[0] == "pytest":
        path, name = by[1].split("[")[0].split("::")
        tests = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}
        assert name in tests
    elif by[0] == "unit":
        folder = (ROOT / by[1]).parent
        source = by[1].split("/")[-1].removeprefix(f"{folder.name}_")
        assert (folder / f"{source}.c").is_file()
    else:
        assert by == SIM or (by[0] == "images" and len(by) == 3)


def test_names_are_of_one_bug_each():
    assert [name for name, count in Counter(bug.name for bug in BUGS).items() if count > 1] == []
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", bug.name) for bug in BUGS)


def test_there_are_many_and_ten_are_fast():
    assert len(BUGS) >= 50
    assert len([bug for bug in BUGS if bug.fast]) == 10
    assert len({bug.by[0] for bug in BUGS if bug.fast}) > 1, "not the simulator alone"


@pytest.mark.parametrize("by, code, text, state, words", [
    (SIM, 0, "seed 1: all rules hold\n", "passed", ""),
    (SIM, 1, "seed 1: all rules hold\nFAILED seed 2: S1.2: x\nmore\n", "failed", "FAILED seed 2: S1.2: x"),
    (unit("log/log_log"), 0, "ok 1 - a\n", "passed", ""),
    (unit("log/log_log"), 1, "ok 1 - a\nnot ok 2 - b_c\n# d\nnot ok 3 - e\n", "failed", "b_c"),
    (unit("log/log_log"), -11, "ok 1 - a\n", "failed", "it ended with -11: 'ok 1 - a'"),
    (black_box("x"), 0, "1 passed, 1 skipped in 2s\n", "passed", ""),
    (black_box("x"), 0, "SKIPPED [1] a.py:3: needs root\n1 skipped in 2s\n", "skipped", "[1] a.py:3: needs root"),
    (black_box("x"), 1, "FAILED test/a.py::test_b[1] - assert 2\n1 failed\n", "failed", "test_b[1] - assert 2"),
    (black_box("x"), 5, "no tests ran\n", "failed", "it ended with 5: 'no tests ran'"),
    (images("ext4", "fan"), 0, 'x\n{"failures": [], "images": 9}\n', "passed", ""),
    (images("ext4", "fan"), 1, '{"failures": [{"what": "y"}], "images": 9}\n', "failed", "1 of 9 images: 'y'"),
    (images("ext4-plain", "fan"), 1, '{"failures": [{"what": "y"}], "images": 20}\n', "passed", ""),
    (images("ext4-plain", "fan"), 1, '{"failures": [{"what": "y"}], "images": 19}\n', "failed", "1 of 19 images: 'y'"),
    (images("ext4", "fan"), 0, '{"skipped": "needs root", "failures": []}\n', "skipped", "needs root"),
    (images("ext4", "fan"), 1, "Traceback\n", "failed", "exit 1: 'Traceback\\n'"),
])
def test_what_a_test_says_is_understood(by, code, text, state, words):
    assert run.verdict(by, code, text) == (state, words)


def test_a_bug_is_there_only_while_it_is_looked_at(tmp_path):
    file = tmp_path / "a.c"
    file.write_text("one two two\n")
    with run.planted(tmp_path, Bug("x", "y", "a.c", "one", "three")) as there:
        assert there and file.read_text() == "three two two\n"
    assert file.read_text() == "one two two\n"
    for old in ("two", "four"):
        with run.planted(tmp_path, Bug("x", "y", "a.c", old, "three")) as there:
            assert there is None and file.read_text() == "one two two\n"


class StandIn(run.Worker):
    """A worker on a copy of one file, a script that is its own test."""

    def __init__(self, folder):
        self.tree, self.build, self.keep, self.threads, self.seeds = folder, folder / "build", folder, 1, 1
        (folder / "test.sh").write_text("true\n")

    def run(self, words, check=False, in_memory=False, limit=run.CLEAN_S):
        return (0, "") if words[0] == "ninja" else super().run(words, check, in_memory, limit)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "command", lambda *_: ["/bin/sh", tmp_path / "test.sh"])
    monkeypatch.setattr(run, "sweep", lambda: None)
    monkeypatch.setattr(run, "LEAST_S", 2)
    return StandIn(tmp_path)


def hunted(worker, text, clean=0):
    _, state, words, _ = worker.hunt((Bug("x", "y", "test.sh", "true\n", text), clean))
    return state, words


@pytest.mark.slow
def test_a_bug_that_hangs_is_found_when_the_test_ends_without_it(stand_in):
    state, words = hunted(stand_in, "sleep 1000\n")
    assert state == "failed" and re.match("it does not end in 2 s, and in .* without the bug", words)
    assert (stand_in.tree / "test.sh").read_text() == "true\n"
    assert hunted(stand_in, "exit 1\n")[0] == "failed"
    assert hunted(stand_in, "exit 0\n")[0] == "passed"


@pytest.mark.slow
@pytest.mark.parametrize("later, why", [("sleep 1000", "it does not end in 1 s"), ("exit 3", "it ended with 3")])
def test_a_bug_that_hangs_on_a_busy_machine_is_not_found(stand_in, monkeypatch, later, why):
    """The machine becomes busy while the bug is there: from then on the test does not pass without it either."""
    monkeypatch.setattr(run, "LEAST_S", 1)
    path = stand_in.tree / "test.sh"
    path.write_text(f"test -e {stand_in.tree}/busy && {later}\ntrue\n")
    state, words = hunted(stand_in, f"touch {stand_in.tree}/busy; sleep 1000\n")
    assert state == "hung" and "does not end in 1 s, and nor does it pass now" in words and why in words


@pytest.mark.parametrize("clean, limit", [(0, 120), (12, 120), (13, 130), (100, 1000)])
def test_a_bug_has_ten_times_as_long_as_the_test_without_it(tmp_path, monkeypatch, clean, limit):
    limits = []
    worker = StandIn(tmp_path)
    monkeypatch.setattr(worker, "run", lambda words, limit=None, **_: (limits.append(limit) if limit else None, (0, ""))[1])
    assert hunted(worker, "false\n", clean)[0] == "passed" and limits == [limit]


def test_without_a_bug_the_time_of_the_test_alone_counts(stand_in):
    by, state, words, seconds = stand_in.look(SIM)
    assert (by, state, words) == (SIM, "passed", "") and seconds < run.CLEAN_S


def test_a_copy_follows_the_source(tmp_path):
    run.sync(tmp_path)
    kept, changed, old = tmp_path / "src/LAYERS", tmp_path / "src/log/log.c", tmp_path / "src/log/old.c"
    before = kept.stat().st_mtime_ns
    changed.write_text("no C\n")
    old.write_text("int old;\n")
    run.sync(tmp_path)
    assert kept.stat().st_mtime_ns == before and not old.exists()
    assert changed.read_bytes() == (ROOT / "src/log/log.c").read_bytes()


def test_an_unknown_name_is_refused():
    done = subprocess.run([sys.executable, "-B", ROOT / "test/mutants/run.py", "no-such-bug"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no such bug: no-such-bug" in done.stderr


def test_programs_that_tests_need_are_built_in_the_copy():
    for folder in ("power", "support", "surgery"):
        text = (ROOT / "test" / folder / "meson.build").read_text()
        assert {f"test/{folder}/{name}" for name in re.findall(r"executable\('(\w+)'", text)} <= set(run.HELPERS)
