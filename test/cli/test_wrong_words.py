"""Wrong words for every verb and every option of `sluice help` (S13): the exit status, what is said, and that
nothing is written. What the tables here do not know fails: a new verb or option needs its row."""
import os
import pathlib
import shutil
import subprocess

import pytest

import world
from command import Sluice

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEF = (ROOT / "src/cli/verb.def").read_text()

# Words with which a verb does something sensible, and does it at once.
GOOD_WORDS = {
    "run": ["params.yaml"], "resume": ["failed"], "rerun": ["ok"], "status": ["ok"], "summary": ["ok"], "events": ["ok"],
    "logs": ["failed"], "list": [], "stats": [], "top": ["--plain"], "compare": ["ok", "failed"], "export": ["ok"],
    "stop": ["ask"], "approve": ["ask", "ask", "--reason", "x"], "reject": ["ask", "ask", "--reason", "x"],
    "rollback": ["failed"], "lint": ["ok.yaml"], "plan": ["params.yaml"], "graph": ["ok"], "explain": ["ok", "hello"],
    "schema": [], "verify": ["ok"], "reindex": [], "gc": ["--older-than", "30d", "--dry-run"], "doctor": [],
    "completion": ["bash"], "help": ["run"],
}
# How a verb is asked about a run; None: it takes none.
RUN_WORDS = {verb: (lambda run: [run]) for verb in ("resume", "rerun", "status", "summary", "events", "logs", "export", "stop",
                                                    "rollback", "graph", "verify")}
RUN_WORDS |= {"compare": lambda run: ["ok", run], "explain": lambda run: [run, "first"],
              "approve": lambda run: [run, "ask", "--reason", "x"], "reject": lambda run: [run, "ask", "--reason", "x"]}
NO_RUN = {"run", "list", "stats", "top", "lint", "plan", "schema", "reindex", "gc", "doctor", "completion", "help"}
WRITES = {"resume", "rerun", "stop", "approve", "reject", "rollback"}

HUGE = "9" * 20
TEXT = ["\udcff", "x" * 100_000]
NUMBER = ["", "0", "-1", "many", "1.5", HUGE]
STEP = [("", 9), ("nobody", 9)]
# Values that an option refuses, with the exit status when it is not 2.
BAD = {
    "param": ["nope=1", "size=big", "size=99", "size", "=1", "size=\udcff", ""],
    "params-file": [("none.json", 9), ("", 9), "ok.yaml", "/", "/dev/zero"],
    "run-id": ["", "..", "a/b", "x" * 200, "a\nb", "\udcff", "-a", ("ok", 3)],
    "reason": TEXT, "as": ["", "\udcff", "x" * 4096],
    "sync": ["", "maybe", "interval:", "interval:-1", f"interval:{HUGE}"],
    "max-parallel": NUMBER, "until": STEP, "only": STEP, "from": STEP,
    "context": [("none.json", 9), "/", "ok.yaml"],
    "partition": ["", "a\nb", "x" * 4096, "\udcff"], "idempotency-key": ["", "a\nb", "x" * 4096, "\udcff"],
    "override": STEP,
    "at": ["", "evt_x", "yesterday", HUGE, "-10x", "2026-13-01T00:00:00Z"],
    "output": ["", "xml", "JSON"], "format": ["", "xml"], "tail": ["", "-1", "many", HUGE],
    "type": ["", "step.faild", "\udcff"], "step": STEP, "attempt": ["", "-1", "many", HUGE, ("99", 9)],
    "result": ["", "fine"], "state": ["", "fine"], "pipeline": [], "since": ["", "yesterday", "-1h", f"{HUGE}h", "2026-13-01"],
    "limit": ["", "0", "-1", "many"], "older-than": ["", "-1d", "many", f"{HUGE}d"], "keep": ["", "-1", "many"],
    "interval": ["", "0", "-1s", "many", "0s"], "receipt": ["", "zz", "0" * 15, "g" * 16, "x" * 4096, ("0" * 16, 7)],
    "width": NUMBER, "file": [("none.yaml", 9), "/", "/dev/zero"],
}
GLOBAL = {
    "dir": ["", ("/dev/null", 10), ("\udcff", 9), ("x" * 5000, 10)],
    "config": ["none.conf", "/", "/dev/zero"], "color": ["", "red"],
    "limit": ["", "nonsense=1", "definition_bytes", "definition_bytes=", "definition_bytes=-1", f"definition_bytes={HUGE}"],
}


