"""script/campaign.py: what families say, and what they do not say, in figures and in the document."""
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAYS = "print('busy'); print(json.dumps({'family': 'x', 'cases': 7, 'failures': [], 'seed': seed, 'seconds': 60}))"
FAILS = SAYS.replace("[]", "['first', {'what': 'second'}]") + "; sys.exit(1)"
DOCUMENT = "# Figures\n\nbefore\n\n<!-- campaign -->\nold\n<!-- /campaign -->\n\nafter\n"


class Tree:
    """A tree of sources with families of its own."""

    def __init__(self, root):
        self.root = root
        (root / "script").mkdir()
        (root / "docs").mkdir()
        shutil.copy(ROOT / "script/campaign.py", root / "script")
        self.document = root / "docs/GUARANTEES.md"
        self.document.write_text(DOCUMENT)

    def family(self, name, code):
        folder = self.root / "test" / name
        folder.mkdir(parents=True)
        (folder / "campaign.py").write_text(
            "import json, sys, time\nminutes, seed = float(sys.argv[2]), int(sys.argv[4])\n" + code + "\n")

    def command(self, *args):
        return [sys.executable, "-B", self.root / "script/campaign.py", *map(str, args)]

    def __call__(self, *args, code=0):
        done = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def results(self):
        return [json.loads(line) for line in
                (self.root / "build/campaign/results.jsonl").read_text().splitlines()]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_each_family_gets_its_share_and_its_figures_are_kept(tree):
    tree.family("a", SAYS.replace("'x'", "'a', 'minutes': minutes"))
    tree.family("b", SAYS)
    assert "a: 7 cases, 0 failures" in tree(3, "--seed", 5)
    assert [(r["family"], r["cases"], r["seed"], r["commit"]) for r in tree.results()] == \
        [("a", 7, 5, "?"), ("b", 7, 5, "?")]
    assert tree.results()[0]["minutes"] == 1.5
    tree(4, "--seed", 5, "--jobs", 2, "a")
    assert len(tree.results()) == 3 and tree.results()[2]["minutes"] == 4
    assert (tree.root / "build/campaign/a.log").read_text().startswith("busy\n")


def test_a_failure_is_exit_1_and_told(tree):
    tree.family("bad", FAILS)
    tree.family("good", SAYS)
    said = tree(1, code=1)
    assert "bad: first\n" in said and 'bad: {"what": "second"}' in said and "good: 7 cases, 0" in said
    assert [len(r["failures"]) for r in tree.results()] == [2, 0]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("code, why", [
    ("pass", "exit 0 without a line of figures"),
    ("print('{}')", "exit 0 without a line of figures"),
    ("sys.exit(3)", "exit 3 without a line of figures"),
    (SAYS.replace("7", "-7"), "exit 0 without a line of figures"),
    (SAYS.replace("7", "True"), "exit 0 without a line of figures"),
    (SAYS.replace("[]", "0"), "exit 0 without a line of figures"),
    (SAYS + "; print('more')", "exit 0 without a line of figures"),
    (SAYS + "; sys.exit(1)", "exit 1 with 0 failures"),
    (FAILS.replace("sys.exit(1)", "pass"), "exit 0 with 2 failures"),
])
def test_a_family_that_does_not_say_how_it_went_has_failed(tree, code, why):
    tree.family("odd", code)
    assert why in tree(1, code=1)
    assert tree.results()[0]["failures"]


def test_what_was_skipped_is_told_and_no_row(tree):
    tree.family("idle", SAYS.replace("7", "0").replace("'seed'", "'skipped': 'needs root', 'seed'"))
    tree.family("x", SAYS)
    assert "skipped: needs root" in tree(1, "--update")
    assert "idle" not in tree.document.read_text()


@pytest.mark.whole
def test_the_document_has_the_sums_of_all_campaigns(tree):
    tree.family("x", SAYS)
    tree.family("y", FAILS)
    tree(1, "x", "--seed", 1)
    tree(1, "--seed", 2, "--update", code=1)
    assert tree.document.read_text() == DOCUMENT.replace(
        "old\n", "| Family | Commit | Seeds | Cases | Failures | Minutes |\n|---|---|---|---|---|---|\n"
        "| x | `?` | 1, 2 | 14 | 0 | 2.0 |\n| y | `?` | 2 | 7 | 2 | 1.0 |\n| all | | | 21 | 2 | 3.0 |\n")
    for seed in range(3, 9):
        tree(1, "x", "--seed", seed)
    tree("--update")
    assert "| x | `?` | 1 and 7 more | 56 | 0 | 8.0 |" in tree.document.read_text()


def test_rows_of_other_trees_stay_in_the_document(tree):
    tree.family("x", SAYS)
    other = "| w | `1a2b3c4d5` | 1 and 7 more | 1,056 | 2 | 8.5 |\n| x | `1a2b3c4d5` | 4 | 3 | 0 | 0.5 |\n"
    tree.document.write_text(DOCUMENT.replace("old\n", other))
    for times in (1, 2):
        tree(1, "x", "--seed", 1, "--update")
        assert tree.document.read_text() == DOCUMENT.replace(
            "old\n", "| Family | Commit | Seeds | Cases | Failures | Minutes |\n|---|---|---|---|---|---|\n" + other
            + f"| x | `?` | 1 | {7 * times} | 0 | {times}.0 |\n| all | | | {1059 + 7 * times:,} | 2 | {9 + times}.0 |\n")


def test_a_document_without_the_place_and_damaged_figures_are_refused(tree):
    tree.family("x", SAYS)
    assert "no figures yet" in tree("--update", code=1)
    assert tree.document.read_text() == DOCUMENT
    tree.document.write_text("no place\n")
    assert "needs <!-- campaign -->" in tree(1, "--update", code=1)
    assert tree.document.read_text() == "no place\n"
    tree.document.write_text(DOCUMENT)
    with open(tree.root / "build/campaign/results.jsonl", "a") as results:
        results.write('{"family": "x"\n')
    assert "results.jsonl:2: no line of figures" in tree("--update", code=1)
    assert tree.document.read_text() == DOCUMENT


@pytest.mark.sweep(3)
@pytest.mark.parametrize("words", [(), ("0",), ("-1",), ("nan",), ("x",), ("1", "nothing"), ("1", "--jobs", "0"),
                                   ("1", "--seed", "x"), ("1", "--what")])
def test_wrong_words_are_refused(tree, words):
    tree.family("x", SAYS)
    assert "usage: script/campaign" in tree(*words, code=2)
    assert not (tree.root / "build").exists()


def test_a_campaign_that_is_ended_ends_its_families(tree):
    tree.family("long", "print('begun', file=sys.stderr, flush=True); time.sleep(600)")
    with subprocess.Popen(tree.command(20), stdout=subprocess.PIPE, text=True) as process:
        log = tree.root / "build/campaign/long.log"
        while not log.exists() or log.read_text() != "begun\n":
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM


def test_the_families_of_this_tree_are_listed_and_the_document_has_a_place():
    listed = subprocess.run([ROOT / "script/campaign", "--list"], capture_output=True, text=True, check=True).stdout
    assert "power" in listed.split()
    assert (ROOT / "docs/GUARANTEES.md").read_text().count("<!-- campaign -->") == 1
