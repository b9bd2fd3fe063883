"""Help: every verb has examples first, and every exit code is told."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

VERBS = re.findall(r"^VERB\((\w+)\)", (ROOT / "src/cli/verb.def").read_text(), re.M)
LATER = ["serve", "flow"]


def test_version(sluice):
    assert re.fullmatch(r"sluice \d+\.\d+\.\d+\n", sluice.run("--version", check=0).stdout)


def test_help_lists_every_verb(sluice):
    text = sluice.run("help", check=0).stdout
    assert len(VERBS) > 20
    # A second name stands behind a comma.
    assert re.findall(r"^  ([a-z]+)[, ]", text.split("Verbs:")[1], re.M) == VERBS


def test_no_arguments_shows_help_and_is_a_usage_error_S13(sluice):
    assert "Verbs:" in sluice.run(check=2).stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_an_example_before_the_options(sluice, verb):
    for words in (("help", verb), (verb, "-h"), (verb, "--help")):
        text = sluice.run(*words, check=0).stdout
        assert 0 < text.index(f"\n  sluice {verb}") < text.index("\nUsage: ")
        assert text.index("\nUsage: ") < text.index("\nOptions of every verb:")


def test_every_exit_code_is_told_S13(sluice):
    text = sluice.run("help", "exit-codes", check=0).stdout
    assert re.findall(r"^\s*(\d+)  ", text, re.M) == [str(i) for i in range(12)]


@pytest.mark.parametrize("verb", LATER)
def test_a_verb_of_a_later_version_is_refused_S13(sluice, verb):
    done = sluice.run(verb, "x", check=2)
    assert "not in this version" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words, hint", [
    (["satus"], "did you mean `sluice status`"),
    (["run", "--parm", "a=b", "x"], "did you mean '--param'"),
    (["status", "--jsno", "x"], "did you mean '--json'"),
])
def test_a_misspelt_word_gets_a_suggestion(sluice, words, hint):
    done = sluice.run(*words, check=2)
    assert hint in done.stderr and done.stderr.startswith("sluice: ")


@pytest.mark.parametrize("words", [
    ["run"], ["run", "a", "b"], ["status"], ["approve", "x"], ["run", "x", "--run-id"],
    ["status", "--json=yes", "x"], ["events", "x", "--tail", "many"], ["events", "x", "--tail=-1"],
    ["list", "--limit", "0"], ["list", "--since", "yesterday"], ["list", "--result", "fine"],
    ["list", "-o", "xml"], ["summary", "x", "-o", "csv"], ["--color", "red", "list"],
    ["list", "--color=red"], ["-x"], ["list", "--", "word"], ["approve", "x", "y"],
    ["run", "f.yaml", "--limit", "nonsense=1"], ["explain"], ["help", "nothing"],
])
def test_a_wrong_command_line_is_exit_2_with_a_hint_S13(sluice, words):
    done = sluice.run(*words, check=2)
    assert done.stdout == "" and done.stderr.startswith("sluice: ")
    assert not sluice.home.exists()


def test_explain_an_error_number(sluice):
    text = sluice.run("explain", "SLU031", check=0).stdout
    assert text.startswith("SLU031: ") and max(map(len, text.splitlines())) <= 80
    assert sluice.run("explain", "slu31", check=0).stdout == text
    assert "SLU999" in sluice.run("explain", "SLU999", check=9).stderr