class Words(Sluice):
    """A world that stays as it is: what a refused command writes into it is found."""

    def __init__(self, folder):
        super().__init__(folder)
        world.build(self)
        self.saved = folder / "saved"
        world.copy_of(self.home, self.saved)
        self.before, self.stamps = world.tree(self.home), world.stamps(self.home)

    def changed(self):
        """What a command changed; it is put back."""
        stamps = world.stamps(self.home)
        if stamps == self.stamps:
            return []
        self.stamps = stamps
        after = world.tree(self.home)
        # Who asked last for the lock is no news of the run.
        found = {name for name in after.keys() | self.before.keys()
                 if after.get(name) != self.before.get(name) and not name.endswith("run.lock")}
        if found:
            shutil.rmtree(self.home)
            world.copy_of(self.saved, self.home)
            self.stamps = world.stamps(self.home)
        return sorted(found)

    def refuse(self, *words, code=2):
        done = subprocess.run(self.command(*words), cwd=self.work, env=self.env, timeout=20, capture_output=True,
                              stdin=subprocess.DEVNULL)
        said = done.stderr.decode("utf-8", "surrogateescape")
        about = ([word[:60] for word in words], done.returncode, done.stdout[:200], said[:400])
        assert done.returncode == code, about
        assert ("sluice: " in said or ": error[SLU" in said) and said.endswith("\n"), about
        assert "%" not in said.replace("\udcff", "") and "(null)" not in said, about
        assert self.changed() == [], about
        return done.stdout.decode("utf-8", "surrogateescape"), said


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return Words(tmp_path_factory.mktemp("world"))


def test_verify_all_has_a_line_for_each_run_and_the_worst_exit_code_S11_7(words):
    out, said = words.refuse("verify", "--all", code=7)
    found = {line.split()[0]: line for line in out.splitlines()}
    assert found.keys() == {path.name for path in (words.home / "runs").iterdir()}
    for run, end in (("ok", "whole"), ("ask", "whole"), ("torn", "torn tail: 17 bytes"), ("damaged", "damaged after event 2"),
                     ("newer", "run.teleported"), ("nolog", "is no run"), ("empty", "is no run")):
        assert end in found[run], found[run]
    receipt = words.run("verify", "ok", check=0).stdout.split("Receipt: ")[1].split()[0]
    assert f" {receipt} " in found["ok"] and " succeeded " in found["ok"] and " blocked " in found["ask"]
    assert "4 of 11 runs are not whole: " in said and "hint: " in said
    for bad in (["ok", "--all"], ["--all", "--receipt", receipt], ["--receipt", receipt], []):
        words.refuse("verify", *bad)


@pytest.mark.parametrize("kept, code", [(["ok", "torn"], 0), (["ok", "nolog"], 9), (["ok", "newer", "nolog"], 11), ([], 0)])
def test_verify_all_says_what_is_worst_S13(sluice, words, kept, code):
    for run in kept:
        world.copy_of(words.home / "runs" / run, sluice.home / "runs" / run)
    assert len(sluice.run("verify", "--all", check=code).stdout.splitlines()) == len(kept)


VERBS = [line[5:-1] for line in DEF.splitlines() if line.startswith("VERB(")]


def test_every_verb_has_its_row(words):
    assert set(world.verbs(words)) == set(VERBS) == GOOD_WORDS.keys() == RUN_WORDS.keys() | NO_RUN


def test_every_option_has_its_row(words):
    values = {name for verb in VERBS for name, value in world.options(words, verb) if value}
    assert values <= BAD.keys() | GLOBAL.keys(), "an option without a row of values that it refuses"


@pytest.mark.sweep(3)
@pytest.mark.parametrize("verb", VERBS)
def test_the_good_words_are_good(words, verb):
    """Else what follows would be refused for another reason."""
    done = words.run(verb, *GOOD_WORDS[verb], timeout=20)
    assert done.returncode in ((7,) if verb == "reindex" else (1,) if verb == "resume" else (0,)), done
    words.changed()


