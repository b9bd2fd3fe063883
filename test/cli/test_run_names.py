"""What a person calls a run: its id, a unique beginning of it, a path, @latest, @failed. Every verb that takes a RUN."""
import pytest

from pipelines import APPROVAL, FAILING, GOOD

READERS = [["status"], ["status", "--json"], ["summary"], ["events"], ["logs"], ["verify"], ["graph"],
           ["rerun", "--dry-run"], ["resume"]]
ACTORS = [["stop"], ["approve", "--reason", "x"], ["reject", "--reason", "x"], ["rollback"], ["resume", "--check"]]


@pytest.fixture(scope="module")
def three(tmp_path_factory, make_sluice):
    """Oldest first: `night-1` failed, `night-2` and `day-1` succeeded. No test changes them."""
    sluice = make_sluice(tmp_path_factory.mktemp("three"))
    bad, good = sluice.write("bad.yaml", FAILING), sluice.write("good.yaml", GOOD)
    sluice.run("run", bad, "--run-id", "night-1", check=1)
    sluice.run("run", good, "--run-id", "night-2", check=0)
    sluice.run("run", good, "--run-id", "day-1", check=0)
    return sluice


def words_of(verb, name):
    extra = ["ask"] if verb[0] in ("approve", "reject") else []
    return [verb[0], name, *extra, *verb[1:]]


@pytest.mark.sweep(5)
@pytest.mark.parametrize("verb", READERS, ids=" ".join)
@pytest.mark.parametrize("name", ["day-1", "da", "d", "@latest", "./../home/runs/day-1", "path"])
def test_a_run_is_found_by_every_name(three, verb, name):
    name = str(three.home / "runs" / "day-1") if name == "path" else name
    done = three.run(*words_of(verb, name), check=0)
    if verb != ["logs"] and verb != ["graph"] and verb != ["events"]:
        assert "day-1" in done.stdout


@pytest.mark.parametrize("verb", [["status"], ["summary"], ["verify"], ["resume", "--check"]], ids=" ".join)
def test_failed_is_the_last_one_that_failed(three, verb):
    assert "night-1" in three.run(*words_of(verb, "@failed"), check=0).stdout


@pytest.mark.parametrize("verb", READERS + ACTORS, ids=" ".join)
def test_an_ambiguous_beginning_lists_the_matches_S13(three, verb):
    logs = {run: three.log(run).read_bytes() for run in ("night-1", "night-2", "day-1")}
    done = three.run(*words_of(verb, "night"), check=3)
    assert "beginning of 2 runs" in done.stderr and "night-1" in done.stderr and "night-2" in done.stderr
    assert {run: three.log(run).read_bytes() for run in logs} == logs


@pytest.mark.sweep(7)
@pytest.mark.parametrize("verb", READERS + ACTORS, ids=" ".join)
@pytest.mark.parametrize("name, code", [
    ("nobody", 9), ("", (2, 9)), ("../night-1", 9), ("/nowhere/at/all", 9), ("@first", 9), ("\x1b[31mred", 9),
    ("x" * 5000, 9), (".", 9), ("%s%n", 9), ("night-1/", 9),
])
def test_other_names_are_not_found_S13(three, verb, name, code):
    done = three.run(*words_of(verb, name))
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), done.stderr
    assert done.stderr.startswith("sluice: ") and done.stdout == ""


def test_a_whole_id_wins_over_a_beginning(sluice):
    good = sluice.write("good.yaml", GOOD)
    for run in ("night-1", "night"):
        sluice.run("run", good, "--run-id", run, check=0)
    assert "Run ID: night\n" in sluice.run("status", "night", check=0).stdout


def test_a_decision_finds_its_run_by_beginning(sluice):
    sluice.run("run", sluice.write("a.yaml", APPROVAL), "--run-id", "waiting", check=4)
    sluice.run("approve", "wait", "ask", "--reason", "fine", "--as", "anna", check=0)
    sluice.run("resume", "@latest", check=0)


@pytest.mark.parametrize("name", ["@latest", "@failed", "x"])
def test_without_any_run_S13(sluice, name):
    for verb in READERS:
        done = sluice.run(*words_of(verb, name), check=9)
        assert "there is no run" in done.stderr
    assert not sluice.home.exists()
