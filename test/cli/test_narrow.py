"""What a terminal of few columns shows: no line of a table is wider than the window."""
import re

import pytest

NAME = "a-pipeline-with-a-name-that-is-longer-than-most-others"
TEXT = f"""pipeline: {NAME}
steps:
  fetch_everything_from_the_remote_server: {{run: sleep 0.7}}
  fails: {{run: exit 3}}
"""
SHORT = TEXT.replace("sleep 0.7", "'true'")


@pytest.fixture
def runs(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", SHORT), check=1)
    sluice.run("run", "-q", sluice.write("p.yaml", SHORT), "--run-id", "short", check=1)
    return sluice


def shown(sluice, columns, *words):
    status, seen = sluice.on_terminal(*words, size=(24, columns))
    return status, seen.decode().replace("\r", "").splitlines()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("columns", [40, 60, 80, 100, 160])
def test_the_list_is_not_wider_than_the_terminal(runs, columns):
    status, lines = shown(runs, columns, "list")
    assert status == 0 and len(lines) == 3
    assert all(len(line) <= columns for line in lines), lines
    assert lines[1].startswith("short ") and re.match(r"\d{8}T\d{6}-\w{9} ", lines[2]), "ids are never cut"
    assert all("failed" in line for line in lines[1:])


def test_the_list_keeps_what_is_worth_most(runs):
    _, lines = shown(runs, 40, "list")
    assert lines[0].split() == ["RUN", "RESULT"]
    _, lines = shown(runs, 80, "list")
    assert lines[0].split() == ["RUN", "PIPELINE", "RESULT", "START", "(UTC)", "DURATION"]
    assert "a-pipeline-with-~  failed" in lines[1]
    _, lines = shown(runs, 120, "list")
    assert "Step failed: fails" in lines[1]


def test_a_list_for_a_pipe_is_as_wide_as_it_takes(runs):
    lines = runs.run("list", check=0).stdout.splitlines()
    assert NAME in lines[1] and "Step failed: fails" in lines[1] and "STARTED (UTC)" in lines[0]


def test_an_empty_list_says_so(sluice):
    assert sluice.run("list", check=0).stderr == "no runs yet: `sluice run FILE` starts one\n"
    assert sluice.run("list", "--pipeline", "nosuch", check=0).stderr == "no run matches\n"
    assert sluice.run("list", "-q", check=0).stderr == ""
    assert sluice.run("list", "--json", check=0).stderr == ""


def test_the_live_tree_shortens_names_and_keeps_counts_and_times(sluice):
    _, seen = sluice.on_terminal("run", sluice.write("p.yaml", TEXT), size=(24, 40))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r"a-pipeline-…  \d of 2 done", text), text
    assert re.search(r"fetch_everything_from\w*…  \d", text), text