@pytest.mark.sweep(3)
@pytest.mark.parametrize("verb", VERBS)
def test_too_few_and_too_many_words_S13(words, verb):
    usage = world.verbs(words)[verb].split()[1:]
    if usage and not usage[0].startswith("[") and not usage[0].startswith("-"):
        out, said = words.refuse(verb)
        assert f"sluice {verb}" in said and out == "", "how it is used"
    out, said = words.refuse(verb, *["word"] * 7)
    assert "hint: " in said and out == ""


@pytest.mark.sweep(3)
@pytest.mark.parametrize("verb", VERBS)
def test_options_that_are_none_S13(words, verb):
    for option in ("--nonsense", "-Z", "--", "--=x", "--nonsense=x", "-", "---", "--\udcff"):
        if option in ("--", "-"):
            continue  # the end of options, a word
        out, said = words.refuse(verb, *GOOD_WORDS[verb], option)
        assert "hint: " in said and out == "", said


@pytest.mark.sweep(3)
@pytest.mark.parametrize("verb", VERBS)
def test_each_option_refuses_what_it_cannot_take_S13(words, verb):
    for name, value in world.options(words, verb):
        good = GOOD_WORDS[verb]
        if not value:
            out, said = words.refuse(verb, *good, f"--{name}=x")
            assert "takes no value" in said
            continue
        out, said = words.refuse(verb, *good, f"--{name}")
        assert "needs a value" in said and out == ""
        rows = GLOBAL if value == "NAME=N" or name not in BAD else BAD
        for row in rows[name]:
            bad, code = row if isinstance(row, tuple) else (row, 2)
            if rows is GLOBAL and (verb not in RUN_WORDS or verb == "explain" and name == "config"):
                continue  # not every verb looks at them
            out, said = words.refuse(verb, *good, f"--{name}={bad}", code=code)
            assert out == "" or code == 7, (verb, name, out)


# ------------------------------------------------------------------------------- which run

@pytest.mark.sweep(7)
@pytest.mark.parametrize("verb", RUN_WORDS)
@pytest.mark.parametrize("run, code", [
    ("nothing", 9), ("twin", 3), ("", 2), ("..", 9), (".", 9), ("./nothing", 9), ("/", 9), ("../..", 9), ("ok/../..", 9), ("@nonsense", 9), ("nolog", 9),
    ("empty", 9), ("a\nb", 9), ("\x1b[31m", 9), ("\udcff\udcfe", 9), ("x" * 4096, 9), ("ok.yaml", 9), ("OK", 9), ("o k", 9),
])
def test_c04_a_run_that_is_none_S13(words, verb, run, code):
    if (verb, run) == ("graph", "ok.yaml"):
        return  # a file
    out, said = words.refuse(verb, *RUN_WORDS[verb](run), code=code)
    assert out == "" and "hint: " in said, said
    if run == "twin":
        assert "twin-1" in said and "twin-2" in said


@pytest.mark.sweep(7)
@pytest.mark.parametrize("words_of", [["--pipeline"], ["--keep", "1", "--pipeline"], []], ids=" ".join)
@pytest.mark.parametrize("name", ["..", ".", "/", "../..", "runs/..", "ok/../..", "*", "", "./", "\x1b[31m",
                                  "\udcff", "x" * 4096])
def test_c05_a_name_that_leads_elsewhere_removes_nothing(words, words_of, name):
    """gc takes no run by its name; what it takes is compared, and leads nowhere."""
    outside = sorted(words.folder.iterdir())
    done = subprocess.run(words.command("gc", "--older-than", "1ms", *words_of, name), cwd=words.work, env=words.env,
                          timeout=20, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode in ((0, 2) if words_of else (2,)), done
    assert set(words.changed()) <= {"gc.lock", "trash"} and sorted(words.folder.iterdir()) == outside


@pytest.mark.parametrize("verb", RUN_WORDS)
def test_a_run_name_that_begins_with_a_dash_needs_two_dashes(words, verb):
    if verb in ("approve", "reject"):
        out, said = words.refuse(verb, "--reason", "x", "--", "-x", "ask", code=9)
    else:
        out, said = words.refuse(verb, "--", *RUN_WORDS[verb]("-x"), code=9)
    assert "'-x'" in said
    words.refuse(verb, *RUN_WORDS[verb]("-x"))


@pytest.mark.parametrize("verb", RUN_WORDS)
def test_a_damaged_log_is_exit_7_S11_4(words, verb):
    """Readers show what is good, writers write nothing; the run is named, and what to do next."""
    _, said = words.refuse(verb, *RUN_WORDS[verb]("damaged"), code=7)
    assert "damaged" in said and "line 3" in said and "hint: " in said


@pytest.mark.parametrize("verb", RUN_WORDS)
def test_a_log_of_a_newer_version_is_exit_11_for_those_who_would_write_S11_5(words, verb):
    if verb in WRITES | {"verify"}:
        _, said = words.refuse(verb, *RUN_WORDS[verb]("newer"), code=11)
        assert "run.teleported" in said and "newer" in said and "hint: " in said
        return
    asked = ["newer", "ask"] if verb == "explain" else RUN_WORDS[verb]("newer")
    done = words.run(verb, *asked, check=0, timeout=20)
    assert words.changed() == [] and (done.stdout or verb == "logs")


@pytest.mark.parametrize("verb", sorted(set(RUN_WORDS) - WRITES))
def test_a_torn_tail_is_no_error_for_readers_S11_4(words, verb):
    words.run(verb, *RUN_WORDS[verb]("torn"), check=0, timeout=20)
    assert words.changed() == []


@pytest.mark.parametrize("verb", ["approve", "reject", "explain", "logs"])
def test_a_step_that_is_none_S13(words, verb):
    reason = ["--reason", "x"] if verb in ("approve", "reject") else []
    for step in ("nobody", "", "\x1b[31m", "\udcff", "x" * 4096, "../ask"):
        out, _ = words.refuse(verb, "ask", step, *reason, code=9)
        assert out == ""


@pytest.mark.parametrize("verb", ["stop", "rollback"])
def test_what_ended_is_refused_each_time_and_nothing_is_recorded_S13(words, verb):
    for _ in range(2):
        _, said = words.refuse(verb, "ok", code=3)
        assert "succeeded" in said


# ---------------------------------------------------------------------------- which file

@pytest.mark.parametrize("verb", ["run", "lint", "plan", "graph"])
@pytest.mark.parametrize("file, code", [
    ("none.yaml", 9), ("", 9), ("/", 2), (".", 2), ("/dev/zero", 2), ("/dev/null", 2), ("pipe", 2), ("x" * 5000, 10), ("\udcff.yaml", 9),
    ("a\nb.yaml", 9), ("none/none.yaml", 9), ("params.yaml/x", 9), ("loop", 10), ("dangling", 9),
])
def test_a_file_that_is_none_S13(words, verb, file, code):
    for name, make in (("pipe", os.mkfifo), ("loop", lambda p: os.symlink("loop", p)), ("dangling", lambda p: os.symlink("none", p))):
        if not (words.work / name).is_symlink() and not (words.work / name).exists():
            make(words.work / name)
    if verb == "graph":  # a word that is no file is a run
        code = {"": 2, "x" * 5000: 9, "/": 9, ".": 9, "loop": 9}.get(file, code)
    out, said = words.refuse(verb, file, code=code)
    assert out == ""


def test_a_first_verb_is_refused_with_what_there_is(words):
    for word in ("", "nonsense", "\x1b[31m", "\udcff", "x" * 4096, "RUN", "run ", "serve"):
        out, said = words.refuse(word)
        assert "hint: " in said and out == ""


def test_many_words_and_long_ones_are_read_to_their_end(words):
    """No limit of ours is met: 20 000 parameters, one of 100 000 bytes."""
    words.refuse("run", "params.yaml", *["-p", "size=99"] * 10_000)
    words.refuse("run", "params.yaml", "-p", "x" * 100_000)
    words.refuse("status", *["x"] * 10_000)
